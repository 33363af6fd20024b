//! Metrics, alerting rules and the dashboard: what the daemons serve is what is documented, and a real Prometheus that
//! scrapes them answers every expression.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::*;
use crate::standin;

pub const RULES: &str = "example_config/prometheus-telegram.rules.yml";
const DASHBOARD: &str = "example_config/grafana-dashboard.json";

/// Every daemon at work: alerts, messages, and a person who talks to the bot.
struct Daemons {
    scratch: Scratch,
    sandbox: Sandbox,
    processes: Vec<Process>,
    /// Where each can be scraped.
    served: BTreeMap<&'static str, String>,
    _grafana: Box<dyn std::any::Any>,
}

impl Daemons {
    fn start() -> Self {
        let scratch = Scratch::new("watching");
        let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
        let (grafana, token) = standin::start(None);
        let users = scratch.write("users.json", r#"{"1": {"match": ["*"], "role": "admin"}}"#);
        let mut recv = command("am-recv");
        recv.args(["-p", "0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut recv = Process::start(&scratch, "am-recv", &mut recv);
        let mut route = command("alert-route");
        route.arg("-u").arg(&users).stdout(Stdio::piped()).stdin(recv.child.stdout.take().unwrap());
        route.args(["--watchdog", "Watchdog=10m", "--metrics", "127.0.0.1:0"]);
        let mut route = Process::start(&scratch, "alert-route", &mut route);
        let mut send = tg_send(&scratch, &sandbox);
        send.args(["--metrics", "127.0.0.1:0"]).stdin(route.child.stdout.take().unwrap()).stdout(Stdio::null());
        let send = Process::start(&scratch, "tg-send", &mut send);
        let mut bot = command("tg-bot");
        bot.args(["--metrics", "127.0.0.1:0", "--state"]).arg(scratch.path("bot.db")).arg("-u").arg(&users);
        bot.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &sandbox.api);
        bot.env("GRAFANA_URL", &grafana.url).env("GRAFANA_TOKEN", token).stdin(Stdio::null()).stdout(Stdio::null());
        let bot = Process::start(&scratch, "tg-bot", &mut bot);
        let last = |process: &Process, part: &str| process.says(part).rsplit(' ').next().unwrap().to_owned();
        let served = BTreeMap::from([
            ("am_recv", format!("http://{}/metrics", last(&recv, "listening on "))),
            ("tg_send", last(&send, "metrics on ")),
            ("tg_bot", last(&bot, "metrics on ")),
            ("alert_route", last(&route, "metrics on ")),
        ]);
        let processes = vec![recv, route, send, bot];
        Daemons { scratch, sandbox, processes, served, _grafana: Box::new(grafana) }
    }

    fn work(&self) {
        let url = self.served["am_recv"].trim_end_matches("metrics");
        assert_eq!(post(url, &webhook(&["A", "Watchdog"])), 200);
        assert_eq!(post(url, "nonsense"), 400);
        self.processes[2].says("sent id=");
        // Up to a picture: a family of metrics that has counted nothing yet is not served at all.
        for (said, answer) in [("/start", "/help"), ("Web shop", "Web shop"), ("Orders", "Orders")] {
            let own = || {
                let messages = self.sandbox.messages(1).into_iter().filter(|message| message["own"] == true);
                messages.map(|message| message.to_string()).collect::<Vec<_>>()
            };
            let before = own().len();
            self.sandbox.post("/say", json!({"chat": 1, "text": said}));
            until("an answer of the bot", || own().into_iter().skip(before).find(|message| message.contains(answer)));
        }
        let bot = &self.served["tg_bot"];
        until("the picture to be counted", || {
            ureq::get(bot)
                .call()
                .unwrap()
                .body_mut()
                .read_to_string()
                .unwrap()
                .contains("tg_bot_pictures_total")
                .then_some(())
        });
    }

    fn scrape(&self) -> String {
        let texts = self.served.values().map(|url| ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap());
        texts.collect()
    }
}

/// Name as it is queried, and what it is counted by, where that can be seen.
fn served(scrape: &str) -> BTreeMap<String, Option<String>> {
    let label = Regex::new(r#"^[a-z_]+\{([a-z_]+)="#).unwrap();
    let types = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let named = types.map(|(name, kind)| {
        let full = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let sample = scrape.lines().find(|line| line.strip_prefix(&full).is_some_and(|rest| rest.starts_with('{')));
        let by = sample.and_then(|line| label.captures(line)).map(|found| found[1].to_owned());
        (full, by)
    });
    named.collect()
}

#[test]
fn metrics_are_those_that_are_documented() {
    let daemons = Daemons::start();
    daemons.work();
    let served = served(&daemons.scrape());
    let ours = |name: &str| daemons.served.keys().any(|tool| name.starts_with(tool));
    let readme = std::fs::read_to_string("README.md").unwrap();
    let table = readme.split("| metric | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let row = Regex::new(r"(?m)^\| `([a-z_]+)(?:\{([a-z]+)\})?` \|").unwrap();
    let documented: BTreeMap<String, Option<String>> = row
        .captures_iter(table)
        .map(|found| (found[1].to_owned(), found.get(2).map(|by| by.as_str().to_owned())))
        .filter(|(name, _)| ours(name))
        .collect();
    let names = |all: &BTreeMap<String, Option<String>>| all.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&served), "README.md and what the daemons serve");
    for (name, by) in &served {
        assert!(by.is_none() || by == &documented[name], "{name} is counted by {by:?}");
    }
    let page = std::fs::read_to_string("man/prometheus-telegram.7").unwrap();
    let item = Regex::new(r"(?m)^\.It Li ([a-z_]+)$").unwrap();
    let in_page: BTreeSet<String> =
        item.captures_iter(&page).map(|found| found[1].to_owned()).filter(|name| ours(name)).collect();
    assert_eq!(in_page, names(&served), "man/prometheus-telegram.7 and what the daemons serve");
}

/// Names of ours in an expression, as they are served: a histogram's parts are the histogram.
pub fn names_in(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:am_recv|alert_route|tg_send|tg_bot)_[a-z_]+").unwrap();
    let bare = |name: &str| {
        let parts = ["_bucket", "_count", "_sum"];
        parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name).to_owned()
    };
    name.find_iter(text).map(|found| bare(found.as_str())).collect()
}

/// `(panel, expression)` of every target.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        targets.iter().map(move |target| (title.to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

#[test]
fn a_real_prometheus_answers_the_dashboard() {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "twice: {panel}");
        assert!(panel["gridPos"]["x"].as_u64().unwrap() + panel["gridPos"]["w"].as_u64().unwrap() <= 24, "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{target}");
        }
    }
    if !Path::new("/usr/bin/prometheus").exists() {
        say("SKIPPED: no prometheus; Debian's package prometheus has it");
        return;
    }
    let daemons = Daemons::start();
    daemons.work();
    let known = served(&daemons.scrape());
    let ours = |name: &String| daemons.served.keys().any(|tool| name.starts_with(tool));
    let targets: Vec<Value> = daemons.served.values().map(|url| json!(url[7..].trim_end_matches("/metrics"))).collect();
    let config = json!({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "pipeline", "static_configs": [{"targets": targets}]}]});
    // JSON is YAML.
    let config = daemons.scratch.write("prometheus.yml", &config.to_string());
    let port = free_port();
    let mut prometheus = Command::new("/usr/bin/prometheus");
    prometheus.arg(format!("--config.file={}", config.display()));
    prometheus.arg(format!("--storage.tsdb.path={}", daemons.scratch.path("tsdb").display()));
    prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}")).stdout(Stdio::null());
    let _prometheus = Process::start(&daemons.scratch, "prometheus", &mut prometheus);
    let query = |expression: &str| -> Option<Vec<Value>> {
        let mut answer = ureq::get(format!("http://127.0.0.1:{port}/api/v1/query"))
            .query("query", expression)
            .config()
            .http_status_as_error(false)
            .build()
            .call()
            .ok()?;
        let status = answer.status();
        let answer: Value = answer.body_mut().read_json().ok()?;
        assert!(status != 400 && status != 422, "{expression}: {answer}");
        answer["data"]["result"].as_array().cloned()
    };
    // Two scrapes of each are what a rate needs.
    let rates = daemons.served.len();
    until("two scrapes of every daemon", || {
        query("count_over_time(up[1m]) > 2 and up == 1").filter(|found| found.len() == rates)
    });
    for (panel, expression) in expressions(&dashboard) {
        let names = names_in(&expression);
        assert!(!names.is_empty(), "{panel}: {expression}");
        let unknown: Vec<&String> = names.iter().filter(|name| ours(name) && !known.contains_key(*name)).collect();
        assert!(unknown.is_empty(), "{panel}: {unknown:?} is not served");
    }
    let answered = until("something to see in every panel", || {
        let mut answered: BTreeMap<String, bool> = BTreeMap::new();
        for (panel, expression) in expressions(&dashboard) {
            let found = query(&expression.replace("$__rate_interval", "30s")).unwrap_or_default();
            if names_in(&expression).iter().all(ours) {
                *answered.entry(panel).or_default() |= !found.is_empty();
            }
        }
        answered.values().all(|found| *found).then_some(answered)
    });
    assert!(answered.len() >= 10, "{answered:?}");
}

#[test]
fn every_rule_can_fire_and_keeps_quiet() {
    let rules = std::fs::read_to_string(RULES).unwrap();
    let tests = std::fs::read_to_string("tests/docs/rules.test.yml").unwrap();
    let alert = Regex::new(r"(?m)^ +- alert: (\w+)$").unwrap();
    for found in alert.captures_iter(&rules) {
        let fires = Regex::new(&format!(r"alertname: {}\n +exp_alerts:\n +- ", &found[1])).unwrap();
        assert!(fires.is_match(&tests), "no test in which {} fires", &found[1]);
    }
    let daemons = Daemons::start();
    daemons.work();
    let known = served(&daemons.scrape());
    for name in names_in(&rules) {
        let ours = daemons.served.keys().any(|tool| name.starts_with(tool));
        assert!(!ours || known.contains_key(&name), "{name} in {RULES} is not served");
    }
    if !Path::new("/usr/bin/promtool").exists() {
        say("SKIPPED: no promtool; Debian's package prometheus has it");
        return;
    }
    for call in [["check", "rules", RULES], ["test", "rules", "tests/docs/rules.test.yml"]] {
        let output = run(Command::new("promtool").args(call), b"");
        assert_eq!(output.code, Some(0), "promtool {call:?}: {}{}", output.stdout, output.stderr);
    }
}
