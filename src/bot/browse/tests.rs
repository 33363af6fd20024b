//! Walks over the keyboards, by hand and over generated titles.

use std::collections::{HashMap, HashSet, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

use super::*;
use crate::grafana::Panel;

fn labels() -> Labels {
    Labels { back: "◀ назад к списку".to_owned() }
}

fn hit(uid: &str, folder: &str, title: &str) -> Hit {
    let slug: String = title.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let mut json = json!({"uid": uid, "title": title, "url": format!("/d/{uid}/{slug}"), "type": "dash-db"});
    if !folder.is_empty() {
        json["folderTitle"] = folder.into();
    }
    serde_json::from_value(json).unwrap()
}

fn panel(id: u64, row: &str, title: &str) -> Panel {
    let row = Some(row.to_owned()).filter(|row| !row.is_empty());
    Panel { id: Some(id), title: title.to_owned(), row, kind: "timeseries".to_owned(), ..Panel::default() }
}

fn dashboard(panels: Vec<Panel>) -> Dashboard {
    Dashboard { uid: "d1".to_owned(), title: "Hosts".to_owned(), panels, ..Dashboard::default() }
}

fn some_hits() -> Vec<Hit> {
    vec![
        hit("d1", "", "Hosts"),
        hit("d2", "Shops", "Web shop"),
        hit("d3", "Shops", "Overview"),
        hit("d4", "Networks", "Overview"),
        hit("stop", "", "/stop"),
    ]
}

fn shown(step: Step) -> Screen {
    match step {
        Step::Show(screen) => screen,
        other => panic!("{other:?}"),
    }
}

fn opened(step: Step) -> String {
    match step {
        Step::OpenDashboard { uid } => uid,
        other => panic!("{other:?}"),
    }
}

fn drawn(step: Step) -> u64 {
    match step {
        Step::Picture { panel_id, .. } => panel_id,
        other => panic!("{other:?}"),
    }
}

fn keys(screen: &Screen) -> Vec<&str> {
    screen.keyboard.iter().flatten().map(String::as_str).collect()
}

#[test]
fn a_few_dashboards_are_one_page_of_titles() {
    let hits = some_hits();
    let screen = dashboards(&hits, &Place::default(), &labels());
    assert_eq!(keys(&screen), ["Hosts", "Web shop", "Shops / Overview", "Networks / Overview", "“/stop”"]);
    assert_eq!(screen.keyboard[0].len(), 2, "short keys share a row: {:?}", screen.keyboard);
    assert_eq!(screen.say, Say::Dashboards { count: 5, folder: None, search: None, page: (1, 1) });
    for (text, uid) in [
        ("Hosts", "d1"),
        ("/hosts", "d1"),
        ("hosts", "d1"),
        ("/web-shop", "d2"),
        ("d2", "d2"),
        ("web", "d2"),
        ("shops/overview", "d3"),
        ("Networks / Overview", "d4"),
        ("“/stop”", "stop"),
    ] {
        assert_eq!(opened(step(text, &screen.place, &hits, None, &labels())), uid, "{text}");
    }
}

#[test]
fn several_that_fit_become_keys_and_going_back_shows_all() {
    let hits = some_hits();
    let screen = shown(step("overview", &Place::default(), &hits, None, &labels()));
    assert_eq!(keys(&screen), ["Shops / Overview", "Networks / Overview", "◀ назад к списку"]);
    assert_eq!(screen.say, Say::Dashboards { count: 2, folder: None, search: Some("overview".into()), page: (1, 1) });
    for word in ["◀ НАЗАД к списку", "go back", "Go Back", "/go back", "назад", ".."] {
        let back = shown(step(word, &screen.place, &hits, None, &labels()));
        assert_eq!(back, dashboards(&hits, &Place::default(), &labels()), "{word}");
    }
    let folder = shown(step("shops", &Place::default(), &hits, None, &labels()));
    assert_eq!(keys(&folder), ["Web shop", "Shops / Overview", "◀ назад к списку"]);
}

#[test]
fn what_is_not_there_gets_the_nearest_names() {
    let hits = some_hits();
    let screen = shown(step("/hots", &Place::default(), &hits, None, &labels()));
    assert_eq!(screen.say, Say::Unknown { text: "hots".into(), dashboard: None, nearest: keys(&screen).len() - 1 });
    assert_eq!(keys(&screen)[0], "Hosts");
    let screen = shown(step("%%%%", &Place::default(), &hits, None, &labels()));
    assert_eq!(screen.keyboard, dashboards(&hits, &Place::default(), &labels()).keyboard);
    let long = "ё".repeat(10_000);
    let screen = shown(step(&long, &Place::default(), &hits, None, &labels()));
    assert!(matches!(&screen.say, Say::Unknown { text, nearest: 0, .. } if text.chars().count() == 61), "{screen:?}");
    assert_eq!(shown(step("x", &Place::default(), &[], None, &labels())).keyboard, Vec::<Vec<String>>::new());
    assert_eq!(dashboards(&[], &Place::default(), &labels()).say, Say::NoDashboards);
}

#[test]
fn panels_stand_under_their_rows() {
    let open =
        dashboard(vec![panel(1, "", "Up"), panel(2, "CPU", "Load"), panel(3, "Disks", "Load"), panel(4, "CPU", "")]);
    let screen = panels(&open, &Place::default(), &labels());
    let expected = ["Up", "▸ CPU", "CPU / Load", "timeseries #4", "▸ Disks", "Disks / Load", "◀ назад к списку"];
    assert_eq!(keys(&screen), expected);
    let at = |text: &str| step(text, &screen.place, &some_hits(), Some(&open), &labels());
    assert_eq!(drawn(at("Disks / Load")), 3);
    assert_eq!(drawn(at("/up")), 1);
    assert_eq!(drawn(at("panel-4")), 4);
    assert_eq!(drawn(at("#2")), 2);
    let row = shown(at("▸ CPU"));
    assert_eq!(keys(&row), ["CPU / Load", "timeseries #4", "◀ назад к списку"]);
    assert_eq!(shown(step("go back", &row.place, &some_hits(), Some(&open), &labels())), screen);
    assert_eq!(keys(&shown(at("load"))), ["CPU / Load", "Disks / Load", "◀ назад к списку"]);
    let list = shown(at("go back"));
    assert_eq!((keys(&list)[0], &list.place.dashboard), ("Hosts", &None));
    assert_eq!(opened(at("Web shop")), "d2", "a key of the keyboard before");
    let screen = shown(at("dsks"));
    assert!(matches!(&screen.say, Say::Unknown { dashboard: Some(title), .. } if title == "Hosts"), "{screen:?}");
}

/// Grafana draws by id, and of two panels with one id the first.
#[test]
fn what_cannot_be_drawn_has_no_key_and_is_named_when_asked_for() {
    let mut nameless = panel(0, "", "No id");
    nameless.id = None;
    let open = dashboard(vec![panel(1, "", "First"), panel(1, "", "Second"), nameless]);
    let screen = panels(&open, &Place::default(), &labels());
    assert_eq!(keys(&screen), ["First", "◀ назад к списку"]);
    for title in ["Second", "no id"] {
        let screen = shown(step(title, &screen.place, &[], Some(&open), &labels()));
        assert!(matches!(&screen.say, Say::CannotDraw { panel } if panel.eq_ignore_ascii_case(title)), "{screen:?}");
    }
    let screen = panels(&dashboard(Vec::new()), &Place::default(), &labels());
    assert_eq!((screen.say, screen.keyboard.len()), (Say::NoPanels { dashboard: "Hosts".into() }, 1));
}

#[test]
fn many_panels_come_by_rows_and_pages_keep_their_place() {
    let panel = |n: u64| panel(n, &format!("Row {}", n / 20), &format!("Panel {n}"));
    let open = dashboard((1..=500).map(panel).collect());
    let hits: Vec<Hit> =
        (0..100).map(|n| hit(&format!("u{n}"), &format!("F{}", n % 30), &format!("Board {n}"))).collect();
    let list = shown(step("3/4 ▸", &Place::default(), &hits, None, &labels()));
    assert_eq!(shown(step("3/4 ▸", &list.place, &hits, None, &labels())), list, "tapped twice");
    let first = panels(&open, &list.place, &labels());
    assert_eq!(keys(&first)[..2], ["▸ Row 0", "▸ Row 1"]);
    let at = |text: &str, screen: &Screen| step(text, &screen.place, &hits, Some(&open), &labels());
    let second = shown(at("2/4 ▸", &first));
    assert_eq!(keys(&second)[8..], ["◂ 1/4", "3/4 ▸", "◀ назад к списку"]);
    let row = shown(at("▸ Row 12", &second));
    assert_eq!(keys(&row)[..2], ["Panel 240", "Panel 241"]);
    assert_eq!(keys(&row)[8..], ["2/3 ▸", "◀ назад к списку"]);
    assert_eq!(shown(at("more", &row)), shown(at("2/3 ▸", &row)));
    assert_eq!(shown(at("go back", &shown(at("3/3 ▸", &row)))), second, "back to the page it was opened from");
    assert_eq!(shown(at("go back", &second)), list, "the list is where it was");
    assert_eq!(drawn(at("Panel 7", &second)), 7, "a key of another page");
    let fewer = dashboard((1..=5).map(panel).collect());
    let stale = shown(step("4/4 ▸", &second.place, &hits[..3], Some(&fewer), &labels()));
    assert_eq!(keys(&stale).len(), 5 + 1 + 1, "{stale:?}");
    assert_eq!(shown(step("go back", &row.place, &hits, Some(&fewer), &labels())).keyboard, stale.keyboard);
}

#[test]
fn a_dashboard_that_vanished_leads_back_to_the_list() {
    let hits = some_hits();
    let place = Place { dashboard: Some("gone".to_owned()), ..Place::default() };
    assert_eq!(shown(step("CPU", &place, &hits, None, &labels())).say, Say::Gone);
    assert_eq!(shown(step("go back", &place, &hits, None, &labels())), dashboards(&hits, &Place::default(), &labels()));
    assert_eq!(opened(step("Web shop", &place, &hits, None, &labels())), "d2");
    // Renamed since: its place is kept by the uid, its old name is unknown.
    let screen = shown(step("Host", &Place::default(), &[hit("d1", "", "Machines")], None, &labels()));
    assert!(matches!(screen.say, Say::Unknown { .. }), "{screen:?}");
}

#[test]
fn a_place_survives_what_other_versions_wrote() {
    let screen = shown(step("overview", &Place::default(), &some_hits(), None, &labels()));
    let stored = serde_json::to_string(&screen.place).unwrap();
    assert_eq!(serde_json::from_str::<Place>(&stored).unwrap(), screen.place);
    assert_eq!(serde_json::from_str::<Place>("{}").unwrap(), Place::default());
    let place: Place = serde_json::from_str(r#"{"dashboard":"d1","inside":{"page":7,"new":1},"x":[]}"#).unwrap();
    assert_eq!(place.dashboard.as_deref(), Some("d1"));
}

/// Follows every key from every screen that can be reached, and gives for each key that led to a thing that thing.
fn walk(first: Screen, mut tap: impl FnMut(&str, &Place) -> Step) -> Result<HashMap<String, String>, TestCaseError> {
    let mut leads: HashMap<String, String> = HashMap::new();
    let mut seen = HashSet::from([format!("{:?}", first.place)]);
    let mut waiting = VecDeque::from([first]);
    while let Some(screen) = waiting.pop_front() {
        let things = screen.keyboard.iter().flatten().filter(|key| Turn::parse(key, &labels().back).is_none());
        prop_assert!(things.count() <= 12, "{screen:?}");
        for key in screen.keyboard.iter().flatten() {
            let sent = crate::sandbox::markup::fix(key, Vec::new()).text;
            prop_assert_eq!(&sent, key, "Telegram would hand back another text");
            prop_assert_eq!(&key::clean(key), key);
            prop_assert!(!key.is_empty() && !key.starts_with('/'), "{key:?}");
            let thing = match tap(key, &screen.place) {
                Step::Show(next) => {
                    prop_assert!(
                        !matches!(next.say, Say::Unknown { .. } | Say::Gone | Say::CannotDraw { .. }),
                        "{key:?}: {next:?}"
                    );
                    prop_assert!(key.starts_with('▸') || Turn::parse(key, &labels().back).is_some(), "{key:?}");
                    if seen.insert(format!("{:?}", next.place)) {
                        waiting.push_back(next);
                    }
                    continue;
                }
                Step::OpenDashboard { uid } => uid,
                Step::Picture { panel_id, .. } => panel_id.to_string(),
            };
            let known = leads.entry(key.clone()).or_insert_with(|| thing.clone());
            prop_assert_eq!(&thing, known, "{:?} leads to two things", key);
        }
    }
    Ok(leads)
}

/// Titles that like to be taken for each other, for words of the bot, or for the form of a key.
fn title() -> impl Strategy<Value = String> {
    let tricky = [
        "",
        " ",
        "CPU",
        "cpu",
        "CPU ",
        "C\u{200b}PU",
        "CPU #1",
        "CPU #2",
        "CPU #2 #1",
        "A / CPU",
        "“CPU”",
        "/stop",
        "“/stop”",
        "go back",
        "Back",
        "назад",
        "◀ назад к списку",
        "more",
        "2/2 ▸",
        "◂ 1/2",
        "1/2",
        "▸ A",
        "A",
        "B",
        "#1",
        "1",
        "2",
        "panel-1",
        "timeseries #1",
        "CPU (u1)",
        "(u1)",
        "<b>x</b> & \"y\"",
        "line\nbreak\ttab",
        "👨‍👩‍👧‍👦",
        "\u{202e}latsyrc",
        "مرحبا",
        "שלום A",
        "e\u{301}",
        "\u{301}",
        "\u{200d}",
        "…",
        "$host",
        "Kubernetes / Compute Resources / Namespace (Pods)",
        "Kubernetes / Compute Resources / Namespace (Workloads)",
    ];
    prop_oneof![
        6 => prop::sample::select(tricky.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,60}",
        1 => "[ab/#0-9 ]{0,5}",
        1 => "[ab]{37,42}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn every_key_of_a_panel_leads_to_it(
        given in prop::collection::vec((0_u64..40, title(), title()), 1..60),
        others in prop::collection::vec((title(), title()), 0..12),
    ) {
        let open = dashboard(given.iter().map(|(id, row, title)| panel(*id, row, title)).collect());
        let hits: Vec<Hit> = others.iter().enumerate().map(|(n, (f, t))| hit(&format!("u{n}"), f, t)).collect();
        let inside = |key: &str, place: &Place| match step(key, place, &hits, Some(&open), &labels()) {
            // Out of the dashboard: what is seen there is the other walk's.
            Step::Show(Screen { place: Place { dashboard: None, .. }, .. }) => {
                Step::Show(panels(&open, &Place::default(), &labels()))
            }
            step => step,
        };
        let leads = walk(panels(&open, &Place::default(), &labels()), inside)?;
        let reached: HashSet<&String> = leads.values().collect();
        let ids: HashSet<String> = given.iter().map(|(id, ..)| id.to_string()).collect();
        prop_assert_eq!(reached, ids.iter().collect(), "all panels, each by its key");
        prop_assert_eq!(leads.len(), ids.len(), "one key each: {:?}", leads);
        for (key, id) in &leads {
            let (_, _, title) = given.iter().find(|(other, ..)| other.to_string() == *id).unwrap();
            let title = key::clean(title);
            prop_assert!(title.chars().count() > 30 || key.contains(&title), "{key:?} hides {title:?}");
        }
    }

    #[test]
    fn every_key_of_a_dashboard_leads_to_it(given in prop::collection::vec((title(), title()), 1..60)) {
        let hits: Vec<Hit> = given.iter().enumerate().map(|(n, (f, t))| hit(&format!("u{n}"), f, t)).collect();
        let leads = walk(dashboards(&hits, &Place::default(), &labels()), |key, place| step(key, place, &hits, None, &labels()))?;
        prop_assert_eq!(leads.values().collect::<HashSet<_>>().len(), hits.len());
        prop_assert_eq!(leads.len(), hits.len(), "one key each: {:?}", leads);
        for (key, uid) in &leads {
            let title = key::clean(&hits.iter().find(|hit| hit.uid == *uid).unwrap().title);
            prop_assert!(title.chars().count() > 25 || key.contains(&title), "{key:?} hides {title:?}");
        }
    }

    #[test]
    fn no_text_breaks_a_step(text in "\\PC{0,300}", heading in title(), page in 0_usize..9) {
        let hits = some_hits();
        let open = dashboard(vec![panel(1, "CPU", "Load"), panel(2, "", "")]);
        let view = View { page, heading: Some(heading.clone()), search: Some(heading), from: page };
        for dashboard in [None, Some("d1".to_owned())] {
            let place = Place { dashboard, list: view.clone(), inside: view.clone() };
            let _ = step(&text, &place, &hits, Some(&open), &labels());
            let _ = step(&text, &place, &hits, None, &labels());
        }
    }
}

#[test]
fn thousands_of_dashboards_are_no_work() {
    let hits: Vec<Hit> = (0..5000)
        .map(|n| hit(&format!("u{n}"), &format!("F{}", n % 300), "Overview of one and the same thing"))
        .collect();
    let screen = shown(step("f17", &Place::default(), &hits, None, &labels()));
    assert_eq!(keys(&screen).len(), 8 + 2, "{screen:?}");
    assert_eq!(keys(&screen)[0], "Overview o…ne and the same thing (u17)");
}
