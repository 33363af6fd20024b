//! The library as tg-bot uses it.

use std::time::Duration;

use prometheus_telegram::grafana::{Grafana, Kind, Login, Recent, Settings, Shot, Size, VariableKind};
use prometheus_telegram::secret::Secret;

use crate::standin::{Generation, Setup, Standin};
use crate::tool::own;

fn client(standin: &Standin) -> Grafana {
    Grafana::new(&Settings {
        url: standin.url.clone(),
        login: Login::Token(Secret::new("glsa_standin_token").unwrap()),
        pause: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        ..Settings::default()
    })
    .unwrap()
}

/// The way of a chat: dashboards by folder, panels under their headings, a picture.
#[test]
fn from_the_list_to_the_picture() {
    let standin = own(Generation::V12);
    let grafana = client(&standin);
    let hits = grafana.dashboards().unwrap();
    let shown: Vec<(&str, &str)> = hits.iter().map(|hit| (hit.folder(), hit.title.as_str())).collect();
    assert_eq!(shown, [("Shops", "Web shop"), ("General", "Mail"), ("Networks", "City network")]);
    let dashboard = grafana.dashboard(&hits[2].uid).unwrap();
    let headings: Vec<String> = dashboard.panels.iter().map(|panel| panel.heading()).collect();
    assert_eq!(headings, ["Core / Links", "Core / Links", "Core / Rings", "Core / Rings", "Sites", "Sites", ""]);
    let shot = Shot { size: Size { width: 640, height: 320 }, scale: 2.0, ..Shot::default() };
    let picture = grafana.render(&dashboard, dashboard.panels[0].id.unwrap(), &shot).unwrap();
    assert_eq!((picture.size, picture.notes), (Size { width: 1280, height: 640 }, Vec::<String>::new()));
    assert!(picture.png.starts_with(b"\x89PNG"));
    assert_eq!(grafana.render_panel("web-shop", 3, &shot).unwrap().size, picture.size);
}

#[test]
fn many_threads_share_one_client() {
    let standin = own(Generation::V13);
    let grafana = client(&standin);
    std::thread::scope(|scope| {
        for id in [2, 3, 4, 6, 7, 8, 9, 13] {
            let grafana = &grafana;
            scope.spawn(move || {
                let picture = grafana.render_panel("web-shop", id, &Shot::default()).unwrap();
                let request = crate::standin::drawing::request_in(&picture.png).unwrap();
                assert!(request.contains(&format!("panelId={id}&")), "{request}");
            });
        }
    });
    assert_eq!(standin.pictures().len(), 8);
}

/// However many people look at the same things, Grafana hears of it once a minute.
#[test]
fn many_people_cost_one_call_each_for_what_they_look_at() {
    let standin = own(Generation::V13);
    let recent = Recent::new(client(&standin));
    std::thread::scope(|scope| {
        for person in 0..200 {
            let recent = &recent;
            scope.spawn(move || {
                let hits = recent.dashboards().unwrap();
                let hit = &hits[person % hits.len()];
                assert_eq!(recent.dashboard(&hit.uid).unwrap().title, hit.title);
            });
        }
    });
    let count = |part: &str| standin.seen().iter().filter(|seen| seen.path().starts_with(part)).count();
    assert_eq!((count("/api/search"), count("/api/dashboards/uid/")), (1, 3));
    for _ in 0..2 {
        assert_eq!(recent.dashboard("gone").unwrap_err().kind(), Kind::NotFound);
    }
    assert_eq!(count("/api/dashboards/uid/gone"), 2, "what was not there may be there now");
}

/// What people may choose under a picture, in every form in which it is stored.
#[test]
fn variables_come_with_their_values_and_the_dashboard_with_its_range() {
    // Schema v2 as it is, and turned into the classic form.
    for generation in [Generation::V12, Generation::V13] {
        let standin = own(generation);
        let grafana = client(&standin);
        let city = grafana.dashboard("city-net").unwrap();
        let ring = city.variable("ring").unwrap();
        let values: Vec<&str> = ring.values.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["$__all", "a", "b"], "{generation:?}");
        assert_eq!(ring.kind, VariableKind::Custom, "{generation:?}");
        assert_eq!(ring.current, [("a".to_owned(), "a".to_owned())]);
        assert_eq!(city.time, Some(("now-6h".to_owned(), "now".to_owned())), "{generation:?}");
        let names: Vec<String> =
            grafana.dashboard("web-shop").unwrap().variables.into_iter().map(|variable| variable.name).collect();
        assert_eq!(names, ["host", "shop", "Filters"]);
    }
}

#[test]
fn errors_are_typed_and_fit_for_a_chat() {
    let grafana = client(&own(Generation::V13));
    let err = grafana.render_panel("gone", 3, &Shot::default()).unwrap_err();
    assert_eq!(err.kind(), Kind::Unreachable, "the server is gone: {err}");
    let standin = own(Generation::V13);
    let grafana = client(&standin);
    for (uid, panel, kind) in [("gone", 3, Kind::NotFound), ("web-shop", 999, Kind::NotFound)] {
        let err = grafana.render_panel(uid, panel, &Shot::default()).unwrap_err();
        assert_eq!(err.kind(), kind);
        assert!(!err.to_string().contains(['\n', '<']), "{err}");
    }
    // An id is an id: no title "3" may stand in for it.
    assert_eq!(standin.pictures().len(), 0);
}

#[test]
fn a_panel_whose_title_is_a_number_is_not_taken_for_an_id() {
    let content = serde_json::json!({"title": "Numbers", "panels": [{"id": 1, "type": "stat", "title": "42"}]});
    let stored = crate::standin::Stored::from_json(&content, "numbers", None);
    let standin = Standin::start(Setup::new(Generation::V10, vec![stored]));
    let grafana = client(&standin);
    assert_eq!(grafana.render_panel("numbers", 42, &Shot::default()).unwrap_err().kind(), Kind::NotFound);
    let dashboard = grafana.dashboard("numbers").unwrap();
    assert_eq!(dashboard.find_panel("42").unwrap().id, Some(1), "typed by a person it is the title");
}

#[test]
fn every_wait_ends() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Grafana::new(&Settings {
        url: format!("http://{}", listener.local_addr().unwrap()),
        timeout: Duration::from_millis(200),
        ..Settings::default()
    })
    .unwrap();
    assert_eq!(silent.dashboards().unwrap_err().kind(), Kind::Busy);
}

#[test]
fn debug_output_hides_the_token() {
    let standin = own(Generation::V13);
    let settings = Settings { login: Login::Token(Secret::new("glsa_hidden").unwrap()), ..Settings::default() };
    let shown = format!("{settings:?} {:?}", client(&standin));
    assert!(!shown.contains("glsa_"), "{shown}");
}
