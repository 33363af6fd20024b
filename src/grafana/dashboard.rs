//! One dashboard: its panels in the order a person sees them, whatever shape it is stored in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::client::Grafana;
use super::error::Error;
use super::link::encoded;
use super::variable::Variable;
use super::{classic, schema2};

/// A dashboard with its panels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dashboard {
    /// The key.
    pub uid: String,
    /// The word after the uid in the address of its page; may be empty.
    pub slug: String,
    /// As shown.
    pub title: String,
    /// The folder's title, where the server tells it.
    pub folder: Option<String>,
    /// As seen, top to bottom; panels of closed rows too.
    pub panels: Vec<Panel>,
    /// Rows by id and title; they cannot be drawn.
    pub rows: Vec<(u64, String)>,
    /// The variables in their order on the page, ad hoc filters among them.
    pub variables: Vec<Variable>,
    /// The time range that it opens with, in Grafana's words: `now-6h` and `now`.
    pub time: Option<(String, String)>,
}

/// A panel as stored. The clones of a repeated one exist only in the browser (facts 1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    /// Unique in a dashboard, if nobody edited its JSON by hand.
    pub id: Option<u64>,
    /// As stored: may be empty, hold `$variable`, or be the same as another's.
    pub title: String,
    /// The plugin: `timeseries`, `text`; empty for library panels since 9.3.
    pub kind: String,
    /// The tab it is on (schema v2 only).
    pub tab: Option<String>,
    /// The title of the row it is in.
    pub row: Option<String>,
    /// The variable for each value of which the panel is repeated.
    pub repeat: Option<String>,
    /// The variable for each value of which its row or tab is repeated.
    pub row_repeat: Option<String>,
}

impl Panel {
    /// Tab and row, for a heading: `Hosts / CPU`; empty where there is none.
    pub fn heading(&self) -> String {
        let parts = [&self.tab, &self.row];
        let parts: Vec<&str> =
            parts.into_iter().flatten().map(String::as_str).filter(|part| !part.is_empty()).collect();
        parts.join(" / ")
    }
}

/// Where a panel stands, while a layout is walked.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) tab: Option<String>,
    pub(super) row: Option<String>,
    pub(super) repeat: Option<String>,
}

impl Place {
    pub(super) fn put(&self, panel: &mut Panel) {
        panel.tab = self.tab.clone();
        panel.row = self.row.clone();
        panel.row_repeat = self.repeat.clone();
    }
}

/// `{"meta":..., "dashboard":...}` of the old API.
#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    meta: Meta,
    dashboard: Body,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Meta {
    slug: Option<String>,
    folder_title: Option<String>,
    is_folder: Option<bool>,
}

/// The content in all shapes at once: schema v2 is known by its elements, wherever it comes from.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    title: Option<String>,
    elements: Option<BTreeMap<String, schema2::Element>>,
    layout: Option<Value>,
    variables: Option<Vec<Value>>,
    panels: Option<Vec<classic::StoredPanel>>,
    rows: Option<Vec<classic::OldRow>>,
    templating: Option<Value>,
    time: Option<Value>,
    time_settings: Option<Value>,
}

/// An object of `/apis/dashboard.grafana.app`.
#[derive(Deserialize)]
struct Resource {
    metadata: Metadata,
    spec: Body,
}

#[derive(Deserialize)]
struct Metadata {
    /// The old uid; `metadata.uid` is another thing.
    name: String,
}

impl Dashboard {
    /// Reads the answer of `GET /api/dashboards/uid/:uid`.
    pub fn from_api(json: &[u8], uid: &str) -> serde_json::Result<Dashboard> {
        let Envelope { meta, dashboard } = serde_json::from_slice(json)?;
        let mut dashboard = dashboard.read();
        dashboard.uid = uid.to_owned();
        dashboard.slug = meta.slug.unwrap_or_default();
        dashboard.folder = meta.folder_title.filter(|_| meta.is_folder != Some(true));
        Ok(dashboard)
    }

    /// Reads an object of `GET /apis/dashboard.grafana.app/...` (facts 1.3).
    pub fn from_resource(json: &[u8]) -> serde_json::Result<Dashboard> {
        let Resource { metadata, spec } = serde_json::from_slice(json)?;
        let mut dashboard = spec.read();
        dashboard.uid = metadata.name;
        Ok(dashboard)
    }

    /// The panel with this id, the first if the id is used twice: that is the one Grafana draws.
    pub fn panel(&self, id: u64) -> Option<&Panel> {
        self.panels.iter().find(|panel| panel.id == Some(id))
    }

    /// The variable with this name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}

impl Body {
    fn read(self) -> Dashboard {
        let mut dashboard = Dashboard { title: self.title.unwrap_or_default(), ..Dashboard::default() };
        if let Some(elements) = self.elements {
            dashboard.panels = schema2::panels(elements, &self.layout.unwrap_or_default());
            dashboard.variables = self.variables.iter().flatten().filter_map(Variable::schema2).collect();
            dashboard.time = time(&self.time_settings);
            return dashboard;
        }
        let templating = self.templating.unwrap_or_default();
        let variables = templating["list"].as_array().into_iter().flatten();
        dashboard.variables = variables.filter_map(Variable::classic).collect();
        dashboard.time = time(&self.time);
        for row in self.rows.into_iter().flatten() {
            row.put_into(&mut dashboard);
        }
        classic::put_into(self.panels.unwrap_or_default(), &mut dashboard);
        dashboard
    }
}

fn time(stored: &Option<Value>) -> Option<(String, String)> {
    let end = |name: &str| stored.as_ref()?.get(name)?.as_str().map(str::to_owned);
    Some((end("from")?, end("to")?))
}

impl Grafana {
    /// The dashboard with this uid.
    pub fn dashboard(&self, uid: &str) -> Result<Dashboard, Error> {
        let what = format!("dashboard {uid:?}");
        let answer = self.fetch(&format!("/api/dashboards/uid/{}", encoded(uid)), &what, &[200, 406])?;
        if answer.status == 406 {
            let path = detour(&answer.body).ok_or_else(|| self.refusal(&answer, &what))?;
            let answer = self.fetch(&path, &what, &[200])?;
            return Dashboard::from_resource(&answer.body).map_err(|err| self.unreadable(&answer, &what, &err));
        }
        Dashboard::from_api(&answer.body, uid).map_err(|err| self.unreadable(&answer, &what, &err))
    }
}

/// The new address of a dashboard that the old API of 12.0 to 12.3 does not serve: `{"message":"dashboard api version not
/// supported, use /apis/dashboard.grafana.app/v2/namespaces/1/dashboards/dash instead"}` (pkg/api/dashboard.go).
fn detour(body: &[u8]) -> Option<String> {
    let refusal: Value = serde_json::from_slice(body).ok()?;
    let mut words = refusal["message"].as_str()?.split_whitespace().map(|word| word.trim_end_matches(['.', ',']));
    words.find(|word| word.starts_with("/apis/dashboard.grafana.app/") && !word.contains("..")).map(str::to_owned)
}
