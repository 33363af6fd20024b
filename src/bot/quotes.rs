//! The quotes that phones put in place of `"`: people who type `severity="critical"` there send `severity=“critical”`.

/// What phones write for a quote in the languages of the bot and their neighbours.
const CURLY: [char; 6] = ['“', '”', '„', '«', '»', '″'];

/// Quotes in which somebody may put a whole expression.
const AROUND: [char; 9] = ['"', '\'', '`', '“', '”', '„', '«', '»', '″'];

/// Matchers with plain quotes around their values. Within plain quotes, and in a value without any, all stays as it is.
pub fn straight(text: &str) -> String {
    let mut straight = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_sign = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' if after_sign => {
                let end = plain_end(rest);
                straight.push(c);
                straight.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            _ if after_sign && CURLY.contains(&c) => {
                let (value, left) = curly_end(rest).map_or((rest, ""), |(at, next)| (&rest[..at], &rest[next..]));
                let is_closed = value.len() < rest.len();
                straight.push('"');
                straight.push_str(&value.replace('"', "\\\""));
                straight.push_str(if is_closed { "\"" } else { "" });
                rest = left;
            }
            _ => straight.push(c),
        }
        after_sign = matches!(c, '=' | '~') || after_sign && c.is_whitespace();
    }
    straight
}

/// Where the value behind a plain quote ends, its closing quote included.
fn plain_end(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            '"' if !is_escaped => return at + 1,
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    rest.len()
}

/// Where a value in curly quotes ends, and where what follows begins: at a quote with which a matcher is over.
fn curly_end(rest: &str) -> Option<(usize, usize)> {
    let closing = rest.char_indices().filter(|(_, c)| *c == '"' || CURLY.contains(c));
    let ends = closing.map(|(at, c)| (at, at + c.len_utf8()));
    ends.into_iter().find(|(_, next)| matches!(rest[*next..].trim_start().chars().next(), None | Some(',' | '}')))
}

/// What stands between the quotes of an expression that is in quotes as a whole.
pub fn within(expression: &str) -> Option<&str> {
    let inner = expression.strip_prefix(AROUND)?.strip_suffix(AROUND)?.trim();
    (!inner.is_empty() && !inner.contains(AROUND)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_of_phones_are_plain_ones() {
        for (typed, read) in [
            ("severity=“critical”", "severity=\"critical\""),
            ("severity=”critical”", "severity=\"critical\""),
            ("severity=„critical“", "severity=\"critical\""),
            ("severity = «critical»", "severity = \"critical\""),
            ("severity=″critical″", "severity=\"critical\""),
            ("{a=~“db|web”, b!=“x”}", "{a=~\"db|web\", b!=\"x\"}"),
            ("a=“x\", b=\"y\"", "a=\"x\", b=\"y\""),
            ("a=“he said „yes“ twice”", "a=\"he said „yes“ twice\""),
            ("a=“x \"y\" z”", "a=\"x \\\"y\\\" z\""),
            ("a=“open", "a=\"open"),
            // What is no quote of a value stays.
            ("a=\"“critical”\"", "a=\"“critical”\""),
            ("a=\"\\\"“\", b=“c”", "a=\"\\\"“\", b=\"c\""),
            ("a=x“y”", "a=x“y”"),
            ("“a”=b", "“a”=b"),
            ("a=\"=“x”\"", "a=\"=“x”\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(straight(typed), read, "{typed}");
        }
    }

    #[test]
    fn an_expression_in_quotes() {
        for (typed, inner) in [
            ("\"mem\"", Some("mem")),
            ("“mem|cpu”", Some("mem|cpu")),
            ("«mem»", Some("mem")),
            ("'*'", Some("*")),
            ("mem", None),
            ("\"mem", None),
            ("\"\"", None),
            ("\"", None),
            ("\"a\"|\"b\"", None),
        ] {
            assert_eq!(within(typed), inner, "{typed}");
        }
    }
}
