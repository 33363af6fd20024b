//! A resolved alert answers the message that told it firing, however long ago that was.

use std::time::Duration;

use prometheus_telegram::outbox::Outbox;
use prometheus_telegram::record::{Input, parse};

use crate::harness::*;
use crate::tools::*;

#[test]
fn a_resolved_alert_answers_after_restarts_and_kills() {
    let scratch = Scratch::new("answers");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.tell([alert_record(1, "Disk", "firing")]);
    until("the first message", || (sandbox.messages(1).len() == 1).then_some(()));
    sender.process.says("sent id=");
    sender.process.kill();
    assert_eq!(send_all(&scratch, &sandbox, &[], &[alert_record(1, "CPU", "firing")]).code, Some(0));
    let resolved = [alert_record(1, "Disk", "resolved")];
    assert_eq!(send_all(&scratch, &sandbox, &[], &resolved).code, Some(0));
    let messages = sandbox.messages(1);
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert_eq!(messages[2]["reply_to_message"]["message_id"], messages[0]["message_id"], "{messages:?}");
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_resolved_alert_answers_after_twenty_nine_days_and_not_after_thirty_one() {
    const DAY: i64 = 86_400_000;
    let scratch = Scratch::new("days");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let mut messages = Vec::new();
    for name in ["Old", "Older"] {
        assert_eq!(send_all(&scratch, &sandbox, &[], &[alert_record(1, name, "firing")]).code, Some(0));
        messages.push(sandbox.messages(1).pop().unwrap()["message_id"].as_i64().unwrap());
    }
    // The same outbox, as if it had been told so long ago.
    let path = scratch.path("outbox.db");
    let age = |about: &str, days: i64| {
        let db = rusqlite::Connection::open(&path).unwrap();
        let sql = "UPDATE told SET at = at - ?1, seen = seen - ?1 WHERE about = ?2";
        assert_eq!(db.execute(sql, rusqlite::params![days * DAY, about]).unwrap(), 1);
    };
    age("Old", 29);
    age("Older", 31);
    let mut outbox = Outbox::open(&path, None).unwrap();
    let month = prometheus_telegram::delivery::now() - 30 * DAY;
    assert_eq!(outbox.transaction(|outbox| outbox.forget(month)).unwrap(), 1);
    drop(outbox);
    for name in ["Old", "Older"] {
        assert_eq!(send_all(&scratch, &sandbox, &[], &[alert_record(1, name, "resolved")]).code, Some(0));
    }
    let told = sandbox.messages(1);
    assert_eq!(told[2]["reply_to_message"]["message_id"], messages[0], "{told:?}");
    assert_eq!(told[3].get("reply_to_message"), None, "{told:?}");
}

#[test]
fn a_key_is_told_once_and_again_after_repeat_after() {
    let scratch = Scratch::new("repeat");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let line = [alert_record(1, "Disk", "firing")];
    assert!(matches!(parse(line[0].as_bytes()), Ok(Input::Record(_))));
    for _ in 0..3 {
        assert_eq!(send_all(&scratch, &sandbox, &[], &line).code, Some(0));
    }
    assert_eq!(sandbox.messages(1).len(), 1);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(send_all(&scratch, &sandbox, &["--repeat-after", "1s"], &line).code, Some(0));
    assert_eq!(sandbox.messages(1).len(), 2, "a reminder");
    assert_eq!(sandbox.violations().iter().filter(|(name, _)| name != "duplicate_text").count(), 0);
}

#[test]
fn what_fired_and_resolved_while_nobody_could_be_told_is_one_line() {
    let scratch = Scratch::new("pair");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let lines =
        [alert_record(1, "Disk", "firing"), alert_record(1, "CPU", "firing"), alert_record(1, "Disk", "resolved")];
    assert_eq!(send_all(&scratch, &sandbox, &["--limits", "1/20/30"], &lines).code, Some(0));
    let told = sandbox.texts(1).join("\n");
    assert!(
        told.contains("Disk resolved (fired and resolved meanwhile)") || told.contains("Disk is resolved"),
        "{told}"
    );
    assert!(told.contains("CPU is firing"), "{told}");
}
