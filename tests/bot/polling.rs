//! Getting updates: when Telegram is slow, broken, in a hurry, or talks to somebody else.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Process, TOKEN, command, record, until};
use crate::world::{ADMIN, World, has, text_of};

const USERS: &str = r#"{"1": {"role": "admin", "match": ["mem"]}}"#;

#[test]
fn a_refused_token_ends_the_bot_for_good() {
    let mut world = World::new("token", USERS);
    world.sandbox.rules(json!([{"match": {"method": "getMe"}, "times": -1, "do": {"preset": "unauthorized"}}]));
    world.launch();
    assert_eq!(world.bot().wait().code(), Some(2));
    has(&world.log(), &["Telegram refuses the token: 401 Unauthorized", "hint:"]);
    assert!(!world.log().contains(TOKEN));
}

#[test]
fn also_while_it_runs() {
    let mut world = World::new("token-later", USERS);
    world.start();
    world.sandbox.rules(json!([{"match": {"method": "getUpdates"}, "times": -1, "do": {"preset": "unauthorized"}}]));
    world.say(ADMIN, "/list");
    assert_eq!(world.bot().wait().code(), Some(2));
    // What came before that waits for the next start.
    world.sandbox.clear_rules();
    world.start();
    world.hears(ADMIN, 1, "the new token");
}

#[test]
fn faults_of_all_kinds_lose_nothing_and_repeat_nothing() {
    let mut world = World::new("faults", USERS);
    world.start();
    let mut faults = 0;
    for fault in [
        json!({"html": 502}),
        json!({"rst": "after_headers"}),
        json!({"malformed": "json"}),
        json!({"malformed": "null_result"}),
        json!({"error": {"code": 500, "description": "Internal Server Error: restart"}}),
        json!({"flood": {"retry_after": 1, "scope": "all"}}),
        json!({"deliver_then": "truncate"}),
        json!({"update": "dup"}),
        json!({"update": "reorder"}),
        json!({"update": "unknown_type"}),
        json!({"update": "bad_json"}),
        json!({"update": "stale_date"}),
    ] {
        world.sandbox.rules(json!([{"match": {"method": "getUpdates"}, "times": 2, "do": fault.clone()}]));
        let before = world.said(ADMIN).len();
        let answer = world.asked(ADMIN, "/list");
        has(&answer, &["mem"]);
        has(&world.asked(ADMIN, "/help"), &["Alerts"]);
        world.quiet();
        assert_eq!(world.said(ADMIN).len(), before + 2, "{fault}: told twice");
        world.sandbox.clear_rules();
        faults += 1;
    }
    // Also not later, by an update that came again.
    has(&world.asked(ADMIN, "/help"), &["Alerts"]);
    world.quiet();
    assert_eq!(world.said(ADMIN).len(), 2 * faults + 1);
}

#[test]
fn a_server_that_answers_empty_polls_at_once_is_asked_in_peace() {
    let mut world = World::new("spin", USERS);
    let body = r#"{"ok":true,"result":[]}"#;
    world.sandbox.rules(json!([{"match": {"method": "getUpdates"}, "times": -1,
        "do": {"http": {"status": 200, "headers": {"Content-Type": "application/json"}, "body": body}}}]));
    world.start();
    let start = Instant::now();
    until("six polls", || (world.sandbox.requests("getUpdates").len() >= 6).then_some(()));
    assert!(start.elapsed() > Duration::from_secs(10), "six polls in {:?}", start.elapsed());
    world.sandbox.clear_rules();
    has(&world.asked(ADMIN, "/list"), &["mem"]);
}

#[test]
fn after_a_quiet_week_a_bot_that_runs_asks_for_any_number() {
    let mut world = World::new("quiet-week", USERS);
    world.start();
    has(&world.asked(ADMIN, "/list"), &["mem"]);
    world.end();
    let body = r#"{"ok":true,"result":[]}"#;
    world.sandbox.rules(json!([{"match": {"method": "getUpdates"}, "times": -1,
        "do": {"http": {"status": 200, "headers": {"Content-Type": "application/json"}, "body": body}}}]));
    let has_offset = |world: &World| {
        let polls = world.sandbox.requests("getUpdates");
        polls.last().map(|poll| poll["params"].get("offset").is_some())
    };
    world.start();
    until("a poll with an offset", || (has_offset(&world) == Some(true)).then_some(()));
    let db = rusqlite::Connection::open(world.scratch.path("bot.db")).unwrap();
    assert_eq!(db.execute("UPDATE meta SET value = 0 WHERE key = 'offset_at'", []).unwrap(), 1);
    until("a poll without", || (has_offset(&world) == Some(false)).then_some(()));
    world.sandbox.clear_rules();
    has(&world.asked(ADMIN, "/list"), &["mem"]);
}

#[test]
fn another_program_or_a_webhook_is_named_and_waited_for() {
    let mut world = World::new("conflict", USERS);
    world.sandbox.rules(json!([{"match": {"method": "getUpdates"}, "times": 1, "do": {"preset": "conflict_poll"}}]));
    world.start();
    world.bot().says("hint: another program asks for this bot's updates");
    has(&world.asked(ADMIN, "/list"), &["mem"]);
    world.end();

    let set = format!("{}/bot{TOKEN}/setWebhook", world.sandbox.api);
    ureq::post(set).send_json(json!({"url": "https://example.org/hook"})).unwrap();
    world.start();
    world.bot().says("--delete-webhook");
    world.end();
    world.options = vec!["--delete-webhook".to_owned()];
    world.start();
    has(&world.asked(ADMIN, "/list"), &["mem"]);
}

#[test]
fn the_manager_is_told_how_the_bot_stands() {
    let mut world = World::new("standing", USERS);
    let socket = world.scratch.path("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    world.manager = Some(socket);
    let told = |what: &str| {
        let mut all = Vec::new();
        loop {
            let mut buffer = [0; 1000];
            let length = manager.recv(&mut buffer).unwrap_or_else(|err| panic!("{what}: {err} after {all:?}"));
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(what) {
                return;
            }
            all.push(text);
        }
    };
    world.sandbox.rules(json!([{"match": {"method": "getMe"}, "times": -1, "do": {"html": 502}}]));
    world.launch();
    told("READY=1\nSTATUS=asking Telegram for its name");
    told("STATUS=Telegram is out of reach since ");
    world.sandbox.clear_rules();
    told("STATUS=answering as @");
    let always = |what: serde_json::Value| {
        world.sandbox.rules(json!([{"match": {"method": "getUpdates"}, "times": -1, "do": what}]));
        // The poll that waits comes back.
        world.say(ADMIN, "/list");
    };
    for (fault, status) in [
        (json!({"html": 502}), "STATUS=Telegram is out of reach since "),
        (json!({"preset": "conflict_poll"}), "STATUS=hears nobody: another program asks for this bot's updates"),
        (json!({"flood": {"retry_after": 2, "scope": "all"}}), "STATUS=silent: Telegram asked at "),
    ] {
        always(fault);
        told(status);
        world.sandbox.clear_rules();
        told("STATUS=answering as @");
    }
    always(json!({"preset": "unauthorized"}));
    told("STATUS=ended: Telegram refuses the token");
    assert_eq!(world.bot().wait().code(), Some(2));
}

#[test]
fn asked_to_end_it_ends_at_once_and_goes_on_where_it_was() {
    let mut world = World::new("terminate", USERS);
    world.start();
    for round in 0..5 {
        let update = world.say(ADMIN, "/list");
        if round % 2 == 0 {
            world.settled(update);
        }
        world.bot().terminate();
        assert_eq!(world.bot().wait().code(), Some(0));
        world.start();
        world.settled(update);
    }
    assert_eq!(world.said(ADMIN).len(), 5, "{:?}", world.said(ADMIN).iter().map(text_of).collect::<Vec<_>>());
}

#[test]
fn two_bots_with_one_memory_do_not_run() {
    let mut world = World::new("two", USERS);
    world.start();
    let mut command = crate::harness::command("tg-bot");
    command.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &world.sandbox.api);
    command.arg("-u").arg(world.users_path()).arg("--state").arg(world.scratch.path("bot.db"));
    let output = crate::harness::run(&mut command, b"");
    assert_eq!(output.code, Some(75), "{output:?}");
    has(&output.stderr, &["another tg-bot works with"]);
}

#[test]
fn telegrams_pace_is_kept_and_a_flood_is_waited_out() {
    let mut world = World::new("pace", USERS);
    world.sandbox.post("/limits", json!({"mode": "enforce"}));
    world.limits = "1/20/30";
    let people: Vec<i64> = (100..160).collect();
    let entries: Vec<String> = people.iter().map(|id| format!("\"{id}\": {{}}")).collect();
    world.scratch.write("users.json", &format!("{{\"1\": {{\"role\": \"admin\"}}, {}}}", entries.join(", ")));
    people.iter().for_each(|id| world.person(*id, "P", "en"));
    world.start();
    let mut last = 0;
    for id in &people {
        world.say(*id, "/list");
        last = world.say(*id, "/help");
    }
    for id in &people {
        world.hears(*id, 2, "two questions");
    }
    world.settled(last);
    assert_eq!(world.violations(), []);
    assert!(!world.log().contains("silence"), "no refused call: {}", world.log());

    world.sandbox.rules(
        json!([{"match": {"method": "sendMessage", "chat_id": 1}, "times": 1, "do": {"flood": {"retry_after": 2}}}]),
    );
    has(&world.asked(ADMIN, "/help"), &["Alerts"]);
    assert_eq!(world.violations(), []);
    has(&world.log(), &["Telegram asks for 2 s of silence in chat 1"]);
}

#[test]
fn alerts_and_answers_keep_one_pace() {
    let mut world = World::new("one-pace", r#"{"1": {"role": "admin"}, "2": {}, "-1001": {}}"#);
    world.sandbox.post("/limits", json!({"mode": "enforce"}));
    world.limits = "1/20/30";
    world.person(2, "Ann", "en");
    world.group(-1001, "Ops");
    world.start();
    // Alerts for the same chats at the same time, one by one: what waits together would be joined.
    let mut send = command("tg-send");
    send.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &world.sandbox.api);
    send.arg("--outbox").arg(world.scratch.path("outbox.db"));
    let mut send = Process::start(&world.scratch, "tg-send", send.stdin(Stdio::piped()).stdout(Stdio::null()));
    let mut records = send.child.stdin.take().unwrap();
    for n in 0..10 {
        for chat in [1, 2, -1001] {
            writeln!(records, "{}", record(chat, &format!("alert {n} of {chat}"))).unwrap();
            world.say_as(json!({"chat": chat, "from": 2, "text": if n % 2 == 0 { "/list" } else { "/help" }}));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    drop(records);
    assert_eq!(send.wait().code(), Some(0));
    for chat in [1, 2, -1001] {
        until(&format!("all of chat {chat}"), || {
            let texts: Vec<String> = world.said(chat).iter().map(text_of).collect();
            let alerts = (0..10).all(|n| texts.iter().any(|text| text.contains(&format!("alert {n} of {chat}"))));
            let answers = texts.iter().filter(|text| !text.contains("alert ")).count();
            (alerts && answers == 10).then_some(())
        });
    }
    assert_eq!(world.violations(), []);
    assert!(!world.log().contains("silence") && !send.log().contains("silence"), "no refused call");
}
