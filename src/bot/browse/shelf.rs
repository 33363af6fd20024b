//! Things to choose from under their headings, laid out on keyboards of a size that a thumb can use.

use std::collections::HashMap;

use super::key::{self, Thing, Turn};

/// Keys of a page without those that turn it.
const PAGE: usize = 8;

/// With more headings than this between the things of one page, the headings come first and alone.
const FEW_HEADINGS: usize = 4;

/// Things with their keys. The index of a thing is its place in the list that the shelf was made of.
pub struct Shelf {
    keys: Vec<String>,
    found: HashMap<String, Found>,
    /// The headings' keys and the things under each, in the order in which they are shown.
    headings: Vec<(String, Vec<usize>)>,
    /// Without a heading.
    loose: Vec<usize>,
    /// Headings stand between the things where there is room for both.
    headed: bool,
}

/// What a key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The thing with this index.
    Thing(usize),
    /// The heading with this index.
    Heading(usize),
}

/// A part of the shelf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything: where that is much, the headings and what has none.
    All,
    /// What is under a heading.
    Heading(usize),
    /// These things, wherever they are.
    These(Vec<usize>),
}

/// A page of keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys, and a last row that turns the page.
    pub rows: Vec<Vec<String>>,
    /// From 0; the last one if there is none with the number that was asked for.
    pub page: usize,
    /// How many there are.
    pub pages: usize,
    /// Things in this part of the shelf.
    pub count: usize,
}

/// A key, and whether it has its row for itself.
type Entry<'a> = (&'a str, bool);

impl Shelf {
    /// Dashboards: folders as headings by name, then what is in none.
    pub fn by_folder(things: &[Thing], back: &str) -> Shelf {
        let mut shelf = Shelf::new(things, back, false);
        shelf.headings.sort_by_cached_key(|(title, _)| title.to_lowercase());
        shelf.index();
        shelf
    }

    /// Panels: rows and tabs as headings, in the order in which they are seen.
    pub fn by_row(things: &[Thing], back: &str) -> Shelf {
        let mut shelf = Shelf::new(things, back, true);
        shelf.index();
        shelf
    }

    fn new(things: &[Thing], back: &str, headed: bool) -> Shelf {
        let mut titles: Vec<String> = Vec::new();
        let mut under: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut loose = Vec::new();
        for (n, thing) in things.iter().enumerate() {
            let title = key::clean(&thing.heading);
            if title.is_empty() {
                loose.push(n);
                continue;
            }
            let heading = *known.entry(title).or_insert_with_key(|title| {
                titles.push(title.clone());
                under.push(Vec::new());
                titles.len() - 1
            });
            under[heading].push(n);
        }
        let headings = key::headings(&titles).into_iter().zip(under).collect();
        Shelf { keys: key::unique(things, back), found: HashMap::new(), headings, loose, headed }
    }

    fn index(&mut self) {
        let things = self.keys.iter().enumerate().map(|(n, key)| (key.clone(), Found::Thing(n)));
        let headings = self.headings.iter().enumerate().map(|(n, (key, _))| (key.clone(), Found::Heading(n)));
        self.found = things.chain(headings).collect();
    }

    /// What the key with this text stands for.
    pub fn find(&self, text: &str) -> Option<Found> {
        self.found.get(text).copied()
    }

    /// The heading with this title in any case, without its mark.
    pub fn heading_titled(&self, title: &str) -> Option<usize> {
        let lower = title.to_lowercase();
        self.headings.iter().position(|(key, _)| key::heading_title(key).to_lowercase() == lower)
    }

    /// The text of a thing's key.
    pub fn key(&self, thing: usize) -> &str {
        &self.keys[thing]
    }

    /// The text of a heading's key.
    pub fn heading(&self, heading: usize) -> &str {
        &self.headings[heading].0
    }

    /// One page of a part.
    pub fn page(&self, part: &Part, page: usize) -> Page {
        let (entries, count) = match part {
            Part::All => (self.overview(), self.keys.len()),
            Part::Heading(heading) => (self.things(&self.headings[*heading].1), self.headings[*heading].1.len()),
            Part::These(these) => (self.things(these), these.len()),
        };
        let whole = self.fits_whole() && *part == Part::All;
        let size = if whole { entries.len().max(1) } else { PAGE };
        let pages = entries.len().div_ceil(size).max(1);
        let page = page.min(pages - 1);
        let mut rows = rows(entries.iter().skip(page * size).take(size));
        rows.extend(Some(key::turns(page, pages)).filter(|turns| !turns.is_empty()));
        Page { rows, page, pages, count }
    }

    /// The page that a turn leads to from `page`; none if the turn is another keyboard's.
    pub fn turned(&self, part: &Part, page: usize, turn: Turn) -> Option<usize> {
        let pages = self.page(part, page).pages;
        match turn {
            Turn::Page(to, of) if of == pages && to < pages => Some(to),
            Turn::Next => Some((page + 1).min(pages - 1)),
            Turn::Previous => Some(page.saturating_sub(1)),
            _ => None,
        }
    }

    fn fits_whole(&self) -> bool {
        self.keys.len() <= PAGE && (!self.headed || self.headings.len() <= FEW_HEADINGS)
    }

    fn overview(&self) -> Vec<Entry<'_>> {
        if self.fits_whole() && self.headed {
            let mut entries = self.things(&self.loose);
            for (heading, under) in &self.headings {
                entries.push((heading.as_str(), true));
                entries.extend(self.things(under));
            }
            return entries;
        }
        if self.fits_whole() || self.headings.len() + usize::from(!self.loose.is_empty()) < 2 {
            return self.keys.iter().map(|key| (key.as_str(), false)).collect();
        }
        let headings = self.headings.iter().map(|(heading, _)| (heading.as_str(), false));
        if self.headed {
            self.things(&self.loose).into_iter().chain(headings).collect()
        } else {
            headings.chain(self.things(&self.loose)).collect()
        }
    }

    fn things(&self, things: &[usize]) -> Vec<Entry<'_>> {
        things.iter().map(|thing| (self.keys[*thing].as_str(), false)).collect()
    }
}

/// Two short keys share a row.
fn rows<'a>(entries: impl Iterator<Item = &'a Entry<'a>>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut room = false;
    for (key, wide) in entries {
        let narrow = !wide && key::is_short(key);
        match rows.last_mut().filter(|_| room && narrow) {
            Some(row) => {
                row.push((*key).to_owned());
                room = false;
            }
            None => {
                rows.push(vec![(*key).to_owned()]);
                room = narrow;
            }
        }
    }
    rows
}
