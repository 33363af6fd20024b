//! A storm as one message: counted for a person who has ten seconds, with the whole list as a document.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Message, Occasion, Waiting, common, head_line, html, is_resolved, title};
use crate::markup::{self, CAPTION, plain};
use crate::record::Record;
use crate::telegram::{Call, File};
use crate::text::{duration, escape};

/// Kinds of alerts that the summary names.
const NAMED: usize = 6;

/// A document of more records than fetched at once continues in the next message.
pub fn message(run: &[&Waiting], occasion: &Occasion<'_>) -> Message {
    let mut parameters = common(run, occasion);
    parameters.remove("reply_parameters");
    let caption = summary(run, occasion);
    if occasion.changes.plain {
        parameters.insert("caption".into(), plain(&caption).into());
    } else {
        parameters.insert("caption".into(), caption.into());
        parameters.insert("parse_mode".into(), "HTML".into());
    }
    let moment = Timestamp::from_millisecond(occasion.now).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(TimeZone::UTC);
    let name = format!("alerts-{}.txt", moment.strftime("%Y%m%d-%H%M%SZ"));
    let file = File { parameter: "document", name, kind: "text/plain", bytes: document(run).into_bytes() };
    let call = Call { method: "sendDocument", parameters: parameters.into(), file: Some(file) };
    Message { storm: true, ..Message::new(run, None, call) }
}

/// How many of what, worst first, then the first titles as far as they fit into a caption.
fn summary(run: &[&Waiting], occasion: &Occasion<'_>) -> String {
    let head = head_line(run, occasion);
    if let [only] = run {
        return format!("{head}<b>{}</b>\n\nThe whole text is in the file.", escape(&title(&only.record)));
    }
    let resolved = run.iter().filter(|waiting| is_resolved(&waiting.record)).count();
    let firing = run.len() - resolved;
    let mut text = format!("{head}⛈ <b>{} alerts</b> {}\n", run.len(), span(run));
    text.push_str(&match (firing, resolved) {
        (firing, 0) => format!("🔥 {firing} firing\n"),
        (0, resolved) => format!("✅ {resolved} resolved\n"),
        (firing, resolved) => format!("🔥 {firing} firing · ✅ {resolved} resolved\n"),
    });
    let kinds = count(run);
    text.push('\n');
    for (kind, n) in kinds.iter().take(NAMED) {
        text.push_str(&format!("<b>{n}×</b> {}\n", escape(kind)));
    }
    if kinds.len() > NAMED {
        let rest: usize = kinds[NAMED..].iter().map(|(_, n)| n).sum();
        text.push_str(&format!("<b>{rest}×</b> {} other kinds\n", kinds.len() - NAMED));
    }
    with_titles(text, run)
}

fn with_titles(mut text: String, run: &[&Waiting]) -> String {
    const END: &str = "\nAll of them are in the file.";
    let mut room = CAPTION.visible.saturating_sub(markup::visible_length(&text) + END.chars().count() + 24);
    let mut shown = 0;
    for waiting in run {
        let title = title(&waiting.record);
        let length = title.chars().count() + 1;
        if length > room || shown == 5 {
            break;
        }
        room -= length;
        text.push_str(if shown == 0 { "\n" } else { "" });
        text.push_str(&escape(&title));
        text.push('\n');
        shown += 1;
    }
    if shown > 0 && shown < run.len() {
        text.push_str(&format!("… and {} more\n", run.len() - shown));
    }
    text.push_str(END);
    text
}

fn span(run: &[&Waiting]) -> String {
    let times = || run.iter().map(|waiting| waiting.at);
    let span = times().max().unwrap_or(0) - times().min().unwrap_or(0);
    match u64::try_from(span / 1000).unwrap_or(0) {
        0..=1 => "at once".to_owned(),
        seconds => format!("in {}", duration(seconds)),
    }
}

/// Kinds by name, severity and status, most frequent first.
fn count(run: &[&Waiting]) -> Vec<(String, usize)> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for waiting in run {
        *kinds.entry(kind(&waiting.record)).or_default() += 1;
    }
    let mut kinds: Vec<(String, usize)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    kinds
}

fn kind(record: &Record) -> String {
    let value = |name: &str| record.count_by.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let mut kind = value("alertname").unwrap_or("other messages").to_owned();
    if let Some(severity) = value("severity") {
        kind.push_str(&format!(" · {severity}"));
    }
    if is_resolved(record) {
        kind.push_str(" · resolved");
    }
    // One name must not fill the caption.
    kind.chars().take(80).collect()
}

fn document(run: &[&Waiting]) -> String {
    let mut text = String::new();
    for (n, waiting) in run.iter().enumerate() {
        let at = Timestamp::from_millisecond(waiting.at).unwrap_or(Timestamp::UNIX_EPOCH);
        text.push_str(&format!("#{} · accepted {at:.0}\n{}\n", n + 1, plain(&html(&waiting.record)).trim()));
        for button in waiting.record.buttons.iter().flatten() {
            if let Some(url) = &button.url {
                text.push_str(&format!("{}: {url}\n", button.text));
            }
        }
        text.push('\n');
    }
    text
}
