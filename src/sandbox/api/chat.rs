//! Questions about chats and files: getChat, getChatMember, getChatAdministrators, getFile; and sendChatAction.

use serde_json::{Value, json};

use super::{Call, Refusal, target, writable};
use crate::sandbox::State;
use crate::sandbox::message::bot_json;

const ACTIONS: [&str; 11] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

pub fn action(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let chat = target(state, call)?;
    writable(state, chat)?;
    let action = call.params.get("action").to_ascii_lowercase();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(Refusal::bad("wrong parameter action in request"));
    }
    state.actions.insert(chat, (action, call.wall_ms));
    state.world.touch(chat);
    Ok(true.into())
}

pub fn get(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let id = target(state, call)?;
    let Some(chat) = state.world.chats.get(&id) else { return Err(Refusal::bad("chat not found")) };
    let mut json = chat.to_json();
    // SPEC ChatFullInfo: required fields.
    json["accent_color_id"] = 0.into();
    json["max_reaction_count"] = 11.into();
    json["accepted_gift_types"] = json!({"unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false,
                                         "premium_subscription": false, "gifts_from_channels": false});
    if !chat.is_private() {
        json["permissions"] = json!({"can_send_messages": true});
    }
    Ok(json)
}

pub fn member(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let chat = target(state, call)?;
    let Some(user) = call.params.integer("user_id").filter(|id| *id > 0) else {
        return Err(Refusal::bad("invalid user_id specified"));
    };
    if user == call.bot {
        let status = state.world.chats.get(&chat).map_or("left", |chat| chat.bot.as_str());
        return Ok(member_json(status, bot_json(user)));
    }
    Ok(member_json(state.world.status(chat, user), state.world.user_json(user)))
}

pub fn administrators(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let id = target(state, call)?;
    let Some(chat) = state.world.chats.get(&id) else { return Err(Refusal::bad("chat not found")) };
    if chat.is_private() {
        return Err(Refusal::bad("there are no administrators in the private chat"));
    }
    let admins = chat.members.iter().filter(|(_, status)| ["creator", "administrator"].contains(&status.as_str()));
    Ok(admins.map(|(user, status)| member_json(status, state.world.user_json(*user))).collect())
}

pub fn count(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let id = target(state, call)?;
    Ok(state.world.chats.get(&id).map_or(0, |chat| chat.members.len() + 1).into())
}

/// SPEC ChatMember*: with all fields that the status requires.
pub fn member_json(status: &str, user: Value) -> Value {
    let status = if status == "blocked" { "kicked" } else { status };
    let mut json = json!({"status": status, "user": user});
    let rights: &[&str] = match status {
        "creator" => &["is_anonymous"],
        "administrator" => &[
            "can_be_edited",
            "is_anonymous",
            "can_manage_chat",
            "can_delete_messages",
            "can_manage_video_chats",
            "can_restrict_members",
            "can_promote_members",
            "can_change_info",
            "can_invite_users",
            "can_post_stories",
            "can_edit_stories",
            "can_delete_stories",
        ],
        "restricted" => &[
            "is_member",
            "can_send_messages",
            "can_send_audios",
            "can_send_documents",
            "can_send_photos",
            "can_send_videos",
            "can_send_video_notes",
            "can_send_voice_notes",
            "can_send_polls",
            "can_send_other_messages",
            "can_add_web_page_previews",
            "can_react_to_messages",
            "can_edit_tag",
            "can_change_info",
            "can_invite_users",
            "can_pin_messages",
            "can_manage_topics",
        ],
        _ => &[],
    };
    for right in rights {
        json[*right] = (*right == "is_member" || *right == "can_manage_chat").into();
    }
    if matches!(status, "restricted" | "kicked") {
        json["until_date"] = 0.into();
    }
    json
}

pub fn file(state: &mut State, call: &Call) -> Result<Value, Refusal> {
    let file = state.files.by_id(call.params.get("file_id"));
    file.map(|file| state.files.file_json(file)).ok_or_else(|| Refusal::bad("invalid file_id"))
}
