//! From what a person types to one dashboard or one panel: never a guess between two, and the nearest names when there
//! is none.

use super::client::Grafana;
use super::dashboard::{Dashboard, Panel};
use super::error::{Error, Kind};
use super::search::Hit;

/// How many names an error shows.
const SHOWN: usize = 8;

/// Names less alike than this are no help (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// What the word for a dashboard means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Meaning {
    /// Its uid if there is such a dashboard, else a name.
    #[default]
    Any,
    /// Only its uid.
    Uid,
    /// Only its title, `folder/title`, slug, or a part of them.
    Name,
}

/// Why a name is not one thing.
#[derive(Debug, PartialEq, Eq)]
pub enum Miss<'a, T> {
    /// Nothing has it; these have the nearest names, best first.
    Unknown(Vec<&'a T>),
    /// All of these have it.
    Ambiguous(Vec<&'a T>),
}

/// A dashboard by title, `folder/title`, slug, or a part that only one has.
pub fn dashboard_named<'a>(hits: &'a [Hit], name: &str) -> Result<&'a Hit, Miss<'a, Hit>> {
    let lower = name.to_lowercase();
    let path = |hit: &Hit| format!("{}/{}", hit.folder(), hit.title);
    let rules: [&dyn Fn(&Hit) -> bool; 6] = [
        &|hit| hit.title == name || path(hit) == name,
        &|hit| hit.slug() == Some(name),
        &|hit| hit.title.to_lowercase() == lower || path(hit).to_lowercase() == lower,
        &|hit| hit.title.to_lowercase().contains(&lower),
        &|hit| hit.slug().is_some_and(|slug| slug.contains(&lower)),
        &|hit| path(hit).to_lowercase().contains(&lower),
    ];
    let likeness = |hit: &Hit| alike(&hit.title, &lower).max(alike(&hit.uid, &lower));
    decide(hits, name, &rules).unwrap_or_else(|| Err(Miss::Unknown(nearest(hits, likeness))))
}

/// A panel by id (`3`, `panel-3`), `#3` (the third as seen), title, `row/title`, or a part of these that only one has.
pub fn panel_named<'a>(panels: &'a [Panel], name: &str) -> Result<&'a Panel, Miss<'a, Panel>> {
    let lower = name.to_lowercase();
    let id = name.strip_prefix("panel-").unwrap_or(name).parse().ok();
    let place = name.strip_prefix('#').and_then(|n| n.parse::<usize>().ok());
    if let Some(panel) = place.and_then(|n| panels.get(n.wrapping_sub(1))) {
        return Ok(panel);
    }
    let path = |panel: &Panel| format!("{}/{}", panel.row.as_deref().unwrap_or_default(), panel.title);
    let rules: [&dyn Fn(&Panel) -> bool; 5] = [
        &|panel| id.is_some() && panel.id == id,
        &|panel| panel.title == name || path(panel) == name,
        &|panel| panel.title.to_lowercase() == lower || path(panel).to_lowercase() == lower,
        &|panel| panel.title.to_lowercase().contains(&lower),
        &|panel| path(panel).to_lowercase().contains(&lower),
    ];
    // A number is no part of a title: whoever asks for 99 must not get "p99 latency".
    let rules = if id.is_some() || place.is_some() { &rules[..2] } else { &rules[..] };
    let likeness = |panel: &Panel| alike(&panel.title, &lower);
    decide(panels, name, rules).unwrap_or_else(|| Err(Miss::Unknown(nearest(panels, likeness))))
}

type Found<'a, T> = Result<&'a T, Miss<'a, T>>;

/// The first rule that fits anything decides. An empty name would be a part of every other.
fn decide<'a, T>(all: &'a [T], name: &str, rules: &[&dyn Fn(&T) -> bool]) -> Option<Found<'a, T>> {
    rules.iter().filter(|_| !name.is_empty()).find_map(|rule| {
        let fitting: Vec<&T> = all.iter().filter(|one| rule(one)).collect();
        match fitting.as_slice() {
            [] => None,
            [one] => Some(Ok(*one)),
            _ => Some(Err(Miss::Ambiguous(fitting))),
        }
    })
}

fn alike(name: &str, lower: &str) -> f64 {
    strsim::jaro_winkler(&name.to_lowercase(), lower)
}

fn nearest<T>(all: &[T], likeness: impl Fn(&T) -> f64) -> Vec<&T> {
    let mut scored: Vec<(f64, &T)> = all.iter().map(|one| (likeness(one), one)).filter(|(s, _)| *s >= ALIKE).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, one)| one).collect()
}

impl Grafana {
    /// The one dashboard that `name` means.
    pub fn find_dashboard(&self, name: &str, meaning: Meaning) -> Result<Dashboard, Error> {
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(Error::new(Kind::Misuse, "a link is no name of a dashboard").with_hint("give links by --url"));
        }
        let mut refused = None;
        if meaning == Meaning::Uid || (meaning == Meaning::Any && is_uid(name)) {
            match self.dashboard(name) {
                // A name that happens to look like a uid can be refused in either way.
                Err(err) if meaning == Meaning::Any && err.kind() == Kind::NotFound => {}
                Err(err) if meaning == Meaning::Any && err.kind() == Kind::Denied => refused = Some(err),
                Err(err) if err.kind() == Kind::NotFound => return Err(self.unknown(name, &[], None)),
                done => return done,
            }
        }
        let hits = self.dashboards().map_err(|err| refused.clone().unwrap_or(err))?;
        let hit = dashboard_named(&hits, name).map_err(|miss| match (miss, refused) {
            (Miss::Unknown(_), Some(refused)) => refused,
            (Miss::Unknown(near), None) => self.unknown(name, &near, Some(hits.len())),
            (Miss::Ambiguous(fitting), _) => ambiguous_dashboard(name, &fitting),
        })?;
        let mut dashboard = self.dashboard(&hit.uid)?;
        dashboard.folder.get_or_insert_with(|| hit.folder().to_owned());
        Ok(dashboard)
    }

    /// Says what else could be meant; or, when the login sees nothing at all, whose login it is.
    fn unknown(&self, name: &str, near: &[&Hit], visible: Option<usize>) -> Error {
        let error = Error::new(Kind::NotFound, format!("there is no dashboard {name:?} that this login may see"));
        if !near.is_empty() {
            return error.with_hint(format!("did you mean {}?", listed(near.iter().map(|hit| in_folder(hit)))));
        }
        let org =
            self.organisation().map(|org| format!(" organisation {org:?}")).unwrap_or(" its organisation".to_owned());
        error.with_hint(match visible {
            Some(0) => format!("the login sees no dashboards at all in{org}: is it of another one, or without a role?"),
            _ => format!("grafana-shot --list shows those in{org}; a login sees only one organisation"),
        })
    }

    /// The name of the login's organisation: works for tokens and users (facts 1.4).
    fn organisation(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Organisation {
            name: String,
        }
        self.json("/api/org", "the organisation").ok().map(|org: Organisation| org.name)
    }
}

impl Dashboard {
    /// The one panel that `name` means, if it can be drawn.
    pub fn find_panel(&self, name: &str) -> Result<&Panel, Error> {
        let panel = panel_named(&self.panels, name).map_err(|miss| match miss {
            Miss::Unknown(near) => self.unknown_panel(name, &near),
            Miss::Ambiguous(fitting) => self.ambiguous_panel(name, &fitting),
        })?;
        self.drawable(panel)
    }

    /// The panel with this id; no name is tried.
    pub fn panel_with_id(&self, id: u64) -> Result<&Panel, Error> {
        self.panel(id).ok_or_else(|| self.unknown_panel(&id.to_string(), &[]))
    }

    /// Grafana draws by id, and of two panels with the same id the first.
    fn drawable<'a>(&'a self, panel: &'a Panel) -> Result<&'a Panel, Error> {
        let Some(id) = panel.id else {
            let message = format!("panel {:?} of dashboard {:?} has no id", panel.title, self.title);
            return Err(Error::new(Kind::NotFound, message).with_hint("save the dashboard once in Grafana"));
        };
        if self.panel(id).is_some_and(|first| !std::ptr::eq(first, panel)) {
            let message =
                format!("two panels of dashboard {:?} have the id {id}: grafana would draw the other", self.title);
            return Err(
                Error::new(Kind::Ambiguous, message).with_hint("give one of them another id in the dashboard's JSON")
            );
        }
        Ok(panel)
    }

    fn unknown_panel(&self, name: &str, near: &[&Panel]) -> Error {
        let id = name.strip_prefix("panel-").unwrap_or(name).parse().ok();
        if let Some((id, title)) = self.rows.iter().find(|(row, title)| Some(*row) == id || title == name) {
            let message = format!("{title:?} ({id}) is a row of dashboard {:?} and cannot be drawn", self.title);
            return Error::new(Kind::NotFound, message).with_hint(self.how_to_list());
        }
        let message = format!("there is no panel {name:?} in dashboard {:?}", self.title);
        Error::new(Kind::NotFound, message).with_hint(match near {
            [] => self.how_to_list(),
            near => format!("did you mean {}?", listed(near.iter().map(|panel| described(panel)))),
        })
    }

    fn ambiguous_panel(&self, name: &str, fitting: &[&Panel]) -> Error {
        let message = format!("{} panels of dashboard {:?} fit {name:?}", fitting.len(), self.title);
        let hint = format!("give the id of the one: {}", listed(fitting.iter().map(|panel| described(panel))));
        Error::new(Kind::Ambiguous, message).with_hint(hint)
    }

    fn how_to_list(&self) -> String {
        format!("it has {} panels: grafana-shot --list {} shows them", self.panels.len(), self.uid)
    }
}

fn ambiguous_dashboard(name: &str, fitting: &[&Hit]) -> Error {
    let hint = format!("give the uid of the one: {}", listed(fitting.iter().map(|hit| in_folder(hit))));
    Error::new(Kind::Ambiguous, format!("{} dashboards fit {name:?}", fitting.len())).with_hint(hint)
}

fn in_folder(hit: &Hit) -> String {
    one_line(format!("{} ({}/{})", hit.uid, hit.folder(), hit.title))
}

fn described(panel: &Panel) -> String {
    let id = panel.id.map(|id| id.to_string()).unwrap_or("no id".to_owned());
    let title = if panel.title.is_empty() { "no title" } else { &panel.title };
    one_line(match panel.heading().as_str() {
        "" => format!("{id} ({title})"),
        heading => format!("{id} ({heading} / {title})"),
    })
}

/// Titles can hold anything.
fn one_line(text: String) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let mut shown = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more > 0 {
        shown.push_str(&format!(" and {more} more"));
    }
    shown
}

/// The characters and the length that Grafana allows in a uid.
fn is_uid(name: &str) -> bool {
    !name.is_empty() && name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
