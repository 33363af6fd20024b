//! `parse_mode: "MarkdownV2"` and the old `"Markdown"` (TDLib parse_markdown_v2 and parse_markdown).

use super::entity::{Entity, Kind, sort};
use super::{Parsed, at, is_space, link, utf16_units};

/// What is open. The kinds of [`Kind`] that need an argument get it at their end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Code,
    Pre,
    PreCode,
    TextUrl,
    CustomEmoji,
    Blockquote,
}

impl Mark {
    /// TDLib's own names, which its errors show.
    fn name(self) -> &'static str {
        match self {
            Mark::Bold => "Bold",
            Mark::Italic => "Italic",
            Mark::Underline => "Underline",
            Mark::Strikethrough => "Strikethrough",
            Mark::Spoiler => "Spoiler",
            Mark::Code => "Code",
            Mark::Pre => "Pre",
            Mark::PreCode => "PreCode",
            Mark::TextUrl => "TextUrl",
            Mark::CustomEmoji => "CustomEmoji",
            Mark::Blockquote => "BlockQuote",
        }
    }

    fn is_code(self) -> bool {
        matches!(self, Mark::Code | Mark::Pre | Mark::PreCode)
    }
}

struct Open {
    mark: Mark,
    language: String,
    /// UTF-16 offset in the result.
    offset: u32,
    /// Byte offset in the source, for errors.
    byte: usize,
    /// Byte offset in the result.
    begin: usize,
}

impl Open {
    fn unclosed(&self) -> String {
        format!("Can't find end of {} entity at byte offset {}", self.mark.name(), self.byte)
    }
}

struct Parser<'a> {
    text: &'a [u8],
    i: usize,
    out: Vec<u8>,
    offset: u32,
    open: Vec<Open>,
    entities: Vec<Entity>,
    quoting: bool,
    may_quote: bool,
}

pub(super) fn parse_v2(text: &str) -> Result<Parsed, String> {
    let mut parser = Parser {
        text: text.as_bytes(),
        i: 0,
        out: Vec::with_capacity(text.len()),
        offset: 0,
        open: Vec::new(),
        entities: Vec::new(),
        quoting: false,
        may_quote: true,
    };
    while parser.i < parser.text.len() {
        parser.step()?;
        parser.i += 1;
    }
    parser.end_of_text()?;
    sort(&mut parser.entities);
    // Only whole characters and ASCII marks were copied or left out.
    Ok((String::from_utf8_lossy(&parser.out).into_owned(), parser.entities))
}

impl Parser<'_> {
    fn at(&self, ahead: usize) -> u8 {
        at(self.text, self.i + ahead)
    }

    fn is_escape(&self) -> bool {
        self.at(0) == b'\\' && (1..=126).contains(&self.at(1))
    }

    fn step(&mut self) -> Result<(), String> {
        let c = self.at(0);
        if self.is_escape() {
            self.i += 1;
            self.offset += 1;
            self.out.push(self.at(0));
            if self.at(0) != b'\r' {
                self.may_quote = self.at(0) == b'\n';
            }
            return Ok(());
        }
        let in_code = self.open.last().is_some_and(|open| open.mark.is_code());
        let reserved: &[u8] = if in_code { b"`" } else { b"_*[]()~`>#+-=|{}.!\n" };
        if !reserved.contains(&c) {
            self.offset += utf16_units(c);
            if utf16_units(c) > 0 && c != b'\r' {
                self.may_quote = false;
            }
            self.out.push(c);
            return Ok(());
        }
        if self.is_end(c) { self.end(c) } else { self.begin(c) }
    }

    fn is_end(&self, c: u8) -> bool {
        let Some(open) = self.open.last() else { return false };
        if self.quoting && c == b'\n' && (self.i + 1 == self.text.len() || self.at(1) != b'>') {
            return true;
        }
        match open.mark {
            Mark::Bold => c == b'*',
            Mark::Italic => c == b'_' && self.at(1) != b'_',
            Mark::Underline => c == b'_' && self.at(1) == b'_',
            Mark::Strikethrough => c == b'~',
            Mark::Spoiler => c == b'|' && self.at(1) == b'|',
            Mark::Code => c == b'`',
            Mark::Pre | Mark::PreCode => c == b'`' && self.at(1) == b'`' && self.at(2) == b'`',
            Mark::TextUrl | Mark::CustomEmoji => c == b']',
            Mark::Blockquote => false,
        }
    }

    fn begin(&mut self, c: u8) -> Result<(), String> {
        let byte = self.i;
        let mut language = String::new();
        let mark = match c {
            b'_' if self.at(1) == b'_' => {
                self.i += 1;
                Mark::Underline
            }
            b'_' => Mark::Italic,
            b'*' => Mark::Bold,
            b'~' => Mark::Strikethrough,
            b'|' if self.at(1) == b'|' => {
                self.i += 1;
                Mark::Spoiler
            }
            b'[' => Mark::TextUrl,
            b'!' if self.at(1) == b'[' => {
                self.i += 1;
                Mark::CustomEmoji
            }
            b'`' if self.at(1) == b'`' && self.at(2) == b'`' => {
                self.i += 3;
                language = take_language(self.text, &mut self.i);
                self.i -= 1;
                if language.is_empty() { Mark::Pre } else { Mark::PreCode }
            }
            b'`' => Mark::Code,
            b'\n' => {
                self.offset += 1;
                self.out.push(b'\n');
                self.may_quote = true;
                return Ok(());
            }
            b'>' if self.may_quote && self.quoting => return Ok(()),
            b'>' if self.may_quote => {
                self.quoting = true;
                Mark::Blockquote
            }
            _ => {
                let c = char::from(c);
                return Err(format!("Character '{c}' is reserved and must be escaped with the preceding '\\'"));
            }
        };
        self.open.push(Open { mark, language, offset: self.offset, byte, begin: self.out.len() });
        Ok(())
    }

    fn end(&mut self, c: u8) -> Result<(), String> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        let mut expandable = false;
        if c == b'\n' && open.mark != Mark::Blockquote {
            // A quote ends with its line; `||` right before that makes it expandable.
            let just_opened = open.byte + 2 == self.i || (open.byte + 3 == self.i && self.out.last() == Some(&b'\r'));
            if open.mark != Mark::Spoiler || !just_opened {
                return Err(open.unclosed());
            }
            match self.open.pop() {
                Some(quote) if quote.mark == Mark::Blockquote => open = quote,
                Some(other) => return Err(other.unclosed()),
                None => return Ok(()),
            }
            expandable = true;
        }
        let empty = self.offset == open.offset;
        let kind = self.ended(&open, expandable)?;
        if let Some(kind) = kind
            && (!empty || open.mark == Mark::Blockquote)
        {
            self.entities.push(Entity::new(kind, open.offset, self.offset));
        }
        Ok(())
    }

    /// What has ended; steps over the rest of its mark.
    fn ended(&mut self, open: &Open, expandable: bool) -> Result<Option<Kind>, String> {
        Ok(Some(match open.mark {
            Mark::Bold => Kind::Bold,
            Mark::Italic => Kind::Italic,
            Mark::Strikethrough => Kind::Strikethrough,
            Mark::Code => Kind::Code,
            Mark::Underline => {
                self.i += 1;
                Kind::Underline
            }
            Mark::Spoiler => {
                self.i += 1;
                Kind::Spoiler
            }
            Mark::Pre => {
                self.i += 2;
                Kind::Pre
            }
            Mark::PreCode => {
                self.i += 2;
                Kind::PreCode(open.language.clone())
            }
            Mark::TextUrl => {
                let url = match self.at(1) {
                    b'(' => self.url()?,
                    _ => String::from_utf8_lossy(&self.out[open.begin..]).into_owned(),
                };
                return Ok(link::kind(&url));
            }
            Mark::CustomEmoji => return self.emoji().map(Some),
            Mark::Blockquote => {
                self.quoting = false;
                self.out.push(self.at(0));
                self.may_quote = true;
                self.offset += 1;
                if expandable { Kind::ExpandableBlockquote } else { Kind::Blockquote }
            }
        }))
    }

    fn emoji(&mut self) -> Result<Kind, String> {
        if self.at(1) != b'(' {
            return Err("The entity must contain a tg://emoji or tg://time URL".to_owned());
        }
        let url = self.url()?;
        if let Some(id) = link::emoji(&url) {
            return Ok(Kind::CustomEmoji(id));
        }
        let time =
            link::time(&url).and_then(|(unix, format)| Some(Kind::DateTime(unix, link::date_flags(&format).ok()?)));
        time.ok_or_else(|| "Invalid tg://emoji or tg://time URL specified".to_owned())
    }

    /// The `(url)` behind a `]`; stops at its bracket.
    fn url(&mut self) -> Result<String, String> {
        self.i += 2;
        let begin = self.i;
        let mut url = Vec::new();
        while self.i < self.text.len() && self.at(0) != b')' {
            self.i += usize::from(self.is_escape());
            url.push(self.at(0));
            self.i += 1;
        }
        if self.at(0) != b')' {
            return Err(format!("Can't find end of a URL at byte offset {begin}"));
        }
        Ok(String::from_utf8_lossy(&url).into_owned())
    }

    fn end_of_text(&mut self) -> Result<(), String> {
        if self.quoting {
            let mut kind = Kind::Blockquote;
            let last = self.open.last();
            if last.is_some_and(|open| open.mark == Mark::Spoiler && open.byte + 2 == self.text.len()) {
                self.open.pop();
                kind = Kind::ExpandableBlockquote;
            }
            if let Some(quote) = self.open.pop_if(|open| open.mark == Mark::Blockquote)
                && self.offset > quote.offset
            {
                self.entities.push(Entity::new(kind, quote.offset, self.offset));
            }
        }
        self.open.last().map_or(Ok(()), |open| Err(open.unclosed()))
    }
}

/// The language behind three backticks, and one line break behind that.
fn take_language(text: &[u8], i: &mut usize) -> String {
    let mut end = *i;
    while !is_space(at(text, end)) && at(text, end) != b'`' {
        end += 1;
    }
    let mut language = String::new();
    if *i != end && end < text.len() && text[end] != b'`' {
        language = String::from_utf8_lossy(&text[*i..end]).into_owned();
        *i = end;
    }
    let is_break = |c| c == b'\n' || c == b'\r';
    if is_break(at(text, *i)) {
        let pair = is_break(at(text, *i + 1)) && at(text, *i) != at(text, *i + 1);
        *i += if pair { 2 } else { 1 };
    }
    language
}

/// The old Markdown: no nesting, no escapes inside an entity.
pub(super) fn parse_legacy(source: &str) -> Result<Parsed, String> {
    let text = source.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut entities = Vec::new();
    let mut offset = 0;
    let mut i = 0;
    while i < text.len() {
        let c = text[i];
        if c == b'\\' && b"_*`[".contains(&at(text, i + 1)) {
            out.push(text[i + 1]);
            offset += 1;
            i += 2;
            continue;
        }
        if !b"_*`[".contains(&c) {
            offset += utf16_units(c);
            out.push(c);
            i += 1;
            continue;
        }
        let begin = i;
        let pre = text[i..].starts_with(b"```");
        i += if pre { 3 } else { 1 };
        let language = if pre { take_language(text, &mut i) } else { String::new() };
        let end_mark: &[u8] = match c {
            b'[' => b"]",
            _ if pre => b"```",
            _ => &text[begin..=begin],
        };
        let start = offset;
        while i < text.len() && !text[i..].starts_with(end_mark) {
            offset += utf16_units(text[i]);
            out.push(text[i]);
            i += 1;
        }
        if i >= text.len() {
            return Err(format!("Can't find end of the entity starting at byte offset {begin}"));
        }
        // TDLib writes the result over the source, so a link that is its own address is read from both.
        let inner: Vec<u8> = (begin + 1..i).map(|at| *out.get(at).unwrap_or(&text[at])).collect();
        let kind = match c {
            b'_' => Some(Kind::Italic),
            b'*' => Some(Kind::Bold),
            b'[' => legacy_link(text, &mut i, &inner, offset > start),
            _ if !pre => Some(Kind::Code),
            _ if language.is_empty() => Some(Kind::Pre),
            _ => Some(Kind::PreCode(language)),
        };
        i += end_mark.len();
        if let Some(kind) = kind
            && offset > start
        {
            entities.push(Entity::new(kind, start, offset));
        }
    }
    Ok((String::from_utf8_lossy(&out).into_owned(), entities))
}

/// Leaves `i` at the bracket that ends the link. An unclosed URL reaches to the end of the text.
fn legacy_link(text: &[u8], i: &mut usize, shown: &[u8], not_empty: bool) -> Option<Kind> {
    if !not_empty {
        return None;
    }
    let mut url = shown;
    if at(text, *i + 1) == b'(' {
        let begin = *i + 2;
        let end = text[begin..].iter().position(|c| *c == b')').map_or(text.len(), |n| begin + n);
        url = &text[begin..end];
        *i = end;
    }
    link::kind(&String::from_utf8_lossy(url))
}
