//! scripts/install and scripts/uninstall with DESTDIR: what they place, leave, and take away.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::harness::*;
use crate::units::script;

fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_second_install_changes_nothing_and_an_uninstall_leaves_what_is_the_users() {
    let scratch = Scratch::new("install");
    let root = scratch.path("root");
    let done = script("install", &root, "/opt/pt", &["--dry-run"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("/opt/pt/bin/am-recv") && !root.exists(), "{done:?}");

    let install = || {
        let done = script("install", &root, "/opt/pt", &[]);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    };
    install();
    let all = files(&root);
    for name in [
        "bin/am-recv",
        "bin/tg-bot",
        "bin/prometheus-telegram-doctor",
        "share/doc/prometheus-telegram/README.ru.md",
        "share/doc/prometheus-telegram/docs/moving.md",
        "lib/systemd/system/prometheus-telegram.target",
        "lib/sysusers.d/prometheus-telegram.conf",
    ] {
        assert!(all.contains(&format!("opt/pt/{name}")), "{name}: {all:#?}");
    }
    let unit = std::fs::read_to_string(root.join("opt/pt/lib/systemd/system/tg-send.service")).unwrap();
    assert!(unit.contains("ExecStart=/opt/pt/bin/tg-send ") && !unit.contains("/usr/bin"), "{unit}");
    let shown = run(std::process::Command::new(root.join("opt/pt/bin/tg-send")).arg("-V"), b"");
    assert!(shown.stdout.starts_with("tg-send "), "{shown:?}");
    let configuration = root.join("etc/prometheus-telegram/config.json");
    assert_eq!(std::fs::metadata(&configuration).unwrap().permissions().mode() & 0o777, 0o640);

    // What the user wrote stays; what an older version had placed goes.
    std::fs::write(&configuration, "mine").unwrap();
    let state = root.join("var/lib/prometheus-telegram");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("outbox.db"), "precious").unwrap();
    let manifest = root.join("opt/pt/share/prometheus-telegram/manifest");
    let list = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{list}/opt/pt/bin/of-old\n")).unwrap();
    std::fs::write(root.join("opt/pt/bin/of-old"), "").unwrap();
    install();
    assert_eq!(std::fs::read_to_string(&configuration).unwrap(), "mine");
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), list);
    let mut expected = all.clone();
    expected.push("var/lib/prometheus-telegram/outbox.db".to_owned());
    assert_eq!(files(&root), expected);

    let done = script("uninstall", &root, "/opt/pt", &[]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let kept = ["etc/prometheus-telegram/config.json", "var/lib/prometheus-telegram/outbox.db"];
    assert_eq!(files(&root), kept);
    let again = script("uninstall", &root, "/opt/pt", &[]);
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("hint:"), "{again:?}");
    assert_eq!(script("uninstall", &root, "/opt/pt", &["--purge"]).code, Some(0));
    assert_eq!(files(&root), Vec::<String>::new());
}

#[test]
fn what_is_called_wrong_is_said_before_anything_is_done() {
    let scratch = Scratch::new("install-wrong");
    let root = scratch.path("root");
    for (name, prefix, options) in
        [("install", "/usr", &["--purge"][..]), ("install", "opt", &[]), ("uninstall", "/usr", &["--all"])]
    {
        let done = script(name, &root, prefix, options);
        assert_eq!((done.code, root.exists()), (Some(2), false), "{done:?}");
        assert!(done.stderr.starts_with(&format!("scripts/{name}: error: ")), "{done:?}");
    }
}
