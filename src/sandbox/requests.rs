//! What was asked: every request to the API, for tests to look at.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and the client was told so.
    Delivered,
    /// An error was the answer.
    Rejected,
    /// The connection was broken before anything was done.
    Dropped,
    /// Done, but the client cannot know.
    LostAnswer,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Rejected => "rejected",
            Outcome::Dropped => "dropped",
            Outcome::LostAnswer => "lost_answer",
        }
    }
}

/// A file that was uploaded.
#[derive(Clone, Debug)]
pub struct FileFacts {
    pub name: String,
    pub filename: String,
    pub mime: String,
    pub size: usize,
    pub sha256: String,
    pub dimensions: Option<(u32, u32)>,
}

/// One request. The token is not kept.
#[derive(Clone, Debug)]
pub struct Record {
    pub n: u64,
    pub t_ms: u64,
    pub conn: u64,
    pub reused: bool,
    pub method: Box<str>,
    pub params: Vec<(Box<str>, Box<str>)>,
    pub files: Vec<FileFacts>,
    pub rule: Option<Box<str>>,
    pub status: u16,
    pub outcome: Outcome,
}

impl Record {
    pub fn chat(&self) -> &str {
        self.params.iter().find(|(name, _)| &**name == "chat_id").map_or("", |(_, value)| value)
    }

    pub fn to_json(&self) -> Value {
        let params: Map<String, Value> =
            self.params.iter().map(|(name, value)| (name.to_string(), json!(**value))).collect();
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|file| {
                let (w, h) = file.dimensions.unzip();
                json!({"name": file.name, "filename": file.filename, "mime": file.mime, "size": file.size,
                       "sha256": file.sha256, "w": w, "h": h})
            })
            .collect();
        json!({"n": self.n, "t_ms": self.t_ms, "conn": self.conn, "reused": self.reused, "method": self.method,
               "params": params, "files": files, "rule": self.rule, "status": self.status,
               "outcome": self.outcome.name()})
    }
}

/// The last requests, and counts of all.
#[derive(Debug, Default)]
pub struct Requests {
    kept: VecDeque<Record>,
    next: u64,
    most: usize,
    /// How many of each outcome, over all time.
    pub outcomes: [u64; 4],
}

impl Requests {
    pub fn new(most: usize) -> Requests {
        Requests { most, next: 1, ..Requests::default() }
    }

    pub fn total(&self) -> u64 {
        self.next - 1
    }

    /// Keeps a request and gives it its number.
    pub fn push(&mut self, mut record: Record) {
        record.n = self.next;
        self.next += 1;
        self.outcomes[record.outcome as usize] += 1;
        self.kept.push_back(record);
        while self.kept.len() > self.most {
            self.kept.pop_front();
        }
    }

    /// Those with a number above `n`.
    pub fn since(&self, n: u64) -> impl Iterator<Item = &Record> {
        let first = self.kept.front().map_or(self.next, |record| record.n);
        self.kept.iter().skip((n + 1).saturating_sub(first) as usize)
    }
}
