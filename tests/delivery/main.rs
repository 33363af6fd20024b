//! tg-send against Telegram's limits and against everything that can go wrong between the two.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and speak")]

#[path = "../harness/mod.rs"]
mod harness;
mod tools;

mod answers;
mod chats;
mod crash;
mod desk;
mod faults;
mod metrics;
mod mixes;
mod outage;
mod pace;
mod peers;
mod retention;
