//! Which alerts a chat gets: /regexp, /subscribe, /unsubscribe, /list, /stop.

use super::budget;
use super::conversation::{Conversation, Heard};
use super::effects::Effects;
use super::quotes;
use super::reasons::{bad_matchers, bad_pattern};
use super::words::{Word, Words};
use crate::matcher::Matchers;
use crate::pattern::{self, PatternError};
use crate::seen;
use crate::text::escape;
use crate::users::{Subscription, Wish};

/// Matcher sets that a chat, or a topic of it, may have: /list has to stay readable.
const MOST_SETS: usize = 20;

/// Names of alerts that an answer shows.
const NAMES: usize = 5;

/// Characters of the commands that bring back what /stop has taken: with the rest of the answer they fit a message.
const BACK: usize = 3000;

impl Conversation {
    /// `/regexp EXPR`
    pub(super) fn regexp(&self, heard: &Heard<'_>, pattern: &str) -> Result<Effects, String> {
        let words = heard.words;
        if pattern.is_empty() {
            return Ok(heard.reply(words.say(Word::HelpPattern, &[])));
        }
        if pattern.eq_ignore_ascii_case("off") {
            return self.regexp_off(heard);
        }
        if let Err(err) = pattern::check(pattern) {
            return Ok(heard.reply(bad_pattern(words, pattern, &err)));
        }
        let room = heard.room();
        let subscription = self.guests.edit(|roster| {
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
            Some(Some(roster.subscription(room.chat, room.thread).unwrap_or_default()))
        })?;
        let Some(subscription) = subscription else { return Ok(Effects::default()) };
        let Some(subscription) = subscription else { return Ok(heard.reply(words.say(Word::TooHeavy, &[]))) };
        log::info!("chat {}: match {pattern:?}", room.chat);
        let gets = ("gets", heard.whom(Word::WhoGets));
        let mut lines = vec![match pattern::is_everything(pattern) {
            true => words.say(Word::RegexpAll, &[gets]),
            false => words.say(Word::RegexpSet, &[gets, ("pattern", pattern)]),
        }];
        if let Some(inner) = quotes::within(pattern) {
            lines.push(words.say(Word::RegexpQuotes, &[("inner", inner)]));
        }
        if !subscription.labels.is_empty() && !is_everything(pattern) {
            lines.push(words.join(Word::RegexpKept, &[("labels", &codes(&subscription.labels))]));
        }
        lines.extend(self.silence(words, &subscription));
        Ok(heard.reply(lines.join("\n") + &self.fitting(words, Wish::by_name(pattern))))
    }

    /// `/regexp off`
    fn regexp_off(&self, heard: &Heard<'_>) -> Result<Effects, String> {
        let (words, room) = (heard.words, heard.room());
        let left = self.guests.edit(|roster| {
            roster.clear_match(room.chat, room.thread);
            roster.subscription(room.chat, room.thread)
        })?;
        log::info!("chat {}: no match any more", room.chat);
        let mut lines = vec![words.say(Word::RegexpOff, &[])];
        lines.push(match &left {
            Some(left) => words.join(Word::RegexpOffKept, &[("labels", &codes(&left.labels))]),
            None => words.say(Word::ListNothing, &[("none", heard.whom(Word::WhoGetsNone))]),
        });
        Ok(heard.reply(lines.join("\n")))
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
            Err(err) => return Ok(heard.reply(bad_matchers(words, text, &err))),
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
            Some(Ok(roster.subscription(room.chat, room.thread).unwrap_or_default()))
        })?;
        let subscription = match outcome {
            None => return Ok(Effects::default()),
            Some(Err(Some(most))) => {
                return Ok(heard.reply(words.say(Word::SubscribeFull, &[("most", &most.to_string())])));
            }
            Some(Err(None)) => return Ok(heard.reply(words.say(Word::TooHeavy, &[]))),
            Some(Ok(subscription)) => subscription,
        };
        log::info!("chat {}: labels {matchers}", room.chat);
        let shown = codes(std::slice::from_ref(&matchers));
        let mut lines =
            vec![words.join(Word::SubscribeSet, &[("gets", heard.whom(Word::WhoGets)), ("matchers", &shown)])];
        let names = &subscription.patterns;
        if let Some(everything) = names.iter().find(|pattern| is_everything(pattern)) {
            let pattern = if everything.is_empty() { "*" } else { everything };
            let still = ("still", heard.whom(Word::WhoStill));
            lines.push(words.say(Word::SubscribeEverything, &[still, ("pattern", pattern)]));
        } else if !names.is_empty() {
            lines.push(words.join(Word::SubscribeKept, &[("names", &codes(names))]));
        }
        lines.extend(self.silence(words, &subscription));
        Ok(heard.reply(lines.join("\n") + &self.fitting(words, wish)))
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
        let Some(subscription) = subscription else {
            return heard.reply(words.say(Word::ListNothing, &[("none", heard.whom(Word::WhoGetsNone))]));
        };
        let mut lines = vec![words.say(Word::ListTitle, &[("gets", heard.whom(Word::WhoGets))])];
        lines.extend(wishes(words, &subscription));
        lines.extend(self.silence(words, &subscription));
        heard.reply(lines.join("\n"))
    }

    /// `/stop`
    pub(super) fn stop(&self, heard: &Heard<'_>) -> Result<Effects, String> {
        let room = heard.room();
        let this = (room.chat, heard.message.id);
        // What there was is told also when this is handled again after a kill, and there is nothing any more.
        let text = match self.store.kept(this).map_err(|err| err.to_string())? {
            Some(text) => text,
            None => {
                let text = self.stopped(heard);
                self.store.keep(this, &text).map_err(|err| err.to_string())?;
                text
            }
        };
        self.guests.edit(|roster| roster.clear(room.chat, room.thread))?;
        log::info!("chat {}: no alerts any more", room.chat);
        Ok(heard.reply(text))
    }

    fn stopped(&self, heard: &Heard<'_>) -> String {
        let (words, room) = (heard.words, heard.room());
        let mut lines = vec![words.say(Word::Stopped, &[("stopped", heard.whom(Word::WhoStopped))])];
        let subscription = self.guests.roster().subscription(room.chat, room.thread).unwrap_or_default();
        if self.silence(words, &subscription).is_some() {
            lines.push(words.say(Word::StoppedUnmuted, &[]));
        }
        let commands = commands(&subscription);
        if !commands.is_empty() {
            let shown: Vec<String> = commands.iter().map(|text| format!("<code>{}</code>", escape(text))).collect();
            lines.push(words.join(Word::StoppedBack, &[("commands", &shown.join("\n"))]));
        }
        lines.join("\n")
    }

    /// A line on the alerts seen lately that a wish fits; empty when none were seen.
    fn fitting(&self, words: Words, wish: Result<Wish, PatternError>) -> String {
        let (Some(path), Ok(wish)) = (&self.seen, wish) else { return String::new() };
        let alerts = seen::read(path);
        if alerts.is_empty() {
            return String::new();
        }
        let fitting: Vec<_> = seen::fitting(&alerts, &wish).collect();
        let line = if fitting.is_empty() {
            words.say(Word::SeenNone, &[])
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
            words.say(Word::SeenFit, &[("count", &fitting.len().to_string()), ("names", &names)])
        };
        format!("\n\n{line}")
    }
}

/// What a subscription holds, a line each.
fn wishes(words: Words, subscription: &Subscription) -> Vec<String> {
    let all = if subscription.labels.is_empty() { Word::ListAll } else { Word::ListAllAnyway };
    let by_name = subscription.patterns.iter().map(|pattern| match is_everything(pattern) {
        true => words.say(all, &[]),
        false => words.say(Word::ListMatch, &[("pattern", pattern)]),
    });
    let by_labels = subscription.labels.iter().map(|set| words.say(Word::ListLabels, &[("matchers", set)]));
    by_name.chain(by_labels).collect()
}

/// Whether nobody's alert is left out: also the plain forms of an expression that is found in every name.
fn is_everything(pattern: &str) -> bool {
    pattern::is_everything(pattern) || matches!(pattern, "" | "." | ".*" | ".+")
}

/// What to write to have it again; as much of it as fits an answer.
fn commands(subscription: &Subscription) -> Vec<String> {
    let names = &subscription.patterns;
    let by_name = match names.iter().any(|pattern| is_everything(pattern)) {
        true => Some("/regexp *".to_owned()),
        false => (!names.is_empty()).then(|| format!("/regexp {}", names.join("|"))),
    };
    let by_labels = subscription.labels.iter().map(|set| format!("/subscribe {set}"));
    let mut length = 0;
    let mut commands: Vec<String> = Vec::new();
    for command in by_name.into_iter().chain(by_labels) {
        length += command.chars().count() + 1;
        if length > BACK {
            commands.push("…".to_owned());
            break;
        }
        commands.push(command);
    }
    commands
}

/// Whether a set that stands in the users file means the same as this canonical one.
fn means(set: &str, canonical: &str) -> bool {
    set == canonical || Matchers::parse(set).is_ok_and(|matchers| matchers.to_string() == canonical)
}

fn codes(texts: &[String]) -> String {
    texts.iter().map(|text| format!("<code>{}</code>", escape(text))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_everything_back() {
        let of = |patterns: &[&str], labels: &[&str]| {
            let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            commands(&Subscription { patterns: own(patterns), labels: own(labels), ..Subscription::default() })
        };
        assert_eq!(of(&[], &[]), Vec::<String>::new());
        assert_eq!(of(&["a", "b|c"], &["x=\"1\""]), ["/regexp a|b|c", "/subscribe x=\"1\""]);
        assert_eq!(of(&["a", ""], &[]), ["/regexp *"]);
        let long = "ж".repeat(2000);
        assert_eq!(
            of(&[&long], &["a=b", &long, "c=d"]),
            [format!("/regexp {long}"), "/subscribe a=b".into(), "…".into()]
        );
    }
}
