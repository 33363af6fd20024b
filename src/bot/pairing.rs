//! How the first administrator comes in: with a code that only whoever can read the log knows.

use std::fs::File;
use std::io::Read;

use super::access::Mode;
use super::conversation::{Conversation, Heard};
use super::effects::{Change, Effects, Reply};
use super::store::Store;
use super::update::Kind;
use super::words::Word;

impl Conversation {
    /// `/start CODE`, while there is no administrator; nothing where there is one, or no code. A wrong code is as good as
    /// none.
    pub(super) fn pair(&self, heard: &Heard<'_>, code: &str) -> Result<Option<Effects>, String> {
        if code.is_empty() || self.access.mode != Mode::Invite {
            return Ok(None);
        }
        if heard.message.chat.kind != Kind::Private {
            return self.spoil(heard, code);
        }
        let Some(person) = &heard.message.from else { return Ok(None) };
        if !self.is_code(code)? {
            let is_open = self.access.all_admins(&self.guests.roster()).is_empty();
            return Ok(is_open.then(|| self.no_admin(heard)));
        }
        let is_first = self.guests.edit(|roster| {
            let admins = self.access.all_admins(roster);
            if !admins.is_empty() && !admins.contains(&person.id) {
                return false;
            }
            roster.admit(person.id);
            roster.set_role(person.id, Some("admin"));
            roster.set_name(person.id, &person.name);
            true
        })?;
        if !is_first {
            return Ok(None);
        }
        crate::notice!("{:?} ({}) is an administrator now", person.name, person.id);
        let words = heard.words;
        let text = format!("{}\n\n{}", words.say(Word::AccessPaired, &[]), self.greeting_for(words, true));
        let mut effects = Effects::default();
        self.say_with_dashboards(&mut effects, Reply::to(heard.message, text), heard.room(), words);
        effects.changes.extend([Change::Paired, Change::Seen(person.clone())]);
        self.welcome_admin(&mut effects, heard)?;
        Ok(Some(effects))
    }

    /// A code that others could read is replaced, by one that only the log has. That a wrong one is wrong they do not learn.
    fn spoil(&self, heard: &Heard<'_>, code: &str) -> Result<Option<Effects>, String> {
        if !self.access.all_admins(&self.guests.roster()).is_empty() {
            return Ok(None);
        }
        if self.is_code(code)? {
            self.store.surely(Store::forget_code);
            crate::notice!("chat {} could read the code: another one takes its place", heard.message.chat.id);
            self.tell_code()?;
        }
        let bot = [("bot", self.me.username.as_str())];
        Ok(Some(heard.reply(heard.words.say(Word::AccessCodeInGroup, &bot))))
    }

    /// What somebody has to do who is the first administrator.
    pub(super) fn no_admin(&self, heard: &Heard<'_>) -> Effects {
        // Who was the administrator may be it no more.
        if matches!(self.store.unused_code(), Ok(None))
            && let Err(why) = self.tell_code()
        {
            log::error!("{why}");
        }
        let is_private = heard.message.chat.kind == Kind::Private;
        let word = if is_private { Word::AccessNoAdmin } else { Word::AccessNoAdminGroup };
        heard.reply(heard.words.say(word, &[("bot", &self.me.username)]))
    }

    /// The code lies with what the bot remembers only, and is gone from there once it was used.
    pub(super) fn is_code(&self, code: &str) -> Result<bool, String> {
        let known = self.store.unused_code().map_err(|err| err.to_string())?;
        Ok(known.is_some_and(|known| known.eq_ignore_ascii_case(code)))
    }

    /// Tells the code in the log, while there is no administrator.
    pub(super) fn tell_code(&self) -> Result<(), String> {
        let admins = self.access.all_admins(&self.guests.roster());
        if self.access.mode != Mode::Invite || !admins.is_empty() {
            return Ok(());
        }
        let code = self.store.pairing_code(&fresh_code()?);
        let code = code.map_err(|err| format!("cannot read what the bot remembers: {err}"))?;
        let name = &self.me.username;
        crate::notice!(
            "there is no administrator yet: whoever sends \"/start {code}\" to @{name} becomes it, \
                        or opens https://t.me/{name}?start={code}"
        );
        Ok(())
    }
}

/// Forty bits of chance, in letters that nobody mistakes for others.
fn fresh_code() -> Result<String, String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut bytes = [0_u8; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|err| format!("no random numbers: {err}"))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}
