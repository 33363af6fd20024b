//! A webhook of Alertmanager's format and the alerts in it, read from whatever a sender makes of that format.
//!
//! Nothing that is missing, null or of an unexpected type loses an alert: it is read as absent. Only a body that is not
//! JSON, has no `alerts` or more than an honest sender's can be, is refused; am-recv looks a body over by the very rules
//! that alert-route reads it by.

mod body;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::config::without_place;
pub use body::MOST as MOST_ALERTS;
use body::{Body, List, Top};

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// Firing, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything that does not say "resolved" needs a person's eye.
    Firing,
    /// The condition is gone.
    Resolved,
}

impl Status {
    /// The word that Alertmanager uses.
    pub fn word(self) -> &'static str {
        match self {
            Status::Firing => "firing",
            Status::Resolved => "resolved",
        }
    }

    fn read(value: Option<&Value>) -> Option<Self> {
        let word = value?.as_str()?;
        Some(if word.eq_ignore_ascii_case("resolved") { Status::Resolved } else { Status::Firing })
    }
}

/// One alert of a webhook.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its own status, else its group's, else firing.
    pub status: Status,
    /// With `alertname` among them, mostly.
    pub labels: Labels,
    /// Mostly `summary` and `description`.
    pub annotations: Labels,
    /// As sent, normally RFC 3339; empty when absent.
    pub starts_at: String,
    /// As sent; Alertmanager's zero time while firing.
    pub ends_at: String,
    /// Where the rule is shown.
    pub generator_url: String,
    /// As sent, else computed as Alertmanager does.
    pub fingerprint: String,
    /// Grafana's own links: `dashboardURL`, `panelURL`, `silenceURL`; empty when absent.
    pub grafana: GrafanaLinks,
}

/// What Grafana's alerting adds to an alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrafanaLinks {
    /// The dashboard that the rule is linked to.
    pub dashboard: String,
    /// The panel of that dashboard.
    pub panel: String,
    /// The form that silences this alert.
    pub silence: String,
}

impl Alert {
    /// The label `alertname`, or nothing.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }

    /// The label `severity`, or nothing.
    pub fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }

    /// Which event this is: the same alert in the same state since the same moment. Without `startsAt` in it, an alert
    /// that flaps would be told once only.
    pub fn key(&self) -> String {
        format!("{} {} {}", self.fingerprint, self.status.word(), self.starts_at)
    }
}

/// One POST of Alertmanager.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// The alerts, in the order sent.
    pub alerts: Vec<Alert>,
    /// The labels by which the group was made; they hold for alerts that were cut, too.
    pub group_labels: Labels,
    /// The receiver's name.
    pub receiver: String,
    /// Alertmanager's own address as it believes people reach it.
    pub external_url: String,
    /// How many alerts of the group `max_alerts` cut off.
    pub truncated_alerts: u64,
}

/// Why a body is not a webhook.
#[derive(Debug, PartialEq)]
pub enum Malformed {
    /// With the reason and the place.
    NotJson(String),
    /// A bare array is what Prometheus itself sends.
    BareArray,
    /// An object without a list `alerts`, or no object.
    NoAlerts,
    /// More than [`MOST_ALERTS`].
    TooMany,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NotJson(reason) => write!(f, "not JSON: {reason}"),
            Malformed::BareArray => {
                f.write_str("a bare array: point Prometheus at Alertmanager, and Alertmanager here")
            }
            Malformed::NoAlerts => f.write_str("no list \"alerts\": not a webhook of Alertmanager"),
            Malformed::TooMany => write!(f, "more than {MOST_ALERTS} alerts in one webhook"),
        }
    }
}

impl std::error::Error for Malformed {}

impl Malformed {
    fn not_json(err: &serde_json::Error) -> Self {
        Malformed::NotJson(format!("{} at line {} column {}", without_place(err), err.line(), err.column()))
    }
}

impl Webhook {
    /// Reads a body or a line.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Webhook::of(Body::read(body, true)?).map(|(_, webhook)| webhook)
    }

    /// How many alerts a body has that [`Webhook::parse`] takes; nothing of it is built.
    pub fn check(body: &[u8]) -> Result<usize, Malformed> {
        Webhook::of(Body::read(body, false)?).map(|(count, _)| count)
    }

    fn of(body: Body) -> Result<(usize, Self), Malformed> {
        match (body.top, body.list) {
            (Top::Array, _) => return Err(Malformed::BareArray),
            (Top::Other, _) | (_, List::Absent) => return Err(Malformed::NoAlerts),
            (Top::Object, List::Null | List::There) => {}
        }
        let map = &body.members;
        let group = Status::read(map.get("status"));
        let alerts = body.alerts.into_iter().map(|(own, mut alert)| {
            alert.status = own.or(group).unwrap_or(Status::Firing);
            alert
        });
        let webhook = Webhook {
            alerts: alerts.collect(),
            group_labels: labels(map.get("groupLabels")),
            receiver: text(map.get("receiver")),
            external_url: text(map.get("externalURL")),
            truncated_alerts: map.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or(0),
        };
        Ok((body.count, webhook))
    }
}

/// An alert with its own status, if it has one.
fn read_alert(value: &Value) -> (Option<Status>, Alert) {
    let labels = labels(value.get("labels"));
    let fingerprint = match text(value.get("fingerprint")) {
        sent if !sent.is_empty() => sent,
        _ => fingerprint(&labels),
    };
    let status = Status::read(value.get("status"));
    let alert = Alert {
        status: status.unwrap_or(Status::Firing),
        annotations: self::labels(value.get("annotations")),
        starts_at: text(value.get("startsAt")),
        ends_at: text(value.get("endsAt")),
        generator_url: text(value.get("generatorURL")),
        grafana: GrafanaLinks {
            dashboard: text(value.get("dashboardURL")),
            panel: text(value.get("panelURL")),
            silence: text(value.get("silenceURL")),
        },
        labels,
        fingerprint,
    };
    (status, alert)
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn labels(value: Option<&Value>) -> Labels {
    let Some(Value::Object(map)) = value else { return Labels::new() };
    map.iter().map(|(name, value)| (name.clone(), text(Some(value)))).collect()
}

/// The fingerprint of a label set as Alertmanager computes it: FNV-1a over the sorted names and values, each followed
/// by the byte 255 (prometheus/common, model/signature.go).
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[255]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(body: &str) -> Alert {
        Webhook::parse(body.as_bytes()).unwrap().alerts.remove(0)
    }

    #[test]
    fn what_is_missing_or_odd_loses_no_alert() {
        for body in [
            r#"{"alerts":[{}]}"#,
            r#"{"alerts":[null]}"#,
            r#"{"alerts":[7]}"#,
            r#"{"alerts":[{"labels":null,"annotations":null,"status":null,"startsAt":null}]}"#,
            r#"{"alerts":[{"labels":[],"annotations":"x","status":3,"fingerprint":""}],"status":{},"version":3}"#,
        ] {
            let alert = one(body);
            assert_eq!((alert.status, alert.name()), (Status::Firing, ""), "{body}");
            assert_eq!(alert.fingerprint, "cbf29ce484222325", "{body}");
        }
    }

    #[test]
    fn the_groups_status_serves_an_alert_without_one() {
        assert_eq!(one(r#"{"status":"resolved","alerts":[{"labels":{"alertname":"a"}}]}"#).status, Status::Resolved);
        assert_eq!(one(r#"{"status":"resolved","alerts":[{"status":"firing"}]}"#).status, Status::Firing);
    }

    #[test]
    fn values_that_are_no_text_are_shown_as_json() {
        let alert = one(r#"{"alerts":[{"labels":{"a":1,"b":null,"c":{"d":[true]}}}]}"#);
        assert_eq!(Vec::from_iter(alert.labels.values()), ["1", "", r#"{"d":[true]}"#]);
    }

    #[test]
    fn a_wrong_byte_is_replaced() {
        let body = b"{\"alerts\":[{\"labels\":{\"alertname\":\"a\xff\"}}]}";
        assert_eq!(Webhook::parse(body).unwrap().alerts[0].name(), "a\u{fffd}");
    }

    #[test]
    fn refusals_say_why() {
        assert_eq!(Webhook::parse(b"[]"), Err(Malformed::BareArray));
        assert_eq!(Webhook::parse(b"{}"), Err(Malformed::NoAlerts));
        assert_eq!(Webhook::parse(b"{\"alerts\":{}}"), Err(Malformed::NoAlerts));
        assert_eq!(Webhook::parse(b"3"), Err(Malformed::NoAlerts));
        let err = Webhook::parse(b"{\"alerts\":\n[}").unwrap_err().to_string();
        assert_eq!(err, "not JSON: expected value at line 2 column 2");
    }

    #[test]
    fn the_fingerprint_is_alertmanagers() {
        // From Alertmanager 0.25.0 itself: tests/data/payloads/06-am025-startsAt-no-fraction.json and others are
        // checked in tests/route.rs; this one is by hand.
        let labels = Labels::from([("a".into(), "b".into())]);
        let mut hash: u64 = 0xcbf29ce484222325;
        for byte in [b'a', 255, b'b', 255] {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100000001b3);
        }
        assert_eq!(fingerprint(&labels), format!("{hash:016x}"));
    }
}
