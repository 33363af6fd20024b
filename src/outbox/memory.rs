//! What the outbox remembers of what was told, and for how long.

use rusqlite::{OptionalExtension, params};

use super::{Millis, Outbox, Result};
use crate::record::Chat;

/// Rows that are forgotten in one transaction: a turn must not take long.
const AT_A_TIME: usize = 500;

impl Outbox {
    /// The chats that were told something since then, and when: one entry a message.
    pub fn told_since(&self, since: Millis) -> Result<Vec<(Chat, Millis)>> {
        let mut statement = self.db.prepare_cached(
            "SELECT chat, max(at) FROM (SELECT chat, at, message_id FROM told ORDER BY seq DESC LIMIT 20000)
             WHERE at >= ? AND message_id NOT NULL GROUP BY chat, message_id ORDER BY 2",
        )?;
        statement.query_map(params![since], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// The message that told last about an alert in a chat.
    pub fn message_about(&self, chat: &Chat, about: &str) -> Result<Option<i64>> {
        let mut statement = self.db.prepare_cached(
            "SELECT message_id FROM told WHERE chat = ? AND about = ? AND message_id > 0 ORDER BY seq DESC LIMIT 1",
        )?;
        statement.query_row(params![chat, about], |row| row.get(0)).optional()
    }

    /// Forgets what was told and has not been seen since `before`, and what failed before that; a bounded number at a
    /// time. Returns how many it forgot.
    pub fn forget(&mut self, before: Millis) -> Result<usize> {
        let told = self.run(
            "DELETE FROM told WHERE seq IN (
                 SELECT seq FROM told WHERE message_id NOT NULL AND seen < ? ORDER BY seen LIMIT ?)",
            params![before, AT_A_TIME],
        )?;
        // Numbers rise with time, so the oldest come first; one that stays ends the search.
        let failed = self.run(
            "DELETE FROM failed WHERE seq IN (SELECT seq FROM (SELECT seq, at FROM failed ORDER BY seq LIMIT ?) WHERE at < ?)",
            params![AT_A_TIME, before],
        )?;
        Ok(told + failed)
    }

    /// Sets aside what has waited since before that moment for chats that are gone: who comes back after a month does
    /// not want it, and the file must not grow for ever. Returns whose records, and how many; a bounded number at a time.
    pub fn give_up(&mut self, gone: &[Chat], before: Millis, now: Millis) -> Result<Vec<(Chat, usize)>> {
        let mut given_up = Vec::new();
        for chat in gone {
            let seqs: Vec<i64> = {
                let mut statement = self.db.prepare_cached(
                    "SELECT seq FROM (SELECT seq, at FROM queue WHERE chat = ? ORDER BY seq LIMIT ?) WHERE at < ?",
                )?;
                let rows = statement.query_map(params![chat, AT_A_TIME, before], |row| row.get(0))?;
                rows.collect::<Result<_>>()?
            };
            if !seqs.is_empty() {
                self.set_aside(&seqs, "the chat has been gone for too long", now)?;
                given_up.push((chat.clone(), seqs.len()));
            }
        }
        Ok(given_up)
    }
}
