//! The text of a key: what a title becomes so that it fits on a phone, survives the way through Telegram unchanged, is
//! no word of the bot's own, and is no other key's.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation;

/// Characters (graphemes) of a key that takes the whole width of a phone.
const LONGEST: usize = 38;

/// Bytes. The longest flags and families of emoji take half of it.
const LONGEST_GRAPHEME: usize = 64;

/// What stands before the title of a row, a tab or a folder.
const HEADING: &str = "▸ ";

/// What may stand before such words on a key.
const ARROWS: [char; 9] = ['◀', '◂', '←', '⬅', '↩', '🔙', '▸', '\u{fe0f}', ' '];

/// Words for "one level up" in every language the bot speaks or spoke: an old keyboard may still be on the screen.
const BACK: [&str; 6] = ["go back", "back", "..", "назад", "вернуться", "обратно"];

/// Words for the page after this one.
const NEXT: [&str; 6] = ["more", "next", "ещё", "еще", "дальше", "далее"];

/// Words for the page before this one.
const PREVIOUS: [&str; 3] = ["previous", "prev", "раньше"];

/// What a text means wherever it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// One level up.
    Back,
    /// The page after this one.
    Next,
    /// The page before this one.
    Previous,
    /// The page with this number, from 0, of so many. So a key that is tapped twice leads to the same page twice.
    Page(usize, usize),
}

/// Something that gets a key.
#[derive(Clone, Debug, Default)]
pub struct Thing {
    /// As stored.
    pub title: String,
    /// The title of what it is in; may be empty.
    pub heading: String,
    /// What no other thing has, in the form in which it follows a title: `#12`.
    pub id: String,
    /// What stands for an empty title.
    pub kind: String,
}

impl Turn {
    /// Reads a cleaned text; `back` is the word in the person's language.
    pub fn parse(text: &str, back: &str) -> Option<Turn> {
        let bare = |text: &str| text.trim_matches(ARROWS).to_lowercase();
        let lower = bare(text);
        let is = |words: &[&str]| words.contains(&lower.as_str());
        if is(&BACK) || (lower == bare(back) && !lower.is_empty()) {
            return Some(Turn::Back);
        }
        if is(&NEXT) {
            return Some(Turn::Next);
        }
        if is(&PREVIOUS) {
            return Some(Turn::Previous);
        }
        let (page, pages) = text.strip_prefix("◂ ").or_else(|| text.strip_suffix(" ▸"))?.split_once('/')?;
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
        Some(Turn::Page(number(page)?.checked_sub(1)?, number(pages)?))
    }
}

/// The keys to the pages around `page` (from 0); none if there is no other.
pub fn turns(page: usize, pages: usize) -> Vec<String> {
    let before = (page > 0).then(|| format!("◂ {page}/{pages}"));
    let after = (page + 1 < pages).then(|| format!("{}/{pages} ▸", page + 2));
    before.into_iter().chain(after).collect()
}

/// One line of what can be seen. Telegram takes out some characters of every text (TDLib misc.cpp, clean_input_string)
/// and trims it; a key with these in it would not come back as it is. Marks of direction could turn a key around, and
/// characters without a shape make two keys look the same.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{ad}' | '\u{30a}' | '\u{333}' | '\u{33f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'
            | '\u{200f}' => {}
            '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}' => {}
            c if c.is_whitespace() || c.is_control() || c == '\u{2800}' => {
                if !clean.is_empty() && !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            c => clean.push(c),
        }
    }
    clean.truncate(clean.trim_end().len());
    // A heap of marks on one letter is one character to a reader, and can be as long as a book.
    if clean.len() > LONGEST_GRAPHEME {
        clean = clean.graphemes(true).map(|one| if one.len() > LONGEST_GRAPHEME { "�" } else { one }).collect();
    }
    // Joiners alone show nothing.
    if clean.chars().all(|c| matches!(c, ' ' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}')) {
        clean.clear();
    }
    clean
}

/// The texts of the keys, in the order of the things; no two are the same. Where titles are not enough, the headings are
/// added, and where these are not either, the ids.
pub fn unique(things: &[Thing], back: &str) -> Vec<String> {
    settle(things, |thing, level| own(thing, level, back))
}

/// The same for headings.
pub fn headings(titles: &[String]) -> Vec<String> {
    let numbered = titles.iter().enumerate().map(|(n, title)| Thing {
        title: title.clone(),
        id: format!("#{}", n + 1),
        ..Thing::default()
    });
    settle(&numbered.collect::<Vec<_>>(), |thing, level| format!("{HEADING}{}", plain(thing, level)))
}

/// What a heading's key says, without its mark.
pub fn heading_title(key: &str) -> &str {
    key.strip_prefix(HEADING).unwrap_or(key)
}

/// The level after which nothing can be added.
const LAST: usize = 2;

fn settle(things: &[Thing], form: impl Fn(&Thing, usize) -> String) -> Vec<String> {
    let first = |thing: &Thing| if clean(&thing.title).is_empty() { LAST } else { 0 };
    let mut levels: Vec<usize> = things.iter().map(first).collect();
    let mut texts: Vec<String> = things.iter().zip(&levels).map(|(thing, level)| form(thing, *level)).collect();
    loop {
        let mut count: HashMap<&str, usize> = HashMap::with_capacity(texts.len());
        for text in &texts {
            *count.entry(text).or_default() += 1;
        }
        let clashing = |n: &usize| levels[*n] < LAST && count[texts[*n].as_str()] > 1;
        let clashing: Vec<usize> = (0..things.len()).filter(clashing).collect();
        if clashing.is_empty() {
            return texts;
        }
        for n in clashing {
            levels[n] += 1;
            texts[n] = form(&things[n], levels[n]);
        }
    }
}

/// In quotes where the text would be taken for something else: commands, turns, headings.
fn own(thing: &Thing, level: usize, back: &str) -> String {
    let text = plain(thing, level);
    let taken = text.starts_with('/') || text.starts_with(HEADING.trim_end()) || Turn::parse(&text, back).is_some();
    if taken { format!("“{text}”") } else { text }
}

fn plain(thing: &Thing, level: usize) -> String {
    let title = Some(clean(&thing.title)).filter(|title| !title.is_empty()).unwrap_or_else(|| clean(&thing.kind));
    let heading = clean(&thing.heading);
    match level {
        0 => cut(&title, LONGEST),
        1 if heading.is_empty() => cut(&title, LONGEST),
        1 => cut(&format!("{heading} / {title}"), LONGEST),
        _ => format!("{} {}", cut(&title, LONGEST.saturating_sub(thing.id.len() + 1).max(LONGEST / 3)), thing.id),
    }
}

/// Cuts in the middle: names of one family begin alike and differ at the end.
fn cut(text: &str, longest: usize) -> String {
    // No text has more characters than bytes.
    if text.len() <= longest {
        return text.to_owned();
    }
    let graphemes: Vec<&str> = text.graphemes(true).collect();
    if graphemes.len() <= longest {
        return text.to_owned();
    }
    let head = (longest - 1) / 3;
    let tail = longest - 1 - head;
    let (head, tail) = (graphemes[..head].concat(), graphemes[graphemes.len() - tail..].concat());
    format!("{}…{}", head.trim_end(), tail.trim_start())
}

/// Whether two of them fit beside each other.
pub fn is_short(key: &str) -> bool {
    key.len() <= 17 || key.graphemes(true).count() <= 17
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing(title: &str, heading: &str, id: &str) -> Thing {
        Thing { title: title.to_owned(), heading: heading.to_owned(), id: id.to_owned(), kind: "text".to_owned() }
    }

    #[test]
    fn a_key_is_the_title_and_says_more_only_where_it_must() {
        let things = [
            thing("Memory", "Hosts", "#1"),
            thing("CPU", "Hosts", "#2"),
            thing("CPU", "Pods", "#3"),
            thing("CPU", "Pods", "#4"),
            thing("", "Pods", "#5"),
            thing("CPU #3", "", "#6"),
            thing(" two\n lines\u{202e} ", "", "#7"),
            thing("<b>&amp;", "", "#8"),
        ];
        let keys = unique(&things, "go back");
        let expected = ["Memory", "Hosts / CPU", "CPU #3", "CPU #4", "text #5", "CPU #3 #6", "two lines", "<b>&amp;"];
        assert_eq!(keys, expected);
    }

    #[test]
    fn no_title_is_taken_for_a_word_of_the_bot() {
        let titles = ["/stop", "Go back", "НАЗАД", "more", "zurück", "◂ 1/7", "3/7 ▸", "▸ CPU", "3/7", "▸", "stop"];
        let keys = unique(&titles.map(|title| thing(title, "", "#1")), "Zurück");
        let expected = [
            "“/stop”",
            "“Go back”",
            "“НАЗАД”",
            "“more”",
            "“zurück”",
            "“◂ 1/7”",
            "“3/7 ▸”",
            "“▸ CPU”",
            "3/7",
            "“▸”",
            "stop",
        ];
        assert_eq!(keys, expected);
        assert_eq!(unique(&[thing("/a", "", "#1"), thing("/a", "", "#2")], ""), ["“/a #1”", "“/a #2”"]);
    }

    #[test]
    fn long_names_of_one_family_stay_apart() {
        let titles = ["Namespace (Pods)", "Namespace (Workloads)", "Node (Pods)"];
        let titles = titles.map(|title| thing(&format!("Kubernetes / Compute Resources / {title}"), "", "(uid)"));
        let keys = unique(&titles, "");
        assert_eq!(keys[0], "Kubernetes /…ources / Namespace (Pods)");
        assert!(keys.iter().all(|key| key.graphemes(true).count() <= LONGEST && !key.contains("uid")), "{keys:?}");
        let zalgo = thing(&format!("a{}", "\u{301}".repeat(9000)), "", "#1");
        assert_eq!(unique(&[zalgo], ""), ["�"]);
    }

    #[test]
    fn a_turn_names_its_page() {
        assert_eq!(turns(0, 1), Vec::<String>::new());
        assert_eq!(turns(0, 3), ["2/3 ▸"]);
        assert_eq!(turns(1, 3), ["◂ 1/3", "3/3 ▸"]);
        assert_eq!(Turn::parse("◂ 1/3", ""), Some(Turn::Page(0, 3)));
        assert_eq!(Turn::parse("3/3 ▸", ""), Some(Turn::Page(2, 3)));
        for text in ["0/3 ▸", "+1/3 ▸", "1/3", "◂ 1", "", "99999999999999999999/1 ▸"] {
            assert_eq!(Turn::parse(text, "x"), None, "{text}");
        }
    }
}
