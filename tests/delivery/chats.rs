//! Chats that are gone, frozen, or known by two names: their trouble is theirs alone.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::*;
use crate::tools::*;

#[test]
fn a_gone_chat_waits_and_comes_back_and_delays_nobody() {
    let scratch = Scratch::new("gone");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": 1, "bot": "blocked"}));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.tell([record(1, "one")]);
    sender.process.says("chat 1 is gone: 403 Forbidden: bot was blocked by the user");
    sender.tell((0..50).map(|n| record(1, &format!("waits {n}"))));
    sender.tell([record(2, "other")]);
    until("the other chat", || (!sandbox.messages(2).is_empty()).then_some(()));
    let to_one = || sends(&sandbox).iter().filter(|request| request["params"]["chat_id"] == "1").count();
    assert_eq!(to_one(), 1, "it is not tried for each record");
    // The other's message is there a moment before its answer is written down.
    let status = until("51 that wait", || {
        let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"").stdout;
        status.contains("waiting  51").then_some(status)
    });
    assert!(status.contains("gone     chat 1: 403 Forbidden: bot was blocked by the user; 51 wait"), "{status}");
    // It lets the bot in again; a person says so, and the running tg-send sees it.
    sandbox.post("/bot_status", json!({"chat": 1, "status": "member"}));
    let retry = run(tg_send(&scratch, &sandbox).arg("--retry-failed"), b"");
    assert_eq!(retry.code, Some(0), "{retry:?}");
    sender.process.says("chat 1 is back");
    assert_eq!(sender.finish(), Some(0));
    let told = sandbox.texts(1).join("\n");
    assert!(told.contains("one") && (0..50).all(|n| told.contains(&format!("waits {n}"))), "{told}");
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_chat_that_is_gone_stays_so_over_a_restart() {
    let scratch = Scratch::new("gone-restart");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": 1, "bot": "blocked"}));
    for n in 0..3 {
        let output = send_all(&scratch, &sandbox, &[], &[record(1, &format!("#{n}"))]);
        assert_eq!(output.code, Some(75), "{output:?}");
    }
    assert_eq!(sends(&sandbox).len(), 1);
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn the_probes_of_a_gone_chat_are_rare() {
    let scratch = Scratch::new("probes");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": 1, "bot": "blocked"}));
    assert_eq!(send_all(&scratch, &sandbox, &[], &[record(1, "x")]).code, Some(75));
    let probe_at = || -> i64 {
        let db = rusqlite::Connection::open(scratch.path("outbox.db")).unwrap();
        db.query_row("SELECT probe_at FROM chat WHERE chat = 1", [], |row| row.get(0)).unwrap()
    };
    let mut waits = Vec::new();
    for _ in 0..5 {
        waits.push((probe_at() - prometheus_telegram::delivery::now()) / 60_000 + 1);
        let retry = run(tg_send(&scratch, &sandbox).arg("--retry-failed"), b"");
        assert_eq!(retry.code, Some(0), "{retry:?}");
        assert_eq!(send_all(&scratch, &sandbox, &[], &[]).code, Some(75));
    }
    assert_eq!(waits, [10, 40, 160, 360, 360], "minutes");
    assert_eq!(sends(&sandbox).len(), 6);
}

#[test]
fn a_flood_is_obeyed_to_the_second_also_over_a_kill() {
    let scratch = Scratch::new("flood");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"match": {"chat_id": 1}, "times": 1, "do": {"flood": {"retry_after": 8}}}));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    let start = Instant::now();
    sender.tell([record(1, "refused")]);
    sender.process.says("Telegram asks for silence chat=1 s=8");
    sender.process.kill();
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.tell([record(1, "after it"), record(2, "other")]);
    assert_eq!(sender.finish(), Some(0));
    assert!(sandbox.texts(1)[0].starts_with("refused"), "{:?}", sandbox.texts(1));
    let order: Vec<_> = sends(&sandbox).iter().map(|request| request["params"]["chat_id"].clone()).collect();
    assert_eq!(order, ["1", "2", "1"], "others wait for nothing");
    assert!(start.elapsed() >= Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(sandbox.violations(), [], "early_retry above all");
}

#[test]
fn a_flood_of_several_chats_silences_all_and_is_remembered() {
    let scratch = Scratch::new("flood-all");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let rule = |chat: i64| json!({"match": {"chat_id": chat}, "times": 1, "do": {"flood": {"retry_after": 4}}});
    sandbox.rules(json!([rule(1), rule(2), rule(3)]));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    let start = Instant::now();
    sender.tell((1..=3).map(|chat| record(chat, "refused")));
    sender.process.says("so everything waits");
    sender.process.kill();
    let output = send_all(&scratch, &sandbox, &[], &[record(4, "fourth")]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    let after = sends(&sandbox);
    let (refused, told): (Vec<_>, Vec<_>) = after.iter().partition(|request| request["status"] == 429);
    assert_eq!((refused.len(), told.len()), (3, 4));
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_name_and_its_id_are_one_chat() {
    // What waited for the name while a message to the id was in flight was forgotten until the next record came.
    let scratch = Scratch::new("name");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": -1007, "type": "channel", "username": "ops", "bot": "administrator"}));
    sandbox.rules(json!({"match": {"chat_id": -1007}, "times": -1, "do": {"slow": {"first_byte_ms": 400}}}));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    let by_name = |text: &str| json!({"chat": "@ops", "text": text}).to_string();
    sender.tell([by_name("learn")]);
    sender.process.says("sent id=");
    for n in 0..3 {
        sender.tell([record(-1007, &format!("id{n}"))]);
        until("the request by id", || (sends(&sandbox).len() == 2 + 2 * n).then_some(()));
        sender.tell([by_name(&format!("name{n}"))]);
        until("both", || (sandbox.messages(-1007).len() == 3 + 2 * n).then_some(()));
    }
    assert_eq!(sender.finish(), Some(0));
    assert_eq!(sandbox.texts(-1007), ["learn", "id0", "name0", "id1", "name1", "id2", "name2"]);
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn topics_get_their_own_messages_and_general_none() {
    let scratch = Scratch::new("topics");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": -9, "type": "supergroup", "is_forum": true, "threads": {"7": "seven", "8": "eight"}, "bot": "member"}));
    let line = |thread: i64, text: String| json!({"chat": -9, "thread": thread, "text": text}).to_string();
    let lines: Vec<String> = (0..30).map(|n| line([1, 7, 8][n % 3], format!("text {n}."))).collect();
    let output = send_all(&scratch, &sandbox, &[], &lines);
    assert_eq!(output.code, Some(0), "{output:?}");
    let messages = sandbox.messages(-9);
    for (thread, remainder) in [(None, 0), (Some(7), 1), (Some(8), 2)] {
        let of_thread =
            |message: &&serde_json::Value| message.get("message_thread_id").and_then(|id| id.as_i64()) == thread;
        let told: Vec<&str> = messages.iter().filter(of_thread).map(|m| m["text"].as_str().unwrap()).collect();
        let told = told.join("\n");
        let found: Vec<usize> = (0..30).filter(|n| told.contains(&format!("text {n}."))).collect();
        assert_eq!(found, (0..30).filter(|n| n % 3 == remainder).collect::<Vec<_>>(), "{thread:?}: {told}");
    }
    assert!(messages.len() <= 6, "{}", messages.len());
    assert_eq!(sandbox.violations(), []);
}
