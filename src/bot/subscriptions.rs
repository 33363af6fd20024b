//! Which alerts a chat gets: /regexp, /subscribe, /unsubscribe, /list, /stop.

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::budget;
use super::conversation::{Conversation, Heard};
use super::effects::{Effects, Reply};
use super::words::{Word, Words};
use crate::matcher::Matchers;
use crate::pattern::{self, Mistake, PatternError};
use crate::seen;
use crate::text::escape;
use crate::users::{Subscription, Wish};

/// Matcher sets that a chat, or a topic of it, may have: /list has to stay readable.
const MOST_SETS: usize = 20;

/// Names of alerts that an answer shows.
const NAMES: usize = 5;

/// Characters of an expression that are shown around the place of a mistake.
const AROUND: usize = 20;

impl Conversation {
    /// `/regexp EXPR`
    pub(super) fn regexp(&self, heard: &Heard<'_>, pattern: &str) -> Result<Effects, String> {
        let words = heard.words;
        if pattern.is_empty() {
            return Ok(heard.reply(words.say(Word::HelpPattern, &[])));
        }
        if let Err(err) = pattern::check(pattern) {
            return Ok(heard.reply(bad_pattern(words, pattern, &err)));
        }
        let room = heard.room();
        let kept = self.guests.edit(|roster| {
            // Who was removed while this waited for the file must not come in again by it.
            if !self.access.lets_in(roster, room.chat) {
                return None;
            }
            let had = roster.subscription(room.chat, room.thread).unwrap_or_default();
            let wish = Wish::by_name(pattern).ok()?;
            // Whoever has it was given it, be it by this command before a kill.
            if had.patterns != [pattern] && !budget::bears(roster, room.chat, &wish, &had.patterns) {
                return Some(None);
            }
            roster.set_match(room.chat, room.thread, pattern);
            self.name(roster, heard);
            Some(Some(had.labels))
        })?;
        let Some(kept) = kept else { return Ok(Effects::default()) };
        let Some(kept) = kept else { return Ok(heard.reply(words.say(Word::TooHeavy, &[]))) };
        log::info!("chat {}: match {pattern:?}", room.chat);
        let mut text = match pattern::is_everything(pattern) {
            true => words.say(Word::RegexpAll, &[]),
            false => words.say(Word::RegexpSet, &[("pattern", pattern)]),
        };
        if !kept.is_empty() && !pattern::is_everything(pattern) {
            text.push('\n');
            text.push_str(&words.join(Word::RegexpKept, &[("labels", &codes(&kept))]));
        }
        text.push_str(&self.fitting(words, Wish::by_name(pattern)));
        Ok(heard.reply(text))
    }

    /// `/subscribe severity="critical", team=~"db|web"`
    pub(super) fn subscribe(&self, heard: &Heard<'_>, text: &str) -> Result<Effects, String> {
        let words = heard.words;
        if text.is_empty() {
            return Ok(heard.reply(words.say(Word::HelpMatchers, &[])));
        }
        // The form that is written is longer than what was typed, and alert-route has to be able to read it.
        let written = Matchers::parse(text).map(|matchers| matchers.to_string()).and_then(|written| {
            let readable = Matchers::parse(&written).map_err(|err| PatternError { at: None, ..err });
            readable.map(|_| written)
        });
        let matchers = match written {
            Ok(matchers) => matchers,
            Err(err) => {
                let shown = marked(text, err.at);
                let values = [("reason", reason(words, &err)), ("shown", escape(&shown))];
                let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
                return Ok(heard.reply(words.join(Word::SubscribeBad, &values)));
            }
        };
        let room = heard.room();
        let wish = Wish::by_labels(&matchers);
        let outcome = self.guests.edit(|roster| {
            if !self.access.lets_in(roster, room.chat) {
                return None;
            }
            let sets = roster.subscription(room.chat, room.thread).map(|subscription| subscription.labels);
            let sets = sets.unwrap_or_default();
            // Whoever has the set was given it, be it by this command before a kill.
            let has_it = sets.iter().any(|set| means(set, &matchers));
            if !has_it && sets.len() >= MOST_SETS {
                return Some(Err(Some(MOST_SETS)));
            }
            if !has_it && budget::sets(roster, room.chat) >= budget::MOST_SETS {
                return Some(Err(Some(budget::MOST_SETS)));
            }
            if !has_it && !wish.as_ref().is_ok_and(|wish| budget::bears(roster, room.chat, wish, &[])) {
                return Some(Err(None));
            }
            roster.subscribe(room.chat, room.thread, &matchers);
            self.name(roster, heard);
            Some(Ok(()))
        })?;
        match outcome {
            None => return Ok(Effects::default()),
            Some(Err(Some(most))) => {
                return Ok(heard.reply(words.say(Word::SubscribeFull, &[("most", &most.to_string())])));
            }
            Some(Err(None)) => return Ok(heard.reply(words.say(Word::TooHeavy, &[]))),
            Some(Ok(())) => {}
        }
        log::info!("chat {}: labels {matchers}", room.chat);
        let mut text = words.join(Word::SubscribeSet, &[("matchers", &codes(std::slice::from_ref(&matchers)))]);
        text.push_str(&self.fitting(words, wish));
        Ok(heard.reply(text))
    }

    /// `/unsubscribe`, of one set of matchers or of all.
    pub(super) fn unsubscribe(&self, heard: &Heard<'_>, text: &str) -> Result<Effects, String> {
        let (words, room) = (heard.words, heard.room());
        if text.is_empty() {
            self.guests.edit(|roster| {
                let sets = roster.subscription(room.chat, room.thread).map(|subscription| subscription.labels);
                for set in sets.unwrap_or_default() {
                    roster.unsubscribe(room.chat, room.thread, Some(&set));
                }
            })?;
            return Ok(heard.reply(words.say(Word::UnsubscribeAll, &[])));
        }
        let this = (room.chat, heard.message.id);
        let mut had = self.guests.roster().subscription(room.chat, room.thread).is_some_and(|subscription| {
            let shown = Matchers::parse(text).map_or_else(|_| text.trim().to_owned(), |matchers| matchers.to_string());
            subscription.patterns.iter().any(|pattern| pattern == text)
                || subscription.labels.iter().any(|set| means(set, &shown))
        });
        if had {
            self.store.keep(this, "").map_err(|err| err.to_string())?;
        } else {
            // Taken away already when this was handled before, and cut off.
            had = self.store.kept(this).map_err(|err| err.to_string())?.is_some();
        }
        let taken = self.guests.edit(|roster| roster.unsubscribe(room.chat, room.thread, Some(text)))? || had;
        let shown = Matchers::parse(text).map_or_else(|_| text.to_owned(), |matchers| matchers.to_string());
        Ok(heard.reply(if taken {
            words.join(Word::UnsubscribeDone, &[("matchers", &codes(&[shown]))])
        } else {
            words.say(Word::UnsubscribeUnknown, &[("what", &shown)])
        }))
    }

    /// `/list`
    pub(super) fn list(&self, heard: &Heard<'_>) -> Effects {
        let (words, room) = (heard.words, heard.room());
        let subscription = self.guests.roster().subscription(room.chat, room.thread);
        let Some(subscription) = subscription else { return heard.reply(words.say(Word::ListNothing, &[])) };
        let mut lines = vec![words.say(Word::ListTitle, &[])];
        lines.extend(wishes(words, &subscription));
        if let Some(until) = subscription.muted_until.filter(|until| *until > Timestamp::now()) {
            let until = until.to_zoned(self.zone.clone());
            let shown = strtime::format("%-d %b %H:%M %Z", &until).unwrap_or_else(|_| until.to_string());
            lines.push(words.say(Word::ListMuted, &[("until", &shown)]));
        }
        heard.reply(lines.join("\n"))
    }

    /// `/stop`
    pub(super) fn stop(&self, heard: &Heard<'_>) -> Result<Effects, String> {
        let room = heard.room();
        self.guests.edit(|roster| roster.clear(room.chat, room.thread))?;
        log::info!("chat {}: no alerts any more", room.chat);
        let mut effects = Effects::default();
        effects.say(Reply::to(heard.message, heard.words.say(Word::Stopped, &[])));
        Ok(effects)
    }

    /// A line on the alerts seen lately that a wish fits; empty when none were seen.
    fn fitting(&self, words: Words, wish: Result<Wish, PatternError>) -> String {
        let (Some(path), Ok(wish)) = (&self.seen, wish) else { return String::new() };
        let alerts = seen::read(path);
        if alerts.is_empty() {
            return String::new();
        }
        let fitting: Vec<_> = seen::fitting(&alerts, &wish).collect();
        let forms = words.get(Word::CountAlerts);
        let line = if fitting.is_empty() {
            words.say(Word::SeenNone, &[("count", &words.count(forms, alerts.len() as u64))])
        } else {
            let mut names: Vec<&str> = Vec::new();
            for alert in &fitting {
                let name = alert.labels.get("alertname").map_or("?", String::as_str);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let more = names.len() > NAMES;
            names.truncate(NAMES);
            let names = format!("{}{}", names.join(", "), if more { ", …" } else { "" });
            let count = words.count(forms, fitting.len() as u64);
            words.say(Word::SeenFit, &[("count", &count), ("names", &names)])
        };
        format!("\n\n{line}")
    }
}

/// What a subscription holds, a line each.
pub(super) fn wishes(words: Words, subscription: &Subscription) -> Vec<String> {
    let by_name = subscription.patterns.iter().map(|pattern| match pattern::is_everything(pattern) {
        true => words.say(Word::ListAll, &[]),
        false => words.say(Word::ListMatch, &[("pattern", pattern)]),
    });
    let by_labels = subscription.labels.iter().map(|set| words.say(Word::ListLabels, &[("matchers", set)]));
    by_name.chain(by_labels).collect()
}

/// Whether a set that stands in the users file means the same as this canonical one.
fn means(set: &str, canonical: &str) -> bool {
    set == canonical || Matchers::parse(set).is_ok_and(|matchers| matchers.to_string() == canonical)
}

fn codes(texts: &[String]) -> String {
    texts.iter().map(|text| format!("<code>{}</code>", escape(text))).collect::<Vec<_>>().join(", ")
}

fn bad_pattern(words: Words, pattern: &str, err: &PatternError) -> String {
    if err.kind == Mistake::TooLong {
        let (length, most) = (pattern.chars().count().to_string(), pattern::LONGEST.to_string());
        return words.say(Word::RegexpTooLong, &[("length", &length), ("most", &most)]);
    }
    let shown = escape(&marked(pattern, err.at));
    words.join(Word::RegexpBad, &[("reason", &reason(words, err)), ("shown", &shown)])
}

/// Why, in the person's words where it is something that people ask about; in Telegram's HTML.
fn reason(words: Words, err: &PatternError) -> String {
    match err.kind {
        Mistake::LookAround => words.say(Word::RegexpLookAround, &[]),
        Mistake::Backreference => words.say(Word::RegexpBackreference, &[]),
        _ => escape(&err.reason),
    }
}

/// The text with a mark under the character at which it went wrong; of a long text what is around it.
fn marked(text: &str, at: Option<usize>) -> String {
    let flat: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let middle = at.unwrap_or(0);
    let from = middle.saturating_sub(AROUND);
    let to = flat.len().min(middle + AROUND);
    let mut line: String = flat[from.min(flat.len())..to].iter().collect();
    let before = if from > 0 { "…" } else { "" };
    if to < flat.len() {
        line.push('…');
    }
    match at {
        Some(at) => format!("{before}{line}\n{}^", " ".repeat(before.chars().count() + at - from)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_mistake() {
        assert_eq!(marked("mem(cpu", Some(3)), "mem(cpu\n   ^");
        assert_eq!(marked("mem(", Some(4)), "mem(\n    ^");
        assert_eq!(marked("a\nb", None), "a b");
        let long = format!("{}({}", "x".repeat(100), "y".repeat(100));
        let shown = marked(&long, Some(100));
        let (line, mark) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().nth(mark.chars().count() - 1), Some('('));
        assert!(line.starts_with('…') && line.ends_with('…') && line.chars().count() < 45);
    }
}
