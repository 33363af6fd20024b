//! HTTP with one Grafana: the login, time limits, retries, and what a refusal means. Redirects are never followed: they
//! lead to login pages (facts 0.4), and the token must not leave for another host.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::DeserializeOwned;
use ureq::http::{HeaderName, HeaderValue, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::error::{Error, Kind};
use super::refusal;
use super::settings::{Login, Settings};
use crate::secret::Secret;

/// More than the largest dashboards and pictures that Grafana makes: a thousand dashboards of a list are half a megabyte,
/// and Telegram takes no picture of more than 10 MB. A few come at a time, and a server that does not end must not fill
/// the memory.
const BODY_LIMIT: u64 = 32 << 20;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A client of one Grafana. Cheap to clone and usable from several threads at once.
#[derive(Clone, Debug)]
pub struct Grafana {
    agent: ureq::Agent,
    root: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    secrets: Vec<Secret>,
    has_login: bool,
    timeout: Duration,
    retries: u32,
    pause: Duration,
}

/// One answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Grafana {
    /// A client; nothing is sent yet.
    pub fn new(settings: &Settings) -> Result<Grafana, Error> {
        let (root, in_url) = root(&settings.url)?;
        let login = match (&settings.login, in_url) {
            (Login::Anonymous, Some(login)) => login,
            (login, _) => login.clone(),
        };
        let mut secrets: Vec<Secret> = settings.headers.iter().map(|(_, value)| value.clone()).collect();
        let mut headers = Vec::new();
        if let Some(value) = authorization(&login) {
            headers.push(("Authorization".to_owned(), value));
        }
        secrets.extend(match login {
            Login::Token(ref secret) | Login::Password(_, ref secret) => Some(secret.clone()),
            Login::Anonymous => None,
        });
        if let Some(org) = settings.org {
            headers.push(("X-Grafana-Org-Id".to_owned(), org.to_string()));
        }
        headers.extend(settings.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())));
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10).min(settings.timeout)))
            .user_agent(concat!("prometheus-telegram/", env!("CARGO_PKG_VERSION")));
        config = config.tls_config(tls(settings)?);
        Ok(Grafana {
            agent: config.build().new_agent(),
            root,
            headers: headers.into_iter().map(header).collect::<Result<_, _>>()?,
            secrets,
            has_login: !matches!(login, Login::Anonymous),
            timeout: settings.timeout,
            retries: settings.retries,
            pause: settings.pause,
        })
    }

    /// Where this Grafana is: its root URL with the sub path, without a login in it.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// GET of a JSON document; `what` is what was asked for, for messages.
    pub(super) fn json<T: DeserializeOwned>(&self, path: &str, what: &str) -> Result<T, Error> {
        let answer = self.fetch(path, what, &[200])?;
        serde_json::from_slice(&answer.body).map_err(|err| self.unreadable(&answer, what, &err))
    }

    /// GET from the JSON API: an answer with one of the statuses `wanted`, or the error that it stands for.
    pub(super) fn fetch(&self, path: &str, what: &str, wanted: &[u16]) -> Result<Answer, Error> {
        self.retrying(|| {
            let answer = self.get(path, self.timeout)?;
            if wanted.contains(&answer.status) { Ok(answer) } else { Err(self.refusal(&answer, what)) }
        })
    }

    /// One GET below the root, whatever the status of the answer.
    pub(super) fn get(&self, path: &str, limit: Duration) -> Result<Answer, Error> {
        let started = Instant::now();
        let answer = self.exchange(path, limit).map_err(|err| refusal::unreachable(&self.root, limit, &err))?;
        let spent = started.elapsed().as_millis();
        log::debug!("GET {path}: {} {} bytes in {spent} ms", answer.status, answer.body.len());
        Ok(answer)
    }

    fn exchange(&self, path: &str, limit: Duration) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.root));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut response = request.config().timeout_global(Some(limit)).build().call()?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer {
            status: response.status().as_u16(),
            content_type: text("content-type").unwrap_or_default(),
            location: text("location"),
            retry_after: text("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
            body: response.body_mut().with_config().limit(BODY_LIMIT).read_to_vec()?,
        })
    }

    /// Runs `call` again, after a growing pause, while its error says that this can help.
    pub(super) fn retrying<T>(&self, call: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        let mut pause = self.pause;
        for _ in 0..self.retries {
            let err = match call() {
                Err(err) if err.again().is_some() => err,
                done => return done,
            };
            let wait = pause_before_retry(err.again().unwrap_or_default(), pause);
            log::info!("{err}; trying again in {} s", wait.as_secs_f32());
            std::thread::sleep(wait);
            pause *= 2;
        }
        call()
    }

    /// What an answer that is not 200 means.
    pub(super) fn refusal(&self, answer: &Answer, what: &str) -> Error {
        refusal::explain(answer, what, &self.root, self.has_login, &|text| self.redacted(text))
    }

    /// Something else than JSON means that something else than Grafana answers.
    pub(super) fn unreadable(&self, answer: &Answer, what: &str, err: &serde_json::Error) -> Error {
        if err.is_data() {
            return Error::new(Kind::Failed, format!("cannot read {what}: {err}"))
                .with_hint("please report it, with the JSON of the dashboard's settings page");
        }
        let start = String::from_utf8_lossy(&answer.body[..answer.body.len().min(4096)]);
        let message = format!("cannot read {what}: it is not JSON: {}", self.redacted(&excerpt(&start)));
        Error::new(Kind::Unreachable, message).with_hint(refusal::is_it_grafana(&self.root))
    }

    /// A server's text without our secrets, should it repeat them.
    fn redacted(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text))
    }
}

/// As long as the server asks, at least as long as we would wait anyway, and never so long that a person gives up.
fn pause_before_retry(asked: Duration, ours: Duration) -> Duration {
    asked.max(ours).min(LONGEST_PAUSE)
}

fn authorization(login: &Login) -> Option<String> {
    match login {
        Login::Anonymous => None,
        Login::Token(token) => Some(format!("Bearer {}", token.expose())),
        Login::Password(user, password) => {
            Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.expose()))))
        }
    }
}

/// The root URL without a login, a query and a slash at the end, and the login that stood in it.
fn root(url: &str) -> Result<(String, Option<Login>), Error> {
    let wrong = || {
        Error::new(Kind::Misuse, "the address of grafana is not an http or https URL")
            .with_hint("set GRAFANA_URL to something like https://grafana.example.org or http://host:3000/grafana")
    };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(wrong)?;
    let authority = uri.authority().ok_or_else(wrong)?.as_str();
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(login), host),
        None => (None, authority),
    };
    let login = login.map(|login| {
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let password = Secret::new(&super::link::decoded(password)).map_err(|_| wrong())?;
        Ok(Login::Password(super::link::decoded(user), password))
    });
    Ok((format!("{scheme}://{host}{}", uri.path().trim_end_matches('/')), login.transpose()?))
}

/// Neither name nor value goes into the message: either can hold a secret.
fn header((name, value): (String, String)) -> Result<(HeaderName, HeaderValue), Error> {
    let wrong = || Error::new(Kind::Misuse, "a header's name or value holds a character that no header may have");
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
    value.set_sensitive(true);
    Ok((name, value))
}

fn tls(settings: &Settings) -> Result<TlsConfig, Error> {
    let config = TlsConfig::builder().disable_verification(settings.insecure);
    let Some(path) = &settings.ca else { return Ok(config.build()) };
    let wrong = |why: String| {
        Error::new(Kind::Misuse, format!("cannot use the certificates in {}: {why}", path.display()))
            .with_hint("it must be a PEM file, with lines of BEGIN CERTIFICATE")
    };
    let pem = std::fs::read(path).map_err(|err| wrong(err.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|err| wrong(err.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(wrong("there are none".to_owned()));
    }
    Ok(config.root_certs(RootCerts::from(certificates)).build())
}

/// The start of a text from outside as one short line.
pub(super) fn excerpt(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{:?}...", &line[..end]),
        None => format!("{line:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_asks_for_patience_gets_it_within_reason() {
        for (asked, ours, wait) in [(0, 1, 1), (5, 1, 5), (5, 8, 8), (86_400, 1, 30), (0, 64, 30)] {
            let seconds = Duration::from_secs;
            assert_eq!(pause_before_retry(seconds(asked), seconds(ours)), seconds(wait), "{asked} {ours}");
        }
    }

    #[test]
    fn a_login_in_the_address_is_taken_out_of_it() {
        let (address, login) = root("https://me:p%40ss@g.example:8443/grafana/?x=1#y").unwrap();
        assert_eq!(address, "https://g.example:8443/grafana");
        let Some(Login::Password(user, password)) = login else { panic!("{login:?}") };
        assert_eq!((user.as_str(), password.expose()), ("me", "p@ss"));
        assert!(!format!("{:?}", root("https://me:s3cret@").unwrap_err()).contains("s3cret"));
    }

    #[test]
    fn a_text_from_outside_becomes_a_short_line() {
        assert_eq!(excerpt(" a\n\tb\u{1b}[31m "), "\"a b [31m\"");
        assert_eq!(excerpt(&"ü".repeat(500)).chars().count(), 165);
    }
}
