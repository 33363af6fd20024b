//! Schema v2: elements by name, and a layout of grids, rows and tabs, nested freely, that points at them (facts 1.3,
//! @grafana/schema 13.2.3 types.spec.gen.d.ts).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::classic::number;
use super::dashboard::{Panel, Place};

/// What can be placed: a panel, or a stub that names a library panel.
#[derive(Deserialize)]
pub(super) struct Element {
    spec: ElementSpec,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ElementSpec {
    id: Option<Value>,
    title: Option<String>,
    library_panel: Option<LibraryPanel>,
    viz_config: Option<VizConfig>,
}

#[derive(Deserialize)]
struct LibraryPanel {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct VizConfig {
    #[serde(default)]
    kind: String,
    group: Option<String>,
}

/// The panels in the order of the layout; those that no layout names come last, by id.
pub(super) fn panels(elements: BTreeMap<String, Element>, layout: &Value) -> Vec<Panel> {
    let mut walk = Walk { elements, panels: Vec::new() };
    walk.layout(layout, &Place::default());
    let mut rest: Vec<Panel> = walk.elements.into_values().map(Element::read).collect();
    rest.sort_by_key(|panel| panel.id);
    walk.panels.extend(rest);
    walk.panels
}

struct Walk {
    elements: BTreeMap<String, Element>,
    panels: Vec<Panel>,
}

impl Walk {
    fn layout(&mut self, layout: &Value, place: &Place) {
        let spec = &layout["spec"];
        for tab in list(&spec["tabs"]) {
            let (title, repeat) = heading(tab, place);
            let tab_place = Place { tab: joined(&place.tab, title), row: place.row.clone(), repeat };
            self.layout(&tab["spec"]["layout"], &tab_place);
        }
        for row in list(&spec["rows"]) {
            let (title, repeat) = heading(row, place);
            self.layout(
                &row["spec"]["layout"],
                &Place { row: joined(&place.row, title), repeat, tab: place.tab.clone() },
            );
        }
        // An auto grid has no places: there the order of the list counts.
        let mut items: Vec<&Value> = list(&spec["items"]).collect();
        items.sort_by_key(|item| position(item));
        for item in items {
            self.item(item, place);
        }
    }

    fn item(&mut self, item: &Value, place: &Place) {
        let spec = &item["spec"];
        // v2alpha1 had rows inside grids.
        if item["kind"] == "GridLayoutRow" {
            let (title, repeat) = heading(item, place);
            let place = Place { row: joined(&place.row, title), repeat, tab: place.tab.clone() };
            for nested in list(&spec["elements"]) {
                self.item(nested, &place);
            }
            return;
        }
        let Some(name) = spec["element"]["name"].as_str() else { return };
        let Some(element) = self.elements.remove(name) else { return };
        let mut panel = element.read();
        panel.repeat = spec["repeat"]["value"].as_str().map(str::to_owned);
        place.put(&mut panel);
        self.panels.push(panel);
    }
}

impl Element {
    fn read(self) -> Panel {
        let library = self.spec.library_panel.map(|library| library.name).unwrap_or_default();
        let title = self.spec.title.filter(|title| !title.is_empty()).unwrap_or(library);
        // `kind` was the plugin in v2alpha1, and is the word "VizConfig" since.
        let kind = self.spec.viz_config.map(|config| config.group.unwrap_or(config.kind)).unwrap_or_default();
        Panel { id: number(&self.spec.id), title, kind, ..Panel::default() }
    }
}

/// Title and repeat variable of a row or a tab; without one of its own it inherits what is around it.
fn heading(part: &Value, around: &Place) -> (Option<String>, Option<String>) {
    let spec = &part["spec"];
    let repeat = spec["repeat"]["value"].as_str().map(str::to_owned);
    (spec["title"].as_str().map(str::to_owned), repeat.or_else(|| around.repeat.clone()))
}

fn joined(outer: &Option<String>, inner: Option<String>) -> Option<String> {
    match (outer, inner) {
        (Some(outer), Some(inner)) => Some(format!("{outer} / {inner}")),
        (outer, inner) => inner.or_else(|| outer.clone()),
    }
}

fn position(item: &Value) -> (i64, i64) {
    let at = |axis: &str| item["spec"][axis].as_f64().unwrap_or(0.0) as i64;
    (at("y"), at("x"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
