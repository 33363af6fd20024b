//! A 429 is obeyed to the second, whatever was called.

use serde_json::{Value, json};

use crate::harness::until;
use crate::keyboards::stored;
use crate::standin::{Gate, Generation, Setup, Standin};
use crate::world::{ADMIN, World};

const USERS: &str = r#"{"1": {"role": "admin"}}"#;

/// The silence that is asked for, in seconds; a tool that does not listen comes again within five.
const SILENCE: u64 = 6;

/// The first calls of this method are refused.
fn flood(world: &World, method: &str, times: u64) {
    world.sandbox.rules(json!([{"match": {"method": method}, "times": times,
        "do": {"error": {"code": 429, "description": format!("Too Many Requests: retry after {SILENCE}"),
            "parameters": {"retry_after": SILENCE}}}}]));
}

/// Waits for the call after the refused ones: it must not have come too soon.
fn obeyed(world: &World, method: &str) {
    let moments = until(&format!("{method} once more"), || {
        let calls = world.sandbox.requests(method);
        let refused = calls.iter().rposition(|call| call["status"] == 429)?;
        let next = calls.get(refused + 1)?;
        let at = |call: &Value| call["t_ms"].as_u64().unwrap();
        Some((at(&calls[refused]), at(next)))
    });
    assert!(moments.1 - moments.0 >= SILENCE * 1000, "{method}: {moments:?}");
}

#[test]
fn the_first_calls_wait() {
    let mut world = World::new("flood-first", USERS);
    world.options = vec!["--delete-webhook".to_owned()];
    for method in ["getMe", "deleteWebhook", "getUpdates"] {
        flood(&world, method, 1);
        world.start();
        obeyed(&world, method);
        world.kill();
    }
    assert!(world.log().contains("cannot get updates: Too Many Requests: retry after 6; trying again in 6 s"));
}

/// Nobody misses a menu: whoever waits for an answer, or for an alert, is not to pay for it.
#[test]
fn a_menu_that_has_to_wait_keeps_no_message_from_anybody() {
    let mut world = World::new("flood-menu", r#"{"1": {"role": "admin"}, "5": {"role": "admin"}, "7": "mem"}"#);
    world.sandbox.rules(json!([{"match": {"method": "setMyCommands"}, "times": -1,
        "do": {"error": {"code": 429, "description": "Too Many Requests: retry after 1800",
            "parameters": {"retry_after": 1800}}}}]));
    world.person(5, "Eve", "en");
    world.person(7, "Ann", "en");
    world.start();
    until("a refusal", || (!world.sandbox.requests("setMyCommands").is_empty()).then_some(()));
    for chat in [ADMIN, 5, 7] {
        world.asked(chat, "/list");
    }
    world.asked(ADMIN, "/start");
    // They were on their way together; after that there is silence.
    let before = world.sandbox.requests("setMyCommands").len();
    world.asked(5, "/start");
    world.asked(7, "/list");
    assert_eq!(world.sandbox.requests("setMyCommands").len(), before);
}

#[test]
fn what_is_no_message_waits_for_its_silence() {
    let gate = Gate::new("/render/");
    gate.set_open(true);
    let dashboards = vec![stored("classic")];
    let standin = Standin::start(Setup { gate: Some(gate.clone()), ..Setup::new(Generation::V12, dashboards) });
    let mut world = World::new("flood-other", USERS).grafana(&standin);
    world.start();
    world.ask(ADMIN, "Web shop");
    let picture = world.ask(ADMIN, "Orders");
    world.quiet();

    gate.set_open(false);
    flood(&world, "sendChatAction", 1);
    let before = world.sandbox.requests("sendChatAction").len();
    world.press(ADMIN, &picture, "7d", ADMIN);
    until("the drawing", || (world.sandbox.requests("sendChatAction").len() > before).then_some(()));
    obeyed(&world, "sendChatAction");
    gate.set_open(true);
    world.quiet();

    flood(&world, "answerCallbackQuery", 1);
    world.press(ADMIN, &picture, "24h", ADMIN);
    until("the refusal", || {
        world.sandbox.requests("answerCallbackQuery").iter().any(|call| call["status"] == 429).then_some(())
    });
    // Nor does another press get its answer in that time.
    world.press(ADMIN, &picture, "6h", ADMIN);
    obeyed(&world, "answerCallbackQuery");
    world.quiet();
}
