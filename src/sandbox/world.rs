//! The world that a bot sees: users, chats, and what was said in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde::Deserialize;
use serde_json::{Value, json};

use super::message::Message;

/// What kind of chat it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    Private,
    Group,
    Supergroup,
    Channel,
}

impl ChatKind {
    /// What an id alone says (the id ranges of the Bot API).
    pub fn of(id: i64) -> ChatKind {
        match id {
            1.. => ChatKind::Private,
            -999_999_999_999..=0 => ChatKind::Group,
            _ => ChatKind::Supergroup,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            ChatKind::Private => "private",
            ChatKind::Group => "group",
            ChatKind::Supergroup => "supergroup",
            ChatKind::Channel => "channel",
        }
    }
}

/// A chat as `--world` and `POST /chat` give it. A field that is not given keeps its value.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatSpec {
    pub id: i64,
    #[serde(rename = "type")]
    pub kind: Option<ChatKind>,
    pub title: Option<String>,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub is_forum: Option<bool>,
    /// Topics by id.
    pub threads: Option<BTreeMap<i64, String>>,
    pub closed_threads: Option<BTreeSet<i64>>,
    /// Status of users by id.
    pub members: Option<BTreeMap<i64, String>>,
    /// `member`, `administrator`, `restricted`, `left`, `kicked`, `blocked`, `deleted`
    pub bot: Option<String>,
    /// `active`, `deactivated`, `never_started`
    pub user: Option<String>,
    pub migrated_to: Option<i64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    pub id: i64,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub username: Option<String>,
    pub language_code: Option<String>,
}

/// `--world`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorldSpec {
    pub chats: Vec<ChatSpec>,
    pub users: Vec<UserSpec>,
}

#[derive(Clone, Debug)]
pub struct Chat {
    pub id: i64,
    pub kind: ChatKind,
    pub title: String,
    pub username: Option<String>,
    pub is_forum: bool,
    pub threads: BTreeMap<i64, String>,
    pub closed_threads: BTreeSet<i64>,
    pub members: BTreeMap<i64, String>,
    pub bot: String,
    pub user: String,
    pub migrated_to: Option<i64>,
    /// The reply keyboard that is shown, as sent.
    pub keyboard: Option<Value>,
    /// The message that brought it.
    pub keyboard_message: Option<i64>,
    /// By rising id.
    pub messages: VecDeque<Message>,
    /// Messages of bots, over all time.
    pub delivered: u64,
    /// The state of the page when something changed here.
    pub version: u64,
    /// What bots have said since a person said something: an equal answer to an equal question is none too many.
    pub texts: HashSet<u64>,
    pub last_mark: u64,
    last_id: i64,
}

impl Chat {
    fn new(id: i64, kind: ChatKind, title: String) -> Chat {
        Chat {
            id,
            kind,
            title,
            username: None,
            is_forum: false,
            threads: BTreeMap::new(),
            closed_threads: BTreeSet::new(),
            members: BTreeMap::new(),
            bot: "member".to_owned(),
            user: "active".to_owned(),
            migrated_to: None,
            keyboard: None,
            keyboard_message: None,
            messages: VecDeque::new(),
            delivered: 0,
            version: 0,
            texts: HashSet::new(),
            last_mark: 0,
            last_id: 0,
        }
    }

    fn apply(&mut self, spec: ChatSpec) {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut self.kind, spec.kind);
        set(&mut self.title, spec.title.or(spec.first_name));
        set(&mut self.username, spec.username.map(Some));
        set(&mut self.is_forum, spec.is_forum);
        set(&mut self.threads, spec.threads);
        set(&mut self.closed_threads, spec.closed_threads);
        set(&mut self.members, spec.members);
        set(&mut self.bot, spec.bot);
        set(&mut self.user, spec.user);
        set(&mut self.migrated_to, spec.migrated_to.map(Some));
    }

    pub fn is_private(&self) -> bool {
        self.kind == ChatKind::Private
    }

    pub fn message(&self, id: i64) -> Option<&Message> {
        self.messages.binary_search_by_key(&id, |message| message.id).ok().map(|at| &self.messages[at])
    }

    pub fn message_mut(&mut self, id: i64) -> Option<&mut Message> {
        self.messages.binary_search_by_key(&id, |message| message.id).ok().map(|at| &mut self.messages[at])
    }

    /// A chat as it stands in messages.
    pub fn to_json(&self) -> Value {
        let mut chat = json!({"id": self.id, "type": self.kind.name()});
        chat[if self.is_private() { "first_name" } else { "title" }] = self.title.clone().into();
        if let Some(username) = &self.username {
            chat["username"] = username.clone().into();
        }
        if self.is_forum {
            chat["is_forum"] = true.into();
        }
        if self.kind == ChatKind::Group {
            chat["all_members_are_administrators"] = false.into();
        }
        chat
    }
}

/// Users, chats and messages.
#[derive(Debug)]
pub struct World {
    pub chats: BTreeMap<i64, Chat>,
    pub users: HashMap<i64, UserSpec>,
    /// Chats that are not declared do not exist.
    pub strict: bool,
    /// Rises with every change, for the page.
    pub version: u64,
    order: VecDeque<i64>,
    most: usize,
    last_id: i64,
}

impl World {
    /// At most `most` messages are kept.
    pub fn new(spec: WorldSpec, strict: bool, most: usize) -> World {
        let mut world = World {
            chats: BTreeMap::new(),
            users: spec.users.into_iter().map(|user| (user.id, user)).collect(),
            strict,
            version: 0,
            order: VecDeque::new(),
            most,
            last_id: 0,
        };
        for chat in spec.chats {
            world.declare(chat);
        }
        world
    }

    /// Makes a chat or changes one.
    pub fn declare(&mut self, spec: ChatSpec) -> &mut Chat {
        let id = spec.id;
        let kind = spec.kind.unwrap_or(ChatKind::of(id));
        let chat = self.open(id, kind);
        chat.apply(spec);
        self.touch(id);
        self.open(id, kind)
    }

    fn open(&mut self, id: i64, kind: ChatKind) -> &mut Chat {
        let title = || match kind {
            ChatKind::Private => self.users.get(&id).map_or_else(|| format!("User {id}"), UserSpec::name),
            _ => format!("{} {id}", if kind == ChatKind::Channel { "Channel" } else { "Group" }),
        };
        self.chats.entry(id).or_insert_with(|| Chat::new(id, kind, title()))
    }

    /// The chat that `chat_id` names; made at once unless the world is strict.
    pub fn find(&mut self, chat_id: &str) -> Option<i64> {
        if let Some(name) = chat_id.strip_prefix('@') {
            let same = |chat: &&Chat| chat.username.as_deref().is_some_and(|other| other.eq_ignore_ascii_case(name));
            if let Some(chat) = self.chats.values().find(same) {
                return Some(chat.id);
            }
            if self.strict || name.is_empty() {
                return None;
            }
            let id = -1_009_000_000_000 - self.chats.len() as i64;
            let (title, username) = (Some(name.to_owned()), Some(name.to_owned()));
            self.declare(ChatSpec { id, kind: Some(ChatKind::Channel), title, username, ..ChatSpec::default() });
            return Some(id);
        }
        let id: i64 = chat_id.parse().ok().filter(|id| *id != 0)?;
        if !self.chats.contains_key(&id) {
            if self.strict {
                return None;
            }
            self.declare(ChatSpec { id, ..ChatSpec::default() });
        }
        Some(id)
    }

    /// Says that something changed in a chat.
    pub fn touch(&mut self, chat: i64) -> u64 {
        self.version += 1;
        if let Some(chat) = self.chats.get_mut(&chat) {
            chat.version = self.version;
        }
        self.version
    }

    /// After a reset all is new to a page that has seen `version`.
    pub fn start_over_at(&mut self, version: u64) {
        self.version += version;
        for chat in self.chats.values_mut() {
            chat.version = self.version;
        }
    }

    /// Adds a message to a chat that exists and returns its id. Supergroups and channels count for themselves.
    pub fn add(&mut self, chat_id: i64, mut message: Message) -> i64 {
        let version = self.touch(chat_id);
        let Some(chat) = self.chats.get_mut(&chat_id) else { return 0 };
        let own = matches!(chat.kind, ChatKind::Supergroup | ChatKind::Channel);
        let last = if own { &mut chat.last_id } else { &mut self.last_id };
        *last += 1;
        message.id = *last;
        message.version = version;
        let id = message.id;
        chat.messages.push_back(message);
        self.order.push_back(chat_id);
        while self.order.len() > self.most {
            let oldest = self.order.pop_front();
            if let Some(chat) = oldest.and_then(|id| self.chats.get_mut(&id)) {
                chat.messages.pop_front();
            }
        }
        id
    }

    /// A user as it stands in messages.
    pub fn user_json(&self, id: i64) -> Value {
        // Anonymous administrators write as this user (TDLib UserManager.cpp).
        if id == 1_087_968_824 {
            return json!({"id": id, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"});
        }
        let Some(user) = self.users.get(&id) else {
            return json!({"id": id, "is_bot": false, "first_name": format!("User {id}")});
        };
        let first_name = user.first_name.clone().unwrap_or_else(|| format!("User {id}"));
        let mut json = json!({"id": id, "is_bot": false, "first_name": first_name});
        let optional =
            [("last_name", &user.last_name), ("username", &user.username), ("language_code", &user.language_code)];
        for (name, value) in optional {
            if let Some(value) = value {
                json[name] = value.clone().into();
            }
        }
        json
    }

    /// The status of a user in a chat.
    pub fn status(&self, chat: i64, user: i64) -> &str {
        let Some(chat) = self.chats.get(&chat) else { return "left" };
        let default = if chat.is_private() && user != chat.id { "left" } else { "member" };
        chat.members.get(&user).map_or(default, String::as_str)
    }
}

impl UserSpec {
    fn name(&self) -> String {
        self.first_name.clone().unwrap_or_else(|| format!("User {}", self.id))
    }
}
