//! Strangers and administrators: requests and what is decided about them; and chats that block the bot, come
//! back, or move.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::Mode;
use super::conversation::{Conversation, Heard};
use super::door::Claim;
use super::effects::{Change, Effects, Outgoing, Reply, Request};
use super::menu;
use super::update::{Kind, Membership, Message, Person, Press, Room};
use super::words::{Word, Words};
use crate::users::Roster;

impl Conversation {
    /// Somebody who is not let in wrote. Whatever it was but /start: no answer.
    pub(super) fn stranger(&self, heard: &Heard<'_>, start: Option<&str>) -> Result<Effects, String> {
        self.metrics.strangers.inc();
        let (Some(argument), Mode::Invite) = (start, &self.access.mode) else { return Ok(Effects::default()) };
        if let Some(effects) = self.pair(heard, argument)? {
            return Ok(effects);
        }
        let message = heard.message;
        let admins = self.access.all_admins(&self.guests.roster());
        let person = message.from.as_ref();
        if let Some(person) = person {
            // An administrator who brings the bot into a group need not ask.
            if message.chat.kind != Kind::Private && admins.contains(&person.id) {
                return self.let_group_in(message, person.id, heard.words);
            }
        }
        if admins.is_empty() {
            return Ok(self.no_admin(heard));
        }
        let known = self.store.request(message.chat.id).map_err(|err| err.to_string())?;
        // Asking again changes nothing, and whoever was turned down hears nothing more.
        if known.is_some() || !self.may_ask(person.map(|person| person.id), message.chat.id)? {
            return Ok(Effects::default());
        }
        self.put_to_admins(heard, admins.into_iter())
    }

    fn put_to_admins(&self, heard: &Heard<'_>, admins: impl Iterator<Item = i64>) -> Result<Effects, String> {
        let message = heard.message;
        let chat = message.chat.id;
        let by = message.from.as_ref();
        let request = Request {
            room: message.room(),
            title: message.chat.title.clone(),
            person: by.map(|by| by.id),
            language: heard.words.code().to_owned(),
            denied: false,
        };
        let mut effects = Effects::default();
        for admin in admins {
            self.put_to(&mut effects, admin, &request, by)?;
        }
        // Who asks has to be known later as well, when an administrator comes to whom this could not be put.
        effects.changes = by.cloned().map(Change::Seen).into_iter().chain([Change::Requested(request)]).collect();
        let word = if chat < 0 { Word::AccessAskedGroup } else { Word::AccessAsked };
        effects.say(Reply::to(message, heard.words.say(word, &[])));
        log::info!("chat {chat} asks to be let in");
        Ok(effects)
    }

    /// Puts a request, which `by` makes, to an administrator.
    fn put_to(&self, effects: &mut Effects, admin: i64, request: &Request, by: Option<&Person>) -> Result<(), String> {
        let (words, chat) = (self.words_for(admin)?, request.room.chat);
        let (name, id) = (("name", request.title.as_str()), chat.to_string());
        let text = if chat < 0 {
            let by = by.map_or("?", |by| by.name.as_str());
            words.say(Word::AccessRequestGroup, &[name, ("by", by), ("id", &id)])
        } else {
            let username = by.and_then(|by| by.username.as_deref());
            let username = username.map(|name| format!("@{name} ")).unwrap_or_default();
            words.say(Word::AccessRequest, &[name, ("username", &username), ("id", &id)])
        };
        let both = [(Word::AccessApprove, 'a'), (Word::AccessDeny, 'd')];
        let keyboard = json!({"inline_keyboard": [both.map(|(word, what)| button(words, word, what, chat))]});
        effects.say(Reply::new(Room { chat: admin, thread: None }, text).buttons(keyboard).request(chat));
        Ok(())
    }

    /// What an administrator gets on /start, who may be one since a moment ago: the commands of administrators, and all
    /// open requests that were not put to them. The bot could not write to them, or they were none yet.
    pub(super) fn welcome_admin(&self, effects: &mut Effects, heard: &Heard<'_>) -> Result<(), String> {
        let roster = self.guests.roster();
        let person = heard.message.from.as_ref().filter(|_| heard.message.chat.kind == Kind::Private);
        let Some(admin) = person.filter(|person| self.access.is_admin(&roster, person.id)) else { return Ok(()) };
        // One call more costs less than to know who has them.
        effects.calls.extend(menu::for_admin(admin.id, heard.words, self.gallery.is_some()));
        if self.access.mode != Mode::Invite {
            return Ok(());
        }
        let missed = self.store.missed_by(admin.id).map_err(|err| err.to_string())?;
        // Somebody may have been let in by hand meanwhile.
        for request in missed.into_iter().filter(|request| !roster.contains(request.room.chat)) {
            let by = request.person.map(|by| self.store.person(by)).transpose();
            let by = by.map_err(|err| err.to_string())?.flatten();
            self.put_to(effects, admin.id, &request, by.as_ref())?;
        }
        Ok(())
    }

    /// What /start has to do though its chat is let in: whoever stands in the users file can be the first administrator.
    /// And anew when a kill came after the users file was changed and before all else was written: the code is still
    /// unused, or the request still there.
    pub(super) fn came_in(&self, heard: &Heard<'_>, argument: &str) -> Result<Option<Effects>, String> {
        if let Some(effects) = self.pair(heard, argument)? {
            return Ok(Some(effects));
        }
        let message = heard.message;
        let roster = self.guests.roster();
        let admin = message.from.as_ref().filter(|person| self.access.is_admin(&roster, person.id));
        let Some(person) = admin.filter(|_| message.chat.kind != Kind::Private) else { return Ok(None) };
        let known = self.store.request(message.chat.id).map_err(|err| err.to_string())?;
        known.map(|_| self.let_group_in(message, person.id, heard.words)).transpose()
    }

    fn let_group_in(&self, message: &Message, admin: i64, words: Words) -> Result<Effects, String> {
        let chat = &message.chat;
        let is_in = self.guests.edit(|roster| {
            let may = self.access.is_admin(roster, admin);
            if may {
                roster.admit(chat.id);
                roster.set_name(chat.id, &chat.title);
            }
            may
        })?;
        if !is_in {
            return Ok(Effects::default());
        }
        log::info!("group {} was let in", chat.id);
        let mut effects =
            Effects { changes: vec![Change::Decided { chat: chat.id, approved: true }], ..Effects::default() };
        effects.say(Reply::to(message, words.say(Word::AccessGroupIn, &[])));
        Ok(effects)
    }

    /// Approve or Deny was pressed, or that somebody who was turned down is to be let in after all. The numbers in the
    /// data are anybody's to make up, so nothing is taken from them but which request is meant.
    pub(super) fn decide(&self, press: &Press, decision: Decision, chat: i64, words: Words) -> Result<Effects, String> {
        let approved = decision != Decision::Deny;
        let was_denied = decision == Decision::AfterAll;
        let mut effects = Effects::default();
        let admin = press.from.id;
        if !self.access.is_admin(&self.guests.roster(), admin) {
            effects.answer(admin, &press.query, words.get(Word::AccessNotYours));
            return Ok(effects);
        }
        let claim = Claim::of(&self.store, chat, &press.query, was_denied)?;
        let request = self.store.request(chat).map_err(|err| err.to_string())?;
        // An approval that broke off may have let it in already: then it can only be completed.
        let is_open =
            |request: &Request| request.denied == was_denied && (approved || !self.guests.roster().contains(chat));
        let Some((request, claim)) = request.filter(is_open).zip(claim) else {
            effects.answer(admin, &press.query, words.get(Word::AccessGone));
            return Ok(effects);
        };
        if approved {
            let done = self.guests.edit(|roster| {
                let may = self.access.is_admin(roster, admin);
                if may {
                    roster.admit(chat);
                    roster.set_name(chat, &request.title);
                }
                may
            });
            if !done? {
                effects.answer(admin, &press.query, words.get(Word::AccessNotYours));
                return Ok(effects);
            }
        }
        log::info!("chat {chat} was {} by {admin}", if approved { "let in" } else { "turned down" });
        effects.changes.push(Change::Decided { chat, approved });
        effects.answer(admin, &press.query, "");
        let word = if approved { Word::AccessApproved } else { Word::AccessDenied };
        let roster = self.guests.roster();
        let mut asked = self.store.asked(chat).map_err(|err| err.to_string())?;
        // Who was asked may be no administrator any more.
        asked.retain(|(admin, _)| self.access.is_admin(&roster, *admin));
        // The one under whose message this was pressed sees what came of it in any case.
        let pressed = press.chat.as_ref().map(|chat| chat.id).zip(press.message).filter(|(chat, _)| *chat == admin);
        asked.extend(pressed.filter(|pressed| !asked.contains(pressed)));
        for (admin, message) in asked {
            let words = self.words_for(admin)?;
            let values = [("name", request.title.as_str()), ("by", &press.from.name), ("id", &chat.to_string())];
            let mut parameters = json!({"chat_id": admin, "message_id": message, "text": words.say(word, &values),
                "parse_mode": "HTML"});
            if !approved {
                // A slip must not shut somebody out for good.
                parameters["reply_markup"] =
                    json!({"inline_keyboard": [[button(words, Word::AccessAfterAll, 'l', chat)]]});
            }
            effects.calls.push(Outgoing {
                chat: admin,
                method: "editMessageText",
                parameters,
                slot: None,
                request: None,
                picture: None,
            });
        }
        if approved {
            let theirs = Words::of([Some(request.language.as_str())]);
            let text = if request.room.chat < 0 {
                theirs.say(Word::AccessGroupIn, &[])
            } else {
                format!("{}\n\n{}", theirs.say(Word::AccessWelcome, &[]), self.greeting(theirs))
            };
            self.say_with_dashboards(&mut effects, Reply::new(request.room, text), request.room, theirs);
        }
        claim.keep();
        Ok(effects)
    }

    /// The bot was blocked, unblocked, thrown out, let in.
    pub(super) fn membership(&self, membership: &Membership) -> Result<Effects, String> {
        let chat = &membership.chat;
        let mut effects = Effects::default();
        if membership.member {
            self.came_back(chat.id)?;
            let roster = self.guests.roster();
            let by_admin = self.access.is_admin(&roster, membership.from.id);
            // Also one that is let in already: this may be what let it in, and was cut off.
            let is_new = !membership.was_member && chat.kind != Kind::Private;
            if is_new && by_admin && self.access.mode == Mode::Invite {
                let message = Message {
                    chat: chat.clone(),
                    thread: None,
                    id: 0,
                    from: None,
                    text: String::new(),
                    forwarded: false,
                    answers: None,
                };
                let words = self.words_for(membership.from.id)?;
                return self.let_group_in(&message, membership.from.id, words);
            }
        } else {
            self.blocked(chat.id)?;
            effects.changes.push(Change::Silence(chat.id));
        }
        Ok(effects)
    }

    /// A chat that writes lets the bot in.
    pub(super) fn came_back(&self, chat: i64) -> Result<(), String> {
        if self.guests.roster().blocked(chat).is_some() {
            log::info!("chat {chat} lets the bot in again");
            self.guests.edit(|roster| roster.set_blocked(chat, None))?;
        }
        Ok(())
    }

    /// A chat does not let the bot in any more: it keeps its entry and gets nothing.
    pub fn blocked(&self, chat: i64) -> Result<(), String> {
        let roster = self.guests.roster();
        if roster.contains(chat) && roster.blocked(chat).is_none() {
            log::info!("chat {chat} has blocked the bot");
            self.guests.edit(|roster| roster.set_blocked(chat, Some(Timestamp::now())))?;
        }
        Ok(())
    }

    /// A group has another id.
    pub fn migrated(&self, old: i64, new: i64) -> Result<Effects, String> {
        if self.guests.roster().contains(old) {
            crate::notice!("group {old} has the id {new} now");
            self.guests.edit(|roster| roster.migrate(old, new))?;
        }
        Ok(Effects { changes: vec![Change::Migrated { old, new }], ..Effects::default() })
    }

    /// A name in the users file helps whoever reads it; only where the entry is more than a string anyway.
    pub(super) fn name(&self, roster: &mut Roster, heard: &Heard<'_>) {
        let chat = &heard.message.chat;
        if roster.name(chat.id).is_some_and(|name| name != chat.title) {
            roster.set_name(chat.id, &chat.title);
        }
    }

    /// The language of somebody who does not write just now.
    pub(super) fn words_for(&self, person: i64) -> Result<Words, String> {
        let known = self.store.person(person).map_err(|err| err.to_string())?.and_then(|person| person.language);
        let lang = self.guests.roster().lang(person);
        Ok(Words::of([lang.as_deref(), known.as_deref(), self.language.as_deref()]))
    }
}

/// What an administrator presses under a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Deny,
    /// Somebody who was turned down is let in.
    AfterAll,
}

/// `a:ID`, `d:ID` and `l:ID`
pub(super) fn decision(data: &str) -> Option<(Decision, i64)> {
    let (what, chat) = data.split_once(':')?;
    let decision = match what {
        "a" => Decision::Approve,
        "d" => Decision::Deny,
        "l" => Decision::AfterAll,
        _ => return None,
    };
    Some((decision, chat.parse().ok()?))
}

fn button(words: Words, word: Word, what: char, chat: i64) -> Value {
    json!({"text": words.get(word), "callback_data": format!("{what}:{chat}")})
}
