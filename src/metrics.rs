//! What the tools' counters have in common: the text of a scrape, and `--metrics ADDR` of the tools that listen for
//! nothing else.

use std::net::{TcpListener, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::fd;
use crate::http::{self, Limits, Response};

/// A scrape is a short request without a body.
const LIMITS: Limits =
    Limits { head: 16 << 10, body: 1 << 10, patience: Duration::from_secs(10), idle: Duration::from_secs(120) };

/// Scrapers at a time.
const MOST: usize = 16;

/// The metrics of a tool, named by Prometheus's conventions. Counters get their `_total` when they are written.
#[derive(Debug)]
pub struct Set(Registry);

impl Set {
    /// All names begin with `tool`.
    pub fn new(tool: &str) -> Self {
        Set(Registry::with_prefix(tool))
    }

    /// Adds a counter, a gauge or a family of them, and returns it for counting.
    pub fn add<M: Metric + Clone + Default>(&mut self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.0.register(name, help, metric.clone());
        metric
    }

    /// Adds one whose name ends in its unit.
    pub fn add_in<M: Metric + Clone + Default>(&mut self, unit: Unit, name: &str, help: &str) -> M {
        self.add_made(unit, name, help, M::default())
    }

    /// Adds one that cannot be made without knowing more, as a histogram and its buckets.
    pub fn add_made<M: Metric + Clone>(&mut self, unit: Unit, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, unit, metric.clone());
        metric
    }

    /// The answer to a scrape.
    pub fn response(&self) -> Response {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.0);
        Response::new(200, "application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    }
}

/// Serves what `scrape` answers on `/metrics`, and `/-/healthy`, for ever: on the socket named `metrics` that systemd
/// passed, else at `address`.
///
/// Alerts are told also where nobody can scrape, so a port that is taken is an error in the log and no more; an address
/// that is none is an error of the caller's.
pub fn listen(address: &str, scrape: impl Fn() -> Response + Send + Sync + 'static) -> Result<(), String> {
    listen_while(address, scrape, || true)
}

/// The same for a tool that can lose its health; then `/-/healthy` answers 503.
pub fn listen_while(
    address: &str,
    scrape: impl Fn() -> Response + Send + Sync + 'static,
    is_healthy: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<(), String> {
    let listener = match fd::passed_listener("metrics") {
        Some(listener) => Ok(listener),
        None => {
            let wrong = |err| format!("{address:?} is no address to serve metrics on: {err}");
            TcpListener::bind(address.to_socket_addrs().map_err(wrong)?.collect::<Vec<_>>().as_slice())
        }
    };
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (bound, listener) = match bound {
        Ok(bound) => bound,
        Err(err) => {
            log::error!("cannot listen on {address} for metrics: {err}; going on without");
            return Ok(());
        }
    };
    crate::notice!("metrics on http://{bound}/metrics");
    thread::spawn(move || {
        http::serve(&listener, LIMITS, MOST, move |connection, head| {
            let response = match head.path() {
                "/metrics" => scrape(),
                "/-/healthy" if is_healthy() => Response::text(200, "healthy"),
                "/-/healthy" => Response::text(503, "not healthy, see the log"),
                _ => Response::text(404, "see /metrics"),
            };
            connection.write(&response.bytes()).is_ok() && head.header("content-length").is_empty()
        });
    });
    Ok(())
}
