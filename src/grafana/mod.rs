//! Grafana 8 to 13 as this project needs it: which dashboards and panels there are, and a panel as a picture that is
//! sure to be one. It does not print, and it writes nothing to Grafana.
//!
//! "Facts" in the comments are `facts/grafana.md` of the project's papers, by section; each names its source in
//! Grafana's code.
//!
//! ```no_run
//! use prometheus_telegram::grafana::{Grafana, Settings, Shot};
//!
//! # fn main() -> Result<(), prometheus_telegram::grafana::Error> {
//! let grafana = Grafana::new(&Settings { url: "http://localhost:3000".to_owned(), ..Settings::default() })?;
//! for hit in grafana.dashboards()? {
//!     let dashboard = grafana.dashboard(&hit.uid)?;
//!     let Some(id) = dashboard.panels.first().and_then(|panel| panel.id) else { continue };
//!     let picture = grafana.render(&dashboard, id, &Shot::default())?;
//!     assert!(picture.png.starts_with(b"\x89PNG"));
//! }
//! # Ok(())
//! # }
//! ```

mod classic;
mod client;
mod dashboard;
mod error;
mod link;
mod listing;
mod lookup;
mod options;
mod output;
mod picture;
mod recent;
mod refusal;
mod render;
mod repeat;
mod schema2;
mod search;
mod settings;
mod variable;
pub mod when;

pub use client::Grafana;
pub use dashboard::{Dashboard, Panel};
pub use error::{Error, Kind};
pub use link::Link;
pub use listing::{Form, list_dashboards, list_panels};
pub use lookup::{Meaning, Miss, dashboard_named, panel_named};
pub use options::{Options, Target};
pub use output::Output;
pub use picture::Size;
pub use recent::Recent;
pub use render::{Picture, Shot, Theme};
pub use repeat::Picked;
pub use search::Hit;
pub use settings::{Login, Settings};
pub use variable::{ALL, Variable, VariableKind};
