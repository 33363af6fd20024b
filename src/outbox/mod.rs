//! The outbox: what tg-send has taken responsibility for, on disk before anybody is told so.
//!
//! One SQLite file (WAL, synchronous FULL), inspectable with `sqlite3`. A record is in `queue` from its acceptance until
//! a message that holds it was answered by Telegram; then `told` remembers its key (so that it is not told twice), its
//! message (so that a later record about the same alert can answer it) and when that was (so that the next run keeps
//! the pace). What can never be told is in `failed`. `chat` knows chats that moved or are gone, `frozen` what a 429 said.
//!
//! States of a record: *waiting* (`queue`, and `told` with `message_id` null), *told* (`told` only), *failed* (`failed`;
//! its key leaves `told`, so that it can come again). Each change is part of one transaction, and a transaction is whole
//! or not there after kill -9 or power loss.

mod chats;
mod memory;
mod mend;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params};

use crate::record::{Chat, Format, Record};
pub use chats::{Frozen, Gone};
pub use mend::{Failed, Status};

/// Errors are SQLite's; disk full and the like are found by [`is_full`].
pub type Result<T> = rusqlite::Result<T>;

/// Milliseconds since 1970.
pub type Millis = i64;

const SCHEMA: &str = "
    CREATE TABLE queue (
        seq INTEGER PRIMARY KEY,      -- order of acceptance
        chat NOT NULL,                -- integer or '@name'
        at INTEGER NOT NULL,          -- accepted, milliseconds since 1970
        shown INTEGER NOT NULL,       -- characters of its text that were told already
        unsure INTEGER NOT NULL,      -- sendings whose end is not known
        record TEXT NOT NULL          -- the line as it came
    );
    CREATE INDEX queue_chat ON queue (chat, seq);
    CREATE TABLE told (
        seq INTEGER PRIMARY KEY,      -- that of the queue
        chat NOT NULL,
        key TEXT,
        about TEXT,
        message_id INTEGER,           -- null while it waits
        at INTEGER NOT NULL,          -- when it was accepted, then when it was told
        seen INTEGER NOT NULL         -- when its key came in last, to the day
    );
    CREATE INDEX told_seen ON told (seen) WHERE message_id NOT NULL;
    CREATE UNIQUE INDEX told_key ON told (chat, key) WHERE key IS NOT NULL;
    CREATE INDEX told_about ON told (chat, about) WHERE about IS NOT NULL;
    CREATE TABLE failed (
        seq INTEGER PRIMARY KEY,
        chat,
        at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        record TEXT NOT NULL
    );
    CREATE TABLE chat (
        chat PRIMARY KEY,
        moved_to,                     -- it has this id now
        gone TEXT,                    -- why nothing can be delivered
        probe_at INTEGER,             -- when that is tried again
        probes INTEGER                -- how often it was tried
    ) WITHOUT ROWID;
    CREATE TABLE frozen (
        chat PRIMARY KEY,             -- 0 is all of them
        at INTEGER NOT NULL,          -- when Telegram asked for silence
        until INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// An Alertmanager beside another says the same some seconds later, also what is over by then: its `peer-timeout` is 15 s
/// for each before it. Its `group_interval`, 5 minutes unless changed, is what lies between two words about one alert.
const LATE_COPY: Millis = 120_000;

/// The version of [`SCHEMA`], in SQLite's `user_version`.
const VERSION: i64 = 1;

impl ToSql for Chat {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(match self {
            Chat::Id(id) => ToSqlOutput::Owned(Value::Integer(*id)),
            Chat::Name(name) => ToSqlOutput::Borrowed(ValueRef::Text(name.as_bytes())),
        })
    }
}

impl FromSql for Chat {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value {
            ValueRef::Integer(id) => Chat::Id(id),
            other => Chat::Name(other.as_str()?.to_owned()),
        })
    }
}

/// Whether an error means that the disk is full or failing: the same may work later.
pub fn is_full(err: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
    matches!(err.sqlite_error_code(), Some(DiskFull | SystemIoFailure | DatabaseBusy | DatabaseLocked | CannotOpen))
}

/// A record on its way into the outbox: its line, and what the outbox has to know of it. The rest is read again when it
/// is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Target.
    pub chat: Chat,
    /// Which event it is.
    pub key: Option<String>,
    /// Which alert it is.
    pub about: Option<String>,
    /// The record as it came.
    pub line: String,
}

impl Entry {
    /// Of a record that was read from this line.
    pub fn new(record: Record, line: String) -> Self {
        Entry { chat: record.chat, key: record.key, about: record.about, line }
    }
}

/// What became of a record that came in.
#[derive(Debug, PartialEq)]
pub enum Added {
    /// It waits now, for this chat.
    Waiting(Chat),
    /// Its key was told to the chat, or waits already.
    Known,
}

/// A record that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// Its place in the order.
    pub seq: i64,
    /// When it was accepted.
    pub at: Millis,
    /// How many characters of its text were told already.
    pub shown: usize,
    /// How many sendings of it had an unknown end.
    pub unsure: u32,
    /// What to tell.
    pub record: Record,
}

/// What is remembered of a key.
struct Known {
    seq: i64,
    at: Millis,
    seen: Millis,
    told: bool,
}

/// The open outbox.
pub struct Outbox {
    db: Connection,
    next: i64,
    /// SQLite's count of changes that others committed, when `next` was read.
    others: i64,
    repeat_after: Option<Duration>,
}

impl Outbox {
    /// Opens or makes the file; the directory must exist. `repeat_after`: a key told longer ago is told again.
    pub fn open(path: &Path, repeat_after: Option<Duration>) -> Result<Self> {
        // Alerts are not for everybody's eyes; SQLite gives its other files the mode of this one.
        let _ = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let db = Connection::open(path)?;
        db.busy_timeout(PATIENCE)?;
        in_wal_mode(&db)?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "cache_size", -1024)?;
        db.pragma_update(None, "journal_size_limit", 16 << 20)?;
        db.set_prepared_statement_cache_capacity(64);
        let version = || -> Result<i64> { db.query_row("PRAGMA user_version", [], |row| row.get(0)) };
        if version()? == 0 {
            // Another process may be at it, too.
            db.execute_batch("BEGIN IMMEDIATE")?;
            if version()? == 0 {
                db.execute_batch(&format!("{SCHEMA}; PRAGMA user_version = {VERSION}"))?;
            }
            db.execute_batch("COMMIT")?;
        }
        if version()? != VERSION {
            return Err(rusqlite::Error::InvalidQuery);
        }
        let mut outbox = Outbox { db, next: 0, others: 0, repeat_after };
        outbox.next = outbox.next_seq()?;
        outbox.others = outbox.changes_of_others()?;
        Ok(outbox)
    }

    fn next_seq(&self) -> Result<i64> {
        const MAX: &str =
            "SELECT 1 + max((SELECT ifnull(max(seq), 0) FROM queue), (SELECT ifnull(max(seq), 0) FROM told),
                                          (SELECT ifnull(max(seq), 0) FROM failed))";
        self.db.prepare_cached(MAX)?.query_row([], |row| row.get(0))
    }

    /// Changes whenever another connection has written to the file.
    pub fn changes_of_others(&self) -> Result<i64> {
        self.db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
    }

    /// Does all of `work` and makes it durable, or nothing of it.
    pub fn transaction<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let before = self.next;
        let result = self.catch_up().and_then(|()| work(self));
        let result = result.and_then(|value| self.db.execute_batch("COMMIT").map(|()| value));
        if result.is_err() {
            self.next = before;
            // SQLite may have done so by itself, as it does on a full disk.
            if !self.db.is_autocommit() {
                let _ = self.db.execute_batch("ROLLBACK");
            }
        }
        result
    }

    /// Another process may have put failed records back, and given them numbers.
    fn catch_up(&mut self) -> Result<()> {
        let others = self.changes_of_others()?;
        if others != self.others {
            self.next = self.next_seq()?;
            self.others = others;
        }
        Ok(())
    }

    /// Takes a record in, unless its key is known.
    pub fn add(&mut self, entry: &Entry, now: Millis) -> Result<Added> {
        let chat = self.resolve(&entry.chat)?;
        let seq = self.next;
        if let Some(key) = &entry.key
            && let Some(known) = self.known(&chat, key)?
        {
            let age = Duration::from_millis(u64::try_from(now.saturating_sub(known.at)).unwrap_or(0));
            if self.is_over(&known, &chat, entry, now)? {
                // What was told stays for the answers; its key is that of what comes now.
                self.run("UPDATE told SET key = NULL WHERE seq = ?", params![known.seq])?;
            } else if !known.told || self.repeat_after.is_none_or(|after| age < after) {
                self.see_again(&known, now)?;
                return Ok(Added::Known);
            } else {
                self.run("DELETE FROM told WHERE seq = ?", params![known.seq])?;
            }
        }
        self.run(
            "INSERT INTO told (seq, chat, key, about, at, seen) VALUES (?, ?, ?, ?, ?, ?)",
            params![seq, chat, entry.key, entry.about, now, now],
        )?;
        self.run(
            "INSERT INTO queue (seq, chat, at, shown, unsure, record) VALUES (?, ?, ?, 0, 0, ?)",
            params![seq, chat, now, entry.line],
        )?;
        self.next += 1;
        Ok(Added::Waiting(chat))
    }

    fn known(&self, chat: &Chat, key: &str) -> Result<Option<Known>> {
        let mut statement =
            self.db.prepare_cached("SELECT seq, at, seen, message_id NOT NULL FROM told WHERE chat = ? AND key = ?")?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Known { seq: row.get(0)?, at: row.get(1)?, seen: row.get(2)?, told: row.get(3)? })
        };
        statement.query_row(params![chat, key], read).optional()
    }

    /// Whether something else was said of the same alert since, so that the same is news again. An alert that
    /// Alertmanager took for resolved because Prometheus was away comes back with the `startsAt` that it had.
    fn is_over(&self, known: &Known, chat: &Chat, entry: &Entry, now: Millis) -> Result<bool> {
        const LATEST: &str = "SELECT seq, at FROM told WHERE chat = ? AND about = ? ORDER BY seq DESC LIMIT 1";
        let Some(about) = &entry.about else { return Ok(false) };
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Millis>(1)?));
        let latest = self.db.prepare_cached(LATEST)?.query_row(params![chat, about], read).optional()?;
        Ok(latest.is_some_and(|(seq, at)| seq != known.seq && now - at >= LATE_COPY))
    }

    /// An alert can fire for longer than keys are remembered: one that still comes in stays young.
    fn see_again(&self, known: &Known, now: Millis) -> Result<()> {
        const DAY: Millis = 86_400_000;
        if known.told && now.saturating_sub(known.seen) >= DAY {
            self.run("UPDATE told SET seen = ? WHERE seq = ?", params![now, known.seq])?;
        }
        Ok(())
    }

    fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize> {
        self.db.prepare_cached(sql)?.execute(values)
    }

    /// The chats for which something waits, and how many records.
    pub fn waiting_chats(&self) -> Result<Vec<(Chat, usize)>> {
        let mut statement = self.db.prepare_cached("SELECT chat, count(*) FROM queue GROUP BY chat")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Looks at the records that wait for a chat, in order, as long as `look` wants to see more.
    pub fn look_at_waiting(&self, chat: &Chat, mut look: impl FnMut(Waiting, usize) -> bool) -> Result<()> {
        let mut statement =
            self.db.prepare_cached("SELECT seq, at, shown, unsure, record FROM queue WHERE chat = ? ORDER BY seq")?;
        let mut rows = statement.query(params![chat])?;
        while let Some(row) = rows.next()? {
            let line = row.get_ref(4)?.as_str()?;
            // Only what was read as a record came in, so it can be read again, unless a hand or another version changed
            // it. Then its line is told as it stands: one bad row must not stop everything.
            let record =
                serde_json::from_str(line).unwrap_or_else(|_| Record::new(chat.clone(), line.to_owned(), Format::Text));
            let (seq, at, shown, unsure) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            if !look(Waiting { seq, at, shown, unsure, record }, line.len()) {
                break;
            }
        }
        Ok(())
    }

    /// The first records that wait for a chat: at most `count`, and no more than fit into `bytes` after the first.
    pub fn waiting(&self, chat: &Chat, count: usize, bytes: usize) -> Result<Vec<Waiting>> {
        let mut waiting = Vec::new();
        let mut sum = 0;
        self.look_at_waiting(chat, |one, length| {
            sum += length;
            let fits = waiting.is_empty() || sum <= bytes;
            if fits {
                waiting.push(one);
            }
            fits && waiting.len() < count
        })?;
        Ok(waiting)
    }

    /// These records were told by this message.
    pub fn told(&mut self, seqs: &[i64], message_id: Option<i64>, now: Millis) -> Result<()> {
        for seq in seqs {
            self.run("DELETE FROM queue WHERE seq = ?", params![seq])?;
            self.run(
                "UPDATE told SET message_id = ?, at = ? WHERE seq = ?",
                params![message_id.unwrap_or(0), now, seq],
            )?;
        }
        Ok(())
    }

    /// So many characters of a long record were told; more are to come.
    pub fn part_told(&mut self, seq: i64, shown: usize) -> Result<()> {
        self.run("UPDATE queue SET shown = ?, unsure = 0 WHERE seq = ?", params![shown, seq]).map(drop)
    }

    /// The end of a sending is not known.
    pub fn unsure(&mut self, seqs: &[i64]) -> Result<()> {
        seqs.iter()
            .try_for_each(|seq| self.run("UPDATE queue SET unsure = unsure + 1 WHERE seq = ?", params![seq]).map(drop))
    }

    /// The last sending of these did surely not arrive.
    pub fn not_told(&mut self, seqs: &[i64]) -> Result<()> {
        seqs.iter().try_for_each(|seq| self.run("UPDATE queue SET unsure = 0 WHERE seq = ?", params![seq]).map(drop))
    }

    /// Sets aside what was being sent when an earlier run ended, for those who want nothing told twice.
    pub fn set_unsure_aside(&mut self, now: Millis) -> Result<()> {
        let seqs: Vec<i64> = {
            let mut statement = self.db.prepare_cached("SELECT seq FROM queue WHERE unsure > 0")?;
            statement.query_map([], |row| row.get(0))?.collect::<Result<_>>()?
        };
        self.set_aside(&seqs, "it was being sent when tg-send ended; it is not known whether it was told", now)
    }

    /// These records can never be told.
    pub fn set_aside(&mut self, seqs: &[i64], reason: &str, now: Millis) -> Result<()> {
        for seq in seqs {
            self.run(
                "INSERT INTO failed (seq, chat, at, reason, record)
                 SELECT seq, chat, ?, ?, record FROM queue WHERE seq = ?",
                params![now, reason, seq],
            )?;
            self.run("DELETE FROM queue WHERE seq = ?", params![seq])?;
            self.run("DELETE FROM told WHERE seq = ?", params![seq])?;
        }
        Ok(())
    }

    /// A line that came in and can never be told.
    pub fn set_line_aside(&mut self, line: &str, reason: &str, now: Millis) -> Result<()> {
        self.run(
            "INSERT INTO failed (seq, at, reason, record) VALUES (?, ?, ?, ?)",
            params![self.next, now, reason, line],
        )?;
        self.next += 1;
        Ok(())
    }
}

/// SQLite does not wait for others when it changes the mode.
fn in_wal_mode(db: &Connection) -> Result<()> {
    let start = Instant::now();
    loop {
        match db.pragma_update(None, "journal_mode", "WAL") {
            Err(err) if is_full(&err) && start.elapsed() < PATIENCE => std::thread::sleep(PATIENCE / 500),
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests;
