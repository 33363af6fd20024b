//! No more threads to be had: nobody makes the bot take them all, and it does not live on deaf.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{say, until};
use crate::keyboards::stored;
use crate::standin::{Gate, Generation, Setup, Standin};
use crate::world::{ADMIN, World, confined, has, text_of};

/// A bot that may have so many threads; nothing where that cannot be tried.
fn with_threads(mut world: World, nth: u32, threads: u32) -> Option<World> {
    // The kernel counts the threads of a user, so each bot has a user of its own.
    let user = 60_000 + std::process::id() % 1000 * 4 + nth;
    let runs = confined("tg-bot", user, threads).arg("--version").output();
    if !runs.is_ok_and(|output| output.status.success()) {
        say("SKIPPED: few threads: not root, no prlimit(1) of util-linux, or the binary is not for others to run");
        return None;
    }
    for path in [world.scratch.path(""), world.users_path()] {
        std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    }
    world.confined = Some((user, threads));
    Some(world)
}

fn start_in_topic(chat: i64, topic: i64) -> Value {
    json!({"message": {"message_id": topic, "date": 1, "text": "/start", "message_thread_id": topic, "is_topic_message": true,
        "chat": {"id": chat, "type": "supergroup", "title": "Topics", "is_forum": true},
        "from": {"id": 66, "is_bot": false, "first_name": "Eve", "language_code": "en"}}})
}

#[test]
fn whoever_writes_in_a_hundred_topics_leaves_threads_for_the_others() {
    let gate = Gate::new("/api/");
    let standin = Standin::start(Setup { gate: Some(gate), ..Setup::new(Generation::V13, vec![stored("classic")]) });
    let users = r#"{"1": {"role": "admin", "match": ["mem"]}, "-1002": {}}"#;
    let world = World::new("topics-of-strangers", users).grafana(&standin);
    // Four quick ones, eight callers, thirty-two that wait for Grafana, and those that look up names.
    let Some(mut world) = with_threads(world, 0, 100) else { return };
    world.group(-1001, "Strangers");
    world.group(-1002, "Friends");
    // The sandbox keeps updates for bots that it knows.
    world.start();
    world.kill();
    for topic in 10..140 {
        world.update(start_in_topic(-1001, topic));
        // Grafana hangs, so each of these takes its thread for a while.
        world.update(start_in_topic(-1002, topic));
    }
    world.start();
    for n in 1..=3 {
        world.say(ADMIN, "/list");
        // Among them are the strangers' requests.
        let lists = || world.said(ADMIN).iter().filter(|said| text_of(said).contains("mem")).count();
        until("the list", || (lists() >= n).then_some(()));
    }
    assert!(!world.log().contains("cannot start a thread"), "{}", world.log());
}

#[test]
fn a_bot_that_cannot_listen_any_more_ends() {
    let world = World::new("deaf", r#"{"1": {"role": "admin", "match": ["mem"]}}"#);
    let Some(mut world) = with_threads(world, 1, 500) else { return };
    world.start();
    has(&world.asked(ADMIN, "/list"), &["mem"]);
    world.quiet();
    let pid = world.bot().child.id().to_string();
    let user = world.confined.unwrap().0;
    let mut limit = Command::new("prlimit");
    assert!(limit.args(["--pid", &pid, "--nproc=1"]).uid(user).gid(user).status().unwrap().success());
    // Nobody's business; but the next poll needs a thread that looks up a name.
    world.update(json!({"message": {"message_id": 7, "date": 1, "chat": {"id": 2, "type": "private"}}}));
    let status = world.bot().wait();
    assert_eq!(status.signal(), Some(6), "{status}: {}", world.log());
    world.start();
    has(&world.asked(ADMIN, "/list"), &["mem"]);
}
