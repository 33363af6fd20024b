//! The client of Telegram's Bot API: one call, one answer, and no secret in anything that can be shown.
//!
//! The Bot API has no idempotency key, so a failed call must say whether the server can have seen all of it. That is
//! known here by watching how much of the body was handed over.

use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use ureq::unversioned::multipart::{Form, Part};
use ureq::{Agent, Proxy, SendBody};

use crate::cli::Failure;
use crate::config::Config;
use crate::secret::Secret;

/// For bots TDLib waits out flood limits of up to 8 s by itself before it answers, so a shorter time-out would take
/// success for failure (tdlib, NetQueryCreator.cpp, `total_timeout_limit`).
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(35);
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer to us is some hundred bytes. One that is cut off would have to be taken for none, and the message be sent
/// again, so there is room for what servers may add.
const LONGEST_ANSWER: u64 = 16 << 20;

/// ureq takes 128 KiB for each connection and direction; ours are short.
const BUFFER: usize = 16 << 10;

/// A file to upload.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// The parameter: `document`, `photo`.
    pub parameter: &'static str,
    /// What people see.
    pub name: String,
    /// MIME type.
    pub kind: &'static str,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// One call of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Such as `sendMessage`.
    pub method: &'static str,
    /// A JSON object.
    pub parameters: Value,
    /// At most one file, for the methods that upload.
    pub file: Option<File>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// `{"ok":true,"result":...}`
    Done(Value),
    /// `{"ok":false,...}`
    Refused(Refusal),
    /// An HTTP answer that is none of the Bot API: a proxy's page, a redirect, garbage. With its status.
    Strange(u16, String),
    /// The server cannot have seen the whole call: no connection, or it broke while the call went out.
    NotSent(String),
    /// The whole call went out and no answer came back.
    Unanswered(String),
}

/// Why the Bot API did not do it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Refusal {
    /// Mostly the HTTP status.
    #[serde(default, rename = "error_code")]
    pub code: u16,
    /// In English; what comes after the colon tells cases apart.
    #[serde(default)]
    pub description: String,
    /// For 429 and moved chats.
    #[serde(default)]
    pub parameters: Parameters,
}

/// What a client can act on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Parameters {
    /// Seconds.
    pub retry_after: Option<u64>,
    /// The chat is this one now.
    pub migrate_to_chat_id: Option<i64>,
}

/// The Bot API as one bot sees it. Cloning shares the connections.
#[derive(Clone)]
pub struct Api {
    agent: Agent,
    root: String,
    token: Secret,
    /// `scheme://host:port` of the proxy.
    proxy: Option<String>,
    /// What the proxy is logged in with, which its errors could show.
    password: Option<Secret>,
}

impl Api {
    /// Uses the configuration's `bot_token`, `api_url` and proxy. Nothing is sent yet.
    pub fn new(config: &Config, connections: usize) -> Result<Self, Failure> {
        let token =
            config.bot_token.clone().ok_or_else(|| Failure::misuse("no bot token").hint(where_tokens_are_read()))?;
        let proxy = match &config.proxy {
            Some(url) => Some(Proxy::new(url.expose()).map_err(|_| {
                Failure::misuse("the proxy's address cannot be used")
                    .hint("a proxy is written like socks5://user:password@host:1080 or http://host:3128")
            })?),
            None => Proxy::try_from_env(),
        };
        let shown = proxy.as_ref().map(|proxy| {
            let scheme = proxy.uri().scheme_str().unwrap_or("http");
            format!("{scheme}://{}:{}", proxy.host(), proxy.port())
        });
        let password = proxy.as_ref().and_then(Proxy::password).and_then(|password| Secret::new(password).ok());
        let agent = Agent::config_builder()
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .input_buffer_size(BUFFER)
            .output_buffer_size(BUFFER)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .max_idle_age(Duration::from_secs(25))
            .build()
            .new_agent();
        Ok(Api { agent, root: config.api_url.clone(), token, proxy: shown, password })
    }

    /// The proxy that is used, without user and password.
    pub fn proxy(&self) -> Option<&str> {
        self.proxy.as_deref()
    }

    /// Makes a call and waits for its answer.
    pub fn call(&self, call: &Call) -> Answer {
        let (kind, body) = match encode(call) {
            Ok(encoded) => encoded,
            Err(err) => return Answer::NotSent(format!("cannot encode the call: {err}")),
        };
        let timeout = if call.file.is_some() { UPLOAD_TIMEOUT } else { MESSAGE_TIMEOUT };
        let url = format!("{}/bot{}/{}", self.root, self.token.expose(), call.method);
        let mut outgoing = Outgoing { bytes: &body, taken: 0 };
        let request = self.agent.post(url).content_type(kind).header("Content-Length", body.len().to_string());
        let request = request.config().timeout_global(Some(timeout)).build();
        let result = request.send(SendBody::from_reader(&mut outgoing)).and_then(|mut response| {
            let status = response.status().as_u16();
            let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec()?;
            Ok((status, body))
        });
        match result {
            Ok((status, body)) => self.read(status, &body),
            // Only writing meets a broken pipe, and what was not written whole cannot be read whole.
            Err(ureq::Error::Io(err)) if err.kind() == io::ErrorKind::BrokenPipe => {
                Answer::NotSent(self.token.redact(&err.to_string()))
            }
            // The header is read before the first byte of the body is taken, so less than all is surely incomplete.
            Err(err) if outgoing.taken < body.len() => Answer::NotSent(self.shown(&err)),
            Err(err) => Answer::Unanswered(self.shown(&err)),
        }
    }

    fn shown(&self, err: &ureq::Error) -> String {
        let text = self.token.redact(&err.to_string());
        self.password.as_ref().map_or(text.clone(), |password| password.redact(&text))
    }

    fn read(&self, status: u16, body: &[u8]) -> Answer {
        #[derive(Deserialize)]
        struct Envelope {
            ok: Option<bool>,
            #[serde(default)]
            result: Value,
            #[serde(flatten)]
            refusal: Value,
        }
        let Ok(envelope) = serde_json::from_slice::<Envelope>(body) else {
            return Answer::Strange(status, self.glimpse(body));
        };
        match envelope.ok {
            Some(true) => Answer::Done(envelope.result),
            None if (200..300).contains(&status) && envelope.result.is_object() => Answer::Done(envelope.result),
            Some(false) => {
                let mut refusal = Refusal::deserialize(&envelope.refusal).unwrap_or_default();
                if refusal.code == 0 {
                    refusal.code = status;
                }
                refusal.description = self.token.redact(&refusal.description);
                Answer::Refused(refusal)
            }
            None => Answer::Strange(status, self.glimpse(body)),
        }
    }

    /// The start of an answer that was not understood, on one line.
    fn glimpse(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
        let text: Vec<&str> = text.split_whitespace().collect();
        let text: String = self.token.redact(&text.join(" ")).chars().filter(|c| !c.is_control()).take(80).collect();
        if text.is_empty() { "an empty answer".to_owned() } else { format!("{text:?}") }
    }
}

/// Where the units run it, the token is their credential.
fn where_tokens_are_read() -> &'static str {
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(_) => "put it in /etc/prometheus-telegram/bot_token, which the units load as the credential bot_token",
        None => "set TELEGRAM_BOT_TOKEN, or bot_token in the configuration",
    }
}

/// JSON where nothing is uploaded: the one form that every server of the Bot API takes with nested objects.
fn encode(call: &Call) -> io::Result<(String, Vec<u8>)> {
    let Some(file) = &call.file else {
        return Ok(("application/json".to_owned(), serde_json::to_vec(&call.parameters)?));
    };
    // In multipart bodies objects are JSON strings.
    let texts: Vec<(&String, String)> = (call.parameters.as_object().into_iter().flatten())
        .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    let mut form = Form::new();
    for (name, value) in &texts {
        form = form.text(name, value);
    }
    let part = Part::bytes(&file.bytes).file_name(&file.name).mime_str(file.kind).map_err(io::Error::other)?;
    let mut form = form.part(file.parameter, part);
    let kind = format!("multipart/form-data; boundary={}", form.boundary());
    let mut body = Vec::with_capacity(file.bytes.len() + 4096);
    form.read_to_end(&mut body)?;
    Ok((kind, body))
}

/// A body that knows how much of it was taken.
struct Outgoing<'a> {
    bytes: &'a [u8],
    taken: usize,
}

impl Read for Outgoing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (&self.bytes[self.taken..]).read(buffer)?;
        self.taken += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(root: &str, proxy: Option<&str>) -> Api {
        let config = Config {
            api_url: root.to_owned(),
            bot_token: Some(Secret::new("123:s3cret").unwrap()),
            proxy: proxy.map(|url| Secret::new(url).unwrap()),
            ..Config::default()
        };
        Api::new(&config, 1).unwrap()
    }

    #[test]
    fn answers_of_all_shapes() {
        let api = api("http://127.0.0.1:1", None);
        let refused = |code, description: &str| {
            Answer::Refused(Refusal { code, description: description.into(), parameters: Parameters::default() })
        };
        for (status, body, expected) in [
            (200, r#"{"ok":true,"result":{"message_id":5}}"#, Answer::Done(serde_json::json!({"message_id": 5}))),
            (200, r#"{"ok":true,"result":null}"#, Answer::Done(Value::Null)),
            (200, r#"{"result":{"message_id":5}}"#, Answer::Done(serde_json::json!({"message_id": 5}))),
            (400, r#"{"ok":false,"error_code":400,"description":"x"}"#, refused(400, "x")),
            (403, r#"{"ok":false}"#, refused(403, "")),
            (200, r#"{"ok":false,"error_code":400,"description":"bot123:s3cret"}"#, refused(400, "bot(redacted)")),
            (502, "<html>\n502</html>", Answer::Strange(502, "\"<html> 502</html>\"".into())),
            (200, "", Answer::Strange(200, "an empty answer".into())),
            (200, "[]", Answer::Strange(200, "\"[]\"".into())),
        ] {
            assert_eq!(api.read(status, body.as_bytes()), expected, "{body}");
        }
        let flood = r#"{"ok":false,"error_code":429,"description":"d","parameters":{"retry_after":7}}"#;
        match api.read(429, flood.as_bytes()) {
            Answer::Refused(refusal) => assert_eq!(refusal.parameters.retry_after, Some(7)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_closed_port_is_known_as_not_sent_and_the_token_is_not_shown() {
        let call = Call { method: "getMe", parameters: serde_json::json!({}), file: None };
        for api in [api("http://127.0.0.1:1", None), api("http://127.0.0.1:1", Some("socks5://u:pw@127.0.0.1:1"))] {
            let answer = api.call(&call);
            assert!(matches!(&answer, Answer::NotSent(_)), "{answer:?}");
            assert!(!format!("{answer:?}").contains("s3cret"), "{answer:?}");
        }
        let answer = api("nonsense", None).call(&call);
        assert!(matches!(&answer, Answer::NotSent(text) if !text.contains("s3cret")), "{answer:?}");
    }

    #[test]
    fn uploads_are_multipart() {
        let file = File { parameter: "document", name: "a.txt".into(), kind: "text/plain", bytes: b"hello".into() };
        let parameters = serde_json::json!({"chat_id": 5, "caption": "c", "reply_markup": {"a": 1}});
        let call = Call { method: "sendDocument", parameters, file: Some(file) };
        let (kind, body) = encode(&call).unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(kind.starts_with("multipart/form-data; boundary="));
        for part in ["name=\"chat_id\"", "\r\n5\r\n", "{\"a\":1}", "filename=\"a.txt\"", "text/plain", "\r\nhello\r\n"]
        {
            assert!(body.contains(part), "{part} in {body}");
        }
    }
}
