//! What the tests of the real binaries share: scratch directories, processes that say what they said when a test fails,
//! the sandbox and its control API, and webhooks.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests may panic and speak")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod load;
pub mod test_api;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A token that must never be seen in any output.
pub const TOKEN: &str = "123456:s3cret-t0ken-of-the-tests-AAAAAAAA";

/// Long enough for a loaded machine; a test that works never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is there.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, &mut look)
}

/// Waits so long until something is there.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Says a line also when the test passes, which keeps back what goes through `eprintln!`. It stands at the start of one.
pub fn say(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

/// A directory that goes away when the test is over, unless it failed.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("pt-{}-{n}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("kept: {}", self.0.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The path of one of our binaries.
pub fn binary(name: &str) -> &'static str {
    match name {
        "am-recv" => env!("CARGO_BIN_EXE_am-recv"),
        "alert-route" => env!("CARGO_BIN_EXE_alert-route"),
        "tg-send" => env!("CARGO_BIN_EXE_tg-send"),
        "tg-bot" => env!("CARGO_BIN_EXE_tg-bot"),
        "grafana-shot" => env!("CARGO_BIN_EXE_grafana-shot"),
        "tg-sandbox" => env!("CARGO_BIN_EXE_tg-sandbox"),
        other => panic!("no binary {other}"),
    }
}

/// A command of ours with nothing of this machine's in its environment.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(binary(name));
    command.env_clear().env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
    command
}

/// A process that is killed when the test is over, and whose log is shown when it failed.
pub struct Process {
    name: String,
    pub child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it with its stderr in `<name>.log` of the scratch directory, which is appended to.
    pub fn start(scratch: &Scratch, name: &str, command: &mut Command) -> Self {
        let log = scratch.path(&format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stderr(file).spawn().unwrap_or_else(|err| panic!("{name}: {err}: {command:?}"));
        Process { name: name.to_owned(), child, log }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line of its log that holds `part`, and returns it.
    pub fn says(&self, part: &str) -> String {
        until(&format!("{part:?} of {}, which said:\n{}", self.name, self.log()), || {
            self.log().lines().find(|line| line.contains(part)).map(str::to_owned)
        })
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        until(&what, || self.child.try_wait().unwrap())
    }

    /// Resident memory now, in KiB.
    pub fn rss(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most that it ever had.
    pub fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(what)).expect("it is alive");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
    }
}

/// What a short run of a tool gave.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a tool to its end with this input.
pub fn run(command: &mut Command, input: &[u8]) -> Output {
    use std::io::Write;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A client that gives up.
fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).build().new_agent()
}

/// The sandbox, with its control API.
pub struct Sandbox {
    pub process: Process,
    pub api: String,
    pub ctl: String,
    agent: ureq::Agent,
}

impl Sandbox {
    pub fn start(scratch: &Scratch, options: &[&str]) -> Self {
        let mut command = command("tg-sandbox");
        command.args(options).stdout(Stdio::piped());
        let mut process = Process::start(scratch, "tg-sandbox", &mut command);
        let mut line = String::new();
        let mut stdout = BufReader::new(process.child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name)).expect("an address");
            format!("http://{word}")
        };
        let (api, ctl) = (address("api="), address("ctl="));
        // Its last line would end in a closed pipe.
        thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        Sandbox { process, api, ctl, agent: agent(Duration::from_secs(320)) }
    }

    pub fn get(&self, path: &str) -> Value {
        self.find(path).unwrap_or_else(|| panic!("GET {path}: 404"))
    }

    fn find(&self, path: &str) -> Option<Value> {
        let mut response = self.agent.get(format!("{}{path}", self.ctl)).call().unwrap();
        let text = response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap();
        if response.status().as_u16() == 404 {
            return None;
        }
        assert!(response.status().is_success(), "GET {path}: {text}");
        Some(serde_json::from_str(&text).unwrap())
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        let mut response = self.agent.post(format!("{}{path}", self.ctl)).send_json(&body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert!(response.status().is_success(), "POST {path} {body}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Any update; whether the sandbox passes it on.
    pub fn try_update(&self, update: &Value) -> bool {
        self.agent.post(format!("{}/update", self.ctl)).send_json(update).unwrap().status().is_success()
    }

    /// Faults: first match wins.
    pub fn rules(&self, rules: Value) {
        self.post("/rules", rules);
    }

    pub fn clear_rules(&self) {
        self.agent.delete(format!("{}/rules", self.ctl)).call().unwrap();
    }

    /// What a chat was told, in order.
    pub fn messages(&self, chat: i64) -> Vec<Value> {
        // A chat that nobody wrote to is not known yet.
        let messages = self.find(&format!("/chat/{chat}/messages"));
        messages.map_or_else(Vec::new, |messages| messages.as_array().unwrap().clone())
    }

    /// The visible texts and captions of a chat, and the contents of its text documents after their caption.
    pub fn texts(&self, chat: i64) -> Vec<String> {
        let text = |message: &Value| {
            let text = message.get("text").or(message.get("caption")).and_then(Value::as_str).unwrap_or_default();
            text.to_owned()
        };
        self.messages(chat).iter().map(text).collect()
    }

    /// All that a chat can read, message by message: texts, captions, and what is in text documents.
    pub fn everything(&self, chat: i64) -> Vec<String> {
        let mut all = self.texts(chat);
        for (text, message) in all.iter_mut().zip(self.messages(chat)) {
            if let Some(id) = message.pointer("/document/file_id").and_then(Value::as_str) {
                text.push('\n');
                text.push_str(&self.file(id));
            }
        }
        all
    }

    /// The contents of an uploaded text file.
    pub fn file(&self, id: &str) -> String {
        String::from_utf8(self.bytes(id)).unwrap()
    }

    /// The contents of an uploaded file, as a bot would get them.
    pub fn bytes(&self, id: &str) -> Vec<u8> {
        let root = &self.api;
        let mut answer =
            self.agent.post(format!("{root}/bot{TOKEN}/getFile")).send_json(json!({"file_id": id})).unwrap();
        let answer: Value = answer.body_mut().read_json().unwrap();
        let path = answer["result"]["file_path"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let mut file = self.agent.get(format!("{root}/file/bot{TOKEN}/{path}")).call().unwrap();
        file.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap()
    }

    /// Recorded requests of a method, oldest first.
    pub fn requests(&self, method: &str) -> Vec<Value> {
        self.get(&format!("/requests?method={method}")).as_array().unwrap().clone()
    }

    /// How often each rule of Telegram's was broken; only those that were. Equal texts are no such rule: two incidents
    /// within a minute read the same.
    pub fn violations(&self) -> Vec<(String, u64)> {
        let seen = self.get("/violations");
        let counts = seen["counts"].as_object().unwrap().iter().filter(|(name, _)| *name != "duplicate_text");
        counts.filter_map(|(name, n)| Some((name.clone(), n.as_u64().filter(|n| *n > 0)?))).collect()
    }
}

/// A tg-send that talks to this sandbox.
pub fn tg_send(scratch: &Scratch, sandbox: &Sandbox) -> Command {
    let mut command = command("tg-send");
    command.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &sandbox.api);
    command.arg("--outbox").arg(scratch.path("outbox.db"));
    command
}

/// The three tools as a shell would join them.
pub struct Pipeline {
    pub recv: Process,
    pub route: Process,
    pub send: Process,
    pub url: String,
}

impl Pipeline {
    /// With acknowledgements; the users file must be `users.json` in the scratch directory.
    pub fn start(scratch: &Scratch, sandbox: &Sandbox) -> Self {
        Pipeline::with(scratch, &mut tg_send(scratch, sandbox), &[], true)
    }

    pub fn with(scratch: &Scratch, send: &mut Command, recv_options: &[&str], ack: bool) -> Self {
        Pipeline::of(scratch, send, recv_options, &[], ack)
    }

    pub fn of(scratch: &Scratch, send: &mut Command, recv_options: &[&str], route_options: &[&str], ack: bool) -> Self {
        let socket = scratch.path("ack.sock");
        let mut recv = command("am-recv");
        recv.args(["-p", "0"]).args(recv_options).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut route = command("alert-route");
        route.arg("-u").arg(scratch.path("users.json")).args(route_options).stdout(Stdio::piped());
        if ack {
            recv.arg("--ack").arg(&socket);
            route.arg("--ack");
            send.arg("--ack").arg(&socket);
        }
        let mut recv = Process::start(scratch, "am-recv", &mut recv);
        let mut route = Process::start(scratch, "alert-route", route.stdin(recv.child.stdout.take().unwrap()));
        let send = send.stdin(route.child.stdout.take().unwrap()).stdout(Stdio::null());
        let send = Process::start(scratch, "tg-send", send);
        let line = recv.says("listening on ");
        let url = format!("http://{}/", line.rsplit(' ').next().unwrap());
        Pipeline { recv, route, send, url }
    }
}

/// FIFOs that somebody holds open, as systemd does, so that each tool can be replaced by itself.
pub struct Held {
    lines: File,
    records: File,
}

impl Held {
    pub fn new(scratch: &Scratch) -> Self {
        let fifo = |name| {
            let path = scratch.path(name);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            // Read and write: opening never waits, and neither side ever sees the end.
            File::options().read(true).write(true).open(path).unwrap()
        };
        Held { lines: fifo("lines"), records: fifo("records") }
    }

    fn end(fifo: &File) -> Stdio {
        Stdio::from(OwnedFd::from(fifo.try_clone().unwrap()))
    }

    /// Starts a tool at its place: 0 am-recv, 1 alert-route, 2 tg-send.
    pub fn start(&self, scratch: &Scratch, sandbox: &Sandbox, port: u16, tool: usize) -> Process {
        let socket = scratch.path("ack.sock");
        match tool {
            0 => {
                let mut recv = command("am-recv");
                recv.args(["-p", &port.to_string(), "--ack-timeout", "2", "--ack"]).arg(socket);
                Process::start(scratch, "am-recv", recv.stdin(Stdio::null()).stdout(Held::end(&self.lines)))
            }
            1 => {
                let mut route = command("alert-route");
                route.arg("--ack").arg("-u").arg(scratch.path("users.json"));
                route.args(["--watchdog", "Watchdog=1h", "--seen"]).arg(scratch.path("seen.json"));
                route.stdin(Held::end(&self.lines)).stdout(Held::end(&self.records));
                Process::start(scratch, "alert-route", &mut route)
            }
            _ => {
                let mut send = tg_send(scratch, sandbox);
                send.arg("--ack").arg(socket).stdin(Held::end(&self.records)).stdout(Stdio::null());
                Process::start(scratch, "tg-send", &mut send)
            }
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    // Below ip_local_port_range: the kernel gives these to nobody else in the meantime.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let start = std::process::id() as usize * 97;
    until("a free port", || {
        let n = start + NEXT.fetch_add(1, Ordering::SeqCst);
        let port = 10_000 + u16::try_from(n % 22_000).unwrap();
        std::net::TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
    })
}

/// Posts a webhook as Alertmanager does; 0 when no answer came.
pub fn post(url: &str, body: &str) -> u16 {
    answer(url, body).map_or(0, |(status, _)| status)
}

/// Posts a webhook; the status and the text of the answer.
pub fn answer(url: &str, body: &str) -> Option<(u16, String)> {
    let agent = agent(Duration::from_secs(30));
    let mut response = agent.post(url).content_type("application/json").send(body).ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), text))
}

/// A webhook with one firing alert for each name.
pub fn webhook(names: &[&str]) -> String {
    let alerts: Vec<Value> = names.iter().map(|name| alert(name, "firing")).collect();
    json!({"version": "4", "status": "firing", "alerts": alerts, "receiver": "tests"}).to_string()
}

/// An alert as Alertmanager sends it; the name is also its summary's, so that it can be counted in texts.
pub fn alert(name: &str, status: &str) -> Value {
    json!({"status": status, "labels": {"alertname": name, "severity": "warning"},
        "annotations": {"summary": format!("summary of {name}")}, "startsAt": "2026-11-22T06:21:24.632Z",
        "endsAt": if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T06:31:24.632Z" },
        "generatorURL": "http://prometheus.example:9090/graph?g0.expr=up"})
}

/// A record for tg-send.
pub fn record(chat: i64, text: &str) -> String {
    json!({"chat": chat, "text": text, "key": text, "title": text}).to_string()
}

/// A payload of Alertmanager's own making.
pub fn payload(name: &str) -> String {
    std::fs::read_to_string(Path::new("tests/data/payloads").join(name)).unwrap()
}
