//! From words to one dashboard and one panel, in every generation.

use crate::standin::{Generation, Setup, Standin, Stored};
use crate::tool::{own, own_dashboards, shot};
use serde_json::json;

/// The panel id that a call asked to draw.
fn drawn(standin: &Standin, args: &[&str]) -> String {
    let done = shot(standin, args.iter().copied());
    let request = done.picture();
    let (_, rest) = request.split_once("panelId=").unwrap_or_else(|| done.fail("no panelId"));
    rest.split('&').next().unwrap().to_owned()
}

#[test]
fn panels_by_id_place_title_row_and_part() {
    for generation in Generation::ALL {
        let standin = own(generation);
        for (panel, id) in [
            ("3", "3"),
            ("panel-3", "3"),
            // By place on the page: the JSON has Orders first, the page Revenue.
            ("#1", "2"),
            ("#2", "3"),
            ("#5", "6"),
            ("Orders", "3"),
            ("orders", "3"),
            ("Revenue 💶", "2"),
            ("reven", "2"),
            ("Hosts/Errors", "5"),
            ("Shop $shop/Errors", "6"),
            ("shop $shop/errors", "6"),
            // Nested in a closed row.
            ("Slowest pages", "7"),
            ("8", "8"),
            ("CPU of $host", "4"),
            // The library panel's name stands for the title that is not there.
            ("Payment provider", "9"),
            ("Warehouse", "13"),
        ] {
            assert_eq!(drawn(&standin, &["web-shop", panel]), id, "{generation:?} {panel}");
        }
    }
}

#[test]
fn rows_of_the_old_schema_and_tabs_of_the_new_one() {
    for generation in Generation::ALL {
        let standin = own(generation);
        for (panel, id) in [("Deferred", "2"), ("Disk/Free", "3"), ("#3", "3")] {
            assert_eq!(drawn(&standin, &["old-rows", panel]), id, "{generation:?} {panel}");
        }
    }
    for generation in [Generation::V12, Generation::V13] {
        let standin = own(generation);
        for (panel, id) in [("Traffic", "21"), ("#1", "21"), ("Links/Loss", "22"), ("Notes", "24"), ("Power", "26")] {
            assert_eq!(drawn(&standin, &["city-net", panel]), id, "{generation:?} {panel}");
        }
        assert_eq!(drawn(&standin, &["city-network", "21"]), "21", "the slug");
        let detours = standin.seen().iter().filter(|seen| seen.path().starts_with("/apis/")).count();
        assert_eq!(detours > 0, generation == Generation::V12, "the 406 detour is for 12.0 to 12.3");
    }
    shot(&own(Generation::V12), ["city-net", "Loss"]).refused(65, &["22 (Core / Links / Loss)", "27 (Sites / Loss)"]);
    // What no layout names is there all the same; the conversion of 13 loses it.
    assert_eq!(drawn(&own(Generation::V12), &["city-net", "Not placed"]), "25");
}

#[test]
fn dashboards_by_uid_title_folder_slug_and_part() {
    for generation in Generation::ALL {
        let standin = own(generation);
        for words in [
            ["web-shop", "3"],
            ["Web shop", "3"],
            ["web shop", "3"],
            ["Shops/Web shop", "3"],
            ["shops/web", "3"],
            ["eb sh", "3"],
            ["Mail", "2"],
            ["General/Mail", "2"],
            ["mail", "2"],
        ] {
            assert_eq!(drawn(&standin, &words), words[1], "{generation:?} {words:?}");
        }
    }
}

#[test]
fn u_and_t_leave_one_meaning() {
    let mut dashboards = own_dashboards();
    dashboards.push(Stored::from_json(
        &json!({"title": "old-rows", "panels": [{"id": 77, "type": "stat"}]}),
        "other",
        None,
    ));
    let standin = Standin::start(Setup::new(Generation::V10, dashboards));
    assert_eq!(drawn(&standin, &["old-rows", "2"]), "2", "a uid goes before a title");
    assert_eq!(drawn(&standin, &["-t", "old-rows", "77"]), "77");
    assert_eq!(drawn(&standin, &["--uid", "old-rows", "2"]), "2");
    shot(&standin, ["-u", "Mail", "2"]).refused(3, &["no dashboard \"Mail\"", "--list"]);
    shot(&standin, ["-t", "-u", "Mail", "2"]).refused(2, &["exclude"]);
}

#[test]
fn two_that_fit_are_refused_with_their_ids() {
    let standin = own(Generation::V10);
    shot(&standin, ["web-shop", "Errors"]).refused(
        65,
        &["2 panels of dashboard \"Web shop\" fit \"Errors\"", "5 (Hosts / Errors)", "6 (Shop $shop / Errors)"],
    );
    shot(&standin, ["web-shop", "e"]).refused(65, &["panels of dashboard", "give the id"]);
    // The same id twice: Grafana draws the first, so the second cannot be had, and by number it is not clear.
    shot(&standin, ["web-shop", "Copied by hand"]).refused(65, &["have the id 5", "another id"]);
    shot(&standin, ["web-shop", "5"]).refused(65, &["5 (Hosts / Errors)", "Copied by hand"]);
    assert_eq!(drawn(&standin, &["web-shop", "Hosts/Errors"]), "5");
    let mut dashboards = own_dashboards();
    for (uid, folder) in [("m1", "Berlin"), ("m2", "Paris")] {
        dashboards.push(Stored::from_json(&json!({"title": "Metro", "panels": [{"id": 1}]}), uid, Some(folder)));
    }
    let standin = Standin::start(Setup::new(Generation::V10, dashboards));
    shot(&standin, ["Metro", "1"]).refused(65, &["2 dashboards fit", "m1 (Berlin/Metro)", "m2 (Paris/Metro)"]);
    assert_eq!(drawn(&standin, &["Paris/Metro", "1"]), "1");
}

#[test]
fn what_is_not_there_gets_the_nearest_names() {
    for generation in Generation::ALL {
        let standin = own(generation);
        shot(&standin, ["Web sop", "3"])
            .refused(3, &["no dashboard \"Web sop\"", "did you mean web-shop (Shops/Web shop)"]);
        shot(&standin, ["web-shop", "Ordrs"]).refused(3, &["no panel \"Ordrs\"", "did you mean 3 (Orders)"]);
        shot(&standin, ["web-shop", "999"]).refused(3, &["no panel \"999\"", "--list web-shop"]);
        shot(&standin, ["web-shop", "#99"]).refused(3, &["no panel"]);
        shot(&standin, ["web-shop", "#0"]).refused(3, &["no panel"]);
        shot(&standin, ["web-shop", "10"]).refused(3, &["\"Hosts\" (10) is a row", "cannot be drawn"]);
        shot(&standin, ["web-shop", "Never saved"]).refused(3, &["has no id", "save the dashboard"]);
        assert_eq!(standin.pictures().len(), 0, "Grafana would have drawn its error page");
    }
}

#[test]
fn clones_of_repeated_panels_become_source_and_value() {
    let standin = own(Generation::V13);
    for (panel, id, variables) in [
        ("web1$panel-4", "4", "&var-host=web1"),
        // The row's value.
        ("eu$panel-6", "6", "&var-shop=eu"),
        ("panel-4", "4", ""),
    ] {
        let request = shot(&standin, ["web-shop", panel]).picture();
        assert!(request.contains(&format!("panelId={id}&")), "{panel}: {request}");
        assert!(request.ends_with(&format!("hideLogo=true{variables}")), "{panel}: {request}");
    }
    // A name of 11.3 to 12.1 does not tell the value.
    let done = shot(&standin, ["web-shop", "panel-4-clone-1"]);
    assert!(done.picture().contains("panelId=4&"));
    assert!(done.err.contains("repeats by $host: pick one by --var host=VALUE"), "{}", done.err);
    let chosen = shot(&standin, ["--var", "host=web1", "web-shop", "4"]);
    chosen.picture();
    assert_eq!(chosen.err, "");
}

#[test]
fn a_number_is_not_a_part_of_a_title() {
    let panels = json!([
        {"id": 1, "type": "stat", "title": "p99 latency"}, {"id": 2, "type": "stat", "title": "42"},
        {"id": 3, "type": "stat", "title": "issue #7"},
    ]);
    let content = json!({"title": "Numbers", "panels": panels});
    let standin = Standin::start(Setup::new(Generation::V10, vec![Stored::from_json(&content, "numbers", None)]));
    shot(&standin, ["numbers", "99"]).refused(3, &["no panel \"99\""]);
    shot(&standin, ["numbers", "#7"]).refused(3, &["no panel \"#7\""]);
    assert_eq!(drawn(&standin, &["numbers", "42"]), "2", "a whole title is meant");
    assert_eq!(drawn(&standin, &["numbers", "p99"]), "1");
    shot(&standin, ["numbres", "1"]).refused(3, &["did you mean numbers"]);
}

/// A title is what somebody else wrote: it must not break the one line of an error, nor reach the terminal raw.
#[test]
fn titles_with_line_ends_do_not_break_the_message() {
    let content = json!({"title": "Odd", "panels": [
        {"id": 1, "type": "stat", "title": "a\nb\u{1b}[31m"}, {"id": 2, "type": "stat", "title": "a\nc"},
    ]});
    let standin = Standin::start(Setup::new(Generation::V10, vec![Stored::from_json(&content, "odd", Some("f\ng"))]));
    let done = shot(&standin, ["odd", "a"]);
    done.refused(65, &["1 (a b [31m)", "2 (a c)"]);
    assert!(!done.err.contains('\u{1b}'), "{:?}", done.err);
    shot(&standin, ["Oddy", "a"]).refused(3, &["odd (f g/Odd)"]);
}
