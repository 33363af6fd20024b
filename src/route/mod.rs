//! From a line to records: every alert of a group is matched by itself, and each chat that wants it gets a record.

mod metrics;
mod station;

use jiff::Timestamp;

use crate::alert::{Alert, Malformed, Status, Webhook};
use crate::line::Digest;
use crate::printable::printable;
use crate::record::{Ack, Format, Record};
use crate::text::{Words, title};
use crate::users::{Subscriber, Users};
pub use metrics::Metrics;
pub use station::{Options, Save, Station};

/// What one line made.
pub struct Routed {
    /// In the order of the alerts, and for each alert in that of the chats.
    pub records: Vec<Record>,
    /// To be written after the records where somebody waits for it.
    pub ack: Ack,
    /// What went wrong on the way without losing anything.
    pub warnings: Vec<String>,
    /// How many alerts nobody gets.
    pub unwanted: u64,
}

/// Makes the records of one line, which does not include its newline.
pub fn route(line: &[u8], users: &Users, words: &Words, now: Timestamp) -> Result<Routed, Malformed> {
    let mut records = Vec::new();
    let webhook = Webhook::parse(line)?;
    let mut routed = route_webhook(&webhook, Digest::of(line), users, words, now, |record| records.push(record));
    routed.records = records;
    Ok(routed)
}

/// The same for a line that was read already; each record is handed on as it is made, and not kept.
fn route_webhook(
    webhook: &Webhook,
    digest: Digest,
    users: &Users,
    words: &Words,
    now: Timestamp,
    mut each: impl FnMut(Record),
) -> Routed {
    let mut count = 0;
    let mut number = |mut record: Record| {
        record.id = format!("{}-{count}", digest.short());
        count += 1;
        each(record);
    };
    let mut warnings = Vec::new();
    let mut unwanted = 0;
    for alert in &webhook.alerts {
        let takers: Vec<&Subscriber> = takers(users, alert, now).collect();
        if takers.is_empty() {
            unwanted += 1;
            continue;
        }
        let (text, warning) = words.text(webhook, alert, now);
        warnings.extend(warning);
        let mut record = Record::new(takers[0].chat.clone(), text, Format::Html);
        record.key = Some(alert.key());
        record.about = Some(alert.fingerprint.clone());
        record.title = title(alert);
        record.buttons = words.buttons(webhook, alert);
        record.count_by =
            [("alertname", alert.name()), ("severity", alert.severity()), ("status", alert.status.word())]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        takers.iter().for_each(|taker| number(addressed(record.clone(), taker)));
    }
    if webhook.truncated_alerts > 0 {
        tell_of_the_cut(webhook, users, words, &digest, now).into_iter().for_each(&mut number);
    }
    let ack = Ack { digest, records: Some(count) };
    Routed { records: Vec::new(), ack, warnings, unwanted }
}

fn takers<'a>(users: &'a Users, alert: &'a Alert, now: Timestamp) -> impl Iterator<Item = &'a Subscriber> {
    users.chats.iter().filter(move |chat| chat.is_silent(now).is_none() && chat.wants(alert))
}

/// tg-send tells a key to a chat once, so what goes to a topic has the topic in it: each of them is told.
fn addressed(mut record: Record, taker: &Subscriber) -> Record {
    record.chat = taker.chat.clone();
    record.thread = taker.thread;
    if let Some(thread) = taker.thread {
        for name in [&mut record.key, &mut record.about].into_iter().flatten() {
            name.push_str(&format!(" topic {thread}"));
        }
    }
    record
}

/// Whoever gets an alert of the group, or would get one that has only the labels that all of the group share, is told
/// that more were cut off.
fn tell_of_the_cut(webhook: &Webhook, users: &Users, words: &Words, digest: &Digest, now: Timestamp) -> Vec<Record> {
    let shared = Alert {
        status: Status::Firing,
        labels: webhook.group_labels.clone(),
        annotations: Default::default(),
        starts_at: String::new(),
        ends_at: String::new(),
        generator_url: String::new(),
        fingerprint: String::new(),
        grafana: Default::default(),
    };
    users
        .chats
        .iter()
        .filter(|chat| chat.is_silent(now).is_none())
        .filter(|chat| webhook.alerts.iter().chain([&shared]).any(|alert| chat.wants(alert)))
        .map(|chat| {
            let mut record = Record::new(chat.chat.clone(), words.cut(webhook), Format::Html);
            record.key = Some(format!("cut {digest}"));
            record.title = format!("✂️ {} more alerts were cut off by Alertmanager", webhook.truncated_alerts);
            addressed(record, chat)
        })
        .collect()
}

/// For a person: who gets each alert of a webhook, and why; and who does not.
fn explain(webhook: &Webhook, users: &Users, is_watchdog: impl Fn(&Alert) -> bool, now: Timestamp) -> String {
    let mut text = String::new();
    for alert in &webhook.alerts {
        text.push_str(&format!("{} ({})\n", printable(&title(alert)), alert.status.word()));
        if is_watchdog(alert) {
            text.push_str("  nobody: its silence is told, to the administrators\n");
            continue;
        }
        for chat in &users.chats {
            let verdict = match (chat.reason(alert), chat.is_silent(now)) {
                (None, _) => "no:   nothing of it matches".to_owned(),
                (_, Some(silence)) => format!("no:   {silence}"),
                (Some(reason), None) => format!("yes:  {}", printable(&reason)),
            };
            let place = chat.thread.map_or(chat.chat.to_string(), |thread| format!("{} topic {thread}", chat.chat));
            text.push_str(&format!("  chat {place:<16} {verdict}\n"));
        }
    }
    if webhook.alerts.is_empty() {
        text.push_str("a webhook without alerts: nobody gets anything\n");
    }
    if webhook.truncated_alerts > 0 {
        text.push_str(&format!("and {} alerts that Alertmanager cut off\n", webhook.truncated_alerts));
    }
    text
}
