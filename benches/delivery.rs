//! How fast tg-send is where Telegram's limits are not the measure. Prints figures and fails on none of them:
//!
//! 1. messages a second, `tg-send --limits 0/0/0` against tg-sandbox, one record one message;
//! 2. from POST to sendMessage at the API, 100 alerts a second, through am-recv, alert-route and tg-send with
//!    acknowledgements; beside it Alertmanager's own Telegram receiver, from POST of the alert to its sendMessage.
//!
//! `scripts/bench-delivery` runs it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark speaks, and stops where it cannot go on")]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const TOKEN: &str = "123456:token-of-the-benchmark-AAAAAAAAAAAAA";

/// A process that ends with the benchmark.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let dir = std::env::temp_dir().join(format!("bench-delivery-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let number =
        |name: &str, default: usize| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let (records, seconds) = (number("BENCH_RECORDS", 30_000), number("BENCH_SECONDS", 20));
    for connections in ["8", "32"] {
        dispatcher(&dir, records, connections);
    }
    let alerts = seconds * 100;
    report("am-recv | alert-route | tg-send", &latencies(alerts, |api| pipeline(&dir, api)));
    match alertmanager(&dir) {
        Some(version) => report(&version, &latencies(alerts, |api| own_receiver(&dir, api))),
        None => println!("SKIPPED: no prometheus-alertmanager"),
    }
    let _ = std::fs::remove_dir_all(&dir);
}

fn dispatcher(dir: &Path, records: usize, connections: &str) {
    let mut sandbox = Command::new(env!("CARGO_BIN_EXE_tg-sandbox"))
        .args(["--limits", "off", "--keep", "1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(sandbox.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _sandbox = Process(sandbox);
    let api = line.split_whitespace().find_map(|word| word.strip_prefix("api=")).unwrap();
    let input = dir.join("records.jsonl");
    let mut file = std::io::BufWriter::new(File::create(&input).unwrap());
    for n in 1..=records {
        let text = format!("<b>Load</b> is high on node{n}.example\nseverity: page");
        let record = json!({"chat": n, "format": "html", "text": text, "key": format!("k{n}"), "about": format!("{n}"),
            "title": "Load is high", "count_by": {"alertname": "Load", "severity": "page", "status": "firing"}});
        writeln!(file, "{record}").unwrap();
    }
    file.flush().unwrap();
    let outbox = dir.join(format!("dispatcher-{connections}.db"));
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tg-send"))
        .args(["--limits", "0/0/0", "--connections", connections, "--outbox"])
        .arg(outbox)
        .env("TELEGRAM_BOT_TOKEN", TOKEN)
        .env("TELEGRAM_API_URL", format!("http://{api}"))
        .stdin(File::open(&input).unwrap())
        .stderr(File::create(dir.join("tg-send.log")).unwrap())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    let took = start.elapsed();
    let rate = records as f64 / took.as_secs_f64();
    println!(
        "dispatcher: {records} messages to as many chats in {took:.2?}: {rate:.0}/s, {connections} connections ({status})"
    );
}

/// When the API was asked to tell an alert, by its name.
type Arrivals = Arc<Mutex<HashMap<String, Instant>>>;

/// The smallest Bot API there is: it notes when a message came and says yes.
fn api() -> (u16, Arrivals) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let arrivals = Arrivals::default();
    let shared = arrivals.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let arrivals = shared.clone();
            thread::spawn(move || serve(stream.unwrap(), &arrivals));
        }
    });
    (port, arrivals)
}

fn serve(stream: TcpStream, arrivals: &Arrivals) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let now = Instant::now();
        let text = String::from_utf8_lossy(&body).into_owned();
        let answer = r#"{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"}}}"#;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        write!(writer, "{head}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).ok()?;
        let mut arrivals = arrivals.lock().unwrap();
        for name in text.split("Bench").skip(1).filter_map(|rest| rest.split('x').next()) {
            arrivals.entry(name.to_owned()).or_insert(now);
        }
    }
}

/// What takes an alert: where to POST it, how, and the processes that do it.
struct Tested {
    url: String,
    body: fn(&str) -> Value,
    _processes: Vec<Process>,
}

/// Posts 100 alerts a second; how long each took until the API was asked, sorted.
fn latencies(alerts: usize, start: impl FnOnce(u16) -> Tested) -> Vec<Option<Duration>> {
    let (port, arrivals) = api();
    let tested = start(port);
    let mut posted = HashMap::new();
    let agent = ureq::Agent::new_with_defaults();
    let begin = Instant::now();
    for n in 0..alerts {
        let due = begin + Duration::from_millis(10 * n as u64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let body = (tested.body)(&format!("Bench{n}x"));
        posted.insert(n.to_string(), Instant::now());
        let answer = agent.post(&tested.url).send_json(&body);
        assert!(answer.is_ok(), "{answer:?}");
    }
    let patience = Instant::now() + Duration::from_secs(30);
    while arrivals.lock().unwrap().len() < alerts && Instant::now() < patience {
        thread::sleep(Duration::from_millis(50));
    }
    let arrivals = arrivals.lock().unwrap();
    let mut all: Vec<Option<Duration>> =
        posted.iter().map(|(name, at)| Some(arrivals.get(name)?.duration_since(*at))).collect();
    all.sort_by_key(|took| took.unwrap_or(Duration::MAX));
    all
}

fn report(who: &str, all: &[Option<Duration>]) {
    let at = |share: f64| match all[((all.len() - 1) as f64 * share) as usize] {
        Some(took) => format!("{:.1} ms", took.as_secs_f64() * 1000.0),
        None => "never".to_owned(),
    };
    let lost = all.iter().filter(|took| took.is_none()).count();
    println!(
        "POST to sendMessage, {} alerts at 100/s: p50 {}, p90 {}, p99 {}, longest {}, missing {lost}: {who}",
        all.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

fn pipeline(dir: &Path, api: u16) -> Tested {
    let users = dir.join("users.json");
    std::fs::write(&users, r#"{"1": "*"}"#).unwrap();
    let (socket, log) = (dir.join("ack.sock"), dir.join("am-recv.log"));
    let mut recv = Command::new(env!("CARGO_BIN_EXE_am-recv"))
        .args(["-p", "0", "--ack"])
        .arg(&socket)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let mut route = Command::new(env!("CARGO_BIN_EXE_alert-route"))
        .args(["--ack", "-u"])
        .arg(users)
        .stdin(recv.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let send = Command::new(env!("CARGO_BIN_EXE_tg-send"))
        .args(["--limits", "0/0/0", "--ack"])
        .arg(&socket)
        .arg("--outbox")
        .arg(dir.join("latency.db"))
        .env("TELEGRAM_BOT_TOKEN", TOKEN)
        .env("TELEGRAM_API_URL", format!("http://127.0.0.1:{api}"))
        .stdin(route.stdout.take().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = wait_for(|| {
        let said = std::fs::read_to_string(&log).ok()?;
        let line = said.lines().find(|line| line.contains("listening on "))?;
        Some(format!("http://{}/", line.rsplit(' ').next()?))
    });
    let body = |name: &str| {
        json!({"version": "4", "status": "firing", "receiver": "bench", "alerts": [{"status": "firing",
            "labels": {"alertname": name, "severity": "page"}, "annotations": {"summary": "a benchmark"},
            "startsAt": "2026-11-22T06:21:24.632Z", "endsAt": "0001-01-01T00:00:00Z"}]})
    };
    Tested { url, body, _processes: vec![Process(recv), Process(route), Process(send)] }
}

fn alertmanager(dir: &Path) -> Option<String> {
    let output = Command::new("prometheus-alertmanager").arg("--version").current_dir(dir).output().ok()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let version = said.split("version ").nth(1)?.split_whitespace().next()?.to_owned();
    Some(format!("Alertmanager {version}'s own Telegram receiver"))
}

fn own_receiver(dir: &Path, api: u16) -> Tested {
    let config = dir.join("alertmanager.yml");
    let text = format!(
        "route: {{receiver: t, group_by: ['...'], group_wait: 0s, group_interval: 1s}}\n\
         receivers: [{{name: t, telegram_configs: [{{api_url: 'http://127.0.0.1:{api}', bot_token: '{TOKEN}', chat_id: 1,\n\
         parse_mode: HTML, message: '<b>{{{{ (index .Alerts 0).Labels.alertname }}}}</b> a benchmark'}}]}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.join("alertmanager").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stderr(File::create(dir.join("alertmanager.log")).unwrap())
        .spawn()
        .unwrap();
    wait_for(|| ureq::get(format!("http://127.0.0.1:{port}/-/ready")).call().ok());
    let body = |name: &str| json!([{"labels": {"alertname": name, "severity": "page"}, "annotations": {"summary": "a benchmark"}}]);
    let url = format!("http://127.0.0.1:{port}/api/v2/alerts");
    Tested { url, body, _processes: vec![Process(child)] }
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain");
        thread::sleep(Duration::from_millis(10));
    }
}
