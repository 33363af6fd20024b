//! What the tests of delivery share: tg-send with an open stdin, and what a chat holds, files included.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::*;

/// A tg-send that reads what it is given as long as the test runs.
pub struct Sender {
    pub process: Process,
    stdin: Option<ChildStdin>,
}

impl Sender {
    pub fn start(scratch: &Scratch, command: &mut Command) -> Self {
        let mut process = Process::start(scratch, "tg-send", command.stdin(Stdio::piped()).stdout(Stdio::null()));
        let stdin = process.child.stdin.take();
        Sender { process, stdin }
    }

    pub fn tell(&mut self, lines: impl IntoIterator<Item = String>) {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    pub fn stdin(&self) -> &ChildStdin {
        self.stdin.as_ref().unwrap()
    }

    /// Ends its input and waits for its end.
    pub fn finish(&mut self) -> Option<i32> {
        self.stdin = None;
        self.process.wait().code()
    }
}

/// A record as alert-route makes it.
pub fn alert_record(chat: i64, name: &str, status: &str) -> String {
    json!({"chat": chat, "format": "html", "key": format!("{name} {status}"), "about": name,
        "text": format!("<b>{name}</b> is {status} on &lt;{name}.example&gt;\n<i>severity</i> page"),
        "title": format!("{name} {status}"),
        "count_by": {"alertname": "Load", "severity": "page", "status": status},
        "buttons": [[{"text": "Graph", "url": "http://prometheus.example/graph?g0.expr=up"}]]})
    .to_string()
}

/// Everything a chat can read, in order: texts, captions, and what is in its documents.
pub fn readable(sandbox: &Sandbox, chat: i64) -> Vec<String> {
    let text = |message: &Value| {
        let said = message.get("text").or(message.get("caption")).and_then(Value::as_str).unwrap_or_default();
        let file = message.pointer("/document/file_id").and_then(Value::as_str);
        let file = file.map(|id| download(sandbox, id)).unwrap_or_default();
        format!("{said}\n{file}")
    };
    sandbox.messages(chat).iter().map(text).collect()
}

/// An uploaded file, the way a bot gets it.
pub fn download(sandbox: &Sandbox, id: &str) -> String {
    let get = |url: String| ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
    let about: Value = serde_json::from_str(&get(format!("{}/bot{TOKEN}/getFile?file_id={id}", sandbox.api))).unwrap();
    get(format!("{}/file/bot{TOKEN}/{}", sandbox.api, about["result"]["file_path"].as_str().unwrap()))
}

/// How often each of these names is told to a chat; names must not be part of one another.
pub fn counts(sandbox: &Sandbox, chat: i64, names: &[String]) -> Vec<usize> {
    let all = readable(sandbox, chat).join("\n");
    names.iter().map(|name| all.matches(&format!("{name}.example")).count()).collect()
}

pub fn names(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{prefix}{n}x")).collect()
}

/// Only what the sandbox saw of methods that send, whatever became of it.
pub fn sends(sandbox: &Sandbox) -> Vec<Value> {
    let all = sandbox.get("/requests");
    let is_send = |request: &&Value| request["method"].as_str().unwrap().starts_with("send");
    all.as_array().unwrap().iter().filter(is_send).cloned().collect()
}

/// Runs tg-send over these lines until all is told, or for this long.
pub fn send_all(scratch: &Scratch, sandbox: &Sandbox, options: &[&str], lines: &[String]) -> Output {
    run(tg_send(scratch, sandbox).args(options), (lines.join("\n") + "\n").as_bytes())
}
