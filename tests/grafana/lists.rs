//! What `--list` prints, and how much it costs.

use serde_json::{Value, json};

use crate::standin::{Generation, Setup, Standin, Stored};
use crate::tool::{own, past_the_harness, shot};

#[test]
fn dashboards_as_tabs_and_as_json() {
    for generation in Generation::ALL {
        let done = shot(&own(generation), ["--list"]);
        let expected = "web-shop\tShops\tWeb shop\nold-rows\tGeneral\tMail\ncity-net\tNetworks\tCity network\n";
        assert_eq!((done.code, done.text().as_str()), (0, expected), "{generation:?} {}", done.err);
        let done = shot(&own(generation), ["--list", "--json"]);
        let first: Value = serde_json::from_str(done.text().lines().next().unwrap()).unwrap();
        let expected =
            json!({"uid": "web-shop", "folder": "Shops", "title": "Web shop", "url": "/d/web-shop/web-shop"});
        assert_eq!(first, expected);
    }
}

#[test]
fn panels_as_seen_with_row_and_tab() {
    let classic = "2\tstat\t\tRevenue 💶\n3\ttimeseries\t\tOrders\n4\ttimeseries\tHosts\tCPU of $host\n\
        5\ttimeseries\tHosts\tErrors\n6\ttimeseries\tShop $shop\tErrors\n8\ttext\tShop $shop\t\n\
        7\ttable\tShop $shop\tSlowest pages\n";
    let full = "9\ttimeseries\tShared\tPayment provider\n13\tName: \"Stock\", UID: \"lib2\"\tShared\tWarehouse\n";
    let stubs = "9\t\tShared\tPayment provider\n13\t\tShared\tWarehouse\n";
    let end = "\tstat\tShared\tNever saved\n5\tstat\tShared\tCopied by hand\n";
    for generation in Generation::ALL {
        let done = shot(&own(generation), ["--list", "web-shop"]);
        let shared = if generation == Generation::V8 { full } else { stubs };
        assert_eq!(done.text(), format!("{classic}{shared}{end}"), "{generation:?}");
        let done = shot(&own(generation), ["--list", "Mail"]);
        let expected = "1\tgraph\tQueues\tIncoming\n2\tgraph\tQueues\tDeferred\n3\tsinglestat\tDisk\tFree\n";
        assert_eq!(done.text(), expected, "{generation:?}");
    }
    let tabs = "21\ttimeseries\tCore / Links\tTraffic\n22\tstat\tCore / Links\tLoss\n\
        23\ttimeseries\tCore / Rings\tLoad of ring $ring\n24\ttext\tCore / Rings\tNotes\n26\t\tSites\tPower\n\
        27\ttimeseries\tSites\tLoss\n25\tstat\t\tNot placed\n";
    assert_eq!(shot(&own(Generation::V12), ["--list", "city-net"]).text(), tabs);
    let done = shot(&own(Generation::V12), ["--list", "--json", "city-net"]);
    let third: Value = serde_json::from_str(done.text().lines().nth(2).unwrap()).unwrap();
    let expected = json!({
        "id": 23, "type": "timeseries", "tab": "Core", "row": "Rings", "title": "Load of ring $ring", "repeat": "ring",
        "row_repeat": null,
    });
    assert_eq!(third, expected);
}

#[test]
fn names_cannot_break_the_lines() {
    let content = json!({"title": "a\tb\nc", "panels": [{"id": 1, "type": "stat", "title": "x\ny\tz"}]});
    let standin = Standin::start(Setup::new(Generation::V10, vec![Stored::from_json(&content, "odd", Some("f\tg"))]));
    assert_eq!(shot(&standin, ["--list"]).text(), "odd\tf g\ta b c\n");
    assert_eq!(shot(&standin, ["--list", "odd"]).text(), "1\tstat\t\tx y z\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let standin = Standin::start(Setup::new(Generation::V10, many(3000)));
    let line = format!("set -o pipefail; {} --list | head -1", env!("CARGO_BIN_EXE_grafana-shot"));
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &line]).env("GRAFANA_URL", &standin.url).env("GRAFANA_TOKEN", "glsa_standin_token");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "many-0\tFolder 0\tDashboard number 0\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn many(count: usize) -> Vec<Stored> {
    let one = |n: usize| {
        let content = json!({"title": format!("Dashboard number {n}"), "panels": [{"id": 1, "type": "stat"}]});
        Stored::from_json(&content, &format!("many-{n}"), Some(&format!("Folder {}", n % 50)))
    };
    (0..count).map(one).collect()
}

#[test]
fn five_thousand_dashboards_are_all_there() {
    for (count, pages) in [(5000, 6), (999, 1), (1000, 2), (1001, 2)] {
        let standin = Standin::start(Setup::new(Generation::V10, many(count)));
        let (text, time) = timed(&standin, "--list");
        let uids: std::collections::BTreeSet<&str> =
            text.lines().map(|line| line.split('\t').next().unwrap()).collect();
        assert_eq!((text.lines().count(), uids.len()), (count, count));
        assert_eq!(standin.seen().len(), pages);
        let requests: Vec<String> = standin.seen().iter().map(|seen| seen.url.clone()).collect();
        assert!(requests.iter().all(|url| url.contains("limit=1000&page=")), "{requests:?}");
        if count == 5000 {
            report("5000 dashboards listed", time);
            let (text, time) = timed(&standin, "-n 'Dashboard number 4321' 1");
            assert!(text.contains("/many-4321/"), "{text}");
            report("one of 5000 dashboards found by title", time);
            shot(&standin, ["Dashbord number 4321x", "1"]).refused(3, &["did you mean many-4321"]);
        }
    }
}

#[test]
fn a_dashboard_of_500_panels() {
    let targets = json!([{"expr": "sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m]))".repeat(20)}]);
    let panel = |n: usize| {
        json!({
            "id": n + 1, "type": "timeseries", "title": format!("Panel number {n}"), "targets": targets,
            "gridPos": {"x": (n % 2) * 12, "y": n / 2 * 8, "w": 12, "h": 8},
            "fieldConfig": {"defaults": {"custom": {"lineWidth": 1}}, "overrides": [{"matcher": {}, "properties": []}]},
        })
    };
    let content = json!({"title": "Large", "panels": (0..500).map(panel).collect::<Vec<_>>()});
    let standin = Standin::start(Setup::new(Generation::V10, vec![Stored::from_json(&content, "large", None)]));
    let (text, time) = timed(&standin, "--list large");
    assert_eq!(text.lines().count(), 500);
    assert_eq!(text.lines().nth(321), Some("322\ttimeseries\t\tPanel number 321"));
    report(&format!("500 panels ({} KB) listed", content.to_string().len() / 1024), time);
}

/// The time that a call computed itself (user and system), in milliseconds, as bash tells it.
fn timed(standin: &Standin, args: &str) -> (String, u32) {
    let line = format!("time {} {args}", env!("CARGO_BIN_EXE_grafana-shot"));
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &line]).env("TIMEFORMAT", "%U %S").env("LC_ALL", "C").env("GRAFANA_URL", &standin.url);
    let output = command.env("GRAFANA_TOKEN", "glsa_standin_token").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line}: {err}");
    let seconds = err.split_whitespace().map(|time| time.parse::<f64>().unwrap_or_else(|_| panic!("{line}: {err}")));
    (String::from_utf8(output.stdout).unwrap(), (seconds.sum::<f64>() * 1000.0).round() as u32)
}

/// Printed and not asserted: times on a machine that others use too say little. Past the harness, which keeps what
/// passing tests print.
fn report(what: &str, milliseconds: u32) {
    past_the_harness(&format!("grafana-shot: {what}: {milliseconds} ms of our own time"));
}
