//! Telegram's limits on sending: sliding windows per chat, per group and over all (the numbers of the bots FAQ).
//!
//! The time of a request is the moment at which it was read whole.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::violations::{Violation, Violations};

/// What happens when a limit is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// Nothing is looked at.
    Off,
    /// The message is delivered and a violation counted.
    Count,
    /// 429, a violation counted, and the chat frozen.
    Enforce,
}

impl std::str::FromStr for Enforcement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Enforcement::Off),
            "count" => Ok(Enforcement::Count),
            "enforce" => Ok(Enforcement::Enforce),
            _ => Err(format!("{text:?} is not off, count or enforce")),
        }
    }
}

/// At most `n * burst` messages within `ms * burst`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub n: usize,
    pub ms: u64,
    #[serde(default = "one")]
    pub burst: usize,
}

fn one() -> usize {
    1
}

/// The numbers; what `POST /limits` takes and shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Numbers {
    pub mode: Enforcement,
    pub per_chat: Window,
    pub group: Window,
    pub overall: Window,
    /// How much too early is forgiven: clocks and queues are not exact.
    pub slack_ms: u64,
    /// Waits up to this long are held instead of refused, as TDLib does up to 8 s (NetQueryDelayer); 0 is never.
    pub hold_ms: u64,
    /// All times are divided by it.
    pub scale: f64,
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers {
            mode: Enforcement::Off,
            per_chat: Window { n: 1, ms: 1000, burst: 1 },
            group: Window { n: 20, ms: 60_000, burst: 1 },
            overall: Window { n: 30, ms: 1000, burst: 1 },
            slack_ms: 20,
            hold_ms: 0,
            scale: 1.0,
        }
    }
}

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Wait this long, then go on without asking again.
    Hold(u64),
    /// Too many requests: seconds to wait.
    Refuse(u64),
}

#[derive(Debug, Default)]
struct ChatTimes {
    recent: VecDeque<u64>,
    frozen: Option<u64>,
}

/// The windows.
#[derive(Debug, Default)]
pub struct Limits {
    pub numbers: Numbers,
    chats: HashMap<i64, ChatTimes>,
    overall: VecDeque<u64>,
    all_frozen: Option<u64>,
}

impl Limits {
    pub fn new(numbers: Numbers) -> Limits {
        Limits { numbers, ..Limits::default() }
    }

    fn scaled(&self, ms: u64) -> u64 {
        (ms as f64 / self.numbers.scale) as u64
    }

    /// Seconds that the client is told, and milliseconds after which it is welcome again.
    fn told(&self, wait_ms: u64) -> (u64, u64) {
        let seconds = wait_ms.div_ceil(1000).max(1);
        (seconds, wait_ms.max(self.scaled(seconds * 1000)))
    }

    /// Freezes a chat, or all, for that many seconds (divided by the scale); returns what the client is to be told.
    pub fn freeze(&mut self, chat: Option<i64>, seconds: u64, now: u64) -> u64 {
        let wait = self.scaled(seconds * 1000);
        let until = Some(now + wait);
        match chat {
            Some(chat) => self.chats.entry(chat).or_default().frozen = until,
            None => self.all_frozen = until,
        }
        wait.div_ceil(1000).max(1)
    }

    /// How long the chat, or everything, is still frozen.
    fn frozen(&mut self, chat: i64, now: u64) -> u64 {
        let slack = self.numbers.slack_ms;
        let left = |until: Option<u64>| until.map_or(0, |until| until.saturating_sub(now + slack));
        let chat = self.chats.get(&chat).map_or(0, |times| left(times.frozen));
        chat.max(left(self.all_frozen))
    }

    /// Whether a message may go to this chat now; if it may, it is counted.
    pub fn check(&mut self, chat: i64, is_group: bool, now: u64, violations: &mut Violations) -> Verdict {
        let frozen = self.frozen(chat, now);
        if frozen > 0 {
            violations.add(Violation::EarlyRetry, || format!("chat {chat}, {frozen} ms too early"));
            return Verdict::Refuse(self.told(frozen).0);
        }
        if self.numbers.mode == Enforcement::Off {
            return Verdict::Pass;
        }
        let wait = self.wait(chat, is_group, now, violations);
        let enforce = self.numbers.mode == Enforcement::Enforce && wait > 0;
        if enforce && wait > self.numbers.hold_ms {
            let (seconds, until) = self.told(wait);
            self.chats.entry(chat).or_default().frozen = Some(now + until);
            return Verdict::Refuse(seconds);
        }
        let at = if enforce { now + wait } else { now };
        self.count(chat, is_group, at);
        if enforce { Verdict::Hold(wait) } else { Verdict::Pass }
    }

    /// How long until all windows have room.
    fn wait(&self, chat: i64, is_group: bool, now: u64, violations: &mut Violations) -> u64 {
        let recent = self.chats.get(&chat).map(|times| &times.recent);
        let numbers = &self.numbers;
        let mut longest = 0;
        let mut look = |times: Option<&VecDeque<u64>>, window: Window, violation| {
            let wait = times.map_or(0, |times| self.room(times, window, now));
            if wait > 0 {
                violations.add(violation, || format!("chat {chat}, {wait} ms too early"));
                longest = wait.max(longest);
            }
        };
        look(recent, numbers.per_chat, Violation::PerChat);
        if is_group {
            look(recent, numbers.group, Violation::GroupMinute);
        }
        look(Some(&self.overall), numbers.overall, Violation::Overall);
        longest
    }

    fn room(&self, times: &VecDeque<u64>, window: Window, now: u64) -> u64 {
        let most = window.n * window.burst.max(1);
        let span = self.scaled(window.ms * window.burst.max(1) as u64).saturating_sub(self.numbers.slack_ms);
        if most == 0 || times.len() < most {
            return 0;
        }
        let oldest = times[times.len() - most];
        (oldest + span).saturating_sub(now)
    }

    fn count(&mut self, chat: i64, is_group: bool, at: u64) {
        let keep = |window: Window| window.n * window.burst.max(1);
        let most = keep(self.numbers.per_chat).max(if is_group { keep(self.numbers.group) } else { 0 });
        let times = self.chats.entry(chat).or_default();
        push(&mut times.recent, at, most);
        times.frozen = None;
        push(&mut self.overall, at, keep(self.numbers.overall));
    }
}

/// In order of time: a held request is counted at the time until which it is held.
fn push(times: &mut VecDeque<u64>, at: u64, most: usize) {
    let place = times.partition_point(|time| *time <= at);
    times.insert(place, at);
    while times.len() > most {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(mode: Enforcement) -> Limits {
        Limits::new(Numbers { mode, ..Numbers::default() })
    }

    #[test]
    fn a_second_between_messages_to_a_chat() {
        let mut limits = limits(Enforcement::Enforce);
        let mut violations = Violations::default();
        assert_eq!(limits.check(1, false, 0, &mut violations), Verdict::Pass);
        assert_eq!(limits.check(2, false, 1, &mut violations), Verdict::Pass);
        assert_eq!(limits.check(1, false, 979, &mut violations), Verdict::Refuse(1));
        assert_eq!(violations.count(Violation::PerChat), 1);
        assert_eq!(limits.check(1, false, 1500, &mut violations), Verdict::Refuse(1), "told one second at 979");
        assert_eq!(violations.count(Violation::EarlyRetry), 1);
        assert_eq!(limits.check(1, false, 1979, &mut violations), Verdict::Pass);
    }

    #[test]
    fn twenty_a_minute_to_a_group_but_not_to_a_person() {
        for (is_group, refused) in [(true, 1), (false, 0)] {
            let mut limits = limits(Enforcement::Count);
            let mut violations = Violations::default();
            for n in 0..21 {
                assert_eq!(limits.check(-1, is_group, n * 1000, &mut violations), Verdict::Pass);
            }
            assert_eq!(violations.count(Violation::GroupMinute), refused);
        }
    }

    #[test]
    fn thirty_a_second_over_all() {
        let mut limits = limits(Enforcement::Count);
        let mut violations = Violations::default();
        for n in 0..31 {
            limits.check(n, false, 5 * n as u64, &mut violations);
        }
        assert_eq!(violations.count(Violation::Overall), 1);
    }

    #[test]
    fn a_held_message_takes_the_place_in_the_future() {
        let mut limits = limits(Enforcement::Enforce);
        limits.numbers.hold_ms = 8000;
        let mut violations = Violations::default();
        assert_eq!(limits.check(1, false, 0, &mut violations), Verdict::Pass);
        assert_eq!(limits.check(1, false, 100, &mut violations), Verdict::Hold(880));
        assert_eq!(limits.check(1, false, 100, &mut violations), Verdict::Hold(1860));
    }

    #[test]
    fn a_flood_freezes_one_chat_or_all() {
        let mut limits = limits(Enforcement::Off);
        let mut violations = Violations::default();
        assert_eq!(limits.freeze(Some(1), 30, 0), 30);
        assert_eq!(limits.check(1, false, 10_000, &mut violations), Verdict::Refuse(20));
        assert_eq!(limits.check(2, false, 10_000, &mut violations), Verdict::Pass);
        limits.freeze(None, 30, 0);
        assert_eq!(limits.check(2, false, 10_000, &mut violations), Verdict::Refuse(20));
    }

    #[test]
    fn the_scale_divides() {
        let mut limits = Limits::new(Numbers { mode: Enforcement::Enforce, scale: 10.0, ..Numbers::default() });
        let mut violations = Violations::default();
        assert_eq!(limits.freeze(Some(1), 30, 0), 3);
        assert_eq!(limits.check(1, false, 2_990, &mut violations), Verdict::Pass);
        assert_eq!(limits.check(1, false, 3_080, &mut violations), Verdict::Pass);
        assert_eq!(limits.check(1, false, 3_090, &mut violations), Verdict::Refuse(1));
    }
}
