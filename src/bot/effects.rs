//! What handling an update leads to: calls of the Bot API, and changes of what the bot remembers. All of it is written in
//! the one transaction that marks the update as handled, so a kill in between leaves either nothing or everything.

use serde_json::{Value, json};

use super::update::{Message, Room};
use crate::markup::{self, MESSAGE};

/// A call that waits on disk until it was answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Whose turn it takes.
    pub chat: i64,
    /// One of [`METHODS`].
    pub method: &'static str,
    /// A JSON object.
    pub parameters: Value,
    /// While it waits, a later call for the same chat and slot takes its place: of two screens only the last is of use.
    pub slot: Option<String>,
    /// The chat of the request that this message puts to an administrator.
    pub request: Option<i64>,
    /// The picture that has to be drawn first and goes along.
    pub picture: Option<i64>,
}

/// Every method that waits on disk.
pub const METHODS: [&str; 8] = [
    "sendMessage",
    "sendPhoto",
    "editMessageText",
    "editMessageMedia",
    "editMessageReplyMarkup",
    "answerCallbackQuery",
    "setMyCommands",
    "deleteMyCommands",
];

/// What the bot remembers from now on.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Where a chat is among the dashboards, as JSON.
    Place(Room, Value),
    /// A picture and what it shows, as JSON.
    Picture {
        /// Its number.
        id: i64,
        /// Where it is.
        room: Room,
        /// As `bot::picture` writes it.
        shown: Value,
        /// The language of its words.
        language: String,
    },
    /// Somebody wants to be let in.
    Requested(Request),
    /// The administrators have decided.
    Decided {
        /// Who wanted to be let in.
        chat: i64,
        /// What they said.
        approved: bool,
    },
    /// Somebody whose language and name are known now.
    Seen(super::update::Person),
    /// The one-time code was used.
    Paired,
    /// Nothing waits for this chat any more.
    Silence(i64),
    /// Everything about a chat goes by another id.
    Migrated {
        /// From this one.
        old: i64,
        /// To this one.
        new: i64,
    },
    /// A chat is forgotten.
    Forgotten(i64),
}

/// Somebody's wish to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who: a person's private chat or a group.
    pub room: Room,
    /// A name for people.
    pub title: String,
    /// Who asks; unknown for a channel and an anonymous administrator.
    pub person: Option<i64>,
    /// The language of those who asked.
    pub language: String,
    /// It was turned down.
    pub denied: bool,
}

/// Everything that handling an update leads to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// In the order in which they are to be made.
    pub calls: Vec<Outgoing>,
    /// In order.
    pub changes: Vec<Change>,
}

impl Effects {
    /// Adds a message, in as many parts as it takes.
    pub fn say(&mut self, reply: Reply) {
        self.calls.extend(reply.calls());
    }

    /// Answers the press of a button; an empty text shows nothing.
    pub fn answer(&mut self, chat: i64, query: &str, text: &str) {
        // The API takes 200 characters.
        let text: String = text.chars().take(200).collect();
        self.calls.push(Outgoing {
            chat,
            method: "answerCallbackQuery",
            parameters: json!({"callback_query_id": query, "text": text}),
            slot: None,
            request: None,
            picture: None,
        });
    }
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Reply {
    room: Room,
    html: String,
    answers: Option<i64>,
    keyboard: Option<Value>,
    slot: Option<String>,
    request: Option<i64>,
}

impl Reply {
    /// Of Telegram's HTML, to a chat and topic.
    pub fn new(room: Room, html: String) -> Self {
        Reply { room, html, answers: None, keyboard: None, slot: None, request: None }
    }

    /// An answer: in a group it refers to the message, so that everybody sees who is meant.
    pub fn to(message: &Message, html: String) -> Self {
        let answers = (message.chat.kind == super::update::Kind::Group).then_some(message.id);
        Reply { answers, ..Reply::new(message.room(), html) }
    }

    /// With keys in place of the letters. Channels have none.
    pub fn keys(mut self, rows: &[Vec<String>]) -> Self {
        // In a group only the one who is answered sees them.
        self.keyboard = Some(if rows.is_empty() {
            json!({"remove_keyboard": true, "selective": self.answers.is_some()})
        } else {
            json!({"keyboard": rows, "resize_keyboard": true, "selective": self.answers.is_some()})
        });
        // Of two screens of one person only the last is of use; in a group they are of several people.
        self.slot = self.answers.is_none().then(|| format!("screen {}", self.room.thread.unwrap_or(0)));
        self
    }

    /// While it waits, a later one with the same slot takes its place.
    pub fn slot(mut self, slot: &str) -> Self {
        self.slot = Some(slot.to_owned());
        self
    }

    /// With buttons under it.
    pub fn buttons(mut self, keyboard: Value) -> Self {
        self.keyboard = Some(keyboard);
        self
    }

    /// It puts the request of this chat to an administrator.
    pub fn request(mut self, chat: i64) -> Self {
        self.request = Some(chat);
        self
    }

    fn calls(self) -> Vec<Outgoing> {
        let parts =
            if markup::fits(&self.html, MESSAGE) { vec![self.html] } else { markup::split(&self.html, MESSAGE) };
        let last = parts.len().saturating_sub(1);
        let whole = last == 0;
        let call = |(n, part): (usize, String)| {
            let mut parameters = json!({"chat_id": self.room.chat, "text": part, "parse_mode": "HTML",
                "link_preview_options": {"is_disabled": true}});
            if let Some(thread) = self.room.thread {
                parameters["message_thread_id"] = thread.into();
            }
            if let Some(message) = self.answers {
                parameters["reply_parameters"] = json!({"message_id": message, "allow_sending_without_reply": true});
            }
            if let Some(keyboard) = self.keyboard.as_ref().filter(|_| n == last) {
                parameters["reply_markup"] = keyboard.clone();
            }
            Outgoing {
                chat: self.room.chat,
                method: "sendMessage",
                parameters,
                slot: self.slot.clone().filter(|_| whole),
                request: self.request,
                picture: None,
            }
        };
        parts.into_iter().enumerate().map(call).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Room = Room { chat: -1001, thread: Some(7) };

    #[test]
    fn a_long_reply_goes_in_parts_with_its_keys_at_the_end() {
        let mut effects = Effects::default();
        effects.say(Reply::new(TOPIC, "word ".repeat(2000)).keys(&[vec!["a".to_owned()]]));
        assert!(effects.calls.len() > 2);
        let (last, first) = effects.calls.split_last().unwrap();
        assert!(last.parameters["reply_markup"]["keyboard"].is_array());
        assert!(first.iter().all(|call| call.parameters.get("reply_markup").is_none()));
        assert!(effects.calls.iter().all(|call| call.slot.is_none() && call.parameters["message_thread_id"] == 7));
    }

    #[test]
    fn an_answer_to_a_press_fits() {
        let mut effects = Effects::default();
        effects.answer(1, "q", &"ж".repeat(300));
        assert_eq!(effects.calls[0].parameters["text"].as_str().unwrap().chars().count(), 200);
    }
}
