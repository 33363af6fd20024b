//! Threads that come when there is work and go when there is none for a while.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::bug::contained;

/// Virtual memory; what is not used costs nothing.
const STACK: usize = 1 << 20;

/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(30);

/// Where not even one thread can be started, it is tried again after this.
const AGAIN: Duration = Duration::from_millis(500);

type Job = Box<dyn FnOnce() + Send>;

/// At most so many jobs at a time; the others wait in order.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    name: &'static str,
    most: usize,
    start: fn(&'static str, Job) -> io::Result<()>,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// The last thread could not be started, and that was told.
    is_short: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// No threads yet.
    pub fn new(name: &'static str, most: usize) -> Self {
        Pool { shared: Arc::new(Shared { name, most, start, state: Mutex::default(), work: Condvar::new() }) }
    }

    /// Has a job done by the next thread that is free. Waits where there is no thread at all and none can be started:
    /// nobody else would do it.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.state();
        state.jobs.push_back(Box::new(job));
        while state.idle < state.jobs.len() && state.threads < self.shared.most {
            let shared = self.shared.clone();
            let started = (self.shared.start)(self.shared.name, Box::new(move || work(&shared)));
            let Err(err) = started else {
                state.threads += 1;
                state.is_short = false;
                break;
            };
            if !std::mem::replace(&mut state.is_short, true) {
                log::warn!("cannot start a thread: {err}; those that there are do the work in turn");
            }
            if state.threads > 0 {
                break;
            }
            drop(state);
            thread::sleep(AGAIN);
            state = self.shared.state();
        }
        drop(state);
        self.shared.work.notify_one();
    }
}

fn start(name: &'static str, work: Job) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work).map(drop)
}

fn work(shared: &Shared) {
    let mut state = shared.state();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            // A bug in one job must not take the thread from the others.
            if contained(job).is_none() {
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_job_waits_for_a_thread_that_cannot_be_started_yet() {
        static TRIES: AtomicUsize = AtomicUsize::new(0);
        // Two refusals, a thread, and no more after that.
        fn scarce(name: &'static str, work: Job) -> io::Result<()> {
            match TRIES.fetch_add(1, Ordering::SeqCst) {
                2 => start(name, work),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
        let shared = Shared { name: "test", most: 3, start: scarce, state: Mutex::default(), work: Condvar::new() };
        let pool = Pool { shared: Arc::new(shared) };
        let (done, seen) = channel();
        for n in 0..20 {
            let done = done.clone();
            pool.run(move || done.send(n).unwrap());
        }
        let all: Vec<i32> = (0..20).map(|_| seen.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert_eq!(pool.shared.state().threads, 1);
        pool.run(|| panic!("a bug"));
        pool.run(move || done.send(20).unwrap());
        assert_eq!(seen.recv_timeout(Duration::from_secs(10)), Ok(20), "a bug takes no thread from the others");
    }

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
