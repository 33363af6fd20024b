//! Repeated panels: Grafana stores only the source, and its page names the clones in ways that changed (facts 1.2). What
//! works everywhere is the source's id with one value of its variable, so the names are taken apart into these.

use super::dashboard::{Dashboard, Panel};
use super::error::Error;

/// A panel and the variables that single out one of its clones.
pub type Picked<'a> = (&'a Panel, Vec<(String, String)>);

impl Dashboard {
    /// The panel that `name` means; understands also the clones' names in links: `panel-3-clone-1` (11.3 to 12.1: which
    /// value it has cannot be told), `value$panel-3` and `row value$value$panel-3` (since 12.2).
    pub fn find_view(&self, name: &str) -> Result<Picked<'_>, Error> {
        let parts: Vec<&str> = name.split('$').collect();
        let Some((id, values)) = parts.split_last().and_then(|(last, values)| Some((clone_id(last)?, values))) else {
            return Ok((self.find_panel(name)?, Vec::new()));
        };
        let panel = self.panel_with_id(id)?;
        // From the inside out: the last value is the panel's if it repeats, the one before it the row's.
        let variables = [&panel.repeat, &panel.row_repeat].into_iter().flatten().cloned();
        Ok((panel, variables.zip(values.iter().rev().map(|value| (*value).to_owned())).collect()))
    }
}

/// `panel-3` and `panel-3-clone-1`, which no title is likely to look like.
fn clone_id(name: &str) -> Option<u64> {
    let name = name.strip_prefix("panel-")?;
    name.split("-clone-").next()?.parse().ok()
}

/// What a person may want to know who draws a repeated panel without saying for which value.
pub fn hint(panel: &Panel, variables: &[(String, String)]) -> Option<String> {
    let mut missing: Vec<&str> = [&panel.repeat, &panel.row_repeat]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .filter(|name| variables.iter().all(|(given, _)| given != name))
        .collect();
    missing.dedup();
    if missing.is_empty() {
        return None;
    }
    let options: Vec<String> = missing.iter().map(|name| format!("--var {name}=VALUE")).collect();
    Some(format!("panel {:?} repeats by ${}: pick one by {}", panel.title, missing.join(" and $"), options.join(" ")))
}
