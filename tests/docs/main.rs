//! What is written about the tools is what they do: `--help`, man pages, completions, README, metrics, rules, dashboard;
//! and `--check` says what is wrong before it matters.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and speak")]

mod check;
mod completions;
mod compose;
mod help;
mod man;
mod mistakes;
mod readme;
mod standin;
mod translation;
mod watching;

#[path = "../harness/mod.rs"]
mod harness;
