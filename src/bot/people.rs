//! Who is let in, and who no longer: /users and /remove.

use jiff::Timestamp;

use super::access::Mode;
use super::conversation::{Conversation, Heard};
use super::effects::{Change, Effects};
use super::menu;
use super::words::Word;
use crate::record::Chat;
use crate::text::escape;

/// Entries that /users shows; how many there are besides is said.
const MOST_SHOWN: usize = 200;

impl Conversation {
    /// `/users`
    pub(super) fn users(&self, heard: &Heard<'_>) -> Result<Effects, String> {
        let (words, now) = (heard.words, Timestamp::now());
        let roster = self.guests.roster();
        let mut lines: Vec<String> = roster
            .chats()
            .take(MOST_SHOWN)
            .map(|(chat, entry)| {
                let mut marks = String::new();
                if matches!(&chat, Chat::Id(id) if self.access.is_admin(&roster, *id)) {
                    marks.push_str(words.get(Word::UsersAdmin));
                }
                if entry.blocked_since.is_some() {
                    marks.push_str(words.get(Word::UsersBlocked));
                }
                if entry.subscriptions.iter().any(|one| one.muted_until.is_some_and(|until| until > now)) {
                    marks.push_str(words.get(Word::UsersMuted));
                }
                let mut wants: Vec<String> = Vec::new();
                for subscription in &entry.subscriptions {
                    let texts = subscription.patterns.iter().chain(&subscription.labels);
                    wants.extend(texts.map(|text| text.chars().take(80).collect()));
                }
                let wants =
                    if wants.is_empty() { words.get(Word::UsersNothing).to_owned() } else { wants.join("  ·  ") };
                let known = match &chat {
                    Chat::Id(id) if entry.name.is_none() => self.known_name(*id)?,
                    _ => entry.name,
                };
                let id = format!("<code>{}</code>", escape(&chat.to_string()));
                let who = known.map_or(id.clone(), |name| format!("{id} {}", escape(&name)));
                let values = [("who", who.as_str()), ("marks", &escape(&marks)), ("wants", &escape(&wants))];
                Ok(words.join(Word::UsersLine, &values))
            })
            .collect::<Result<_, String>>()?;
        let total = roster.chats().count();
        if total > lines.len() {
            let more = words.count(words.get(Word::CountChats), (total - lines.len()) as u64);
            lines.push(words.say(Word::UsersMore, &[("more", &more)]));
        }
        let title = words.count(words.get(Word::CountChats), total as u64);
        let mut text = match self.access.mode {
            Mode::Invite => words.say(Word::UsersTitle, &[("count", &title)]),
            Mode::Open => words.say(Word::UsersOpen, &[]),
            Mode::List(_) => words.say(Word::UsersList, &[]),
        };
        if lines.is_empty() {
            lines.push(words.say(Word::UsersEmpty, &[]));
        }
        text.push('\n');
        text.push_str(&lines.join("\n"));
        Ok(heard.reply(text))
    }

    /// Whoever was let in by hand is known by name once they have written.
    fn known_name(&self, id: i64) -> Result<Option<String>, String> {
        let person = self.store.person(id).map_err(|err| err.to_string())?;
        Ok(person.map(|person| person.name).filter(|name| !name.is_empty()))
    }

    /// `/remove @channel`
    fn remove_channel(&self, heard: &Heard<'_>, name: &str) -> Result<Effects, String> {
        let this = (heard.message.chat.id, heard.message.id);
        let mut had = self.guests.roster().has_channel(name);
        if had {
            self.store.keep(this, name).map_err(|err| err.to_string())?;
        } else {
            // Removed already when this was handled before, and cut off.
            had = self.store.kept(this).map_err(|err| err.to_string())?.is_some();
        }
        let gone = self.guests.edit(|roster| roster.remove_channel(name))? || had;
        log::info!("channel {name} was removed");
        let words = heard.words;
        Ok(heard.reply(if gone {
            words.join(Word::RemoveDone, &[("who", &format!("<code>{}</code>", escape(name)))])
        } else {
            words.say(Word::RemoveUnknown, &[("what", name)])
        }))
    }

    /// `/remove ID`
    pub(super) fn remove(&self, heard: &Heard<'_>, argument: &str) -> Result<Effects, String> {
        let words = heard.words;
        let id = match Chat::parse(argument) {
            Some(Chat::Id(id)) => id,
            Some(Chat::Name(name)) => return self.remove_channel(heard, &name),
            None => return Ok(heard.reply(words.say(Word::RemoveHow, &[]))),
        };
        let roster = self.guests.roster();
        let is_own = heard.message.from.as_ref().is_some_and(|from| from.id == id);
        if is_own && self.access.all_admins(&roster).len() == 1 {
            return Ok(heard.reply(words.say(Word::RemoveLast, &[])));
        }
        let this = (heard.message.chat.id, heard.message.id);
        let kept = self.store.kept(this).map_err(|err| err.to_string())?;
        let name = match kept.clone().or_else(|| roster.name(id)) {
            Some(name) => name,
            None => self.known_name(id)?.unwrap_or_default(),
        };
        if roster.contains(id) {
            self.store.keep(this, &name).map_err(|err| err.to_string())?;
        }
        // What was kept says that this was handled before, and cut off.
        let gone = self.guests.edit(|roster| roster.remove(id))? || kept.is_some();
        let id_text = id.to_string();
        let configured = self.access.admins.contains(&id)
            || matches!(&self.access.mode, Mode::List(ids) if ids.contains(&id))
            || self.access.mode == Mode::Open;
        let mut text = match gone {
            true => {
                let who = match name.as_str() {
                    "" => format!("<code>{id}</code>"),
                    name => format!("{} (<code>{id}</code>)", escape(name)),
                };
                words.join(Word::RemoveDone, &[("who", &who)])
            }
            false => words.say(Word::RemoveUnknown, &[("what", &id_text)]),
        };
        if configured {
            text.push('\n');
            text.push_str(&words.say(Word::RemoveConfigured, &[("id", &id_text)]));
        }
        log::info!("chat {id} was removed");
        let mut effects = heard.reply(text);
        // What waits for them must not be told any more.
        effects.changes.splice(0..0, [Change::Silence(id), Change::Forgotten(id)]);
        if gone && !self.access.admins.contains(&id) {
            effects.calls.extend(menu::for_former(id));
        }
        Ok(effects)
    }
}
