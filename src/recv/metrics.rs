//! What am-recv counts, named by Prometheus's conventions.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::http::Response;
use crate::metrics::Set;

type Labels = [(&'static str, String); 1];

/// All of them, and the parts of it that are counted by hand.
pub struct Metrics {
    set: Set,
    requests: Family<Labels, Counter>,
    alerts: Counter,
    bytes: Counter,
    duration: Histogram,
    open: Gauge,
    queued: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut set = Set::new("am_recv");
        let buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 10.0];
        Metrics {
            requests: set.add("http_requests", "Requests answered, by status code"),
            alerts: set.add("alerts_accepted", "Alerts in webhooks answered with 200"),
            bytes: set.add_in(Unit::Bytes, "webhooks_accepted", "Bytes of webhooks answered with 200"),
            duration: set.add_made(
                Unit::Seconds,
                "webhook_duration",
                "From the request to its 200",
                Histogram::new(buckets),
            ),
            open: set.add("open_requests", "Requests that wait for their answer"),
            queued: set.add_in(Unit::Bytes, "queued", "Lines that wait for their reader"),
            set,
        }
    }
}

impl Metrics {
    /// A request was answered.
    pub fn answered(&self, status: u16) {
        self.requests.get_or_create(&[("code", status.to_string())]).inc();
    }

    /// A webhook was accepted.
    pub fn accepted(&self, alerts: usize, bytes: usize, after: Duration) {
        self.alerts.inc_by(alerts as u64);
        self.bytes.inc_by(bytes as u64);
        self.duration.observe(after.as_secs_f64());
    }

    /// The answer to a scrape.
    pub fn response(&self, open: usize, queued: usize) -> Response {
        self.open.set(i64::try_from(open).unwrap_or(i64::MAX));
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        self.set.response()
    }
}
