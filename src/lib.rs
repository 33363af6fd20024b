//! Prometheus alerts and Grafana panels in Telegram, as a pipeline of small Unix tools.
//!
//! ```text
//! am-recv -p 8080 | alert-route -u users.json | tg-send
//! ```
//!
//! The programs in `src/bin` read options and open inputs and outputs; all work is done here, in modules named by
//! the nouns of the field. Modules take values, readers and writers and return results. Only `cli` ends a program,
//! only `logger` writes to stderr, only `notify` speaks to systemd, only `config` and `secret` read settings from the
//! environment.

pub mod ack;
pub mod alert;
pub mod bot;
pub mod bug;
pub mod check;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod desk;
pub mod disk;
pub mod fd;
pub mod grafana;
pub mod http;
pub mod line;
pub mod lines;
pub mod logger;
pub mod markup;
pub mod matcher;
pub mod message;
pub mod metrics;
pub mod near;
pub mod notify;
pub mod outbox;
pub mod pacing;
pub mod pattern;
pub mod printable;
pub mod progress;
pub mod record;
pub mod recv;
pub mod route;
pub mod sandbox;
pub mod secret;
pub mod seen;
pub mod telegram;
pub mod text;
pub mod users;
pub mod verdict;
pub mod watchdog;
