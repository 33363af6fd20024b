//! The variables of a dashboard, with the values that are stored with it. What a data source would give for a query
//! today is known to the browser only.

use serde_json::Value;

use super::classic::text;

/// The value that stands for all of them (templating/constants.ts, ALL_VARIABLE_VALUE).
pub const ALL: &str = "$__all";

/// What a variable is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VariableKind {
    /// A list written by hand.
    Custom,
    /// Lengths of time.
    Interval,
    /// One fixed value.
    Constant,
    /// Whatever is typed.
    Text,
    /// The answer of a data source.
    Query,
    /// Data sources of one type.
    DataSource,
    /// Filters made in the browser.
    AdHoc,
    /// Labels to group by.
    GroupBy,
    /// One of two values.
    Switch,
    /// One that came after this was written.
    #[default]
    Other,
}

/// A variable as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    /// As in `$name` and `var-name`.
    pub name: String,
    /// As shown; empty if it is the name.
    pub label: String,
    /// What it is.
    pub kind: VariableKind,
    /// The values that are known, as shown and as sent, [`ALL`] among them if that may be chosen.
    pub values: Vec<(String, String)>,
    /// The values that are chosen where nobody chooses others, as shown and as sent.
    pub current: Vec<(String, String)>,
    /// Several may be chosen.
    pub multi: bool,
    /// All may be chosen.
    pub include_all: bool,
    /// Not shown on the page.
    pub hidden: bool,
    /// `var-name` in an address changes nothing.
    pub skip_url: bool,
}

impl Variable {
    /// What people call it.
    pub fn shown_name(&self) -> &str {
        if self.label.is_empty() { &self.name } else { &self.label }
    }

    /// A variable of the classic JSON: `templating.list[]`.
    pub(super) fn classic(stored: &Value) -> Option<Variable> {
        let kind = match stored["type"].as_str().unwrap_or_default() {
            "custom" => VariableKind::Custom,
            "interval" => VariableKind::Interval,
            "constant" => VariableKind::Constant,
            "textbox" => VariableKind::Text,
            "query" => VariableKind::Query,
            "datasource" => VariableKind::DataSource,
            "adhoc" => VariableKind::AdHoc,
            "groupby" => VariableKind::GroupBy,
            "switch" => VariableKind::Switch,
            _ => VariableKind::Other,
        };
        Variable::read(stored, kind)
    }

    /// A variable of schema v2: `{"kind":"CustomVariable","spec":{...}}`.
    pub(super) fn schema2(stored: &Value) -> Option<Variable> {
        let kind = match stored["kind"].as_str().unwrap_or_default() {
            "CustomVariable" => VariableKind::Custom,
            "IntervalVariable" => VariableKind::Interval,
            "ConstantVariable" => VariableKind::Constant,
            "TextVariable" => VariableKind::Text,
            "QueryVariable" => VariableKind::Query,
            "DatasourceVariable" => VariableKind::DataSource,
            "AdhocVariable" => VariableKind::AdHoc,
            "GroupByVariable" => VariableKind::GroupBy,
            "SwitchVariable" => VariableKind::Switch,
            _ => VariableKind::Other,
        };
        Variable::read(&stored["spec"], kind)
    }

    /// Both forms have the same members. Any of them can be missing or of another shape: old dashboards are not
    /// migrated in the store.
    fn read(stored: &Value, kind: VariableKind) -> Option<Variable> {
        let is_true = |name: &str| stored[name] == true;
        let mut variable = Variable {
            name: stored["name"].as_str()?.to_owned(),
            label: stored["label"].as_str().unwrap_or_default().to_owned(),
            kind,
            values: options(stored, kind),
            current: current(&stored["current"]),
            multi: is_true("multi"),
            include_all: is_true("includeAll"),
            hidden: stored["hide"] == 2 || stored["hide"] == "hideVariable",
            skip_url: is_true("skipUrlSync"),
        };
        if variable.include_all && variable.values.iter().all(|(_, value)| value != ALL) && !variable.values.is_empty()
        {
            variable.values.insert(0, ("All".to_owned(), ALL.to_owned()));
        }
        Some(variable)
    }
}

/// The stored options; for lists written by hand, which newer versions store without, what the list says.
fn options(stored: &Value, kind: VariableKind) -> Vec<(String, String)> {
    let stored_options = stored["options"].as_array().into_iter().flatten();
    let mut options: Vec<(String, String)> = stored_options.flat_map(current).collect();
    let written = stored["query"].as_str().unwrap_or_default();
    let same = |value: String| (value.clone(), value);
    if kind == VariableKind::Switch {
        let values = ["enabledValue", "disabledValue"].iter().filter_map(|name| stored[*name].as_str());
        options.extend(values.map(|value| same(value.to_owned())));
    } else if options.is_empty() {
        match kind {
            VariableKind::Constant if !written.is_empty() => options.push(same(written.to_owned())),
            VariableKind::Interval => options.extend(list(written).map(same)),
            VariableKind::Custom => options.extend(list(written).map(named)),
            _ => {}
        }
    }
    let mut seen = std::collections::HashSet::new();
    options.retain(|(_, value)| seen.insert(value.clone()));
    options
}

/// `{"text":..., "value":...}`, each one thing or a list of them; or a bare value.
fn current(stored: &Value) -> Vec<(String, String)> {
    let each = |value: &Value| match value {
        Value::Array(all) => all.iter().map(|one| text(Some(one.clone()))).collect(),
        Value::Null => Vec::new(),
        one => vec![text(Some(one.clone()))],
    };
    let (texts, values) = match stored {
        Value::Object(object) if object.contains_key("value") => (each(&stored["text"]), each(&stored["value"])),
        Value::String(_) => (Vec::new(), each(stored)),
        _ => return Vec::new(),
    };
    // One text for several values is all of them in one line: "server1 + server2".
    let apart = texts.len() == values.len();
    let shown = |n: usize, value: &String| if apart { texts[n].clone() } else { value.clone() };
    let pairs = values.iter().enumerate().map(|(n, value)| (shown(n, value), value.clone()));
    pairs.filter(|(_, value)| !value.is_empty()).collect()
}

/// `a, b\, c` (variables/custom/reducer or CustomVariable.tsx: commas, `\,` for one inside).
fn list(written: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in written.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            ',' if !escaped => parts.push(String::new()),
            c => {
                let last = parts.len() - 1;
                if escaped && c != ',' {
                    parts[last].push('\\');
                }
                parts[last].push(c);
                escaped = false;
            }
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty())
}

/// `text : value`, or both in one.
fn named(part: String) -> (String, String) {
    match part.split_once(" : ") {
        Some((text, value)) => (text.trim().to_owned(), value.trim().to_owned()),
        None => (part.clone(), part),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pairs(values: &[&str]) -> Vec<(String, String)> {
        values.iter().map(|value| named((*value).to_owned())).collect()
    }

    #[test]
    fn values_are_found_wherever_a_version_stores_them() {
        let option = |text: &str, value: &str| json!({"selected": false, "text": text, "value": value});
        for (stored, values, current) in [
            (
                json!({"name": "a", "type": "custom", "query": "x", "includeAll": true, "current": {"text": ["All"], "value": ["$__all"]},
                       "options": [option("All", "$__all"), option("0", "0"), option("1", "1")]}),
                pairs(&["All : $__all", "0", "1"]),
                pairs(&["All : $__all"]),
            ),
            (
                json!({"name": "a", "type": "custom", "query": "Web : web1, b\\,c,,d\\e", "includeAll": true, "options": []}),
                pairs(&["All : $__all", "Web : web1", "b,c", "d\\e"]),
                vec![],
            ),
            (json!({"name": "a", "type": "interval", "query": "1m,10m, 1h"}), pairs(&["1m", "10m", "1h"]), vec![]),
            (json!({"name": "a", "type": "constant", "query": "eu"}), pairs(&["eu"]), vec![]),
            (
                json!({"name": "a", "type": "query", "includeAll": true, "query": {"query": "label_values(x)"},
                    "current": {"text": "a + b", "value": ["a", "b"]}, "options": []}),
                vec![],
                pairs(&["a", "b"]),
            ),
            (
                json!({"name": "a", "type": "query", "query": "label_values(x)", "current": {}, "options": [option("a", "a"), option("b", "b"), option("a", "a")]}),
                pairs(&["a", "b"]),
                vec![],
            ),
            (
                json!({"name": "a", "type": "datasource", "query": "prometheus", "current": {"text": "Main", "value": "uid1"}}),
                vec![],
                pairs(&["Main : uid1"]),
            ),
            (json!({"name": "a", "type": "adhoc", "filters": []}), vec![], vec![]),
            (
                json!({"name": "a", "type": "switch", "current": "on", "enabledValue": "on", "disabledValue": "off"}),
                pairs(&["on", "off"]),
                pairs(&["on"]),
            ),
            (
                json!({"name": "a", "type": 7, "options": {"x": 1}, "current": [1], "query": null, "hide": "x"}),
                vec![],
                vec![],
            ),
        ] {
            let variable = Variable::classic(&stored).unwrap();
            assert_eq!((&variable.values, &variable.current), (&values, &current), "{stored}");
        }
        assert_eq!(Variable::classic(&json!({"type": "custom"})), None);
    }

    #[test]
    fn the_newer_schema_says_the_same_in_other_words() {
        let stored = json!({"kind": "CustomVariable", "spec": {"name": "ring", "label": "Ring", "query": "a,b", "hide": "hideVariable", "multi": true,
            "includeAll": true, "skipUrlSync": true, "options": [], "current": {"text": "a", "value": "a"}}});
        let variable = Variable::schema2(&stored).unwrap();
        let expected = Variable {
            name: "ring".into(),
            label: "Ring".into(),
            kind: VariableKind::Custom,
            values: pairs(&["All : $__all", "a", "b"]),
            current: pairs(&["a"]),
            multi: true,
            include_all: true,
            hidden: true,
            skip_url: true,
        };
        assert_eq!(variable, expected);
    }
}
