//! Who is let in, and what those see who are not: nothing.

use serde_json::json;

use crate::harness::until;
use crate::world::{ADMIN, World, has, text_of};

fn code(world: &World) -> String {
    let log = until("the code", || Some(world.log()).filter(|log| log.contains("\"/start ")));
    let after = log.split("\"/start ").nth(1).unwrap_or_else(|| panic!("a code in {log}"));
    after.split('"').next().unwrap().to_owned()
}

#[test]
fn the_first_administrator_pairs_and_lets_others_in() {
    let mut world = World::new("pairing", "{}");
    world.person(2, "Боря <b>", "ru");
    world.start();
    let code = code(&world);
    has(&world.asked(ADMIN, "/start"), &["Nobody looks after this bot yet"]);
    has(&world.asked(2, "/start WRONG234"), &["У этого бота ещё нет администратора"]);
    has(&world.asked(ADMIN, &format!("/start {code}")), &["✅ You are this bot's administrator now.", "/regexp"]);
    assert_eq!(world.users()["1"]["role"], "admin");
    // The code is good for one.
    has(
        &world.asked(2, &format!("/start {code}")),
        &["Ваш запрос передан администратору; если доступ откроют, я напишу."],
    );
    assert!(world.users().get("2").is_none());
    let request = world.hears(ADMIN, 3, "the request");
    has(&text_of(&request), &["🔑 Боря <b> wants to be let in.\nid 2"]);

    // Asking again puts nobody to more trouble.
    world.ignored(json!({"chat": 2, "text": "/start"}));
    world.ignored(json!({"chat": 2, "text": "/regexp ."}));

    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    let welcome = world.hears(2, 3, "the approval");
    has(&text_of(&welcome), &["✅ Вам открыт доступ. Оповещений вы пока не получаете", "/regexp"]);
    world.settled(update);
    let decided = world.said(ADMIN).last().unwrap().clone();
    assert_eq!(decided["message_id"], request["message_id"]);
    has(&text_of(&decided), &["✅ Боря <b> was let in by Ada."]);
    assert!(decided.get("reply_markup").is_none(), "{decided}");
    has(&world.asked(2, "/regexp mem"), &["✅"]);
    assert_eq!(world.users()["2"]["match"], json!(["mem"]));

    // The same code is not told again.
    world.start();
    assert_eq!(world.log().matches("/start ").count(), 1, "{}", world.log());
    assert_eq!(world.violations(), []);
}

#[test]
fn who_has_alerts_already_can_be_the_first_administrator() {
    // The users file of the Python original.
    let mut world = World::new("pairing-in", r#"{"1": "mem|cpu", "2": "disk"}"#);
    world.person(2, "Boris", "en");
    world.start();
    let code = code(&world);
    has(&world.asked(ADMIN, "/start"), &["👋"]);
    has(&world.asked(ADMIN, "/start WRONG234"), &["Nobody looks after this bot yet"]);
    has(&world.asked(ADMIN, &format!("/start {code}")), &["✅ You are this bot's administrator now.", "/regexp"]);
    assert_eq!(world.users()["1"], json!({"match": ["mem|cpu"], "role": "admin", "name": "Ada"}));
    // The code is good for one.
    let greeting = world.asked(2, &format!("/start {code}"));
    assert!(greeting.starts_with("👋"), "{greeting}");
    assert_eq!(world.users()["2"], "disk");
}

#[test]
fn turned_down_is_turned_down() {
    let mut world = World::new("denied", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}}"#);
    world.person(2, "Eve", "en");
    world.person(5, "Вера", "ru");
    world.start();
    has(&world.asked(5, "/start"), &["👋 Я присылаю"]);
    has(&world.asked(2, "/start"), &["Your request was passed on"]);
    let (first, second) = (world.hears(ADMIN, 1, "the request"), world.hears(5, 2, "the request"));
    has(&text_of(&second), &["просит доступ"]);
    // The bot has to know as well that they were asked.
    world.quiet();
    let update = world.press(ADMIN, &first, "❌ Deny", ADMIN);
    world.settled(update);
    // The other administrator sees it too, and a late press changes nothing.
    has(&text_of(world.said(5).last().unwrap()), &["отказано", "Ada"]);
    assert_eq!(
        world.said(5).last().unwrap()["reply_markup"]["inline_keyboard"][0][0]["text"],
        "✅ Всё-таки открыть доступ"
    );
    let late = world.forge(5, second["message_id"].as_i64().unwrap(), "a:2", 5);
    world.settled(late);
    assert!(world.users().get("2").is_none());
    assert_eq!(world.said(2).len(), 1, "nothing is said to who was turned down");
    world.ignored(json!({"chat": 2, "text": "/start"}));
}

#[test]
fn a_deny_by_a_slip_is_undone_under_the_same_message() {
    let mut world =
        World::new("after-all", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}, "6": {"role": "admin"}}"#);
    world.person(2, "Eve", "en");
    world.person(5, "Вера", "ru");
    world.person(6, "Gus", "en");
    world.start();
    has(&world.asked(5, "/start"), &["👋"]);
    world.ask(2, "/start");
    let (first, second) = (world.hears(ADMIN, 1, "the request"), world.hears(5, 2, "the request"));
    let third = world.hears(6, 1, "the request");
    world.quiet();
    // Nobody was turned down yet.
    let early = world.forge(ADMIN, first["message_id"].as_i64().unwrap(), "l:2", ADMIN);
    world.settled(early);
    assert!(world.users().get("2").is_none());
    let update = world.press(ADMIN, &first, "❌ Deny", ADMIN);
    world.settled(update);
    let denied = world.said(5).last().unwrap().clone();
    assert_eq!(denied["message_id"], second["message_id"]);
    // Who is no administrator any more, and who never was one, undo nothing.
    world.scratch.write("users.json", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}}"#);
    for who in [6, 2] {
        let update = world.forge(who, third["message_id"].as_i64().unwrap(), "l:2", who);
        world.settled(update);
    }
    assert!(world.users().get("2").is_none());

    // What one of them does is not on disk when the other one presses.
    world.unfinished(true);
    let one = world.press(5, &denied, "✅ Всё-таки открыть доступ", 5);
    until("the entry", || world.users().get("2").map(drop));
    let denied = world.said(ADMIN).last().unwrap().clone();
    let other = world.press(ADMIN, &denied, "✅ Let in after all", ADMIN);
    until("both", || (world.log().matches("cannot write what the bot remembers").count() >= 2).then_some(()));
    world.kill();
    world.unfinished(false);
    world.start();
    world.settled(one);
    world.settled(other);
    assert_eq!(world.users()["2"], json!({"name": "Eve"}));
    let welcome: Vec<String> = world.said(2).iter().map(text_of).collect();
    assert_eq!(welcome.len(), 2, "{welcome:?}");
    has(&welcome[1], &["✅ You were let in. You get no alerts yet", "/regexp"]);
    for admin in [ADMIN, 5] {
        let decided = world.said(admin).last().unwrap().clone();
        has(&text_of(&decided), &["Вера"]);
        assert!(decided.get("reply_markup").is_none(), "{decided}");
    }
    assert_eq!(world.log().matches("was let in by").count(), 2, "by the same press, again after the kill");
    let late = world.forge(ADMIN, first["message_id"].as_i64().unwrap(), "l:2", ADMIN);
    world.settled(late);
    assert_eq!(world.said(2).len(), 2);
}

#[test]
fn a_stranger_learns_nothing_and_decides_nothing() {
    let mut world = World::new("stranger", r#"{"1": {"role": "admin"}, "3": {}}"#);
    for (id, name) in [(2, "Eve"), (3, "Carl"), (4, "Mallory")] {
        world.person(id, name, "en");
    }
    world.start();
    for text in
        ["/list", "/help", "/users", "/dashboards", "/regexp .", "/subscribe a=b", "/remove 1", "hello", "go back"]
    {
        world.ignored(json!({"chat": 4, "text": text}));
    }
    world.ask(2, "/start");
    let request = world.hears(ADMIN, 1, "the request");
    let message = request["message_id"].as_i64().unwrap();
    // Neither the one who asks, nor another stranger, nor somebody who is let in can approve; and no request, no entry.
    for (who, data) in
        [(2, "a:2"), (4, "a:2"), (3, "a:2"), (4, "a:4"), (4, "d:2"), (3, "a:999"), (4, "p:1:u"), (4, "a:"), (4, "")]
    {
        let update = world.forge(who, message, data, who);
        world.settled(update);
    }
    let update = world.forge(ADMIN, message, "a:4", ADMIN);
    world.settled(update);
    assert_eq!(world.users(), json!({"1": {"role": "admin"}, "3": {}}));
    assert_eq!(world.said(4).len(), 0);
    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    world.settled(update);
    assert_eq!(world.users()["2"]["name"], "Eve");
}

#[test]
fn open_lets_everybody_in_and_a_list_those_on_it() {
    let mut world = World::new("open", "{}").set("access", json!("open"));
    world.start();
    has(&world.asked(ADMIN, "/regexp cpu"), &["✅"]);
    assert_eq!(world.scratch.read("users.json"), "{\n  \"1\": \"cpu\"\n}\n", "the form of the Python original");
    assert!(!world.log().contains("/start "), "nobody has to pair: {}", world.log());
    world.end();

    let mut world = world.set("access", json!([2, "-1001"])).set("admins", json!([9]));
    for (id, name) in [(2, "Ann"), (9, "Root")] {
        world.person(id, name, "en");
    }
    world.group(-1001, "Ops");
    world.start();
    world.ignored(json!({"chat": ADMIN, "text": "/list"}));
    world.ignored(json!({"chat": ADMIN, "text": "/start"}));
    has(&world.asked(2, "/regexp mem"), &["✅"]);
    has(&text_of(&world.ask_as(json!({"chat": -1001, "from": 5, "text": "/regexp disk"}))), &["✅"]);
    has(&world.asked(9, "/users"), &["access", "cpu", "mem", "disk"]);
}

#[test]
fn a_wrong_access_is_an_error_of_the_configuration() {
    let mut world = World::new("wrong-access", "{}").set("access", json!("opne"));
    world.launch();
    assert_eq!(world.bot().wait().code(), Some(2));
    has(&world.log(), &["access must be \"invite\", \"open\" or a list"]);
}

#[test]
fn a_group_is_let_in_as_a_whole() {
    let mut world = World::new("group", r#"{"1": {"role": "admin"}}"#);
    world.person(5, "Fay", "en");
    world.group(-1001, "Ops & <co>");
    world.group(-1002, "Others");
    world.start();
    // Somebody of the group asks; an administrator of the bot approves.
    world.ignored(json!({"chat": -1001, "from": 5, "text": "/list"}));
    let answer = world.ask_as(json!({"chat": -1001, "from": 5, "text": "/start"}));
    has(&text_of(&answer), &["Your request was passed on to the administrator."]);
    let request = world.hears(ADMIN, 1, "the request");
    has(&text_of(&request), &["🔑 The group Ops & <co> wants to be let in; Fay asks."]);
    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    world.settled(update);
    has(
        &text_of(world.said(-1001).last().unwrap()),
        &["This group was let in", "/regexp or /subscribe chooses its alerts"],
    );
    let answer = world.ask_as(json!({"chat": -1001, "from": 6, "text": "/regexp mem"}));
    has(&text_of(&answer), &["✅ This group gets alerts in whose name mem is found."]);
    assert!(answer["reply_to_message"]["message_id"].is_i64(), "in a group it is an answer: {answer}");
    // Being let in there lets nobody in here.
    world.ignored(json!({"chat": 5, "text": "/list"}));

    // An administrator need not ask.
    has(&text_of(&world.ask_as(json!({"chat": -1002, "from": ADMIN, "text": "/start"}))), &["This group was let in"]);
    assert_eq!(world.users()["-1002"]["name"], "Others");
    until("the end", || world.violations().is_empty().then_some(()));
}

#[test]
fn of_two_who_decide_at_the_same_moment_one_does() {
    let mut world = World::new("two-decide", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}}"#);
    world.person(2, "Eve", "en");
    world.person(5, "Ben", "en");
    world.start();
    has(&world.asked(5, "/start"), &["👋"]);
    world.ask(2, "/start");
    let (first, second) = (world.hears(ADMIN, 1, "the request"), world.hears(5, 2, "the request"));
    // What the first one does is not on disk when the second one presses.
    world.unfinished(true);
    let approved = world.press(ADMIN, &first, "✅ Approve", ADMIN);
    until("the entry", || world.users().get("2").map(drop));
    let denied = world.press(5, &second, "❌ Deny", 5);
    until("both", || (world.log().matches("cannot write what the bot remembers").count() >= 2).then_some(()));
    world.unfinished(false);
    world.settled(approved);
    world.settled(denied);
    has(&text_of(world.said(ADMIN).last().unwrap()), &["was let in by Ada"]);
    has(&text_of(world.said(5).last().unwrap()), &["was let in by Ada"]);
    assert!(world.users().get("2").is_some() && !world.log().contains("turned down"), "{}", world.log());
}

#[test]
fn who_is_removed_while_waiting_for_the_file_stays_out() {
    for (name, text) in [("late-regexp", "/regexp ."), ("late-subscribe", "/subscribe a=b")] {
        let mut world = World::new(name, r#"{"1": {"role": "admin"}, "2": {}}"#);
        world.person(2, "Eve", "en");
        world.start();
        let lock = std::fs::File::create(world.scratch.path("users.json.lock")).unwrap();
        lock.lock().unwrap();
        let update = world.say(2, text);
        let fds = format!("/proc/{}/fd", world.bot().child.id());
        until("the bot at the lock", || {
            let mut open = std::fs::read_dir(&fds).unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
            open.any(|file| file.ends_with("users.json.lock")).then_some(())
        });
        world.scratch.write("users.json", r#"{"1": {"role": "admin"}}"#);
        drop(lock);
        world.settled(update);
        assert_eq!((world.users(), world.said(2).len()), (json!({"1": {"role": "admin"}}), 0), "{text}");
    }
}

#[test]
fn who_is_let_in_is_told_to_administrators_alone() {
    let users =
        r#"{"1": {"role": "admin", "lang": "ru"}, "2": {"name": "Secret Ann", "match": ["payroll"]}, "-1001": {}}"#;
    for (lang, words) in [("en", "write to me privately: "), ("ru", "напишите мне лично: ")] {
        let mut world = World::new(
            "users-in-a-group",
            &users.replace("\"-1001\": {}", &format!("\"-1001\": {{\"lang\": \"{lang}\"}}")),
        );
        world.group(-1001, "Ops");
        world.start();
        for (text, command) in [("/users", "/users"), ("/remove 2", "/remove"), ("/remove", "/remove")] {
            let answer = text_of(&world.ask_as(json!({"chat": -1001, "from": ADMIN, "text": text})));
            assert!(answer.ends_with(&format!("{words}{command}")), "{answer}");
            assert!(!answer.contains("Ann") && !answer.contains("payroll"), "{answer}");
        }
        assert!(world.users().get("2").is_some(), "{}", world.users());
        has(&world.asked(ADMIN, "/users"), &["Secret Ann", "payroll"]);
    }
}

/// A /start in a group of its own.
fn start_in(group: i64, from: i64) -> serde_json::Value {
    json!({"message": {"message_id": 900, "date": 1, "text": "/start",
        "chat": {"id": group, "type": "supergroup", "title": format!("Group {group}")},
        "from": {"id": from, "is_bot": false, "first_name": "Eve", "language_code": "en"}}})
}

#[test]
fn one_person_does_not_close_the_door_for_others() {
    let mut world = World::new("one-at-the-door", r#"{"1": {"role": "admin"}}"#);
    world.person(2, "Ann", "en");
    world.start();
    let asked = |of: i64| world.said(ADMIN).iter().filter(|said| text_of(said).contains(&format!("id {of}"))).count();
    let mut last = 0;
    for n in 0..60 {
        last = world.update(start_in(-2000 - n, 66));
        world.settled(last);
    }
    assert_eq!(world.said(ADMIN).len(), 3, "of one person");
    has(&world.asked(2, "/start"), &["Your request was passed on"]);
    until("the colleague's request", || (asked(2) == 1).then_some(()));

    // Whoever was turned down five times asks no more, for a month.
    for n in 0..8 {
        for request in world.said(ADMIN).iter().filter(|said| said.to_string().contains("❌ Deny")) {
            if text_of(request).contains("id -2") {
                last = world.press(ADMIN, request, "❌ Deny", ADMIN);
                world.settled(last);
            }
        }
        last = world.update(start_in(-2500 - n, 66));
        world.settled(last);
    }
    assert_eq!(world.count("SELECT count(*) FROM requests WHERE person = 66 AND denied"), 5);
    assert_eq!(world.count("SELECT count(*) FROM requests WHERE person = 66"), 5);
    assert_eq!(world.said(ADMIN).len(), 6, "five of one, one of another");
    world.settled(last);
}

#[test]
fn requests_that_a_former_version_took_close_no_door() {
    let mut world = World::new("former-requests", r#"{"1": {"role": "admin"}}"#);
    world.person(2, "Ann", "en");
    world.start();
    world.end();
    world.sql("ALTER TABLE requests DROP COLUMN person; PRAGMA user_version = 1");
    let rows: Vec<String> = (0..50).map(|n| format!("({}, 0, 9999999999999, 'Group', 'en', 0)", -2000 - n)).collect();
    world.sql(&format!("INSERT INTO requests VALUES {}", rows.join(", ")));
    world.start();
    has(&world.asked(2, "/start"), &["Your request was passed on"]);
}

#[test]
fn a_decision_that_broke_off_is_made_by_the_next_press() {
    let mut world = World::new("broken-off", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}}"#);
    world.person(2, "Ann", "en");
    world.person(3, "Eve", "en");
    world.person(5, "Ben", "en");
    world.start();
    let request = |chat: i64| {
        until("the request", || {
            world.said(ADMIN).into_iter().find(|said| text_of(said).contains(&format!("id {chat}")))
        })
    };
    for chat in [2, 3] {
        world.ask(chat, "/start");
        world.quiet();
    }
    let requests = [request(2), request(3)];
    world.sql("ALTER TABLE asked RENAME TO away");
    for (request, button) in requests.iter().zip(["✅ Approve", "❌ Deny"]) {
        let broken = world.press(ADMIN, request, button, ADMIN);
        world.settled(broken);
    }
    world.sql("ALTER TABLE away RENAME TO asked");
    // Who is in already is not turned down any more.
    let number = |request: &serde_json::Value| request["message_id"].as_i64().unwrap();
    let denied = world.forge(5, number(&requests[0]) + 100, "d:2", 5);
    world.settled(denied);
    assert_eq!(world.count("SELECT count(*) FROM requests WHERE chat = 2 AND NOT denied"), 1);
    for (chat, button) in [(2, "✅ Approve"), (3, "❌ Deny")] {
        let again = world.press(ADMIN, &request(chat), button, ADMIN);
        world.settled(again);
    }
    has(&text_of(&request(2)), &["was let in by Ada"]);
    has(&text_of(world.said(2).last().unwrap()), &["You were let in."]);
    assert_eq!(world.count("SELECT count(*) FROM requests WHERE chat = 3 AND denied"), 1);
}

#[test]
fn a_users_file_that_was_lost_is_not_begun_anew() {
    const USERS: &str = r#"{"1": {"role": "admin"}, "2": "mem", "3": "cpu"}"#;
    for (name, access) in [("lost-invite", json!("invite")), ("lost-open", json!("open")), ("lost-list", json!([2]))] {
        let mut world = World::new(name, USERS).set("access", access);
        world.person(2, "Ann", "en");
        world.start();
        world.scratch.write("users.json", "");
        has(&world.asked(2, "/regexp disk"), &["That did not work"]);
        assert_eq!(world.scratch.read("users.json"), "", "{name}");
        std::fs::remove_file(world.users_path()).unwrap();
        has(&world.asked(2, "/stop"), &["That did not work"]);
        assert!(!world.users_path().exists(), "{name}");
        has(&world.log(), &["users.json is empty or gone and is not changed: put the last good one back"]);
        world.scratch.write("users.json", USERS);
        has(&world.asked(2, "/regexp disk"), &["✅"]);
        assert_eq!(world.users(), json!({"1": {"role": "admin"}, "2": "disk", "3": "cpu"}), "{name}");
    }
}

#[test]
fn who_comes_in_while_the_users_file_is_lost_is_told_so() {
    let mut world = World::new("lost-pairing", r#"{"3": "cpu"}"#);
    world.person(2, "Eve", "en");
    world.start();
    let code = code(&world);
    let lose = |world: &World| {
        let users = world.scratch.read("users.json");
        world.scratch.write("users.json", "");
        users
    };
    let users = lose(&world);
    has(&world.asked(ADMIN, &format!("/start {code}")), &["That did not work"]);
    world.scratch.write("users.json", &users);
    has(&world.asked(ADMIN, &format!("/start {code}")), &["administrator now"]);
    world.ask(2, "/start");
    let request = world.hears(ADMIN, 3, "the request");
    let users = lose(&world);
    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    world.settled(update);
    has(&world.sandbox.requests("answerCallbackQuery").last().unwrap()["params"].to_string(), &["That did not work"]);
    world.scratch.write("users.json", &users);
    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    world.settled(update);
    assert_eq!((world.users()["2"]["name"].as_str(), world.users()["3"].as_str()), (Some("Eve"), Some("cpu")));
}
