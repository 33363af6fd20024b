//! The parameters of a call, from the four places where the Bot API takes them.
//!
//! As TDLib's HttpReader does it: the content type is matched by substring; a JSON value that is a string is taken
//! decoded, any other is kept as JSON text; a body that is not JSON is ignored.

use serde_json::{Map, Value};

use crate::http::Request;

/// A file in a multipart body.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The name of the part.
    pub name: String,
    pub filename: String,
    pub mime: String,
    pub bytes: Vec<u8>,
}

/// The parameters of a call, in the order in which they stand.
#[derive(Clone, Debug, Default)]
pub struct Params {
    pub fields: Vec<(Box<str>, Box<str>)>,
    pub files: Vec<Upload>,
    /// The body called itself JSON and was not.
    pub bad_json: bool,
}

impl Params {
    pub fn read(request: &Request) -> Params {
        let mut params = Params::default();
        params.add_form(request.head.query().as_bytes());
        let content_type = request.head.header("content-type").to_ascii_lowercase();
        if request.body.is_empty() {
            return params;
        }
        if content_type.contains("application/json") {
            params.add_json(&request.body);
        } else if content_type.contains("application/x-www-form-urlencoded") {
            params.add_form(&request.body);
        } else if content_type.contains("multipart/form-data") {
            let boundary = boundary(request.head.header("content-type"));
            params.add_multipart(&request.body, &boundary);
        }
        params
    }

    /// The members of an object inside a parameter.
    pub fn of(object: Map<String, Value>) -> Params {
        let mut params = Params::default();
        params.add_members(object);
        params
    }

    /// A parameter, or "" if it is not there: to the server the same thing.
    pub fn get(&self, name: &str) -> &str {
        self.fields.iter().find(|(key, _)| &**key == name).map_or("", |(_, value)| value)
    }

    /// The server's to_bool: `true`, `yes` or `1` in any case.
    pub fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name).to_ascii_lowercase().as_str(), "true" | "yes" | "1")
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }

    /// A parameter that holds JSON.
    pub fn json(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.get(name)).ok()
    }

    pub fn file(&self, name: &str) -> Option<&Upload> {
        self.files.iter().find(|file| file.name == name)
    }

    fn add(&mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) {
        self.fields.push((name.into(), value.into()));
    }

    fn add_form(&mut self, text: &[u8]) {
        for pair in text.split(|c| *c == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|c| *c == b'=').unwrap_or(pair.len());
            self.add(decoded(&pair[..equals]), decoded(pair.get(equals + 1..).unwrap_or_default()));
        }
    }

    fn add_json(&mut self, body: &[u8]) {
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => self.add_members(map),
            _ => self.bad_json = true,
        }
    }

    fn add_members(&mut self, map: Map<String, Value>) {
        for (name, value) in map {
            match value {
                Value::String(text) => self.add(name, text),
                other => self.add(name, other.to_string()),
            }
        }
    }

    fn add_multipart(&mut self, body: &[u8], boundary: &str) {
        let delimiter = format!("--{boundary}").into_bytes();
        let mut rest = body;
        let mut inside = false;
        while let Some((part, after)) = split_part(rest, &delimiter) {
            if inside {
                self.add_part(part);
            }
            inside = true;
            rest = after;
        }
    }

    fn add_part(&mut self, part: &[u8]) {
        let Some(head_end) = find(part, b"\r\n\r\n") else { return };
        let head = String::from_utf8_lossy(&part[..head_end]).into_owned();
        let bytes = &part[head_end + 4..];
        let header = |wanted: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(wanted));
            line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim()).to_owned()
        };
        let disposition = header("content-disposition");
        let Some(name) = attribute(&disposition, "name") else { return };
        match attribute(&disposition, "filename") {
            Some(filename) => {
                let mime = header("content-type");
                self.files.push(Upload { name, filename, mime, bytes: bytes.to_vec() });
            }
            None => self.add(name, String::from_utf8_lossy(bytes)),
        }
    }
}

fn boundary(content_type: &str) -> String {
    attribute(content_type, "boundary").unwrap_or_default()
}

/// `key=value` or `key="value"` behind the first semicolon of a header; in quotes a semicolon is none.
fn attribute(header: &str, key: &str) -> Option<String> {
    let mut quoted = false;
    let mut parts = header.split(|c: char| {
        quoted ^= c == '"';
        c == ';' && !quoted
    });
    parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        name.trim().eq_ignore_ascii_case(key).then(|| value.to_owned())
    })
}

/// What stands before the next delimiter line, and what behind it.
fn split_part<'a>(text: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + find(&text[from..], delimiter)?;
        let after = &text[at + delimiter.len()..];
        let starts_line = at == 0 || text[..at].ends_with(b"\r\n");
        if starts_line && (after.starts_with(b"\r\n") || after.starts_with(b"--")) {
            return Some((text[..at].strip_suffix(b"\r\n").unwrap_or_default(), after));
        }
        from = at + 1;
    }
}

/// Where `needle` starts. By its first byte, which memchr-like iteration finds fast enough for uploads.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|c| *c == first) {
        if text[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn decoded(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut i = 0;
    while i < text.len() {
        let hex = |n: usize| text.get(i + n).and_then(|c| char::from(*c).to_digit(16));
        match (text[i], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                i += 2;
            }
            (b'+', ..) => out.push(b' '),
            (c, ..) => out.push(c),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
