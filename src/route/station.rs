//! What alert-route holds while it runs: the users, what was seen, and who is overdue. Lines come in, texts of records
//! come out; time passes by [`Station::tick`], also while no line comes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Metrics, explain, route_webhook};
use crate::alert::{Malformed, Webhook};
use crate::disk::{Draft, target};
use crate::line::Digest;
use crate::record::{Chat, Record};
use crate::seen::{Seen, read_json};
use crate::text::Words;
use crate::users::{Refresh, UsersFile};
use crate::watchdog::{Rule, Watchdogs};
use crate::{notice, notify};

/// What is seen is written down no more often.
const SAVE_EVERY: Duration = Duration::from_secs(3);

/// How a [`Station`] is to work.
#[derive(Debug, Default)]
pub struct Options {
    /// End the records of each line with an ack record.
    pub ack: bool,
    /// Keep alerts seen lately, and what the watchdogs know, in this file.
    pub seen: Option<PathBuf>,
    /// Alerts that must come.
    pub watchdogs: Vec<Rule>,
    /// Who is told that they do not, beside the administrators in the users file.
    pub admins: Vec<i64>,
}

/// See the module.
pub struct Station {
    users: UsersFile,
    words: Words,
    ack: bool,
    admins: Vec<i64>,
    watchdogs: Watchdogs,
    seen: Option<Kept>,
    metrics: Arc<Metrics>,
}

/// What is kept in a file.
struct Kept {
    path: PathBuf,
    seen: Seen,
    is_changed: bool,
    /// When it was written last.
    saved: Option<Instant>,
    /// How often it was to be written.
    count: u64,
    /// One writes at a time; the number of the last one.
    gate: Arc<Mutex<u64>>,
}

/// The new contents of a file, to be written while nobody waits for the station.
pub struct Save {
    path: PathBuf,
    contents: String,
    number: u64,
    gate: Arc<Mutex<u64>>,
    metrics: Arc<Metrics>,
}

impl Station {
    /// With what a predecessor left in the file of `seen`, where it can be read.
    pub fn new(users: UsersFile, words: Words, options: Options, metrics: Arc<Metrics>, now: Timestamp) -> Self {
        let known = options.seen.as_deref().map_or(Value::Null, read_json);
        let watchdogs = Watchdogs::new(options.watchdogs, &known["watchdogs"], now);
        let seen = options.seen.map(|path| Kept {
            path: target(&path),
            seen: Seen::from_json(&known["alerts"]),
            is_changed: false,
            saved: None,
            count: 0,
            gate: Arc::default(),
        });
        let station = Station { users, words, ack: options.ack, admins: options.admins, watchdogs, seen, metrics };
        station.warn_of_users();
        station.metrics.reloaded(true, now);
        if !station.watchdogs.is_empty() && station.admins().is_empty() {
            log::warn!("nobody would be told of a silent Alertmanager: no chat has the role \"admin\"");
        }
        station.observe();
        station
    }

    /// How often to call [`Station::tick`].
    pub fn tick_every(&self) -> Duration {
        self.watchdogs.look_every()
    }

    /// Who is told of what concerns the pipeline itself.
    fn admins(&self) -> Vec<(Chat, Option<i64>)> {
        let mut admins = self.users.users.admins.clone();
        for id in self.admins.iter().map(|id| Chat::Id(*id)) {
            if !admins.iter().any(|(known, _)| *known == id) {
                admins.push((id, None));
            }
        }
        admins
    }

    /// The records of one line, and what else is to be told now; whole lines.
    pub fn line(&mut self, line: &[u8], now: Timestamp) -> Result<String, Malformed> {
        self.refresh(now);
        self.metrics.lines.inc();
        let mut webhook = Webhook::parse(line).inspect_err(|_| {
            self.metrics.bad.inc();
        })?;
        let mut is_heard = false;
        webhook.alerts.retain(|alert| {
            self.metrics.alert(alert.status.word());
            let is_watchdog = self.watchdogs.hear(alert, now);
            if !is_watchdog && let Some(kept) = &mut self.seen {
                kept.is_changed |= kept.seen.note(alert, now);
            }
            is_heard |= is_watchdog;
            !is_watchdog
        });
        let mut text = String::new();
        let write = |record| write_line(&mut text, &record);
        let routed = route_webhook(&webhook, Digest::of(line), &self.users.users, &self.words, now, write);
        for warning in &routed.warnings {
            log::warn!("{warning}");
        }
        let records = routed.ack.records.unwrap_or(0);
        log::debug!("routed id={} records={records}", routed.ack.digest.short());
        self.metrics.unwanted.inc_by(routed.unwanted);
        self.metrics.records.inc_by(records);
        if self.ack {
            text.push_str(&routed.ack.to_line());
            text.push('\n');
        }
        if is_heard {
            if let Some(kept) = &mut self.seen {
                kept.is_changed = true;
            }
            text.push_str(&self.overdue(now));
            self.observe();
        }
        Ok(text)
    }

    /// Who gets each alert of a line, and why; for a person.
    pub fn explain(&mut self, line: &[u8], now: Timestamp) -> Result<String, Malformed> {
        self.refresh(now);
        let webhook = Webhook::parse(line)?;
        Ok(explain(&webhook, &self.users.users, |alert| self.watchdogs.is_one(alert), now))
    }

    /// A line that was too long to be read.
    pub fn bad_line(&self) {
        self.metrics.lines.inc();
        self.metrics.bad.inc();
    }

    /// Time has passed: looks at the users file, and returns what is to be told.
    pub fn tick(&mut self, now: Timestamp) -> String {
        self.refresh(now);
        self.watchdogs.count(now);
        let text = self.overdue(now);
        self.observe();
        text
    }

    fn overdue(&mut self, now: Timestamp) -> String {
        if self.watchdogs.is_empty() {
            return String::new();
        }
        let admins = self.admins();
        let records = self.watchdogs.records(&admins, &self.words, now);
        self.lines_of(&records)
    }

    fn lines_of(&self, records: &[Record]) -> String {
        let mut text = String::new();
        records.iter().for_each(|record| write_line(&mut text, record));
        self.metrics.records.inc_by(records.len() as u64);
        text
    }

    fn observe(&self) {
        self.metrics.admins.set(i64::try_from(self.admins().len()).unwrap_or(i64::MAX));
        let seen = self.seen.as_ref().map_or(0, |kept| kept.seen.len());
        self.metrics.seen.set(i64::try_from(seen).unwrap_or(i64::MAX));
        for (name, heard, is_silent) in self.watchdogs.states() {
            self.metrics.watchdog(name, heard, is_silent);
        }
    }

    /// How it stands with the users file, for `systemctl status`.
    pub fn status(&self) -> String {
        let users = &self.users.users;
        let (chats, entries) = (users.named, users.warnings.len());
        match entries {
            0 => format!("{chats} chats in the users file"),
            _ => format!("{chats} chats in the users file, {entries} entries that cannot be used"),
        }
    }

    fn refresh(&mut self, now: Timestamp) {
        match self.users.refresh() {
            Refresh::Same => {}
            Refresh::Reloaded => {
                notice!("users file read again: {} chats", self.users.users.named);
                self.warn_of_users();
                notify::status(&self.status());
                self.metrics.reloaded(true, now);
            }
            Refresh::Kept(reason) => {
                log::error!("{reason}; the users as they were stay in force");
                notify::status("the users file cannot be used; the users as they were stay in force");
                self.metrics.reloaded(false, now);
            }
        }
    }

    fn warn_of_users(&self) {
        let users = &self.users.users;
        for warning in users.warnings.iter().chain(&users.doubts) {
            log::warn!("{warning}");
        }
        self.metrics.chats.set(i64::try_from(users.named).unwrap_or(i64::MAX));
        self.metrics.warnings.set(i64::try_from(users.warnings.len()).unwrap_or(i64::MAX));
    }

    /// What is to be written to the file of `seen` now, if anything; at the end in any case: another thread may have taken
    /// the last news, and not have written it yet.
    pub fn save(&mut self, at_the_end: bool) -> Option<Save> {
        let watches = !self.watchdogs.is_empty();
        let kept = self.seen.as_mut()?;
        let age = kept.saved.map_or(Duration::MAX, |saved| saved.elapsed());
        let is_due = kept.is_changed && age >= SAVE_EVERY;
        let is_overdue = watches && age >= self.watchdogs.save_every();
        if !is_due && !is_overdue && !at_the_end {
            return None;
        }
        kept.count += 1;
        kept.is_changed = false;
        kept.saved = Some(Instant::now());
        let contents = json!({"v": 1, "alerts": kept.seen.to_json(), "watchdogs": self.watchdogs.to_json()});
        let (path, number, gate) = (kept.path.clone(), kept.count, kept.gate.clone());
        Some(Save { path, contents: format!("{contents}\n"), number, gate, metrics: self.metrics.clone() })
    }
}

fn write_line(text: &mut String, record: &Record) {
    match serde_json::to_string(record) {
        Ok(line) => text.extend([line.as_str(), "\n"]),
        // A record is text and numbers; there is nothing in it that JSON has no form for.
        Err(err) => log::error!("cannot write a record: {err}"),
    }
}

impl Save {
    /// Writes the file as a whole, unless something newer was faster.
    pub fn write(&self) -> Result<(), String> {
        let mut last = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if *last > self.number {
            return Ok(());
        }
        *last = self.number;
        let written = Draft::write(&self.path, self.contents.as_bytes()).and_then(Draft::place);
        written.map_err(|err| {
            self.metrics.unsaved.inc();
            format!("cannot write {}: {err}", self.path.display())
        })
    }
}
