//! What the outbox knows of chats: that they moved, are gone, or must be left alone.

use rusqlite::{OptionalExtension, params};

use super::{Millis, Outbox, Result};
use crate::record::Chat;

/// A chat that cannot be reached for now.
#[derive(Clone, Debug, PartialEq)]
pub struct Gone {
    /// Which.
    pub chat: Chat,
    /// When to try again.
    pub probe_at: Millis,
    /// How often that was tried.
    pub probes: u32,
}

/// Telegram asked for silence.
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen {
    /// In this chat; nothing is everywhere.
    pub chat: Option<Chat>,
    /// When it asked.
    pub at: Millis,
    /// Until when.
    pub until: Millis,
}

/// Stands for all chats in `frozen`; no chat has this id.
const ALL: Chat = Chat::Id(0);

impl Outbox {
    /// The chat that this one is now, after all its moves.
    pub fn resolve(&self, chat: &Chat) -> Result<Chat> {
        let mut statement = self.db.prepare_cached("SELECT moved_to FROM chat WHERE chat = ? AND moved_to NOT NULL")?;
        let mut at = chat.clone();
        // Telegram moves a group once; the bound is for a file that somebody edited into a circle.
        for _ in 0..8 {
            match statement.query_row(params![at], |row| row.get(0)).optional()? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(at)
    }

    /// The chat has a new id: all that waits goes there, and all that was told there is known there.
    pub fn moved(&mut self, old: &Chat, new: &Chat) -> Result<()> {
        self.run("DELETE FROM chat WHERE chat = ?", params![new])?;
        self.run("INSERT OR REPLACE INTO chat (chat, moved_to) VALUES (?, ?)", params![old, new])?;
        self.run("UPDATE queue SET chat = ? WHERE chat = ?", params![new, old])?;
        // A message's id is of the old chat, where it cannot be answered from the new one.
        self.run(
            "UPDATE OR IGNORE told SET chat = ?, message_id = iif(message_id NOT NULL, 0, NULL) WHERE chat = ?",
            params![new, old],
        )?;
        Ok(())
    }

    /// Nothing can be delivered to the chat until this moment.
    pub fn gone(&mut self, gone: &Gone, reason: &str) -> Result<()> {
        self.run(
            "INSERT OR REPLACE INTO chat (chat, gone, probe_at, probes) VALUES (?, ?, ?, ?)",
            params![gone.chat, reason, gone.probe_at, gone.probes],
        )
        .map(drop)
    }

    /// The chat can be reached again.
    pub fn back(&mut self, chat: &Chat) -> Result<()> {
        self.run("DELETE FROM chat WHERE chat = ? AND gone NOT NULL", params![chat]).map(drop)
    }

    /// All chats that are gone.
    pub fn gone_chats(&self) -> Result<Vec<Gone>> {
        let mut statement = self.db.prepare_cached("SELECT chat, probe_at, probes FROM chat WHERE gone NOT NULL")?;
        statement
            .query_map([], |row| Ok(Gone { chat: row.get(0)?, probe_at: row.get(1)?, probes: row.get(2)? }))?
            .collect()
    }

    /// Nothing may be sent for a time. What an earlier run was told holds for the next one, too.
    pub fn freeze(&mut self, frozen: &Frozen) -> Result<()> {
        self.run("DELETE FROM frozen WHERE until < ?", params![frozen.at])?;
        let chat = frozen.chat.as_ref().unwrap_or(&ALL);
        self.run("INSERT OR REPLACE INTO frozen VALUES (?, ?, ?)", params![chat, frozen.at, frozen.until]).map(drop)
    }

    /// Who must be left alone, whether still or no more.
    pub fn frozen(&self) -> Result<Vec<Frozen>> {
        let mut statement = self.db.prepare_cached("SELECT chat, at, until FROM frozen")?;
        let rows = statement.query_map([], |row| {
            Ok(Frozen { chat: Some(row.get(0)?).filter(|chat| *chat != ALL), at: row.get(1)?, until: row.get(2)? })
        })?;
        rows.collect()
    }
}
