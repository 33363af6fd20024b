//! tg-bot: conversations over every command and keyboard, with strangers, crowds and kills.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, reason = "tests may panic and speak")]

#[path = "../harness/mod.rs"]
mod harness;
#[path = "../grafana/standin/mod.rs"]
mod standin;
mod world;

mod access;
mod administrators;
mod chats;
mod commands;
mod crash;
mod crowd;
mod floods;
mod hostile;
mod keyboards;
mod levels;
mod polling;
mod scarce;
mod strange;
mod test_api;
