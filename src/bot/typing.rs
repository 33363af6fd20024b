//! "sending a photo…" at the top of a chat, as long as a picture is drawn for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::pool::Pool;
use super::update::Room;
use crate::telegram::{Answer, Api, Call};
use crate::verdict;

/// Telegram shows an action for 5 s.
const AGAIN: Duration = Duration::from_millis(4500);

/// Chats for which something is under way.
#[derive(Clone)]
pub struct Typing {
    api: Api,
    state: Arc<Mutex<State>>,
    /// Chats in which Telegram asked for silence, and until when.
    silent: Arc<Mutex<HashMap<i64, Instant>>>,
    pool: Pool,
}

#[derive(Default)]
struct State {
    /// How much is under way in each.
    rooms: HashMap<Room, usize>,
    /// There is a thread that shows the actions again. It says under the lock that it ends, so there is never a second one.
    is_ticking: bool,
}

impl Typing {
    /// Nothing is under way.
    pub fn new(api: Api) -> Self {
        Typing { api, state: Arc::default(), silent: Arc::default(), pool: Pool::new("actions", 4) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the action while `work` lasts. Whether Telegram takes it does not matter, but a 429 is obeyed.
    pub fn during<T>(&self, room: Room, work: impl FnOnce() -> T) -> T {
        let _under_way = self.begin(room);
        work()
    }

    fn begin(&self, room: Room) -> UnderWay<'_> {
        let (is_first_here, needs_ticker) = {
            let mut state = self.state();
            let count = state.rooms.entry(room).or_default();
            *count += 1;
            (*count == 1, !std::mem::replace(&mut state.is_ticking, true))
        };
        if is_first_here {
            self.show(room);
        }
        if needs_ticker {
            let typing = self.clone();
            // It ends after the last picture.
            let ticker = thread::Builder::new().name("typing".to_owned()).spawn(move || typing.tick());
            if let Err(err) = ticker {
                log::warn!("cannot start a thread: {err}");
                self.state().is_ticking = false;
            }
        }
        UnderWay { typing: self, room }
    }

    fn tick(&self) {
        loop {
            thread::sleep(AGAIN);
            let rooms: Vec<Room> = {
                let mut state = self.state();
                if state.rooms.is_empty() {
                    state.is_ticking = false;
                    return;
                }
                state.rooms.keys().copied().collect()
            };
            rooms.into_iter().for_each(|room| self.show(room));
        }
    }

    fn show(&self, room: Room) {
        let mut parameters = json!({"chat_id": room.chat, "action": "upload_photo"});
        if let Some(thread) = room.thread {
            parameters["message_thread_id"] = thread.into();
        }
        let (api, silent) = (self.api.clone(), self.silent.clone());
        self.pool.run(move || {
            if is_silent(&silent, room.chat) {
                return;
            }
            let answer = api.call(&Call { method: "sendChatAction", parameters, file: None });
            log::debug!("sendChatAction: {answer:?}");
            if let Answer::Refused(refusal) = &answer
                && let Some(time) = verdict::silence(refusal)
            {
                silent.lock().unwrap_or_else(PoisonError::into_inner).insert(room.chat, Instant::now() + time);
            }
        });
    }
}

fn is_silent(silent: &Mutex<HashMap<i64, Instant>>, chat: i64) -> bool {
    let mut silent = silent.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    silent.retain(|_, until| *until > now);
    silent.contains_key(&chat)
}

/// Ends with the work, and with its panic too.
struct UnderWay<'a> {
    typing: &'a Typing,
    room: Room,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.typing.state();
        if let Some(count) = state.rooms.get_mut(&self.room) {
            *count -= 1;
            if *count == 0 {
                state.rooms.remove(&self.room);
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

    fn typing() -> Typing {
        let config = Config {
            bot_token: Secret::new("1:a").ok(),
            api_url: "http://127.0.0.1:9".to_owned(),
            ..Config::default()
        };
        Typing::new(Api::new(&config, 1).unwrap())
    }

    #[test]
    fn a_panic_leaves_no_room_busy() {
        let typing = typing();
        let room = Room { chat: 1, thread: None };
        assert_eq!(typing.during(room, || typing.state().rooms.len()), 1);
        assert!(catch_unwind(AssertUnwindSafe(|| typing.during(room, || panic!("a bug")))).is_err());
        assert!(typing.state().rooms.is_empty());
    }
    #[test]
    fn many_short_pictures_leave_one_thread() {
        let typing = typing();
        for chat in 0..30 {
            typing.during(Room { chat, thread: None }, || ());
        }
        let holders = Arc::strong_count(&typing.state);
        // This one and the thread; not one more for each picture.
        assert!(holders < 5, "{holders}");
        typing.during(Room { chat: 7, thread: None }, || assert!(typing.state().is_ticking));
    }
}
