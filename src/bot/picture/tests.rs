//! Keys and captions, by hand and over generated dashboards.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::press::mark;
use super::*;
use crate::grafana::ALL;

fn variable(name: &str, values: &[&str], current: &[&str]) -> Variable {
    let pairs = |values: &[&str]| values.iter().map(|v| ((*v).to_owned(), (*v).to_owned())).collect();
    Variable { name: name.to_owned(), values: pairs(values), current: pairs(current), ..Variable::default() }
}

fn dashboard(time: Option<(&str, &str)>, variables: Vec<Variable>) -> Dashboard {
    let panels = vec![Panel { id: Some(7), title: "CPU <busy> & idle".to_owned(), ..Panel::default() }];
    let time = time.map(|(from, to)| (from.to_owned(), to.to_owned()));
    Dashboard { uid: "d1".to_owned(), title: "Hosts".to_owned(), panels, variables, time, ..Dashboard::default() }
}

fn first() -> Shown {
    Shown { uid: "d1".to_owned(), panel: 7, title: "CPU".to_owned(), ..Shown::default() }
}

fn texts(keyboard: &Value) -> Vec<Vec<&str>> {
    let rows = keyboard["inline_keyboard"].as_array().unwrap().iter();
    rows.map(|row| row.as_array().unwrap().iter().map(|key| key["text"].as_str().unwrap()).collect()).collect()
}

/// Presses the key with this text.
fn press(shown: &Shown, dashboard: &Dashboard, text: &str) -> Shown {
    let keyboard = keyboard(shown, dashboard, 12, &Words::default());
    let mut keys = keyboard["inline_keyboard"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    let key = keys.find(|key| key["text"] == text).unwrap_or_else(|| panic!("no {text} in {keyboard}"));
    let (number, press) = Press::parse(key["callback_data"].as_str().unwrap()).unwrap();
    assert_eq!(number, 12);
    apply(shown, &press, dashboard).unwrap()
}

fn told(shown: &Shown, dashboard: &Dashboard) -> String {
    let at: Timestamp = "2026-11-22T15:30:00Z".parse().unwrap();
    caption(shown, dashboard, &at.to_zoned(TimeZone::get("Europe/Moscow").unwrap()), &Words::default())
}

#[test]
fn the_first_picture_has_the_dashboards_own_range() {
    let open = dashboard(Some(("now-6h", "now")), vec![]);
    assert_eq!(shot(&first(), None), Shot::default());
    assert_eq!(texts(&keyboard(&first(), &open, 1, &Words::default())), [["1h", "• 6h", "24h", "7d", "↻"]]);
    assert_eq!(told(&first(), &open), "<b>CPU &lt;busy&gt; &amp; idle</b>\nHosts · last 6h\n2026-11-22 18:30 MSK");
    for (time, key, words) in [
        (Some(("now-1d", "now")), "• 24h", "last 24h"),
        (Some(("now-2d", "now")), "• default", "last 2d"),
        (Some(("now/d", "now")), "• default", "now/d"),
        (Some(("now/d", "now/d")), "• default", "now/d … now/d"),
        (None, "• default", "the dashboard's own time range"),
    ] {
        let open = dashboard(time, vec![]);
        assert!(texts(&keyboard(&first(), &open, 1, &Words::default()))[0].contains(&key), "{time:?}");
        assert!(told(&first(), &open).contains(words), "{}", told(&first(), &open));
    }
}

#[test]
fn a_range_is_drawn_told_and_marked() {
    let open = dashboard(Some(("now-2d", "now")), vec![]);
    let week = press(&first(), &open, "7d");
    let Shot { from, to, zone, .. } = shot(&week, Some("Europe/Moscow"));
    assert_eq!((from.as_deref(), to.as_deref(), zone.as_deref()), (Some("now-7d"), Some("now"), Some("Europe/Moscow")));
    assert_eq!(texts(&keyboard(&week, &open, 1, &Words::default()))[0], ["1h", "6h", "24h", "• 7d", "default", "↻"]);
    assert!(told(&week, &open).contains("Hosts · last 7d\n"));
    assert_eq!(press(&week, &open, "↻"), week);
    assert_eq!(press(&week, &open, "default"), first());
}

#[test]
fn few_values_stand_in_rows_and_many_behind_a_key() {
    let mut host = variable("host", &["a", "b"], &["a"]);
    host.label = "Host".to_owned();
    let few = dashboard(None, vec![host.clone(), variable("env", &["prod", "dev", "test"], &["prod"])]);
    let shown = press(&first(), &few, "dev");
    assert_eq!(
        texts(&keyboard(&shown, &few, 1, &Words::default()))[1..],
        [vec!["• a", "b"], vec!["prod", "• dev", "test"]]
    );
    assert_eq!(shot(&shown, None).variables, [("env".to_owned(), "dev".to_owned())]);
    assert!(told(&shown, &few).contains(" · Host: a · env: dev\n"), "{}", told(&shown, &few));
    let many = dashboard(None, vec![host, variable("env", &["1", "2", "3", "4", "5", "6", "7", "8"], &["1"])]);
    assert_eq!(texts(&keyboard(&shown, &many, 1, &Words::default()))[1], ["Host: a ▾", "env: dev ▾"]);
    let menu = press(&first(), &many, "env: 1 ▾");
    assert_eq!(menu, Shown { open: Some("env".to_owned()), ..first() });
    assert!(!Press::Variable(String::new()).redraws() && Press::Refresh.redraws());
    let values = keyboard(&menu, &many, 1, &Words::default());
    assert_eq!(texts(&values), [vec!["• 1", "2", "3", "4"], vec!["5", "6", "7", "8"], vec!["◂ back"]]);
    assert_eq!(press(&menu, &many, "◂ back"), first());
    assert_eq!(press(&menu, &many, "8").variables, [("env".to_owned(), "8".to_owned())]);
}

#[test]
fn only_what_changes_something_is_offered() {
    let hidden = Variable { hidden: true, ..variable("hidden", &["a", "b"], &["a"]) };
    let deaf = Variable { skip_url: true, ..variable("deaf", &["a", "b"], &["a"]) };
    let nine = variable("nine", &["1", "2", "3", "4", "5", "6", "7", "8", "9"], &["1"]);
    let mut all = variable("all", &["a", "b"], &[]);
    all.values.insert(0, ("All".to_owned(), ALL.to_owned()));
    all.current = vec![("All".to_owned(), ALL.to_owned())];
    let open = dashboard(None, vec![hidden, deaf, nine, variable("one", &["a"], &["a"]), all]);
    assert_eq!(texts(&keyboard(&first(), &open, 1, &Words::default()))[1..], [["• All", "a", "b"]]);
    assert!(told(&first(), &open).contains(" · deaf: a · nine: 1 · one: a · all: All\n"), "{}", told(&first(), &open));
}

/// As in the picture itself.
#[test]
fn a_title_says_which_values_it_shows() {
    let mut open =
        dashboard(None, vec![variable("host", &["a", "b"], &["a", "b"]), variable("env", &["prod", "dev"], &["prod"])]);
    for (title, words) in [
        ("Load of $host in ${env:text}", "Load of a + b in dev"),
        ("[[env]] $hostname $5 $$env", "dev $hostname $5 $dev"),
        ("${} [[]] $ ${env", "${} [[]] $ ${env"),
    ] {
        open.panels[0].title = title.to_owned();
        let shown = press(&first(), &open, "dev");
        assert!(told(&shown, &open).starts_with(&format!("<b>{words}</b>")), "{}", told(&shown, &open));
    }
}

/// The dashboard was changed between the picture and the press.
#[test]
fn a_key_chooses_what_it_showed_or_nothing() {
    let before =
        dashboard(None, vec![variable("env", &["prod", "dev"], &["prod"]), variable("host", &["a", "b"], &["a"])]);
    let mark = |name: &str, value: &str| Press::Value(value_mark(&variable(name, &[], &[]), value));
    let after = dashboard(None, vec![variable("host", &["c", "b", "a"], &["c"])]);
    assert_eq!(apply(&first(), &mark("env", "dev"), &after), None);
    let shown = apply(&first(), &mark("env", "dev"), &before).unwrap();
    let shown = apply(&shown, &mark("host", "a"), &after).unwrap();
    assert_eq!(shown.variables, [("host".to_owned(), "a".to_owned())], "what is gone is forgotten");
}

#[test]
fn data_from_anybody_are_read_or_refused() {
    for data in [
        "",
        "p",
        "p:",
        "p:1",
        "p:x:u",
        "p:1:u:",
        "p:+1:u",
        "p:01:u",
        "p:1:r:2h",
        "p:1:r:",
        "p:1:v:",
        "p:1:v:zz",
        "p:1:n:0123456789ABCDEF",
        "q:1:u",
        "p:1:uu",
        "p:99999999999999999999:u",
    ] {
        assert_eq!(Press::parse(data), None, "{data}");
    }
    let mark = mark(&["x"]);
    for press in [
        Press::Range(Range::Own),
        Press::Range(Range::Day),
        Press::Refresh,
        Press::Close,
        Press::Variable(mark.clone()),
        Press::Value(mark),
    ] {
        for number in [i64::MIN, -1, 0, i64::MAX] {
            let data = press.data(number);
            assert!(data.len() <= 64, "{data}");
            assert_eq!(Press::parse(&data), Some((number, press.clone())));
        }
    }
}

#[test]
fn what_is_stored_survives_other_versions() {
    let open = dashboard(None, vec![variable("env", &["prod", "dev"], &["prod"])]);
    let shown = press(&press(&first(), &open, "24h"), &open, "dev");
    let stored = serde_json::to_string(&shown).unwrap();
    assert_eq!(serde_json::from_str::<Shown>(&stored).unwrap(), shown);
    let read: Shown = serde_json::from_str(r#"{"uid":"d1","panel":7,"range":"90d","new":[]}"#).unwrap();
    assert_eq!((read.range, read.panel), (Range::Own, 7));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    /// Telegram takes every keyboard and every caption, and every key does what it says.
    #[test]
    fn any_dashboard_has_a_keyboard_and_a_caption(
        title in "\\PC{0,400}",
        time in prop::option::of(("(now-)?[0-9a-z/]{0,60}", "(now)?\\PC{0,60}")),
        given in prop::collection::vec(("\\PC{0,100}", prop::collection::btree_set("\\PC{0,60}", 0..12)), 0..10),
        zalgo in any::<bool>(),
    ) {
        let time = time.as_ref().map(|(from, to)| (from.as_str(), to.as_str()));
        let mut variables = Vec::new();
        for (n, (name, values)) in given.iter().enumerate() {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            variables.push(variable(&format!("{n}{name}"), &values, &values[..values.len().min(3)]));
        }
        let mut open = dashboard(time, variables);
        open.title = if zalgo { format!("{title}a{}", "\u{301}".repeat(300)).repeat(20) } else { title };
        let mut shown = first();
        for n in 0..8 {
            let keyboard = keyboard(&shown, &open, i64::MIN, &Words::default());
            let rows = keyboard["inline_keyboard"].as_array().unwrap();
            prop_assert!(rows.len() <= 10, "{keyboard}");
            let keys: Vec<&Value> = rows.iter().flat_map(|row| row.as_array().unwrap()).collect();
            for key in &keys {
                prop_assert!(!key["text"].as_str().unwrap().trim().is_empty(), "{key}");
                prop_assert!(key["callback_data"].as_str().unwrap().len() <= 64, "{key}");
            }
            let text = told(&shown, &open);
            let (plain, _) = crate::sandbox::markup::parse(&text, crate::sandbox::markup::Mode::Html).map_err(TestCaseError::fail)?;
            prop_assert!(plain.chars().count() <= 1024, "{plain}");
            let key = keys[(n * 7 + 5) % keys.len()];
            let (_, press) = Press::parse(key["callback_data"].as_str().unwrap()).unwrap();
            let next = apply(&shown, &press, &open);
            prop_assert!(next.is_some(), "{key} leads nowhere");
            shown = next.unwrap();
            if let Press::Value(mark) = &press {
                let (name, value) = shown.variables.last().unwrap();
                prop_assert_eq!(&value_mark(open.variable(name).unwrap(), value), mark);
            }
        }
    }
}
