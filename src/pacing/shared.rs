//! One pace for all programs that speak for a bot: tg-send and tg-bot tell each other in a file what they send, and when.
//!
//! Each appends a line before a message goes out and another when it was answered, and reads those of the others. The
//! file's order decides: whoever finds somebody else's line before his own waits. The lines are of use for a minute.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::delivery::now;
use crate::outbox::Millis;
use crate::record::Chat;

/// The file is emptied when it is longer: some hours at Telegram's pace.
const LONGEST: u64 = 4 << 20;

/// So much of its end is read at the start: more than a minute's lines.
const RECENT: u64 = 256 << 10;

/// What happened to a message of another program, or of ours.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// It goes out.
    Begin,
    /// It was answered.
    End,
    /// It did not go out.
    Cancel,
    /// Telegram asked for silence until then, in milliseconds since 1970.
    Flood(Millis),
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Milliseconds since 1970.
    pub at: Millis,
    writer: String,
    /// What.
    pub event: Event,
    /// Where.
    pub chat: Chat,
}

impl Entry {
    fn parse(line: &str) -> Option<Entry> {
        let mut words = line.split(' ');
        let (at, writer, what, chat) = (words.next()?.parse().ok()?, words.next()?, words.next()?, words.next()?);
        let event = match what.split_once('=') {
            None if what == "begin" => Event::Begin,
            None if what == "end" => Event::End,
            None if what == "cancel" => Event::Cancel,
            Some(("flood", until)) => Event::Flood(until.parse().ok()?),
            _ => return None,
        };
        Some(Entry { at, writer: writer.to_owned(), event, chat: Chat::parse(chat)? })
    }

    /// The moment, by this program's clock; a clock that was put right must not make it longer than a minute ago or
    /// later than now.
    pub fn instant(&self) -> Instant {
        let ago = u64::try_from(now().saturating_sub(self.at)).unwrap_or(0).min(60_000);
        let instant = Instant::now();
        instant.checked_sub(Duration::from_millis(ago)).unwrap_or(instant)
    }
}

/// The file, as one program uses it.
#[derive(Debug)]
pub struct Shared {
    file: File,
    me: String,
    at: u64,
    half: Vec<u8>,
}

impl Shared {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o660).open(path)?;
        let at = file.metadata()?.len().saturating_sub(RECENT);
        // The number of a process is used again some day; the moment is not.
        static OPENED: AtomicUsize = AtomicUsize::new(0);
        let me = format!("{}.{}.{}", std::process::id(), OPENED.fetch_add(1, Ordering::Relaxed), now());
        Ok(Shared { file, me, at, half: Vec::new() })
    }

    /// Tells the others.
    pub fn note(&mut self, event: &Event, chat: &Chat) -> io::Result<()> {
        if self.file.metadata()?.len() > LONGEST {
            self.file.set_len(0)?;
        }
        let event = match event {
            Event::Begin => "begin".to_owned(),
            Event::End => "end".to_owned(),
            Event::Cancel => "cancel".to_owned(),
            Event::Flood(until) => format!("flood={until}"),
        };
        // One call, so that no line is mixed with another's.
        self.file.write_all(format!("{} {} {event} {chat}\n", now(), self.me).as_bytes())
    }

    /// What the others have told since the last time.
    pub fn news(&mut self) -> io::Result<Vec<Entry>> {
        let mut entries = self.read()?;
        entries.retain(|entry| entry.writer != self.me);
        Ok(entries)
    }

    /// What the others told before our own last line.
    pub fn before_ours(&mut self) -> io::Result<(Vec<Entry>, Vec<Entry>)> {
        let entries = self.read()?;
        let ours = entries.iter().rposition(|entry| entry.writer == self.me).unwrap_or(entries.len());
        let (mut before, mut after) = (entries[..ours].to_vec(), entries[ours..].to_vec());
        before.retain(|entry| entry.writer != self.me);
        after.retain(|entry| entry.writer != self.me);
        Ok((before, after))
    }

    fn read(&mut self) -> io::Result<Vec<Entry>> {
        if self.file.metadata()?.len() < self.at {
            self.at = 0;
            self.half.clear();
        }
        self.file.seek(SeekFrom::Start(self.at))?;
        let mut new = Vec::new();
        self.at += self.file.read_to_end(&mut new)? as u64;
        self.half.extend(new);
        let whole = self.half.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text: Vec<u8> = self.half.drain(..whole).collect();
        let lines = String::from_utf8_lossy(&text);
        Ok(lines.lines().filter_map(Entry::parse).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hear_of_each_other_and_the_first_line_counts() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-pace-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let mut one = Shared::open(&path).unwrap();
        let mut two = Shared::open(&path).unwrap();
        let chat = Chat::Id(-7);
        one.note(&Event::Begin, &chat).unwrap();
        two.note(&Event::Begin, &chat).unwrap();
        let (before, after) = two.before_ours().unwrap();
        assert_eq!((before.len(), after.len()), (1, 0));
        assert_eq!((before[0].event.clone(), before[0].chat.clone()), (Event::Begin, chat.clone()));
        let (before, after) = one.before_ours().unwrap();
        assert_eq!((before.len(), after.len()), (0, 1));
        two.note(&Event::Flood(5), &Chat::Name("@ops".into())).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"garbage\n17 x begin 5").unwrap();
        let news = one.news().unwrap();
        assert_eq!(news.len(), 1, "{news:?}");
        assert_eq!(news[0].event, Event::Flood(5));
        // Who empties the file takes nothing from those who read on.
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        two.note(&Event::End, &chat).unwrap();
        assert_eq!(one.news().unwrap().len(), 1);
        std::fs::remove_file(&path).unwrap();
    }
}
