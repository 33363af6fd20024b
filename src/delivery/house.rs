//! What a delivery does beside delivering: it counts, forgets, sees what others did to the outbox, and knows its end.

use std::time::{Duration, Instant};

use super::{Delivery, End, now};
use crate::cli::{self, Failure};
use crate::notify;
use crate::outbox::{Millis, Result};
use crate::record::Chat;

impl Delivery {
    /// Forgets what is old: a bounded number at a time, and again at once while there is more.
    pub(super) fn keep_house(&mut self) {
        self.pacing.forget_idle(Instant::now());
        let now = now();
        let before = now - Millis::try_from(self.options.remember.as_millis()).unwrap_or(Millis::MAX);
        for _ in 0..20 {
            match self.forget(before, now) {
                Ok(0) => break,
                Ok(n) => log::debug!("forgot {n} old records"),
                Err(err) => {
                    log::warn!("cannot forget old records: {err}");
                    break;
                }
            }
        }
        if let Err(err) = self.count_failed() {
            log::warn!("cannot read the outbox: {err}");
        }
    }

    fn count_failed(&self) -> Result<()> {
        self.metrics.failed.set(i64::try_from(self.outbox.failed_count()?).unwrap_or(i64::MAX));
        Ok(())
    }

    fn forget(&mut self, before: Millis, now: Millis) -> Result<usize> {
        // What a probe is telling just now is not given up.
        let instant = Instant::now();
        let idle = |chat: &&Chat| self.pacing.chat_ready(chat, instant).is_some();
        let gone: Vec<Chat> = self.chats.gone().filter(idle).cloned().collect();
        let (forgotten, given_up) =
            self.outbox.transaction(|outbox| Ok((outbox.forget(before)?, outbox.give_up(&gone, before, now)?)))?;
        for (chat, records) in &given_up {
            log::error!("set aside chat={chat} records={records}: the chat has been gone for too long");
            self.chats.remove(chat, *records);
            self.fail(*records as u64);
        }
        Ok(forgotten + given_up.len())
    }

    pub(super) fn observe(&mut self) {
        if self.observed.elapsed() > Duration::from_secs(1) {
            self.observed = Instant::now();
            if let Err(err) = self.look_at_outbox() {
                log::warn!("cannot read the outbox: {err}");
            }
            notify::status(&self.status());
        }
        self.metrics.waiting.set(i64::try_from(self.chats.in_all()).unwrap_or(i64::MAX));
        self.metrics.in_flight.set(i64::try_from(self.in_flight).unwrap_or(i64::MAX));
    }

    /// For `systemctl status`.
    fn status(&self) -> String {
        let failed = u64::try_from(self.metrics.failed.get()).unwrap_or(0);
        status(self.chats.in_all(), self.chats.gone_count(), failed, self.outage.is_on())
    }

    /// `--retry-failed` of another process puts records back and has chats that are gone tried again, `--forget-failed`
    /// leaves fewer that failed.
    fn look_at_outbox(&mut self) -> Result<()> {
        self.metrics.oldest.set(self.outbox.oldest()?.unwrap_or(0) / 1000);
        let others = self.outbox.changes_of_others()?;
        if others != self.others {
            self.others = others;
            self.chats.set_all(self.outbox.waiting_chats()?, self.outbox.gone_chats()?, &self.pacing, Instant::now());
            self.count_failed()?;
        }
        Ok(())
    }

    /// Whether and how the run is over.
    pub(super) fn end(&self) -> anyhow::Result<Option<End>> {
        if self.in_flight > 0 {
            return Ok(None);
        }
        if let Some(why) = &self.stop {
            let failure = Failure::misuse(format!("Telegram refuses the bot token: {why}"));
            let hint = "check the token (TELEGRAM_BOT_TOKEN) and api_url; everything undelivered stays in the outbox";
            return Err(failure.hint(hint).into());
        }
        if self.terminated {
            return Ok(Some(End::Terminated));
        }
        let Some(ended) = self.ended else { return Ok(None) };
        let wait = self.chats.in_all();
        let timed_out = self.options.timeout.is_some_and(|timeout| ended.elapsed() >= timeout);
        if wait > 0 && (timed_out || self.chats.only_gone()) {
            return Ok(Some(End::SomeWait(wait)));
        }
        if let Some(err) = self.input_error.as_ref().filter(|_| wait == 0) {
            return Err(Failure::new(cli::FAILED, format!("cannot read stdin: {err}")).into());
        }
        Ok((wait == 0).then_some(if self.failed > 0 { End::SomeFailed(self.failed) } else { End::Told }))
    }
}

fn status(waiting: usize, gone: usize, failed: u64, is_outage: bool) -> String {
    let mut status = format!("{waiting} waiting");
    match gone {
        0 => {}
        1 => status.push_str(", 1 chat gone"),
        gone => status.push_str(&format!(", {gone} chats gone")),
    }
    if failed > 0 {
        status.push_str(&format!(", {failed} set aside"));
    }
    if is_outage {
        status.push_str("; Telegram is out of reach");
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_the_manager() {
        assert_eq!(status(0, 0, 0, false), "0 waiting");
        assert_eq!(status(12, 1, 0, true), "12 waiting, 1 chat gone; Telegram is out of reach");
        assert_eq!(status(3, 2, 1, false), "3 waiting, 2 chats gone, 1 set aside");
    }
}
