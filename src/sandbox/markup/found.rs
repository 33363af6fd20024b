//! What the server finds in plain text by itself: addresses, names, tags, commands (TDLib find_entities; the common
//! forms only). That `http://prometheus:9090/` is no link in Telegram is worth seeing before it is sent.

use std::sync::LazyLock;

use regex::Regex;

use super::clean::Fixed;
use super::entity::{Entity, Kind};

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test uses it")]
static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?P<email>[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,})",
        // With a scheme any host that has a dot; without one an address, or a name under a known top level.
        r#"|(?P<url>(?:(?:https?|ftp)://(?:[^\s/?#<>"'@]+@)?(?:[^\s/?#<>"':@.]+\.)+[^\s/?#<>"':@.,;!()]+"#,
        r"|(?:\d{1,3}\.){3}\d{1,3}\b",
        r"|(?:[a-z0-9_-]+\.)+(?:com|org|net|io|dev|me|app|cloud|info|biz|eu|uk|de|fr|nl|us|ru|sh|rs|py)\b)",
        r#"(?::\d{1,5})?(?:[/?#][^\s<>"]*)?)"#,
        r"|(?P<mention>@[a-z][a-z0-9_]{3,31})",
        r"|(?P<hashtag>#[\p{L}\p{N}_]*[\p{L}_][\p{L}\p{N}_]*)",
        r"|(?P<command>/[a-z0-9_]{1,32}(?:@[a-z][a-z0-9_]{4,31})?)",
    ))
    .expect("a constant pattern")
});

/// Adds what is found in `text` where no link or code stands already.
pub fn found(mut fixed: Fixed) -> Fixed {
    let text = &fixed.text;
    if !text.contains(['/', '@', '#', '.']) {
        return fixed;
    }
    let mut byte = 0;
    let mut offset = 0;
    let mut added = Vec::new();
    for part in PATTERN.captures_iter(text) {
        let kinds = [
            ("url", Kind::Url),
            ("email", Kind::Email),
            ("mention", Kind::Mention),
            ("hashtag", Kind::Hashtag),
            ("command", Kind::BotCommand),
        ];
        let hit = kinds.into_iter().find_map(|(name, kind)| part.name(name).map(|hit| (kind, hit)));
        let Some((kind, hit)) = hit else { continue };
        let shown = if kind == Kind::Url { without_tail(hit.as_str()) } else { hit.as_str() };
        let before = text[..hit.start()].chars().next_back();
        let after = text[hit.end()..].chars().next();
        let joins = |c: Option<char>, marks: &str| c.is_some_and(|c| c.is_alphanumeric() || marks.contains(c));
        let joined = match kind {
            Kind::Url => joins(before, "_/@#"),
            Kind::BotCommand => joins(before, "_/@#<>") || joins(after, "_/@#<>"),
            _ => joins(before, "_/@#<>"),
        };
        if joined {
            continue;
        }
        offset += text[byte..hit.start()].encode_utf16().count() as u32;
        let length = shown.encode_utf16().count() as u32;
        byte = hit.start();
        let end = offset + length;
        let taken = |other: &Entity| other.offset < end && other.end() > offset && !is_style(&other.kind);
        if !fixed.entities.iter().any(taken) {
            added.push(Entity { kind, offset, length });
        }
    }
    fixed.entities.append(&mut added);
    super::entity::sort(&mut fixed.entities);
    fixed
}

/// A URL without the punctuation of the sentence around it; a bracket belongs to it if its partner does.
fn without_tail(mut url: &str) -> &str {
    loop {
        let open = |open: char, close: char| url.matches(open).count() >= url.matches(close).count();
        let keep = match url.chars().next_back() {
            Some('.' | ',' | ';' | ':' | '!' | '?' | '\'') => false,
            Some(')') => open('(', ')'),
            Some(']') => open('[', ']'),
            _ => true,
        };
        if keep {
            return url;
        }
        url = &url[..url.len() - 1];
    }
}

fn is_style(kind: &Kind) -> bool {
    use Kind::{Blockquote, Bold, ExpandableBlockquote, Italic, Spoiler, Strikethrough, Underline};
    matches!(kind, Bold | Italic | Underline | Strikethrough | Spoiler | Blockquote | ExpandableBlockquote)
}
