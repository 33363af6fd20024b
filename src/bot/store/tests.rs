//! What the bot remembers, and that it forgets nothing too early.

use serde_json::json;

use super::super::effects::{Change, Reply, Request};
use super::super::update::Event;
use super::*;

fn store() -> Store {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(SCHEMA).unwrap();
    Store { db: Mutex::new(db) }
}

fn asks(chat: i64, person: Option<i64>) -> Request {
    Request { room: Room { chat, thread: None }, title: "Ann".into(), person, language: "en".into(), denied: false }
}

fn update(id: i64) -> Update {
    Update { id, event: Event::Nothing }
}

fn said(chat: i64, text: &str) -> Effects {
    let mut effects = Effects::default();
    effects.say(Reply::new(Room { chat, thread: None }, text.to_owned()).keys(&[]));
    effects
}

#[test]
fn an_update_has_an_effect_once() {
    let store = store();
    assert_eq!(store.offset().unwrap(), None);
    assert_eq!(store.accept(vec![update(5), update(6)], 7).unwrap().len(), 2);
    assert_eq!(store.accept(vec![update(6), update(7)], 8).unwrap(), [update(7)]);
    assert_eq!(store.offset().unwrap(), Some(8));
    assert_eq!(store.finish(5, &said(1, "a")).unwrap().len(), 1);
    assert_eq!(store.finish(5, &said(1, "b")).unwrap().len(), 0);
    assert_eq!(store.open_updates().unwrap(), [update(6), update(7)]);
    assert!(store.accept(vec![update(5)], 8).unwrap().is_empty(), "handled ones are remembered");
}

#[test]
fn an_offset_lives_for_six_days_whatever_became_of_its_updates() {
    let store = store();
    store.accept(vec![update(5)], 6).unwrap();
    store.db().execute("DELETE FROM updates", []).unwrap();
    assert_eq!(store.offset().unwrap(), Some(6), "a quiet time only");
    let set = |at: i64| store.db().execute("UPDATE meta SET value = ? WHERE key = 'offset_at'", [at]).unwrap();
    set(now() - 6 * DAY + 60_000);
    assert_eq!(store.offset().unwrap(), Some(6));
    set(now() - 6 * DAY - 1);
    assert_eq!(store.offset().unwrap(), None);
    store.accept(vec![update(2)], 3).unwrap();
    assert_eq!(store.offset().unwrap(), Some(3));
}

#[test]
fn a_number_of_a_picture_is_used_once() {
    let store = store();
    assert_eq!(store.last_picture().unwrap(), 0);
    let room = Room { chat: 5, thread: None };
    let picture = |id| Change::Picture { id, room, shown: json!({}), language: "en".into() };
    let apply = |changes| store.apply(&Effects { changes, ..Effects::default() }).unwrap();
    apply(vec![picture(8), picture(9), picture(8)]);
    apply(vec![Change::Forgotten(5)]);
    assert!(store.picture(9).unwrap().is_none());
    assert_eq!(store.last_picture().unwrap(), 9);
}

#[test]
fn a_later_screen_takes_the_place_of_one_that_waits() {
    let store = store();
    let first = store.apply(&said(1, "first")).unwrap();
    store.apply(&said(2, "of another chat")).unwrap();
    store.apply(&said(1, "second")).unwrap();
    let texts = |store: &Store| -> Vec<String> {
        let calls = store.calls().unwrap();
        calls.iter().map(|queued| queued.call.parameters["text"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&store), ["of another chat", "second"]);
    store.sending(store.calls().unwrap()[1].id).unwrap();
    store.apply(&said(1, "third")).unwrap();
    assert_eq!(texts(&store), ["of another chat", "second", "third"], "one that was begun stays");
    store.sent(&first[0], None).unwrap();
}

#[test]
fn a_group_that_moves_takes_everything_along() {
    let store = store();
    let room = Room { chat: -5, thread: None };
    let mut effects = said(-5, "hello");
    effects.changes = vec![
        Change::Place(room, json!({"page": 1})),
        Change::Picture { id: 3, room, shown: json!({"uid": "x"}), language: "en".into() },
    ];
    store.apply(&effects).unwrap();
    store.apply(&Effects { changes: vec![Change::Migrated { old: -5, new: -1009 }], ..Effects::default() }).unwrap();
    let call = &store.calls().unwrap()[0].call;
    assert_eq!((call.chat, &call.parameters["chat_id"]), (-1009, &json!(-1009)));
    assert_eq!(store.place(Room { chat: -1009, thread: None }).unwrap(), Some(json!({"page": 1})));
    assert_eq!(store.picture(3).unwrap().unwrap().room.chat, -1009);
    assert_eq!(store.last_picture().unwrap(), 3);
}

#[test]
fn requests_and_the_messages_that_put_them() {
    let store = store();
    let room = Room { chat: 7, thread: None };
    let request = Request { room, title: "Ann".into(), person: Some(7), language: "ru".into(), denied: false };
    let mut effects = Effects { changes: vec![Change::Requested(request.clone())], ..Effects::default() };
    effects.say(Reply::new(Room { chat: 1, thread: None }, "let Ann in?".into()).request(7));
    let queued = store.apply(&effects).unwrap();
    store.sent(&queued[0], Some(55)).unwrap();
    assert_eq!((store.request(7).unwrap(), store.asked(7).unwrap()), (Some(request), vec![(1, 55)]));
    let decided = |approved| Effects { changes: vec![Change::Decided { chat: 7, approved }], ..Effects::default() };
    store.apply(&decided(false)).unwrap();
    assert!(store.request(7).unwrap().unwrap().denied);
    assert_eq!(store.open_requests(3).unwrap(), 0);
    assert_eq!(store.asked(7).unwrap(), [(1, 55)], "where it can be decided otherwise");
    // Who is removed hears no more of it, and is asked anew if they come back.
    let forgotten = |chat| Effects { changes: vec![Change::Forgotten(chat)], ..Effects::default() };
    store.apply(&forgotten(1)).unwrap();
    assert!(store.asked(7).unwrap().is_empty());
    store.apply(&decided(true)).unwrap();
    assert_eq!((store.request(7).unwrap(), store.asked(7).unwrap()), (None, vec![]));
}

#[test]
fn the_code_is_the_same_until_it_was_used() {
    let store = store();
    assert_eq!(store.pairing_code("a").unwrap(), "a");
    assert_eq!(store.pairing_code("b").unwrap(), "a");
    assert_eq!(store.unused_code().unwrap().as_deref(), Some("a"));
    store.apply(&Effects { changes: vec![Change::Paired], ..Effects::default() }).unwrap();
    assert_eq!(store.unused_code().unwrap(), None);
    assert_eq!(store.pairing_code("c").unwrap(), "c");
}

#[test]
fn the_first_press_decides_also_after_a_kill() {
    let store = store();
    let request = asks(7, Some(7));
    let asks = Effects { changes: vec![Change::Requested(request)], ..Effects::default() };
    assert!(!store.decides(7, "q1", false).unwrap(), "nobody asks");
    store.apply(&asks).unwrap();
    assert!(store.decides(7, "q1", false).unwrap());
    assert!(!store.decides(7, "q2", false).unwrap() && store.decides(7, "q1", false).unwrap());
    store.undecided(7).unwrap();
    assert!(store.decides(7, "q2", false).unwrap(), "the first one could not");
    store.forget().unwrap();
    assert!(!store.decides(7, "q1", false).unwrap(), "housekeeping decides nothing");
    let denied = Change::Decided { chat: 7, approved: false };
    store.apply(&Effects { changes: vec![denied], ..Effects::default() }).unwrap();
    assert!(!store.decides(7, "q1", false).unwrap() && !store.decides(7, "q2", false).unwrap(), "it is decided");
    assert!(store.decides(7, "q3", true).unwrap() && !store.decides(7, "q4", true).unwrap(), "but for second thoughts");
    store.forget().unwrap();
    assert!(store.decides(7, "q3", true).unwrap() && !store.decides(7, "q4", true).unwrap(), "also after a kill");
    let approved = Change::Decided { chat: 7, approved: true };
    store.apply(&Effects { changes: vec![approved], ..Effects::default() }).unwrap();
    assert!(!store.decides(7, "q3", true).unwrap() && !store.decides(7, "q4", true).unwrap());
}

#[test]
fn a_group_that_moves_withdraws_its_open_request() {
    let store = store();
    let room = Room { chat: -5, thread: None };
    let request = Request { room, title: "Ops".into(), person: Some(8), language: "en".into(), denied: false };
    let mut effects = Effects { changes: vec![Change::Requested(request)], ..Effects::default() };
    effects.say(Reply::new(Room { chat: 1, thread: None }, "let Ops in?".into()).request(-5));
    effects.say(Reply::new(Room { chat: 2, thread: None }, "let Ops in?".into()).request(-5));
    let queued = store.apply(&effects).unwrap();
    store.sent(&queued[0], Some(55)).unwrap();
    let moved = |old, new| Effects { changes: vec![Change::Migrated { old, new }], ..Effects::default() };
    store.apply(&moved(-5, -1009)).unwrap();
    assert_eq!((store.request(-5).unwrap(), store.request(-1009).unwrap()), (None, None));
    assert!(store.asked(-5).unwrap().is_empty() && store.calls().unwrap().is_empty());
    // Whoever was turned down stays so.
    let denied = Change::Decided { chat: -5, approved: false };
    effects.changes.push(denied);
    store.apply(&effects).unwrap();
    store.apply(&moved(-5, -1009)).unwrap();
    assert!(store.request(-1009).unwrap().unwrap().denied);
}

#[test]
fn what_was_so_before_lives_as_long_as_something_waits() {
    let store = store();
    store.accept(vec![update(5)], 6).unwrap();
    store.keep((1, 8), "Ann").unwrap();
    store.forget().unwrap();
    assert_eq!((store.kept((1, 8)).unwrap().as_deref(), store.kept((1, 9)).unwrap()), (Some("Ann"), None));
    store.finish(5, &Effects::default()).unwrap();
    store.forget().unwrap();
    assert_eq!(store.kept((1, 8)).unwrap(), None);
}

#[test]
fn a_number_of_a_call_is_used_once() {
    let store = store();
    let first = store.apply(&said(1, "a")).unwrap()[0].clone();
    store.sent(&first, None).unwrap();
    assert!(store.apply(&said(1, "b")).unwrap()[0].id > first.id);
}

#[test]
fn one_person_fills_little_room() {
    let store = store();
    let ask = |chat, person| {
        let changes = vec![Change::Requested(asks(chat, person))];
        store.apply(&Effects { changes, ..Effects::default() }).unwrap();
    };
    (1..=40).for_each(|n| ask(-n, Some(66)));
    (41..=80).for_each(|n| ask(-n, None));
    ask(5, Some(5));
    assert_eq!(store.open_requests(3).unwrap(), 3 + 3 + 1);
    let denied = Change::Decided { chat: -1, approved: false };
    store.apply(&Effects { changes: vec![denied], ..Effects::default() }).unwrap();
    assert_eq!(store.requests_of(Some(66)).unwrap(), (39, 1));
    assert_eq!((store.requests_of(None).unwrap(), store.requests_of(Some(7)).unwrap()), ((40, 0), (0, 0)));
}

#[test]
fn a_file_of_the_former_version_is_taken_over() {
    let path = std::env::temp_dir().join(format!("prometheus-telegram-store-{}.db", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let former = Connection::open(&path).unwrap();
    former
        .execute_batch(
            &SCHEMA
                .replace("denied INTEGER NOT NULL,", "denied INTEGER NOT NULL")
                .replace("person INTEGER                -- who asks; null where nobody knows", ""),
        )
        .unwrap();
    former
        .execute_batch(
            "INSERT INTO requests VALUES (7, 0, 1, 'Ann', 'en', 0), (-5, 0, 1, 'Ops', 'en', 1);
        PRAGMA user_version = 1",
        )
        .unwrap();
    drop(former);
    // And once more, as it is now.
    for _ in 0..2 {
        let store = Store::open(&path).unwrap();
        assert_eq!(store.request(7).unwrap(), Some(asks(7, Some(7))));
        assert!(store.request(-5).unwrap().is_some_and(|request| request.denied && request.person.is_none()));
    }
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", path.display()));
    }
}
