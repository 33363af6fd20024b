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
        let commands = menu::commands(words, has_grafana, is_admin).map(|(name, purpose)| line(name, purpose));
        words.join(word, &[("commands", &commands.collect::<Vec<_>>().join("\n"))])
    }
}

/// Of `alerts whose name fits: /regexp mem|cpu` the example goes to the front.
fn line(command: &str, description: &str) -> String {
    match description.split_once(&format!(": /{command} ")) {
        Some((what, example)) => format!("/{command} <i>{}</i> – {}", escape(example), escape(what)),
        None => format!("/{command} – {}", escape(description)),
    }
}
