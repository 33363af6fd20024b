//! All dashboards that the login may see: `GET /api/search`, page by page (facts 1.1).

use std::collections::HashSet;

use serde::Deserialize;

use super::client::Grafana;
use super::error::Error;

/// What every version takes, and what it gives when nothing is said; above 5000 is refused.
const PAGE: usize = 1000;

/// The name of the folder that is none.
const ROOT_FOLDER: &str = "General";

/// A dashboard as the search tells it. Only `uid` is a key: ids can pass 2^50 and differ between servers.
#[derive(Clone, Debug, Deserialize)]
pub struct Hit {
    /// At most 40 characters of `[a-zA-Z0-9_-]`.
    pub uid: String,
    /// As shown; need not be unique.
    #[serde(default)]
    pub title: String,
    /// Path of its page, with the sub path: `/grafana/d/UID/slug`.
    #[serde(default)]
    pub url: String,
    #[serde(default, rename = "folderTitle")]
    folder_title: Option<String>,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Hit {
    /// The folder's title. For dashboards in the root the search says nothing.
    pub fn folder(&self) -> &str {
        self.folder_title.as_deref().filter(|title| !title.is_empty()).unwrap_or(ROOT_FOLDER)
    }

    /// The same, but nothing for dashboards in the root.
    pub fn in_folder(&self) -> Option<&str> {
        self.folder_title.as_deref().filter(|title| !title.is_empty() && *title != ROOT_FOLDER)
    }

    /// The last part of the page's path.
    pub fn slug(&self) -> Option<&str> {
        self.url.split_once(&format!("/d/{}/", self.uid)).map(|(_, slug)| slug)
    }
}

impl Grafana {
    /// Every dashboard, in Grafana's order. There is no total: a page that is not full is the last one.
    pub fn dashboards(&self) -> Result<Vec<Hit>, Error> {
        let mut all: Vec<Hit> = Vec::new();
        let mut seen = HashSet::new();
        for page in 1.. {
            let path = format!("/api/search?type=dash-db&limit={PAGE}&page={page}");
            let hits: Vec<Hit> = self.json(&path, "the list of dashboards")?;
            let (full, before) = (hits.len() >= PAGE, all.len());
            // A dashboard moves to a later page when another is made meanwhile; a folder is not asked for.
            all.extend(
                hits.into_iter()
                    .filter(|hit| hit.kind.is_empty() || hit.kind == "dash-db")
                    .filter(|hit| seen.insert(hit.uid.clone())),
            );
            if !full || all.len() == before {
                break;
            }
        }
        Ok(all)
    }
}
