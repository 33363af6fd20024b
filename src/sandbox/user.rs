//! What people do in a chat: write, press a button, tap a key, block the bot, move a group.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::State;
use super::api::chat::member_json;
use super::api::edit::Query;
use super::keyboard;
use super::markup::{self, Fixed};
use super::message::{Author, Content, Message, bot_json};
use super::world::{ChatKind, ChatSpec};

/// `POST /say`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    pub chat: i64,
    /// In a private chat the one person there is meant.
    pub from: Option<i64>,
    pub text: String,
    pub thread: Option<i64>,
    pub reply_to: Option<i64>,
    pub sender_chat: Option<i64>,
}

/// `POST /press`: the button with this `data`, or in this place.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Press {
    pub chat: i64,
    pub message_id: i64,
    pub data: Option<String>,
    pub row: Option<usize>,
    pub col: Option<usize>,
    pub from: Option<i64>,
}

/// `POST /tap`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tap {
    pub chat: i64,
    pub text: String,
    pub from: Option<i64>,
    pub thread: Option<i64>,
}

/// Why somebody cannot do that: status and reason.
pub type Cannot = (u16, String);

fn no(reason: impl Into<String>) -> Cannot {
    (404, reason.into())
}

impl State {
    /// A message of a user; every bot hears it.
    pub fn say(&mut self, say: Say, wall_ms: i64) -> Result<Value, Cannot> {
        let chat = self.known(say.chat)?;
        let from = say.from.unwrap_or(if chat > 0 { chat } else { 1 });
        let author = say.sender_chat.map_or(Author::User(from), Author::Chat);
        let text = Fixed { text: say.text, entities: Vec::new() };
        let mut message = Message::new(author, wall_ms / 1000, Content::Text(markup::found(text)));
        message.thread = say.thread;
        message.reply_to = say.reply_to;
        if let Some(chat) = self.world.chats.get_mut(&chat) {
            chat.texts.clear();
            // Who writes to a bot has started it.
            if chat.is_private() {
                chat.user = "active".to_owned();
            }
        }
        let id = self.world.add(chat, message);
        let update = self.tell_message(chat, id, wall_ms);
        Ok(json!({"update_id": update, "message_id": id}))
    }

    fn known(&mut self, chat: i64) -> Result<i64, Cannot> {
        self.world.find(&chat.to_string()).ok_or_else(|| no(format!("there is no chat {chat}")))
    }

    fn tell_message(&mut self, chat: i64, id: i64, wall_ms: i64) -> Option<i64> {
        let chat = self.world.chats.get(&chat)?;
        let json = chat.message(id)?.to_json(&self.world, &self.files, chat);
        let kind = if chat.kind == ChatKind::Channel { "channel_post" } else { "message" };
        self.bots.push(None, kind, &json, wall_ms)
    }

    /// A press of an inline button; the bot that sent the message hears it.
    pub fn press(&mut self, press: &Press, wall_ms: i64) -> Result<Value, Cannot> {
        let chat = self.world.chats.get(&press.chat).ok_or_else(|| no("there is no such chat"))?;
        let message = chat.message(press.message_id).filter(|message| !message.deleted);
        let message = message.ok_or_else(|| no("there is no such message"))?;
        let rows = message.inline.as_deref().ok_or_else(|| no("the message has no buttons"))?;
        let button = keyboard::buttons(rows).find(|(row, col, button)| match &press.data {
            Some(data) => button["callback_data"] == data.as_str(),
            None => press.row == Some(*row) && press.col == Some(*col),
        });
        let Some((_, _, button)) = button else { return Err(no("there is no such button on that message")) };
        let Some(data) = button["callback_data"].as_str() else { return Err(no("the button is a link")) };
        let from = press.from.unwrap_or(if chat.id > 0 { chat.id } else { 1 });
        let bot = match message.author {
            Author::Bot(id) => Some(id),
            _ => None,
        };
        let id = (self.chance.next() >> 1).to_string();
        let update = json!({
            "id": id, "from": self.world.user_json(from), "chat_instance": format!("{}", chat.id.unsigned_abs() * 31),
            "message": message.to_json(&self.world, &self.files, chat), "data": data
        });
        self.queries.push(Query { id: id.clone(), chat: press.chat, at_ms: wall_ms, answer: None });
        let update_id = self.bots.push(bot, "callback_query", &update, wall_ms);
        Ok(json!({"update_id": update_id, "callback_query_id": id}))
    }

    /// A tap on a key of the reply keyboard: its text as a message.
    pub fn tap(&mut self, tap: Tap, wall_ms: i64) -> Result<Value, Cannot> {
        let chat = self.world.chats.get_mut(&tap.chat).ok_or_else(|| no("there is no such chat"))?;
        let keyboard = chat.keyboard.as_ref().ok_or_else(|| no("the chat shows no keyboard"))?;
        if !keyboard::buttons(&keyboard["keyboard"]).any(|(_, _, button)| button["text"] == tap.text.as_str()) {
            return Err(no("there is no such button on the keyboard"));
        }
        if keyboard["one_time_keyboard"] == true {
            chat.keyboard = None;
        }
        // In a group clients answer the message that brought the keyboard, so that the bot hears of it.
        let reply_to = chat.keyboard_message.filter(|_| !chat.is_private());
        let Tap { chat, text, from, thread } = tap;
        self.say(Say { chat, from, text, thread, reply_to, sender_chat: None }, wall_ms)
    }

    /// Changes what the bot is in a chat, and tells it.
    pub fn set_bot_status(
        &mut self,
        chat: i64,
        status: &str,
        from: Option<i64>,
        wall_ms: i64,
    ) -> Result<Value, Cannot> {
        self.known(chat)?;
        let Some(entry) = self.world.chats.get_mut(&chat) else { return Err(no("there is no such chat")) };
        let old = std::mem::replace(&mut entry.bot, status.to_owned());
        let from = from.unwrap_or(if chat > 0 { chat } else { 1 });
        let bot = bot_json(self.bots.first_id());
        let chat_json = entry.to_json();
        let update = json!({
            "chat": chat_json, "from": self.world.user_json(from), "date": wall_ms / 1000,
            "old_chat_member": member_json(&old, bot.clone()), "new_chat_member": member_json(status, bot)
        });
        if !matches!(status, "left" | "kicked" | "blocked") {
            self.dead.remove(chat.to_string().as_str());
        }
        self.world.touch(chat);
        Ok(json!({"update_id": self.bots.push(None, "my_chat_member", &update, wall_ms)}))
    }

    /// Makes a supergroup of a group: two service messages, and the old id is refused from now on.
    pub fn migrate(&mut self, from: &str, to: i64, wall_ms: i64) -> Option<()> {
        let from = self.world.find(from)?;
        let title = self.world.chats.get(&from)?.title.clone();
        if self.world.chats.get(&from)?.migrated_to == Some(to) {
            return Some(());
        }
        let kind = Some(ChatKind::Supergroup);
        self.world.declare(ChatSpec { id: to, kind, title: Some(title), ..ChatSpec::default() });
        self.world.chats.get_mut(&from)?.migrated_to = Some(to);
        for (chat, field, other) in [(from, "migrate_to_chat_id", to), (to, "migrate_from_chat_id", from)] {
            let fields = Map::from_iter([(field.to_owned(), other.into())]);
            let message = Message::new(Author::User(1), wall_ms / 1000, Content::Service(fields));
            let id = self.world.add(chat, message);
            self.tell_message(chat, id, wall_ms);
        }
        Some(())
    }
}
