//! What survives what, by the table of systemd/README.md, beyond a life: Telegram out of reach, services that are down for
//! long, two that are down together, and a FIFO that is restarted.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::load::*;
use crate::harness::*;
use crate::life::{URL, has_text, ready};
use crate::machine::{Machine, alone};

/// Those whose end a webhook could suffer from.
const PIPE: [&str; 3] = ["am-recv", "alert-route", "tg-send"];

/// Alerts of a run under load.
const ALERTS: usize = 500;

fn is_up(machine: &Machine, daemon: &str) -> bool {
    machine.show(daemon, "ActiveState") == "active" && machine.show(daemon, "MainPID") != "0"
}

#[test]
fn what_the_table_says_of_telegram_and_of_a_long_stop_is_so() {
    alone("survival::what_the_table_says_of_telegram_and_of_a_long_stop_is_so", || {
        let (machine, sandbox) = ready("survival");
        let status = || machine.show("tg-send", "StatusText");
        sandbox.rules(json!({"match": {}, "times": -1, "do": {"rst": "on_accept"}}));
        assert_eq!(post(URL, &webhook(&["AlertOfAnOutage"])), 200);
        until("tg-send to say that something waits and Telegram is away", || {
            let said = status();
            (said.contains("out of reach") && !said.starts_with("0 ")).then_some(())
        });
        assert!(is_up(&machine, "tg-send"));
        sandbox.clear_rules();
        has_text(&sandbox, 1, "AlertOfAnOutage");
        until("tg-send to say that all is told", || {
            let said = status();
            (!said.contains("out of reach") && said.starts_with("0 ")).then_some(())
        });

        for daemon in ["tg-send", "alert-route"] {
            machine.run(&format!("systemctl stop {daemon}"));
            let (name, start) = (format!("AlertWithout-{daemon}-"), Instant::now());
            assert_eq!(post(URL, &webhook(&[&name])), 503, "{daemon}");
            assert!(start.elapsed() >= Duration::from_secs(9), "{daemon}: {:?}", start.elapsed());
            machine.run(&format!("systemctl start {daemon}"));
            // As Alertmanager, which comes again.
            assert_eq!(post(URL, &webhook(&[&name])), 200, "{daemon}");
            has_text(&sandbox, 1, &name);
        }
        assert_eq!(post(URL, &webhook(&["AlertOfTheEnd"])), 200);
        // Order holds within a chat: what would be told twice was told before this.
        has_text(&sandbox, 1, "AlertOfTheEnd");
        for name in ["AlertOfAnOutage", "AlertWithout-tg-send-", "AlertWithout-alert-route-"] {
            let told = sandbox.everything(1).concat().matches(&format!("summary of {name}")).count();
            assert_eq!(told, 1, "{name}");
        }
    });
}

/// What is done to a service.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Kill,
    Stop,
    Restart,
}

impl Deed {
    fn to(self, machine: &Machine, daemon: &str) {
        match self {
            // The signal may find it gone: the other one's end can be its end.
            Deed::Kill => drop(machine.output(&format!("systemctl kill -s KILL {daemon}"))),
            Deed::Stop => drop(machine.run(&format!("systemctl stop {daemon}"))),
            Deed::Restart => drop(machine.run(&format!("systemctl restart {daemon}"))),
        }
    }
}

/// Each ordered pair twice, so that every deed meets every other.
fn plan() -> Vec<[(Deed, &'static str); 2]> {
    let pairs = PIPE.iter().flat_map(|one| PIPE.iter().map(move |other| (*one, *other)));
    let pairs = pairs.filter(|(one, other)| one != other).enumerate();
    let deeds = pairs.flat_map(|(n, (one, other))| {
        let (first, second) = if n % 2 == 0 { (Deed::Kill, Deed::Restart) } else { (Deed::Restart, Deed::Kill) };
        [[(Deed::Stop, one), (first, other)], [(Deed::Kill, one), (second, other)]]
    });
    deeds.collect()
}

#[test]
fn nothing_is_lost_when_two_are_down_together_or_a_fifo_is_restarted() {
    alone("survival::nothing_is_lost_when_two_are_down_together_or_a_fifo_is_restarted", || {
        let (machine, sandbox) = ready("pairs");
        let all_up = || until("all of the pipe to be up", || PIPE.iter().all(|one| is_up(&machine, one)).then_some(()));
        let (mut together, mut kills, start) = (0, 0, Instant::now());
        under_load(URL, ALERTS, Duration::from_millis(100), || {
            for [(deed, one), (other_deed, other)] in plan() {
                deed.to(&machine, one);
                let gone = !is_up(&machine, one);
                other_deed.to(&machine, other);
                together += usize::from(gone);
                kills +=
                    [(deed, one), (other_deed, other)].iter().filter(|done| **done == (Deed::Kill, "tg-send")).count();
                machine.run(&format!("systemctl start {one}"));
                all_up();
            }
            // What waits in a FIFO goes with it; it was not answered with 200.
            for fifo in ["am-lines.socket", "tg-records.socket"] {
                machine.run(&format!("systemctl restart {fifo}"));
                all_up();
            }
            let told = told(&sandbox, 1).times.len();
            eprintln!("  {told} of {ALERTS} told at the end of the deeds, after {} s", start.elapsed().as_secs());
        });
        eprintln!("  {} pairs of deeds, {together} with the first of them down; 2 restarts of a FIFO", plan().len());
        assert!(together >= plan().len() / 2, "{together}");
        // The group may be told 20 messages a minute, and so be behind for another one.
        check(&sandbox, &[1], ALERTS, kills);
        assert_eq!(sandbox.everything(3).len(), 0);
    });
}
