//! Time: a steady one for limits, and a wall clock that tests may push forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock of one sandbox.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    start_ms: i64,
    advanced_ms: AtomicI64,
}

impl Clock {
    pub fn new() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Instant::now(), start_ms: wall.as_millis() as i64, advanced_ms: AtomicI64::new(0) }
    }

    /// Milliseconds since the start; nothing moves it but time.
    pub fn steady_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// Milliseconds since 1970, as pushed forward.
    pub fn wall_ms(&self) -> i64 {
        self.start_ms + self.steady_ms() as i64 + self.advanced_ms.load(Ordering::Relaxed)
    }

    /// Seconds since 1970, as every date of the Bot API is given.
    pub fn unix(&self) -> i64 {
        self.wall_ms() / 1000
    }

    pub fn advance(&self, ms: i64) {
        self.advanced_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// Repeatable chance (splitmix64): the same `--seed`, the same run.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with probability `p`.
    pub fn happens(&mut self, p: f64) -> bool {
        p >= 1.0 || (self.next() >> 11) as f64 / ((1u64 << 53) as f64) < p
    }
}
