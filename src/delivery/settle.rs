//! What follows from an answer: first in the outbox, then, when that is on disk, in memory.

use std::time::{Duration, Instant};

use super::{Answered, Delivery, now};
use crate::message::Message;
use crate::outbox::{Frozen, Gone, Millis, Outbox, Result};
use crate::record::Chat;
use crate::verdict::{Change, Verdict, verdict};

/// A connection that broke after the call was out: tried once more.
const SENDINGS: u32 = 2;

/// A server that says that it failed: tried this often before the message is set aside, if others get through.
const ERRORS: u32 = 10;

/// Where no message gets through it is the server's trouble, and it is tried for so long, at last at these intervals.
/// Each time may be a copy, if the server fails only to say that it did it.
const TROUBLE: Duration = Duration::from_secs(6 * 3600);
const TROUBLE_PAUSE: Duration = Duration::from_secs(600);

/// An upload that breaks although the API works: tried this often.
const UPLOADS: u32 = 4;

/// The first pause after a failure, and the longest; it doubles in between.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A chat that is gone is tried again after this, then after four times that, up to the longest.
pub(super) const PROBE: Duration = Duration::from_secs(600);
pub(super) const LONGEST_PROBE: Duration = Duration::from_secs(6 * 3600);

/// After a summary the chat has peace for this long, doubling while the storm goes on: a handful of messages a minute.
const PEACE: Duration = Duration::from_secs(4);
const LONGEST_PEACE: Duration = Duration::from_secs(30);

/// What an answer means for a message, with everything decided that needs memory.
#[derive(Debug, PartialEq)]
pub enum Settlement {
    /// Told, as this message, in this chat.
    Told(Option<i64>, Option<i64>),
    /// The chat must be left alone for this time, or all of them.
    Flood(Duration, bool),
    /// The API is out of reach.
    Later(String),
    /// Perhaps told; once more, marked.
    Again(String),
    /// The server failed; once more after a pause.
    ServerError(String),
    /// The chat has a new id.
    Moved(Chat),
    /// The chat is gone.
    Gone(Gone, String),
    /// Once more, changed: see [`crate::message::Changes`].
    Changed(String),
    /// One of several records spoils the message: one by one.
    Alone(String),
    /// These can never be told.
    Aside(String),
    /// The token is refused.
    Stop(String),
    /// The API works again, or still.
    Works,
}

/// Whether the API can be reached.
#[derive(Debug, Default)]
pub struct Outage {
    failures: u32,
    since: Option<Instant>,
    until: Option<Instant>,
}

impl Outage {
    /// Whether the last call failed to reach the API.
    pub fn is_on(&self) -> bool {
        self.failures > 0
    }

    /// Counts a failure; the end of the pause before the next try. Calls that fail together are one failure.
    fn begin(&mut self, why: &str, now: Instant) -> Instant {
        if let Some(until) = self.until.filter(|until| self.is_on() && *until > now) {
            return until;
        }
        if self.failures == 0 {
            log::error!("cannot reach Telegram: {why}; trying again, nothing is lost");
            self.since = Some(now);
        }
        self.failures += 1;
        *self.until.insert(now + pause(self.failures))
    }

    fn end(&mut self) {
        if let Some(since) = self.since.take() {
            crate::notice!("Telegram is reached again, after {}s", since.elapsed().as_secs());
        }
        self.failures = 0;
    }
}

/// When a chat that was tried so often is tried again.
pub(super) fn probe_after(probes: u32) -> Duration {
    PROBE.saturating_mul(1 << (2 * probes.saturating_sub(1).min(8))).min(LONGEST_PROBE)
}

fn pause(failures: u32) -> Duration {
    PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

/// Writes what an answer means. Nothing in memory may change before this is on disk.
pub fn write(
    outbox: &mut Outbox,
    answered: &Answered,
    settlement: &Settlement,
    at_most_once: bool,
    now: Millis,
) -> Result<()> {
    if let Settlement::Flood(silence, all) = settlement {
        let until = now.saturating_add(Millis::try_from(silence.as_millis()).unwrap_or(Millis::MAX));
        for chat in [Some(answered.chat.clone()), None].into_iter().take(1 + usize::from(*all)) {
            outbox.freeze(&Frozen { chat, at: now, until })?;
        }
    }
    let Some(message) = &answered.message else { return Ok(()) };
    match settlement {
        Settlement::Told(id, _) => {
            outbox.back(&answered.chat)?;
            return match message.part {
                Some(shown) => outbox.part_told(message.seqs[0], shown),
                None => outbox.told(&message.seqs, *id, now),
            };
        }
        Settlement::Again(_) => return outbox.unsure(&message.seqs),
        Settlement::Aside(why) => return outbox.set_aside(&message.seqs, why, now),
        Settlement::Moved(new) => outbox.moved(&answered.chat, new)?,
        Settlement::Gone(gone, why) => outbox.gone(gone, why)?,
        Settlement::ServerError(_) => return Ok(()),
        Settlement::Flood(..)
        | Settlement::Later(_)
        | Settlement::Changed(_)
        | Settlement::Alone(_)
        | Settlement::Stop(_)
        | Settlement::Works => {}
    }
    // Before it went out it was noted that its end would not be known; now it is.
    if at_most_once { outbox.not_told(&message.seqs) } else { Ok(()) }
}

impl Delivery {
    /// Decides, once for each answer. Nothing changes yet but what the next message to the chat will look like.
    pub(super) fn settlement(&mut self, answered: &Answered) -> Settlement {
        let verdict = verdict(&answered.answer);
        let chat = &answered.chat;
        if let Verdict::Flood(silence) = verdict {
            let now = Instant::now();
            let all = self.pacing.flood(chat, silence, now);
            // What is asked of no chat is asked of the bot.
            if answered.message.is_none() {
                self.pacing.freeze_all(now + silence);
            }
            return Settlement::Flood(silence, all || answered.message.is_none());
        }
        let Some(message) = &answered.message else { return probe_settlement(verdict) };
        match verdict {
            Verdict::Told { message_id, chat } => Settlement::Told(message_id, chat),
            Verdict::Later(why) if message.has_file() => {
                let errors = self.chats.line(chat).map_or(0, |line| line.errors);
                if errors + 1 >= UPLOADS { self.without_file(chat, message, why) } else { Settlement::Later(why) }
            }
            Verdict::Later(why) => Settlement::Later(why),
            Verdict::Flood(silence) => Settlement::Flood(silence, false),
            Verdict::Unsure(why) if self.options.at_most_once => {
                Settlement::Aside(format!("it is not known whether it was told: {why}"))
            }
            Verdict::Unsure(why) if message.sendings + 1 >= SENDINGS => {
                Settlement::Aside(format!("sent twice, and it is not known whether it was told: {why}"))
            }
            Verdict::Unsure(why) => Settlement::Again(why),
            Verdict::ServerError(why) => {
                let (errors, since) = self.chats.line(chat).map_or((0, None), |line| (line.errors, line.failing));
                let is_given_up = is_given_up(errors + 1, since, self.last_told, Instant::now());
                if self.options.at_most_once || is_given_up {
                    Settlement::Aside(format!("the server failed {} times: {why}", errors + 1))
                } else {
                    Settlement::ServerError(why)
                }
            }
            Verdict::Moved(id) => Settlement::Moved(Chat::Id(id)),
            Verdict::Gone(why) => {
                let probes = self.chats.probes(chat);
                let probes = probes.saturating_add(1);
                let wait = Millis::try_from(probe_after(probes).as_millis()).unwrap_or(Millis::MAX);
                Settlement::Gone(Gone { chat: chat.clone(), probe_at: now().saturating_add(wait), probes }, why)
            }
            Verdict::Change(Change::NoFile | Change::NoStorm, why) => self.without_file(chat, message, why),
            Verdict::Change(change, why) => {
                let is_new = self.chats.line(chat).is_some_and(|line| line.changes.make(change));
                if is_new { Settlement::Changed(why) } else { self.without_file(chat, message, why) }
            }
            Verdict::NoChat(why) => Settlement::Aside(why),
            Verdict::Never(why) => self.without_file(chat, message, why),
            Verdict::Stop(why) => Settlement::Stop(why),
        }
    }

    /// A picture or document that is refused costs only itself; what is refused without one is set aside.
    fn without_file(&mut self, chat: &Chat, message: &Message, why: String) -> Settlement {
        let line = self.chats.line(chat);
        let changed = line.filter(|_| message.has_file()).is_some_and(|line| {
            line.no_storm |= message.storm;
            line.changes.make(if message.storm { Change::NoStorm } else { Change::NoFile })
        });
        match message.seqs.len() {
            _ if changed => Settlement::Changed(why),
            0 | 1 => Settlement::Aside(why),
            _ => Settlement::Alone(why),
        }
    }

    /// Makes it so in memory; what it means for the outbox is on disk.
    pub(super) fn settle(&mut self, answered: Answered, settlement: Settlement) {
        let Answered { chat, message, took, .. } = answered;
        let instant = Instant::now();
        let counted = message.is_some() && !matches!(settlement, Settlement::Later(_));
        self.pacing.end(&chat, counted, instant);
        self.metrics.answered(&settlement, took);
        if !matches!(settlement, Settlement::Later(_) | Settlement::ServerError(_) | Settlement::Again(_)) {
            self.outage.end();
        }
        let again = !matches!(settlement, Settlement::Told(..) | Settlement::Aside(_) | Settlement::Stop(_));
        if again && message.is_some() {
            self.metrics.retried.inc();
        }
        let seqs = message.as_ref().map_or(0, |message| message.seqs.len());
        match settlement {
            Settlement::Told(id, real) => {
                if let Some(message) = &message {
                    self.told(&chat, message, id, took, instant);
                }
                if let Some(id) = real {
                    self.pacing.learn(&chat, &Chat::Id(id));
                }
            }
            Settlement::Works => {
                if let Some(line) = self.chats.line(&chat) {
                    line.suspect = false;
                }
            }
            Settlement::Flood(silence, all) => {
                let everybody = if all { ", so everything waits" } else { "" };
                log::warn!("Telegram asks for silence chat={chat} s={}{everybody}", silence.as_secs());
            }
            Settlement::Later(why) => {
                let until = self.outage.begin(&why, instant);
                self.pacing.freeze_all(until);
                // A server that hangs up on one upload must not be taken for an outage for ever.
                if message.as_ref().is_some_and(Message::has_file)
                    && let Some(line) = self.chats.line(&chat)
                {
                    line.suspect = true;
                    line.errors += 1;
                    let pause = pause(line.errors);
                    self.pacing.freeze(&chat, instant + pause);
                }
            }
            Settlement::Again(why) => {
                log::warn!("not known whether told chat={chat} records={seqs}: {why}; once more, marked");
                self.doubt(&chat, instant);
            }
            Settlement::ServerError(why) => {
                log::warn!("the server failed chat={chat} records={seqs}: {why}; trying again");
                if let Some(line) = self.chats.line(&chat) {
                    line.failing.get_or_insert(instant);
                }
                self.doubt(&chat, instant);
            }
            Settlement::Moved(new) => {
                crate::notice!("chat {chat} is {new} now");
                self.pacing.rename(&chat, &new);
                self.chats.rename(&chat, &new);
                return self.chats.schedule(&new, &self.pacing, instant);
            }
            Settlement::Gone(gone, why) => {
                if !self.chats.is_gone(&chat) {
                    log::warn!("chat {chat} is gone: {why}; its records wait, it is tried again now and then");
                }
                self.chats.set_gone(gone);
                self.metrics.gone.set(i64::try_from(self.chats.gone_count()).unwrap_or(i64::MAX));
            }
            Settlement::Changed(why) => log::warn!("refused chat={chat} records={seqs}: {why}; changed and sent again"),
            Settlement::Alone(why) => {
                log::warn!("refused chat={chat} records={seqs}: {why}; sent one by one");
                if let Some(line) = self.chats.line(&chat) {
                    line.alone = seqs;
                }
            }
            Settlement::Aside(why) => {
                log::error!("set aside chat={chat} records={seqs}: {why}");
                self.fail(seqs as u64);
                self.done(&chat, seqs);
            }
            Settlement::Stop(why) => self.stop = Some(why),
        }
        self.chats.schedule(&chat, &self.pacing, instant);
        for other in self.pacing.others(&chat) {
            self.chats.schedule(&other, &self.pacing, instant);
        }
    }

    fn told(&mut self, chat: &Chat, message: &Message, id: Option<i64>, took: Duration, instant: Instant) {
        let records = message.seqs.len();
        let level = if self.options.quiet { log::Level::Debug } else { log::Level::Info };
        log::log!(
            level,
            "sent id={} chat={chat} message={} records={records} ms={}",
            message.id,
            id.unwrap_or(0),
            took.as_millis()
        );
        self.last_told = instant;
        if self.chats.set_back(chat) {
            crate::notice!("chat {chat} is back");
            self.metrics.gone.set(i64::try_from(self.chats.gone_count()).unwrap_or(i64::MAX));
        }
        if message.part.is_some() {
            // The next part was never sent before.
            if let Some(line) = self.chats.line(chat) {
                line.works();
            }
            return;
        }
        self.metrics.told.inc_by(records as u64);
        let storm = message.storm && records > 1;
        // A document that could not hold all is followed by the next one.
        if storm && self.chats.waiting(chat) <= records {
            let storms = self.chats.line(chat).map_or(0, |line| line.storms);
            let peace = PEACE.saturating_mul(1 << storms.min(8)).min(LONGEST_PEACE);
            self.pacing.freeze(chat, instant + peace);
        }
        if let Some(line) = self.chats.line(chat) {
            line.storms = if storm { line.storms + 1 } else { 0 };
        }
        self.done(chat, records);
    }

    /// The records at the head of a chat's line are dealt with.
    fn done(&mut self, chat: &Chat, records: usize) {
        if let Some(line) = self.chats.line(chat) {
            line.changes = Default::default();
            line.alone = line.alone.saturating_sub(records);
            line.works();
        }
        self.chats.remove(chat, records);
    }

    /// Before the same message goes out again, it is asked whether the API works at all: in an outage a message is so
    /// not sent into the void a second time.
    fn doubt(&mut self, chat: &Chat, instant: Instant) {
        let Some(line) = self.chats.line(chat) else { return };
        (line.suspect, line.again) = (true, true);
        line.errors += 1;
        let pause = doubt_pause(line.errors);
        self.pacing.freeze(chat, instant + pause);
    }
}

/// Whether it is the message and not the server: others get through, or it went on for too long.
fn is_given_up(errors: u32, since: Option<Instant>, last_told: Instant, now: Instant) -> bool {
    let others = |since| last_told > since || now.duration_since(since) >= TROUBLE;
    errors >= ERRORS && since.is_some_and(others)
}

fn doubt_pause(errors: u32) -> Duration {
    match errors.checked_sub(ERRORS) {
        Some(more @ 1..) => LONGEST_PAUSE.saturating_mul(1 << more.min(16)).min(TROUBLE_PAUSE),
        _ => pause(errors),
    }
}

fn probe_settlement(verdict: Verdict) -> Settlement {
    match verdict {
        Verdict::Later(why) | Verdict::Unsure(why) | Verdict::ServerError(why) => Settlement::Later(why),
        Verdict::Stop(why) => Settlement::Stop(why),
        _ => Settlement::Works,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_fail_together_are_one_failure() {
        // Eight calls in flight when the API went away made the first pause 30 s.
        let start = Instant::now();
        let mut outage = Outage::default();
        let until = outage.begin("x", start);
        assert_eq!(until, start + PAUSE);
        for _ in 0..7 {
            assert_eq!(outage.begin("x", start), until);
        }
        assert_eq!(outage.begin("x", until), until + 2 * PAUSE);
        outage.end();
        assert_eq!(outage.begin("x", start), start + PAUSE);
    }

    #[test]
    fn a_message_is_given_up_only_where_others_get_through() {
        // A server that failed for all for two minutes cost the alerts of that time.
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut now = Duration::ZERO;
        let (mut errors, mut others, mut alone) = (0, None, None);
        while alone.is_none() {
            errors += 1;
            let gives_up = |last_told| is_given_up(errors, Some(at(1)), last_told, at(1) + now);
            others = others.or(gives_up(at(2)).then_some(errors));
            alone = gives_up(at(0)).then_some((errors, now));
            now += doubt_pause(errors);
        }
        let (tries, took) = alone.unwrap();
        assert_eq!(others, Some(ERRORS));
        assert!(took >= TROUBLE && took < TROUBLE + TROUBLE_PAUSE && tries <= 50, "{tries} in {took:?}");
    }
}
