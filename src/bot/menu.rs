//! The list of commands that Telegram shows beside the line where people type.

use serde_json::{Value, json};

use super::effects::Outgoing;
use super::words::{Word, Words};

/// In the order of their use; the last two are for administrators, and the one before them for those who have Grafana.
const COMMANDS: [(&str, Word); 12] = [
    ("list", Word::CommandList),
    ("regexp", Word::CommandRegexp),
    ("subscribe", Word::CommandSubscribe),
    ("unsubscribe", Word::CommandUnsubscribe),
    ("mute", Word::CommandMute),
    ("unmute", Word::CommandUnmute),
    ("stop", Word::CommandStop),
    ("start", Word::CommandStart),
    ("help", Word::CommandHelp),
    ("dashboards", Word::CommandDashboards),
    ("users", Word::CommandUsers),
    ("remove", Word::CommandRemove),
];

/// For everybody: in each language, and in English for all others.
pub fn for_all(has_grafana: bool) -> Vec<Outgoing> {
    let english = Words::of([Some("en")]);
    let mut calls = vec![call(0, json!({"commands": list(english, has_grafana, false)}))];
    for words in Words::all().filter(|words| words.code() != english.code()) {
        let commands = list(words, has_grafana, false);
        calls.push(call(0, json!({"commands": commands, "language_code": words.code()})));
    }
    calls
}

/// For an administrator, in the chat with the bot.
pub fn for_admin(admin: i64, words: Words, has_grafana: bool) -> Option<Outgoing> {
    let scope = json!({"type": "chat", "chat_id": admin});
    // The configuration can name groups and channels too.
    (admin > 0).then(|| call(admin, json!({"commands": list(words, has_grafana, true), "scope": scope})))
}

/// For somebody who is no administrator any more, or never was one: what everybody has.
pub fn for_former(id: i64) -> Option<Outgoing> {
    let scope = json!({"type": "chat", "chat_id": id});
    (id > 0).then(|| Outgoing { method: "deleteMyCommands", ..call(id, json!({"scope": scope})) })
}

/// Commands and what they are for.
pub fn commands(words: Words, has_grafana: bool, is_admin: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let wanted = move |name: &str| match name {
        "dashboards" => has_grafana,
        "users" | "remove" => is_admin,
        _ => true,
    };
    COMMANDS.iter().filter(move |(name, _)| wanted(name)).map(move |(name, word)| (*name, words.get(*word)))
}

fn list(words: Words, has_grafana: bool, is_admin: bool) -> Value {
    let commands = commands(words, has_grafana, is_admin);
    commands.map(|(name, description)| json!({"command": name, "description": description})).collect()
}

fn call(chat: i64, parameters: Value) -> Outgoing {
    let slot = format!("commands {}", parameters["language_code"].as_str().unwrap_or_default());
    Outgoing { chat, method: "setMyCommands", parameters, slot: Some(slot), request: None, picture: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_telegram_takes() {
        let mut all = for_all(true);
        all.extend(for_admin(7, Words::of([Some("ru")]), true));
        assert_eq!(all.len(), 3);
        for call in all {
            for command in call.parameters["commands"].as_array().unwrap() {
                let description = command["description"].as_str().unwrap();
                assert!((1..=256).contains(&description.chars().count()), "{description}");
                assert!(command["command"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_lowercase()));
            }
        }
        assert!(for_admin(-5, Words::of([None]), true).is_none());
    }
}
