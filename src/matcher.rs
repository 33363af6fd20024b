//! Alertmanager's matchers: `severity=~"critical|page", team!="db"`, in braces or not.
//!
//! The grammar is that of Alertmanager's `pkg/labels/parse.go` (the classic one), the meaning that of its routes: a
//! label that is not there is empty, regular expressions are anchored, and all matchers of a set must hold.

use std::fmt;

use regex::Regex;

use crate::alert::Labels;
use crate::pattern::{self, LONGEST, Mistake, PatternError, compile_anchored};

/// Matchers in a set; more are nobody's wish.
pub const MOST: usize = 16;

/// All of these must hold. Displayed in one form for all that mean the same: sorted, without repetitions, values quoted.
#[derive(Debug)]
pub struct Matchers(Vec<Matcher>);

#[derive(Debug)]
struct Matcher {
    name: String,
    sign: Sign,
    value: String,
    /// Where the sign asks for one.
    regex: Option<Regex>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    Equal,
    NotEqual,
    Like,
    NotLike,
}

impl Sign {
    fn is_pattern(self) -> bool {
        matches!(self, Sign::Like | Sign::NotLike)
    }
}

impl Matcher {
    fn compiled(mut self, sharing: usize) -> Result<Self, PatternError> {
        if self.sign.is_pattern() {
            self.regex = Some(compile_anchored(&self.value, sharing)?);
        }
        Ok(self)
    }
}

/// The longer ones first, as they must be looked for.
const SIGNS: [(&str, Sign); 4] =
    [("=~", Sign::Like), ("!~", Sign::NotLike), ("!=", Sign::NotEqual), ("=", Sign::Equal)];

impl Matchers {
    /// Reads a set of matchers; the error says what was found where.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().nth(LONGEST).is_some() {
            let reason = format!("the matchers are longer than {LONGEST} characters");
            return Err(PatternError::new(LONGEST, Mistake::TooLong, reason));
        }
        let mut input = Input { text, at: 0, end: text.trim_end().len() };
        input.skip_blanks();
        if input.rest().starts_with('{') {
            if !input.rest().ends_with('}') {
                return Err(input.wrong(Mistake::Unclosed, "a \"{\" without its \"}\"", "{"));
            }
            input.at += 1;
            input.end -= 1;
        }
        input.skip_blanks();
        let mut read = Vec::new();
        while !input.rest().is_empty() {
            if read.len() == MOST {
                return Err(input.wrong(Mistake::TooMany, format!("more than {MOST} matchers"), ""));
            }
            read.push(input.matcher()?);
            input.skip_blanks();
            if !input.take(",") && !input.rest().is_empty() {
                let reason = format!("expected \",\" before {:?}", input.rest());
                return Err(input.wrong(Mistake::NoComma, reason, input.rest()));
            }
            input.skip_blanks();
        }
        // What a set may use compiled is shared by its patterns: each with a bound of its own adds up.
        let sharing = read.iter().filter(|(matcher, _)| matcher.sign.is_pattern()).count();
        let mut matchers = Vec::new();
        for (matcher, places) in read {
            matchers.push(matcher.compiled(sharing).map_err(|err| {
                let place = err.at.and_then(|at| places.get(at)).map(|at| text[..*at].chars().count());
                PatternError { at: place, ..err }
            })?);
        }
        if matchers.is_empty() {
            return Err(PatternError::new(None, Mistake::Empty, "no matcher in it"));
        }
        let order = |matcher: &Matcher| (matcher.name.clone(), matcher.sign, matcher.value.clone());
        matchers.sort_by_key(order);
        matchers.dedup_by_key(|matcher| order(matcher));
        Ok(Matchers(matchers))
    }

    /// About how much memory its patterns take compiled; see [`pattern::weight`].
    pub fn weight(&self) -> usize {
        let patterns = self.0.iter().filter(|matcher| matcher.sign.is_pattern());
        patterns.map(|matcher| pattern::weight_anchored(&matcher.value)).sum()
    }

    /// What is compared before what is searched: mostly it settles the matter.
    fn cheap_first(&self) -> impl Iterator<Item = &Matcher> {
        let of = |is_pattern: bool| self.0.iter().filter(move |matcher| matcher.sign.is_pattern() == is_pattern);
        of(false).chain(of(true))
    }

    /// Whether all hold.
    pub fn hold(&self, labels: &Labels) -> bool {
        self.cheap_first().all(|matcher| {
            let value = labels.get(&matcher.name).map_or("", String::as_str);
            let fits = matcher.regex.as_ref().map_or(value == matcher.value, |regex| regex.is_match(value));
            fits != matches!(matcher.sign, Sign::NotEqual | Sign::NotLike)
        })
    }
}

impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, matcher) in self.0.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            let sign = SIGNS.iter().find(|(_, sign)| *sign == matcher.sign).map_or("=", |(text, _)| text);
            let name = &matcher.name;
            let is_plain = !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(in_name);
            let name = if is_plain { name.clone() } else { in_quotes(name) };
            write!(f, "{comma}{name}{sign}{}", in_quotes(&matcher.value))?;
        }
        Ok(())
    }
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n"))
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

/// What is still to be read: the bytes from `at` to `end`.
struct Input<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Input<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, part: &str) -> bool {
        let is_there = self.rest().starts_with(part);
        self.at += if is_there { part.len() } else { 0 };
        is_there
    }

    /// An error at this place.
    fn wrong(&self, kind: Mistake, reason: impl Into<String>, near: &str) -> PatternError {
        PatternError::new(self.text[..self.at].chars().count(), kind, reason).near(near)
    }

    fn no_label(&self) -> PatternError {
        self.wrong(Mistake::NoLabel, format!("expected the name of a label before {:?}", self.rest()), self.rest())
    }

    /// A matcher that is not compiled yet, and where its value stands.
    fn matcher(&mut self) -> Result<(Matcher, Vec<usize>), PatternError> {
        let start = self.at;
        let name = if self.rest().starts_with('"') {
            self.quoted()?.0
        } else {
            let name = self.rest().split(|c| !in_name(c)).next().unwrap_or_default();
            if name.starts_with(|c: char| c.is_ascii_digit()) {
                return Err(self.no_label());
            }
            self.at += name.len();
            name.to_owned()
        };
        if name.is_empty() {
            self.at = start;
            return Err(self.no_label());
        }
        self.skip_blanks();
        let Some((_, sign)) = SIGNS.into_iter().find(|(text, _)| self.take(text)) else {
            let reason = format!("expected =, !=, =~ or !~ after \"{name}\"");
            return Err(self.wrong(Mistake::NoSign, reason, &name));
        };
        self.skip_blanks();
        let (value, places) = self.value()?;
        Ok((Matcher { name, sign, value, regex: None }, places))
    }

    /// A value, and the byte at which each of its characters, and its end, stands.
    fn value(&mut self) -> Result<(String, Vec<usize>), PatternError> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let value = self.rest().split(',').next().unwrap_or_default();
        let value = value.trim_end();
        let starts = value.char_indices().map(|(at, _)| at).chain([value.len()]);
        let places = starts.map(|at| self.at + at).collect();
        self.at += value.len();
        Ok((value.to_owned(), places))
    }

    /// A double-quoted text with the escapes `\"`, `\\` and `\n`; any other backslash stays, as in Alertmanager.
    fn quoted(&mut self) -> Result<(String, Vec<usize>), PatternError> {
        let (mut value, mut places) = (String::new(), Vec::new());
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            places.push(self.at + at);
            match (c, chars.peek()) {
                ('"', _) => {
                    self.at += at + 1;
                    return Ok((value, places));
                }
                ('\\', Some((_, escaped @ ('"' | '\\' | 'n')))) => {
                    value.push(if *escaped == 'n' { '\n' } else { *escaped });
                    chars.next();
                }
                _ => value.push(c),
            }
        }
        Err(self.wrong(Mistake::Quote, format!("a quote is not closed in {:?}", self.rest()), ""))
    }
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
        for (text, kind, near, reason) in [
            ("", Mistake::Empty, "", "no matcher in it"),
            ("{}", Mistake::Empty, "", "no matcher in it"),
            ("{a=b", Mistake::Unclosed, "{", "a \"{\" without its \"}\""),
            ("severity", Mistake::NoSign, "severity", "expected =, !=, =~ or !~ after \"severity\""),
            ("=x", Mistake::NoLabel, "=x", "expected the name of a label before \"=x\""),
            ("a=\"b", Mistake::Quote, "", "a quote is not closed in \"\\\"b\""),
            ("a=\"b\" c=\"d\"", Mistake::NoComma, "c=\"d\"", "expected \",\" before \"c=\\\"d\\\"\""),
            ("a=~\"(\"", Mistake::Unclosed, "(", "unclosed group"),
        ] {
            let err = Matchers::parse(text).unwrap_err();
            assert_eq!((err.kind, err.near.as_str(), err.reason.as_str()), (kind, near, reason), "{text}");
        }
        for (text, at) in [
            ("", None),
            (" severity", Some(9)),
            ("{a=b", Some(0)),
            ("a=b, =x", Some(5)),
            ("a=b, 1=x", Some(5)),
            ("a=\"b", Some(2)),
            ("a=\"ж\" c", Some(6)),
            ("a=~\"ж(\"", Some(5)),
            (r#"{ a=~"\\.\"\n(" }"#, Some(13)),
            ("a=~ж[, b=c", Some(4)),
            (r#"a=~"(?=x)""#, Some(4)),
        ] {
            assert_eq!(Matchers::parse(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn a_set_takes_no_more_than_one_pattern() {
        let set =
            |count: usize, pattern: &str| -> String { (0..count).map(|n| format!("a{n}=~\"{pattern}\",")).collect() };
        assert!(Matchers::parse(&set(1, r"\w{14}")).is_ok());
        assert_eq!(Matchers::parse(&set(MOST, r"\w{14}")).unwrap_err().kind, Mistake::TooBig);
        assert!(Matchers::parse(&set(MOST, "db-[0-9]+|web.*")).is_ok());
        let many = Matchers::parse(&set(MOST + 1, "x")).unwrap_err();
        assert_eq!((many.kind, many.reason.as_str()), (Mistake::TooMany, "more than 16 matchers"));
    }

    #[test]
    fn what_is_compared_comes_before_what_is_searched() {
        let set = Matchers::parse(r#"a=~"x.*", b!~"y", c="1", d!="2""#).unwrap();
        let order: Vec<&str> = set.cheap_first().map(|matcher| matcher.name.as_str()).collect();
        assert_eq!(order, ["c", "d", "a", "b"]);
        assert_eq!(set.to_string(), r#"a=~"x.*", b!~"y", c="1", d!="2""#);
        assert_eq!(Matchers::parse(r#"a="(x|y)", b!="z.*""#).unwrap().weight(), 0);
        assert!(set.weight() > 0);
    }

    #[test]
    fn sets_that_mean_the_same_are_shown_alike() {
        for (text, shown) in [
            ("severity=critical", r#"severity="critical""#),
            ("{ b =~ \"x|y\" , a!=\"1\", a!=1,}", r#"a!="1", b=~"x|y""#),
            (r#"path="C:\\dir \"x\"\n", r!~"\.""#, r#"path="C:\\dir \"x\"\n", r!~"\\.""#),
            (r#""my label"="", "1a"=b"#, r#""1a"="b", "my label"="""#),
        ] {
            let set = Matchers::parse(text).unwrap();
            assert_eq!(set.to_string(), shown);
            assert_eq!(Matchers::parse(shown).unwrap().to_string(), shown);
        }
    }
}
