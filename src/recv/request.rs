//! What a request wants, by its head alone, and the answers that am-recv gives.
//!
//! The codes are chosen for Alertmanager: it retries 5xx and refused connections at once, and no 4xx, so whatever may
//! work later is a 503.

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use crate::http::{Head, Response};
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
    /// Whether a webhook must present any.
    pub fn are_asked(&self) -> bool {
        self.bearer.is_some() || self.basic.is_some()
    }

    fn admit(&self, presented: Option<&str>) -> bool {
        if !self.are_asked() {
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
    Refused(Response),
}

/// Reads the head of a request.
pub fn kind(head: &Head, credentials: &Credentials, max_body: usize) -> Kind {
    let path = head.path();
    match (path, head.method.as_str()) {
        ("/-/healthy", "GET") => return Kind::Healthy,
        ("/-/ready", "GET") => return Kind::Ready,
        ("/metrics", "GET") => return Kind::Metrics,
        ("/-/healthy" | "/-/ready" | "/metrics", _) => return Kind::Refused(method("GET")),
        _ => {}
    }
    if !path.ends_with('/') {
        return Kind::Refused(Response::text(404, "nothing is here: post webhooks to /"));
    }
    if head.method != "POST" {
        return Kind::Refused(method("POST"));
    }
    if head.is_foreign("") {
        return Kind::Refused(Response::text(403, "webhooks of web pages are not taken"));
    }
    if !credentials.admit(Some(head.header("authorization")).filter(|value| !value.is_empty())) {
        let refused = Response::text(401, "missing or wrong credentials");
        return Kind::Refused(refused.header("WWW-Authenticate", "Bearer realm=\"am-recv\""));
    }
    if !is_json(head.header("content-type")) {
        let reason = "the body must be JSON: send Content-Type: application/json";
        return Kind::Refused(Response::text(415, reason));
    }
    match head.content_length() {
        Ok(length) if length <= max_body => Kind::Webhook,
        Ok(_) => Kind::Refused(too_large(max_body)),
        Err(_) => Kind::Refused(bad("invalid Content-Length")),
    }
}

/// A sender that does not say what it sends is believed.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.is_empty()
        || kind == "application/json"
        || kind == "text/json"
        || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// 400: sending the same again cannot help.
fn bad(reason: &str) -> Response {
    Response::text(400, reason)
}

/// 503: sending the same again may help, and Alertmanager does at once.
pub fn busy(reason: &str) -> Response {
    Response::text(503, &format!("cannot take it now: {reason}"))
}

/// 413
pub fn too_large(max_body: usize) -> Response {
    Response::text(413, &format!("the body is larger than {max_body} bytes (--max-body)"))
}

fn method(allowed: &str) -> Response {
    Response::text(405, &format!("only {allowed} is served here")).header("Allow", allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let head = Head { method: method.to_owned(), target: target.to_owned(), headers, is_old: false };
        match kind(&head, &Credentials::default(), 10) {
            Kind::Refused(response) => response.status,
            _ => 200,
        }
    }

    #[test]
    fn heads_are_answered_by_the_table() {
        for (method, target, headers, expected) in [
            ("POST", "/", vec![("Content-Type", "application/json")], 200),
            ("POST", "/", vec![("Content-Type", "application/json; charset=utf-8")], 200),
            ("POST", "/", vec![("Content-Type", "application/vnd.api+json")], 200),
            ("POST", "/", vec![], 200),
            ("POST", "/alerts/?x=1", vec![], 200),
            ("POST", "/alerts", vec![], 404),
            ("GET", "/", vec![], 405),
            ("PUT", "/", vec![], 405),
            ("POST", "/metrics", vec![], 405),
            ("GET", "/-/ready", vec![], 200),
            ("POST", "/", vec![("Content-Type", "application/x-www-form-urlencoded")], 415),
            ("POST", "/", vec![("Content-Type", "text/plain")], 415),
            ("POST", "/", vec![("Origin", "https://evil.example")], 403),
            ("POST", "/", vec![("Origin", "null")], 403),
            ("POST", "/", vec![("Sec-Fetch-Site", "cross-site")], 403),
            ("POST", "/", vec![("Sec-Fetch-Site", "same-site"), ("Content-Type", "application/json")], 403),
            ("POST", "/", vec![("Sec-Fetch-Site", "none")], 200),
            ("POST", "/", vec![("Sec-Fetch-Site", "same-origin")], 200),
            ("GET", "/metrics", vec![("Sec-Fetch-Site", "cross-site")], 200),
            ("POST", "/", vec![("Content-Length", "10")], 200),
            ("POST", "/", vec![("Content-Length", "11")], 413),
            ("POST", "/", vec![("Content-Length", "many")], 400),
        ] {
            assert_eq!(status(method, target, &headers), expected, "{method} {target} {headers:?}");
        }
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
