//! A life on a server: installed, configured wrong, started, killed, stopped, upgraded, rebooted, removed.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::load::*;
use crate::harness::*;
use crate::machine::{Machine, alone};
use crate::units::build;

pub const URL: &str = "http://127.0.0.1:8080/";
pub const TOKEN_FILE: &str = "/etc/prometheus-telegram/bot_token";
const DAEMONS: [&str; 4] = ["am-recv", "alert-route", "tg-send", "tg-bot"];

const SOCKETS: [&str; 4] = ["am-recv.socket", "am-lines.socket", "tg-records.socket", "alert-route-metrics.socket"];

/// Alerts of a run under load.
const ALERTS: usize = 2400;

/// As the words after `scripts/install` say it.
fn install(machine: &Machine) {
    machine.run(&format!("cd /srv && BUILD={} scripts/install", in_source(build())));
}

/// The commands of README.md's block that holds `part`, as root gives them.
fn of_readme(part: &str) -> String {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let mut blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.find(|block| block.contains(part)).unwrap_or_else(|| panic!("{part} is in no block")).replace("sudo ", "")
}

/// A path below the source, as the machine sees it.
fn in_source(path: &std::path::Path) -> String {
    let source = std::env::current_dir().unwrap();
    format!("/srv/{}", path.strip_prefix(source).unwrap().display())
}

/// What an administrator writes.
pub fn configure(machine: &Machine, sandbox: &Sandbox) {
    let etc = machine.disk.join("etc/prometheus-telegram");
    let config =
        json!({"users_file": "/var/lib/prometheus-telegram/users.json", "api_url": sandbox.api, "admins": [4]});
    std::fs::write(etc.join("config.json"), config.to_string()).unwrap();
    std::fs::write(etc.join("bot_token"), TOKEN).unwrap();
    machine.run(&format!("chmod 600 {TOKEN_FILE}"));
    let users = r#"{"1": "alert", "-2": {"labels": ["severity=\"warning\""]}, "3": "nothing"}"#;
    std::fs::write(machine.disk.join("var/lib/prometheus-telegram/users.json"), users).unwrap();
}

pub fn start(machine: &Machine) {
    machine.run("systemctl enable --quiet --now prometheus-telegram.target");
    for daemon in DAEMONS {
        machine.wait_for(daemon, "active");
    }
}

pub fn ready(name: &str) -> (Machine, Sandbox) {
    let machine = Machine::boot(name);
    let sandbox = Sandbox::start(&machine.scratch, &["--limits", "enforce", "--scale", "4"]);
    install(&machine);
    configure(&machine, &sandbox);
    start(&machine);
    (machine, sandbox)
}

pub fn has_text(sandbox: &Sandbox, chat: i64, part: &str) {
    until(&format!("{part:?} in chat {chat}"), || {
        sandbox.texts(chat).iter().any(|text| text.contains(part)).then_some(())
    });
}

#[test]
fn it_is_installed_started_seen_stopped_and_removed() {
    alone("life::it_is_installed_started_seen_stopped_and_removed", || {
        let machine = Machine::boot("life");
        let sandbox = Sandbox::start(&machine.scratch, &["--limits", "enforce", "--scale", "4"]);
        install(&machine);
        configure(&machine, &sandbox);
        // There is no administrator yet, nor a token in its place: what follows is README's.
        let etc = machine.disk.join("etc/prometheus-telegram");
        let config =
            std::fs::read_to_string(etc.join("config.json")).unwrap().replace("\"admins\":[4]", "\"admins\":[]");
        std::fs::write(etc.join("config.json"), config).unwrap();
        std::fs::rename(etc.join("bot_token"), machine.disk.join("var/bot_token")).unwrap();
        machine.run(&format!("set -e; cd /var\n{}", of_readme("enable --now prometheus-telegram.target")));
        for daemon in DAEMONS {
            machine.wait_for(daemon, "active");
        }
        assert_eq!(machine.run(&format!("stat -c %U:%a {TOKEN_FILE}")), "root:600\n");
        assert_eq!(post(URL, &webhook(&["AlertOfTheFirstDay"])), 200);
        has_text(&sandbox, 1, "AlertOfTheFirstDay");
        has_text(&sandbox, -2, "AlertOfTheFirstDay");

        // What "systemctl status" says is so.
        assert_eq!(machine.show("am-recv", "StatusText"), "listening on 127.0.0.1:8080");
        assert_eq!(machine.show("alert-route", "StatusText"), "3 chats in the users file");
        until("the outbox to be empty", || (machine.show("tg-send", "StatusText") == "0 waiting").then_some(()));
        let journal = machine.run("journalctl -u tg-send -p notice --output=cat --no-pager");
        assert!(journal.contains("outbox /var/lib/prometheus-telegram/outbox.db") && !journal.contains("sent id="));

        for (port, metric) in [(8080, "am_recv_"), (9095, "tg_send_"), (9096, "tg_bot_"), (9097, "alert_route_")] {
            let scraped = machine.run(&format!("curl -sf http://127.0.0.1:{port}/metrics"));
            assert!(scraped.contains(metric), "{port}: {scraped}");
        }

        // Somebody subscribes: the bot replaces the users file, and alert-route reads it.
        sandbox.post("/user", json!({"id": 4, "first_name": "Ada", "language_code": "en"}));
        let look =
            of_readme("journalctl -u tg-bot").lines().find(|line| line.starts_with("journalctl")).unwrap().to_owned();
        let code = until("the code in the log", || {
            let said = machine.output(&look).stdout;
            said.split("\"/start ").nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned)
        });
        sandbox.post("/say", json!({"chat": 4, "from": 4, "text": format!("/start {code}")}));
        until("an administrator", || machine.journal("tg-bot").contains("is an administrator now").then_some(()));
        sandbox.post("/say", json!({"chat": 4, "from": 4, "text": "/regexp OfTheBot"}));
        let users = machine.disk.join("var/lib/prometheus-telegram/users.json");
        until("the users file of the bot", || {
            std::fs::read_to_string(&users).is_ok_and(|text| text.contains("OfTheBot")).then_some(())
        });
        assert_eq!(post(URL, &webhook(&["WarningOfTheBot"])), 200);
        has_text(&sandbox, 4, "summary of WarningOfTheBot");
        assert_eq!(machine.show("alert-route", "StatusText"), "4 chats in the users file");
        let seen = machine.disk.join("var/lib/prometheus-telegram/seen.json");
        until("what was seen to be written", || seen.exists().then_some(()));
        assert!(machine.show("tg-bot", "StatusText").starts_with("answering as @"));

        // The token is root's and tg-send's. am-recv, which faces the network, cannot have it: not as a file, not in
        // the memory of a process of the same user.
        let mode =
            machine.run("stat -c %U:%a /etc/prometheus-telegram/bot_token /var/lib/prometheus-telegram/outbox.db");
        assert_eq!(mode, "root:600\nprometheus-telegram:600\n");
        let (recv, send) = (machine.show("am-recv", "MainPID"), machine.show("tg-send", "MainPID"));
        let as_recv = |script: &str| {
            let enter =
                format!("nsenter -t {recv} -m -U -S $(id -u prometheus-telegram) -G $(id -g prometheus-telegram)");
            machine.output(&format!("{enter} sh -c '{script}'"))
        };
        let reads = as_recv("cat /var/lib/prometheus-telegram/users.json");
        assert_eq!(reads.code, Some(0), "the look itself works: {reads:?}");
        for script in [
            "cat /run/credentials/tg-send.service/bot_token".to_owned(),
            "cat /etc/prometheus-telegram/bot_token".to_owned(),
            format!("cat /proc/{send}/environ"),
            format!("ls /proc/{send}/root/"),
            "touch /var/lib/prometheus-telegram/users.json".to_owned(),
        ] {
            let refused = as_recv(&script);
            assert_ne!(refused.code, Some(0), "{script}: {refused:?}");
            assert!(!refused.stdout.contains(TOKEN));
        }
        let everything =
            machine.run("journalctl --no-pager --output=export; systemctl show am-recv tg-send alert-route");
        assert!(!everything.contains(TOKEN), "the token is in the journal");

        // All of it down, nothing of it answers, and all of it up.
        machine.run("systemctl stop prometheus-telegram.target");
        for unit in DAEMONS.iter().chain(&SOCKETS) {
            assert_eq!(machine.output(&format!("systemctl is-active {unit}")).stdout.trim(), "inactive", "{unit}");
        }
        assert_eq!(post(URL, &webhook(&["AlertToNobody"])), 0);
        machine.run("systemctl start prometheus-telegram.target");
        assert_eq!(post(URL, &webhook(&["AlertAfterAStart"])), 200);
        machine.run("systemctl restart prometheus-telegram.target");
        assert_eq!(post(URL, &webhook(&["AlertAfterARestart"])), 200);
        has_text(&sandbox, 1, "AlertAfterARestart");
        for daemon in DAEMONS {
            let (now, peak) = memory(&machine, daemon);
            eprintln!("  {daemon}: {now} KiB resident, {peak} at most");
        }

        machine.run("cd /srv && scripts/uninstall");
        assert_eq!(machine.output("systemctl cat am-recv.service").code, Some(1));
        assert_eq!(machine.output("systemctl is-active tg-send").stdout.trim(), "inactive");
        assert_eq!(
            machine.run("ls /usr/local/bin /usr/local/lib/systemd/system"),
            "/usr/local/bin:\n\n/usr/local/lib/systemd/system:\n"
        );
        machine.run("test -f /var/lib/prometheus-telegram/outbox.db && test -f /etc/prometheus-telegram/bot_token");
        machine.run("cd /srv && scripts/uninstall --purge");
        machine.run("! test -e /var/lib/prometheus-telegram && ! test -e /etc/prometheus-telegram");
    });
}

fn memory(machine: &Machine, daemon: &str) -> (u64, u64) {
    let pid = machine.show(daemon, "MainPID");
    let status = machine.run(&format!("cat /proc/{pid}/status"));
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
    };
    (value("VmRSS:"), value("VmHWM:"))
}

#[test]
fn what_is_configured_wrong_stays_down_and_says_why() {
    alone("life::what_is_configured_wrong_stays_down_and_says_why", || {
        let (machine, sandbox) = ready("wrong");
        assert_eq!(post(URL, &webhook(&["AlertBefore"])), 200);
        let etc = machine.disk.join("etc/prometheus-telegram");
        let state = machine.disk.join("var/lib/prometheus-telegram");
        let good = std::fs::read_to_string(etc.join("config.json")).unwrap();
        let users = std::fs::read_to_string(state.join("users.json")).unwrap();
        let broken = good.replacen("users_file", "user_file", 1);
        let cases = [
            ("am-recv", etc.join("config.json"), broken.as_str(), "unknown key \"user_file\"", "nearest known key"),
            ("alert-route", state.join("users.json"), "{", "users.json:1:", ""),
            (
                "tg-send",
                etc.join("bot_token"),
                "",
                "no bot token",
                "hint: put it in /etc/prometheus-telegram/bot_token",
            ),
        ];
        for (n, (daemon, path, wrong, error, hint)) in cases.into_iter().enumerate() {
            let right = std::fs::read_to_string(&path).unwrap();
            if wrong.is_empty() {
                std::fs::remove_file(&path).unwrap()
            } else {
                std::fs::write(&path, wrong).unwrap()
            }
            let _ = machine.output(&format!("systemctl restart {daemon}"));
            machine.wait_for(daemon, "failed");
            // Somebody posts all the same, and it stays down for longer than systemd waits before a restart.
            let name = format!("AlertOfCase{n}");
            let waiting = thread::spawn({
                let body = webhook(&[&name]);
                // As Alertmanager, which tries again when it was not acknowledged in time.
                move || until("200", || (post(URL, &body) == 200).then_some(()))
            });
            machine.run("sleep 3");
            stays_down(&machine, daemon, error, hint);
            // Put right, and started by its name or by that of all.
            std::fs::write(&path, right).unwrap();
            machine.run(&format!("systemctl start {}", if n % 2 == 0 { daemon } else { "prometheus-telegram.target" }));
            waiting.join().unwrap();
            has_text(&sandbox, 1, &name);
        }
        // A token that is refused is known only when something is sent; what came meanwhile is not lost.
        sandbox.rules(json!({"match": {}, "times": -1, "do": {"preset": "unauthorized"}}));
        assert_eq!(post(URL, &webhook(&["AlertOfAnOldToken"])), 200);
        machine.wait_for("tg-send", "failed");
        machine.run("sleep 3");
        stays_down(&machine, "tg-send", "Telegram refuses the bot token", "hint: check the token");
        sandbox.clear_rules();
        machine.run("systemctl start tg-send");
        has_text(&sandbox, 1, "AlertOfAnOldToken");
        assert_eq!(std::fs::read_to_string(etc.join("config.json")).unwrap(), good);
        assert_eq!(std::fs::read_to_string(state.join("users.json")).unwrap(), users);
    });
}

fn stays_down(machine: &Machine, daemon: &str, error: &str, hint: &str) {
    assert_eq!(machine.show(daemon, "ActiveState"), "failed", "{daemon}");
    assert_eq!(machine.show(daemon, "ExecMainStatus"), "2", "{daemon}");
    let status = machine.output(&format!("systemctl status --no-pager {daemon}")).stdout;
    assert!(status.contains(error) && status.contains(hint), "{status}");
    let journal = machine.journal(daemon);
    assert_eq!(journal.matches(error).count(), 1, "{daemon} was tried again:\n{journal}");
    for socket in SOCKETS {
        assert_eq!(machine.show(socket, "ActiveState"), "active", "{socket}");
    }
}

/// What is done to a service.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Kill,
    Stop,
    Restart,
    Upgrade,
}

#[test]
fn nothing_is_lost_whatever_is_done_to_the_services_under_load() {
    alone("life::nothing_is_lost_whatever_is_done_to_the_services_under_load", || {
        let (machine, sandbox) = ready("deeds");
        let mut random = Random(20_261_122);
        let deeds = [Deed::Kill, Deed::Stop, Deed::Restart, Deed::Upgrade];
        let mut plan: Vec<(Deed, &str)> =
            deeds.iter().flat_map(|deed| DAEMONS.iter().map(|daemon| (*deed, *daemon))).cycle().take(32).collect();
        random.shuffle(&mut plan);
        let (mut kills, mut all) = (0, 0);
        under_load(URL, ALERTS, Duration::from_millis(25), || {
            for (deed, daemon) in &plan {
                thread::sleep(Duration::from_millis(random.below(150)));
                let pid = machine.show(daemon, "MainPID");
                match deed {
                    Deed::Kill => {
                        let _ = machine.output(&format!("kill -9 {pid}"));
                        kills += usize::from(*daemon == "tg-send");
                    }
                    Deed::Stop => {
                        machine.run(&format!("systemctl stop {daemon}"));
                        thread::sleep(Duration::from_millis(random.below(300)));
                        machine.run(&format!("systemctl start {daemon}"));
                    }
                    Deed::Restart => drop(machine.run(&format!("systemctl restart {daemon}"))),
                    // Another file in its place, as a package manager does it.
                    Deed::Upgrade => {
                        let tool = format!("/usr/local/bin/{daemon}");
                        let replace = format!("cp {tool} {tool}.new && mv -f {tool}.new {tool}");
                        drop(machine.run(&format!("{replace} && systemctl restart {daemon}")));
                    }
                }
                until(&format!("{daemon} after {deed:?}"), || {
                    let new = machine.show(daemon, "MainPID");
                    (new != "0" && new != pid && machine.show(daemon, "ActiveState") == "active").then_some(())
                });
                all += 1;
            }
            // All of it at once, and a whole new version of everything.
            machine.run("systemctl restart prometheus-telegram.target");
            install(&machine);
            for daemon in DAEMONS {
                machine.wait_for(daemon, "active");
            }
        });
        eprintln!("  {all} deeds, a restart of all, an upgrade of all");
        check(&sandbox, &[1, -2], ALERTS, kills);
        assert_eq!(sandbox.everything(3).len(), 0);
        for daemon in DAEMONS {
            let (now, peak) = memory(&machine, daemon);
            eprintln!("  {daemon}: {now} KiB resident, {peak} at most");
        }
    });
}

#[test]
fn nothing_is_lost_when_the_machine_reboots_or_loses_its_power() {
    alone("life::nothing_is_lost_when_the_machine_reboots_or_loses_its_power", || {
        let (mut machine, sandbox) = ready("reboot");
        // Much waits in the outbox when it happens.
        sandbox.rules(json!({"match": {"method": "sendMessage"}, "times": -1, "do": {"slow": {"first_byte_ms": 300}}}));
        let mut cuts = 0;
        under_load(URL, ALERTS / 2, Duration::from_millis(10), || {
            for n in 0..4 {
                thread::sleep(Duration::from_millis(700));
                if n % 2 == 0 {
                    machine.cut_power();
                    cuts += 1;
                    machine.power_on();
                } else {
                    machine.reboot();
                }
                for daemon in DAEMONS {
                    machine.wait_for(daemon, "active");
                }
            }
        });
        sandbox.clear_rules();
        eprintln!("  2 reboots, {cuts} cuts of the power");
        check(&sandbox, &[1, -2], ALERTS / 2, cuts);
    });
}

#[test]
fn one_unit_is_enough_for_a_first_try() {
    alone("life::one_unit_is_enough_for_a_first_try", || {
        let (machine, sandbox) = ready("pipe");
        machine.run("systemctl start prometheus-telegram-pipe");
        machine.wait_for("prometheus-telegram-pipe", "active");
        machine.wait_for("tg-send", "inactive");
        machine.wait_for("am-recv.socket", "inactive");
        until("200", || (post(URL, &webhook(&["AlertOfAPipe"])) == 200).then_some(()));
        has_text(&sandbox, 1, "AlertOfAPipe");
        let seen = machine.disk.join("var/lib/prometheus-telegram/seen.json");
        until("the alert in the file of alerts seen", || {
            std::fs::read_to_string(&seen).is_ok_and(|text| text.contains("AlertOfAPipe")).then_some(())
        });
        // One program dies, and after the next alert all are back.
        machine.run("pkill -9 -x tg-send");
        until("200", || (post(URL, &webhook(&["AlertOfANewPipe"])) == 200).then_some(()));
        has_text(&sandbox, 1, "AlertOfANewPipe");
        machine.run("systemctl start prometheus-telegram.target");
        machine.wait_for("prometheus-telegram-pipe", "inactive");
        until("200", || (post(URL, &webhook(&["AlertOfTheUnits"])) == 200).then_some(()));
        has_text(&sandbox, 1, "AlertOfTheUnits");
    });
}
