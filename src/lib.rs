//! Prometheus alerts and Grafana panels in Telegram, as a pipeline of small Unix tools.
//!
//! ```text
//! am-recv -p 8080 | alert-route -u users.json | tg-send
//! ```
//!
//! The programs in `src/bin` read options and open inputs and outputs; all work is done here, in modules named by
//! the nouns of the field. Modules take values, readers and writers and return results. Only `cli` ends a program,
//! only `logger` writes to stderr, only `config` and `secret` read the environment.

pub mod cli;
pub mod config;
pub mod logger;
pub mod secret;
