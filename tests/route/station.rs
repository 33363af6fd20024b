//! What alert-route does beside routing: it remembers what it saw, counts, and notices that nothing comes any more.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use prometheus_telegram::seen;
use prometheus_telegram::users::Wish;
use serde_json::{Value, json};

use crate::harness::*;

/// An alert-route whose stdin stays open, and what it has written.
struct Route {
    process: Process,
    stdin: ChildStdin,
    records: Arc<Mutex<Vec<Value>>>,
}

impl Route {
    fn start(scratch: &Scratch, options: &[&str]) -> Self {
        let mut command = command("alert-route");
        command.arg("-u").arg(scratch.path("users.json")).args(options);
        Route::of(scratch, command.stdin(Stdio::piped()).stdout(Stdio::piped()))
    }

    fn of(scratch: &Scratch, command: &mut Command) -> Self {
        let mut process = Process::start(scratch, "alert-route", command);
        let (stdin, stdout) = (process.child.stdin.take().unwrap(), process.child.stdout.take().unwrap());
        let records = Arc::new(Mutex::new(Vec::new()));
        let written = records.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok).filter(|line| !line.is_empty()) {
                written.lock().unwrap().push(serde_json::from_str(&line).unwrap_or_else(|err| panic!("{err}: {line}")));
            }
        });
        Route { process, stdin, records }
    }

    fn feed(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// All that was written, each key once, as tg-send would see it.
    fn told(&self) -> Vec<Value> {
        let mut told: Vec<Value> = Vec::new();
        for record in self.records.lock().unwrap().iter() {
            if !told.iter().any(|known| known["key"] == record["key"] && known["chat"] == record["chat"]) {
                told.push(record.clone());
            }
        }
        told
    }

    /// Waits for a record whose text holds this.
    fn tells(&self, part: &str) -> Value {
        until(&format!("{part:?} in {:#?}", self.told()), || {
            self.told().into_iter().find(|record| record["text"].as_str().is_some_and(|text| text.contains(part)))
        })
    }

    fn scrape(&self) -> String {
        let line = self.process.says("metrics on ");
        ureq::get(line.rsplit(' ').next().unwrap()).call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn value(&self, name: &str) -> f64 {
        let text = self.scrape();
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{text}"))
    }
}

fn seen_names(path: &Path) -> Vec<String> {
    seen::read(path).iter().map(|alert| alert.labels["alertname"].clone()).collect()
}

#[test]
fn what_was_seen_is_written_while_nothing_comes_and_read_again() {
    let scratch = Scratch::new("seen");
    scratch.write("users.json", "{}");
    let path = scratch.path("seen.json");
    let mut route = Route::start(&scratch, &["--seen", path.to_str().unwrap()]);
    route.feed(&webhook(&["DiskFull", "CpuHigh"]));
    until("the file", || (seen_names(&path) == ["CpuHigh", "DiskFull"]).then_some(()));
    route.process.kill();
    let mut route = Route::start(&scratch, &["--seen", path.to_str().unwrap()]);
    route.feed(&webhook(&["MemLow", "DiskFull"]));
    until("the file", || (seen_names(&path) == ["DiskFull", "MemLow", "CpuHigh"]).then_some(()));
    let all = seen::read(&path);
    let fits: Vec<_> =
        seen::fitting(&all, &Wish::by_name("disk|cpu").unwrap()).map(|one| &one.labels["alertname"]).collect();
    assert_eq!(fits, ["DiskFull", "CpuHigh"]);
    assert_eq!(route.process.log(), "");
}

/// The second thread once kept stdout locked while it slept, and lines that came one at a time took a second each.
#[test]
fn lines_do_not_wait_for_the_thread_that_sees_time_pass() {
    let scratch = Scratch::new("route-turns");
    scratch.write("users.json", r#"{"1": "*"}"#);
    let path = scratch.path("seen.json");
    let mut route = Route::start(&scratch, &["--seen", path.to_str().unwrap(), "--watchdog", "Watchdog=1h"]);
    let start = std::time::Instant::now();
    for n in 0..200 {
        assert!(start.elapsed() < PATIENCE, "only {n} lines");
        route.feed(&webhook(&[&format!("A{n}x")]));
        route.tells(&format!("summary of A{n}x"));
    }
}

#[test]
fn the_end_of_the_input_leaves_what_was_seen() {
    let scratch = Scratch::new("seen-end");
    scratch.write("users.json", "{}");
    let path = scratch.path("seen.json");
    let mut command = command("alert-route");
    command.arg("-u").arg(scratch.path("users.json")).arg("--seen").arg(&path);
    let output = run(&mut command, (webhook(&["A"]) + "\n" + &webhook(&["B"])).as_bytes());
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_eq!(seen_names(&path), ["B", "A"]);
}

#[test]
fn a_file_that_cannot_be_written_is_one_warning_and_disturbs_nothing() {
    let scratch = Scratch::new("seen-fails");
    scratch.write("users.json", r#"{"1": "*"}"#);
    let options = ["--seen", "/nonexistent/seen.json", "--metrics", "127.0.0.1:0", "--watchdog", "Watchdog=20s"];
    let mut route = Route::start(&scratch, &options);
    route.feed(&webhook(&["A"]));
    route.tells("summary of A");
    until("two attempts", || (route.value("alert_route_seen_write_failures_total") >= 2.0).then_some(()));
    route.feed(&webhook(&["B"]));
    route.tells("summary of B");
    assert_eq!(
        route.process.log().matches("cannot write /nonexistent/seen.json").count(),
        1,
        "{}",
        route.process.log()
    );
}

#[test]
fn everything_that_happens_is_counted() {
    let scratch = Scratch::new("route-metrics");
    scratch.write("users.json", r#"{"1": "disk", "2": {"match": ["(", "disk"], "role": "admin"}}"#);
    let mut route = Route::start(&scratch, &["--metrics", "127.0.0.1:0", "--watchdog", "Watchdog=1h"]);
    route.feed("garbage");
    route.feed(&webhook(&["DiskFull", "CpuHigh"]));
    route.feed(&json!({"alerts": [alert("DiskFull", "resolved"), alert("Watchdog", "firing")]}).to_string());
    until("all lines", || (route.value("alert_route_lines_total") == 3.0).then_some(()));
    // A line is counted before what is in it.
    let expected = [
        ("alert_route_lines_bad_total", 1.0),
        ("alert_route_alerts_total{status=\"firing\"}", 3.0),
        ("alert_route_alerts_total{status=\"resolved\"}", 1.0),
        ("alert_route_alerts_unwanted_total", 1.0),
        ("alert_route_records_total", 4.0),
        ("alert_route_users_chats", 2.0),
        ("alert_route_users_warnings", 1.0),
        ("alert_route_admins", 1.0),
        ("alert_route_users_last_reload_successful", 1.0),
        ("alert_route_watchdog_silent{alertname=\"Watchdog\"}", 0.0),
    ];
    until("four records", || (route.value("alert_route_records_total") == 4.0).then_some(()));
    for (name, expected) in expected {
        assert_eq!(route.value(name), expected, "{name}");
    }
    assert!(route.value("alert_route_watchdog_last_heard_timestamp_seconds{alertname=\"Watchdog\"}") > 1e9);
    // Without a line: the file is looked at all the same.
    scratch.write("users.json", "{");
    until("the bad file", || (route.value("alert_route_users_last_reload_successful") == 0.0).then_some(()));
    scratch.write("users.json", r#"{"1": "disk"}"#);
    until("the good file", || {
        let value = |name| route.value(name) == 1.0;
        (value("alert_route_users_chats") && value("alert_route_users_last_reload_successful")).then_some(())
    });
}

const USERS: &str = r#"{"1": "*", "7": {"role": "admin"}, "-8": {"match": ["x"], "thread": 5, "role": "admin"},
    "9": {"role": "admin", "blocked_since": "2026-01-01T00:00:00Z"}}"#;

#[test]
fn silence_is_told_to_the_administrators_and_its_end_too() {
    let scratch = Scratch::new("watchdog");
    scratch.write("users.json", USERS);
    let config = scratch.write("config.json", r#"{"admins": [7, 10]}"#);
    let mut route = Route::start(&scratch, &["--watchdog", "Watchdog=1s", "-c", config.to_str().unwrap(), "--ack"]);
    // Nothing ever came.
    let first = route.tells("has been silent for 1s");
    assert!(first["text"].as_str().unwrap().contains("No Watchdog alert has come since alert-route was started"));
    until("all three", || (route.told().len() >= 3).then_some(()));
    let to: Vec<_> =
        route.told()[..3].iter().map(|record| (record["chat"].clone(), record["thread"].clone())).collect();
    assert_eq!(to, [(json!(7), json!(null)), (json!(-8), json!(5)), (json!(10), json!(null))]);
    // A reminder, by another key and about the same.
    let second = route.tells("has been silent for 4s");
    assert!(second["key"] != first["key"] && second["about"] == first["about"]);
    route.feed(&webhook(&["Watchdog"]));
    let back = route.tells("is heard again, after ");
    assert_eq!(back["about"], first["about"], "it answers the message that told the silence");
    route.process.says("Alertmanager is heard again");
    let records = route.records.lock().unwrap().clone();
    assert!(!records.iter().any(|record| record["chat"] == 1), "the watchdog's alert is nobody's: {records:#?}");
    assert_eq!(records.iter().filter(|record| record["ack"].is_string()).count(), 1, "and its line is acknowledged");
    drop(records);
    let third = route.tells("No Watchdog alert since ");
    assert!(third["key"] != first["key"] && third["about"] != first["about"], "another silence");
    // An alert that is resolved is no sign of life.
    route.feed(&json!({"alerts": [alert("Watchdog", "resolved")]}).to_string());
    route.feed(&webhook(&["A"]));
    route.tells("summary of A");
    assert_eq!(route.told().iter().filter(|record| record["text"].to_string().contains("heard again")).count(), 3);
}

#[test]
fn who_keeps_sending_is_not_complained_of() {
    let scratch = Scratch::new("watchdog-fine");
    scratch.write("users.json", USERS);
    let mut route = Route::start(&scratch, &["--watchdog", "Watchdog=20s", "--watchdog", "Other=1s"]);
    until("the other's silence", || {
        route.feed(&webhook(&["Watchdog"]));
        route.told().iter().any(|record| record["text"].to_string().contains("No Other alert")).then_some(())
    });
    assert!(
        !route.told().iter().any(|record| record["text"].to_string().contains("No Watchdog")),
        "{:#?}",
        route.told()
    );
}

#[test]
fn a_silence_outlives_restarts_and_is_the_same_one() {
    let scratch = Scratch::new("watchdog-restart");
    scratch.write("users.json", r#"{"7": {"role": "admin"}}"#);
    let seen = scratch.path("seen.json");
    let options = ["--watchdog", "Watchdog=3s", "--seen", seen.to_str().unwrap()];
    let mut route = Route::start(&scratch, &options);
    route.feed(&webhook(&["Watchdog"]));
    let heard = until("the file", || {
        let file: Value = serde_json::from_str(&scratch.read("seen.json")).ok()?;
        let watch = &file["watchdogs"]["watches"]["Watchdog"];
        (watch["heard"] == true).then(|| watch["last"].as_str().unwrap().to_owned())
    });
    // Killed again and again in less time than the silence takes, it still notices.
    let mut restarts = 0;
    let told = loop {
        assert!(restarts < 60, "{:#?}", route.told());
        route.process.kill();
        route = Route::start(&scratch, &options);
        restarts += 1;
        let start = std::time::Instant::now();
        while route.told().is_empty() && start.elapsed() < std::time::Duration::from_millis(1500) {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        if let Some(told) = route.told().first() {
            break told.clone();
        }
    };
    assert_eq!(told["key"], format!("watchdog Watchdog {heard} 0"), "after {restarts} restarts");
    // The next one tells the same again by the same key, in case nobody wrote it down, and then its end.
    until("the file", || {
        let file: Value = serde_json::from_str(&scratch.read("seen.json")).ok()?;
        (file["watchdogs"]["watches"]["Watchdog"]["told"] == true).then_some(())
    });
    route.process.kill();
    route = Route::start(&scratch, &options);
    assert_eq!(route.tells("silent for")["key"], told["key"]);
    route.feed(&webhook(&["Watchdog"]));
    assert_eq!(route.tells("heard again")["key"], format!("watchdog Watchdog {heard} back"));
}

#[test]
fn without_an_administrator_it_says_so() {
    let scratch = Scratch::new("watchdog-nobody");
    scratch.write("users.json", r#"{"1": "*"}"#);
    let route = Route::start(&scratch, &["--watchdog", "Watchdog=1s"]);
    route.process.says("nobody would be told of a silent Alertmanager");
    let silent = route.process.says("Alertmanager is silent: no alert \"Watchdog\" since");
    let since = silent.rsplit(' ').next().unwrap();
    assert_eq!(since.len(), "2026-11-22T13:57:50Z".len(), "to the second: {silent}");
    // One who is made an administrator meanwhile is told of what is next.
    scratch.write("users.json", r#"{"1": {"match": "*", "role": "admin"}}"#);
    assert_eq!(route.tells("has been silent for ")["chat"], 1);
}

#[test]
fn wrong_rules_are_refused() {
    let scratch = Scratch::new("watchdog-wrong");
    let users = scratch.write("users.json", "{}");
    for (rule, reason) in [
        ("Watchdog", "is not of the form NAME=10m"),
        ("Watchdog=", "is not a time of a second or more"),
        ("Watchdog=0s", "is not a time of a second or more"),
        ("=10m", "no name of an alert"),
    ] {
        let mut command = command("alert-route");
        let output = run(command.arg("-u").arg(&users).args(["--watchdog", rule]), b"");
        assert!(output.code == Some(2) && output.stderr.contains(reason), "{rule}: {output:?}");
    }
    let mut command = command("alert-route");
    let output = run(command.arg("-u").arg(&users).args(["--watchdog", "A=1m", "--watchdog", "A=2m"]), b"");
    assert!(output.code == Some(2) && output.stderr.contains("watchdog \"A\" is named twice"), "{output:?}");
}

#[test]
fn rules_are_the_options_else_the_environments_else_the_files() {
    let scratch = Scratch::new("watchdog-sources");
    let users = scratch.write("users.json", r#"{"1": "*"}"#);
    let config = scratch.write("config.json", r#"{"watchdog": {"OfTheFile": "10m"}}"#);
    let line = webhook(&["OfTheFile", "OfTheEnvironment", "OfTheOption"]);
    let watched = |environment: Option<&str>, options: &[&str]| {
        let mut command = command("alert-route");
        command.arg("-u").arg(&users).arg("-c").arg(&config).arg("--explain").args(options);
        command.envs(environment.map(|rules| ("ALERT_WATCHDOG", rules)));
        let said = run(&mut command, line.as_bytes()).stdout;
        let lines: Vec<&str> = said.lines().collect();
        let is_one = |name: &&str| lines.windows(2).any(|two| two[0].contains(name) && two[1].contains("its silence"));
        ["OfTheFile", "OfTheEnvironment", "OfTheOption"].into_iter().filter(is_one).collect::<Vec<_>>()
    };
    assert_eq!(watched(None, &[]), ["OfTheFile"]);
    assert_eq!(watched(Some("OfTheEnvironment=1h"), &[]), ["OfTheEnvironment"]);
    assert_eq!(watched(Some("OfTheEnvironment=1h"), &["--watchdog", "OfTheOption=1h"]), ["OfTheOption"]);
}

#[test]
fn a_check_says_that_nobody_would_be_told() {
    let scratch = Scratch::new("watchdog-check");
    let users = scratch.write("users.json", r#"{"1": "*"}"#);
    let warning = "warning: nobody would be told of a silent Alertmanager: no chat has the role \"admin\"";
    for (config, code) in [
        (r#"{"watchdog": {"Watchdog": "10m"}}"#, 2),
        (r#"{"watchdog": {"Watchdog": "10m"}, "admins": [1]}"#, 0),
        ("{}", 0),
    ] {
        let file = scratch.write("config.json", config);
        let mut command = command("alert-route");
        let output = run(command.arg("-u").arg(&users).arg("--check=strict").arg("-c").arg(&file), b"");
        assert_eq!((output.code, output.stderr.contains(warning)), (Some(code), code == 2), "{config}: {output:?}");
        assert_eq!(output.stderr.contains("ok: watchdog Watchdog, every 10m"), config != "{}", "{config}: {output:?}");
    }
}

#[test]
fn explain_says_whose_the_watchdog_is() {
    let scratch = Scratch::new("watchdog-explain");
    let users = scratch.write("users.json", r#"{"-1": [{"match": "*"}, {"match": "*", "thread": 7}]}"#);
    let mut command = command("alert-route");
    command.arg("-u").arg(users).args(["--explain", "--watchdog", "Watchdog=10m"]);
    let output = run(&mut command, webhook(&["Watchdog", "A"]).as_bytes());
    assert!(output.stdout.contains("nobody: its silence is told, to the administrators"), "{output:?}");
    assert!(output.stdout.contains("chat -1               yes:  it wants every alert"), "{output:?}");
    assert!(output.stdout.contains("chat -1 topic 7       yes:  it wants every alert"), "{output:?}");
}

#[test]
fn labels_do_nothing_to_the_terminal_of_whoever_asks_why() {
    let scratch = Scratch::new("escapes");
    let users = scratch.write("users.json", r#"{"-1": {"labels": "a!=\"\u001b[2J\""}}"#);
    let mut command = command("alert-route");
    command.arg("-u").arg(users).arg("--explain");
    let line = r#"{"alerts":[{"labels":{"alertname":"A\u001b[31m\n  chat -2               yes:  forged","a":"b"}}]}"#;
    let output = run(&mut command, line.as_bytes());
    assert!(!output.stdout.contains('\u{1b}') && output.stdout.contains(r"A\u001b[31m"), "{output:?}");
    assert!(output.stdout.lines().all(|line| !line.starts_with("  chat -2")), "{output:?}");
    assert_eq!(output.stdout.lines().count(), 2, "{output:?}");
}

#[test]
fn a_line_of_too_many_alerts_is_skipped_and_the_next_one_is_read() {
    let scratch = Scratch::new("many-alerts");
    let users = scratch.write("users.json", r#"{"-1": "*"}"#);
    let mut command = command("alert-route");
    command.arg("-u").arg(users);
    let many = format!(r#"{{"alerts":[{}{{}}]}}"#, "{},".repeat(50_000));
    let output = run(&mut command, format!("{many}\n{}\n", webhook(&["After"])).as_bytes());
    assert!(output.stderr.contains("skipped: more than 50000 alerts in one webhook"), "{}", output.stderr);
    assert!(output.code == Some(0) && output.stdout.lines().filter(|line| line.contains("After")).count() == 1);
}
