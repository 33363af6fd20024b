//! Splitting and joining by their properties, over texts of all kinds: every part fits and parses, nothing is lost, and
//! nothing is cut inside a tag, a reference or a grapheme. The judge is the sandbox's parser, and TDLib's own where
//! PyPI's tdjson is installed (tests/peers/run does that).

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and speak")]

mod joined;
mod oracle;
mod parts;
mod texts;
