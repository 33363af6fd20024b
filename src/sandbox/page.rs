//! The chat page: its files inside the binary, and what they ask for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Sandbox;
use super::params::Params;
use super::world::Chat;
use crate::http::{Request, Response};

const HTML: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const ICON: &str = include_str!("page/icon.svg");
const SCRIPTS: [(&str, &str); 6] = [
    ("/page.js", include_str!("page/page.js")),
    ("/common.js", include_str!("page/common.js")),
    ("/dialogs.js", include_str!("page/dialogs.js")),
    ("/list.js", include_str!("page/list.js")),
    ("/messages.js", include_str!("page/messages.js")),
    ("/text.js", include_str!("page/text.js")),
];
/// Nothing but these files runs or is loaded, whatever an alert says.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Messages shown at first; the rest on request.
const SHOWN: usize = 200;
/// How long a client shows what the bot is doing, unless a message comes (SPEC sendChatAction: "for 5 seconds or less").
const ACTION_MS: i64 = 5000;
/// How long several changes are collected before the page hears of them.
const COLLECT: Duration = Duration::from_millis(40);

/// The page's files, and the files in its messages.
pub fn asset(sandbox: &Sandbox, request: &Request) -> Option<Response> {
    if request.head.method != "GET" {
        return None;
    }
    let response = match request.head.path() {
        "/" => Response::new(200, "text/html; charset=utf-8", HTML),
        "/style.css" => Response::new(200, "text/css; charset=utf-8", STYLE),
        "/icon.svg" => Response::new(200, "image/svg+xml", ICON),
        path => match SCRIPTS.iter().find(|(name, _)| *name == path) {
            Some((_, script)) => Response::new(200, "text/javascript; charset=utf-8", *script),
            None => file(sandbox, path.strip_prefix("/files/")?),
        },
    };
    Some(
        response
            .header("Content-Security-Policy", POLICY)
            .header("X-Content-Type-Options", "nosniff")
            .header("Referrer-Policy", "no-referrer")
            .header("Cache-Control", "no-store"),
    )
}

/// Pictures are shown as what they are; everything else is text or a download, never a page.
fn file(sandbox: &Sandbox, id: &str) -> Response {
    let state = sandbox.state();
    let file = state.files.by_id(id).and_then(|number| state.files.get(number));
    let Some((file, bytes)) = file.and_then(|file| file.bytes.as_ref().map(|bytes| (file, bytes))) else {
        return Response::new(404, "text/plain", "this file is not kept\n");
    };
    let image = matches!(file.mime.as_str(), "image/png" | "image/jpeg" | "image/gif" | "image/webp");
    let text = file.mime.starts_with("text/") || file.mime == "application/json";
    let mime = match (image, text) {
        (true, _) => file.mime.as_str(),
        (_, true) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    Response::new(200, mime, bytes.clone())
}

/// All that is newer than `since`: the chats, and the messages of `chat`. Waits for something new.
pub fn view(sandbox: &Sandbox, query: &Params) -> Value {
    let since = query.integer("since").unwrap_or(0).max(0) as u64;
    let wait = Duration::from_millis(query.integer("wait_ms").unwrap_or(0).clamp(0, 60_000) as u64);
    let deadline = Instant::now() + wait;
    let mut state = sandbox.state();
    while state.world.version <= since && !sandbox.is_stopping() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        state = sandbox.wait(state, left);
        if state.world.version > since {
            drop(state);
            std::thread::sleep(COLLECT);
            state = sandbox.state();
        }
    }
    let now_ms = sandbox.clock.wall_ms();
    let chats: Vec<Value> = state
        .world
        .chats
        .values()
        .filter(|chat| chat.version > since || since == 0)
        .map(|chat| {
            let last = chat.messages.iter().rev().find(|message| !message.deleted);
            let action = state.actions.get(&chat.id).map(|(action, at)| (action, ACTION_MS - (now_ms - at)));
            let (action, action_ms) = action.filter(|(_, left)| *left > 0).unzip();
            json!({"chat": chat.to_json(), "delivered": chat.delivered, "keyboard": chat.keyboard, "bot": chat.bot,
                   "threads": chat.threads, "members": chat.members, "action": action, "action_ms": action_ms, "version": chat.version,
                   "last": last.map(|message| message.view(&state.world, &state.files, chat))})
        })
        .collect();
    let chat = query.integer("chat").and_then(|id| state.world.chats.get(&id));
    let messages: Vec<Value> = chat.map_or_else(Vec::new, |chat| {
        let before = query.integer("before").unwrap_or(i64::MAX);
        shown(chat, since, before).map(|message| message.view(&state.world, &state.files, chat)).collect()
    });
    let asked: Vec<Value> = state
        .queries
        .iter()
        .rev()
        .take(20)
        .filter(|answered| Some(answered.chat) == chat.map(|chat| chat.id))
        .map(|query| json!({"id": query.id, "answer": query.answer}))
        .collect();
    let mut users: Vec<i64> = state.world.users.keys().copied().collect();
    users.sort_unstable();
    let users: Vec<Value> = users.into_iter().take(200).map(|id| state.world.user_json(id)).collect();
    let delivered: u64 = state.world.chats.values().map(|chat| chat.delivered).sum();
    json!({"epoch": state.epoch, "users": users, "delivered": delivered,
           "violations": state.violations.total() + state.unanswered(&sandbox.clock),
           "version": state.world.version, "chats": chats, "messages": messages, "queries": asked,
           "first": chat.and_then(|chat| chat.messages.front()).map(|message| message.id)})
}

/// The last messages of a chat that are new and stand before a message.
fn shown(chat: &Chat, since: u64, before: i64) -> impl Iterator<Item = &super::message::Message> {
    let new = move |message: &&super::message::Message| message.version > since && message.id < before;
    let count = chat.messages.iter().filter(new).count();
    let skip = if since == 0 { count.saturating_sub(SHOWN) } else { 0 };
    chat.messages.iter().filter(new).skip(skip)
}
