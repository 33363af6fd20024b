//! sendMessage, sendPhoto, sendDocument. The checks stand in the order of BAPI do_send_message, because a message
//! can be wrong in two ways and the client sees the first.

use serde_json::Value;

use super::media;
use super::{Call, Refusal, message_json, target, within_limits, writable};
use crate::sandbox::State;
use crate::sandbox::files::Picture;
use crate::sandbox::keyboard::{self, Markup};
use crate::sandbox::markup::{self, Entity, Fixed, Kind, Mode};
use crate::sandbox::message::{Author, Content, Message};
use crate::sandbox::params::Params;
use crate::sandbox::violations::Violation;
use crate::sandbox::world::ChatKind;

/// BAPI get_formatted_text: bytes before parsing.
const MOST_RAW: usize = 1 << 15;
/// TD MessageContent.cpp:4757: code points after parsing.
pub const MOST_TEXT: usize = 4096;
/// The rest is silently ignored (PTB constants MESSAGE_ENTITIES).
const MOST_ENTITIES: usize = 100;
/// Of all entities together (levlam, telegram-bot-api#165).
const MOST_ENTITY_BYTES: usize = 9500;

/// What is common to all messages.
struct Options {
    thread: Option<i64>,
    reply_to: Option<i64>,
    reply_optional: bool,
    markup: Markup,
    /// What only Telegram's own servers refuse.
    late: Option<&'static str>,
}

pub fn message(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    if call.params.get("text").is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    let mut late = None;
    let text = marked_up(call.params, "text", "parse_mode", "entities", &mut late)?;
    if text.text.is_empty() {
        return Err(Refusal::bad("text must be non-empty"));
    }
    let options = options(call.params, late)?;
    let chat = place(state, call, &options)?;
    if text.text.chars().count() > MOST_TEXT {
        return Err(Refusal::bad("message is too long"));
    }
    deliver(state, call, chat, options, Content::Text(text))
}

pub fn photo(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let mut late = None;
    let source = media::source(state, call.params, "photo")?;
    let caption = marked_up(call.params, "caption", "parse_mode", "caption_entities", &mut late)?;
    let options = options(call.params, late)?;
    let chat = place(state, call, &options)?;
    let (width, height) = media::check_photo(state, &source, &caption)?;
    check_late(&options)?;
    within_limits(state, call, chat)?;
    let file = source.into_file(state);
    let held = Call { held: true, ..*call };
    deliver(state, &held, chat, options, Content::Photo(Picture { file, width, height }, caption))
}

pub fn document(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let mut late = None;
    let source = media::source(state, call.params, "document")?;
    let caption = marked_up(call.params, "caption", "parse_mode", "caption_entities", &mut late)?;
    let options = options(call.params, late)?;
    let chat = place(state, call, &options)?;
    media::check_document(&source, &caption)?;
    check_late(&options)?;
    within_limits(state, call, chat)?;
    let file = source.into_file(state);
    let held = Call { held: true, ..*call };
    deliver(state, &held, chat, options, Content::Document(file, caption))
}

/// BAPI get_formatted_text: the size, then the markup, then what the server makes of the text.
pub fn marked_up(
    params: &Params,
    field: &str,
    mode: &str,
    entities: &str,
    late: &mut Option<&'static str>,
) -> Result<Fixed, Refusal> {
    let text = params.get(field);
    if text.len() > MOST_RAW {
        return Err(Refusal::bad("text is too long"));
    }
    let mode = params.get(mode);
    let (text, parsed) = if mode.is_empty() || mode.eq_ignore_ascii_case("none") {
        (text.to_owned(), given_entities(params, entities, text)?)
    } else {
        let mode = Mode::from_name(mode).ok_or_else(|| Refusal::bad("unsupported parse_mode"))?;
        markup::parse(text, mode).map_err(|err| Refusal::bad(&err))?
    };
    let mut fixed = markup::fix(&text, parsed);
    if fixed.entities.iter().map(Entity::weight).sum::<usize>() > MOST_ENTITY_BYTES {
        late.get_or_insert("ENTITIES_TOO_LONG");
    }
    fixed.entities.truncate(MOST_ENTITIES);
    Ok(markup::found(fixed))
}

/// The `entities` parameter; kinds that the server finds by itself are dropped (BAPI get_text_entity).
fn given_entities(params: &Params, field: &str, text: &str) -> Result<Vec<Entity>, Refusal> {
    let Some(Value::Array(list)) = params.json(field) else { return Ok(Vec::new()) };
    let length = text.encode_utf16().count() as i64;
    let mut entities = Vec::new();
    for item in &list {
        let number = |name: &str| item.get(name).and_then(Value::as_i64).unwrap_or(0);
        let string = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = match string("type") {
            "text_link" => match markup::checked_link(string("url")) {
                Some(url) => Kind::TextLink(url),
                None => return Err(Refusal::bad(&format!("entity URL '{}' is invalid", string("url")))),
            },
            "text_mention" => Kind::TextMention(item["user"]["id"].as_i64().unwrap_or(0)),
            "pre" if !string("language").is_empty() => Kind::PreCode(string("language").to_owned()),
            "custom_emoji" => Kind::CustomEmoji(string("custom_emoji_id").parse().unwrap_or(0)),
            name => match Entity::plain(name) {
                Some(kind) => kind,
                None => continue,
            },
        };
        let (offset, long) = (number("offset"), number("length"));
        if offset < 0 || long < 0 || offset + long > length {
            let end = offset + long;
            return Err(Refusal::bad(&format!(
                "entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {end}"
            )));
        }
        entities.push(Entity { kind, offset: offset as u32, length: long as u32 });
    }
    Ok(entities)
}

fn options(params: &Params, mut late: Option<&'static str>) -> Result<Options, Refusal> {
    let reply = params.get("reply_parameters");
    let (reply_to, reply_optional) = if reply.is_empty() {
        (params.integer("reply_to_message_id"), params.is_true("allow_sending_without_reply"))
    } else {
        let Ok(reply) = serde_json::from_str::<Value>(reply) else {
            return Err(Refusal::bad("can't parse reply parameters JSON object"));
        };
        let optional = reply.get("allow_sending_without_reply") == Some(&Value::Bool(true));
        (reply.get("message_id").and_then(Value::as_i64), optional)
    };
    let markup = keyboard::parse(params.get("reply_markup"), &mut late).map_err(|err| Refusal::bad(&err))?;
    let thread = params.integer("message_thread_id").filter(|thread| *thread != 0);
    Ok(Options { thread, reply_to: reply_to.filter(|id| *id > 0), reply_optional, markup, late })
}

/// Chat, thread, reply target, kind of keyboard: in this order.
fn place(state: &mut State, call: &Call, options: &Options) -> Result<i64, Refusal> {
    let id = target(state, call)?;
    writable(state, id)?;
    let Some(chat) = state.world.chats.get(&id) else { return Err(Refusal::bad("chat not found")) };
    if let Some(thread) = options.thread {
        // The General topic is 1 and is not to be named (Client.cpp:8277).
        let known = chat.is_forum && thread != 1 && (chat.threads.contains_key(&thread) || !state.world.strict);
        if !known {
            return Err(Refusal::bad("message thread not found"));
        }
        if chat.closed_threads.contains(&thread) {
            return Err(Refusal::bad("TOPIC_CLOSED"));
        }
    }
    if let Some(reply_to) = options.reply_to
        && !options.reply_optional
        && chat.message(reply_to).is_none_or(|message| message.deleted)
    {
        return Err(Refusal::bad("message to be replied not found"));
    }
    // A channel has nobody to write with other keys.
    if chat.kind == ChatKind::Channel && matches!(options.markup, Markup::Reply(_) | Markup::Remove | Markup::Force) {
        return Err(Refusal::bad("inline keyboard expected"));
    }
    Ok(id)
}

fn check_late(options: &Options) -> Result<(), Refusal> {
    options.late.map_or(Ok(()), |late| Err(Refusal::bad(late)))
}

fn deliver(state: &mut State, call: &Call, chat: i64, options: Options, content: Content) -> Result<Value, Refusal> {
    check_late(&options)?;
    within_limits(state, call, chat)?;
    note_text(state, chat, &content);
    let mut message = Message::new(Author::Bot(call.bot), call.unix(), content);
    message.thread = options.thread;
    message.reply_to = options.reply_to;
    message.silent = call.params.is_true("disable_notification");
    let brings_keys = matches!(options.markup, Markup::Reply(_));
    if let Some(entry) = state.world.chats.get_mut(&chat) {
        entry.delivered += 1;
        match options.markup {
            Markup::Inline(rows) if rows != Value::Array(Vec::new()) => message.inline = Some(Box::new(rows)),
            Markup::Reply(keyboard) => entry.keyboard = Some(keyboard),
            Markup::Remove => entry.keyboard = None,
            _ => {}
        }
    }
    state.actions.remove(&chat);
    let id = state.world.add(chat, message);
    if let Some(entry) = state.world.chats.get_mut(&chat).filter(|_| brings_keys) {
        entry.keyboard_message = Some(id);
    }
    Ok(message_json(state, chat, id))
}

/// Looks for texts that came twice, and for `#n` marks out of order.
fn note_text(state: &mut State, chat: i64, content: &Content) {
    let Some(text) = content.text().map(|fixed| fixed.text.as_str()).filter(|text| !text.is_empty()) else { return };
    let Some(chat) = state.world.chats.get_mut(&chat) else { return };
    let hash = std::hash::BuildHasher::hash_one(&state.hasher, text);
    if !chat.texts.insert(hash) {
        state.violations.add(Violation::DuplicateText, || format!("chat {}: {:.80}", chat.id, text));
    }
    for part in text.split('#').skip(1) {
        let digits = part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let Ok(mark) = digits.parse::<u64>() else { continue };
        if mark < chat.last_mark {
            let last = chat.last_mark;
            state.violations.add(Violation::Order, || format!("chat {}: #{mark} after #{last}", chat.id));
        }
        chat.last_mark = mark;
    }
}
