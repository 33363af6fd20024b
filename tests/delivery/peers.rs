//! tg-send and a server of the Bot API that nobody here wrote: npm's telegram-test-api.

use std::process::Command;

use serde_json::json;

use crate::harness::*;

#[test]
fn telegram_test_api_is_told() {
    let scratch = Scratch::new("test-api");
    let lines: Vec<String> = (0..3)
        .map(|n| {
            json!({"chat": 100 + n, "text": format!("<b>text {n}</b> &amp; more"), "format": "html",
                "buttons": [[{"text": "Graph", "url": "https://p.example/"}]]})
            .to_string()
        })
        .collect();
    let input = scratch.write("records.jsonl", &(lines.join("\n") + "\n"));
    let output = Command::new("bash")
        .arg("tests/peers/test-api")
        .args([binary("tg-send").as_ref(), input.as_os_str(), scratch.path("outbox.db").as_os_str()])
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(77) {
        eprintln!("SKIPPED: {stderr}");
        return;
    }
    assert!(output.status.success(), "{stdout}\n{stderr}");
    for n in 0..3 {
        assert!(stdout.contains(&format!("<b>text {n}</b> &amp; more")), "{stdout}\n{stderr}");
    }
    let status = run(command("tg-send").arg("--status").arg("--outbox").arg(scratch.path("outbox.db")), b"");
    assert!(status.stdout.starts_with("waiting  0\nfailed   0\ntold     3"), "{status:?}");
}
