//! What `systemctl status` shows of the bot: that it answers, or why it does not and what to do.

use std::time::Duration;

use jiff::Timestamp;

use crate::notify;

/// How the bot stands with Telegram.
pub struct Standing {
    /// The line for when all is well.
    well: String,
    /// Since when Telegram is out of reach.
    out_of_reach: Option<Timestamp>,
}

impl Standing {
    /// All is well, in these words, unless something else is said.
    pub fn new(well: &str) -> Self {
        Standing { well: well.to_owned(), out_of_reach: None }
    }

    /// Telegram has answered as it should.
    pub fn is_well(&mut self) {
        self.out_of_reach = None;
        notify::status(&self.well);
    }

    /// Telegram has not.
    pub fn is_out_of_reach(&mut self) {
        let since = *self.out_of_reach.get_or_insert_with(Timestamp::now);
        notify::status(&out_of_reach(since));
    }

    /// Telegram asks to be left alone for so long.
    pub fn is_silent(&mut self, time: Duration) {
        self.out_of_reach = None;
        notify::status(&format!(
            "silent: Telegram asked at {} for {} s of silence",
            clock(Timestamp::now()),
            time.as_secs()
        ));
    }

    /// Somebody else gets the bot's updates; what to do.
    pub fn is_deaf(&mut self, hint: &str) {
        self.out_of_reach = None;
        notify::status(&format!("hears nobody: {hint}"));
    }
}

/// Telegram refuses the token.
pub fn is_refused() {
    notify::status("ended: Telegram refuses the token; take it from @BotFather once more");
}

fn out_of_reach(since: Timestamp) -> String {
    format!("Telegram is out of reach since {}; the log says why", clock(since))
}

fn clock(at: Timestamp) -> String {
    at.strftime("%-d %b %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_when_is_said_in_a_time_zone() {
        let since = "2026-02-03T04:05:06Z".parse().unwrap();
        assert_eq!(out_of_reach(since), "Telegram is out of reach since 3 Feb 04:05 UTC; the log says why");
    }
}
