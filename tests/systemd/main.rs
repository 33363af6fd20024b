//! Installed for real: the units on a systemd, the scripts that install and remove, the Debian package.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and speak")]

#[path = "../harness/mod.rs"]
mod harness;
mod machine;

mod files;
mod life;
mod package;
mod survival;
mod units;
