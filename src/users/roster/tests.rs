//! Single edits, and what they leave in the file.

use super::*;

/// The file `{"-1": before}` after a change, without what every file has around it.
fn changed(before: &str, change: impl FnOnce(&mut Roster)) -> String {
    let mut roster = Roster::parse(&format!("{{\"-1\": {before}}}")).unwrap();
    change(&mut roster);
    assert_eq!(Roster::parse(&roster.to_text()).unwrap(), roster);
    let text = roster.to_text();
    text.strip_prefix("{\n  \"-1\": ").and_then(|rest| rest.strip_suffix("\n}\n")).unwrap_or(&text).to_owned()
}

#[test]
fn a_pattern_is_a_string_where_a_string_says_it_all() {
    for (before, thread, after) in [
        ("\"old\"", None, "\"a b\""),
        ("{}", None, "\"a b\""),
        ("7", None, "\"a b\""),
        ("[]", None, "\"a b\""),
        (r#"{"match": ["x", "y"]}"#, None, "\"a b\""),
        (r#"{"match": "x", "note": 1.50}"#, None, r#"{"match": ["a b"], "note": 1.50}"#),
        (r#"{"labels": ["a=b"]}"#, None, r#"{"labels": ["a=b"], "match": ["a b"]}"#),
        ("\"old\"", Some(1), "\"a b\""),
        ("{}", Some(7), r#"{"thread": 7, "match": ["a b"]}"#),
        (r#"{"thread": 7, "role": "admin"}"#, Some(7), r#"{"thread": 7, "role": "admin", "match": ["a b"]}"#),
        ("\"old\"", Some(7), r#"[{"match": ["old"]}, {"thread": 7, "match": ["a b"]}]"#),
        (r#"[{"match": "x"}, 7]"#, Some(7), r#"[{"match": "x"}, 7, {"thread": 7, "match": ["a b"]}]"#),
        (r#"[{"match": "x", "thread": "7"}]"#, Some(7), r#"{"match": ["a b"], "thread": "7"}"#),
    ] {
        assert_eq!(changed(before, |roster| roster.set_match(-1, thread, "a b")), after, "{before}");
    }
}

#[test]
fn sets_are_added_and_taken_by_what_they_mean() {
    let mut roster = Roster::default();
    assert!(roster.subscribe(5, None, "severity=critical,team=~db"));
    assert!(!roster.subscribe(5, None, "{team=~\"db\", severity=\"critical\"}"));
    assert!(roster.subscribe(5, Some(7), "severity=critical,team=~db"));
    assert_eq!(roster.subscription(5, Some(1)).unwrap().labels, [r#"severity="critical", team=~"db""#]);
    assert_eq!(roster.subscription(5, Some(7)).unwrap().labels, [r#"severity="critical", team=~"db""#]);
    assert!(!roster.unsubscribe(5, None, Some("severity=critical")));
    assert!(roster.unsubscribe(5, None, Some("team=~db , severity = critical")));
    assert!(roster.subscription(5, None).is_none() && roster.subscription(5, Some(7)).is_some());
    assert!(roster.unsubscribe(5, Some(7), None) && !roster.unsubscribe(5, Some(7), None));
    assert!(roster.contains(5));
    assert!(!roster.unsubscribe(6, None, None) && !roster.contains(6));
    roster.set_match(5, None, "(");
    assert!(roster.unsubscribe(5, None, Some("(")), "what cannot be read can be taken away, too");
}

#[test]
fn who_wants_nothing_stays_let_in() {
    for (before, thread, after) in [
        ("\"x\"", None, "{}"),
        (r#"{"match": "x", "labels": "a=b", "muted_until": "x", "lang": "ru"}"#, None, r#"{"lang": "ru"}"#),
        (
            r#"[{"match": "x", "role": "admin"}, {"match": "y", "thread": 7}]"#,
            Some(7),
            r#"{"match": "x", "role": "admin"}"#,
        ),
        (
            r#"[{"match": "x", "role": "admin"}, {"match": "y", "thread": 7}]"#,
            None,
            r#"{"role": "admin", "match": "y", "thread": 7}"#,
        ),
        (
            r#"[{"match": "x", "note": 1}, {"match": "y", "thread": 7}]"#,
            None,
            r#"[{"note": 1}, {"match": "y", "thread": 7}]"#,
        ),
        (r#"{"match": "y", "thread": 7}"#, None, r#"{"match": "y", "thread": 7}"#),
    ] {
        assert_eq!(changed(before, |roster| roster.clear(-1, thread)), after, "{before}");
    }
}

#[test]
fn an_expression_is_dropped_and_labels_stay() {
    for (before, thread, after) in [
        (r#""x""#, None, "{}"),
        (r#"{"match": ["x", "y"], "labels": ["a=b"]}"#, None, r#"{"labels": ["a=b"]}"#),
        (r#"{"labels": ["a=b"]}"#, None, r#"{"labels": ["a=b"]}"#),
        (
            r#"[{"match": "x"}, {"match": "a=b", "labels": ["a=b"], "thread": 7}]"#,
            Some(7),
            r#"[{"match": "x"}, {"labels": ["a=b"], "thread": 7}]"#,
        ),
    ] {
        assert_eq!(changed(before, |roster| roster.clear_match(-1, thread)), after, "{before}");
    }
}

#[test]
fn silence_is_of_a_topic_and_of_all_its_objects() {
    let until = Some("2026-01-02T03:04:05Z".parse().unwrap());
    for (before, thread, after) in [
        (r#""x""#, None, r#"{"match": ["x"], "muted_until": "2026-01-02T03:04:05Z"}"#),
        (
            r#"[{"match": "x", "muted_until": "y"}, {"match": "z"}, {"match": "t", "thread": 7}]"#,
            Some(1),
            r#"[{"match": "x", "muted_until": "2026-01-02T03:04:05Z"}, {"match": "z", "muted_until": "2026-01-02T03:04:05Z"}, {"match": "t", "thread": 7}]"#,
        ),
        (r#""x""#, Some(7), r#""x""#),
    ] {
        let muted = changed(before, |roster| roster.set_muted(-1, thread, until));
        assert_eq!(muted, after, "{before}");
        let told = changed(&muted, |roster| roster.set_muted(-1, thread, None));
        assert!(!told.contains("muted"), "{told}");
    }
    assert_eq!(changed(r#"{"match": ["x"], "muted_until": "y"}"#, |roster| roster.set_muted(-1, None, None)), r#""x""#);
    // Whoever wants nothing in one topic any more has not silenced another one.
    let other = changed(r#"{"thread": 7, "muted_until": "y"}"#, |roster| roster.set_match(-1, Some(9), "a"));
    assert_eq!(other, r#"{"thread": 9, "match": ["a"]}"#);
}

#[test]
fn what_is_said_of_a_chat_stands_in_its_first_object() {
    let mut roster = Roster::parse(r#"{"5": [{"match": "x"}, {"match": "y", "thread": 7, "lang": "ru"}]}"#).unwrap();
    assert_eq!(roster.lang(5).as_deref(), Some("ru"));
    roster.set_lang(5, "en");
    roster.set_role(5, Some("admin"));
    roster.set_name(5, "Ann \"A\" Ops");
    let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    roster.set_blocked(5, Some(at));
    assert_eq!(
        roster.to_text().lines().nth(1).unwrap(),
        r#"  "5": [{"match": "x", "lang": "en", "role": "admin", "name": "Ann \"A\" Ops", "blocked_since": "2026-01-02T03:04:05Z"}, {"match": "y", "thread": 7}]"#
    );
    assert_eq!((roster.role(5).as_deref(), roster.name(5).as_deref()), (Some("admin"), Some("Ann \"A\" Ops")));
    assert_eq!(roster.blocked(5), Some(at));
    roster.set_role(5, None);
    roster.set_blocked(5, None);
    assert_eq!((roster.role(5), roster.blocked(5)), (None, None));
    roster.set_lang(6, "ru");
    assert!(!roster.contains(6), "nobody is let in by having a language");
}

#[test]
fn a_chat_that_moved_keeps_its_place_or_joins() {
    let file = r#"{"-1": {"match": "a", "blocked_since": "x", "n": 1}, "@c": "x", "-2": "b"}"#;
    let mut roster = Roster::parse(file).unwrap();
    assert!(roster.migrate(-1, -100) && !roster.migrate(-1, -100));
    assert_eq!(
        roster.to_text(),
        "{\n  \"-100\": {\"match\": \"a\", \"n\": 1},\n  \"@c\": \"x\",\n  \"-2\": \"b\"\n}\n"
    );
    assert!(roster.migrate(-2, -100));
    assert_eq!(roster.to_text(), "{\n  \"-100\": {\"match\": [\"a\", \"b\"], \"n\": 1},\n  \"@c\": \"x\"\n}\n");
    let merged =
        changed(r#"[{"match": "a", "lang": "ru"}, {"match": "t", "thread": 7, "muted_until": "m"}]"#, |roster| {
            roster.set_match(-5, None, "b");
            roster.set_match(-5, Some(9), "c");
            assert!(roster.migrate(-5, -1));
        });
    assert_eq!(
        merged,
        r#"[{"match": ["a", "b"], "lang": "ru"}, {"match": "t", "thread": 7, "muted_until": "m"}, {"thread": 9, "match": ["c"]}]"#
    );
}

#[test]
fn the_last_of_two_equal_keys_counts_and_all_of_a_chat_are_removed() {
    let mut roster = Roster::parse(r#"{"5": "a", "6": "b", "5": "c"}"#).unwrap();
    assert_eq!(roster.to_text(), "{\n  \"5\": \"c\",\n  \"6\": \"b\"\n}\n");
    let mut twice = Roster::parse(r#"{"5": "a", "+5": "b"}"#).unwrap();
    assert!(twice.remove(5) && !twice.contains(5) && !twice.remove(5));
    roster.remove(5);
    roster.remove(6);
    assert_eq!(roster.to_text(), "{}\n");
}
