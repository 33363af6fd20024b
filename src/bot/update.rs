//! Updates of the Bot API, as far as the bot acts on them; everything else is [`Event::Nothing`].
//!
//! Only the fields that are used are read, all of them optional: other servers leave some out or send integers as text.
//! What is read here is also the form in which an update waits on disk, so it is small whatever a server sends.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Characters of a text that are kept: Telegram lets people write 4096.
const LONGEST_TEXT: usize = 4096;

/// Characters of a name or title that are kept: Telegram allows 255 for titles, 64 for each name.
const LONGEST_NAME: usize = 255;

/// Who writes in the name of a group, when an administrator of it is anonymous (tdlib, UserManager.cpp).
const ANONYMOUS_ADMIN: i64 = 1_087_968_824;

/// A chat, or one topic of a forum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Room {
    /// The chat's id.
    pub chat: i64,
    /// The topic; none for General and for chats without topics.
    pub thread: Option<i64>,
}

/// What kind of chat it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Of one person with the bot.
    #[default]
    Private,
    /// A group of either kind.
    Group,
    /// Posts without an author.
    Channel,
}

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Also the id of the private chat.
    pub id: i64,
    /// As Telegram shows it.
    pub name: String,
    /// Without the `@`.
    pub username: Option<String>,
    /// IETF tag of the person's client.
    pub language: Option<String>,
}

/// The chat in which it happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// The id.
    pub id: i64,
    /// Its kind.
    pub kind: Kind,
    /// A group's title, a person's name.
    pub title: String,
}

/// A message with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where.
    pub chat: Chat,
    /// The topic.
    pub thread: Option<i64>,
    /// Its id, for answers.
    pub id: i64,
    /// Who wrote it: nobody in a channel, and nobody for an anonymous administrator.
    pub from: Option<Person>,
    /// What was written.
    pub text: String,
    /// It was written by somebody else, or for somebody else.
    pub forwarded: bool,
    /// It answers a message of this user.
    pub answers: Option<i64>,
}

/// A press of a button under a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press {
    /// For the answer.
    pub query: String,
    /// Who pressed.
    pub from: Person,
    /// Where; unknown when the message is too old.
    pub chat: Option<Chat>,
    /// The topic.
    pub thread: Option<i64>,
    /// The message with the button.
    pub message: Option<i64>,
    /// What the button holds, or what a client made up.
    pub data: String,
}

/// What the bot is in a chat from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Where.
    pub chat: Chat,
    /// Who changed it.
    pub from: Person,
    /// The bot can write there.
    pub member: bool,
    /// It could before.
    pub was_member: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Somebody wrote.
    Message(Message),
    /// Somebody pressed a button.
    Press(Press),
    /// The bot was let in, thrown out, blocked, unblocked.
    Membership(Membership),
    /// A group has a new id.
    Migration {
        /// The id that is refused from now on.
        old: i64,
        /// The id in its place.
        new: i64,
    },
    /// None of the bot's business.
    Nothing,
}

/// An update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Unique among the updates of two days.
    pub id: i64,
    /// What it tells.
    pub event: Event,
}

impl Update {
    /// Reads an update; nothing when it has no id.
    pub fn read(update: &Value) -> Option<Update> {
        let id = integer(&update["update_id"])?;
        let event = if let Some(message) = update.get("message").or_else(|| update.get("channel_post")) {
            read_message(message)
        } else if let Some(press) = update.get("callback_query") {
            read_press(press)
        } else if let Some(membership) = update.get("my_chat_member") {
            read_membership(membership)
        } else {
            None
        };
        Some(Update { id, event: event.unwrap_or(Event::Nothing) })
    }

    /// Where it happened, as far as that matters for the order in which updates are handled.
    pub fn room(&self) -> Option<Room> {
        match &self.event {
            Event::Message(message) => Some(message.room()),
            Event::Press(press) => {
                let chat = press.chat.as_ref().map_or(press.from.id, |chat| chat.id);
                Some(Room { chat, thread: press.thread })
            }
            Event::Membership(membership) => Some(Room { chat: membership.chat.id, thread: None }),
            Event::Migration { old, .. } => Some(Room { chat: *old, thread: None }),
            Event::Nothing => None,
        }
    }
}

impl Message {
    /// The chat and topic.
    pub fn room(&self) -> Room {
        Room { chat: self.chat.id, thread: self.thread }
    }
}

/// The stand-ins of others send some integers as text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn short(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn name(value: &Value) -> String {
    let part = |name: &str| value[name].as_str().unwrap_or_default().trim();
    let name = match part("title") {
        "" => format!("{} {}", part("first_name"), part("last_name")),
        title => title.to_owned(),
    };
    short(name.trim(), LONGEST_NAME)
}

fn read_chat(value: &Value) -> Option<Chat> {
    let id = integer(&value["id"])?;
    let kind = match value["type"].as_str() {
        Some("channel") => Kind::Channel,
        Some("group" | "supergroup") => Kind::Group,
        Some(_) => Kind::Private,
        None if id < 0 => Kind::Group,
        None => Kind::Private,
    };
    Some(Chat { id, kind, title: name(value) })
}

fn read_person(value: &Value) -> Option<Person> {
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(|text| short(text, 64));
    Some(Person {
        id: integer(&value["id"])?,
        name: name(value),
        username: text("username"),
        language: text("language_code"),
    })
}

fn read_message(message: &Value) -> Option<Event> {
    let chat = read_chat(&message["chat"])?;
    // Only groups have another id one day, which is below zero as well; nobody's own chat becomes one.
    let is_group = |id: &i64| chat.kind == Kind::Group && *id < 0;
    if let Some(new) = message.get("migrate_to_chat_id").and_then(integer).filter(is_group) {
        return Some(Event::Migration { old: chat.id, new });
    }
    if let Some(old) = message.get("migrate_from_chat_id").and_then(integer).filter(is_group) {
        return Some(Event::Migration { old, new: chat.id });
    }
    let as_chat = integer(&message["sender_chat"]["id"]);
    let by_bot = message["from"]["is_bot"] == true;
    let from = read_person(&message["from"]);
    let from = match as_chat {
        // An anonymous administrator speaks for the group, a channel for itself; a foreign channel that writes in a
        // group is a stranger whom nobody knows.
        Some(id) if id == chat.id => None,
        Some(_) => return None,
        None if from.as_ref().is_some_and(|from| from.id == ANONYMOUS_ADMIN) => None,
        None if by_bot => return None,
        None => from,
    };
    if from.is_none() && chat.kind == Kind::Private {
        return None;
    }
    Some(Event::Message(Message {
        id: integer(&message["message_id"]).unwrap_or(0),
        thread: read_thread(message),
        text: short(message["text"].as_str()?, LONGEST_TEXT),
        forwarded: ["forward_origin", "forward_date", "forward_from", "is_automatic_forward", "via_bot"]
            .iter()
            .any(|field| message.get(field).is_some_and(|value| !value.is_null())),
        answers: integer(&message["reply_to_message"]["from"]["id"]),
        chat,
        from,
    }))
}

/// A thread of answers in a group without topics has a `message_thread_id` as well.
fn read_thread(message: &Value) -> Option<i64> {
    (message["is_topic_message"] == true)
        .then(|| integer(&message["message_thread_id"]))
        .flatten()
        .filter(|id| *id != 1)
}

fn read_press(press: &Value) -> Option<Event> {
    let message = &press["message"];
    Some(Event::Press(Press {
        query: press["id"].as_str().map(str::to_owned).or_else(|| integer(&press["id"]).map(|id| id.to_string()))?,
        from: read_person(&press["from"])?,
        chat: read_chat(&message["chat"]),
        thread: read_thread(message),
        message: integer(&message["message_id"]),
        // Telegram allows 64 bytes; anything longer was not made by us.
        data: press["data"].as_str().filter(|data| data.len() <= 64).unwrap_or_default().to_owned(),
    }))
}

fn read_membership(update: &Value) -> Option<Event> {
    let is_member = |member: &Value| match member["status"].as_str() {
        Some("creator" | "administrator" | "member") => true,
        Some("restricted") => member["is_member"] == true && member["can_send_messages"] != false,
        _ => false,
    };
    Some(Event::Membership(Membership {
        chat: read_chat(&update["chat"])?,
        from: read_person(&update["from"])?,
        member: is_member(&update["new_chat_member"]),
        was_member: is_member(&update["old_chat_member"]),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(update: Value) -> Event {
        Update::read(&update).unwrap().event
    }

    fn message(fields: Value) -> Event {
        let mut message = json!({"message_id": 5, "date": 1, "text": "hi", "chat": {"id": -1001, "type": "supergroup", "title": "Ops"},
            "from": {"id": 7, "is_bot": false, "first_name": "Ann", "language_code": "ru"}});
        for (name, value) in fields.as_object().unwrap() {
            message[name] = value.clone();
        }
        event(json!({"update_id": 1, "message": message}))
    }

    #[test]
    fn a_message_in_a_topic() {
        let Event::Message(message) = message(json!({"message_thread_id": 9, "is_topic_message": true})) else {
            panic!()
        };
        assert_eq!(message.room(), Room { chat: -1001, thread: Some(9) });
        assert_eq!(message.chat.title, "Ops");
        assert_eq!(message.from.unwrap().language.as_deref(), Some("ru"));
        assert!(!message.forwarded);
    }

    #[test]
    fn a_thread_of_answers_and_general_are_no_topics() {
        for fields in [json!({"message_thread_id": 9}), json!({"message_thread_id": 1, "is_topic_message": true})] {
            let Event::Message(message) = message(fields) else { panic!() };
            assert_eq!(message.thread, None);
        }
    }

    #[test]
    fn who_speaks() {
        let speaker = |fields| match message(fields) {
            Event::Message(message) => Some(message.from.map(|from| from.id)),
            _ => None,
        };
        let bot = |id: i64| json!({"id": id, "is_bot": true, "first_name": "Group"});
        assert_eq!(speaker(json!({})), Some(Some(7)));
        assert_eq!(
            speaker(json!({"from": bot(ANONYMOUS_ADMIN), "sender_chat": {"id": -1001, "type": "supergroup"}})),
            Some(None)
        );
        assert_eq!(speaker(json!({"from": bot(136_817_688), "sender_chat": {"id": -1002, "type": "channel"}})), None);
        assert_eq!(speaker(json!({"from": bot(8)})), None, "bots do not command bots");
    }

    #[test]
    fn a_channel_post_has_no_author() {
        let post = json!({"message_id": 5, "date": 1, "text": "/list", "chat": {"id": -1003, "type": "channel", "title": "News"},
            "sender_chat": {"id": -1003, "type": "channel", "title": "News"}});
        let Event::Message(message) = event(json!({"update_id": 1, "channel_post": post})) else { panic!() };
        assert_eq!((message.chat.kind, message.from), (Kind::Channel, None));
    }

    #[test]
    fn forwarded_and_edited() {
        let Event::Message(forwarded) = message(json!({"forward_origin": {"type": "hidden_user"}})) else { panic!() };
        assert!(forwarded.forwarded);
        assert_eq!(event(json!({"update_id": 1, "edited_message": {"text": "/stop"}})), Event::Nothing);
    }

    #[test]
    fn migration_and_membership() {
        assert_eq!(message(json!({"migrate_to_chat_id": -1009})), Event::Migration { old: -1001, new: -1009 });
        assert_eq!(message(json!({"migrate_from_chat_id": -5})), Event::Migration { old: -5, new: -1001 });
        let member = |old: &str, new: &str| {
            let update = json!({"chat": {"id": 7, "type": "private", "first_name": "Ann"}, "from": {"id": 7, "first_name": "Ann"},
                "old_chat_member": {"status": old}, "new_chat_member": {"status": new}});
            match event(json!({"update_id": 1, "my_chat_member": update})) {
                Event::Membership(membership) => (membership.was_member, membership.member),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(member("member", "kicked"), (true, false));
        assert_eq!(member("left", "administrator"), (false, true));
    }

    #[test]
    fn garbage_is_nothing_and_long_texts_are_cut() {
        assert!(Update::read(&json!({"message": {}})).is_none());
        assert_eq!(event(json!({"update_id": "7", "message": {"chat": 3, "text": []}})), Event::Nothing);
        assert_eq!(event(json!({"update_id": 7, "poll": {}})), Event::Nothing);
        let Event::Message(long) = message(json!({"text": "ж".repeat(5_000_000)})) else { panic!() };
        assert_eq!(long.text.chars().count(), LONGEST_TEXT);
        let press = json!({"id": "1", "from": {"id": 7, "first_name": "A"}, "data": "x".repeat(65)});
        let Event::Press(press) = event(json!({"update_id": 1, "callback_query": press})) else { panic!() };
        assert_eq!((press.data.as_str(), press.chat), ("", None));
    }
}
