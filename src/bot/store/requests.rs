//! Requests to be let in: who asks, who was asked, and whose press decides.

use rusqlite::{OptionalExtension, params};

use super::{Result, Store, room};
use crate::bot::effects::Request;

impl Store {
    /// The request of a chat.
    pub fn request(&self, chat: i64) -> Result<Option<Request>> {
        let db = self.db();
        let mut select =
            db.prepare_cached("SELECT chat, thread, title, language, denied, person FROM requests WHERE chat = ?")?;
        select.query_row([chat], request).optional()
    }

    /// The open requests that were not put to this administrator, nor wait to be, in the order in which they were made.
    pub fn missed_by(&self, admin: i64) -> Result<Vec<Request>> {
        let db = self.db();
        let mut select = db.prepare_cached(
            "SELECT chat, thread, title, language, denied, person FROM requests WHERE NOT denied
             AND chat NOT IN (SELECT request FROM asked WHERE admin = ?1)
             AND chat NOT IN (SELECT request FROM calls WHERE chat = ?1 AND request NOT NULL) ORDER BY at",
        )?;
        select.query_map([admin], request)?.collect()
    }

    /// Whether a request is open that was put to no administrator, nor waits to be.
    pub fn is_unheard(&self, chat: i64) -> Result<bool> {
        let select = "SELECT EXISTS (SELECT 1 FROM requests WHERE chat = ?1 AND NOT denied)
            AND NOT EXISTS (SELECT 1 FROM asked WHERE request = ?1)
            AND NOT EXISTS (SELECT 1 FROM calls WHERE request = ?1)";
        self.db().query_row(select, [chat], |row| row.get(0))
    }

    /// How many requests nobody has decided about, of one person at most so many. Unknown people count as one.
    pub fn open_requests(&self, of_one: usize) -> Result<usize> {
        let select = "SELECT coalesce(sum(min(open, ?)), 0)
            FROM (SELECT count(*) AS open FROM requests WHERE NOT denied GROUP BY person)";
        self.db().query_row(select, [of_one], |row| row.get(0))
    }

    /// How many requests of a person are open, and how many were turned down of late.
    pub fn requests_of(&self, person: Option<i64>) -> Result<(usize, usize)> {
        let select = "SELECT count(*) FILTER (WHERE NOT denied), count(*) FILTER (WHERE denied)
            FROM requests WHERE person IS ?";
        self.db().query_row(select, [person], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Whether the press with this id decides about an open request, or about one that was denied: the first one does,
    /// again after a kill.
    pub fn decides(&self, chat: i64, query: &str, denied: bool) -> Result<bool> {
        let db = self.db();
        db.execute(
            "INSERT OR IGNORE INTO meta SELECT ?, ? FROM requests WHERE chat = ? AND denied = ?",
            params![deciding(chat), query, chat, denied],
        )?;
        let first = "SELECT value = ? FROM meta WHERE key = ?";
        let is_first = db.query_row(first, params![query, deciding(chat)], |row| row.get(0)).optional()?;
        Ok(is_first.unwrap_or(false))
    }

    /// The press that was to decide could not.
    pub fn undecided(&self, chat: i64) -> Result<()> {
        self.db().execute("DELETE FROM meta WHERE key = ?", [deciding(chat)])?;
        Ok(())
    }

    /// The messages that put a request to the administrators: chat and message.
    pub fn asked(&self, request: i64) -> Result<Vec<(i64, i64)>> {
        let db = self.db();
        let mut select = db.prepare_cached("SELECT admin, message FROM asked WHERE request = ?")?;
        select.query_map([request], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

/// The key in `meta` of the press that decides about a request.
pub(super) fn deciding(chat: i64) -> String {
    format!("deciding:{chat}")
}

fn request(row: &rusqlite::Row<'_>) -> Result<Request> {
    let room = room(row.get(0)?, row.get(1)?);
    Ok(Request { room, title: row.get(2)?, language: row.get(3)?, denied: row.get(4)?, person: row.get(5)? })
}
