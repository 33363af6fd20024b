//! Keyboards, pictures, files, edits, settings.

use serde_json::{Value, json};

use crate::harness::{Sandbox, TOKEN, Wire, bad, png};

#[test]
fn keyboards() {
    let sandbox = Sandbox::strict(&[]);
    let wide: Vec<Value> = (0..14).map(|n| json!({"text": n.to_string(), "callback_data": "x".repeat(64)})).collect();
    let sent = sandbox.ok(
        "sendMessage",
        json!({"chat_id": 1, "text": "x", "reply_markup": {"inline_keyboard": [wide, [{"text": "", "url": "a.b"}]]}}),
    );
    let rows = sent["reply_markup"]["inline_keyboard"].as_array().unwrap();
    assert_eq!((rows.len(), rows[0].as_array().unwrap().len()), (1, 12), "the rest is dropped silently");
    let bad_url =
        json!({"chat_id": 1, "text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x", "url": "foo"}]]}});
    assert!(sandbox.refused("sendMessage", bad_url).1.starts_with("Bad Request: can't parse inline keyboard button: "));
    let keys = json!({"keyboard": [["a", {"text": "b"}]], "one_time_keyboard": true});
    for markup in [keys.clone(), json!({"remove_keyboard": true})] {
        let post = json!({"chat_id": "@news", "text": "x", "reply_markup": markup});
        assert_eq!(sandbox.refused("sendMessage", post).1, "Bad Request: inline keyboard expected");
    }
    let sent = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x", "reply_markup": keys}));
    assert_eq!(sent["reply_markup"], Value::Null, "only inline keyboards are shown in answers");
    assert_eq!(sandbox.post_fails("tap", json!({"chat": 1, "text": "c"})), 404);
    sandbox.post("tap", json!({"chat": 1, "text": "b"}));
    assert_eq!(sandbox.post_fails("tap", json!({"chat": 1, "text": "a"})), 404, "a keyboard for one tap");
    sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x", "reply_markup": keys}));
    sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x", "reply_markup": {"remove_keyboard": true}}));
    assert_eq!(sandbox.post_fails("tap", json!({"chat": 1, "text": "a"})), 404, "a keyboard that was removed");
}

#[test]
fn photos_and_documents() {
    let sandbox = Sandbox::strict(&[]);
    let chat = [("chat_id", "1")];
    for (bytes, words) in [
        (png(9000, 1001, 0), "PHOTO_INVALID_DIMENSIONS"),
        (png(2001, 100, 0), "PHOTO_INVALID_DIMENSIONS"),
        (b"plain text".to_vec(), "IMAGE_PROCESS_FAILED"),
        (Vec::new(), "file must be non-empty"),
        (
            png(10, 10, 10_485_760),
            "file of size 10485793 bytes is too big for a photo; the maximum size is 10485760 bytes",
        ),
    ] {
        let answer = sandbox.upload("sendPhoto", &chat, &[("photo", "p.png", &bytes)]);
        assert_eq!(answer.json()["description"], format!("Bad Request: {words}"));
    }
    assert_eq!(sandbox.refused("sendPhoto", json!({"chat_id": 1})), bad("there is no photo in the request"));
    let picture = png(2000, 100, 0);
    let params = [("chat_id", "1"), ("photo", "attach://x"), ("caption", "<b>c</b>"), ("parse_mode", "HTML")];
    let sent = sandbox.upload("sendPhoto", &params, &[("x", "p.png", &picture)]).json()["result"].clone();
    let largest = sent["photo"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&largest["width"], &largest["height"], &sent["caption"]), (&json!(2000), &json!(100), &json!("c")));
    let again = sandbox.ok("sendPhoto", json!({"chat_id": -5, "photo": largest["file_id"]}));
    assert_eq!(again["photo"].as_array().unwrap().last().unwrap()["file_unique_id"], largest["file_unique_id"]);
    let file = sandbox.ok("getFile", json!({"file_id": largest["file_id"]}));
    let get = format!("GET /file/bot{TOKEN}/{} HTTP/1.1\r\n\r\n", file["file_path"].as_str().unwrap());
    assert_eq!(Wire::open(sandbox.api).unwrap().ask(get.as_bytes()).unwrap().bytes, picture);
    let sent =
        sandbox.upload("sendDocument", &chat, &[("document", "a;b \u{e9}.txt", b"text\r\n--B not the end")]).json();
    assert_eq!(sent["result"]["document"]["file_name"], "a;b é.txt", "{sent}");
    assert_eq!(sent["result"]["document"]["mime_type"], "text/plain", "{sent}");
    let seen = sandbox.last_request()["files"][0].clone();
    assert_eq!((&seen["name"], &seen["size"]), (&json!("document"), &json!(21)));
    assert_eq!(seen["sha256"], "9f944e4d39bec8368a0ca4922425c42119870136f665813e4fed91b1fea40011");
}

#[test]
fn a_picture_by_url_is_fetched_from_this_machine_only() {
    let sandbox = Sandbox::strict(&[]);
    let served = Sandbox::strict(&[]);
    let sent = served.upload("sendPhoto", &[("chat_id", "1")], &[("photo", "p.png", &png(30, 20, 0))]).json();
    let id = sent["result"]["photo"][0]["file_id"].as_str().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{}/files/{id}", served.ctl);
    let sent = sandbox.ok("sendPhoto", json!({"chat_id": 1, "photo": url}));
    assert_eq!(sent["photo"][0]["width"], 30);
    for url in ["http://a.example/p.png".to_owned(), format!("http://127.0.0.1:{}/files/none", served.ctl)] {
        assert_eq!(
            sandbox.refused("sendPhoto", json!({"chat_id": 1, "photo": url})),
            bad("failed to get HTTP URL content")
        );
    }
    assert_eq!(
        sandbox.refused("sendPhoto", json!({"chat_id": 1, "photo": "x"})),
        bad("wrong file identifier/HTTP URL specified")
    );
}

#[test]
fn edits() {
    let sandbox = Sandbox::strict(&[]);
    let keyboard = json!({"inline_keyboard": [[{"text": "a", "callback_data": "b"}]]});
    let id =
        sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "old", "reply_markup": keyboard}))["message_id"].clone();
    let edit =
        |text: &str, keyboard: &Value| json!({"chat_id": 1, "message_id": id, "text": text, "reply_markup": keyboard});
    let edited = sandbox.ok("editMessageText", edit("new", &keyboard));
    assert!(edited["edit_date"].is_i64() && edited["text"] == "new", "{edited}");
    assert_eq!(
        sandbox.refused("editMessageText", edit("new", &keyboard)),
        bad(
            "message is not modified: specified new message content and reply markup are exactly the same as a current \
             content and reply markup of the message"
        )
    );
    let edited = sandbox.ok("editMessageText", edit("new", &json!({"inline_keyboard": []})));
    assert_eq!(edited["reply_markup"], Value::Null);
    assert_eq!(sandbox.refused("editMessageText", edit(&"x".repeat(4097), &keyboard)), bad("MESSAGE_TOO_LONG"));
    assert_eq!(
        sandbox.ok("editMessageReplyMarkup", json!({"chat_id": 1, "message_id": id, "reply_markup": keyboard}))["text"],
        "new"
    );
    let other = json!({"chat_id": 1, "message_id": 999, "text": "x"});
    assert_eq!(sandbox.refused("editMessageText", other), bad("message to edit not found"));
    let said = sandbox.post("say", json!({"chat": 1, "text": "mine"}));
    let users = json!({"chat_id": 1, "message_id": said["message_id"], "text": "x"});
    assert_eq!(sandbox.refused("editMessageText", users), bad("message can't be edited"));
    assert_eq!(sandbox.ok("deleteMessage", json!({"chat_id": 1, "message_id": id})), true);
    assert_eq!(
        sandbox.refused("deleteMessage", json!({"chat_id": 1, "message_id": id})),
        bad("message to delete not found")
    );
    assert_eq!(sandbox.texts(1), ["mine"]);
}

/// BAPI get_input_media: what is wrong, in the order in which it is found.
#[test]
fn media_that_cannot_be_read() {
    let sandbox = Sandbox::strict(&[]);
    let sent = sandbox.upload("sendPhoto", &[("chat_id", "1")], &[("photo", "p.png", &png(30, 20, 0))]).json();
    let id = sent["result"]["message_id"].clone();
    for (media, words) in [
        (json!(""), "parameter \"media\" is required"),
        (json!("not json"), "can't parse input media JSON object"),
        (json!([]), "can't parse InputMedia: expected an Object"),
        (
            json!({"type": "sticker", "caption": "<b>x", "parse_mode": "HTML"}),
            "can't parse InputMedia: Can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (json!({"media": "x"}), "can't parse InputMedia: Can't find field \"type\""),
        (json!({"type": "sticker"}), "can't parse InputMedia: media not found"),
        (json!({"type": "photo", "media": "attach://x"}), "can't parse InputMedia: media not found"),
        (json!({"type": "sticker", "media": "x"}), "can't parse InputMedia: type \"sticker\" is unsupported"),
        (json!({"type": "photo", "media": "x"}), "wrong file identifier/HTTP URL specified"),
        (json!({"type": "photo", "media": "http://a.example/p.png"}), "failed to get HTTP URL content"),
    ] {
        let params = json!({"chat_id": 1, "message_id": id, "media": media});
        assert_eq!(sandbox.refused("editMessageMedia", params), bad(words), "{media}");
    }
    assert_eq!(sandbox.violation("bad_html"), 1);
    let photo = json!({"type": "photo", "media": "attach://x", "caption": "x".repeat(1025)}).to_string();
    for (media, bytes, words) in [
        ("{\"type\":\"photo\",\"media\":\"attach://x\"}", b"text".to_vec(), "IMAGE_PROCESS_FAILED"),
        ("{\"type\":\"photo\",\"media\":\"attach://x\"}", png(2001, 100, 0), "PHOTO_INVALID_DIMENSIONS"),
        ("{\"type\":\"photo\",\"media\":\"attach://x\"}", Vec::new(), "file must be non-empty"),
        (&photo, png(30, 20, 0), "message caption is too long"),
    ] {
        let params = [("chat_id", "1"), ("message_id", &id.to_string()), ("media", media)];
        let answer = sandbox.upload("editMessageMedia", &params, &[("x", "p.png", &bytes)]).json();
        assert_eq!(answer["description"], format!("Bad Request: {words}"));
    }
    assert_eq!(sandbox.get("chat/1/messages")[0]["edited"], false);
}

#[test]
fn a_picture_takes_the_place_of_another() {
    let sandbox = Sandbox::strict(&[]);
    let sent = sandbox.upload("sendPhoto", &[("chat_id", "1")], &[("photo", "p.png", &png(30, 20, 0))]).json();
    let id = sent["result"]["message_id"].to_string();
    let old = sent["result"]["photo"][0]["file_id"].clone();
    let keyboard = "{\"inline_keyboard\":[[{\"text\":\"1h\",\"callback_data\":\"p:1:r:1h\"}]]}";
    let media = "{\"type\":\"photo\",\"media\":\"attach://new\",\"caption\":\"<b>CPU</b> 1h\",\"parse_mode\":\"HTML\"}";
    let params = [("chat_id", "1"), ("message_id", &id), ("media", media), ("reply_markup", keyboard)];
    let new = png(60, 40, 0);
    let edited = sandbox.upload("editMessageMedia", &params, &[("new", "p.png", &new)]).json()["result"].clone();
    assert_eq!((&edited["photo"][0]["width"], &edited["caption"]), (&json!(60), &json!("CPU 1h")), "{edited}");
    assert_eq!(edited["caption_entities"][0]["type"], "bold");
    assert_eq!(edited["reply_markup"]["inline_keyboard"][0][0]["text"], "1h");
    assert!(edited["edit_date"].is_i64() && edited["message_id"] == sent["result"]["message_id"], "{edited}");
    let shown = &sandbox.get("chat/1/messages")[0];
    assert_eq!((&shown["photo"], &shown["edited"]), (&edited["photo"], &json!(true)), "the page shows the new one");
    let mut page = Wire::open(sandbox.ctl).unwrap();
    let get = format!("GET /files/{} HTTP/1.1\r\n\r\n", edited["photo"][0]["file_id"].as_str().unwrap());
    assert_eq!(page.ask(get.as_bytes()).unwrap().bytes, new);
    let known = |file: &Value, caption: &str| {
        let media = json!({"type": "photo", "media": file, "caption": caption});
        json!({"chat_id": 1, "message_id": id, "media": media, "reply_markup": keyboard})
    };
    assert_eq!(sandbox.ok("editMessageMedia", known(&old, "back"))["photo"][0]["width"], 30);
    let refused = sandbox.refused("editMessageMedia", known(&old, "back"));
    assert!(refused.1.starts_with("Bad Request: message is not modified"), "{refused:?}");
    sandbox.ok("editMessageMedia", known(&old, "other words"));
    sandbox.post("press", json!({"chat": 1, "message_id": edited["message_id"], "data": "p:1:r:1h"}));
    // A text can become a picture (SPEC: "or to add media to text messages").
    let text = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "drawing"}))["message_id"].clone();
    let mut params = known(&old, "drawn");
    params["message_id"] = text;
    let drawn = sandbox.ok("editMessageMedia", params.clone());
    assert_eq!((&drawn["text"], &drawn["photo"][0]["width"]), (&Value::Null, &json!(30)), "{drawn}");
    let url = format!("http://127.0.0.1:{}/files/{}", sandbox.ctl, old.as_str().unwrap());
    params["media"] = json!({"type": "photo", "media": url});
    assert_eq!(sandbox.ok("editMessageMedia", params)["photo"][0]["width"], 30);
    let gone = json!({"chat_id": 1, "message_id": 999, "media": {"type": "photo", "media": old}});
    assert_eq!(sandbox.refused("editMessageMedia", gone), bad("message to edit not found"));
}

/// What the page is told of a keyboard and of what the bot is doing.
#[test]
fn keyboards_and_actions_as_the_page_sees_them() {
    let sandbox = Sandbox::strict(&[]);
    let words = json!({"is_persistent": true, "resize_keyboard": true, "input_field_placeholder": "a dashboard", "selective": true});
    let mut keys = words.clone();
    keys["keyboard"] = json!([["CPU"], ["go back"]]);
    sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x", "reply_markup": keys}));
    let entry = |chat: i64| {
        let view = sandbox.get("view?since=0");
        view["chats"].as_array().unwrap().iter().find(|entry| entry["chat"]["id"] == chat).unwrap().clone()
    };
    for (name, value) in words.as_object().unwrap() {
        assert_eq!(&entry(1)["keyboard"][name], value, "{name}");
    }
    sandbox.ok("sendChatAction", json!({"chat_id": 1, "action": "upload_photo"}));
    let shown = entry(1);
    assert!(shown["action"] == "upload_photo" && (1..=5000).contains(&shown["action_ms"].as_i64().unwrap()), "{shown}");
    sandbox.post("clock", json!({"advance_ms": 5000}));
    assert_eq!(entry(1)["action"], Value::Null, "nobody does anything for ever");
    sandbox.ok("sendChatAction", json!({"chat_id": 1, "action": "upload_photo"}));
    sandbox.upload("sendPhoto", &[("chat_id", "1")], &[("photo", "p.png", &png(30, 20, 0))]);
    assert_eq!(entry(1)["action"], Value::Null, "the message has come");
}

#[test]
fn chats_members_and_settings() {
    let sandbox = Sandbox::strict(&[]);
    sandbox.post("member", json!({"chat": -5, "user": 3, "status": "administrator"}));
    assert_eq!(sandbox.ok("getChatMember", json!({"chat_id": -5, "user_id": 3}))["status"], "administrator");
    assert_eq!(sandbox.ok("getChatMember", json!({"chat_id": -5, "user_id": 123_456}))["status"], "member");
    assert_eq!(sandbox.ok("getChatAdministrators", json!({"chat_id": -5}))[0]["user"]["id"], 3);
    let private = sandbox.refused("getChatAdministrators", json!({"chat_id": 1}));
    assert_eq!(private, bad("there are no administrators in the private chat"));
    assert_eq!(sandbox.ok("getChat", json!({"chat_id": -5}))["title"], "Ops");
    let scope = json!({"type": "chat", "chat_id": 1});
    sandbox.ok("setMyCommands", json!({"commands": [{"command": "/start", "description": "x"}], "scope": scope}));
    assert_eq!(sandbox.ok("getMyCommands", json!({"scope": scope})), json!([{"command": "start", "description": "x"}]));
    assert_eq!(sandbox.ok("getMyCommands", json!({})), json!([]));
    assert_eq!(
        sandbox.refused("setMyCommands", json!({"commands": [{"command": "Ä", "description": "x"}]})),
        bad("BOT_COMMAND_INVALID")
    );
    sandbox.ok("setMyDescription", json!({"description": "d"}));
    assert_eq!(sandbox.ok("getMyDescription", json!({})), json!({"description": "d"}));
    sandbox.ok("setMyDescription", json!({}));
    assert_eq!(sandbox.ok("getMyDescription", json!({})), json!({"description": ""}));
    assert_eq!(
        sandbox.refused("sendChatAction", json!({"chat_id": 1, "action": "dance"})),
        bad("wrong parameter action in request")
    );
    assert_eq!(sandbox.ok("sendChatAction", json!({"chat_id": 1, "action": "typing"})), true);
}
