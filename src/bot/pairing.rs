//! How the first administrator comes in: with a code that only whoever can read the log knows.

use std::fs::File;
use std::io::Read;

use super::access::Mode;
use super::conversation::{Conversation, Heard};
use super::effects::{Change, Effects, Reply};
use super::menu;
use super::update::Kind;
use super::words::Word;

impl Conversation {
    /// `/start CODE`, while there is no administrator; nothing where there is one, or no code. A wrong code is as good as
    /// none.
    pub(super) fn pair(&self, heard: &Heard<'_>, code: &str) -> Result<Option<Effects>, String> {
        let is_private = heard.message.chat.kind == Kind::Private;
        let person = heard.message.from.as_ref().filter(|_| is_private && self.access.mode == Mode::Invite);
        let Some(person) = person.filter(|_| !code.is_empty()) else { return Ok(None) };
        if !self.is_code(code)? {
            let is_open = self.access.all_admins(&self.guests.roster()).is_empty();
            return Ok(is_open.then(|| heard.reply(heard.words.say(Word::AccessNoAdmin, &[]))));
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
        let text = format!("{}\n\n{}", words.say(Word::AccessPaired, &[]), self.greeting(words));
        let mut effects = Effects::default();
        self.say_with_dashboards(&mut effects, Reply::to(heard.message, text), heard.room(), words);
        effects.changes.extend([Change::Paired, Change::Seen(person.clone())]);
        effects.calls.extend(menu::for_admin(person.id, words, self.gallery.is_some()));
        self.put_missed(&mut effects, heard)?;
        Ok(Some(effects))
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
