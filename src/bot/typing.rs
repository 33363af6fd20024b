//! "sending a photo…" at the top of a chat, as long as a picture is drawn for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::pool::Pool;
use super::update::Room;
use crate::telegram::{Api, Call};

/// Telegram shows an action for 5 s.
const AGAIN: Duration = Duration::from_millis(4500);

/// Chats for which something is under way.
#[derive(Clone)]
pub struct Typing {
    api: Api,
    rooms: Arc<Mutex<HashMap<Room, usize>>>,
    pool: Pool,
}

impl Typing {
    /// Nothing is under way.
    pub fn new(api: Api) -> Self {
        Typing { api, rooms: Arc::default(), pool: Pool::new("actions", 4) }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<Room, usize>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the action while `work` lasts. Whether Telegram takes it does not matter.
    pub fn during<T>(&self, room: Room, work: impl FnOnce() -> T) -> T {
        let _under_way = self.begin(room);
        work()
    }

    fn begin(&self, room: Room) -> UnderWay<'_> {
        let (is_first_here, is_first) = {
            let mut rooms = self.rooms();
            let is_first = rooms.is_empty();
            let count = rooms.entry(room).or_default();
            *count += 1;
            (*count == 1, is_first)
        };
        if is_first_here {
            self.show(room);
        }
        if is_first {
            let typing = self.clone();
            // It ends with the last picture.
            let ticker = thread::Builder::new().name("typing".to_owned()).spawn(move || typing.tick());
            if let Err(err) = ticker {
                log::warn!("cannot start a thread: {err}");
            }
        }
        UnderWay { typing: self, room }
    }

    fn tick(&self) {
        loop {
            thread::sleep(AGAIN);
            let rooms: Vec<Room> = self.rooms().keys().copied().collect();
            if rooms.is_empty() {
                return;
            }
            rooms.into_iter().for_each(|room| self.show(room));
        }
    }

    fn show(&self, room: Room) {
        let mut parameters = json!({"chat_id": room.chat, "action": "upload_photo"});
        if let Some(thread) = room.thread {
            parameters["message_thread_id"] = thread.into();
        }
        let api = self.api.clone();
        self.pool.run(move || {
            let answer = api.call(&Call { method: "sendChatAction", parameters, file: None });
            log::debug!("sendChatAction: {answer:?}");
        });
    }
}

/// Ends with the work, and with its panic too.
struct UnderWay<'a> {
    typing: &'a Typing,
    room: Room,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut rooms = self.typing.rooms();
        if let Some(count) = rooms.get_mut(&self.room) {
            *count -= 1;
            if *count == 0 {
                rooms.remove(&self.room);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::config::Config;
    use crate::secret::Secret;

    #[test]
    fn a_panic_leaves_no_room_busy() {
        let config = Config {
            bot_token: Secret::new("1:a").ok(),
            api_url: "http://127.0.0.1:9".to_owned(),
            ..Config::default()
        };
        let typing = Typing::new(Api::new(&config, 1).unwrap());
        let room = Room { chat: 1, thread: None };
        assert_eq!(typing.during(room, || typing.rooms().len()), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| typing.during(room, || panic!("a bug")))).is_err());
        assert!(typing.rooms().is_empty());
    }
}
