//! The chats for which something waits: how much, since when they may be told, and what their last message taught.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use super::now;
use super::settle::{PROBE, probe_after};
use crate::message::Changes;
use crate::outbox::{Gone, Millis, Outbox};
use crate::pacing::{Limits, Pacing};
use crate::record::Chat;
use crate::verdict::LONGEST_FLOOD;

/// A chat is not told of a webhook of which more is to come, but for no longer than this: one whose writer is slow must
/// not wait long, and one that never ends is told bit by bit. A chat is told no more often anyway.
const WHOLE: Duration = Duration::from_secs(1);

/// All chats with something to tell, by the moment at which that may happen.
#[derive(Debug, Default)]
pub struct Chats {
    lines: HashMap<Chat, Line>,
    due: BTreeSet<(Instant, Chat)>,
    in_all: usize,
    gone: HashMap<Chat, Gone>,
    /// Until when a chat waits for the rest of a webhook.
    held: HashMap<Chat, Instant>,
}

/// What waits for one chat.
#[derive(Debug, Default)]
pub struct Line {
    waiting: usize,
    due: Option<Instant>,
    /// Changes that the next message needs.
    pub changes: Changes,
    /// Messages that still have to be sent one record each, because one of them spoils a joined one.
    pub alone: usize,
    /// The end of the last sending is not known: first it is asked whether the API works.
    pub suspect: bool,
    /// The next message may have been told before.
    pub again: bool,
    /// Server errors in a row, and uploads that broke.
    pub errors: u32,
    /// Since when the server says that it fails.
    pub failing: Option<Instant>,
    /// The chat takes no documents.
    pub no_storm: bool,
    /// Summaries in a row.
    pub storms: u32,
}

impl Line {
    /// The last message was told, or is not tried any more.
    pub fn works(&mut self) {
        (self.again, self.suspect, self.errors, self.failing) = (false, false, 0, None);
    }
}

/// Reads who waits from the outbox. What an earlier run sent a moment ago counts for the pace of this one.
pub fn load(outbox: &Outbox, limits: Limits) -> crate::outbox::Result<(Pacing, Chats)> {
    let instant = Instant::now();
    let mut pacing = Pacing::new(limits);
    let longest = limits.group.within.max(limits.chat.within);
    for (chat, at) in outbox.told_since(now() - Millis::try_from(longest.as_millis()).unwrap_or(0))? {
        let ago = Duration::from_millis(u64::try_from(now().saturating_sub(at)).unwrap_or(0));
        pacing.count(&chat, instant.checked_sub(ago).unwrap_or(instant));
    }
    for frozen in outbox.frozen()? {
        // A clock that was put back must not make it longer than Telegram said.
        let left = frozen.until.saturating_sub(now()).min(frozen.until.saturating_sub(frozen.at));
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else { continue };
        // An earlier version wrote down whatever was asked for.
        let until = instant + Duration::from_millis(left).min(LONGEST_FLOOD);
        match &frozen.chat {
            Some(chat) => pacing.freeze(chat, until),
            None => pacing.freeze_all(until),
        }
    }
    let mut chats = Chats::default();
    let waiting = outbox.waiting_chats()?;
    // One more may have been in flight to each when the earlier run was killed.
    waiting.iter().for_each(|(chat, _)| pacing.count(chat, instant));
    chats.set_all(waiting, outbox.gone_chats()?, &pacing, instant);
    Ok((pacing, chats))
}

impl Chats {
    /// What waits for whom, and who is gone, as the outbox has it.
    pub fn set_all(&mut self, waiting: Vec<(Chat, usize)>, gone: Vec<Gone>, pacing: &Pacing, now: Instant) {
        self.gone = gone.into_iter().map(|gone| (gone.chat.clone(), gone)).collect();
        let waiting: HashMap<Chat, usize> = waiting.into_iter().collect();
        let known: Vec<(Chat, usize)> = self.lines.iter().map(|(chat, line)| (chat.clone(), line.waiting)).collect();
        for (chat, before) in known {
            self.remove(&chat, before.saturating_sub(waiting.get(&chat).copied().unwrap_or(0)));
        }
        for (chat, records) in &waiting {
            self.add(chat, records.saturating_sub(self.waiting(chat)));
            self.schedule(chat, pacing, now);
        }
    }

    /// So many records more wait for a chat.
    pub fn add(&mut self, chat: &Chat, records: usize) {
        self.in_all += records;
        match self.lines.get_mut(chat) {
            Some(line) => line.waiting += records,
            None => drop(self.lines.insert(chat.clone(), Line { waiting: records, ..Line::default() })),
        }
    }

    /// Records have come in, one for each of these chats, and whether more of its webhook is to come. `closes`: what was
    /// open before has come to its end.
    pub fn take_in(&mut self, added: Vec<(Chat, bool)>, closes: bool, pacing: &Pacing, now: Instant) {
        let open: HashSet<Chat> = added.iter().filter(|(_, is_open)| *is_open).map(|(chat, _)| chat.clone()).collect();
        if closes {
            // One that is open again keeps its time, or a stream without a pause would never be told.
            let over: Vec<Chat> = self.held.keys().filter(|chat| !open.contains(chat)).cloned().collect();
            for chat in over {
                self.held.remove(&chat);
                self.schedule(&chat, pacing, now);
            }
        }
        for chat in open {
            self.held.entry(chat).or_insert(now + WHOLE);
        }
        for (chat, _) in added {
            self.add(&chat, 1);
            self.probe_soon(&chat);
            self.schedule(&chat, pacing, now);
        }
    }

    /// Something new for a chat that is gone may mean that it is back: alert-route holds back what is for chats that have
    /// blocked the bot. It is not tried more often than at first for that.
    fn probe_soon(&mut self, chat: &Chat) {
        let Some(gone) = self.gone.get_mut(chat) else { return };
        let millis = |time: Duration| Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX);
        let tried_at = gone.probe_at.saturating_sub(millis(probe_after(gone.probes)));
        gone.probe_at = gone.probe_at.min(tried_at.saturating_add(millis(PROBE)));
    }

    /// So many records do not wait any more. A chat for which nothing waits is forgotten.
    pub fn remove(&mut self, chat: &Chat, records: usize) {
        let Some(line) = self.lines.get_mut(chat) else { return };
        let records = records.min(line.waiting);
        line.waiting -= records;
        self.in_all -= records;
        // A storm that goes on finds its count again as long as nothing else was told in between.
        if line.waiting == 0 && line.storms == 0 {
            self.unschedule(chat);
            self.lines.remove(chat);
        }
    }

    /// The line of a chat, where something waits or has just been told.
    pub fn line(&mut self, chat: &Chat) -> Option<&mut Line> {
        self.lines.get_mut(chat)
    }

    /// Enters the moment at which the chat may be told, by its own limits; nothing while a message is in flight.
    pub fn schedule(&mut self, chat: &Chat, pacing: &Pacing, now: Instant) {
        self.unschedule(chat);
        let Some(line) = self.lines.get_mut(chat).filter(|line| line.waiting > 0) else { return };
        let Some(mut at) = pacing.chat_ready(chat, now) else { return };
        if let Some(gone) = self.gone.get(chat) {
            // A clock that was put back must not keep a chat away.
            let wait = Duration::from_millis(u64::try_from(gone.probe_at.saturating_sub(super::now())).unwrap_or(0));
            at = at.max(now + wait.min(super::settle::LONGEST_PROBE));
        }
        at = at.max(self.held.get(chat).copied().unwrap_or(at));
        line.due = Some(at);
        self.due.insert((at, chat.clone()));
    }

    fn unschedule(&mut self, chat: &Chat) {
        if let Some(at) = self.lines.get_mut(chat).and_then(|line| line.due.take()) {
            self.due.remove(&(at, chat.clone()));
        }
    }

    /// When the first chat is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the chat that has been due for longest.
    pub fn take_due(&mut self, now: Instant) -> Option<Chat> {
        if self.next_due()? > now {
            return None;
        }
        let (_, chat) = self.due.pop_first()?;
        if let Some(line) = self.lines.get_mut(&chat) {
            line.due = None;
        }
        self.held.remove(&chat);
        Some(chat)
    }

    /// Whether the API must be asked first.
    pub fn is_suspect(&self, chat: &Chat) -> bool {
        self.lines.get(chat).is_some_and(|line| line.suspect)
    }

    /// What the next message needs, and whether it may have been told before.
    pub fn changes(&self, chat: &Chat) -> (Changes, bool) {
        self.lines.get(chat).map_or_else(Default::default, |line| {
            let alone = line.changes.alone || line.alone > 0;
            let no_storm = line.changes.no_storm || line.no_storm;
            (Changes { alone, no_storm, ..line.changes.clone() }, line.again)
        })
    }

    /// How many records wait for a chat.
    pub fn waiting(&self, chat: &Chat) -> usize {
        self.lines.get(chat).map_or(0, |line| line.waiting)
    }

    /// How many records wait.
    pub fn in_all(&self) -> usize {
        self.in_all
    }

    /// Whether all that waits, waits for chats that are gone and not to be tried yet.
    pub fn only_gone(&self) -> bool {
        let now = super::now();
        let is_away = |chat| self.gone.get(chat).is_some_and(|gone| gone.probe_at > now);
        self.lines.iter().all(|(chat, line)| line.waiting == 0 || is_away(chat))
    }

    /// The chats that are gone.
    pub fn gone(&self) -> impl Iterator<Item = &Chat> {
        self.gone.keys()
    }

    /// How many chats are gone.
    pub fn gone_count(&self) -> usize {
        self.gone.len()
    }

    /// How often a chat was found to be gone.
    pub fn probes(&self, chat: &Chat) -> u32 {
        self.gone.get(chat).map_or(0, |gone| gone.probes)
    }

    /// Whether a chat is gone.
    pub fn is_gone(&self, chat: &Chat) -> bool {
        self.gone.contains_key(chat)
    }

    /// The chat is gone until its next probe.
    pub fn set_gone(&mut self, gone: Gone) {
        self.gone.insert(gone.chat.clone(), gone);
    }

    /// The chat is there again; whether it was gone.
    pub fn set_back(&mut self, chat: &Chat) -> bool {
        self.gone.remove(chat).is_some()
    }

    /// The chat has a new id, and all that waits goes there.
    pub fn rename(&mut self, old: &Chat, new: &Chat) {
        self.unschedule(old);
        self.gone.remove(old);
        self.gone.remove(new);
        self.held.remove(old);
        if let Some(line) = self.lines.remove(old) {
            self.in_all -= line.waiting;
            self.add(new, line.waiting);
        }
    }
}

#[cfg(test)]
mod tests;
