//! `--check`, `--check=online` and `scripts/doctor`: what they find, how they end, and what they never show.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::harness::*;
use crate::standin::{self, Fault};

const PROXY_PASSWORD: &str = "hunter2-of-the-proxy";
const GRAFANA_TOKEN: &str = "glsa_s3cret_grafana_token";

/// What no line may hold.
const SECRETS: [&str; 4] = [TOKEN, "s3cret", PROXY_PASSWORD, GRAFANA_TOKEN];

fn said(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{}", output.stderr);
    assert_eq!(output.stdout, "", "the stdout of a unit is a pipe to the next tool");
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} in\n{}", output.stderr);
    }
    for secret in SECRETS {
        assert!(!output.stderr.contains(secret), "{secret:?} in\n{}", output.stderr);
    }
}

fn check(scratch: &Scratch, tool: &str, word: &str, config: &Value) -> Output {
    let path = scratch.write("config.json", &config.to_string());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = command(tool);
    command.current_dir(scratch.path(".")).env("HOME", scratch.path(".")).arg(format!("--check{word}"));
    if tool == "am-recv" {
        // Somebody may listen on 8080 here.
        command.args(["-p", &free_port().to_string()]);
    }
    run(command.arg("-c").arg(path), b"")
}

#[test]
fn without_network_everything_that_a_tool_reads_is_looked_at() {
    let scratch = Scratch::new("check");
    let users = scratch.write("users.json", r#"{"1": "*", "2": "("}"#);
    let good = json!({"bot_token": TOKEN, "users_file": users, "outbox": scratch.path("outbox.db"),
        "apihelper_proxy": format!("socks5://u:{PROXY_PASSWORD}@127.0.0.1:1"), "grafana_url": "http://127.0.0.1:1",
        "grafana_token": GRAFANA_TOKEN});
    for (tool, words) in [
        ("am-recv", &["ok: configuration ", "ok: address 127.0.0.1:"][..]),
        ("alert-route", &["warning: chat 2: pattern \"(\" is skipped", "users.json: 2 chats", "ok: template"]),
        ("tg-send", &["ok: outbox ", "ok: bot token", "ok: proxy socks5://127.0.0.1:1\n"]),
        ("tg-bot", &["ok: state ", "users.json: 2 chats", "ok: Grafana http://127.0.0.1:1 with a token"]),
        ("grafana-shot", &["ok: Grafana http://127.0.0.1:1 with a token"]),
    ] {
        said(&check(&scratch, tool, "", &good), 0, words);
    }
    assert!(!scratch.path("outbox.db").exists(), "a check makes nothing");
    said(&check(&scratch, "alert-route", "=strict", &good), 2, &["pattern \"(\""]);
    said(&check(&scratch, "tg-send", "=sometimes", &good), 2, &["there is no --check=sometimes", "hint: say --check"]);

    let with = |key: &str, value: Value| {
        let mut config = good.clone();
        config[key] = value;
        config
    };
    let nowhere = scratch.path("none/outbox.db");
    for (tool, config, words) in [
        ("tg-send", with("bot_token", json!("None")), &["error: no bot token", "hint: set TELEGRAM_BOT_TOKEN"][..]),
        ("tg-send", with("apihelper_proxy", json!("ftp://u:hunter2-of-the-proxy@h")), &["error: the proxy's address"]),
        (
            "tg-send",
            with("outbox", json!(nowhere)),
            &["error: cannot write outbox", "hint: the directory must be there"],
        ),
        ("tg-send", with("outbox", json!(users)), &["error: cannot open outbox"]),
        ("tg-send", with("bot_tokn", json!("x")), &["unknown key \"bot_tokn\""]),
        ("alert-route", with("template", json!("none")), &["cannot read template none"]),
        ("alert-route", with("time_zone", json!("Mars")), &["Mars"]),
        (
            "tg-bot",
            with("users_file", json!(scratch.write("bad.json", "[]"))),
            &["bad.json:1:1", "hint: mend it by hand"],
        ),
        ("tg-bot", with("grafana_url", json!("grafana")), &["\"grafana_url\" is not an http or https URL"]),
        ("am-recv", with("alertmanager_url", json!("am:9093")), &["\"alertmanager_url\" is not an http or https URL"]),
        ("tg-bot", with("time_zone", json!("Mars")), &["time zone \"Mars\" is not known", "hint: say an IANA name"]),
        ("grafana-shot", with("time_zone", json!("Mars")), &["no time zone \"Mars\""]),
        ("tg-bot", with("language", json!("de")), &["\"language\" \"de\" is not known; en and ru are"]),
        ("grafana-shot", with("grafana_ca", json!("none.pem")), &["cannot use the certificates in none.pem"]),
        ("am-recv", with("webhook_user", json!("u")), &["webhook_user and webhook_password go together"]),
    ] {
        said(&check(&scratch, tool, "", &config), 2, words);
    }
}

#[test]
fn whoever_has_no_token_is_told_where_it_belongs() {
    let scratch = Scratch::new("no-token");
    let file = "hint: put it in /etc/prometheus-telegram/bot_token, which the units load as the credential bot_token\n";
    let hand = "hint: set TELEGRAM_BOT_TOKEN, or bot_token in the configuration\n";
    for (tool, option) in
        [("tg-send", None), ("tg-bot", None), ("tg-send", Some("--check")), ("tg-bot", Some("--check"))]
    {
        for (directory, hint) in [(None, hand), (Some(scratch.path(".")), file)] {
            let mut command = command(tool);
            command.current_dir(scratch.path(".")).env("HOME", scratch.path(".")).args(option);
            command.envs(directory.map(|directory| ("CREDENTIALS_DIRECTORY", directory)));
            said(&run(&mut command, b""), 2, &["error: no bot token\n", hint]);
        }
    }
    // The words name what the units say.
    for unit in ["tg-send", "tg-bot", "prometheus-telegram-pipe"] {
        let text = std::fs::read_to_string(format!("systemd/{unit}.service")).unwrap();
        assert!(text.contains("\nLoadCredential=bot_token:/etc/prometheus-telegram/bot_token\n"), "{unit}");
    }
    // A proxy that cannot be used is no matter of the token.
    let config = scratch.write("config.json", &json!({"bot_token": TOKEN, "apihelper_proxy": "ftp://h"}).to_string());
    for tool in ["tg-send", "tg-bot"] {
        let mut command = command(tool);
        command.current_dir(scratch.path(".")).env("HOME", scratch.path(".")).arg("-c").arg(&config);
        said(
            &run(&mut command, b""),
            2,
            &["error: the proxy's address cannot be used\n", "hint: a proxy is written like socks5"],
        );
    }
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    let scratch = Scratch::new("hardly");
    let entries =
        r#"{"7": {}, "9": {"mtach": ["x"], "role": "Admin", "lang": "de"}, "11": {"name": "Ann", "note": 1}}"#;
    scratch.write("users.json", entries);
    let example: Value = serde_json::from_str(&std::fs::read_to_string("example_config/config.json").unwrap()).unwrap();
    let words = [
        "warning: chat 9: unknown member \"mtach\"; the nearest known one is \"match\"",
        "warning: chat 9: role \"Admin\" is not known; \"admin\" is meant?",
        "warning: chat 9: lang \"de\" is not known; en and ru are",
        "warning: chat 7 has neither match nor labels: it gets no alerts",
    ];
    for tool in ["alert-route", "tg-bot"] {
        let output = check(&scratch, tool, "", &example);
        said(&output, 0, &words);
        assert!(!output.stderr.contains("note") && !output.stderr.contains("chat 11"), "{}", output.stderr);
        said(&check(&scratch, tool, "=strict", &example), 2, &words);
    }
    // What is there only to be let in is no matter for the log.
    let routed = run(command("alert-route").current_dir(scratch.path(".")).args(["-u", "users.json"]), b"");
    assert!(routed.stderr.contains(words[0]) && !routed.stderr.contains("gets no alerts"), "{}", routed.stderr);
    let token = check(&scratch, "tg-send", "", &example);
    said(&token, 0, &["warning: the bot token is the example's", "hint: @BotFather"]);
    assert!(!token.stderr.contains("ok: bot token"), "{}", token.stderr);

    std::fs::remove_file(scratch.path("users.json")).unwrap();
    let bot = check(&scratch, "tg-bot", "", &example);
    said(&bot, 0, &["ok: users file users.json: not there yet, made when somebody is let in\n"]);
    let route = check(&scratch, "alert-route", "", &example);
    said(&route, 2, &["hint: echo '{\"123456789\": \"*\"}' > users.json, or let tg-bot make it"]);
    let route = run(command("alert-route").arg("--check"), b"");
    said(&route, 2, &["error: no users file\n", "hint: name it with -u, USERS_FILE or users_file\n"]);
}

#[test]
fn a_bot_without_an_administrator_is_worth_a_warning() {
    const NOBODY: &str = "warning: there is no administrator yet, so nobody new is let in\n";
    let scratch = Scratch::new("nobody");
    let config = |more: Value| {
        let mut config = json!({"bot_token": TOKEN, "users_file": scratch.path("users.json")});
        config.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        config
    };
    let is_told = |more: Value| {
        let output = check(&scratch, "tg-bot", "", &config(more));
        said(&output, 0, &[]);
        output.stderr.contains(NOBODY)
    };
    assert!(is_told(json!({})), "no users file yet");
    scratch.write("users.json", r#"{"1": "mem|cpu"}"#);
    let hint = "hint: the log of tg-bot holds a code: send it to the bot as /start CODE";
    said(&check(&scratch, "tg-bot", "=strict", &config(json!({}))), 2, &[NOBODY, hint]);
    assert!(!is_told(json!({"admins": [9]})) && !is_told(json!({"access": "open"})));
    scratch.write("users.json", r#"{"1": {"match": ["mem"], "role": "admin"}}"#);
    assert!(!is_told(json!({})));
}

#[test]
fn what_is_open_to_others_is_said() {
    let scratch = Scratch::new("open");
    let path = scratch.write("config.json", &json!({"bot_token": TOKEN}).to_string());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(command("am-recv").args(["--check", "-H", "0.0.0.0", "-c"]).arg(&path), b"");
    said(&output, 0, &["warning: configuration ", "hint: chmod 640", "whoever reaches it can send alerts"]);
    let output = run(command("am-recv").args(["--check", "--ack"]).arg(&path), b"");
    said(&output, 2, &["error: cannot listen on", "something that is no socket is there"]);
}

/// An Alertmanager as far as it is asked, with this configuration.
fn alertmanager(config: String) -> String {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.server_addr());
    let body = json!({"config": {"original": config}, "versionInfo": {"version": "0.25.0"}}).to_string();
    thread::spawn(move || {
        for request in server.incoming_requests() {
            let _ = request.respond(tiny_http::Response::from_string(body.clone()));
        }
    });
    url
}

#[test]
fn everybody_out_there_is_asked() {
    let scratch = Scratch::new("online");
    scratch.write("users.json", r#"{"1": "*", "-1005": "*"}"#);
    let sandbox = Sandbox::start(&scratch, &["--strict"]);
    sandbox.post("/chat", json!({"id": 1}));
    let (grafana, token) = standin::start(None);
    let pipeline = Pipeline::start(&scratch, &sandbox);
    let port: u16 = pipeline.url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    assert_eq!(post(&pipeline.url, &webhook(&["A"])), 200);
    let receivers = format!(
        "route: {{receiver: telegram}}\nreceivers:\n- name: telegram\n  webhook_configs:\n  - send_resolved: true\n    \
         url: http://127.0.0.1:{port}/\n"
    );
    let config = json!({"bot_token": TOKEN, "users_file": "users.json", "outbox": scratch.path("outbox.db"),
        "api_url": sandbox.api, "grafana_url": grafana.url, "grafana_token": token,
        "alertmanager_url": alertmanager(receivers)});
    let path = scratch.write("config.json", &config.to_string());
    let mut recv = command("am-recv");
    recv.args(["--check=online", "-p", &port.to_string(), "-c"]).arg(&path);
    said(&run(&mut recv, b""), 0, &["1 webhooks taken, 0 refused", "Alertmanager sends its webhooks to port"]);
    let send = check(&scratch, "tg-send", "=online", &config);
    said(&send, 0, &["ok: outbox ", "Telegram knows the bot as @"]);
    let bot = check(&scratch, "tg-bot", "=online", &config);
    said(&bot, 1, &["no webhook is set", "error: chat -1005: Bad Request: chat not found", "knows 1 of 2 chats"]);
    said(&bot, 1, &["Grafana answers, version", "dashboards", "ok: image renderer 3.12.9"]);
    let set = format!("{}/bot{TOKEN}/setWebhook", sandbox.api);
    ureq::post(set).send_json(json!({"url": "https://example.org/s3cret"})).unwrap();
    said(&check(&scratch, "tg-bot", "=online", &config), 1, &["error: a webhook is set for this bot"]);

    let doctor = doctor(&scratch, &path, port);
    assert_eq!(doctor.code, Some(1), "{}", doctor.stdout);
    assert!(doctor.stdout.ends_with("doctor: 2 errors, 2 warnings\n"), "{}", doctor.stdout);
    for secret in SECRETS {
        assert!(!doctor.stdout.contains(secret), "{secret:?} in\n{}", doctor.stdout);
    }
}

fn doctor(scratch: &Scratch, config: &Path, port: u16) -> Output {
    let bin = Path::new(binary("am-recv")).parent().unwrap();
    // The users file of the configuration is relative.
    let script = std::fs::canonicalize("scripts/doctor").unwrap();
    let mut doctor = Command::new(script);
    doctor.env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("HOME", scratch.path("."));
    doctor.current_dir(scratch.path(".")).args(["-p", &port.to_string(), "-c"]).arg(config).stdin(Stdio::null());
    run(&mut doctor, b"")
}

#[test]
fn the_doctor_looks_at_what_the_units_use() {
    let scratch = Scratch::new("doctor");
    let sandbox = Sandbox::start(&scratch, &[]);
    let root = scratch.path("root");
    let (etc, state) = (root.join("etc/prometheus-telegram"), root.join("var/lib/prometheus-telegram"));
    let bin = root.join("opt/bin");
    for directory in [&etc, &state, &bin] {
        std::fs::create_dir_all(directory).unwrap();
    }
    let users = state.join("users.json");
    std::fs::write(&users, r#"{"1": {"match": ["*"], "role": "admin"}}"#).unwrap();
    std::fs::write(etc.join("bot_token"), TOKEN).unwrap();
    let text = json!({"users_file": users, "api_url": sandbox.api}).to_string();
    let config = etc.join("config.json");
    std::fs::write(&config, &text).unwrap();
    let other = scratch.write("other.json", &text);
    // As it is installed: beside the tools, which are in no PATH.
    std::fs::copy("scripts/doctor", bin.join("prometheus-telegram-doctor")).unwrap();
    for tool in ["am-recv", "alert-route", "tg-send", "tg-bot"] {
        std::os::unix::fs::symlink(binary(tool), bin.join(tool)).unwrap();
    }
    let port = free_port().to_string();
    let ask = |options: &[&Path]| {
        let mut doctor = Command::new(bin.join("prometheus-telegram-doctor"));
        doctor.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", scratch.path("home")).env("DESTDIR", &root);
        run(doctor.args(["-p", &port]).args(options), b"")
    };
    for options in [&[][..], &[Path::new("-c"), &config]] {
        let said = ask(options);
        let has = |line: &str| assert!(said.stdout.contains(line), "{line:?} in\n{}", said.stdout);
        has(&format!("am-recv: ok: address 127.0.0.1:{port}\nam-recv: error: am-recv does not answer"));
        has(&format!("tg-send: ok: outbox {}\ntg-send: ok: bot token\n", state.join("outbox.db").display()));
        has(&format!("tg-bot: ok: state {}\n", state.join("bot.db").display()));
        assert_eq!(said.stdout.matches("tg-bot: ok: users file ").count(), 1, "{}", said.stdout);
        assert!(said.stdout.ends_with("doctor: 1 error, 1 warning\n"), "{}", said.stdout);
        assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""), "{}", said.stdout);
    }
    let left: Vec<_> = std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["users.json"], "it leaves nothing behind");
    // Another configuration is another one's.
    let said = ask(&[Path::new("-c"), &other]);
    assert_eq!((said.code, said.stdout.matches("error: no bot token").count()), (Some(2), 2), "{}", said.stdout);
    assert!(!said.stdout.contains(&state.join("outbox.db").display().to_string()), "{}", said.stdout);
    let said = ask(&[Path::new("-c")]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(2), "doctor: error: -c needs a value\n"));
}

#[test]
fn who_does_not_answer_is_named() {
    let scratch = Scratch::new("silent");
    scratch.write("users.json", r#"{"1": "*"}"#);
    let base = json!({"bot_token": TOKEN, "users_file": "users.json", "outbox": scratch.path("outbox.db"),
        "api_url": "http://127.0.0.1:1", "alertmanager_url": "http://u:s3cret@127.0.0.1:1"});
    let with = |pairs: Value| {
        let mut config = base.clone();
        config.as_object_mut().unwrap().extend(pairs.as_object().unwrap().clone());
        config
    };
    let proxy = format!("http://u:{PROXY_PASSWORD}@127.0.0.1:1");
    let (grafana, token) = standin::start(Some(Fault::NoRenderer));
    let sandbox = Sandbox::start(&scratch, &["--token", "1:other", "--oss"]);
    // A password of one letter tells itself if it is taken out of words.
    let short = with(json!({"api_url": "http://api.invalid", "apihelper_proxy": "socks5://u:o@127.0.0.1:1"}));
    let output = check(&scratch, "tg-send", "=online", &short);
    assert!(!output.stderr.contains("(redacted)"), "{}", output.stderr);
    for (tool, config, code, words) in [
        (
            "am-recv",
            base.clone(),
            1,
            &["am-recv does not answer at 127.0.0.1:", "cannot ask Alertmanager at http://127"][..],
        ),
        ("tg-send", base.clone(), 1, &["error: cannot reach Telegram", "hint: does this machine need a proxy"]),
        ("tg-send", with(json!({"apihelper_proxy": proxy})), 1, &["hint: is the proxy http://127.0.0.1:1 up"]),
        // A name that nobody has (RFC 6761), looked up here, by the proxy's own name, and without a proxy.
        (
            "tg-send",
            with(json!({"api_url": "http://api.invalid", "apihelper_proxy": "socks5://u:o@127.0.0.1:1"})),
            1,
            &["error: cannot reach Telegram: ", "hint: with socks5:// this machine", "write socks5h://127.0.0.1:1."],
        ),
        (
            "tg-send",
            with(json!({"apihelper_proxy": "socks5h://u:o@proxy.invalid:1080"})),
            1,
            &["error: cannot reach Telegram: ", "hint: is the name of the proxy socks5h://proxy.invalid:1080 right?"],
        ),
        ("tg-send", with(json!({"api_url": "http://api.invalid"})), 1, &["hint: does this machine need a proxy"]),
        ("tg-send", with(json!({"api_url": grafana.url})), 1, &["something else than the Bot API answers getMe"]),
        ("tg-send", with(json!({"api_url": sandbox.api})), 2, &["Telegram refuses the bot token", "hint: @BotFather"]),
        ("grafana-shot", with(json!({"grafana_url": "http://127.0.0.1:1"})), 1, &["is Grafana running"]),
        (
            "grafana-shot",
            with(json!({"grafana_url": grafana.url, "grafana_token": GRAFANA_TOKEN})),
            1,
            &["ok: Grafana answers", "error: "],
        ),
        (
            "grafana-shot",
            with(json!({"grafana_url": grafana.url, "grafana_token": token})),
            1,
            &["no image renderer is installed"],
        ),
    ] {
        said(&check(&scratch, tool, "=online", &config), code, words);
    }
}
