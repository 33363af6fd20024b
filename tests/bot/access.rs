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
    has(&world.asked(2, "/start WRONG234"), &["За этим ботом пока никто не присматривает"]);
    has(&world.asked(ADMIN, &format!("/start {code}")), &["✅ You are this bot's administrator now.", "/regexp"]);
    assert_eq!(world.users()["1"]["role"], "admin");
    // The code is good for one.
    has(&world.asked(2, &format!("/start {code}")), &["Ваша просьба передана; если вас допустят, я напишу."]);
    assert!(world.users().get("2").is_none());
    let request = world.hears(ADMIN, 3, "the request");
    has(&text_of(&request), &["🔑 Боря <b> wants to be let in.\nid 2"]);

    // Asking again puts nobody to more trouble.
    world.ignored(json!({"chat": 2, "text": "/start"}));
    world.ignored(json!({"chat": 2, "text": "/regexp ."}));

    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    let welcome = world.hears(2, 3, "the approval");
    has(&text_of(&welcome), &["✅ Вам открыт доступ.", "/regexp"]);
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
fn turned_down_is_turned_down() {
    let mut world = World::new("denied", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}}"#);
    world.person(2, "Eve", "en");
    world.person(5, "Вера", "ru");
    world.start();
    has(&world.asked(5, "/start"), &["👋 Я приношу"]);
    has(&world.asked(2, "/start"), &["Your request was passed on"]);
    let (first, second) = (world.hears(ADMIN, 1, "the request"), world.hears(5, 2, "the request"));
    has(&text_of(&second), &["просит допустить"]);
    let update = world.press(ADMIN, &first, "❌ Deny", ADMIN);
    world.settled(update);
    // The other administrator sees it too, and a late press changes nothing.
    has(&text_of(world.said(5).last().unwrap()), &["отказано", "Ada"]);
    let late = world.forge(5, second["message_id"].as_i64().unwrap(), "a:2", 5);
    world.settled(late);
    assert!(world.users().get("2").is_none());
    assert_eq!(world.said(2).len(), 1, "nothing is said to who was turned down");
    world.ignored(json!({"chat": 2, "text": "/start"}));
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
    has(&text_of(&answer), &["Your request was passed on."]);
    let request = world.hears(ADMIN, 1, "the request");
    has(&text_of(&request), &["🔑 The group Ops & <co> wants to be let in; Fay asks."]);
    let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
    world.settled(update);
    has(&text_of(world.said(-1001).last().unwrap()), &["This group was let in"]);
    let answer = world.ask_as(json!({"chat": -1001, "from": 6, "text": "/regexp mem"}));
    has(&text_of(&answer), &["✅"]);
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
