//! Whose wish to be let in is put to the administrators, and which press decides about it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::conversation::Conversation;
use super::store::Store;

/// Requests that wait for a decision at a time: more are nobody's wish but an attack.
const MOST_REQUESTS: usize = 50;

/// Of these of one person: whoever brings the bot into fifty groups must not close the door for everybody else.
pub(super) const OPEN_OF_ONE: usize = 3;

/// Whoever was turned down so often, of late, asks no more.
const DENIED_OF_ONE: usize = 5;

/// Whether it was told that there are so many.
static IS_CLOSED: AtomicBool = AtomicBool::new(false);

impl Conversation {
    /// Whether one more wish is put to the administrators: of this person, for this chat.
    pub(super) fn may_ask(&self, person: Option<i64>, chat: i64) -> Result<bool, String> {
        let (open, denied) = self.store.requests_of(person).map_err(|err| err.to_string())?;
        if open >= OPEN_OF_ONE || denied >= DENIED_OF_ONE {
            log::debug!("chat {chat}: its {open} open and {denied} denied requests are enough of one person");
            return Ok(false);
        }
        let open = self.store.open_requests(OPEN_OF_ONE).map_err(|err| err.to_string())?;
        let is_full = open >= MOST_REQUESTS;
        // Once each time it fills up: strangers must not fill the log either.
        if is_full && !IS_CLOSED.swap(is_full, Ordering::Relaxed) {
            log::warn!("{open} requests wait for a decision: chat {chat} and others cannot ask now");
        }
        IS_CLOSED.store(is_full, Ordering::Relaxed);
        Ok(!is_full)
    }
}

/// The press that decides about a request. Where it does not come to that, be it by a bug, the next one may.
pub(super) struct Claim<'a> {
    store: &'a Store,
    chat: i64,
    is_kept: bool,
}

impl<'a> Claim<'a> {
    /// The first press gets it, and again after a kill. `denied`: about a request that was turned down already.
    pub(super) fn of(store: &'a Store, chat: i64, query: &str, denied: bool) -> Result<Option<Self>, String> {
        let is_first = store.decides(chat, query, denied).map_err(|err| err.to_string())?;
        // Made for another press it would be dropped at once, and the first one's with it.
        Ok(is_first.then(|| Claim { store, chat, is_kept: false }))
    }

    /// It is decided as soon as what comes of it is on disk.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.store.surely(|store| store.undecided(self.chat));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::effects::{Change, Effects, Request};
    use super::super::update::Room;
    use super::*;
    use crate::bug::contained;

    #[test]
    fn a_press_that_meets_a_bug_decides_nothing() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-door-{}.db", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let store = Store::open(&path).unwrap();
        let room = Room { chat: 7, thread: None };
        let request = Request { room, title: "Ann".into(), person: Some(7), language: "en".into(), denied: false };
        store.apply(&Effects { changes: vec![Change::Requested(request)], ..Effects::default() }).unwrap();
        let claim = |query| Claim::of(&store, 7, query, false).unwrap();
        let bug = contained(|| {
            let _claim = claim("q1");
            assert!(claim("q2").is_none());
            panic!("a bug");
        });
        assert_eq!(bug, None::<()>);
        claim("q2").unwrap().keep();
        // Nor does a late press take it from the first one.
        assert!(claim("q1").is_none() && claim("q1").is_none());
        claim("q2").unwrap().keep();
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}
