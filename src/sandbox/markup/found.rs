//! What the server finds in plain text by itself: addresses, names, tags, commands (TDLib find_entities; the common
//! forms only, which is enough to look right).

use std::sync::LazyLock;

use regex::Regex;

use super::clean::Fixed;
use super::entity::{Entity, Kind};

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test uses it")]
static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<url>https?://[^\s<>]*[^\s<>.,;:!?()\[\]'])",
        r"|(?P<email>[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})",
        r"|(?P<mention>@[A-Za-z][A-Za-z0-9_]{3,31})",
        r"|(?P<hashtag>#[\p{L}\p{N}_]*[\p{L}_][\p{L}\p{N}_]*)",
        r"|(?P<command>/[A-Za-z0-9_]{1,32}(?:@[A-Za-z][A-Za-z0-9_]{4,31})?)",
    ))
    .expect("a constant pattern")
});

/// Adds what is found in `text` where no link or code stands already.
pub fn found(mut fixed: Fixed) -> Fixed {
    let text = &fixed.text;
    if !text.contains(['/', '@', '#']) {
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
        let before = text[..hit.start()].chars().next_back();
        let after = text[hit.end()..].chars().next();
        let inside_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "_/@#<>".contains(c));
        if inside_word(before) || (kind == Kind::BotCommand && inside_word(after)) {
            continue;
        }
        offset += text[byte..hit.start()].encode_utf16().count() as u32;
        let length = hit.as_str().encode_utf16().count() as u32;
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

fn is_style(kind: &Kind) -> bool {
    use Kind::{Blockquote, Bold, ExpandableBlockquote, Italic, Spoiler, Strikethrough, Underline};
    matches!(kind, Bold | Italic | Underline | Strikethrough | Spoiler | Blockquote | ExpandableBlockquote)
}
