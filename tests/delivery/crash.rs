//! Killed at any moment: what was taken in is told, in order, and a message at most twice.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::harness::*;
use crate::tools::*;

#[test]
fn kill_after_kill_loses_nothing() {
    let scratch = Scratch::new("kills");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let names = names("alert", 200);
    for (n, some) in names.chunks(10).enumerate() {
        let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
        sender.tell(some.iter().map(|name| alert_record(1 + n as i64 % 3, name, "firing")));
        until("them on disk", || {
            let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"").stdout;
            let number = |word: &str| {
                let line = status.lines().find(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{status}"));
                line.split_whitespace().nth(1).unwrap().trim_end_matches(',').parse::<usize>().unwrap()
            };
            (number("waiting") + number("told") == 10 * (n + 1)).then_some(())
        });
        // Between any two steps of what it does then.
        std::thread::sleep(Duration::from_millis(7 * n as u64 % 50));
        sender.process.kill();
    }
    assert_eq!(send_all(&scratch, &sandbox, &[], &[]).code, Some(0));
    for chat in 1..=3 {
        let of_chat: Vec<String> = names
            .chunks(10)
            .enumerate()
            .filter(|(n, _)| 1 + *n as i64 % 3 == chat)
            .flat_map(|(_, some)| some.to_vec())
            .collect();
        let counts = counts(&sandbox, chat, &of_chat);
        assert!(counts.iter().all(|n| (1..=2).contains(n)), "{counts:?}");
        let all = readable(&sandbox, chat).join("\n");
        let firsts: Vec<usize> = of_chat.iter().map(|name| all.find(&format!("{name}.example")).unwrap()).collect();
        assert!(firsts.is_sorted(), "order: {firsts:?}");
    }
    let broken: Vec<_> = sandbox.violations().into_iter().filter(|(name, _)| name != "duplicate_text").collect();
    assert_eq!(broken, []);
}

#[test]
fn a_kill_between_parts_resends_only_the_part() {
    let scratch = Scratch::new("parts");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    let words: Vec<String> = (0..1300).map(|n| format!("word{n:04}")).collect();
    let line = json!({"chat": 1, "text": words.join(" ")}).to_string();
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.tell([line]);
    sender.process.says("sent id=");
    sender.process.kill();
    // Where the kill came late, the second part was under way and is told again.
    let late = sends(&sandbox).len() > 1;
    assert_eq!(send_all(&scratch, &sandbox, &[], &[]).code, Some(0));
    let told = sandbox.texts(1).join(" ");
    let mut told: Vec<&str> = told.split_whitespace().filter(|word| !late || *word != "↻").collect();
    if late {
        let mut seen = HashSet::new();
        told.retain(|word| seen.insert(*word));
    }
    assert_eq!(told, words, "each once, in order, over {} messages", sandbox.messages(1).len());
    assert!(sandbox.messages(1).len() > 2);
    assert_eq!(sandbox.violations(), []);
}

#[test]
fn a_part_that_is_refused_as_too_long_is_told_in_smaller_ones_without_repetition() {
    // The told parts were counted, and counted anew in smaller ones: text was told twice, or lost after a restart.
    let scratch = Scratch::new("shorter");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!({"match": {"text~": "word0700"}, "times": 1, "do": {"preset": "too_long"}}));
    let words: Vec<String> = (0..1300).map(|n| format!("word{n:04}")).collect();
    let line = json!({"chat": 1, "text": words.join(" ")}).to_string();
    let mut sender = Sender::start(&scratch, &mut tg_send(&scratch, &sandbox));
    sender.tell([line]);
    until("a smaller part", || (sandbox.messages(1).len() >= 2).then_some(()));
    sender.process.kill();
    assert_eq!(send_all(&scratch, &sandbox, &[], &[]).code, Some(0));
    let told = sandbox.texts(1).join(" ");
    let mut told: Vec<&str> = told.split_whitespace().filter(|word| *word != "↻").collect();
    // The kill may have come before the answer was on disk.
    told.dedup_by_key(|word| word.to_owned());
    told.sort();
    told.dedup();
    assert_eq!(told, words, "nothing is lost");
    let broken: Vec<_> = sandbox.violations().into_iter().filter(|(name, _)| name != "duplicate_text").collect();
    assert_eq!(broken, []);
}

#[test]
fn at_most_once_knows_after_a_kill_what_it_does_not_know() {
    let scratch = Scratch::new("unsure");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.rules(json!([
        {"match": {"chat_id": 1}, "times": 1, "do": {"slow": {"first_byte_ms": 60_000}}},
        {"match": {"chat_id": 2}, "times": 1, "do": {"flood": {"retry_after": 5}}}
    ]));
    let mut sender = Sender::start(&scratch, tg_send(&scratch, &sandbox).arg("--at-most-once"));
    sender.tell([record(1, "perhaps"), record(2, "refused")]);
    sender.process.says("asks for silence chat=2");
    until("the first request", || (sends(&sandbox).len() >= 2).then_some(()));
    sender.process.kill();
    let output = send_all(&scratch, &sandbox, &["--at-most-once"], &[]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!((sandbox.texts(1).len(), sandbox.texts(2)), (1, vec!["refused".to_owned()]));
    let failed = run(tg_send(&scratch, &sandbox).arg("--failed"), b"").stdout;
    assert!(failed.contains("it was being sent when tg-send ended") && failed.lines().count() == 1, "{failed}");
}

#[test]
fn a_refused_token_keeps_everything() {
    let scratch = Scratch::new("token");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce", "--token", "1:another"]);
    let lines: Vec<String> = (0..20).map(|n| record(n % 4 + 1, &format!("#{n}"))).collect();
    let output = send_all(&scratch, &sandbox, &["--connections", "1"], &lines);
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("Telegram refuses the bot token: 401 Unauthorized\n"), "{}", output.stderr);
    assert!(!format!("{output:?}").contains(TOKEN));
    let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"").stdout;
    assert!(status.starts_with("waiting  20"), "{status}");
    assert_eq!(sandbox.violations(), [], "nothing is asked after a 401");
}
