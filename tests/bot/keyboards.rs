//! Dashboards, panels, pictures: tapped and typed, in order and out of it.

use serde_json::{Value, json};

use crate::harness::until;
use crate::standin::{Fault, Gate, Generation, Setup, Standin, Stored, drawing};
use crate::world::{ADMIN, World, has, text_of};

const USERS: &str = r#"{"1": {"role": "admin"}, "2": {}, "-1001": {}}"#;

pub fn stored(name: &str) -> Stored {
    let path = format!("tests/grafana/dashboards/{name}.json");
    let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Stored::from_json(&json, name, Some("Files"))
}

fn setup() -> Setup {
    let mut shop = stored("classic");
    let option = |value: &str| json!({"text": value.to_uppercase(), "value": value, "selected": value == "eu"});
    shop.content["templating"]["list"][1] = json!({"name": "shop", "label": "Shop", "type": "custom", "query": "eu,us,asia",
        "options": [option("eu"), option("us"), option("asia")], "current": {"text": "EU", "value": "eu"}});
    Setup::new(Generation::V12, vec![shop, stored("old-rows"), stored("tabs")])
}

/// What was asked of Grafana for the picture of a message.
pub fn asked_for(world: &World, message: &Value) -> String {
    let sizes = message["photo"].as_array().unwrap_or_else(|| panic!("no picture in {message}"));
    let bytes = world.sandbox.bytes(sizes.last().unwrap()["file_id"].as_str().unwrap());
    drawing::request_in(&bytes).unwrap()
}

/// The texts of the buttons under a message.
pub fn buttons(message: &Value) -> Vec<String> {
    let rows = message["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default();
    let texts =
        rows.iter().flat_map(|row| row.as_array().unwrap()).map(|button| button["text"].as_str().unwrap().to_owned());
    texts.collect()
}

/// The message as it is now.
pub fn again(world: &World, chat: i64, message: &Value) -> Value {
    world.said(chat).into_iter().find(|other| other["message_id"] == message["message_id"]).unwrap()
}

pub fn flat(keys: Vec<Vec<String>>) -> Vec<String> {
    keys.into_iter().flatten().collect()
}

#[test]
fn from_the_greeting_to_a_picture_and_back() {
    let standin = Standin::start(setup());
    let mut world = World::new("walk", USERS).grafana(&standin);
    world.start();
    has(&world.asked(ADMIN, "/start"), &["pictures of Grafana's panels"]);
    assert_eq!(flat(world.keys(ADMIN)), ["Web shop", "Mail", "City network"]);
    has(&text_of(&world.tap(ADMIN, "Web shop")), &["📊 Web shop"]);
    let panels = flat(world.keys(ADMIN));
    for key in ["Orders", "Revenue 💶", "go back"] {
        assert!(panels.contains(&key.to_owned()), "{panels:?}");
    }
    let picture = world.tap(ADMIN, "Orders");
    let url = asked_for(&world, &picture);
    has(&url, &["/d-solo/web-shop/", "panelId=3"]);
    has(&text_of(&picture), &["Orders", "Web shop"]);
    let under = buttons(&picture);
    for button in ["1h", "6h", "24h", "7d", "↻"] {
        assert!(under.iter().any(|text| text.contains(button)), "{button} in {under:?}");
    }
    assert!(world.sandbox.requests("sendChatAction").iter().any(|call| call["params"]["action"] == "upload_photo"));

    // Another range: the same message, another picture.
    let update = world.press(ADMIN, &picture, "24h", ADMIN);
    world.settled(update);
    let changed = again(&world, ADMIN, &picture);
    has(&asked_for(&world, &changed), &["panelId=3", "from=now-24h", "to=now"]);
    has(&text_of(&changed), &["24"]);
    assert!(
        buttons(&changed).iter().any(|text| text.contains("24h") && text != "24h"),
        "marked: {:?}",
        buttons(&changed)
    );
    let update = world.press(ADMIN, &changed, "↻", ADMIN);
    world.settled(update);
    has(&asked_for(&world, &again(&world, ADMIN, &picture)), &["from=now-24h"]);

    // A variable with few values.
    let value = buttons(&changed).into_iter().find(|text| text.contains("US"));
    let value = value.unwrap_or_else(|| panic!("{:?}", buttons(&changed)));
    let update = world.press(ADMIN, &changed, &value, ADMIN);
    world.settled(update);
    let chosen = again(&world, ADMIN, &picture);
    has(&asked_for(&world, &chosen), &["var-shop=us", "from=now-24h"]);
    has(&text_of(&chosen), &["US"]);

    has(&text_of(&world.tap(ADMIN, "go back")), &["3 dashboards"]);
    assert_eq!(flat(world.keys(ADMIN)), ["Web shop", "Mail", "City network"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn typed_as_people_type() {
    let standin = Standin::start(setup());
    let mut world = World::new("typed", USERS).grafana(&standin);
    world.person(2, "Боря", "ru");
    world.start();
    // The slug behind a slash, as the keys of the Python original had it; a part of the name; the id.
    for text in ["/web-shop", "web-shop", "Web shop", "WEB SH", "/Web shop"] {
        has(&world.asked(ADMIN, text), &["📊 Web shop"]);
        has(&world.asked(ADMIN, "Go back"), &["3 dashboards"]);
    }
    has(&world.asked(ADMIN, "City net"), &["City network"]);
    // A panel while a dashboard is open, and another dashboard straight away.
    has(&world.asked(ADMIN, "mail"), &["Mail"]);
    has(&world.asked(ADMIN, "web shop"), &["Web shop"]);
    has(&asked_for(&world, &world.ask(ADMIN, "revenue")), &["panelId=2"]);
    // Wrong names.
    has(&world.asked(ADMIN, "Ordres"), &["«Ordres»", "Did you mean"]);
    assert!(flat(world.keys(ADMIN)).contains(&"Orders".to_owned()));
    has(&asked_for(&world, &world.tap(ADMIN, "Orders")), &["panelId=3"]);
    has(&world.asked(ADMIN, "<i>nothing</i> &amp;"), &["«<i>nothing</i> &amp;»"]);
    // A slash is a dashboard's, or a part of its name; else it is a command that was mistyped.
    has(&world.asked(ADMIN, "/nosuchcommand"), &["«nosuchcommand». All dashboards: /dashboards; commands: /help"]);
    for (text, said) in [
        ("/regex cpu", "There is no command /regex. Did you mean /regexp? All of them: /help"),
        ("/STPO", "There is no command /STPO. Did you mean /stop? All of them: /help"),
    ] {
        let keys = world.keys(ADMIN);
        assert_eq!((world.asked(ADMIN, text).as_str(), world.keys(ADMIN)), (said, keys), "{text}");
    }
    has(&world.asked(ADMIN, "/shop"), &["📊 Web shop"]);
    let said = world.asked(ADMIN, "Stop");
    assert!(!said.contains("Did you mean") && said.contains("/help"), "{said}");

    has(&world.asked(2, "/start"), &["картинки панелей Grafana"]);
    has(&text_of(&world.tap(2, "Mail")), &["📊 Mail"]);
    assert!(flat(world.keys(2)).contains(&"назад".to_owned()), "{:?}", world.keys(2));
    has(&world.asked(2, "go back"), &["3 дашборда"]);
    has(&world.asked(2, "zzzzzz"), &["Ни дашборда, ни панели «zzzzzz» нет. Все дашборды: /dashboards, команды: /help"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn where_somebody_is_survives_a_kill() {
    let standin = Standin::start(setup());
    let mut world = World::new("survives", USERS).grafana(&standin);
    world.start();
    world.ask(ADMIN, "Web shop");
    world.end();
    world.start();
    let picture = world.tap(ADMIN, "Orders");
    has(&asked_for(&world, &picture), &["web-shop", "panelId=3"]);
    world.end();
    world.start();
    let update = world.press(ADMIN, &picture, "7d", ADMIN);
    world.settled(update);
    has(&asked_for(&world, &again(&world, ADMIN, &picture)), &["from=now-7d"]);
}

#[test]
fn in_a_group_only_who_answers_the_bot_is_meant() {
    let standin = Standin::start(setup());
    let mut world = World::new("group-keys", USERS).grafana(&standin);
    world.group(-1001, "Ops");
    world.start();
    let group = |text: &str| json!({"chat": -1001, "from": 5, "text": text});
    world.ask_as(group("/dashboards"));
    world.ignored(group("Web shop is slow today"));
    world.ignored(group("Web shop"));
    has(&text_of(&world.tap(-1001, "Web shop")), &["📊 Web shop"]);
    has(&asked_for(&world, &world.tap(-1001, "Orders")), &["panelId=3"]);
    // A topic has a place of its own: what is opened there leaves this one where it is, and the other way round.
    let topic = |text: &str| json!({"chat": -1001, "from": 5, "thread": 7, "text": text});
    has(&text_of(&world.ask_as(topic("/mail"))), &["📊 Mail"]);
    has(&asked_for(&world, &world.ask_as(group("/orders"))), &["/d-solo/web-shop/", "panelId=3"]);
    has(&asked_for(&world, &world.ask_as(topic("/deferred"))), &["/d-solo/old-rows/", "panelId=2"]);
    world.ignored(topic("/orders"));
}

#[test]
fn pictures_of_others_are_not_theirs_to_press() {
    let standin = Standin::start(setup());
    let mut world = World::new("forged", USERS).grafana(&standin);
    world.person(2, "Ann", "en");
    world.person(4, "Mallory", "en");
    world.start();
    world.ask(ADMIN, "Web shop");
    let picture = world.ask(ADMIN, "Orders");
    let drawn = standin.pictures().len();
    // Ann is let in, but the picture is in another chat; Mallory is a stranger.
    for (who, data) in [
        (2, "p:1:u"),
        (2, "p:1:r:24h"),
        (4, "p:1:u"),
        (2, "p:99:u"),
        (2, "p:1:v:ffffffffffff"),
        (2, "p:-1:u"),
        (2, "p:1:r:99y"),
    ] {
        let update = world.forge(who, picture["message_id"].as_i64().unwrap(), data, who);
        world.settled(update);
    }
    assert_eq!(standin.pictures().len(), drawn);
    assert_eq!((world.said(2).len(), world.said(4).len()), (0, 0));
    world.ignored(json!({"chat": 4, "text": "/web-shop"}));
}

#[test]
fn grafana_that_fails_is_named_and_the_rest_goes_on() {
    let standin = Standin::start(Setup { fault: Some(Fault::NoRenderer), ..setup() });
    let mut world = World::new("no-renderer", USERS).grafana(&standin);
    world.person(2, "Боря", "ru");
    world.start();
    world.ask(ADMIN, "Web shop");
    let said = world.asked(ADMIN, "Orders");
    has(&said, &["⚠️ No picture of Orders: Grafana cannot draw pictures: it has no image renderer."]);
    assert!(!said.contains("glsa_") && !world.log().contains("glsa_"));
    world.end();

    let mut world = world.set("grafana_url", json!("http://127.0.0.1:9"));
    world.start();
    has(&world.asked(ADMIN, "/start"), &["👋"]);
    has(&world.asked(ADMIN, "/dashboards"), &["⚠️ Grafana is not reachable now; the bot's log says why."]);
    has(&world.asked(ADMIN, "Web shop"), &["⚠️ Grafana is not reachable now; the bot's log says why."]);
    has(&world.asked(ADMIN, "/regex mem"), &["Did you mean /regexp?"]);
    has(&world.asked(2, "/dashboards"), &["⚠️ Grafana сейчас недоступна; причина – в журнале бота."]);
    assert!(!world.said(2).iter().any(|message| text_of(message).contains("127.0.0.1")));
    has(&world.log(), &["cannot reach http://127.0.0.1:9"]);
    has(&world.asked(ADMIN, "/regexp mem"), &["✅"]);
    world.end();

    let mut world = world.set("grafana_url", json!("None"));
    world.start();
    has(&world.asked(ADMIN, "Web shop"), &["No Grafana is configured"]);
    has(&world.asked(ADMIN, "/list"), &["mem"]);
}

#[test]
fn telegram_that_takes_no_picture_is_told_in_words() {
    let gate = Gate::new("/render/");
    gate.set_open(true);
    let standin = Standin::start(Setup { gate: Some(gate.clone()), ..setup() });
    let mut world = World::new("no-photo", USERS).grafana(&standin);
    world.sandbox.rules(json!([{"match": {"method": "sendPhoto"}, "times": -1,
        "do": {"error": {"code": 400, "description": "Bad Request: IMAGE_PROCESS_FAILED"}}}]));
    world.start();
    world.ask(ADMIN, "Web shop");
    has(&world.asked(ADMIN, "Orders"), &["⚠️ Telegram does not take the picture", "IMAGE_PROCESS_FAILED"]);
    world.sandbox.clear_rules();
    let picture = world.ask(ADMIN, "Orders");
    // The message of a picture can be deleted while another is drawn: then that comes as a new one.
    gate.set_open(false);
    let delete = format!("{}/bot{}/deleteMessage", world.sandbox.api, crate::harness::TOKEN);
    let id = &picture["message_id"];
    let update = world.press(ADMIN, &picture, "1h", ADMIN);
    let _ = ureq::post(delete).send_json(json!({"chat_id": ADMIN, "message_id": id}));
    gate.set_open(true);
    world.settled(update);
    let newest =
        until("a picture", || world.said(ADMIN).into_iter().rev().find(|message| message.get("photo").is_some()));
    has(&asked_for(&world, &newest), &["from=now-1h"]);
}

#[test]
fn keys_that_are_opened_leave_a_picture_being_drawn_alone() {
    let mut shop = stored("classic");
    let variable = |name: &str, values: [&str; 5]| {
        let options: Vec<Value> = values.iter().map(|value| json!({"text": value, "value": value})).collect();
        json!({"name": name, "label": name, "type": "custom", "query": values.join(","), "options": options,
            "current": {"text": values[0], "value": values[0]}})
    };
    shop.content["templating"]["list"] =
        json!([variable("shop", ["eu", "us", "asia", "mars", "moon"]), variable("desk", ["a", "b", "c", "d", "e"])]);
    let gate = Gate::new("/render/");
    gate.set_open(true);
    let standin =
        Standin::start(Setup { gate: Some(gate.clone()), ..Setup::new(Generation::V12, vec![shop, stored("tabs")]) });
    let mut world = World::new("opened", USERS).grafana(&standin);
    world.start();
    world.ask(ADMIN, "Web shop");
    let picture = world.ask(ADMIN, "Orders");
    world.quiet();
    gate.set_open(false);
    let shown = world.sandbox.requests("sendChatAction").len();
    world.press(ADMIN, &picture, "7d", ADMIN);
    until("the drawing", || (world.sandbox.requests("sendChatAction").len() > shown).then_some(()));
    world.press(ADMIN, &picture, "shop: eu ▾", ADMIN);
    let opened = until("the values", || {
        Some(again(&world, ADMIN, &picture)).filter(|message| buttons(message).contains(&"◂ back".to_owned()))
    });
    assert!(!asked_for(&world, &opened).contains("now-7d"), "the gate holds it");
    gate.set_open(true);
    let drawn = until("the picture of seven days", || {
        Some(again(&world, ADMIN, &picture)).filter(|message| asked_for(&world, message).contains("from=now-7d"))
    });
    assert_eq!(buttons(&drawn), buttons(&opened), "still open");
    let update = world.press(ADMIN, &drawn, "moon", ADMIN);
    world.settled(update);
    has(&asked_for(&world, &again(&world, ADMIN, &picture)), &["from=now-7d", "var-shop=moon"]);
    assert_eq!(world.violations(), []);
}

#[test]
fn what_comes_in_place_of_a_picture_comes_to_its_topic() {
    let standin = Standin::start(setup());
    let mut world = World::new("topic", USERS).grafana(&standin);
    world.group(-1001, "Ops");
    world.start();
    let topic = |text: &str| json!({"chat": -1001, "from": 5, "thread": 7, "text": text});
    world.ask_as(topic("/web-shop"));
    let picture = world.ask_as(topic("/orders"));
    has(&asked_for(&world, &picture), &["panelId=3"]);
    for (description, button) in [("IMAGE_PROCESS_FAILED", "↻"), ("message to edit not found", "24h")] {
        world.sandbox.rules(json!([{"match": {"method": "editMessageMedia"}, "times": 1,
            "do": {"error": {"code": 400, "description": format!("Bad Request: {description}")}}}]));
        let before = world.said(-1001).len();
        world.press(-1001, &picture, button, 5);
        let instead = world.hears(-1001, before + 1, button);
        assert_eq!(instead["message_thread_id"], 7, "{instead}");
        assert_eq!(instead.get("photo").is_some(), button == "24h", "{instead}");
    }
}

#[test]
fn commands_of_other_bots_are_theirs() {
    let standin = Standin::start(setup());
    let mut world = World::new("theirs", r#"{"1": {"role": "admin"}, "-1001": {}, "-1003": {}}"#).grafana(&standin);
    world.group(-1001, "Ops");
    world.sandbox.post("/chat", json!({"id": -1003, "type": "channel", "title": "News", "bot": "administrator"}));
    world.start();
    let me = world.log().split("answering as @").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let group = |text: &str| json!({"chat": -1001, "from": 5, "text": text});
    let channel = |text: &str| json!({"chat": -1003, "sender_chat": -1003, "text": text});
    for text in ["/weather", "/weather tomorrow", "/web", "/orders", "/back"] {
        world.ignored(group(text));
        world.ignored(channel(text));
    }
    // With the bot's name, or with a dashboard's whole name, or with that of one of its panels.
    has(&text_of(&world.ask_as(group(&format!("/weather@{me}")))), &["«weather». All dashboards: /dashboards"]);
    for said in [group, channel] {
        has(&text_of(&world.ask_as(said("/web-shop"))), &["📊 Web shop"]);
        has(&text_of(&world.ask_as(said("/WEB shop"))), &["📊 Web shop"]);
        has(&asked_for(&world, &world.ask_as(said("/orders"))), &["panelId=3"]);
        world.ignored(said("/order"));
    }
}

#[test]
fn keys_only_where_one_person_gets_them() {
    let standin = Standin::start(setup());
    let mut world = World::new("who-gets-keys", r#"{"1": {"role": "admin"}, "-1003": {}}"#).grafana(&standin);
    world.person(5, "Fay", "en");
    world.group(-1002, "Ops");
    world.sandbox.post("/chat", json!({"id": -1003, "type": "channel", "title": "News", "bot": "administrator"}));
    world.start();
    has(&text_of(&world.ask_as(json!({"chat": -1003, "sender_chat": -1003, "text": "/start"}))), &["👋"]);
    assert!(world.keys(-1003).is_empty());

    let start = json!({"chat": -1002, "from": 5, "text": "/start"});
    has(&text_of(&world.ask_as(start.clone())), &["passed on"]);
    let request = world.hears(ADMIN, 1, "the request");
    world.press(ADMIN, &request, "✅ Approve", ADMIN);
    has(&text_of(&world.hears(-1002, 2, "the approval")), &["This group was let in"]);
    assert!(world.keys(-1002).is_empty(), "nobody asked for them");
    has(&text_of(&world.ask_as(start)), &["👋"]);
    assert_eq!(flat(world.keys(-1002)), ["Web shop", "Mail", "City network"]);
}
