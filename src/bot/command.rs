//! From a text to a command.

use crate::near;

/// What somebody wants of the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Greeting and dashboards; with a code: pairing.
    Start,
    /// What there is.
    Help,
    /// Alerts by name.
    Regexp,
    /// Alerts by labels.
    Subscribe,
    /// Not these any more.
    Unsubscribe,
    /// What there is now.
    List,
    /// No alerts for a while.
    Mute,
    /// Alerts again.
    Unmute,
    /// No alerts any more.
    Stop,
    /// The dashboards.
    Dashboards,
    /// Who is let in.
    Users,
    /// Not this one any more.
    Remove,
}

const NAMES: [(&str, Name); 12] = [
    ("start", Name::Start),
    ("help", Name::Help),
    ("regexp", Name::Regexp),
    ("subscribe", Name::Subscribe),
    ("unsubscribe", Name::Unsubscribe),
    ("list", Name::List),
    ("mute", Name::Mute),
    ("unmute", Name::Unmute),
    ("stop", Name::Stop),
    ("dashboards", Name::Dashboards),
    ("users", Name::Users),
    ("remove", Name::Remove),
];

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text<'a> {
    /// One of the bot's commands, and what stands behind it.
    Command(Name, &'a str),
    /// For another bot.
    Foreign,
    /// Anything else: a key of a keyboard, a part of a name, the slug of a dashboard behind a slash.
    Words(&'a str),
}

/// Reads a text; `username` is the bot's own, without the `@`.
pub fn read<'a>(text: &'a str, username: &str) -> Text<'a> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix('/') else { return Text::Words(text) };
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, bot) = word.split_once('@').unwrap_or((word, ""));
    if !bot.is_empty() && !bot.eq_ignore_ascii_case(username) {
        // No command of Telegram's form: a dashboard can have such a name.
        let is_command = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return if is_command { Text::Foreign } else { Text::Words(text) };
    }
    match NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
        Some((_, name)) => Text::Command(*name, argument.trim()),
        None if bot.is_empty() => Text::Words(text),
        None => Text::Words(&text[..1 + name.len()]),
    }
}

/// The word that stands behind a slash; nothing where the text is no try at a command.
pub fn meant(text: &str) -> Option<&str> {
    text.strip_prefix('/')?.split(char::is_whitespace).next().filter(|word| !word.is_empty())
}

/// The command that somebody most likely meant: the only one that begins so, or one with few letters otherwise.
pub fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let is_enough = word.chars().count() > 2;
    let mut begun = NAMES.iter().map(|(name, _)| *name).filter(|name| is_enough && name.starts_with(&word));
    if let (Some(name), None) = (begun.next(), begun.next()) {
        return Some(name);
    }
    near::meant(NAMES.iter().map(|(name, _)| *name), &word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_was_meant() {
        for (text, name) in [
            ("/regex cpu", Some("regexp")),
            ("/regepx", Some("regexp")),
            ("/HALP", Some("help")),
            ("/sub x=1", Some("subscribe")),
            ("/unsub", Some("unsubscribe")),
            ("/dash", Some("dashboards")),
            ("/lst", Some("list")),
            ("/subscirbe", Some("subscribe")),
            ("/stoop", Some("stop")),
            ("/weather", None),
            ("/status", None),
            ("/web-shop", None),
            ("/x", None),
            ("/рег", None),
        ] {
            assert_eq!(meant(text).and_then(nearest), name, "{text}");
        }
        assert_eq!((meant("stop"), meant("/"), meant("/ stop")), (None, None, None));
    }

    #[test]
    fn commands_and_what_stands_behind_them() {
        let read = |text| read(text, "AlertBot");
        assert_eq!(read("/regexp mem | cpu "), Text::Command(Name::Regexp, "mem | cpu"));
        assert_eq!(read("/regexp\nmem"), Text::Command(Name::Regexp, "mem"));
        assert_eq!(read("/START"), Text::Command(Name::Start, ""));
        assert_eq!(read("/list@alertbot"), Text::Command(Name::List, ""));
        assert_eq!(read("/list@other_bot"), Text::Foreign);
        assert_eq!(read("/web-shop"), Text::Words("/web-shop"));
        assert_eq!(read("/web_shop@AlertBot"), Text::Words("/web_shop"));
        assert_eq!(read("/a-b@c"), Text::Words("/a-b@c"));
        assert_eq!(read("go back"), Text::Words("go back"));
        assert_eq!(read("/"), Text::Words("/"));
        assert_eq!(read(""), Text::Words(""));
    }
}
