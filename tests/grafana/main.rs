//! `grafana-shot` and the library behind it against a Grafana stand-in. The real binary runs in every test that is about
//! what a person or a script sees.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod browser;
mod failures;
mod fixtures;
mod library;
mod lists;
mod names;
mod options;
mod pictures;
mod relay;
mod standin;
mod tool;
