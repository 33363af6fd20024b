//! Whose wish to be let in is put to the administrators.

use std::sync::atomic::{AtomicBool, Ordering};

use super::conversation::Conversation;

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
