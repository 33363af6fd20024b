//! The users file: which chat wants which alerts. This module reads it; the seed's form and the full one.
//!
//! A pattern that cannot be used is skipped with a warning that names its chat, and everybody else is served. A file
//! that is no users file at all is an error, and whoever reloads keeps the old one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};

use crate::alert::Alert;
use crate::config::without_place;
use crate::matcher::{Matchers, user_regex};
use crate::record::Chat;

/// All chats of a users file, and what was wrong with some of them.
#[derive(Debug, Default)]
pub struct Users {
    /// In the order of their keys.
    pub chats: Vec<Subscriber>,
    /// One line for each thing that was skipped.
    pub warnings: Vec<String>,
}

/// A chat that wants alerts.
#[derive(Debug)]
pub struct Subscriber {
    /// Where to.
    pub chat: Chat,
    /// The forum topic, where there is one.
    pub thread: Option<i64>,
    /// Nothing is told before this moment.
    pub muted_until: Option<Timestamp>,
    wishes: Vec<Wish>,
}

/// One reason for which a chat gets an alert.
#[derive(Debug)]
enum Wish {
    Everything,
    /// Found anywhere in the alertname.
    Name(Regex),
    /// A matcher set, and how it was written.
    Labels(Matchers, String),
}

impl Wish {
    /// `*`, `all` and `\w` mean every alert, also one that has no name.
    fn by_name(pattern: &str) -> Result<Self, String> {
        if pattern == "*" || pattern == r"\w" || pattern.eq_ignore_ascii_case("all") {
            return Ok(Wish::Everything);
        }
        user_regex(pattern, true).map(Wish::Name)
    }

    fn by_labels(text: &str) -> Result<Self, String> {
        Matchers::parse(text).map(|matchers| Wish::Labels(matchers, text.to_owned()))
    }

    fn holds(&self, alert: &Alert) -> bool {
        match self {
            Wish::Everything => true,
            Wish::Name(regex) => regex.is_match(alert.name()),
            Wish::Labels(matchers, _) => matchers.hold(&alert.labels),
        }
    }
}

impl Subscriber {
    /// Why this chat wants the alert, in words for `--explain`; nothing when it does not.
    pub fn reason(&self, alert: &Alert) -> Option<String> {
        self.wishes.iter().find(|wish| wish.holds(alert)).map(|wish| match wish {
            Wish::Everything => "it wants every alert".to_owned(),
            Wish::Name(regex) => format!("match {:?} is found in its alertname", regex.as_str()),
            Wish::Labels(_, text) => format!("labels {text} hold"),
        })
    }

    /// Whether this chat wants the alert.
    pub fn wants(&self, alert: &Alert) -> bool {
        self.wishes.iter().any(|wish| wish.holds(alert))
    }

    /// Whether the chat asked for silence at this moment.
    pub fn is_muted(&self, now: Timestamp) -> bool {
        self.muted_until.is_some_and(|until| now < until)
    }
}

impl Users {
    /// Reads the text of a users file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|err| format!("{}:{}: not JSON: {}", err.line(), err.column(), without_place(&err)))?;
        let Value::Object(map) = value else {
            return Err("1:1: a users file is a JSON object {\"<chat id>\": \"<regexp>\"}".to_owned());
        };
        let mut users = Users::default();
        for (chat, value) in &map {
            users.add(chat, value);
        }
        Ok(users)
    }

    fn add(&mut self, key: &str, value: &Value) {
        let Some(chat) = Chat::parse(key) else {
            self.warnings.push(format!("chat {key:?} is skipped: neither a number nor an @channel"));
            return;
        };
        let empty = Map::new();
        let (patterns, members) = match value {
            Value::String(pattern) => (vec![pattern.as_str()], &empty),
            Value::Object(members) => (self.texts(key, members, "match"), members),
            _ => {
                self.warnings.push(format!("chat {key}: skipped: neither a pattern nor an object"));
                return;
            }
        };
        let labels = self.texts(key, members, "labels");
        let mut wishes = Vec::new();
        let by_name = patterns.iter().map(|text| (*text, Wish::by_name(text)));
        let by_labels = labels.iter().map(|text| (*text, Wish::by_labels(text)));
        for (text, wish) in by_name.chain(by_labels) {
            match wish {
                Ok(wish) => wishes.push(wish),
                Err(reason) => self.warnings.push(format!("chat {key}: pattern {text:?} is skipped: {reason}")),
            }
        }
        let muted_until = members.get("muted_until").filter(|value| !value.is_null()).and_then(|value| {
            let until = value.as_str().and_then(|text| text.parse().ok());
            if until.is_none() {
                self.warnings.push(format!("chat {key}: \"muted_until\" is ignored: {value} is not a time"));
            }
            until
        });
        let thread = members.get("thread").and_then(Value::as_i64);
        self.chats.push(Subscriber { chat, thread, muted_until, wishes });
    }

    /// A member that is a text or a list of texts.
    fn texts<'a>(&mut self, key: &str, members: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
        let list = match members.get(name) {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
        if texts.len() < list.len() {
            self.warnings.push(format!("chat {key}: {name:?} holds something that is no text, which is skipped"));
        }
        texts
    }
}

/// What tells one state of a file from another without reading it.
type Stamp = (std::time::SystemTime, u64, u64);

/// A users file that is read again when it has changed.
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    stamp: Option<Stamp>,
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
        let (stamp, users) = load(path)?;
        Ok(UsersFile { path: path.to_owned(), stamp: Some(stamp), users })
    }

    /// Looks at the file and reads it again if its time, size or inode changed. Each bad state is told once.
    pub fn refresh(&mut self) -> Refresh {
        let stamp = std::fs::metadata(&self.path).ok().map(|meta| stamp(&meta));
        if stamp == self.stamp {
            return Refresh::Same;
        }
        self.stamp = stamp;
        match load(&self.path) {
            Ok((stamp, users)) => {
                self.stamp = Some(stamp);
                self.users = users;
                Refresh::Reloaded
            }
            Err(reason) => Refresh::Kept(reason),
        }
    }
}

fn stamp(meta: &std::fs::Metadata) -> Stamp {
    (meta.modified().unwrap_or(std::time::UNIX_EPOCH), meta.len(), meta.ino())
}

/// The stamp is that of the open file, so a rename between looking and reading is not missed.
fn load(path: &Path) -> Result<(Stamp, Users), String> {
    let shown = path.display();
    let cannot = |err| format!("cannot read users file {shown}: {err}");
    let mut file = File::open(path).map_err(cannot)?;
    let stamp = stamp(&file.metadata().map_err(cannot)?);
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    let users = Users::parse(&text).map_err(|err| format!("users file {shown}:{err}"))?;
    Ok((stamp, users))
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
    fn muting_ends() {
        let users = Users::parse(r#"{"1": {"match": "*", "muted_until": "2026-01-01T00:00:00Z"}}"#).unwrap();
        assert!(users.chats[0].is_muted("2025-12-31T23:59:59Z".parse().unwrap()));
        assert!(!users.chats[0].is_muted("2026-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn errors_have_a_place() {
        assert_eq!(Users::parse("{\n 1").unwrap_err(), "2:2: not JSON: key must be a string");
        assert!(Users::parse("[]").unwrap_err().starts_with("1:1: a users file is"));
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
}
