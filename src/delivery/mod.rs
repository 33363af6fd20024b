//! The delivering half of tg-send: one thread that owns the outbox and decides, and a few that talk to Telegram.
//!
//! Everything happens in turns. A turn takes what has come in since the last one (records, answers), writes all of it
//! in one transaction, sends the acknowledgements, and hands out the messages that are due. So nothing is acknowledged
//! or forgotten before it is on disk, and the busier it gets, the more one fsync is shared by.

mod chats;
mod dispatch;
mod house;
mod intake;
mod metrics;
mod settle;
mod work;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;

use crate::ack::Acks;
use crate::outbox::{Added, Millis, Outbox, is_full};
use crate::pacing::{Limits, Pacing};
use crate::record::Chat;
use crate::telegram::Api;
use chats::Chats;
pub use intake::{Batch, Item, read};
pub use metrics::Metrics;
use settle::Settlement;
pub use work::Answered;
use work::Workers;

/// Events that are taken into one turn, and the bytes of their lines: what a turn may take of memory.
const EVENTS_A_TURN: usize = 24;
const BYTES_A_TURN: usize = 1 << 20;

/// A disk that was full is tried again after this.
const DISK_PAUSE: Duration = Duration::from_millis(500);

/// Old keys are looked for this often.
const HOUSEKEEPING: Duration = Duration::from_secs(20);

/// Something that a turn takes in.
#[derive(Debug)]
pub enum Event {
    /// Records and acks.
    Intake(Batch),
    /// The input has ended, or failed.
    Ended(Result<(), String>),
    /// A call was answered.
    Answered(Box<Answered>),
    /// Finish what is in flight, and end.
    Terminate,
}

/// What the command line and the configuration decide.
#[derive(Clone, Debug)]
pub struct Options {
    /// Telegram's limits, or others for a server of one's own.
    pub limits: Limits,
    /// Calls at a time.
    pub connections: usize,
    /// How long told keys and messages are remembered.
    pub remember: Duration,
    /// Rather lose a message whose end is not known than tell it twice.
    pub at_most_once: bool,
    /// How long to go on after the input has ended.
    pub timeout: Option<Duration>,
    /// What goes well is logged only for `-v`.
    pub quiet: bool,
}

/// How a run ended that was not stopped by an error.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Everything was told.
    Told,
    /// So many records could not be told and were set aside.
    SomeFailed(u64),
    /// So many records still wait.
    SomeWait(usize),
    /// Asked to end; the rest stays in the outbox.
    Terminated,
}

/// Owns the outbox and decides.
pub struct Delivery {
    outbox: Outbox,
    options: Options,
    acks: Option<Acks>,
    metrics: Arc<Metrics>,
    pacing: Pacing,
    chats: Chats,
    workers: Workers,
    in_flight: usize,
    outage: settle::Outage,
    /// When a message to anybody was told.
    last_told: Instant,
    failed: u64,
    ended: Option<Instant>,
    input_error: Option<String>,
    terminated: bool,
    observed: Instant,
    /// What [`Outbox::changes_of_others`] was when the outbox was last read.
    others: i64,
    stop: Option<String>,
}

/// What came in and is not on disk yet.
#[derive(Default)]
struct Turn {
    batches: Vec<Batch>,
    answers: Vec<(Answered, Settlement)>,
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.answers.is_empty()
    }

    /// Whether nothing in it bears on other chats, as an outage or a refused token does.
    fn is_good(&self) -> bool {
        self.answers.iter().all(|(_, settlement)| matches!(settlement, Settlement::Told(..) | Settlement::Works))
    }
}

/// A channel for the events of a delivery. Its bound is what makes a reader wait when the disk is slow.
pub fn events() -> (SyncSender<Event>, Receiver<Event>) {
    sync_channel(8)
}

/// Milliseconds since 1970, now.
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Takes `first`, and what else has come as long as `take` wants more. Nothing is received that is not taken.
fn drain<T>(events: &Receiver<T>, first: T, mut take: impl FnMut(T) -> bool) {
    let mut next = Some(first);
    while let Some(event) = next {
        next = if take(event) { events.try_recv().ok() } else { None };
    }
}

impl Delivery {
    /// Reads the outbox. What Telegram answers will come through `events`.
    pub fn new(
        mut outbox: Outbox,
        api: Api,
        options: Options,
        acks: Option<Acks>,
        metrics: Arc<Metrics>,
        events: SyncSender<Event>,
    ) -> anyhow::Result<Self> {
        let workers = Workers::new(api, options.connections, events);
        if options.at_most_once {
            outbox.transaction(|outbox| outbox.set_unsure_aside(now())).context("cannot write the outbox")?;
        }
        let (pacing, chats) = chats::load(&outbox, options.limits).context("cannot read the outbox")?;
        let others = outbox.changes_of_others().context("cannot read the outbox")?;
        let failed = outbox.failed_count().context("cannot read the outbox")?;
        metrics.failed.set(i64::try_from(failed).unwrap_or(i64::MAX));
        metrics.gone.set(i64::try_from(chats.gone_count()).unwrap_or(i64::MAX));
        Ok(Delivery {
            outbox,
            options,
            acks,
            metrics,
            pacing,
            chats,
            workers,
            in_flight: 0,
            outage: settle::Outage::default(),
            last_told: Instant::now(),
            failed: 0,
            ended: None,
            input_error: None,
            terminated: false,
            observed: Instant::now(),
            others,
            stop: None,
        })
    }

    /// Keeps one pace with other programs that speak for the bot and have their file beside this outbox.
    pub fn share_pace(&mut self, outbox: &Path) {
        self.pacing.share_beside(outbox);
    }

    /// Takes turns until there is nothing to do any more.
    pub fn run(mut self, events: &Receiver<Event>) -> anyhow::Result<End> {
        let mut turn = Turn::default();
        let mut full: Option<Instant> = None;
        let mut housekeeping = Instant::now();
        loop {
            if full.is_none() {
                self.gather(events, &mut turn);
            }
            if !turn.is_empty() {
                // While this turn is written, the others may talk: what is due for them does not depend on it.
                if full.is_none() && turn.is_good() {
                    self.dispatch_unless_ending()?;
                }
                match self.commit(&mut turn) {
                    Ok(()) => {
                        if let Some(since) = full.take() {
                            crate::notice!("the outbox can be written again, after {:?}", since.elapsed());
                        }
                    }
                    Err(err) if is_full(&err) => {
                        // Nothing of this turn is lost: it is tried again until it can be written. Nothing more is
                        // read meanwhile, so webhooks are answered 503, and nothing more is sent.
                        if full.is_none() {
                            log::error!("cannot write the outbox: {err}; trying again, webhooks are refused meanwhile");
                            full = Some(Instant::now());
                        }
                        thread::sleep(DISK_PAUSE);
                        continue;
                    }
                    Err(err) => return Err(err).context("cannot write the outbox"),
                }
            }
            if self.ended.is_some() {
                self.chats.take_in(Vec::new(), true, &self.pacing, Instant::now());
            }
            if housekeeping.elapsed() > HOUSEKEEPING {
                housekeeping = Instant::now();
                self.keep_house();
            }
            self.dispatch_unless_ending()?;
            self.observe();
            if let Some(end) = self.end()? {
                return Ok(end);
            }
        }
    }

    fn dispatch_unless_ending(&mut self) -> anyhow::Result<()> {
        if self.stop.is_some() || self.terminated {
            return Ok(());
        }
        self.dispatch()
    }

    /// Waits for the next event or the next due message, and takes what else has come.
    fn gather(&mut self, events: &Receiver<Event>, turn: &mut Turn) {
        let first = match events.recv_timeout(self.patience()) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) => return,
            // Senders live in the threads of this very delivery.
            Err(RecvTimeoutError::Disconnected) => Event::Terminate,
        };
        let (mut count, mut bytes) = (0, 0);
        drain(events, first, |event| {
            match event {
                Event::Intake(batch) => {
                    bytes += batch.bytes();
                    turn.batches.push(batch);
                }
                Event::Answered(answered) => {
                    self.in_flight -= 1;
                    let settlement = self.settlement(&answered);
                    turn.answers.push((*answered, settlement));
                }
                Event::Ended(result) => {
                    self.input_error = result.err();
                    self.ended = Some(Instant::now());
                }
                Event::Terminate => self.terminated = true,
            }
            count += 1;
            count < EVENTS_A_TURN && bytes <= BYTES_A_TURN
        });
    }

    fn patience(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(1);
        let now = Instant::now();
        let due = self.chats.next_due().zip(self.pacing.overall_ready(now)).map(|(chat, overall)| chat.max(overall));
        let room = self.in_flight < self.calls_at_a_time();
        due.filter(|_| room && self.stop.is_none() && !self.terminated)
            .map_or(LONGEST, |due| due.saturating_duration_since(now).min(LONGEST))
    }

    /// While the API is out of reach one call at a time finds out when it is back.
    fn calls_at_a_time(&self) -> usize {
        if self.outage.is_on() { 1 } else { self.options.connections }
    }

    /// Writes a turn in one transaction, then lets the world know. On an error the turn is as it was.
    fn commit(&mut self, turn: &mut Turn) -> crate::outbox::Result<()> {
        let now = now();
        let mut added: Vec<(Chat, bool)> = Vec::new();
        let (mut known, mut bad) = (0, 0);
        let at_most_once = self.options.at_most_once;
        self.outbox.transaction(|outbox| {
            for (answered, settlement) in &turn.answers {
                settle::write(outbox, answered, settlement, at_most_once, now)?;
            }
            for batch in &turn.batches {
                if batch.closes {
                    added.iter_mut().for_each(|(_, is_open)| *is_open = false);
                }
                for (item, is_open) in batch.marked() {
                    match item {
                        Item::Record(entry) => match outbox.add(entry, now)? {
                            Added::Waiting(chat) => added.push((chat, is_open)),
                            Added::Known => known += 1,
                        },
                        Item::Bad(line, reason) => {
                            outbox.set_line_aside(line, reason, now)?;
                            bad += 1;
                        }
                    }
                }
            }
            Ok(())
        })?;
        let digests: Vec<_> = turn.batches.iter().flat_map(|batch| batch.acks.iter().copied()).collect();
        if let Some(acks) = self.acks.as_ref().filter(|_| !digests.is_empty())
            && let Err(err) = acks.send(&digests)
        {
            log::warn!("cannot acknowledge {} webhooks: {err}; they will come again", digests.len());
        }
        self.metrics.accepted.inc_by(added.len() as u64);
        self.metrics.known.inc_by(known);
        self.fail(bad);
        for (answered, settlement) in turn.answers.drain(..) {
            self.settle(answered, settlement);
        }
        let closes = turn.batches.iter().any(|batch| batch.closes);
        self.chats.take_in(added, closes, &self.pacing, Instant::now());
        turn.batches.clear();
        Ok(())
    }

    fn fail(&mut self, records: u64) {
        self.failed += records;
        self.metrics.failed.inc_by(i64::try_from(records).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A turn once received one event more than it took: a record without an ack, or an answer, was gone.
    #[test]
    fn turns_take_every_event_once() {
        let (send, receive) = sync_channel(100);
        (0..100).for_each(|n| send.send(n).unwrap());
        let mut taken = Vec::new();
        while let Ok(first) = receive.try_recv() {
            let mut count = 0;
            drain(&receive, first, |event| {
                taken.push(event);
                count += 1;
                count < 7
            });
            assert!(count <= 7);
        }
        assert_eq!(taken, Vec::from_iter(0..100));
    }
}
