//! The promise: kill any of the three tools with SIGKILL at any moment, restart it as a shell or systemd would, send
//! again what was not answered with 200 as Alertmanager does, and nothing is lost and nothing told twice.

use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::load::*;
use crate::harness::*;

const ALERTS: usize = 2400;
const KILLS: usize = 24;

#[test]
fn nothing_is_lost_when_the_tools_are_killed_one_by_one_with_fifos_held_open() {
    let scratch = Scratch::new("kill-fifo");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce", "--scale", "4"]);
    scratch.write("users.json", r#"{"1": "alert", "-2": {"labels": ["severity=\"warning\""]}, "3": "nothing"}"#);
    let held = Held::new(&scratch);
    let port = free_port();
    let mut tools: Vec<Process> = (0..3).map(|tool| held.start(&scratch, &sandbox, port, tool)).collect();
    let url = format!("http://127.0.0.1:{port}/");
    let mut random = Random(20_261_122);
    let mut kills = 0;
    under_load(&url, ALERTS, Duration::from_millis(10), || {
        for _ in 0..KILLS {
            thread::sleep(Duration::from_millis(20 + random.below(250)));
            // tg-send is where most can go wrong.
            let tool = random.below(4).min(2) as usize;
            tools[tool].kill();
            kills += usize::from(tool == 2);
            thread::sleep(Duration::from_millis(random.below(60)));
            tools[tool] = held.start(&scratch, &sandbox, port, tool);
        }
    });
    check(&sandbox, &[1, -2], ALERTS, kills);
    assert_eq!(sandbox.everything(3).len(), 0);
}

#[test]
fn nothing_is_lost_when_one_is_killed_and_the_whole_pipe_is_restarted_as_a_shell_would() {
    let scratch = Scratch::new("kill-pipe");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce", "--scale", "4"]);
    scratch.write("users.json", r#"{"1": "alert", "-2": {"labels": ["severity=\"warning\""]}}"#);
    let port = free_port().to_string();
    let start =
        || Pipeline::with(&scratch, &mut tg_send(&scratch, &sandbox), &["-p", &port, "--ack-timeout", "2"], true);
    let mut pipeline = Some(start());
    let url = format!("http://127.0.0.1:{port}/");
    let mut random = Random(7);
    let mut kills = 0;
    under_load(&url, ALERTS, Duration::from_millis(5), || {
        for _ in 0..KILLS / 2 {
            thread::sleep(Duration::from_millis(50 + random.below(300)));
            let mut tools = pipeline.take().unwrap();
            match random.below(3) {
                0 => tools.recv.kill(),
                1 => tools.route.kill(),
                _ => tools.send.kill(),
            }
            // The others are stopped with it, and the shell starts the line again.
            drop(tools);
            kills += 1;
            pipeline = Some(start());
        }
    });
    check(&sandbox, &[1, -2], ALERTS, kills);
}

/// A small file system for the outbox; nothing where that is not to be had.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(scratch: &Scratch, size: &str) -> Option<Self> {
        let path = scratch.path("small");
        std::fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).status();
        mounted.is_ok_and(|status| status.success()).then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_answered_503_and_everything_goes_on_when_there_is_room() {
    let scratch = Scratch::new("disk");
    let Some(disk) = SmallDisk::mount(&scratch, "4m") else {
        say("SKIPPED: a full disk: no tmpfs can be mounted here");
        return;
    };
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce", "--scale", "4"]);
    scratch.write("users.json", r#"{"1": "alert"}"#);
    let mut send = tg_send(&scratch, &sandbox);
    send.arg("--outbox").arg(disk.0.join("outbox.db"));
    let mut pipeline = Pipeline::with(&scratch, &mut send, &["--ack-timeout", "3"], true);
    pipeline.send.says("outbox ");
    let mut refused: Vec<Value> = Vec::new();
    let mut accepted = 0;
    // Until it is full, and somewhat beyond.
    for n in 0..ALERTS {
        if n == 40 {
            std::fs::write(disk.0.join("filler"), vec![0; 8 << 20]).unwrap_err();
        }
        let name = format!("Alert{n}x");
        match post(&pipeline.url, &webhook(&[&name])) {
            200 => accepted += 1,
            503 => refused.push(json!(name)),
            other => panic!("{other}"),
        }
        if refused.len() >= 5 {
            break;
        }
    }
    assert!(accepted >= 40 && refused.len() == 5, "{accepted} accepted, {refused:?}");
    pipeline.send.says("cannot write the outbox: database or disk is full");
    assert!(pipeline.send.child.try_wait().unwrap().is_none(), "it waits for room");
    std::fs::remove_file(disk.0.join("filler")).unwrap();
    pipeline.send.says("the outbox can be written again");
    let over = AtomicBool::new(false);
    for name in &refused {
        insist(&pipeline.url, &webhook(&[name.as_str().unwrap()]), &over);
    }
    let told = until("everything to be told", || {
        let told = told(&sandbox, 1);
        (told.times.len() == accepted + refused.len()).then_some(told)
    });
    assert_eq!(told.repeats, 0);
    assert_eq!(sandbox.violations(), []);
}
