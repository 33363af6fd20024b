//! `parse_mode: "HTML"` (TDLib parse_html).

use super::entity::{Entity, Kind, sort};
use super::{Parsed, at, is_space, link, utf16_units};

const TAGS: [&str; 17] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "tg-time",
    "span",
    "pre",
    "code",
    "blockquote",
];

/// A tag that is open.
struct Open {
    tag: String,
    argument: String,
    date: i32,
    offset: u32,
    begin: usize,
}

struct Parser<'a> {
    text: &'a [u8],
    i: usize,
    out: Vec<u8>,
    offset: u32,
    open: Vec<Open>,
    entities: Vec<Entity>,
    surrogates: bool,
}

pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    let mut parser = Parser {
        text: text.as_bytes(),
        i: 0,
        out: Vec::with_capacity(text.len()),
        offset: 0,
        open: Vec::new(),
        entities: Vec::new(),
        surrogates: false,
    };
    parser.run()?;
    if let Some(open) = parser.open.last() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", open.tag));
    }
    for entity in &mut parser.entities {
        // A language outlives its code only inside a pre.
        if matches!(&entity.kind, Kind::PreCode(name) if name.starts_with('\0')) {
            entity.kind = Kind::Code;
        }
    }
    sort(&mut parser.entities);
    match String::from_utf8(parser.out) {
        Ok(text) if !parser.surrogates => Ok((text, parser.entities)),
        _ => Err("Text contains invalid Unicode characters after decoding HTML entities, check for unmatched \
                  surrogate code units"
            .to_owned()),
    }
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), String> {
        while self.i < self.text.len() {
            let c = self.text[self.i];
            if c == b'&'
                && let Some((code, end)) = reference(self.text, self.i)
            {
                self.i = end;
                self.push_code(code);
            } else if c != b'<' {
                self.offset += utf16_units(c);
                self.out.push(c);
                self.i += 1;
            } else if at(self.text, self.i + 1) == b'/' {
                self.end_tag()?;
            } else {
                self.start_tag()?;
            }
        }
        Ok(())
    }

    fn push_code(&mut self, code: u32) {
        self.offset += if code > 0xffff { 2 } else { 1 };
        match char::from_u32(code) {
            Some(c) => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => self.surrogates = true,
        }
    }

    fn slice(&self, start: usize, end: usize) -> String {
        String::from_utf8_lossy(&self.text[start.min(end)..end]).into_owned()
    }

    fn skip_word(&mut self) {
        while !is_space(at(self.text, self.i)) && at(self.text, self.i) != b'>' {
            self.i += 1;
        }
    }

    fn skip_spaces(&mut self) {
        while at(self.text, self.i) != 0 && is_space(at(self.text, self.i)) {
            self.i += 1;
        }
    }

    fn start_tag(&mut self) -> Result<(), String> {
        let begin = self.i;
        self.i += 1;
        self.skip_word();
        if at(self.text, self.i) == 0 {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        let tag = self.slice(begin + 1, self.i).to_ascii_lowercase();
        if !TAGS.contains(&tag.as_str()) {
            return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
        }
        let mut open = Open { tag, argument: String::new(), date: 0, offset: self.offset, begin: self.out.len() };
        while at(self.text, self.i) != b'>' {
            self.skip_spaces();
            if at(self.text, self.i) == b'>' {
                break;
            }
            self.attribute(&mut open, begin)?;
        }
        if open.tag == "span" && open.argument != "spoiler" {
            return Err(format!("Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"));
        }
        self.i += 1;
        self.open.push(open);
        Ok(())
    }

    fn attribute(&mut self, open: &mut Open, begin: usize) -> Result<(), String> {
        let name_begin = self.i;
        let tag = &open.tag;
        while !is_space(at(self.text, self.i)) && !b"=>/\"'".contains(&at(self.text, self.i)) {
            self.i += 1;
        }
        let name = self.slice(name_begin, self.i);
        if name.is_empty() {
            return Err(format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"));
        }
        self.skip_spaces();
        if at(self.text, self.i) != b'=' {
            if at(self.text, self.i) == 0 {
                return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}"));
            }
            if tag == "blockquote" && name == "expandable" {
                open.argument = "1".to_owned();
            }
            return Ok(());
        }
        self.i += 1;
        self.skip_spaces();
        if at(self.text, self.i) == 0 {
            return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}"));
        }
        let value = self.attribute_value()?;
        if at(self.text, self.i) == 0 {
            return Err(format!("Unclosed start tag at byte offset {begin}"));
        }
        open.set(&name, value);
        Ok(())
    }

    fn attribute_value(&mut self) -> Result<String, String> {
        let quote = at(self.text, self.i);
        if quote != b'\'' && quote != b'"' {
            let begin = self.i;
            while at(self.text, self.i).is_ascii_alphanumeric() || b".-".contains(&at(self.text, self.i)) {
                self.i += 1;
            }
            if !is_space(at(self.text, self.i)) && at(self.text, self.i) != b'>' {
                return Err(format!("Unexpected end of name token at byte offset {begin}"));
            }
            return Ok(self.slice(begin, self.i).to_ascii_lowercase());
        }
        self.i += 1;
        let mut value = Vec::new();
        while at(self.text, self.i) != quote && at(self.text, self.i) != 0 {
            if self.text[self.i] == b'&'
                && let Some((code, end)) = reference(self.text, self.i)
            {
                self.i = end;
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                value.push(self.text[self.i]);
                self.i += 1;
            }
        }
        if at(self.text, self.i) == quote {
            self.i += 1;
        }
        Ok(String::from_utf8_lossy(&value).into_owned())
    }

    fn end_tag(&mut self) -> Result<(), String> {
        let begin = self.i;
        let Some(open) = self.open.pop() else { return Err(format!("Unexpected end tag at byte offset {begin}")) };
        self.i += 1;
        self.skip_word();
        let name = self.slice(begin + 2, self.i).to_ascii_lowercase();
        self.skip_spaces();
        if at(self.text, self.i) != b'>' {
            return Err(format!("Unclosed end tag at byte offset {begin}"));
        }
        self.i += 1;
        if !name.is_empty() && name != open.tag {
            let expected = &open.tag;
            return Err(format!(
                "Unmatched end tag at byte offset {begin}, expected \"</{expected}>\", found \"</{name}>\""
            ));
        }
        if self.offset > open.offset { self.close(open) } else { Ok(()) }
    }

    fn close(&mut self, open: Open) -> Result<(), String> {
        let (begin, end) = (open.offset, self.offset);
        let kind = match open.tag.as_str() {
            "i" | "em" => Kind::Italic,
            "b" | "strong" => Kind::Bold,
            "s" | "strike" | "del" => Kind::Strikethrough,
            "u" | "ins" => Kind::Underline,
            "tg-spoiler" | "span" => Kind::Spoiler,
            "blockquote" if open.argument.is_empty() => Kind::Blockquote,
            "blockquote" => Kind::ExpandableBlockquote,
            "tg-emoji" => match link::integer(&open.argument) {
                Some(id) if id != 0 => Kind::CustomEmoji(id),
                _ => return Err("Invalid custom emoji identifier specified".to_owned()),
            },
            "tg-time" => match (open.date, link::date_flags(&open.argument)?) {
                (date, flags) if date > 0 => Kind::DateTime(date, flags),
                _ => return Ok(()),
            },
            "a" => {
                let shown = || String::from_utf8_lossy(&self.out[open.begin..]).into_owned();
                let url = if open.argument.is_empty() { shown() } else { open.argument };
                match link::kind(&url) {
                    Some(kind) => kind,
                    None => return Ok(()),
                }
            }
            "pre" => match self.code_inside(begin, end) {
                Some(language) => Kind::PreCode(language),
                None => Kind::Pre,
            },
            _ => self.code(open.argument, begin, end),
        };
        self.entities.push(Entity::new(kind, begin, end));
        Ok(())
    }

    /// `<pre><code class="language-x">`: takes the code back and gives its language to the pre.
    fn code_inside(&mut self, begin: u32, end: u32) -> Option<String> {
        let last = self.entities.last().filter(|last| last.offset == begin && last.end() == end)?;
        let Kind::PreCode(language) = &last.kind else { return None };
        let language = language.strip_prefix('\0')?.to_owned();
        self.entities.pop();
        Some(language)
    }

    /// A code whose language may still go to a pre around it is kept as a `PreCode` that starts with a zero.
    fn code(&mut self, language: String, begin: u32, end: u32) -> Kind {
        if language.is_empty() {
            return Kind::Code;
        }
        let inside = |last: &Entity| last.kind == Kind::Pre && last.offset == begin && last.end() == end;
        if self.entities.last().is_some_and(inside) {
            self.entities.pop();
            return Kind::PreCode(language);
        }
        Kind::PreCode(format!("\0{language}"))
    }
}

impl Open {
    fn set(&mut self, name: &str, value: String) {
        match (self.tag.as_str(), name) {
            ("a", "href") | ("tg-emoji", "emoji-id") | ("tg-time", "format") => self.argument = value,
            ("code", "class") => {
                if let Some(language) = value.strip_prefix("language-") {
                    self.argument = language.to_owned();
                }
            }
            ("span", "class") => {
                if let Some(class) = value.strip_prefix("tg-") {
                    self.argument = class.to_owned();
                }
            }
            ("blockquote", "expandable") => self.argument = "1".to_owned(),
            ("tg-time", "unix") => self.date = lenient_integer(&value),
            _ => {}
        }
    }
}

/// TDLib's to_integer<int32>: the digits at the start, wrapping.
fn lenient_integer(text: &str) -> i32 {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let number = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0u32, |number, digit| number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
    if negative { (number as i32).wrapping_neg() } else { number as i32 }
}

/// A character reference and where it ends (decode_html_entity). The semicolon is optional.
fn reference(text: &[u8], start: usize) -> Option<(u32, usize)> {
    let mut end = start + 1;
    let code = if at(text, end) == b'#' {
        end += 1;
        let radix = if at(text, end) == b'x' { 16 } else { 10 };
        end += usize::from(radix == 16);
        let mut code = 0u32;
        while let Some(digit) = char::from(at(text, end)).to_digit(radix) {
            code = code.wrapping_mul(radix).wrapping_add(digit);
            end += 1;
        }
        if code == 0 || code >= 0x10ffff || end - start >= 10 {
            return None;
        }
        code
    } else {
        while at(text, end).is_ascii_alphabetic() {
            end += 1;
        }
        u32::from(match &text[start + 1..end] {
            b"lt" => b'<',
            b"gt" => b'>',
            b"amp" => b'&',
            b"quot" => b'"',
            _ => return None,
        })
    };
    Some((code, end + usize::from(at(text, end) == b';')))
}
