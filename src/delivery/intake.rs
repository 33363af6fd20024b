//! The reading half of tg-send: lines of stdin become batches, in order, and acks only for what was seen whole.

use std::io::{self, Read};
use std::sync::mpsc::SyncSender;

use super::Event;
use crate::line::Digest;
use crate::lines::{Line, Lines};
use crate::outbox::Entry;
use crate::record::{self, Ack, Bad, Input, Record};

/// A batch ends where reading would have to wait, or here.
const BATCH_BYTES: usize = 64 << 10;

/// The start of a bad line that is kept with its reason; bytes.
const KEPT: usize = 64 << 10;

/// What was read together.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order of the input.
    pub items: Vec<Item>,
    /// Lines of which everything is in this batch or in an earlier one.
    pub acks: Vec<Digest>,
    /// How many items at its end belong to a webhook of which more is to come.
    open: usize,
    /// Whether what was open before has come to its end here.
    pub closes: bool,
    bytes: usize,
}

/// One line of input.
#[derive(Debug)]
pub enum Item {
    /// To be told.
    Record(Entry),
    /// A record that cannot be told, for this reason; with the line.
    Bad(String, String),
}

/// Decides which acks are true. A reader that was killed took with it what it had read of a webhook's records, and its
/// successor reads the rest and the ack: so an ack counts its records, and all of them must have been seen in a row.
#[derive(Debug, Default)]
struct Witness {
    in_a_row: u64,
}

impl Witness {
    fn record(&mut self) {
        self.in_a_row += 1;
    }

    fn garbage(&mut self) {
        self.in_a_row = 0;
    }

    fn ack(&mut self, ack: Ack) -> bool {
        let seen = std::mem::take(&mut self.in_a_row);
        ack.records.is_none_or(|records| seen >= records)
    }
}

/// Reads until the input ends, and says so at last.
pub fn read(input: impl Read, events: &SyncSender<Event>) {
    let mut lines = Lines::new(input);
    let mut witness = Witness::default();
    let mut batch = Batch::default();
    let ended = loop {
        if !batch.is_empty() && (!lines.has_line() || batch.bytes > BATCH_BYTES) {
            if !lines.has_more() {
                batch.close();
            }
            // The receiver is gone only when the tool ends.
            if events.send(Event::Intake(std::mem::take(&mut batch))).is_err() {
                return;
            }
        }
        match lines.next_line() {
            Ok(Some(Line::Text(line))) => {
                let line = String::from_utf8_lossy(line).into_owned();
                let parsed = record::parse(line.as_bytes());
                batch.take(line, parsed, &mut witness, lines.number());
            }
            Ok(Some(Line::TooLong)) => {
                witness.garbage();
                log::warn!("stdin:{}: skipped: the line is too long", lines.number());
            }
            Ok(None) => break Ok(()),
            Err(err) => break Err(err),
        }
    };
    let _ = events.send(Event::Ended(ended.map_err(|err: io::Error| err.to_string())));
}

impl Batch {
    /// A batch of one record, for a message that does not come as a line.
    pub fn of(record: Record) -> serde_json::Result<Self> {
        let line = serde_json::to_string(&record)?;
        Ok(Batch { items: vec![Item::Record(Entry::new(record, line))], ..Batch::default() })
    }

    /// Of its lines.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its items, and whether more of their webhook is to come.
    pub fn marked(&self) -> impl Iterator<Item = (&Item, bool)> {
        let whole = self.items.len() - self.open;
        self.items.iter().enumerate().map(move |(n, item)| (item, n >= whole))
    }

    fn is_empty(&self) -> bool {
        self.items.is_empty() && self.acks.is_empty()
    }

    /// What came until now is whole.
    fn close(&mut self) {
        (self.open, self.closes) = (0, true);
    }

    fn push(&mut self, item: Item) {
        self.items.push(item);
        self.open += 1;
    }

    fn take(&mut self, mut line: String, parsed: Result<Input, Bad>, witness: &mut Witness, number: u64) {
        self.bytes += line.len();
        match parsed {
            Ok(Input::Record(record)) => {
                witness.record();
                self.push(Item::Record(Entry::new(*record, line)));
            }
            Ok(Input::Ack(ack)) if witness.ack(ack) => {
                self.close();
                self.acks.push(ack.digest);
            }
            Ok(Input::Ack(ack)) => {
                self.close();
                log::warn!("stdin:{number}: not acknowledged: not all records of {} were seen", ack.digest.short());
            }
            Err(Bad::Record(reason)) => {
                witness.record();
                log::warn!("stdin:{number}: set aside: {reason}");
                line.truncate(line.floor_char_boundary(KEPT));
                self.push(Item::Bad(line, reason));
            }
            Err(Bad::Garbage(reason)) => {
                witness.garbage();
                log::warn!("stdin:{number}:{reason}; skipped");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    fn batch_of(input: &str) -> Batch {
        let (send, receive) = sync_channel(100);
        read(input.as_bytes(), &send);
        let mut all = Batch::default();
        while let Ok(Event::Intake(batch)) = receive.try_recv() {
            all.items.extend(batch.items);
            all.acks.extend(batch.acks);
        }
        all
    }

    fn ack(name: &str, records: u64) -> String {
        Ack { digest: Digest::of(name.as_bytes()), records: Some(records) }.to_line()
    }

    const R: &str = r#"{"chat":1,"text":"x"}"#;

    #[test]
    fn an_ack_is_true_only_when_all_its_records_were_seen() {
        for (input, acks) in [
            (format!("{R}\n{R}\n{}", ack("a", 2)), 1),
            (ack("a", 0), 1),
            // The predecessor read the first record, or half of it, and died.
            (format!("{R}\n{}", ack("a", 2)), 0),
            (format!("xt\":\"x\"}}\n{R}\n{}", ack("a", 2)), 0),
            // The writer died after a record, or within one, and its successor starts with an empty line.
            (format!("{R}\n\n{R}\n{}", ack("a", 1)), 1),
            (format!("{R}\n{{\"chat\":1,\n{R}\n{}", ack("a", 1)), 1),
            (format!("{R}\ngarbage\n{R}\n{}", ack("a", 2)), 0),
            // A bad record is dealt with, too.
            (format!("{{\"chat\":0}}\n{R}\n{}", ack("a", 2)), 1),
            // What one ack ends does not count for the next.
            (format!("{R}\n{}\n{}", ack("a", 1), ack("b", 1)), 1),
        ] {
            assert_eq!(batch_of(&input).acks.len(), acks, "{input}");
        }
    }

    /// One webhook was told as several summaries: the first began while the rest was still being read.
    #[test]
    fn what_is_not_whole_is_known() {
        let batches = |input: &str| {
            let (send, receive) = sync_channel(100);
            read(input.as_bytes(), &send);
            let mut batches = Vec::new();
            while let Ok(Event::Intake(batch)) = receive.try_recv() {
                batches.push((batch.items.len(), batch.open, batch.closes));
            }
            batches
        };
        // A webhook of several readings: whole with its ack, or when no more comes.
        let many = format!("{}\n", R.replace("\"x\"", &format!("\"{}\"", "x".repeat(999)))).repeat(100);
        let [first, second] = batches(&many)[..] else { panic!("{:?}", batches(&many)) };
        assert_eq!((first.1, first.2), (first.0, false));
        assert_eq!(second, (100 - first.0, 0, true));
        assert_eq!(batches(&format!("{many}{}\n", ack("a", 100)))[1], second);
        // Half a line belongs to the next webhook, also where the ack before it cannot be given.
        for records in [2, 3] {
            assert_eq!(batches(&format!("{R}\n{R}\n{}\n{R}\n{R}", ack("a", records))), [(3, 1, true), (1, 0, true)]);
        }
    }

    #[test]
    fn order_is_kept_and_bad_records_are_kept_with_their_reason() {
        let batch = batch_of(&format!("{R}\n{{\"text\":\"nowhere\"}}\n{R}\n"));
        let kinds: Vec<bool> = batch.items.iter().map(|item| matches!(item, Item::Record(..))).collect();
        assert_eq!(kinds, [true, false, true]);
        assert!(
            matches!(&batch.items[1], Item::Bad(line, reason) if line.contains("nowhere") && reason == "no \"chat\"")
        );
    }
}
