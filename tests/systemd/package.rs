//! The Debian package: made by cargo-deb, looked at by lintian, and lived with by dpkg on a systemd of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::*;
use crate::life::{TOKEN_FILE, URL, configure, has_text, start};
use crate::machine::{Machine, alone};
use crate::units::build;

const TOOLS: [&str; 6] = ["alert-route", "am-recv", "grafana-shot", "tg-bot", "tg-sandbox", "tg-send"];

/// Packs what is built already; nothing where there is no cargo-deb (scripts/test installs it).
fn package(scratch: &Scratch) -> Option<PathBuf> {
    let cargo_deb = std::env::current_dir().unwrap().join("target/tools/bin/cargo-deb");
    if !cargo_deb.exists() {
        say(&format!("SKIPPED: package: there is no {}", cargo_deb.display()));
        return None;
    }
    // cargo-deb takes release builds only, and a release build of its own would take minutes.
    let target = scratch.path("target");
    let release = target.join("release");
    std::fs::create_dir_all(&release).unwrap();
    for tool in TOOLS {
        let there = release.join(tool);
        if !there.exists() {
            std::fs::copy(build().join(tool), &there).unwrap();
            let _ = Command::new("strip").arg(&there).status();
        }
    }
    let mut command = Command::new(cargo_deb);
    command.args(["--no-build", "--fast", "--offline"]).env("CARGO_TARGET_DIR", &target);
    let made = run(&mut command, b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    let path = PathBuf::from(made.stdout.trim());
    assert!(path.is_file(), "{made:?}");
    Some(path)
}

/// The same package with a later version.
fn later(scratch: &Scratch, package: &Path) -> PathBuf {
    let (parts, later) = (scratch.path("parts"), scratch.path("later.deb"));
    assert!(Command::new("dpkg-deb").arg("-R").arg(package).arg(&parts).status().unwrap().success());
    let control = parts.join("DEBIAN/control");
    let text = std::fs::read_to_string(&control).unwrap();
    let version = text.lines().find(|line| line.starts_with("Version: ")).unwrap();
    std::fs::write(&control, text.replace(version, &format!("{version}.1"))).unwrap();
    let made = run(Command::new("dpkg-deb").args(["-Znone", "-b"]).arg(&parts).arg(&later), b"");
    assert_eq!(made.code, Some(0), "{made:?}");
    later
}

#[test]
fn the_package_has_what_it_needs() {
    let scratch = Scratch::new("package");
    let Some(package) = package(&scratch) else { return };
    let root = scratch.path("root");
    let unpacked = run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root), b"");
    assert_eq!(unpacked.code, Some(0), "{unpacked:?}");
    for tool in TOOLS {
        let shown = run(Command::new(root.join("usr/bin").join(tool)).arg("--version"), b"");
        assert!(shown.stdout.starts_with(&format!("{tool} ")), "{shown:?}");
    }
    for entry in std::fs::read_dir("systemd").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| ["service", "socket", "target"].iter().any(|unit| kind == *unit)) {
            let installed = root.join("usr/lib/systemd/system").join(path.file_name().unwrap());
            assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&installed).unwrap(), "{}", installed.display());
        }
    }
    for file in [
        "etc/prometheus-telegram/config.json",
        "usr/lib/sysusers.d/prometheus-telegram.conf",
        "usr/lib/tmpfiles.d/prometheus-telegram.conf",
        "usr/bin/prometheus-telegram-doctor",
        "usr/share/doc/prometheus-telegram/README.Debian",
        "usr/share/doc/prometheus-telegram/README.ru.md",
        "usr/share/doc/prometheus-telegram/docs/moving.md",
        "usr/share/doc/prometheus-telegram/examples/alertmanager.yml",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }
    // Every manual page that there is, is packed.
    for entry in std::fs::read_dir("man").into_iter().flatten() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let section = name.rsplit('.').next().unwrap().to_owned();
        let page = root.join(format!("usr/share/man/man{section}"));
        assert!(page.join(&name).exists() || page.join(format!("{name}.gz")).exists(), "{name} is not in the package");
    }
    lintian(&package);
}

fn lintian(package: &Path) {
    if Command::new("lintian").arg("--version").output().is_err() {
        say("SKIPPED: package: there is no lintian");
        return;
    }
    let mut command = Command::new("lintian");
    let said = run(command.args(["--allow-root", "--profile", "debian", "--fail-on", "error"]).arg(package), b"");
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    eprint!("{}", said.stdout);
}

#[test]
fn dpkg_installs_upgrades_removes_and_purges_it() {
    alone("package::dpkg_installs_upgrades_removes_and_purges_it", || {
        let machine = Machine::boot("dpkg");
        let Some(old) = package(&machine.scratch) else { return };
        let new = later(&machine.scratch, &old);
        // dpkg writes to /usr, which is this machine's; an empty list of packages is enough for it. A policy of this
        // machine's that no package may start anything is not for that one.
        let writable = "mkdir -p /var/usr/upper /var/usr/work /var/lib/dpkg/info /var/lib/dpkg/updates /var/log &&
            touch /var/lib/dpkg/status /var/lib/dpkg/available &&
            mount -t overlay overlay -o lowerdir=/usr,upperdir=/var/usr/upper,workdir=/var/usr/work /usr &&
            rm -f /usr/sbin/policy-rc.d";
        let done = machine.output(writable);
        if done.code != Some(0) {
            say(&format!("SKIPPED: dpkg: no overlay is to be had here: {}", done.stderr));
            return;
        }
        let sandbox = Sandbox::start(&machine.scratch, &[]);
        let dpkg = |options: &str, package: Option<&Path>| {
            if let Some(package) = package {
                std::fs::copy(package, machine.disk.join("var/package.deb")).unwrap();
            }
            machine.run(&format!("DEBIAN_FRONTEND=noninteractive dpkg --force-depends {options} 2>&1"))
        };
        dpkg("-i /var/package.deb", Some(&old));
        assert_eq!(machine.show("prometheus-telegram.target", "ActiveState"), "inactive", "nothing starts by itself");
        configure(&machine, &sandbox);
        start(&machine);
        assert_eq!(post(URL, &webhook(&["AlertOfAPackage"])), 200);
        has_text(&sandbox, 1, "AlertOfAPackage");

        let before = machine.show("tg-send", "MainPID");
        let said = dpkg("-i /var/package.deb", Some(&new));
        assert!(!said.contains("Configuration file"), "it asks about what the user wrote: {said}");
        until("tg-send of the new version", || (machine.show("tg-send", "MainPID") != before).then_some(()));
        machine.wait_for("am-recv", "active");
        assert_eq!(post(URL, &webhook(&["AlertOfANewPackage"])), 200);
        has_text(&sandbox, 1, "AlertOfANewPackage");
        assert!(machine.run("cat /etc/prometheus-telegram/config.json").contains(&sandbox.api));

        dpkg("-r prometheus-telegram", None);
        assert_eq!(machine.output("systemctl is-active tg-send am-recv.socket").stdout, "inactive\ninactive\n");
        machine.run(&format!("! test -e /usr/bin/am-recv && test -f {TOKEN_FILE}"));
        machine.run("test -f /var/lib/prometheus-telegram/outbox.db && ! ls /etc/systemd/system/*/*prometheus* 2>&1");
        dpkg("-P prometheus-telegram", None);
        machine.run("! test -e /etc/prometheus-telegram && ! test -e /var/lib/prometheus-telegram");
        // And again, after all that.
        dpkg("-i /var/package.deb", None);
        configure(&machine, &sandbox);
        start(&machine);
        assert_eq!(post(URL, &webhook(&["AlertOfASecondLife"])), 200);
        has_text(&sandbox, 1, "AlertOfASecondLife");
    });
}
