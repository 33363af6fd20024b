//! The control API and the end of the program.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Sandbox, TOKEN, Wire};

#[test]
fn requests_are_recorded_and_waited_for() {
    let sandbox = Sandbox::start(&[]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sandbox.get("requests?method=sendMessage&chat=2&count=2&wait_ms=30000"));
        for (chat, text) in [(1, "a"), (2, "b"), (1, "c"), (2, "d")] {
            sandbox.send(chat, text);
        }
        let seen = waiting.join().unwrap();
        let texts: Vec<&Value> = seen.as_array().unwrap().iter().map(|record| &record["params"]["text"]).collect();
        assert_eq!(texts, ["b", "d"]);
    });
    let record = sandbox.last_request();
    assert_eq!(
        (&record["n"], &record["outcome"], &record["status"], &record["rule"]),
        (&json!(4), &json!("delivered"), &json!(200), &Value::Null)
    );
    assert_eq!(sandbox.get("requests?since=3").as_array().unwrap().len(), 1);
    assert_eq!(
        sandbox.get("requests?count=9&wait_ms=50").as_array().unwrap().len(),
        4,
        "what there is when the time is over"
    );
}

#[test]
fn messages_are_shown_as_a_person_sees_them() {
    let sandbox = Sandbox::start(&[]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sandbox.get("chat/1/messages?count=2&wait_ms=30000"));
        let id = sandbox.ok(
            "sendMessage",
            json!({"chat_id": 1, "text": "<b>a</b>", "parse_mode": "HTML", "disable_notification": true}),
        )["message_id"]
            .clone();
        sandbox.ok("editMessageText", json!({"chat_id": 1, "message_id": id, "text": "b"}));
        sandbox.send(1, "c");
        let seen = waiting.join().unwrap();
        assert_eq!(
            (&seen[0]["text"], &seen[0]["edited"], &seen[0]["silent"]),
            (&json!("b"), &json!(true), &json!(true))
        );
        assert_eq!((&seen[1]["text"], &seen[1]["edited"]), (&json!("c"), &json!(false)));
    });
}

#[test]
fn a_reset_is_a_clean_slate() {
    let sandbox = Sandbox::start(&[]);
    sandbox.rule(json!({"times": -1, "match": {"chat_id": 9}, "do": {"html": 502}}));
    sandbox.send(1, "the bot is known");
    let first = sandbox.post("say", json!({"chat": 1, "text": "x"}));
    sandbox.send(1, "<");
    sandbox.send(1, "<");
    sandbox.post("limits", json!({"mode": "enforce"}));
    sandbox.post("reset", json!({}));
    assert_eq!(sandbox.get("rules"), json!([]));
    assert_eq!(sandbox.get("requests"), json!([]));
    assert_eq!(sandbox.get("violations")["total"], 0);
    let state = sandbox.get("state");
    assert_eq!((&state["chats"], &state["limits"]["mode"]), (&json!([]), &json!("off")));
    assert_eq!(sandbox.ok("getUpdates", json!({})), json!([]));
    let later = sandbox.post("say", json!({"chat": 1, "text": "x"}));
    assert!(later["update_id"].as_i64() > first["update_id"].as_i64(), "a bot that goes on must not miss it");
}

#[test]
fn the_world_is_read_from_a_file_and_by_calls() {
    let file = std::env::temp_dir().join(format!("tg-sandbox-world-{}.json", std::process::id()));
    let world = json!({"chats": [{"id": 42, "first_name": "Ada", "bot": "blocked"}], "users": [{"id": 42, "first_name": "Ada", "last_name": "L"}]});
    std::fs::write(&file, world.to_string()).unwrap();
    let sandbox = Sandbox::start(&["--strict", "--world", file.to_str().unwrap()]);
    assert_eq!(sandbox.send(42, "x").status, 403);
    sandbox.post("bot_status", json!({"chat": 42, "status": "member"}));
    assert_eq!(sandbox.send(42, "x").status, 200);
    assert_eq!(sandbox.violation("to_dead_chat"), 0, "it came back before");
    sandbox.post("migrate", json!({"from": 42, "to": -1_000_000_000_042i64}));
    assert_eq!(sandbox.send(42, "x").json()["parameters"]["migrate_to_chat_id"], -1_000_000_000_042i64);
    assert_eq!(sandbox.post_fails("chat", json!({"id": 1, "colour": "red"})), 400);
    assert_eq!(sandbox.post_fails("chat", json!({})), 400);
    assert_eq!(sandbox.post_fails("member", json!({"chat": 99, "user": 1, "status": "left"})), 404);
    assert_eq!(sandbox.post_fails("nothing", json!({})), 404);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn it_ends_by_call_by_signal_and_by_time() {
    let stop = |sandbox: &Sandbox| {
        sandbox.send(1, "x");
        sandbox.post("stop", json!({}));
    };
    let (status, summary) = Sandbox::start(&["--fail-on-violation"]).end(stop);
    assert_eq!((status.code(), &summary["messages"], &summary["requests"]), (Some(0), &json!(1), &json!(1)));
    for signal in ["TERM", "INT"] {
        let violate = |sandbox: &Sandbox| {
            sandbox.send(1, "x");
            sandbox.send(1, "x");
            sandbox.signal(signal);
        };
        let (status, summary) = Sandbox::start(&["--fail-on-violation"]).end(violate);
        assert_eq!((status.code(), &summary["violations"]["duplicate_text"]), (Some(3), &json!(1)));
    }
    let (status, _) = Sandbox::start(&["--max-seconds", "0.1"]).end(|_| ());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_record_on_disk_holds_every_request_and_no_token() {
    let file = std::env::temp_dir().join(format!("tg-sandbox-record-{}.jsonl", std::process::id()));
    let (_, summary) = Sandbox::start(&["--record", file.to_str().unwrap()]).end(|sandbox| {
        sandbox.send(1, "a");
        sandbox.rule(json!({"do": {"rst": "after_headers"}}));
        let _ = Wire::open(sandbox.api).unwrap().ask(&crate::harness::send_request(1, "b"));
        sandbox.send(1, "<");
        sandbox.post("stop", json!({}));
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &summary["requests"]), (3, &json!(3)));
    assert_eq!((&lines[2]["n"], &lines[2]["params"]["text"]), (&json!(3), &json!("<")));
    assert!(!text.contains(TOKEN) && !text.contains("test_TOKEN"), "{text}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn only_its_own_page_may_use_it() {
    let sandbox = Sandbox::start(&[]);
    let status = |headers: &str| {
        let text = format!("GET /state HTTP/1.1\r\n{headers}\r\n\r\n");
        Wire::open(sandbox.ctl).unwrap().ask(text.as_bytes()).unwrap().status
    };
    let port = sandbox.ctl;
    for (headers, allowed) in [
        (format!("Host: 127.0.0.1:{port}"), true),
        (format!("Host: localhost:{port}"), true),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}"), true),
        (format!("Host: rebound.example:{port}"), false),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: http://elsewhere.example"), false),
        (format!("Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site"), false),
    ] {
        assert_eq!(status(&headers) == 200, allowed, "{headers}");
    }
    let page = Wire::open(sandbox.ctl).unwrap().ask(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

#[test]
fn wrong_calls_are_told_apart() {
    for (args, words) in [
        (&["--limits", "some"] as &[&str], "--limits: \"some\" is not off, count or enforce"),
        (&["--scale", "0"], "--scale: \"0\" is not a number above 0"),
        (&["--world", "/nonexistent"], "cannot read /nonexistent"),
        (&["--port", "99999"], "99999"),
        (&["--what"], "--what"),
    ] {
        let out = Command::new(env!("CARGO_BIN_EXE_tg-sandbox")).args(args).stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.starts_with("tg-sandbox: error: ") && told.contains(words), "{args:?}: {told}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_tg-sandbox")).arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().starts_with("Usage: tg-sandbox"));
}
