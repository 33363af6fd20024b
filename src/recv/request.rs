//! What a request wants, by its head alone, and the answers that am-recv gives.
//!
//! The codes are chosen for Alertmanager: it retries 5xx and refused connections at once, and no 4xx, so whatever may
//! work later is a 503.

use std::io::Cursor;
use std::time::Duration;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};
use tiny_http::{Header, Method, Request, Response};

use crate::secret::Secret;

/// What a webhook must present, if anything.
#[derive(Debug, Default)]
pub struct Credentials {
    /// `Authorization: Bearer ...`
    pub bearer: Option<Secret>,
    /// `Authorization: Basic ...`
    pub basic: Option<(String, Secret)>,
}

impl Credentials {
    fn admit(&self, presented: Option<&str>) -> bool {
        if self.bearer.is_none() && self.basic.is_none() {
            return true;
        }
        let Some((scheme, value)) = presented.and_then(|header| header.split_once(' ')) else { return false };
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.bearer.as_ref().is_some_and(|token| same(token.expose(), value));
        }
        let Some((user, password)) = self.basic.as_ref().filter(|_| scheme.eq_ignore_ascii_case("basic")) else {
            return false;
        };
        let wanted = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.expose()));
        same(&wanted, value)
    }
}

/// Compares digests, so that the time taken says nothing about the secret.
fn same(wanted: &str, presented: &str) -> bool {
    Sha256::digest(wanted) == Sha256::digest(presented)
}

/// What a request is.
pub enum Kind {
    /// Its body is to be read.
    Webhook,
    /// `/-/healthy`
    Healthy,
    /// `/-/ready`
    Ready,
    /// `/metrics`
    Metrics,
    /// Nothing that is done here.
    Refused(Answer),
}

/// Reads the head of a request.
pub fn kind(request: &Request, credentials: &Credentials, max_body: usize) -> Kind {
    let path = request.url().split('?').next().unwrap_or_default();
    let get = matches!(request.method(), Method::Get | Method::Head);
    match path {
        "/-/healthy" if get => return Kind::Healthy,
        "/-/ready" if get => return Kind::Ready,
        "/metrics" if get => return Kind::Metrics,
        "/-/healthy" | "/-/ready" | "/metrics" => return Kind::Refused(Answer::method("GET")),
        _ => {}
    }
    if !path.ends_with('/') {
        return Kind::Refused(Answer::new(404, "nothing is here: post webhooks to /"));
    }
    if *request.method() != Method::Post {
        return Kind::Refused(Answer::method("POST"));
    }
    let header = |name: &'static str| {
        request.headers().iter().find(|header| header.field.equiv(name)).map(|header| header.value.as_str())
    };
    if !credentials.admit(header("Authorization")) {
        return Kind::Refused(Answer::unauthorized());
    }
    if !header("Content-Type").is_none_or(is_json) {
        return Kind::Refused(Answer::new(415, "the body must be JSON: send Content-Type: application/json"));
    }
    if request.body_length().is_some_and(|length| length > max_body) {
        return Kind::Refused(Answer::too_large(max_body));
    }
    Kind::Webhook
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind == "text/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// A status and one line that says why.
pub struct Answer {
    status: u16,
    text: String,
    header: Option<(&'static str, &'static str)>,
}

impl Answer {
    fn new(status: u16, text: &str) -> Self {
        Answer { status, text: format!("{text}\n"), header: None }
    }

    /// 200
    pub fn ok(text: &str) -> Self {
        Answer::new(200, text)
    }

    /// 400: sending the same again cannot help.
    pub fn bad(reason: &str) -> Self {
        Answer::new(400, reason)
    }

    /// 503: sending the same again may help, and Alertmanager does at once.
    pub fn busy(reason: &str) -> Self {
        Answer::new(503, &format!("cannot take it now: {reason}"))
    }

    /// 413
    pub fn too_large(max_body: usize) -> Self {
        Answer::new(413, &format!("the body is larger than {max_body} bytes (--max-body)"))
    }

    /// 408: the client did not send the whole body in time.
    pub fn incomplete(bytes: usize, patience: Duration) -> Self {
        Answer::new(408, &format!("the body ended after {bytes} bytes or was not complete within {patience:?}"))
    }

    /// 200 in the text format of Prometheus.
    pub fn metrics(text: String) -> Self {
        let header = Some(("Content-Type", crate::metrics_server::CONTENT_TYPE));
        Answer { status: 200, text, header }
    }

    fn method(allowed: &'static str) -> Self {
        Answer { header: Some(("Allow", allowed)), ..Answer::new(405, &format!("only {allowed} is served here")) }
    }

    fn unauthorized() -> Self {
        let header = Some(("WWW-Authenticate", "Bearer realm=\"am-recv\""));
        Answer { header, ..Answer::new(401, "missing or wrong credentials") }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The text without its newline.
    pub fn reason(&self) -> &str {
        self.text.trim_end()
    }

    /// For tiny_http.
    pub fn into_response(self) -> Response<Cursor<Vec<u8>>> {
        let mut response = Response::from_string(self.text).with_status_code(self.status);
        if let Some((name, value)) = self.header
            && let Ok(header) = Header::from_bytes(name, value)
        {
            response.add_header(header);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiny_http::TestRequest;

    fn status(kind: Kind) -> u16 {
        match kind {
            Kind::Refused(answer) => answer.status(),
            _ => 200,
        }
    }

    fn header(name: &str, value: &str) -> Header {
        Header::from_bytes(name, value).unwrap()
    }

    #[test]
    fn heads_are_answered_by_the_table() {
        type Row = (Method, &'static str, &'static [(&'static str, &'static str)], u16);
        let table: [Row; 12] = [
            (Method::Post, "/", &[("Content-Type", "application/json")], 200),
            (Method::Post, "/", &[("Content-Type", "application/json; charset=utf-8")], 200),
            (Method::Post, "/", &[("Content-Type", "application/vnd.api+json")], 200),
            (Method::Post, "/", &[], 200),
            (Method::Post, "/alerts/?x=1", &[], 200),
            (Method::Post, "/alerts", &[], 404),
            (Method::Get, "/", &[], 405),
            (Method::Put, "/", &[], 405),
            (Method::Post, "/metrics", &[], 405),
            (Method::Get, "/-/ready", &[], 200),
            (Method::Post, "/", &[("Content-Type", "application/x-www-form-urlencoded")], 415),
            (Method::Post, "/", &[("Content-Type", "text/plain")], 415),
        ];
        for (method, path, headers, expected) in table {
            let mut request = TestRequest::new().with_method(method.clone()).with_path(path);
            for (name, value) in headers {
                request = request.with_header(header(name, value));
            }
            let got = status(kind(&request.into(), &Credentials::default(), 10));
            assert_eq!(got, expected, "{method} {path} {headers:?}");
        }
    }

    #[test]
    fn a_body_that_says_it_is_too_large_is_not_read() {
        let request = TestRequest::new().with_method(Method::Post).with_body("12345678901");
        assert_eq!(status(kind(&request.into(), &Credentials::default(), 10)), 413);
    }

    #[test]
    fn credentials() {
        let secret = |text| Secret::new(text).unwrap();
        let both = Credentials { bearer: Some(secret("t0ken")), basic: Some(("am".into(), secret("pw:x"))) };
        for (presented, admitted) in [
            (None, false),
            (Some("Bearer t0ken"), true),
            (Some("bearer t0ken"), true),
            (Some("Bearer t0kem"), false),
            (Some("Bearer"), false),
            // printf %s am:pw:x | base64
            (Some("Basic YW06cHc6eA=="), true),
            (Some("Basic t0ken"), false),
        ] {
            assert_eq!(both.admit(presented), admitted, "{presented:?}");
        }
        assert!(Credentials::default().admit(None));
        let only_basic = Credentials { bearer: None, ..both };
        assert!(!only_basic.admit(Some("Bearer t0ken")));
    }
}
