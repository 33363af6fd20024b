//! Every fault that the sandbox can make, one row each: what arrives, how often, what it says, and how tg-send ends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::*;
use crate::tools::*;

/// What is expected of a record to chat 1 whose first request meets the fault.
struct Row {
    fault: Value,
    told: usize,
    /// The second one says that it may be the second.
    marked: bool,
    code: i32,
    failed: usize,
    /// Whether the whole request was out when the connection broke is a race.
    race: bool,
}

fn row(fault: Value, told: usize, marked: bool, code: i32, failed: usize) -> Row {
    Row { fault, told, marked, code, failed, race: false }
}

/// Told once, at once or after a second try that cannot repeat it.
fn once(fault: Value) -> Row {
    row(fault, 1, false, 0, 0)
}

/// Not told by the first try, which cannot be known: the second is marked.
fn doubted(fault: Value) -> Row {
    row(fault, 1, true, 0, 0)
}

/// Likewise, or it is known that the server cannot have seen it all.
fn cut_off(fault: Value) -> Row {
    Row { race: true, ..doubted(fault) }
}

/// Told by the first try, and nobody said so.
fn twice(fault: Value) -> Row {
    row(fault, 2, true, 0, 0)
}

/// Set aside.
fn aside(fault: Value) -> Row {
    row(fault, 0, false, 1, 1)
}

/// Kept for later.
fn kept(fault: Value, code: i32) -> Row {
    row(fault, 0, false, code, 0)
}

fn preset(name: &str) -> Value {
    json!({"preset": name})
}

fn table() -> Vec<Row> {
    let mut rows = vec![
        once(json!({"pass": true})),
        aside(json!({"error": {"code": 400, "description": "Bad Request: something new"}})),
        doubted(json!({"error": {"code": 500, "description": "Internal Server Error"}})),
        once(json!({"error": {"code": 429, "description": "Too Many Requests: retry after 1"}})),
        once(json!({"flood": {"retry_after": 2}})),
        once(json!({"flood": {"retry_after": 1, "scope": "all"}})),
        once(preset("cant_parse")),
        kept(preset("blocked"), 75),
        kept(preset("kicked"), 75),
        kept(preset("deactivated"), 75),
        aside(preset("chat_not_found")),
        once(preset("too_long")),
        once(preset("thread_not_found")),
        // The chat shows it already, says the server.
        row(preset("not_modified"), 0, false, 0, 0),
        aside(preset("query_too_old")),
        kept(preset("unauthorized"), 2),
        kept(preset("not_found"), 2),
        doubted(preset("restart500")),
        aside(preset("entity_too_large413")),
        doubted(json!({"http": {"status": 503, "body": "no backend"}})),
        once(json!({"http": {"status": 407, "body": "who are you?"}})),
        once(json!({"redirect": "http://127.0.0.1:1/"})),
        cut_off(json!({"refuse_ms": 700})),
        cut_off(json!({"rst": "on_accept"})),
        cut_off(json!({"rst": "after_headers"})),
        cut_off(json!({"rst": "mid_body"})),
        doubted(json!({"hang_ms": 300, "then": "close"})),
        once(json!({"hang_ms": 300, "then": "ok"})),
        once(json!({"slow": {"first_byte_ms": 8000}})),
        once(json!({"slow": {"first_byte_ms": 10, "chunk": 7, "gap_ms": 20}})),
        once(json!({"idle_close_ms": 50})),
    ];
    rows.extend([500, 502, 504].map(|status| doubted(json!({"html": status}))));
    rows.extend(
        ["rst", "fin", "hang", "http502", "garbage", "truncate"].map(|end| twice(json!({"deliver_then": end}))),
    );
    rows.extend(["json", "empty", "utf8", "bad_content_length"].map(|shape| twice(json!({"malformed": shape}))));
    rows.extend(
        ["null_result", "missing_ok", "http200_ok_false", "huge", "extra_fields", "close_delimited", "chunked"]
            .map(|shape| once(json!({"malformed": shape}))),
    );
    rows
}

/// Runs all rows, some at a time, and says what is wrong with each.
fn check(rows: &[Row], examine: impl Fn(&Row) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(why) = examine(row) {
                        wrong.lock().unwrap().push(format!("{}: {why}", row.fault));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// What the sandbox may complain about: faults that refuse a text make it come again, and a whole bot that is frozen
/// is known only when it was refused.
fn complaints(sandbox: &Sandbox, row: &Row) -> Vec<(String, u64)> {
    let again = row.told > 1 || row.fault.get("preset").is_some();
    let all = row.fault.pointer("/flood/scope").is_some();
    let fine = |name: &str| again && name == "duplicate_text" || all && name == "early_retry";
    sandbox.violations().into_iter().filter(|(name, _)| !fine(name)).collect()
}

/// How it went: times told, whether marked, exit code, records set aside.
type End = (usize, bool, i32, usize);

fn examine(row: &Row, options: &[&str], expected: &[End]) -> Result<(), String> {
    let scratch = Scratch::new("fault");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    // Before its body is read it is not known for which chat a request is, and on accept nothing at all.
    let early = row.race;
    let matches = match row.fault["rst"].as_str() {
        Some("on_accept") => json!({}),
        Some("after_headers" | "mid_body") => json!({"method": "sendMessage"}),
        _ => json!({"method": "send*", "chat_id": 1}),
    };
    sandbox.rules(json!({"id": "fault", "match": matches, "times": 1, "do": row.fault}));
    let mut lines = vec![record(1, "the text"), record(2, "another chat")];
    lines.truncate(if early { 1 } else { 2 });
    let output = send_all(&scratch, &sandbox, options, &lines);
    let mut messages = sandbox.texts(1);
    messages.retain(|text| text.trim_start_matches("↻ ") == "the text");
    let status = run(tg_send(&scratch, &sandbox).arg("--failed"), b"").stdout;
    let marked = messages.iter().any(|text| text.starts_with("↻ "));
    let seen = (messages.len(), marked, output.code.unwrap_or(-1), status.lines().count());
    let hits = sandbox.get("/rules")[0]["hits"].clone();
    let fatal = row.code == 2;
    let error = |what: String| Err(format!("{what}\n{}", output.stderr));
    if hits != 1 {
        return error(format!("the fault came {hits} times"));
    }
    if !expected.contains(&seen) {
        return error(format!("(told, marked, code, failed) is {seen:?}, not {expected:?}: {messages:?}"));
    }
    if sandbox.texts(2) != ["another chat"] && !fatal && !early {
        return error(format!("the other chat has {:?}", sandbox.texts(2)));
    }
    let complaints = complaints(&sandbox, row);
    if !complaints.is_empty() && !fatal {
        return error(format!("{complaints:?}"));
    }
    if format!("{output:?}").contains(TOKEN) {
        return error("the token is shown".to_owned());
    }
    Ok(())
}

#[test]
fn every_fault_has_its_end() {
    check(&table(), |row| {
        let unmarked = (row.told, false, row.code, row.failed);
        let expected = [(row.told, row.marked, row.code, row.failed), unmarked];
        examine(row, &[], &expected[..1 + usize::from(row.race)])
    });
}

#[test]
fn at_most_once_tells_nothing_twice() {
    check(&table(), |row| {
        let usual = (row.told, false, row.code, row.failed);
        // What is not known is not tried again, but it is said.
        let set_aside = (row.told.saturating_sub(1), false, 1, 1);
        match (row.marked, row.race) {
            (false, _) => examine(row, &["--at-most-once"], &[usual]),
            (true, false) => examine(row, &["--at-most-once"], &[set_aside]),
            (true, true) => examine(row, &["--at-most-once"], &[usual, set_aside]),
        }
    });
}

#[test]
fn a_moved_chat_gets_what_was_refused() {
    let scratch = Scratch::new("moved");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"match": {"chat_id": -5}, "times": 1, "do": {"migrate": {"to": -1005}}}));
    let lines = [record(-5, "one"), record(-5, "two"), record(2, "other")];
    assert_eq!(send_all(&scratch, &sandbox, &[], &lines).code, Some(0));
    let told = sandbox.texts(-1005).join("\n");
    assert!(told.contains("one") && told.contains("two"), "{told}");
    // The next run knows, and asks the old one no more.
    let before = sends(&sandbox).len();
    assert_eq!(send_all(&scratch, &sandbox, &[], &[record(-5, "three")]).code, Some(0));
    let after = sends(&sandbox).split_off(before);
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(after[0]["params"]["chat_id"], "-1005");
    let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"").stdout;
    assert!(status.contains("moved    chat -5 is -1005 now"), "{status}");
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
    let scratch = Scratch::new("idle");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"match": {"method": "send*"}, "times": -1, "do": {"idle_close_ms": 300}}));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    for n in 0..4 {
        sender.tell([record(1, &format!("#{n}"))]);
        until("the message", || (sandbox.messages(1).len() == n + 1).then_some(()));
    }
    assert_eq!(sender.finish(), Some(0));
    assert_eq!(sandbox.texts(1), ["#0", "#1", "#2", "#3"], "once each, unmarked");
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn an_upload_that_always_breaks_is_no_outage() {
    // A server that hangs up on one document was taken for an API out of reach, and nothing was told any more.
    let scratch = Scratch::new("poison");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"match": {"method": "sendDocument"}, "times": -1, "do": {"rst": "mid_body"}}));
    let file = scratch.write("big.txt", &"x".repeat(30_000_000));
    let upload = json!({"chat": 1, "text": "with a file", "document": file.to_str().unwrap()}).to_string();
    let output = send_all(&scratch, &sandbox, &["--timeout", "300"], &[upload, record(2, "other")]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(sandbox.texts(1), ["with a file\n\nthe file was refused"]);
    assert_eq!(sandbox.texts(2), ["other"]);
}

#[test]
fn a_chat_that_takes_no_documents_is_told_a_storm_in_messages() {
    let scratch = Scratch::new("no-documents");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let error = json!({"code": 400, "description": "Bad Request: not enough rights to send documents to the chat"});
    sandbox.rules(json!({"match": {"method": "sendDocument"}, "times": -1, "do": {"error": error}}));
    let texts: Vec<String> = (0..6).map(|n| format!("{n}{}", "x".repeat(3000))).collect();
    let lines: Vec<String> = texts.iter().map(|text| record(-1, text)).collect();
    let output = send_all(&scratch, &sandbox, &[], &lines);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(sandbox.texts(-1), texts);
    let documents = sends(&sandbox).iter().filter(|request| request["method"] == "senddocument").count();
    assert_eq!(documents, 1, "it is known after the first");
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_silence_that_no_clock_can_count_is_kept_and_others_are_told() {
    let scratch = Scratch::new("long-flood");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    for (chat, seconds) in [(1, u64::MAX), (2, 9_300_000_000_000_000_000)] {
        let error = json!({"error": {"code": 429, "description": format!("Too Many Requests: retry after {seconds}")}});
        sandbox.rules(json!({"match": {"method": "send*", "chat_id": chat}, "times": 1, "do": error}));
        let lines = [record(chat, "the text"), record(chat + 10, "another chat")];
        let output = send_all(&scratch, &sandbox, &["--timeout", "20"], &lines);
        assert_eq!(output.code, Some(75), "{output:?}");
        assert!(output.stderr.contains("asks for silence"), "{output:?}");
        assert_eq!((sandbox.texts(chat).len(), sandbox.texts(chat + 10).len()), (0, 1));
    }
}
