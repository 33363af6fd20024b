//! When a message may go out, so that Telegram never has to refuse one.
//!
//! The FAQ's limits: one message a second in a chat, 20 a minute in a group, about 30 a second in all. They are kept as
//! sliding windows over the moments at which answers *came*: the server saw each request before that, so two requests
//! of ours are never closer at the server than here, whatever the network does in between.

mod shared;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use shared::{Entry, Event, Shared};

use crate::delivery;
use crate::outbox::Millis;

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

/// A message of another program that was not answered for so long is not under way any more: that program was killed.
const FORGOTTEN: Duration = Duration::from_secs(10);

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
            theirs: HashMap::new(),
        }
    }

    /// Keeps one pace with the other programs that have the file `pace` beside this one: a bot has one set of limits,
    /// whoever speaks for it. Nothing is shared where nothing is limited.
    pub fn share_beside(&mut self, file: &Path) {
        if self.limits.overall.within.is_zero() && self.limits.chat.within.is_zero() {
            return;
        }
        match Shared::open(&file.with_file_name("pace")) {
            Ok(shared) => self.shared = Some(shared),
            Err(err) => self.alone(&err),
        }
        self.listen(Instant::now());
    }

    /// Takes in what the other programs have sent meanwhile.
    pub fn listen(&mut self, now: Instant) {
        if let Some(shared) = &mut self.shared {
            match shared.news() {
                Ok(entries) => entries.iter().for_each(|entry| self.hear(entry)),
                Err(err) => self.alone(&err),
            }
        }
        self.theirs.retain(|_, since| now.duration_since(*since) < FORGOTTEN);
    }

    /// Better to go on at one's own pace than not at all.
    fn alone(&mut self, err: &io::Error) {
        log::warn!("cannot share the pace with other programs: {err}; going on alone");
        self.shared = None;
        self.theirs.clear();
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
                let left = u64::try_from(until - delivery::now()).unwrap_or(0);
                self.freeze(&entry.chat, Instant::now() + Duration::from_millis(left));
            }
        }
    }

    fn tell(&mut self, event: &Event, chat: &Chat) {
        if let Some(shared) = &mut self.shared
            && let Err(err) = shared.note(event, chat)
        {
            self.alone(&err);
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
        let until = now + silence + AFTER_FLOOD;
        self.freeze(chat, until);
        let millis = Millis::try_from((silence + AFTER_FLOOD).as_millis()).unwrap_or(Millis::MAX / 2);
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
mod tests {
    use super::*;

    const A: Chat = Chat::Id(1);
    const GROUP: Chat = Chat::Id(-1);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn send(pacing: &mut Pacing, chat: &Chat, at: Instant) {
        assert!(pacing.begin(chat, at));
        pacing.end(chat, true, at);
    }

    #[test]
    fn one_a_second_in_a_chat_and_one_at_a_time() {
        let start = Instant::now();
        let mut pacing = Pacing::new(Limits::default());
        assert_eq!(pacing.chat_ready(&A, start), Some(start));
        pacing.begin(&A, start);
        assert_eq!(pacing.chat_ready(&A, start), None);
        pacing.end(&A, true, start + ms(300));
        assert_eq!(pacing.chat_ready(&A, start + ms(300)), Some(start + ms(1300)));
        pacing.begin(&A, start);
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
        pacing.begin(&GROUP, start);
        assert_eq!(pacing.overall_ready(start + ms(10)), Some(start + ms(1000)));
        pacing.begin(&Chat::Id(3), start);
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
            pacing.begin(&Chat::Id(n), start);
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
    fn two_programs_keep_one_pace() {
        let folder = std::env::temp_dir().join(format!("prometheus-telegram-one-pace-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let overall = Limit { count: 3, within: ms(1000) };
        let of = |file: &str| {
            let mut pacing = Pacing::new(Limits { overall, ..Limits::default() });
            pacing.share_beside(&folder.join(file));
            pacing
        };
        let (mut send, mut bot) = (of("outbox.db"), of("bot.db"));
        let now = Instant::now();
        assert!(send.begin(&A, now));
        // It has not heard of it yet, and still does not send.
        assert_eq!(bot.chat_ready(&A, now), Some(now));
        assert!(!bot.begin(&A, now));
        assert!(bot.begin(&GROUP, now), "another chat");
        assert!(send.begin(&Chat::Id(3), now));
        assert!(!bot.begin(&Chat::Id(4), now), "three are under way");
        send.end(&A, true, now);
        bot.listen(now);
        let ready = bot.chat_ready(&A, now).unwrap().duration_since(now);
        assert!((ms(900)..=ms(1100)).contains(&ready), "{ready:?}");
        // A 429 is everybody's, and so is what an earlier run sent.
        bot.end(&GROUP, true, now);
        bot.flood(&GROUP, ms(7000), now);
        send.listen(now);
        assert!(send.chat_ready(&GROUP, now).unwrap() > now + ms(6000));
        let later = of("outbox.db");
        assert!(later.chat_ready(&A, now).unwrap() > now);
        // One that was killed does not keep the others for ever.
        let mut third = of("third");
        third.listen(now + ms(11_000));
        assert!(third.theirs.is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
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
