//! The dead man's switch: an alert that always fires must come again and again, and its silence is told.
//!
//! Prometheus fires it, Alertmanager repeats it, so as long as it comes the way of all alerts is open up to here. Silence is
//! counted only while somebody listened: a machine that was off for a night does not begin its day with an alarm, and one
//! whose alert-route is restarted all the time notices all the same.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::alert::{Alert, Status};
use crate::config;
use crate::line::Digest;
use crate::record::{Chat, Format, Record};
use crate::text::{Words, duration, escape};

/// Reminders come after times that grow fourfold, and at last once a day.
const DAY: Duration = Duration::from_secs(86_400);

/// A tg-send that is killed forgets what it had read and not yet written down, and nobody asks for a record that came
/// with no webhook. So each is written again this often, for so long; tg-send knows its key and tells it once.
const AGAIN_EVERY: Duration = Duration::from_secs(30);
const AGAIN_FOR: Duration = Duration::from_secs(300);

/// The shortest time that can be asked for.
const SHORTEST: Duration = Duration::from_secs(1);

/// The name of an alert, and how long it may be silent: `Watchdog=10m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its `alertname`.
    pub name: String,
    /// At least so often it must come.
    pub within: Duration,
}

impl std::str::FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, time) = text.rsplit_once('=').ok_or_else(|| format!("\"{text}\" is not of the form NAME=10m"))?;
        let within = config::duration(time).filter(|time| *time >= SHORTEST);
        let within = within.ok_or_else(|| format!("\"{time}\" is not a time of a second or more, like 10m"))?;
        let name = name.trim().to_owned();
        if name.is_empty() { Err(format!("no name of an alert in \"{text}\"")) } else { Ok(Rule { name, within }) }
    }
}

impl Rule {
    /// As the environment has them, `Watchdog=10m,Other=1h`.
    pub fn list(text: &str) -> Result<Vec<Rule>, String> {
        text.split(',').map(|rule| rule.trim().parse()).collect()
    }

    /// As the configuration has them, `{"Watchdog": "10m"}`; a text is taken for a list.
    pub fn of_json(value: &Value) -> Result<Vec<Rule>, String> {
        match value {
            Value::Object(rules) => rules.iter().map(|(name, time)| format!("{name}={}", word(time)).parse()).collect(),
            Value::String(text) => Rule::list(text),
            _ => Err("must be an object like {\"Watchdog\": \"10m\"}".to_owned()),
        }
    }
}

/// A text as it is; what else JSON has in its own words.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Of a name that is there twice only the first would be heard, and the other be silent for ever.
pub fn named_twice(rules: &[Rule]) -> Option<&str> {
    let twice = rules.iter().enumerate().find(|(n, rule)| rules[..*n].iter().any(|other| other.name == rule.name));
    twice.map(|(_, rule)| rule.name.as_str())
}

/// One alert that must come.
#[derive(Debug)]
struct Watch {
    rule: Rule,
    /// When it came last, or when it was first waited for.
    last: Timestamp,
    /// Whether it ever came.
    is_heard: bool,
    /// For how long it has not come while somebody listened.
    silent: Duration,
    /// Whether its silence was told.
    is_told: bool,
    /// That it came back.
    back: Option<Back>,
    /// The key that was written last, and when.
    written: Option<(String, Timestamp)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Back {
    since: Timestamp,
    after: Duration,
    at: Timestamp,
}

/// What there is to tell of an alert.
enum News {
    Silent { step: u32, after: Duration },
    Back(Back),
}

/// All alerts that must come.
#[derive(Debug)]
pub struct Watchdogs {
    watches: Vec<Watch>,
    /// When time was counted last.
    alive: Timestamp,
    /// A longer time between two looks was no listening: the machine slept, or its clock was set.
    longest_look: Duration,
}

impl Watchdogs {
    /// From now on, with what a predecessor knew: the value of [`Watchdogs::to_json`], which may be anything.
    pub fn new(rules: Vec<Rule>, known: &Value, now: Timestamp) -> Self {
        let look = look_every(&rules);
        let mut watches: Vec<Watch> = rules.into_iter().map(|rule| Watch::restore(rule, known, now)).collect();
        let longest_look = look * 10;
        // It may have been killed just before it would have written down how long it had listened.
        let at = known.get("at").and_then(Value::as_str).and_then(|at| at.parse().ok()).unwrap_or(now);
        let unwritten = save_every(&watches) + longest_look;
        for watch in watches.iter_mut().filter(|watch| watch.is_known(known)) {
            watch.silent += passed(at.max(watch.last), now).min(unwritten);
        }
        Watchdogs { watches, alive: now, longest_look }
    }

    /// Whether there is anything to watch.
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// How often to call [`Watchdogs::count`] and [`Watchdogs::records`].
    pub fn look_every(&self) -> Duration {
        self.longest_look / 10
    }

    /// How often to keep [`Watchdogs::to_json`].
    pub fn save_every(&self) -> Duration {
        save_every(&self.watches)
    }

    /// Whether this is an alert that only says that all is well.
    pub fn is_one(&self, alert: &Alert) -> bool {
        self.watches.iter().any(|watch| watch.rule.name == alert.name())
    }

    /// Notes an alert that came; true if it is one of these, and so nobody's but ours. That one is resolved is no sign
    /// of life: Prometheus does not fire it any more.
    pub fn hear(&mut self, alert: &Alert, now: Timestamp) -> bool {
        let Some(watch) = self.watches.iter_mut().find(|watch| watch.rule.name == alert.name()) else { return false };
        if alert.status == Status::Firing {
            watch.hear(now);
        }
        true
    }

    /// Counts the time since the last call as silence.
    pub fn count(&mut self, now: Timestamp) {
        let passed = passed(self.alive, now).min(self.longest_look);
        self.alive = now;
        for watch in &mut self.watches {
            watch.silent += passed;
        }
    }

    /// What the administrators are to be told at this moment, one record for each of them.
    pub fn records(&mut self, admins: &[(Chat, Option<i64>)], words: &Words, now: Timestamp) -> Vec<Record> {
        let mut records = Vec::new();
        for watch in &mut self.watches {
            let Some((key, news)) = watch.due(now) else { continue };
            let (title, text) = watch.say(&news, words, now);
            let status = match news {
                News::Silent { .. } => "firing",
                News::Back(_) => "resolved",
            };
            let id = Digest::of(key.as_bytes()).short();
            for (n, (chat, thread)) in admins.iter().enumerate() {
                let mut record = Record::new(chat.clone(), text.clone(), Format::Html);
                record.id = format!("{id}-{n}");
                record.thread = *thread;
                record.about = key.rsplit_once(' ').map(|(about, _)| about.to_owned());
                record.key = Some(key.clone());
                record.title = title.clone();
                let count_by = [("alertname", watch.rule.name.as_str()), ("severity", "critical"), ("status", status)];
                record.count_by = count_by.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
                records.push(record);
            }
        }
        records
    }

    /// Each alert, when it came last, and whether it is silent.
    pub fn states(&self) -> impl Iterator<Item = (&str, Option<Timestamp>, bool)> {
        self.watches
            .iter()
            .map(|watch| (watch.rule.name.as_str(), watch.is_heard.then_some(watch.last), watch.is_silent()))
    }

    /// What a successor has to know.
    pub fn to_json(&self) -> Value {
        let watches: serde_json::Map<String, Value> =
            self.watches.iter().map(|watch| (watch.rule.name.clone(), watch.to_json())).collect();
        json!({"at": self.alive.to_string(), "watches": watches})
    }
}

/// Short times are looked at more often.
fn look_every(rules: &[Rule]) -> Duration {
    let shortest = rules.iter().map(|rule| rule.within).min().unwrap_or(DAY);
    (shortest / 4).min(Duration::from_secs(1))
}

fn save_every(watches: &[Watch]) -> Duration {
    let shortest = watches.iter().map(|watch| watch.rule.within).min().unwrap_or(DAY);
    (shortest / 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
}

fn passed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Watch {
    fn restore(rule: Rule, known: &Value, now: Timestamp) -> Self {
        let state = &known["watches"][&rule.name];
        let time = |value: &Value| value.as_str().and_then(|time| time.parse::<Timestamp>().ok());
        // Reminders are counted up to it, and a day's silence is written down as what it is.
        let span = |value: &Value| value.as_u64().map(|ms| Duration::from_millis(ms).min(config::LONGEST_TIME));
        let back = &state["back"];
        let back = match (time(&back["since"]), span(&back["after_ms"]), time(&back["at"])) {
            (Some(since), Some(after), Some(at)) => Some(Back { since, after, at }),
            _ => None,
        };
        Watch {
            last: time(&state["last"]).unwrap_or(now),
            is_heard: state["heard"] == true,
            silent: span(&state["silent_ms"]).unwrap_or_default(),
            is_told: state["told"] == true,
            back,
            written: None,
            rule,
        }
    }

    fn is_known(&self, known: &Value) -> bool {
        !known["watches"][&self.rule.name].is_null()
    }

    fn to_json(&self) -> Value {
        let back = self.back.as_ref().map(
            |back| json!({"since": back.since.to_string(), "after_ms": millis(back.after), "at": back.at.to_string()}),
        );
        json!({"last": self.last.to_string(), "heard": self.is_heard, "silent_ms": millis(self.silent),
            "told": self.is_told, "back": back})
    }

    fn is_silent(&self) -> bool {
        self.silent >= self.rule.within
    }

    fn hear(&mut self, now: Timestamp) {
        // Who was not told of a silence is not told of its end.
        if self.is_told {
            self.back = Some(Back { since: self.last, after: self.silent, at: now });
        }
        (self.last, self.is_heard, self.silent, self.is_told) = (now, true, Duration::ZERO, false);
    }

    fn news(&self, now: Timestamp) -> Option<(String, News, Duration)> {
        let about = |since: Timestamp| format!("watchdog {} {since}", self.rule.name);
        if let Some((step, after)) = step(self.rule.within, self.silent) {
            let key = format!("{} {step}", about(self.last));
            return Some((key, News::Silent { step, after }, self.silent - after));
        }
        let back = self.back.clone()?;
        let age = passed(back.at, now);
        (age < AGAIN_FOR).then(|| (format!("{} back", about(back.since)), News::Back(back), age))
    }

    /// What is new, or is to be written once more.
    fn due(&mut self, now: Timestamp) -> Option<(String, News)> {
        let (key, news, age) = self.news(now)?;
        let is_new = self.written.as_ref().is_none_or(|(written, _)| *written != key);
        let is_again = age < AGAIN_FOR && self.written.as_ref().is_some_and(|(_, at)| passed(*at, now) >= AGAIN_EVERY);
        if !is_new && !is_again {
            return None;
        }
        match &news {
            News::Silent { .. } if is_new => {
                log::error!("Alertmanager is silent: no alert {:?} since {:.0}", self.rule.name, self.last);
            }
            News::Back(back) if is_new => {
                crate::notice!("Alertmanager is heard again, after {}", duration(back.after.as_secs()));
            }
            _ => {}
        }
        self.is_told |= matches!(news, News::Silent { .. });
        self.written = Some((key.clone(), now));
        Some((key, news))
    }

    /// A title, and the text in Telegram's HTML.
    fn say(&self, news: &News, words: &Words, now: Timestamp) -> (String, String) {
        let name = escape(&self.rule.name);
        match news {
            News::Silent { step, after } => {
                let title = format!("🔴 Alertmanager has been silent for {}", duration(after.as_secs()));
                let since = words.clock(self.last, now, true);
                let since = match self.is_heard {
                    true => format!("No {name} alert since {since}, and it should come every {}.", self.every()),
                    false => format!("No {name} alert has come since alert-route was started at {since}."),
                };
                let still =
                    if *step > 0 { "Still no other alert would arrive." } else { "No other alert would arrive." };
                let text = format!(
                    "<b>{title}</b>\n{since} {still}\n\n<b>Check</b>\n1. Does Prometheus run, and fire {name}?\n\
                     2. Does Alertmanager run, and route {name} here?\n3. Does am-recv answer it? See the logs of both."
                );
                (title, text)
            }
            News::Back(back) => {
                let title = format!("✅ Alertmanager is heard again, after {}", duration(back.after.as_secs()));
                let since = words.clock(back.since, now, false);
                let text = format!(
                    "<b>{title}</b>\nSilent from {since} to {}. It sends by itself what is firing still.",
                    words.clock(back.at, now, true)
                );
                (title, text)
            }
        }
    }

    fn every(&self) -> String {
        duration(self.rule.within.as_secs())
    }
}

/// Which reminder a silence has come to, and after how long that is due.
fn step(within: Duration, silent: Duration) -> Option<(u32, Duration)> {
    let (mut step, mut due) = (0, within);
    if silent < due {
        return None;
    }
    loop {
        let next = (due * 4).min(due + DAY);
        if silent < next {
            return Some((step, due));
        }
        (step, due) = (step + 1, next);
    }
}

#[cfg(test)]
mod tests;
