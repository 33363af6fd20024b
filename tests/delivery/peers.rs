//! tg-send and a server of the Bot API that nobody here wrote: npm's telegram-test-api.

use serde_json::json;

use crate::harness::test_api::TestApi;
use crate::harness::*;

#[test]
fn telegram_test_api_is_told() {
    let scratch = Scratch::new("test-api");
    let Some(server) = TestApi::start(&scratch) else { return };
    let lines: Vec<String> = (0..3)
        .map(|n| {
            json!({"chat": 100 + n, "text": format!("<b>text {n}</b> &amp; more"), "format": "html",
                "buttons": [[{"text": "Graph", "url": "https://p.example/"}]]})
            .to_string()
        })
        .collect();
    let tg_send = || {
        let mut send = command("tg-send");
        send.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &server.url);
        send.arg("--outbox").arg(scratch.path("outbox.db"));
        send
    };
    let output = run(tg_send().args(["--timeout", "20"]), lines.join("\n").as_bytes());
    assert_eq!(output.code, Some(0), "{output:?}");
    let told = json!(server.history()).to_string();
    for n in 0..3 {
        assert!(told.contains(&format!("<b>text {n}</b> &amp; more")), "{told}\n{output:?}");
    }
    let status = run(tg_send().arg("--status"), b"");
    assert!(status.stdout.starts_with("waiting  0\nfailed   0\ntold     3"), "{status:?}");
}
