//! Chats that block, throw out, move and come back; topics, channels, and who speaks for whom.

use serde_json::{Value, json};

use crate::harness::until;
use crate::world::{ADMIN, World, has, text_of};

fn status(world: &World, chat: i64, status: &str, from: i64) -> i64 {
    let answer = world.sandbox.post("/bot_status", json!({"chat": chat, "status": status, "from": from}));
    answer["update_id"].as_i64().unwrap()
}

#[test]
fn who_blocks_the_bot_gets_nothing_until_they_come_back() {
    let mut world =
        World::new("blocked", r#"{"1": {"role": "admin"}, "2": "mem", "-1001": {"match": ["cpu"], "thread": 7}}"#);
    world.person(2, "Ann", "en");
    world.group(-1001, "Ops");
    world.start();
    for (chat, gone, back, whole) in [
        (2, "blocked", "member", json!("mem")),
        (-1001, "kicked", "administrator", json!({"match": ["cpu"], "thread": 7})),
    ] {
        let entry = |world: &World| world.users()[chat.to_string()].clone();
        let update = status(&world, chat, gone, 2);
        world.settled(update);
        assert!(entry(&world)["blocked_since"].is_string(), "{gone}: {}", entry(&world));
        has(&world.asked(ADMIN, "/users"), &["🚫 blocked the bot"]);
        let update = status(&world, chat, back, 2);
        world.settled(update);
        assert_eq!(entry(&world), whole);
    }
    assert_eq!(world.said(2).len() + world.said(-1001).len(), 0, "nobody is talked to for that");
}

#[test]
fn a_chat_that_refuses_a_message_is_known_as_gone_and_who_writes_is_back() {
    let mut world = World::new("refuses", r#"{"1": {"role": "admin"}, "2": "mem"}"#);
    world.person(2, "Ann", "en");
    world.start();
    world
        .sandbox
        .rules(json!([{"match": {"method": "sendMessage", "chat_id": 2}, "times": 1, "do": {"preset": "blocked"}}]));
    world.say(2, "/list");
    until("the entry", || world.users()["2"]["blocked_since"].is_string().then_some(()));
    world.quiet();
    has(&world.asked(2, "/list"), &["mem"]);
    assert_eq!(world.users()["2"], "mem");
}

#[test]
fn a_group_that_moves_keeps_everything() {
    let mut world =
        World::new("moves", r#"{"1": {"role": "admin"}, "-5": {"match": ["mem"], "note": 1}, "-6": "disk"}"#);
    for id in [-5, -6] {
        world.sandbox.post("/chat", json!({"id": id, "type": "group", "title": "Ops"}));
    }
    world.start();
    world.sandbox.post("/migrate", json!({"from": -5, "to": -1_000_000_000_005_i64}));
    until("the new id", || (world.users()["-1000000000005"]["note"] == 1).then_some(()));
    assert!(world.users().get("-5").is_none());
    let answer = world.ask_as(json!({"chat": -1_000_000_000_005_i64, "from": 2, "text": "/list"}));
    has(&text_of(&answer), &["mem"]);

    // No service message came, but the old id is refused: the answer goes to the new one all the same.
    world.sandbox.rules(json!([{"match": {"method": "sendMessage", "chat_id": -6}, "times": 1,
        "do": {"error": {"code": 400, "description": "Bad Request: group chat was upgraded to a supergroup chat",
            "parameters": {"migrate_to_chat_id": -1_000_000_000_006_i64}}}}]));
    world.sandbox.post("/chat", json!({"id": -1_000_000_000_006_i64, "type": "supergroup", "title": "Ops"}));
    world.say_as(json!({"chat": -6, "from": 2, "text": "/list"}));
    has(&text_of(&world.hears(-1_000_000_000_006, 1, "the move")), &["disk"]);
    assert_eq!(world.users()["-1000000000006"], "disk");
}

#[test]
fn each_topic_has_its_own_subscriptions() {
    let mut world = World::new("topics", r#"{"1": {"role": "admin"}, "-1001": {"name": "Ops"}}"#);
    world.group(-1001, "Ops");
    world.start();
    let ask = |thread: Option<i64>, text: &str| {
        let mut said = json!({"chat": -1001, "from": 2, "text": text});
        if let Some(thread) = thread {
            said["thread"] = thread.into();
        }
        let answer = world.ask_as(said);
        assert_eq!(answer.get("message_thread_id").and_then(Value::as_i64), thread, "{answer}");
        text_of(&answer)
    };
    ask(Some(7), "/regexp database");
    ask(Some(9), "/subscribe team=\"web\"");
    ask(None, "/regexp *");
    has(&ask(Some(7), "/list"), &["database"]);
    has(&ask(Some(9), "/list"), &["team=\"web\""]);
    has(&ask(None, "/list"), &["all of them"]);
    ask(Some(7), "/stop");
    has(&ask(Some(7), "/list"), &["This topic gets no alerts."]);
    has(&ask(Some(9), "/mute 1h"), &["🔇 No alerts until "]);
    has(&ask(None, "/mute"), &["For how long?"]);
    has(&ask(None, "/list"), &["This group gets alerts\n• all of them"]);
    has(&ask(Some(9), "/list"), &["team=\"web\""]);
    let entries = world.users()["-1001"].clone();
    assert!(entries.to_string().contains("\"thread\":9"), "{entries}");
    assert_eq!(entries.to_string().matches("muted_until").count(), 1, "{entries}");
}

#[test]
fn brought_into_a_group_by_an_administrator_or_by_somebody_else() {
    let mut world = World::new("brought", r#"{"1": {"role": "admin"}, "2": {}}"#);
    for (id, title) in [(-1001, "Ours"), (-1002, "Theirs")] {
        world.sandbox.post("/chat", json!({"id": id, "type": "supergroup", "title": title, "bot": "left"}));
    }
    world.start();
    let update = status(&world, -1002, "member", 5);
    world.settled(update);
    assert!(world.users().get("-1002").is_none());
    assert_eq!(world.said(-1002).len(), 0);
    status(&world, -1001, "member", ADMIN);
    has(&text_of(&world.hears(-1001, 1, "being brought")), &["This group was let in"]);
    assert_eq!(world.users()["-1001"]["name"], "Ours");
}

#[test]
fn who_is_meant_and_who_speaks() {
    let mut world = World::new("by-the-book", r#"{"1": {"role": "admin"}, "-1001": {}, "-1003": {}, "2": {}}"#);
    world.group(-1001, "Ops");
    world.person(2, "Ann", "en");
    for (id, title) in [(-1003, "News"), (-1009, "Elsewhere")] {
        world.sandbox.post("/chat", json!({"id": id, "type": "channel", "title": title, "bot": "administrator"}));
    }
    world.start();
    let me = world.log().split("answering as @").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let group = |text: &str| json!({"chat": -1001, "from": 5, "text": text});
    world.ignored(group("/list@other_bot"));
    world.ignored(group("how is the memory?"));
    world.ignored(group("go back"));
    world.ignored(group("/weather"));
    world.ignored(json!({"chat": -1003, "sender_chat": -1003, "text": "/weather"}));
    has(&text_of(&world.ask_as(group(&format!("/list@{me}")))), &["This group gets no alerts."]);

    // An anonymous administrator of the group is the group; nobody knows which of the bot's administrators it may be.
    let anonymous = |text: &str| json!({"chat": -1001, "from": 1_087_968_824_i64, "sender_chat": -1001, "text": text});
    has(&text_of(&world.ask_as(anonymous("/regexp disk"))), &["✅"]);
    has(&text_of(&world.ask_as(anonymous("/users"))), &["for administrators of the bot. If you write anonymously"]);
    // A foreign channel speaks for nobody.
    world.ignored(json!({"chat": -1001, "from": 136_817_688, "sender_chat": -1009, "text": "/stop"}));
    assert_eq!(world.users()["-1001"], "disk");

    // A channel is let in as a whole, too.
    has(
        &text_of(&world.ask_as(json!({"chat": -1003, "sender_chat": -1003, "text": "/regexp news"}))),
        &["✅ This channel gets alerts"],
    );
    assert_eq!(world.users()["-1003"], "news");
    has(&text_of(&world.ask_as(json!({"chat": -1003, "sender_chat": -1003, "text": "/start"}))), &["👋"]);

    // What was edited was done already; what was forwarded was meant for somebody else.
    let message = |extra: Value| {
        let mut message = json!({"message_id": 900, "date": 1, "text": "/stop", "chat": {"id": 2, "type": "private", "first_name": "Ann"},
            "from": {"id": 2, "is_bot": false, "first_name": "Ann", "language_code": "en"}});
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        message
    };
    has(&world.asked(2, "/regexp mine"), &["✅"]);
    let before = world.said(2).len();
    let update = world.update(json!({"edited_message": message(json!({"edit_date": 2}))}));
    world.settled(update);
    assert_eq!(world.said(2).len(), before);
    let origin =
        json!({"forward_origin": {"type": "hidden_user", "sender_user_name": "x", "date": 1}, "forward_date": 1});
    let update = world.update(json!({"message": message(origin)}));
    world.settled(update);
    has(&text_of(world.said(2).last().unwrap()), &["forwarded"]);
    assert_eq!(world.users()["2"], "mine");
    let bot = message(json!({"from": {"id": 77, "is_bot": true, "first_name": "Robot"}}));
    let update = world.update(json!({"message": bot}));
    world.settled(update);
    assert_eq!(world.users()["2"], "mine");
}

#[test]
fn the_talk_of_a_busy_group_keeps_nobodys_place() {
    let mut world = World::new("busy-group", r#"{"1": {"role": "admin"}, "-1001": {}}"#);
    world.group(-1001, "Ops");
    world.person(2, "Eve", "en");
    // All of it waits when the bot comes.
    for n in 0..200 {
        let text = if n % 7 == 0 { "/list@other_bot".to_owned() } else { format!("talk {n}") };
        world.say_as(json!({"chat": -1001, "from": 5, "text": text}));
        world.say_as(json!({"chat": 2, "text": format!("is there anybody? {n}")}));
    }
    world.say_as(json!({"chat": -1001, "from": 5, "text": "/regexp disk"}));
    world.say(2, "/start");
    world.start();
    has(&text_of(&world.hears(-1001, 1, "the command")), &["✅"]);
    has(&text_of(&world.hears(2, 1, "the wish")), &["Your request was passed on"]);
    let last = world.say_as(json!({"chat": -1001, "from": 5, "text": "more talk"}));
    world.settled(last);
    world.quiet();
    assert_eq!((world.said(-1001).len(), world.said(2).len(), world.said(ADMIN).len()), (1, 1, 1));
    assert_eq!(world.users()["-1001"], "disk");
}

#[test]
fn who_is_let_in_by_what_waits_is_heard() {
    let mut world = World::new("let-in-first", "{}");
    world.group(-1001, "Ops");
    world.start();
    let log = world.log();
    let code = log.split("\"/start ").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    world.end();
    world.say(ADMIN, &format!("/start {code}"));
    world.say(ADMIN, "/regexp mem");
    world.start();
    has(&text_of(&world.hears(ADMIN, 2, "both")), &["✅"]);
    world.end();
    world.say_as(json!({"chat": -1001, "from": ADMIN, "text": "/start"}));
    world.say_as(json!({"chat": -1001, "from": 5, "text": "/regexp disk"}));
    world.start();
    world.hears(-1001, 2, "both");
    let users = world.users();
    assert_eq!((users["1"]["match"][0].as_str(), users["-1001"]["match"][0].as_str()), (Some("mem"), Some("disk")));
}
