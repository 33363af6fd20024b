//! Everything that can be wrong with what comes in: a clear word, and nothing else is disturbed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::harness::*;

/// A request by hand.
fn raw(url: &str, parts: &[&[u8]]) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for part in parts {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn fixture(name: &str, recv_options: &[&str]) -> (Scratch, Sandbox, Pipeline) {
    let scratch = Scratch::new(name);
    let sandbox = Sandbox::start(&scratch, &[]);
    scratch.write("users.json", r#"{"1": "*"}"#);
    let pipeline = Pipeline::with(&scratch, &mut tg_send(&scratch, &sandbox), recv_options, true);
    (scratch, sandbox, pipeline)
}

fn still_works(pipeline: &Pipeline, sandbox: &Sandbox, name: &str) {
    assert_eq!(post(&pipeline.url, &webhook(&[name])), 200);
    until("the message", || sandbox.texts(1).join("\n").contains(&format!("summary of {name}")).then_some(()));
}

#[test]
fn bodies_that_are_no_webhooks() {
    let (_scratch, sandbox, pipeline) = fixture("bodies", &[]);
    // Of 8 MB: each would have become some hundred bytes of am-recv's memory, and some thousand of alert-route's.
    let millions = format!(r#"{{"alerts":[{}{{}}]}}"#, "{},".repeat(2_700_000));
    for (body, status, reason) in [
        ("", 400, "not JSON"),
        ("{", 400, "not JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", 400, "point Prometheus at Alertmanager, and Alertmanager here"),
        ("{}", 400, "no list \"alerts\""),
        ("\"alerts\"", 400, "no list \"alerts\""),
        (r#"{"alerts":[]}"#, 200, "accepted"),
        (&"[".repeat(5000), 400, "recursion limit"),
        (r#"{"alerts":[{"labels":{"alertname":"\ud800"}}]}"#, 400, "not JSON: "),
        (r#"{"alerts":[{"labels":{"alertname":1e999}}]}"#, 400, "number out of range"),
        (&millions, 413, "more than 50000 alerts in one webhook"),
    ] {
        let (got, text) = answer(&pipeline.url, body).unwrap();
        assert_eq!(got, status, "{body:.60}: {text}");
        assert!(text.contains(reason), "{body:.60}: {text}");
    }
    still_works(&pipeline, &sandbox, "After");
    let peak = pipeline.recv.peak();
    assert!(peak < 80 << 10, "am-recv took {peak} KiB");
}

#[test]
fn a_page_in_a_browser_cannot_post_alerts() {
    let (_scratch, sandbox, pipeline) = fixture("pages", &[]);
    let body = webhook(&["Forged"]);
    for header in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = raw(&pipeline.url, &[request.as_bytes()]);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{header}: {answer}");
    }
    still_works(&pipeline, &sandbox, "After");
    assert!(!sandbox.texts(1).join("\n").contains("Forged"));
}

#[test]
fn a_body_of_100_megabytes() {
    let (_scratch, sandbox, pipeline) = fixture("huge", &[]);
    let before = pipeline.recv.rss();
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 100 << 20);
    let megabyte = vec![b' '; 1 << 20];
    let mut parts: Vec<&[u8]> = vec![head.as_bytes()];
    parts.extend((0..100).map(|_| megabyte.as_slice()));
    // The same without a length, so that it is found out only by reading.
    let chunk_head =
        b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    let mut chunks: Vec<&[u8]> = vec![chunk_head];
    for _ in 0..100 {
        chunks.extend([b"100000\r\n".as_slice(), megabyte.as_slice(), b"\r\n"]);
    }
    chunks.push(b"0\r\n\r\n");
    for parts in [parts, chunks] {
        let answer = raw_with_close(&pipeline.url, &parts);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("larger than 8388608 bytes (--max-body)"), "{answer}");
    }
    still_works(&pipeline, &sandbox, "After");
    let grown = pipeline.recv.rss().saturating_sub(before);
    assert!(grown < 40 << 10, "am-recv grew by {grown} KiB");
}

/// Reads what the server says while the body still goes out, as clients do.
fn raw_with_close(url: &str, parts: &[&[u8]]) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let heard = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = reader.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..n]);
            if String::from_utf8_lossy(&answer).contains("(--max-body)\n") {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    });
    for part in parts {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    heard.join().unwrap()
}

#[test]
fn slow_clients_hold_nobody_up_and_are_told_why() {
    let (_scratch, sandbox, pipeline) = fixture("slow", &["--read-timeout", "1"]);
    let address = pipeline.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let heads = [
        // Half a large body, half a small one, half a header, nothing.
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{\"alerts\":",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{\"alerts\":",
        "POST / HTT",
        "",
    ];
    let slow: Vec<TcpStream> = heads
        .iter()
        .cycle()
        .take(40)
        .map(|head| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    still_works(&pipeline, &sandbox, "Meanwhile");
    for (mut stream, head) in slow.into_iter().zip(heads.iter().cycle()) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|err| panic!("{head:?}: {err}"));
        assert!(answer.starts_with("HTTP/1.1 408 "), "{head:?}: {answer}");
    }
    still_works(&pipeline, &sandbox, "After");
}

#[test]
fn requests_that_are_none() {
    let (_scratch, sandbox, pipeline) = fixture("requests", &[]);
    for (request, start) in [
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 "),
        ("GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 404 "),
        ("garbage\r\n\r\n", "HTTP/1.1 400 "),
        ("GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "),
        ("GET /-/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 "),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
            "HTTP/1.1 415 ",
        ),
    ] {
        let answer = raw(&pipeline.url, &[request.as_bytes()]);
        assert!(answer.starts_with(start), "{request:?}: {answer}");
    }
    let metrics = raw(&pipeline.url, &[b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]);
    assert!(metrics.contains("am_recv_http_requests_total{code=\"405\"} 1"), "{metrics}");
    assert!(metrics.contains("Content-Type: application/openmetrics-text"), "{metrics}");
    still_works(&pipeline, &sandbox, "After");
}

#[test]
fn two_requests_at_once_on_one_connection_block_nobody() {
    let (_scratch, sandbox, mut pipeline) = fixture("pipelining", &["--ack-timeout", "2"]);
    still_works(&pipeline, &sandbox, "Before");
    pipeline.send.kill();
    let body = webhook(&["A"]);
    let one = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let address = pipeline.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.write_all(format!("{one}{one}").as_bytes()).unwrap();
    let mut answers = String::new();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 1024];
    while answers.matches("HTTP/1.1 503 ").count() < 2 {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "{answers}");
        answers.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    assert_eq!(sandbox.messages(1).len(), 1);
}

#[test]
fn credentials_are_asked_for_where_they_are_configured() {
    let scratch = Scratch::new("credentials");
    let mut recv = command("am-recv");
    recv.args(["-p", "0"]).env("WEBHOOK_TOKEN", "hush-hush").stdout(Stdio::null());
    let recv = Process::start(&scratch, "am-recv", &mut recv);
    let url = format!("http://{}/", recv.says("listening on ").rsplit(' ').next().unwrap());
    let status = |header: Option<&str>| {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let request = config.new_agent().post(&url).content_type("application/json");
        let request = match header {
            Some(value) => request.header("Authorization", value),
            None => request,
        };
        request.send(&webhook(&["A"])).unwrap().status().as_u16()
    };
    assert_eq!((status(None), status(Some("Bearer wrong")), status(Some("Bearer hush-hush"))), (401, 401, 200));
    assert!(!recv.log().contains("hush-hush"));
}

#[test]
fn a_closed_stdout_ends_the_tool_with_a_word_and_a_503() {
    let scratch = Scratch::new("stdout");
    let mut reader = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let stdin = reader.stdin.take().unwrap();
    reader.wait().unwrap();
    let mut recv = command("am-recv");
    recv.args(["-p", "0", "--ack"]).arg(scratch.path("ack.sock")).stdout(stdin);
    let mut recv = Process::start(&scratch, "am-recv", &mut recv);
    // The first empty line is refused already, or the first webhook is.
    let line = until("an end or a start", || {
        recv.log().lines().find(|line| line.contains("listening on ")).map(str::to_owned)
    });
    let status = post(&format!("http://{}/", line.rsplit(' ').next().unwrap()), &webhook(&["A"]));
    assert!(status == 503 || status == 0, "{status}");
    assert_eq!(recv.wait().code(), Some(1));
    assert!(recv.log().contains("error: cannot write lines to stdout, so webhooks are refused: Broken pipe"));

    let output = run(command("alert-route").arg("-u").arg(scratch.write("u.json", "{}")).stdout(Stdio::null()), b"");
    assert_eq!(output.code, Some(0));
}

#[test]
fn a_second_one_that_is_started_by_mistake_takes_nothing_from_the_first() {
    let (scratch, sandbox, pipeline) = fixture("second", &[]);
    let socket = scratch.path("ack.sock");
    let port = pipeline.url.trim_end_matches('/').rsplit(':').next().unwrap();
    for (port, words) in [(port, "Address already in use"), ("0", "another am-recv listens there")] {
        let output = run(command("am-recv").args(["-p", port, "--ack"]).arg(&socket), b"");
        assert!(output.code == Some(1) && output.stderr.contains(words), "{output:?}");
    }
    still_works(&pipeline, &sandbox, "After");
}

#[test]
fn a_request_in_flight_when_the_pipe_breaks_is_answered_503() {
    let (_scratch, sandbox, mut pipeline) = fixture("breaks", &["--ack-timeout", "30"]);
    still_works(&pipeline, &sandbox, "Before");
    pipeline.send.kill();
    let url = pipeline.url.clone();
    let waiting = std::thread::spawn(move || post(&url, &webhook(&["A"])));
    // alert-route finds out when it writes; am-recv when it writes to alert-route's pipe.
    let status = pipeline.route.wait();
    assert_eq!(status.code(), Some(1), "{}", pipeline.route.log());
    assert!(pipeline.route.log().contains("error: cannot write to stdout: Broken pipe"), "{}", pipeline.route.log());
    let last = post(&pipeline.url, &webhook(&["B"]));
    assert_eq!((waiting.join().unwrap(), last), (503, 503));
    assert_eq!(pipeline.recv.wait().code(), Some(1));
}

#[test]
fn users_files_and_templates_that_cannot_be_used() {
    let scratch = Scratch::new("users");
    let good = scratch.write("good.json", r#"{"1": "*"}"#);
    let secret = scratch.write("secret.json", "{}");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o000)).unwrap();
    let cases = [
        (vec!["-u".into(), scratch.path("nothing.json")], "cannot read users file"),
        (vec!["-u".into(), scratch.write("bad.json", "{\n  1")], "bad.json:2:3: not JSON: key must be a string"),
        (vec!["-u".into(), scratch.write("list.json", "[]")], "list.json:1:1: a users file is a JSON object"),
        (vec!["-u".into(), scratch.path(".")], "Is a directory"),
        (vec![], "no users file"),
        (vec!["-u".into(), good.clone(), "-t".into(), scratch.write("t", "{{ name }\n{% if %}")], "t:1: syntax error"),
        (vec!["-u".into(), good.clone(), "-t".into(), scratch.path("none")], "cannot read template"),
        (
            vec!["--check=strict".into(), "-u".into(), scratch.write("re.json", r#"{"5": "("}"#)],
            "chat 5: pattern \"(\"",
        ),
        (vec!["--nonsense".into()], "invalid option '--nonsense'"),
    ];
    for (options, reason) in cases {
        let output = run(command("alert-route").args(&options), b"");
        assert_eq!(output.code, Some(2), "{options:?}: {output:?}");
        assert!(output.stderr.contains(reason), "{options:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.contains("panicked"), "{options:?}: {output:?}");
    }
    let checked = run(command("alert-route").arg("--check").arg("-u").arg(good), b"");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.stderr.contains("warning") && !checked.stderr.contains("error"), "{checked:?}");
    // Root reads everything; anybody else is refused.
    let unreadable = run(command("alert-route").arg("-u").arg(&secret), b"");
    if std::fs::read(&secret).is_err() {
        assert_eq!(unreadable.code, Some(2));
        assert!(unreadable.stderr.contains("Permission denied"), "{unreadable:?}");
    }
}

#[test]
fn garbage_between_lines_and_records() {
    let scratch = Scratch::new("garbage");
    let users = scratch.write("users.json", r#"{"1": "*"}"#);
    let input = format!("half a li\n\n{}\n[1]\n{}\n", webhook(&["A"]), webhook(&["B"]));
    let routed = run(command("alert-route").arg("-u").arg(users), input.as_bytes());
    assert_eq!(routed.code, Some(0));
    assert_eq!(routed.stdout.lines().filter(|line| !line.is_empty()).count(), 2, "{routed:?}");
    assert!(routed.stderr.contains("warning: stdin:1: skipped: not JSON"), "{routed:?}");
    assert!(routed.stderr.contains("warning: stdin:4: skipped: a bare array"), "{routed:?}");

    let sandbox = Sandbox::start(&scratch, &[]);
    let input = format!("{{\"te\n{}\n{{\"text\":\"nowhere\"}}\n{}\n", record(1, "first"), record(1, "second"));
    let sent = run(&mut tg_send(&scratch, &sandbox), input.as_bytes());
    assert_eq!(sent.code, Some(1), "{sent:?}");
    assert!(sent.stderr.contains("warning: stdin:1:4: not JSON"), "{sent:?}");
    assert!(sent.stderr.contains("warning: stdin:3: set aside: no \"chat\""), "{sent:?}");
    assert!(sent.stderr.contains("error: 1 records could not be told and were set aside\ntg-send: hint: "), "{sent:?}");
    let told = sandbox.texts(1).join("\n");
    assert!(told.contains("first") && told.contains("second"), "{told}");
    let failed = run(tg_send(&scratch, &sandbox).arg("--failed"), b"");
    assert!(failed.stdout.contains("no \"chat\"\t{\"text\":\"nowhere\"}"), "{failed:?}");
}

#[test]
fn the_token_stands_in_no_output() {
    let scratch = Scratch::new("token");
    let sandbox = Sandbox::start(&scratch, &[]);
    let garbage = json!({"http": {"status": 200, "headers": {}, "body": format!("<html>{TOKEN}</html>")}});
    let echo = json!({"error": {"code": 400, "description": format!("Bad Request: bot{TOKEN} is odd")}});
    for (name, fault, api) in [
        ("nobody there", None, "http://127.0.0.1:1"),
        ("no such host", None, "http://nowhere.invalid"),
        ("no address at all", None, "::::"),
        ("TLS with nobody who speaks it", None, &sandbox.api.replace("http:", "https:")),
        ("garbage that holds the token", Some(garbage), &sandbox.api),
        ("an error that holds the token", Some(echo), &sandbox.api),
        ("reset", Some(json!({"rst": "on_accept"})), &sandbox.api),
        ("unauthorized", Some(json!({"preset": "unauthorized"})), &sandbox.api),
    ] {
        sandbox.clear_rules();
        if let Some(fault) = fault {
            sandbox.rules(json!([{"id": "fault", "match": {}, "times": -1, "do": fault}]));
        }
        let mut command = tg_send(&scratch, &sandbox);
        command.env("TELEGRAM_API_URL", api).args(["-v", "--timeout", "2", "--outbox"]).arg(scratch.path(name));
        let output = run(&mut command, record(1, "x").as_bytes());
        assert_ne!(output.code, Some(0), "{name}: {output:?}");
        assert!(output.stderr.contains("error: "), "{name}: {output:?}");
        for secret in [TOKEN, "s3cret"] {
            assert!(!format!("{output:?}").contains(secret), "{name}: {output:?}");
        }
    }
}

#[test]
fn a_refused_token_ends_the_tool_and_keeps_the_queue() {
    let scratch = Scratch::new("unauthorized");
    let sandbox = Sandbox::start(&scratch, &["--token", "1:somebody-elses-token-AAAAAAAAAAAAAAAAAAA"]);
    let input = format!("{}\n{}\n", record(1, "first"), record(2, "second"));
    let output = run(&mut tg_send(&scratch, &sandbox), input.as_bytes());
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("error: Telegram refuses the bot token: 401 Unauthorized\n"), "{output:?}");
    let status = run(tg_send(&scratch, &sandbox).arg("--status"), b"");
    assert!(status.stdout.starts_with("waiting  2, the oldest for "), "{status:?}");
}
