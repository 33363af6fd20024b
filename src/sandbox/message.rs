//! A message, and how the Bot API shows it.

use serde_json::{Map, Value, json};

use super::files::{Files, Picture};
use super::markup::{Entity, Fixed, Kind};
use super::world::{Chat, World};

/// Who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// The bot with this id.
    Bot(i64),
    User(i64),
    /// In the name of a chat (anonymous administrators, channels).
    Chat(i64),
}

/// What a message shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(Fixed),
    /// The file, and the caption.
    Photo(Picture, Fixed),
    Document(u64, Fixed),
    /// Fields of a service message (`migrate_to_chat_id`).
    Service(Map<String, Value>),
}

impl Content {
    /// Text or caption.
    pub fn text(&self) -> Option<&Fixed> {
        match self {
            Content::Text(text) | Content::Photo(_, text) | Content::Document(_, text) => Some(text),
            Content::Service(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub id: i64,
    pub date: i64,
    pub edited: Option<i64>,
    pub author: Author,
    pub thread: Option<i64>,
    pub reply_to: Option<i64>,
    pub content: Content,
    /// The rows of the inline keyboard.
    pub inline: Option<Box<Value>>,
    pub silent: bool,
    pub deleted: bool,
    /// The state of the page when it was last changed.
    pub version: u64,
}

impl Message {
    pub fn new(author: Author, date: i64, content: Content) -> Message {
        Message {
            id: 0,
            date,
            edited: None,
            author,
            thread: None,
            reply_to: None,
            content,
            inline: None,
            silent: false,
            deleted: false,
            version: 0,
        }
    }

    /// As the Bot API shows it (SPEC Message).
    pub fn to_json(&self, world: &World, files: &Files, chat: &Chat) -> Value {
        let mut json = self.bare_json(world, files, chat);
        if let Some(original) = self.reply_to.and_then(|id| chat.message(id)).filter(|original| !original.deleted) {
            json["reply_to_message"] = original.bare_json(world, files, chat);
        }
        json
    }

    fn bare_json(&self, world: &World, files: &Files, chat: &Chat) -> Value {
        let mut json = json!({"message_id": self.id, "date": self.date, "chat": chat.to_json()});
        match &self.author {
            Author::Bot(_) if chat.kind == super::world::ChatKind::Channel => {
                json["sender_chat"] = chat.to_json();
            }
            Author::Bot(id) => json["from"] = bot_json(*id),
            Author::User(id) => json["from"] = world.user_json(*id),
            Author::Chat(id) => {
                json["from"] = world.user_json(1_087_968_824);
                json["sender_chat"] = world.chats.get(id).unwrap_or(chat).to_json();
            }
        }
        if let Some(thread) = self.thread {
            json["message_thread_id"] = thread.into();
            json["is_topic_message"] = true.into();
        }
        if let Some(edited) = self.edited {
            json["edit_date"] = edited.into();
        }
        if let Some(rows) = &self.inline {
            json["reply_markup"] = json!({"inline_keyboard": rows});
        }
        self.add_content(&mut json, world, files);
        json
    }

    fn add_content(&self, json: &mut Value, world: &World, files: &Files) {
        match &self.content {
            Content::Text(text) => {
                json["text"] = text.text.clone().into();
                add_entities(json, "entities", text, world);
            }
            Content::Photo(picture, caption) => {
                json["photo"] = files.photo_json(picture);
                add_caption(json, caption, world);
            }
            Content::Document(file, caption) => {
                json["document"] = files.document_json(*file);
                add_caption(json, caption, world);
            }
            Content::Service(fields) => {
                for (name, value) in fields {
                    json[name] = value.clone();
                }
            }
        }
    }

    /// What a person sees, for tests and for the page.
    pub fn view(&self, world: &World, files: &Files, chat: &Chat) -> Value {
        let mut view = self.to_json(world, files, chat);
        view["edited"] = self.edited.is_some().into();
        view["silent"] = self.silent.into();
        view["deleted"] = self.deleted.into();
        view["own"] = matches!(self.author, Author::Bot(_)).into();
        view["version"] = self.version.into();
        view
    }
}

/// The bot as it stands in messages; getMe adds to it.
pub fn bot_json(id: i64) -> Value {
    json!({"id": id, "is_bot": true, "first_name": "Sandbox bot", "username": bot_username(id)})
}

pub fn bot_username(id: i64) -> String {
    format!("sandbox_{id}_bot")
}

fn add_caption(json: &mut Value, caption: &Fixed, world: &World) {
    if !caption.text.is_empty() {
        json["caption"] = caption.text.clone().into();
        add_entities(json, "caption_entities", caption, world);
    }
}

fn add_entities(json: &mut Value, name: &str, text: &Fixed, world: &World) {
    if !text.entities.is_empty() {
        json[name] = text.entities.iter().map(|entity| entity_json(entity, world)).collect();
    }
}

/// SPEC MessageEntity
pub fn entity_json(entity: &Entity, world: &World) -> Value {
    let mut json = json!({"type": entity.name(), "offset": entity.offset, "length": entity.length});
    match &entity.kind {
        Kind::PreCode(language) => json["language"] = language.clone().into(),
        Kind::TextLink(url) => json["url"] = url.clone().into(),
        Kind::TextMention(user) => json["user"] = world.user_json(*user),
        Kind::CustomEmoji(id) => json["custom_emoji_id"] = id.to_string().into(),
        Kind::DateTime(unix, _) => json["unix_time"] = (*unix).into(),
        _ => {}
    }
    json
}
