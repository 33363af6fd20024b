//! Silence for a while: /mute and /unmute.

use std::time::Duration;

use jiff::fmt::strtime;
use jiff::{SignedDuration, Timestamp, Unit};

use super::conversation::{Conversation, Heard};
use super::effects::Effects;
use super::words::{Word, Words};
use crate::config;
use crate::users::Subscription;

/// The longest silence: whoever wants more wants no alerts.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

impl Conversation {
    /// `/mute 2h`
    pub(super) fn mute(&self, heard: &Heard<'_>, argument: &str) -> Result<Effects, String> {
        let (words, room) = (heard.words, heard.room());
        if argument.eq_ignore_ascii_case("off") {
            return self.unmute(heard);
        }
        let Some(length) = length(argument) else {
            let subscription = self.guests.roster().subscription(room.chat, room.thread);
            let silence = subscription.and_then(|subscription| self.silence(words, &subscription));
            let lines: Vec<String> = silence.into_iter().chain([words.say(Word::MuteHow, &[])]).collect();
            return Ok(heard.reply(lines.join("\n")));
        };
        // Handled again after a kill it is the same moment.
        let this = (room.chat, heard.message.id);
        let kept = self.store.kept(this).map_err(|err| err.to_string())?.and_then(|until| until.parse().ok());
        let until = match kept {
            Some(until) => until,
            None => {
                let until = Timestamp::now().saturating_add(length).map_err(|err| err.to_string())?;
                let until = until.round(Unit::Second).map_err(|err| err.to_string())?;
                self.store.keep(this, &until.to_string()).map_err(|err| err.to_string())?;
                until
            }
        };
        let is_muted = self.guests.edit(|roster| {
            // Who wants nothing is told nothing anyway, and who was removed meanwhile stays so.
            let wants = roster.subscription(room.chat, room.thread).is_some();
            if wants {
                roster.set_muted(room.chat, room.thread, Some(until));
            }
            wants
        })?;
        if !is_muted {
            return Ok(heard.reply(words.say(Word::ListNothing, &[("none", heard.whom(Word::WhoGetsNone))])));
        }
        log::info!("chat {}: muted until {until}", room.chat);
        Ok(heard.reply(words.say(Word::MuteSet, &[("until", &self.moment(words, until))])))
    }

    /// `/unmute`
    pub(super) fn unmute(&self, heard: &Heard<'_>) -> Result<Effects, String> {
        let room = heard.room();
        self.guests.edit(|roster| roster.set_muted(room.chat, room.thread, None))?;
        log::info!("chat {}: not muted", room.chat);
        Ok(heard.reply(heard.words.say(Word::MuteEnded, &[])))
    }

    /// A line on the silence of a chat, while it lasts.
    pub(super) fn silence(&self, words: Words, subscription: &Subscription) -> Option<String> {
        let until = subscription.muted_until.filter(|until| *until > Timestamp::now())?;
        Some(words.say(Word::ListMuted, &[("until", &self.moment(words, until))]))
    }

    fn moment(&self, words: Words, at: Timestamp) -> String {
        let at = at.to_zoned(self.zone.clone());
        strtime::format(words.get(Word::TimeMoment), &at).unwrap_or_else(|_| at.to_string())
    }
}

/// A time as Prometheus writes it, also with blanks and Russian units; none if it is no time, or none to be silent for.
/// A bare number could be anything.
fn length(text: &str) -> Option<SignedDuration> {
    let mut plain: String = text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    for (russian, unit) in [("мин", "m"), ("м", "m"), ("час", "h"), ("ч", "h"), ("нед", "w"), ("дн", "d"), ("д", "d")]
    {
        plain = plain.replace(russian, unit);
    }
    let is_bare = plain.ends_with(|c: char| !c.is_ascii_lowercase());
    let length = config::duration(&plain).filter(|_| !is_bare)?;
    (Duration::from_secs(1)..=LONGEST).contains(&length).then(|| SignedDuration::try_from(length).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_silence() {
        for (text, seconds) in [
            ("30m", Some(1800)),
            ("2H", Some(7200)),
            ("1h 30m", Some(5400)),
            ("1d", Some(86_400)),
            ("30d", Some(2_592_000)),
            ("2ч", Some(7200)),
            ("1 ч 30 мин", Some(5400)),
            ("3 дн", Some(259_200)),
            ("31d", None),
            ("0h", None),
            ("1ms", None),
            ("2", None),
            ("", None),
            ("1e3", None),
            ("inf", None),
            ("-2h", None),
            ("tomorrow", None),
            ("99999999999999999999y", None),
        ] {
            assert_eq!(length(text).map(|length| length.as_secs()), seconds, "{text}");
        }
    }
}
