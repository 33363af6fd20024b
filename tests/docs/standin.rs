//! The Grafana stand-in of tests/grafana, with one dashboard.

#[path = "../grafana/standin/mod.rs"]
#[allow(unused_imports, reason = "tests/grafana uses the rest")]
mod grafana;

use grafana::{Generation, Setup, Standin, Stored};

pub use grafana::Fault;

/// A Grafana with the dashboards of tests/grafana.
pub fn start(fault: Option<Fault>) -> (Standin, String) {
    let files = std::fs::read_dir("tests/grafana/dashboards").unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let dashboards = paths.into_iter().map(|path| {
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        Stored::from_json(&json, &path.file_stem().unwrap().to_string_lossy(), Some("Files"))
    });
    let mut setup = Setup::new(Generation::V13, dashboards.collect());
    setup.fault = fault;
    let token = setup.token.clone().unwrap_or_default();
    (Standin::start_at("127.0.0.1:0", setup), token)
}
