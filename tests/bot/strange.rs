//! Updates of any shape: the bot stays alive, says nothing to strangers, and answers afterwards.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::standin::{Generation, Setup, Standin};
use crate::world::{ADMIN, World, has};

const UPDATES: usize = 5000;

/// Names that the bot looks for, so that they are met with values of all kinds.
const NAMES: [&str; 40] = [
    "message",
    "edited_message",
    "channel_post",
    "callback_query",
    "my_chat_member",
    "chat",
    "from",
    "id",
    "type",
    "text",
    "message_id",
    "message_thread_id",
    "is_topic_message",
    "reply_to_message",
    "forward_origin",
    "forward_date",
    "caption",
    "data",
    "title",
    "first_name",
    "last_name",
    "username",
    "language_code",
    "is_bot",
    "date",
    "entities",
    "offset",
    "length",
    "migrate_to_chat_id",
    "migrate_from_chat_id",
    "new_chat_member",
    "old_chat_member",
    "status",
    "user",
    "sender_chat",
    "new_chat_members",
    "left_chat_member",
    "photo",
    "inline_message_id",
    "via_bot",
];

/// Values that mean something to the bot, and others.
fn leaf() -> impl Strategy<Value = Value> {
    let words = [
        "/start",
        "/start@sandbox_bot x",
        "/regexp (",
        "/regexp a{1000}{1000}",
        "/subscribe a=~\"(\"",
        "/remove 1",
        "/stop",
        "private",
        "group",
        "supergroup",
        "channel",
        "kicked",
        "left",
        "member",
        "ru",
        "a:1",
        "d:1",
        "a:2",
        "p:1:r:24h",
        "p:1:v:",
        "p:99999999999999999999:u",
        "\u{202e}<b>&",
        "",
        "go back",
        "@",
        "/",
        "\u{0}\n\t",
    ];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![0_i64, 1, 2, -1, 77, -1001, i64::MAX, i64::MIN, 1 << 52]).prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ]
}

fn any_update() -> impl Strategy<Value = Value> {
    let value = leaf().prop_recursive(5, 40, 6, |inner| {
        let name = prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => btree_map(name, inner, 0..7).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    // Half of them are right where it matters, so that what is inside is looked at.
    let kind = prop::sample::select(NAMES[..5].to_vec());
    let chat = prop::sample::select(vec![1_i64, 2, 77, -1001]);
    (kind, value, any::<bool>(), chat, leaf()).prop_map(|(kind, mut value, is_plausible, chat, text)| {
        if is_plausible && let Some(map) = value.as_object_mut() {
            let of = if chat > 0 { "private" } else { "supergroup" };
            let chat_json = json!({"id": chat, "type": of, "first_name": "X", "title": "X"});
            // In the group only strangers speak: an administrator who does lets it in.
            map.insert(
                "from".to_owned(),
                json!({"id": chat.max(77 * i64::from(chat < 0)), "is_bot": false, "first_name": "X"}),
            );
            if kind == "callback_query" {
                map.insert("id".to_owned(), json!("1"));
                map.insert("message".to_owned(), json!({"message_id": 1, "date": 1, "chat": chat_json}));
                map.insert("data".to_owned(), text);
            } else {
                map.insert("message_id".to_owned(), json!(1));
                map.insert("chat".to_owned(), chat_json);
                map.insert("text".to_owned(), text);
            }
        }
        json!({kind: value})
    })
}

#[test]
fn updates_of_any_shape_do_no_harm() {
    let standin = Standin::start(Setup::new(Generation::V13, Vec::new()));
    let mut world = World::new("strange", r#"{"1": {"role": "admin"}, "2": "cpu"}"#).grafana(&standin);
    world.person(2, "Ann", "en");
    world.person(77, "Mallory", "en");
    world.group(-1001, "Strangers");
    world.start();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let any = any_update();
    let mut taken = 0;
    for _ in 0..UPDATES {
        let update = any.new_tree(&mut runner).unwrap().current();
        taken += usize::from(world.sandbox.try_update(&update));
    }
    assert!(taken * 2 > UPDATES, "the sandbox passes on {taken} of {UPDATES}");
    let last = world.say(ADMIN, "/users");
    world.settled(last);
    // Other chats have queues of their own, and a membership that was made up there may silence this one.
    world.quiet();
    assert!(world.bot().child.try_wait().unwrap().is_none(), "it ended");
    let log = world.log();
    assert!(!log.contains("could not be handled"), "a panic: {log}");
    has(&world.asked(ADMIN, "/regexp mem"), &["✅"]);
    // Nobody was let in by what was made up, and those who were not learnt nothing.
    for chat in [77, -1001] {
        assert!(world.users().get(chat.to_string()).is_none(), "{}", world.users());
    }
    let said = world.sandbox.requests("sendMessage");
    let is_known = |params: &Value| ["1", "2"].contains(&params["chat_id"].to_string().trim_matches('"'));
    let to_strangers: Vec<&Value> =
        said.iter().map(|call| &call["params"]).filter(|params| !is_known(params)).collect();
    assert!(said.len() > 50, "what is inside is looked at: {} answers", said.len());
    assert!(!to_strangers.is_empty(), "some of them asked to be let in");
    for params in to_strangers {
        has(params["text"].as_str().unwrap(), &["Your request was passed on to the administrator."]);
    }
}
