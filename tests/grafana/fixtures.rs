//! Real dashboards, search results and pictures, read in place at `../shared/grafana-fixtures` beside the project (their
//! README tells where each is from). Where that folder is not, each test here says that it was skipped.

use std::collections::HashMap;
use std::path::PathBuf;

use prometheus_telegram::grafana::{Grafana, Login, Settings};
use prometheus_telegram::secret::Secret;
use serde_json::{Value, json};

use crate::standin::{Generation, Setup, Standin, Stored};
use crate::tool::{Done, Shot, shot, skip};

/// The shared fixture files; `None`, and said, where they are not.
fn folder(test: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/grafana-fixtures");
    if !folder.is_dir() {
        skip(test, "no folder ../shared/grafana-fixtures");
        return None;
    }
    Some(folder)
}

fn bytes(folder: &std::path::Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap_or_else(|err| panic!("{name}: {err}"))
}

fn json(folder: &std::path::Path, name: &str) -> Value {
    serde_json::from_slice(&bytes(folder, name)).unwrap()
}

/// Every dashboard among the files.
const DASHBOARDS: [&str; 12] = [
    "dash-node-exporter-full.json",
    "dash-node-exporter-full-old-rows.json",
    "dash-k8s-views-pods.json",
    "dash-collapsed-rows.json",
    "dash-repeated-rows-and-panels.json",
    "dash-renderer-prometheus.json",
    "api-legacy-rows.json",
    "g8-play-dashboard-influxdb.json",
    "g8-play-dashboard-templating.json",
    "gdg-k8s-v2-dashboard-makeover.json",
    "k8s-v2beta1-gridlayout-librarypanel.json",
    "made-k8s-v2-tabs-rows-autogrid.json",
];

fn stored(folder: &std::path::Path) -> Vec<Stored> {
    DASHBOARDS
        .iter()
        .map(|name| Stored::from_json(&json(folder, name), name.trim_end_matches(".json"), Some("Real")))
        .collect()
}

fn serving(folder: &std::path::Path, generation: Generation) -> Standin {
    Standin::start(Setup::new(generation, stored(folder)))
}

fn raw(folder: &std::path::Path, name: &str) -> Standin {
    let setup = Setup::new(Generation::V8, stored(folder));
    Standin::start(Setup { raw: Some(bytes(folder, name)), ..setup })
}

/// Ids and titles of all panels that are not rows, wherever in the JSON they stand: another way than the program's.
fn panels_in(part: &Value, found: &mut Vec<(u64, String)>) {
    match part {
        Value::Array(list) => list.iter().for_each(|one| panels_in(one, found)),
        Value::Object(map) => {
            let is_panel =
                ["gridPos", "span", "vizConfig", "targets", "libraryPanel"].iter().any(|key| map.contains_key(*key));
            if let (true, Some(id)) = (is_panel && map.get("type") != Some(&json!("row")), map.get("id")) {
                found.push((
                    id.as_u64().unwrap(),
                    map.get("title").and_then(Value::as_str).unwrap_or_default().to_owned(),
                ));
            }
            map.values().for_each(|one| panels_in(one, found));
        }
        _ => {}
    }
}

/// Lines of `--list`: id and title.
fn listed(done: &Done) -> Vec<(u64, String)> {
    let columns = |line: &str| {
        let parts: Vec<String> = line.split('\t').map(str::to_owned).collect();
        (parts[0].parse().unwrap(), parts[3].clone())
    };
    done.text().lines().map(columns).collect()
}

#[test]
fn all_panels_of_all_dashboards_are_listed() {
    let Some(folder) = folder("all panels listed") else { return };
    let mut counts = HashMap::new();
    for generation in Generation::ALL {
        let standin = serving(&folder, generation);
        for (name, stored) in DASHBOARDS.iter().zip(stored(&folder)) {
            let done = shot(&standin, ["--list", "-u", &stored.uid]);
            if stored.is_schema2() && generation < Generation::V12 {
                done.refused(3, &["no dashboard"]);
                continue;
            }
            let mut expected = Vec::new();
            panels_in(&stored.content, &mut expected);
            let mut found = listed(&done);
            counts.insert(*name, found.len());
            found.sort();
            expected.sort();
            // Elements that no layout names are lost when 13 converts.
            if generation == Generation::V13 && *name == "k8s-v2beta1-gridlayout-librarypanel.json" {
                expected.retain(|(id, _)| *id != 3);
            }
            assert_eq!(found, expected, "{name} in {generation:?}: {}", done.err);
        }
    }
    // Counted by hand (with jq), so that both ways cannot be wrong together.
    for (name, count) in [
        ("dash-node-exporter-full.json", 125),
        ("dash-node-exporter-full-old-rows.json", 172),
        ("dash-k8s-views-pods.json", 25),
        ("dash-collapsed-rows.json", 17),
        ("dash-repeated-rows-and-panels.json", 3),
        ("gdg-k8s-v2-dashboard-makeover.json", 10),
        ("made-k8s-v2-tabs-rows-autogrid.json", 6),
    ] {
        assert_eq!(counts[name], count, "{name}");
    }
}

#[test]
fn every_panel_of_node_exporter_full_is_found_by_id_title_and_place() {
    let Some(folder) = folder("node exporter full") else { return };
    let standin = serving(&folder, Generation::V10);
    let grafana = Grafana::new(&Settings {
        url: standin.url.clone(),
        login: Login::Token(Secret::new("glsa_standin_token").unwrap()),
        ..Settings::default()
    })
    .unwrap();
    for (uid, count) in [("rYdddlPWk", 125), ("dash-node-exporter-full-old-rows", 172)] {
        let dashboard = grafana.dashboard(uid).unwrap();
        assert_eq!(dashboard.panels.len(), count);
        for (n, panel) in dashboard.panels.iter().enumerate() {
            let id = panel.id.unwrap().to_string();
            let path = format!("{}/{}", panel.row.as_deref().unwrap(), panel.title);
            for name in [&id, &panel.title, &path, &format!("panel-{id}"), &format!("#{}", n + 1)] {
                assert_eq!(dashboard.find_panel(name).unwrap(), panel, "{name}");
            }
        }
    }
    // And through the tool, one that is nested in a closed row.
    let request = shot(&standin, ["Node Exporter Full", "Memory LRU Active / Inactive (%)"]).picture();
    assert!(request.contains("/d-solo/rYdddlPWk/node-exporter-full?panelId=136&"), "{request}");
}

#[test]
fn repeats_and_duplicates_are_resolved_or_refused_with_candidates() {
    let Some(folder) = folder("repeats and duplicates") else { return };
    let standin = serving(&folder, Generation::V13);
    shot(&standin, ["Prometheus Test Dashboard", "New panel"])
        .refused(65, &["3 panels", "3 (New panel)", "5 (Mount - $mount / New panel)", "1 (CPU - $cpu / New panel)"]);
    let request = shot(&standin, ["--var", "mount=/", "adxd4bz", "Mount - $mount/New panel"]).picture();
    assert!(request.contains("panelId=5&") && request.ends_with("&var-mount=%2F"), "{request}");
    let clone = shot(&standin, ["adxd4bz", "0$user$panel-1"]).picture();
    assert!(clone.contains("panelId=1&") && clone.ends_with("&var-mode=user&var-cpu=0"), "{clone}");
    let warned = shot(&standin, ["adxd4bz", "1"]);
    assert!(warned.err.contains("repeats by $mode and $cpu"), "{}", warned.err);
    shot(&standin, ["AAy9r_bmk", "CPU"]).refused(65, &["3 panels of dashboard \"InfluxDB Server Monitoring\""]);
    for generation in [Generation::V12, Generation::V13] {
        let standin = serving(&folder, generation);
        shot(&standin, ["v2tabsfixture", "Requests"])
            .refused(65, &["1 (", "Traffic / Requests", "5 (", "Host $host / Requests"]);
        shot(&standin, ["v2tabsfixture", "Shared graph"]).picture();
        // Panel and row repeat by the same variable: said once.
        let both = shot(&standin, ["v2tabsfixture", "4"]);
        assert!(both.err.trim_end().ends_with("repeats by $host: pick one by --var host=VALUE"), "{}", both.err);
    }
}

#[test]
fn the_search_of_a_real_server_is_read_in_full() {
    let Some(folder) = folder("real search") else { return };
    for (name, count) in [("g8-play-search.json", 140), ("g8-play-search-tag.json", 19)] {
        let hits = json(&folder, name);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let body = bytes(&folder, name);
        // The server's own bytes, not ours: one page, as it came.
        let server = std::thread::spawn(move || {
            use std::io::{Read, Write};
            let (mut connection, _) = listener.accept().unwrap();
            let _ = connection.read(&mut [0; 4096]).unwrap();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&body).unwrap();
        });
        let done = Shot::bare().env("GRAFANA_URL", &format!("http://{address}")).args(["--list"]).run();
        server.join().unwrap();
        let text = done.text();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
        assert_eq!(lines.len(), count, "{}", done.err);
        for (line, hit) in lines.iter().zip(hits.as_array().unwrap()) {
            let folder = hit["folderTitle"].as_str().unwrap_or("General");
            assert_eq!(line[..2], [hit["uid"].as_str().unwrap(), folder]);
            assert_eq!(line[2], hit["title"].as_str().unwrap());
        }
        if count == 140 {
            assert_eq!(lines.iter().filter(|line| line[1] == "General").count(), 4);
        }
    }
}

#[test]
fn the_real_placeholders_are_refused_whatever_was_asked_for() {
    let Some(folder) = folder("placeholders") else { return };
    for (name, code, size) in [
        ("placeholder-plugin-not-installed-478x208.png", 5, ["478", "208"]),
        ("placeholder-limit-526x202.png", 6, ["526", "202"]),
    ] {
        let standin = raw(&folder, name);
        let args = ["--retries", "0", "provisioned-prom-testing", "1"];
        shot(&standin, args).refused(code, &["hint: "]);
        // Known by its bytes even where its size is what was asked for.
        let call = Shot::at(&standin).args(["--width", size[0], "--height", size[1]]).args(args);
        call.run().refused(code, &["hint: "]);
    }
}

#[test]
fn real_pictures_pass_and_the_clamped_one_is_warned_about() {
    let Some(folder) = folder("real pictures") else { return };
    for (name, width, height) in [
        ("real-render-dsolo-2000x800.png", "2000", "800"),
        ("real-render-gauges-1400x800.png", "1400", "800"),
        ("g8-play-panel-render-1000x500.png", "1000", "500"),
    ] {
        let standin = raw(&folder, name);
        let done = shot(&standin, ["--width", width, "--height", height, "provisioned-prom-testing", "1"]);
        if done.code != 0 || done.out != bytes(&folder, name) || !done.err.is_empty() {
            done.fail(name);
        }
    }
    let name = "real-render-dsolo-clamped-1000x500.png";
    let done = shot(&raw(&folder, name), ["--width", "1", "--height", "1", "provisioned-prom-testing", "1"]);
    if done.code != 0 || done.out != bytes(&folder, name) {
        done.fail(name);
    }
    assert!(done.err.contains("the picture is 1000x500 pixels, not 1x1"), "{}", done.err);
}
