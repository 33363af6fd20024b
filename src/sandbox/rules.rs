//! Scripted faults: which requests something goes wrong for, and what. The first rule that matches wins.
//!
//! ```json
//! {"id": "x", "match": {"method": "send*", "chat_id": 1, "text~": "disk", "nth": 2}, "times": 1, "skip": 0, "prob": 1,
//!  "do": {"flood": {"retry_after": 5}}}
//! ```
//!
//! Everything but `do` may be left out; `times` is then 1, and -1 is for ever. What `do` may be: [`Action`], in snake
//! case: `{"deliver_then": "rst"}`, `{"hang_ms": 5000, "then": "close"}`, `{"refuse_ms": 1000}`. Resets that need only
//! the head of a request (`after_headers`, `mid_body` without chat or text) are looked for before all others.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clock::Chance;
use super::presets::Preset;

/// Which requests a rule is for; everything given must hold.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Match {
    /// In any case; `send*` is every method that starts so.
    method: Option<String>,
    /// Number or text.
    chat_id: Option<Value>,
    /// A part of `text` or `caption`.
    #[serde(rename = "text~")]
    text: Option<String>,
    /// Only the n-th request (from 1) for which the rest holds.
    nth: Option<u64>,
    /// Only on the n-th connection (from 1) of this run.
    conn_nth: Option<u64>,
    /// Only on a connection that was used before, or only on a new one.
    reused: Option<bool>,
    token: Option<String>,
}

/// An error of the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorSpec {
    pub code: u16,
    pub description: String,
    pub parameters: Option<Value>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flood {
    pub retry_after: u64,
    #[serde(default)]
    pub scope: Scope,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    #[default]
    Chat,
    All,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    pub to: i64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub status: u16,
    #[serde(default)]
    pub headers: Map<String, Value>,
    #[serde(default)]
    pub body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rst {
    OnAccept,
    AfterHeaders,
    MidBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    Rst,
    Fin,
    Hang,
    Http502,
    Garbage,
    Truncate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    #[default]
    Close,
    Ok,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slow {
    pub first_byte_ms: u64,
    /// Bytes a write; 0 is all at once.
    pub chunk: usize,
    pub gap_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    Json,
    Empty,
    Utf8,
    NullResult,
    MissingOk,
    Http200OkFalse,
    Huge,
    ExtraFields,
    BadContentLength,
    CloseDelimited,
    Chunked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateFault {
    Dup,
    Reorder,
    IdJump,
    UnknownType,
    BadJson,
    StaleDate,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// This error of the API; nothing is delivered.
    Error(ErrorSpec),
    /// 429, and the chat (or all) is frozen.
    Flood(Flood),
    /// A well-known error.
    Preset(Preset),
    /// The group has become a supergroup, from now on.
    Migrate(Migrate),
    /// Any answer.
    Http(Http),
    /// The front server's page.
    Html(u16),
    /// 302 to there.
    Redirect(String),
    /// A reset, and the port is closed for so long.
    RefuseMs(u64),
    /// A reset before anything is done.
    Rst(Rst),
    /// It is done, and the answer is lost.
    DeliverThen(Lost),
    /// Nothing for so long, then an end or the answer.
    #[serde(skip)]
    Hang(u64, Then),
    /// The right answer, slowly.
    Slow(Slow),
    /// It is done, and the answer has an odd shape.
    Malformed(Malformed),
    /// The connection is closed when it was idle so long.
    IdleCloseMs(u64),
    /// Something is wrong with the updates of getUpdates.
    Update(UpdateFault),
    /// Counts only; the value says nothing.
    Pass(#[expect(dead_code, reason = "`{\"pass\": true}` is the form")] bool),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    id: Option<String>,
    #[serde(default, rename = "match")]
    matches: Match,
    #[serde(default = "once")]
    times: i64,
    #[serde(default)]
    skip: u64,
    #[serde(default = "always")]
    prob: f64,
    #[serde(rename = "do")]
    action: Value,
}

fn once() -> i64 {
    1
}

fn always() -> f64 {
    1.0
}

#[derive(Debug)]
struct Rule {
    id: String,
    spec: Value,
    matches: Match,
    times: i64,
    skip: u64,
    prob: f64,
    action: Action,
    seen: u64,
    hits: u64,
}

/// What a rule is matched against.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    pub method: &'a str,
    pub chat_id: &'a str,
    pub text: &'a str,
    pub token: &'a str,
    pub conn: u64,
    pub reused: bool,
}

/// All rules, in order.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    chance: Chance,
    next_id: u64,
}

impl Rules {
    pub fn new(seed: u64) -> Rules {
        Rules { rules: Vec::new(), chance: Chance::new(seed), next_id: 1 }
    }

    /// Adds one rule; the error says what is wrong with it. Returns its id.
    pub fn add(&mut self, spec: Value) -> Result<String, String> {
        let rule: Spec = serde_json::from_value(spec.clone()).map_err(|err| format!("bad rule: {err}: {spec}"))?;
        let action = action(rule.action).map_err(|err| format!("bad rule: \"do\": {err}: {spec}"))?;
        let id = rule.id.unwrap_or_else(|| format!("rule{}", self.next_id));
        self.next_id += 1;
        let Spec { matches, times, skip, prob, .. } = rule;
        self.rules.push(Rule { id: id.clone(), spec, matches, times, skip, prob, action, seen: 0, hits: 0 });
        Ok(id)
    }

    /// Removes one rule, or all.
    pub fn remove(&mut self, id: Option<&str>) -> usize {
        let before = self.rules.len();
        self.rules.retain(|rule| id.is_some_and(|id| id != rule.id));
        before - self.rules.len()
    }

    pub fn to_json(&self) -> Value {
        self.rules
            .iter()
            .map(|rule| json!({"id": rule.id, "seen": rule.seen, "hits": rule.hits, "rule": rule.spec}))
            .collect()
    }

    /// The rule for a whole request.
    pub fn find(&mut self, subject: Subject) -> Option<(Box<str>, Action)> {
        self.first(subject, Phase::Whole)
    }

    /// The reset for a new connection, of which nothing is known but its number.
    pub fn on_accept(&mut self, conn: u64) -> bool {
        self.first(Subject { conn, ..Subject::default() }, Phase::Accept).is_some()
    }

    /// The reset for a request of which only the head is known.
    pub fn on_head(&mut self, subject: Subject) -> Option<(Box<str>, Rst)> {
        match self.first(subject, Phase::Head) {
            Some((id, Action::Rst(rst))) => Some((id, rst)),
            _ => None,
        }
    }

    fn first(&mut self, subject: Subject, phase: Phase) -> Option<(Box<str>, Action)> {
        let chance = &mut self.chance;
        let mut rules = self.rules.iter_mut();
        let rule =
            rules.by_ref().find_map(|rule| (rule.phase() == phase && rule.takes(subject, chance)).then_some(rule))?;
        Some((rule.id.as_str().into(), rule.action.clone()))
    }
}

/// When a rule is looked at; each at one time only, or it would count a request twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Accept,
    Head,
    Whole,
}

impl Rule {
    /// A reset that asks for chat or text has to wait for the body.
    fn phase(&self) -> Phase {
        let needs_body = self.matches.chat_id.is_some() || self.matches.text.is_some();
        match self.action {
            Action::Rst(Rst::OnAccept) => Phase::Accept,
            Action::Rst(_) if !needs_body => Phase::Head,
            _ => Phase::Whole,
        }
    }

    fn takes(&mut self, subject: Subject, chance: &mut Chance) -> bool {
        if !self.matches.hold(subject) {
            return false;
        }
        self.seen += 1;
        let due = self.matches.nth.is_none_or(|nth| nth == self.seen)
            && self.seen > self.skip
            && (self.times < 0 || self.hits < self.times as u64)
            && chance.happens(self.prob);
        self.hits += u64::from(due);
        due
    }
}

impl Match {
    fn hold(&self, subject: Subject) -> bool {
        let method = |wanted: &str| match wanted.strip_suffix('*') {
            Some(start) => subject.method.get(..start.len()).is_some_and(|got| got.eq_ignore_ascii_case(start)),
            None => subject.method.eq_ignore_ascii_case(wanted),
        };
        let chat = |wanted: &Value| match wanted {
            Value::String(text) => text == subject.chat_id,
            other => other.as_i64().is_some_and(|id| Ok(id) == subject.chat_id.parse()),
        };
        self.method.as_deref().is_none_or(method)
            && self.chat_id.as_ref().is_none_or(chat)
            && self.text.as_deref().is_none_or(|part| subject.text.contains(part))
            && self.token.as_deref().is_none_or(|token| token == subject.token)
            && self.conn_nth.is_none_or(|nth| nth == subject.conn)
            && self.reused.is_none_or(|reused| reused == subject.reused)
    }
}

/// `hang_ms` is the only one with a second key.
fn action(spec: Value) -> Result<Action, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Hang {
        hang_ms: u64,
        #[serde(default)]
        then: Then,
    }
    if spec.get("hang_ms").is_some() {
        let hang: Hang = serde_json::from_value(spec).map_err(|err| err.to_string())?;
        return Ok(Action::Hang(hang.hang_ms, hang.then));
    }
    serde_json::from_value(spec).map_err(|err| err.to_string())
}
