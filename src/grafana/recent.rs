//! What Grafana said a moment ago: so many people at once cost it one call, and a key is answered at once. Errors are
//! shared by those who waited for them and not kept; an answer that is too old is not given, also when there is no newer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::client::Grafana;
use super::dashboard::Dashboard;
use super::error::Error;
use super::search::Hit;

/// How long an answer is given again.
const AGE: Duration = Duration::from_secs(60);

/// Dashboards kept. One of the largest takes some hundred kilobytes.
const MOST: usize = 128;

/// A Grafana that many ask at once. Usable from several threads; a slow answer delays only those who want the same.
#[derive(Debug)]
pub struct Recent {
    grafana: Grafana,
    listing: Kept<(), Vec<Hit>, Error>,
    dashboards: Kept<String, Dashboard, Error>,
}

impl Recent {
    /// Nothing is asked yet.
    pub fn new(grafana: Grafana) -> Recent {
        Recent { grafana, listing: Kept::new(AGE, 1), dashboards: Kept::new(AGE, MOST) }
    }

    /// The Grafana itself, to draw with.
    pub fn grafana(&self) -> &Grafana {
        &self.grafana
    }

    /// [`Grafana::dashboards`], at most a minute old.
    pub fn dashboards(&self) -> Result<Arc<Vec<Hit>>, Error> {
        self.listing.get((), Instant::now(), || self.grafana.dashboards())
    }

    /// [`Grafana::dashboard`], at most a minute old.
    pub fn dashboard(&self, uid: &str) -> Result<Arc<Dashboard>, Error> {
        self.dashboards.get(uid.to_owned(), Instant::now(), || self.grafana.dashboard(uid))
    }
}

/// One call: when it began, and what came of it. Who comes while it is under way waits for it.
#[derive(Debug)]
struct Call<T, E> {
    began: Instant,
    outcome: OnceLock<Result<Arc<T>, E>>,
}

impl<T, E: Clone> Call<T, E> {
    /// One of those who wait asks. Should that panic, the next asks for himself.
    fn answer(&self, ask: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        self.outcome.get_or_init(|| ask().map(Arc::new)).clone()
    }
}

/// The calls of late by what they asked for.
#[derive(Debug)]
struct Kept<K, T, E> {
    calls: Mutex<HashMap<K, Arc<Call<T, E>>>>,
    age: Duration,
    most: usize,
}

impl<K: Eq + Hash + Clone, T, E: Clone> Kept<K, T, E> {
    fn new(age: Duration, most: usize) -> Self {
        Kept { calls: Mutex::default(), age, most }
    }

    /// The answer that is there or under way, or else that of `ask`.
    fn get(&self, key: K, now: Instant, ask: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        self.call(key, now).answer(ask)
    }

    fn call(&self, key: K, now: Instant) -> Arc<Call<T, E>> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let good = |call: &Arc<Call<T, E>>| match call.outcome.get() {
            Some(Ok(_)) => now.saturating_duration_since(call.began) < self.age,
            Some(Err(_)) => false,
            None => true,
        };
        if let Some(call) = calls.get(&key).filter(|call| good(call)) {
            return Arc::clone(call);
        }
        if calls.len() >= self.most {
            calls.retain(|_, call| good(call));
        }
        // Forgetting a call that is under way only means that the next who wants the same asks again.
        while calls.len() >= self.most && !calls.contains_key(&key) {
            let oldest = calls.iter().min_by_key(|(_, call)| call.began).map(|(key, _)| key.clone());
            oldest.and_then(|key| calls.remove(&key));
        }
        let call = Arc::new(Call { began: now, outcome: OnceLock::new() });
        calls.insert(key, Arc::clone(&call));
        call
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, mpsc};

    use super::*;

    type Table = Kept<&'static str, usize, &'static str>;

    #[test]
    fn many_at_once_cost_one_call_and_share_its_error() {
        for outcome in [Ok(7), Err("down")] {
            let (table, asked, all) = (Table::new(AGE, 4), AtomicUsize::new(0), Barrier::new(200));
            std::thread::scope(|scope| {
                for _ in 0..200 {
                    scope.spawn(|| {
                        let call = table.call("a", Instant::now());
                        // Now all have come, and nobody has asked yet.
                        all.wait();
                        let got = call.answer(|| {
                            asked.fetch_add(1, Ordering::SeqCst);
                            outcome
                        });
                        assert_eq!(got.map(|value| *value), outcome);
                    });
                }
            });
            assert_eq!(asked.load(Ordering::SeqCst), 1, "{outcome:?}");
        }
    }

    #[test]
    fn answers_are_kept_for_their_time_and_errors_not_at_all() {
        let table = Table::new(AGE, 4);
        let start = Instant::now();
        let get = |seconds, answer| table.get("a", start + Duration::from_secs(seconds), || answer).map(|value| *value);
        assert_eq!(get(0, Err("down")), Err("down"));
        assert_eq!(get(0, Ok(1)), Ok(1));
        assert_eq!(get(59, Ok(2)), Ok(1));
        assert_eq!(get(60, Ok(3)), Ok(3));
        assert_eq!(get(120, Err("down")), Err("down"), "an old answer is none");
        assert_eq!(get(121, Ok(4)), Ok(4));
    }

    #[test]
    fn a_slow_answer_delays_nobody_who_wants_another() {
        let table = Table::new(AGE, 4);
        let (began, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let table = &table;
            let slow = scope.spawn(move || {
                table.get("slow", Instant::now(), || {
                    began.send(()).unwrap();
                    released.recv_timeout(Duration::from_secs(20)).map_err(|_| "nobody came through")?;
                    Ok(1)
                })
            });
            has_begun.recv().unwrap();
            assert_eq!(table.get("quick", Instant::now(), || Ok(2)).map(|value| *value), Ok(2));
            release.send(()).unwrap();
            assert_eq!(slow.join().unwrap().map(|value| *value), Ok(1));
        });
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let table = Table::new(AGE, 3);
        let start = Instant::now();
        for (n, key) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
            let now = start + Duration::from_secs(n as u64);
            assert_eq!(table.get(key, now, || Ok(n)).map(|value| *value), Ok(n));
            assert!(table.calls.lock().unwrap().len() <= 3);
        }
        assert_eq!(table.get("e", start, || Ok(9)).map(|value| *value), Ok(4), "the newest are kept");
        assert_eq!(table.get("a", start, || Ok(9)).map(|value| *value), Ok(9), "the oldest is not");
    }

    #[test]
    fn a_panic_is_the_trouble_of_one() {
        let table = Table::new(AGE, 3);
        let panicked = std::thread::scope(|scope| {
            scope.spawn(|| table.get("a", Instant::now(), || panic!("asked wrongly"))).join().is_err()
        });
        assert!(panicked);
        assert_eq!(table.get("a", Instant::now(), || Ok(1)).map(|value| *value), Ok(1));
    }
}
