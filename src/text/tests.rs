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
        format!(r#"{{"alerts":[{{"startsAt":"2026-11-22T13:47:00.900Z","endsAt":"{ends_at}"}}],"status":"STATUS"}}"#)
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
    let bad = |source: &str| Words::new("my.jinja", source.to_owned(), TimeZone::UTC, None).err().unwrap_or_default();
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
