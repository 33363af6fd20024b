//! Telegram's HTML: how long it is for a reader, how it is cut, and what is left when the markup is taken away.
//!
//! The rules are those of tdlib's parser (MessageEntity.cpp, `parse_html`): tags are read whatever their case, `</>`
//! closes the innermost, a reference is `&lt; &gt; &amp; &quot;` or numeric, with or without its semicolon, and any other
//! `&` stands for itself. Lengths are code points after parsing (MessageContent.cpp, `utf8_length`).

use std::ops::AddAssign;

use unicode_segmentation::UnicodeSegmentation;

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
pub fn well_formed(html: String) -> String {
    if units(&html).is_some() { html } else { crate::text::escape(&plain(&html)) }
}

/// The text without its markup. What is not well-formed loses what looks like a tag.
pub fn plain(html: &str) -> String {
    if let Some(units) = units(html) {
        return units.iter().filter_map(|unit| char_of(unit.kind)).collect();
    }
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(first) = rest.chars().next() {
        let looks_like_tag = rest[1.min(rest.len())..].starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
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

/// Where a part may end, and what is open there.
struct Cut<'a> {
    at: usize,
    open: Vec<&'a str>,
}

/// Cuts markup into parts that each fit and are well-formed: between lines, else between words, else between graphemes.
/// Tags are closed at the end of a part and opened again in the next. Markup that is not well-formed is split as the
/// plain text that is left of it.
pub fn split(html: &str, limits: Limits) -> Vec<String> {
    if fits(html, limits) {
        return vec![html.to_owned()];
    }
    let html = well_formed(html.to_owned());
    units(&html).map_or_else(Vec::new, |units| Splitter { units: &units, limits }.parts())
}

struct Splitter<'a, 'u> {
    units: &'u [Unit<'a>],
    limits: Limits,
}

impl<'a> Splitter<'a, '_> {
    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let mut start = Cut { at: 0, open: Vec::new() };
        while start.at < self.units.len() {
            let end = self.end_of_part(&start);
            let part = self.part(&start, &end);
            // Nothing but markup and blanks would be refused as an empty text.
            if self.units[start.at..end.at].iter().any(|unit| char_of(unit.kind).is_some_and(|c| !c.is_whitespace())) {
                parts.push(part);
            }
            start = self.skip_blanks(end);
        }
        parts
    }

    /// The best place to end the part that begins at `start`.
    fn end_of_part(&self, start: &Cut<'a>) -> Cut<'a> {
        let mut size = Size::default();
        for tag in &start.open {
            size.add(Unit { raw: tag, kind: Kind::Open });
            size.raw += closing(tag).len();
        }
        let (mut line, mut word, mut grapheme) = (None, None, None);
        let mut end = self.units.len();
        for (at, unit) in self.units.iter().enumerate().skip(start.at) {
            // A cut before this unit: everything so far fits.
            if at > start.at && matches!(unit.kind, Kind::Char(_, true) | Kind::Open) {
                match char_of(self.units[at - 1].kind) {
                    Some('\n') => line = Some(at),
                    Some(c) if c.is_whitespace() => word = Some(at),
                    _ => {}
                }
                if unit.kind != Kind::Open {
                    grapheme = Some(at);
                }
            }
            size.add(*unit);
            match unit.kind {
                // The closing tag is counted with its opening one, wherever it comes to stand.
                Kind::Open => size.raw += closing(unit.raw).len(),
                Kind::Close => size.raw -= unit.raw.len(),
                Kind::Char(..) => {}
            }
            let full = !size.fits(self.limits, 0);
            if full && at > start.at {
                // A line's end, unless the part would be short; then a word's, then a grapheme's. The last resort is
                // for one grapheme that is longer than a message.
                let long_enough = |cut: &usize| (cut - start.at) * 4 >= at - start.at;
                end = [line, word].into_iter().flatten().find(long_enough).or(grapheme).unwrap_or(at);
                break;
            }
        }
        let mut open = start.open.clone();
        for unit in &self.units[start.at..end] {
            match unit.kind {
                Kind::Open => open.push(unit.raw),
                Kind::Close => drop(open.pop()),
                Kind::Char(..) => {}
            }
        }
        Cut { at: end, open }
    }

    fn part(&self, start: &Cut<'a>, end: &Cut<'a>) -> String {
        let mut part: String = start.open.concat();
        part.extend(self.units[start.at..end.at].iter().map(|unit| unit.raw));
        for tag in end.open.iter().rev() {
            part.push_str(&closing(tag));
        }
        part
    }

    /// A part does not begin with the blanks at which its predecessor ended: the server would trim them.
    fn skip_blanks(&self, mut cut: Cut<'a>) -> Cut<'a> {
        while let Some(unit) = self.units.get(cut.at) {
            match unit.kind {
                Kind::Char(c, _) if c.is_whitespace() => {}
                Kind::Close if !cut.open.is_empty() => drop(cut.open.pop()),
                _ => break,
            }
            cut.at += 1;
        }
        cut
    }
}

/// `</b>` for `<b>` and `</a>` for `<a href="...">`.
fn closing(tag: &str) -> String {
    let name = tag.trim_start_matches('<');
    let end = name.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(name.len());
    format!("</{}>", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits = Limits { visible: 10, raw: 1000, entities: 95, tags: 1000 };

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
        ] {
            assert_eq!(plain(html), text, "{html}");
        }
    }

    #[test]
    fn cuts_are_between_lines_then_words_then_graphemes() {
        assert_eq!(split("one\ntwo\nthree four", SMALL), ["one\ntwo\n", "three four"]);
        assert_eq!(split("one two three", SMALL), ["one two ", "three"]);
        assert_eq!(split("abcdefghijklm", SMALL), ["abcdefghij", "klm"]);
        // Five code points that are one grapheme.
        assert_eq!(split("abcdefgh👨‍👩‍👧x", SMALL), ["abcdefgh", "👨‍👩‍👧x"]);
    }

    #[test]
    fn tags_are_closed_and_opened_again() {
        assert_eq!(
            split("<b>bold <a href=\"http://x.y/\">linked text</a></b> end", SMALL),
            [
                "<b>bold </b>",
                "<b><a href=\"http://x.y/\">linked </a></b>",
                "<b><a href=\"http://x.y/\">text</a></b> end"
            ]
        );
    }

    #[test]
    fn references_are_not_cut() {
        assert_eq!(split("&amp;&amp;&amp;&amp;&amp;&amp;&amp;&amp;&amp;&amp;&lt;", SMALL).len(), 2);
        let raw = Limits { raw: 12, ..SMALL };
        assert_eq!(split("&amp;&amp;&amp;&amp;", raw), ["&amp;&amp;", "&amp;&amp;"]);
    }

    #[test]
    fn too_many_entities_are_spread_over_parts() {
        let html = "<b>x</b> ".repeat(250);
        let parts = split(&html, MESSAGE);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| fits(part, MESSAGE)));
    }

    #[test]
    fn a_grapheme_longer_than_a_message_is_cut_at_last() {
        let zalgo = format!("e{}", "\u{301}".repeat(25));
        let parts = split(&zalgo, SMALL);
        assert_eq!(parts.concat(), zalgo);
        assert!(parts.iter().all(|part| visible_length(part) <= 10));
    }

    #[test]
    fn broken_markup_is_split_as_what_is_left_of_it() {
        let parts = split("<b>a < b and c > d and more", SMALL);
        assert!(parts.iter().all(|part| fits(part, SMALL)), "{parts:?}");
        let text: String = parts.iter().map(|part| plain(part)).collect();
        assert!(text.ends_with("and more"), "{text}");
    }
}
