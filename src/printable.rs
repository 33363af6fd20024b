//! Texts from outside as they can be shown: on one line, and doing nothing to the terminal.

use std::borrow::Cow;

/// The text with its control characters, line ends and those that turn the direction of writing written out: a label must
/// not look like a line of ours, nor move the cursor. They are written as in JSON, so that a record stays one.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str(r"\n"),
            '\r' => shown.push_str(r"\r"),
            '\t' => shown.push_str(r"\t"),
            // None of them is beyond four digits.
            c if is_odd(c) => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_do_something_is_written_out() {
        for (text, shown) in [
            ("диск 💾 full", "диск 💾 full"),
            ("a\nb\r\tc", r"a\nb\r\tc"),
            ("\u{1b}[31mred\u{7f}\u{9b}", r"\u001b[31mred\u007f\u009b"),
            ("\u{202e}txt", r"\u202etxt"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
