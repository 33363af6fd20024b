//! One request to the API, from its bytes to the answer and to how the answer is to be spoiled.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{self, Call, Refusal};
use super::files;
use super::params::Params;
use super::requests::{Outcome, Record};
use super::rules::{Action, Rst, Slow, Subject};
use super::violations::Violation;
use super::{Sandbox, State, faults, upstream};
use crate::http::{Head, Request, Response};

/// How a response goes out.
#[derive(Clone, Copy, Debug, Default)]
pub enum Wire {
    #[default]
    Whole,
    Slow(Slow),
    /// Nothing, and a reset.
    Reset,
    /// Nothing, and an end.
    Close,
    /// Nothing, until the client gives up.
    Hang,
    /// Half of it, and an end.
    Truncate,
    /// A Content-Length that is too large, and an end.
    WrongLength,
    /// No length; the end of the connection is the end of the body.
    CloseDelimited,
    Chunked,
}

/// An answer and how to send it.
pub struct Exchange {
    pub response: Response,
    pub wire: Wire,
    /// How long the connection may be idle afterwards, where a rule says so.
    pub idle: Option<Duration>,
    /// The chat that has one request less under way once the answer is written.
    pub chat: Option<Box<str>>,
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub conn: u64,
    pub reused: bool,
    pub stream: &'a Arc<TcpStream>,
}

/// `/bot<token>/<method>`, also with `/test/`, and `/file/bot<token>/<path>`.
pub enum Route {
    Page,
    File { token: String, path: String },
    Method { token: String, method: String },
    Nothing,
}

impl Route {
    pub fn of(head: &Head) -> Route {
        let path = head.path().replace("%3A", ":").replace("%3a", ":");
        if path == "/" {
            return Route::Page;
        }
        let split = |rest: &str| rest.split_once('/').map(|(token, rest)| (token.to_owned(), rest.to_owned()));
        if let Some((token, path)) = path.strip_prefix("/file/bot").and_then(split) {
            return Route::File { token, path };
        }
        match path.strip_prefix("/bot").and_then(split) {
            Some((token, method)) => {
                let method = method.strip_prefix("test/").unwrap_or(&method).to_ascii_lowercase();
                Route::Method { token, method }
            }
            None => Route::Nothing,
        }
    }
}

/// The early look at a request: a reset for which the head is enough.
pub fn on_head(sandbox: &Sandbox, origin: Origin, head: &Head) -> Option<Rst> {
    let Route::Method { token, method } = Route::of(head) else { return None };
    let mut state = sandbox.state();
    let Origin { conn, reused, .. } = origin;
    let subject = Subject { method: &method, token: &token, conn, reused, ..Subject::default() };
    let (rule, rst) = state.rules.on_head(subject)?;
    let mut record = record(sandbox, origin, &method, Params::default());
    record.rule = Some(rule);
    state.keep(record);
    Some(rst)
}

/// Answers a request.
pub fn exchange(sandbox: &Sandbox, origin: Origin, request: &Request) -> Exchange {
    match Route::of(&request.head) {
        Route::Page => plain(Response::new(302, "text/plain", "").header("Location", sandbox.page_url())),
        Route::File { token, path } => plain(file(sandbox, &token, &path)),
        Route::Nothing => plain(error(&Refusal::new(404, "Not Found"))),
        Route::Method { token, method } => call(sandbox, origin, request, &token, &method),
    }
}

fn plain(response: Response) -> Exchange {
    Exchange { response, wire: Wire::Whole, idle: None, chat: None }
}

fn file(sandbox: &Sandbox, token: &str, path: &str) -> Response {
    let mut state = sandbox.state();
    if let Err(refusal) = admit(sandbox, &mut state, token) {
        return error(&refusal);
    }
    match state.files.by_path(path).and_then(|file| file.bytes.as_ref().map(|bytes| (file, bytes))) {
        Some((file, bytes)) => Response::new(200, &file.mime, bytes.clone()),
        None => error(&Refusal::new(404, "Not Found")),
    }
}

/// Production answers 404 to what cannot be a token, BAPI 401 (HttpConnection.cpp).
fn admit(sandbox: &Sandbox, state: &mut State, token: &str) -> Result<(), Refusal> {
    let well_formed = token.split_once(':').is_some_and(|(id, secret)| {
        id.parse::<i64>().is_ok_and(|id| id > 0)
            && !secret.is_empty()
            && secret.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
    });
    match (well_formed, sandbox.options.oss) {
        (false, true) => Err(Refusal::new(401, "Unauthorized: invalid token specified")),
        (false, false) => Err(Refusal::new(404, "Not Found")),
        (true, _) if state.bots.knows(token) => Ok(()),
        (true, _) => Err(Refusal::new(401, "Unauthorized")),
    }
}

fn record(sandbox: &Sandbox, origin: Origin, method: &str, params: Params) -> Record {
    Record {
        n: 0,
        t_ms: sandbox.clock.steady_ms(),
        conn: origin.conn,
        reused: origin.reused,
        method: method.into(),
        files: params.files.iter().map(files::facts).collect(),
        params: params.fields,
        rule: None,
        status: 0,
        outcome: Outcome::Dropped,
    }
}

/// A call that has begun: what it says, and what is to go wrong with it.
struct Begun {
    params: Params,
    admitted: Result<(), Refusal>,
    rule: Option<Box<str>>,
    action: Option<Action>,
    /// The chat to which a message is under way.
    chat: Option<Box<str>>,
    steady_ms: u64,
}

fn call(sandbox: &Sandbox, origin: Origin, request: &Request, token: &str, method: &str) -> Exchange {
    let begun = begin(sandbox, origin, request, token, method);
    let action = begun.action.as_ref();
    let mut answer = Answer::default();
    if !faults::before(sandbox, &begun.params, action, &mut answer) {
        let result = match (&begun.admitted, &sandbox.options.upstream) {
            (Err(refusal), _) => Err(refusal.clone()),
            (_, Some(url)) => forward(sandbox, url, request, &begun, &mut answer),
            _ => process(sandbox, &begun, token, method, origin, &mut answer),
        };
        answer.set(result, sandbox);
    }
    faults::after(action, &mut answer);
    finish(sandbox, origin, begun, token, method, answer)
}

fn begin(sandbox: &Sandbox, origin: Origin, request: &Request, token: &str, method: &str) -> Begun {
    let steady_ms = sandbox.clock.steady_ms();
    let mut params = Params::read(request);
    if sandbox.options.upstream.is_none() {
        upstream::fetch_file(&mut params, method);
    }
    let mut state = sandbox.state();
    if params.bad_json {
        state.violations.add(Violation::BadJson, || format!("{method}: the body is not a JSON object"));
    }
    let admitted = admit(sandbox, &mut state, token);
    let chat: Option<Box<str>> = api::is_limited(method).then(|| params.get("chat_id").into());
    enter(&mut state, token, chat.as_deref());
    let text = if params.get("text").is_empty() { params.get("caption") } else { params.get("text") };
    let Origin { conn, reused, .. } = origin;
    let subject = Subject { method, chat_id: params.get("chat_id"), text, token, conn, reused };
    let (rule, action) = state.rules.find(subject).unzip();
    drop(state);
    let mut begun = Begun { params, admitted, rule, action, chat, steady_ms };
    if matches!(begun.action, Some(Action::Hang(..))) {
        // Not under way: a client that gives up and tries again does nothing wrong.
        sandbox.arrived(begun.chat.take().as_deref());
    }
    begun
}

fn finish(sandbox: &Sandbox, origin: Origin, begun: Begun, token: &str, method: &str, answer: Answer) -> Exchange {
    let mut record = record(sandbox, origin, method, begun.params);
    record.t_ms = begun.steady_ms;
    record.rule = begun.rule;
    record.status = answer.status();
    record.outcome = answer.outcome;
    let mut state = sandbox.state();
    leave(&mut state, token, api::is_limited(method).then(|| record.chat()), &answer);
    state.keep(record);
    drop(state);
    sandbox.changed.notify_all();
    Exchange { response: answer.response, wire: answer.wire, idle: answer.idle, chat: begun.chat }
}

/// An answer in the making.
pub struct Answer {
    pub response: Response,
    pub wire: Wire,
    pub idle: Option<Duration>,
    pub outcome: Outcome,
}

impl Default for Answer {
    fn default() -> Self {
        let response = Response::new(0, "application/json", "");
        Answer { response, wire: Wire::Whole, idle: None, outcome: Outcome::Dropped }
    }
}

impl Answer {
    /// What the client sees; 0 is nothing.
    fn status(&self) -> u16 {
        if matches!(self.wire, Wire::Reset | Wire::Close | Wire::Hang) { 0 } else { self.response.status }
    }

    fn set(&mut self, result: Result<Value, Refusal>, sandbox: &Sandbox) {
        if self.response.status != 0 {
            return;
        }
        match result {
            Ok(result) => {
                self.outcome = Outcome::Delivered;
                self.response = Response::new(200, "application/json", ok(&result));
            }
            Err(refusal) => {
                self.outcome = Outcome::Rejected;
                api::note_refusal(&mut sandbox.state(), &refusal);
                self.response = error(&refusal);
            }
        }
    }

    /// This is the answer, and nothing is done.
    pub fn reject(&mut self, response: Response) -> bool {
        self.outcome = Outcome::Rejected;
        self.response = response;
        true
    }
}

fn ok(result: &Value) -> String {
    format!("{{\"ok\":true,\"result\":{result}}}")
}

/// The Bot API's error: the status is the code, and 429 also has a header (BAPI Query.h).
pub fn error(refusal: &Refusal) -> Response {
    let mut body = json!({"ok": false, "error_code": refusal.code, "description": refusal.description});
    if let Some(parameters) = &refusal.parameters {
        body["parameters"] = parameters.clone();
    }
    let response = Response::json(refusal.code, &body);
    match refusal.parameters.as_ref().and_then(|parameters| parameters.get("retry_after")) {
        Some(seconds) => response.header("Retry-After", seconds.to_string()),
        None => response,
    }
}

/// Calls the method; a request that the limits hold waits and is called again.
fn process(
    sandbox: &Sandbox,
    begun: &Begun,
    token: &str,
    method: &str,
    origin: Origin,
    answer: &mut Answer,
) -> Result<Value, Refusal> {
    let mut call = Call {
        token,
        bot: sandbox.state().bots.get(token).id,
        params: &begun.params,
        steady_ms: begun.steady_ms,
        wall_ms: sandbox.clock.wall_ms(),
        held: false,
        lenient: sandbox.options.lenient,
    };
    if method == "getupdates" {
        let updates = faults::updates(sandbox, &call, begun.action.as_ref(), origin);
        return updates.unwrap_or_else(|| {
            answer.wire = Wire::Close;
            Err(Refusal::new(499, "the client is gone"))
        });
    }
    loop {
        let result = api::answer(&mut sandbox.state(), &call, method);
        let Err(Refusal { hold_ms: Some(ms), .. }) = result else { return result };
        sandbox.sleep(Duration::from_millis(ms));
        call.held = true;
    }
}

fn forward(
    sandbox: &Sandbox,
    url: &str,
    request: &Request,
    begun: &Begun,
    answer: &mut Answer,
) -> Result<Value, Refusal> {
    if let Some(chat) = &begun.chat {
        let id = chat.parse().unwrap_or(-1);
        let mut state = sandbox.state();
        let State { limits, violations, .. } = &mut *state;
        let verdict = limits.check(id, chat.starts_with(['-', '@']), begun.steady_ms, violations);
        drop(state);
        match verdict {
            super::limits::Verdict::Refuse(seconds) => return Err(Refusal::too_many(seconds)),
            super::limits::Verdict::Hold(ms) => sandbox.sleep(Duration::from_millis(ms)),
            super::limits::Verdict::Pass => {}
        }
    }
    let response = upstream::forward(url, request).map_err(|err| Refusal::new(502, format!("Bad Gateway: {err}")))?;
    answer.outcome = if response.status < 400 { Outcome::Delivered } else { Outcome::Rejected };
    answer.response = response;
    Ok(Value::Null)
}

/// Notes that a request has begun.
fn enter(state: &mut State, token: &str, chat: Option<&str>) {
    if state.fatal.contains(token) {
        state.violations.add(Violation::RetryAfterFatal, || "a request after 401 or 404".to_owned());
    }
    let Some(chat) = chat else { return };
    if state.dead.contains(chat) {
        state.violations.add(Violation::ToDeadChat, || format!("chat {chat}"));
    }
    let under_way = state.under_way.entry(chat.into()).or_default();
    *under_way += 1;
    if *under_way > 1 {
        state.violations.add(Violation::SameChatParallel, || format!("chat {chat}"));
    }
}

/// Notes what became of it.
fn leave(state: &mut State, token: &str, chat: Option<&str>, answer: &Answer) {
    let status = answer.status();
    if status == 401 || (status == 404 && answer.response.body == error(&Refusal::new(404, "Not Found")).body) {
        state.fatal.insert(token.to_owned());
    }
    let Some(chat) = chat else { return };
    match status {
        403 => {
            state.dead.insert(chat.into());
        }
        200 => {
            state.dead.remove(chat);
        }
        _ => {}
    }
}
