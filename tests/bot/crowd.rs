//! Many people at once: nobody gets somebody else's picture, and nobody waits for somebody else's Grafana.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::json;

use crate::harness::until;
use crate::keyboards::{asked_for, stored};
use crate::standin::{Gate, Generation, Setup, Standin, Stored};
use crate::world::{ADMIN, World, has, text_of};

const PEOPLE: i64 = 200;

fn users(people: &[i64]) -> String {
    let entries: Vec<String> = people.iter().map(|id| format!("\"{id}\": {{}}")).collect();
    format!("{{\"1\": {{\"role\": \"admin\"}}, {}}}", entries.join(", "))
}

/// A dashboard of a person's own, with three panels.
fn own(id: i64) -> Stored {
    let panels: Vec<_> = (1..=3)
        .map(|n| json!({"id": id * 10 + n, "type": "timeseries", "title": format!("Panel {n}"), "gridPos": {"x": 0, "y": n, "w": 24, "h": 1}}))
        .collect();
    let json =
        json!({"uid": format!("board-{id}"), "title": format!("Board {id}"), "panels": panels, "schemaVersion": 39});
    Stored::from_json(&json, "", Some("All"))
}

#[test]
fn two_hundred_people_browse_two_hundred_dashboards() {
    let people: Vec<i64> = (1000..1000 + PEOPLE).collect();
    let standin = Standin::start(Setup::new(Generation::V13, people.iter().map(|id| own(*id)).collect()));
    let mut world = World::new("crowd", &users(&people)).grafana(&standin);
    people.iter().for_each(|id| world.person(*id, "P", if id % 2 == 0 { "en" } else { "ru" }));
    world.start();
    let start = Instant::now();
    // Everybody at each step before anybody at the next one.
    let mut counts: BTreeMap<i64, usize> = people.iter().map(|id| (*id, 0)).collect();
    let mut all = |text: &dyn Fn(i64) -> String| {
        for id in &people {
            counts.insert(*id, world.said(*id).len());
            world.say(*id, &text(*id));
        }
        for id in &people {
            world.hears(*id, counts[id] + 1, &text(*id));
        }
    };
    all(&|id| format!("Board {id}"));
    all(&|id| format!("Panel {}", 1 + id % 3));
    all(&|_| "go back".to_owned());
    all(&|id| format!("/board-{id}"));
    all(&|id| format!("Panel {}", 1 + (id + 1) % 3));
    for id in &people {
        let said = world.said(*id);
        let pictures: Vec<String> = said
            .iter()
            .filter(|message| message.get("photo").is_some())
            .map(|message| asked_for(&world, message))
            .collect();
        assert_eq!(pictures.len(), 2, "{:?}", said.iter().map(text_of).collect::<Vec<_>>());
        for (n, url) in [1 + id % 3, 1 + (id + 1) % 3].iter().zip(&pictures) {
            has(url, &[&format!("/d-solo/board-{id}/"), &format!("panelId={}", id * 10 + n)]);
        }
        has(&text_of(&said[0]), &[&format!("Board {id}")]);
    }
    let lists = standin.seen().iter().filter(|seen| seen.path() == "/api/search").count();
    assert!(lists < 20, "a list for many: {lists}");
    assert_eq!(world.violations(), []);
    println!(
        "{PEOPLE} people, {} pictures, {lists} listings in {:?}; {} KiB",
        PEOPLE * 2,
        start.elapsed(),
        world.bot().rss()
    );
}

#[test]
fn a_slow_grafana_blocks_nobody() {
    let people: Vec<i64> = (1000..1030).collect();
    let gate = Gate::new("/render/");
    let dashboards = people.iter().map(|id| own(*id)).chain([stored("classic")]).collect();
    let standin = Standin::start(Setup { gate: Some(gate.clone()), ..Setup::new(Generation::V13, dashboards) });
    let mut world = World::new("slow", &users(&people)).grafana(&standin);
    people.iter().for_each(|id| world.person(*id, "P", "en"));
    world.start();
    for id in &people {
        world.ask(*id, &format!("Board {id}"));
    }
    // Twenty wait for their picture...
    for id in &people[..20] {
        world.say(*id, "Panel 1");
    }
    // ... ten of them and more at the same time: nothing is answered while the gate is closed.
    until("pictures that are being drawn at once", || {
        let mut held = gate.held();
        held.sort();
        held.dedup();
        (held.len() >= 10).then_some(())
    });
    let chats = |calls: Vec<serde_json::Value>| -> BTreeSet<String> {
        calls.iter().map(|call| call["params"]["chat_id"].to_string()).collect()
    };
    until("all who see that", || (chats(world.sandbox.requests("sendChatAction")).len() >= 10).then_some(()));
    // All of them, and others, are answered meanwhile.
    for id in [people[0], people[5], people[25]] {
        has(&world.asked(id, "/list"), &["You get no alerts."]);
        has(&world.asked(id, "web shop"), &["📊 Web shop"]);
    }
    assert!(people.iter().all(|id| world.said(*id).iter().all(|message| message.get("photo").is_none())));
    // Killed while it draws, it draws again.
    world.kill();
    world.start();
    gate.set_open(true);
    for id in &people[..20] {
        let picture = until(&format!("the picture of {id}"), || {
            world.said(*id).into_iter().find(|message| message.get("photo").is_some())
        });
        has(&asked_for(&world, &picture), &[&format!("board-{id}"), &format!("panelId={}", id * 10 + 1)]);
    }
    for id in &people[..20] {
        assert_eq!(world.said(*id).iter().filter(|message| message.get("photo").is_some()).count(), 1);
    }
}

#[test]
fn a_grafana_that_hangs_altogether_blocks_no_command() {
    let people: Vec<i64> = (1000..1100).collect();
    let gate = Gate::new("/api/");
    let standin =
        Standin::start(Setup { gate: Some(gate.clone()), ..Setup::new(Generation::V13, vec![stored("classic")]) });
    let mut world = World::new("hangs", &users(&people)).grafana(&standin);
    people.iter().for_each(|id| world.person(*id, "P", "en"));
    world.start();
    for id in &people {
        world.say(*id, "/start");
    }
    has(&world.asked(people[7], "/regexp mem"), &["✅"]);
    world.person(2, "New", "en");
    gate.set_open(true);
    for id in &people {
        until(&format!("the greeting of {id}"), || {
            world.said(*id).iter().any(|message| text_of(message).contains("👋")).then_some(())
        });
    }
    assert_eq!(
        standin.seen().iter().filter(|seen| seen.path() == "/api/search").count(),
        1,
        "one call for a hundred people"
    );
}

#[test]
fn presses_that_are_left_out_are_answered_too() {
    let gate = Gate::new("/api/");
    let standin =
        Standin::start(Setup { gate: Some(gate.clone()), ..Setup::new(Generation::V13, vec![stored("classic")]) });
    let mut world = World::new("left-out", &users(&[2])).grafana(&standin);
    world.start();
    world.say(ADMIN, "/start");
    // One is being handled, thirty wait.
    (0..45).for_each(|n| _ = world.forge(ADMIN, n, "p:1:u", ADMIN));
    until("answers", || (world.sandbox.requests("answerCallbackQuery").len() >= 14).then_some(()));
    assert!(world.said(ADMIN).is_empty(), "the others wait: {:?}", world.said(ADMIN));
    gate.set_open(true);
    until("all answers", || (world.sandbox.requests("answerCallbackQuery").len() == 45).then_some(()));
}
