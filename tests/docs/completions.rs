//! Completions for bash, zsh and fish are made from `--help`; the files in `completions/` must be what it makes now.
//! `BLESS=1 cargo test --test docs completions` writes them.

use std::path::Path;
use std::process::Command;

use crate::harness::{Output, run, say};
use crate::help::{Choice, TOOLS, options};

/// What may stand behind an option.
enum Value<'a> {
    None,
    File,
    Other(&'a str),
    Scope,
}

fn value(option: &Choice) -> Value<'_> {
    match option.value.as_deref() {
        None => Value::None,
        Some("[=WORD]") => Value::Scope,
        Some("FILE" | "SOCKET") => Value::File,
        Some(other) => Value::Other(other),
    }
}

fn names(option: &Choice) -> Vec<&str> {
    option.short.iter().map(String::as_str).chain([option.long.as_str()]).collect()
}

fn bash(tool: &str, options: &[Choice]) -> String {
    let function = tool.replace('-', "_");
    let mut words: Vec<String> = Vec::new();
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for option in options {
        words.extend(names(option).into_iter().map(str::to_owned));
        match value(option) {
            Value::None => {}
            Value::File => files.extend(names(option)),
            Value::Other(_) => others.extend(names(option)),
            Value::Scope => words.extend(["strict", "online"].map(|word| format!("{}={word}", option.long))),
        }
    }
    let mut cases = format!("    {}) return ;;\n", files.join(" | "));
    if !others.is_empty() {
        // Whatever is to come, it is no file.
        cases.push_str(&format!("    {}) compopt +o default 2>/dev/null; return ;;\n", others.join(" | ")));
    }
    format!(
        "# Completion for bash, made from {tool} --help.\n\n_{function}() {{\n  \
         local word=${{COMP_WORDS[COMP_CWORD]}}\n  COMPREPLY=()\n  case ${{COMP_WORDS[COMP_CWORD - 1]}} in\n{cases}  \
         esac\n  if [[ $word == -* ]]; then\n    mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\")\n  fi\n}}\n\
         complete -o default -F _{function} {tool}\n",
        words.join(" ")
    )
}

fn zsh(tool: &str, options: &[Choice]) -> String {
    let mut text = format!("#compdef {tool}\n# Completion for zsh, made from {tool} --help.\n\n_arguments -s -S");
    for option in options {
        let words: String = option.brief().replace('\'', "'\\''").replace(':', "\\:").replace(']', "\\]");
        let (sign, action) = match value(option) {
            Value::None => ("", String::new()),
            Value::File => ("=", ":file:_files".to_owned()),
            Value::Other(what) => ("=", format!(":{}: ", what.replace(['\'', ':'], ""))),
            Value::Scope => ("=-", "::how far:(strict online)".to_owned()),
        };
        let many = if option.repeats() { "*" } else { "" };
        let long = &option.long;
        text.push_str(" \\\n  ");
        match &option.short {
            Some(short) => {
                let sign_of_short = if sign.is_empty() { "" } else { "+" };
                let exclusive = if many.is_empty() { format!("({short} {long})") } else { many.to_owned() };
                text.push_str(&format!("'{exclusive}'{{{short}{sign_of_short},{long}{sign}}}'[{words}]{action}'"));
            }
            None => text.push_str(&format!("'{many}{long}{sign}[{words}]{action}'")),
        }
    }
    text.push_str(" \\\n  '*:file:_files'\n");
    text
}

fn fish(tool: &str, options: &[Choice]) -> String {
    let mut text = format!("# Completion for fish, made from {tool} --help.\n");
    for option in options {
        let short = option.short.as_ref().map(|short| format!(" -s {}", &short[1..])).unwrap_or_default();
        let kind = match value(option) {
            Value::None => "",
            Value::File => " -r -F",
            Value::Other(_) => " -x",
            Value::Scope => " -f -a 'strict online'",
        };
        let words = option.brief().replace('\\', "\\\\").replace('\'', "\\'");
        text.push_str(&format!("complete -c {tool}{short} -l {}{kind} -d '{words}'\n", &option.long[2..]));
    }
    text
}

fn files() -> Vec<(String, String)> {
    let made = TOOLS.map(|tool| {
        let options = options(tool);
        [
            (format!("completions/{tool}.bash"), bash(tool, &options)),
            (format!("completions/_{tool}"), zsh(tool, &options)),
            (format!("completions/{tool}.fish"), fish(tool, &options)),
        ]
    });
    made.into_iter().flatten().collect()
}

#[test]
fn they_are_those_of_the_help() {
    let bless = std::env::var_os("BLESS").is_some();
    for (path, text) in files() {
        if bless {
            std::fs::create_dir_all("completions").unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(there, text, "{path} is not what --help says; BLESS=1 cargo test --test docs completions writes it");
    }
    assert_eq!(std::fs::read_dir("completions").unwrap().count(), files().len(), "a file too many in completions/");
}

/// Runs a shell, if it is there.
fn shell(name: &str, script: &str) -> Option<Output> {
    if !["/usr/bin", "/bin"].iter().any(|directory| Path::new(directory).join(name).exists()) {
        say(&format!("SKIPPED: no {name}; Debian's package {name} has it"));
        return None;
    }
    let flag = if name == "zsh" { "-fc" } else { "-c" };
    // A shell that cannot write its history there says so.
    Some(run(Command::new(name).arg(flag).arg(script).env("HOME", std::env::temp_dir()).env("LC_ALL", "C.UTF-8"), b""))
}

fn sorted(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    words.sort();
    words.dedup();
    words
}

#[test]
fn bash_offers_every_option() {
    for tool in TOOLS {
        let function = tool.replace('-', "_");
        let ask = |words: &str, n: usize| {
            let script = format!(
                "source completions/{tool}.bash; COMP_WORDS=({tool} {words}); COMP_CWORD={n}; _{function}; \
                 [ ${{#COMPREPLY[@]}} = 0 ] || printf '%s\\n' \"${{COMPREPLY[@]}}\""
            );
            let output = shell("bash", &script).unwrap();
            assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{tool} {words}");
            sorted(&output.stdout)
        };
        let mut expected: Vec<String> = Vec::new();
        for option in options(tool) {
            expected.extend(names(&option).into_iter().map(str::to_owned));
            if matches!(value(&option), Value::Scope) {
                expected.extend(["--check=strict".to_owned(), "--check=online".to_owned()]);
            }
        }
        expected.sort();
        assert_eq!(ask("-", 1), expected, "{tool}");
        assert_eq!(ask("--ver", 1), ["--verbose", "--version"], "{tool}");
        // Files are left to the shell.
        assert_eq!(ask("--log ''", 2), Vec::<String>::new(), "{tool}");
    }
}

#[test]
fn fish_and_zsh_understand_theirs() {
    for tool in TOOLS {
        if let Some(output) = shell("fish", &format!("source completions/{tool}.fish; complete -C '{tool} --'")) {
            assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{tool}");
            let offered = sorted(&output.stdout);
            for option in options(tool) {
                let bare = |word: &String| word.trim_end_matches('=') == option.long;
                assert!(offered.iter().any(bare), "{tool}: {} in {offered:?}", option.long);
            }
        }
        // What _arguments would be called with.
        let script = format!("_arguments() {{ print -l -- \"$@\" }}; source completions/_{tool}");
        if let Some(output) = shell("zsh", &script) {
            assert_eq!(output.stderr, "", "{tool}");
            let all = options(tool);
            for option in &all {
                assert!(output.stdout.contains(&option.long), "{tool}: {} in {}", option.long, output.stdout);
            }
        }
    }
}
