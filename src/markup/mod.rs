//! Telegram's HTML: how long it is for a reader, how it is cut, and what is left when the markup is taken away.
//!
//! The rules are those of tdlib's parser (MessageEntity.cpp, `parse_html`): tags are read whatever their case, `</>`
//! closes the innermost, a reference is `&lt; &gt; &amp; &quot;` or numeric, with or without its semicolon, and any other
//! `&` stands for itself. Lengths are code points after parsing (MessageContent.cpp, `utf8_length`).

mod split;

use std::ops::AddAssign;

use unicode_segmentation::UnicodeSegmentation;

use crate::sandbox::{self, markup::Mode};
use crate::text::escape;
pub use split::{Part, part, split};

/// What one message may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Code points after parsing.
    pub visible: usize,
    /// Bytes before parsing.
    pub raw: usize,
    /// Tags: the first hundred entities are kept, the rest is silently ignored.
    pub entities: usize,
    /// Bytes of all tags: entities together may take some 9.5 kB (telegram-bot-api#165), and addresses are long.
    pub tags: usize,
}

/// A message. The server's own limits are 4096, 32768 and 100; tags that are reopened in a part count again.
pub const MESSAGE: Limits = Limits { visible: 4096, raw: 32_000, entities: 95, tags: 8_000 };

/// The caption of a picture or document.
pub const CAPTION: Limits = Limits { visible: 1024, raw: 32_000, entities: 95, tags: 8_000 };

/// A piece of markup that is never cut.
#[derive(Clone, Copy, Debug)]
struct Unit<'a> {
    raw: &'a str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Open,
    Close,
    /// A character, and whether a part may begin with it: not in the middle of a grapheme.
    Char(char, bool),
}

/// Takes markup apart; nothing when it is not well-formed.
fn units(html: &str) -> Option<Vec<Unit<'_>>> {
    let mut units = Vec::with_capacity(html.len());
    let mut open = 0_usize;
    let mut rest = html;
    while let Some(first) = rest.chars().next() {
        let (length, kind) = match first {
            '<' => {
                let end = tag_end(rest)?;
                if rest[1..].starts_with('/') {
                    open = open.checked_sub(1)?;
                    (end, Kind::Close)
                } else {
                    open += 1;
                    (end, Kind::Open)
                }
            }
            '&' => match reference(rest) {
                Some((c, length)) => (length, Kind::Char(c, true)),
                None => (1, Kind::Char('&', true)),
            },
            c => (c.len_utf8(), Kind::Char(c, true)),
        };
        units.push(Unit { raw: &rest[..length], kind });
        rest = &rest[length..];
    }
    mark_graphemes(&mut units);
    (open == 0).then_some(units)
}

/// The length of the tag at the start of `text`; a `>` inside a quoted value does not end it.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at + 1),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// The character that a reference at the start of `text` stands for, and its length.
fn reference(text: &str) -> Option<(char, usize)> {
    let body = text.strip_prefix('&')?;
    let semicolon = |length: usize| length + usize::from(text[length..].starts_with(';'));
    for (name, c) in [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"')] {
        if let Some(after) = body.strip_prefix(name)
            && !after.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            return Some((c, semicolon(1 + name.len())));
        }
    }
    let digits = body.strip_prefix('#')?;
    let (digits, radix, prefix) = match digits.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16, 3),
        None => (digits, 10, 2),
    };
    let length = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let c = char::from_u32(u32::from_str_radix(digits.get(..length)?, radix).ok()?).filter(|c| *c != '\0')?;
    Some((c, semicolon(prefix + length)))
}

/// Marks the characters inside graphemes, which tags may interrupt.
fn mark_graphemes(units: &mut [Unit<'_>]) {
    let text: String = units.iter().filter_map(|unit| char_of(unit.kind)).collect();
    let mut starts = text.grapheme_indices(true).map(|(at, _)| at).peekable();
    let mut at = 0;
    for unit in units {
        if let Kind::Char(c, starts_here) = &mut unit.kind {
            *starts_here = starts.next_if_eq(&at).is_some();
            at += c.len_utf8();
        }
    }
}

fn char_of(kind: Kind) -> Option<char> {
    match kind {
        Kind::Char(c, _) => Some(c),
        _ => None,
    }
}

/// How much of each limit a text takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Size {
    /// Code points after parsing.
    pub visible: usize,
    /// Bytes.
    pub raw: usize,
    /// Tags that open something.
    pub entities: usize,
    /// Bytes of tags.
    pub tags: usize,
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Size) {
        self.visible += other.visible;
        self.raw += other.raw;
        self.entities += other.entities;
        self.tags += other.tags;
    }
}

impl Size {
    fn add(&mut self, unit: Unit<'_>) {
        self.raw += unit.raw.len();
        match unit.kind {
            Kind::Char(..) => self.visible += 1,
            Kind::Open => {
                self.entities += 1;
                self.tags += unit.raw.len();
            }
            Kind::Close => {}
        }
    }

    /// Whether it fits when this many code points are left for something else.
    pub fn fits(&self, limits: Limits, room: usize) -> bool {
        self.visible + room <= limits.visible
            && self.raw + 4 * room <= limits.raw
            && self.entities <= limits.entities
            && self.tags <= limits.tags
    }
}

/// The size of a text. Markup that is not well-formed is counted as it stands.
pub fn size(html: &str) -> Size {
    let mut size = Size::default();
    match units(html) {
        Some(units) => units.into_iter().for_each(|unit| size.add(unit)),
        None => size = Size { visible: html.chars().count(), raw: html.len(), ..size },
    }
    size
}

/// The length that counts: code points after parsing.
pub fn visible_length(html: &str) -> usize {
    size(html).visible
}

/// Whether a text fits into one message.
pub fn fits(html: &str, limits: Limits) -> bool {
    size(html).fits(limits, 0)
}

/// The text itself, or, if its markup is not well-formed, what is left of it as plain text, escaped: so that it spoils
/// nothing that it is joined with.
///
/// Whether it is, the sandbox's parser says, which is held to TDLib's own.
pub fn well_formed(html: String) -> String {
    let is_fine = units(&html).is_some() && sandbox::markup::parse(&html, Mode::Html).is_ok();
    if is_fine { html } else { escape(&plain(&html)) }
}

/// The text without its markup. What is not well-formed loses what looks like a tag.
pub fn plain(html: &str) -> String {
    if let Some(units) = units(html) {
        return units.iter().filter_map(|unit| char_of(unit.kind)).collect();
    }
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(first) = rest.chars().next() {
        let looks_like_tag =
            rest.strip_prefix('<').is_some_and(|tag| tag.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic()));
        let length = match first {
            '<' if looks_like_tag => tag_end(rest).unwrap_or(1),
            '&' => {
                let (c, length) = reference(rest).unwrap_or(('&', 1));
                text.push(c);
                length
            }
            c => {
                text.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_code_points_after_parsing() {
        for (html, length) in [
            ("abc", 3),
            ("<b>abc</b>", 3),
            ("<a href=\"x>y\">abc</a>", 3),
            ("&lt;&amp;&quot;&#65;&#x1F600;", 5),
            ("&lt", 1),
            ("a & b &nbsp; &apos;", 19),
            ("😀", 1),
            ("👨‍👩‍👧", 5),
            ("<b>broken", 9),
        ] {
            assert_eq!(visible_length(html), length, "{html}");
        }
    }

    #[test]
    fn plain_text_of_good_and_bad_markup() {
        for (html, text) in [
            ("<b>a &lt; b</b> &amp; c", "a < b & c"),
            ("a < b", "a < b"),
            ("<b>x", "x"),
            ("</b>x<i>y</i>", "xy"),
            ("x<", "x<"),
            ("1 <2> 3 &gt", "1 <2> 3 >"),
            // Broken markup and a letter of more than one byte: that was a panic.
            ("<b>é 😀", "é 😀"),
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }
}
