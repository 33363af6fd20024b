//! tg-sandbox as its clients see it: the real binary over real sockets.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod checks;
mod control;
mod faults;
mod harness;
mod limits;
mod media;
mod polling;
mod rules;
