//! The dashboard JSON of all versions up to schema v1: rows of panels (before schema 16), or panels with row panels
//! among them, closed rows holding their panels inside (facts 1.2).

use serde::Deserialize;
use serde_json::Value;

use super::dashboard::{Dashboard, Panel, Place};

/// A row of the old schema. What need not be right may have any shape.
#[derive(Deserialize)]
pub(super) struct OldRow {
    title: Option<Value>,
    repeat: Option<Value>,
    panels: Option<Vec<StoredPanel>>,
}

/// A panel as stored, or a row among the panels.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredPanel {
    id: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    title: Option<Value>,
    repeat: Option<Value>,
    grid_pos: Option<Value>,
    library_panel: Option<Value>,
    panels: Option<Vec<StoredPanel>>,
}

impl OldRow {
    pub(super) fn put_into(self, dashboard: &mut Dashboard) {
        let place = Place { row: Some(text(self.title)), repeat: name(self.repeat), tab: None };
        dashboard.panels.extend(self.panels.into_iter().flatten().map(|panel| panel.read(&place)));
    }
}

/// What follows a row belongs to it, up to the next row; a closed row holds its panels inside.
pub(super) fn put_into(panels: Vec<StoredPanel>, dashboard: &mut Dashboard) {
    let mut place = Place::default();
    for panel in in_sight(panels) {
        if panel.kind.as_ref().is_none_or(|kind| kind != "row") {
            dashboard.panels.push(panel.read(&place));
            continue;
        }
        let title = text(panel.title);
        dashboard.rows.extend(number(&panel.id).map(|id| (id, title.clone())));
        place = Place { row: Some(title), repeat: name(panel.repeat), tab: None };
        dashboard.panels.extend(in_sight(panel.panels.unwrap_or_default()).map(|nested| nested.read(&place)));
    }
}

impl StoredPanel {
    fn read(self, place: &Place) -> Panel {
        let library = self.library_panel.as_ref().and_then(|library| library.get("name")).cloned();
        let title = Some(text(self.title)).filter(|title| !title.is_empty()).unwrap_or_else(|| text(library));
        let mut panel =
            Panel { id: number(&self.id), title, kind: text(self.kind), repeat: name(self.repeat), ..Panel::default() };
        place.put(&mut panel);
        panel
    }

    fn position(&self) -> (i64, i64) {
        let at = |axis: &str| self.grid_pos.as_ref().and_then(|grid| grid.get(axis)).and_then(Value::as_f64);
        (at("y").unwrap_or(0.0) as i64, at("x").unwrap_or(0.0) as i64)
    }
}

/// Grafana's page sorts by place, not by the order in the JSON (DashboardModel.sortPanelsByGridPos).
fn in_sight(mut panels: Vec<StoredPanel>) -> impl Iterator<Item = StoredPanel> {
    panels.sort_by_key(StoredPanel::position);
    panels.into_iter()
}

/// A text of whatever shape it is stored in.
pub(super) fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::String(text)) => text,
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn name(value: Option<Value>) -> Option<String> {
    Some(text(value)).filter(|name| !name.is_empty())
}

/// An id: a whole number, also one written as a text.
pub(super) fn number(value: &Option<Value>) -> Option<u64> {
    match value {
        Some(Value::Number(number)) => number.as_u64().or_else(|| number.as_f64().map(|n| n as u64)),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    }
}
