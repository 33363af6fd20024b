//! Faults of all kinds at once, by chance: nothing is lost, nothing is told more often than its faults explain, and
//! every chat keeps its order.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::harness::*;
use crate::tools::*;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Faults after which a message must still arrive.
fn faults() -> Vec<Value> {
    let mut faults = vec![
        json!({"flood": {"retry_after": 1}}),
        json!({"preset": "restart500"}),
        json!({"preset": "cant_parse"}),
        json!({"preset": "thread_not_found"}),
        json!({"html": 502}),
        json!({"redirect": "http://127.0.0.1:1/"}),
        json!({"refuse_ms": 200}),
        json!({"rst": "after_headers"}),
        json!({"rst": "mid_body"}),
        json!({"hang_ms": 50, "then": "close"}),
        json!({"slow": {"first_byte_ms": 200}}),
        json!({"malformed": "http200_ok_false"}),
        json!({"malformed": "null_result"}),
        json!({"malformed": "chunked"}),
    ];
    faults.extend(["rst", "fin", "http502", "garbage", "truncate"].map(|end| json!({"deliver_then": end})));
    faults
}

fn mix(seed: u64, at_most_once: bool) {
    let mut random = Random(seed * 0x9e37_79b9 + 1);
    let scratch = Scratch::new("mix");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce", "--seed", &seed.to_string()]);
    let all = faults();
    let rules: Vec<Value> = (0..8)
        .map(|_| {
            let fault = &all[random.below(all.len() as u64) as usize];
            json!({"match": {"method": "send*"}, "skip": random.below(6), "prob": 0.5, "times": 1 + random.below(2), "do": fault})
        })
        .collect();
    sandbox.rules(json!(rules));
    let mut options = vec!["--limits", "1/20/30"];
    options.extend(at_most_once.then_some("--at-most-once"));
    let chats = 6;
    let lines: Vec<String> = (0..120).map(|n| record(1 + n % chats, &format!("<{n}>"))).collect();
    let mut sender = Sender::start(&scratch, tg_send(&scratch, &sandbox).args(&options));
    // In turns, so that there is more than one message to each chat.
    for some in lines.chunks(30) {
        sender.tell(some.iter().cloned());
        std::thread::sleep(std::time::Duration::from_millis(400));
    }
    let code = sender.finish();
    let failed = run(tg_send(&scratch, &sandbox).arg("--failed"), b"").stdout;
    let said = || format!("seed {seed}: {rules:?}\n{}", sender.process.log());
    let mut ambiguous: HashMap<String, usize> = HashMap::new();
    for request in sends(&sandbox).iter().filter(|request| request["outcome"] == "lost_answer") {
        *ambiguous.entry(request["params"]["chat_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    // A port that closes takes the answers of other calls with it.
    let seen_rules = sandbox.get("/rules");
    let closings = seen_rules.as_array().unwrap().iter().filter(|rule| rule["rule"]["do"].get("refuse_ms").is_some());
    let closings: usize = closings.map(|rule| rule["hits"].as_u64().unwrap() as usize).sum();
    for chat in 1..=chats {
        let texts = sandbox.texts(chat);
        let mut last = -1;
        let mut seen: HashMap<i64, usize> = HashMap::new();
        for text in &texts {
            for n in numbers(text) {
                let times = seen.entry(n).or_default();
                *times += 1;
                // What is told for the first time is younger than all before it.
                assert!(*times > 1 || n > last, "order in chat {chat}: {texts:?}\n{}", said());
                last = last.max(n);
            }
        }
        let lost: Vec<i64> = (0..120)
            .filter(|n| 1 + n % chats == chat && !seen.contains_key(n) && !failed.contains(&format!("<{n}>")))
            .collect();
        assert!(lost.is_empty(), "lost in chat {chat}: {lost:?}\n{}", said());
        let most = seen.values().max().copied().unwrap_or(0);
        let explained = if at_most_once { 0 } else { closings + ambiguous.get(&chat.to_string()).unwrap_or(&0) };
        assert!(most <= 1 + explained.min(2), "chat {chat}: {seen:?}\n{}", said());
        let marked = texts.iter().filter(|text| text.starts_with("↻ ")).count();
        assert!(most <= 1 || marked > 0, "a repetition says so: {texts:?}\n{}", said());
    }
    assert_eq!(code, Some(if failed.is_empty() { 0 } else { 1 }), "{}", said());
    let fine = ["duplicate_text", "bad_html"];
    let broken: Vec<_> = sandbox.violations().into_iter().filter(|(name, _)| !fine.contains(&name.as_str())).collect();
    assert_eq!(broken, [], "{}", said());
}

fn numbers(text: &str) -> Vec<i64> {
    text.split('<').skip(1).filter_map(|rest| rest.split('>').next()?.parse().ok()).collect()
}

#[test]
fn nothing_is_lost_and_order_holds_in_any_mix() {
    std::thread::scope(|scope| {
        for worker in 0..3 {
            scope.spawn(move || (0..4).for_each(|n| mix(1 + 4 * worker + n, false)));
        }
    });
}

#[test]
fn nothing_is_told_twice_in_any_mix_with_at_most_once() {
    std::thread::scope(|scope| {
        for worker in 0..2 {
            scope.spawn(move || (0..2).for_each(|n| mix(101 + 2 * worker + n, true)));
        }
    });
}
