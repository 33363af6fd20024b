//! `grafana-shot` and the library behind it against a Grafana stand-in. The real binary runs in every test that is about
//! what a person or a script sees.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

#[path = "grafana/browser.rs"]
mod browser;
#[path = "grafana/failures.rs"]
mod failures;
#[path = "grafana/fixtures.rs"]
mod fixtures;
#[path = "grafana/library.rs"]
mod library;
#[path = "grafana/lists.rs"]
mod lists;
#[path = "grafana/names.rs"]
mod names;
#[path = "grafana/options.rs"]
mod options;
#[path = "grafana/pictures.rs"]
mod pictures;
#[path = "grafana/relay.rs"]
mod relay;
#[path = "grafana/standin/mod.rs"]
mod standin;
#[path = "grafana/tool.rs"]
mod tool;
