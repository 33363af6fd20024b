//! Grafana: address and login, then its version, what the login sees, and whether it can draw.

use super::Findings;
use crate::grafana::{Error, Grafana, Login, Settings};

/// Looks at one Grafana.
pub fn grafana(findings: &mut Findings, settings: &Settings) {
    let grafana = match Grafana::new(settings) {
        Ok(grafana) => grafana,
        Err(err) => return findings.error(&err, err.hint().unwrap_or_default()),
    };
    let login = match &settings.login {
        Login::Token(_) => "with a token".to_owned(),
        Login::Password(user, _) => format!("as {user}"),
        Login::Anonymous => "without a login".to_owned(),
    };
    findings.ok(format!("Grafana {} {login}", grafana.root()));
    if settings.insecure {
        findings.warn("any certificate is trusted (--insecure)", "name the authority's with --cacert");
    }
    if findings.online() {
        ask(findings, &grafana);
    }
}

fn ask(findings: &mut Findings, grafana: &Grafana) {
    let told = |findings: &mut Findings, err: &Error| findings.failed(err, err.hint().unwrap_or_default());
    match grafana.version() {
        Ok(version) => findings.ok(format!("Grafana answers, version {}", version.as_deref().unwrap_or("hidden"))),
        Err(err) => return told(findings, &err),
    }
    match grafana.dashboards() {
        Ok(hits) if hits.is_empty() => findings.warn(
            "this login sees no dashboard",
            "give it the role Viewer, or take a token of the organisation that has them",
        ),
        Ok(hits) => findings.ok(format!("this login sees {} dashboards", hits.len())),
        Err(err) => return told(findings, &err),
    }
    match grafana.renderer() {
        Ok(version) => findings.ok(format!("image renderer {}", version.as_deref().unwrap_or("of unknown version"))),
        Err(err) => told(findings, &err),
    }
}
