//! What there is to see, for eyes and for scripts: tab-separated lines or JSON lines.

use std::io::{self, Write};

use serde_json::json;

use super::dashboard::Dashboard;
use super::search::Hit;
use crate::printable::printable;

/// The form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Tab-separated; tabs and line ends inside a name become blanks.
    #[default]
    Tsv,
    /// A JSON object a line.
    Json,
}

/// Writes `uid, folder, title`.
pub fn list_dashboards(hits: &[Hit], form: Form, out: &mut impl Write) -> io::Result<()> {
    for hit in hits {
        match form {
            Form::Tsv => line(out, &[&hit.uid, hit.folder(), &hit.title])?,
            Form::Json => {
                let object = json!({"uid": hit.uid, "folder": hit.folder(), "title": hit.title, "url": hit.url});
                writeln!(out, "{object}")?;
            }
        }
    }
    out.flush()
}

/// Writes `id, type, tab and row, title`, as seen from top to bottom: line 3 is the panel `#3`.
pub fn list_panels(dashboard: &Dashboard, form: Form, out: &mut impl Write) -> io::Result<()> {
    for panel in &dashboard.panels {
        let id = panel.id.map(|id| id.to_string()).unwrap_or_default();
        match form {
            Form::Tsv => line(out, &[&id, &panel.kind, &panel.heading(), &panel.title])?,
            Form::Json => {
                let object = json!({
                    "id": panel.id, "type": panel.kind, "tab": panel.tab, "row": panel.row, "title": panel.title,
                    "repeat": panel.repeat, "row_repeat": panel.row_repeat,
                });
                writeln!(out, "{object}")?;
            }
        }
    }
    out.flush()
}

fn line(out: &mut impl Write, columns: &[&str]) -> io::Result<()> {
    let clean = |text: &&str| printable(&text.replace(|c: char| c.is_control(), " ")).into_owned();
    writeln!(out, "{}", columns.iter().map(clean).collect::<Vec<_>>().join("\t"))
}
