//! Lines from a stream that another process writes: counted, of bounded length, and without waiting for more than one.

use std::io::{self, BufRead, BufReader, Read};

/// How much is read at once. A pipe holds 64 KiB unless somebody made it larger.
const BUFFER: usize = 64 * 1024;

/// The longest line: a webhook of am-recv's largest limit makes no longer one.
pub const LONGEST: usize = 64 * 1024 * 1024;

/// Reads lines and counts them.
pub struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    longest: usize,
    /// Whether the last reading took as much as it could.
    is_full: bool,
}

/// A line, or what stands for it.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Without its newline; also the last line of a stream that does not end in one.
    Text(&'a [u8]),
    /// Longer than allowed; it was read over.
    TooLong,
}

impl<R: Read> Lines<R> {
    /// Lines of at most [`LONGEST`] bytes.
    pub fn new(input: R) -> Self {
        let input = BufReader::with_capacity(BUFFER, input);
        Lines { input, line: Vec::new(), number: 0, longest: LONGEST, is_full: false }
    }

    /// The number of the line that was read last, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether the next line is already here, so that reading it will not wait.
    pub fn has_line(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// Whether more is sure to come, or likely: the next line or its beginning is here, or a pipe that was full has just
    /// been emptied, whose writer had no time yet to write on.
    pub fn has_more(&self) -> bool {
        self.is_full || !self.input.buffer().is_empty()
    }

    /// The next line that is not empty; nothing at the end of the stream.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.line.clear();
            // What one huge line needed is not kept for the small ones after it.
            self.line.shrink_to(BUFFER);
            let mut too_long = false;
            loop {
                let was_empty = self.input.buffer().is_empty();
                let buffer = match self.input.fill_buf() {
                    Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                };
                if was_empty {
                    self.is_full = buffer.len() == BUFFER;
                }
                if buffer.is_empty() {
                    if self.line.is_empty() && !too_long {
                        return Ok(None);
                    }
                    break;
                }
                let end = buffer.iter().position(|byte| *byte == b'\n');
                let part = &buffer[..end.unwrap_or(buffer.len())];
                too_long |= self.line.len() + part.len() > self.longest;
                if !too_long {
                    self.line.extend_from_slice(part);
                }
                let used = part.len() + usize::from(end.is_some());
                self.input.consume(used);
                if end.is_some() {
                    break;
                }
            }
            self.number += 1;
            if too_long {
                return Ok(Some(Line::TooLong));
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                // Borrowed again: the borrow checker does not see that the loop ends here.
                return Ok(Some(Line::Text(&self.line)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], longest: usize) -> Vec<(u64, Option<String>)> {
        let mut lines = Lines { longest, ..Lines::new(input) };
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let text = match line {
                Line::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
                Line::TooLong => None,
            };
            all.push((lines.number(), text));
        }
        all
    }

    #[test]
    fn empty_lines_are_counted_and_passed_over() {
        let some = |n, text: &str| (n, Some(text.to_owned()));
        assert_eq!(all(b"\na\n\r\n\nb", 9), [some(2, "a"), some(5, "b")]);
        assert_eq!(all(b"", 9), []);
    }

    #[test]
    fn half_a_line_and_a_full_pipe_are_followed_by_more() {
        let more = |input: &[u8]| {
            let mut lines = Lines::new(input);
            let mut more = Vec::new();
            while lines.next_line().unwrap().is_some() {
                more.push(lines.has_more());
            }
            more
        };
        assert_eq!(more(b"one\ntwo\n"), [true, false]);
        assert_eq!(more(b"one\ntw"), [true, false]);
        let half = [b'x'; BUFFER / 2 - 1];
        assert_eq!(more(&[&half[..], b"\n", &half, b"\n"].concat()), [true, true]);
        assert_eq!(more(&[&half[..], b"\n", &half, b"\nthree\n"].concat()), [true, true, false]);
    }

    #[test]
    fn a_line_that_is_too_long_is_read_over() {
        assert_eq!(all(b"123456\nab\n1234567", 5), [(1, None), (2, Some("ab".to_owned())), (3, None)]);
    }
}
