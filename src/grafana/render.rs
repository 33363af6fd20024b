//! A panel as a picture: `GET /render/d-solo/:uid/:slug` with the parameters that all versions understand, and every
//! check before and after it (facts 1.5).

use std::time::Duration;

use serde::Deserialize;

use super::client::Grafana;
use super::dashboard::{Dashboard, Panel};
use super::error::{Error, Kind};
use super::link::encoded;
use super::picture::{self, Size};
use super::{refusal, repeat};

/// The colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white.
    Light,
    /// Light on black.
    Dark,
}

impl Theme {
    /// Newer versions refuse any other word.
    pub fn name(self) -> &'static str {
        match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// How the picture shall be. The default leaves to Grafana what it knows better: time range, zone, theme, variables.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// Start of the time range: epoch milliseconds or Grafana's words (`now-6h`); see [`super::when`].
    pub from: Option<String>,
    /// End of the time range.
    pub to: Option<String>,
    /// The page in CSS pixels.
    pub size: Size,
    /// Pixels of the picture for a pixel of the page; letters grow with it.
    pub scale: f64,
    /// The colours; the login's own preference if `None`.
    pub theme: Option<Theme>,
    /// IANA name of the time zone; the dashboard's own if `None`.
    pub zone: Option<String>,
    /// Values of variables, without `var-`; a name may stand several times.
    pub variables: Vec<(String, String)>,
    /// The limit for the renderer, in whole seconds. We wait for twice as long and a bit, as Grafana does.
    pub timeout: u32,
}

impl Default for Shot {
    fn default() -> Self {
        Shot {
            from: None,
            to: None,
            size: Size { width: 1000, height: 500 },
            scale: 1.0,
            theme: None,
            zone: None,
            variables: Vec::new(),
            timeout: 60,
        }
    }
}

/// A checked PNG.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The bytes, from signature to IEND.
    pub png: Vec<u8>,
    /// Its size in pixels.
    pub size: Size,
    /// What the person should know about it: another size than asked for, a variable that does not exist.
    pub notes: Vec<String>,
}

/// What `GET /api/frontend/settings` says; both in V8 and V13 (facts 0.5).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrontendSettings {
    renderer_available: Option<bool>,
    renderer_version: Option<String>,
    /// `root_url` of grafana.ini: what stands in the browser of people.
    app_url: Option<String>,
}

/// What `GET /api/health` says.
#[derive(Deserialize)]
struct Health {
    version: Option<String>,
}

impl Shot {
    /// The longest time that one try can take. Grafana waits for its renderer twice as long as it was told.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout) * 2 + 5)
    }

    /// The size of the picture in pixels, if the renderer obeys.
    pub fn pixels(&self) -> Size {
        self.size.scaled(self.scale)
    }

    /// Path and query below the root. The id must be a number (facts 0.7), both words for the zone are needed (0.9), and
    /// `orgId` must not be there (0.6).
    pub fn path(&self, dashboard: &Dashboard, panel: u64) -> String {
        let slug = if dashboard.slug.is_empty() { "_" } else { &dashboard.slug };
        let mut query = vec![("panelId", panel.to_string())];
        let optional = |name, value: &Option<String>| value.clone().map(|value| (name, value));
        query.extend(optional("from", &self.from));
        query.extend(optional("to", &self.to));
        query.push(("width", self.size.width.to_string()));
        query.push(("height", self.size.height.to_string()));
        if self.scale != 1.0 {
            query.push(("scale", self.scale.to_string()));
        }
        query.extend(self.theme.map(|theme| ("theme", theme.name().to_owned())));
        query.extend(optional("tz", &self.zone));
        // Grafana's page has its own word for the zone that all browsers know.
        let page_zone = self.zone.as_deref().map(|zone| if zone == "UTC" { "utc" } else { zone }.to_owned());
        query.extend(optional("timezone", &page_zone));
        query.push(("timeout", self.timeout.to_string()));
        query.push(("hideLogo", "true".to_owned()));
        let mut path = format!("/render/d-solo/{}/{}", encoded(&dashboard.uid), encoded(slug));
        for (n, (name, value)) in query.iter().enumerate() {
            path.push_str(&format!("{}{name}={}", if n == 0 { '?' } else { '&' }, encoded(value)));
        }
        for (name, value) in &self.variables {
            path.push_str(&format!("&var-{}={}", encoded(name), encoded(value)));
        }
        path
    }
}

impl Grafana {
    /// The picture of the panel with this id. Only what stands in the dashboard can be drawn: for anything else Grafana
    /// would answer with a picture of its error page (facts 0.3).
    pub fn render(&self, dashboard: &Dashboard, panel: u64, shot: &Shot) -> Result<Picture, Error> {
        let panel_of = dashboard.panel_with_id(panel)?;
        self.check_renderer()?;
        let path = shot.path(dashboard, panel);
        let (png, size) = self.retrying(|| self.draw(&path, shot))?;
        Ok(Picture { png, size, notes: notes(dashboard, panel_of, shot, size) })
    }

    /// The same from a uid alone: loads the dashboard first.
    pub fn render_panel(&self, uid: &str, panel: u64, shot: &Shot) -> Result<Picture, Error> {
        self.render(&self.dashboard(uid)?, panel, shot)
    }

    /// Grafana's own page asks the same before it offers "Export as image". A server that does not tell is believed able.
    fn check_renderer(&self) -> Result<(), Error> {
        match self.settings() {
            Ok(settings) if settings.renderer_available == Some(false) => Err(picture::no_renderer()),
            Ok(_) => Ok(()),
            Err(err) if matches!(err.kind(), Kind::NotFound | Kind::Failed) => Ok(()),
            Err(err) => Err(err),
        }
    }

    /// The version of the image renderer, where it is told; an error where there is none.
    pub fn renderer(&self) -> Result<Option<String>, Error> {
        self.check_renderer()?;
        Ok(self.settings().ok().and_then(|settings| settings.renderer_version).filter(|version| !version.is_empty()))
    }

    /// Its version, where it is not hidden; needs no login.
    pub fn version(&self) -> Result<Option<String>, Error> {
        let health: Health = self.json("/api/health", "its health")?;
        Ok(health.version)
    }

    fn settings(&self) -> Result<FrontendSettings, Error> {
        self.json("/api/frontend/settings", "the settings")
    }

    /// Whether this Grafana believes to be at that address too: inside a network it often has another one.
    pub fn is_known_as(&self, root: &str) -> bool {
        let known = |url: Option<String>| url.is_some_and(|url| url.trim_end_matches('/') == root);
        root == self.root() || self.settings().is_ok_and(|settings| known(settings.app_url))
    }

    fn draw(&self, path: &str, shot: &Shot) -> Result<(Vec<u8>, Size), Error> {
        let answer = self.get(path, shot.patience())?;
        if answer.status != 200 {
            let failed = refusal::render_failed(&answer, u64::from(shot.timeout));
            return Err(failed.unwrap_or_else(|| self.refusal(&answer, "the picture")));
        }
        let size = picture::check(&answer.body, &answer.content_type, shot.pixels())?;
        Ok((answer.body, size))
    }
}

fn notes(dashboard: &Dashboard, panel: &Panel, shot: &Shot, size: Size) -> Vec<String> {
    let mut notes = Vec::new();
    let wanted = shot.pixels();
    if !size.about(wanted) {
        notes.push(format!(
            "the picture is {size} pixels, not {wanted}: grafana's renderer limits sizes (browser.min-width, max-width and so on)"
        ));
    }
    for (name, _) in &shot.variables {
        if dashboard.variable(name).is_none() {
            notes.push(unknown_variable(dashboard, name));
        }
    }
    notes.extend(repeat::hint(panel, &shot.variables));
    notes.dedup();
    notes
}

fn unknown_variable(dashboard: &Dashboard, name: &str) -> String {
    let title = &dashboard.title;
    let known = dashboard.variables.iter().map(|variable| variable.name.as_str());
    match known.min_by_key(|known| strsim::damerau_levenshtein(known, name)) {
        Some(nearest) => format!("dashboard {title:?} has no variable {name:?}; the nearest is {nearest:?}"),
        None => format!("dashboard {title:?} has no variables, so {name:?} changes nothing"),
    }
}
