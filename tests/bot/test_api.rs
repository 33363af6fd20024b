//! The conversation once more, with a server that nobody here wrote: npm's telegram-test-api. It answers polls at once,
//! gives each update once, and knows neither pictures nor menus.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::test_api::TestApi;
use crate::harness::*;
use crate::standin::{Generation, Setup, Standin, Stored};
use crate::world::has;

struct Talk {
    server: TestApi,
}

impl Talk {
    /// What the bot said to somebody; edits are in place.
    fn said(&self, person: &Value) -> Vec<Value> {
        let history = self.server.history().into_iter();
        history.filter(|told| told["message"]["chat_id"] == person["id"]).collect()
    }

    fn hears(&self, person: &Value, count: usize, after: &str) -> Value {
        until(&format!("message {count} to {person} after {after}"), || {
            let said = self.said(person);
            (said.len() >= count).then(|| said[count - 1].clone())
        })
    }

    fn ask(&self, person: &Value, text: &str, parts: &[&str]) -> Value {
        let before = self.said(person).len();
        self.server.say(person, text);
        let answer = self.hears(person, before + 1, text);
        has(text_of(&answer), parts);
        answer
    }
}

fn text_of(told: &Value) -> &str {
    told["message"]["text"].as_str().unwrap_or_default()
}

fn keys(told: &Value) -> String {
    told["message"]["reply_markup"]["keyboard"].to_string()
}

fn dashboards() -> Standin {
    let text = std::fs::read_to_string("tests/grafana/dashboards/classic.json").unwrap();
    let json = serde_json::from_str(&text).unwrap();
    Standin::start(Setup::new(Generation::V13, vec![Stored::from_json(&json, "", None)]))
}

/// A bot that asks this server, with this users file.
fn bot(scratch: &Scratch, server: &TestApi, standin: &Standin, users: &str) -> Process {
    scratch.write("users.json", users);
    let mut bot = command("tg-bot");
    bot.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &server.url);
    bot.env("GRAFANA_URL", &standin.url).env("GRAFANA_TOKEN", crate::world::GRAFANA_TOKEN);
    bot.arg("-v").arg("-u").arg(scratch.path("users.json")).arg("--state").arg(scratch.path("bot.db"));
    Process::start(scratch, "tg-bot", bot.args(["--limits", "0/0/0"]))
}

#[test]
fn the_conversation_with_telegram_test_api() {
    let scratch = Scratch::new("bot-test-api");
    let Some(server) = TestApi::start(&scratch) else { return };
    let standin = dashboards();
    let bot = bot(&scratch, &server, &standin, "{}");
    let line = bot.says("/start ");
    let code = line.split("\"/start ").nth(1).and_then(|rest| rest.split('"').next()).unwrap();

    // Each poll is answered at once: without pauses there would be thousands.
    let (start, before) = (Instant::now(), server.calls("getUpdates"));
    until("some seconds", || (start.elapsed() > Duration::from_secs(4)).then_some(()));
    let polls = server.calls("getUpdates") - before;
    let took = start.elapsed();
    assert!(polls as u64 <= 5 * took.as_secs(), "{polls} polls in {took:?}");

    let talk = Talk { server };
    let ada = json!({"id": 1, "is_bot": false, "first_name": "Ada", "language_code": "en"});
    let boris = json!({"id": 2, "is_bot": false, "first_name": "Борис", "language_code": "ru"});
    talk.ask(&boris, "/start", &["У этого бота ещё нет администратора"]);
    let greeting = talk.ask(&ada, &format!("/start {code}"), &["administrator now", "/regexp"]);
    has(&keys(&greeting), &["Web shop"]);
    talk.ask(&boris, "/start", &["Ваш запрос передан"]);
    let request = talk.hears(&ada, 2, "the request");
    has(text_of(&request), &["Борис", "wants to be let in"]);
    talk.server.press(&ada, &request, "✅ Approve");
    let welcome = talk.hears(&boris, 3, "the approval");
    has(text_of(&welcome), &["Вам открыт доступ", "/regexp"]);
    until("the decision in place of the request", || {
        text_of(&talk.said(&ada)[1]).contains("was let in by").then_some(())
    });

    let said = |text: &str, parts: &[&str]| talk.ask(&boris, text, parts);
    said("/regexp", &["Напишите выражение"]);
    said("/regexp mem|cpu", &["✅", "mem|cpu"]);
    said("/regexp (", &["❌"]);
    said("/subscribe severity=\"critical\"", &["✅", "severity=", "critical"]);
    said("/list", &["mem|cpu", "severity=", "critical"]);
    said("/unsubscribe severity=\"critical\"", &["Подписка отменена"]);
    let muted = || -> bool {
        let users: Value = serde_json::from_str(&scratch.read("users.json")).unwrap();
        users["2"]["muted_until"].is_string()
    };
    said("/mute", &["На сколько?"]);
    said("/mute 2h", &["🔇 До ", " оповещений не будет."]);
    assert!(muted());
    said("/unmute", &["🔔"]);
    assert!(!muted());
    said("/stop", &["больше не получаете"]);
    said("/help", &["Оповещения", "Дашборды"]);
    said("/users", &["только администраторы"]);
    said("/remove 1", &["только администраторы"]);
    talk.ask(&ada, "/regexp cpu", &["✅ You get alerts"]);
    talk.ask(&ada, "/users", &["Борис", "Ada"]);

    has(&keys(&said("/dashboards", &["1 дашборд"])), &["Web shop"]);
    has(&keys(&said("Web shop", &["<b>Web shop</b>"])), &["Orders", "назад"]);
    // The server has no sendPhoto: 500. Whoever waits for a picture is told, and the bot goes on.
    let waits = talk.said(&boris).len();
    talk.server.say(&boris, "Orders");
    let refused = talk.hears(&boris, waits + 1, "Orders");
    has(text_of(&refused), &["⚠️ Telegram не принимает картинку", "500"]);
    assert!(talk.server.calls("sendPhoto") > 0 && talk.server.calls("sendChatAction") > 0);
    has(&keys(&said("назад", &["1 дашборд"])), &["Web shop"]);
    said("no such thing", &["«no such thing»"]);
    talk.ask(&ada, "/remove 2", &["✅", "Борис"]);
    talk.server.say(&boris, "/list");
    talk.ask(&ada, "/list", &["cpu"]);
    assert_eq!(talk.server.unread(&boris).last().map(text_of), talk.said(&boris).last().map(text_of));
    assert!(
        !talk.said(&boris).last().is_some_and(|last| text_of(last).contains("Вы получаете")),
        "nothing after /remove"
    );
    assert!(talk.server.unread(&boris).is_empty(), "each is told once to the user who asks");

    let log = bot.log();
    assert!(log.contains("setMyCommands") || talk.server.calls("setMyCommands") > 0, "{log}");
    assert!(!log.lines().any(|line| line.contains("error:") && line.contains("setMyCommands")), "{log}");
    let users: Value = serde_json::from_str(&scratch.read("users.json")).unwrap();
    assert!(users.get("2").is_none() && users.get("1").is_some(), "{users}");
}

#[test]
fn a_request_is_turned_down_with_telegram_test_api() {
    let scratch = Scratch::new("bot-test-api-deny");
    let Some(server) = TestApi::start(&scratch) else { return };
    let standin = dashboards();
    let bot = bot(&scratch, &server, &standin, r#"{"1": {"role": "admin"}}"#);
    bot.says("answering as @");
    let talk = Talk { server };
    let ada = json!({"id": 1, "is_bot": false, "first_name": "Ada", "language_code": "en"});
    let eve = json!({"id": 3, "is_bot": false, "first_name": "Eve", "language_code": "en"});
    talk.ask(&eve, "/start", &["Your request was passed on"]);
    let request = talk.hears(&ada, 1, "the request");
    talk.server.press(&ada, &request, "❌ Deny");
    let denied = until("the decision in place of the request", || {
        talk.said(&ada).into_iter().next().filter(|message| text_of(message).contains("was turned down by"))
    });
    has(text_of(&denied), &["Eve", "Ada"]);
    // Whoever is turned down hears nothing, and neither do others.
    let before = talk.said(&eve).len();
    talk.server.say(&eve, "/list");
    talk.ask(&ada, "/users", &["1 chat"]);
    assert_eq!((talk.said(&eve).len(), talk.said(&ada).len()), (before, 2));
    talk.server.press(&ada, &denied, "✅ Let in after all");
    has(text_of(&talk.hears(&eve, before + 1, "the second thought")), &["You were let in"]);
    talk.ask(&eve, "/list", &["You get no alerts"]);
}

#[test]
fn folders_rows_and_pages_with_telegram_test_api() {
    let scratch = Scratch::new("bot-test-api-levels");
    let Some(server) = TestApi::start(&scratch) else { return };
    let standin = Standin::start(crate::levels::dashboards());
    let bot = bot(&scratch, &server, &standin, r#"{"1": {"role": "admin"}}"#);
    bot.says("answering as @");
    let talk = Talk { server };
    let ada = json!({"id": 1, "is_bot": false, "first_name": "Ada", "language_code": "en"});
    let mut shown = talk.ask(&ada, "/dashboards", &["19 dashboards", "page 1 of 2"]);
    for (key, parts) in [
        ("2/2 ▸", &["19 dashboards", "page 2 of 2"][..]),
        ("◂ 1/2", &["19 dashboards", "page 1 of 2"]),
        ("▸ Databases", &["📁 <b>Databases</b>", "page 1 of 2"]),
        ("2/2 ▸", &["📁 <b>Databases</b>", "page 2 of 2"]),
        ("go back", &["19 dashboards", "page 1 of 2"]),
        ("▸ Web", &["📁 <b>Web</b>"]),
        ("Shop", &["<b>Shop</b>: 19 panels", "page 1 of 2"]),
        ("▸ Traffic", &["▤ Traffic"]),
        ("go back", &["<b>Shop</b>: 19 panels", "page 1 of 2"]),
        ("2/2 ▸", &["<b>Shop</b>: 19 panels", "page 2 of 2"]),
        ("▸ Latency", &["▤ Latency", "page 1 of 2"]),
        ("2/2 ▸", &["▤ Latency", "page 2 of 2"]),
        ("go back", &["<b>Shop</b>: 19 panels", "page 2 of 2"]),
        ("go back", &["📁 <b>Web</b>"]),
        ("go back", &["19 dashboards", "page 1 of 2"]),
    ] {
        has(&keys(&shown), &[&json!(key).to_string()]);
        shown = talk.ask(&ada, key, parts);
    }
    let near = talk.ask(&ada, "Ofice", &["«Ofice»", "Did you mean"]);
    has(&keys(&near), &["Office 1", "Office 2", "go back"]);
}
