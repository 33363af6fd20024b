//! The Bot API: token, proxy, who the bot is, whether somebody else gets its updates, and whether chats are open to it.

use serde_json::{Value, json};

use super::Findings;
use crate::config::{API_URL, Config};
use crate::record::Chat;
use crate::telegram::{Answer, Api, Call};
use crate::users::Users;
use crate::verdict;

/// Asking for more chats than this takes longer than a person waits; the first ones stand for the rest.
const MOST_CHATS: usize = 30;

const TOKEN_HINT: &str = "@BotFather shows the right one: /mybots, the bot, API Token";

/// The Bot API as it will be used.
pub struct Session {
    api: Api,
    /// What to look at when it cannot be reached.
    hint: String,
    /// What to look at when that is for want of an address.
    unknown_hint: String,
}

/// Token and proxy, as far as they can be judged without asking anybody.
pub fn telegram(findings: &mut Findings, config: &Config) -> Option<Session> {
    let api = match Api::new(config, 1) {
        Ok(api) => api,
        Err(err) => {
            findings.error(&err, err.advice().unwrap_or_default());
            return None;
        }
    };
    match &config.bot_token {
        Some(token) if is_placeholder(token.expose()) => {
            findings.warn("the bot token is the example's, in whose place yours belongs", TOKEN_HINT);
        }
        Some(token) if looks_like_a_token(token.expose()) => findings.ok("bot token"),
        _ => findings.warn("the bot token does not look like one (123456:ABC-DEF...)", TOKEN_HINT),
    }
    if config.api_url != API_URL {
        findings.ok(format!("Bot API at {}", without_login(&config.api_url)));
    }
    let hint = match api.proxy() {
        Some(proxy) => {
            findings.ok(format!("proxy {proxy}"));
            format!("is the proxy {proxy} up, and does it take this user and password?")
        }
        None => "does this machine need a proxy to reach Telegram? set TELEGRAM_PROXY, or apihelper_proxy".to_owned(),
    };
    let unknown_hint = api.proxy().map_or_else(|| hint.clone(), unknown_by);
    Some(Session { api, hint, unknown_hint })
}

/// What to look at when a name cannot be looked up on the way through this proxy: that of the API, or its own.
fn unknown_by(proxy: &str) -> String {
    match proxy.strip_prefix("socks5://") {
        Some(at) => format!(
            "with socks5:// this machine looks up Telegram's name; where only the proxy can, write socks5h://{at}. Is the \
             proxy's own name right?"
        ),
        None => format!("is the name of the proxy {proxy} right?"),
    }
}

/// Whether it was not even known where to connect to: as std and ureq say it.
fn is_lookup(why: &str) -> bool {
    ["failed to lookup address", "host not found", "timeout: resolve"].iter().any(|words| why.contains(words))
}

/// Who the bot is; nothing where the API does not say.
pub fn bot(findings: &mut Findings, session: &Session) -> Option<Value> {
    let bot = ask(findings, session, "getMe", json!({}))?;
    let name = bot["username"].as_str().unwrap_or("?");
    findings.ok(format!("Telegram knows the bot as @{name} ({})", bot["id"]));
    Some(bot)
}

/// A webhook takes all updates, so polling would be refused.
pub fn webhook(findings: &mut Findings, session: &Session) {
    let Some(info) = ask(findings, session, "getWebhookInfo", json!({})) else { return };
    if info["url"].as_str().unwrap_or_default().is_empty() {
        findings.ok("no webhook is set, so updates can be polled");
    } else {
        // Its address may hold a secret of whoever set it.
        findings.failed(
            "a webhook is set for this bot, so tg-bot cannot poll for updates (409)",
            "another program uses the token: stop it and say tg-bot --delete-webhook, or make a bot of its own",
        );
    }
}

/// Whether the bot may write where the users file says.
pub fn chats(findings: &mut Findings, session: &Session, users: &Users) {
    let mut good = 0;
    for subscriber in users.chats.iter().take(MOST_CHATS) {
        let id = match &subscriber.chat {
            Chat::Id(id) => json!(id),
            Chat::Name(name) => json!(name),
        };
        let call = Call { method: "getChat", parameters: json!({ "chat_id": id }), file: None };
        match session.api.call(&call) {
            Answer::Done(_) => good += 1,
            Answer::Refused(refusal) if verdict::silence(&refusal).is_none() => findings.failed(
                format!("chat {}: {}", subscriber.chat, refusal.description),
                "a person must have written to the bot first; to groups and channels it must be added",
            ),
            other => return unanswered(findings, session, "getChat", other),
        }
    }
    if good > 0 {
        findings.ok(format!("Telegram knows {}", known(good, users.chats.len())));
    }
}

/// So many of all chats, of which the first ones were asked about.
fn known(good: usize, all: usize) -> String {
    match all.min(MOST_CHATS) {
        1 => "the chat of the users file".to_owned(),
        asked if good < asked => format!("{good} of {asked} chats"),
        asked if asked < all => format!("the first {asked} chats"),
        asked => format!("all {asked} chats"),
    }
}

fn ask(findings: &mut Findings, session: &Session, method: &'static str, parameters: Value) -> Option<Value> {
    match session.api.call(&Call { method, parameters, file: None }) {
        Answer::Done(value) => return Some(value),
        other => unanswered(findings, session, method, other),
    }
    None
}

fn unanswered(findings: &mut Findings, session: &Session, method: &str, answer: Answer) {
    match answer {
        Answer::Refused(refusal) if matches!(refusal.code, 401 | 404) => {
            findings.error(format!("Telegram refuses the bot token: {}", refusal.description), TOKEN_HINT);
        }
        Answer::Refused(refusal) => {
            findings.failed(format!("Telegram refuses {method}: {} {}", refusal.code, refusal.description), "");
        }
        Answer::Strange(status, text) => findings.failed(
            format!("something else than the Bot API answers {method}: {status} {text}"),
            "look at api_url and at the proxy",
        ),
        Answer::NotSent(why) | Answer::Unanswered(why) => {
            let hint = if is_lookup(&why) { &session.unknown_hint } else { &session.hint };
            findings.failed(format!("cannot reach Telegram: {why}"), hint);
        }
        Answer::Done(_) => {}
    }
}

/// `<digits>:<letters, digits, _ and ->`
fn looks_like_a_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(id, rest)| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) && !rest.is_empty() && rest.bytes().all(known)
    })
}

/// What stands in examples: in real tokens chance writes no such words.
fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('_', "-");
    ["replace-me", "change-me", "changeme", "your-token", "your-bot", "botfather"]
        .iter()
        .any(|word| text.contains(word))
}

/// An address without the user and password that may stand in it.
pub(super) fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[host..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_chats_are_known() {
        for (good, all, said) in [
            (1, 1, "the chat of the users file"),
            (1, 2, "1 of 2 chats"),
            (2, 2, "all 2 chats"),
            (29, 40, "29 of 30 chats"),
            (30, 40, "the first 30 chats"),
        ] {
            assert_eq!(known(good, all), said);
        }
    }

    #[test]
    fn tokens_and_addresses() {
        for (text, good) in
            [("123:AA-b_9", true), ("123", false), (":x", false), ("123:", false), ("12a:x", false), ("1:x y", false)]
        {
            assert_eq!(looks_like_a_token(text), good, "{text}");
        }
        let example: Value = serde_json::from_str(include_str!("../../example_config/config.json")).unwrap();
        assert!(is_placeholder(example["bot_token"].as_str().unwrap()));
        assert!(is_placeholder("1:YOUR_TOKEN") && !is_placeholder("110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"));
        for (url, shown) in [
            ("http://u:p@h:1/x@y", "http://h:1/x@y"),
            ("https://h", "https://h"),
            ("socks5://u:p@w@h:1080", "socks5://h:1080"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_login(url), shown, "{url}");
        }
    }
}
