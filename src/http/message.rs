//! What goes over a connection: heads, requests and responses of HTTP/1.1.

use std::io;

const MAX_HEADERS: usize = 100;

/// What stands before the body.
#[derive(Debug, Default)]
pub struct Head {
    /// As sent.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// In their order, names as sent.
    pub headers: Vec<(String, String)>,
    /// HTTP/1.0, whose connections are not kept.
    pub is_old: bool,
}

impl Head {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What stands after the question mark.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// What the client says of the length of its body; 0 where it says nothing.
    pub fn content_length(&self) -> Result<usize, Broken> {
        match self.header("content-length") {
            "" => Ok(0),
            length => length.parse().map_err(|_| Broken::Refused(400, "Bad Request: invalid Content-Length")),
        }
    }

    /// The first header of this name, whatever its case; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// Whether a browser sent this for a page of another origin than `own`. Any page may have one post to loopback, and
    /// needs no answer for that; the browser says where it came from.
    pub fn is_foreign(&self, own: &str) -> bool {
        let (origin, site) = (self.header("origin"), self.header("sec-fetch-site"));
        (!origin.is_empty() && origin != own) || !matches!(site, "" | "none" | "same-origin")
    }

    pub(super) fn keeps_alive(&self) -> bool {
        !self.is_old && !self.header("connection").to_ascii_lowercase().contains("close")
    }
}

/// A whole request.
#[derive(Debug, Default)]
pub struct Request {
    /// Before the body.
    pub head: Head,
    /// As sent, put together from its chunks.
    pub body: Vec<u8>,
}

/// Why no request came.
#[derive(Debug)]
pub enum Broken {
    /// The other side is gone or silent: nothing to say.
    Closed,
    /// It is not HTTP, or too much of it.
    Refused(u16, &'static str),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Broken::Closed
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// All but `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// May be empty.
    pub body: Vec<u8>,
}

impl Response {
    /// With a body of this type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: vec![("Content-Type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    /// One line for a person.
    pub fn text(status: u16, line: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", format!("{line}\n"))
    }

    /// A JSON document.
    pub fn json(status: u16, value: &serde_json::Value) -> Response {
        Response::new(status, "application/json", value.to_string())
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Status line and headers, without those that say how long the body is.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.into_bytes()
    }

    /// The whole response.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = self.head();
        all.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
        all.extend_from_slice(&self.body);
        all
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        415 => "Unsupported Media Type",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Request Entity Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Time-out",
        _ => "Unknown",
    }
}

/// A head and its length in bytes, or nothing while it is not whole.
pub(super) fn parse_head(buffer: &[u8]) -> Result<Option<(Head, usize)>, Broken> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(buffer) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = request.headers.iter().map(|header| (header.name.to_owned(), text(header.value))).collect();
            let method = request.method.unwrap_or_default().to_owned();
            let target = request.path.unwrap_or_default().to_owned();
            let is_old = request.version == Some(0);
            Ok(Some((Head { method, target, headers, is_old }, length)))
        }
        Err(httparse::Error::TooManyHeaders) => Err(Broken::Refused(431, "Request Header Fields Too Large")),
        Err(_) => Err(Broken::Refused(400, "Bad Request")),
    }
}
