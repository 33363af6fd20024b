//! What is accepted, what is refused, in which order and in which words.

use serde_json::{Value, json};

use crate::harness::{Sandbox, TOKEN, Wire, bad, request};

const FORUM: i64 = -1_000_000_000_005;

#[test]
fn the_first_of_several_mistakes_is_told() {
    let sandbox = Sandbox::strict(&[]);
    let long = "x".repeat(4097);
    let huge = "x".repeat(32_769);
    let wrong_button = json!({"inline_keyboard": [[{"text": "x"}]]});
    let big_button = json!({"inline_keyboard": [[{"text": "x", "callback_data": "x".repeat(65)}]]});
    // Each row is wrong in what it is refused for and in all that is checked later.
    let rows = [
        (json!({"text": "", "parse_mode": "HTML", "chat_id": 9}), "message text is empty"),
        (json!({"text": huge, "parse_mode": "Foo", "chat_id": 9}), "text is too long"),
        (json!({"text": "<b>", "parse_mode": "Foo", "chat_id": 9}), "unsupported parse_mode"),
        (
            json!({"text": "<b>", "parse_mode": "html", "reply_markup": wrong_button, "chat_id": 9}),
            "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (json!({"text": "<b></b>", "parse_mode": "HTML", "chat_id": 9}), "text must be non-empty"),
        (json!({"text": " \n\u{2028}", "chat_id": 9}), "text must be non-empty"),
        (
            json!({"text": "x", "reply_parameters": "{", "reply_markup": "{"}),
            "can't parse reply parameters JSON object",
        ),
        (json!({"text": "x", "reply_markup": "{", "chat_id": 9}), "can't parse reply keyboard markup JSON object"),
        (json!({"text": "x", "reply_markup": "[]", "chat_id": 9}), "object expected as reply markup"),
        (
            json!({"text": "x", "reply_markup": wrong_button, "chat_id": 9}),
            "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard",
        ),
        (json!({"text": long}), "chat_id is empty"),
        (json!({"text": long, "chat_id": 9, "message_thread_id": 3}), "chat not found"),
        (json!({"text": long, "chat_id": "@nobody"}), "chat not found"),
        (
            json!({"text": long, "chat_id": 1, "message_thread_id": 3, "reply_to_message_id": 99}),
            "message thread not found",
        ),
        (json!({"text": long, "chat_id": FORUM, "message_thread_id": 1}), "message thread not found"),
        (json!({"text": long, "chat_id": FORUM, "message_thread_id": 8}), "message thread not found"),
        (
            json!({"text": long, "chat_id": 1, "reply_parameters": {"message_id": 99}}),
            "message to be replied not found",
        ),
        (json!({"text": long, "chat_id": 1, "reply_markup": big_button}), "message is too long"),
        (json!({"text": "x", "chat_id": 1, "reply_markup": big_button}), "BUTTON_DATA_INVALID"),
    ];
    for (params, words) in rows {
        assert_eq!(sandbox.refused("sendMessage", params.clone()), bad(words), "{params}");
    }
    assert_eq!(sandbox.texts(1), Vec::<String>::new());
    assert_eq!(sandbox.violation("bad_html"), 1);
    assert_eq!(sandbox.violation("too_long"), 2);
}

#[test]
fn length_is_counted_in_code_points_after_parsing() {
    let sandbox = Sandbox::strict(&[]);
    for (text, mode, fits) in [
        ("x".repeat(4096), "", true),
        ("x".repeat(4097), "", false),
        ("😀".repeat(4096), "", true),
        ("😀".repeat(4097), "", false),
        ("<b>x</b>".repeat(4096), "HTML", true),
        (format!("{}\n  ", "x".repeat(4096)), "", true),
        ("&lt;".repeat(4096), "HTML", true),
    ] {
        let answer = sandbox.bot("sendMessage", json!({"chat_id": 1, "text": text, "parse_mode": mode}));
        assert_eq!(answer.status == 200, fits, "{} bytes: {}", text.len(), answer.json());
    }
    for (length, fits) in [(1024, true), (1025, false)] {
        let caption = "é".repeat(length);
        let answer =
            sandbox.upload("sendDocument", &[("chat_id", "1"), ("caption", &caption)], &[("document", "a", b"x")]);
        let expected = if fits { Value::Null } else { "Bad Request: message caption is too long".into() };
        assert_eq!(answer.json()["description"], expected);
    }
}

#[test]
fn chats_refuse_in_the_words_of_the_real_server() {
    let sandbox = Sandbox::strict(&[]);
    let rows = [
        (json!({"id": 20, "bot": "blocked"}), "Forbidden: bot was blocked by the user"),
        (json!({"id": 21, "user": "deactivated"}), "Forbidden: user is deactivated"),
        (json!({"id": 22, "user": "never_started"}), "Forbidden: bot can't initiate conversation with a user"),
        (json!({"id": -20, "bot": "kicked"}), "Forbidden: bot was kicked from the group chat"),
        (json!({"id": -21, "bot": "left"}), "Forbidden: bot is not a member of the group chat"),
        (json!({"id": -22, "bot": "deleted"}), "Forbidden: the group chat was deleted"),
        (json!({"id": -1_000_000_000_020i64, "bot": "kicked"}), "Forbidden: bot was kicked from the supergroup chat"),
        (json!({"id": -1_000_000_000_021i64, "bot": "left"}), "Forbidden: bot is not a member of the supergroup chat"),
        (
            json!({"id": -1_000_000_000_022i64, "type": "channel", "bot": "left"}),
            "Forbidden: bot is not a member of the channel chat",
        ),
        (
            json!({"id": -1_000_000_000_023i64, "bot": "restricted"}),
            "Bad Request: not enough rights to send text messages to the chat",
        ),
    ];
    for (spec, words) in rows {
        sandbox.post("chat", spec.clone());
        let (code, description) = sandbox.refused("sendMessage", json!({"chat_id": spec["id"], "text": "x"}));
        assert_eq!((code, description.as_str()), (if words.starts_with('F') { 403 } else { 400 }, words));
    }
    sandbox.send(20, "again");
    assert_eq!(sandbox.violation("to_dead_chat"), 1);
}

#[test]
fn a_closed_topic_and_an_open_one() {
    let sandbox = Sandbox::strict(&[]);
    let sent = sandbox.ok("sendMessage", json!({"chat_id": FORUM, "text": "x", "message_thread_id": 7}));
    assert_eq!((&sent["message_thread_id"], &sent["is_topic_message"]), (&json!(7), &json!(true)));
    sandbox.post("chat", json!({"id": FORUM, "closed_threads": [7]}));
    let refused = sandbox.refused("sendMessage", json!({"chat_id": FORUM, "text": "x", "message_thread_id": 7}));
    assert_eq!(refused, bad("TOPIC_CLOSED"));
}

#[test]
fn replies_show_what_they_answer() {
    let sandbox = Sandbox::strict(&[]);
    let first = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "first"}));
    let id = first["message_id"].clone();
    for params in [
        json!({"chat_id": 1, "text": "a", "reply_parameters": {"message_id": id}}),
        json!({"chat_id": 1, "text": "b", "reply_parameters": format!("{{\"message_id\":{id}}}")}),
        json!({"chat_id": 1, "text": "c", "reply_to_message_id": id}),
    ] {
        assert_eq!(sandbox.ok("sendMessage", params)["reply_to_message"]["text"], "first");
    }
    let loose = json!({"chat_id": 1, "text": "d", "reply_parameters": {"message_id": 999, "allow_sending_without_reply": true}});
    assert_eq!(sandbox.ok("sendMessage", loose)["reply_to_message"], Value::Null);
}

#[test]
fn an_answer_has_every_required_field() {
    let sandbox = Sandbox::strict(&[]);
    let sent = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": "x"}));
    assert_eq!(sent["chat"], json!({"id": 1, "type": "private", "first_name": "Ada"}));
    assert_eq!((&sent["from"]["id"], &sent["from"]["is_bot"]), (&json!(123_456), &json!(true)));
    let now = sandbox.get("state")["unix"].as_i64().unwrap();
    assert!((now - sent["date"].as_i64().unwrap()).abs() < 60, "a date in seconds: {sent}");
    let me = sandbox.ok("getMe", json!({}));
    for field in [
        "id",
        "is_bot",
        "first_name",
        "username",
        "can_join_groups",
        "can_read_all_group_messages",
        "supports_inline_queries",
    ] {
        assert!(!me[field].is_null(), "no {field} in {me}");
    }
    let channel = sandbox.ok("sendMessage", json!({"chat_id": "@news", "text": "x"}));
    assert_eq!(channel["sender_chat"]["username"], "news");
}

#[test]
fn texts_come_back_as_the_server_makes_them() {
    let sandbox = Sandbox::strict(&[]);
    for (text, mode, shown, entities) in [
        ("\r\n  a\tb\u{1}c\u{202e} \n", "", "a b c", json!([])),
        ("  <b> x </b>  ", "HTML", " x", json!([{"type": "bold", "offset": 0, "length": 2}])),
        ("😀*b*", "MarkdownV2", "😀b", json!([{"type": "bold", "offset": 2, "length": 1}])),
        (
            "<b>a<i>b</i></b>",
            "HTML",
            "ab",
            json!([
            {"type": "bold", "offset": 0, "length": 1},
            {"type": "bold", "offset": 1, "length": 1}, {"type": "italic", "offset": 1, "length": 1}]),
        ),
        ("<b>a</b><b>b</b>", "HTML", "ab", json!([{"type": "bold", "offset": 0, "length": 2}])),
        ("<b><code>x</code></b>", "HTML", "x", json!([{"type": "code", "offset": 0, "length": 1}])),
        (
            "/start@a_bot see http://a.example/x. #up",
            "",
            "/start@a_bot see http://a.example/x. #up",
            json!([
            {"type": "bot_command", "offset": 0, "length": 12}, {"type": "url", "offset": 17, "length": 18},
            {"type": "hashtag", "offset": 37, "length": 3}]),
        ),
    ] {
        let sent = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": text, "parse_mode": mode}));
        assert_eq!(sent["text"], shown, "{text:?}");
        assert_eq!(sent.get("entities").cloned().unwrap_or(json!([])), entities, "{text:?}");
    }
}

#[test]
fn entities_given_as_such_and_too_many_of_them() {
    let sandbox = Sandbox::strict(&[]);
    let bold = json!({"type": "bold", "offset": 2, "length": 1});
    let sent = sandbox.ok(
        "sendMessage",
        json!({"chat_id": 1, "text": "😀b", "entities": [bold, {"type": "url", "offset": 0, "length": 2}]}),
    );
    assert_eq!(sent["entities"], json!([bold]));
    let outside = json!({"chat_id": 1, "text": "x", "entities": [{"type": "bold", "offset": 0, "length": 5}]});
    assert!(sandbox.refused("sendMessage", outside).1.contains("ends after the end of the text"));
    let many = "<i>x</i> ".repeat(150);
    let sent = sandbox.ok("sendMessage", json!({"chat_id": 1, "text": many, "parse_mode": "HTML"}));
    assert_eq!(sent["entities"].as_array().unwrap().len(), 100);
    let links = "<a href=\"http://a.example/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\">x</a> ".repeat(90);
    let refused = sandbox.refused("sendMessage", json!({"chat_id": 1, "text": links, "parse_mode": "HTML"}));
    assert_eq!(refused, bad("ENTITIES_TOO_LONG"));
}

#[test]
fn parameters_come_in_every_form() {
    let sandbox = Sandbox::strict(&[]);
    let keyboard = "{\"inline_keyboard\":[[{\"text\":\"k\",\"callback_data\":\"d\"}]]}";
    let form = "chat_id=1&text=a+%3Cb%3E%26&reply_markup=%7B%22inline_keyboard%22%3A%5B%5B%7B%22text%22%3A%22k%22%2C%22callback_data%22%3A%22d%22%7D%5D%5D%7D";
    let json_body = json!({"chat_id": "1", "text": "a <b>&", "reply_markup": keyboard}).to_string();
    let nested = format!("{{\"chat_id\":1,\"text\":\"a <b>&\",\"reply_markup\":{keyboard}}}");
    let answers = [
        sandbox.call("sendMessage", "application/x-www-form-urlencoded", form.as_bytes()).unwrap(),
        sandbox.call("SENDMESSAGE", "application/json; charset=utf-8", json_body.as_bytes()).unwrap(),
        sandbox.call("test/sendmessage", "application/json", nested.as_bytes()).unwrap(),
        sandbox.call(&format!("sendMessage?{form}"), "", b"").unwrap(),
        sandbox.upload("sendMessage", &[("chat_id", "1"), ("text", "a <b>&"), ("reply_markup", keyboard)], &[]),
    ];
    for answer in answers {
        let body = answer.json();
        assert_eq!(body["result"]["text"], "a <b>&", "{body}");
        assert_eq!(body["result"]["reply_markup"]["inline_keyboard"][0][0]["callback_data"], "d", "{body}");
    }
    let chunked = format!(
        "POST /bot{TOKEN}/sendMessage HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{{\"chat_id\":1,\"te\r\n8\r\nxt\":\"x\"}}\r\n0\r\n\r\n"
    );
    assert_eq!(Wire::open(sandbox.api).unwrap().ask(chunked.as_bytes()).unwrap().json()["ok"], true);
    let ignored = sandbox.call("sendMessage?chat_id=1", "application/json", b"{\"text\":").unwrap();
    assert_eq!(ignored.json()["description"], "Bad Request: message text is empty");
    assert_eq!(sandbox.violation("bad_json"), 1);
}

#[test]
fn tokens_and_methods() {
    let path = |path: &str| format!("GET {path} HTTP/1.1\r\n\r\n").into_bytes();
    let rows = [
        (&["--token", TOKEN] as &[&str], format!("/bot{TOKEN}/getMe"), 200, Value::Null),
        (&["--token", TOKEN], "/bot1:other/getMe".to_owned(), 401, "Unauthorized".into()),
        (&["--token", TOKEN], "/botnone/getMe".to_owned(), 404, "Not Found".into()),
        (
            &["--token", TOKEN, "--oss"],
            "/botnone/getMe".to_owned(),
            401,
            "Unauthorized: invalid token specified".into(),
        ),
        (&[], "/bot1:any/getme".to_owned(), 200, Value::Null),
        (&[], "/bot1:any/noSuchMethod".to_owned(), 404, "Not Found: method not found".into()),
        (&["--lenient"], "/bot1:any/noSuchMethod".to_owned(), 200, Value::Null),
        (&[], "/elsewhere".to_owned(), 404, "Not Found".into()),
    ];
    for (args, target, status, description) in rows {
        let sandbox = Sandbox::start(args);
        let mut wire = Wire::open(sandbox.api).unwrap();
        let answer = wire.ask(&path(&target)).unwrap();
        assert_eq!((answer.status, &answer.json()["description"]), (status, &description), "{args:?} {target}");
        if status == 401 {
            wire.ask(&path(&target)).unwrap();
            assert_eq!(sandbox.violation("retry_after_fatal"), 1);
        }
    }
    let page = Sandbox::start(&[]);
    let answer = Wire::open(page.api).unwrap().ask(&path("/")).unwrap();
    assert_eq!(
        (answer.status, answer.header("location").unwrap()),
        (302, format!("http://127.0.0.1:{}/", page.ctl).as_str())
    );
}

#[test]
fn chats_appear_when_first_written_to_unless_strict() {
    let sandbox = Sandbox::start(&[]);
    for (chat, kind) in [
        (json!(7), "private"),
        (json!(-7), "group"),
        (json!(-1_001_234_567_890i64), "supergroup"),
        (json!("@any"), "channel"),
    ] {
        let answer = sandbox.bot("sendMessage", json!({"chat_id": chat, "text": "x"})).json();
        let told = if kind == "channel" { &answer["description"] } else { &answer["result"]["chat"]["type"] };
        let right = if kind == "channel" { "Bad Request: need administrator rights in the channel chat" } else { kind };
        assert_eq!(told, right, "{answer}");
    }
    assert_eq!(sandbox.refused("sendMessage", json!({"chat_id": 0, "text": "x"})), bad("chat not found"));
}

#[test]
fn too_much_is_refused_and_the_connection_ended() {
    let sandbox = Sandbox::strict(&[]);
    let huge = format!("POST /bot{TOKEN}/sendDocument HTTP/1.1\r\nContent-Length: 90000000\r\n\r\n");
    assert_eq!(Wire::open(sandbox.api).unwrap().ask(huge.as_bytes()).unwrap().status, 413);
    let headers = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    assert_eq!(Wire::open(sandbox.api).unwrap().ask(headers.as_bytes()).unwrap().status, 431);
    assert_eq!(Wire::open(sandbox.api).unwrap().ask(b"\x16\x03\x01 not HTTP\r\n\r\n").unwrap().status, 400);
    let mut wire = Wire::open(sandbox.api).unwrap();
    assert_eq!(wire.ask(&request("getMe", "", b"")).unwrap().status, 200);
    assert_eq!(wire.ask(&request("getMe", "", b"")).unwrap().status, 200, "a kept connection");
    assert_eq!(sandbox.last_request()["reused"], true);
}
