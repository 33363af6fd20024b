//! Asking Telegram for updates, one long poll after the other. An update is on disk before the next poll confirms it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::metrics::Metrics;
use super::standing::Standing;
use super::store::Store;
use super::update::Update;
use crate::telegram::{Answer, Api, Call, Refusal};
use crate::verdict;

/// How long Telegram lets a poll wait: at most 50 s, and less than the client's own time-out.
const LONG_POLL: u64 = 25;

/// A server that answers empty polls at once must not be asked without a pause.
const TOO_SOON: Duration = Duration::from_millis(900);

/// The kinds that the bot acts on. Telegram remembers the list, so it is always said.
const KINDS: [&str; 4] = ["message", "channel_post", "callback_query", "my_chat_member"];

/// Why polling ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to.
    Asked,
    /// The token is of no use.
    Refused(String),
}

/// A wait that grows from try to try.
pub(super) struct Patience {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Patience {
    pub(super) fn new(first: u64, most: u64) -> Self {
        let (first, most) = (Duration::from_secs(first), Duration::from_secs(most));
        Patience { first, most, next: first }
    }

    pub(super) fn grow(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.most);
        now
    }

    fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Whether to go on, for everybody who waits.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks everybody to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether that was asked.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Sleeps for so long, or until asked to end.
    pub fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_set() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// Polls until asked to end. `take` gets what is new and on disk; it may wait, and then nothing more is asked for.
pub fn run(
    api: &Api,
    store: &Store,
    stop: &Stop,
    metrics: &Metrics,
    standing: &mut Standing,
    mut take: impl FnMut(Vec<Update>),
) -> rusqlite::Result<End> {
    let mut offset = store.offset()?;
    let mut confirmed = offset;
    let (mut idle, mut outage, mut conflict) = (Patience::new(1, 5), Patience::new(1, 30), Patience::new(5, 60));
    while !stop.is_set() {
        let start = Instant::now();
        let answer = api.call(&get_updates(offset, 100, LONG_POLL));
        confirmed = offset;
        match answer {
            Answer::Done(result) => {
                metrics.polled();
                standing.is_well();
                outage.reset();
                conflict.reset();
                let (updates, next) = read(&result);
                let Some(next) = next else {
                    // After a quiet week Telegram's numbers begin anew.
                    match store.offset() {
                        Ok(known) => offset = known,
                        Err(err) => log::warn!("cannot read what the bot remembers: {err}"),
                    }
                    if start.elapsed() < TOO_SOON {
                        stop.sleep(idle.grow());
                    } else {
                        idle.reset();
                    }
                    continue;
                };
                idle.reset();
                match store.accept(updates, next) {
                    Ok(fresh) => {
                        offset = Some(next);
                        take(fresh);
                    }
                    Err(err) => {
                        log::error!("cannot write what came: {err}; Telegram keeps it meanwhile");
                        stop.sleep(outage.grow());
                    }
                }
            }
            Answer::Refused(refusal) => match refused(&refusal) {
                Refused::Wait(time) => {
                    log::warn!("cannot get updates: {}; trying again in {} s", refusal.description, time.as_secs());
                    standing.is_silent(time);
                    stop.sleep(time);
                }
                Refused::Conflict(hint) => {
                    let wait = conflict.grow();
                    log::error!("{}; asking again in {} s\nhint: {hint}", refusal.description, wait.as_secs());
                    metrics.conflict();
                    standing.is_deaf(hint);
                    stop.sleep(wait);
                }
                Refused::Fatal => return Ok(End::Refused(format!("{} {}", refusal.code, refusal.description))),
                Refused::Later => out_of_reach(&refusal.description, &mut outage, standing, stop),
            },
            Answer::Strange(status, seen) => {
                out_of_reach(&format!("answer {status} is none of the Bot API: {seen}"), &mut outage, standing, stop);
            }
            // A poll that went out and was not answered in time changes nothing: the next one gets the same.
            Answer::NotSent(why) | Answer::Unanswered(why) => out_of_reach(&why, &mut outage, standing, stop),
        }
    }
    if offset.is_some() && offset != confirmed {
        // What is on disk need not come again; should this fail, its number is known.
        api.call(&get_updates(offset, 1, 0));
    }
    Ok(End::Asked)
}

fn get_updates(offset: Option<i64>, limit: u64, timeout: u64) -> Call {
    let mut parameters = json!({"limit": limit, "timeout": timeout, "allowed_updates": KINDS});
    if let Some(offset) = offset {
        parameters["offset"] = offset.into();
    }
    Call { method: "getUpdates", parameters, file: None }
}

/// The updates, and the offset that confirms them; none when there were none.
fn read(result: &Value) -> (Vec<Update>, Option<i64>) {
    let updates: Vec<Update> = result.as_array().into_iter().flatten().filter_map(Update::read).collect();
    let next = updates.iter().map(|update| update.id.saturating_add(1)).max();
    (updates, next)
}

#[derive(Debug, PartialEq)]
enum Refused {
    Wait(Duration),
    Conflict(&'static str),
    Fatal,
    Later,
}

fn refused(refusal: &Refusal) -> Refused {
    if let Some(time) = verdict::silence(refusal) {
        return Refused::Wait(time);
    }
    match refusal.code {
        409 if refusal.description.contains("webhook") => {
            Refused::Conflict("a webhook is set for this bot; start tg-bot with --delete-webhook if nothing needs it")
        }
        409 => Refused::Conflict("another program asks for this bot's updates; only one may, stop the other"),
        401 | 404 => Refused::Fatal,
        _ => Refused::Later,
    }
}

fn out_of_reach(why: &str, outage: &mut Patience, standing: &mut Standing, stop: &Stop) {
    standing.is_out_of_reach();
    let wait = outage.grow();
    log::warn!("cannot get updates: {why}; trying again in {} s", wait.as_secs());
    stop.sleep(wait);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::Parameters;

    #[test]
    fn what_a_refusal_means() {
        let refusal = |code, description: &str, retry_after| Refusal {
            code,
            description: description.to_owned(),
            parameters: Parameters { retry_after, ..Parameters::default() },
        };
        assert_eq!(refused(&refusal(401, "Unauthorized", None)), Refused::Fatal);
        assert_eq!(refused(&refusal(502, "Bad Gateway", None)), Refused::Later);
        for (said, kept) in [(7, 7), (18_000, 18_000), (86_401, 86_400)] {
            assert_eq!(refused(&refusal(429, "", Some(said))), Refused::Wait(Duration::from_secs(kept)));
        }
        let webhook = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete ...";
        assert!(
            matches!(refused(&refusal(409, webhook, None)), Refused::Conflict(hint) if hint.contains("--delete-webhook"))
        );
        let other = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
        assert!(matches!(refused(&refusal(409, other, None)), Refused::Conflict(hint) if hint.contains("only one")));
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let mut patience = Patience::new(5, 60);
        let waits: Vec<u64> = (0..6).map(|_| patience.grow().as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        patience.reset();
        assert_eq!(patience.grow().as_secs(), 5);
    }

    #[test]
    fn an_update_without_a_number_is_not_waited_for() {
        let (updates, next) = read(&json!([{"message": {}}, {"update_id": 4}, {"update_id": 9}]));
        assert_eq!((updates.len(), next), (2, Some(10)));
        assert_eq!(read(&json!(null)).1, None);
    }
}
