//! The record between alert-route and tg-send: one message for one chat, as a line of JSON.
//!
//! Readers ignore fields that they do not know, and a field never changes its meaning, so either side can be older
//! than the other, and `echo '{"chat":1,"text":"hi"}' | tg-send` is a whole use of the format.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::without_place;
use crate::line::Digest;

/// The version of the format that this program writes and understands.
pub const VERSION: u64 = 1;

/// Where a message goes: a chat's id, or a public channel's or group's `@name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Chat {
    /// Positive for a person, negative for a group or channel.
    Id(i64),
    /// With its `@`.
    Name(String),
}

impl Chat {
    /// Reads a number or an `@name`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(id) = text.parse() {
            return (id != 0).then_some(Chat::Id(id));
        }
        let name = text.strip_prefix('@')?;
        let usual = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!name.is_empty() && name.chars().all(usual)).then(|| Chat::Name(text.to_owned()))
    }

    /// Groups and channels have a limit of their own (the FAQ: 20 messages a minute).
    pub fn is_group(&self) -> bool {
        match self {
            Chat::Id(id) => *id < 0,
            Chat::Name(_) => true,
        }
    }
}

impl fmt::Display for Chat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chat::Id(id) => write!(f, "{id}"),
            Chat::Name(name) => f.write_str(name),
        }
    }
}

/// How `text` is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Telegram's HTML.
    Html,
    /// As it stands.
    #[default]
    Text,
}

/// A button under a message: a link, or data for the bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What stands on it.
    pub text: String,
    /// Opens this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Comes back to the bot: 1 to 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// One message for one chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Format version.
    #[serde(default = "version")]
    pub v: u64,
    /// Follows the record through all logs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Target.
    pub chat: Chat,
    /// Forum topic; 1 is General.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i64>,
    /// What to show.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// How to read `text`.
    #[serde(default)]
    pub format: Format,
    /// Which event this is: told to a chat once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which alert this is: a later record about it answers the earlier message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// No sound.
    #[serde(default, skip_serializing_if = "is_false")]
    pub silent: bool,
    /// Rows of buttons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buttons: Vec<Vec<Button>>,
    /// Path or URL of a picture; `text` becomes its caption where it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<String>,
    /// Path of a file, `text` becomes its caption where it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// One line of plain text that stands for the record in a summary.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What a summary counts by: `alertname`, `severity`, `status`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub count_by: BTreeMap<String, String>,
}

fn version() -> u64 {
    VERSION
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Record {
    /// A record that says `text` and nothing else.
    pub fn new(chat: Chat, text: String, format: Format) -> Self {
        Record {
            v: VERSION,
            id: String::new(),
            chat,
            thread: None,
            text,
            format,
            key: None,
            about: None,
            silent: false,
            buttons: Vec::new(),
            photo: None,
            document: None,
            title: String::new(),
            count_by: BTreeMap::new(),
        }
    }
}

/// The end of what one webhook made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The line that is complete.
    pub digest: Digest,
    /// How many records it made, directly before this one. A reader that has not seen as many must not acknowledge:
    /// its predecessor died with the first of them. Absent in records of a router that does not count.
    pub records: Option<u64>,
}

impl Ack {
    /// The line of this record, without a newline.
    pub fn to_line(self) -> String {
        let records = self.records.map(|n| format!(",\"records\":{n}")).unwrap_or_default();
        format!("{{\"v\":{VERSION},\"ack\":\"{}\"{records}}}", self.digest)
    }
}

/// What one line of tg-send's input is.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Something to tell.
    Record(Box<Record>),
    /// Everything before it is complete.
    Ack(Ack),
}

/// Why a line is not a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not a JSON object, such as the half line that a killed writer leaves.
    Garbage(String),
    /// An object that cannot be told, for this reason.
    Record(String),
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Result<Input, Bad> {
    // Most lines are good records: one pass for them, and a second look only for the others.
    if let Ok(record) = serde_json::from_slice::<Record>(line) {
        return check(record).map(|record| Input::Record(Box::new(record))).map_err(Bad::Record);
    }
    let value: Value = serde_json::from_slice(line)
        .map_err(|err| Bad::Garbage(format!("{}: not JSON: {}", err.column(), without_place(&err))))?;
    let Value::Object(map) = &value else { return Err(Bad::Garbage("1: not a JSON object".to_owned())) };
    if let Some(ack) = map.get("ack") {
        let digest = ack.as_str().and_then(Digest::parse);
        let digest = digest.ok_or_else(|| Bad::Record("\"ack\" is not a digest of 64 digits".to_owned()))?;
        return Ok(Input::Ack(Ack { digest, records: map.get("records").and_then(Value::as_u64) }));
    }
    if !map.contains_key("chat") {
        return Err(Bad::Record("no \"chat\"".to_owned()));
    }
    // What can be read in this way, but not in the other, names a field twice.
    let err = Record::deserialize(&value).err();
    Err(Bad::Record(err.map_or_else(|| "a field stands in it twice".to_owned(), |err| err.to_string())))
}

fn check(mut record: Record) -> Result<Record, String> {
    if record.v > VERSION {
        return Err(format!("version {} of the format is newer than this program", record.v));
    }
    if let Chat::Name(name) = &record.chat {
        record.chat = Chat::parse(name).ok_or_else(|| format!("chat {name:?} is neither a number nor an @channel"))?;
    }
    if record.chat == Chat::Id(0) {
        return Err("chat 0 does not exist".to_owned());
    }
    if record.text.trim().is_empty() && record.photo.is_none() && record.document.is_none() {
        return Err("neither \"text\" nor \"photo\"".to_owned());
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(line: &str) -> Record {
        match parse(line.as_bytes()) {
            Ok(Input::Record(record)) => *record,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_shortest_record() {
        let record = record(r#"{"chat":1,"text":"hi"}"#);
        assert_eq!((record.v, record.chat, record.format), (1, Chat::Id(1), Format::Text));
    }

    #[test]
    fn what_is_not_known_is_ignored() {
        assert_eq!(record(r#"{"chat":"@ops","text":"hi","mood":{"x":1}}"#).chat, Chat::Name("@ops".into()));
        assert_eq!(record(r#"{"chat":"-100123","text":"hi"}"#).chat, Chat::Id(-100123));
    }

    #[test]
    fn an_ack_says_how_many_records_it_ends() {
        let ack = Ack { digest: Digest::of(b"x"), records: Some(3) };
        assert_eq!(parse(ack.to_line().as_bytes()), Ok(Input::Ack(ack)));
        let uncounted = Ack { records: None, ..ack };
        assert_eq!(parse(uncounted.to_line().as_bytes()), Ok(Input::Ack(uncounted)));
    }

    #[test]
    fn bad_lines_say_why() {
        for (line, reason) in [
            (r#"{"text":"hi"}"#, "no \"chat\""),
            (r#"{"chat":1}"#, "neither \"text\" nor \"photo\""),
            (r#"{"chat":1,"text":"  "}"#, "neither \"text\" nor \"photo\""),
            (r#"{"chat":0,"text":"x"}"#, "chat 0 does not exist"),
            (r#"{"chat":"ops","text":"x"}"#, "chat \"ops\" is neither a number nor an @channel"),
            (r#"{"chat":1,"text":"x","v":2}"#, "version 2 of the format is newer than this program"),
            (r#"{"chat":1,"chat":2,"text":"x"}"#, "a field stands in it twice"),
            (r#"{"v":1,"ack":"12"}"#, "\"ack\" is not a digest of 64 digits"),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(Bad::Record(reason.to_owned())), "{line}");
        }
        assert!(matches!(parse(br#"{"chat":1,"text":5}"#), Err(Bad::Record(reason)) if reason.contains("integer `5`")));
        for line in ["", "hello", "[1]", r#""a"}]}"#, r#"{"chat":1,"te"#] {
            assert!(matches!(parse(line.as_bytes()), Err(Bad::Garbage(_))), "{line}");
        }
    }

    #[test]
    fn what_we_write_we_read() {
        let mut full = Record::new(Chat::Id(-1), "<b>x</b>".into(), Format::Html);
        full.key = Some("k".into());
        full.buttons = vec![vec![Button { text: "Graph".into(), url: Some("http://a.b/".into()), data: None }]];
        full.count_by = [("alertname".to_owned(), "X".to_owned())].into();
        assert_eq!(record(&serde_json::to_string(&full).unwrap()), full);
    }
}
