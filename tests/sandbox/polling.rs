//! getUpdates and its rules.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Sandbox, Wire, request};

/// A sandbox that knows its bot.
fn start() -> Sandbox {
    let sandbox = Sandbox::start(&[]);
    sandbox.ok("getMe", json!({}));
    sandbox
}

fn say(sandbox: &Sandbox, text: &str) -> i64 {
    sandbox.post("say", json!({"chat": 1, "text": text}))["update_id"].as_i64().unwrap()
}

fn poll(sandbox: &Sandbox, params: Value) -> Vec<String> {
    let updates = sandbox.ok("getUpdates", params);
    updates
        .as_array()
        .unwrap()
        .iter()
        .map(|update| update["message"]["text"].as_str().unwrap_or("").to_owned())
        .collect()
}

#[test]
fn updates_come_until_they_are_confirmed() {
    let sandbox = start();
    let first = say(&sandbox, "a");
    say(&sandbox, "b");
    say(&sandbox, "c");
    assert_eq!(poll(&sandbox, json!({"timeout": 10})), ["a", "b", "c"]);
    assert_eq!(poll(&sandbox, json!({"timeout": 10, "limit": 2, "offset": first})), ["a", "b"], "not confirmed");
    assert_eq!(sandbox.violation("unconfirmed_redelivered"), 2);
    assert_eq!(poll(&sandbox, json!({"timeout": 10, "offset": first + 1})), ["b", "c"]);
    assert_eq!(poll(&sandbox, json!({"timeout": 10, "offset": -1})), ["c"], "a negative offset keeps the last");
    assert_eq!(poll(&sandbox, json!({"offset": first + 3})), Vec::<String>::new());
    assert_eq!(poll(&sandbox, json!({"offset": first})), Vec::<String>::new(), "confirmed is gone");
}

#[test]
fn what_was_said_before_the_first_bot_came_is_not_lost() {
    let sandbox = Sandbox::start(&[]);
    let id = say(&sandbox, "early");
    let updates = sandbox.ok("getUpdates", json!({}));
    assert_eq!((&updates[0]["update_id"], &updates[0]["message"]["text"]), (&json!(id), &json!("early")));
}

#[test]
fn a_poll_waits_and_is_woken() {
    let sandbox = start();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(&sandbox, json!({"timeout": 50})));
        std::thread::sleep(Duration::from_millis(100));
        say(&sandbox, "now");
        assert_eq!(waiting.join().unwrap(), ["now"]);
    });
    let start = Instant::now();
    assert_eq!(poll(&sandbox, json!({"timeout": 1, "offset": -1})), ["now"]);
    let next = say(&sandbox, "x") + 1;
    assert!(poll(&sandbox, json!({"timeout": 1, "offset": next})).is_empty());
    assert!(start.elapsed() >= Duration::from_secs(1), "an empty poll waits its time");
}

#[test]
fn the_same_poll_at_once_is_made_to_wait() {
    let sandbox = start();
    poll(&sandbox, json!({"offset": 5}));
    let start = Instant::now();
    assert!(poll(&sandbox, json!({"offset": 5})).is_empty());
    assert!(start.elapsed() >= Duration::from_millis(2900), "{:?}", start.elapsed());
    say(&sandbox, "a");
    say(&sandbox, "b");
    let again = || poll(&sandbox, json!({"offset": 6}));
    // Two that this machine keeps apart for longer are not "at once".
    assert!((0..20).any(|_| again() == ["a"]), "within half a second only one");
}

#[test]
fn allowed_updates_stay_until_changed() {
    let sandbox = start();
    poll(&sandbox, json!({"timeout": 0, "allowed_updates": ["callback_query"], "offset": 1}));
    sandbox.post("say", json!({"chat": 1, "text": "unheard"}));
    sandbox.post("bot_status", json!({"chat": 1, "status": "blocked"}));
    assert!(poll(&sandbox, json!({"timeout": 0, "offset": 2})).is_empty());
    assert!(poll(&sandbox, json!({"timeout": 0, "offset": 3, "allowed_updates": "[]"})).is_empty());
    say(&sandbox, "heard");
    sandbox.post("bot_status", json!({"chat": 1, "status": "member"}));
    let updates = sandbox.ok("getUpdates", json!({"timeout": 5, "offset": 4}));
    assert_eq!(updates[0]["message"]["text"], "heard");
    let change = &updates[1]["my_chat_member"];
    assert_eq!(
        (&change["old_chat_member"]["status"], &change["new_chat_member"]["status"]),
        (&json!("kicked"), &json!("member"))
    );
}

#[test]
fn updates_die_after_a_day() {
    let sandbox = start();
    say(&sandbox, "old");
    sandbox.post("clock", json!({"advance_ms": 86_300_000}));
    say(&sandbox, "new");
    assert_eq!(poll(&sandbox, json!({"offset": 1})), ["old", "new"]);
    sandbox.post("clock", json!({"advance_ms": 200_000}));
    assert_eq!(poll(&sandbox, json!({"offset": 2})), ["new"]);
}

#[test]
fn the_newer_poll_ends_the_older() {
    let sandbox = start();
    let mut older = Wire::open(sandbox.api).unwrap();
    older.stream.write_all(&request("getUpdates", "application/json", b"{\"timeout\":50}")).unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    std::thread::scope(|scope| {
        let newer = scope.spawn(|| poll(&sandbox, json!({"timeout": 50})));
        let conflict = older.answer().unwrap();
        let words = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
        assert_eq!((conflict.status, &conflict.json()["description"]), (409, &json!(words)));
        assert_eq!(sandbox.violation("double_poll"), 1);
        say(&sandbox, "for the newer");
        assert_eq!(newer.join().unwrap(), ["for the newer"]);
    });
}

#[test]
fn a_poll_whose_client_has_gone_is_no_conflict() {
    let sandbox = start();
    let mut gone = Wire::open(sandbox.api).unwrap();
    gone.stream.write_all(&request("getUpdates", "application/json", b"{\"timeout\":50}")).unwrap();
    std::thread::sleep(Duration::from_millis(1000));
    drop(gone);
    say(&sandbox, "kept");
    assert_eq!(poll(&sandbox, json!({"timeout": 5, "offset": 1})), ["kept"]);
    assert_eq!((sandbox.violation("double_poll"), sandbox.violation("unconfirmed_redelivered")), (0, 0));
}

#[test]
fn a_poll_waits_through_a_reset() {
    let sandbox = start();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| poll(&sandbox, json!({"timeout": 50})));
        std::thread::sleep(Duration::from_millis(200));
        sandbox.post("reset", json!({}));
        say(&sandbox, "after");
        assert_eq!(waiting.join().unwrap(), ["after"]);
    });
}

#[test]
fn a_webhook_forbids_polling() {
    let sandbox = start();
    assert_eq!(sandbox.refused("setWebhook", json!({"url": "http://x.example/"})).0, 400);
    sandbox.ok("setWebhook", json!({"url": "https://x.example/"}));
    assert_eq!(sandbox.ok("getWebhookInfo", json!({}))["url"], "https://x.example/");
    let words =
        "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
    assert_eq!(sandbox.refused("getUpdates", json!({})), (409, words.to_owned()));
    sandbox.ok("deleteWebhook", json!({}));
    assert!(poll(&sandbox, json!({})).is_empty());
}

#[test]
fn a_client_that_spins_is_seen() {
    let sandbox = start();
    for offset in 1..=5 {
        poll(&sandbox, json!({"offset": offset}));
    }
    assert_eq!(sandbox.violation("poll_spin"), 0);
    let deadline = Instant::now() + Duration::from_secs(30);
    for offset in 6.. {
        poll(&sandbox, json!({"offset": offset}));
        if sandbox.violation("poll_spin") > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "not seen");
    }
}

#[test]
fn buttons_are_pressed_and_answered() {
    let sandbox = start();
    let keyboard = json!({"inline_keyboard": [[{"text": "go", "callback_data": "d"}, {"text": "web", "url": "http://a.example/"}]]});
    let id =
        sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x", "reply_markup": keyboard}))["message_id"].clone();
    for wrong in [json!({"data": "e"}), json!({"row": 1, "col": 0}), json!({"row": 0, "col": 1})] {
        let mut press = wrong;
        press["chat"] = 1.into();
        press["message_id"] = id.clone();
        assert_eq!(sandbox.post_fails("press", press), 404);
    }
    assert_eq!(sandbox.post_fails("press", json!({"chat": 1, "message_id": 99, "data": "d"})), 404);
    sandbox.post("press", json!({"chat": 1, "message_id": id, "row": 0, "col": 0}));
    let query = sandbox.ok("getUpdates", json!({"timeout": 5}))[0]["callback_query"].clone();
    assert_eq!(
        (&query["data"], &query["from"]["id"], &query["message"]["text"]),
        (&json!("d"), &json!(1), &json!("x"))
    );
    assert!(query["chat_instance"].is_string(), "{query}");
    sandbox.post("clock", json!({"advance_ms": 11_000}));
    assert_eq!(sandbox.violation("callback_unanswered"), 1);
    sandbox.ok("answerCallbackQuery", json!({"callback_query_id": query["id"], "text": "done"}));
    assert_eq!((sandbox.violation("callback_unanswered"), sandbox.violation("callback_twice")), (0, 0));
    sandbox.ok("answerCallbackQuery", json!({"callback_query_id": query["id"]}));
    assert_eq!(sandbox.violation("callback_twice"), 1);
    sandbox.post("press", json!({"chat": 1, "message_id": id, "data": "d", "from": 1}));
    let late = sandbox.ok("getUpdates", json!({"timeout": 5, "offset": -1}))[0]["callback_query"]["id"].clone();
    sandbox.post("clock", json!({"advance_ms": 3_600_000}));
    let words = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    for id in [late, json!("made up")] {
        assert_eq!(sandbox.refused("answerCallbackQuery", json!({"callback_query_id": id})), (400, words.to_owned()));
    }
}

#[test]
fn people_write_in_groups_and_topics() {
    let sandbox = start();
    sandbox.post("user", json!({"id": 3, "first_name": "Ada", "username": "ada", "language_code": "ru"}));
    sandbox.post("say", json!({"chat": -5, "from": 3, "text": "/start@x_bot now"}));
    sandbox.post("say", json!({"chat": -5, "from": 3, "text": "anonymous", "sender_chat": -5, "thread": 7}));
    let updates = sandbox.ok("getUpdates", json!({"timeout": 5}));
    let first = &updates[0]["message"];
    assert_eq!((&first["from"]["username"], &first["from"]["language_code"]), (&json!("ada"), &json!("ru")));
    assert_eq!(first["entities"], json!([{"type": "bot_command", "offset": 0, "length": 12}]));
    let second = &updates[1]["message"];
    assert_eq!((&second["from"]["id"], &second["sender_chat"]["id"]), (&json!(1_087_968_824), &json!(-5)));
    assert_eq!(second["message_thread_id"], 7);
    sandbox.post("update", json!({"poll": {"id": "1"}, "update_id": 2_000_000_000}));
    assert_eq!(sandbox.ok("getUpdates", json!({"timeout": 5, "offset": 2_000_000_000}))[0]["poll"]["id"], "1");
}
