//! Why an expression or a set of matchers cannot be used, and where: in the person's words.

use super::words::{Word, Words};
use crate::matcher;
use crate::pattern::{self, Mistake, PatternError};
use crate::text::escape;

/// Characters of an expression that are shown around the place of a mistake.
const AROUND: usize = 20;

/// The answer to an expression that cannot be used.
pub(super) fn bad_pattern(words: Words, pattern: &str, err: &PatternError) -> String {
    if err.kind == Mistake::TooLong {
        let (length, most) = (pattern.chars().count().to_string(), pattern::LONGEST.to_string());
        return words.say(Word::RegexpTooLong, &[("length", &length), ("most", &most)]);
    }
    bad(words, Word::RegexpBad, pattern, err)
}

/// The answer to matchers that cannot be used.
pub(super) fn bad_matchers(words: Words, text: &str, err: &PatternError) -> String {
    bad(words, Word::SubscribeBad, text, err)
}

fn bad(words: Words, word: Word, text: &str, err: &PatternError) -> String {
    // What people miss of other engines is no mistake, and is told apart.
    let word = match err.kind {
        Mistake::LookAround => Word::RegexpLookAround,
        Mistake::Backreference => Word::RegexpBackreference,
        _ => word,
    };
    let shown = escape(&marked(text, err.at));
    words.join(word, &[("reason", &reason(words, err)), ("shown", &shown)])
}

/// What is wrong, in Telegram's HTML.
fn reason(words: Words, err: &PatternError) -> String {
    let word = match err.kind {
        Mistake::Empty => Word::MistakeEmpty,
        Mistake::TooLong => Word::MistakeTooLong,
        Mistake::TooBig => Word::MistakeTooBig,
        Mistake::TooMany => Word::MistakeTooMany,
        Mistake::Unclosed => Word::MistakeUnclosed,
        Mistake::Unopened => Word::MistakeUnopened,
        Mistake::Quote => Word::MistakeQuote,
        Mistake::Repetition => Word::MistakeRepetition,
        Mistake::Bounds => Word::MistakeBounds,
        Mistake::Unknown => Word::MistakeUnknown,
        Mistake::NoLabel => Word::MistakeNoLabel,
        Mistake::NoSign => Word::MistakeNoSign,
        Mistake::NoComma => Word::MistakeNoComma,
        Mistake::Syntax | Mistake::LookAround | Mistake::Backreference => Word::MistakeOther,
    };
    let most = if err.kind == Mistake::TooMany { matcher::MOST } else { pattern::LONGEST };
    words.say(word, &[("near", &err.near), ("most", &most.to_string()), ("reason", &err.reason)])
}

/// The text with a mark under the character at which it went wrong; of a long text what is around it.
fn marked(text: &str, at: Option<usize>) -> String {
    let flat: Vec<char> = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let middle = at.unwrap_or(0);
    let from = middle.saturating_sub(AROUND);
    let to = flat.len().min(middle + AROUND);
    let mut line: String = flat[from.min(flat.len())..to].iter().collect();
    let before = if from > 0 { "…" } else { "" };
    if to < flat.len() {
        line.push('…');
    }
    match at {
        Some(at) => format!("{before}{line}\n{}^", " ".repeat(before.chars().count() + at - from)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::Matchers;

    #[test]
    fn the_place_of_a_mistake() {
        assert_eq!(marked("mem(cpu", Some(3)), "mem(cpu\n   ^");
        assert_eq!(marked("mem(", Some(4)), "mem(\n    ^");
        assert_eq!(marked("a\nb", None), "a b");
        let long = format!("{}({}", "x".repeat(100), "y".repeat(100));
        let shown = marked(&long, Some(100));
        let (line, mark) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().nth(mark.chars().count() - 1), Some('('));
        assert!(line.starts_with('…') && line.ends_with('…') && line.chars().count() < 45);
    }

    #[test]
    fn reasons_are_in_the_persons_language() {
        let russian = Words::of([Some("ru")]);
        for (pattern, said) in [
            ("(", "не закрыта скобка <code>(</code>"),
            ("a)", "лишняя скобка <code>)</code>"),
            ("[a", "не закрыта скобка <code>[</code>"),
            ("a{2", "не закрыта скобка <code>{</code>"),
            ("*a", "нечего повторять перед <code>*</code>"),
            ("[z-a]", "неверный диапазон <code>z-a</code>"),
            (r"\y", r"непонятно, что значит <code>\y</code>"),
        ] {
            assert_eq!(reason(russian, &pattern::check(pattern).unwrap_err()), said, "{pattern}");
        }
        for (text, said) in [
            ("cpu", "после <code>cpu</code> ожидается =, !=, =~ или !~"),
            ("<b>=", "перед <code>&lt;b&gt;=</code> ожидается имя метки"),
            ("a=\"b", "не закрыта кавычка"),
            ("a=\"b\" c=d", "перед <code>c=d</code> ожидается запятая"),
            ("{a=b", "не закрыта скобка <code>{</code>"),
            ("{}", "здесь нет ни одной метки"),
            (&"a=b,".repeat(17), "больше 16 условий"),
            (&"a".repeat(5000), "длиннее 4096 символов"),
        ] {
            assert_eq!(reason(russian, &Matchers::parse(text).unwrap_err()), said, "{text:.40}");
        }
    }
}
