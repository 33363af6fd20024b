//! What Grafana does to a stored dashboard before it serves it.

use serde_json::{Map, Value, json};

/// Facts 1.3: 12.4 and 13 serve schema v2 on the old API as v1; ids stay. Tabs and rows become rows, grids stay.
pub fn to_classic(object: &Value) -> Value {
    let spec = &object["spec"];
    let mut panels = Vec::new();
    let mut conversion = Conversion { elements: &spec["elements"], next_row: 10_000, y: 0 };
    conversion.layout(&spec["layout"], &mut panels);
    let variables = spec["variables"].as_array().into_iter().flatten();
    let variables: Vec<Value> = variables.map(variable).collect();
    json!({
        "uid": object["metadata"]["name"], "title": spec["title"], "schemaVersion": 42, "panels": panels,
        "templating": {"list": variables}, "tags": spec["tags"],
        "time": {"from": spec["timeSettings"]["from"], "to": spec["timeSettings"]["to"]},
    })
}

/// The kind becomes a type, and the word for what is hidden a number, as classic dashboards have them.
fn variable(stored: &Value) -> Value {
    let mut variable = stored["spec"].clone();
    let kind = stored["kind"].as_str().unwrap_or_default();
    let name = if kind == "TextVariable" { "textbox" } else { kind.trim_end_matches("Variable") };
    variable["type"] = name.to_lowercase().into();
    let hidden = ["dontHide", "hideLabel", "hideVariable"];
    variable["hide"] = hidden.iter().position(|word| variable["hide"] == *word).unwrap_or(0).into();
    variable
}

struct Conversion<'a> {
    elements: &'a Value,
    next_row: u64,
    y: u64,
}

impl Conversion<'_> {
    fn layout(&mut self, layout: &Value, panels: &mut Vec<Value>) {
        let spec = &layout["spec"];
        for part in list(&spec["tabs"]).chain(list(&spec["rows"])) {
            let mut inside = Vec::new();
            let (id, y) = (self.next_row, self.y);
            self.next_row += 1;
            self.y += 1;
            self.layout(&part["spec"]["layout"], &mut inside);
            let closed = part["spec"]["collapse"] == true;
            let mut row = json!({
                "id": id, "type": "row", "title": part["spec"]["title"], "collapsed": closed,
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}, "panels": [],
            });
            if let Some(variable) = part["spec"]["repeat"]["value"].as_str() {
                row["repeat"] = json!(variable);
            }
            if closed {
                row["panels"] = Value::Array(std::mem::take(&mut inside));
            }
            panels.push(row);
            panels.extend(inside);
        }
        for item in list(&spec["items"]) {
            panels.push(self.item(&item["spec"]));
        }
    }

    fn item(&mut self, item: &Value) -> Value {
        let name = item["element"]["name"].as_str().unwrap_or_default();
        let element = &self.elements[name]["spec"];
        let mut panel = json!({
            "id": element["id"], "title": element["title"], "gridPos": {"x": item["x"], "y": self.y, "w": 12, "h": 8},
        });
        self.y += 8;
        if let Some(library) = element.get("libraryPanel") {
            panel["libraryPanel"] = library.clone();
        } else {
            panel["type"] = element["vizConfig"]["group"].clone();
        }
        if let Some(variable) = item["repeat"]["value"].as_str() {
            panel["repeat"] = json!(variable);
        }
        panel
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Facts 1.2: 8 to 9.2 put the model of the library in place of the stub; of one that is gone, `type` tells.
pub fn with_library_panels_in_full(mut dashboard: Value) -> Value {
    each_library_panel(&mut dashboard, &mut |panel| {
        let (name, uid) = (panel["libraryPanel"]["name"].clone(), panel["libraryPanel"]["uid"].clone());
        if panel["libraryPanel"]["gone"] == true {
            panel.insert("type".to_owned(), json!(format!("Name: {name}, UID: {uid}")));
            return;
        }
        panel.insert("type".to_owned(), json!("timeseries"));
        panel.entry("title").or_insert(name);
    });
    dashboard
}

/// Facts 1.2: since 9.3 only `{id, gridPos, title?, libraryPanel:{uid,name}}` comes.
pub fn with_library_panels_as_stubs(mut dashboard: Value) -> Value {
    each_library_panel(&mut dashboard, &mut |panel| {
        panel.retain(|key, _| ["id", "gridPos", "title", "libraryPanel"].contains(&key.as_str()));
    });
    dashboard
}

fn each_library_panel(part: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    for panel in part["panels"].as_array_mut().into_iter().flatten() {
        if panel.get("panels").is_some() {
            each_library_panel(panel, change);
        }
        match panel {
            Value::Object(panel) if panel.contains_key("libraryPanel") => change(panel),
            _ => {}
        }
    }
}
