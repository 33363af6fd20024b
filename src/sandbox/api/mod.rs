//! The methods of the Bot API: a call in, a result or the real server's refusal out.

pub mod chat;
pub mod edit;
pub mod media;
mod send;
mod settings;

use serde_json::{Value, json};

use super::State;
use super::limits::Verdict;
use super::params::Params;
use super::violations::Violation;
use super::world::ChatKind;

pub const NOT_MODIFIED: &str = "Bad Request: message is not modified: specified new message content and reply markup \
                                are exactly the same as a current content and reply markup of the message";
pub const QUERY_TOO_OLD: &str = "Bad Request: query is too old and response timeout expired or query ID is invalid";

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: u16,
    pub description: String,
    pub parameters: Option<Value>,
    /// Not a refusal yet: wait this long and call again, the place is kept.
    pub hold_ms: Option<u64>,
}

impl Refusal {
    pub fn new(code: u16, description: impl Into<String>) -> Refusal {
        Refusal { code, description: description.into(), parameters: None, hold_ms: None }
    }

    /// `Bad Request: `, with a small letter behind it unless it is a server's constant (BAPI fail_query_with_error).
    pub fn bad(reason: &str) -> Refusal {
        let constant = reason.as_bytes().get(1).is_some_and(|c| c.is_ascii_uppercase() || *c == b'_');
        let mut reason = reason.to_owned();
        if !constant && let Some(first) = reason.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        Refusal::new(400, format!("Bad Request: {reason}"))
    }

    pub fn forbidden(reason: &str) -> Refusal {
        Refusal::new(403, format!("Forbidden: {reason}"))
    }

    /// 429 (BAPI Client.cpp:60-76).
    pub fn too_many(retry_after: u64) -> Refusal {
        Refusal {
            parameters: Some(json!({"retry_after": retry_after})),
            ..Refusal::new(429, format!("Too Many Requests: retry after {retry_after}"))
        }
    }

    fn migrated(to: i64) -> Refusal {
        Refusal {
            parameters: Some(json!({"migrate_to_chat_id": to})),
            ..Refusal::bad("group chat was upgraded to a supergroup chat")
        }
    }
}

/// Who calls, with what, when.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub token: &'a str,
    /// The bot's id.
    pub bot: i64,
    pub params: &'a Params,
    /// When the request was read whole, for the limits.
    pub steady_ms: u64,
    pub wall_ms: i64,
    /// The limits have let it pass already.
    pub held: bool,
    /// A method that does not exist is no error.
    pub lenient: bool,
}

impl Call<'_> {
    fn unix(&self) -> i64 {
        self.wall_ms / 1000
    }
}

/// Whether a method counts against the limits on sending.
pub fn is_limited(method: &str) -> bool {
    (method.starts_with("send") && method != "sendchataction")
        || ["edit", "copy", "forward"].iter().any(|start| method.starts_with(start))
}

/// Does what `method` (in small letters) says. getUpdates waits and is answered in `poll`.
pub fn answer(state: &mut State, call: &Call, method: &str) -> Result<Value, Refusal> {
    match method {
        "getme" => Ok(settings::me(call.bot)),
        "sendmessage" => send::message(state, call),
        "sendphoto" => send::photo(state, call),
        "senddocument" => send::document(state, call),
        "editmessagetext" => edit::text(state, call),
        "editmessagecaption" => edit::caption(state, call),
        "editmessagemedia" => edit::media(state, call),
        "editmessagereplymarkup" => edit::markup(state, call),
        "deletemessage" => edit::delete(state, call),
        "answercallbackquery" => edit::answer_query(state, call),
        "sendchataction" => chat::action(state, call),
        "getchat" => chat::get(state, call),
        "getchatmember" => chat::member(state, call),
        "getchatadministrators" => chat::administrators(state, call),
        "getchatmembercount" => chat::count(state, call),
        "getfile" => chat::file(state, call),
        "setwebhook" | "deletewebhook" | "getwebhookinfo" => settings::webhook(state, call, method),
        "setmycommands" | "getmycommands" | "deletemycommands" => settings::commands(state, call, method),
        "setmydescription" | "getmydescription" => settings::description(state, call, method, 512),
        "setmyshortdescription" | "getmyshortdescription" => settings::description(state, call, method, 120),
        "setmyname" | "getmyname" => settings::description(state, call, method, 64),
        "logout" | "close" => Ok(true.into()),
        _ if call.lenient => Ok(true.into()),
        _ => Err(Refusal::new(404, "Not Found: method not found")),
    }
}

/// The chat of a call (BAPI check_chat).
fn target(state: &mut State, call: &Call) -> Result<i64, Refusal> {
    let chat_id = call.params.get("chat_id");
    if chat_id.is_empty() {
        return Err(Refusal::bad("chat_id is empty"));
    }
    state.world.find(chat_id).ok_or_else(|| Refusal::bad("chat not found"))
}

/// Whether the bot may write to a chat (BAPI check_chat_access, Client.cpp:8125-8190).
fn writable(state: &State, id: i64) -> Result<(), Refusal> {
    let Some(chat) = state.world.chats.get(&id) else { return Err(Refusal::bad("chat not found")) };
    if let Some(to) = chat.migrated_to {
        return Err(Refusal::migrated(to));
    }
    match (chat.kind, chat.user.as_str()) {
        (ChatKind::Private, "deactivated") => return Err(Refusal::forbidden("user is deactivated")),
        (ChatKind::Private, "never_started") => {
            return Err(Refusal::forbidden("bot can't initiate conversation with a user"));
        }
        _ => {}
    }
    let kind = chat.kind.name();
    match (chat.kind, chat.bot.as_str()) {
        (ChatKind::Private, "blocked" | "kicked") => Err(Refusal::forbidden("bot was blocked by the user")),
        (ChatKind::Private, _) => Ok(()),
        (ChatKind::Group, "deleted") => Err(Refusal::forbidden("the group chat was deleted")),
        (_, "kicked" | "blocked") => Err(Refusal::forbidden(&format!("bot was kicked from the {kind} chat"))),
        (_, "left" | "deleted") => Err(Refusal::forbidden(&format!("bot is not a member of the {kind} chat"))),
        (ChatKind::Channel, "member") => Err(Refusal::bad("need administrator rights in the channel chat")),
        (_, "restricted") => Err(Refusal::bad("not enough rights to send text messages to the chat")),
        _ => Ok(()),
    }
}

/// The last check of all: may it be sent now?
fn within_limits(state: &mut State, call: &Call, chat: i64) -> Result<(), Refusal> {
    if call.held {
        return Ok(());
    }
    let is_group = state.world.chats.get(&chat).is_some_and(|chat| !chat.is_private());
    match state.limits.check(chat, is_group, call.steady_ms, &mut state.violations) {
        Verdict::Pass => Ok(()),
        Verdict::Hold(ms) => Err(Refusal { hold_ms: Some(ms), ..Refusal::new(429, "") }),
        Verdict::Refuse(seconds) => Err(Refusal::too_many(seconds)),
    }
}

/// Counts what a refusal tells about the client's texts.
pub fn note_refusal(state: &mut State, refusal: &Refusal) {
    let description = &refusal.description;
    let too_long = ["too long", "TOO_LONG"].iter().any(|part| description.contains(part));
    if description.to_ascii_lowercase().contains("can't parse entities") {
        state.violations.add(Violation::BadMarkup, || description.clone());
    } else if too_long {
        state.violations.add(Violation::TooLong, || description.clone());
    }
}

/// A message as the API shows it.
fn message_json(state: &State, chat: i64, message: i64) -> Value {
    let Some(chat) = state.world.chats.get(&chat) else { return Value::Null };
    chat.message(message).map_or(Value::Null, |message| message.to_json(&state.world, &state.files, chat))
}
