//! What a person asks of an outbox: how it stands, what failed, and to try that again or forget it.

use rusqlite::{OptionalExtension, params};

use super::{Entry, Millis, Outbox, Result};
use crate::record::Chat;

/// How the outbox stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Records that wait.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Millis>,
    /// Records that failed.
    pub failed: u64,
    /// Told records that are remembered.
    pub told: u64,
    /// Chats that cannot be reached, why, and how many records wait for each.
    pub gone: Vec<(Chat, String, u64)>,
    /// Old and new id of chats that moved.
    pub moved: Vec<(Chat, Chat)>,
}

/// A record that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// Its number, by which it can be named.
    pub seq: i64,
    /// Where it should have gone; unknown for a line that was no record.
    pub chat: Option<Chat>,
    /// When it failed.
    pub at: Millis,
    /// Why.
    pub reason: String,
    /// The line as it came.
    pub record: String,
}

impl Outbox {
    /// Counts everything.
    pub fn status(&self) -> Result<Status> {
        let count = |table| self.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
        let mut gone = self.db.prepare(
            "SELECT chat, gone, (SELECT count(*) FROM queue WHERE queue.chat = chat.chat) FROM chat WHERE gone NOT NULL",
        )?;
        let mut moved = self.db.prepare("SELECT chat, moved_to FROM chat WHERE moved_to NOT NULL")?;
        Ok(Status {
            waiting: count("queue")?,
            oldest: self.db.query_row("SELECT min(at) FROM queue", [], |row| row.get(0))?,
            failed: count("failed")?,
            told: self.db.query_row("SELECT count(*) FROM told WHERE message_id NOT NULL", [], |row| row.get(0))?,
            gone: gone.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect::<Result<_>>()?,
            moved: moved.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?,
        })
    }

    /// All that failed, oldest first.
    pub fn failed(&self) -> Result<Vec<Failed>> {
        let mut statement = self.db.prepare("SELECT seq, chat, at, reason, record FROM failed ORDER BY seq")?;
        statement
            .query_map([], |row| {
                Ok(Failed {
                    seq: row.get(0)?,
                    chat: row.get(1)?,
                    at: row.get(2)?,
                    reason: row.get(3)?,
                    record: row.get(4)?,
                })
            })?
            .collect()
    }

    /// Puts a failed record into the queue again, if it is one; returns whether it is.
    pub fn retry(&mut self, failed: &Failed, now: Millis) -> Result<bool> {
        let Ok(crate::record::Input::Record(record)) = crate::record::parse(failed.record.as_bytes()) else {
            return Ok(false);
        };
        let entry = Entry::new(*record, failed.record.clone());
        self.transaction(|outbox| {
            outbox.add(&entry, now)?;
            outbox.run("DELETE FROM failed WHERE seq = ?", params![failed.seq]).map(|rows| rows > 0)
        })
    }

    /// Forgets all that failed; how many records that were.
    pub fn forget_failed(&mut self) -> Result<usize> {
        self.run("DELETE FROM failed", [])
    }

    /// Forgets that chats are gone: each is tried again at once.
    pub fn probe_all(&mut self) -> Result<()> {
        self.run("UPDATE chat SET probe_at = 0 WHERE gone NOT NULL", []).map(drop)
    }

    /// The moment at which the oldest record was accepted that waits for a chat that can be reached.
    pub fn oldest(&self) -> Result<Option<Millis>> {
        let mut statement = self.db.prepare_cached(
            "SELECT at FROM queue WHERE chat NOT IN (SELECT chat FROM chat WHERE gone NOT NULL) ORDER BY seq LIMIT 1",
        )?;
        statement.query_row([], |row| row.get(0)).optional()
    }

    /// How many records failed and were not put right.
    pub fn failed_count(&self) -> Result<u64> {
        self.db.prepare_cached("SELECT count(*) FROM failed")?.query_row([], |row| row.get(0))
    }
}
