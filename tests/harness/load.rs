//! Alerts under load while something is done to the tools, and what of them was told.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{PATIENCE, Sandbox, post, until, webhook};

const SENDERS: usize = 8;

/// Numbers that look random and are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    /// The same things in another order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for n in (1..things.len()).rev() {
            things.swap(n, self.below(n as u64 + 1) as usize);
        }
    }
}

/// Sends until 200, as Alertmanager does with 5xx and refused connections.
pub fn insist(url: &str, body: &str, over: &AtomicBool) {
    while post(url, body) != 200 {
        assert!(!over.load(Ordering::SeqCst), "the other senders have long been done");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends so many alerts from several senders, and meanwhile does something to the tools.
pub fn under_load(url: &str, alerts: usize, pause: Duration, disturb: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                scope.spawn(move || {
                    for n in (sender..alerts).step_by(SENDERS) {
                        insist(url, &webhook(&[&format!("Alert{n}x")]), over);
                        thread::sleep(pause);
                    }
                })
            })
            .collect();
        // Senders whose tools are not there any more must not insist for ever.
        let end = EndOf(over);
        disturb();
        let start = Instant::now();
        while senders.iter().any(|sender| !sender.is_finished()) && start.elapsed() < 2 * PATIENCE {
            thread::sleep(Duration::from_millis(20));
        }
        drop(end);
    });
}

struct EndOf<'a>(&'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a chat was told: how often each alert, and how many messages told again what was told before.
pub struct Told {
    pub times: HashMap<usize, usize>,
    pub repeats: usize,
}

pub fn told(sandbox: &Sandbox, chat: i64) -> Told {
    let mut told = Told { times: HashMap::new(), repeats: 0 };
    for text in sandbox.everything(chat) {
        // A summary shows some alerts above the document that holds all.
        let alerts: HashSet<usize> = text
            .split("summary of Alert")
            .skip(1)
            .map(|part| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap())
            .collect();
        told.repeats += usize::from(alerts.iter().any(|alert| told.times.contains_key(alert)));
        for alert in alerts {
            *told.times.entry(alert).or_insert(0) += 1;
        }
    }
    told
}

/// Each kill of tg-send can cut one call of a chat, whose records are then told again; nothing else is told twice.
pub fn check(sandbox: &Sandbox, chats: &[i64], alerts: usize, kills: usize) {
    for chat in chats {
        let told = until("everything to be told", || {
            let told = told(sandbox, *chat);
            (told.times.len() == alerts).then_some(told)
        });
        eprintln!(
            "chat {chat}: {alerts} alerts, 0 lost; {} messages repeat some, {kills} kills of tg-send",
            told.repeats
        );
        assert!(told.repeats <= kills, "{} repeats, {kills} kills", told.repeats);
    }
    assert_eq!(sandbox.violations(), []);
}
