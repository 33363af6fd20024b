//! One chat's value in the users file, in all its forms: a pattern, an object, or a list of objects, one for each topic
//! of a forum.
//!
//! What is not changed is kept to the letter: members are held as the JSON that stands in the file.

use std::collections::{HashMap, hash_map};
use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::matcher::Matchers;

/// Members that say something of a chat and not of one topic. They live in its first object.
const OF_THE_CHAT: [&str; 4] = ["name", "lang", "role", "blocked_since"];

/// All members that mean something; the others are somebody's own.
pub(super) const KNOWN: [&str; 8] =
    ["match", "labels", "thread", "muted_until", "name", "lang", "role", "blocked_since"];

/// The members of a JSON object in their order, each with its JSON. A name that stands in it twice has its last value.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Members(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, String)> = Vec::new();
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    let json = value.get().to_owned();
                    match places.entry(name.clone()) {
                        hash_map::Entry::Occupied(place) => members[*place.get()].1 = json,
                        hash_map::Entry::Vacant(place) => {
                            place.insert(members.len());
                            members.push((name, json));
                        }
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Members {
    pub fn json(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, json)| json.as_str()).filter(|json| *json != "null")
    }

    pub fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.json(name)?).ok()
    }

    pub fn set(&mut self, name: &str, json: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = json,
            None => self.0.push((name.to_owned(), json)),
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// A member that is a text or a list of texts; what is neither is left out.
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    }

    /// An empty list is no member.
    pub fn set_texts(&mut self, name: &str, texts: &[String]) {
        if texts.is_empty() {
            self.remove(name);
        } else if self.texts(name) != texts {
            let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
            self.set(name, format!("[{}]", texts.join(", ")));
        }
    }

    /// The forum topic. General is topic 1 and has no number anywhere else.
    pub fn thread(&self) -> Option<i64> {
        let value = self.value("thread")?;
        let thread = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
        (thread > 1).then_some(thread)
    }

    pub fn wants_nothing(&self) -> bool {
        self.texts("match").is_empty() && self.texts("labels").is_empty()
    }

    fn to_json(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|(name, json)| format!("{}: {json}", quoted(name))).collect();
        format!("{{{}}}", members.join(", "))
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// One part of a chat's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    /// What one place, the chat or a topic of it, wants.
    Topic(Members),
    /// What nobody can read.
    Odd(String),
}

impl Part {
    fn read(json: &str) -> Self {
        if let Ok(pattern) = serde_json::from_str::<String>(json) {
            return Part::Topic(Members(vec![("match".to_owned(), format!("[{}]", quoted(&pattern)))]));
        }
        serde_json::from_str(json).map_or_else(|_| Part::Odd(json.to_owned()), Part::Topic)
    }

    pub fn topic(&self) -> Option<&Members> {
        match self {
            Part::Topic(members) => Some(members),
            Part::Odd(_) => None,
        }
    }

    fn to_json(&self) -> String {
        match self {
            Part::Topic(members) => members.to_json(),
            Part::Odd(json) => json.clone(),
        }
    }
}

/// A chat's value, to be read or changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts {
    parts: Vec<Part>,
    is_list: bool,
}

impl Parts {
    pub fn read(json: &str) -> Self {
        match serde_json::from_str::<Vec<Box<RawValue>>>(json) {
            Ok(list) => Parts { parts: list.iter().map(|json| Part::read(json.get())).collect(), is_list: true },
            Err(_) => Parts { parts: vec![Part::read(json)], is_list: false },
        }
    }

    /// How many nobody can read.
    pub fn odd(&self) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Odd(_))).count()
    }

    pub fn topics(&self) -> impl Iterator<Item = &Members> {
        self.parts.iter().filter_map(Part::topic)
    }

    pub fn topics_mut(&mut self) -> impl Iterator<Item = &mut Members> {
        self.parts.iter_mut().filter_map(|part| match part {
            Part::Topic(members) => Some(members),
            Part::Odd(_) => None,
        })
    }

    /// All objects of a topic, or of the chat where `thread` is none.
    pub fn at(&mut self, thread: Option<i64>) -> impl Iterator<Item = &mut Members> {
        self.topics_mut().filter(move |members| members.thread() == thread)
    }

    /// A member that says something of the chat; written by hand it may stand in any object.
    pub fn of_chat(&self, name: &str) -> Option<Value> {
        self.topics().find_map(|members| members.value(name))
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.of_chat(name)?.as_str().map(str::to_owned)
    }

    /// The epoch stands for what is no time: the chat is blocked all the same.
    pub fn blocked_since(&self) -> Option<Timestamp> {
        let since = self.of_chat("blocked_since").filter(|since| *since != false)?;
        Some(since.as_str().and_then(|since| since.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Sets a member of the chat where it belongs: in its first object.
    pub fn set_text(&mut self, name: &str, text: Option<&str>) {
        if self.of_chat(name).is_none_or(|value| value.as_str() != text) {
            self.topics_mut().for_each(|topic| topic.remove(name));
            if let Some(text) = text {
                self.set_of_chat(name, quoted(text));
            }
        }
    }

    fn set_of_chat(&mut self, name: &str, json: String) {
        if self.topics().next().is_none() {
            self.parts.push(Part::Topic(Members::default()));
        }
        if let Some(first) = self.topics_mut().next() {
            first.set(name, json);
        }
    }

    /// The first object of a topic. One that wants nothing serves for a new topic; else that gets an object of its own.
    pub fn place(&mut self, thread: Option<i64>) -> &mut Members {
        let at = |fits: &dyn Fn(&Members) -> bool| self.parts.iter().position(|part| part.topic().is_some_and(fits));
        let at = at(&|members| members.thread() == thread).or_else(|| at(&Members::wants_nothing));
        let at = at.unwrap_or_else(|| {
            self.parts.push(Part::Topic(Members::default()));
            self.parts.len() - 1
        });
        let Part::Topic(members) = &mut self.parts[at] else { unreachable!("only topics were looked for") };
        if members.thread() != thread {
            members.remove("thread");
            // That silence was another topic's.
            members.remove("muted_until");
            if let Some(thread) = thread {
                members.set("thread", thread.to_string());
            }
        }
        members
    }

    /// Takes in what another value of the same chat says; what stands here already holds.
    pub fn merge(&mut self, other: Parts) {
        for mut members in other.parts.into_iter().filter_map(|part| part.topic().cloned()) {
            for name in OF_THE_CHAT {
                if let Some(json) = members.json(name)
                    && self.of_chat(name).is_none()
                {
                    self.set_of_chat(name, json.to_owned());
                }
                members.remove(name);
            }
            let Some(here) = self.at(members.thread()).next() else {
                self.parts.push(Part::Topic(members));
                continue;
            };
            for name in ["match", "labels"] {
                let mut texts = here.texts(name);
                let more = members.texts(name).into_iter().filter(|text| !texts.contains(text));
                let more: Vec<String> = more.collect();
                texts.extend(more);
                here.set_texts(name, &texts);
                members.remove(name);
            }
            for (name, json) in members.0 {
                // Who gets alerts here is not silenced by what was said there.
                if name != "muted_until" && here.json(&name).is_none() {
                    here.set(&name, json);
                }
            }
        }
    }

    /// Brings what was changed into the shortest form that says the same.
    pub fn into_json(mut self) -> String {
        if !self.is_list {
            self.parts.retain(|part| matches!(part, Part::Topic(_)));
        }
        // Objects of topics that want nothing any more, and say nothing else.
        let mut first = true;
        self.parts.retain(|part| {
            let keep = std::mem::take(&mut first);
            let says_more = |members: &Members| members.0.iter().any(|(name, _)| name != "thread");
            keep || part.topic().is_none_or(|members| !members.wants_nothing() || says_more(members))
        });
        self.drop_an_empty_first();
        match self.parts.as_slice() {
            [Part::Topic(members)] => match (members.0.as_slice(), members.texts("match").as_slice()) {
                ([(_, json)], [pattern]) if json == &quoted(pattern) || *json == format!("[{}]", quoted(pattern)) => {
                    quoted(pattern)
                }
                _ => members.to_json(),
            },
            [] => "{}".to_owned(),
            parts => {
                let parts: Vec<String> = parts.iter().map(Part::to_json).collect();
                format!("[{}]", parts.join(", "))
            }
        }
    }

    /// A first object that only says things of the chat gives them to the next one.
    fn drop_an_empty_first(&mut self) {
        let [Part::Topic(first), Part::Topic(second), ..] = self.parts.as_mut_slice() else { return };
        let of_chat = |(name, _): &(String, String)| name == "thread" || OF_THE_CHAT.contains(&name.as_str());
        if !first.wants_nothing() || !first.0.iter().all(of_chat) {
            return;
        }
        first.remove("thread");
        let taken = std::mem::take(&mut first.0);
        second.0.retain(|(name, _)| !taken.iter().any(|(known, _)| known == name));
        second.0.splice(0..0, taken);
        self.parts.remove(0);
    }
}

/// The form of a matcher set by which two that mean the same are equal; what cannot be read means only itself.
pub(super) fn canonical(matchers: &str) -> String {
    Matchers::parse(matchers).map_or_else(|_| matchers.trim().to_owned(), |set| set.to_string())
}
