//! kill -9 between any two steps: no update is lost, and none has an effect twice.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::harness::until;
use crate::world::{ADMIN, World, has, text_of};

const PEOPLE: i64 = 25;
const ROUNDS: i64 = 12;

#[test]
fn killed_again_and_again_while_people_talk() {
    let mut world = World::new("killed", "{}");
    let people: Vec<i64> = (100..100 + PEOPLE).collect();
    let entries: Vec<String> = people.iter().map(|id| format!("\"{id}\": {{}}")).collect();
    world.scratch.write("users.json", &format!("{{\"1\": {{\"role\": \"admin\"}}, {}}}", entries.join(", ")));
    people.iter().for_each(|id| world.person(*id, "P", "en"));
    // Enough of a delay that kills meet calls under way, and polls.
    world.sandbox.rules(
        json!([{"match": {"method": "sendMessage"}, "times": -1, "prob": 0.5, "do": {"slow": {"first_byte_ms": 30}}}]),
    );
    let mut last = BTreeMap::new();
    for round in 0..ROUNDS {
        world.launch();
        for id in &people {
            last.insert(*id, world.say(*id, &format!("/subscribe round=\"{round}\"")));
        }
        // Each time a little later into its work.
        std::thread::sleep(Duration::from_millis(40 + 37 * u64::try_from(round).unwrap()));
        world.kill();
    }
    world.start();
    last.values().for_each(|update| world.settled(*update));
    let users = world.users();
    let (mut answers, mut twice) = (0, 0);
    for id in &people {
        let sets = users[id.to_string()]["labels"].as_array().unwrap_or_else(|| panic!("{users}"));
        let wanted: Vec<String> = (0..ROUNDS).map(|round| format!("round=\"{round}\"")).collect();
        assert_eq!(sets.iter().map(|set| set.as_str().unwrap()).collect::<Vec<_>>(), wanted, "chat {id}");
        let texts: Vec<String> = world.said(*id).iter().map(text_of).collect();
        for set in &wanted {
            let told = texts.iter().filter(|text| text.contains(&format!("with {set}."))).count();
            assert!((1..=2).contains(&told), "{set} was answered {told} times in chat {id}: {texts:?}");
            answers += told;
            twice += usize::from(told == 2);
        }
    }
    // Twice only what was under way when the process was killed: Telegram has no way to ask whether it arrived.
    assert!(twice <= 8 * usize::try_from(ROUNDS).unwrap(), "{twice} of {answers} answers came twice");
    println!("{ROUNDS} kills, {} commands: 0 lost, {twice} answers told twice", PEOPLE * ROUNDS);
}

#[test]
fn an_approval_that_is_cut_off_lets_in_once() {
    let mut world = World::new("killed-approval", r#"{"1": {"role": "admin"}}"#);
    for round in 0..6_i64 {
        let id = 200 + round;
        world.person(id, "N", "en");
        world.start();
        world.ask(id, "/start");
        let request = until("the request", || {
            world
                .said(ADMIN)
                .into_iter()
                .find(|message| text_of(message).ends_with(&format!("wants to be let in.\nid {id}")))
        });
        // What is cut off is the approval, not the request before it.
        world.quiet();
        let update = world.press(ADMIN, &request, "✅ Approve", ADMIN);
        std::thread::sleep(Duration::from_millis(u64::try_from(round).unwrap() * 4));
        world.kill();
        world.start();
        world.settled(update);
        assert!(world.users().get(id.to_string()).is_some());
        let welcomes = world.said(id).iter().filter(|message| text_of(message).contains("You were let in.")).count();
        assert!((1..=2).contains(&welcomes), "{welcomes}");
        let decided = world
            .said(ADMIN)
            .iter()
            .filter(|message| text_of(message).ends_with(&format!("was let in by Ada.\nid {id}")))
            .count();
        assert_eq!(decided, 1);
    }
}

#[test]
fn the_disk_takes_nothing_for_a_while() {
    let mut world = World::new("killed-disk", r#"{"1": {"role": "admin", "match": ["mem"]}}"#);
    world.start();
    has(&world.asked(ADMIN, "/help"), &["Alerts"]);
    // Another process holds the file longer than the bot waits for it.
    let db = rusqlite::Connection::open(world.scratch.path("bot.db")).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.say(ADMIN, "/list");
    world.bot().says("cannot write what came");
    db.execute_batch("ROLLBACK").unwrap();
    let answer = world.hears(ADMIN, 2, "the lock");
    assert!(text_of(&answer).contains("mem"));
}

#[test]
fn cut_off_after_the_users_file_is_the_same_as_never() {
    let sets: Vec<String> = (0..19).map(|n| format!("n=\\\"{n}\\\"")).collect();
    let sets = sets.iter().map(|set| format!("\"{set}\"")).collect::<Vec<_>>().join(", ");
    let users = format!("{{\"1\": {{\"role\": \"admin\", \"labels\": [{sets}]}}, \"5\": {{\"name\": \"Bea\"}}}}");
    let mut world = World::new("cut-off", &users);
    world.person(5, "Bea", "en");
    world.group(-1001, "Ops");
    world.start();
    let last = |world: &World, chat| text_of(world.said(chat).last().unwrap());

    world.cut_off(json!({"chat": ADMIN, "text": "/subscribe last=\"1\""}));
    has(&last(&world, ADMIN), &["✅", "last=\"1\""]);
    assert_eq!(world.users()["1"]["labels"].as_array().unwrap().len(), 20);
    let full = world.asked(ADMIN, "/subscribe more=\"1\"");
    assert!(!full.contains("✅"), "{full}");

    world.cut_off(json!({"chat": ADMIN, "text": "/unsubscribe last=1"}));
    has(&last(&world, ADMIN), &["✅ Not any more"]);
    has(&world.asked(ADMIN, "/unsubscribe last=1"), &["There is no subscription last=\"1\" here."]);

    world.cut_off(json!({"chat": ADMIN, "text": "/mute 2h"}));
    has(&last(&world, ADMIN), &["🔇 No alerts until "]);
    world.cut_off(json!({"chat": ADMIN, "text": "/stop"}));
    has(&last(&world, ADMIN), &["✅ You get no alerts any more.", "silence of /mute is over", "/subscribe n=\"18\""]);
    assert_eq!(world.users()["1"], json!({"role": "admin"}));
    has(&world.asked(ADMIN, "/mute 2h"), &["You get no alerts."]);

    world.sql("INSERT INTO places VALUES (5, 0, 9999999999999, '{}')");
    world.cut_off(json!({"chat": ADMIN, "text": "/remove 5"}));
    has(&last(&world, ADMIN), &["Bea"]);
    assert!(world.users().get("5").is_none());
    assert_eq!(world.count("SELECT count(*) FROM places WHERE chat = 5"), 0, "forgotten all the same");

    has(&text_of(&world.ask_as(json!({"chat": -1001, "from": 6, "text": "/start"}))), &["passed on"]);
    world.cut_off(json!({"chat": -1001, "from": ADMIN, "text": "/start"}));
    has(&last(&world, -1001), &["This group was let in"]);
    assert_eq!(world.count("SELECT count(*) FROM requests"), 0);
}

#[test]
fn a_pairing_that_is_cut_off_uses_up_the_code() {
    let mut world = World::new("cut-off-pairing", "{}");
    world.person(2, "Eve", "en");
    world.start();
    let log = until("the code", || Some(world.log()).filter(|log| log.contains("\"/start ")));
    let code = log.split("\"/start ").nth(1).unwrap().split('"').next().unwrap().to_owned();
    world.cut_off(json!({"chat": ADMIN, "text": format!("/start {code}")}));
    has(&text_of(world.said(ADMIN).last().unwrap()), &["You are this bot's administrator now."]);
    assert_eq!(world.count("SELECT count(*) FROM meta WHERE key = 'pairing'"), 0);
    // Nor does it come to life again when nobody is administrator any more, or the file is empty.
    for users in ["", r#"{"3": "cpu"}"#] {
        world.scratch.write("users.json", users);
        let update = world.say(2, &format!("/start {code}"));
        world.settled(update);
        assert!(!world.scratch.read("users.json").contains("admin"), "{users:?}");
    }
}
