//! The configuration: one JSON object, the environment, and systemd's credentials.
//!
//! The five keys of the Python original are read as they were written, also with `"None"`. For every value the order is:
//! option (the tools' business), environment, `$CREDENTIALS_DIRECTORY`, file. Secrets have no option.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::bot::words::Words;
use crate::cli::Failure;
use crate::near::nearest;
use crate::secret::Secret;
use crate::watchdog::Rule;

/// Every key of the file. A secret may also be given as `<key>_file`, the path of a file that holds it.
const KEYS: [&str; 22] = [
    "access",
    "admins",
    "alertmanager_url",
    "api_url",
    "apihelper_proxy",
    "bot_token",
    "grafana_ca",
    "grafana_org",
    "grafana_password",
    "grafana_token",
    "grafana_url",
    "grafana_user",
    "language",
    "outbox",
    "repeat_after",
    "template",
    "time_zone",
    "users_file",
    "watchdog",
    "webhook_password",
    "webhook_token",
    "webhook_user",
];

/// The keys that have a `_file` form.
const SECRETS: [&str; 6] =
    ["apihelper_proxy", "bot_token", "grafana_password", "grafana_token", "webhook_password", "webhook_token"];

/// Where the Bot API is, unless `api_url` says otherwise.
pub const API_URL: &str = "https://api.telegram.org";

/// What all sources together say. `None` where nobody said anything, or somebody said `"None"`.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Who is let in by tg-bot: `"invite"`, `"open"`, or a list of ids; as written.
    pub access: Option<Value>,
    /// Chat ids of the administrators.
    pub admins: Vec<i64>,
    /// Where people reach Alertmanager.
    pub alertmanager_url: Option<String>,
    /// The Bot API's root, without a slash at the end.
    pub api_url: String,
    /// Proxy for Telegram, `scheme://[user:password@]host:port`; secret, because it can hold a password.
    pub proxy: Option<Secret>,
    /// The bot's token.
    pub bot_token: Option<Secret>,
    /// PEM file of the authority that signed Grafana's certificate.
    pub grafana_ca: Option<PathBuf>,
    /// Grafana's organisation, by id.
    pub grafana_org: Option<u64>,
    /// Grafana's token, without the word `Bearer`.
    pub grafana_token: Option<Secret>,
    /// Name of a user of Grafana, for servers without tokens.
    pub grafana_user: Option<String>,
    /// See `grafana_user`.
    pub grafana_password: Option<Secret>,
    /// Grafana's root, without a slash at the end.
    pub grafana_url: Option<String>,
    /// The language of the bot's words where a person's own is not known.
    pub language: Option<String>,
    /// The file of tg-send's queue.
    pub outbox: Option<PathBuf>,
    /// After this time Alertmanager's reminder of an alert is told again.
    pub repeat_after: Option<Duration>,
    /// The template file of an alert's text.
    pub template: Option<PathBuf>,
    /// IANA name of the time zone in which times are shown.
    pub time_zone: Option<String>,
    /// Who is subscribed to what.
    pub users_file: Option<PathBuf>,
    /// Alerts that must come, and how often.
    pub watchdog: Vec<Rule>,
    /// What a webhook must present as `Authorization: Bearer`.
    pub webhook_token: Option<Secret>,
    /// What a webhook must present as `Authorization: Basic`.
    pub webhook_user: Option<String>,
    /// See `webhook_user`.
    pub webhook_password: Option<Secret>,
    /// What can be taken, but is hardly meant.
    pub doubts: Vec<String>,
}

impl Config {
    /// Reads the file, where one was named, and what the environment of this process adds.
    pub fn load(path: Option<&Path>) -> anyhow::Result<Config> {
        let file = match path {
            None => Map::new(),
            Some(path) => read(path)?,
        };
        let source = Source { file, path: path.map(Path::to_owned), env: &|name| std::env::var(name).ok() };
        source.resolve()
    }
}

fn read(path: &Path) -> anyhow::Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path)
        .map_err(|err| Failure::misuse(format!("cannot read configuration {}: {err}", path.display())))?;
    let value: Value = serde_json::from_str(&text).map_err(|err| {
        let place = format!("{}:{}:{}", path.display(), err.line(), err.column());
        Failure::misuse(format!("{place}: configuration is not JSON: {}", without_place(&err)))
    })?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Failure::misuse(format!("{}: configuration must be a JSON object", path.display())).into()),
    }
}

/// Whether a secret is in this file itself.
pub fn holds_secrets(path: &Path) -> bool {
    let Ok(file) = read(path) else { return false };
    let in_text = |text: &str| said(text).is_some();
    SECRETS.iter().filter_map(|key| file.get(*key)).any(|value| match value {
        Value::String(text) => in_text(text),
        Value::Object(map) => map.values().filter_map(Value::as_str).any(in_text),
        _ => false,
    })
}

/// serde_json's reason without its "at line 1 column 2", which stands at the start of our message.
pub fn without_place(err: &serde_json::Error) -> String {
    let text = err.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

struct Source<'a> {
    file: Map<String, Value>,
    path: Option<PathBuf>,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Source<'_> {
    fn resolve(&self) -> anyhow::Result<Config> {
        self.refuse_unknown_keys()?;
        let text = |key: &str, env: &str| self.text(key, env);
        let (repeat_after, doubts) = self.repeat_after()?;
        Ok(Config {
            access: self.file.get("access").cloned(),
            admins: self.admins()?,
            alertmanager_url: self.url("alertmanager_url", "ALERTMANAGER_URL")?,
            api_url: self.url("api_url", "TELEGRAM_API_URL")?.unwrap_or_else(|| API_URL.to_owned()),
            proxy: self.proxy()?,
            bot_token: self.secret("bot_token", "TELEGRAM_BOT_TOKEN")?,
            grafana_ca: text("grafana_ca", "GRAFANA_CA")?.map(PathBuf::from),
            grafana_org: text("grafana_org", "GRAFANA_ORG")?
                .map(|id| {
                    id.parse().map_err(|_| self.bad("grafana_org", "GRAFANA_ORG", "is not an organisation's number"))
                })
                .transpose()?,
            grafana_token: self.grafana_token()?,
            grafana_user: text("grafana_user", "GRAFANA_USER")?,
            grafana_password: self.secret("grafana_password", "GRAFANA_PASSWORD")?,
            grafana_url: self.url("grafana_url", "GRAFANA_URL")?,
            language: self.language()?,
            outbox: text("outbox", "TG_SEND_OUTBOX")?.map(PathBuf::from),
            repeat_after,
            template: text("template", "ALERT_TEMPLATE")?.map(PathBuf::from),
            time_zone: text("time_zone", "ALERT_TIME_ZONE")?,
            users_file: text("users_file", "USERS_FILE")?.map(PathBuf::from),
            watchdog: self.watchdog()?,
            webhook_token: self.secret("webhook_token", "WEBHOOK_TOKEN")?,
            webhook_user: text("webhook_user", "WEBHOOK_USER")?,
            webhook_password: self.secret("webhook_password", "WEBHOOK_PASSWORD")?,
            doubts,
        })
    }

    fn refuse_unknown_keys(&self) -> anyhow::Result<()> {
        let known: Vec<String> =
            KEYS.iter().map(|key| (*key).to_owned()).chain(SECRETS.iter().map(|key| format!("{key}_file"))).collect();
        let Some(key) = self.file.keys().find(|key| !known.contains(key)) else { return Ok(()) };
        let failure = Failure::misuse(format!("{}unknown key \"{key}\"", self.place()));
        let hint = nearest(known.iter().map(String::as_str), key)
            .map(|name| format!("the nearest known key is \"{name}\""))
            .unwrap_or_default();
        Err(failure.hint(hint).into())
    }

    fn place(&self) -> String {
        self.path.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default()
    }

    /// Never shows the value: it may be a secret.
    fn wrong(&self, key: &str, what: &str) -> anyhow::Error {
        Failure::misuse(format!("{}\"{key}\" {what}", self.place())).into()
    }

    /// A value that is no secret, and where it stands: in the environment, or in the file.
    fn bad(&self, key: &str, env: &str, what: &str) -> anyhow::Error {
        Failure::misuse(format!("{} {what}", self.origin(key, env))).into()
    }

    fn origin(&self, key: &str, env: &str) -> String {
        if (self.env)(env).is_some() { env.to_owned() } else { format!("{}\"{key}\"", self.place()) }
    }

    /// A root without a slash at the end. It is not shown: a password may stand in it.
    fn url(&self, key: &str, env: &str) -> anyhow::Result<Option<String>> {
        let Some(url) = self.text(key, env)? else { return Ok(None) };
        let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("http" | "https") => Ok(Some(url.trim_end_matches('/').to_owned())),
            _ => Err(self.bad(key, env, "is not an http or https URL: it begins with neither http:// nor https://")),
        }
    }

    fn language(&self) -> anyhow::Result<Option<String>> {
        let Some(tag) = self.text("language", "BOT_LANGUAGE")? else { return Ok(None) };
        match Words::known(&tag) {
            Some(_) => Ok(Some(tag)),
            None => Err(self.bad("language", "BOT_LANGUAGE", &format!("{tag:?} is not known; {} are", languages()))),
        }
    }

    fn repeat_after(&self) -> anyhow::Result<(Option<Duration>, Vec<String>)> {
        let (key, env) = ("repeat_after", "REPEAT_AFTER");
        let Some(given) = self.text(key, env)? else { return Ok((None, Vec::new())) };
        let time =
            duration(&given).ok_or_else(|| self.bad(key, env, &format!("{given:?} is not a time like \"4h\"")))?;
        let doubts = doubt(&given).map(|doubt| format!("{}: {doubt}", self.origin(key, env))).into_iter().collect();
        Ok((Some(time), doubts))
    }

    /// A text or a number, from the environment or the file.
    fn text(&self, key: &str, env: &str) -> anyhow::Result<Option<String>> {
        if let Some(value) = (self.env)(env) {
            return Ok(said(&value));
        }
        match self.file.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(said(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.wrong(key, "must be a text")),
        }
    }

    fn secret(&self, key: &str, env: &str) -> anyhow::Result<Option<Secret>> {
        if let Some(value) = (self.env)(env).as_deref().and_then(said) {
            return self.checked(key, &value).map(Some);
        }
        if let Some(directory) = (self.env)("CREDENTIALS_DIRECTORY") {
            let path = Path::new(&directory).join(key);
            if path.exists() {
                let secret = Secret::from_file(&path).map_err(Failure::misuse)?;
                // The units say "None" for what root has not put there; systemd fails a unit whose credential is missing.
                if said(secret.expose()).is_some() {
                    return self.checked(key, secret.expose()).map(Some);
                }
            }
        }
        if let Some(path) = self.text(&format!("{key}_file"), &format!("{env}_FILE"))? {
            let secret = Secret::from_file(Path::new(&path)).map_err(Failure::misuse)?;
            return self.checked(key, secret.expose()).map(Some);
        }
        let value = match self.file.get(key) {
            Some(Value::Object(map)) if key == "grafana_token" => match map.get("Authorization") {
                Some(Value::String(text)) => said(text),
                _ => return Err(self.wrong(key, "as an object must have \"Authorization\"")),
            },
            Some(Value::Object(map)) if key == "apihelper_proxy" => {
                map.get("https").or_else(|| map.get("http")).and_then(Value::as_str).and_then(said)
            }
            _ => self.text(key, "")?,
        };
        value.map(|value| self.checked(key, &value)).transpose()
    }

    /// Grafana Labs' own tools call the variable `GRAFANA_SERVICE_ACCOUNT_TOKEN`.
    fn grafana_token(&self) -> anyhow::Result<Option<Secret>> {
        match (self.env)("GRAFANA_SERVICE_ACCOUNT_TOKEN").as_deref().and_then(said) {
            Some(value) if (self.env)("GRAFANA_TOKEN").as_deref().and_then(said).is_none() => {
                self.checked("grafana_token", &value).map(Some)
            }
            _ => self.secret("grafana_token", "GRAFANA_TOKEN"),
        }
    }

    /// A token goes into a header or a URL: anything that is not printable ASCII is a mistake in copying.
    fn checked(&self, key: &str, value: &str) -> anyhow::Result<Secret> {
        let value = value.trim();
        let value = if key == "grafana_token" { value.strip_prefix("Bearer ").unwrap_or(value).trim() } else { value };
        if !key.ends_with("_password") && !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(self.wrong(key, "holds a blank or a character that no token has"));
        }
        Secret::new(value).map_err(|_| self.wrong(key, "is empty"))
    }

    /// The environment's proxies are ureq's business (with `NO_PROXY`); the key is explicit and always used.
    fn proxy(&self) -> anyhow::Result<Option<Secret>> {
        self.secret("apihelper_proxy", "TELEGRAM_PROXY")
    }

    fn watchdog(&self) -> anyhow::Result<Vec<Rule>> {
        if let Some(text) = (self.env)("ALERT_WATCHDOG") {
            let rules = said(&text).map(|text| Rule::list(&text)).transpose();
            return rules
                .map(Option::unwrap_or_default)
                .map_err(|err| Failure::misuse(format!("ALERT_WATCHDOG: {err}")).into());
        }
        match self.file.get("watchdog") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) if said(text).is_none() => Ok(Vec::new()),
            Some(value) => Rule::of_json(value)
                .map_err(|err| Failure::misuse(format!("{}\"watchdog\": {err}", self.place())).into()),
        }
    }

    fn admins(&self) -> anyhow::Result<Vec<i64>> {
        let list = match self.file.get("admins") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        list.iter()
            .map(|id| id.as_i64().or_else(|| id.as_str().and_then(|id| id.parse().ok())))
            .collect::<Option<_>>()
            .context("not an id")
            .map_err(|_| self.wrong("admins", "must be a list of chat ids"))
    }
}

/// The Python original wrote `"None"` for what is not there.
fn said(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty() && value != "None").then(|| value.to_owned())
}

/// Whether a time without a unit is so short that another unit is meant; in words.
pub fn doubt(time: &str) -> Option<String> {
    let seconds: f64 = time.trim().parse().ok()?;
    (seconds > 0.0 && seconds < 60.0).then(|| {
        let time = time.trim();
        format!("\"{time}\" is {time} seconds; write \"{time}s\" if that is meant, else \"{time}m\" or \"{time}h\"")
    })
}

/// The languages that the bot speaks, for an error.
pub fn languages() -> String {
    Words::all().map(Words::code).collect::<Vec<_>>().join(" and ")
}

/// The longest time that can be asked for: a hundred years. What is longer cannot be added to the time of day.
pub const LONGEST_TIME: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A number of seconds, whole or not, that a clock can count.
pub fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok().filter(|time| *time <= LONGEST_TIME)
}

/// A time as Prometheus writes it (`1h30m`, `500ms`), or a bare number of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    if text.parse::<f64>().is_ok() {
        return seconds(text);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = &rest[..rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len())];
        rest = &rest[unit.len()..];
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(millis)?))?;
    }
    (!text.is_empty() && total <= LONGEST_TIME).then_some(total)
}

#[cfg(test)]
mod tests;
