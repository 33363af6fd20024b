//! The dead man's switch through the whole pipe: an Alertmanager that falls silent is told to the administrator.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::*;

const ALERTMANAGER: &str = "/usr/bin/prometheus-alertmanager";

fn told(sandbox: &Sandbox, chat: i64, part: &str) -> String {
    until(&format!("{part:?} in {:?}", sandbox.texts(chat)), || {
        sandbox.texts(chat).into_iter().find(|text| text.contains(part))
    })
}

#[test]
fn silence_and_its_end_arrive_once() {
    let scratch = Scratch::new("silence");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    scratch.write("users.json", r#"{"1": "*", "7": {"role": "admin"}}"#);
    let mut send = tg_send(&scratch, &sandbox);
    let pipeline = Pipeline::of(&scratch, &mut send, &[], &["--watchdog", "Watchdog=2s"], true);
    assert_eq!(post(&pipeline.url, &webhook(&["Watchdog"])), 200, "nobody's alert is acknowledged, too");
    let silent = told(&sandbox, 7, "has been silent for 2s");
    assert!(silent.contains("No Watchdog alert since ") && silent.contains("Does Prometheus run"), "{silent}");
    assert_eq!(post(&pipeline.url, &webhook(&["Watchdog", "A"])), 200);
    told(&sandbox, 7, "is heard again, after");
    told(&sandbox, 1, "summary of A");
    let about = |part: &str| sandbox.texts(7).iter().filter(|text| text.contains(part)).count();
    assert_eq!(about("heard again"), 1);
    assert!(!sandbox.texts(1).join("").contains("atchdog") && !sandbox.texts(1).join("").contains("silent"));
    let messages = sandbox.messages(7);
    let back = messages.iter().position(|message| message["text"].to_string().contains("heard again")).unwrap();
    assert_eq!(messages[back]["reply_to_message"]["message_id"], messages[back - 1]["message_id"]);
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_real_alertmanager_that_is_killed_is_missed() {
    if !Path::new(ALERTMANAGER).exists() {
        say("SKIPPED: Alertmanager is not installed (scripts/test installs it)");
        return;
    }
    let scratch = Scratch::new("missed");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    scratch.write("users.json", r#"{"1": "*", "7": {"role": "admin"}}"#);
    let mut send = tg_send(&scratch, &sandbox);
    let options = ["--watchdog", "Watchdog=5s", "--metrics", "127.0.0.1:0"];
    let pipeline = Pipeline::of(&scratch, &mut send, &[], &options, true);
    let receiver = format!(
        "{{route: {{receiver: t, group_by: [alertname], group_wait: 100ms, group_interval: 1s, repeat_interval: 1s}},
           receivers: [{{name: t, webhook_configs: [{{url: '{}'}}]}}]}}",
        pipeline.url
    );
    let receiver = scratch.write("alertmanager.yml", &receiver);
    let port = free_port();
    let start = || {
        let mut command = Command::new(ALERTMANAGER);
        command
            .arg(format!("--config.file={}", receiver.display()))
            .arg(format!("--storage.path={}", scratch.path("am").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=");
        let process = Process::start(&scratch, "alertmanager", &mut command);
        let url = format!("http://127.0.0.1:{port}/api/v2/alerts");
        let alert = json!([{"labels": {"alertname": "Watchdog"}, "endsAt": "2099-01-01T00:00:00Z"}]).to_string();
        until("Alertmanager to take an alert", || (post(&url, &alert) == 200).then_some(()));
        process
    };
    let mut alertmanager = start();
    let line = pipeline.route.says("metrics on ");
    let heard = || {
        let text = ureq::get(line.rsplit(' ').next().unwrap()).call().unwrap().body_mut().read_to_string().unwrap();
        let value = text.lines().find(|line| line.starts_with("alert_route_alerts_total{status=\"firing\"}"));
        value.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    until("the alert to be repeated", || (heard() >= 4.0).then_some(()));
    alertmanager.kill();
    let silent = told(&sandbox, 7, "No Watchdog alert since ");
    assert!(silent.contains("has been silent for 5s"), "{silent}");
    let _again = start();
    told(&sandbox, 7, "is heard again");
    assert_eq!(sandbox.messages(1).len(), 0);
}

#[test]
fn the_example_configuration_is_alertmanagers() {
    let check = |args: &[&str]| Command::new("amtool").args(args).output();
    let config = "example_config/alertmanager.yml";
    match check(&["check-config", config]) {
        Err(err) => say(&format!("SKIPPED: no amtool ({err}); Debian's package prometheus-alertmanager has it")),
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            let config = format!("--config.file={config}");
            let routes = check(&["config", "routes", "test", &config, "alertname=Watchdog"]).unwrap();
            assert_eq!(String::from_utf8_lossy(&routes.stdout).trim(), "telegram-watchdog");
        }
    }
}
