//! All dashboards that the login may see: `GET /api/search`, page by page (facts 1.1).

use std::collections::HashSet;

use serde::Deserialize;

use super::client::Grafana;
use super::error::Error;

/// What every version takes, and what it gives when nothing is said; above 5000 is refused.
const PAGE: usize = 1000;

/// Pages that are asked for: ten times the largest Grafana that was heard of. A server that always has one more is none.
const PAGES: usize = 50;

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
        for page in 1..=PAGES {
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
                return Ok(all);
            }
        }
        log::warn!("grafana has more than {} dashboards: the rest is left out", all.len());
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::grafana::Settings;
    use crate::http::{self, Limits, Response};

    /// A Grafana that answers every question with what `answer` makes of its number, and how many it was asked.
    fn grafana(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> (Grafana, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let patience = Duration::from_secs(60);
        let limits = Limits { head: 16 << 10, body: 1 << 10, patience, idle: patience };
        std::thread::spawn(move || {
            http::serve(&listener, limits, 8, move |connection, _| {
                let body = answer(count.fetch_add(1, Ordering::SeqCst));
                connection.write(&Response::new(200, "application/json", body).bytes()).is_ok()
            })
        });
        (Grafana::new(&Settings { url, retries: 0, ..Settings::default() }).unwrap(), asked)
    }

    #[test]
    fn a_list_without_an_end_is_not_read_for_ever() {
        let (grafana, asked) = grafana(|page| {
            let hits: Vec<_> = (0..PAGE).map(|n| serde_json::json!({"uid": format!("{page}-{n}")})).collect();
            serde_json::to_string(&hits).unwrap()
        });
        assert_eq!(grafana.dashboards().unwrap().len(), PAGES * PAGE);
        assert_eq!(asked.load(Ordering::SeqCst), PAGES);
    }

    #[test]
    fn an_answer_without_an_end_is_not_kept() {
        let (grafana, _) = grafana(|_| format!("[{}]", " ".repeat(33 << 20)));
        assert!(grafana.dashboards().is_err());
    }
}
