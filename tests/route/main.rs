//! From webhooks to records: real bodies with their outcome, and bodies nobody has thought of.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and speak")]

#[path = "../harness/mod.rs"]
mod harness;

mod anything;
mod payloads;
mod roster;
mod station;
