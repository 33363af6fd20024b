//! `reply_markup`: what the server takes, what it drops and what it refuses.

use serde_json::{Value, json};

use super::markup;

/// A keyboard that is part of a message or of the chat.
#[derive(Clone, Debug, PartialEq)]
pub enum Markup {
    None,
    /// Rows of inline buttons; empty rows remove the keyboard on an edit.
    Inline(Value),
    /// A reply keyboard, as the page is to show it.
    Reply(Value),
    Remove,
    Force,
}

/// TDLib keeps this many and drops the rest silently (ReplyMarkup.cpp).
const MOST_IN_ROW: usize = 12;
const MOST: usize = 300;
/// Kinds that are kept as they are: the sandbox does nothing with them.
const OTHER_KINDS: [&str; 8] = [
    "login_url",
    "web_app",
    "callback_game",
    "pay",
    "copy_text",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
];

/// Parses `reply_markup`. What only Telegram's own servers refuse comes last, in `late`.
pub fn parse(text: &str, late: &mut Option<&'static str>) -> Result<Markup, String> {
    if text.is_empty() || text == "null" {
        return Ok(Markup::None);
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Err("can't parse reply keyboard markup JSON object".to_owned());
    };
    if !value.is_object() {
        return Err("object expected as reply markup".to_owned());
    }
    if let Some(rows) = value.get("inline_keyboard") {
        return inline(rows, late);
    }
    if let Some(rows) = value.get("keyboard") {
        return reply(rows, &value);
    }
    let is_true = |name: &str| value.get(name) == Some(&Value::Bool(true));
    Ok(if is_true("remove_keyboard") {
        Markup::Remove
    } else if is_true("force_reply") {
        Markup::Force
    } else {
        Markup::None
    })
}

fn rows<'a>(value: &'a Value, field: &str) -> Result<Vec<&'a Vec<Value>>, String> {
    let wrong = || format!("field \"{field}\" must be of type Array");
    let rows = value.as_array().ok_or_else(wrong)?;
    rows.iter()
        .map(|row| row.as_array().ok_or_else(|| format!("field \"{field}\" must be an Array of Arrays")))
        .collect()
}

fn inline(value: &Value, late: &mut Option<&'static str>) -> Result<Markup, String> {
    let mut kept = Vec::new();
    let mut total = 0;
    for row in rows(value, "inline_keyboard")? {
        let mut buttons = Vec::new();
        for button in row {
            let button =
                inline_button(button, late).map_err(|err| format!("can't parse inline keyboard button: {err}"))?;
            if let Some(button) = button
                && buttons.len() < MOST_IN_ROW
                && total < MOST
            {
                total += 1;
                buttons.push(button);
            }
        }
        if !buttons.is_empty() {
            kept.push(Value::Array(buttons));
        }
    }
    Ok(Markup::Inline(Value::Array(kept)))
}

fn inline_button(button: &Value, late: &mut Option<&'static str>) -> Result<Option<Value>, String> {
    if !button.is_object() {
        return Err("InlineKeyboardButton must be an Object".to_owned());
    }
    let text = match button.get("text") {
        None => return Err("Can't find field \"text\"".to_owned()),
        Some(Value::String(text)) => text,
        Some(_) => return Err("Field \"text\" must be of type String".to_owned()),
    };
    let field = |name: &str| button.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    let kept = if let Some(url) = field("url") {
        let Some(url) = markup::checked_link(url) else {
            return Err(format!("Inline keyboard button URL '{url}' is invalid"));
        };
        json!({"text": text, "url": url})
    } else if let Some(data) = field("callback_data") {
        if data.len() > 64 {
            *late = Some("BUTTON_DATA_INVALID");
        }
        json!({"text": text, "callback_data": data})
    } else if OTHER_KINDS.iter().any(|kind| button.get(kind).is_some()) {
        button.clone()
    } else {
        return Err("Text buttons are unallowed in the inline keyboard".to_owned());
    };
    Ok((!text.is_empty()).then_some(kept))
}

fn reply(value: &Value, markup: &Value) -> Result<Markup, String> {
    let mut kept = Vec::new();
    let mut total = 0;
    for row in rows(value, "keyboard")? {
        let mut buttons = Vec::new();
        for button in row {
            let text = match button {
                Value::String(text) => text,
                Value::Object(map) => match map.get("text") {
                    Some(Value::String(text)) => text,
                    _ => return Err("can't parse keyboard button: Can't find field \"text\"".to_owned()),
                },
                _ => return Err("can't parse keyboard button: KeyboardButton must be a String or an Object".to_owned()),
            };
            if !text.is_empty() && buttons.len() < MOST_IN_ROW && total < MOST {
                total += 1;
                buttons.push(json!({"text": text}));
            }
        }
        if !buttons.is_empty() {
            kept.push(Value::Array(buttons));
        }
    }
    let mut shown = json!({"keyboard": kept});
    for name in ["resize_keyboard", "one_time_keyboard", "is_persistent", "input_field_placeholder", "selective"] {
        if let Some(value) = markup.get(name) {
            shown[name] = value.clone();
        }
    }
    Ok(Markup::Reply(shown))
}

/// The buttons of a keyboard with their rows and columns.
pub fn buttons(rows: &Value) -> impl Iterator<Item = (usize, usize, &Value)> {
    let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().enumerate().flat_map(|(row, buttons)| {
        let buttons = buttons.as_array().map(Vec::as_slice).unwrap_or_default();
        buttons.iter().enumerate().map(move |(column, button)| (row, column, button))
    })
}
