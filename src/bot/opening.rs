//! The first calls: who the bot is, and that no webhook keeps updates from it.

use serde_json::json;

use super::conversation::Me;
use super::poll::{Patience, Stop};
use super::standing::Standing;
use crate::telegram::{Answer, Api, Call};
use crate::verdict;

/// Who the bot is; nothing when it was asked to end. The error is the refusal of the token.
pub fn introduce(api: &Api, stop: &Stop) -> Result<Option<Me>, String> {
    match insist(api, stop, &mut Standing::new(""), "getMe", |code| matches!(code, 401 | 404)) {
        Some(Answer::Done(me)) => {
            let id = me["id"].as_i64().or_else(|| me["id"].as_str()?.parse().ok()).unwrap_or(0);
            let username = me["username"].as_str().unwrap_or_default().to_owned();
            Ok(Some(Me { id, username }))
        }
        Some(Answer::Refused(refusal)) => Err(format!("{} {}", refusal.code, refusal.description)),
        _ => Ok(None),
    }
}

/// Takes a webhook away.
pub fn delete_webhook(api: &Api, stop: &Stop, standing: &mut Standing) {
    if let Some(answer) = insist(api, stop, standing, "deleteWebhook", |code| code < 500) {
        log::info!("deleteWebhook: {answer:?}");
    }
}

/// Asks until it is done or refused with a code that is final; nothing when it was asked to end.
fn insist(
    api: &Api,
    stop: &Stop,
    standing: &mut Standing,
    method: &'static str,
    is_final: fn(u16) -> bool,
) -> Option<Answer> {
    let mut outage = Patience::new(1, 30);
    while !stop.is_set() {
        let answer = api.call(&Call { method, parameters: json!({}), file: None });
        let (why, silence) = match answer {
            Answer::Done(_) => return Some(answer),
            Answer::Refused(refusal) => match verdict::silence(&refusal) {
                None if is_final(refusal.code) => return Some(Answer::Refused(refusal)),
                silence => (refusal.description, silence),
            },
            Answer::Strange(status, seen) => (format!("answer {status} is none of the Bot API: {seen}"), None),
            Answer::NotSent(why) | Answer::Unanswered(why) => (why, None),
        };
        let wait = match silence {
            Some(time) => {
                standing.is_silent(time);
                time
            }
            None => {
                standing.is_out_of_reach();
                outage.grow()
            }
        };
        log::warn!("cannot reach Telegram: {why}; trying again in {} s", wait.as_secs());
        stop.sleep(wait);
    }
    None
}
