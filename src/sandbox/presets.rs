//! Well-known errors by short names, for rules. Where the words were seen: `tests/data/telegram-errors.jsonl` and the
//! source of the Bot API server.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    CantParse,
    Blocked,
    Kicked,
    Deactivated,
    ChatNotFound,
    TooLong,
    ThreadNotFound,
    NotModified,
    QueryTooOld,
    Unauthorized,
    NotFound,
    ConflictPoll,
    ConflictWebhook,
    Restart500,
    #[serde(rename = "entity_too_large413")]
    EntityTooLarge413,
}

impl Preset {
    /// Code and description, as the Bot API server writes them.
    pub fn error(self) -> (u16, &'static str) {
        match self {
            Preset::CantParse => {
                (400, "Bad Request: can't parse entities: Unsupported start tag \"no\" at byte offset 404")
            }
            Preset::Blocked => (403, "Forbidden: bot was blocked by the user"),
            Preset::Kicked => (403, "Forbidden: bot was kicked from the supergroup chat"),
            Preset::Deactivated => (403, "Forbidden: user is deactivated"),
            Preset::ChatNotFound => (400, "Bad Request: chat not found"),
            Preset::TooLong => (400, "Bad Request: message is too long"),
            Preset::ThreadNotFound => (400, "Bad Request: message thread not found"),
            Preset::NotModified => (400, super::api::NOT_MODIFIED),
            Preset::QueryTooOld => (400, super::api::QUERY_TOO_OLD),
            Preset::Unauthorized => (401, "Unauthorized"),
            Preset::NotFound => (404, "Not Found"),
            Preset::ConflictPoll => (409, super::poll::CONFLICT),
            Preset::ConflictWebhook => (409, super::poll::CONFLICT_WEBHOOK),
            Preset::Restart500 => (500, "Internal Server Error: restart"),
            Preset::EntityTooLarge413 => (413, "Request Entity Too Large"),
        }
    }
}
