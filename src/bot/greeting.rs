//! What /start says: what the bot is for, and its commands, in the words of Telegram's own list of them.

use super::conversation::Conversation;
use super::menu;
use super::words::{Word, Words};
use crate::text::escape;

impl Conversation {
    /// For somebody who may use what everybody may.
    pub(super) fn greeting(&self, words: Words) -> String {
        self.greeting_for(words, false)
    }

    pub(super) fn greeting_for(&self, words: Words, is_admin: bool) -> String {
        let has_grafana = self.gallery.is_some();
        let word = if has_grafana { Word::Start } else { Word::StartNoGrafana };
        words.join(word, &[("commands", &commands(words, has_grafana, is_admin))])
    }
}

/// A line for each command.
fn commands(words: Words, has_grafana: bool, is_admin: bool) -> String {
    let call = if is_admin {
        menu::for_admin(1, words, has_grafana)
    } else {
        let is_own = |code: Option<&str>| code.unwrap_or("en") == words.code();
        menu::for_all(has_grafana).into_iter().find(|call| is_own(call.parameters["language_code"].as_str()))
    };
    let listed = call.map(|call| call.parameters["commands"].clone()).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let lines = listed.as_array().into_iter().flatten();
    lines.map(|one| line(&text(&one["command"]), &text(&one["description"]))).collect::<Vec<_>>().join("\n")
}

/// Of `alerts whose name fits: /regexp mem|cpu` the example goes to the front.
fn line(command: &str, description: &str) -> String {
    match description.split_once(&format!(": /{command} ")) {
        Some((what, example)) => format!("/{command} <i>{}</i> – {}", escape(example), escape(what)),
        None => format!("/{command} – {}", escape(description)),
    }
}
