//! What is called wrong is said in one line that names the option, with a hint where there is one.

use crate::harness::*;
use crate::help::{TOOLS, options};

/// A value that the option cannot take; nothing where any text will do, or a file that is made or read later.
fn bad(tool: &str, option: &str) -> Option<&'static str> {
    Some(match (tool, option) {
        (_, "--port" | "--ctl-port") => "99999",
        (_, "--ack-timeout" | "--read-timeout" | "--timeout" | "--max-seconds") => "soon",
        (_, "--max-body" | "--connections" | "--keep" | "--seed" | "--thread" | "--retries" | "--org") => "many",
        (_, "--repeat-after" | "--remember") => "4 moons",
        (_, "--limits" | "--watchdog" | "--var" | "--metrics") => "Foo",
        (_, "--width" | "--height" | "--scale") => "big",
        (_, "--chat") => "me",
        (_, "--from" | "--to" | "--since") => "yesterday",
        (_, "--tz") => "Mars",
        (_, "--theme") => "blue",
        (_, "--header" | "--url" | "--upstream") => "nonsense",
        (_, "--world" | "--rules" | "--token-file") => "/nonexistent/file",
        (_, "--check") => return None,
        // Whatever can be looked up is a host, and every text is a name or a path.
        (_, "--host" | "--token" | "--record" | "--cacert" | "--output" | "--config" | "--log") => return None,
        (_, "--users" | "--template" | "--seen" | "--state" | "--outbox" | "--ack") => return None,
        (_, "--photo" | "--document") => return None,
        _ => panic!("{tool} {option}: which value is wrong?"),
    })
}

/// One line about the error, with every value in it once, and perhaps a hint.
fn is_said_once(tool: &str, output: &Output) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert!(lines[0].starts_with(&format!("{tool}: error: ")), "{output:?}");
    assert!(lines.len() == 1 || lines.len() == 2 && lines[1].starts_with(&format!("{tool}: hint: ")), "{output:?}");
    let parts: Vec<&str> = lines[0].split(": ").skip(2).collect();
    for (n, part) in parts.iter().enumerate() {
        assert!(!parts[n + 1..].contains(part), "{part:?} is said twice: {output:?}");
    }
}

#[test]
fn a_bad_value_is_said_once_and_names_its_option() {
    let mut tried = 0;
    for tool in TOOLS {
        for option in options(tool).into_iter().filter(|option| option.value.is_some()) {
            let name = option.short.as_ref().map_or(option.long.clone(), |short| format!("{short}/{}", option.long));
            let Some(value) = bad(tool, &option.long) else { continue };
            for typed in option.short.iter().chain([&option.long]) {
                let mut call = command(tool);
                call.arg(typed).arg(value).env("GRAFANA_URL", "http://127.0.0.1:1");
                if tool == "grafana-shot" && option.long != "--url" {
                    call.args(["dashboard", "panel"]);
                }
                let output = run(&mut call, b"");
                is_said_once(tool, &output);
                assert!(output.stderr.starts_with(&format!("{tool}: error: {name}: ")), "{name}: {output:?}");
                let is_shown = output.stderr.lines().next().unwrap().contains(value);
                assert_eq!(is_shown, option.long != "--header", "a header can hold a secret: {output:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn a_value_that_is_missing_or_too_much_names_its_option() {
    for tool in TOOLS {
        for option in options(tool) {
            let long = &option.long;
            let call = match option.value.as_deref() {
                Some("[=WORD]") => format!("{long}=sometimes"),
                Some(_) => long.clone(),
                None if matches!(long.as_str(), "--help" | "--version") => continue,
                None => format!("{long}=1"),
            };
            let output = run(command(tool).arg(call), b"");
            is_said_once(tool, &output);
            assert!(output.stderr.lines().next().unwrap().contains(long), "{output:?}");
        }
    }
}

#[test]
fn an_option_that_is_not_there_gets_the_nearest() {
    for (tool, given, hint) in [
        ("am-recv", "--chek", "did you mean --check?"),
        ("alert-route", "--user", "did you mean --users?"),
        ("tg-send", "--repeatafter", "did you mean --repeat-after?"),
        ("tg-bot", "--Config", "did you mean --config?"),
        ("grafana-shot", "--ouptut", "did you mean --output?"),
        ("tg-sandbox", "--ctlport", "did you mean --ctl-port?"),
        ("tg-send", "--nonsense", "tg-send --help lists the options"),
        ("grafana-shot", "-x", "grafana-shot --help lists the options"),
    ] {
        let output = run(command(tool).arg(given), b"");
        let expected = format!("{tool}: error: invalid option '{given}'\n{tool}: hint: {hint}\n");
        assert_eq!((output.code, output.stderr), (Some(2), expected), "{tool} {given}");
    }
}

#[test]
fn a_time_that_lacks_its_unit_is_doubted() {
    let scratch = Scratch::new("doubt");
    let users = scratch.write("users.json", r#"{"1": "*"}"#);
    let routed = run(command("alert-route").args(["--watchdog", "Foo=10", "-u"]).arg(&users), b"");
    assert_eq!(routed.code, Some(0), "{routed:?}");
    let warning = "warning: --watchdog: \"10\" is 10 seconds; write \"10s\" if that is meant, else \"10m\" or \"10h\"";
    assert!(routed.stderr.contains(warning), "{routed:?}");
    let config = scratch.write("config.json", r#"{"repeat_after": "4", "bot_token": "123:abc"}"#);
    for (word, code) in [("--check", 0), ("--check=strict", 2)] {
        let mut call = command("tg-send");
        call.env("HOME", scratch.path(".")).arg(word).arg("--outbox").arg(scratch.path("outbox.db"));
        let output = run(call.arg("-c").arg(&config), b"");
        assert_eq!(output.code, Some(code), "{output:?}");
        assert!(output.stderr.contains("\"repeat_after\": \"4\" is 4 seconds; write \"4s\""), "{output:?}");
    }
}
