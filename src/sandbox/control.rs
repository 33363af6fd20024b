//! The control API: how tests, scripts and the page steer the sandbox and look at it. JSON over HTTP.
//!
//! ```text
//! GET  /state                             everything in short        POST /reset, /stop
//! GET  /requests?since&method&chat&count&wait_ms                     what was asked, and what became of it
//! GET  /chat/ID/messages?since&count&wait_ms                         what a person sees; count is of the bot's messages
//! GET  /violations                        what a client did wrong
//! GET  /rules, DELETE /rules[/ID]         faults, with hits          POST /rules RULE or [RULE...]
//! GET  /limits                            POST /limits {mode, per_chat: {n, ms, burst}, group, overall, hold_ms, ...}
//! POST /clock {advance_ms}                POST /outage {ms}: the API's port is closed for so long
//! POST /chat {id, type, title, ...}       POST /user {id, first_name, ...}   POST /member {chat, user, status}
//! POST /bot_status {chat, status, from}   POST /migrate {from, to}           POST /update {...}: any update
//! POST /say {chat, from, text, thread, reply_to, sender_chat}
//! POST /press {chat, message_id, data, from} or {chat, message_id, row, col, from}
//! POST /tap {chat, text, from, thread}    a key of the reply keyboard
//! ```

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::params::Params;
use super::user::{Cannot, Press, Say, Tap};
use super::world::{ChatSpec, UserSpec};
use super::{Sandbox, page};
use crate::http::{Request, Response};

/// The longest `wait_ms`.
const MOST_WAIT: u64 = 300_000;

type Answer = Result<Value, Cannot>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    chat: i64,
    status: String,
    from: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    chat: i64,
    user: i64,
    status: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Migrate {
    from: i64,
    to: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outage {
    ms: u64,
}

/// Answers a request to the control port.
pub fn answer(sandbox: &Sandbox, request: &Request) -> Response {
    if let Some(refused) = foreign(request) {
        return refused;
    }
    let path = request.head.path();
    if let Some(response) = page::asset(sandbox, request) {
        return response;
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let result = match (request.head.method.as_str(), parts.as_slice()) {
        ("GET", ["state"]) => Ok(sandbox.state().to_json(&sandbox.clock)),
        ("GET", ["requests"]) => Ok(requests(sandbox, &query(request))),
        ("GET", ["violations"]) => {
            let state = sandbox.state();
            Ok(state.violations.to_json(state.unanswered(&sandbox.clock)))
        }
        ("GET", ["chat", id, "messages"]) => messages(sandbox, id, &query(request)),
        ("GET", ["rules"]) => Ok(sandbox.state().rules.to_json()),
        ("GET", ["limits"]) => Ok(json!(sandbox.state().limits.numbers)),
        ("DELETE", ["rules"]) => Ok(json!({"removed": sandbox.state().rules.remove(None)})),
        ("DELETE", ["rules", id]) => Ok(json!({"removed": sandbox.state().rules.remove(Some(id))})),
        ("GET", ["view"]) => Ok(page::view(sandbox, &query(request))),
        ("POST", [call]) => post(sandbox, call, &request.body),
        _ => Err((404, format!("there is no {} {path}", request.head.method))),
    };
    sandbox.changed.notify_all();
    match result {
        Ok(value) => Response::json(200, &value),
        Err((status, reason)) => Response::json(status, &json!({"error": reason})),
    }
}

/// A page of another origin in the same browser must neither steer the sandbox nor read it, by any name for loopback.
fn foreign(request: &Request) -> Option<Response> {
    let host = request.head.header("host");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let known = name.is_empty() || name == "127.0.0.1" || name == "localhost";
    // A link to the page itself may be anywhere.
    let is_link = request.head.path() == "/" && request.head.header("origin").is_empty();
    let foreign = !is_link && request.head.is_foreign(&format!("http://{host}"));
    (!known || foreign).then(|| Response::json(403, &json!({"error": "only for pages of the sandbox itself"})))
}

fn query(request: &Request) -> Params {
    Params::read(&Request {
        head: crate::http::Head { target: request.head.target.clone(), ..Default::default() },
        ..Default::default()
    })
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Cannot> {
    serde_json::from_slice(bytes).map_err(|err| (400, err.to_string()))
}

fn post(sandbox: &Sandbox, call: &str, bytes: &[u8]) -> Answer {
    let wall_ms = sandbox.clock.wall_ms();
    match call {
        "reset" => sandbox.reset(),
        "stop" => sandbox.stop(),
        "rules" => return add_rules(sandbox, body(bytes)?),
        "limits" => return set_limits(sandbox, body(bytes)?),
        "clock" => sandbox.clock.advance(body::<Advance>(bytes)?.advance_ms),
        "outage" => sandbox.refuse(Duration::from_millis(body::<Outage>(bytes)?.ms)),
        "chat" => {
            let spec: ChatSpec = body(bytes)?;
            if spec.id == 0 {
                return Err((400, "a chat needs an \"id\"".to_owned()));
            }
            return Ok(sandbox.state().world.declare(spec).to_json());
        }
        "user" => {
            let user: UserSpec = body(bytes)?;
            let id = user.id;
            let mut state = sandbox.state();
            state.world.users.insert(id, user);
            return Ok(state.world.user_json(id));
        }
        "member" => {
            let member: Member = body(bytes)?;
            let mut state = sandbox.state();
            let chat = state.world.chats.get_mut(&member.chat).ok_or((404, "there is no such chat".to_owned()))?;
            chat.members.insert(member.user, member.status);
        }
        "bot_status" => {
            let status: Status = body(bytes)?;
            return sandbox.state().set_bot_status(status.chat, &status.status, status.from, wall_ms);
        }
        "say" => return sandbox.state().say(body::<Say>(bytes)?, wall_ms),
        "press" => return sandbox.state().press(&body::<Press>(bytes)?, wall_ms),
        "tap" => return sandbox.state().tap(body::<Tap>(bytes)?, wall_ms),
        "migrate" => {
            let migrate: Migrate = body(bytes)?;
            let mut state = sandbox.state();
            let done = state.migrate(&migrate.from.to_string(), migrate.to, wall_ms);
            return done.map(|()| json!({})).ok_or((404, "there is no such chat".to_owned()));
        }
        "update" => {
            let update: Value = body(bytes)?;
            if !update.is_object() {
                return Err((400, "an update is a JSON object".to_owned()));
            }
            return Ok(json!({"update_id": sandbox.state().bots.push_raw(&update, wall_ms)}));
        }
        _ => return Err((404, format!("there is no POST /{call}"))),
    }
    Ok(json!({}))
}

/// One rule or a list of them; all or none.
fn add_rules(sandbox: &Sandbox, rules: Value) -> Answer {
    let rules = match rules {
        Value::Array(list) => list,
        one => vec![one],
    };
    let mut state = sandbox.state();
    let mut ids: Vec<String> = Vec::new();
    for rule in rules {
        match state.rules.add(rule) {
            Ok(id) => ids.push(id),
            Err(err) => {
                for id in &ids {
                    state.rules.remove(Some(id));
                }
                return Err((400, err));
            }
        }
    }
    Ok(json!({"ids": ids}))
}

/// What is not given keeps its value.
fn set_limits(sandbox: &Sandbox, given: Value) -> Answer {
    let mut state = sandbox.state();
    let mut numbers = json!(state.limits.numbers);
    for (name, value) in given.as_object().ok_or((400, "limits are a JSON object".to_owned()))? {
        match (&mut numbers[name], value) {
            (Value::Object(window), Value::Object(given)) => window.extend(given.clone()),
            (old, new) => *old = new.clone(),
        }
    }
    let numbers: super::limits::Numbers = serde_json::from_value(numbers).map_err(|err| (400, err.to_string()))?;
    if !(numbers.scale > 0.0 && numbers.scale.is_finite()) {
        return Err((400, "the scale must be a number above 0".to_owned()));
    }
    state.limits.numbers = numbers;
    Ok(json!(state.limits.numbers))
}

fn deadline(query: &Params) -> Instant {
    let wait = query.integer("wait_ms").unwrap_or(0).max(0) as u64;
    Instant::now() + Duration::from_millis(wait.min(MOST_WAIT))
}

/// Requests by what they are, waiting until `count` of them exist. Only what is new is looked at after each wait.
fn requests(sandbox: &Sandbox, query: &Params) -> Value {
    let deadline = deadline(query);
    let count = query.integer("count").unwrap_or(0).max(0) as usize;
    let (method, chat) = (query.get("method").to_ascii_lowercase(), query.get("chat"));
    let mut since = query.integer("since").unwrap_or(0).max(0) as u64;
    let mut found = Vec::new();
    let mut state = sandbox.state();
    loop {
        for record in state.requests.since(since) {
            since = record.n;
            let right_method = method.is_empty() || *record.method == method;
            if right_method && (chat.is_empty() || record.chat() == chat) {
                found.push(record.to_json());
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if found.len() >= count || left.is_zero() || sandbox.is_stopping() {
            return Value::Array(found);
        }
        state = sandbox.wait(state, left);
    }
}

/// What stands in a chat, waiting until there are `count` messages of bots; 0 is whatever there is.
fn messages(sandbox: &Sandbox, id: &str, query: &Params) -> Answer {
    let deadline = deadline(query);
    let count = query.integer("count").unwrap_or(0).max(0) as u64;
    let since = query.integer("since").unwrap_or(0);
    let mut state = sandbox.state();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let same = |chat: &&super::world::Chat| {
            chat.id.to_string() == id || chat.username.as_deref() == id.strip_prefix('@').or(Some(""))
        };
        let chat = state.world.chats.values().find(same);
        let delivered = chat.map_or(0, |chat| chat.delivered);
        if delivered >= count || left.is_zero() || sandbox.is_stopping() {
            let Some(chat) = chat else {
                return if count == 0 { Err((404, "there is no such chat".to_owned())) } else { Ok(json!([])) };
            };
            let shown = chat.messages.iter().filter(|message| message.id > since && !message.deleted);
            return Ok(shown.map(|message| message.view(&state.world, &state.files, chat)).collect());
        }
        state = sandbox.wait(state, left);
    }
}
