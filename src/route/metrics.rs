//! What alert-route counts, named by Prometheus's conventions.

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use crate::http::Response;
use crate::metrics::Set;

/// Families are counted by one label.
pub(super) type By<M> = Family<[(&'static str, String); 1], M>;

/// All of them, and the parts that are counted by hand.
#[derive(Debug)]
pub struct Metrics {
    set: Set,
    pub(super) lines: Counter,
    pub(super) bad: Counter,
    alerts: By<Counter>,
    pub(super) records: Counter,
    pub(super) unwanted: Counter,
    pub(super) chats: Gauge,
    pub(super) warnings: Gauge,
    pub(super) admins: Gauge,
    reload_ok: Gauge,
    reload_at: Gauge,
    pub(super) seen: Gauge,
    pub(super) unsaved: Counter,
    heard_at: By<Gauge>,
    silent: By<Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut set = Set::new("alert_route");
        Metrics {
            lines: set.add("lines", "Lines read"),
            bad: set.add("lines_bad", "Lines that were no webhook, and skipped"),
            alerts: set.add("alerts", "Alerts in webhooks, by status"),
            records: set.add("records", "Records written"),
            unwanted: set.add("alerts_unwanted", "Alerts that no chat wanted, or could be told of"),
            chats: set.add("users_chats", "Chats in the users file"),
            warnings: set.add("users_warnings", "Entries of the users file that are skipped, see the log"),
            admins: set.add("admins", "Chats that are told of a silent Alertmanager"),
            reload_ok: set.add("users_last_reload_successful", "Whether the users file could be read last"),
            reload_at: set.add_in(
                Unit::Seconds,
                "users_last_reload_success_timestamp",
                "When the users file that is in force was read",
            ),
            seen: set.add("seen_alerts", "Alerts that are kept for tg-bot"),
            unsaved: set.add("seen_write_failures", "Failures to write the file of --seen"),
            heard_at: set.add_in(
                Unit::Seconds,
                "watchdog_last_heard_timestamp",
                "When the alert came last; 0 when it never did",
            ),
            silent: set.add("watchdog_silent", "Whether the alert has not come for too long"),
            set,
        }
    }
}

impl Metrics {
    pub(super) fn alert(&self, status: &str) {
        self.alerts.get_or_create(&[("status", status.to_owned())]).inc();
    }

    pub(super) fn reloaded(&self, is_fine: bool, now: Timestamp) {
        self.reload_ok.set(is_fine.into());
        if is_fine {
            self.reload_at.set(now.as_second());
        }
    }

    pub(super) fn watchdog(&self, name: &str, heard: Option<Timestamp>, is_silent: bool) {
        let labels = [("alertname", name.to_owned())];
        self.heard_at.get_or_create(&labels).set(heard.map_or(0, Timestamp::as_second));
        self.silent.get_or_create(&labels).set(is_silent.into());
    }

    /// The answer to a scrape.
    pub fn response(&self) -> Response {
        self.set.response()
    }
}
