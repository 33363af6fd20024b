//! `--metrics ADDR` of the tools that listen for nothing else.

use std::thread;

use tiny_http::{Header, Response, Server};

/// Serves the text that `scrape` makes on `/metrics`, and `/-/healthy`, for ever.
pub fn serve(address: &str, scrape: impl Fn() -> String + Send + 'static) -> Result<std::net::SocketAddr, String> {
    let server = Server::http(address).map_err(|err| format!("cannot listen on {address} for metrics: {err}"))?;
    let bound = server.server_addr().to_ip().ok_or("no address")?;
    thread::spawn(move || {
        for request in server.incoming_requests() {
            let response = match request.url() {
                "/metrics" => Response::from_string(scrape()),
                "/-/healthy" => Response::from_string("healthy\n"),
                _ => Response::from_string("see /metrics\n").with_status_code(404),
            };
            let _ = request.respond(match Header::from_bytes("Content-Type", CONTENT_TYPE) {
                Ok(header) => response.with_header(header),
                Err(()) => response,
            });
        }
    });
    Ok(bound)
}

/// The text format that `prometheus_client` writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
