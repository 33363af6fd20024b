//! Threads that come when there is work and go when there is none for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Virtual memory; what is not used costs nothing.
const STACK: usize = 1 << 20;

/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(30);

type Job = Box<dyn FnOnce() + Send>;

/// At most so many jobs at a time; the others wait in order.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// No threads yet.
    pub fn new(name: &'static str, most: usize) -> Self {
        Pool { shared: Arc::new(Shared { name, most, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Has a job done by the next thread that is free.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.state();
        state.jobs.push_back(Box::new(job));
        if state.idle < state.jobs.len() && state.threads < self.shared.most {
            let shared = self.shared.clone();
            match thread::Builder::new()
                .name(self.shared.name.to_owned())
                .stack_size(STACK)
                .spawn(move || work(&shared))
            {
                Ok(_) => state.threads += 1,
                Err(err) => log::warn!("cannot start a thread: {err}"),
            }
        }
        drop(state);
        self.shared.work.notify_one();
    }
}

fn work(shared: &Shared) {
    let mut state = shared.state();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            // A bug in one job must not take the thread from the others.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                log::error!("a job of {} failed; please report it", shared.name);
            }
            state = shared.state();
            continue;
        }
        state.idle += 1;
        let (back, wait) = shared.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
        state = back;
        state.idle -= 1;
        if wait.timed_out() && state.jobs.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn as_many_at_a_time_as_allowed() {
        let pool = Pool::new("test", 3);
        let (started, starts) = channel();
        let (release, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for n in 0..5 {
            let (started, gate) = (started.clone(), gate.clone());
            pool.run(move || {
                started.send(n).unwrap();
                gate.lock().unwrap().recv().unwrap();
            });
        }
        for _ in 0..3 {
            starts.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        assert_eq!(pool.shared.state().threads, 3);
        assert_eq!(pool.shared.state().jobs.len(), 2);
        for _ in 0..5 {
            release.send(()).unwrap();
        }
        for _ in 0..2 {
            starts.recv_timeout(Duration::from_secs(10)).unwrap();
        }
    }
}
