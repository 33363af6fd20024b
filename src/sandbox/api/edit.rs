//! Changing what was sent: editMessageText, -Caption, -Media, -ReplyMarkup, deleteMessage; and answerCallbackQuery.

use serde_json::Value;

use super::media::{self, Source};
use super::send::{MOST_TEXT, marked_up};
use super::{Call, NOT_MODIFIED, QUERY_TOO_OLD, Refusal, message_json, target, within_limits, writable};
use crate::sandbox::State;
use crate::sandbox::files::Picture;
use crate::sandbox::keyboard::{self, Markup};
use crate::sandbox::message::{Author, Content};
use crate::sandbox::violations::Violation;

/// How long a press can be answered.
const QUERY_LIFETIME_MS: i64 = 15 * 60_000;

pub fn text(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    if call.params.get("text").is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    let mut late = None;
    let text = marked_up(call.params, "text", "parse_mode", "entities", &mut late)?;
    if text.text.is_empty() {
        return Err(Refusal::bad("text must be non-empty"));
    }
    if text.text.chars().count() > MOST_TEXT {
        late.get_or_insert("MESSAGE_TOO_LONG");
    }
    change(state, call, late, |content| match content {
        Content::Text(_) => Ok(Content::Text(text)),
        _ => Err(Refusal::bad("there is no text in the message to edit")),
    })
}

pub fn caption(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let mut late = None;
    let caption = marked_up(call.params, "caption", "parse_mode", "caption_entities", &mut late)?;
    media::check_caption(&caption)?;
    change(state, call, late, |content| match content {
        Content::Photo(picture, _) => Ok(Content::Photo(picture, caption)),
        Content::Document(file, _) => Ok(Content::Document(file, caption)),
        _ => Err(Refusal::bad("there is no caption in the message to edit")),
    })
}

pub fn markup(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    change(state, call, None, Ok)
}

/// A picture or a document in the place of another, or of a text (SPEC: "or to add media to text messages").
pub fn media(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let mut late = None;
    let input = media::input(state, call.params, &mut late)?;
    let edit = begin(state, call, late)?;
    let dimensions = if input.is_photo {
        Some(media::check_photo(state, &input.source, &input.caption)?)
    } else {
        media::check_document(&input.source, &input.caption)?;
        None
    };
    // A new file is never the same as the old one. Only what passes the limits is kept.
    let is_new = matches!(input.source, Source::Upload(_));
    if is_new {
        edit.late.map_or(Ok(()), |late| Err(Refusal::bad(late)))?;
        within_limits(state, call, edit.chat)?;
    }
    let file = input.source.into_file(state);
    let content = match dimensions {
        Some((width, height)) => Content::Photo(Picture { file, width, height }, input.caption),
        None => Content::Document(file, input.caption),
    };
    finish(state, &Call { held: call.held || is_new, ..*call }, edit, content)
}

/// An edit whose message is there and the bot's own.
struct Edit {
    chat: i64,
    id: i64,
    old: Content,
    inline: Option<Box<Value>>,
    late: Option<&'static str>,
}

fn change(
    state: &mut State,
    call: &Call,
    late: Option<&'static str>,
    edit: impl FnOnce(Content) -> Result<Content, Refusal>,
) -> Result<Value, Refusal> {
    let begun = begin(state, call, late)?;
    let content = edit(begun.old.clone())?;
    finish(state, call, begun, content)
}

fn begin(state: &mut State, call: &Call, mut late: Option<&'static str>) -> Result<Edit, Refusal> {
    if !call.params.get("inline_message_id").is_empty() {
        return Err(Refusal::bad("MESSAGE_ID_INVALID"));
    }
    let inline = match keyboard::parse(call.params.get("reply_markup"), &mut late).map_err(|err| Refusal::bad(&err))? {
        Markup::Inline(rows) if rows != Value::Array(Vec::new()) => Some(Box::new(rows)),
        Markup::Reply(_) | Markup::Remove | Markup::Force => return Err(Refusal::bad("inline keyboard expected")),
        Markup::None | Markup::Inline(_) => None,
    };
    let (chat, id) = existing(state, call, "edit", "edited")?;
    let message = state.world.chats.get(&chat).and_then(|chat| chat.message(id));
    match message.filter(|message| matches!(message.author, Author::Bot(_))) {
        Some(message) => Ok(Edit { chat, id, old: message.content.clone(), inline, late }),
        None => Err(Refusal::bad("message can't be edited")),
    }
}

fn finish(state: &mut State, call: &Call, edit: Edit, content: Content) -> Result<Value, Refusal> {
    let Edit { chat, id, old, inline, late } = edit;
    let message = state.world.chats.get(&chat).and_then(|chat| chat.message(id));
    if content == old && message.is_some_and(|message| message.inline == inline) {
        return Err(Refusal::new(400, NOT_MODIFIED));
    }
    if let Some(late) = late {
        return Err(Refusal::bad(late));
    }
    within_limits(state, call, chat)?;
    let version = state.world.touch(chat);
    if let Some(message) = state.world.chats.get_mut(&chat).and_then(|chat| chat.message_mut(id)) {
        message.content = content;
        message.inline = inline;
        message.edited = Some(call.unix());
        message.version = version;
    }
    Ok(message_json(state, chat, id))
}

/// The message that a call names, which must be there.
fn existing(state: &mut State, call: &Call, verb: &str, past: &str) -> Result<(i64, i64), Refusal> {
    let chat = target(state, call)?;
    writable(state, chat)?;
    let Some(id) = call.params.integer("message_id").filter(|id| *id > 0) else {
        return Err(Refusal::bad("message identifier is not specified"));
    };
    let message = state.world.chats.get(&chat).and_then(|chat| chat.message(id));
    match message {
        Some(message) if !message.deleted => match message.content {
            Content::Service(_) if verb == "edit" => Err(Refusal::bad(&format!("message can't be {past}"))),
            _ => Ok((chat, id)),
        },
        _ => Err(Refusal::bad(&format!("message to {verb} not found"))),
    }
}

pub fn delete(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let (chat, id) = existing(state, call, "delete", "deleted")?;
    let version = state.world.touch(chat);
    if let Some(message) = state.world.chats.get_mut(&chat).and_then(|chat| chat.message_mut(id)) {
        message.deleted = true;
        message.version = version;
    }
    Ok(true.into())
}

/// A press of an inline button that waits for its answer.
#[derive(Clone, Debug)]
pub struct Query {
    pub id: String,
    pub chat: i64,
    pub at_ms: i64,
    /// What the bot said to it.
    pub answer: Option<Value>,
}

pub fn answer_query(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let id = call.params.get("callback_query_id");
    if call.params.get("text").chars().count() > 200 {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    let query = state.queries.iter_mut().find(|query| query.id == id);
    let Some(query) = query.filter(|query| call.wall_ms - query.at_ms < QUERY_LIFETIME_MS) else {
        return Err(Refusal::new(400, QUERY_TOO_OLD));
    };
    if query.answer.is_some() {
        state.violations.add(Violation::CallbackTwice, || format!("query {id}"));
    }
    let text = call.params.get("text");
    query.answer = Some(serde_json::json!({
        "text": text, "show_alert": call.params.is_true("show_alert"), "url": call.params.get("url")
    }));
    let chat = query.chat;
    state.world.touch(chat);
    Ok(true.into())
}
