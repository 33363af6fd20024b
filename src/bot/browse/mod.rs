//! What a person sees of Grafana's dashboards and where they are: screens of keys, and what a typed or tapped text means
//! there. Values in, values out: Grafana is asked and Telegram is told elsewhere.
//!
//! The texts of the keys are made from the whole list each time, never from one page of it, so that a key of any old
//! keyboard still leads to the thing it shows.

mod key;
mod list;
mod panels;
mod shelf;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::grafana::{Dashboard, Hit, Miss};
use key::Turn;
pub use key::clean as one_line;
use list::List;
use panels::Inside;
pub use panels::panels;
use shelf::Part;

/// A longer text is no name of anything.
const LONGEST_NAME: usize = 200;

/// The characters of such a text that are worth repeating.
const QUOTED: usize = 60;

/// Where a chat (and topic) is. It is stored, so all fields may be missing and unknown ones are ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The uid of the dashboard whose panels are shown; none in the list of dashboards.
    pub dashboard: Option<String>,
    /// The part of the list of dashboards that was shown last.
    list: View,
    /// The part of the dashboard's panels that is shown.
    inside: View,
}

/// A part of a list, by names: numbers would mean something else after the next change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct View {
    page: usize,
    /// The text of the open heading's key.
    heading: Option<String>,
    /// What was searched.
    search: Option<String>,
    /// The page to come back to from a heading or a search.
    from: usize,
}

/// The texts of keys in the person's language. Those of the other languages are understood as well.
#[derive(Clone, Debug)]
pub struct Labels {
    /// One level up.
    pub back: String,
}

/// A message with a reply keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// What to say.
    pub say: Say,
    /// The texts of the keys; never empty texts, never two alike. No rows: there is nothing to choose.
    pub keyboard: Vec<Vec<String>>,
    /// Where the person is now.
    pub place: Place,
}

/// What to say. Titles and texts are as people wrote them: escape them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// The dashboards; of one folder, or those that fit a search, where these are given.
    Dashboards {
        /// All of them.
        count: usize,
        /// The folder.
        folder: Option<String>,
        /// What was searched.
        search: Option<String>,
        /// From 1, and how many there are.
        page: (usize, usize),
    },
    /// The login sees no dashboards.
    NoDashboards,
    /// The panels of a dashboard; of one row, or those that fit a search, where these are given.
    Panels {
        /// The dashboard's title.
        dashboard: String,
        /// All of them.
        count: usize,
        /// Row and tab.
        row: Option<String>,
        /// What was searched.
        search: Option<String>,
        /// From 1, and how many there are.
        page: (usize, usize),
    },
    /// There is nothing in the dashboard that can be drawn.
    NoPanels {
        /// The dashboard's title.
        dashboard: String,
    },
    /// The dashboard that was open is not there any more; the list is shown.
    Gone,
    /// Nothing has this name.
    Unknown {
        /// What was typed, shortened.
        text: String,
        /// The title of the dashboard whose panels were searched first.
        dashboard: Option<String>,
        /// How many keys with the nearest names are shown; 0: the keyboard is as before.
        nearest: usize,
    },
    /// The panel exists, but Grafana would draw another one with the same id, or it has no id.
    CannotDraw {
        /// The panel's title.
        panel: String,
    },
}

/// What a text means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "one at a time, for one message")]
pub enum Step {
    /// Show this.
    Show(Screen),
    /// Load this dashboard and show its [`panels`]; if it is not there, [`gone`].
    OpenDashboard {
        /// The key.
        uid: String,
    },
    /// Draw this panel of the open dashboard. The place stays as it is.
    Picture {
        /// The dashboard.
        uid: String,
        /// Only one panel of the dashboard has it.
        panel_id: u64,
        /// The panel's title; may be empty.
        title: String,
    },
}

/// The list of dashboards: the part that was shown last.
pub fn dashboards(hits: &[Hit], place: &Place, labels: &Labels) -> Screen {
    List::new(hits, labels).screen(place)
}

/// The whole list, after the dashboard that was open has vanished.
pub fn gone(hits: &[Hit], labels: &Labels) -> Screen {
    let mut screen = dashboards(hits, &Place::default(), labels);
    if !hits.is_empty() {
        screen.say = Say::Gone;
    }
    screen
}

/// What a typed or tapped text means at `place`. `hits` are all dashboards, and `dashboard` is the one at `place`, if it
/// is still there. The order: what is shown, the words that lead elsewhere, names of dashboards, parts of names.
pub fn step(text: &str, place: &Place, hits: &[Hit], dashboard: Option<&Dashboard>, labels: &Labels) -> Step {
    let inside = dashboard.filter(|open| place.dashboard.as_ref() == Some(&open.uid));
    let inside = inside.map(|dashboard| Inside::new(dashboard, labels));
    let list = List::new(hits, labels);
    match inside {
        Some(inside) => inside.step(text, place, &list, labels),
        None if place.dashboard.is_some() => {
            list.instead(text, place).unwrap_or_else(|| Step::Show(gone(hits, labels)))
        }
        None => list.step(text, place, labels),
    }
}

/// The text without the slash that the keys of the Python original had, and whether it had one.
fn typed(text: &str) -> (String, bool) {
    let text = key::clean(text);
    match text.strip_prefix('/') {
        Some(rest) => (rest.trim().to_owned(), true),
        None => (text, false),
    }
}

/// The view as it is: without a heading or a search that leads to nothing any more.
fn view(view: &View, part: &Part, page: usize) -> View {
    View {
        page,
        heading: view.heading.clone().filter(|_| matches!(part, Part::Heading(_))),
        search: view.search.clone().filter(|_| matches!(part, Part::These(_))),
        from: view.from,
    }
}

fn is_whole(view: &View) -> bool {
    view.heading.is_none() && view.search.is_none()
}

/// One level up.
fn up(view: &View) -> View {
    View { page: if is_whole(view) { 0 } else { view.from }, ..View::default() }
}

/// A page of a keyboard that had more or fewer of them; what is too much becomes the last page.
fn elsewhere(view: &View, turn: Turn) -> View {
    let page = if let Turn::Page(page, _) = turn { page } else { view.page };
    View { page, ..view.clone() }
}

/// Under a heading.
fn open(view: &View, heading: &str) -> View {
    let from = if is_whole(view) { view.page } else { view.from };
    View { heading: Some(heading.to_owned()), from, ..View::default() }
}

/// What fits a text.
fn search(view: &View, text: &str) -> View {
    let from = if is_whole(view) { view.page } else { view.from };
    View { search: Some(text.to_owned()), from, ..View::default() }
}

/// Where the things that a name found stand: all that have it, or else those with the nearest names, best first.
fn places<T>(all: &[T], found: Result<&T, Miss<'_, T>>) -> Vec<usize> {
    let place = |one: &T| all.iter().position(|other| std::ptr::eq(one, other));
    match found {
        Ok(one) => place(one).into_iter().collect(),
        Err(Miss::Unknown(near)) => near.into_iter().filter_map(place).collect(),
        Err(Miss::Ambiguous(fitting)) => {
            let fitting: HashSet<*const T> = fitting.into_iter().map(std::ptr::from_ref).collect();
            (0..all.len()).filter(|n| fitting.contains(&std::ptr::from_ref(&all[*n]))).collect()
        }
    }
}

/// An error with the nearest names as keys; the screen that was there before, if there are none.
fn unknown(text: &str, dashboard: Option<String>, near: Vec<String>, back: &str, before: Screen) -> Step {
    let mut shortened: String = text.chars().take(QUOTED).collect();
    if shortened.len() < text.len() {
        shortened.push('…');
    }
    let say = Say::Unknown { text: shortened, dashboard, nearest: near.len() };
    let keyboard = match near.is_empty() {
        true => before.keyboard,
        false => near.into_iter().chain([back.to_owned()]).map(|key| vec![key]).collect(),
    };
    Step::Show(Screen { say, keyboard, place: before.place })
}

#[cfg(test)]
mod tests;
