//! Administrators who come late: to whom the bot could not write, and who were none yet.

use serde_json::{Value, json};

use crate::harness::{TOKEN, until};
use crate::world::{ADMIN, World, has, text_of};

const LATE: i64 = 9;

/// The codes that the log holds, in order.
fn codes(world: &World) -> Vec<String> {
    world.log().split("\"/start ").skip(1).map(|after| after.split('"').next().unwrap().to_owned()).collect()
}

/// How many messages of a chat put this request.
fn put(world: &World, admin: i64, id: i64) -> usize {
    world.said(admin).iter().filter(|said| text_of(said).ends_with(&format!("\nid {id}"))).count()
}

/// Somebody who may be written to, or not yet.
fn reachable(world: &World, id: i64, yes: bool) {
    let user = if yes { "active" } else { "never_started" };
    world.sandbox.post("/chat", json!({"id": id, "type": "private", "first_name": "Zoe", "user": user}));
}

#[test]
fn what_no_administrator_could_be_asked_is_asked_when_one_is_there() {
    let mut world = World::new("late-admin", r#"{"-1002": {}}"#).set("admins", json!([LATE]));
    world.person(LATE, "Zoe", "en");
    reachable(&world, LATE, false);
    world.person(2, "Eve <b>", "en");
    world.person(5, "Fay", "en");
    world.group(-1001, "Ops");
    world.start();
    has(&world.asked(2, "/start"), &["Your request was passed on"]);
    has(&text_of(&world.ask_as(json!({"chat": -1001, "from": 5, "text": "/start"}))), &["passed on"]);
    until("the warnings", || {
        let told = |chat: i64| {
            world.log().contains(&format!("warning: chat {chat} asks to be let in, and no administrator could be told"))
        };
        (told(2) && told(-1001)).then_some(())
    });
    assert_eq!(world.said(LATE).len(), 0);
    reachable(&world, LATE, true);
    // Where everybody reads along nothing is put, and a kill neither loses nor doubles it.
    let update = world.say_as(json!({"chat": -1002, "from": LATE, "text": "/start"}));
    world.settled(update);
    assert_eq!(world.said(LATE).len(), 0);
    world.cut_off(json!({"chat": LATE, "text": "/start"}));
    let texts: Vec<String> = world.said(LATE).iter().map(text_of).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    has(&texts[0], &["👋"]);
    has(&texts[1], &["🔑 Eve <b> wants to be let in.\nid 2"]);
    has(&texts[2], &["🔑 The group Ops wants to be let in; Fay asks.\nid -1001"]);
    // Once is enough.
    let update = world.say(LATE, "/start");
    world.settled(update);
    assert_eq!((put(&world, LATE, 2), put(&world, LATE, -1001)), (1, 1));
    let update = world.press(LATE, &world.said(LATE)[1], "✅ Approve", LATE);
    world.settled(update);
    has(&text_of(world.said(2).last().unwrap()), &["You were let in."]);
}

#[test]
fn who_becomes_administrator_later_is_asked_as_well() {
    let mut world = World::new("promoted", r#"{"1": {"role": "admin"}, "9": {}}"#);
    world.person(LATE, "Zoe", "en");
    world.person(2, "Eve", "en");
    world.person(3, "Dan", "en");
    world.start();
    for (id, count) in [(2, 1), (3, 2)] {
        world.ask(id, "/start");
        world.hears(ADMIN, count, "the request");
    }
    world.quiet();
    has(&world.asked(LATE, "/start"), &["👋"]);
    world.quiet();
    assert_eq!(put(&world, LATE, 2), 0, "no administrator yet");
    world.scratch.write("users.json", r#"{"1": {"role": "admin"}, "9": {"role": "admin"}, "3": "by hand"}"#);
    let update = world.say(LATE, "/start");
    world.settled(update);
    assert_eq!((put(&world, LATE, 2), put(&world, LATE, 3)), (1, 0));
    let update = world.say(ADMIN, "/start");
    world.settled(update);
    assert_eq!((put(&world, ADMIN, 2), put(&world, ADMIN, 3)), (1, 1), "asked before");
    assert!(!world.log().contains("no administrator could be told"), "{}", world.log());
}

#[test]
fn a_code_that_others_can_read_is_good_for_nobody() {
    let mut world = World::new("code-in-a-group", r#"{"-1002": {}, "2": {}}"#);
    world.person(2, "Борис", "ru");
    world.group(-1001, "Ops");
    world.group(-1002, "Web");
    world.start();
    let code = until("the code", || codes(&world).pop());
    let answer = text_of(&world.ask_as(json!({"chat": -1001, "from": ADMIN, "text": "/start"})));
    has(&answer, &["Nobody looks after this bot yet", "privately", "and not here"]);
    // Whether it is right nobody learns there.
    for (chat, from, what) in [(-1001, ADMIN, "Not here, where"), (-1002, 2, "Не здесь, где")] {
        let answer = text_of(&world.ask_as(json!({"chat": chat, "from": from, "text": "/start WRONG234"})));
        has(&answer, &["❌", what]);
    }
    assert_eq!(codes(&world), std::slice::from_ref(&code));
    let update = world.say_as(json!({"chat": -1001, "from": ADMIN, "text": format!("/start {code}")}));
    world.settled(update);
    has(&text_of(world.said(-1001).last().unwrap()), &["❌ Not here, where others read it"]);
    let second = codes(&world).pop().unwrap();
    assert!(second != code && !world.users().to_string().contains("admin"), "{}", world.log());
    // Also one that is let in, and though it is handled again after a kill.
    world.cut_off(json!({"chat": -1002, "from": 2, "text": format!("/start {}", second.to_lowercase())}));
    has(&text_of(world.said(-1002).last().unwrap()), &["❌ Не здесь"]);
    let third = codes(&world).pop().unwrap();
    assert_eq!(codes(&world), [&code, &second, &third, &third].map(Clone::clone), "the last one is told at the start");
    for spoilt in [&code, &second] {
        has(&world.asked(ADMIN, &format!("/start {spoilt}")), &["Nobody looks after this bot yet"]);
    }
    has(&world.asked(ADMIN, &format!("/start {third}")), &["✅ You are this bot's administrator now."]);
    // From now on it is no code any more.
    let answer = world.ask_as(json!({"chat": -1002, "from": 2, "text": format!("/start {third}")}));
    has(&text_of(&answer), &["👋"]);
}

/// The commands that somebody sees beside the line where they type; nothing where it is those of everybody.
fn menu(world: &World, id: i64) -> String {
    let url = format!("{}/bot{TOKEN}/getMyCommands", world.sandbox.api);
    let scope = json!({"scope": {"type": "chat", "chat_id": id}});
    let answer: Value = ureq::post(url).send_json(scope).unwrap().body_mut().read_json().unwrap();
    answer["result"].as_array().unwrap().iter().map(|command| command["command"].as_str().unwrap()).collect()
}

#[test]
fn the_menu_of_administrators_comes_and_goes_with_the_role() {
    let mut world = World::new("menus", r#"{"1": {"role": "admin"}, "9": {"role": "admin"}, "2": {}, "7": {}}"#)
        .set("admins", json!([7]));
    for (id, name) in [(LATE, "Zoe"), (2, "Ann"), (7, "Root")] {
        world.person(id, name, "en");
    }
    world.start();
    until("the menus", || [ADMIN, LATE, 7].iter().all(|id| menu(&world, *id).contains("users")).then_some(()));
    world.ask(2, "/start");
    world.quiet();
    assert_eq!(menu(&world, 2), "");
    // Whoever is one by the configuration stays one.
    for id in [LATE, 7] {
        has(&world.asked(ADMIN, &format!("/remove {id}")), &["was removed"]);
    }
    until("the end of the menu", || menu(&world, LATE).is_empty().then_some(()));
    world.quiet();
    assert!(menu(&world, 7).contains("users"));
    // Promoted by hand while the bot runs.
    world.scratch.write("users.json", r#"{"1": {"role": "admin"}, "2": {"role": "admin"}}"#);
    has(&world.asked(2, "/start"), &["👋"]);
    until("the menu", || menu(&world, 2).contains("remove").then_some(()));
    let update = world.say_as(json!({"chat": ADMIN, "text": "/start"}));
    world.settled(update);
    assert_eq!(world.violations(), []);
}

#[test]
fn who_takes_the_last_administrator_out_by_hand_finds_a_code_in_the_log() {
    let mut world = World::new("no-admin-left", r#"{"1": {"role": "admin"}}"#);
    world.person(2, "Eve", "en");
    world.start();
    has(&world.asked(ADMIN, "/list"), &["You get"]);
    assert!(codes(&world).is_empty());
    std::fs::write(world.users_path(), "{\n}\n").unwrap();
    let told = until("the word of it", || {
        let told = world.asked(2, "/start");
        told.contains("its log holds").then_some(told)
    });
    has(&told, &["/start CODE"]);
    let code = until("a code", || codes(&world).pop());
    has(&world.asked(2, &format!("/start {code}")), &["You are this bot's administrator now"]);
    assert_eq!(world.users()["2"]["role"], "admin");
}
