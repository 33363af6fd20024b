//! What tg-bot counts, named by Prometheus's conventions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::http::Response;
use crate::metrics::Set;
use crate::verdict::Verdict;

type Labels = [(&'static str, &'static str); 1];

/// All of them, and the parts of it that are counted by hand.
pub struct Metrics {
    set: Set,
    /// Updates that had an effect, or none by right.
    pub handled: Counter,
    /// Updates left out because too many of the same chat waited.
    pub left_out: Counter,
    /// Messages of people who are not let in.
    pub strangers: Counter,
    conflicts: Counter,
    polled: Gauge,
    waiting: Gauge,
    calls: Family<Labels, Counter>,
    pictures: Family<Labels, Counter>,
    drawing: Histogram,
    /// A thread is gone without which nothing goes on.
    is_broken: AtomicBool,
}

/// Held by a thread without which nothing goes on; its end is the end of good health.
pub struct Needed(Arc<Metrics>);

impl Drop for Needed {
    fn drop(&mut self) {
        self.0.is_broken.store(true, Ordering::SeqCst);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut set = Set::new("tg_bot");
        let buckets = [0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
        Metrics {
            handled: set.add("updates_handled", "Updates handled"),
            left_out: set.add("updates_left_out", "Updates left out: too many of one chat"),
            strangers: set.add("strangers", "Messages and presses of those who are not let in"),
            conflicts: set.add("conflicts", "Polls that another program ended"),
            polled: set.add_in(Unit::Seconds, "last_poll_timestamp", "When Telegram last answered a poll"),
            waiting: set.add("calls_waiting", "Messages and other calls that wait"),
            calls: set.add("calls", "Calls of the Bot API, by verdict"),
            pictures: set.add("pictures", "Pictures, by result"),
            drawing: set.add_made(
                Unit::Seconds,
                "picture_duration",
                "Time that Grafana took for a picture",
                Histogram::new(buckets),
            ),
            is_broken: AtomicBool::new(false),
            set,
        }
    }
}

impl Metrics {
    /// For a thread without which nothing goes on.
    pub fn needed(self: &Arc<Self>) -> Needed {
        Needed(self.clone())
    }

    /// Whether all those threads are there that have begun.
    pub fn is_healthy(&self) -> bool {
        !self.is_broken.load(Ordering::SeqCst)
    }

    /// Telegram answered a poll.
    pub fn polled(&self) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.polled.set(i64::try_from(seconds).unwrap_or(0));
    }

    /// Another program polls.
    pub fn conflict(&self) {
        self.conflicts.inc();
    }

    /// So many calls wait.
    pub fn waiting(&self, calls: usize) {
        self.waiting.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// A call was answered.
    pub fn answered(&self, verdict: &Verdict) {
        let verdict = match verdict {
            Verdict::Told { .. } => "done",
            Verdict::Flood(_) => "flood",
            Verdict::Later(_) => "unreachable",
            Verdict::Unsure(_) => "unsure",
            Verdict::ServerError(_) => "server_error",
            Verdict::Moved(_) => "moved",
            Verdict::Gone(_) => "gone",
            Verdict::Change(..) => "changed",
            Verdict::NoChat(_) | Verdict::Never(_) => "never",
            Verdict::Stop(_) => "unauthorized",
        };
        self.calls.get_or_create(&[("verdict", verdict)]).inc();
    }

    /// Counts and times the drawing of a picture.
    pub fn drawing<T, E>(&self, draw: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let start = Instant::now();
        let result = draw();
        self.drawing.observe(start.elapsed().as_secs_f64());
        self.pictures.get_or_create(&[("result", if result.is_ok() { "drawn" } else { "failed" })]).inc();
        result
    }

    /// The answer to a scrape.
    pub fn response(&self) -> Response {
        self.set.response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_gone_is_no_good_health() {
        let metrics = Arc::new(Metrics::default());
        let (first, second) = (metrics.needed(), metrics.needed());
        assert!(metrics.is_healthy());
        drop(first);
        assert!(!metrics.is_healthy());
        drop(second);
        assert!(!metrics.is_healthy());
    }
}
