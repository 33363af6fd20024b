//! What a bot says about itself: getMe, commands, descriptions, and the webhook (state only; nothing is called).

use serde_json::{Value, json};

use super::{Call, Refusal};
use crate::sandbox::State;
use crate::sandbox::message::bot_json;

/// SPEC getMe: User, with the fields that are only returned here.
pub fn me(bot: i64) -> Value {
    let mut me = bot_json(bot);
    me["can_join_groups"] = true.into();
    for name in [
        "supports_inline_queries",
        "can_connect_to_business",
        "has_main_web_app",
        "has_topics_enabled",
        "allows_users_to_create_topics",
        "can_manage_bots",
        "supports_guest_queries",
    ] {
        me[name] = false.into();
    }
    // Every message of a group is shown to the bot, as with privacy mode off.
    me["can_read_all_group_messages"] = true.into();
    me
}

pub fn webhook(state: &mut State, call: &Call, method: &str) -> Result<Value, Refusal> {
    let bot = state.bots.get(call.token);
    if call.params.is_true("drop_pending_updates") {
        bot.drop_updates();
    }
    match method {
        "setwebhook" => {
            let url = call.params.get("url");
            if !url.is_empty() && !url.starts_with("https://") {
                return Err(Refusal::bad("bad webhook: An HTTPS URL must be provided for webhook"));
            }
            bot.webhook = url.to_owned();
            bot.abort_poll();
            Ok(true.into())
        }
        "deletewebhook" => {
            bot.webhook.clear();
            Ok(true.into())
        }
        _ => Ok(json!({"url": bot.webhook, "has_custom_certificate": false,
                       "pending_update_count": bot.waiting_updates()})),
    }
}

/// Commands are kept per scope and language, which together are the key.
fn key(call: &Call) -> String {
    let scope = match call.params.get("scope") {
        "" => "{\"type\":\"default\"}",
        scope => scope,
    };
    format!("{scope} {}", call.params.get("language_code"))
}

pub fn commands(state: &mut State, call: &Call, method: &str) -> Result<Value, Refusal> {
    let key = key(call);
    let bot = state.bots.get(call.token);
    match method {
        "setmycommands" => {
            let list = checked(call.params.json("commands"))?;
            bot.commands.retain(|(other, _)| *other != key);
            bot.commands.push((key, list));
            Ok(true.into())
        }
        "deletemycommands" => {
            bot.commands.retain(|(other, _)| *other != key);
            Ok(true.into())
        }
        _ => Ok(bot.commands.iter().find(|(other, _)| *other == key).map_or(json!([]), |(_, list)| list.clone())),
    }
}

/// TD BotCommand.cpp
fn checked(list: Option<Value>) -> Result<Value, Refusal> {
    let Some(Value::Array(list)) = list else {
        return Err(Refusal::bad("can't parse commands JSON object"));
    };
    if list.len() > 100 {
        return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    let mut kept = Vec::new();
    for item in list {
        let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        let command = text("command");
        let command = command.strip_prefix('/').unwrap_or(&command).to_owned();
        let description = text("description");
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if command.is_empty() || command.len() > 32 || !command.chars().all(valid) {
            return Err(Refusal::bad("BOT_COMMAND_INVALID"));
        }
        if description.is_empty() || description.chars().count() > 256 {
            return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
        kept.push(json!({"command": command, "description": description}));
    }
    Ok(Value::Array(kept))
}

/// A text about the bot, per language.
pub fn description(state: &mut State, call: &Call, method: &str, most: usize) -> Result<Value, Refusal> {
    let name = match &method[3..] {
        "mydescription" => "description",
        "myshortdescription" => "short_description",
        _ => "name",
    };
    let key = format!("{name} {}", call.params.get("language_code"));
    let bot = state.bots.get(call.token);
    if method.starts_with("get") {
        let text = bot.descriptions.iter().find(|(other, _)| *other == key).map_or("", |(_, text)| text.as_str());
        return Ok(json!({name: text}));
    }
    let text = call.params.get(name);
    if text.chars().count() > most {
        return Err(Refusal::bad(&format!("{} is too long", name.replace('_', " "))));
    }
    bot.descriptions.retain(|(other, _)| *other != key);
    bot.descriptions.push((key, text.to_owned()));
    Ok(true.into())
}
