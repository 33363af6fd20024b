//! The words of an alert: a template makes them, every value in it is escaped, and people see local times.
//!
//! The default template is `example_config/alert.html.jinja`, in the same language (Jinja) and with the same values as
//! anybody's own. Links become buttons where Telegram would take them.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Value, context};

use crate::alert::{Alert, Labels, Status, Webhook};
use crate::record::Button;

/// The template that is used where nobody names one.
pub const DEFAULT_TEMPLATE: &str = include_str!("../example_config/alert.html.jinja");

/// Labels that say how Prometheus is set up rather than what is wrong, and those that the first line shows.
const UNINTERESTING: [&str; 8] =
    ["alertname", "severity", "prometheus", "prometheus_replica", "replica", "endpoint", "monitor", "grafana_folder"];

/// Buttons in a row: more than this is hard to hit with a thumb.
const BUTTONS_IN_A_ROW: usize = 3;

/// A longer address is not made a button. Telegram gives no figure; browsers agree on about this one.
const LONGEST_URL: usize = 2048;

/// The characters of a title.
const TITLE_LENGTH: usize = 120;

/// Makes texts, titles and buttons of alerts.
pub struct Words {
    environment: Environment<'static>,
    zone: TimeZone,
    alertmanager_url: Option<String>,
}

impl Words {
    /// Compiles a template; `source` is its text and `name` what an error calls it.
    pub fn new(name: &str, source: String, zone: TimeZone, alertmanager_url: Option<String>) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(|err| err.to_string())?,
        );
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_formatter(|out, _, value| {
            if value.is_undefined() || value.is_none() {
                Ok(())
            } else if value.is_safe() {
                write!(out, "{value}").map_err(Into::into)
            } else {
                out.write_str(&escape(&value.to_string())).map_err(Into::into)
            }
        });
        let shown = name.to_owned();
        environment.add_template_owned("alert", source).map_err(|err| template_error(&shown, &err))?;
        let words = Words { environment, zone, alertmanager_url };
        // Whatever the template does with an alert, it must be able to do with a poor one.
        let poor = Webhook::parse(br#"{"alerts":[{}]}"#).map_err(|err| err.to_string())?;
        words.render(&poor, &poor.alerts[0], Timestamp::UNIX_EPOCH).map_err(|err| template_error(&shown, &err))?;
        Ok(words)
    }

    /// The text of an alert, in Telegram's HTML. A template that fails on this one alert gives way to plain facts.
    pub fn text(&self, webhook: &Webhook, alert: &Alert, now: Timestamp) -> (String, Option<String>) {
        match self.render(webhook, alert, now) {
            Ok(text) if !text.trim().is_empty() => (text.trim().to_owned(), None),
            Ok(_) => (escape(&title(alert)), Some("the template made an empty text".to_owned())),
            Err(err) => (escape(&title(alert)), Some(template_error("the template", &err))),
        }
    }

    fn render(&self, webhook: &Webhook, alert: &Alert, now: Timestamp) -> Result<String, minijinja::Error> {
        let annotation = |name: &str| alert.annotations.get(name).map_or("", |text| text.trim());
        let summary = match annotation("summary") {
            "" => annotation("message"),
            text => text,
        };
        let description = annotation("description");
        let details: Vec<Value> = (alert.labels.iter())
            .filter(|(name, value)| !value.is_empty() && !UNINTERESTING.contains(&name.as_str()))
            .map(|(name, value)| context! { name, value })
            .collect();
        self.environment.get_template("alert")?.render(context! {
            icon => icon(alert),
            status => alert.status.word(),
            firing => alert.status == Status::Firing,
            name => shown_name(alert),
            severity => alert.severity(),
            summary,
            description => if description == summary { "" } else { description },
            details,
            labels => Value::from(&alert.labels),
            annotations => Value::from(&alert.annotations),
            when => self.when(alert, now),
            starts_at => &alert.starts_at,
            ends_at => &alert.ends_at,
            fingerprint => &alert.fingerprint,
            generator_url => &alert.generator_url,
            receiver => &webhook.receiver,
            external_url => &webhook.external_url,
            group_labels => Value::from(&webhook.group_labels),
        })
    }

    /// When it began, and for how long; in the zone of the people.
    fn when(&self, alert: &Alert, now: Timestamp) -> String {
        let Ok(start) = alert.starts_at.parse::<Timestamp>() else {
            return if alert.starts_at.is_empty() { String::new() } else { format!("since {}", alert.starts_at) };
        };
        // Alertmanager's zero time is the year 1.
        let end = alert.ends_at.parse::<Timestamp>().ok().filter(|end| *end > start);
        match (alert.status, end) {
            (Status::Resolved, Some(end)) => {
                let lasted = lasted(start, end, 1);
                format!("{} – {}{lasted}", self.clock(start, now, false), self.clock(end, start, true))
            }
            (Status::Resolved, None) => format!("began {}", self.clock(start, now, true)),
            // Seconds say nothing: they are how long Prometheus and Alertmanager take to tell.
            (Status::Firing, _) => format!("since {}{}", self.clock(start, now, true), lasted(start, now, 60)),
        }
    }

    /// Hour and minute, with the day where it is not that of `other`, and with the zone's name where asked.
    pub(crate) fn clock(&self, time: Timestamp, other: Timestamp, zone: bool) -> String {
        let (time, other) = (time.to_zoned(self.zone.clone()), other.to_zoned(self.zone.clone()));
        let day = match (time.date() == other.date(), time.year() == other.year()) {
            (true, _) => "",
            (false, true) => "%-d %b ",
            (false, false) => "%-d %b %Y ",
        };
        let form = format!("{day}%H:%M{}", if zone { " %Z" } else { "" });
        strtime::format(&form, &time).unwrap_or_else(|_| time.to_string())
    }

    /// Links of an alert, as rows of buttons.
    pub fn buttons(&self, webhook: &Webhook, alert: &Alert) -> Vec<Vec<Button>> {
        let annotation = |name: &str| alert.annotations.get(name).map_or("", String::as_str);
        let silence = match (alert.status, alert.grafana.silence.as_str()) {
            (Status::Resolved, _) => String::new(),
            (Status::Firing, "") => self.silence_url(webhook, alert),
            (Status::Firing, sent) => sent.to_owned(),
        };
        let links = [
            ("📈 Graph", alert.generator_url.as_str()),
            ("📊 Panel", alert.grafana.panel.as_str()),
            ("📊 Dashboard", alert.grafana.dashboard.as_str()),
            ("📊 Dashboard", annotation("dashboard_url")),
            ("📖 Runbook", annotation("runbook_url")),
            ("🔕 Silence", silence.as_str()),
        ];
        let buttons: Vec<Button> = links
            .into_iter()
            .filter(|(_, url)| is_link(url))
            .map(|(text, url)| Button { text: text.to_owned(), url: Some(url.to_owned()), data: None })
            .collect();
        buttons.chunks(BUTTONS_IN_A_ROW).map(<[Button]>::to_vec).collect()
    }

    /// Alertmanager's form for a new silence of exactly this alert.
    fn silence_url(&self, webhook: &Webhook, alert: &Alert) -> String {
        let root = self.alertmanager_url.as_deref().unwrap_or(&webhook.external_url).trim_end_matches('/');
        if root.is_empty() || alert.labels.is_empty() {
            return String::new();
        }
        let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let filter: Vec<String> =
            alert.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
        format!("{root}/#/silences/new?filter={}", percent_encode(&format!("{{{}}}", filter.join(","))))
    }

    /// What is said of alerts that Alertmanager cut from the group, in Telegram's HTML.
    pub fn cut(&self, webhook: &Webhook) -> String {
        let group: Vec<&str> = webhook.group_labels.values().map(String::as_str).collect();
        let group = if group.is_empty() { String::new() } else { format!(" of <b>{}</b>", escape(&group.join(" "))) };
        format!(
            "✂️ <b>{} more alerts</b>{group} were cut off by Alertmanager (<code>max_alerts</code>)",
            webhook.truncated_alerts
        )
    }
}

fn template_error(name: &str, err: &minijinja::Error) -> String {
    let place = err.line().map(|line| format!(":{line}")).unwrap_or_default();
    let detail = err.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{name}{place}: {}{detail}", err.kind())
}

fn shown_name(alert: &Alert) -> &str {
    if alert.name().is_empty() { "alert without a name" } else { alert.name() }
}

/// Severities by the names that people give them, worst first; what is not known comes before what can wait.
const SEVERITIES: [(&str, &[&str]); 4] = [
    ("🔴", &["critical", "crit", "page", "emergency", "disaster", "fatal", "error", "high", "p1"]),
    ("🔥", &[]),
    ("🟠", &["warning", "warn", "average", "medium", "p2", "p3"]),
    ("🔵", &["info", "information", "none", "low", "notice", "p4", "p5"]),
];

/// A sign for status and severity, which tells before a word is read, and its rank: 0 is the worst.
pub fn sign(severity: &str, is_resolved: bool) -> (&'static str, usize) {
    if is_resolved {
        return ("✅", SEVERITIES.len());
    }
    let rank = SEVERITIES.iter().position(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(severity)));
    let rank = rank.unwrap_or(1);
    (SEVERITIES[rank].0, rank)
}

fn icon(alert: &Alert) -> &'static str {
    sign(alert.severity(), alert.status == Status::Resolved).0
}

/// One line that stands for an alert in a summary.
pub fn title(alert: &Alert) -> String {
    let name = shown_name(alert);
    let mut title = format!("{} ", icon(alert));
    let summary = ["summary", "message", "description"].iter().find_map(|name| alert.annotations.get(*name));
    let what = match summary {
        Some(text) if !text.trim().is_empty() => text.split_whitespace().collect::<Vec<_>>().join(" "),
        _ => identity(&alert.labels),
    };
    // Many summaries begin with the name themselves.
    let rest = what.strip_prefix(name).filter(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    if rest.is_none() {
        title.push_str(name);
        title.push_str(if what.is_empty() { "" } else { ": " });
    }
    title.push_str(&what);
    shorten(&title, TITLE_LENGTH)
}

/// The labels by which one of many alerts of a name is known.
fn identity(labels: &Labels) -> String {
    let known = ["instance", "host", "node", "pod", "service", "job"];
    known.iter().filter_map(|name| labels.get(*name)).take(2).cloned().collect::<Vec<_>>().join(" ")
}

fn shorten(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        None => text.to_owned(),
        Some(_) => {
            let end = text.char_indices().nth(length - 1).map_or(text.len(), |(at, _)| at);
            format!("{}…", text[..end].trim_end())
        }
    }
}

/// A time in brackets, if it is at least so many seconds.
fn lasted(from: Timestamp, to: Timestamp, least: u64) -> String {
    let seconds = u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0);
    if seconds < least { String::new() } else { format!(" ({})", duration(seconds)) }
}

/// Escapes a value for Telegram's HTML: these four are all that its parser gives a meaning, in text and attributes
/// (tdlib, MessageEntity.cpp, parse_html).
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// Whether Telegram takes this address for a button: http or https, a host with a dot in it or an IPv6 address
/// (tdlib, LinkManager.cpp, get_checked_link_impl: "Wrong HTTP URL"), and no user name, which would be a leak.
pub fn is_link(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("v6.", port)
        }
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let host_ok = host.contains('.')
        && !host.starts_with('.')
        && !host.contains("..")
        && host.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'.' || c == b'_');
    let port_ok =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|n| n > 0));
    host_ok && port_ok && url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The zone of a name such as `Europe/Berlin`; without one, the machine's.
pub fn time_zone(name: Option<&str>) -> Result<TimeZone, String> {
    match name {
        None => Ok(TimeZone::try_system().unwrap_or(TimeZone::UTC)),
        Some(name) => TimeZone::get(name).map_err(|_| format!("time zone {name:?} is not known")),
    }
}

/// A duration in its two largest units: `2d 3h`, `5m`, `40s`.
pub fn duration(seconds: u64) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
    let Some(first) = units.iter().position(|(size, _)| seconds >= *size) else { return format!("{seconds}s") };
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (size, unit) in units[first..].iter().take(2) {
        if rest >= *size {
            parts.push(format!("{}{unit}", rest / size));
        }
        rest %= size;
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests;
