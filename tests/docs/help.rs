//! `--help` read as data: the one place where options are described; pages and completions are held to it.

use std::collections::BTreeSet;

use regex::Regex;

use crate::harness::*;

pub const TOOLS: [&str; 6] = ["am-recv", "alert-route", "tg-send", "tg-bot", "grafana-shot", "tg-sandbox"];

/// One option as `--help` tells it.
#[derive(Debug, Default)]
pub struct Choice {
    /// `-c`
    pub short: Option<String>,
    /// `--config`
    pub long: String,
    /// `FILE`; `[=WORD]` where it need not be given.
    pub value: Option<String>,
    pub words: String,
}

impl Choice {
    /// Up to the first semicolon, without the default.
    pub fn brief(&self) -> &str {
        self.words.split([';', '[']).next().unwrap().trim()
    }

    pub fn repeats(&self) -> bool {
        self.words.contains("again") || self.words.contains("more than once")
    }
}

pub fn help(tool: &str) -> String {
    let output = run(command(tool).arg("--help"), b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    output.stdout
}

pub fn options(tool: &str) -> Vec<Choice> {
    let option =
        Regex::new(r"^ {2}(?:(-\w), | {4})(--[a-z-]+)(\[=WORD\]| '[^']+'| [A-Z][A-Z/=]*)?(?: +(.*))?$").unwrap();
    let mut all: Vec<Choice> = Vec::new();
    let mut open = false;
    for line in help(tool).lines() {
        if let Some(found) = option.captures(line) {
            let text = |n: usize| found.get(n).map(|found| found.as_str().trim().to_owned());
            let words = text(4).unwrap_or_default();
            all.push(Choice { short: text(1), long: text(2).unwrap(), value: text(3), words });
            open = true;
        } else if open && line.starts_with("                    ") {
            let last = all.last_mut().unwrap();
            last.words = format!("{} {}", last.words, line.trim());
        } else {
            open = false;
            let looks_like_one = line.trim_start().starts_with("--") && line.starts_with("  ");
            assert!(!looks_like_one, "{tool}: not in the form of an option: {line:?}");
        }
    }
    all
}

/// The paragraph that starts with this word, on one line.
pub fn paragraph(tool: &str, word: &str) -> String {
    let help = help(tool);
    let found = help.split("\n\n").find(|part| part.starts_with(word)).unwrap_or_default();
    found.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn variables(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b[A-Z]+(?:_[A-Z]+)+\b").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

pub fn exit_codes(tool: &str) -> BTreeSet<u8> {
    let code = Regex::new(r"(?:Exit:|;) (\d+) ").unwrap();
    let text = paragraph(tool, "Exit:").replace("; ", " ; ");
    code.captures_iter(&text).map(|found| found[1].parse().unwrap()).collect()
}

#[test]
fn it_fits_a_terminal_and_has_all_its_parts() {
    for tool in TOOLS {
        let help = help(tool);
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{tool}: wider than 80: {line:?}");
            assert!(!line.ends_with(' ') && !line.contains('\t'), "{tool}: {line:?}");
        }
        assert!(help.starts_with("Usage: "), "{tool}");
        for part in ["\n\nExit: ", "\n\nExample"] {
            assert!(help.contains(part), "{tool} has no {part:?}");
        }
        let all: Vec<String> = options(tool).into_iter().map(|option| option.long).collect();
        let once: BTreeSet<&String> = all.iter().collect();
        assert_eq!(all.len(), once.len(), "{tool}: twice");
        for common in ["--log", "--verbose", "--help", "--version"] {
            assert!(all.iter().any(|long| long == common), "{tool}: {common}");
        }
    }
}

#[test]
fn scripts_try_refuses_before_it_builds() {
    for (arguments, reason) in [
        (&["--storm", "x"][..], "--storm needs a number from 1 to 10000, not 'x'"),
        (&["--storm", "0"], "--storm needs a number from 1 to 10000, not '0'"),
        (&["--port"], "--port needs a number"),
        (&["--port", "65536"], "--port needs a number from 1 to 65535, not '65536'"),
        (&["--nonsense"], "unknown option '--nonsense'"),
    ] {
        let mut script = std::process::Command::new("scripts/try");
        let output = run(script.env_clear().env("PATH", "/usr/bin:/bin").args(arguments), b"");
        let expected = format!("scripts/try: error: {reason}\nscripts/try: hint: ");
        assert!(output.code == Some(2) && output.stderr.starts_with(&expected), "{arguments:?}: {output:?}");
    }
}

#[test]
fn every_option_is_taken() {
    for tool in TOOLS {
        for option in options(tool) {
            // With --help behind it nothing is done; a value that is refused is refused as a value.
            let has_value = option.value.as_deref().is_some_and(|value| !value.starts_with('['));
            for name in option.short.iter().chain([&option.long]) {
                let mut call = command(tool);
                call.arg(name).args(has_value.then_some("/nonexistent/1")).arg("--help");
                let output = run(&mut call, b"");
                assert!(!output.stderr.contains("invalid option"), "{tool} {name}: {output:?}");
            }
        }
    }
}
