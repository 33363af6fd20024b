//! What the bot must not forget: one SQLite file (WAL), inspectable with `sqlite3`.
//!
//! An update is in `updates` before Telegram is told that it came. Handling it is one transaction: its body goes, and its
//! effects come, calls among them. A call is in `calls` until it was answered. Handled updates keep their number for two
//! days, longer than Telegram repeats them, so that none has an effect twice.

mod requests;
mod writing;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::effects::{Effects, METHODS, Outgoing};
use super::update::{Person, Room, Update};
use crate::delivery::now;
use writing::apply;

/// Errors are SQLite's.
pub type Result<T> = rusqlite::Result<T>;

const SCHEMA: &str = "
    CREATE TABLE updates (
        id INTEGER PRIMARY KEY,       -- Telegram's
        at INTEGER NOT NULL,          -- when it came, milliseconds since 1970
        body TEXT                     -- null once it was handled
    );
    CREATE INDEX updates_at ON updates (at);
    CREATE INDEX updates_open ON updates (id) WHERE body NOT NULL;
    CREATE TABLE calls (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again: of two the later has the higher
        at INTEGER NOT NULL,
        chat INTEGER NOT NULL,
        method TEXT NOT NULL,
        parameters TEXT NOT NULL,
        slot TEXT,                    -- a later call with the same takes its place
        request INTEGER,              -- puts the request of this chat to an administrator
        picture INTEGER,              -- has to be drawn first
        tries INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE places (
        chat INTEGER, thread INTEGER, -- 0 is no topic
        at INTEGER NOT NULL,
        place TEXT NOT NULL,
        PRIMARY KEY (chat, thread)
    ) WITHOUT ROWID;
    CREATE TABLE pictures (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        chat INTEGER NOT NULL, thread INTEGER NOT NULL,
        shown TEXT NOT NULL,
        language TEXT NOT NULL
    );
    CREATE TABLE requests (
        chat INTEGER PRIMARY KEY, thread INTEGER NOT NULL,
        at INTEGER NOT NULL,
        title TEXT NOT NULL,
        language TEXT NOT NULL,
        denied INTEGER NOT NULL,
        person INTEGER                -- who asks; null where nobody knows
    );
    CREATE TABLE asked (              -- messages that put a request to an administrator
        request INTEGER NOT NULL, admin INTEGER NOT NULL, message INTEGER NOT NULL
    );
    CREATE TABLE people (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        name TEXT NOT NULL, username TEXT, language TEXT
    );
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
";

/// The version of [`SCHEMA`], in SQLite's `user_version`.
const VERSION: i64 = 2;

/// From version 1 to 2: of a group's request nobody knows any more who made it.
const FROM_1: &str = "
    ALTER TABLE requests ADD COLUMN person INTEGER;
    UPDATE requests SET person = chat WHERE chat > 0;
";

/// What could not be written is tried again after this.
const AGAIN: Duration = Duration::from_millis(500);

const DAY: i64 = 86_400_000;

/// Telegram repeats an update for 24 hours.
const REMEMBER_UPDATES: i64 = 2 * DAY;

/// A week after the last update Telegram begins with other numbers, so an offset older than that would skip some.
const OFFSET_LIVES: i64 = 6 * DAY;

/// What nobody has touched for so long is forgotten.
const REMEMBER_PLACES: i64 = 90 * DAY;
const REMEMBER_PICTURES: i64 = 30 * DAY;

/// An answer that could not be given for so long is of no use any more.
const CALLS_LIVE: i64 = DAY;

/// A call on disk.
#[derive(Clone, Debug)]
pub struct Queued {
    /// Its number; later ones are higher.
    pub id: i64,
    /// How often it was begun to be sent.
    pub tries: u32,
    /// The call.
    pub call: Outgoing,
}

/// What is remembered of a picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Where it is.
    pub room: Room,
    /// What it shows.
    pub shown: Value,
    /// The language of its words.
    pub language: String,
}

/// The file. One process at a time works with it, which [`crate::disk::Lock`] sees to.
pub struct Store {
    db: Mutex<Connection>,
}

impl Store {
    /// Opens the file, or makes it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let db = Connection::open(path)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        match version {
            0 => {
                db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;"))?;
            }
            1 => {
                db.execute_batch(&format!("BEGIN IMMEDIATE; {FROM_1} PRAGMA user_version = {VERSION}; COMMIT;"))?;
            }
            VERSION => {}
            other => anyhow::bail!("it is of version {other}, this tg-bot knows version {VERSION}"),
        }
        Ok(Store { db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, as often as it takes: a disk that is full, or a file that somebody else holds, is so for a while only, and
    /// what has happened has to be written before anything else happens.
    pub fn surely<T>(&self, write: impl Fn(&Store) -> Result<T>) -> T {
        let mut told = false;
        loop {
            match write(self) {
                Ok(done) => return done,
                Err(err) if told => log::debug!("still cannot write what the bot remembers: {err}"),
                Err(err) => log::error!("cannot write what the bot remembers: {err}; trying again until it works"),
            }
            told = true;
            std::thread::sleep(AGAIN);
        }
    }

    /// The offset of the next poll; none when nothing came for so long that Telegram's numbers begin anew.
    pub fn offset(&self) -> Result<Option<i64>> {
        let newest = "SELECT value FROM meta WHERE key = 'offset'
            AND (SELECT value FROM meta WHERE key = 'offset_at') > ?";
        self.db().query_row(newest, params![now() - OFFSET_LIVES], |row| row.get(0)).optional()
    }

    /// Takes responsibility for updates, and for everything before `offset`. Those that were not there yet come back.
    pub fn accept(&self, updates: Vec<Update>, offset: i64) -> Result<Vec<Update>> {
        let mut db = self.db();
        // Telegram forgets what is confirmed, so this has to outlive a power cut, with all before it. What else is lost
        // of the last moments then is done once more: a kill alone loses nothing.
        db.pragma_update(None, "synchronous", "FULL")?;
        let fresh = accept(&mut db, updates, offset);
        // What was accepted is accepted; slower writing is no reason to say otherwise.
        let _ = db.pragma_update(None, "synchronous", "NORMAL");
        fresh
    }

    /// The updates that an earlier run did not get to handle.
    pub fn open_updates(&self) -> Result<Vec<Update>> {
        let db = self.db();
        let mut select = db.prepare("SELECT id, body FROM updates WHERE body NOT NULL ORDER BY id")?;
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        // A body of another version that cannot be read is still marked as handled by whoever handles it.
        rows.map(|row| row.map(|(id, body)| Update { id, event: event_of(&body) })).collect()
    }

    /// Marks an update as handled, with everything that this leads to. An update that was handled already changes nothing.
    pub fn finish(&self, update: i64, effects: &Effects) -> Result<Vec<Queued>> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let open =
            tx.prepare_cached("UPDATE updates SET body = NULL WHERE id = ? AND body NOT NULL")?.execute([update])?;
        let queued = if open == 1 { apply(&tx, effects)? } else { Vec::new() };
        tx.commit()?;
        Ok(queued)
    }

    /// Effects that come from something else than an update.
    pub fn apply(&self, effects: &Effects) -> Result<Vec<Queued>> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let queued = apply(&tx, effects)?;
        tx.commit()?;
        Ok(queued)
    }

    /// The calls that wait.
    pub fn calls(&self) -> Result<Vec<Queued>> {
        let db = self.db();
        let mut select =
            db.prepare("SELECT id, tries, chat, method, parameters, slot, request, picture FROM calls ORDER BY id")?;
        let rows = select.query_map([], |row| {
            let method: String = row.get(3)?;
            let parameters: String = row.get(4)?;
            let Some(method) = METHODS.into_iter().find(|known| *known == method) else { return Ok(None) };
            let parameters = serde_json::from_str(&parameters).unwrap_or_default();
            let (slot, request, picture) = (row.get(5)?, row.get(6)?, row.get(7)?);
            let call = Outgoing { chat: row.get(2)?, method, parameters, slot, request, picture };
            Ok(Some(Queued { id: row.get(0)?, tries: row.get(1)?, call }))
        })?;
        rows.filter_map(Result::transpose).collect()
    }

    /// A call is about to be made: should we be killed, it may have been. False when a later one has taken its place.
    pub fn sending(&self, call: i64) -> Result<bool> {
        let db = self.db();
        let mut update = db.prepare_cached("UPDATE calls SET tries = tries + 1 WHERE id = ?")?;
        Ok(update.execute([call])? == 1)
    }

    /// A call cannot have been made.
    pub fn not_sent(&self, call: i64) -> Result<()> {
        self.db().prepare_cached("UPDATE calls SET tries = max(tries - 1, 0) WHERE id = ?")?.execute([call])?;
        Ok(())
    }

    /// A call is other than it was.
    pub fn rewrite(&self, call: &Queued) -> Result<()> {
        let outgoing = &call.call;
        let parameters = outgoing.parameters.to_string();
        let db = self.db();
        let mut statement = db.prepare_cached(
            "UPDATE calls SET chat = ?, method = ?, parameters = ?, picture = ?, tries = ? WHERE id = ?",
        )?;
        statement.execute(params![
            outgoing.chat,
            outgoing.method,
            parameters,
            outgoing.picture,
            call.tries,
            call.id
        ])?;
        Ok(())
    }

    /// A call is over; `message` is what came of it.
    pub fn sent(&self, call: &Queued, message: Option<i64>) -> Result<()> {
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.prepare_cached("DELETE FROM calls WHERE id = ?")?.execute([call.id])?;
        if let (Some(request), Some(message)) = (call.call.request, message) {
            tx.prepare_cached("INSERT INTO asked VALUES (?, ?, ?)")?.execute([request, call.call.chat, message])?;
        }
        tx.commit()
    }

    /// Where a chat is among the dashboards.
    pub fn place(&self, room: Room) -> Result<Option<Value>> {
        let db = self.db();
        let mut select = db.prepare_cached("SELECT place FROM places WHERE chat = ? AND thread = ?")?;
        let text: Option<String> = select.query_row(key(room), |row| row.get(0)).optional()?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// A picture that was sent.
    pub fn picture(&self, id: i64) -> Result<Option<Picture>> {
        let db = self.db();
        let mut select = db.prepare_cached("SELECT chat, thread, shown, language FROM pictures WHERE id = ?")?;
        let picture = select.query_row([id], |row| {
            let shown: String = row.get(2)?;
            let shown = serde_json::from_str(&shown).unwrap_or_default();
            Ok(Picture { room: room(row.get(0)?, row.get(1)?), shown, language: row.get(3)? })
        });
        picture.optional()
    }

    /// The highest number of a picture so far, forgotten ones too: the keys under those must never mean another one.
    pub fn last_picture(&self) -> Result<i64> {
        let last = "SELECT max(coalesce((SELECT value FROM meta WHERE key = 'picture'), 0),
            coalesce((SELECT max(id) FROM pictures), 0))";
        self.db().query_row(last, [], |row| row.get(0))
    }

    /// Keeps what was so before the users file is changed for this message, for whoever has to handle it again.
    pub fn keep(&self, message: (i64, i64), found: &str) -> Result<()> {
        self.db().execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", params![before(message), found])?;
        Ok(())
    }

    /// What was kept when this message was handled before, and nothing came of it.
    pub fn kept(&self, message: (i64, i64)) -> Result<Option<String>> {
        let select = "SELECT value FROM meta WHERE key = ?";
        self.db().query_row(select, [before(message)], |row| row.get(0)).optional()
    }

    /// Somebody who wrote before.
    pub fn person(&self, id: i64) -> Result<Option<Person>> {
        let db = self.db();
        let mut select = db.prepare_cached("SELECT id, name, username, language FROM people WHERE id = ?")?;
        let person = |row: &rusqlite::Row<'_>| {
            Ok(Person { id: row.get(0)?, name: row.get(1)?, username: row.get(2)?, language: row.get(3)? })
        };
        select.query_row([id], person).optional()
    }

    /// The one-time code with which the first administrator pairs; made when there is none.
    pub fn pairing_code(&self, fresh: &str) -> Result<String> {
        let db = self.db();
        db.execute("INSERT OR IGNORE INTO meta VALUES ('pairing', ?)", [fresh])?;
        db.query_row("SELECT value FROM meta WHERE key = 'pairing'", [], |row| row.get(0))
    }

    /// The one-time code, until it was used.
    pub fn unused_code(&self) -> Result<Option<String>> {
        self.db().query_row("SELECT value FROM meta WHERE key = 'pairing'", [], |row| row.get(0)).optional()
    }

    /// The one-time code is good for nothing any more.
    pub fn forget_code(&self) -> Result<()> {
        self.db().execute("DELETE FROM meta WHERE key = 'pairing'", [])?;
        Ok(())
    }

    /// Forgets what is too old.
    pub fn forget(&self) -> Result<()> {
        let db = self.db();
        db.execute(
            "DELETE FROM meta WHERE key LIKE 'before:%' AND NOT EXISTS (SELECT 1 FROM updates WHERE body NOT NULL)",
            [],
        )?;
        let before = |age: i64| now() - age;
        db.execute("DELETE FROM updates WHERE at < ? AND body IS NULL", [before(REMEMBER_UPDATES)])?;
        db.execute("DELETE FROM calls WHERE at < ?", [before(CALLS_LIVE)])?;
        for (table, age) in [
            ("places", REMEMBER_PLACES),
            ("pictures", REMEMBER_PICTURES),
            ("people", REMEMBER_PLACES),
            ("requests", REMEMBER_PICTURES),
        ] {
            db.execute(&format!("DELETE FROM {table} WHERE at < ?"), [before(age)])?;
        }
        db.execute("DELETE FROM asked WHERE request NOT IN (SELECT chat FROM requests)", [])?;
        db.execute(
            "DELETE FROM meta WHERE key LIKE 'deciding:%'
             AND key NOT IN (SELECT 'deciding:' || chat FROM requests)",
            [],
        )?;
        Ok(())
    }
}

fn accept(db: &mut Connection, updates: Vec<Update>, offset: i64) -> Result<Vec<Update>> {
    let tx = db.transaction()?;
    let mut fresh = Vec::with_capacity(updates.len());
    {
        let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO updates (id, at, body) VALUES (?, ?, ?)")?;
        for update in updates {
            if insert.execute(params![update.id, now(), json_of(&update.event)])? == 1 {
                fresh.push(update);
            }
        }
        tx.prepare_cached("INSERT OR REPLACE INTO meta VALUES ('offset', ?), ('offset_at', ?)")?
            .execute(params![offset, now()])?;
    }
    tx.commit()?;
    Ok(fresh)
}

fn json_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn event_of(body: &str) -> super::update::Event {
    serde_json::from_str(body).unwrap_or(super::update::Event::Nothing)
}

/// The key in `meta` of what was so before a message, of a chat and with a number, changed the users file.
fn before((chat, message): (i64, i64)) -> String {
    format!("before:{chat}:{message}")
}

fn key(room: Room) -> [i64; 2] {
    [room.chat, room.thread.unwrap_or(0)]
}

fn room(chat: i64, thread: i64) -> Room {
    Room { chat, thread: (thread != 0).then_some(thread) }
}

#[cfg(test)]
mod tests;
