//! tg-send at a person's desk: a note typed by hand, and a look at the outbox.

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::Failure;
use crate::delivery::{Batch, now};
use crate::outbox::{Millis, Outbox};
use crate::printable::printable;
use crate::record::{Chat, Format, Record};
use crate::text::{duration, escape};

/// A note is read whole; this is far more than anybody reads on a phone.
const LONGEST_NOTE: u64 = 16 << 20;

/// What the options say of a note.
#[derive(Debug, Default)]
pub struct Note {
    /// For whom; without it stdin holds records.
    pub chat: Option<String>,
    /// Into this topic.
    pub thread: Option<i64>,
    /// Without a sound.
    pub silent: bool,
    /// In a fixed-width font.
    pub pre: bool,
    /// Under this picture.
    pub photo: Option<String>,
    /// Under this file.
    pub document: Option<String>,
}

impl Note {
    /// Reads the note, if it is one.
    pub fn batch(self, input: impl Read) -> anyhow::Result<Option<Batch>> {
        let Some(chat) = &self.chat else {
            let alone =
                self.thread.is_some() || self.silent || self.pre || self.photo.is_some() || self.document.is_some();
            if alone {
                return Err(Failure::misuse("--thread, --silent, --pre, --photo and --document go with --chat").into());
            }
            return Ok(None);
        };
        let chat = Chat::parse(chat)
            .ok_or_else(|| Failure::misuse(format!("chat {chat:?} is neither a number nor an @channel")))?;
        if self.photo.is_some() && self.document.is_some() {
            return Err(Failure::misuse("--photo and --document cannot go together").into());
        }
        let (photo, document) = (self.photo.map(whole_path).transpose()?, self.document.map(whole_path).transpose()?);
        let mut text = Vec::new();
        input.take(LONGEST_NOTE).read_to_end(&mut text).context("cannot read stdin")?;
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_end();
        let has_file = photo.is_some() || document.is_some();
        if text.trim().is_empty() && !has_file {
            return Err(Failure::misuse("nothing to send: stdin is empty").into());
        }
        let mut record = match self.pre && !text.is_empty() {
            true => Record::new(chat, format!("<pre>{}</pre>", escape(text)), Format::Html),
            false => Record::new(chat, text.to_owned(), Format::Text),
        };
        record.id = format!("note-{}", now());
        record.thread = self.thread;
        record.silent = self.silent;
        record.photo = photo;
        record.document = document;
        Ok(Some(Batch::of(record)?))
    }
}

/// A path that also the next run understands, if it is that one which sends it; an address as it is.
fn whole_path(path: String) -> anyhow::Result<String> {
    if path.starts_with("http://") || path.starts_with("https://") {
        return Ok(path);
    }
    let refused = |why: &dyn std::fmt::Display| Failure::misuse(format!("cannot read {path}: {why}"));
    std::fs::File::open(&path).map_err(|err| refused(&err))?;
    let whole = std::fs::canonicalize(&path).map_err(|err| refused(&err))?;
    if !whole.is_file() {
        return Err(refused(&"it is no file").into());
    }
    Ok(whole.into_os_string().into_string().map_err(|_| refused(&"its name is not UTF-8"))?)
}

fn clock(at: Millis) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// How the outbox stands.
pub fn status(outbox: &Outbox, mut out: impl Write) -> anyhow::Result<ExitCode> {
    let status = outbox.status().context("cannot read the outbox")?;
    let age = status.oldest.map(|at| u64::try_from(now().saturating_sub(at) / 1000).unwrap_or(0));
    let age = age.map(|seconds| format!(", the oldest for {}", duration(seconds))).unwrap_or_default();
    let mut text = format!("waiting  {}{age}\n", status.waiting);
    text.push_str(&format!("failed   {}\n", status.failed));
    text.push_str(&format!("told     {} (remembered)\n", status.told));
    for (chat, why, waiting) in &status.gone {
        text.push_str(&format!("gone     chat {chat}: {}; {waiting} wait\n", printable(why)));
    }
    for (old, new) in &status.moved {
        text.push_str(&format!("moved    chat {old} is {new} now\n"));
    }
    out.write_all(text.as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// What could not be told, one record a line: number, time, chat, reason, and its text's start.
pub fn failed(outbox: &Outbox, mut out: impl Write) -> anyhow::Result<ExitCode> {
    for failed in outbox.failed().context("cannot read the outbox")? {
        let chat = failed.chat.map_or("-".to_owned(), |chat| chat.to_string());
        let (at, reason, record) = (clock(failed.at), printable(&failed.reason), printable(&failed.record));
        let line = format!("{}\t{at}\t{chat}\t{reason}\t{record}\n", failed.seq);
        out.write_all(line.as_bytes()).context("cannot write to stdout")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts everything that failed, and is a record, back into the queue; chats that are gone are tried again soon.
pub fn retry_failed(outbox: &mut Outbox, mut out: impl Write) -> anyhow::Result<ExitCode> {
    let (mut again, mut not) = (0, 0);
    for failed in outbox.failed().context("cannot read the outbox")? {
        match outbox.retry(&failed, now()).context("cannot write the outbox")? {
            true => again += 1,
            false => not += 1,
        }
    }
    outbox.transaction(|outbox| outbox.probe_all()).context("cannot write the outbox")?;
    let not = if not > 0 { format!("; {not} are no records and stay") } else { String::new() };
    out.write_all(format!("{again} records wait again{not}\n").as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// Forgets everything that failed: somebody has seen it, or it can never be told.
pub fn forget_failed(outbox: &mut Outbox, mut out: impl Write) -> anyhow::Result<ExitCode> {
    let forgotten = outbox.transaction(|outbox| outbox.forget_failed()).context("cannot write the outbox")?;
    out.write_all(format!("{forgotten} records are forgotten\n").as_bytes()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Item;

    fn record(note: Note, text: &str) -> Record {
        match note.batch(text.as_bytes()).unwrap().unwrap().items.remove(0) {
            Item::Record(entry) => serde_json::from_str(&entry.line).unwrap(),
            Item::Bad(..) => panic!(),
        }
    }

    fn to(chat: &str) -> Note {
        Note { chat: Some(chat.to_owned()), ..Note::default() }
    }

    #[test]
    fn a_note_is_plain_text() {
        let plain = record(to("-100"), "a < b\n\n");
        assert_eq!((plain.chat, plain.text.as_str(), plain.format), (Chat::Id(-100), "a < b", Format::Text));
        let pre = record(Note { pre: true, ..to("@ops") }, "a < b\n");
        assert_eq!((pre.text.as_str(), pre.format), ("<pre>a &lt; b</pre>", Format::Html));
    }

    #[test]
    fn a_note_that_cannot_be_is_refused() {
        assert!(to("ops").batch(&b"x"[..]).is_err());
        assert!(to("1").batch(&b" \n"[..]).is_err());
        assert!(Note { silent: true, ..Note::default() }.batch(&b"x"[..]).is_err());
        assert!(Note { photo: Some("/nonexistent".into()), ..to("1") }.batch(&b"x"[..]).is_err());
        assert!(Note::default().batch(&b"x"[..]).unwrap().is_none());
    }
}
