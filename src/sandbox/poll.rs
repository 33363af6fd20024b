//! getUpdates: the queue of each bot, and who may wait on it (BAPI process_get_updates_query, do_get_updates).

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::Refusal;
use super::params::Params;
use super::violations::{Violation, Violations};
use super::{Sandbox, State};

pub const CONFLICT: &str =
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
pub const CONFLICT_WEBHOOK: &str = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook \
                                    to delete the webhook first";
/// Updates live for a day.
const LIFETIME_MS: i64 = 86_400_000;
/// One answer carries at most about 4 MiB.
const MOST_BYTES: usize = 4 << 20;
/// A queue that nobody reads must not grow for ever.
const MOST_WAITING: usize = 100_000;
/// What an empty `allowed_updates` leaves out (SPEC getUpdates).
const NOT_BY_DEFAULT: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// An update that waits to be confirmed.
#[derive(Clone, Debug)]
struct Update {
    id: i64,
    at_ms: i64,
    told: bool,
    body: Value,
}

/// A bot: one token.
#[derive(Debug)]
pub struct Bot {
    pub token: String,
    pub id: i64,
    pub webhook: String,
    pub commands: Vec<(String, Value)>,
    pub descriptions: Vec<(String, String)>,
    updates: VecDeque<Update>,
    next_update: i64,
    /// `None` is the default set.
    allowed: Option<Vec<String>>,
    /// Rises with each poll: an older one that still waits sees that it is no longer the newest.
    poll: u64,
    /// The connection of the poll that waits.
    waiting: Option<Weak<TcpStream>>,
    last_offset: Option<i64>,
    last_start: Option<Instant>,
    next_conflict: Option<Instant>,
    empty_answers: VecDeque<Instant>,
}

impl Bot {
    pub fn new(token: &str, first_update: i64) -> Bot {
        Bot {
            token: token.to_owned(),
            id: token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(1),
            webhook: String::new(),
            commands: Vec::new(),
            descriptions: Vec::new(),
            updates: VecDeque::new(),
            next_update: first_update,
            allowed: None,
            poll: 0,
            waiting: None,
            last_offset: None,
            last_start: None,
            next_conflict: None,
            empty_answers: VecDeque::new(),
        }
    }

    pub fn waiting_updates(&self) -> usize {
        self.updates.len()
    }

    pub fn allowed(&self) -> Value {
        json!(self.allowed)
    }

    pub fn drop_updates(&mut self) {
        self.updates.clear();
    }

    /// Queues an update if the bot wants its kind; returns its id.
    pub fn push(&mut self, kind: &str, body: Value, now_ms: i64) -> Option<i64> {
        let wanted = match &self.allowed {
            Some(kinds) => kinds.iter().any(|wanted| wanted == kind),
            None => !NOT_BY_DEFAULT.contains(&kind),
        };
        if !wanted {
            return None;
        }
        let id = self.next_update;
        self.next_update += 1;
        self.updates.push_back(Update { id, at_ms: now_ms, told: false, body: json!({kind: body}) });
        if self.updates.len() > MOST_WAITING {
            self.updates.pop_front();
        }
        Some(id)
    }

    /// Queues an update as it is, with its own id if it has one.
    pub fn push_raw(&mut self, mut body: Value, now_ms: i64) -> i64 {
        let id = body.get("update_id").and_then(Value::as_i64).unwrap_or(self.next_update);
        self.next_update = self.next_update.max(id + 1);
        if let Some(map) = body.as_object_mut() {
            map.remove("update_id");
        }
        self.updates.push_back(Update { id, at_ms: now_ms, told: false, body });
        id
    }

    fn confirm(&mut self, offset: i64) {
        if offset > 0 {
            self.updates.retain(|update| update.id >= offset);
        } else if offset < 0 {
            let surplus = self.updates.len().saturating_sub(offset.unsigned_abs() as usize);
            self.updates.drain(..surplus);
        }
    }

    fn take(&mut self, limit: usize, now_ms: i64, violations: &mut Violations) -> Vec<Value> {
        self.updates.retain(|update| now_ms - update.at_ms < LIFETIME_MS);
        let mut bytes = 0;
        let mut taken = Vec::new();
        for update in self.updates.iter_mut().take(limit) {
            bytes += update.body.to_string().len();
            if bytes > MOST_BYTES && !taken.is_empty() {
                break;
            }
            if update.told {
                violations.add(Violation::UnconfirmedRedelivered, || format!("update {}", update.id));
            }
            update.told = true;
            let mut body = update.body.clone();
            body["update_id"] = update.id.into();
            taken.push(body);
        }
        taken
    }

    /// More than five empty answers a second: a client that does not wait.
    fn note_empty(&mut self, violations: &mut Violations) {
        let now = Instant::now();
        self.empty_answers.push_back(now);
        self.empty_answers.retain(|at| now - *at < Duration::from_secs(1));
        if self.empty_answers.len() > 5 {
            violations.add(Violation::PollSpin, || format!("{} empty answers in a second", self.empty_answers.len()));
        }
    }

    /// Skips a million ids, as after a week of silence.
    pub fn jump(&mut self) {
        self.next_update += 1_000_000;
        for update in &mut self.updates {
            update.id += 1_000_000;
        }
    }

    /// Ends a waiting poll, as setWebhook does too.
    pub fn abort_poll(&mut self) {
        self.poll += 1;
    }
}

/// One call of getUpdates.
struct Poll {
    number: u64,
    limit: usize,
    until: Instant,
}

fn start(bot: &mut Bot, params: &Params, violations: &mut Violations) -> Result<Poll, Refusal> {
    if !bot.webhook.is_empty() {
        return Err(Refusal::new(409, CONFLICT_WEBHOOK));
    }
    let offset = params.integer("offset").unwrap_or(0);
    let mut limit = params.integer("limit").unwrap_or(100).clamp(1, 100) as usize;
    let mut timeout = params.integer("timeout").unwrap_or(0).clamp(0, 50) as u64;
    if let Some(Value::Array(kinds)) = params.json("allowed_updates") {
        let kinds: Vec<String> = kinds.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect();
        bot.allowed = (!kinds.is_empty()).then_some(kinds);
    }
    let now = Instant::now();
    let again = bot.last_offset == Some(offset);
    let since = bot.last_start.map_or(Duration::MAX, |start| now - start);
    if again && timeout < 3 && since < Duration::from_secs(3) {
        timeout = 3;
    }
    if again && since < Duration::from_millis(500) {
        limit = 1;
    }
    bot.last_offset = Some(offset);
    bot.last_start = Some(now);
    bot.confirm(offset);
    bot.poll += 1;
    if bot.waiting.take().and_then(|stream| stream.upgrade()).is_some_and(|stream| !is_gone(&stream)) {
        violations.add(Violation::DoublePoll, || "a second getUpdates while one waited".to_owned());
    }
    Ok(Poll { number: bot.poll, limit, until: now + Duration::from_secs(timeout) })
}

/// `MSG_PEEK | MSG_DONTWAIT` of Linux.
const LOOK: i32 = 0x02 | 0x40;

/// Whether the other side has closed the connection; clients that stop drop their waiting poll.
fn is_gone(stream: &TcpStream) -> bool {
    match socket2::SockRef::from(stream).recv_with_flags(&mut [std::mem::MaybeUninit::uninit()], LOOK) {
        Ok(n) => n == 0,
        Err(err) => err.kind() != std::io::ErrorKind::WouldBlock,
    }
}

/// Answers getUpdates; waits as long as it must. `None`: nobody waits for the answer any more.
pub fn get_updates(
    sandbox: &Sandbox,
    token: &str,
    params: &Params,
    stream: &Arc<TcpStream>,
) -> Option<Result<Value, Refusal>> {
    let mut state = sandbox.state();
    let State { bots, violations, .. } = &mut *state;
    let poll = match start(bots.get(token), params, violations) {
        Ok(poll) => poll,
        Err(refusal) => return Some(Err(refusal)),
    };
    // The older one is woken to hear of its end.
    sandbox.changed.notify_all();
    loop {
        let now_ms = sandbox.clock.wall_ms();
        let State { bots, violations, .. } = &mut *state;
        let bot = bots.get(token);
        if is_gone(stream) {
            return None;
        }
        if bot.poll != poll.number {
            let conflict = bot.next_conflict.replace(Instant::now() + Duration::from_secs(3));
            let wait = conflict.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            drop(state);
            if !wait.is_zero() {
                std::thread::sleep(Duration::from_secs(3));
            }
            return Some(Err(Refusal::new(409, CONFLICT)));
        }
        let updates = bot.take(poll.limit, now_ms, violations);
        let left = poll.until.saturating_duration_since(Instant::now());
        if !updates.is_empty() || left.is_zero() || sandbox.is_stopping() {
            bot.waiting = None;
            if updates.is_empty() {
                bot.note_empty(violations);
            }
            return Some(Ok(Value::Array(updates)));
        }
        bot.waiting = Some(Arc::downgrade(stream));
        state = sandbox.wait(state, left);
    }
}

/// All bots. With no token given, every well-formed one is a bot of its own.
#[derive(Debug)]
pub struct Bots {
    bots: Vec<Bot>,
    any: bool,
    first_update: i64,
    /// Updates from before the first bot came.
    early: Vec<(String, Value, i64)>,
}

impl Bots {
    pub fn new(tokens: &[String], first_update: i64) -> Bots {
        let bots = tokens.iter().map(|token| Bot::new(token, first_update)).collect();
        Bots { bots, any: tokens.is_empty(), first_update, early: Vec::new() }
    }

    /// Lets ids go on where `old` stopped, and polls that wait go on waiting: a bot may run through a reset.
    pub fn go_on_from(&mut self, old: &Bots) {
        self.first_update = old.bots.iter().map(|bot| bot.next_update).fold(old.first_update, i64::max);
        for known in &old.bots {
            let bot = self.get(&known.token);
            bot.poll = known.poll;
            bot.waiting.clone_from(&known.waiting);
        }
        for bot in &mut self.bots {
            bot.next_update = self.first_update;
        }
    }

    /// Whether this token is a bot's; makes the bot where any token will do.
    pub fn knows(&mut self, token: &str) -> bool {
        if self.bots.iter().any(|bot| bot.token == token) {
            return true;
        }
        if !self.any {
            return false;
        }
        let mut bot = Bot::new(token, self.first_update);
        for (kind, body, at_ms) in self.early.drain(..) {
            bot.push(&kind, body, at_ms);
        }
        self.bots.push(bot);
        true
    }

    /// The bot of a token that [`Bots::knows`].
    pub fn get(&mut self, token: &str) -> &mut Bot {
        let at = self.bots.iter().position(|bot| bot.token == token).unwrap_or_else(|| {
            self.bots.push(Bot::new(token, self.first_update));
            self.bots.len() - 1
        });
        &mut self.bots[at]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Bot> {
        self.bots.iter()
    }

    /// The id of the bot that speaks when nobody says which.
    pub fn first_id(&self) -> i64 {
        self.bots.first().map_or(1, |bot| bot.id)
    }

    /// Gives an update to one bot, or to all; returns the id that the first of them gave it.
    pub fn push(&mut self, to: Option<i64>, kind: &str, body: &Value, now_ms: i64) -> Option<i64> {
        if self.bots.is_empty() && self.early.len() < MOST_WAITING {
            self.early.push((kind.to_owned(), body.clone(), now_ms));
            return Some(self.first_update + self.early.len() as i64 - 1);
        }
        let mut first = None;
        for bot in self.bots.iter_mut().filter(|bot| to.is_none_or(|id| id == bot.id)) {
            let id = bot.push(kind, body.clone(), now_ms);
            first = first.or(id);
        }
        first
    }

    pub fn push_raw(&mut self, body: &Value, now_ms: i64) -> Option<i64> {
        let ids: Vec<i64> = self.bots.iter_mut().map(|bot| bot.push_raw(body.clone(), now_ms)).collect();
        ids.first().copied()
    }
}
