//! By hand: notes from stdin, pictures and files, and the outbox looked at and put right.

use serde_json::json;

use crate::harness::*;
use crate::metrics::{scrape, value};
use crate::pace::tiny_png;
use crate::tools::*;

fn note(scratch: &Scratch, sandbox: &Sandbox, options: &[&str], text: &str) -> Output {
    run(tg_send(scratch, sandbox).args(options), text.as_bytes())
}

#[test]
fn a_note_is_plain_text_silent_in_a_topic_or_fixed_in_width() {
    let scratch = Scratch::new("note");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let forum = json!({"id": -9, "type": "supergroup", "is_forum": true, "threads": {"7": "x"}, "bot": "member"});
    sandbox.post("/chat", forum);
    let table = "Filesystem  Use%\n/dev/sda1    <91%> & rising\n";
    assert_eq!(note(&scratch, &sandbox, &["--chat", "123"], table).code, Some(0));
    assert_eq!(note(&scratch, &sandbox, &["--chat", "124", "--pre"], table).code, Some(0));
    assert_eq!(note(&scratch, &sandbox, &["--chat", "-9", "--thread", "7", "--silent"], "hush").code, Some(0));
    assert_eq!(sandbox.texts(123), [table.trim_end()]);
    let pre = &sandbox.messages(124)[0];
    assert_eq!((&pre["text"], &pre["entities"][0]["type"]), (&json!(table.trim_end()), &json!("pre")));
    let topic = &sandbox.messages(-9)[0];
    assert_eq!((&topic["text"], &topic["message_thread_id"]), (&json!("hush"), &json!(7)));
    let silent = sends(&sandbox).pop().unwrap();
    assert_eq!(silent["params"]["disable_notification"], "true");
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn pictures_and_files_have_their_caption() {
    let scratch = Scratch::new("files");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    std::fs::write(scratch.path("p.png"), tiny_png()).unwrap();
    scratch.write("log.txt", "the log");
    let from_there = |options: &[&str], text: &str| {
        // Names are those of the caller's directory.
        run(tg_send(&scratch, &sandbox).current_dir(scratch.path("")).args(options), text.as_bytes())
    };
    let output = from_there(&["--chat", "1", "--photo", "p.png"], "look");
    assert_eq!(output.code, Some(0), "{output:?}");
    let output = from_there(&["--chat", "1", "--document", "log.txt"], "");
    assert_eq!(output.code, Some(0), "{output:?}");
    let messages = sandbox.messages(1);
    assert_eq!((&messages[0]["caption"], messages[0]["photo"].is_array()), (&json!("look"), true), "{messages:?}");
    assert_eq!(messages[1]["document"]["file_name"], "log.txt");
    assert_eq!(download(&sandbox, messages[1]["document"]["file_id"].as_str().unwrap()), "the log");
    // A text that is no picture is a document after all.
    let output = from_there(&["--chat", "1", "--photo", "log.txt"], "no picture");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(sandbox.messages(1)[2]["document"]["file_name"], "log.txt");
    for wrong in [&["--chat", "1", "--photo", "nothing.png"][..], &["--chat", "1", "--photo", "/dev/null"], &["--pre"]]
    {
        let output = from_there(wrong, "x");
        assert_eq!(output.code, Some(2), "{wrong:?}: {output:?}");
    }
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn what_failed_is_listed_and_tried_again_while_another_works() {
    let scratch = Scratch::new("retry");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"id": "no", "match": {"chat_id": 1}, "times": -1, "do": {"preset": "chat_not_found"}}));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.tell([record(1, "one"), "{\"text\":\"nowhere\"}".to_owned(), record(2, "two")]);
    sender.process.says("set aside chat=1 records=1: 400 Bad Request: chat not found");
    // Said when it is on disk.
    sender.process.says("sent id=");
    let failed = run(tg_send(&scratch, &sandbox).arg("--failed"), b"").stdout;
    let lines: Vec<&str> = failed.lines().collect();
    assert!(lines.len() == 2 && failed.contains("\t1\t400 Bad Request: chat not found\t"), "{failed}");
    assert!(failed.contains("\t-\tno \"chat\"\t{\"text\":\"nowhere\"}"), "{failed}");
    let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"").stdout;
    assert_eq!(status, "waiting  0\nfailed   2\ntold     1 (remembered)\n");
    sandbox.clear_rules();
    let retry = run(tg_send(&scratch, &sandbox).arg("--retry-failed"), b"");
    assert_eq!(retry.stdout, "1 records wait again; 1 are no records and stay\n");
    until("the one that failed", || (!sandbox.messages(1).is_empty()).then_some(()));
    sender.tell([record(3, "three")]);
    until("a later one", || (!sandbox.messages(3).is_empty()).then_some(()));
    assert_eq!(sender.finish(), Some(1), "one line was no record");
}

#[test]
fn what_failed_is_forgotten_when_asked_and_nothing_else() {
    let scratch = Scratch::new("forget");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"match": {"chat_id": 1}, "times": 1, "do": {"preset": "chat_not_found"}}));
    let mut command = tg_send(&scratch, &sandbox);
    let mut sender = Sender::start(&scratch, command.args(["--metrics", "127.0.0.1:0"]));
    sender.tell([record(1, "one"), "{\"chat\":1}".to_owned(), record(2, "two")]);
    let failed = || value(&scrape(&sender.process), "tg_send_records_failed");
    until("the gauge to rise", || (failed() == 2.0).then_some(()));
    until("the other", || (!sandbox.messages(2).is_empty()).then_some(()));
    let forget = || run(tg_send(&scratch, &sandbox).arg("--forget-failed"), b"");
    let output = forget();
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "2 records are forgotten\n"), "{output:?}");
    assert_eq!(run(tg_send(&scratch, &sandbox).arg("--failed"), b"").stdout, "");
    assert_eq!(forget().stdout, "0 records are forgotten\n");
    until("the gauge to fall", || (failed() == 0.0).then_some(()));
    // What was told is remembered, what failed may come again.
    sender.tell([record(2, "two"), record(1, "one"), record(2, "three")]);
    until("what failed", || (sandbox.texts(1) == ["one"] && sandbox.texts(2) == ["two", "three"]).then_some(()));
}

#[test]
fn a_note_that_arrives_is_not_worth_a_mail() {
    let scratch = Scratch::new("cron");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let output = note(&scratch, &sandbox, &["--chat", "1"], "done");
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
    let output = note(&scratch, &sandbox, &["--chat", "1", "-v"], "done again");
    assert!(output.stderr.contains("tg-send: outbox ") && output.stderr.contains("tg-send: sent id="), "{output:?}");
    sandbox.rules(json!({"match": {"chat_id": 2}, "times": 1, "do": {"preset": "chat_not_found"}}));
    let output = note(&scratch, &sandbox, &["--chat", "2"], "never");
    assert!(output.code == Some(1) && output.stderr.contains("error: set aside chat=2 records=1"), "{output:?}");
    let output = send_all(&scratch, &sandbox, &[], &[record(3, "x")]);
    assert!(output.stderr.contains("tg-send: outbox ") && output.stderr.contains("tg-send: sent id="), "{output:?}");
}

#[test]
fn two_at_once_wait_for_each_other() {
    let scratch = Scratch::new("lock");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let mut first = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    first.tell([record(1, "first")]);
    first.process.says("sent id=");
    let output = note(&scratch, &sandbox, &["--chat", "1", "--timeout", "0.3"], "second");
    assert_eq!(output.code, Some(75), "{output:?}");
    assert_eq!(first.finish(), Some(0));
    assert_eq!(note(&scratch, &sandbox, &["--chat", "1"], "second").code, Some(0));
    assert_eq!(sandbox.texts(1), ["first", "second"]);
}

#[test]
fn more_than_memory_holds_is_taken_in_and_told() {
    let scratch = Scratch::new("much");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"id": "down", "match": {}, "times": -1, "do": {"rst": "on_accept"}}));
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    // 100 MB, as fast as the disk takes them.
    let text = "x".repeat(2000);
    for part in 0..50 {
        sender.tell((0..1000).map(|n| record(1 + n % 200, &format!("{part} {n} {text}"))));
    }
    let status = || run(tg_send(&scratch, &sandbox).arg("--status"), b"").stdout;
    until("all on disk", || status().starts_with("waiting  50000").then_some(()));
    let rss = sender.process.rss();
    println!("50,000 records of 4 kB wait: memory {} MiB", rss / 1024);
    assert!(rss < 60 * 1024, "{rss} KiB");
    sender.process.kill();
    let again = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    again.process.says("outbox ");
    sandbox.clear_rules();
    until("a message to the last chat", || (!sandbox.messages(200).is_empty()).then_some(()));
    let rss = again.process.rss();
    println!("told from a queue of 200 MB: memory {} MiB", rss / 1024);
    assert!(rss < 60 * 1024, "{rss} KiB");
}
