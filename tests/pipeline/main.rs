//! The main job with the real binaries: webhook, lines, records, messages.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and speak")]

#[path = "../harness/mod.rs"]
mod harness;

mod bad_input;
mod crash;
mod flow;
mod proxy;
mod real;
mod watchdog;
