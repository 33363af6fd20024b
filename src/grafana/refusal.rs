//! What an answer other than 200 means, and what the person should do about it (facts 1.4, 1.5).

use std::time::Duration;

use serde_json::Value;

use super::client::{Answer, excerpt};
use super::error::{Error, Kind};

/// The hint for an address where something else answers.
pub(super) fn is_it_grafana(root: &str) -> String {
    format!("is {root} Grafana's address, with its sub path if it has one? {root}/api/health must answer in JSON")
}

/// The error for an answer to a question for `what`.
pub(super) fn explain(
    answer: &Answer,
    what: &str,
    root: &str,
    has_login: bool,
    redacted: &dyn Fn(&str) -> String,
) -> Error {
    let said = said(answer).map(|text| redacted(&text));
    let why = match &said {
        Some(text) => format!("{} {text}", answer.status),
        None => answer.status.to_string(),
    };
    let error = |kind| Error::new(kind, format!("cannot get {what}: grafana answers {why}"));
    let later = Duration::from_secs(answer.retry_after.unwrap_or(0));
    match answer.status {
        300..=399 => redirected(answer, what, root, has_login),
        401 => error(Kind::Denied).with_hint(login_hint(said.as_deref().unwrap_or_default(), has_login)),
        403 => error(Kind::Denied).with_hint(
            "the login is good but may not see this: give its service account the role Viewer, or permission on the folder",
        ),
        404 if said.is_some() => error(Kind::NotFound).with_hint("grafana-shot --list shows what there is to see"),
        404 => error(Kind::Unreachable).with_hint(is_it_grafana(root)),
        400 | 422 => error(Kind::Misuse).with_hint("grafana does not take one of the values given"),
        429 => error(Kind::Busy).with_hint("grafana is busy: try again in a moment").retry_after(later),
        502 | 503 => error(Kind::Busy).with_hint("grafana or a proxy before it is down or restarting").retry_after(later),
        504 => error(Kind::Busy).with_hint("a proxy before grafana gave up: raise its read timeout"),
        _ => error(Kind::Failed).with_hint("look into Grafana's log"),
    }
}

/// A redirect to a login page is a refusal (facts 0.4); any other says that Grafana lives elsewhere.
fn redirected(answer: &Answer, what: &str, root: &str, has_login: bool) -> Error {
    let target = answer.location.as_deref().unwrap_or_default();
    let target = target.split(['?', '#']).next().unwrap_or_default();
    let status = answer.status;
    let ours = target.starts_with('/') || target.starts_with(&format!("{root}/"));
    if ours && target.ends_with("/login") {
        let message = format!("cannot get {what}: grafana answers {status} and asks for a login");
        return Error::new(Kind::Denied, message).with_hint(login_hint("", has_login));
    }
    let message = format!("cannot get {what}: {root} answers {status} and points to {}", excerpt(target));
    let host = |url: &str| url.split("//").nth(1).and_then(|rest| rest.split(['/', ':']).next()).map(str::to_owned);
    if !ours && host(target).is_some() && host(target) != host(root) {
        return Error::new(Kind::Denied, message).with_hint(
            "a redirect to another host is not followed; if a proxy wants a login, give it what it needs by --header",
        );
    }
    Error::new(Kind::Unreachable, message).with_hint("redirects are not followed: set GRAFANA_URL to the final address")
}

fn login_hint(said: &str, has_login: bool) -> &'static str {
    let said = said.to_ascii_lowercase();
    if !has_login {
        "set GRAFANA_TOKEN to a service account's token (role Viewer), or GRAFANA_USER and GRAFANA_PASSWORD"
    } else if said.contains("organization") {
        "a token belongs to one organisation: leave --org, GRAFANA_ORG and the link's orgId out, or make a token there"
    } else if said.contains("expired") {
        "the token is past its time: make a new one"
    } else {
        "the token or password is wrong, revoked, or of another Grafana: curl -H 'Authorization: Bearer ...' .../api/org tells"
    }
}

/// The reason in the body: `message` of JSON, or the words of the HTML error page (V8 error-template.html).
fn said(answer: &Answer) -> Option<String> {
    let text = String::from_utf8_lossy(&answer.body[..answer.body.len().min(1 << 16)]);
    if let Ok(json) = serde_json::from_str::<Value>(&text) {
        return json.get("message").and_then(Value::as_str).map(excerpt);
    }
    let (_, rest) = text.split_once("class=\"alert-title\">")?;
    Some(excerpt(rest.split('<').next().unwrap_or_default()))
}

/// The answer of `/render` when it is not 200 (table in facts 1.5): Grafana tells little, so the hint tells where to look.
pub(super) fn render_failed(answer: &Answer, seconds: u64) -> Option<Error> {
    if answer.status != 500 {
        return None;
    }
    let said = said(answer);
    let slow = said.as_deref().is_some_and(|text| text.contains("timeout"));
    let why = said.map(|text| format!(": {text}")).unwrap_or_default();
    let message = format!("grafana could not draw the panel: it answers 500{why}");
    Some(Error::new(Kind::Busy, message).with_hint(if slow {
        format!("the panel took longer than {seconds} s: give a longer --timeout or a shorter time range")
    } else {
        format!(
            "the renderer is down, refuses Grafana, or took longer than {seconds} s: its log and Grafana's say which; \
             try --timeout {}",
            seconds * 2
        )
    }))
}

/// No answer at all.
pub(super) fn unreachable(root: &str, limit: Duration, err: &ureq::Error) -> Error {
    if let ureq::Error::Timeout(stage) = err
        && !matches!(stage, ureq::Timeout::Resolve | ureq::Timeout::Connect)
    {
        let message = format!("no whole answer from {root} within {} s", limit.as_secs_f32());
        return Error::new(Kind::Busy, message).with_hint("grafana is slow: try again, or give a longer --timeout");
    }
    let hint = match err {
        ureq::Error::HostNotFound => "check the host name in GRAFANA_URL".to_owned(),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => tls_hint(),
        // rustls' own errors come wrapped.
        ureq::Error::Io(err) if err.kind() == std::io::ErrorKind::InvalidData => tls_hint(),
        _ => "is Grafana running, and reachable from here? check GRAFANA_URL and the proxy settings".to_owned(),
    };
    let error = Error::new(Kind::Unreachable, format!("cannot reach {root}: {err}")).with_hint(hint);
    if is_cut_off(err) { error.retry_after(Duration::ZERO) } else { error }
}

/// Whether the connection was there and ended. Mostly it was one kept from the call before, which the server or a proxy
/// closed just as it was used again.
fn is_cut_off(err: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(err, ureq::Error::Io(err)
        if matches!(err.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
}

fn tls_hint() -> String {
    "for a certificate of your own authority give --cacert FILE; is the port really https?".to_owned()
}
