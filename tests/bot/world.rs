//! A bot, the Telegram it talks to, and the people there.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::*;
use crate::standin::Standin;

/// The administrator of most tests.
pub const ADMIN: i64 = 1;

/// The token that the Grafana stand-in takes.
pub const GRAFANA_TOKEN: &str = "glsa_standin_token";

pub struct World {
    pub scratch: Scratch,
    pub sandbox: Sandbox,
    pub config: Value,
    /// Limits, as `--limits` takes them; none, for speed.
    pub limits: &'static str,
    pub options: Vec<String>,
    /// Where the service manager listens.
    pub manager: Option<PathBuf>,
    /// The user that the bot runs as, and how many threads that user may have.
    pub confined: Option<(u32, u32)>,
    bot: Option<Process>,
}

impl World {
    /// A bot with this users file, in a sandbox without limits. It is not started yet.
    pub fn new(name: &str, users: &str) -> World {
        let scratch = Scratch::new(name);
        let sandbox = Sandbox::start(&scratch, &["--limits", "off"]);
        scratch.write("users.json", users);
        let config = json!({"language": "en"});
        let (limits, options) = ("0/0/0", Vec::new());
        let world = World { scratch, sandbox, config, limits, options, manager: None, confined: None, bot: None };
        world.person(ADMIN, "Ada", "en");
        world
    }

    /// With this Grafana.
    pub fn grafana(mut self, standin: &Standin) -> World {
        self.config["grafana_url"] = standin.url.clone().into();
        self.config["grafana_token"] = GRAFANA_TOKEN.into();
        self
    }

    /// With a line more in its configuration.
    pub fn set(mut self, key: &str, value: Value) -> World {
        self.config[key] = value;
        self
    }

    /// Starts the bot, or starts it again, and waits until it answers.
    pub fn start(&mut self) -> &mut World {
        let lines = self.log().lines().filter(|line| line.contains("answering as @")).count();
        self.launch();
        until("the bot", || {
            (self.log().lines().filter(|line| line.contains("answering as @")).count() > lines).then_some(())
        });
        self
    }

    /// Starts the bot and waits for nothing.
    pub fn launch(&mut self) {
        let config = self.scratch.write("config.json", &self.config.to_string());
        let mut command = match self.confined {
            None => command("tg-bot"),
            Some((user, threads)) => confined("tg-bot", user, threads),
        };
        command.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &self.sandbox.api);
        command.arg("-c").arg(config).arg("-u").arg(self.users_path());
        command.arg("--state").arg(self.scratch.path("bot.db")).args(["-v", "--limits", self.limits]);
        command.args(&self.options);
        if let Some(socket) = &self.manager {
            command.env("NOTIFY_SOCKET", socket);
        }
        self.bot = Some(Process::start(&self.scratch, "tg-bot", &mut command));
    }

    pub fn bot(&mut self) -> &mut Process {
        self.bot.as_mut().unwrap()
    }

    /// Ends the bot when everything is said: one that is killed before it knows an answer says it once more.
    pub fn end(&mut self) {
        until("everything to be said", || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            let db = rusqlite::Connection::open_with_flags(self.scratch.path("bot.db"), flags).ok()?;
            let waiting = db.query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0)).ok()?;
            (waiting == 0).then_some(())
        });
        self.kill();
    }

    /// kill -9
    pub fn kill(&mut self) {
        self.bot().kill();
        self.bot = None;
    }

    pub fn log(&self) -> String {
        self.scratch.read("tg-bot.log")
    }

    pub fn users_path(&self) -> PathBuf {
        self.scratch.path("users.json")
    }

    /// The users file, parsed.
    pub fn users(&self) -> Value {
        serde_json::from_str(&self.scratch.read("users.json")).unwrap()
    }

    pub fn person(&self, id: i64, name: &str, language: &str) {
        self.sandbox.post("/chat", json!({"id": id, "type": "private", "first_name": name}));
        self.sandbox.post("/user", json!({"id": id, "first_name": name, "language_code": language}));
    }

    pub fn group(&self, id: i64, title: &str) {
        self.sandbox.post(
            "/chat",
            json!({"id": id, "type": "supergroup", "title": title, "is_forum": true,
            "threads": {"7": "Databases", "9": "Web"}}),
        );
    }

    /// Somebody writes; the number of the update.
    pub fn say(&self, chat: i64, text: &str) -> i64 {
        self.say_as(json!({"chat": chat, "text": text}))
    }

    /// With all that `/say` takes.
    pub fn say_as(&self, said: Value) -> i64 {
        self.sandbox.post("/say", said)["update_id"].as_i64().unwrap()
    }

    /// Any update.
    pub fn update(&self, update: Value) -> i64 {
        self.sandbox.post("/update", update)["update_id"].as_i64().unwrap()
    }

    /// What the bot has said in a chat, in order.
    pub fn said(&self, chat: i64) -> Vec<Value> {
        self.sandbox.messages(chat).into_iter().filter(|message| message["own"] == true).collect()
    }

    /// Says something, waits for the answer, and returns it.
    pub fn ask(&self, chat: i64, text: &str) -> Value {
        self.ask_as(json!({"chat": chat, "text": text}))
    }

    /// The text of the answer.
    pub fn asked(&self, chat: i64, text: &str) -> String {
        text_of(&self.ask(chat, text))
    }

    /// The same with all that `/say` takes.
    pub fn ask_as(&self, said: Value) -> Value {
        let chat = said["chat"].as_i64().unwrap();
        let before = self.said(chat).len();
        self.say_as(said.clone());
        self.hears(chat, before + 1, &said.to_string())
    }

    /// Waits until the bot has said so much in a chat, and returns the last of it.
    pub fn hears(&self, chat: i64, count: usize, after: &str) -> Value {
        until(&format!("message {count} to chat {chat} after {after}"), || {
            let said = self.said(chat);
            (said.len() >= count).then(|| said.last().unwrap().clone())
        })
    }

    /// Waits until an update was handled and everything that came of it was sent.
    pub fn settled(&self, update: i64) {
        self.stored(&format!("update {update}"), &format!("SELECT body IS NULL FROM updates WHERE id = {update}"));
    }

    /// Changes what the bot remembers from outside.
    pub fn sql(&self, statements: &str) {
        let db = rusqlite::Connection::open(self.scratch.path("bot.db")).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch(statements).unwrap();
    }

    /// From now on the disk takes no update as handled, though the users file is changed; or does so again.
    pub fn unfinished(&self, yes: bool) {
        self.sql(if yes {
            "CREATE TRIGGER unfinished BEFORE UPDATE OF body ON updates BEGIN SELECT RAISE(ABORT, 'unfinished'); END"
        } else {
            "DROP TRIGGER unfinished"
        });
    }

    /// Says something, kills the bot between the change of the users file and the end of it, and starts it again.
    pub fn cut_off(&mut self, said: Value) {
        self.quiet();
        let complaints = |world: &World| world.log().matches("cannot write what the bot remembers").count();
        let before = complaints(self);
        self.unfinished(true);
        let update = self.say_as(said);
        until("the cut", || (complaints(self) > before).then_some(()));
        self.kill();
        self.unfinished(false);
        self.start();
        self.settled(update);
    }

    /// Waits until nothing waits to be handled or sent.
    pub fn quiet(&self) {
        self.stored("silence", "SELECT count(*) = 0 FROM updates WHERE body IS NOT NULL");
    }

    /// A number out of what the bot remembers.
    pub fn count(&self, select: &str) -> i64 {
        let db = rusqlite::Connection::open(self.scratch.path("bot.db")).unwrap();
        db.query_row(select, [], |row| row.get(0)).unwrap()
    }

    fn stored(&self, what: &str, handled: &str) {
        let look = || -> Option<()> {
            let db = rusqlite::Connection::open_with_flags(
                self.scratch.path("bot.db"),
                rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
            );
            let count = |sql: &str| db.as_ref().ok()?.query_row(sql, [], |row| row.get::<_, i64>(0)).ok();
            let is_handled = count(handled)? == 1;
            (is_handled && count("SELECT count(*) FROM calls")? == 0).then_some(())
        };
        until(what, look);
    }

    /// Says something to which there must be no answer at all, in no chat.
    pub fn ignored(&self, said: Value) {
        let chats: Vec<i64> = vec![said["chat"].as_i64().unwrap(), ADMIN];
        let before: Vec<usize> = chats.iter().map(|chat| self.said(*chat).len()).collect();
        let update = self.say_as(said.clone());
        self.settled(update);
        let after: Vec<usize> = chats.iter().map(|chat| self.said(*chat).len()).collect();
        assert_eq!(before, after, "after {said}: {:?}", chats.iter().map(|chat| self.said(*chat)).collect::<Vec<_>>());
    }

    /// The keys that a chat shows.
    pub fn keys(&self, chat: i64) -> Vec<Vec<String>> {
        let view = self.sandbox.get("/view");
        let chats = view["chats"].as_array().unwrap().clone();
        let shown = chats.iter().find(|shown| shown["chat"]["id"] == chat);
        let rows = shown.and_then(|shown| shown["keyboard"]["keyboard"].as_array().cloned()).unwrap_or_default();
        let key = |key: &Value| key.as_str().or(key["text"].as_str()).unwrap().to_owned();
        rows.iter().map(|row| row.as_array().unwrap().iter().map(key).collect()).collect()
    }

    /// Taps a key and waits for what comes of it.
    pub fn tap(&self, chat: i64, key: &str) -> Value {
        let before = self.said(chat).len();
        self.sandbox.post("/tap", json!({"chat": chat, "text": key}));
        self.hears(chat, before + 1, key)
    }

    /// Presses the button with this text under a message; the number of the update.
    pub fn press(&self, chat: i64, message: &Value, button: &str, from: i64) -> i64 {
        let rows = message["reply_markup"]["inline_keyboard"].as_array().unwrap_or_else(|| panic!("{message}"));
        let found = rows.iter().flat_map(|row| row.as_array().unwrap()).find(|found| found["text"] == button);
        let data = &found.unwrap_or_else(|| panic!("{button} in {message}"))["callback_data"];
        let press = json!({"chat": chat, "message_id": message["message_id"], "data": data, "from": from});
        self.sandbox.post("/press", press)["update_id"].as_i64().unwrap()
    }

    /// A press that nobody's button offers: what a client can make up.
    pub fn forge(&self, chat: i64, message: i64, data: &str, from: i64) -> i64 {
        let id = format!("{}", 1_000_000 + message * 1000 + from);
        self.update(json!({"callback_query": {"id": id, "data": data, "chat_instance": "1",
            "from": {"id": from, "is_bot": false, "first_name": "Mallory", "language_code": "en"},
            "message": {"message_id": message, "date": 1, "chat": {"id": chat, "type": "private", "first_name": "M"}}}}))
    }

    /// What the bot did wrong by Telegram's rules. Presses that a test made up cannot be answered twice or late.
    pub fn violations(&self) -> Vec<(String, u64)> {
        self.sandbox.violations()
    }
}

/// A command as another user, who may have so many threads and processes.
pub fn confined(name: &str, user: u32, threads: u32) -> Command {
    let mut command = Command::new("prlimit");
    command.env_clear().env("TZ", "UTC").env("PATH", "/usr/bin:/bin").uid(user).gid(user);
    command.arg(format!("--nproc={threads}")).arg(binary(name));
    command
}

/// Text or caption.
pub fn text_of(message: &Value) -> String {
    message.get("text").or(message.get("caption")).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Every part is there.
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
}
