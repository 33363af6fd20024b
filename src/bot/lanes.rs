//! Who is served when: the updates of one chat (and topic) in their order, different chats at the same time, and what may
//! have to wait for Grafana apart from what need not.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pool::Pool;
use super::update::{Event, Room, Update};

/// Updates of one lane that may wait: more than a person can mean.
const MOST_IN_LANE: usize = 30;

/// Updates that may wait in all; then nothing more is asked for until some are handled.
const MOST: usize = 5_000;

/// Threads for what is answered at once, and for what may wait for Grafana. The latter mostly sleep; the unit's limit of
/// tasks leaves room for them, and for the look-up of a name that each of their calls may take a thread for.
const QUICK: usize = 4;
const SLOW: usize = 32;

/// Updates that are handled one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// May wait for Grafana.
    pub slow: bool,
    /// Whose.
    pub room: Room,
}

/// The updates that wait, by lane.
#[derive(Clone)]
pub struct Lanes {
    inner: Arc<Inner>,
    quick: Pool,
    slow: Pool,
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    handle: Box<dyn Fn(Update) + Send + Sync>,
}

#[derive(Default)]
struct State {
    /// A lane is here from its first update until its last one is handled.
    lanes: HashMap<Lane, VecDeque<Update>>,
    waiting: usize,
    closed: bool,
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Handles the next update of a lane; whether there was one, and may be more.
    fn step(&self, lane: Lane) -> bool {
        let mut state = self.state();
        let next = if state.closed { None } else { state.lanes.get_mut(&lane).and_then(VecDeque::pop_front) };
        let Some(update) = next else {
            state.lanes.remove(&lane);
            drop(state);
            self.changed.notify_all();
            return false;
        };
        drop(state);
        (self.handle)(update);
        self.state().waiting -= 1;
        self.changed.notify_all();
        true
    }
}

impl Lanes {
    /// `handle` is called for each update, from many threads.
    pub fn new(handle: impl Fn(Update) + Send + Sync + 'static) -> Self {
        let inner = Inner { state: Mutex::default(), changed: Condvar::new(), handle: Box::new(handle) };
        Lanes { inner: Arc::new(inner), quick: Pool::new("quick", QUICK), slow: Pool::new("slow", SLOW) }
    }

    /// Whether something of this chat waits or is being handled.
    pub fn holds(&self, chat: i64) -> bool {
        self.inner.state().lanes.keys().any(|lane| lane.room.chat == chat)
    }

    /// Has an update handled when its turn comes; gives it back when too many wait before it. What Telegram tells of a
    /// chat once is always taken: nobody says it again.
    pub fn add(&self, lane: Lane, update: Update) -> Option<Update> {
        let is_told_once = matches!(update.event, Event::Membership(_) | Event::Migration { .. });
        let mut state = self.inner.state();
        match state.lanes.get_mut(&lane) {
            Some(waiting) if waiting.len() >= MOST_IN_LANE && !is_told_once => return Some(update),
            Some(waiting) => waiting.push_back(update),
            None => {
                state.lanes.insert(lane, VecDeque::from([update]));
                state.waiting += 1;
                // Without the state, which those who work need: this may wait for one of them.
                drop(state);
                self.next(lane);
                return None;
            }
        }
        state.waiting += 1;
        None
    }

    /// One update of a lane at a time, so that a lane with many does not keep a thread from the others.
    fn next(&self, lane: Lane) {
        let lanes = self.clone();
        let pool = if lane.slow { &self.slow } else { &self.quick };
        pool.run(move || {
            if lanes.inner.step(lane) {
                lanes.next(lane);
            }
        });
    }

    /// How many wait or are being handled.
    pub fn waiting(&self) -> usize {
        self.inner.state().waiting
    }

    /// Waits until there is room for more, or for this long; whether there is.
    pub fn wait_for_room(&self, patience: Duration) -> bool {
        self.wait(patience, |state| state.waiting < MOST)
    }

    /// Handles no more; waits for what is being handled, at most for this long. The rest waits on disk.
    pub fn close(&self, patience: Duration) {
        self.inner.state().closed = true;
        self.wait(patience, |state| state.lanes.is_empty());
    }

    fn wait(&self, patience: Duration, enough: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.inner.state();
        while !enough(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.inner.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    fn lane(chat: i64, slow: bool) -> Lane {
        Lane { slow, room: Room { chat, thread: None } }
    }

    fn update(id: i64) -> Update {
        Update { id, event: Event::Nothing }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn one_lane_in_order_and_others_meanwhile() {
        let (handled, seen) = channel();
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let lanes = Lanes::new(move |update| {
            if update.id == 1 {
                gate.lock().unwrap().recv().unwrap();
            }
            handled.send(update.id).unwrap();
        });
        for id in 1..=3 {
            assert!(lanes.add(lane(7, true), update(id)).is_none());
        }
        assert!(lanes.add(lane(7, false), update(4)).is_none());
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(4), "what is quick does not wait for what is slow");
        assert!(lanes.add(lane(8, true), update(5)).is_none());
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(5));
        release.send(()).unwrap();
        let rest: Vec<i64> = (0..3).map(|_| seen.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(rest, [1, 2, 3]);
        lanes.close(PATIENCE);
        assert_eq!(lanes.waiting(), 0);
    }

    #[test]
    fn a_lane_holds_only_so_much() {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let lanes = Lanes::new(move |_| gate.lock().unwrap().recv().unwrap_or(()));
        let taken = (0..100).filter(|id| lanes.add(lane(7, false), update(*id)).is_none()).count();
        assert!((MOST_IN_LANE..=MOST_IN_LANE + 1).contains(&taken), "{taken}");
        let migration = Update { id: 150, event: Event::Migration { old: 7, new: -7 } };
        assert!(lanes.add(lane(7, false), migration).is_none(), "nobody tells it again");
        assert!(lanes.holds(7) && !lanes.holds(8));
        assert!(lanes.add(lane(8, false), update(200)).is_none());
        drop(release);
        lanes.wait(PATIENCE, |state| state.waiting == 0);
        assert_eq!(lanes.waiting(), 0);
    }

    #[test]
    fn whether_there_is_room_for_more() {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let lanes = Lanes::new(move |_| gate.lock().unwrap().recv().unwrap_or(()));
        assert!(lanes.wait_for_room(Duration::ZERO));
        let most = MOST as i64;
        assert!((0..most).all(|id| lanes.add(lane(id, false), update(id)).is_none()));
        assert!(!lanes.wait_for_room(Duration::ZERO));
        drop(release);
        assert!(lanes.wait_for_room(PATIENCE));
    }
}
