//! Every command, in both languages, without Grafana.

use serde_json::json;

use crate::harness::{alert, command, run, until, webhook};
use crate::world::{ADMIN, World, has, text_of};

fn world(name: &str) -> World {
    World::new(name, r#"{"1": {"role": "admin", "name": "Ada"}, "2": "", "3": {}, "-1001": {}}"#)
}

#[test]
fn a_conversation_in_english() {
    let mut world = world("english");
    world.person(2, "Ann", "en-GB");
    world.start();
    let said = |text: &str, parts: &[&str]| has(&world.asked(2, text), parts);
    said("/start", &["👋 I bring you the alerts of Prometheus.", "/regexp mem|cpu", "/list"]);
    assert_eq!(world.keys(2), Vec::<Vec<String>>::new());
    said("/help", &["/subscribe severity=\"critical\"", "/stop"]);
    said("/regexp", &["Write the expression after the command", "/regexp ^Host"]);
    said("/list", &["You get alerts\n• all of them"]);
    said("/regexp mem | cpu", &["✅ You get alerts in whose name mem | cpu is found."]);
    assert_eq!(world.users()["2"], "mem | cpu");
    said("/regexp *", &["✅ You get every alert."]);
    said(
        "/regexp ^Host(Out|",
        &["❌ That is no regular expression: ( is not closed\n^Host(Out|\n     ^\nNothing was changed."],
    );
    let advice = "/regexp off, then /subscribe alertname!~\"Test.*\"";
    said("/regexp mem(?=x)", &["❌ I cannot use (?!…), (?=…), (?<=…) here", "linear", "mem(?=x)\n   ^", advice]);
    said(r"/regexp (a)\1", &["❌ I cannot use backreferences", "linear", "(a)\\1\n   ^"]);
    assert_eq!(world.users()["2"], "*");
    said("/subscribe", &["as in Alertmanager"]);
    said(
        "/subscribe team=~\"db|web\", severity=critical",
        &[
            "✅ You get alerts with severity=\"critical\", team=~\"db|web\".\n⚠️ You still get every alert, by /regexp *. Only these: /regexp off",
        ],
    );
    said("/subscribe team=\"<b>&\"", &["team=\"<b>&\""]);
    said("/subscribe team", &["❌ I cannot read these labels: after team one of =, !=, =~, !~ is expected\nteam\n"]);
    said("/subscribe team=~\"db(?=x)\"", &["❌ I cannot use (?!…)", "\nteam=~\"db(?=x)\"\n         ^", advice]);
    assert_eq!(
        world.users()["2"],
        json!({"match": ["*"], "labels": ["severity=\"critical\", team=~\"db|web\"", "team=\"<b>&\""]})
    );
    said(
        "/list",
        &[
            "You get alerts\n• all of them (the labels below change nothing)\n• with severity=\"critical\", team=~\"db|web\"\n• with team=\"<b>&\"",
        ],
    );
    said("/unsubscribe x=\"y\"", &["There is no subscription x=\"y\" here."]);
    said("/unsubscribe severity=\"critical\",team=~\"db|web\"", &["✅ Not any more"]);
    assert_eq!(world.users()["2"]["labels"], json!(["team=\"<b>&\""]));
    said("/unsubscribe", &["✅ No alerts by labels any more."]);
    assert_eq!(world.users()["2"], "*");
    said("/stop", &["✅ You get no alerts any more.\nTo have them back:\n/regexp *"]);
    said("/list", &["You get no alerts."]);
    assert_eq!(world.asked(2, "/stop"), "✅ You get no alerts any more.");
    assert!(world.users()["2"].is_object(), "still let in: {}", world.users());
    said("/dashboards", &["No Grafana is configured"]);
    said("what?", &["No Grafana is configured", "/help"]);
    said("/users", &["for administrators"]);
    said("/remove 3", &["for administrators"]);
    assert!(!world.asked(2, "/users").contains("anonymously"));
    said("/regex cpu", &["There is no command /regex. Did you mean /regexp? All of them: /help"]);
    said("/weather", &["There is no command /weather. All of them: /help"]);
    assert_eq!(world.violations(), []);
    assert!(!world.log().contains("s3cret"), "{}", world.log());
}

#[test]
fn a_conversation_in_russian() {
    let mut world = world("russian");
    world.person(3, "Боря", "ru");
    world.start();
    let said = |text: &str, parts: &[&str]| has(&world.asked(3, text), parts);
    said("/start", &["👋 Я присылаю оповещения Prometheus."]);
    said("/regexp", &["Напишите выражение после команды"]);
    said("/regexp диск|mem", &["✅ Вы получаете оповещения, в имени которых найдено диск|mem."]);
    said(
        "/regexp (?<!x)y",
        &["здесь не поддерживаются", "линейно", "(?<!x)y\n^", "Чтобы исключить имена на Test: /regexp off"],
    );
    said(
        "/regexp диск(",
        &["❌ Это не регулярное выражение: не закрыта скобка (\nдиск(\n    ^\nНичего не изменилось."],
    );
    said("/subscribe cpu", &["❌ Не могу разобрать метки: после cpu ожидается =, !=, =~ или !~"]);
    said("/regex диск", &["Команды /regex нет. Может быть, /regexp? Все команды: /help"]);
    said(
        "/subscribe severity=\"critical\"",
        &["✅ Вы получаете оповещения с метками severity=\"critical\".\nКроме того, по имени: диск|mem"],
    );
    said("/list", &["Вы получаете оповещения", "диск|mem", "severity=\"critical\""]);
    said("/unsubscribe severity=critical", &["✅ Подписка отменена: severity=\"critical\""]);
    said("/regexp *", &["✅ Вы получаете все оповещения."]);
    said("/subscribe a=b", &["⚠️ По /regexp * вы по-прежнему получаете все оповещения. Только эти: /regexp off"]);
    said("/mute 2 ч", &["🔇 До ", " оповещений не будет."]);
    said("/list", &["🔇 но до ", " – ни одного"]);
    said(
        "/stop",
        &["✅ Вы больше не получаете оповещений.\nТишина", "Чтобы их вернуть:\n/regexp *\n/subscribe a=\"b\""],
    );
    said("/help", &["Оповещения", "/unsubscribe"]);
    said("/users", &["Это могут только администраторы бота."]);
    assert_eq!(world.violations(), []);
}

#[test]
fn an_expression_is_dropped_and_the_labels_are_kept() {
    let mut world = world("regexp-off");
    world.person(2, "Ann", "en");
    world.start();
    let said = |text: &str, parts: &[&str]| has(&world.asked(2, text), parts);
    said("/regexp mem|cpu", &["✅"]);
    said("/subscribe severity=\"critical\"", &["severity=\"critical\".\nBesides, by name: mem|cpu"]);
    said("/regexp disk", &["is found.\nBesides, by labels: severity=\"critical\""]);
    said("/regexp OFF", &["✅ No alerts by name any more.\nStill, by labels: severity=\"critical\""]);
    assert_eq!(world.users()["2"], json!({"labels": ["severity=\"critical\""]}));
    said("/list", &["You get alerts\n• with severity"]);
    said("/regexp off", &["Still, by labels"]);
    said("/subscribe team=db", &["✅ You get alerts with team=\"db\"."]);
    said("/unsubscribe", &["✅"]);
    said("/regexp off", &["✅ No alerts by name any more.\nYou get no alerts."]);
    // An alert of that name can still be had.
    said("/regexp", &["/regexp (off)"]);
    said("/regexp (off)", &["✅ You get alerts in whose name (off) is found."]);
    assert_eq!(world.users()["2"], "(off)");
    said("/regexp .*", &["✅"]);
    said("/subscribe a=b", &["⚠️ You still get every alert, by /regexp .*."]);
}

#[test]
fn the_quotes_of_phones_are_quotes() {
    let mut world = world("curly");
    world.person(2, "Bob", "en");
    world.start();
    for typed in ["severity=“critical”", "severity=«critical»", "severity=„critical“"] {
        has(&world.asked(2, &format!("/subscribe {typed}")), &["You get alerts with severity=\"critical\"."]);
        assert_eq!(world.users()["2"]["labels"], json!(["severity=\"critical\""]), "{typed}");
        has(&world.asked(2, &format!("/unsubscribe {typed}")), &["✅ Not any more: severity=\"critical\""]);
    }
    for typed in ["\"mem|cpu\"", "“mem|cpu”"] {
        let answer = world.asked(2, &format!("/regexp {typed}"));
        has(&answer, &["✅", typed, "The quotes are part of the expression. Without them: /regexp mem|cpu"]);
    }
    assert!(!world.asked(2, "/regexp mem|cpu").contains("quotes"));
}

#[test]
fn silence_for_a_while() {
    let mut world = world("mute");
    world.person(2, "Ann", "en");
    world.start();
    let said = |text: &str, parts: &[&str]| has(&world.asked(2, text), parts);
    let muted = || world.users()["2"]["muted_until"].as_str().map(|at| at.parse::<jiff::Timestamp>().unwrap());
    // The file lets this person in with an expression that is found in everything.
    said("/mute", &["For how long? /mute 30m"]);
    for wrong in ["/mute 2", "/mute 31d", "/mute 0h", "/mute for ever"] {
        said(wrong, &["For how long?", "at most 30 days"]);
    }
    assert_eq!(muted(), None);
    said("/mute 1h 30m", &["🔇 No alerts until ", "not told later", "Alertmanager reminds", "/unmute"]);
    let until = muted().unwrap();
    let left = until.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((1..=5400).contains(&left), "{left}");
    said("/list", &["🔇 but none until ", "; /unmute"]);
    said("/mute", &["🔇 but none until ", "For how long?"]);
    said("/regexp mem", &["✅ You get alerts in whose name mem is found.\n🔇 but none until "]);
    assert_eq!(muted(), Some(until), "an expression changes nothing in that");
    let explained = || {
        let mut route = command("alert-route");
        route.arg("-u").arg(world.users_path()).arg("--explain");
        run(&mut route, webhook(&["HostOutOfMemory"]).as_bytes()).stdout
    };
    has(&explained(), &["chat 2                no:   muted"]);
    said("/unmute", &["🔔"]);
    assert_eq!(world.users()["2"], "mem");
    has(&explained(), &["chat 2                yes:"]);
    said("/unmute", &["🔔"]);
    said("/mute 2h", &["🔇"]);
    said("/mute off", &["🔔"]);
    said("/mute 30d", &["🔇"]);
    said(
        "/stop",
        &["✅ You get no alerts any more.\nThe silence of /mute is over as well.\nTo have them back:\n/regexp mem"],
    );
    said("/mute 2h", &["You get no alerts."]);
    assert_eq!(muted(), None);
    has(
        &text_of(&world.ask_as(json!({"chat": -1001, "from": 2, "text": "/regexp *"}))),
        &["✅ This group gets every alert."],
    );
    has(&text_of(&world.ask_as(json!({"chat": -1001, "from": 2, "text": "/mute 1d"}))), &["🔇"]);
    assert!(world.users()["-1001"]["muted_until"].is_string());
}

#[test]
fn administrators_see_and_remove() {
    let mut world = world("admins");
    world.start();
    let users = world.asked(ADMIN, "/users");
    has(&users, &["4 chats", "1 Ada ⭐", "-1001"]);
    has(&world.asked(ADMIN, "/help"), &["For administrators"]);
    has(&world.asked(ADMIN, "/remove"), &["Whom? /remove 123456789"]);
    has(&world.asked(ADMIN, "/remove 99"), &["99 is not let in."]);
    has(&world.asked(ADMIN, "/remove 1"), &["❌ Not done: you are the only administrator"]);
    // Let in by hand: nobody knows the name until they write.
    has(&world.asked(ADMIN, "/users"), &["\n2\n", "\n3\n"]);
    world.person(3, "Eve <b>", "en");
    world.ask(3, "/regexp mem");
    world.ask(3, "/mute 1h");
    has(&world.asked(ADMIN, "/users"), &["\n2\n", "\n3 Eve <b> 🔇\n   mem"]);
    assert!(world.users()["3"].get("name").is_none());
    assert_eq!(world.asked(ADMIN, "/remove 3"), "✅ Eve <b> (3) was removed, with all subscriptions.");
    assert!(world.users().get("3").is_none());
    world.ignored(json!({"chat": 3, "text": "/list"}));
    assert_eq!(world.asked(ADMIN, "/remove 2"), "✅ 2 was removed, with all subscriptions.");
}

#[test]
fn channels_are_removed_and_what_is_not_shown_is_counted() {
    let people: Vec<String> = (1000..1203).map(|id| format!(", \"{id}\": \"cpu\"")).collect();
    let users = format!(r#"{{"1": {{"role": "admin"}}, "@ops_news": "mem"{}}}"#, people.concat());
    let mut world = World::new("channels", &users);
    world.start();
    world.say(ADMIN, "/users");
    until("the end of the list", || {
        let texts: Vec<String> = world.said(ADMIN).iter().map(text_of).collect();
        let all = texts.concat();
        (all.contains("@ops_news") && all.ends_with("… and 5 chats more; the users file has them all.")).then_some(())
    });
    world.quiet();
    assert_eq!(world.asked(ADMIN, "/remove @ops_news"), "✅ @ops_news was removed, with all subscriptions.");
    assert!(world.users().get("@ops_news").is_none() && world.users().get("1000").is_some());
    has(&world.asked(ADMIN, "/remove @ops_news"), &["@ops_news is not let in."]);
}

#[test]
fn the_menu_of_commands_is_there_in_both_languages() {
    let mut world = world("menu");
    world.start();
    let calls = crate::harness::until("the menus", || {
        let calls = world.sandbox.requests("setMyCommands");
        (calls.len() >= 3).then_some(calls)
    });
    let russian = calls.iter().find(|call| call["params"]["language_code"] == "ru").unwrap();
    has(&russian["params"]["commands"].to_string(), &["что вы получаете сейчас"]);
    let admin = calls.iter().find(|call| call["params"]["scope"].is_string() || call["params"]["scope"].is_object());
    has(&admin.unwrap()["params"]["commands"].to_string(), &["remove"]);
    let others = calls.iter().filter(|call| call["params"].get("scope").is_none());
    others.for_each(|call| assert!(!call["params"]["commands"].to_string().contains("remove")));
}

#[test]
fn the_greeting_lists_what_one_may_use() {
    let mut world = world("greeting");
    world.person(2, "Bob", "en");
    world.start();
    let lines = |text: &str| -> Vec<String> {
        let command = |line: &str| line.strip_prefix('/').and_then(|line| line.split(' ').next()).map(str::to_owned);
        text.lines().filter_map(command).collect()
    };
    let everybody = ["list", "regexp", "subscribe", "unsubscribe", "mute", "unmute", "stop", "start", "help"];
    let hello = world.asked(2, "/start");
    assert_eq!(lines(&hello), everybody, "{hello}");
    has(&hello, &["/regexp mem|cpu – alerts whose name fits\n", "/list – what you get now\n", "/mute 2h – no alerts"]);
    assert_eq!(lines(&world.asked(ADMIN, "/start")), [&everybody[..], &["users", "remove"]].concat());
    assert_eq!(world.violations(), []);
}

#[test]
fn an_administrator_learns_where_the_users_file_is_torn() {
    let mut world = world("torn");
    world.person(2, "Bob", "en");
    world.start();
    let whole = world.scratch.read("users.json");
    world.scratch.write("users.json", "{\n  \"1\": {\"role\": \"admin\"},\n  \"2\": oops\n}\n");
    let said = world.asked(ADMIN, "/regexp mem");
    has(&said, &["the users file cannot be read. Its mistake is at line:column 3:"]);
    assert!(!said.contains("users.json"), "{said}");
    assert_eq!(world.asked(2, "/regexp mem"), "That did not work; the bot's log says why.");
    world.scratch.write("users.json", &whole);
    has(&world.asked(ADMIN, "/regexp mem"), &["✅"]);
}

#[test]
fn two_commands_at_once_and_a_hand_edit_lose_nothing() {
    let mut world = World::new("at-once", r#"{"1": {"role": "admin"}}"#);
    let people: Vec<i64> = (100..140).collect();
    let entries: Vec<String> = people.iter().map(|id| format!("\"{id}\": {{\"note\": \"kept {id}\"}}")).collect();
    world.scratch.write("users.json", &format!("{{\"1\": {{\"role\": \"admin\"}}, {}}}", entries.join(", ")));
    people.iter().for_each(|id| world.person(*id, "P", "en"));
    world.start();
    for id in &people {
        world.say(*id, &format!("/regexp of{id}"));
        world.say(*id, &format!("/subscribe who=\"{id}\""));
    }
    // Somebody edits by hand meanwhile, as an editor does: writes beside it and renames.
    let mut edited: serde_json::Value = world.users();
    edited["777"] = "by hand".into();
    let draft = world.scratch.write("users.json.draft", &edited.to_string());
    std::fs::rename(draft, world.users_path()).unwrap();
    let after_edit: Vec<i64> = people.clone();
    let last: Vec<i64> = after_edit.iter().map(|id| world.say(*id, &format!("/subscribe last=\"{id}\""))).collect();
    last.into_iter().for_each(|update| world.settled(update));
    let users = world.users();
    assert_eq!(users["777"], "by hand");
    for id in people {
        let entry = &users[id.to_string()];
        assert_eq!(entry["note"], format!("kept {id}"), "{entry}");
        assert!(entry["labels"].to_string().contains(&format!("last=\\\"{id}\\\"")), "{entry}");
        assert_eq!(world.said(id).len(), 3, "{:?}", world.said(id).iter().map(text_of).collect::<Vec<_>>());
    }
}

#[test]
fn what_alert_route_could_not_read_is_refused() {
    let mut world = World::new("too-long-written", r#"{"1": {}}"#);
    world.start();
    // Each backslash is written as two.
    has(&world.asked(ADMIN, &format!("/subscribe a={}", "\\".repeat(3000))), &["❌ I cannot read these labels"]);
    let many: Vec<String> = (0..17).map(|n| format!("a{n}=b")).collect();
    has(&world.asked(ADMIN, &format!("/subscribe {}", many.join(","))), &["more than 16 matchers"]);
    assert_eq!(world.users(), json!({"1": {}}));
}

#[test]
fn after_a_wish_it_is_said_what_it_fits() {
    let mut world = world("seen");
    world.person(2, "Ann", "en");
    world.person(3, "Боря", "ru");
    let seen = world.scratch.path("seen.json");
    world.options = vec!["--seen".to_owned(), seen.to_str().unwrap().to_owned()];
    world.start();
    // Nothing was seen yet, so nothing is said of it.
    assert_eq!(world.asked(2, "/regexp mem"), "✅ You get alerts in whose name mem is found.");
    let mut route = command("alert-route");
    route.arg("-u").arg(world.users_path()).arg("--seen").arg(&seen);
    let lines = [
        webhook(&["HostOutOfMemory", "HostHighCpu", "<Disk> & co"]),
        serde_json::json!({"alerts": [alert("HostOutOfMemory", "resolved")]}).to_string(),
    ];
    let output = run(&mut route, lines.join("\n").as_bytes());
    assert_eq!(output.code, Some(0), "{output:?}");
    has(&world.asked(2, "/regexp mem|cpu"), &["Fits 2 of the alerts seen lately: ", "HostOutOfMemory", "HostHighCpu"]);
    has(&world.asked(2, "/regexp disk"), &["Fits 1 of the alerts seen lately: <Disk> & co"]);
    has(&world.asked(2, "/regexp nothing"), &["Fits none of the alerts seen lately."]);
    has(&world.asked(2, "/subscribe severity=\"warning\""), &["Fits 3 of"]);
    has(&world.asked(2, "/subscribe severity=\"critical\""), &["Fits none of"]);
    has(&world.asked(3, "/regexp mem"), &["Из недавних подходит 1: HostOutOfMemory"]);
    // Who is not let in learns no names.
    world.person(9, "Eve", "en");
    world.ignored(json!({"chat": 9, "text": "/regexp mem"}));
}

#[test]
fn nobody_asks_for_more_than_their_share_of_work() {
    let mut world = world("share");
    world.person(2, "Ann", "en");
    world.person(3, "Боря", "ru");
    world.start();
    let heavy = |n: u32| format!(r#"instance=~"(?:[ -~]?){{7000}}{n}!", z0="q""#);
    assert!(world.asked(2, &format!("/subscribe {}", heavy(0))).contains("too much to search for"));
    assert!(world.asked(3, "/regexp (?:0?){9000}").contains("слишком много работы"));
    let users = world.users();
    assert_eq!((users["2"].clone(), users["3"].clone()), (json!(""), json!({})), "nothing was changed");
    has(&world.asked(2, "/subscribe team=~\"db|web\""), &["✅ You get alerts with"]);
    has(&world.asked(3, "/regexp mem|cpu"), &["✅"]);
    assert_eq!(world.violations(), []);
}
