//! The commands of README and of docs/moving.md are run as they stand, one block after the other in one scratch directory, with a sandbox at the
//! place of Telegram and a stand-in at that of Grafana. Blocks under `<!-- not run: why -->` are left out and counted.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::json;

use crate::harness::*;
use crate::standin;

/// A fenced block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub language: String,
    pub text: String,
    /// Why it is not run.
    pub left_out: Option<String>,
    pub line: usize,
}

pub fn blocks(markdown: &str) -> Vec<Block> {
    let reason = Regex::new(r"^<!-- not run: (.+) -->$").unwrap();
    let mut blocks = Vec::new();
    let mut lines = markdown.lines().enumerate().peekable();
    let mut left_out = None;
    while let Some((n, line)) = lines.next() {
        if let Some(found) = reason.captures(line) {
            left_out = Some(found[1].to_owned());
        } else if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            let text = text.iter().map(|line| format!("{line}\n")).collect();
            blocks.push(Block { language: language.to_owned(), text, left_out: left_out.take(), line: n + 1 });
        } else {
            assert!(left_out.is_none(), "line {}: the comment is not directly before a block", n + 1);
        }
    }
    blocks
}

impl Block {
    fn is_a_session(&self) -> bool {
        self.language == "console"
    }

    fn commands(&self) -> Vec<&str> {
        match self.is_a_session() {
            true => self.text.lines().filter_map(|line| line.strip_prefix("$ ")).collect(),
            false => vec![&self.text],
        }
    }

    /// What a session shows.
    fn shown(&self) -> Vec<&str> {
        let lines = self.text.lines().filter(|line| self.is_a_session() && !line.starts_with("$ "));
        lines.collect()
    }
}

/// One machine's numbers, names and places are another's.
fn shape(line: &str) -> String {
    let places = Regex::new(r"/\S*/").unwrap();
    let bot = Regex::new(r"@\w+").unwrap();
    let figures = Regex::new(r"\b[0-9a-f]*[0-9][0-9a-f]*\b").unwrap();
    let line = places.replace_all(line, "/");
    let line = bot.replace_all(&line, "@");
    figures.replace_all(&line, "0").into_owned()
}

#[test]
fn its_commands_work_as_they_stand() {
    let scratch = Scratch::new("readme");
    let sandbox = Sandbox::start(&scratch, &["--limits", "enforce"]);
    sandbox.post("/chat", json!({"id": -100_123, "type": "channel", "username": "my_channel", "bot": "administrator"}));
    let (grafana, token) = standin::start(None);
    scratch.write("bot_token", TOKEN);
    scratch.write("log.jsonl", &(webhook(&["HighCPU"]) + "\n"));
    picture(&scratch.path("load.png"));
    let rules = std::fs::read_to_string("example_config/prometheus-telegram.rules.yml").unwrap();
    scratch.write("prometheus-telegram.rules.yml", &rules);
    scratch.write("config.json", r#"{"users_file": "users.json", "access": [123456789]}"#);
    // Others may use the ports of the examples.
    let ports: BTreeMap<&str, String> =
        ["8080", "8081", "8082", "8083"].into_iter().map(|port| (port, free_port().to_string())).collect();
    let used = Regex::new("808[0123]").unwrap();
    let bin = Path::new(binary("am-recv")).parent().unwrap();
    let (mut run, mut not) = (0, 0);
    // Its blocks stand in lists.
    let files = [("README.md", ""), ("docs/moving.md", "   ")];
    let all = files.iter().flat_map(|(file, indent)| {
        let text = std::fs::read_to_string(file).unwrap().replace(&format!("\n{indent}"), "\n");
        blocks(&text).into_iter().map(move |block| (format!("{file}:{}", block.line), block))
    });
    for (place, block) in all.filter(|(_, block)| ["sh", "console"].contains(&block.language.as_str())) {
        if let Some(why) = &block.left_out {
            not += 1;
            eprintln!("{place}: not run: {why}");
            continue;
        }
        let others = [("promtool", "prometheus"), ("jq", "jq")]
            .into_iter()
            .find(|(tool, _)| block.text.contains(&format!("{tool} ")) && !Path::new("/usr/bin").join(tool).exists());
        if let Some((tool, package)) = others {
            say(&format!("SKIPPED: {place}: no {tool}; Debian's package {package} has it"));
            continue;
        }
        let mut script = String::from("set -e\n");
        for line in block.commands().iter().flat_map(|command| command.lines()) {
            let line = used.replace_all(line, |port: &regex::Captures<'_>| ports[&port[0]].clone()).into_owned();
            script.push_str(&format!("{line}\n"));
            // A person is slower than a server that starts.
            for port in ports.values().filter(|port| line.ends_with('&') && line.contains(*port)) {
                script
                    .push_str(&format!("until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.02; done\n"));
            }
        }
        // Programs that were put into the background are given the time to say what the session shows, and no more.
        script.push_str("for n in $(seq 3000); do [ ! -e wait ] && break; sleep 0.02; done\n");
        let session = Session { scratch: &scratch, script: &script, place: &place };
        let said = session.run(bin, &sandbox.api, &grafana.url, &token, &block);
        // Those that were killed may still be on their way out.
        for port in ports.values() {
            until("the port to be free again", || {
                std::net::TcpListener::bind(format!("127.0.0.1:{port}")).is_ok().then_some(())
            });
        }
        for line in block.shown() {
            assert!(
                said.lines().any(|said| shape(said).contains(&shape(line))),
                "{place}: {line:?} is not said, but\n{said}"
            );
        }
        run += 1;
    }
    eprintln!("{run} blocks were run, {not} not");
    assert!(run >= 11 && not <= 6, "{run} run, {not} not");
    let told = sandbox.texts(123_456_789);
    assert!(told.iter().any(|text| text.contains("HighCPU")), "{told:?}");
    assert_eq!(sandbox.violations(), []);
    let original = scratch.read("users-original.json");
    assert!(original.contains("mem|cpu") || !Path::new("/usr/bin/jq").exists(), "{original}");
}

struct Session<'a> {
    place: &'a str,
    scratch: &'a Scratch,
    script: &'a str,
}

impl Session<'_> {
    /// Runs the script with bash in a group of its own, waits for its end and for what it shows, and ends the group.
    fn run(&self, bin: &Path, api: &str, grafana: &str, token: &str, block: &Block) -> String {
        self.scratch.write("wait", "");
        let log = self.scratch.path("said");
        let file = std::fs::File::create(&log).unwrap();
        let mut bash = Command::new("bash");
        bash.arg("-c").arg(self.script).current_dir(self.scratch.path("."));
        bash.env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
        bash.env("HOME", self.scratch.path("home")).env("TZ", "UTC");
        bash.env("TELEGRAM_API_URL", api).env("TELEGRAM_BOT_TOKEN", TOKEN);
        bash.env("GRAFANA_URL", grafana).env("GRAFANA_TOKEN", token);
        bash.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let mut child = bash.spawn().unwrap();
        let said = || std::fs::read_to_string(&log).unwrap();
        let group = format!("-{}", child.id());
        let done = until("the end of a block, or all that it shows", || {
            let text = said();
            let all = block.shown().iter().all(|line| text.lines().any(|said| shape(said).contains(&shape(line))));
            if all {
                let _ = std::fs::remove_file(self.scratch.path("wait"));
            }
            child.try_wait().unwrap()
        });
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        assert!(done.success(), "{}: {done}\n{}\n{}", self.place, self.script, said());
        said()
    }
}

/// A small PNG.
fn picture(path: &Path) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 8, 8);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[0; 64]).unwrap();
}
