//! The users file as tg-bot changes it: who is let in, and what each chat and topic gets.
//!
//! Order, unknown members and whatever somebody wrote by hand stay as they are, to the letter where the chat itself is
//! not touched. `@channel` keys are kept until they are removed: no chat writes to the bot under such a name.

use jiff::Timestamp;
use serde_json::Value;

use super::entry::{Members, Parts, canonical, quoted};
use crate::config::without_place;
use crate::record::Chat;

/// An ordered map from a chat's key to its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    /// Keys as they stand in the file, and the JSON of their values.
    entries: Members,
}

/// What one chat's entry says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// `"admin"`, or what else somebody wrote.
    pub role: Option<String>,
    /// Language of the bot's words.
    pub lang: Option<String>,
    /// Whom the entry belongs to.
    pub name: Option<String>,
    /// Since when the chat lets the bot in no more; the epoch where the file says something that is no time.
    pub blocked_since: Option<Timestamp>,
    /// One for each topic, or the one of the chat; none where the chat wants nothing.
    pub subscriptions: Vec<Subscription>,
}

/// What a chat, or a topic of it, gets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscription {
    /// The forum topic; General is none.
    pub thread: Option<i64>,
    /// Patterns for alertnames, as written.
    pub patterns: Vec<String>,
    /// Matcher sets, as written.
    pub labels: Vec<String>,
    /// Nothing is told before this moment.
    pub muted_until: Option<Timestamp>,
}

impl Roster {
    /// Reads the text of a users file. An empty one is an empty roster.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Roster::default());
        }
        let entries = serde_json::from_str(text).map_err(|err| match err.classify() {
            serde_json::error::Category::Data => {
                "1:1: a users file is a JSON object {\"<chat id>\": \"<regexp>\"}".to_owned()
            }
            _ => format!("{}:{}: not JSON: {}", err.line(), err.column(), without_place(&err)),
        })?;
        Ok(Roster { entries })
    }

    /// The text of the file: a chat a line.
    pub fn to_text(&self) -> String {
        if self.entries.0.is_empty() {
            return "{}\n".to_owned();
        }
        let lines: Vec<String> =
            self.entries.0.iter().map(|(key, json)| format!("  {}: {json}", quoted(key))).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }

    /// Keys and the parts of their values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Parts)> {
        self.entries.0.iter().map(|(key, json)| (key.as_str(), Parts::read(json)))
    }

    /// All chats, also channels, in the order of the file.
    pub fn chats(&self) -> impl Iterator<Item = (Chat, Entry)> {
        self.entries.0.iter().filter_map(|(key, json)| Some((Chat::parse(key)?, entry(json))))
    }

    fn json(&self, chat: i64) -> Option<&str> {
        self.entries.0.iter().find(|(key, _)| is_key_of(key, chat)).map(|(_, json)| json.as_str())
    }

    /// Whether the chat is let in: it has an entry.
    pub fn contains(&self, chat: i64) -> bool {
        self.json(chat).is_some()
    }

    /// What the chat's entry says.
    pub fn entry(&self, chat: i64) -> Option<Entry> {
        self.json(chat).map(entry)
    }

    /// What the chat, or a topic of it, gets; nothing where it has no subscription.
    pub fn subscription(&self, chat: i64, thread: Option<i64>) -> Option<Subscription> {
        let thread = general(thread);
        self.entry(chat)?.subscriptions.into_iter().find(|one| one.thread == thread)
    }

    /// Lets a chat in, which wants nothing yet.
    pub fn admit(&mut self, chat: i64) {
        if !self.contains(chat) {
            self.entries.set(&chat.to_string(), "{}".to_owned());
        }
    }

    /// Forgets a chat; false if it was not known.
    pub fn remove(&mut self, chat: i64) -> bool {
        let before = self.entries.0.len();
        self.entries.0.retain(|(key, _)| !is_key_of(key, chat));
        self.entries.0.len() < before
    }

    /// The same for a channel by its `@name`, in whatever case: Telegram knows none there.
    pub fn remove_channel(&mut self, name: &str) -> bool {
        let before = self.entries.0.len();
        self.entries.0.retain(|(key, _)| !is_channel(key, name));
        self.entries.0.len() < before
    }

    /// Whether there is a channel of this name.
    pub fn has_channel(&self, name: &str) -> bool {
        self.entries.0.iter().any(|(key, _)| is_channel(key, name))
    }

    /// Changes a chat's value where it has one. What comes out the same is left as it was written.
    fn change<T>(&mut self, chat: i64, change: impl FnOnce(&mut Parts) -> T) -> Option<T> {
        let (_, json) = self.entries.0.iter_mut().find(|(key, _)| is_key_of(key, chat))?;
        let before = Parts::read(json);
        let mut parts = before.clone();
        let result = change(&mut parts);
        if parts != before {
            *json = parts.into_json();
        }
        Some(result)
    }

    /// `match` becomes this one pattern; `labels` stay. A chat that is not let in is.
    pub fn set_match(&mut self, chat: i64, thread: Option<i64>, pattern: &str) {
        self.admit(chat);
        self.change(chat, |parts| {
            parts.at(general(thread)).skip(1).for_each(|members| members.remove("match"));
            parts.place(general(thread)).set_texts("match", &[pattern.to_owned()]);
        });
    }

    /// No `match` any more; `labels` stay.
    pub fn clear_match(&mut self, chat: i64, thread: Option<i64>) {
        self.change(chat, |parts| parts.at(general(thread)).for_each(|members| members.remove("match")));
    }

    /// Nothing is told before this moment, to a chat or topic that wants something; or it is told again.
    pub fn set_muted(&mut self, chat: i64, thread: Option<i64>, until: Option<Timestamp>) {
        self.change(chat, |parts| {
            parts.at(general(thread)).for_each(|members| match until {
                Some(until) => members.set("muted_until", quoted(&until.to_string())),
                None => members.remove("muted_until"),
            });
        });
    }

    /// Adds a matcher set, in canonical form; false if one that means the same was there. A chat that is not let in is.
    pub fn subscribe(&mut self, chat: i64, thread: Option<i64>, matchers: &str) -> bool {
        let wanted = canonical(matchers);
        self.admit(chat);
        let added = self.change(chat, |parts| {
            let is_there =
                parts.at(general(thread)).any(|topic| topic.texts("labels").iter().any(|set| canonical(set) == wanted));
            if !is_there {
                let topic = parts.place(general(thread));
                let mut sets = topic.texts("labels");
                sets.push(wanted);
                topic.set_texts("labels", &sets);
            }
            !is_there
        });
        added.unwrap_or(false)
    }

    /// Takes away a matcher set that means the same, or a pattern that is written the same; or all of both. False if
    /// there was nothing to take away.
    pub fn unsubscribe(&mut self, chat: i64, thread: Option<i64>, matchers: Option<&str>) -> bool {
        let taken = self.change(chat, |parts| {
            let mut taken = false;
            for topic in parts.at(general(thread)) {
                for name in ["match", "labels"] {
                    let texts = topic.texts(name);
                    let kept: Vec<String> = texts
                        .iter()
                        .filter(|text| match matchers {
                            None => false,
                            Some(set) if name == "match" => *text != set,
                            Some(set) => canonical(text) != canonical(set),
                        })
                        .cloned()
                        .collect();
                    if kept.len() < texts.len() {
                        topic.set_texts(name, &kept);
                        taken = true;
                    }
                }
            }
            taken
        });
        taken.unwrap_or(false)
    }

    /// The chat, or a topic of it, wants nothing any more; it stays let in, with what else its entry says.
    pub fn clear(&mut self, chat: i64, thread: Option<i64>) {
        self.change(chat, |parts| {
            for topic in parts.at(general(thread)) {
                for name in ["match", "labels", "muted_until"] {
                    topic.remove(name);
                }
            }
        });
    }

    fn set_text(&mut self, chat: i64, name: &str, text: Option<&str>) {
        self.change(chat, |parts| parts.set_text(name, text));
    }

    fn text(&self, chat: i64, name: &str) -> Option<String> {
        Parts::read(self.json(chat)?).text(name)
    }

    /// Gives a role to a chat that is let in, or takes it away.
    pub fn set_role(&mut self, chat: i64, role: Option<&str>) {
        self.set_text(chat, "role", role);
    }

    /// The role of a chat: `"admin"`.
    pub fn role(&self, chat: i64) -> Option<String> {
        self.text(chat, "role")
    }

    /// The language of a chat that is let in.
    pub fn set_lang(&mut self, chat: i64, lang: &str) {
        self.set_text(chat, "lang", Some(lang));
    }

    /// In which language to talk to it.
    pub fn lang(&self, chat: i64) -> Option<String> {
        self.text(chat, "lang")
    }

    /// Whom the entry of a chat that is let in belongs to, for people who read the file.
    pub fn set_name(&mut self, chat: i64, name: &str) {
        self.set_text(chat, "name", Some(name));
    }

    /// Whom the entry belongs to.
    pub fn name(&self, chat: i64) -> Option<String> {
        self.text(chat, "name")
    }

    /// Since when a chat that was let in does not let the bot in; it gets no alerts meanwhile.
    pub fn set_blocked(&mut self, chat: i64, since: Option<Timestamp>) {
        self.set_text(chat, "blocked_since", since.map(|since| since.to_string()).as_deref());
    }

    /// See [`Entry::blocked_since`].
    pub fn blocked(&self, chat: i64) -> Option<Timestamp> {
        Parts::read(self.json(chat)?).blocked_since()
    }

    /// A chat has a new id: its entry gets it, and is merged into one that is there already, which holds where they
    /// differ. False if the old one is not known.
    pub fn migrate(&mut self, old: i64, new: i64) -> bool {
        if old == new {
            return self.contains(old);
        }
        let Some(json) = self.json(old).map(str::to_owned) else { return false };
        if self.contains(new) {
            self.change(new, |parts| parts.merge(Parts::read(&json)));
            self.remove(old);
        } else if let Some((key, _)) = self.entries.0.iter_mut().find(|(key, _)| is_key_of(key, old)) {
            *key = new.to_string();
            self.remove(old);
        }
        // Who is told of a move is in the chat.
        self.set_blocked(new, None);
        true
    }
}

fn general(thread: Option<i64>) -> Option<i64> {
    thread.filter(|thread| *thread > 1)
}

fn is_channel(key: &str, name: &str) -> bool {
    matches!(Chat::parse(key), Some(Chat::Name(known)) if known.eq_ignore_ascii_case(name))
}

fn is_key_of(key: &str, chat: i64) -> bool {
    Chat::parse(key) == Some(Chat::Id(chat))
}

fn entry(json: &str) -> Entry {
    let parts = Parts::read(json);
    let subscriptions = parts.topics().map(subscription);
    let is_some = |subscription: &Subscription| !subscription.patterns.is_empty() || !subscription.labels.is_empty();
    let mut merged: Vec<Subscription> = Vec::new();
    for one in subscriptions.filter(is_some) {
        match merged.iter_mut().find(|known| known.thread == one.thread) {
            Some(known) => {
                known.patterns.extend(one.patterns);
                known.labels.extend(one.labels);
            }
            None => merged.push(one),
        }
    }
    Entry {
        role: parts.text("role"),
        lang: parts.text("lang"),
        name: parts.text("name"),
        blocked_since: parts.blocked_since(),
        subscriptions: merged,
    }
}

fn subscription(members: &Members) -> Subscription {
    Subscription {
        thread: members.thread(),
        patterns: members.texts("match"),
        labels: members.texts("labels"),
        muted_until: members.value("muted_until").as_ref().and_then(Value::as_str).and_then(|at| at.parse().ok()),
    }
}

#[cfg(test)]
mod tests;
