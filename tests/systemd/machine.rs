//! A systemd of its own, in namespaces of its own: booted, spoken to, rebooted, and its power cut.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::harness::*;

/// Set in the process that has a network of its own.
const INSIDE: &str = "PROMETHEUS_TELEGRAM_TEST_INSIDE";

/// Units of the system that would reach beyond the namespaces, or wait for what is not there.
const MASKED: [&str; 20] = [
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "rc-local.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-remount-fs.service",
    "systemd-resolved.service",
    "systemd-sysctl.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
];

/// Runs `test` in a process with a network of its own, where ports are free and nobody else hears; says so and does
/// nothing where namespaces or systemd are not to be had. `name` is the test's, as `cargo test` prints it.
pub fn alone(name: &str, test: fn()) {
    // Two machines at a time would take each other's processors.
    static ONE: Mutex<()> = Mutex::new(());
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    // Nor may two look at a time whether there can be one: each would find the other's cgroup in its way.
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(why) = obstacle() {
        say(&format!("SKIPPED: {name}: {why}"));
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {}\n{said}", output.status);
    // Figures, and what was skipped inside.
    for line in said.lines().filter(|line| ["  ", "chat ", "SKIPPED: "].iter().any(|start| line.starts_with(start))) {
        say(line);
    }
}

fn obstacle() -> Option<&'static str> {
    if !Path::new("/usr/lib/systemd/systemd").exists() {
        return Some("systemd is not installed");
    }
    let probe = "ip link set lo up && mount -t cgroup2 cgroup2 /sys/fs/cgroup && mkdir /sys/fs/cgroup/pt-probe-$$ &&
        rmdir /sys/fs/cgroup/pt-probe-$$ && mount -t tmpfs tmpfs /mnt && mknod /mnt/null c 1 3 && echo > /mnt/null";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--ipc", "--uts", "--net", "--cgroup", "--fork", "sh", "-c", probe]);
    let done = unshare.stdout(Stdio::null()).stderr(Stdio::null()).status();
    (!done.is_ok_and(|status| status.success())).then_some("no namespaces, mounts or cgroups are to be had here")
}

pub struct Machine {
    pub disk: PathBuf,
    pub scratch: Scratch,
    process: Option<Process>,
}

impl Machine {
    /// Boots one whose disk has nothing of ours.
    pub fn boot(name: &str) -> Self {
        let scratch = Scratch::new(name);
        let disk = scratch.path("disk");
        let etc = disk.join("etc");
        std::fs::create_dir_all(etc.join("systemd/system")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(etc.join(name), text).unwrap();
        write("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n");
        write("group", "root:x:0:\nnogroup:x:65534:\n");
        write("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
        write("hosts", "127.0.0.1 localhost\n");
        write("hostname", "test\n");
        // With an empty one it would take itself for new, and enable whatever is there.
        write("machine-id", "0123456789abcdef0123456789abcdef\n");
        let _ = std::fs::copy("/etc/ld.so.cache", etc.join("ld.so.cache"));
        for unit in MASKED {
            symlink("/dev/null", etc.join("systemd/system").join(unit)).unwrap();
        }
        let mut machine = Machine { disk, scratch, process: None };
        machine.power_on();
        machine
    }

    pub fn power_on(&mut self) {
        let mut boot = Command::new("tests/systemd/boot");
        boot.arg(&self.disk).arg(std::env::current_dir().unwrap()).stdin(Stdio::null());
        let log = std::fs::File::options().create(true).append(true).open(self.scratch.path("boot.log")).unwrap();
        self.process = Some(Process::start(&self.scratch, "boot", boot.stdout(log)));
        until("the machine to be up", || {
            let state = self.output("systemctl is-system-running");
            ["running", "degraded"].contains(&state.stdout.trim()).then_some(())
        });
        assert_eq!(self.output("systemctl --failed --plain --no-legend").stdout, "", "units of the system failed");
    }

    /// Its first process, by the number that this machine knows it by.
    fn init(&self) -> Option<u32> {
        let children = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok();
        let first = |list: String| list.split_whitespace().next()?.parse().ok();
        let unshare: u32 = children(self.process.as_ref()?.child.id()).and_then(first)?;
        children(unshare).and_then(first)
    }

    /// Everything in it dies at this instant.
    pub fn cut_power(&mut self) {
        let init = self.init().expect("it is on").to_string();
        assert!(Command::new("kill").args(["-9", &init]).status().unwrap().success());
        self.process.take().unwrap().wait();
    }

    /// As an administrator would.
    pub fn reboot(&mut self) {
        // The shutdown that it asks for may end it first.
        let _ = self.output("systemctl reboot");
        self.process.take().unwrap().wait();
        self.power_on();
    }

    /// What a shell in it says; not a word when it is off.
    pub fn output(&self, script: &str) -> Output {
        let Some(init) = self.init() else {
            return Output { code: None, stdout: String::new(), stderr: String::new() };
        };
        let mut command = Command::new("nsenter");
        command.args(["-t", &init.to_string(), "-m", "-p", "-i", "-u", "-C", "-r", "-w", "--"]);
        command.args([
            "env",
            "-i",
            "PATH=/usr/local/bin:/usr/bin:/usr/sbin",
            "TZ=UTC",
            "SYSTEMD_PAGER=",
            "sh",
            "-c",
            script,
        ]);
        run(&mut command, b"")
    }

    /// The same for what must work.
    pub fn run(&self, script: &str) -> String {
        let output = self.output(script);
        assert_eq!(output.code, Some(0), "{script}: {output:?}");
        output.stdout
    }

    /// A property of a unit.
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.run(&format!("systemctl show --value -p {property} {unit}")).trim().to_owned()
    }

    /// Waits until a unit is in this state.
    pub fn wait_for(&self, unit: &str, state: &str) {
        until(&format!("{unit} to be {state}"), || {
            (self.output(&format!("systemctl is-active {unit}")).stdout.trim() == state).then_some(())
        });
    }

    pub fn journal(&self, unit: &str) -> String {
        self.output(&format!("journalctl --no-pager --output=cat -u {unit}")).stdout
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let units = "systemctl --no-pager --plain list-units 'am-*' 'tg-*' 'alert-*' 'prometheus-*'";
            let journal = "journalctl --no-pager --output=short-monotonic | tail -150";
            eprintln!("--- units:\n{}", self.output(units).stdout);
            eprintln!("--- journal:\n{}", self.output(journal).stdout);
        }
        if self.init().is_some() {
            self.cut_power();
        }
    }
}
