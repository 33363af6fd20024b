//! The markup checker against TDLib itself (PyPI's tdjson), on generated texts: result and error message both.
//!
//! `tests/peers/run` installs tdjson and runs this; without it the test says that it was skipped.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use prometheus_telegram::sandbox::markup::{self, Entity, Kind, Mode};
use serde_json::{Value, json};

const TEXTS: usize = 4000;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const WORDS: &[&str] = &[
    "CPU",
    "disk",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "a",
    "é",
    "Ж",
    "😀",
    "👨‍👩‍👧",
    "x < y",
    "1.5",
    "node-1",
    "\u{2028}",
    "e\u{301}",
    "\u{feff}",
    "5%",
];

const HTML: &[&str] = &[
    "<b>",
    "</b>",
    "<strong>",
    "</strong>",
    "<i>",
    "</i>",
    "<em>",
    "</em>",
    "<u>",
    "</u>",
    "<ins>",
    "</ins>",
    "<s>",
    "</s>",
    "<strike>",
    "</strike>",
    "<del>",
    "</del>",
    "<code>",
    "</code>",
    "<pre>",
    "</pre>",
    "<pre><code class=\"language-sh\">",
    "</code></pre>",
    "<code class='language-rs'>",
    "<code class=\"x\">",
    "<tg-spoiler>",
    "</tg-spoiler>",
    "<span class=\"tg-spoiler\">",
    "</span>",
    "<span>",
    "<span class=tg-spoiler>",
    "<blockquote>",
    "<blockquote expandable>",
    "<blockquote expandable=1>",
    "</blockquote>",
    "</>",
    "</ b>",
    "</b >",
    "<B>",
    "</B>",
    "<a href=\"http://a.example/?x=1&amp;y=2\">",
    "<a href='tg://user?id=42'>",
    "<a href=\"foo\">",
    "<a href=http>",
    "<a>",
    "</a>",
    "<a href=\"https://[::1]:3000/d/x y\">",
    "<a href='http://h.example:99999/'>",
    "<a href=\"x.y/?q=&quot;&lt\">",
    "<a name=x href=\"a.b\">",
    "<a href=\"javascript:alert(1)\">",
    "<a href=\"HTTP://User:Pw@Example.COM:080/%7e\">",
    "<a href=\"tg://resolve?domain=x\">",
    "<a href='mailto:a@b.c'>",
    "<a href=\"",
    "<tg-emoji emoji-id=\"5\">",
    "<tg-emoji emoji-id=\"05\">",
    "</tg-emoji>",
    "<tg-time unix=5 format=r>",
    "<tg-time unix=\"77\" format=\"DT\">",
    "<tg-time unix=x>",
    "<tg-time unix=5 format=q>",
    "</tg-time>",
    "<br>",
    "<br/>",
    "<p>",
    "<b",
    "<",
    "< b>",
    "<!-- x -->",
    "<b class>",
    "<b =x>",
    "<b x=>",
    "<b x=a/b>",
    "<b x='a\">",
    "&",
    "&amp;",
    "&lt",
    "&lt;",
    "&gt;",
    "&quot;",
    "&nbsp;",
    "&apos;",
    "&#65;",
    "&#x1F600;",
    "&#0;",
    "&#xFFFFFFFFF;",
    "&#128512",
    "&#1114111;",
    "&#x110000;",
    "&amp;lt;",
    "&#x41g",
    ">",
    "\"",
    "'",
];

const MARKDOWN: &[&str] = &[
    "*",
    "_",
    "__",
    "~",
    "||",
    "|",
    "`",
    "```",
    "```sh\n",
    "```\n",
    "```\r\n",
    "[",
    "]",
    "](http://a.example/)",
    "](",
    ")",
    "(",
    "](foo)",
    "](tg://user?id=42)",
    "](a.b/c\\)d)",
    "![",
    "](tg://emoji?id=5)",
    "](tg://emoji?id=x)",
    "](tg://time?unix=5&format=r)",
    "](tg://time?unix=5&format=Dt)",
    "](tg://time?unix=5&format=q)",
    "](tg://time?unix=0)",
    "](TG://Time/?unix=7)",
    "](tg://Emoji?ID=7)",
    ">",
    "\n>",
    "\n**>",
    "||\n",
    "**>",
    "\\*",
    "\\_",
    "\\`",
    "\\\\",
    "\\",
    "\\n",
    "\\\n",
    "\\é",
    "#",
    "+",
    "-",
    "=",
    "{",
    "}",
    ".",
    "!",
    "\\.",
    "\\!",
    "\\-",
    "\n",
    "\r",
    "\r\n",
    "_\r__",
    "*bold*",
    "_it_",
    "`co de`",
    "~s~",
];

fn generate(random: &mut Random, marks: &[&str]) -> String {
    let parts = 1 + random.below(14);
    (0..parts).map(|_| if random.below(5) < 3 { random.pick(marks) } else { random.pick(WORDS) }).collect()
}

/// A text that mostly parses: marks in pairs around text.
fn generate_nested(random: &mut Random, mode: &str, depth: usize) -> String {
    let pairs: &[(&str, &str)] = match mode {
        "html" => &[
            ("<b>", "</b>"),
            ("<i>", "</i>"),
            ("<u>", "</u>"),
            ("<s>", "</s>"),
            ("<code>", "</code>"),
            ("<pre>", "</pre>"),
            ("<pre><code class=\"language-a\">", "</code></pre>"),
            ("<tg-spoiler>", "</tg-spoiler>"),
            ("<blockquote>", "</blockquote>"),
            ("<a href=\"http://a.example\">", "</a>"),
            ("<a href=\"tg://user?id=9\">", "</>"),
            ("<tg-time unix=9 format=wd>", "</tg-time>"),
            ("<code class=\"language-a\">", "</code>"),
            ("<blockquote expandable>", "</blockquote>"),
            ("<tg-emoji emoji-id='9'>", "</tg-emoji>"),
        ],
        _ => &[
            ("*", "*"),
            ("_", "_"),
            ("__", "__"),
            ("~", "~"),
            ("||", "||"),
            ("`", "`"),
            ("```\n", "```"),
            ("```go\n", "```"),
            ("[", "](http://a.example)"),
            ("\n>", "\n"),
            ("\n**>", "||\n"),
            ("![", "](tg://time?unix=9&format=T)"),
        ],
    };
    let mut text = String::new();
    for _ in 0..1 + random.below(3) {
        let (open, close) = pairs[random.below(pairs.len())];
        let plain = ["CPU", " ", "😀", "é", "\n", "ok"][random.below(6)];
        let inner = if depth > 0 { generate_nested(random, mode, depth - 1) } else { "x".to_owned() };
        text += &format!("{plain}{open}{inner}{close}");
    }
    text
}

struct Oracle {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    fn start() -> Option<Oracle> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let python =
            std::env::var_os("TDJSON_PYTHON").map_or_else(|| root.join("target/peers/venv/bin/python"), PathBuf::from);
        let has_tdjson = Command::new(&python).args(["-c", "import tdjson"]).stderr(Stdio::null()).status();
        if !has_tdjson.is_ok_and(|status| status.success()) {
            return None;
        }
        let mut child = Command::new(python)
            .arg(root.join("tests/peers/oracle.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Some(Oracle { child, questions, answers })
    }

    fn ask(&mut self, text: &str, mode: &str) -> Value {
        let mut line = json!({"text": text, "mode": mode}).to_string();
        line.push('\n');
        self.questions.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|err| panic!("the oracle died on {text:?}: {err}: {answer}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Our answer in TDLib's form.
fn ours(text: &str, mode: &str) -> Value {
    match markup::parse(text, Mode::from_name(mode).unwrap()) {
        Err(err) => json!({"error": err}),
        Ok((text, entities)) => json!({"text": text, "entities": entities.iter().map(td_entity).collect::<Vec<_>>()}),
    }
}

fn td_entity(entity: &Entity) -> Value {
    let name = |name: &str| json!({"@type": format!("textEntityType{name}")});
    let kind = match &entity.kind {
        Kind::Bold => name("Bold"),
        Kind::Italic => name("Italic"),
        Kind::Underline => name("Underline"),
        Kind::Strikethrough => name("Strikethrough"),
        Kind::Spoiler => name("Spoiler"),
        Kind::Blockquote => name("BlockQuote"),
        Kind::ExpandableBlockquote => name("ExpandableBlockQuote"),
        Kind::Code => name("Code"),
        Kind::Pre => name("Pre"),
        Kind::PreCode(language) => json!({"@type": "textEntityTypePreCode", "language": language}),
        Kind::TextLink(url) => json!({"@type": "textEntityTypeTextUrl", "url": url}),
        Kind::TextMention(id) => json!({"@type": "textEntityTypeMentionName", "user_id": id}),
        Kind::CustomEmoji(id) => json!({"@type": "textEntityTypeCustomEmoji", "custom_emoji_id": id.to_string()}),
        Kind::DateTime(unix, flags) => {
            let mut kind = json!({"@type": "textEntityTypeDateTime", "unix_time": unix});
            let part = |short: u8, long: u8| {
                // TDLib looks at the short flag first.
                let name = if flags & short != 0 {
                    "Short"
                } else if flags & long != 0 {
                    "Long"
                } else {
                    "None"
                };
                json!({"@type": format!("dateTimePartPrecision{name}")})
            };
            if flags & 1 != 0 {
                kind["formatting_type"] = json!({"@type": "dateTimeFormattingTypeRelative"});
            } else if *flags != 0 {
                kind["formatting_type"] = json!({"@type": "dateTimeFormattingTypeAbsolute", "time_precision": part(2, 4),
                    "date_precision": part(8, 16), "show_day_of_week": flags & 32 != 0});
            }
            kind
        }
        Kind::Url => name("Url"),
        Kind::Email => name("EmailAddress"),
        Kind::Mention => name("Mention"),
        Kind::Hashtag => name("Hashtag"),
        Kind::BotCommand => name("BotCommand"),
    };
    json!({"@type": "textEntity", "offset": entity.offset, "length": entity.length, "type": kind})
}

/// What stands in alerts.
const PLAIN: &[&str] = &[
    "http://prometheus:9090/graph?g0.expr=up&x=1#a and http://localhost:9090/x",
    "http://10.0.0.1:9090/x 192.168.1.1:9100 is down",
    "see https://a.example.com/x(y). (http://a.com/x), <http://a.com>, \"http://a.com/x\"",
    "node-7.example:9100 is down, web.prod.com:80, ok",
    "mail a.b@c.com or @ada, @ab, @abcd",
    "#disk #1 #a-b x#y #жар",
    "/start /start@my_bot /a/b x/start /var/lib /12345 / /stop.",
    "http://host.internal/x https://grafana.local:3000/d/x?var-a=b|c",
    "ftp://a.com/x HTTP://A.COM/ http://user:pw@a.com/x http://a.com/ж?y=[z]!",
    "backup.sh failed: exit 1.5, main.rs:12, node.js, e.g. this",
    "cpu 97.4 % on 😀 http://a.example/b, see",
];

#[test]
fn finds_in_plain_text_what_tdlib_finds() {
    let Some(mut oracle) = oracle() else { return };
    for text in PLAIN {
        let fixed = markup::found(markup::fix(text, Vec::new()));
        let ours = json!(fixed.entities.iter().map(td_entity).collect::<Vec<_>>());
        assert_eq!(ours, oracle.ask(text, "found")["entities"], "{text}");
    }
}

fn oracle() -> Option<Oracle> {
    let oracle = Oracle::start();
    if oracle.is_none() {
        // Not by a macro: those are heard only from tests that fail.
        let _ = std::io::stderr().write_all(b"SKIPPED: no tdjson; tests/peers/run installs it and runs this test\n");
    }
    oracle
}

#[test]
fn agrees_with_tdlib_on_generated_texts() {
    let Some(mut oracle) = oracle() else { return };
    let seed = std::env::var("MARKUP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    let mut random = Random(seed);
    let mut different = Vec::new();
    let (mut parsed, mut refused) = (0, 0);
    for (mode, marks) in [("html", HTML), ("markdownv2", MARKDOWN), ("markdown", MARKDOWN)] {
        for n in 0..TEXTS {
            let text = match n % 4 {
                0 => generate_nested(&mut random, mode, 2),
                _ => generate(&mut random, marks),
            };
            let (theirs, ours) = (oracle.ask(&text, mode), ours(&text, mode));
            if theirs.get("error").is_some() {
                refused += 1
            } else {
                parsed += 1
            }
            if theirs != ours {
                different.push(format!("{mode} {text:?}\n  TDLib: {theirs}\n  ours:  {ours}"));
            }
        }
    }
    println!("compared with TDLib: {parsed} parsed, {refused} refused, seed {seed}");
    let shown = different.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(different.is_empty(), "{} of {} differ, seed {seed}:\n{shown}", different.len(), parsed + refused);
    // A generator that makes only one kind of text tests only half.
    assert!(parsed > TEXTS / 2 && refused > TEXTS / 2, "{parsed} parsed, {refused} refused");
}
