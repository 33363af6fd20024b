//! Dashboards, panels and pictures: what [`browse`](super::browse) and [`picture`](super::picture) decide, with what
//! Grafana says and in the words of people.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::browse::{self, Labels, Place, Say, Screen, Step};
use super::command;
use super::conversation::{Conversation, Heard};
use super::effects::{Change, Effects, Outgoing, Reply};
use super::outgoing::Drawn;
use super::picture::{self, Press as Button, Shown};
use super::typing::Typing;
use super::update::{Kind, Press, Room};
use super::words::{Word, Words};
use crate::grafana::{Error, Kind as Failing, Recent};
use crate::telegram::{Api, File};

/// Characters of a wrong command that an answer shows: those that Telegram's own have at most.
const LONGEST_COMMAND: usize = 32;

/// Grafana, and how its pictures are drawn.
pub struct Gallery {
    recent: Recent,
    typing: Typing,
    zone: Option<String>,
}

impl Gallery {
    /// `zone` is the configuration's, by its IANA name; without it each dashboard's own holds.
    pub fn new(recent: Recent, api: Api, zone: Option<String>) -> Self {
        Gallery { recent, typing: Typing::new(api), zone }
    }
}

fn picture_words(words: Words) -> picture::Words {
    let text = |word| words.get(word).to_owned();
    picture::Words {
        ranges: [Word::PictureHour, Word::PictureSixHours, Word::PictureDay, Word::PictureWeek].map(text),
        last: text(Word::PictureLast),
        own: text(Word::PictureOwn),
        own_range: text(Word::PictureOwnRange),
        refresh: text(Word::PictureRefresh),
        back: text(Word::PictureBack),
        untitled: text(Word::PictureUntitled),
    }
}

fn labels(words: Words) -> Labels {
    Labels { back: words.get(Word::BrowseBack).to_owned() }
}

impl Conversation {
    /// `/dashboards`
    pub(super) fn dashboards(&self, heard: &Heard<'_>) -> Result<Effects, String> {
        let Some(gallery) = &self.gallery else {
            return Ok(heard.reply(heard.words.say(Word::GrafanaNone, &[])));
        };
        Ok(match gallery.recent.dashboards() {
            Ok(hits) => self.show(heard, browse::dashboards(&hits, &Place::default(), &labels(heard.words))),
            Err(err) => heard.reply(failed(heard.words, &err)),
        })
    }

    /// A key, a name, a part of a name.
    pub(super) fn browse(&self, heard: &Heard<'_>, text: &str) -> Result<Effects, String> {
        let (words, room) = (heard.words, heard.room());
        let command = command::meant(text);
        let Some(gallery) = &self.gallery else {
            let none = || words.say(Word::GrafanaNone, &[]);
            return Ok(heard.reply(command.map_or_else(none, |command| no_command(words, command))));
        };
        let mistyped = command.filter(|command| command::nearest(command).is_some());
        let place = self.place(room)?;
        let hits = match (gallery.recent.dashboards(), mistyped) {
            (Ok(hits), _) => hits,
            (Err(_), Some(command)) => return Ok(heard.reply(no_command(words, command))),
            (Err(err), None) => return Ok(heard.reply(failed(words, &err))),
        };
        let open = match &place.dashboard {
            Some(uid) if hits.iter().any(|hit| hit.uid == *uid) => match gallery.recent.dashboard(uid) {
                Ok(dashboard) => Some(dashboard),
                Err(err) if err.kind() == Failing::NotFound => None,
                Err(err) => return Ok(heard.reply(failed(words, &err))),
            },
            _ => None,
        };
        let labels = labels(words);
        Ok(match (browse::step(text, &place, &hits, open.as_deref(), &labels), mistyped) {
            (Step::Show(Screen { say: Say::Unknown { .. }, .. }), Some(command)) => {
                heard.reply(no_command(words, command))
            }
            (Step::Show(screen), _) => self.show(heard, screen),
            (Step::OpenDashboard { uid }, _) => match gallery.recent.dashboard(&uid) {
                Ok(dashboard) => self.show(heard, browse::panels(&dashboard, &place, &labels)),
                Err(err) if err.kind() == Failing::NotFound => self.show(heard, browse::gone(&hits, &labels)),
                Err(err) => heard.reply(failed(words, &err)),
            },
            (Step::Picture { uid, panel_id, title }, _) => {
                self.picture(heard, &Shown { uid, panel: panel_id, title, ..Shown::default() })
            }
        })
    }

    /// Whether a text is the name of a dashboard, or of a panel of the open one, and not only a part of it.
    pub(super) fn is_exact(&self, heard: &Heard<'_>, text: &str) -> Result<bool, String> {
        let Some(gallery) = &self.gallery else { return Ok(false) };
        let name = browse::one_line(text.strip_prefix('/').unwrap_or(text)).to_lowercase();
        let is = |known: &str| browse::one_line(known).to_lowercase() == name;
        let Ok(hits) = gallery.recent.dashboards() else { return Ok(false) };
        if hits.iter().any(|hit| is(&hit.uid) || is(&hit.title) || hit.slug().is_some_and(is)) {
            return Ok(true);
        }
        let Some(uid) = self.place(heard.room())?.dashboard else { return Ok(false) };
        let open = gallery.recent.dashboard(&uid);
        Ok(open.is_ok_and(|dashboard| dashboard.panels.iter().any(|panel| is(&panel.title))))
    }

    /// A greeting with the keyboard of dashboards, for one person: without a message to answer, a group's keyboard would be
    /// everybody's.
    pub(super) fn say_with_dashboards(&self, effects: &mut Effects, reply: Reply, room: Room, words: Words) {
        self.greet(effects, reply, room, words, room.chat > 0);
    }

    /// A greeting; without keys also where Grafana does not answer.
    pub(super) fn greet(&self, effects: &mut Effects, reply: Reply, room: Room, words: Words, has_keys: bool) {
        let hits = self.gallery.as_ref().map(|gallery| gallery.recent.dashboards());
        let keys = match hits {
            Some(Ok(hits)) => {
                let screen = browse::dashboards(&hits, &Place::default(), &labels(words));
                effects.changes.push(Change::Place(room, json!(screen.place)));
                Some(screen.keyboard)
            }
            Some(Err(err)) => {
                log::warn!("no dashboards for a greeting: {err}");
                None
            }
            None => Some(Vec::new()),
        };
        effects.say(match keys.filter(|_| has_keys) {
            Some(keys) => reply.keys(&keys),
            None => reply,
        });
    }

    fn place(&self, room: Room) -> Result<Place, String> {
        let place = self.store.place(room).map_err(|err| err.to_string())?;
        Ok(place.and_then(|place| serde_json::from_value(place).ok()).unwrap_or_default())
    }

    fn show(&self, heard: &Heard<'_>, screen: Screen) -> Effects {
        let mut effects = Effects::default();
        let text = said(heard.words, &screen.say);
        effects.changes.push(Change::Place(heard.room(), json!(screen.place)));
        let reply = Reply::to(heard.message, text);
        // Channels have no keyboard in place of letters; there the names are to be typed.
        effects.say(if heard.message.chat.kind == Kind::Channel { reply } else { reply.keys(&screen.keyboard) });
        effects
    }

    /// Has a picture drawn and sent.
    fn picture(&self, heard: &Heard<'_>, shown: &Shown) -> Effects {
        let (message, room) = (heard.message, heard.room());
        let id = self.next_picture();
        let mut parameters = json!({"chat_id": room.chat});
        if let Some(thread) = room.thread {
            parameters["message_thread_id"] = thread.into();
        }
        if message.chat.kind == Kind::Group {
            parameters["reply_parameters"] = json!({"message_id": message.id, "allow_sending_without_reply": true});
        }
        let language = heard.words.code().to_owned();
        Effects {
            changes: vec![Change::Picture { id, room, shown: json!(shown), language }],
            calls: vec![Outgoing {
                chat: room.chat,
                method: "sendPhoto",
                parameters,
                slot: None,
                request: None,
                picture: Some(id),
            }],
        }
    }

    /// A button under a picture. What it holds can be made up, so the picture must be of the very chat.
    pub(super) fn press_picture(&self, press: &Press, words: Words) -> Result<Effects, String> {
        let mut effects = Effects::default();
        let answer = |mut effects: Effects, word: Option<Word>| {
            effects.answer(press.from.id, &press.query, word.map_or("", |word| words.get(word)));
            Ok(effects)
        };
        let (Some((id, button)), Some(chat), Some(message), Some(gallery)) =
            (Button::parse(&press.data), &press.chat, press.message, &self.gallery)
        else {
            return answer(effects, None);
        };
        let known = self.store.picture(id).map_err(|err| err.to_string())?.filter(|known| known.room.chat == chat.id);
        let known = known.and_then(|known| Some((serde_json::from_value::<Shown>(known.shown.clone()).ok()?, known)));
        let Some((shown, known)) = known else { return answer(effects, Some(Word::PictureOld)) };
        let dashboard = match gallery.recent.dashboard(&shown.uid) {
            Ok(dashboard) => dashboard,
            Err(err) => {
                log::warn!("grafana: {err}{}", hint(&err));
                return answer(effects, Some(why(&err, false)));
            }
        };
        let Some(changed) = picture::apply(&shown, &button, &dashboard) else {
            return answer(effects, Some(Word::PictureOld));
        };
        effects.changes.push(Change::Picture {
            id,
            room: known.room,
            shown: json!(changed),
            language: words.code().to_owned(),
        });
        let mut parameters = json!({"chat_id": chat.id, "message_id": message});
        // Whoever taps on does not want to see what lies between; but keys alone are no picture.
        let (method, slot, picture, said) = if button.redraws() {
            if let Some(thread) = known.room.thread {
                // An edit does not need it, but a message in its place does.
                parameters["message_thread_id"] = thread.into();
            }
            ("editMessageMedia", format!("picture {id}"), Some(id), words.get(Word::PictureDrawing))
        } else {
            parameters["reply_markup"] = picture::keyboard(&changed, &dashboard, id, &picture_words(words));
            ("editMessageReplyMarkup", format!("keys {id}"), None, "")
        };
        effects.answer(press.from.id, &press.query, said);
        effects.calls.push(Outgoing { chat: chat.id, method, parameters, slot: Some(slot), request: None, picture });
        Ok(effects)
    }

    /// Draws the picture of a call; the error is what to say in its place.
    pub(super) fn draw(&self, call: &Outgoing) -> Result<Drawn, String> {
        let Some((gallery, id)) = self.gallery.as_ref().zip(call.picture) else {
            return Err(Words::of([self.language.as_deref()]).say(Word::GrafanaNone, &[]));
        };
        let known = self.store.picture(id).ok().flatten();
        let language = known.as_ref().map(|known| known.language.clone());
        let words = Words::of([language.as_deref(), self.language.as_deref()]);
        let old = || words.say(Word::PictureOld, &[]);
        let known = known.ok_or_else(old)?;
        let shown: Shown = serde_json::from_value(known.shown).map_err(|_| old())?;
        let drawn = gallery.typing.during(known.room, || {
            let dashboard = gallery.recent.dashboard(&shown.uid)?;
            let shot = picture::shot(&shown, gallery.zone.as_deref());
            let picture = gallery.recent.grafana().render(&dashboard, shown.panel, &shot)?;
            Ok((dashboard, picture))
        });
        let (dashboard, picture) = drawn.map_err(|err: Error| {
            log::warn!("no picture of panel {} of {}: {err}{}", shown.panel, shown.uid, hint(&err));
            words.say(Word::PictureFailed, &[("panel", &shown.title), ("why", words.get(why(&err, true)))])
        })?;
        let now = Timestamp::now().to_zoned(self.zone.clone());
        let said = picture_words(words);
        let caption = picture::caption(&shown, &dashboard, &now, &said);
        // Keys may have been opened while it was drawn.
        let newest = self.store.picture(id).ok().flatten();
        let newest = newest.and_then(|known| serde_json::from_value::<Shown>(known.shown).ok());
        let open = newest.map_or_else(|| shown.open.clone(), |newest| newest.open);
        let keyboard = picture::keyboard(&Shown { open, ..shown }, &dashboard, id, &said);
        let file = File { parameter: "photo", name: "panel.png".to_owned(), kind: "image/png", bytes: picture.png };
        Ok(Drawn { file, parameters: with_picture(call, caption, keyboard) })
    }

    /// What to say when Telegram does not take a picture.
    pub(super) fn refused_picture(&self, call: &Outgoing, why: &str) -> String {
        let known = call.picture.and_then(|id| self.store.picture(id).ok().flatten());
        let language = known.map(|known| known.language);
        Words::of([language.as_deref(), self.language.as_deref()]).say(Word::PictureRefused, &[("why", why)])
    }
}

fn with_picture(call: &Outgoing, caption: String, keyboard: Value) -> Value {
    let mut parameters = call.parameters.clone();
    parameters["reply_markup"] = keyboard;
    if call.method == "editMessageMedia" {
        parameters["media"] =
            json!({"type": "photo", "media": "attach://photo", "caption": caption, "parse_mode": "HTML"});
    } else {
        parameters["caption"] = caption.into();
        parameters["parse_mode"] = "HTML".into();
    }
    parameters
}

fn hint(err: &Error) -> String {
    err.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
}

/// What a person is told of a failure: what they can do about it. Addresses and the words of other programs are the log's.
fn why(err: &Error, drawing: bool) -> Word {
    match err.kind() {
        Failing::Unreachable => Word::GrafanaUnreachable,
        Failing::Denied => Word::GrafanaDenied,
        Failing::NotFound => Word::GrafanaNotFound,
        Failing::NoRenderer => Word::GrafanaNoRenderer,
        Failing::Busy if drawing => Word::GrafanaNotDrawn,
        Failing::Busy => Word::GrafanaBusy,
        Failing::NotPicture => Word::GrafanaNotPicture,
        Failing::Failed | Failing::Misuse | Failing::Ambiguous => Word::GrafanaOther,
    }
}

fn failed(words: Words, err: &Error) -> String {
    log::warn!("grafana: {err}{}", hint(err));
    words.say(Word::GrafanaFailed, &[("why", words.get(why(err, false)))])
}

/// For a command that there is not.
fn no_command(words: Words, command: &str) -> String {
    let shown: String = command.chars().take(LONGEST_COMMAND).collect();
    let shown = format!("/{shown}{}", if shown.len() < command.len() { "…" } else { "" });
    match command::nearest(command) {
        Some(near) => words.say(Word::UnknownNear, &[("command", &shown), ("near", near)]),
        None => words.say(Word::Unknown, &[("command", &shown)]),
    }
}

/// A screen's text.
fn said(words: Words, say: &Say) -> String {
    let count = |forms: Word, n: usize| words.count(words.get(forms), n as u64);
    let page = |(page, pages): (usize, usize)| match pages {
        0 | 1 => String::new(),
        _ => words.say(Word::BrowsePage, &[("page", &page.to_string()), ("pages", &pages.to_string())]),
    };
    match say {
        Say::Dashboards { count: n, folder, search, page: at } => {
            let (n, page) = (count(Word::CountDashboards, *n), page(*at));
            match (search, folder) {
                (Some(text), _) => words.say(Word::BrowseSearch, &[("text", text), ("count", &n), ("page", &page)]),
                (None, Some(folder)) => words.say(Word::BrowseFolder, &[("folder", folder), ("page", &page)]),
                (None, None) => words.say(Word::BrowseDashboards, &[("count", &n), ("page", &page)]),
            }
        }
        Say::NoDashboards => words.say(Word::BrowseNone, &[]),
        Say::Panels { dashboard, count: n, row, search, page: at } => {
            let (n, page) = (count(Word::CountPanels, *n), page(*at));
            let dashboard = ("dashboard", dashboard.as_str());
            match (search, row) {
                (Some(text), _) => {
                    words.say(Word::BrowsePanelSearch, &[dashboard, ("text", text), ("count", &n), ("page", &page)])
                }
                (None, Some(row)) => words.say(Word::BrowseRow, &[dashboard, ("row", row), ("page", &page)]),
                (None, None) => words.say(Word::BrowsePanels, &[dashboard, ("count", &n), ("page", &page)]),
            }
        }
        Say::NoPanels { dashboard } => words.say(Word::BrowseNoPanels, &[("dashboard", dashboard)]),
        Say::Gone => words.say(Word::BrowseGone, &[]),
        Say::Unknown { text, dashboard, nearest } => {
            let mut said = match dashboard {
                Some(dashboard) => words.say(Word::BrowseUnknownIn, &[("dashboard", dashboard), ("text", text)]),
                None => words.say(Word::BrowseUnknown, &[("text", text)]),
            };
            said.push(' ');
            said + &words.say(if *nearest > 0 { Word::BrowseNearest } else { Word::BrowseElsewhere }, &[])
        }
        Say::CannotDraw { panel } => words.say(Word::BrowseCannotDraw, &[("panel", panel)]),
    }
}
