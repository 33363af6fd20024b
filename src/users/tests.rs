use super::*;
use crate::alert::{GrafanaLinks, Labels, Status};

fn alert(labels: &[(&str, &str)]) -> Alert {
    Alert {
        status: Status::Firing,
        labels: labels.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        annotations: Labels::new(),
        starts_at: String::new(),
        ends_at: String::new(),
        generator_url: String::new(),
        fingerprint: String::new(),
        grafana: GrafanaLinks::default(),
    }
}

fn wants(value: &str, alert: &Alert) -> bool {
    let users = Users::parse(&format!(r#"{{"1": {value}}}"#)).unwrap();
    assert_eq!(users.warnings, Vec::<String>::new());
    users.chats[0].wants(alert)
}

#[test]
fn the_seeds_patterns() {
    let memory = alert(&[("alertname", "HostOutOfMemory")]);
    for (pattern, wanted) in [
        ("mem|cpu", true),
        ("^host", true),
        ("^mem", false),
        ("*", true),
        ("ALL", true),
        (r"\\w", true),
        (r"\\S+memory$", true),
        ("", true),
    ] {
        assert_eq!(wants(&format!("{pattern:?}").replace(r"\\\\", r"\\"), &memory), wanted, "{pattern}");
    }
    let nameless = alert(&[]);
    assert!(wants(r#""*""#, &nameless) && wants(r#""all""#, &nameless) && wants(r#""\\w""#, &nameless));
    assert!(!wants(r#""\\w+""#, &nameless) && wants(r#"".*""#, &nameless));
}

#[test]
fn case_is_ignored_by_flag_and_not_by_lowering_the_pattern() {
    // Lowered, \S would become \s and \W \w.
    assert!(wants(r#""^\\S+$""#, &alert(&[("alertname", "A")])));
    assert!(!wants(r#""\\W""#, &alert(&[("alertname", "A")])));
}

#[test]
fn any_match_or_any_matcher_set() {
    let value = r#"{"match": ["cpu"], "labels": ["severity=\"page\",team=\"db\"", "job=~\"blackbox.*\""], "x": 1}"#;
    assert!(wants(value, &alert(&[("alertname", "HighCPU")])));
    assert!(wants(value, &alert(&[("severity", "page"), ("team", "db")])));
    assert!(!wants(value, &alert(&[("severity", "page"), ("team", "web")])));
    assert!(wants(value, &alert(&[("job", "blackbox-icmp")])));
    assert!(!wants("{}", &alert(&[("alertname", "HighCPU")])));
    assert!(wants(r#"{"match": "cpu"}"#, &alert(&[("alertname", "HighCPU")])));
}

#[test]
fn one_bad_pattern_disturbs_nobody() {
    let users =
        Users::parse(r#"{"1": "(", "2": "cpu", "x": "y", "3": 7, "@ops": {"match": ["[", "mem"], "thread": 5}}"#)
            .unwrap();
    let chats: Vec<String> = users.chats.iter().map(|user| user.chat.to_string()).collect();
    assert_eq!(chats, ["1", "2", "@ops"]);
    assert_eq!(users.warnings.len(), 4, "{:?}", users.warnings);
    assert!(users.warnings.iter().any(|line| line.starts_with("chat 1: pattern \"(\" is skipped: unclosed group")));
    assert!(users.chats[2].wants(&alert(&[("alertname", "memory")])));
    assert_eq!(users.chats[2].thread, Some(5));
}

#[test]
fn what_is_most_likely_mistyped_is_said() {
    let users = Users::parse(
            r#"{"1": {"mtach": ["x"], "note": "ours", "x": 1}, "2": {"match": "*", "role": "Admin", "lang": "de"},
                "3": {"match": "*", "role": "boss", "lang": "ru"}, "4": {}, "5": {"name": "Ann"}, "6": {"role": "admin"},
                "7": [{"thread": 5, "Labels": ["a=b"]}, {"match": "*", "lang": "en-GB"}], "8": {"lang": 7}}"#,
        )
        .unwrap();
    assert_eq!(
        users.doubts,
        [
            "chat 1: unknown member \"mtach\"; the nearest known one is \"match\"",
            "chat 2: role \"Admin\" is not known; \"admin\" is meant?",
            "chat 2: lang \"de\" is not known; en and ru are",
            "chat 3: role \"boss\" is not known; only \"admin\" is",
            "chat 7: unknown member \"Labels\"; the nearest known one is \"labels\"",
            "chat 8: lang 7 is not known; en and ru are",
        ]
    );
    assert_eq!(users.warnings, Vec::<String>::new());
    assert_eq!(users.idle, [Chat::Id(1), Chat::Id(4), Chat::Id(8)]);
    assert_eq!(users.admins, [(Chat::Id(6), None)]);
}

#[test]
fn muting_ends() {
    let users = Users::parse(r#"{"1": {"match": "*", "muted_until": "2026-01-01T00:00:00Z"}}"#).unwrap();
    assert_eq!(users.chats[0].is_silent("2025-12-31T23:59:59Z".parse().unwrap()), Some("muted"));
    assert_eq!(users.chats[0].is_silent("2026-01-01T00:00:00Z".parse().unwrap()), None);
}

#[test]
fn each_topic_of_a_forum_has_its_own() {
    let users = Users::parse(
        r#"{"-1": [{"match": ["cpu"], "thread": 7, "role": "admin"}, {"labels": "a=b", "thread": "9"}, 7,
                {"match": "(", "thread": 11}], "-2": {"match": "*", "blocked_since": "2026-01-01T00:00:00Z"}}"#,
    )
    .unwrap();
    let topics: Vec<_> = users.chats.iter().map(|user| (user.chat.to_string(), user.thread)).collect();
    let expected = [("-1", Some(7)), ("-1", Some(9)), ("-1", Some(11)), ("-2", None)];
    assert_eq!(topics, expected.map(|(chat, thread)| (chat.to_owned(), thread)));
    assert!(users.chats[1].wants(&alert(&[("a", "b")])) && !users.chats[0].wants(&alert(&[("a", "b")])));
    assert_eq!(
        users.warnings,
        [
            "chat -1: a part of it is skipped: neither a pattern nor an object",
            "chat -1 topic 11: pattern \"(\" is skipped: unclosed group"
        ]
    );
    assert_eq!(users.chats[3].is_silent(Timestamp::UNIX_EPOCH), Some("it has blocked the bot"));
    assert_eq!((users.named, users.admins), (2, vec![(Chat::Id(-1), Some(7))]));
}

#[test]
fn errors_have_a_place() {
    assert_eq!(Users::parse("{\n 1").unwrap_err(), "2:2: not JSON: key must be a string");
    assert!(Users::parse("[]").unwrap_err().starts_with("1:1: a users file is"));
    assert!(Users::parse(" \n").unwrap_err().starts_with("1:1: it is empty"));
}

#[test]
fn a_bad_new_file_leaves_the_old_one_in_force() {
    let path = std::env::temp_dir().join(format!("prometheus-telegram-users-{}", std::process::id()));
    std::fs::write(&path, r#"{"1": "*"}"#).unwrap();
    let mut file = UsersFile::open(&path).unwrap();
    assert!(matches!(file.refresh(), Refresh::Same));
    std::fs::write(&path, r#"{"1": "*", "2": "#).unwrap();
    assert!(matches!(file.refresh(), Refresh::Kept(reason) if reason.contains("not JSON")));
    assert!(matches!(file.refresh(), Refresh::Same), "told once");
    assert_eq!(file.users.chats.len(), 1);
    std::fs::write(&path, r#"{"1": "*", "2": "*"}"#).unwrap();
    assert!(matches!(file.refresh(), Refresh::Reloaded));
    assert_eq!(file.users.chats.len(), 2);
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(file.refresh(), Refresh::Kept(_)));
    assert_eq!(file.users.chats.len(), 2);
    assert!(UsersFile::open(&path).unwrap_err().starts_with("cannot read users file"));
}
#[test]
fn a_file_that_could_not_be_read_is_tried_again_though_nothing_of_it_has_changed() {
    let path = std::env::temp_dir().join(format!("prometheus-telegram-unread-{}", std::process::id()));
    std::fs::write(&path, r#"{"1": "*"}"#).unwrap();
    let mut file = UsersFile::open(&path).unwrap();
    let stamp = write_with_time(&path, b"{\"2\": \"\xff\"}");
    assert!(matches!(file.refresh(), Refresh::Kept(reason) if reason.starts_with("cannot read")));
    assert!(matches!(file.refresh(), Refresh::Same), "told once");
    // As when only the rights were wrong.
    assert_eq!(write_with_time(&path, b"{\"2\": \"*\"}"), stamp);
    assert!(matches!(file.refresh(), Refresh::Reloaded));
    assert_eq!(file.users.chats[0].chat, Chat::Id(2));
    assert!(matches!(file.refresh(), Refresh::Same));
    std::fs::remove_file(&path).unwrap();
}
