//! Man pages: options, exit codes, variables and configuration keys are those of the tools, no more and no less.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use regex::Regex;

use crate::harness::{run, say};
use crate::help::{self, TOOLS};

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("man/{name}")).unwrap_or_else(|err| panic!("man/{name}: {err}"))
}

/// The lines between one `.Sh` and the next.
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let Some((_, rest)) = page.split_once(&format!(".Sh {name}\n")) else { return "" };
    rest.split("\n.Sh ").next().unwrap()
}

/// `-c --config FILE` of every `.It Fl`.
fn options(page: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for line in page.lines().filter_map(|line| line.strip_prefix(".It Fl ")) {
        let line = line.replace(" Ns Op No = Ns Ar WORD", "[=WORD]").replace("No ", "").replace("Sq ", "Ar ");
        let (names, value) = line.split_once(" Ar ").unwrap_or((&line, ""));
        let names: Vec<String> = names.split(" , Fl ").map(|name| format!("-{name}")).collect();
        all.insert(format!("{} {value}", names.join(" ")).trim().to_owned());
    }
    all
}

#[test]
fn options_are_those_of_the_help() {
    for tool in TOOLS {
        let page = page(&format!("{tool}.1"));
        let help: BTreeSet<String> = help::options(tool)
            .into_iter()
            .map(|option| {
                let value = option.value.unwrap_or_default().replace('\'', "");
                let names = option.short.map(|short| format!("{short} ")).unwrap_or_default() + &option.long;
                if value.starts_with('[') {
                    format!("{names}{value}")
                } else {
                    format!("{names} {value}").trim().to_owned()
                }
            })
            .collect();
        assert_eq!(options(&page), help, "man/{tool}.1 and {tool} --help");
    }
}

#[test]
fn exit_codes_and_variables_are_those_of_the_help() {
    let code = Regex::new(r"(?m)^\.It (?:Li )?(\d+)$").unwrap();
    let variable = Regex::new(r"(?m)^\.It Ev (.*)$").unwrap();
    for tool in TOOLS {
        let page = page(&format!("{tool}.1"));
        let codes: BTreeSet<u8> =
            code.captures_iter(section(&page, "EXIT STATUS")).map(|found| found[1].parse().unwrap()).collect();
        assert_eq!(codes, help::exit_codes(tool), "man/{tool}.1 and {tool} --help");
        let names: BTreeSet<String> = variable
            .captures_iter(section(&page, "ENVIRONMENT"))
            .flat_map(|found| help::variables(&found[1]))
            .collect();
        let help = help::variables(&help::paragraph(tool, "Environment:"));
        assert!(names.is_superset(&help), "man/{tool}.1 lacks {:?}", help.difference(&names).collect::<Vec<_>>());
        // What all tools have, and what is rare, is not in --help.
        let rare = [
            "CREDENTIALS_DIRECTORY",
            "STATE_DIRECTORY",
            "XDG_STATE_HOME",
            "JOURNAL_STREAM",
            "LISTEN_FDNAMES",
            "NOTIFY_SOCKET",
            "NO_PROXY",
            "ALL_PROXY",
            "TELEGRAM_BOT_TOKEN_FILE",
        ];
        let more: Vec<&String> = names.difference(&help).filter(|name| !rare.contains(&name.as_str())).collect();
        assert!(more.is_empty(), "{tool} --help lacks {more:?}");
    }
}

/// The keys that the program itself knows, as it tells in an error's hint: each is asked for by a typing error.
fn keys() -> BTreeSet<String> {
    let source = std::fs::read_to_string("src/config.rs").unwrap();
    let list = source.split("const KEYS").nth(1).unwrap().split("];").next().unwrap();
    let name = Regex::new("\"([a-z_]+)\"").unwrap();
    name.captures_iter(list).map(|found| found[1].to_owned()).collect()
}

fn config_variables() -> BTreeSet<String> {
    let source = std::fs::read_to_string("src/config.rs").unwrap();
    let source = source.split("#[cfg(test)]").next().unwrap();
    let name = Regex::new("\"([A-Z]+(?:_[A-Z]+)+)\"").unwrap();
    name.captures_iter(source).map(|found| found[1].to_owned()).collect()
}

#[test]
fn configuration_keys_are_those_of_the_program() {
    let page = page("prometheus-telegram.5");
    let item = Regex::new(r"(?m)^\.It Va (.*)$").unwrap();
    let written: BTreeSet<String> = item
        .captures_iter(section(&page, "CONFIGURATION"))
        .flat_map(|found| found[1].split(" , ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(written, keys(), "man/prometheus-telegram.5 and src/config.rs");
    let missing: Vec<String> = config_variables().into_iter().filter(|name| !page.contains(name)).collect();
    assert!(missing.is_empty(), "man/prometheus-telegram.5 does not name {missing:?}");
    let readme = std::fs::read_to_string("README.md").unwrap();
    let table = readme.split("| key | environment | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: String = table.lines().filter_map(|line| line.split('|').nth(1)).collect();
    let word = Regex::new("`([a-z_]+)`").unwrap();
    let written: BTreeSet<String> = word.captures_iter(&rows).map(|found| found[1].to_owned()).collect();
    assert_eq!(written, keys(), "README.md and src/config.rs");
}

#[test]
fn mandoc_has_nothing_to_say() {
    let mut pages: Vec<_> = std::fs::read_dir("man").unwrap().map(|file| file.unwrap().path()).collect();
    pages.sort();
    assert_eq!(pages.len(), TOOLS.len() + 2, "{pages:?}");
    if std::fs::metadata("/usr/bin/mandoc").is_err() {
        say("SKIPPED: no mandoc; Debian's package mandoc has it");
        return;
    }
    for page in pages {
        let output = run(Command::new("mandoc").args(["-Tlint", "-W", "warning"]).arg(&page), b"");
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{}: {}", page.display(), output.stderr);
    }
}

/// A page as a person reads it.
fn rendered(path: &Path) -> String {
    let output = run(Command::new("mandoc").args(["-Tutf8", "-O", "width=100"]).arg(path), b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    // What is bold or underlined is struck twice.
    Regex::new(".\u{8}").unwrap().replace_all(&output.stdout, "").into_owned()
}

/// Everything from an opening brace before a quote up to the brace that closes it.
fn objects(text: &str) -> Vec<String> {
    let opening = Regex::new(r#"\{\s*["“]"#).unwrap();
    let (mut objects, mut start) = (Vec::new(), 0);
    while let Some(found) = opening.find_at(text, start) {
        let mut depth = 0;
        let end = text[found.start()..].find(|letter| {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            depth == 0
        });
        start = found.start() + end.unwrap_or_else(|| panic!("no end of {}", &text[found.start()..])) + 1;
        objects.push(text[found.start()..start].to_owned());
    }
    objects
}

/// mdoc takes a quote at the start of a macro's argument for its own.
#[test]
fn no_quote_is_lost_on_the_way_to_the_reader() {
    if std::fs::metadata("/usr/bin/mandoc").is_err() {
        return say("SKIPPED: no mandoc; Debian's package mandoc has it");
    }
    let own = Regex::new(r#"(^| )"[^"]*"( |$)"#).unwrap();
    let mut parsed = 0;
    for file in std::fs::read_dir("man").unwrap() {
        let path = file.unwrap().path();
        let (source, text) = (std::fs::read_to_string(&path).unwrap(), rendered(&path));
        let meant = |line: &str| match line.starts_with('.') {
            true => own.replace_all(line, " ").matches('"').count() + line.matches(r"\(dq").count(),
            false => line.matches('"').count() + line.matches(r"\(dq").count(),
        };
        let lines = source.lines().filter(|line| meant(line) > 0).collect::<Vec<_>>();
        let meant: usize = source.lines().map(meant).sum();
        assert_eq!(text.matches('"').count(), meant, "quotes of {}, which has {lines:#?}", path.display());
        for object in objects(&text) {
            // Three dots stand for more of the same.
            let whole = object.replace(", ...", "").replace("...", "");
            let read = serde_json::from_str::<serde_json::Value>(&whole);
            assert!(read.is_ok(), "{}: {read:?}: {object}", path.display());
            parsed += 1;
        }
    }
    assert!(parsed >= 6, "{parsed}");
}

/// All texts of notices, warnings and errors up to their first value, and where they are.
fn log_lines() -> Vec<(String, String)> {
    let call = Regex::new(r#"(?:notice!|log::warn!|log::error!)\(\s*"((?:[^"\\]|\\.)*)""#).unwrap();
    let mut lines = Vec::new();
    let mut directories = vec![std::path::PathBuf::from("src")];
    while let Some(directory) = directories.pop() {
        for file in std::fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
            for found in call.captures_iter(&text) {
                let start = found[1].split(['{', '\\']).next().unwrap().trim().to_owned();
                lines.push((start, path.display().to_string()));
            }
        }
    }
    lines
}

#[test]
fn log_lines_are_explained() {
    let pages: String = TOOLS.map(|tool| page(&format!("{tool}.1"))).concat();
    let explained: String =
        pages.lines().filter(|line| line.starts_with(".It \"")).map(|line| format!("{line}\n")).collect();
    let mut seen = 0;
    for (start, place) in log_lines() {
        // Those of grafana-shot and tg-sandbox are for the person who waits for them; the log of --check explains itself.
        let is_for_a_person =
            ["grafana-shot", "tg-sandbox", "sandbox/", "check/", "logger"].iter().any(|part| place.contains(part));
        if start.len() < 4 || is_for_a_person {
            continue;
        }
        let known = [format!("\"{start}"), format!(": {start}")];
        assert!(known.iter().any(|known| explained.contains(known)), "{place}: {start:?} is in no DIAGNOSTICS");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}
