//! The users file: which chat wants which alerts. This module reads it; [`edit`] changes it.
//!
//! A pattern that cannot be used is skipped with a warning that names its chat, and everybody else is served. A file
//! that is no users file at all is an error, and whoever reloads keeps the old one.

mod entry;
mod file;
mod roster;
mod wish;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::alert::Alert;
use crate::bot::words::Words;
use crate::config::languages;
use crate::disk::Stamp;
use crate::near::meant;
use crate::record::Chat;
use entry::{KNOWN, Members, Parts};
pub use file::{edit, edit_filled, is_blank, parse, read, text};
pub use roster::{Entry, Roster, Subscription};
pub use wish::Wish;

/// The one role there is.
const ADMIN: &str = "admin";

/// All chats of a users file, and what was wrong with some of them.
#[derive(Debug, Default)]
pub struct Users {
    /// In the order of the file: one for a chat, or for each topic of a forum.
    pub chats: Vec<Subscriber>,
    /// Chats with the role `"admin"`, and the topic that is theirs.
    pub admins: Vec<(Chat, Option<i64>)>,
    /// How many chats the file names.
    pub named: usize,
    /// One line for each thing that was skipped.
    pub warnings: Vec<String>,
    /// One line for each thing that is taken as it stands, and most likely mistyped.
    pub doubts: Vec<String>,
    /// Chats that get no alerts, and of which nothing says that they are there for something else.
    pub idle: Vec<Chat>,
}

/// A chat, or a topic of it, that wants alerts.
#[derive(Debug)]
pub struct Subscriber {
    /// Where to.
    pub chat: Chat,
    /// The forum topic, where there is one.
    pub thread: Option<i64>,
    /// Nothing is told before this moment.
    pub muted_until: Option<Timestamp>,
    /// The chat does not let the bot in.
    pub is_blocked: bool,
    wishes: Vec<Wish>,
}

impl Subscriber {
    /// Why this chat wants the alert, in words for `--explain`; nothing when it does not.
    pub fn reason(&self, alert: &Alert) -> Option<String> {
        self.wishes.iter().find(|wish| wish.holds(&alert.labels)).map(Wish::reason)
    }

    /// Whether this chat wants the alert.
    pub fn wants(&self, alert: &Alert) -> bool {
        self.wishes.iter().any(|wish| wish.holds(&alert.labels))
    }

    /// Why the chat gets nothing at this moment, whatever it wants.
    pub fn is_silent(&self, now: Timestamp) -> Option<&'static str> {
        if self.is_blocked {
            return Some("it has blocked the bot");
        }
        self.muted_until.filter(|until| now < *until).map(|_| "muted")
    }
}

impl Users {
    /// Reads the text of a users file.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Whoever writes the file by hand may just have emptied it for what comes next.
        if text.trim().is_empty() {
            return Err("1:1: it is empty; {} is the users file of nobody".to_owned());
        }
        let mut users = Users::default();
        for (key, parts) in Roster::parse(text)?.values() {
            let Some(chat) = Chat::parse(key) else {
                users.warnings.push(format!("chat {key:?} is skipped: neither a number nor an @channel"));
                continue;
            };
            if parts.odd() > 0 {
                let what = if parts.topics().next().is_some() { "a part of it" } else { "it" };
                users.warnings.push(format!("chat {key}: {what} is skipped: neither a pattern nor an object"));
            }
            users.look_at(&chat, &parts);
            let is_blocked = parts.blocked_since().is_some();
            if parts.text("role").as_deref() == Some(ADMIN) && !is_blocked {
                users.admins.push((chat.clone(), parts.topics().find_map(Members::thread)));
            }
            for members in parts.topics() {
                users.add(&chat, members, is_blocked);
            }
            users.named += 1;
        }
        Ok(users)
    }

    /// Unknown members are somebody's own and kept; only what is nearly a known name is said.
    fn look_at(&mut self, chat: &Chat, parts: &Parts) {
        let mut doubt = |what: String| self.doubts.push(format!("chat {chat}: {what}"));
        for (name, _) in parts.topics().flat_map(|members| &members.0) {
            if !KNOWN.contains(&name.as_str())
                && let Some(known) = meant(KNOWN, name)
            {
                doubt(format!("unknown member {name:?}; the nearest known one is {known:?}"));
            }
        }
        if let Some(role) = parts.of_chat("role").filter(|role| *role != ADMIN) {
            let near = role.as_str().is_some_and(|role| meant([ADMIN], role).is_some());
            doubt(format!(
                "role {role} is not known; {}",
                if near { "\"admin\" is meant?" } else { "only \"admin\" is" }
            ));
        }
        if let Some(lang) = parts.of_chat("lang").filter(|lang| lang.as_str().and_then(Words::known).is_none()) {
            doubt(format!("lang {lang} is not known; {} are", languages()));
        }
        let says_why = ["role", "name", "blocked_since"].iter().any(|name| parts.of_chat(name).is_some());
        if parts.odd() == 0 && !says_why && parts.topics().all(Members::wants_nothing) {
            self.idle.push(chat.clone());
        }
    }

    fn add(&mut self, chat: &Chat, members: &Members, is_blocked: bool) {
        let thread = members.thread();
        let shown = thread.map_or(chat.to_string(), |thread| format!("{chat} topic {thread}"));
        let mut warn = |what: String| self.warnings.push(format!("chat {shown}: {what}"));
        for name in ["match", "labels"] {
            let given = match members.value(name) {
                Some(Value::Array(list)) => list.len(),
                Some(_) => 1,
                None => 0,
            };
            if members.texts(name).len() < given {
                warn(format!("{name:?} holds something that is no text, which is skipped"));
            }
        }
        let mut wishes = Vec::new();
        let by_name = members.texts("match").into_iter().map(|text| (Wish::by_name(&text), text));
        let by_labels = members.texts("labels").into_iter().map(|text| (Wish::by_labels(&text), text));
        for (wish, text) in by_name.chain(by_labels) {
            match wish {
                Ok(wish) => wishes.push(wish),
                Err(reason) => warn(format!("pattern {text:?} is skipped: {reason}")),
            }
        }
        let muted_until = members.value("muted_until").and_then(|value| {
            let until = value.as_str().and_then(|text| text.parse().ok());
            if until.is_none() {
                warn(format!("\"muted_until\" is ignored: {value} is not a time"));
            }
            until
        });
        if let Some(value) = members.value("thread").filter(|_| thread.is_none()).filter(|value| *value != 1) {
            warn(format!("\"thread\" is ignored: {value} is not the number of a topic"));
        }
        self.chats.push(Subscriber { chat: chat.clone(), thread, muted_until, is_blocked, wishes });
    }
}

/// A users file that is read again when it has changed.
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    stamp: Option<Stamp>,
    /// Why this state could not even be read, as far as it was told. That passes without a new stamp: when the rights are
    /// repaired, or the disk is back.
    unread: Option<String>,
    /// The last good state.
    pub users: Users,
}

/// What [`UsersFile::refresh`] found.
#[derive(Debug)]
pub enum Refresh {
    /// As before.
    Same,
    /// There is a new state; its warnings are in it.
    Reloaded,
    /// The new state cannot be used, for this reason; the old one stays in force.
    Kept(String),
}

impl UsersFile {
    /// Reads the file for the first time.
    pub fn open(path: &Path) -> Result<Self, String> {
        let (stamp, text) = load(path)?;
        Ok(UsersFile { path: path.to_owned(), stamp: Some(stamp), unread: None, users: parse_users(path, &text)? })
    }

    /// Looks at the file and reads it again if its time, size or inode changed, or if it could not be read the last time.
    /// Each bad state is told once.
    pub fn refresh(&mut self) -> Refresh {
        let stamp = Stamp::at(&self.path);
        let is_same = stamp == self.stamp;
        if is_same && self.unread.is_none() {
            return Refresh::Same;
        }
        let told = self.unread.take().filter(|_| is_same);
        self.stamp = stamp;
        let (stamp, text) = match load(&self.path) {
            Ok(loaded) => loaded,
            Err(reason) => {
                self.unread = Some(reason.clone());
                return if told.as_ref() == Some(&reason) { Refresh::Same } else { Refresh::Kept(reason) };
            }
        };
        self.stamp = Some(stamp);
        match parse_users(&self.path, &text) {
            Ok(users) => {
                self.users = users;
                Refresh::Reloaded
            }
            Err(reason) => Refresh::Kept(reason),
        }
    }
}

/// The stamp is that of the open file, so a rename between looking and reading is not missed.
fn load(path: &Path) -> Result<(Stamp, String), String> {
    let shown = path.display();
    let cannot = |err| format!("cannot read users file {shown}: {err}");
    let mut file = File::open(path).map_err(cannot)?;
    let stamp = Stamp::of(&file.metadata().map_err(cannot)?);
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    Ok((stamp, text))
}

fn parse_users(path: &Path, text: &str) -> Result<Users, String> {
    Users::parse(text).map_err(|err| format!("users file {}:{err}", path.display()))
}

/// Writes a file in place, always with the same time; how it looks from outside.
#[cfg(test)]
pub(crate) fn write_with_time(path: &Path, contents: &[u8]) -> Option<Stamp> {
    std::fs::write(path, contents).unwrap();
    File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    Stamp::at(path)
}

#[cfg(test)]
mod tests;
