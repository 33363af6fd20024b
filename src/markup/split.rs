//! A text that is too long for one message, in parts.

use std::ops::Range;

use super::{Kind, Limits, Size, Unit, char_of, fits, units, visible_length, well_formed};

/// Where a part may end, and what is open there.
#[derive(Clone)]
struct Cut<'a> {
    at: usize,
    open: Vec<&'a str>,
}

impl<'a> Cut<'a> {
    fn pass(&mut self, unit: &Unit<'a>) {
        match unit.kind {
            Kind::Open => self.open.push(unit.raw),
            Kind::Close => drop(self.open.pop()),
            Kind::Char(..) => {}
        }
        self.at += 1;
    }
}

/// The next part of a text of which some was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Fits, and is well-formed.
    pub html: String,
    /// How many characters of the text have been told with this part.
    pub shown: usize,
    /// Whether nothing is left after it.
    pub last: bool,
}

/// The part after `shown` characters of the text, nothing when only blanks are left. Where a part begins is known by
/// characters, not by counting parts: the limits may change while a text is told.
pub fn part(html: &str, shown: usize, limits: Limits) -> Option<Part> {
    if shown == 0 && fits(html, limits) {
        return Some(Part { html: html.to_owned(), shown: visible_length(html), last: true });
    }
    let html = well_formed(html.to_owned());
    let units = units(&html)?;
    let splitter = Splitter { units: &units, limits };
    let (html, end) = splitter.next(splitter.after(shown))?;
    let shown = units[..end.at].iter().filter(|unit| char_of(unit.kind).is_some()).count();
    Some(Part { html, shown, last: splitter.is_blank(end.at..units.len()) })
}

/// Cuts markup into parts that each fit and are well-formed: between lines, else between words, else between graphemes.
/// Tags are closed at the end of a part and opened again in the next. Markup that is not well-formed is split as the
/// plain text that is left of it.
pub fn split(html: &str, limits: Limits) -> Vec<String> {
    let mut parts = Vec::new();
    let mut shown = 0;
    while let Some(part) = part(html, shown, limits) {
        parts.push(part.html);
        if part.last {
            break;
        }
        shown = part.shown;
    }
    parts
}

struct Splitter<'a, 'u> {
    units: &'u [Unit<'a>],
    limits: Limits,
}

impl<'a> Splitter<'a, '_> {
    /// The place after so many characters.
    fn after(&self, shown: usize) -> Cut<'a> {
        let mut cut = Cut { at: 0, open: Vec::new() };
        let mut left = shown;
        while let Some(unit) = self.units.get(cut.at).filter(|_| left > 0) {
            left -= usize::from(char_of(unit.kind).is_some());
            cut.pass(unit);
        }
        cut
    }

    /// The first part from there that says something, and where the next one begins. Nothing but markup and blanks
    /// would be refused as an empty text.
    fn next(&self, start: Cut<'a>) -> Option<(String, Cut<'a>)> {
        let mut start = self.skip_blanks(start);
        while start.at < self.units.len() {
            let end = self.end_of_part(&start);
            let said = !self.is_blank(start.at..end.at);
            let part = said.then(|| self.part(&start, &end));
            start = self.skip_blanks(end);
            if let Some(part) = part {
                return Some((part, start));
            }
        }
        None
    }

    fn is_blank(&self, range: Range<usize>) -> bool {
        self.units[range].iter().filter_map(|unit| char_of(unit.kind)).all(char::is_whitespace)
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
            if at > start.at && unit.kind != Kind::Close && self.is_between_graphemes(at) {
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
        let mut cut = start.clone();
        self.units[start.at..end].iter().for_each(|unit| cut.pass(unit));
        cut
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
        let skipped = |kind| matches!(kind, Kind::Close) || char_of(kind).is_some_and(char::is_whitespace);
        let mut end = cut.clone();
        while let Some(unit) = self.units.get(end.at).filter(|unit| skipped(unit.kind)) {
            end.pass(unit);
            // A blank with an accent on it is no blank.
            if self.is_between_graphemes(end.at) {
                cut = end.clone();
            }
        }
        cut
    }

    /// Whether the next character does not belong to the one before it.
    fn is_between_graphemes(&self, at: usize) -> bool {
        let mut rest = self.units[at..].iter();
        rest.find_map(|unit| if let Kind::Char(_, starts) = unit.kind { Some(starts) } else { None }).unwrap_or(true)
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
    use super::super::{MESSAGE, plain};
    use super::*;

    const SMALL: Limits = Limits { visible: 10, raw: 1000, entities: 95, tags: 1000 };

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
    fn a_text_goes_on_where_it_was_even_when_the_limits_change() {
        let text = "one <b>two\nthree</b> four five";
        let first = part(text, 0, SMALL).unwrap();
        assert_eq!((first.html.as_str(), first.shown, first.last), ("one <b>two\n</b>", 8, false));
        let tiny = Limits { visible: 6, ..SMALL };
        let second = part(text, 8, tiny).unwrap();
        assert_eq!((second.html.as_str(), second.shown, second.last), ("<b>three</b> ", 14, false));
        assert_eq!(part(text, 14, SMALL).unwrap(), Part { html: "four five".into(), shown: 23, last: true });
        assert_eq!(part(text, 23, SMALL), None);
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
