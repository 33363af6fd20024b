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
mod tests {
    use super::*;
    use crate::alert::{GrafanaLinks, Labels, Status};

    fn alert(labels: &[(&str, &str)]) -> Alert {
        Alert {
            status: Status::Firing,
            labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            annotations: Labels::new(),
            starts_at: String::new(),
            ends_at: String::new(),
            generator_url: String::new(),
            fingerprint: String::new(),
            grafana: GrafanaLinks::default(),
        }
    }

    fn wants(value: &str, alert: &Alert) -> bool {
        let users = Users::parse(&format!(r#"{{"1": {value}}}"#)).unwrap();
        assert_eq!(users.warnings, Vec::<String>::new());
        users.chats[0].wants(alert)
    }

    #[test]
    fn the_seeds_patterns() {
        let memory = alert(&[("alertname", "HostOutOfMemory")]);
        for (pattern, wanted) in [
            ("mem|cpu", true),
            ("^host", true),
            ("^mem", false),
            ("*", true),
            ("ALL", true),
            (r"\\w", true),
            (r"\\S+memory$", true),
            ("", true),
        ] {
            assert_eq!(wants(&format!("{pattern:?}").replace(r"\\\\", r"\\"), &memory), wanted, "{pattern}");
        }
        let nameless = alert(&[]);
        assert!(wants(r#""*""#, &nameless) && wants(r#""all""#, &nameless) && wants(r#""\\w""#, &nameless));
        assert!(!wants(r#""\\w+""#, &nameless) && wants(r#"".*""#, &nameless));
    }

    #[test]
    fn case_is_ignored_by_flag_and_not_by_lowering_the_pattern() {
        // Lowered, \S would become \s and \W \w.
        assert!(wants(r#""^\\S+$""#, &alert(&[("alertname", "A")])));
        assert!(!wants(r#""\\W""#, &alert(&[("alertname", "A")])));
    }

    #[test]
    fn any_match_or_any_matcher_set() {
        let value = r#"{"match": ["cpu"], "labels": ["severity=\"page\",team=\"db\"", "job=~\"blackbox.*\""], "x": 1}"#;
        assert!(wants(value, &alert(&[("alertname", "HighCPU")])));
        assert!(wants(value, &alert(&[("severity", "page"), ("team", "db")])));
        assert!(!wants(value, &alert(&[("severity", "page"), ("team", "web")])));
        assert!(wants(value, &alert(&[("job", "blackbox-icmp")])));
        assert!(!wants("{}", &alert(&[("alertname", "HighCPU")])));
        assert!(wants(r#"{"match": "cpu"}"#, &alert(&[("alertname", "HighCPU")])));
    }

    #[test]
    fn one_bad_pattern_disturbs_nobody() {
        let users =
            Users::parse(r#"{"1": "(", "2": "cpu", "x": "y", "3": 7, "@ops": {"match": ["[", "mem"], "thread": 5}}"#)
                .unwrap();
        let chats: Vec<String> = users.chats.iter().map(|user| user.chat.to_string()).collect();
        assert_eq!(chats, ["1", "2", "@ops"]);
        assert_eq!(users.warnings.len(), 4, "{:?}", users.warnings);
        assert!(users.warnings.iter().any(|line| line.starts_with("chat 1: pattern \"(\" is skipped: unclosed group")));
        assert!(users.chats[2].wants(&alert(&[("alertname", "memory")])));
        assert_eq!(users.chats[2].thread, Some(5));
    }

    #[test]
    fn what_is_most_likely_mistyped_is_said() {
        let users = Users::parse(
            r#"{"1": {"mtach": ["x"], "note": "ours", "x": 1}, "2": {"match": "*", "role": "Admin", "lang": "de"},
                "3": {"match": "*", "role": "boss", "lang": "ru"}, "4": {}, "5": {"name": "Ann"}, "6": {"role": "admin"},
                "7": [{"thread": 5, "Labels": ["a=b"]}, {"match": "*", "lang": "en-GB"}], "8": {"lang": 7}}"#,
        )
        .unwrap();
        assert_eq!(
            users.doubts,
            [
                "chat 1: unknown member \"mtach\"; the nearest known one is \"match\"",
                "chat 2: role \"Admin\" is not known; \"admin\" is meant?",
                "chat 2: lang \"de\" is not known; en and ru are",
                "chat 3: role \"boss\" is not known; only \"admin\" is",
                "chat 7: unknown member \"Labels\"; the nearest known one is \"labels\"",
                "chat 8: lang 7 is not known; en and ru are",
            ]
        );
        assert_eq!(users.warnings, Vec::<String>::new());
        assert_eq!(users.idle, [Chat::Id(1), Chat::Id(4), Chat::Id(8)]);
        assert_eq!(users.admins, [(Chat::Id(6), None)]);
    }

    #[test]
    fn muting_ends() {
        let users = Users::parse(r#"{"1": {"match": "*", "muted_until": "2026-01-01T00:00:00Z"}}"#).unwrap();
        assert_eq!(users.chats[0].is_silent("2025-12-31T23:59:59Z".parse().unwrap()), Some("muted"));
        assert_eq!(users.chats[0].is_silent("2026-01-01T00:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn each_topic_of_a_forum_has_its_own() {
        let users = Users::parse(
            r#"{"-1": [{"match": ["cpu"], "thread": 7, "role": "admin"}, {"labels": "a=b", "thread": "9"}, 7,
                {"match": "(", "thread": 11}], "-2": {"match": "*", "blocked_since": "2026-01-01T00:00:00Z"}}"#,
        )
        .unwrap();
        let topics: Vec<_> = users.chats.iter().map(|user| (user.chat.to_string(), user.thread)).collect();
        let expected = [("-1", Some(7)), ("-1", Some(9)), ("-1", Some(11)), ("-2", None)];
        assert_eq!(topics, expected.map(|(chat, thread)| (chat.to_owned(), thread)));
        assert!(users.chats[1].wants(&alert(&[("a", "b")])) && !users.chats[0].wants(&alert(&[("a", "b")])));
        assert_eq!(
            users.warnings,
            [
                "chat -1: a part of it is skipped: neither a pattern nor an object",
                "chat -1 topic 11: pattern \"(\" is skipped: unclosed group"
            ]
        );
        assert_eq!(users.chats[3].is_silent(Timestamp::UNIX_EPOCH), Some("it has blocked the bot"));
        assert_eq!((users.named, users.admins), (2, vec![(Chat::Id(-1), Some(7))]));
    }

    #[test]
    fn errors_have_a_place() {
        assert_eq!(Users::parse("{\n 1").unwrap_err(), "2:2: not JSON: key must be a string");
        assert!(Users::parse("[]").unwrap_err().starts_with("1:1: a users file is"));
        assert!(Users::parse(" \n").unwrap_err().starts_with("1:1: it is empty"));
    }

    #[test]
    fn a_bad_new_file_leaves_the_old_one_in_force() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-users-{}", std::process::id()));
        std::fs::write(&path, r#"{"1": "*"}"#).unwrap();
        let mut file = UsersFile::open(&path).unwrap();
        assert!(matches!(file.refresh(), Refresh::Same));
        std::fs::write(&path, r#"{"1": "*", "2": "#).unwrap();
        assert!(matches!(file.refresh(), Refresh::Kept(reason) if reason.contains("not JSON")));
        assert!(matches!(file.refresh(), Refresh::Same), "told once");
        assert_eq!(file.users.chats.len(), 1);
        std::fs::write(&path, r#"{"1": "*", "2": "*"}"#).unwrap();
        assert!(matches!(file.refresh(), Refresh::Reloaded));
        assert_eq!(file.users.chats.len(), 2);
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(file.refresh(), Refresh::Kept(_)));
        assert_eq!(file.users.chats.len(), 2);
        assert!(UsersFile::open(&path).unwrap_err().starts_with("cannot read users file"));
    }
    #[test]
    fn a_file_that_could_not_be_read_is_tried_again_though_nothing_of_it_has_changed() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-unread-{}", std::process::id()));
        std::fs::write(&path, r#"{"1": "*"}"#).unwrap();
        let mut file = UsersFile::open(&path).unwrap();
        let stamp = write_with_time(&path, b"{\"2\": \"\xff\"}");
        assert!(matches!(file.refresh(), Refresh::Kept(reason) if reason.starts_with("cannot read")));
        assert!(matches!(file.refresh(), Refresh::Same), "told once");
        // As when only the rights were wrong.
        assert_eq!(write_with_time(&path, b"{\"2\": \"*\"}"), stamp);
        assert!(matches!(file.refresh(), Refresh::Reloaded));
        assert_eq!(file.users.chats[0].chat, Chat::Id(2));
        assert!(matches!(file.refresh(), Refresh::Same));
        std::fs::remove_file(&path).unwrap();
    }
}
