//! The Grafana stand-in by hand: `cargo run --example grafana-standin -- --generation 13 --fault limit tests/grafana/dashboards`.
//! Prints its URL and the token that it takes, and serves until it is killed.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a part of the tests")]

mod standin;

use std::path::Path;

use lexopt::prelude::*;
use standin::{Fault, Generation, Setup, Standin, Stored, drawing};

const USAGE: &str = "
Usage: grafana-standin [--generation 8|10|12|13] [--fault NAME] [--port N] [--sub-path /grafana] [--chromium] [JSON|DIR ...]

Serves the dashboards in the files (or the *.json files of the directories), as Grafana would, on 127.0.0.1.
Faults: ";

fn main() -> Result<(), lexopt::Error> {
    let mut setup = Setup::new(Generation::V13, Vec::new());
    let mut port = 0_u16;
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("generation") => {
                let name = parser.value()?.string()?;
                setup.generation = Generation::parse(&name).ok_or("no such generation")?;
            }
            Long("fault") => setup.fault = Some(Fault::parse(&parser.value()?.string()?).ok_or("no such fault")?),
            Long("port") => port = parser.value()?.parse()?,
            Long("sub-path") => setup.sub_path = parser.value()?.string()?,
            Long("chromium") => setup.browser = Some(drawing::browser().ok_or("no chromium found")?),
            Value(path) => add(&mut setup, path.as_ref()),
            Long("help") => {
                println!("{}{}", USAGE.trim_start(), Fault::ALL.map(|(name, _)| name).join(", "));
                return Ok(());
            }
            other => return Err(other.unexpected()),
        }
    }
    let token = setup.token.clone().unwrap_or_default();
    let standin = Standin::start_at(&format!("127.0.0.1:{port}"), setup);
    println!("GRAFANA_URL={}\nGRAFANA_TOKEN={token}", standin.url);
    loop {
        std::thread::park();
    }
}

fn add(setup: &mut Setup, path: &Path) {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
        files.sort();
    }
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let stored = Stored::from_json(&json, &name, Some("Files"));
        if !stored.title().is_empty() {
            setup.dashboards.push(stored);
        }
    }
}
