//! Patterns that people type: compiled within bounds, and explained where they cannot be used.
//!
//! The engine searches in time linear in the text, whatever the pattern; the bounds here are for its memory. What it
//! does not have for that reason, look-around and backreferences, is named as such.

use std::fmt;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::ErrorKind;

/// The longest pattern, in characters: that of the longest message in Telegram.
pub const LONGEST: usize = 4096;

/// A pattern may use this much compiled, and this much while searching: bytes.
const COMPILED: usize = 1 << 20;
const CACHE: usize = 1 << 17;

/// Why a pattern, or a set of matchers, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The character, counted from 0, at which it went wrong; nothing where it is the whole that is wrong. It can be the
    /// text's length: something is missing at its end.
    pub at: Option<usize>,
    /// What sort of mistake it is.
    pub kind: Mistake,
    /// In words, lower case, without the place.
    pub reason: String,
    /// The piece of the text that the mistake is about, where the kind alone does not say it.
    pub near: String,
}

/// Characters of [`PatternError::near`].
const NEAR: usize = 20;

/// The mistakes that a person can be told something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing but blanks.
    Empty,
    /// More than [`LONGEST`] characters.
    TooLong,
    /// Needs too much memory.
    TooBig,
    /// `(?=`, `(?!`, `(?<=`, `(?<!`: not to be had in linear time.
    LookAround,
    /// `\1`: not to be had in linear time.
    Backreference,
    /// More matchers in a set than it may have.
    TooMany,
    /// A bracket that is not closed; `near` is it.
    Unclosed,
    /// A `)` too much.
    Unopened,
    /// A quote that is not closed.
    Quote,
    /// Nothing to repeat before the sign in `near`.
    Repetition,
    /// Numbers in braces, or the ends of a range in brackets, that cannot be.
    Bounds,
    /// An escape, a property or a flag that there is not: `near`.
    Unknown,
    /// No name of a label before `near`.
    NoLabel,
    /// No sign behind the label in `near`.
    NoSign,
    /// No comma before `near`.
    NoComma,
    /// Anything else that is written wrong.
    Syntax,
}

impl PatternError {
    pub(crate) fn new(at: impl Into<Option<usize>>, kind: Mistake, reason: impl Into<String>) -> Self {
        PatternError { at: at.into(), kind, reason: reason.into(), near: String::new() }
    }

    /// Names what it is about; of a long text its beginning.
    pub(crate) fn near(mut self, text: &str) -> Self {
        self.near = text.chars().take(NEAR).collect();
        if self.near.len() < text.len() {
            self.near.push('…');
        }
        self
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for PatternError {}

/// Whether a pattern is one of those that mean every alert: `*`, `all` and `\w`.
pub fn is_everything(pattern: &str) -> bool {
    pattern == "*" || pattern == r"\w" || pattern.eq_ignore_ascii_case("all")
}

/// Whether what a person typed can be used as a `match`. An empty pattern, which a users file may hold and which is
/// found in everything, is more likely a slip.
pub fn check(pattern: &str) -> Result<(), PatternError> {
    if pattern.trim().is_empty() {
        return Err(PatternError::new(None, Mistake::Empty, "the pattern is empty"));
    }
    if is_everything(pattern) { Ok(()) } else { compile(pattern).map(drop) }
}

/// Compiles a pattern that is found anywhere, whatever the case.
pub fn compile(pattern: &str) -> Result<Regex, PatternError> {
    build(pattern, pattern, true, 1)
}

/// Compiles a pattern that must fit the whole of a text, case and all; one of so many that share the memory of one.
pub fn compile_anchored(pattern: &str, sharing: usize) -> Result<Regex, PatternError> {
    build(pattern, &format!("^(?:{pattern})$"), false, sharing.max(1))
}

/// About how much memory a pattern takes compiled, and so how much work it can be to search with it: bytes, at most half
/// too many. Nothing for those that mean every alert or cannot be used.
pub fn weight(pattern: &str) -> usize {
    if is_everything(pattern) { 0 } else { weigh(pattern, true) }
}

/// The same for a pattern that must fit the whole of a text.
pub fn weight_anchored(pattern: &str) -> usize {
    weigh(&format!("^(?:{pattern})$"), false)
}

fn weigh(whole: &str, case_insensitive: bool) -> usize {
    let mut limit = 1 << 10;
    while limit < COMPILED {
        for limit in [limit, limit / 2 * 3] {
            match RegexBuilder::new(whole).case_insensitive(case_insensitive).size_limit(limit).build() {
                Ok(_) => return limit,
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(_) => return 0,
            }
        }
        limit *= 2;
    }
    COMPILED
}

fn build(typed: &str, whole: &str, case_insensitive: bool, sharing: usize) -> Result<Regex, PatternError> {
    if typed.chars().nth(LONGEST).is_some() {
        return Err(PatternError::new(
            LONGEST,
            Mistake::TooLong,
            format!("the pattern is longer than {LONGEST} characters"),
        ));
    }
    // Read before it is compiled: regex hands on this error as a drawing only, and of what is wrapped.
    let mut parser = regex_syntax::ParserBuilder::new().case_insensitive(case_insensitive).build();
    if let Err(err) = parser.parse(typed) {
        return Err(explained(typed, &err));
    }
    let mut builder = RegexBuilder::new(whole);
    builder.case_insensitive(case_insensitive).size_limit(COMPILED / sharing).dfa_size_limit(CACHE);
    builder.build().map_err(|err| match err {
        regex::Error::CompiledTooBig(_) => {
            PatternError::new(None, Mistake::TooBig, "the pattern is too large when compiled")
        }
        other => PatternError::new(None, Mistake::Syntax, other.to_string()),
    })
}

fn explained(pattern: &str, err: &regex_syntax::Error) -> PatternError {
    let (span, kind, reason) = match err {
        regex_syntax::Error::Parse(err) => (Some(err.span()), mistake(err.kind()), err.kind().to_string()),
        regex_syntax::Error::Translate(err) => (Some(err.span()), untranslated(err.kind()), err.kind().to_string()),
        other => (None, Mistake::Syntax, other.to_string()),
    };
    let Some(span) = span else { return PatternError::new(None, kind, reason) };
    let start = pattern.floor_char_boundary(span.start.offset);
    let end = pattern.floor_char_boundary(span.end.offset.max(start));
    let near = match kind {
        // The span is the whole of what is not closed, or nothing at all.
        Mistake::Unclosed | Mistake::Repetition => {
            pattern[start..].chars().next().map(String::from).unwrap_or_default()
        }
        _ => pattern[start..end].to_owned(),
    };
    PatternError::new(pattern[..start].chars().count(), kind, reason).near(&near)
}

fn mistake(kind: &ErrorKind) -> Mistake {
    match kind {
        ErrorKind::UnsupportedLookAround => Mistake::LookAround,
        ErrorKind::UnsupportedBackreference => Mistake::Backreference,
        ErrorKind::NestLimitExceeded(_) => Mistake::TooBig,
        ErrorKind::GroupUnclosed | ErrorKind::ClassUnclosed | ErrorKind::RepetitionCountUnclosed => Mistake::Unclosed,
        ErrorKind::GroupUnopened => Mistake::Unopened,
        ErrorKind::RepetitionMissing => Mistake::Repetition,
        ErrorKind::ClassRangeInvalid
        | ErrorKind::ClassRangeLiteral
        | ErrorKind::RepetitionCountInvalid
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::DecimalInvalid => Mistake::Bounds,
        ErrorKind::EscapeUnrecognized
        | ErrorKind::EscapeUnexpectedEof
        | ErrorKind::EscapeHexInvalid
        | ErrorKind::EscapeHexInvalidDigit
        | ErrorKind::ClassEscapeInvalid
        | ErrorKind::UnicodeClassInvalid
        | ErrorKind::FlagUnrecognized => Mistake::Unknown,
        _ => Mistake::Syntax,
    }
}

fn untranslated(kind: &regex_syntax::hir::ErrorKind) -> Mistake {
    use regex_syntax::hir::ErrorKind as Kind;
    match kind {
        Kind::UnicodePropertyNotFound | Kind::UnicodePropertyValueNotFound => Mistake::Unknown,
        _ => Mistake::Syntax,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn mistakes_have_a_place_a_kind_and_a_reason() {
        for (pattern, at, kind, near, reason) in [
            (" ", None, Mistake::Empty, "", "the pattern is empty"),
            ("(", Some(0), Mistake::Unclosed, "(", "unclosed group"),
            ("mem|[a", Some(4), Mistake::Unclosed, "[", "unclosed character class"),
            ("диск|(", Some(5), Mistake::Unclosed, "(", "unclosed group"),
            ("a{2", Some(1), Mistake::Unclosed, "{", "unclosed counted repetition"),
            ("диск)", Some(4), Mistake::Unopened, ")", "unopened group"),
            ("*mem", Some(0), Mistake::Repetition, "*", "repetition operator missing expression"),
            ("ж|+", Some(2), Mistake::Repetition, "+", "repetition operator missing expression"),
            ("a{3,2}", Some(1), Mistake::Bounds, "{3,2}", "invalid repetition count range"),
            ("[z-a]", Some(1), Mistake::Bounds, "z-a", "invalid character class range"),
            (r"\pX", Some(0), Mistake::Unknown, r"\pX", "Unicode property not found"),
            (r"a\y", Some(1), Mistake::Unknown, r"\y", "unrecognized escape"),
            ("(?P<>a)", Some(4), Mistake::Syntax, "", "empty capture group name"),
            ("mem(?!ory)", Some(3), Mistake::LookAround, "(?!", "look-around"),
            ("(?<=x)y", Some(0), Mistake::LookAround, "(?<=", "look-around"),
            (r"(a)\1", Some(3), Mistake::Backreference, r"\1", "backreferences"),
            (r"(\w{1000}){1000}", None, Mistake::TooBig, "", "too large when compiled"),
        ] {
            let err = check(pattern).unwrap_err();
            assert_eq!((err.at, err.kind, err.near.as_str()), (at, kind, near), "{pattern}: {err:?}");
            assert!(err.reason.contains(reason), "{pattern}: {}", err.reason);
        }
        let long = check(&"ж".repeat(LONGEST + 1)).unwrap_err();
        assert_eq!((long.at, long.kind), (Some(LONGEST), Mistake::TooLong));
        let deep = check(&("(".repeat(1000) + &")".repeat(1000))).unwrap_err();
        assert_eq!(deep.kind, Mistake::TooBig);
        for fine in ["*", "ALL", r"\w", "mem|cpu", &"ж".repeat(LONGEST)] {
            assert_eq!(check(fine), Ok(()), "{fine:.20}");
        }
    }

    #[test]
    fn what_people_ask_for_weighs_little() {
        let hundred = (0..100).map(|n| format!("HostOutOfMemory{n}")).collect::<Vec<_>>().join("|");
        for (pattern, most) in
            [("*", 0), ("(", 0), ("mem|cpu", 4), (r"\w+", 64), ("^Host.*(Down|Slow)$", 8), (hundred.as_str(), 64)]
        {
            let weights = (weight(pattern), weight_anchored(pattern));
            eprintln!("{pattern:.40}: {weights:?}");
            assert!(weights.0 <= most << 10, "{pattern:.40}: {weights:?}");
        }
        assert!(weight_anchored("db|web") <= 4 << 10);
        assert!(weight_anchored("(?:[ -~]?){7000}!") > 256 << 10);
        assert_eq!(weight("(a{1000}){1000}"), COMPILED);
    }

    #[test]
    fn an_anchored_pattern_cannot_leave_its_anchors() {
        assert_eq!(compile_anchored("a)|(b", 1).unwrap_err().at, Some(1));
        let either = compile_anchored("a|b", 1).unwrap();
        assert!(either.is_match("b") && !either.is_match("ab"));
    }

    #[test]
    fn what_would_blow_up_is_refused_at_once() {
        let start = Instant::now();
        for pattern in [
            "a{1000}{1000}{1000}",
            "((a{1000}){1000}){1000}",
            r"(\pL{999}){999}",
            r"(?:\w{100}|\d{100}){100}",
            &"a{1000}".repeat(500),
            &r"\pL".repeat(1300),
        ] {
            assert_eq!(check(pattern).unwrap_err().kind, Mistake::TooBig, "{pattern:.30}");
        }
        // Without the bound one of them would take gigabytes, and minutes.
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }

    #[test]
    fn searching_is_linear_in_the_text() {
        let name = "a".repeat(100_000) + "!";
        for pattern in ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*a){20}b"] {
            let regex = compile(pattern).unwrap();
            let start = Instant::now();
            assert!(!regex.is_match(&name), "{pattern}");
            // Backtracking would take longer than there is time.
            assert!(start.elapsed() < Duration::from_secs(30), "{pattern}: {:?}", start.elapsed());
        }
    }
}
