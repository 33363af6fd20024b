//! The log: one line an event, one write a line, to stderr or to the file of `-l`.
//!
//! At a terminal a line is `tool: error: words`; under the journal it is `<3>words`, because the journal has the name
//! and the time. [`notice!`](crate::notice) is for start, stop and reload (`<5>`), `log::info!` for one line a message handled (`<6>`),
//! `log::debug!` for `-v`. Only this crate's own events are written: those of ureq hold URLs, and the Bot API's hold
//! the token.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::OnceLock;

use crate::printable::printable;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// The target of events of the level "notice", which the `log` crate does not have.
pub const NOTICE: &str = concat!(env!("CARGO_CRATE_NAME"), "::notice");

/// Logs a start, a stop or a reload.
#[macro_export]
macro_rules! notice {
    ($($words:tt)+) => { log::info!(target: $crate::logger::NOTICE, $($words)+) };
}

static LOGGER: OnceLock<Logger> = OnceLock::new();

struct Logger {
    name: &'static str,
    file: Option<File>,
    journal: bool,
}

/// Starts the log of this process.
pub fn start(name: &'static str, file: Option<&Path>, verbose: bool) -> std::io::Result<()> {
    let file = file.map(open).transpose()?;
    let journal = file.is_none() && stderr_is_journal();
    let logger = LOGGER.get_or_init(|| Logger { name, file, journal });
    if log::set_logger(logger).is_ok() {
        log::set_max_level(if verbose { LevelFilter::Debug } else { LevelFilter::Info });
    }
    Ok(())
}

/// Some of what is logged is not for everybody: the code that pairs an administrator.
fn open(path: &Path) -> std::io::Result<File> {
    File::options().append(true).create(true).mode(0o640).open(path)
}

/// Prints why a tool ends, whether or not the log was started.
pub fn last_words(name: &str, message: &str, hint: Option<&str>) {
    let (journal, logger) = match LOGGER.get() {
        Some(logger) => (logger.journal, Some(logger)),
        None => (stderr_is_journal(), None),
    };
    let mut line = prefixed(name, journal, 3, "error: ", message);
    if let Some(hint) = hint {
        line.push_str(&prefixed(name, journal, 3, "hint: ", hint));
    }
    write(logger.and_then(|logger| logger.file.as_ref()), &line);
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
            || metadata.target().replace('-', "_") == self.name.replace('-', "_")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (priority, word) = match record.level() {
            Level::Error => (3, "error: "),
            Level::Warn => (4, "warning: "),
            Level::Info if record.target() == NOTICE => (5, ""),
            Level::Info => (6, ""),
            Level::Debug | Level::Trace => (7, ""),
        };
        let line = prefixed(self.name, self.journal, priority, word, &record.args().to_string());
        write(self.file.as_ref(), &line);
    }

    fn flush(&self) {}
}

/// What stands between a message and its hint, which has a line of its own.
const HINT: &str = "\nhint: ";

/// Every line of a message has its prefix, which the journal insists on and people look for. What comes from outside is no
/// line: labels of an alert must not look like words of ours.
fn prefixed(name: &str, journal: bool, priority: u8, word: &str, message: &str) -> String {
    let mut lines = String::new();
    let (message, hint) = message
        .trim_end()
        .rsplit_once(HINT)
        .map_or((message.trim_end(), None), |(message, hint)| (message, Some(hint)));
    let hint = hint.map(|hint| ("hint: ", hint));
    for (word, line) in [(word, message)].into_iter().chain(hint) {
        let line = printable(line);
        lines.push_str(&match journal {
            true => format!("<{priority}>{word}{line}\n"),
            false => format!("{name}: {word}{line}\n"),
        });
    }
    lines
}

fn write(file: Option<&File>, line: &str) {
    // Nobody can be told that the log cannot be written.
    let _ = match file {
        Some(mut file) => file.write_all(line.as_bytes()),
        None => std::io::stderr().write_all(line.as_bytes()),
    };
}

/// systemd.exec(5): `$JOURNAL_STREAM` is inherited by children whose stderr goes elsewhere, so it must be compared.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().and_then(|fd| File::from(fd).metadata());
    stderr.is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_people_and_for_the_journal() {
        assert_eq!(prefixed("tg-send", false, 4, "warning: ", "odd"), "tg-send: warning: odd\n");
        let message = "a\nhint: b\n";
        assert_eq!(prefixed("tg-send", false, 3, "error: ", message), "tg-send: error: a\ntg-send: hint: b\n");
        assert_eq!(prefixed("tg-send", true, 3, "error: ", message), "<3>error: a\n<3>hint: b\n");
    }

    #[test]
    fn what_comes_from_outside_is_no_line_and_no_colour() {
        let message = "alert \u{1b}[2J\u{7}x\n<3>error: forged\r\ntg-send: error: forged";
        let line = r"alert \u001b[2J\u0007x\n<3>error: forged\r\ntg-send: error: forged";
        assert_eq!(prefixed("tg-send", false, 6, "", message), format!("tg-send: {line}\n"));
        assert_eq!(prefixed("tg-send", true, 6, "", message), format!("<6>{line}\n"));
    }

    #[test]
    fn the_log_file_is_not_for_everybody() {
        // tg-bot writes the code that makes an administrator into it.
        let path = std::env::temp_dir().join(format!("prometheus-telegram-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert_eq!(open(&path).unwrap().metadata().unwrap().mode() & 0o137, 0);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn other_crates_are_not_heard() {
        let logger = Logger { name: "tg-send", file: None, journal: false };
        for (target, heard) in
            [("prometheus_telegram::outbox", true), (NOTICE, true), ("tg_send", true), ("ureq::run", false)]
        {
            assert_eq!(logger.enabled(&Metadata::builder().target(target).build()), heard, "{target}");
        }
    }
}
