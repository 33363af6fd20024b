//! Effects, as they are written: in the transaction of whoever has them.

use rusqlite::{Transaction, params};

use super::requests::deciding;
use super::{Queued, Result, key};
use crate::bot::effects::{Change, Effects};
use crate::delivery::now;

pub(super) fn apply(tx: &Transaction<'_>, effects: &Effects) -> Result<Vec<Queued>> {
    for change in &effects.changes {
        change_one(tx, change)?;
    }
    let mut queued = Vec::with_capacity(effects.calls.len());
    for call in &effects.calls {
        if let Some(slot) = &call.slot {
            // One that was begun may be with Telegram already.
            tx.prepare_cached("DELETE FROM calls WHERE chat = ? AND slot = ? AND tries = 0")?
                .execute(params![call.chat, slot])?;
        }
        tx.prepare_cached(
            "INSERT INTO calls (at, chat, method, parameters, slot, request, picture) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            now(),
            call.chat,
            call.method,
            call.parameters.to_string(),
            call.slot,
            call.request,
            call.picture
        ])?;
        queued.push(Queued { id: tx.last_insert_rowid(), tries: 0, call: call.clone() });
    }
    Ok(queued)
}

fn change_one(tx: &Transaction<'_>, change: &Change) -> Result<()> {
    match change {
        Change::Place(room, place) => {
            let [chat, thread] = key(*room);
            tx.prepare_cached("INSERT OR REPLACE INTO places (chat, thread, at, place) VALUES (?, ?, ?, ?)")?
                .execute(params![chat, thread, now(), place.to_string()])?;
        }
        Change::Picture { id, room, shown, language } => {
            let [chat, thread] = key(*room);
            tx.prepare_cached(
                "INSERT OR REPLACE INTO pictures (id, at, chat, thread, shown, language) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![id, now(), chat, thread, shown.to_string(), language])?;
            tx.prepare_cached(
                "INSERT INTO meta VALUES ('picture', ?)
                 ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
            )?
            .execute([id])?;
        }
        Change::Requested(request) => {
            let [chat, thread] = key(request.room);
            tx.execute(
                "INSERT OR REPLACE INTO requests (chat, thread, at, title, language, denied, person)
                 VALUES (?, ?, ?, ?, ?, 0, ?)",
                params![chat, thread, now(), request.title, request.language, request.person],
            )?;
        }
        Change::Decided { chat, approved: true } => {
            tx.execute("DELETE FROM requests WHERE chat = ?", [chat])?;
            withdrawn(tx, *chat)?;
        }
        Change::Decided { chat, approved: false } => {
            // The messages stay known: under them it can be decided otherwise.
            tx.execute("UPDATE requests SET denied = 1 WHERE chat = ?", [chat])?;
            decided(tx, *chat)?;
        }
        Change::Seen(person) => {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO people (id, at, name, username, language) VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![person.id, now(), person.name, person.username, person.language])?;
        }
        Change::Paired => {
            tx.execute("DELETE FROM meta WHERE key = 'pairing'", [])?;
        }
        Change::Silence(chat) => {
            tx.execute("DELETE FROM calls WHERE chat = ?", [chat])?;
        }
        Change::Migrated { old, new } => {
            // The buttons under an open request mean the old id: it is withdrawn, and can be made again.
            if tx.execute("DELETE FROM requests WHERE chat = ? AND NOT denied", [old])? > 0 {
                withdrawn(tx, *old)?;
            }
            for table in ["calls", "places", "pictures", "requests"] {
                tx.execute(&format!("UPDATE OR REPLACE {table} SET chat = ? WHERE chat = ?"), [new, old])?;
            }
            tx.execute(
                "UPDATE calls SET parameters = json_set(parameters, '$.chat_id', chat) WHERE chat = ?
                 AND json_extract(parameters, '$.chat_id') NOT NULL",
                [new],
            )?;
        }
        Change::Forgotten(chat) => {
            for table in ["places", "pictures", "requests"] {
                tx.execute(&format!("DELETE FROM {table} WHERE chat = ?"), [chat])?;
            }
            tx.execute("DELETE FROM asked WHERE admin = ?", [chat])?;
            withdrawn(tx, *chat)?;
        }
    }
    Ok(())
}

/// There is nothing to decide any more.
fn withdrawn(tx: &Transaction<'_>, chat: i64) -> Result<()> {
    tx.execute("DELETE FROM asked WHERE request = ?", [chat])?;
    decided(tx, chat)
}

/// Nobody needs to be asked any more.
fn decided(tx: &Transaction<'_>, chat: i64) -> Result<()> {
    tx.execute("DELETE FROM calls WHERE request = ? AND tries = 0", [chat])?;
    tx.execute("DELETE FROM meta WHERE key = ?", [deciding(chat)])?;
    Ok(())
}
