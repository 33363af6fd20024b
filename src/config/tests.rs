use super::*;

fn resolve(file: &str, env: &[(&str, &str)]) -> anyhow::Result<Config> {
    let file = serde_json::from_str(file).unwrap();
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Source { file, path: None, env: &env }.resolve()
}

#[test]
fn the_seeds_five_keys_work_as_they_were() {
    let config = resolve(
        r#"{"apihelper_proxy": {"https": "socks5://u:p@h:1080"}, "bot_token": "1:a", "users_file": "users.json",
                "grafana_url": "http://g.example:3000/", "grafana_token": {"Authorization": "Bearer abc"}}"#,
        &[],
    )
    .unwrap();
    assert_eq!(config.proxy.unwrap().expose(), "socks5://u:p@h:1080");
    assert_eq!(config.bot_token.unwrap().expose(), "1:a");
    assert_eq!(config.users_file.unwrap(), Path::new("users.json"));
    assert_eq!(config.grafana_url.unwrap(), "http://g.example:3000");
    assert_eq!(config.grafana_token.unwrap().expose(), "abc");
    assert_eq!(config.api_url, API_URL);
}

#[test]
fn none_is_nothing() {
    let config = resolve(
        r#"{"apihelper_proxy": "None", "bot_token": "None", "grafana_url": "None", "grafana_token": "None"}"#,
        &[],
    )
    .unwrap();
    assert!(config.proxy.is_none() && config.bot_token.is_none());
    assert!(config.grafana_url.is_none() && config.grafana_token.is_none());
}

#[test]
fn environment_stands_before_credentials_before_file() {
    let dir = std::env::temp_dir().join(format!("prometheus-telegram-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("bot_token"), "2:credential\n").unwrap();
    let file = r#"{"bot_token": "3:file"}"#;
    let directory = dir.to_str().unwrap();
    let token = |env: &[(&str, &str)]| resolve(file, env).unwrap().bot_token.unwrap().expose().to_owned();
    assert_eq!(token(&[("TELEGRAM_BOT_TOKEN", "1:env"), ("CREDENTIALS_DIRECTORY", directory)]), "1:env");
    assert_eq!(token(&[("CREDENTIALS_DIRECTORY", directory)]), "2:credential");
    std::fs::write(dir.join("bot_token"), "None").unwrap();
    assert_eq!(token(&[("CREDENTIALS_DIRECTORY", directory)]), "3:file");
    std::fs::write(dir.join("bot_token"), "2:credential\n").unwrap();
    assert_eq!(token(&[]), "3:file");
    let path = dir.join("bot_token");
    let by_file = resolve(&format!(r#"{{"bot_token_file": {:?}}}"#, path), &[]).unwrap();
    assert_eq!(by_file.bot_token.unwrap().expose(), "2:credential");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn watchdogs_by_file_and_environment() {
    let rules = |file: &str, env: &[(&str, &str)]| {
        let rules = resolve(file, env).map_err(|err| err.to_string())?.watchdog;
        Ok::<_, String>(rules.iter().map(|rule| format!("{}={:?}", rule.name, rule.within)).collect::<Vec<_>>())
    };
    let file = r#"{"watchdog": {"Watchdog": "10m", "Other": 90}}"#;
    assert_eq!(rules(file, &[]).unwrap(), ["Other=90s", "Watchdog=600s"]);
    assert_eq!(rules(file, &[("ALERT_WATCHDOG", "A=1m, B=1h")]).unwrap(), ["A=60s", "B=3600s"]);
    for (file, env) in [("{}", &[][..]), (r#"{"watchdog": "None"}"#, &[]), (file, &[("ALERT_WATCHDOG", "None")])] {
        assert_eq!(rules(file, env).unwrap(), <[&str; 0]>::default(), "{file}");
    }
    let wrong = rules(r#"{"watchdog": {"Watchdog": "soon"}}"#, &[]).unwrap_err();
    assert_eq!(wrong, "\"watchdog\": \"soon\" is not a time of a second or more, like 10m");
    assert!(rules(r#"{"watchdog": ["Watchdog"]}"#, &[]).unwrap_err().contains("must be an object"));
    assert!(rules("{}", &[("ALERT_WATCHDOG", "Watchdog")]).unwrap_err().starts_with("ALERT_WATCHDOG: "));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let err = resolve(r#"{"bot_tokn": "x"}"#, &[]).unwrap_err();
    assert_eq!(err.to_string(), "unknown key \"bot_tokn\"");
    let failure = err.downcast_ref::<Failure>().unwrap();
    assert_eq!(failure.advice(), Some("the nearest known key is \"bot_token\""));
}

#[test]
fn a_value_that_cannot_be_used_is_said_with_its_place() {
    for (file, env, why) in [
        (r#"{"language": "de"}"#, None, "\"language\" \"de\" is not known; en and ru are"),
        ("{}", Some(("BOT_LANGUAGE", "de")), "BOT_LANGUAGE \"de\" is not known; en and ru are"),
        (r#"{"alertmanager_url": "am:9093"}"#, None, "\"alertmanager_url\" is not an http or https URL"),
        (r#"{"grafana_url": "/d/x"}"#, None, "\"grafana_url\" is not an http or https URL"),
        (r#"{"api_url": "ftp://x"}"#, None, "\"api_url\" is not an http or https URL"),
        ("{}", Some(("ALERTMANAGER_URL", "am:9093")), "ALERTMANAGER_URL is not an http or https URL"),
        ("{}", Some(("GRAFANA_URL", "u:pw@grafana")), "GRAFANA_URL is not an http or https URL"),
        ("{}", Some(("TELEGRAM_API_URL", "api")), "TELEGRAM_API_URL is not an http or https URL"),
        ("{}", Some(("GRAFANA_ORG", "main")), "GRAFANA_ORG is not an organisation's number"),
        (r#"{"repeat_after": "soon"}"#, None, "\"repeat_after\" \"soon\" is not a time like \"4h\""),
    ] {
        let err = resolve(file, env.as_slice()).unwrap_err().to_string();
        assert!(err.starts_with(why), "{err}");
        assert!(!err.contains("pw"), "{err}");
    }
    for tag in ["en", "ru-RU", "RU", "None"] {
        assert!(resolve("{}", &[("BOT_LANGUAGE", tag)]).is_ok(), "{tag}");
    }
    assert_eq!(resolve(r#"{"grafana_url": "HTTPS://g/"}"#, &[]).unwrap().grafana_url.unwrap(), "HTTPS://g");
}

#[test]
fn a_time_of_a_few_seconds_is_doubted() {
    let config = resolve(r#"{"repeat_after": "4"}"#, &[]).unwrap();
    assert_eq!(config.repeat_after, Some(Duration::from_secs(4)));
    assert_eq!(config.doubts, [r#""repeat_after": "4" is 4 seconds; write "4s" if that is meant, else "4m" or "4h""#]);
    for text in ["4s", "4h", "14400", "0"] {
        assert!(resolve("{}", &[("REPEAT_AFTER", text)]).unwrap().doubts.is_empty(), "{text}");
    }
}

#[test]
fn a_wrong_value_is_not_shown() {
    let err = resolve(r#"{"bot_token": "12:ab cd"}"#, &[]).unwrap_err();
    assert!(!format!("{err:?}").contains("ab cd"), "{err:?}");
}

#[test]
fn durations_as_prometheus_writes_them() {
    for (text, seconds) in [("90", Some(90.0)), ("1h30m", Some(5400.0)), ("500ms", Some(0.5)), ("2d", Some(172800.0))] {
        assert_eq!(duration(text).map(|time| time.as_secs_f64()), seconds, "{text}");
    }
    for text in ["", "h", "1x", "-1", "1h1", "99999999999999999999h", "99999999999999999y"] {
        assert_eq!(duration(text), None, "{text}");
    }
    for text in ["101y", "18446744073709551615ms", "9300000000000000s", "18446744073709551615", "1e19", "inf", "NaN"] {
        assert_eq!((duration(text), seconds(text)), (None, None), "{text}");
    }
    let now = std::time::Instant::now();
    assert!(now.checked_add(duration("100y").unwrap()).is_some());
}
