//! When a message may go out, so that Telegram never has to refuse one.
//!
//! The FAQ's limits: one message a second in a chat, 20 a minute in a group, about 30 a second in all. They are kept as
//! sliding windows over the moments at which answers *came*: the server saw each request before that, so two requests
//! of ours are never closer at the server than here, whatever the network does in between.

mod shared;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use shared::{Entry, Event, Shared};

use crate::delivery;
use crate::outbox::Millis;

use crate::record::Chat;
use crate::verdict::LONGEST_FLOOD;

/// So many messages in so much time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// Messages.
    pub count: usize,
    /// Any stretch of this length.
    pub within: Duration,
}

/// All limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// For each chat.
    pub chat: Limit,
    /// For each group or channel, besides.
    pub group: Limit,
    /// For the bot.
    pub overall: Limit,
}

impl Default for Limits {
    /// <https://core.telegram.org/bots/faq>, "My bot is hitting limits".
    fn default() -> Self {
        let limit = |count, seconds| Limit { count, within: Duration::from_secs(seconds) };
        Limits { chat: limit(1, 1), group: limit(20, 60), overall: limit(30, 1) }
    }
}

impl FromStr for Limits {
    type Err = String;

    /// `1/20/30`: a second in a chat, a minute in a group, a second in all; 0 is no limit.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not of the form 1/20/30");
        let counts: Vec<usize> =
            text.split('/').map(|count| count.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
        let [chat, group, overall] = counts[..] else { return Err(wrong()) };
        let set = |limit: Limit, count| match count {
            0 => Limit { count: usize::MAX, within: Duration::ZERO },
            count => Limit { count, ..limit },
        };
        let usual = Limits::default();
        Ok(Limits { chat: set(usual.chat, chat), group: set(usual.group, group), overall: set(usual.overall, overall) })
    }
}

/// When this many chats are refused for flooding within [`FLOOD_MEMORY`], the bot as a whole is too fast.
const FLOODED_CHATS: usize = 3;
const FLOOD_MEMORY: Duration = Duration::from_secs(10);

/// Beyond what a 429 says, against clocks that differ by a tick.
const AFTER_FLOOD: Duration = Duration::from_millis(100);

/// A message of another program that was not answered for so long is not under way any more: that program was killed.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// When the file could not be written, it is tried again after this.
const ALONE: Duration = Duration::from_secs(30);

/// While another program's message is under way, it is looked this often whether it was answered.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The pace of all chats.
#[derive(Debug)]
pub struct Pacing {
    limits: Limits,
    overall: VecDeque<Instant>,
    in_flight: usize,
    frozen: Option<Instant>,
    floods: VecDeque<(Instant, Chat)>,
    chats: HashMap<Chat, Pace>,
    names: HashMap<Chat, Chat>,
    shared: Option<Shared>,
    /// Where that is, or will be again.
    path: Option<PathBuf>,
    tried: Instant,
    is_alone: bool,
    /// Since when messages of other programs are under way.
    theirs: HashMap<Chat, Instant>,
}

#[derive(Debug, Default)]
struct Pace {
    answered: VecDeque<Instant>,
    frozen: Option<Instant>,
    in_flight: bool,
}

impl Pacing {
    /// Nothing was sent yet.
    pub fn new(limits: Limits) -> Self {
        Pacing {
            limits,
            overall: VecDeque::new(),
            in_flight: 0,
            frozen: None,
            floods: VecDeque::new(),
            chats: HashMap::new(),
            names: HashMap::new(),
            shared: None,
            path: None,
            tried: Instant::now(),
            is_alone: false,
            theirs: HashMap::new(),
        }
    }

    /// Keeps one pace with the other programs that have the file `pace` beside this one: a bot has one set of limits,
    /// whoever speaks for it. Nothing is shared where nothing is limited.
    pub fn share_beside(&mut self, file: &Path) {
        if self.limits.overall.within.is_zero() && self.limits.chat.within.is_zero() {
            return;
        }
        let path = file.with_file_name("pace");
        match Shared::open(&path) {
            Ok(shared) => self.shared = Some(shared),
            Err(err) => self.alone(&err),
        }
        self.path = Some(path);
        self.listen(Instant::now());
    }

    /// Takes in what the other programs have sent meanwhile.
    pub fn listen(&mut self, now: Instant) {
        self.meet_again(now);
        if let Some(shared) = &mut self.shared {
            match shared.news() {
                Ok(entries) => entries.iter().for_each(|entry| self.hear(entry)),
                Err(err) => self.alone(&err),
            }
        }
        self.theirs.retain(|_, since| now.duration_since(*since) < FORGOTTEN);
    }

    /// Better to go on at one's own pace than not at all, for a while.
    fn alone(&mut self, err: &io::Error) {
        if !self.is_alone {
            log::warn!("cannot share the pace with other programs: {err}; going on alone");
        }
        self.is_alone = true;
        self.tried = Instant::now();
        self.shared = None;
        self.theirs.clear();
    }

    /// The disk that was full has room again, perhaps.
    fn meet_again(&mut self, now: Instant) {
        let Some(path) = self.path.as_ref().filter(|_| self.shared.is_none()) else { return };
        if now.duration_since(self.tried) < ALONE {
            return;
        }
        self.tried = now;
        self.shared = Shared::open(path).ok();
    }

    fn hear(&mut self, entry: &Entry) {
        match entry.event {
            Event::Begin => drop(self.theirs.insert(entry.chat.clone(), entry.instant())),
            Event::Cancel => drop(self.theirs.remove(&entry.chat)),
            Event::End => {
                self.theirs.remove(&entry.chat);
                self.count(&entry.chat, entry.instant());
            }
            Event::Flood(until) => {
                // A line of the file can hold any number, and a clock that was put back must not make it longer than
                // Telegram said.
                let left = until.saturating_sub(delivery::now()).min(until.saturating_sub(entry.at));
                let left = Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LONGEST_FLOOD + AFTER_FLOOD);
                self.freeze(&entry.chat, Instant::now() + left);
            }
        }
    }

    fn tell(&mut self, event: &Event, chat: &Chat) {
        if let Some(shared) = &mut self.shared {
            match shared.note(event, chat) {
                Ok(()) if self.is_alone => {
                    crate::notice!("the pace is shared with other programs again");
                    self.is_alone = false;
                }
                Ok(()) => {}
                Err(err) => self.alone(&err),
            }
        }
    }

    /// Whether nobody else was faster; what they told meanwhile is taken in.
    fn is_first(&mut self, chat: &Chat, now: Instant) -> bool {
        let Some(shared) = &mut self.shared else { return true };
        let (before, after) = match shared.before_ours() {
            Ok(told) => told,
            Err(err) => {
                self.alone(&err);
                return true;
            }
        };
        before.iter().for_each(|entry| self.hear(entry));
        let is_first = self.chat_ready(chat, now).is_some_and(|at| at <= now)
            && self.overall_ready(now).is_some_and(|at| at <= now);
        // Those who come after us see our line and wait; theirs only counts if it stays.
        after.iter().for_each(|entry| self.hear(entry));
        is_first
    }

    /// The earliest moment for the next message to this chat, by the chat's own limits; nothing while one is in flight.
    pub fn chat_ready(&self, chat: &Chat, now: Instant) -> Option<Instant> {
        let theirs = self.theirs.contains_key(self.key(chat)).then(|| now + LOOK_AGAIN);
        let Some(pace) = self.chats.get(self.key(chat)) else { return Some(theirs.unwrap_or(now)) };
        if pace.in_flight {
            return None;
        }
        let mut ready = now.max(pace.frozen.unwrap_or(now)).max(theirs.unwrap_or(now));
        let group = chat.is_group().then_some(self.limits.group);
        for limit in [Some(self.limits.chat), group].into_iter().flatten() {
            if let Some(at) = free_at(&pace.answered, limit, 0) {
                ready = ready.max(at);
            }
        }
        Some(ready)
    }

    /// The earliest moment for any message at all; nothing while an answer has to come first.
    pub fn overall_ready(&self, now: Instant) -> Option<Instant> {
        if self.in_flight >= self.limits.overall.count {
            return None;
        }
        let under_way = self.in_flight + self.theirs.len();
        if under_way >= self.limits.overall.count {
            return Some(now + LOOK_AGAIN);
        }
        let free = free_at(&self.overall, self.limits.overall, under_way).unwrap_or(now);
        Some(now.max(free).max(self.frozen.unwrap_or(now)))
    }

    /// A message to this chat goes out, unless another program's is faster: then it is to be tried again.
    pub fn begin(&mut self, chat: &Chat, now: Instant) -> bool {
        let key = self.key(chat).clone();
        self.tell(&Event::Begin, &key);
        if !self.is_first(chat, now) {
            self.tell(&Event::Cancel, &key);
            self.freeze(chat, now + LOOK_AGAIN);
            return false;
        }
        self.in_flight += 1;
        self.pace(chat).in_flight = true;
        true
    }

    /// Its answer came, or none will; `counted` unless the server cannot have seen it.
    pub fn end(&mut self, chat: &Chat, counted: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pace(chat).in_flight = false;
        let key = self.key(chat).clone();
        self.tell(if counted { &Event::End } else { &Event::Cancel }, &key);
        if counted {
            self.count(chat, now);
        }
    }

    /// A message was answered then; also for what an earlier run sent.
    pub fn count(&mut self, chat: &Chat, at: Instant) {
        // What a limit can ask for: as many answers as it counts, and none where there is no limit.
        let keep = |limit: Limit| if limit.within.is_zero() { 0 } else { limit.count };
        let (in_chat, in_all) = (keep(self.limits.group).max(keep(self.limits.chat)), keep(self.limits.overall));
        push(&mut self.pace(chat).answered, at, in_chat);
        push(&mut self.overall, at, in_all);
    }

    /// Telegram asked for silence in this chat; when it does so in several, for the whole bot. Returns whether that is so.
    pub fn flood(&mut self, chat: &Chat, silence: Duration, now: Instant) -> bool {
        let silence = silence.min(LONGEST_FLOOD) + AFTER_FLOOD;
        let until = now + silence;
        self.freeze(chat, until);
        let millis = Millis::try_from(silence.as_millis()).unwrap_or(0);
        let key = self.key(chat).clone();
        self.tell(&Event::Flood(delivery::now() + millis), &key);
        self.floods.retain(|(at, other)| now.duration_since(*at) < FLOOD_MEMORY && other != chat);
        self.floods.push_back((now, chat.clone()));
        let all = self.floods.len() >= FLOODED_CHATS;
        if all {
            self.freeze_all(until);
        }
        all
    }

    /// Nothing to this chat before this moment.
    pub fn freeze(&mut self, chat: &Chat, until: Instant) {
        let frozen = &mut self.pace(chat).frozen;
        *frozen = Some(frozen.map_or(until, |at| at.max(until)));
    }

    /// Nothing to anybody before this moment.
    pub fn freeze_all(&mut self, until: Instant) {
        self.frozen = Some(self.frozen.map_or(until, |at| at.max(until)));
    }

    /// The chat has a new id; its pace goes on.
    pub fn rename(&mut self, old: &Chat, new: &Chat) {
        if let Some(pace) = self.chats.remove(old) {
            let known = self.chats.entry(new.clone()).or_default();
            known.answered.extend(pace.answered);
            known.answered.make_contiguous().sort();
            known.frozen = known.frozen.max(pace.frozen);
            known.in_flight |= pace.in_flight;
        }
    }

    /// An `@name` and this id are one chat, which has one pace.
    pub fn learn(&mut self, name: &Chat, id: &Chat) {
        if matches!(name, Chat::Name(_)) && !self.names.contains_key(name) {
            self.rename(name, id);
            self.names.insert(name.clone(), id.clone());
        }
    }

    /// The other names of a chat, which have its pace.
    pub fn others(&self, chat: &Chat) -> Vec<Chat> {
        if self.names.is_empty() {
            return Vec::new();
        }
        let key = self.key(chat);
        let names = self.names.iter().filter(|(_, id)| *id == key).map(|(name, _)| name);
        names.chain([key]).filter(|other| *other != chat).cloned().collect()
    }

    fn key<'a>(&'a self, chat: &'a Chat) -> &'a Chat {
        self.names.get(chat).unwrap_or(chat)
    }

    fn pace(&mut self, chat: &Chat) -> &mut Pace {
        let key = self.names.get(chat).unwrap_or(chat).clone();
        self.chats.entry(key).or_default()
    }

    /// Forgets chats whose windows are empty again.
    pub fn forget_idle(&mut self, now: Instant) {
        let longest = self.limits.group.within.max(self.limits.chat.within);
        self.chats.retain(|_, pace| {
            pace.in_flight
                || pace.frozen.is_some_and(|until| until > now)
                || pace.answered.back().is_some_and(|at| now.duration_since(*at) < longest)
        });
    }
}

fn push(window: &mut VecDeque<Instant>, at: Instant, keep: usize) {
    window.push_back(at);
    while window.len() > keep {
        window.pop_front();
    }
}

/// When one more fits into the window, if it is full now. `coming` answers are still to come and count as of now.
fn free_at(answered: &VecDeque<Instant>, limit: Limit, coming: usize) -> Option<Instant> {
    let room = limit.count.checked_sub(coming + 1)?;
    // The (room + 1)th youngest answer has to leave the window.
    let at = answered.len().checked_sub(room + 1)?;
    answered.get(at).map(|at| *at + limit.within)
}

#[cfg(test)]
mod tests;
