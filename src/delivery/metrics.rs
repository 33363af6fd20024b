//! What tg-send counts, named by Prometheus's conventions.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use super::settle::Settlement;
use crate::http::Response;
use crate::metrics::Set;

type Labels = [(&'static str, &'static str); 1];

/// All of them, and the parts of it that are counted by hand.
pub struct Metrics {
    set: Set,
    /// Records accepted into the outbox.
    pub accepted: Counter,
    /// Records whose key was known already.
    pub known: Counter,
    /// Records told.
    pub told: Counter,
    /// Messages that were not told by their call and go out again.
    pub retried: Counter,
    /// Records set aside and not put right.
    pub failed: Gauge,
    /// Records that wait.
    pub waiting: Gauge,
    /// Chats that cannot be reached.
    pub gone: Gauge,
    /// Calls that wait for their answer.
    pub in_flight: Gauge,
    /// When the oldest record that waits was accepted, in seconds since 1970; 0 when none waits.
    pub oldest: Gauge,
    calls: Family<Labels, Counter>,
    duration: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut set = Set::new("tg_send");
        let buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
        Metrics {
            accepted: set.add("records_accepted", "Records written to the outbox"),
            known: set.add("records_known", "Records left out because they were told or wait"),
            told: set.add("records_told", "Records told"),
            retried: set.add("messages_retried", "Messages sent again after a failed call"),
            failed: set.add("records_failed", "Records set aside, see --failed"),
            waiting: set.add("records_waiting", "Records that wait in the outbox"),
            gone: set.add("chats_gone", "Chats that cannot be reached"),
            in_flight: set.add("calls_in_flight", "Calls that wait for their answer"),
            oldest: set.add_in(
                Unit::Seconds,
                "oldest_waiting_timestamp",
                "When the oldest record that waits was accepted; 0 when none waits",
            ),
            calls: set.add("calls", "Calls of the Bot API, by verdict"),
            duration: set.add_made(Unit::Seconds, "call_duration", "Duration of calls", Histogram::new(buckets)),
            set,
        }
    }
}

impl Metrics {
    /// A call came back.
    pub(super) fn answered(&self, settlement: &Settlement, took: Duration) {
        let verdict = match settlement {
            Settlement::Told(..) | Settlement::Works => "done",
            Settlement::Flood(..) => "flood",
            Settlement::Later(_) => "unreachable",
            Settlement::Again(_) => "unsure",
            Settlement::ServerError(_) => "server_error",
            Settlement::Moved(_) => "moved",
            Settlement::Gone(..) => "gone",
            Settlement::Changed(_) | Settlement::Alone(_) => "changed",
            Settlement::Aside(_) => "never",
            Settlement::Stop(_) => "unauthorized",
        };
        self.calls.get_or_create(&[("verdict", verdict)]).inc();
        self.duration.observe(took.as_secs_f64());
    }

    /// The answer to a scrape.
    pub fn response(&self) -> Response {
        self.set.response()
    }
}
