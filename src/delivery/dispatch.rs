//! What is due goes out: the next message of each chat, as far as limits and connections allow.

use std::collections::VecDeque;
use std::time::Instant;

use anyhow::Context;

use super::{DISK_PAUSE, Delivery, now};
use crate::message::{self, Message, Next, Occasion, Storm};
use crate::outbox::{Waiting, is_full};
use crate::record::Chat;

/// Records that are looked at to find out whether a few messages hold them, and the bytes of their lines.
const LOOK_AHEAD: usize = 150;
const LOOK_AHEAD_BYTES: usize = 256 << 10;

impl Delivery {
    /// Hands out what is due, as far as the limits and the connections allow.
    pub(super) fn dispatch(&mut self) -> anyhow::Result<()> {
        let mut outgoing: VecDeque<(Chat, Option<Message>)> = VecDeque::new();
        self.pacing.listen(Instant::now());
        while self.in_flight + outgoing.len() < self.calls_at_a_time() {
            let now = Instant::now();
            if self.pacing.overall_ready(now).is_none_or(|at| at > now) {
                break;
            }
            let Some(chat) = self.chats.take_due(now) else { break };
            match self.pacing.chat_ready(&chat, now) {
                None => continue,
                Some(at) if at > now => {
                    self.chats.schedule(&chat, &self.pacing, now);
                    continue;
                }
                Some(_) => {}
            }
            let message = match self.chats.is_suspect(&chat) {
                true => None,
                // Nothing when somebody emptied the outbox by hand.
                false => match self.compose(&chat).context("cannot read the outbox")? {
                    Some(message) => Some(message),
                    None => continue,
                },
            };
            if !self.pacing.begin(&chat, now) {
                self.chats.schedule(&chat, &self.pacing, now);
                break;
            }
            outgoing.push_back((chat, message));
        }
        if self.options.at_most_once && !outgoing.is_empty() {
            // On disk before it is sent: after a crash it must be known that its end is not known.
            let seqs: Vec<i64> =
                outgoing.iter().flat_map(|(_, message)| message.iter()).flat_map(|m| m.seqs.clone()).collect();
            match self.outbox.transaction(|outbox| outbox.unsure(&seqs)) {
                Err(err) if is_full(&err) => {
                    self.take_back(outgoing, &err);
                    return Ok(());
                }
                result => result.context("cannot write the outbox")?,
            }
        }
        for job in outgoing {
            self.in_flight += 1;
            self.workers.give(job, self.in_flight).context("cannot start a thread")?;
        }
        Ok(())
    }

    /// What could not be noted is not sent.
    fn take_back(&mut self, outgoing: VecDeque<(Chat, Option<Message>)>, err: &rusqlite::Error) {
        log::error!("cannot write the outbox: {err}; nothing is sent meanwhile");
        let now = Instant::now();
        for (chat, _) in outgoing {
            self.pacing.end(&chat, false, now);
            self.pacing.freeze(&chat, now + DISK_PAUSE);
            self.chats.schedule(&chat, &self.pacing, now);
        }
    }

    fn compose(&self, chat: &Chat) -> crate::outbox::Result<Option<Message>> {
        // What at-most-once mode notes before a sending is no doubt about it.
        let forget = self.options.at_most_once;
        let doubt = |waiting: &mut Waiting| waiting.unsure = if forget { 0 } else { waiting.unsure };
        let mut waiting = self.outbox.waiting(chat, LOOK_AHEAD, LOOK_AHEAD_BYTES)?;
        waiting.iter_mut().for_each(doubt);
        if waiting.is_empty() {
            return Ok(None);
        }
        let about = |about: &str| self.outbox.message_about(chat, about).ok().flatten();
        let (changes, again) = self.chats.changes(chat);
        let in_all = self.chats.waiting(chat);
        let occasion = Occasion { chat, now: now(), changes, again, in_all, message_about: &about };
        let (first, alone) = match message::next(&waiting, &occasion) {
            Next::Message(message) => return Ok(Some(*message)),
            Next::Storm { first, alone } => (first, alone),
        };
        let mut storm: Option<Storm> = None;
        self.outbox.look_at_waiting(chat, |mut waiting, _| {
            doubt(&mut waiting);
            match &mut storm {
                None if waiting.seq == first => {
                    storm = Some(Storm::new(&waiting, in_all));
                    !alone
                }
                None => true,
                Some(storm) => storm.add(&waiting),
            }
        })?;
        Ok(storm.map(|storm| storm.message(&occasion)))
    }
}
