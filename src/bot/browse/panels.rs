//! The panels of the open dashboard.

use std::collections::HashSet;

use super::key::{self, Thing, Turn};
use super::list::List;
use super::shelf::{Found, Page, Part, Shelf};
use super::{
    LONGEST_NAME, Labels, Place, Say, Screen, Step, View, elsewhere, is_whole, open, places, search, typed, unknown,
    up, view,
};
use crate::grafana::{Dashboard, Miss, Panel, panel_named};

/// The panels of a dashboard: the part that was shown last, if it is the one at `place`, else the first page.
pub fn panels(dashboard: &Dashboard, place: &Place, labels: &Labels) -> Screen {
    Inside::new(dashboard, labels).screen(place)
}

/// The places of the panels that Grafana can draw: by id, and of two with the same id the first.
fn drawable(panels: &[Panel]) -> Vec<usize> {
    let mut seen = HashSet::new();
    (0..panels.len()).filter(|n| panels[*n].id.is_some_and(|id| seen.insert(id))).collect()
}

/// The open dashboard with the keys of its panels.
pub(super) struct Inside<'a> {
    dashboard: &'a Dashboard,
    /// For each key's index its panel's.
    drawable: Vec<usize>,
    shelf: Shelf,
    back: String,
}

impl<'a> Inside<'a> {
    pub(super) fn new(dashboard: &'a Dashboard, labels: &Labels) -> Inside<'a> {
        let drawable = drawable(&dashboard.panels);
        let thing = |n: &usize| {
            let panel = &dashboard.panels[*n];
            Thing {
                title: panel.title.clone(),
                heading: panel.heading(),
                id: format!("#{}", panel.id.unwrap_or_default()),
                kind: Some(&panel.kind).filter(|kind| !kind.is_empty()).map_or("panel", String::as_str).to_owned(),
            }
        };
        let things: Vec<Thing> = drawable.iter().map(thing).collect();
        Inside { dashboard, drawable, shelf: Shelf::by_row(&things, &labels.back), back: labels.back.clone() }
    }

    fn panel(&self, n: usize) -> &Panel {
        &self.dashboard.panels[self.drawable[n]]
    }

    /// The indices of the keys of these panels.
    fn keys_of(&self, panels: Vec<usize>) -> Vec<usize> {
        panels.into_iter().filter_map(|n| self.drawable.binary_search(&n).ok()).collect()
    }

    fn part(&self, view: &View) -> Part {
        if let Some(search) = &view.search {
            let these = self.keys_of(places(&self.dashboard.panels, panel_named(&self.dashboard.panels, search)));
            if !these.is_empty() {
                return Part::These(these);
            }
        }
        match view.heading.as_deref().and_then(|heading| self.shelf.find(heading)) {
            Some(Found::Heading(heading)) => Part::Heading(heading),
            _ => Part::All,
        }
    }

    fn screen(&self, place: &Place) -> Screen {
        let same = place.dashboard.as_ref() == Some(&self.dashboard.uid);
        let inside = if same { place.inside.clone() } else { View::default() };
        let part = self.part(&inside);
        let Page { mut rows, page, pages, count } = self.shelf.page(&part, inside.page);
        let inside = view(&inside, &part, page);
        rows.push(vec![self.back.clone()]);
        let dashboard = self.dashboard.title.clone();
        let row = match part {
            Part::Heading(heading) => Some(key::heading_title(self.shelf.heading(heading)).to_owned()),
            _ => None,
        };
        let say = match self.drawable.is_empty() {
            true => Say::NoPanels { dashboard },
            false => Say::Panels { dashboard, count, row, search: inside.search.clone(), page: (page + 1, pages) },
        };
        let place = Place { dashboard: Some(self.dashboard.uid.clone()), list: place.list.clone(), inside };
        Screen { say, keyboard: rows, place }
    }

    fn show(&self, place: &Place, inside: View) -> Step {
        Step::Show(self.screen(&Place { inside, ..place.clone() }))
    }

    fn picture(&self, n: usize) -> Step {
        let panel = self.panel(n);
        Step::Picture {
            uid: self.dashboard.uid.clone(),
            panel_id: panel.id.unwrap_or_default(),
            title: panel.title.clone(),
        }
    }

    pub(super) fn step(&self, text: &str, place: &Place, list: &List<'_>, labels: &Labels) -> Step {
        let (text, slash) = typed(text);
        match self.shelf.find(&text) {
            Some(Found::Thing(n)) => return self.picture(n),
            Some(Found::Heading(_)) => return self.show(place, open(&place.inside, &text)),
            None => {}
        }
        if let Some(step) = list.shown(&text, place) {
            return step;
        }
        match Turn::parse(&text, &labels.back) {
            Some(Turn::Back) if is_whole(&place.inside) => list.show(place, place.list.clone()),
            Some(Turn::Back) => self.show(place, up(&place.inside)),
            Some(turn) => match self.shelf.turned(&self.part(&place.inside), place.inside.page, turn) {
                Some(page) => self.show(place, View { page, ..place.inside.clone() }),
                // A key of the list's keyboard, or of this one before the dashboard was changed.
                None => list.turn(turn, place).unwrap_or_else(|| self.show(place, elsewhere(&place.inside, turn))),
            },
            None => self.named(&text, slash, place, list),
        }
    }

    /// With a slash, as the keys of the original, a dashboard is meant first; without one, a panel.
    fn named(&self, text: &str, slash: bool, place: &Place, list: &List<'_>) -> Step {
        let before = || self.screen(place);
        let title = Some(self.dashboard.title.clone());
        if text.is_empty() {
            return Step::Show(before());
        }
        if text.chars().count() > LONGEST_NAME {
            return unknown(text, title, Vec::new(), &self.back, before());
        }
        let found = panel_named(&self.dashboard.panels, text);
        let lower = text.to_lowercase();
        let exact = found.as_ref().is_ok_and(|panel| panel.title.to_lowercase() == lower);
        if (slash || !exact)
            && let Some(step) = list.exactly(text)
        {
            return step;
        }
        if !exact && let Some(row) = self.shelf.heading_titled(text) {
            return self.show(place, open(&place.inside, self.shelf.heading(row)));
        }
        let panel_title = found.as_ref().ok().map(|panel| panel.title.clone());
        let miss = matches!(found, Err(Miss::Unknown(_)));
        let keys = self.keys_of(places(&self.dashboard.panels, found));
        match (panel_title, keys.as_slice()) {
            (Some(_), [key]) => return self.picture(*key),
            (Some(panel), _) => {
                let before = before();
                return Step::Show(Screen { say: Say::CannotDraw { panel }, ..before });
            }
            (None, [key]) if !miss => return self.picture(*key),
            (None, [_, ..]) if !miss => return self.show(place, search(&place.inside, text)),
            _ => {}
        }
        list.named(text, place).unwrap_or_else(|near| {
            let mut keys: Vec<String> = keys.into_iter().map(|n| self.shelf.key(n).to_owned()).collect();
            let near = near.into_iter().map(|n| list.shelf.key(n).to_owned());
            // The same text would lead to the panel.
            keys.extend(near.filter(|key| self.shelf.find(key).is_none()));
            unknown(text, title, keys, &self.back, before())
        })
    }
}
