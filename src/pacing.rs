//! When a message may go out, so that Telegram never has to refuse one.
//!
//! The FAQ's limits: one message a second in a chat, 20 a minute in a group, about 30 a second in all. They are kept as
//! sliding windows over the moments at which answers *came*: the server saw each request before that, so two requests
//! of ours are never closer at the server than here, whatever the network does in between.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::record::Chat;

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
        }
    }

    /// The earliest moment for the next message to this chat, by the chat's own limits; nothing while one is in flight.
    pub fn chat_ready(&self, chat: &Chat, now: Instant) -> Option<Instant> {
        let Some(pace) = self.chats.get(self.key(chat)) else { return Some(now) };
        if pace.in_flight {
            return None;
        }
        let mut ready = now.max(pace.frozen.unwrap_or(now));
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
        let free = free_at(&self.overall, self.limits.overall, self.in_flight).unwrap_or(now);
        Some(now.max(free).max(self.frozen.unwrap_or(now)))
    }

    /// A message to this chat goes out.
    pub fn begin(&mut self, chat: &Chat) {
        self.in_flight += 1;
        self.pace(chat).in_flight = true;
    }

    /// Its answer came, or none will; `counted` unless the server cannot have seen it.
    pub fn end(&mut self, chat: &Chat, counted: bool, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.pace(chat).in_flight = false;
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
        let until = now + silence + AFTER_FLOOD;
        self.freeze(chat, until);
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
mod tests {
    use super::*;

    const A: Chat = Chat::Id(1);
    const GROUP: Chat = Chat::Id(-1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn send(pacing: &mut Pacing, chat: &Chat, at: Instant) {
        pacing.begin(chat);
        pacing.end(chat, true, at);
    }

    #[test]
    fn one_a_second_in_a_chat_and_one_at_a_time() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        assert_eq!(pacing.chat_ready(&A, start), Some(start));
        pacing.begin(&A);
        assert_eq!(pacing.chat_ready(&A, start), None);
        pacing.end(&A, true, start + ms(300));
        assert_eq!(pacing.chat_ready(&A, start + ms(300)), Some(start + ms(1300)));
        pacing.begin(&A);
        pacing.end(&A, false, start + ms(1400));
        assert_eq!(pacing.chat_ready(&A, start + ms(1400)), Some(start + ms(1400)), "not sent, not counted");
    }

    #[test]
    fn twenty_a_minute_in_a_group() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        for n in 0..20 {
            let at = start + ms(1000 * n);
            assert_eq!(pacing.chat_ready(&GROUP, at), Some(at), "{n}");
            send(&mut pacing, &GROUP, at);
        }
        assert_eq!(pacing.chat_ready(&GROUP, start + ms(20_000)), Some(start + ms(60_000)));
    }

    #[test]
    fn any_second_holds_thirty() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        for n in 0..30 {
            assert_eq!(pacing.overall_ready(start + ms(n)), Some(start + ms(n)));
            send(&mut pacing, &Chat::Id(n as i64 + 1), start + ms(n));
        }
        assert_eq!(pacing.overall_ready(start + ms(40)), Some(start + ms(1000)));
        assert_eq!(pacing.overall_ready(start + ms(1000)), Some(start + ms(1000)));
        send(&mut pacing, &A, start + ms(1000));
        assert_eq!(pacing.overall_ready(start + ms(1000)), Some(start + ms(1001)));
    }

    #[test]
    fn what_is_in_flight_takes_room() {
        let start = Instant::now();
        let overall = Limit { count: 2, within: ms(1000) };
        let mut pacing = Pacing::new(Limits { overall, ..Limits::default() });
        send(&mut pacing, &A, start);
        pacing.begin(&GROUP);
        assert_eq!(pacing.overall_ready(start + ms(10)), Some(start + ms(1000)));
        pacing.begin(&Chat::Id(3));
        assert_eq!(pacing.overall_ready(start + ms(2000)), None);
    }

    #[test]
    fn a_flood_freezes_the_chat_and_three_freeze_all() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        assert!(!pacing.flood(&A, ms(7000), start));
        assert!(pacing.chat_ready(&A, start) >= Some(start + ms(7000)));
        assert_eq!(pacing.overall_ready(start), Some(start));
        assert!(!pacing.flood(&A, ms(7000), start), "the same chat again is no second one");
        assert!(!pacing.flood(&GROUP, ms(1000), start));
        assert!(pacing.flood(&Chat::Id(9), ms(2000), start));
        assert!(pacing.overall_ready(start) >= Some(start + ms(2000)));
        assert!(pacing.overall_ready(start) < Some(start + ms(7000)));
    }

    #[test]
    fn limits_of_ones_own() {
        assert_eq!("1/20/30".parse(), Ok(Limits::default()));
        let start = Instant::now();
        let mut pacing = Pacing::new("0/0/0".parse().unwrap());
        for n in 0..50 {
            pacing.begin(&Chat::Id(n));
        }
        assert_eq!(pacing.overall_ready(start), Some(start));
        send(&mut pacing, &GROUP, start);
        assert_eq!(pacing.chat_ready(&GROUP, start), Some(start));
        for wrong in ["", "1", "1/2", "1/2/x", "1/2/3/4", "-1/2/3"] {
            assert!(wrong.parse::<Limits>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_name_and_its_id_have_one_pace() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        let name = Chat::Name("@ops".into());
        send(&mut pacing, &name, start);
        pacing.learn(&name, &GROUP);
        assert_eq!(pacing.chat_ready(&GROUP, start), Some(start + ms(1000)));
        send(&mut pacing, &GROUP, start + ms(1000));
        assert_eq!(pacing.chat_ready(&name, start + ms(1000)), Some(start + ms(2000)));
        assert_eq!((pacing.others(&name), pacing.others(&GROUP)), (vec![GROUP], vec![name]));
        assert_eq!(pacing.others(&A), []);
    }

    #[test]
    fn a_renamed_chat_keeps_its_pace_and_an_idle_one_is_forgotten() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        send(&mut pacing, &GROUP, start);
        pacing.rename(&GROUP, &Chat::Id(-100));
        assert_eq!(pacing.chat_ready(&Chat::Id(-100), start), Some(start + ms(1000)));
        pacing.forget_idle(start + ms(59_000));
        assert_eq!(pacing.chats.len(), 1);
        pacing.forget_idle(start + ms(60_000));
        assert_eq!(pacing.chats.len(), 0);
    }
}
