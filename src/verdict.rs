//! What an answer of the Bot API means for a message: one function, one table.
//!
//! The texts are those of the server's source (telegram-bot-api, Client.cpp; tdlib); a client can tell cases apart by
//! them only. Whatever the table does not know is judged by its code.

use std::time::Duration;

use serde_json::Value;

use crate::telegram::{Answer, Refusal};

/// What to do with a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Told. With the id of the message, and that of the chat, where the server gave them.
    Told {
        /// Answers refer to it.
        message_id: Option<i64>,
        /// What an `@name` stands for.
        chat: Option<i64>,
    },
    /// Not delivered; the chat must be left alone for this time.
    Flood(Duration),
    /// Not delivered, and the API is out of reach: back off.
    Later(String),
    /// Perhaps delivered: the connection broke when the whole call was out.
    Unsure(String),
    /// The server failed and says so; mostly nothing was delivered.
    ServerError(String),
    /// Not delivered; the chat has this id now.
    Moved(i64),
    /// Nothing can be delivered to this chat until somebody lets the bot in again.
    Gone(String),
    /// Not delivered as it is; once more with this change.
    Change(Change, String),
    /// There is no such chat: no message to it can be delivered.
    NoChat(String),
    /// This message can never be delivered.
    Never(String),
    /// No message can be delivered with this token.
    Stop(String),
}

/// What may make a refused message acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Markup that cannot be parsed: plain text.
    Plain,
    /// Too long after all: smaller parts, without markup.
    Shorter,
    /// The topic is gone or closed: the chat itself.
    NoThread,
    /// The message to be answered is gone.
    NoReply,
    /// A button that is not allowed.
    NoButtons,
    /// A picture that is refused as a photo: a document.
    AsDocument,
    /// Files are not allowed in this chat, or this one is not: the text alone.
    NoFile,
    /// Likewise, for a summary: messages.
    NoStorm,
}

/// A 429 that does not say how long.
const FLOOD_UNKNOWN: Duration = Duration::from_secs(5);

/// The longest silence that is kept. Telegram asks for hours at most; a proxy or a stand-in can answer with any number,
/// and one that no clock can count would end the tool or mute it for ever. Should it be meant, the next call after a day
/// is refused again, and the silence goes on.
pub const LONGEST_FLOOD: Duration = Duration::from_secs(86_400);

/// Telegram counts in seconds; none at all would be asked again without a pause.
const SHORTEST_FLOOD: Duration = Duration::from_secs(1);

/// Descriptions of 400, by a part of their text in lower case.
const BAD_REQUESTS: [(&str, Meaning); 33] = [
    ("can't parse entities", Meaning::Change(Change::Plain)),
    ("message is too long", Meaning::Change(Change::Shorter)),
    ("text is too long", Meaning::Change(Change::Shorter)),
    ("message_too_long", Meaning::Change(Change::Shorter)),
    ("message caption is too long", Meaning::Change(Change::Shorter)),
    ("entities_too_long", Meaning::Change(Change::Shorter)),
    ("message thread not found", Meaning::Change(Change::NoThread)),
    ("topic_closed", Meaning::Change(Change::NoThread)),
    ("topic_deleted", Meaning::Change(Change::NoThread)),
    ("message to be replied not found", Meaning::Change(Change::NoReply)),
    ("replied message not found", Meaning::Change(Change::NoReply)),
    ("button_data_invalid", Meaning::Change(Change::NoButtons)),
    ("button_url_invalid", Meaning::Change(Change::NoButtons)),
    ("inline keyboard button", Meaning::Change(Change::NoButtons)),
    ("reply markup is too long", Meaning::Change(Change::NoButtons)),
    ("reply_markup_too_long", Meaning::Change(Change::NoButtons)),
    ("photo_invalid_dimensions", Meaning::Change(Change::AsDocument)),
    ("image_process_failed", Meaning::Change(Change::AsDocument)),
    ("is too big for a photo", Meaning::Change(Change::AsDocument)),
    ("message is not modified", Meaning::Told),
    ("not enough rights to send photos", Meaning::Change(Change::NoFile)),
    ("not enough rights to send documents", Meaning::Change(Change::NoFile)),
    ("chat_send_photos_forbidden", Meaning::Change(Change::NoFile)),
    ("chat_send_docs_forbidden", Meaning::Change(Change::NoFile)),
    ("chat_send_media_forbidden", Meaning::Change(Change::NoFile)),
    ("not enough rights to send", Meaning::Gone),
    ("have no rights to send a message", Meaning::Gone),
    ("chat_write_forbidden", Meaning::Gone),
    ("need administrator rights in the channel chat", Meaning::Gone),
    ("chat not found", Meaning::NoChat),
    ("chat_id is empty", Meaning::NoChat),
    ("message text is empty", Meaning::Never),
    ("text must be non-empty", Meaning::Never),
];

#[derive(Clone, Copy)]
enum Meaning {
    Told,
    Change(Change),
    Gone,
    NoChat,
    Never,
}

/// Judges an answer to a call that sends something to a chat.
pub fn verdict(answer: &Answer) -> Verdict {
    match answer {
        Answer::Done(result) => Verdict::Told {
            message_id: result.get("message_id").and_then(number),
            chat: result.pointer("/chat/id").and_then(number),
        },
        Answer::Refused(refusal) => refused(refusal),
        Answer::Strange(status @ (200..300 | 500..), seen) => {
            // A proxy's page for 5xx, or half an answer: the server behind it may have done its work.
            let text = format!("answer {status} is none of the Bot API: {seen}");
            if *status < 500 { Verdict::Unsure(text) } else { Verdict::ServerError(text) }
        }
        Answer::Strange(status, seen) => Verdict::Later(format!("answer {status} is none of the Bot API: {seen}")),
        Answer::NotSent(why) => Verdict::Later(why.clone()),
        Answer::Unanswered(why) => Verdict::Unsure(why.clone()),
    }
}

/// The stand-ins of others send some integers as text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn refused(refusal: &Refusal) -> Verdict {
    if let Some(chat) = refusal.parameters.migrate_to_chat_id {
        return Verdict::Moved(chat);
    }
    if let Some(time) = silence(refusal) {
        return Verdict::Flood(time);
    }
    let why = format!("{} {}", refusal.code, refusal.description).trim_end().to_owned();
    match refusal.code {
        400 => {
            let description = refusal.description.to_lowercase();
            let known = BAD_REQUESTS.iter().find(|(text, _)| description.contains(text));
            match known.map_or(Meaning::Never, |(_, meaning)| *meaning) {
                Meaning::Told => Verdict::Told { message_id: None, chat: None },
                Meaning::Change(change) => Verdict::Change(change, why),
                Meaning::Gone => Verdict::Gone(why),
                Meaning::NoChat => Verdict::NoChat(why),
                Meaning::Never => Verdict::Never(why),
            }
        }
        401 | 404 => Verdict::Stop(why),
        403 => Verdict::Gone(why),
        500.. => Verdict::ServerError(why),
        _ => Verdict::Never(why),
    }
}

/// For how long Telegram asks to be left alone; nothing where it refuses for another reason.
pub fn silence(refusal: &Refusal) -> Option<Duration> {
    (refusal.code == 429 || refusal.parameters.retry_after.is_some()).then(|| retry_after(refusal))
}

fn retry_after(refusal: &Refusal) -> Duration {
    let said = refusal.description.to_lowercase();
    let in_words = said.split("retry after ").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    refusal
        .parameters
        .retry_after
        .or(in_words)
        .map_or(FLOOD_UNKNOWN, Duration::from_secs)
        .clamp(SHORTEST_FLOOD, LONGEST_FLOOD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::Parameters;

    fn refusal(code: u16, description: &str) -> Verdict {
        let parameters = Parameters::default();
        verdict(&Answer::Refused(Refusal { code, description: description.into(), parameters }))
    }

    /// Every row of the table of errors, with the text that the server sends.
    #[test]
    fn one_row_after_the_other() {
        let change = |change| Some(Meaning::Change(change));
        for (code, description, expected) in [
            (400, "Bad Request: chat not found", Some(Meaning::NoChat)),
            (400, "Bad Request: chat_id is empty", Some(Meaning::NoChat)),
            (400, "Bad Request: private chat not found", Some(Meaning::NoChat)),
            (
                400,
                "Bad Request: can't parse entities: Unsupported start tag \"\" at byte offset 2",
                change(Change::Plain),
            ),
            (400, "Bad Request: message is too long", change(Change::Shorter)),
            (400, "Bad Request: text is too long", change(Change::Shorter)),
            (400, "Bad Request: MESSAGE_TOO_LONG", change(Change::Shorter)),
            (400, "Bad Request: message caption is too long", change(Change::Shorter)),
            (400, "Bad Request: ENTITIES_TOO_LONG", change(Change::Shorter)),
            (400, "Bad Request: message text is empty", Some(Meaning::Never)),
            (400, "Bad Request: text must be non-empty", Some(Meaning::Never)),
            (400, "Bad Request: message thread not found", change(Change::NoThread)),
            (400, "Bad Request: TOPIC_CLOSED", change(Change::NoThread)),
            (400, "Bad Request: message to be replied not found", change(Change::NoReply)),
            (400, "Bad Request: message is not modified: specified new message content ...", Some(Meaning::Told)),
            (400, "Bad Request: BUTTON_DATA_INVALID", change(Change::NoButtons)),
            (400, "Bad Request: BUTTON_URL_INVALID", change(Change::NoButtons)),
            (
                400,
                "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
                change(Change::NoButtons),
            ),
            (
                400,
                "Bad Request: inline keyboard button URL 'http://x' is invalid: Wrong HTTP URL",
                change(Change::NoButtons),
            ),
            (400, "Bad Request: reply markup is too long", change(Change::NoButtons)),
            (400, "Bad Request: not enough rights to send text messages to the chat", Some(Meaning::Gone)),
            (
                400,
                "Bad Request: not enough rights to send documents to the chat",
                Some(Meaning::Change(Change::NoFile)),
            ),
            (400, "Bad Request: CHAT_SEND_PHOTOS_FORBIDDEN", Some(Meaning::Change(Change::NoFile))),
            (400, "Bad Request: have no rights to send a message", Some(Meaning::Gone)),
            (400, "Bad Request: CHAT_WRITE_FORBIDDEN", Some(Meaning::Gone)),
            (400, "Bad Request: PHOTO_INVALID_DIMENSIONS", change(Change::AsDocument)),
            (400, "Bad Request: IMAGE_PROCESS_FAILED", change(Change::AsDocument)),
            (
                400,
                "Bad Request: file of size 11000000 bytes is too big for a photo; the maximum size is 10485760 bytes",
                change(Change::AsDocument),
            ),
            (400, "Bad Request: something new", Some(Meaning::Never)),
            (403, "Forbidden: bot was blocked by the user", Some(Meaning::Gone)),
            (403, "Forbidden: user is deactivated", Some(Meaning::Gone)),
            (403, "Forbidden: bot was kicked from the supergroup chat", Some(Meaning::Gone)),
            (403, "Forbidden: bot is not a member of the channel chat", Some(Meaning::Gone)),
            (403, "Forbidden: the group chat was deleted", Some(Meaning::Gone)),
            (403, "Forbidden: bot can't initiate conversation with a user", Some(Meaning::Gone)),
            (403, "Forbidden: the bot can't send messages to the bot", Some(Meaning::Gone)),
            (413, "Request Entity Too Large", Some(Meaning::Never)),
            (401, "Unauthorized", None),
            (401, "Unauthorized: invalid token specified", None),
            (404, "Not Found", None),
            (404, "Not Found: method not found", None),
        ] {
            let why = format!("{code} {description}");
            let expected = match expected {
                None => Verdict::Stop(why),
                Some(Meaning::Told) => Verdict::Told { message_id: None, chat: None },
                Some(Meaning::Gone) => Verdict::Gone(why),
                Some(Meaning::NoChat) => Verdict::NoChat(why),
                Some(Meaning::Never) => Verdict::Never(why),
                Some(Meaning::Change(change)) => Verdict::Change(change, why),
            };
            assert_eq!(refusal(code, description), expected, "{code} {description}");
        }
        for text in ["Internal Server Error: restart", "Internal Server Error: Request aborted"] {
            assert_eq!(refusal(500, text), Verdict::ServerError(format!("500 {text}")));
        }
    }

    #[test]
    fn moved_and_flood_are_told_by_their_parameters() {
        let answer = |code, description: &str, parameters| {
            verdict(&Answer::Refused(Refusal { code, description: description.into(), parameters }))
        };
        let moved = Parameters { migrate_to_chat_id: Some(-100), retry_after: None };
        let text = "Bad Request: group chat was upgraded to a supergroup chat";
        assert_eq!(answer(400, text, moved), Verdict::Moved(-100));
        let flood = Parameters { retry_after: Some(18053), migrate_to_chat_id: None };
        assert_eq!(answer(429, "Too Many Requests", flood), Verdict::Flood(Duration::from_secs(18053)));
        assert_eq!(refusal(429, "Too Many Requests: retry after 34"), Verdict::Flood(Duration::from_secs(34)));
        assert_eq!(refusal(429, "Too Many Requests"), Verdict::Flood(FLOOD_UNKNOWN));
        let at_once = Parameters { retry_after: Some(0), migrate_to_chat_id: None };
        assert_eq!(answer(429, "Too Many Requests", at_once), Verdict::Flood(SHORTEST_FLOOD));
        for seconds in [86_401, 9_300_000_000_000_000_000, u64::MAX] {
            let flood = Parameters { retry_after: Some(seconds), migrate_to_chat_id: None };
            assert_eq!(answer(429, "Too Many Requests", flood), Verdict::Flood(LONGEST_FLOOD), "{seconds}");
            let said = format!("Too Many Requests: retry after {seconds}");
            assert_eq!(refusal(429, &said), Verdict::Flood(LONGEST_FLOOD), "{seconds}");
        }
    }

    #[test]
    fn what_went_wrong_before_or_after_the_call_was_out() {
        assert_eq!(verdict(&Answer::NotSent("refused".into())), Verdict::Later("refused".into()));
        assert_eq!(verdict(&Answer::Unanswered("reset".into())), Verdict::Unsure("reset".into()));
        assert!(matches!(verdict(&Answer::Strange(502, "x".into())), Verdict::ServerError(_)));
        assert!(matches!(verdict(&Answer::Strange(200, "x".into())), Verdict::Unsure(_)));
        assert!(matches!(verdict(&Answer::Strange(302, "x".into())), Verdict::Later(_)));
        assert!(matches!(verdict(&Answer::Strange(404, "x".into())), Verdict::Later(_)));
    }

    #[test]
    fn told_with_ids() {
        let result = serde_json::json!({"message_id": 7, "chat": {"id": "-100"}});
        assert_eq!(verdict(&Answer::Done(result)), Verdict::Told { message_id: Some(7), chat: Some(-100) });
        assert_eq!(verdict(&Answer::Done(Value::Null)), Verdict::Told { message_id: None, chat: None });
    }
}
