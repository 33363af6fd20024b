//! What stands under a picture: keys for other ranges and for variables with few values, and a caption that says what is
//! seen. Values in, values out.
//!
//! A key says what it chooses by a digest of the names, not by their places in the dashboard: that may have been changed
//! since, and then a key must choose nothing rather than something else.

mod press;
mod range;

use std::sync::LazyLock;

use jiff::Zoned;
use jiff::fmt::strtime;
use press::{name_mark, value_mark};
use range::RANGES;
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use unicode_segmentation::UnicodeSegmentation;

use crate::grafana::{Dashboard, Panel, Shot, Variable};
use crate::text::escape;
pub use press::Press;
pub use range::Range;

/// Variables with more values than this are not offered.
const FEW: usize = 8;

/// Variables offered.
const VARIABLES: usize = 6;

/// Characters of a key's text, and how many of them fit beside others in a row on a phone.
const LONGEST: usize = 24;
const ROW: usize = 32;
const IN_A_ROW: usize = 4;

/// Characters of a title and of a value in a caption.
const LONGEST_TITLE: usize = 120;
const LONGEST_VALUE: usize = 40;

/// Code points of a caption; Telegram takes 1024.
const LONGEST_CAPTION: usize = 1000;

/// A picture that was sent, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The dashboard.
    pub uid: String,
    /// The panel's id.
    pub panel: u64,
    /// The panel's title when it was sent first.
    #[serde(default)]
    pub title: String,
    /// The time that it shows.
    #[serde(default)]
    pub range: Range,
    /// What was chosen, by name and value; other variables are as the dashboard has them.
    #[serde(default)]
    pub variables: Vec<(String, String)>,
    /// The name of the variable whose values the keys show.
    #[serde(default)]
    pub open: Option<String>,
}

/// The words in the person's language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// On the keys: `1h`, `6h`, `24h`, `7d`.
    pub ranges: [String; 4],
    /// In captions, around one of these: `last {}`.
    pub last: String,
    /// On the key for the dashboard's own range.
    pub own: String,
    /// In captions, where it is not known which range that is.
    pub own_range: String,
    /// On the key that draws the picture again.
    pub refresh: String,
    /// On the key that leads from a variable's values back to the ranges.
    pub back: String,
    /// In captions, for a panel without a title; around its id: `panel {}`.
    pub untitled: String,
}

impl Default for Words {
    fn default() -> Self {
        Words {
            ranges: RANGES.map(|(_, word)| word.to_owned()),
            last: "last {}".to_owned(),
            own: "default".to_owned(),
            own_range: "the dashboard's own time range".to_owned(),
            refresh: "↻".to_owned(),
            back: "◂ back".to_owned(),
            untitled: "panel {}".to_owned(),
        }
    }
}

/// The picture that a press asks for; none if what the key chose is not there any more.
pub fn apply(shown: &Shown, press: &Press, dashboard: &Dashboard) -> Option<Shown> {
    let mut next = Shown { open: None, ..shown.clone() };
    // What the dashboard has lost since would only be a wrong word in the caption.
    next.variables.retain(|(name, _)| dashboard.variable(name).is_some());
    match press {
        Press::Range(range) => next.range = *range,
        Press::Refresh => next.open.clone_from(&shown.open),
        Press::Close => {}
        Press::Variable(mark) => {
            let variable = offered(dashboard).find(|variable| name_mark(variable) == *mark)?;
            next.open = Some(variable.name.clone());
        }
        Press::Value(mark) => {
            let mut values = offered(dashboard).flat_map(|v| v.values.iter().map(move |(_, value)| (v, value)));
            let (variable, value) = values.find(|(variable, value)| value_mark(variable, value) == *mark)?;
            next.variables.retain(|(name, _)| *name != variable.name);
            next.variables.push((variable.name.clone(), value.clone()));
        }
    }
    Some(next)
}

/// What Grafana is asked for. `zone` is an IANA name.
pub fn shot(shown: &Shown, zone: Option<&str>) -> Shot {
    let (from, to) = shown.range.ends().unzip();
    Shot { from, to, zone: zone.map(str::to_owned), variables: shown.variables.clone(), ..Shot::default() }
}

/// The `reply_markup` under the picture with this number: ranges and refresh, then the variables. Where all their values
/// are few, each variable is a row of values; else a key with its values behind it.
pub fn keyboard(shown: &Shown, dashboard: &Dashboard, number: i64, words: &Words) -> Value {
    let mut rows = Vec::new();
    let open = shown.open.as_ref().and_then(|name| offered(dashboard).find(|variable| variable.name == *name));
    if let Some(variable) = open {
        rows.extend(in_rows(values(shown, variable, number)));
        rows.push(vec![key(&words.back, &Press::Close, number)]);
        return json!({"inline_keyboard": rows});
    }
    rows.push(ranges(shown, dashboard, number, words));
    let all: usize = offered(dashboard).map(|variable| variable.values.len()).sum();
    if all <= FEW {
        rows.extend(offered(dashboard).flat_map(|variable| in_rows(values(shown, variable, number))));
    } else {
        let menu = |variable: &Variable| {
            let text = format!(
                "{}: {} ▾",
                cut(variable.shown_name(), LONGEST / 2),
                cut(&chosen(shown, variable), LONGEST / 2)
            );
            key(&text, &Press::Variable(name_mark(variable)), number)
        };
        rows.extend(in_rows(offered(dashboard).map(menu).collect()));
    }
    json!({"inline_keyboard": rows})
}

/// What is under the picture as text, in Telegram's HTML: panel, dashboard, range, variables, and when it was drawn.
pub fn caption(shown: &Shown, dashboard: &Dashboard, at: &Zoned, words: &Words) -> String {
    let title = dashboard.panel(shown.panel).map_or(&shown.title, |panel: &Panel| &panel.title);
    let title = match cut(&filled_in(title, shown, dashboard), LONGEST_TITLE) {
        title if title.is_empty() => words.untitled.replace("{}", &shown.panel.to_string()),
        title => title,
    };
    let mut facts = vec![cut(&dashboard.title, LONGEST_TITLE), range_words(shown.range, dashboard, words)];
    for variable in dashboard.variables.iter().filter(|variable| is_told(shown, variable)).take(VARIABLES) {
        let name = cut(variable.shown_name(), LONGEST_VALUE);
        facts.push(format!("{name}: {}", cut(&chosen(shown, variable), LONGEST_VALUE)));
    }
    let when = strtime::format("%Y-%m-%d %H:%M %Z", at).unwrap_or_else(|_| at.timestamp().to_string());
    facts.retain(|fact| !fact.is_empty());
    let length = |facts: &[String]| facts.iter().map(|fact| fact.chars().count() + 3).sum::<usize>();
    while facts.len() > 2 && title.chars().count() + when.chars().count() + length(&facts) > LONGEST_CAPTION {
        facts.pop();
    }
    format!("<b>{}</b>\n{}\n{}", escape(&title), escape(&facts.join(" · ")), escape(&when))
}

/// A title as the picture shows it: `$host` with the value in force (templateSrv.ts: `$name`, `${name:format}`,
/// `[[name]]`). What is no variable stays.
fn filled_in(title: &str, shown: &Shown, dashboard: &Dashboard) -> String {
    let value = |found: &Captures<'_>| {
        let name = found.iter().skip(1).flatten().next().map_or("", |name| name.as_str());
        let value = dashboard.variable(name).map(|variable| chosen(shown, variable));
        value.filter(|value| !value.is_empty()).unwrap_or_else(|| found[0].to_owned())
    };
    REFERENCES.replace_all(title, value).into_owned()
}

/// Names of variables in a title.
static REFERENCES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\$(\w+)|\$\{(\w+)[^}]*\}|\[\[(\w+)[^\]]*\]\]";
    Regex::new(pattern).expect("the pattern is a constant")
});

/// The variables with keys: few values, and one of them in an address does something.
fn offered(dashboard: &Dashboard) -> impl Iterator<Item = &Variable> {
    let is_offered = |variable: &&Variable| {
        !variable.hidden
            && !variable.skip_url
            && !variable.name.is_empty()
            && (2..=FEW).contains(&variable.values.len())
    };
    dashboard.variables.iter().filter(is_offered).take(VARIABLES)
}

/// What was chosen is told, and else what people see on the dashboard's page, if that is known.
fn is_told(shown: &Shown, variable: &Variable) -> bool {
    let is_chosen = shown.variables.iter().any(|(name, _)| *name == variable.name);
    is_chosen || (!variable.hidden && !variable.current.is_empty())
}

/// The values in force, as shown.
fn chosen(shown: &Shown, variable: &Variable) -> String {
    let chosen = shown.variables.iter().filter(|(name, _)| *name == variable.name).map(|(_, value)| {
        let known = variable.values.iter().chain(&variable.current).find(|(_, other)| other == value);
        known.map_or(value, |(text, _)| text).as_str()
    });
    let chosen: Vec<&str> = chosen.collect();
    if chosen.is_empty() {
        let current: Vec<&str> = variable.current.iter().map(|(text, _)| text.as_str()).collect();
        return current.join(" + ");
    }
    chosen.join(" + ")
}

fn is_in_force(shown: &Shown, variable: &Variable, value: &str) -> bool {
    match shown.variables.iter().find(|(name, _)| *name == variable.name) {
        Some((_, chosen)) => chosen == value,
        None => variable.current.iter().any(|(_, current)| current == value),
    }
}

fn values(shown: &Shown, variable: &Variable, number: i64) -> Vec<Value> {
    let button = |(text, value): &(String, String)| {
        let text = Some(cut(text, LONGEST)).filter(|text| !text.is_empty()).unwrap_or_else(|| "–".to_owned());
        let text = marked(text, is_in_force(shown, variable, value));
        key(&text, &Press::Value(value_mark(variable, value)), number)
    };
    variable.values.iter().map(button).collect()
}

/// The dashboard's own range has a key where it is not one of the others.
fn ranges(shown: &Shown, dashboard: &Dashboard, number: i64, words: &Words) -> Vec<Value> {
    let own = dashboard.time.as_ref().and_then(Range::with_ends);
    let current = if shown.range == Range::Own { own.unwrap_or(Range::Own) } else { shown.range };
    let button = |text: &str, range| key(&marked(text.to_owned(), range == current), &Press::Range(range), number);
    let mut row: Vec<Value> = RANGES.iter().zip(&words.ranges).map(|((range, _), text)| button(text, *range)).collect();
    if own.is_none() {
        row.push(button(&words.own, Range::Own));
    }
    row.push(key(&words.refresh, &Press::Refresh, number));
    row
}

fn range_words(range: Range, dashboard: &Dashboard, words: &Words) -> String {
    let last = |length: &str| words.last.replace("{}", length);
    let own = dashboard.time.as_ref();
    let range = if range == Range::Own { own.and_then(Range::with_ends).unwrap_or(Range::Own) } else { range };
    if let Some(n) = RANGES.iter().position(|(other, _)| *other == range) {
        return last(&words.ranges[n]);
    }
    let length = |from: &str| {
        let length = from.strip_prefix("now-")?;
        let is_plain = length.len() < 8 && length.bytes().all(|b| b.is_ascii_alphanumeric());
        is_plain.then(|| last(length))
    };
    match own {
        Some((from, to)) if to == "now" => length(from).unwrap_or_else(|| cut(from, LONGEST_VALUE)),
        Some((from, to)) => format!("{} … {}", cut(from, LONGEST_VALUE), cut(to, LONGEST_VALUE)),
        None => words.own_range.clone(),
    }
}

fn marked(text: String, is_current: bool) -> String {
    if is_current { format!("• {text}") } else { text }
}

fn key(text: &str, press: &Press, number: i64) -> Value {
    json!({"text": text, "callback_data": press.data(number)})
}

/// As many as fit beside each other.
fn in_rows(keys: Vec<Value>) -> Vec<Vec<Value>> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    let mut room = 0;
    for key in keys {
        let length = key["text"].as_str().unwrap_or_default().graphemes(true).count() + 3;
        match rows.last_mut().filter(|row| length <= room && row.len() < IN_A_ROW) {
            Some(row) => {
                row.push(key);
                room -= length;
            }
            None => {
                rows.push(vec![key]);
                room = ROW.saturating_sub(length);
            }
        }
    }
    rows
}

/// One line, cut at the end; never more than twice as many code points, which is what Telegram counts.
fn cut(text: &str, longest: usize) -> String {
    let text = super::browse::one_line(text);
    let mut points = 0;
    let fits = |(n, (_, one)): &(usize, (usize, &str))| {
        points += one.chars().count();
        *n < longest && points <= 2 * longest
    };
    let kept = text.grapheme_indices(true).enumerate().take_while(fits).map(|(_, (at, one))| at + one.len()).last();
    match kept.unwrap_or_default() {
        end if end == text.len() => text,
        end => format!("{}…", text[..end].trim_end()),
    }
}

#[cfg(test)]
mod tests;
