//! npm's telegram-test-api: a server of the Bot API that nobody here wrote, and its user's side.
//!
//! It answers polls at once and gives each update once; it knows few methods and answers 500 to the others; edits and
//! deletions have `null` for a result.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Process, Scratch, TOKEN, agent, say, until};

/// The server, for the life of a test.
pub struct TestApi {
    pub process: Process,
    pub url: String,
    agent: ureq::Agent,
}

impl TestApi {
    /// Starts it; none, and loudly so, where it is not to be had.
    pub fn start(scratch: &Scratch) -> Option<TestApi> {
        let mut command = Command::new("bash");
        command.arg("tests/peers/test-api").env("DEBUG", "TelegramServer:request").stdout(Stdio::piped());
        let mut process = Process::start(scratch, "test-api", &mut command);
        let mut url = String::new();
        BufReader::new(process.child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        if url.is_empty() {
            let status = process.wait();
            assert_eq!(status.code(), Some(77), "{}", process.log());
            say(&format!("SKIPPED: telegram-test-api: {}", process.log()));
            return None;
        }
        Some(TestApi { process, url: url.trim().to_owned(), agent: agent(Duration::from_secs(30)) })
    }

    fn post(&self, path: &str, body: Value) -> Value {
        let mut response = self.agent.post(format!("{}/{path}", self.url)).send_json(&body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert!(response.status().is_success(), "POST {path} {body}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A person writes to the bot.
    pub fn say(&self, person: &Value, text: &str) {
        let mut said = json!({"botToken": TOKEN, "date": 1, "from": person, "text": text,
            "chat": {"id": person["id"], "type": "private", "first_name": person["first_name"]}});
        let path = if text.starts_with('/') { "sendCommand" } else { "sendMessage" };
        if path == "sendCommand" {
            let length = text.split(' ').next().unwrap().encode_utf16().count();
            said["entities"] = json!([{"offset": 0, "length": length, "type": "bot_command"}]);
        }
        self.post(path, said);
    }

    /// A person presses the button with this text under the bot's message.
    pub fn press(&self, person: &Value, message: &Value, button: &str) {
        let rows = message["message"]["reply_markup"]["inline_keyboard"].as_array().unwrap();
        let found = rows.iter().flat_map(|row| row.as_array().unwrap()).find(|found| found["text"] == button);
        let data = &found.unwrap_or_else(|| panic!("{button} in {message}"))["callback_data"];
        let under =
            json!({"message_id": message["messageId"], "date": 1, "chat": {"id": person["id"], "type": "private"}});
        self.post("sendCallback", json!({"botToken": TOKEN, "from": person, "message": under, "data": data}));
    }

    /// What the bot said to a person and this did not tell before.
    pub fn unread(&self, person: &Value) -> Vec<Value> {
        let told = self.post("getUpdates", json!({"token": TOKEN, "chatId": person["id"]}));
        told["result"].as_array().unwrap().clone()
    }

    /// Everything that both sides said, in order.
    pub fn history(&self) -> Vec<Value> {
        self.post("getUpdatesHistory", json!({"token": TOKEN}))["result"].as_array().unwrap().clone()
    }

    /// Waits for the next message to a person.
    pub fn hears(&self, person: &Value, what: &str) -> Value {
        until(what, || self.unread(person).into_iter().next())
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> usize {
        self.process.log().matches(&format!("\"originalUrl\":\"/bot{TOKEN}/{method}")).count()
    }
}
