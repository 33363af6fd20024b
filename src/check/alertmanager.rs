//! The way from Alertmanager to am-recv: does somebody listen, and does Alertmanager know where?

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use serde::Deserialize;
use yaml_rust2::{Yaml, YamlLoader};

use super::Findings;
use super::telegram::without_login;
use crate::config::Config;

/// Both are asked by a person who waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A configuration of Alertmanager and a scrape of am-recv are far smaller.
const LONGEST_ANSWER: u64 = 16 << 20;

const EXAMPLE: &str =
    "receivers: [{name: telegram, webhook_configs: [{url: http://127.0.0.1:8080/, send_resolved: true}]}]";

/// Where am-recv listens, or would.
#[derive(Clone, Debug)]
pub struct Listening {
    /// As given.
    pub host: String,
    /// As given.
    pub port: u16,
    /// The socket came from systemd, so the two above are not used.
    pub passed: Option<SocketAddr>,
}

impl Listening {
    /// Where a client on this machine finds it: the unspecified address is no destination.
    fn address(&self) -> Option<SocketAddr> {
        let mut address = self.passed.or_else(|| (self.host.as_str(), self.port).to_socket_addrs().ok()?.next())?;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip([127, 0, 0, 1].into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip("::1".parse().ok()?),
            _ => {}
        }
        Some(address)
    }
}

/// am-recv and, where it is known, the Alertmanager before it.
pub fn receiver(findings: &mut Findings, config: &Config, at: &Listening) {
    let guarded = config.webhook_token.is_some() || config.webhook_user.is_some();
    let open = at.passed.map_or_else(
        || at.host != "localhost" && !at.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        |address| !address.ip().is_loopback(),
    );
    let shown = at.passed.map_or_else(|| format!("{}:{}", at.host, at.port), |address| address.to_string());
    if open && !guarded {
        findings.warn(
            format!("listening on {shown}: whoever reaches it can send alerts"),
            "set WEBHOOK_TOKEN, or listen on 127.0.0.1",
        );
    } else {
        findings.ok(format!("address {shown}{}", if guarded { ", with credentials" } else { "" }));
    }
    if !findings.online() {
        return;
    }
    let Some(address) = at.address() else {
        return findings.failed(format!("cannot look up {shown}"), "name an address of this machine with -H");
    };
    answering(findings, address);
    match &config.alertmanager_url {
        Some(url) => alertmanager(findings, url, address.port(), guarded),
        None => findings.warn(
            "it is not known where Alertmanager is, so its receivers were not looked at",
            "set ALERTMANAGER_URL, or alertmanager_url in the configuration",
        ),
    }
}

fn get(url: &str) -> Result<String, String> {
    let agent = ureq::Agent::config_builder().proxy(None).timeout_global(Some(PATIENCE)).build().new_agent();
    let answer = agent.get(url).call().map_err(|err| err.to_string().replace(url, &without_login(url)))?;
    answer.into_body().with_config().limit(LONGEST_ANSWER).read_to_string().map_err(|err| err.to_string())
}

/// Counts answers by what am-recv itself says: the one proof that Alertmanager found the way.
fn answering(findings: &mut Findings, address: SocketAddr) {
    let scrape = match get(&format!("http://{address}/metrics")) {
        Ok(text) if text.contains("am_recv_") => text,
        Ok(_) => return findings.failed(format!("something else than am-recv answers at {address}"), "see -p"),
        Err(err) => {
            return findings
                .failed(format!("am-recv does not answer at {address}: {err}"), "is it running? see -H and -p");
        }
    };
    let count = |good: bool| -> u64 {
        let lines = scrape.lines().filter_map(|line| line.strip_prefix("am_recv_http_requests_total{code=\""));
        let lines = lines.filter(|line| line.starts_with('2') == good);
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    let (taken, refused) = (count(true), count(false));
    let words = format!("am-recv answers at {address}: {taken} webhooks taken, {refused} refused");
    match taken == 0 && refused > 0 {
        true => findings.warn(words, "its log says why"),
        false => findings.ok(words),
    }
}

/// The part of `GET /api/v2/status` that is looked at.
#[derive(Deserialize)]
struct Status {
    config: Original,
}

#[derive(Deserialize)]
struct Original {
    original: String,
}

fn alertmanager(findings: &mut Findings, url: &str, port: u16, guarded: bool) {
    let shown = without_login(url);
    let status = get(&format!("{url}/api/v2/status")).and_then(|text| {
        serde_json::from_str::<Status>(&text).map_err(|_| "its answer is none of Alertmanager's".to_owned())
    });
    match status {
        Ok(status) => {
            findings.ok(format!("Alertmanager answers at {shown}"));
            match YamlLoader::load_from_str(&status.config.original) {
                Ok(documents) => webhooks(findings, documents.first().unwrap_or(&Yaml::Null), port, guarded),
                Err(err) => findings.warn(format!("cannot read Alertmanager's configuration: {err}"), ""),
            }
        }
        Err(err) => findings.failed(
            format!("cannot ask Alertmanager at {shown}: {err}"),
            "alertmanager_url is where people reach it; it must be reachable from here too for this check",
        ),
    }
}

/// One `webhook_configs` entry of a receiver.
fn webhooks(findings: &mut Findings, config: &Yaml, port: u16, guarded: bool) {
    let mut routed = Vec::new();
    routes(&config["route"], &mut routed);
    let (mut ours, mut hidden, mut others) = (0, 0, Vec::new());
    // One receiver may do without: that of an alert which always fires.
    let mut tells_the_end = false;
    for receiver in config["receivers"].as_vec().into_iter().flatten() {
        let name = receiver["name"].as_str().unwrap_or_default();
        for webhook in receiver["webhook_configs"].as_vec().into_iter().flatten() {
            // Since 0.26 the address counts as a secret and is not told.
            let is_ours = match webhook["url"].as_str() {
                Some(url) if !url.contains("<secret>") => {
                    if port_of(url) != Some(port) {
                        others.push(without_login(url));
                        continue;
                    }
                    true
                }
                _ => false,
            };
            if is_ours {
                ours += 1
            } else {
                hidden += 1
            }
            let which = format!("receiver {name:?} of Alertmanager");
            if !routed.contains(&name) {
                findings.warn(format!("{which} is in no route"), "name it in route: {receiver: ...}");
            }
            tells_the_end |= webhook["send_resolved"].as_bool() != Some(false);
            let http = &webhook["http_config"];
            if is_ours && guarded && http["authorization"].is_badvalue() && http["basic_auth"].is_badvalue() {
                findings.failed(
                    format!("{which} presents no credentials, and am-recv asks for them"),
                    "http_config: {authorization: {credentials_file: ...}}",
                );
            }
        }
    }
    if ours + hidden > 0 && !tells_the_end {
        findings.warn(
            "Alertmanager's webhooks have send_resolved: false, so nobody is told when an alert is over",
            "set send_resolved: true",
        );
    }
    match (ours, hidden) {
        (0, 0) if others.is_empty() => findings.failed("Alertmanager has no webhook receiver", EXAMPLE),
        (0, 0) => findings.failed(
            format!("no webhook receiver of Alertmanager goes to port {port}, but to {}", others.join(", ")),
            EXAMPLE,
        ),
        (0, _) => findings.ok(format!("Alertmanager has {hidden} webhook receivers; it keeps their addresses secret")),
        _ => findings.ok(format!("Alertmanager sends its webhooks to port {port}")),
    }
}

/// The names of all receivers in a tree of routes.
fn routes<'a>(route: &'a Yaml, names: &mut Vec<&'a str>) {
    names.extend(route["receiver"].as_str());
    for child in route["routes"].as_vec().into_iter().flatten() {
        routes(child, names);
    }
}

fn port_of(url: &str) -> Option<u16> {
    let uri: ureq::http::Uri = url.parse().ok()?;
    uri.port_u16().or(if uri.scheme_str() == Some("https") { Some(443) } else { Some(80) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Scope;

    fn code(config: &str, guarded: bool) -> String {
        let mut findings = Findings::new(Scope::Strict);
        webhooks(&mut findings, &YamlLoader::load_from_str(config).unwrap()[0], 8080, guarded);
        format!("{:?}", findings.end())
    }

    #[test]
    fn receivers_of_alertmanager() {
        let [fine, outside, wrong] = [0_u8, 1, 2].map(|n| format!("{:?}", std::process::ExitCode::from(n)));
        let with = |webhook: &str| {
            format!(
                "route:\n  receiver: a\n  routes:\n  - receiver: t\nreceivers:\n- name: t\n  webhook_configs: {webhook}\n"
            )
        };
        for (webhook, guarded, expected) in [
            ("[{send_resolved: true, url: 'http://localhost:8080/'}]", false, &fine),
            ("[{send_resolved: true, url: <secret>}]", true, &fine),
            ("[{send_resolved: true, url: 'http://localhost:8080/'}]", true, &outside),
            ("[{url: 'http://h:8080/x', http_config: {authorization: {type: Bearer}}}]", true, &fine),
            ("[{send_resolved: false, url: 'http://localhost:8080/'}]", false, &wrong),
            ("[{url: 'http://localhost:9099/'}]", false, &outside),
            ("[]", false, &outside),
        ] {
            assert_eq!(&code(&with(webhook), guarded), expected, "{webhook}");
        }
        let unrouted = with("[{url: 'http://localhost:8080/'}]").replace("- receiver: t", "- receiver: b");
        assert_eq!(code(&unrouted, false), wrong);
    }
}
