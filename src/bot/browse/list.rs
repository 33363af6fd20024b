//! The list of dashboards.

use super::key::{self, Thing, Turn};
use super::shelf::{Found, Page, Part, Shelf};
use super::{
    LONGEST_NAME, Labels, Place, Say, Screen, Step, View, elsewhere, open, places, search, typed, unknown, up, view,
};
use crate::grafana::{Hit, Miss, dashboard_named};

/// The list of dashboards with its keys.
pub(super) struct List<'a> {
    hits: &'a [Hit],
    pub(super) shelf: Shelf,
    back: String,
}

impl<'a> List<'a> {
    pub(super) fn new(hits: &'a [Hit], labels: &Labels) -> List<'a> {
        let thing = |hit: &Hit| Thing {
            title: hit.title.clone(),
            heading: hit.in_folder().unwrap_or_default().to_owned(),
            id: format!("({})", hit.uid),
            kind: "dashboard".to_owned(),
        };
        let things: Vec<Thing> = hits.iter().map(thing).collect();
        List { hits, shelf: Shelf::by_folder(&things, &labels.back), back: labels.back.clone() }
    }

    fn part(&self, view: &View) -> Part {
        if let Some(search) = &view.search {
            let these = self.fitting(search);
            if !these.is_empty() {
                return Part::These(these);
            }
        }
        match view.heading.as_deref().and_then(|heading| self.shelf.find(heading)) {
            Some(Found::Heading(heading)) => Part::Heading(heading),
            _ => Part::All,
        }
    }

    fn fitting(&self, name: &str) -> Vec<usize> {
        places(self.hits, dashboard_named(self.hits, name))
    }

    pub(super) fn screen(&self, place: &Place) -> Screen {
        let part = self.part(&place.list);
        let Page { mut rows, page, pages, count } = self.shelf.page(&part, place.list.page);
        let place = Place { dashboard: None, list: view(&place.list, &part, page), inside: View::default() };
        if self.hits.is_empty() {
            return Screen { say: Say::NoDashboards, keyboard: Vec::new(), place };
        }
        let folder = match part {
            Part::Heading(heading) => Some(key::heading_title(self.shelf.heading(heading)).to_owned()),
            _ => None,
        };
        if part != Part::All {
            rows.push(vec![self.back.clone()]);
        }
        let say = Say::Dashboards { count, folder, search: place.list.search.clone(), page: (page + 1, pages) };
        Screen { say, keyboard: rows, place }
    }

    pub(super) fn show(&self, place: &Place, list: View) -> Step {
        Step::Show(self.screen(&Place { dashboard: None, list, inside: place.inside.clone() }))
    }

    pub(super) fn step(&self, text: &str, place: &Place, labels: &Labels) -> Step {
        let (text, _) = typed(text);
        if let Some(step) = self.shown(&text, place) {
            return step;
        }
        match Turn::parse(&text, &labels.back) {
            Some(Turn::Back) => self.show(place, up(&place.list)),
            Some(turn) => self.turn(turn, place).unwrap_or_else(|| self.show(place, elsewhere(&place.list, turn))),
            None => self.named(&text, place).unwrap_or_else(|near| {
                let before = self.screen(place);
                unknown(
                    &text,
                    None,
                    near.into_iter().map(|n| self.shelf.key(n).to_owned()).collect(),
                    &self.back,
                    before,
                )
            }),
        }
    }

    /// What still has a meaning after the open dashboard has vanished.
    pub(super) fn instead(&self, text: &str, place: &Place) -> Option<Step> {
        let (text, _) = typed(text);
        let back = || Turn::parse(&text, &self.back).filter(|turn| *turn == Turn::Back);
        let step = self.shown(&text, place).or_else(|| back().map(|_| self.show(place, place.list.clone())));
        step.or_else(|| self.exactly(&text))
    }

    /// The thing whose key has this text.
    pub(super) fn shown(&self, text: &str, place: &Place) -> Option<Step> {
        match self.shelf.find(text)? {
            Found::Thing(n) => Some(Step::OpenDashboard { uid: self.hits[n].uid.clone() }),
            Found::Heading(_) => Some(self.show(place, open(&place.list, text))),
        }
    }

    pub(super) fn turn(&self, turn: Turn, place: &Place) -> Option<Step> {
        let page = self.shelf.turned(&self.part(&place.list), place.list.page, turn);
        Some(self.show(place, View { page: page?, ..place.list.clone() }))
    }

    /// The one dashboard with this uid, slug, title or place; with several it is none.
    pub(super) fn exactly(&self, text: &str) -> Option<Step> {
        let open = |hit: &Hit| Step::OpenDashboard { uid: hit.uid.clone() };
        if let Some(hit) = self.hits.iter().find(|hit| hit.uid == text) {
            return Some(open(hit));
        }
        let hit = dashboard_named(self.hits, text).ok()?;
        let lower = text.to_lowercase();
        let is = |name: &str| name.to_lowercase() == lower;
        let exact = is(&hit.title) || hit.slug().is_some_and(is) || is(&format!("{}/{}", hit.folder(), hit.title));
        exact.then(|| open(hit))
    }

    /// A dashboard or folder by what people call it, or the places of the nearest names.
    pub(super) fn named(&self, text: &str, place: &Place) -> Result<Step, Vec<usize>> {
        if text.is_empty() {
            return Ok(self.show(place, place.list.clone()));
        }
        if text.chars().count() > LONGEST_NAME {
            return Err(Vec::new());
        }
        if let Some(step) = self.exactly(text) {
            return Ok(step);
        }
        if let Some(folder) = self.shelf.heading_titled(text) {
            return Ok(self.show(place, open(&place.list, self.shelf.heading(folder))));
        }
        match dashboard_named(self.hits, text) {
            Ok(hit) => Ok(Step::OpenDashboard { uid: hit.uid.clone() }),
            Err(Miss::Ambiguous(_)) => Ok(self.show(place, search(&place.list, text))),
            Err(miss) => Err(places(self.hits, Err(miss))),
        }
    }
}
