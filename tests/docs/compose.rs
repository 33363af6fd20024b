//! The containers of `example_config/compose.yaml`: what the alerting rules ask for is scraped there, Alertmanager's sign
//! of life is one, and the entrypoint serves what is scraped.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use yaml_rust2::{Yaml, YamlLoader};

use crate::harness::*;
use crate::watching::{RULES, names_in};

fn compose() -> Yaml {
    let text = std::fs::read_to_string("example_config/compose.yaml").unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

/// A configuration that stands in the file.
fn content(name: &str) -> String {
    compose()["configs"][name]["content"].as_str().unwrap_or_else(|| panic!("no content of {name}")).to_owned()
}

fn names(list: &Yaml, name: &str) -> BTreeSet<String> {
    list.as_vec().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
}

/// Jobs of Prometheus, and the one target of each.
fn jobs() -> BTreeMap<String, String> {
    let config = YamlLoader::load_from_str(&content("prometheus")).unwrap().remove(0);
    let jobs = config["scrape_configs"].as_vec().unwrap().iter().map(|job| {
        let target = job["static_configs"][0]["targets"][0].as_str().unwrap();
        (job["job_name"].as_str().unwrap().to_owned(), target.to_owned())
    });
    jobs.collect()
}

#[test]
fn every_metric_of_the_rules_is_scraped() {
    let jobs = jobs();
    for metric in names_in(&std::fs::read_to_string(RULES).unwrap()) {
        let tool = metric.splitn(3, '_').take(2).collect::<Vec<_>>().join("-");
        assert!(jobs.contains_key(&tool), "{metric} of {RULES} is not scraped: {jobs:?}");
    }
    let rules = std::fs::read_to_string(RULES).unwrap();
    let mut named = rules.split("job=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).peekable();
    assert!(named.peek().is_some());
    assert!(named.all(|job| jobs.contains_key(job)), "a job of {RULES} is not one of {jobs:?}");
    if !Path::new("/usr/bin/promtool").exists() {
        return say("SKIPPED: no promtool; Debian's package prometheus has it");
    }
    let scratch = Scratch::new("compose-prometheus");
    scratch.write("prometheus-telegram.rules.yml", &std::fs::read_to_string(RULES).unwrap());
    let config = scratch.write("prometheus.yml", &content("prometheus"));
    let said = run(Command::new("promtool").args(["check", "config"]).arg(config), b"");
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn its_alertmanager_sends_the_watchdog_where_it_is_waited_for() {
    let options = compose()["services"]["alerts"]["environment"]["ALERT_ROUTE_OPTIONS"].as_str().unwrap().to_owned();
    assert!(options.contains("--watchdog Watchdog="), "{options}");
    let config = YamlLoader::load_from_str(&content("alertmanager")).unwrap().remove(0);
    assert_eq!(names(&config["receivers"], "name"), ["telegram", "telegram-watchdog"].map(str::to_owned).into());
    let example = YamlLoader::load_from_str(&std::fs::read_to_string("example_config/alertmanager.yml").unwrap());
    assert_eq!(config["route"], example.unwrap().remove(0)["route"], "as in alertmanager.yml");
    let scratch = Scratch::new("compose-alertmanager");
    let path = scratch.write("alertmanager.yml", &content("alertmanager"));
    if Command::new("amtool").arg("--version").output().is_err() {
        return say("SKIPPED: no amtool; Debian's package prometheus-alertmanager has it");
    }
    let checked = run(Command::new("amtool").arg("check-config").arg(&path), b"");
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for (alert, receiver) in [("Watchdog", "telegram-watchdog"), ("TelegramPipelineDown", "telegram")] {
        let mut amtool = Command::new("amtool");
        amtool.args(["config", "routes", "test"]).arg(format!("--config.file={}", path.display()));
        let said = run(amtool.arg(format!("alertname={alert}")), b"");
        assert_eq!(said.stdout.trim(), receiver, "{alert}: {said:?}");
    }
}

/// The bot reads what alert-route keeps, so both must name one file on the volume that both have.
#[test]
fn the_bot_reads_what_was_seen() {
    let compose = compose();
    let (alerts, bot) = (&compose["services"]["alerts"], &compose["services"]["bot"]);
    assert_eq!(alerts["volumes"], bot["volumes"]);
    let options = alerts["environment"]["ALERT_ROUTE_OPTIONS"].as_str().unwrap();
    let kept = options.split("--seen ").nth(1).unwrap().split(' ').next().unwrap();
    let words: Vec<&str> = bot["command"].as_vec().unwrap().iter().filter_map(Yaml::as_str).collect();
    assert!(words.windows(2).any(|two| two == ["--seen", kept]), "{words:?}");
    let place = alerts["volumes"][0].as_str().unwrap().split(':').nth(1).unwrap();
    assert!(kept.starts_with(place), "{kept} is not below {place}");
}

/// The tools behind a shell, which goes first when a test fails.
struct Group(u32);

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0);
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    }
}

#[test]
fn the_entrypoint_serves_what_is_scraped() {
    let jobs = jobs();
    // Where it listens unless it is told otherwise is where Prometheus asks.
    let entrypoint = std::fs::read_to_string("scripts/entrypoint").unwrap();
    for (job, variable) in [("am-recv", "PORT"), ("tg-send", "METRICS_PORT"), ("alert-route", "ROUTE_METRICS_PORT")] {
        let port = jobs[job].strip_prefix("alerts:").unwrap();
        assert!(entrypoint.contains(&format!("{variable}=${{{variable}:-{port}}}")), "{job}: {}", jobs[job]);
    }
    let scratch = Scratch::new("entrypoint");
    let sandbox = Sandbox::start(&scratch, &[]);
    let options = compose()["services"]["alerts"]["environment"]["ALERT_ROUTE_OPTIONS"].as_str().unwrap().to_owned();
    let state = scratch.path("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("users.json"), r#"{"1": "*"}"#).unwrap();
    let ports: BTreeMap<&str, String> = ["PORT", "METRICS_PORT", "ROUTE_METRICS_PORT"]
        .into_iter()
        .map(|name| (name, free_port().to_string()))
        .collect();
    let mut command = Command::new("scripts/entrypoint");
    let bin = Path::new(binary("am-recv")).parent().unwrap();
    command.env_clear().env("PATH", format!("{}:/usr/bin:/bin", bin.display())).envs(&ports);
    command.env("STATE_DIRECTORY", &state).env("USERS_FILE", state.join("users.json"));
    command.env("ALERT_ROUTE_OPTIONS", options.replace("/var/lib/prometheus-telegram", state.to_str().unwrap()));
    command.env("TELEGRAM_BOT_TOKEN", TOKEN).env("TELEGRAM_API_URL", &sandbox.api);
    let mut pipe = Process::start(&scratch, "entrypoint", command.stdin(Stdio::null()).process_group(0));
    let _group = Group(pipe.child.id());
    let scrape = |port: &String| -> Option<String> {
        ureq::get(format!("http://127.0.0.1:{port}/metrics")).call().ok()?.body_mut().read_to_string().ok()
    };
    let scrape_all = || ports.values().map(scrape).collect::<Option<String>>();
    until("three programs that are scraped", scrape_all);
    assert_eq!(post(&format!("http://127.0.0.1:{}/", ports["PORT"]), &webhook(&["Watchdog", "AlertOfACompose"])), 200);
    let told = until("the alert", || sandbox.texts(1).first().cloned());
    assert!(told.contains("AlertOfACompose") && !told.contains("Watchdog"), "that all is well is nobody's: {told}");
    // A family that has counted nothing yet is not served.
    for name in names_in(&std::fs::read_to_string(RULES).unwrap()).iter().filter(|name| !name.starts_with("tg_bot")) {
        let family = format!("# TYPE {} ", name.strip_suffix("_total").unwrap_or(name));
        until(name, || scrape_all()?.contains(&family).then_some(()));
    }
    until("the file of alerts seen", || state.join("seen.json").exists().then_some(()));
    pipe.terminate();
    assert!(pipe.wait().success(), "{}", pipe.log());
}
