//! README.ru.md is in step with README.md: the same headings, blocks, and code in tables; and links lead somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use crate::readme::blocks;

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Lines outside fenced blocks.
fn prose(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    outside.collect()
}

/// What stands in backquotes, in order of the alphabet: sentences are built otherwise.
fn code(line: &str) -> Vec<String> {
    let code = Regex::new("`([^`]+)`").unwrap();
    let mut all: Vec<String> = code.captures_iter(line).map(|found| found[1].to_owned()).collect();
    all.sort();
    all
}

/// A heading's level and what of it is not translated: a name, with or without more behind a colon.
fn heading(line: &str) -> Option<(usize, String)> {
    let level = line.bytes().take_while(|byte| *byte == b'#').count();
    let words = line[level..].trim().split(':').next().unwrap().to_owned();
    let is_name = |word: &str| word.is_ascii() && (word.contains('-') || word == "prometheus-telegram");
    (level > 0).then(|| (level, if is_name(&words) && !words.contains(' ') { words } else { String::new() }))
}

#[test]
fn the_russian_readme_is_in_step() {
    let (english, russian) = (read("README.md"), read("README.ru.md"));
    let headings = |text: &str| prose(text).into_iter().filter_map(heading).collect::<Vec<_>>();
    assert_eq!(headings(&english), headings(&russian), "headings");
    // What a comment says is translated; that there is one is not.
    let comment = Regex::new(r"(?m)(^|\s)# (.*)$").unwrap();
    let has_comments = |language: &str| ["sh", "console"].contains(&language);
    let texts = |text: &str| {
        let blocks = blocks(text).into_iter().map(|block| {
            let text = match has_comments(&block.language) {
                true => comment.replace_all(&block.text, "$1#").into_owned(),
                false => block.text,
            };
            (block.language, text, block.left_out)
        });
        blocks.collect::<Vec<_>>()
    };
    for block in blocks(&russian).iter().filter(|block| has_comments(&block.language)) {
        for found in comment.captures_iter(&block.text) {
            let is_russian = found[2].chars().any(|letter| ('а'..='я').contains(&letter));
            assert!(is_russian, "README.ru.md:{}: a comment that is not translated: {}", block.line, &found[2]);
        }
    }
    for (one, other) in texts(&english).into_iter().zip(texts(&russian)) {
        assert_eq!(one, other, "blocks");
    }
    assert_eq!(blocks(&english).len(), blocks(&russian).len(), "blocks");
    let rows = |text: &str| {
        let rows = prose(text).into_iter().filter(|line| line.starts_with('|'));
        rows.map(|line| (line.replace("\\|", "").matches('|').count(), code(line))).collect::<Vec<_>>()
    };
    let (english, russian) = (rows(&english), rows(&russian));
    assert_eq!(english.len(), russian.len(), "rows of tables");
    for (one, other) in english.into_iter().zip(russian) {
        // A word of the person's own may be translated.
        let bare = |row: &(usize, Vec<String>)| {
            (row.0, row.1.iter().filter(|code| code.is_ascii() && !code.contains('/')).cloned().collect::<Vec<_>>())
        };
        assert_eq!(bare(&one), bare(&other), "a row of a table");
    }
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)(?:#[^)]*)?\)").unwrap();
    for file in ["README.md", "README.ru.md", "docs/moving.md", "CHANGELOG.md"] {
        let directory = Path::new(file).parent().unwrap();
        let text = prose(&read(file)).join("\n");
        for found in link.captures_iter(&text).filter(|found| !found[1].contains("://")) {
            assert!(directory.join(&found[1]).exists(), "{file}: {} does not exist", &found[1]);
        }
    }
}

#[test]
fn moving_maps_every_key_and_option_of_the_original() {
    let text = read("docs/moving.md");
    let all: BTreeSet<String> = text.lines().flat_map(code).collect();
    for word in
        ["bot_token", "apihelper_proxy", "users_file", "grafana_url", "grafana_token", "go back", "/regexp", "/list"]
    {
        assert!(all.iter().any(|code| code.contains(word)), "{word}");
    }
    for option in ["-H ", "-p ", "-c ", "-l "] {
        assert!(all.iter().any(|code| code.starts_with("main.py") && code.contains(option)), "{option}");
    }
}
