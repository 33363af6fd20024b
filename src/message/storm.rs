//! A storm as one message: counted for a person who has ten seconds, with the whole list as a document. Records go
//! through one by one, so a storm of any size takes the memory of its document.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Message, Occasion, Waiting, address, has_file, head_of, html, is_resolved, title};
use crate::markup::{self, CAPTION, plain};
use crate::outbox::Millis;
use crate::record::Record;
use crate::telegram::{Call, File};
use crate::text::{duration, escape, sign};

/// Kinds of alerts that the summary names, and kinds that are told apart at all.
const NAMED: usize = 6;
const COUNTED: usize = 1000;

/// Titles that the summary shows.
const SHOWN: usize = 5;

/// The text of a document; what does not fit is in the next one. A person searches it on a phone.
const DOCUMENT: usize = 256 << 10;

/// A quarter more, up to twice the text, goes with it if that is the end: no tail of messages after a storm.
const TAIL: usize = 4;

/// What waits, as far as one document holds it; the records themselves are not kept.
pub struct Storm {
    seqs: Vec<i64>,
    id: String,
    thread: Option<i64>,
    silent: bool,
    unsure: u32,
    resolved: usize,
    oldest: Millis,
    newest: Millis,
    kinds: HashMap<Kind, usize>,
    /// Worst first, then in order, each with its rank.
    titles: Vec<(usize, String)>,
    document: String,
    in_all: usize,
}

impl Storm {
    /// Begins with the record at the head of a line of so many.
    pub fn new(head: &Waiting, in_all: usize) -> Self {
        let mut storm = Storm {
            seqs: Vec::new(),
            id: head.record.id.clone(),
            thread: head.record.thread,
            silent: true,
            unsure: head.unsure,
            resolved: 0,
            oldest: head.at,
            newest: head.at,
            kinds: HashMap::new(),
            titles: Vec::new(),
            document: String::new(),
            in_all,
        };
        storm.take(head);
        storm
    }

    /// Takes the next record; false if there is no use in looking further: what comes next stands alone, or the document
    /// is full. Records of other topics are passed over.
    pub fn add(&mut self, waiting: &Waiting) -> bool {
        if waiting.record.thread != self.thread {
            return true;
        }
        let joins = !has_file(&waiting.record) && waiting.shown == 0 && waiting.unsure == self.unsure;
        let takes = joins && self.has_room();
        if takes {
            self.take(waiting);
        }
        takes
    }

    fn has_room(&self) -> bool {
        let left = self.in_all.saturating_sub(self.seqs.len());
        let room = if left <= self.seqs.len() / TAIL { 2 * DOCUMENT } else { DOCUMENT };
        self.document.len() < room
    }

    fn take(&mut self, waiting: &Waiting) {
        let record = &waiting.record;
        self.seqs.push(waiting.seq);
        self.silent &= record.silent;
        self.resolved += usize::from(is_resolved(record));
        self.oldest = self.oldest.min(waiting.at);
        self.newest = self.newest.max(waiting.at);
        let kind = kind(record);
        let place = self.titles.partition_point(|(rank, _)| *rank <= kind.rank);
        if place < SHOWN {
            self.titles.insert(place, (kind.rank, title(record)));
            self.titles.truncate(SHOWN);
        }
        if self.kinds.len() < COUNTED || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += 1;
        }
        let at = Timestamp::from_millisecond(waiting.at).unwrap_or(Timestamp::UNIX_EPOCH);
        let text = plain(&html(record));
        self.document.push_str(&format!("#{} · accepted {at:.0}\n{}\n", self.seqs.len(), text.trim()));
        for button in record.buttons.iter().flatten() {
            if let Some(url) = &button.url {
                self.document.push_str(&format!("{}: {url}\n", button.text));
            }
        }
        self.document.push('\n');
    }

    /// The one message for all of them.
    pub fn message(self, occasion: &Occasion<'_>) -> Message {
        let mut parameters = address(self.thread, self.silent, occasion);
        let caption = self.summary(occasion);
        if occasion.changes.plain {
            parameters.insert("caption".into(), plain(&caption).into());
        } else {
            parameters.insert("caption".into(), caption.into());
            parameters.insert("parse_mode".into(), "HTML".into());
        }
        let now = Timestamp::from_millisecond(occasion.now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
        let name = format!("alerts-{}.txt", now.strftime("%Y%m%d-%H%M%SZ"));
        let file = File { parameter: "document", name, kind: "text/plain", bytes: self.document.into_bytes() };
        let call = Call { method: "sendDocument", parameters: parameters.into(), file: Some(file) };
        Message { seqs: self.seqs, part: None, storm: true, sendings: self.unsure, id: self.id, call }
    }

    /// How many of what, worst first, then some titles, as far as they fit into a caption.
    fn summary(&self, occasion: &Occasion<'_>) -> String {
        let records = self.seqs.len();
        let head = head_of(self.unsure > 0, self.oldest, records, occasion);
        if records == 1 {
            return format!("{head}<b>{}</b>\n\nThe whole text is in the file.", escape(&self.titles[0].1));
        }
        let mut text = format!("{head}⛈ <b>{records} alerts</b> {}\n", self.span());
        text.push_str(&match (records - self.resolved, self.resolved) {
            (firing, 0) => format!("🔥 {firing} firing\n"),
            (0, resolved) => format!("✅ {resolved} resolved\n"),
            (firing, resolved) => format!("🔥 {firing} firing · ✅ {resolved} resolved\n"),
        });
        let mut kinds: Vec<(&Kind, usize)> = self.kinds.iter().map(|(kind, n)| (kind, *n)).collect();
        kinds.sort_by_key(|(kind, n)| (kind.rank, Reverse(*n), &kind.name));
        text.push('\n');
        for (kind, n) in kinds.iter().take(NAMED) {
            text.push_str(&format!("{} <b>{n}×</b> {}\n", kind.sign, escape(&kind.name)));
        }
        if kinds.len() > NAMED {
            let named: usize = kinds[..NAMED].iter().map(|(_, n)| n).sum();
            text.push_str(&format!("<b>{}×</b> other kinds\n", records - named));
        }
        self.with_titles(text)
    }

    fn with_titles(&self, mut text: String) -> String {
        const END: &str = "\nAll of them are in the file.";
        let mut room = CAPTION.visible.saturating_sub(markup::visible_length(&text) + END.chars().count() + 24);
        let mut shown = 0;
        for (_, title) in &self.titles {
            let length = title.chars().count() + 1;
            if length > room {
                break;
            }
            room -= length;
            text.push_str(if shown == 0 { "\n" } else { "" });
            text.push_str(&escape(title));
            text.push('\n');
            shown += 1;
        }
        if shown > 0 && shown < self.seqs.len() {
            text.push_str(&format!("… and {} more\n", self.seqs.len() - shown));
        }
        text.push_str(END);
        text
    }

    fn span(&self) -> String {
        match u64::try_from((self.newest - self.oldest) / 1000).unwrap_or(0) {
            0..=1 => "at once".to_owned(),
            seconds => format!("in {}", duration(seconds)),
        }
    }
}

/// What is counted together: worst first in the summary.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    rank: usize,
    sign: &'static str,
    name: String,
}

fn kind(record: &Record) -> Kind {
    let value = |name: &str| record.count_by.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let severity = value("severity").unwrap_or_default();
    let (sign, rank) = sign(severity, is_resolved(record));
    let mut name = value("alertname").unwrap_or("other messages").to_owned();
    if !severity.is_empty() {
        name.push_str(&format!(" · {severity}"));
    }
    // One name must not fill the caption.
    Kind { rank, sign, name: name.chars().take(80).collect() }
}
