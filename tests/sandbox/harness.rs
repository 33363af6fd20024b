//! A running tg-sandbox, and a client that sees what happens on the socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

pub const TOKEN: &str = "123456:test_TOKEN";

/// The real binary, killed at the end.
pub struct Sandbox {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
    pub api: u16,
    pub ctl: u16,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub bytes: Vec<u8>,
}

/// How a connection ended without an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    Refused,
    Reset,
    /// After these bytes.
    End(Vec<u8>),
    Silent,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|err| panic!("{err}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Sandbox {
    pub fn start(args: &[&str]) -> Sandbox {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tg-sandbox"))
            .args(["--max-seconds", "120"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let port = |name: &str| {
            let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            word.and_then(|addr| addr.strip_prefix("127.0.0.1:")).and_then(|port| port.parse().ok())
        };
        let (Some(api), Some(ctl)) = (port("api="), port("ctl=")) else { panic!("not the promised line: {line:?}") };
        Sandbox { child, out, api, ctl }
    }

    /// Strict, with one person (1), one group (-5), one forum (-1005) and one channel.
    pub fn strict(args: &[&str]) -> Sandbox {
        let sandbox = Sandbox::start(&[&["--strict"], args].concat());
        sandbox.post("chat", json!({"id": 1, "first_name": "Ada"}));
        sandbox.post("chat", json!({"id": -5, "title": "Ops"}));
        sandbox.post(
            "chat",
            json!({"id": -1_000_000_000_005i64, "title": "Forum", "is_forum": true, "threads": {"7": "Alerts"}}),
        );
        sandbox.post(
            "chat",
            json!({"id": -1_000_000_000_006i64, "type": "channel", "username": "news", "bot": "administrator"}),
        );
        sandbox
    }

    /// A call of the Bot API with JSON.
    pub fn bot(&self, method: &str, params: Value) -> Answer {
        self.call(method, "application/json", params.to_string().as_bytes()).unwrap()
    }

    /// The result of a call that must succeed.
    pub fn ok(&self, method: &str, params: Value) -> Value {
        let answer = self.bot(method, params.clone());
        let body = answer.json();
        assert!(answer.status == 200 && body["ok"] == true, "{method} {params}: {body}");
        body["result"].clone()
    }

    /// Code and description of a call that must be refused.
    pub fn refused(&self, method: &str, params: Value) -> (u16, String) {
        let answer = self.bot(method, params.clone());
        let body = answer.json();
        assert_eq!(body["ok"], false, "{method} {params}: {body}");
        assert_eq!(body["error_code"], answer.status, "{body}");
        (answer.status, body["description"].as_str().unwrap().to_owned())
    }

    pub fn send(&self, chat: i64, text: &str) -> Answer {
        self.bot("sendMessage", json!({"chat_id": chat, "text": text}))
    }

    pub fn call(&self, method: &str, content_type: &str, body: &[u8]) -> Result<Answer, Broken> {
        Wire::open(self.api)?.ask(&request(method, content_type, body))
    }

    pub fn upload(&self, method: &str, params: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> Answer {
        let mut body = Vec::new();
        for (name, value) in params {
            body.extend(format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes());
        }
        for (name, filename, bytes) in files {
            let head =
                format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\n\r\n");
            body.extend(head.bytes());
            body.extend_from_slice(bytes);
            body.extend(b"\r\n");
        }
        body.extend(b"--B--\r\n");
        self.call(method, "multipart/form-data; boundary=B", &body).unwrap()
    }

    fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        let length = body.len();
        let text = format!("{method} /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{body}");
        Wire::open(self.ctl).unwrap().ask(text.as_bytes()).unwrap()
    }

    /// A call of the control API that must succeed.
    pub fn post(&self, call: &str, body: Value) -> Value {
        let answer = self.control("POST", call, &body.to_string());
        assert_eq!(answer.status, 200, "{call} {body}: {}", answer.json());
        answer.json()
    }

    pub fn post_fails(&self, call: &str, body: Value) -> u16 {
        let answer = self.control("POST", call, &body.to_string());
        assert!(answer.json()["error"].is_string(), "{call} {body}: {}", answer.json());
        answer.status
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.control("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.json());
        answer.json()
    }

    pub fn delete(&self, path: &str) -> Value {
        self.control("DELETE", path, "").json()
    }

    pub fn rule(&self, rule: Value) {
        self.post("rules", rule);
    }

    pub fn violation(&self, name: &str) -> u64 {
        let violations = self.get("violations");
        violations["counts"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {violations}"))
    }

    /// The texts that a chat shows.
    pub fn texts(&self, chat: i64) -> Vec<String> {
        let messages = self.get(&format!("chat/{chat}/messages"));
        let text = |message: &Value| message["text"].as_str().or(message["caption"].as_str()).unwrap_or("").to_owned();
        messages.as_array().unwrap().iter().map(text).collect()
    }

    /// What became of the last request.
    pub fn last_request(&self) -> Value {
        self.get("requests").as_array().unwrap().last().unwrap().clone()
    }

    /// Ends it and returns what it said at last.
    pub fn end(mut self, how: impl FnOnce(&Sandbox)) -> (ExitStatus, Value) {
        how(&self);
        let status = self.child.wait().unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (status, serde_json::from_str(&rest).unwrap_or_else(|err| panic!("{err}: {rest:?}")))
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), pid]).status().unwrap().success());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A 400 as [`Sandbox::refused`] returns it.
pub fn bad(words: &str) -> (u16, String) {
    (400, format!("Bad Request: {words}"))
}

pub fn request(method: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "POST /bot{TOKEN}/{method} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub fn send_request(chat: i64, text: &str) -> Vec<u8> {
    request("sendMessage", "application/json", json!({"chat_id": chat, "text": text}).to_string().as_bytes())
}

/// One connection.
pub struct Wire {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn open(port: u16) -> Result<Wire, Broken> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|err| broken(&err, &[]))?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Ok(Wire { stream, buffer: Vec::new() })
    }

    pub fn ask(&mut self, bytes: &[u8]) -> Result<Answer, Broken> {
        self.stream.write_all(bytes).map_err(|err| broken(&err, &[]))?;
        self.answer()
    }

    /// Reads one answer.
    pub fn answer(&mut self) -> Result<Answer, Broken> {
        let head_end = loop {
            match self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(end) => break end,
                None => self.fill()?,
            }
        };
        let head = String::from_utf8(self.buffer[..head_end].to_vec()).unwrap();
        self.buffer.drain(..head_end + 4);
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned()));
        let mut answer = Answer { status, headers: headers.collect(), bytes: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.buffer.len() < length {
                self.fill()?;
            }
            answer.bytes = self.buffer.drain(..length).collect();
        } else if answer.header("transfer-encoding").is_some() {
            answer.bytes = self.chunks()?;
        } else {
            loop {
                match self.fill() {
                    Ok(()) => {}
                    Err(Broken::End(bytes)) => break answer.bytes = bytes,
                    Err(err) => return Err(err),
                }
            }
        }
        Ok(answer)
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break end,
                    None => self.fill()?,
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&self.buffer[..end]).unwrap(), 16).unwrap();
            while self.buffer.len() < end + 2 + size + 2 {
                self.fill()?;
            }
            body.extend_from_slice(&self.buffer[end + 2..end + 2 + size]);
            self.buffer.drain(..end + 2 + size + 2);
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn fill(&mut self) -> Result<(), Broken> {
        let mut chunk = [0; 65536];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Broken::End(self.buffer.clone())),
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Err(err) => Err(broken(&err, &self.buffer)),
        }
    }
}

fn broken(err: &std::io::Error, read: &[u8]) -> Broken {
    match err.kind() {
        ErrorKind::ConnectionRefused => Broken::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Broken::Reset,
        ErrorKind::WouldBlock => Broken::Silent,
        _ => panic!("{err} after {read:?}"),
    }
}

/// The header of a PNG, which is all that is looked at.
pub fn png(width: u32, height: u32, padding: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(vec![0; 9 + padding]);
    bytes
}
