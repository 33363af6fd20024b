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
mod tests {
    use super::*;

    fn words() -> Words {
        Words::new("default", DEFAULT_TEMPLATE.to_owned(), TimeZone::get("Europe/Moscow").unwrap(), None).unwrap()
    }

    fn webhook(body: &str) -> Webhook {
        Webhook::parse(body.as_bytes()).unwrap()
    }

    fn text(body: &str, now: &str) -> String {
        let webhook = webhook(body);
        let (text, warning) = words().text(&webhook, &webhook.alerts[0], now.parse().unwrap());
        assert_eq!(warning, None);
        text
    }

    #[test]
    fn a_firing_alert() {
        let body = r#"{"alerts":[{"status":"firing","labels":{"alertname":"DiskFull","severity":"critical",
            "instance":"db1:9100","replica":"a"},"annotations":{"summary":"Disk < 10% & shrinking",
            "description":"/var on db1"},"startsAt":"2026-11-22T06:21:24.632Z","endsAt":"0001-01-01T00:00:00Z"}]}"#;
        assert_eq!(
            text(body, "2026-11-22T06:26:30Z"),
            "🔴 <b>DiskFull</b> · critical\nDisk &lt; 10% &amp; shrinking\n\n/var on db1\n\n\
             <b>instance</b> db1:9100\n<i>since 09:21 MSK (5m)</i>"
        );
    }

    #[test]
    fn a_resolved_alert_says_how_long_it_was() {
        let body = r#"{"alerts":[{"status":"resolved","labels":{"alertname":"DiskFull"},"annotations":{"summary":"x"},
            "startsAt":"2026-11-21T20:00:00Z","endsAt":"2026-11-22T02:30:00Z"}]}"#;
        assert_eq!(
            text(body, "2026-11-22T02:30:10Z"),
            "✅ <b>DiskFull</b> · resolved\nx\n\n<i>21 Nov 23:00 – 22 Nov 05:30 MSK (6h 30m)</i>"
        );
    }

    #[test]
    fn a_time_that_says_nothing_is_left_out() {
        let alert = |ends_at: &str| {
            format!(
                r#"{{"alerts":[{{"startsAt":"2026-11-22T13:47:00.900Z","endsAt":"{ends_at}"}}],"status":"STATUS"}}"#
            )
        };
        let when = |body: String, now: &str| {
            let webhook = webhook(&body);
            words().when(&webhook.alerts[0], now.parse().unwrap())
        };
        let firing = |now| when(alert("0001-01-01T00:00:00Z").replace("STATUS", "firing"), now);
        assert_eq!(firing("2026-11-22T13:47:01Z"), "since 16:47 MSK");
        assert_eq!(firing("2026-11-22T13:48:00.800Z"), "since 16:47 MSK");
        assert_eq!(firing("2026-11-22T13:48:00.900Z"), "since 16:47 MSK (1m)");
        assert_eq!(firing("2026-11-22T13:40:00Z"), "since 16:47 MSK", "another clock");
        let resolved = |end: &str| when(alert(end).replace("STATUS", "resolved"), "2026-11-22T14:00:00Z");
        assert_eq!(resolved("2026-11-22T13:47:01.800Z"), "16:47 – 16:47 MSK");
        assert_eq!(resolved("2026-11-22T13:47:30.900Z"), "16:47 – 16:47 MSK (30s)");
    }

    #[test]
    fn a_poor_alert_is_told_all_the_same() {
        assert_eq!(text(r#"{"alerts":[{}]}"#, "2026-11-22T00:00:00Z"), "🔥 <b>alert without a name</b>");
        let odd = r#"{"alerts":[{"startsAt":"yesterday","labels":{"alertname":"<b>"}}]}"#;
        assert_eq!(text(odd, "2026-11-22T00:00:00Z"), "🔥 <b>&lt;b&gt;</b>\n\n<i>since yesterday</i>");
    }

    #[test]
    fn a_bad_template_names_its_line() {
        let bad =
            |source: &str| Words::new("my.jinja", source.to_owned(), TimeZone::UTC, None).err().unwrap_or_default();
        assert!(bad("a\n{% if %}").starts_with("my.jinja:2: syntax error"), "{}", bad("a\n{% if %}"));
        assert!(bad("{{ name|nosuch }}").contains("nosuch"));
        assert!(bad("{{ labels.a.b.c }}").starts_with("my.jinja:1:"));
    }

    #[test]
    fn a_template_that_fails_on_one_alert_gives_plain_facts() {
        let source = "{% if name == 'Bad' %}{{ labels.x.y.z }}{% endif %}ok".to_owned();
        let words = Words::new("t", source, TimeZone::UTC, None).unwrap();
        let webhook = webhook(r#"{"alerts":[{"labels":{"alertname":"Bad"},"annotations":{"summary":"a<b"}}]}"#);
        let (text, warning) = words.text(&webhook, &webhook.alerts[0], Timestamp::UNIX_EPOCH);
        assert_eq!(text, "🔥 Bad: a&lt;b");
        assert!(warning.unwrap().starts_with("the template:1: "));
    }

    #[test]
    fn links_that_telegram_takes_become_buttons() {
        for (url, taken) in [
            ("http://prometheus.example:9090/graph?g0.expr=up", true),
            ("https://10.0.0.1/", true),
            ("http://[::1]:9090/x", true),
            ("http://localhost:9090/graph", false),
            ("http://alertmanager:9093", false),
            ("javascript:alert(1)", false),
            ("http://user:pw@a.example/", false),
            ("http://a.example/a b", false),
            ("http://a.example:port/", false),
            ("http://a..b/", false),
            ("", false),
        ] {
            assert_eq!(is_link(url), taken, "{url}");
        }
        assert!(!is_link(&format!("http://a.b/{}", "x".repeat(LONGEST_URL))));
    }

    #[test]
    fn the_silence_button_opens_a_form_for_exactly_this_alert() {
        let webhook = webhook(
            r#"{"externalURL":"http://am.example:9093","alerts":[{"labels":{"alertname":"X","path":"a\"b"},
                "generatorURL":"http://p.example/graph"}]}"#,
        );
        let buttons = words().buttons(&webhook, &webhook.alerts[0]);
        let urls: Vec<&str> = buttons[0].iter().filter_map(|button| button.url.as_deref()).collect();
        assert_eq!(
            urls,
            [
                "http://p.example/graph",
                "http://am.example:9093/#/silences/new?filter=%7Balertname%3D%22X%22%2Cpath%3D%22a%5C%22b%22%7D"
            ]
        );
    }

    #[test]
    fn titles_are_one_short_line() {
        let webhook = webhook(
            &r#"{"alerts":[{"labels":{"alertname":"A","instance":"h1"}},
            {"labels":{"alertname":"A"},"annotations":{"summary":"one\n two LONG"}}]}"#
                .replace("LONG", &"x".repeat(300)),
        );
        assert_eq!(title(&webhook.alerts[0]), "🔥 A: h1");
        for (summary, expected) in [
            ("Down on h1", "🔥 Down on h1"),
            ("Down", "🔥 Down"),
            ("Down: h1", "🔥 Down: h1"),
            ("Downtime is near", "🔥 Down: Downtime is near"),
            ("h1 is Down", "🔥 Down: h1 is Down"),
        ] {
            let alert = r#"{"alerts":[{"labels":{"alertname":"Down"},"annotations":{"summary":"SUMMARY"}}]}"#;
            assert_eq!(title(&super::tests::webhook(&alert.replace("SUMMARY", summary)).alerts[0]), expected);
        }
        let long = title(&webhook.alerts[1]);
        assert!(long.starts_with("🔥 A: one two xxx") && long.ends_with('…'));
        assert_eq!(long.chars().count(), TITLE_LENGTH);
    }

    #[test]
    fn durations_in_two_units() {
        for (seconds, text) in [
            (0, "0s"),
            (40, "40s"),
            (60, "1m"),
            (119, "1m"),
            (3600, "1h"),
            (3660, "1h 1m"),
            (90_000, "1d 1h"),
            (86_400 + 59, "1d"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }
}
