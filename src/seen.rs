//! The alerts that were seen lately, so that a person who writes a pattern can be told what it fits.
//!
//! alert-route keeps them in a small file and tg-bot reads it. It is an aid: what is lost of it loses no alert, and a
//! file that cannot be read is an empty one.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::alert::{Alert, Labels, Status};
use crate::users::Wish;

/// Distinct alerts that are kept.
pub const MOST: usize = 500;

/// An alert with more bytes of labels is not kept: the file stays below two megabytes.
const LABELS: usize = 4 << 10;

/// A larger file was not written by us: bytes.
const LARGEST: u64 = 16 << 20;

/// An alert as it was seen last.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenAlert {
    /// With `alertname` among them, mostly.
    pub labels: Labels,
    /// At that time.
    pub status: Status,
    /// When it came.
    pub at: Timestamp,
}

/// The last [`MOST`] distinct alerts.
#[derive(Debug, Default)]
pub struct Seen {
    /// By fingerprint, with its place in `order`.
    alerts: HashMap<String, (u64, SeenAlert)>,
    /// Fingerprints, the newest last.
    order: BTreeMap<u64, String>,
    next: u64,
}

impl Seen {
    /// Notes an alert; false where its labels are too much to be kept.
    pub fn note(&mut self, alert: &Alert, now: Timestamp) -> bool {
        let fresh = || SeenAlert { labels: alert.labels.clone(), status: alert.status, at: now };
        self.insert(&alert.fingerprint, alert.status, now, &alert.labels, fresh)
    }

    fn insert(
        &mut self,
        fingerprint: &str,
        status: Status,
        at: Timestamp,
        labels: &Labels,
        fresh: impl FnOnce() -> SeenAlert,
    ) -> bool {
        let place = self.next;
        let name = match self.alerts.get_mut(fingerprint) {
            Some((old, seen)) => {
                (seen.status, seen.at) = (status, at);
                let name = self.order.remove(old);
                *old = place;
                name.unwrap_or_default()
            }
            None if labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > LABELS => {
                return false;
            }
            None => {
                self.alerts.insert(fingerprint.to_owned(), (place, fresh()));
                fingerprint.to_owned()
            }
        };
        self.order.insert(place, name);
        self.next += 1;
        if self.order.len() > MOST
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.alerts.remove(&oldest);
        }
        true
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// For the file, the newest first.
    pub fn to_json(&self) -> Value {
        let alerts = self.order.values().rev().filter_map(|fingerprint| {
            let (_, seen) = self.alerts.get(fingerprint)?;
            Some(json!({"fingerprint": fingerprint, "labels": seen.labels, "status": seen.status.word(),
                "at": seen.at.to_string()}))
        });
        alerts.collect()
    }

    /// From the file; what cannot be read is left out.
    pub fn from_json(value: &Value) -> Self {
        let mut seen = Seen::default();
        for (fingerprint, alert) in entries(value).take(MOST).collect::<Vec<_>>().into_iter().rev() {
            seen.insert(&fingerprint, alert.status, alert.at, &alert.labels.clone(), || alert);
        }
        seen
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (String, SeenAlert)> {
    value.as_array().into_iter().flatten().filter_map(|entry| {
        let text = |name: &str| entry.get(name).and_then(Value::as_str);
        let labels = serde_json::from_value(entry.get("labels")?.clone()).ok()?;
        let status = if text("status") == Some("resolved") { Status::Resolved } else { Status::Firing };
        Some((text("fingerprint")?.to_owned(), SeenAlert { labels, status, at: text("at")?.parse().ok()? }))
    })
}

/// Reads the file of `alert-route --seen`, whatever is in it; null where that cannot be read.
pub(crate) fn read_json(path: &Path) -> Value {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
}

/// The alerts in the file of `alert-route --seen`, the newest first; none where it cannot be read.
pub fn read(path: &Path) -> Vec<SeenAlert> {
    let file = read_json(path);
    let alerts = file.get("alerts").map(|alerts| entries(alerts).take(MOST).map(|(_, alert)| alert).collect());
    alerts.unwrap_or_default()
}

/// Those that a wish fits, in the order of `seen`. It is the same code by which alerts are routed.
pub fn fitting<'a>(seen: &'a [SeenAlert], wish: &Wish) -> impl Iterator<Item = &'a SeenAlert> {
    seen.iter().filter(|alert| wish.holds(&alert.labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Webhook;

    fn alert(n: usize) -> Alert {
        let body = format!(r#"{{"alerts":[{{"labels":{{"alertname":"A{n}","severity":"page"}}}}]}}"#);
        Webhook::parse(body.as_bytes()).unwrap().alerts.remove(0)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn names(seen: &[SeenAlert]) -> Vec<&str> {
        seen.iter().map(|alert| alert.labels["alertname"].as_str()).collect()
    }

    #[test]
    fn the_last_ones_are_kept_each_once() {
        let mut seen = Seen::default();
        for n in 0..MOST + 100 {
            assert!(seen.note(&alert(n), at(n as i64)));
        }
        let mut resolved = alert(200);
        resolved.status = Status::Resolved;
        assert!(seen.note(&resolved, at(10_000)));
        let again = Seen::from_json(&seen.to_json());
        for seen in [&seen, &again] {
            let all: Vec<SeenAlert> = entries(&seen.to_json()).map(|(_, alert)| alert).collect();
            assert_eq!((all.len(), seen.len()), (MOST, MOST));
            assert_eq!(names(&all)[..3], ["A200", "A599", "A598"]);
            assert_eq!(all[0], SeenAlert { labels: resolved.labels.clone(), status: Status::Resolved, at: at(10_000) });
            assert_eq!(all.last().unwrap().at, at(100));
        }
    }

    #[test]
    fn huge_labels_are_not_kept() {
        let mut huge = alert(1);
        huge.labels.insert("x".to_owned(), "x".repeat(LABELS));
        let mut seen = Seen::default();
        assert!(!seen.note(&huge, at(1)) && seen.is_empty());
    }

    #[test]
    fn whatever_the_file_holds_is_read_as_far_as_it_goes() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-seen-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert_eq!(read(&path), []);
        for (text, count) in [
            ("", 0),
            ("{", 0),
            ("[]", 0),
            (r#"{"alerts": 7}"#, 0),
            (
                r#"{"alerts": [7, {}, {"fingerprint": "a", "labels": {"a": 1}, "at": "x"},
                {"fingerprint": "b", "labels": {"a": "b"}, "at": "2026-01-01T00:00:00Z", "new": 1}]}"#,
                1,
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(&path).len(), count, "{text}");
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_a_wish_fits() {
        let mut seen = Seen::default();
        for n in [3, 13, 4] {
            seen.note(&alert(n), at(n as i64));
        }
        let all: Vec<SeenAlert> = entries(&seen.to_json()).map(|(_, alert)| alert).collect();
        let fitting = |wish: Wish| super::fitting(&all, &wish).cloned().collect::<Vec<_>>();
        assert_eq!(names(&fitting(Wish::by_name("a.*3$").unwrap())), ["A13", "A3"]);
        assert_eq!(fitting(Wish::by_name("*").unwrap()).len(), 3);
        assert_eq!(fitting(Wish::by_labels("severity=page,alertname!~A1.*").unwrap()).len(), 2);
    }
}
