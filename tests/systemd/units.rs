//! The units before anything is started: what systemd itself says of them.

use std::path::Path;
use std::process::Command;

use crate::harness::*;

pub const SERVICES: [&str; 6] = [
    "alert-route.service",
    "am-recv.service",
    "prometheus-telegram-pipe.service",
    "prometheus-telegram-sockets.service",
    "tg-bot.service",
    "tg-send.service",
];

/// Where cargo put the tools.
pub fn build() -> &'static Path {
    Path::new(binary("am-recv")).parent().unwrap()
}

/// Runs scripts/install or scripts/uninstall for a directory that stands for /.
pub fn script(name: &str, root: &Path, prefix: &str, options: &[&str]) -> Output {
    let mut command = Command::new(Path::new("scripts").join(name));
    run(command.env("DESTDIR", root).env("PREFIX", prefix).env("BUILD", build()).args(options), b"")
}

fn has_analyze() -> bool {
    let there = Command::new("systemd-analyze").arg("--version").output().is_ok();
    if !there {
        say("SKIPPED: units: there is no systemd-analyze");
    }
    there
}

#[test]
fn systemd_has_nothing_to_say_about_the_units_as_installed() {
    if !has_analyze() {
        return;
    }
    for prefix in ["/usr", "/usr/local"] {
        let scratch = Scratch::new("verify");
        let root = scratch.path("root");
        let done = script("install", &root, prefix, &[]);
        assert_eq!(done.code, Some(0), "{done:?}");
        // The system's own units that ours name, and the shell and the programs that they start.
        std::fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
        let mut command = Command::new("sh");
        let place = "cp -rn /usr/lib/systemd/system \"$0/usr/lib/systemd/\" && mkdir -p \"$0/usr/bin\" &&
            cp -n /bin/sh /bin/true \"$0/usr/bin/\" && ln -s usr/bin \"$0/bin\" && ln -s usr/lib \"$0/lib\" &&
            cp \"$0\"/usr*/lib/sysusers.d/* /dev/null 2>/dev/null; exit 0";
        assert_eq!(run(command.arg("-c").arg(place).arg(&root), b"").code, Some(0));
        for entry in std::fs::read_dir("systemd").unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if ![".service", ".socket", ".target"].iter().any(|kind| name.ends_with(kind)) {
                continue;
            }
            let mut verify = Command::new("systemd-analyze");
            let verify = verify.arg("verify").arg("--man=no").arg("--root").arg(&root).arg(&name);
            let said = run(verify, b"");
            assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{name}: {said:?}");
            let ours = |line: &&str| {
                line.contains("am-")
                    || line.contains("tg-")
                    || line.contains("alert-route")
                    || line.contains("prometheus")
            };
            let ours: Vec<&str> = said.stderr.lines().filter(ours).collect();
            assert!(ours.is_empty(), "{name}: {ours:#?}");
        }
    }
}

#[test]
fn every_service_is_locked_up() {
    if !has_analyze() {
        return;
    }
    for service in SERVICES {
        let mut command = Command::new("systemd-analyze");
        command
            .args(["security", "--no-pager", "--offline=true", "--threshold=15"])
            .arg(Path::new("systemd").join(service));
        let said = run(&mut command, b"");
        let verdict = said.stdout.lines().last().unwrap_or_default().to_owned();
        assert_eq!(said.code, Some(0), "{service}: {verdict}\n{said:?}");
        eprintln!("{verdict}");
    }
}

#[test]
fn no_core_is_left_with_a_token_in_it() {
    for service in SERVICES {
        let text = std::fs::read_to_string(Path::new("systemd").join(service)).unwrap();
        assert!(text.lines().any(|line| line == "LimitCORE=0"), "{service}");
    }
}

/// What one keeps, the other reads.
#[test]
fn what_was_seen_is_in_one_file() {
    for service in ["alert-route.service", "prometheus-telegram-pipe.service", "tg-bot.service"] {
        let text = std::fs::read_to_string(Path::new("systemd").join(service)).unwrap();
        let seen: Vec<_> = text.split("--seen ").skip(1).map(|rest| rest.split_whitespace().next()).collect();
        assert_eq!(seen, [Some("/var/lib/prometheus-telegram/seen.json")], "{service}");
    }
}

/// The lines of a unit that lock it up are the same in all of them: a change to one is a change to all.
#[test]
fn the_lock_is_the_same_everywhere() {
    let lock = |service: &str| {
        let text = std::fs::read_to_string(Path::new("systemd").join(service)).unwrap();
        let start = text.find("ProtectSystem=").unwrap();
        let lines = text[start..].lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.take_while(|line| !line.starts_with('[')).map(str::to_owned).collect::<Vec<_>>()
    };
    for service in SERVICES {
        assert_eq!(lock(service), lock("am-recv.service"), "{service}");
    }
}
