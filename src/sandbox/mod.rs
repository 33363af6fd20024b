//! `tg-sandbox`: Telegram's Bot API on loopback, for trying out, for demos and for tests.
//!
//! It knows the limits, the checks in their order and the words of the real server, and can be told to fail in all the
//! ways in which networks and servers fail. It reaches nothing but 127.0.0.1.

mod api;
mod clock;
mod control;
mod exchange;
mod faults;
mod files;
mod keyboard;
mod limits;
pub mod markup;
mod message;
mod page;
mod params;
mod poll;
mod presets;
mod requests;
mod rules;
mod server;
mod upstream;
mod user;
mod violations;
mod world;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::api::edit::Query;
use self::clock::{Chance, Clock};
use self::files::Files;
use self::limits::{Limits, Numbers};
use self::poll::Bots;
use self::requests::{Record, Requests};
use self::rules::Rules;
use self::violations::Violations;
use self::world::World;

pub use self::limits::Enforcement;

/// How long a press may stay unanswered before it is counted.
const UNANSWERED_MS: i64 = 10_000;

/// What a sandbox is started with.
#[derive(Debug, Default)]
pub struct Options {
    /// Port of the API; 0 takes a free one.
    pub port: u16,
    /// Port of the control API and the page; 0 takes a free one.
    pub ctl_port: u16,
    /// The tokens that exist; none is any.
    pub tokens: Vec<String>,
    /// The world, as JSON.
    pub world: Option<Value>,
    /// Faults from the start.
    pub rules: Vec<Value>,
    /// Where each request is written to as a line of JSON.
    pub log: Option<File>,
    /// Limits: `off`, `count` or `enforce`.
    pub limits: Option<Enforcement>,
    /// Divides the times of limits.
    pub scale: Option<f64>,
    /// Only declared chats exist.
    pub strict: bool,
    /// A method that does not exist is no error.
    pub lenient: bool,
    /// Answers to malformed tokens as the open source server gives them.
    pub oss: bool,
    /// The server behind the faults.
    pub upstream: Option<String>,
    /// For everything that is left to chance.
    pub seed: u64,
    /// How many requests and messages are kept.
    pub keep: usize,
}

/// All that changes, behind one lock.
struct State {
    world: World,
    bots: Bots,
    files: Files,
    limits: Limits,
    rules: Rules,
    requests: Requests,
    violations: Violations,
    queries: Vec<Query>,
    /// What the bot is seen doing, and since when.
    actions: HashMap<i64, (String, i64)>,
    /// Requests to a chat that have no answer yet.
    under_way: HashMap<Box<str>, u32>,
    /// Tokens and chats that got an answer after which no more should come.
    fatal: HashSet<String>,
    dead: HashSet<Box<str>>,
    chance: Chance,
    /// Which reset this is.
    epoch: u64,
    hasher: std::hash::RandomState,
    log: Option<File>,
}

impl State {
    fn new(options: &Options) -> Result<State, String> {
        let world = options.world.clone().map(serde_json::from_value).transpose();
        let world = world.map_err(|err| format!("bad world: {err}"))?.unwrap_or_default();
        let mut rules = Rules::new(options.seed);
        for rule in &options.rules {
            rules.add(rule.clone())?;
        }
        let mut chance = Chance::new(options.seed);
        let first_update = 100_000_000 + (chance.next() % 800_000_000) as i64;
        let mut numbers = Numbers::default();
        numbers.mode = options.limits.unwrap_or(numbers.mode);
        numbers.scale = options.scale.unwrap_or(numbers.scale);
        let log = options.log.as_ref().map(File::try_clone).transpose().map_err(|err| err.to_string())?;
        Ok(State {
            world: World::new(world, options.strict, options.keep),
            bots: Bots::new(&options.tokens, first_update),
            files: Files::default(),
            limits: Limits::new(numbers),
            rules,
            requests: Requests::new(options.keep),
            violations: Violations::default(),
            queries: Vec::new(),
            actions: HashMap::new(),
            under_way: HashMap::new(),
            fatal: HashSet::new(),
            dead: HashSet::new(),
            chance,
            epoch: 0,
            hasher: std::hash::RandomState::new(),
            log,
        })
    }

    /// Keeps the record of a request.
    fn keep(&mut self, record: Record) {
        if let Some(log) = &mut self.log {
            let mut line = record.to_json();
            line["n"] = (self.requests.total() + 1).into();
            // Nobody can be told that the log cannot be written.
            let _ = log.write_all(format!("{line}\n").as_bytes());
        }
        self.requests.push(record);
    }

    fn unanswered(&self, clock: &Clock) -> u64 {
        let now = clock.wall_ms();
        self.queries.iter().filter(|query| query.answer.is_none() && now - query.at_ms > UNANSWERED_MS).count() as u64
    }

    fn summary(&self, clock: &Clock) -> Value {
        let [delivered, rejected, dropped, lost_answer] = self.requests.outcomes;
        let messages: u64 = self.world.chats.values().map(|chat| chat.delivered).sum();
        json!({"requests": self.requests.total(), "messages": messages, "delivered": delivered, "rejected": rejected,
               "dropped": dropped, "lost_answer": lost_answer,
               "violations": self.violations.counts(self.unanswered(clock))})
    }

    fn to_json(&self, clock: &Clock) -> Value {
        let chats: Vec<Value> = self
            .world
            .chats
            .values()
            .map(|chat| {
                json!({"chat": chat.to_json(), "delivered": chat.delivered, "kept": chat.messages.len(),
                       "bot": chat.bot, "user": chat.user, "members": chat.members, "threads": chat.threads,
                       "migrated_to": chat.migrated_to, "keyboard": chat.keyboard})
            })
            .collect();
        let bots: Vec<Value> = self
            .bots
            .iter()
            .map(|bot| {
                json!({"id": bot.id, "username": message::bot_username(bot.id), "webhook": bot.webhook,
                       "waiting_updates": bot.waiting_updates(), "allowed_updates": bot.allowed(),
                       "commands": bot.commands, "descriptions": bot.descriptions})
            })
            .collect();
        let queries: Vec<Value> = self
            .queries
            .iter()
            .map(|query| json!({"id": query.id, "chat": query.chat, "answer": query.answer}))
            .collect();
        json!({"t_ms": clock.steady_ms(), "unix": clock.unix(), "summary": self.summary(clock), "chats": chats,
               "bots": bots, "queries": queries, "limits": self.limits.numbers})
    }
}

/// A running sandbox.
pub struct Sandbox {
    options: Options,
    clock: Clock,
    state: Mutex<State>,
    /// Something happened that somebody may wait for.
    changed: Condvar,
    api_port: u16,
    ctl_port: u16,
    stopping: AtomicBool,
    end: Mutex<bool>,
    ended: Condvar,
    /// Until when the API's port is closed, in steady milliseconds.
    refused_until: AtomicU64,
    connections: Mutex<Vec<Weak<TcpStream>>>,
}

impl Sandbox {
    /// Starts a sandbox: binds both ports and serves them from threads of its own.
    pub fn start(options: Options) -> Result<Arc<Sandbox>, String> {
        let bind = |port| server::bind(port).map_err(|err| format!("cannot listen on 127.0.0.1:{port}: {err}"));
        let (api, ctl) = (bind(options.port)?, bind(options.ctl_port)?);
        let port = |listener: &std::net::TcpListener| listener.local_addr().map(|addr| addr.port());
        let ports: io::Result<(u16, u16)> = port(&api).and_then(|api| Ok((api, port(&ctl)?)));
        let (api_port, ctl_port) = ports.map_err(|err| format!("cannot listen: {err}"))?;
        let sandbox = Arc::new(Sandbox {
            state: Mutex::new(State::new(&options)?),
            options,
            clock: Clock::new(),
            changed: Condvar::new(),
            api_port,
            ctl_port,
            stopping: AtomicBool::new(false),
            end: Mutex::new(false),
            ended: Condvar::new(),
            refused_until: AtomicU64::new(0),
            connections: Mutex::new(Vec::new()),
        });
        let served = Arc::clone(&sandbox);
        std::thread::spawn(move || server::run_api(&served, api));
        let served = Arc::clone(&sandbox);
        std::thread::spawn(move || server::run_control(&served, &ctl));
        Ok(sandbox)
    }

    /// The port of the API.
    pub fn api_port(&self) -> u16 {
        self.api_port
    }

    /// The port of the control API and the page.
    pub fn ctl_port(&self) -> u16 {
        self.ctl_port
    }

    fn page_url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.ctl_port)
    }

    /// Ends it: whoever waits gets an answer.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Says that it may end now.
    pub fn stopped(&self) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.notify_all();
    }

    /// Waits until it was stopped, or for that long; returns what there is to say about the run, and whether a client
    /// did what it should not.
    pub fn wait_for_end(&self, at_most: Option<Duration>) -> (Value, bool) {
        let deadline = at_most.map(|wait| Instant::now() + wait);
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        while !*end {
            let left = deadline.map_or(Duration::from_secs(3600), |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            end = self.ended.wait_timeout(end, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(end);
        self.stop();
        let state = self.state();
        (state.summary(&self.clock), state.violations.total() + state.unanswered(&self.clock) > 0)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most that long.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps, but not beyond the end.
    fn sleep(&self, time: Duration) {
        let deadline = Instant::now() + time;
        while !self.is_stopping() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
    }

    /// A clean slate: as it was started.
    fn reset(&self) {
        if let Ok(mut fresh) = State::new(&self.options) {
            let mut state = self.state();
            fresh.bots.go_on_from(&state.bots);
            // Waiting pages must see that their state is an old one.
            let (version, epoch) = (state.world.version + 1, state.epoch + 1);
            *state = fresh;
            state.world.start_over_at(version);
            state.epoch = epoch;
        }
    }

    /// Closes the API's port for a time, and all connections to it.
    fn refuse(&self, time: Duration) {
        let until = self.clock.steady_ms() + time.as_millis() as u64;
        self.refused_until.store(until, Ordering::Relaxed);
        for stream in self.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            if let Some(stream) = stream.upgrade() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        // The listener sleeps in accept and has to be woken to be closed.
        let _ = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, self.api_port));
    }

    /// How long the API's port stays closed.
    fn refused(&self) -> Duration {
        Duration::from_millis(self.refused_until.load(Ordering::Relaxed).saturating_sub(self.clock.steady_ms()))
    }

    fn remember(&self, stream: &Arc<TcpStream>) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.len() >= 64 && connections.len().is_power_of_two() {
            connections.retain(|stream| stream.strong_count() > 0);
        }
        connections.push(Arc::downgrade(stream));
    }

    /// A request to a chat is no longer under way.
    fn arrived(&self, chat: Option<&str>) {
        let Some(chat) = chat else { return };
        let mut state = self.state();
        if let Some(count) = state.under_way.get_mut(chat) {
            *count -= 1;
            if *count == 0 {
                state.under_way.remove(chat);
            }
        }
    }
}
