//! Alertmanager's matchers: `severity=~"critical|page", team!="db"`, in braces or not.
//!
//! The grammar is that of Alertmanager's `pkg/labels/parse.go` (the classic one), the meaning that of its routes: a
//! label that is not there is empty, regular expressions are anchored, and all matchers of a set must hold.

use regex::{Regex, RegexBuilder};

use crate::alert::Labels;

/// A regular expression of a user may use this much compiled, and this much while searching: bytes.
const REGEX_SIZE: usize = 1 << 20;
const REGEX_CACHE: usize = 1 << 17;

/// Compiles a pattern that somebody typed. The engine is linear in the text; the limits bound the memory.
pub fn user_regex(pattern: &str, case_insensitive: bool) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .case_insensitive(case_insensitive)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_CACHE)
        .build()
        .map_err(|err| match err {
            regex::Error::CompiledTooBig(_) => "the pattern is too large when compiled".to_owned(),
            other => {
                // The last line of regex's drawing is the reason; the lines above it show the place.
                let text = other.to_string();
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        })
}

/// All of these must hold.
#[derive(Debug)]
pub struct Matchers(Vec<Matcher>);

#[derive(Debug)]
struct Matcher {
    name: String,
    test: Test,
    negated: bool,
}

#[derive(Debug)]
enum Test {
    Equal(String),
    Regex(Regex),
}

impl Matchers {
    /// Reads a set of matchers; the error says what was found where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut input = text.trim();
        if let Some(inner) = input.strip_prefix('{') {
            input = inner.strip_suffix('}').ok_or("a \"{\" without its \"}\"")?;
        }
        let mut matchers = Vec::new();
        let mut rest = input.trim_start();
        while !rest.is_empty() {
            let (matcher, after) = one(rest)?;
            matchers.push(matcher);
            rest = after.trim_start();
            if let Some(after) = rest.strip_prefix(',') {
                rest = after.trim_start();
            } else if !rest.is_empty() {
                return Err(format!("expected \",\" before {rest:?}"));
            }
        }
        if matchers.is_empty() { Err("no matcher in it".to_owned()) } else { Ok(Matchers(matchers)) }
    }

    /// Whether all hold.
    pub fn hold(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| {
            let value = labels.get(&matcher.name).map_or("", String::as_str);
            matcher.negated
                != match &matcher.test {
                    Test::Equal(wanted) => value == wanted,
                    Test::Regex(regex) => regex.is_match(value),
                }
        })
    }
}

fn one(text: &str) -> Result<(Matcher, &str), String> {
    let (name, rest) = match text.strip_prefix('"') {
        Some(_) => quoted(text)?,
        None => {
            let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
            (text[..end].to_owned(), &text[end..])
        }
    };
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("expected the name of a label before {text:?}"));
    }
    let rest = rest.trim_start();
    let operators = [("=~", true, false), ("!~", true, true), ("!=", false, true), ("=", false, false)];
    let Some((operator, is_regex, negated)) = operators.into_iter().find(|(sign, ..)| rest.starts_with(sign)) else {
        return Err(format!("expected =, !=, =~ or !~ after \"{name}\""));
    };
    let rest = rest[operator.len()..].trim_start();
    let (value, rest) = if rest.starts_with('"') {
        quoted(rest)?
    } else {
        let end = rest.find(',').unwrap_or(rest.len());
        (rest[..end].trim_end().to_owned(), &rest[end..])
    };
    let test = if is_regex { Test::Regex(user_regex(&format!("^(?:{value})$"), false)?) } else { Test::Equal(value) };
    Ok((Matcher { name, test, negated }, rest))
}

/// A double-quoted text with the escapes `\"`, `\\` and `\n`; any other backslash stays, as in Alertmanager.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, '"')) => value.push('"'),
                Some((_, '\\')) => value.push('\\'),
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.extend(['\\', other]),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(format!("a quote is not closed in {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_as_alertmanagers_routes_do() {
        let labels = Labels::from([
            ("alertname".into(), "MemoryHigh".into()),
            ("severity".into(), "critical".into()),
            ("note".into(), "a,b \"c\"".into()),
        ]);
        for (text, holds) in [
            (r#"severity="critical""#, true),
            ("severity=critical", true),
            (r#"{severity=~"critical|page", team=""}"#, true),
            (r#"severity=~"crit""#, false),
            (r#"severity!~"crit.*""#, false),
            (r#"severity!="warning",alertname=~"Mem.*""#, true),
            (r#"severity="critical",team="db""#, false),
            (r#"team!~".+""#, true),
            (r#"note="a,b \"c\"""#, true),
            (r#""note"=~"a.*","#, true),
            (r#"severity=~"CRITICAL""#, false),
        ] {
            assert_eq!(Matchers::parse(text).unwrap().hold(&labels), holds, "{text}");
        }
    }

    #[test]
    fn errors_name_the_place() {
        for (text, reason) in [
            ("", "no matcher in it"),
            ("{}", "no matcher in it"),
            ("{a=b", "a \"{\" without its \"}\""),
            ("severity", "expected =, !=, =~ or !~ after \"severity\""),
            ("=x", "expected the name of a label before \"=x\""),
            ("a=\"b", "a quote is not closed in \"\\\"b\""),
            ("a=\"b\" c=\"d\"", "expected \",\" before \"c=\\\"d\\\"\""),
            ("a=~\"(\"", "unclosed group"),
        ] {
            assert_eq!(Matchers::parse(text).unwrap_err(), reason, "{text}");
        }
    }

    #[test]
    fn a_pattern_that_would_take_all_memory_is_refused() {
        assert!(user_regex(r"(\w{1000}){1000}", true).unwrap_err().contains("too large"));
        assert!(user_regex("(?=x)", true).unwrap_err().contains("look-around"));
    }
}
