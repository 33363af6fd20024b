//! Many records of one chat as messages, until nothing waits any more.

use std::cell::RefCell;

use prometheus_telegram::markup::{self, CAPTION, MESSAGE};
use prometheus_telegram::message::{self, Changes, Message, Next, Occasion, Storm};
use prometheus_telegram::outbox::Waiting;
use prometheus_telegram::record::{Chat, Format, Record};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;

use crate::oracle::Oracle;
use crate::texts;

#[derive(Clone, Debug)]
struct Told {
    html: String,
    is_html: bool,
    thread: i64,
    late: bool,
}

fn records() -> impl Strategy<Value = Vec<Told>> {
    let text = prop_oneof![3 => texts::well_formed(), 1 => texts::trash(), 1 => Just("long ".repeat(1200))];
    let record = (text, any::<bool>(), 0..2_i64, any::<bool>());
    prop::collection::vec(record.prop_map(|(html, is_html, thread, late)| Told { html, is_html, thread, late }), 1..25)
}

fn waiting(told: &[Told]) -> Vec<Waiting> {
    let record = |(n, told): (usize, &Told)| {
        let format = if told.is_html { Format::Html } else { Format::Text };
        let mut record = Record::new(Chat::Id(1), format!("marker{n}y {}", told.html), format);
        record.thread = Some(7 + told.thread);
        Waiting { seq: n as i64, at: if told.late { 0 } else { 7_200_000 }, shown: 0, unsure: 0, record }
    };
    told.iter().enumerate().map(record).collect()
}

fn next(line: &[Waiting], occasion: &Occasion<'_>) -> Message {
    match message::next(line, occasion) {
        Next::Message(message) => *message,
        Next::Storm { first, alone } => {
            let at = line.iter().position(|waiting| waiting.seq == first).unwrap();
            let mut storm = Storm::new(&line[at], occasion.in_all);
            let _ = alone || line[at + 1..].iter().all(|waiting| storm.add(waiting));
            storm.message(occasion)
        }
    }
}

/// Text or caption, whether it is HTML, and what is in the document.
fn content(message: &Message) -> (String, bool, String) {
    let parameters = &message.call.parameters;
    let text = parameters.get("text").or(parameters.get("caption")).and_then(Value::as_str).unwrap_or_default();
    let file = message.call.file.as_ref().map(|file| String::from_utf8(file.bytes.clone()).unwrap());
    (text.to_owned(), parameters.get("parse_mode").is_some(), file.unwrap_or_default())
}

#[test]
fn whatever_waits_is_told_in_messages_that_fit_and_parse() {
    let oracle = RefCell::new(Oracle::start());
    let config = Config {
        cases: 150,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        max_shrink_iters: 500,
        ..Config::default()
    };
    let test = |told: Vec<Told>| {
        let mut line = waiting(&told);
        let mut all = String::new();
        for round in 0.. {
            if line.is_empty() {
                break;
            }
            prop_assert!(round < 200, "it ends");
            let mut occasion = Occasion {
                chat: &Chat::Id(1),
                now: 7_200_000,
                changes: Changes::default(),
                again: round % 3 == 2,
                in_all: line.len(),
                message_about: &|_| None,
            };
            let mut message = next(&line, &occasion);
            let (mut text, is_html, _) = content(&message);
            if is_html && oracle.borrow_mut().parse(&text).is_err() {
                // Only what came alone and broken may be refused; then it goes out plain.
                prop_assert_eq!(message.seqs.len(), 1, "{}", text);
                occasion.changes.plain = true;
                message = next(&line, &occasion);
                text = content(&message).0;
                prop_assert!(!content(&message).1);
            }
            let limits = if message.has_file() { CAPTION } else { MESSAGE };
            let visible = if content(&message).1 { markup::visible_length(&text) } else { text.chars().count() };
            prop_assert!(visible <= limits.visible && text.len() <= 32 << 10, "{visible}: {text:?}");
            prop_assert!(!message.seqs.is_empty());
            // What a summary shows of titles stands in its document again.
            all.push_str(&match (message.storm, content(&message).1) {
                (true, _) => content(&message).2,
                (false, true) => markup::plain(&text),
                (false, false) => text,
            });
            match message.part {
                Some(shown) => {
                    let head = line.iter_mut().find(|waiting| waiting.seq == message.seqs[0]).unwrap();
                    prop_assert!(shown > head.shown, "it goes on");
                    head.shown = shown;
                }
                None => line.retain(|waiting| !message.seqs.contains(&waiting.seq)),
            }
        }
        for n in 0..told.len() {
            prop_assert_eq!(all.matches(&format!("marker{n}y")).count(), 1, "record {}", n);
        }
        // Letters and digits of every text, whatever became of its markup.
        for told in &told {
            if !told.is_html || !told.html.contains("</") {
                continue;
            }
            let words = markup::plain(&told.html);
            let lost: Vec<&str> =
                words.split_whitespace().filter(|word| word.len() < 40 && !all.contains(word)).collect();
            prop_assert!(lost.is_empty(), "{lost:?}");
        }
        Ok(())
    };
    TestRunner::new(config).run(&records(), test).unwrap();
}
