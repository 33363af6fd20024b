//! Telegram's two parse modes: text with tags or marks in, plain text with entities out, or the server's own error.
//!
//! The rules are those of TDLib (`td/telegram/MessageEntity.cpp`), which the Bot API server calls; the tests hold this
//! module to TDLib's answers, error messages included. Offsets in errors are bytes, in entities UTF-16 units.

mod clean;
mod entity;
mod found;
mod html;
mod link;
mod markdown;

pub use clean::{Fixed, fix};
pub use entity::{Entity, Kind};
pub use found::found;
pub use link::checked as checked_link;

/// Plain text and its entities, sorted as the server sorts them.
pub type Parsed = (String, Vec<Entity>);

/// How a text is marked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `parse_mode: "HTML"`
    Html,
    /// `parse_mode: "MarkdownV2"`
    MarkdownV2,
    /// `parse_mode: "Markdown"`, the old one without nesting
    Markdown,
}

impl Mode {
    /// By its name, in any case (BAPI get_formatted_text); `None` for one that does not exist.
    pub fn from_name(name: &str) -> Option<Mode> {
        match name.to_ascii_lowercase().as_str() {
            "html" => Some(Mode::Html),
            "markdownv2" => Some(Mode::MarkdownV2),
            "markdown" => Some(Mode::Markdown),
            _ => None,
        }
    }
}

/// Parses a text. The error is TDLib's, with its capital letter and without the Bot API's `Bad Request: `.
pub fn parse(text: &str, mode: Mode) -> Result<Parsed, String> {
    let parsed = match mode {
        Mode::Html => html::parse(text),
        Mode::MarkdownV2 => markdown::parse_v2(text),
        Mode::Markdown => markdown::parse_legacy(text),
    };
    parsed.map_err(|err| format!("Can't parse entities: {err}"))
}

/// The byte at `i`, or 0 behind the end, as C++ reads a string.
fn at(text: &[u8], i: usize) -> u8 {
    text.get(i).copied().unwrap_or(0)
}

/// TDLib's `is_space`, to which the end of the text is one too.
fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0x0b)
}

/// How many UTF-16 units the character that starts with this byte has; 0 for a byte inside a character.
fn utf16_units(c: u8) -> u32 {
    match c {
        0x80..=0xbf => 0,
        0xf0.. => 2,
        _ => 1,
    }
}
