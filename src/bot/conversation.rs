//! What the bot makes of what happens: one update in, its effects out. Nothing is sent and nothing is stored here but the
//! users file, whose changes are such that making them twice is the same as making them once.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::tz::TimeZone;

use super::access::{Access, Mode};
use super::command::{self, Name, Text};
use super::effects::{Change, Effects, Reply};
use super::gallery::Gallery;
use super::guests::Guests;
use super::lanes::Lane;
use super::metrics::Metrics;
use super::quotes;
use super::requests::decision;
use super::store::Store;
use super::update::{Event, Kind, Message, Press, Room, Update};
use super::words::{Word, Words};

/// Who the bot is.
#[derive(Clone, Debug)]
pub struct Me {
    /// Its id.
    pub id: i64,
    /// Its name, without the `@`.
    pub username: String,
}

/// All that an answer can depend on.
pub struct Conversation {
    /// Who the bot is.
    pub me: Me,
    /// Who is let in.
    pub access: Access,
    /// The users file.
    pub guests: Guests,
    /// What the bot remembers.
    pub store: Arc<Store>,
    /// Grafana, where there is one.
    pub gallery: Option<Gallery>,
    /// The file with the alerts seen lately.
    pub seen: Option<PathBuf>,
    /// The language of those whose own is not known.
    pub language: Option<String>,
    /// Of the times that are shown.
    pub zone: TimeZone,
    /// The number of the last picture.
    pub pictures: AtomicI64,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// A message and the language in which to answer it.
pub(super) struct Heard<'a> {
    pub(super) message: &'a Message,
    pub(super) words: Words,
}

impl Heard<'_> {
    pub(super) fn room(&self) -> Room {
        self.message.room()
    }

    /// The form of a text that speaks of whom this chat is: a person, a group, a topic of it, a channel.
    pub(super) fn whom(&self, word: Word) -> &'static str {
        let form = match (self.message.chat.kind, self.message.thread) {
            (Kind::Private, _) => 0,
            (Kind::Group, None) => 1,
            (Kind::Group, Some(_)) => 2,
            (Kind::Channel, _) => 3,
        };
        self.words.form(word, form)
    }

    /// Nothing but an answer.
    pub(super) fn reply(&self, html: String) -> Effects {
        let mut effects = Effects::default();
        effects.say(Reply::to(self.message, html));
        effects
    }
}

impl Conversation {
    /// Where an update waits for its turn: what may have to wait for Grafana does so apart from what need not. Nothing of
    /// a stranger's does.
    pub fn lane(&self, update: &Update) -> Option<Lane> {
        let room = update.room()?;
        let slow = self.gallery.is_some()
            && self.access.lets_in(&self.guests.roster(), room.chat)
            && match &update.event {
                Event::Message(message) => matches!(
                    command::read(&message.text, &self.me.username),
                    Text::Command(Name::Start | Name::Dashboards, _) | Text::Words(_)
                ),
                Event::Press(_) => true,
                _ => false,
            };
        Some(Lane { slow, room })
    }

    /// Whether nothing is done for an update and nothing answered to it, whatever came before it: people who talk to each
    /// other in a group, what is meant for another bot, what was forwarded.
    pub fn is_talk(&self, update: &Update) -> bool {
        match &update.event {
            Event::Message(message) => self.is_overheard(message),
            event => *event == Event::Nothing,
        }
    }

    fn is_overheard(&self, message: &Message) -> bool {
        let is_private = message.chat.kind == Kind::Private;
        match command::read(&message.text, &self.me.username) {
            Text::Foreign => true,
            Text::Command(..) => message.forwarded && !is_private,
            Text::Words(text) => {
                let is_meant = is_private || message.answers == Some(self.me.id) || text.starts_with('/');
                message.forwarded || !is_meant
            }
        }
    }

    /// Whether somebody wrote who is not let in now and does not ask for it.
    pub fn is_strange(&self, update: &Update) -> bool {
        let Event::Message(message) = &update.event else { return false };
        let text = command::read(&message.text, &self.me.username);
        let asks = matches!(text, Text::Command(Name::Start, _)) && !message.forwarded;
        !asks && !self.access.lets_in(&self.guests.roster(), message.chat.id)
    }

    /// Everything that an update leads to.
    pub fn handle(&self, update: &Update) -> Effects {
        let result = match &update.event {
            Event::Message(message) => self.message(message),
            Event::Press(press) => self.press(press),
            Event::Membership(membership) => self.membership(membership),
            Event::Migration { old, new } => self.migrated(*old, *new),
            Event::Nothing => Ok(Effects::default()),
        };
        result.unwrap_or_else(|why| {
            log::error!("update {}: {why}", update.id);
            self.apology(update)
        })
    }

    /// For somebody whose update could not be handled. The reason is not theirs to know, but an administrator can mend
    /// what somebody wrote by hand.
    pub fn apology(&self, update: &Update) -> Effects {
        let mut effects = Effects::default();
        match &update.event {
            Event::Message(message) if self.is_heard(message) => {
                let words = self.words_of(message);
                let torn = self.is_own_admin(message).then(|| self.guests.torn_at()).flatten();
                effects.say(Reply::to(
                    message,
                    match torn {
                        Some(place) => words.say(Word::FailedUsers, &[("place", &place)]),
                        None => words.say(Word::Failed, &[]),
                    },
                ));
            }
            Event::Press(press) => {
                let word = self.is_served(press).then(|| self.words_of_press(press).get(Word::Failed));
                effects.answer(press.from.id, &press.query, word.unwrap_or_default());
            }
            _ => {}
        }
        effects
    }

    /// Whether somebody spoke to the bot who may learn that it is there: those who are let in, and those who are about to
    /// let somebody in.
    fn is_heard(&self, message: &Message) -> bool {
        if self.is_overheard(message) {
            return false;
        }
        let roster = self.guests.roster();
        let is_admin = message.from.as_ref().is_some_and(|from| self.access.is_admin(&roster, from.id));
        let is_pairing = || match command::read(&message.text, &self.me.username) {
            Text::Command(Name::Start, code) if message.chat.kind == Kind::Private => {
                self.access.mode == Mode::Invite && self.is_code(code).unwrap_or_default()
            }
            _ => false,
        };
        is_admin || self.access.lets_in(&roster, message.chat.id) || is_pairing()
    }

    fn is_served(&self, press: &Press) -> bool {
        let chat = press.chat.as_ref().map_or(press.from.id, |chat| chat.id);
        self.access.lets_in(&self.guests.roster(), chat)
    }

    /// For a chat that wrote more than can be handled; nothing for those who are not let in. A button that was pressed
    /// stays busy until there is an answer.
    pub fn too_many(&self, update: &Update) -> Effects {
        let mut effects = Effects::default();
        match &update.event {
            Event::Message(message) if self.access.lets_in(&self.guests.roster(), message.chat.id) => {
                effects.say(Reply::to(message, self.words_of(message).say(Word::TooMany, &[])).slot("too many"));
            }
            Event::Press(press) => effects.answer(press.from.id, &press.query, ""),
            _ => {}
        }
        effects
    }

    /// The person's own language, unless the users file has another for the chat.
    fn words_of(&self, message: &Message) -> Words {
        let lang = self.guests.roster().lang(message.chat.id);
        let own = message.from.as_ref().and_then(|from| from.language.as_deref());
        Words::of([lang.as_deref(), own, self.language.as_deref()])
    }

    fn words_of_press(&self, press: &Press) -> Words {
        let lang = self.guests.roster().lang(press.from.id);
        Words::of([lang.as_deref(), press.from.language.as_deref(), self.language.as_deref()])
    }

    fn message(&self, message: &Message) -> Result<Effects, String> {
        let text = command::read(&message.text, &self.me.username);
        let heard = Heard { message, words: self.words_of(message) };
        if text == Text::Foreign {
            return Ok(Effects::default());
        }
        let roster = self.guests.roster();
        let is_private = message.chat.kind == Kind::Private;
        if !self.access.lets_in(&roster, message.chat.id) {
            let start = match text {
                Text::Command(Name::Start, argument) if !message.forwarded => Some(argument),
                _ => None,
            };
            return self.stranger(&heard, start);
        }
        self.came_back(message.chat.id)?;
        if message.forwarded {
            // Somebody else's words. A group hears about such things often, and nothing is said there.
            let is_command = matches!(text, Text::Command(..)) && is_private;
            return Ok(if is_command {
                heard.reply(heard.words.say(Word::Forwarded, &[]))
            } else {
                Effects::default()
            });
        }
        let mut effects = match text {
            Text::Command(name, argument) => self.command(&heard, name, argument)?,
            // In a group people talk to each other. Whoever taps a key there answers the message that brought it.
            Text::Words(text) if is_private || message.answers == Some(self.me.id) => self.browse(&heard, text)?,
            // A command that is not ours: without our name it may be another bot's.
            Text::Words(text)
                if text.starts_with('/') && (self.is_named(message) || self.is_exact(&heard, text)?) =>
            {
                self.browse(&heard, text)?
            }
            Text::Words(_) | Text::Foreign => Effects::default(),
        };
        if let Some(from) = &message.from
            && self.store.person(from.id).map_err(|err| err.to_string())?.as_ref() != Some(from)
        {
            effects.changes.push(Change::Seen(from.clone()));
        }
        Ok(effects)
    }

    /// `/slug@our_name`
    fn is_named(&self, message: &Message) -> bool {
        let word = message.text.split_whitespace().next().unwrap_or_default();
        word.rsplit_once('@').is_some_and(|(_, name)| name.eq_ignore_ascii_case(&self.me.username))
    }

    fn command(&self, heard: &Heard<'_>, name: Name, argument: &str) -> Result<Effects, String> {
        let words = heard.words;
        match name {
            Name::Start => {
                if let Some(effects) = self.came_in(heard, argument)? {
                    return Ok(effects);
                }
                let mut effects = Effects::default();
                let reply = Reply::to(heard.message, self.greeting_for(words, self.is_own_admin(heard.message)));
                // In a group only the one who is answered gets the keys.
                let has_keys = heard.message.chat.kind != Kind::Channel;
                self.greet(&mut effects, reply, heard.room(), words, has_keys);
                self.welcome_admin(&mut effects, heard)?;
                Ok(effects)
            }
            Name::Help => Ok(heard.reply(self.help(heard))),
            Name::Regexp => self.regexp(heard, argument),
            Name::Subscribe => self.subscribe(heard, &quotes::straight(argument)),
            Name::Unsubscribe => self.unsubscribe(heard, &quotes::straight(argument)),
            Name::List => Ok(self.list(heard)),
            Name::Mute => self.mute(heard, argument),
            Name::Unmute => self.unmute(heard),
            Name::Stop => self.stop(heard),
            Name::Dashboards => self.dashboards(heard),
            Name::Users | Name::Remove => {
                let person = heard.message.from.as_ref().map(|from| from.id);
                if !person.is_some_and(|id| self.access.is_admin(&self.guests.roster(), id)) {
                    let mut text = words.say(Word::AdminOnly, &[]);
                    if heard.message.chat.kind == Kind::Group {
                        text.push(' ');
                        text.push_str(&words.say(Word::AdminAnonymous, &[]));
                    }
                    return Ok(heard.reply(text));
                }
                // Who is let in is nobody's business but the administrators'.
                if heard.message.chat.kind != Kind::Private {
                    let command = if name == Name::Users { "/users" } else { "/remove" };
                    return Ok(heard.reply(words.say(Word::AdminPrivately, &[("command", command)])));
                }
                if name == Name::Users { self.users(heard) } else { self.remove(heard, argument) }
            }
        }
    }

    /// Whether an administrator wrote this in their own chat with the bot, where all commands work.
    fn is_own_admin(&self, message: &Message) -> bool {
        let person = message.from.as_ref().filter(|_| message.chat.kind == Kind::Private);
        person.is_some_and(|from| self.access.is_admin(&self.guests.roster(), from.id))
    }

    fn help(&self, heard: &Heard<'_>) -> String {
        let words = heard.words;
        let mut parts = vec![words.say(Word::Help, &[])];
        if self.gallery.is_some() {
            parts.push(words.say(Word::HelpGrafana, &[]));
        }
        let person = heard.message.from.as_ref().map(|from| from.id);
        if person.is_some_and(|id| self.access.is_admin(&self.guests.roster(), id)) {
            parts.push(words.say(Word::HelpAdmin, &[]));
        }
        parts.join("\n\n")
    }

    fn press(&self, press: &Press) -> Result<Effects, String> {
        let words = self.words_of_press(press);
        if let Some((decision, chat)) = decision(&press.data) {
            return self.decide(press, decision, chat, words);
        }
        if !self.is_served(press) {
            self.metrics.strangers.inc();
            let mut effects = Effects::default();
            effects.answer(press.from.id, &press.query, "");
            return Ok(effects);
        }
        self.press_picture(press, words)
    }

    pub(super) fn next_picture(&self) -> i64 {
        self.pictures.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Options, prepare};
    use super::*;
    use crate::config::Config;
    use crate::pacing::Limits;
    use crate::secret::Secret;
    use crate::telegram::Api;

    #[test]
    fn nothing_of_a_stranger_waits_for_grafana() {
        let scratch = std::env::temp_dir().join(format!("prometheus-telegram-lanes-{}", std::process::id()));
        std::fs::create_dir_all(&scratch).unwrap();
        std::fs::write(scratch.join("users.json"), r#"{"2": {}}"#).unwrap();
        let config = Config {
            bot_token: Secret::new("1:a").ok(),
            grafana_url: Some("http://127.0.0.1:9".to_owned()),
            ..Config::default()
        };
        let options = Options {
            users: scratch.join("users.json"),
            state: scratch.join("bot.db"),
            seen: None,
            limits: Limits::default(),
            delete_webhook: false,
        };
        let api = Api::new(&config, 1).unwrap();
        let bot = prepare(&config, &options, &api, Arc::default()).unwrap();
        let slow = |from: i64, topic: i64, what: &str| {
            let message = json!({"message_id": 5, "text": what, "chat": {"id": from, "type": "private"}, "from": {"id": from},
                "message_thread_id": topic, "is_topic_message": true});
            let press = json!({"id": "1", "from": {"id": from}, "data": "p:1:u", "message": message});
            let update = json!({"update_id": 1, "message": message});
            let press = json!({"update_id": 1, "callback_query": press});
            [update, press].map(|update| bot.lane(&Update::read(&update).unwrap()).unwrap().slow)
        };
        for what in ["/start", "/dashboards", "hello"] {
            assert_eq!((slow(2, 7, what), slow(3, 7, what)), ([true; 2], [false; 2]), "{what}");
        }
        assert_eq!(slow(2, 7, "/list"), [false, true]);
        drop(bot);
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}
