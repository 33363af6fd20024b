//! A real Prometheus with a rule that fires, a real Alertmanager, and the pipe.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::harness::*;

const PROMETHEUS: &str = "/usr/bin/prometheus";
const ALERTMANAGER: &str = "/usr/bin/prometheus-alertmanager";

/// A target with one metric that the test switches.
fn target() -> (String, Arc<AtomicBool>) {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_string();
    let on = Arc::new(AtomicBool::new(false));
    let switch = on.clone();
    thread::spawn(move || {
        for request in server.incoming_requests() {
            let text = format!("memory_is_full {}\n", u8::from(switch.load(Ordering::SeqCst)));
            let _ = request.respond(tiny_http::Response::from_string(text));
        }
    });
    (address, on)
}

fn start_both(scratch: &Scratch, target: &str, webhook: &str) -> [Process; 2] {
    let (prometheus, alertmanager) = (free_port(), free_port());
    scratch.write(
        "rules.yml",
        r#"groups: [{name: tests, interval: 500ms, rules: [
            {alert: HostOutOfMemory, expr: "last_over_time(memory_is_full[10s]) == 1", labels: {severity: critical},
             annotations: {summary: "Memory is full (< 10% left)", description: "{{ $labels.instance }} & <others>"}}]}]"#,
    );
    let config = format!(
        "{{global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}},
           rule_files: [rules.yml],
           scrape_configs: [{{job_name: node, static_configs: [{{targets: ['{target}']}}]}}],
           alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}}}"
    );
    let config = scratch.write("prometheus.yml", &config);
    let receiver = format!(
        "{{route: {{receiver: telegram, group_by: [alertname], group_wait: 300ms, group_interval: 1s, repeat_interval: 1h}},
           receivers: [{{name: telegram, webhook_configs: [{{url: '{webhook}', send_resolved: true}}]}}]}}"
    );
    let receiver = scratch.write("alertmanager.yml", &receiver);
    let mut alertmanager_command = Command::new(ALERTMANAGER);
    alertmanager_command
        .arg(format!("--config.file={}", receiver.display()))
        .arg(format!("--storage.path={}", scratch.path("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{alertmanager}"))
        .arg("--cluster.listen-address=");
    let mut prometheus_command = Command::new(PROMETHEUS);
    prometheus_command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", scratch.path("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{prometheus}"));
    [
        Process::start(scratch, "alertmanager", &mut alertmanager_command),
        Process::start(scratch, "prometheus", &mut prometheus_command),
    ]
}

#[test]
fn firing_and_resolved_of_a_real_prometheus_reach_the_right_chats_also_after_a_while_of_503() {
    if !Path::new(PROMETHEUS).exists() || !Path::new(ALERTMANAGER).exists() {
        say("SKIPPED: Prometheus and Alertmanager are not installed (scripts/test installs them)");
        return;
    }
    let scratch = Scratch::new("real");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let users = r#"{"1": "mem|cpu", "-2": {"labels": ["severity=~\"critical|page\", job=\"node\""]}, "3": "disk",
                    "-4": {"labels": ["severity=\"warning\""]}}"#;
    scratch.write("users.json", users);
    let held = Held::new(&scratch);
    let port = free_port();
    let recv = held.start(&scratch, &sandbox, port, 0);
    let _route = held.start(&scratch, &sandbox, port, 1);
    let send = held.start(&scratch, &sandbox, port, 2);
    recv.says("listening on ");
    let (target, on) = target();
    let _both = start_both(&scratch, &target, &format!("http://127.0.0.1:{port}/"));
    let told = |chat, count: usize| {
        until(&format!("message {count} of chat {chat}"), || {
            let texts = sandbox.texts(chat);
            (texts.len() >= count).then(|| texts[count - 1].clone())
        })
    };

    on.store(true, Ordering::SeqCst);
    let firing = told(1, 1);
    assert!(firing.starts_with("🔴 HostOutOfMemory · critical\nMemory is full (< 10% left)\n"), "{firing}");
    assert!(firing.contains(&format!("{target} & <others>")), "{firing}");
    assert_eq!(told(-2, 1), firing);

    on.store(false, Ordering::SeqCst);
    let resolved = told(1, 2);
    assert!(resolved.starts_with("✅ HostOutOfMemory · critical · resolved\n"), "{resolved}");
    told(-2, 2);

    // Nobody takes responsibility: Alertmanager is answered 503 until somebody does. What was under way at a kill would
    // be told again, so it comes when both answers are on disk.
    until("what was told to be on disk", || (send.log().matches("sent id=").count() == 4).then_some(()));
    drop(send);
    on.store(true, Ordering::SeqCst);
    until("two refusals", || (recv.log().matches("not acknowledged in time").count() >= 2).then_some(()));
    assert_eq!(sandbox.messages(1).len(), 2);
    let _send = held.start(&scratch, &sandbox, port, 2);
    let again = told(1, 3);
    assert!(again.starts_with("🔴 HostOutOfMemory"), "{again}");
    told(-2, 3);
    on.store(false, Ordering::SeqCst);
    assert!(told(1, 4).starts_with("✅ HostOutOfMemory"));
    told(-2, 4);

    for chat in [1, -2] {
        let messages = sandbox.messages(chat);
        assert_eq!(messages.len(), 4, "{messages:?}");
        for n in [1, 3] {
            assert_eq!(messages[n]["reply_to_message"]["message_id"], messages[n - 1]["message_id"]);
        }
    }
    assert_eq!((sandbox.messages(3).len(), sandbox.messages(-4).len()), (0, 0));
    assert_eq!(sandbox.violations(), []);
}
