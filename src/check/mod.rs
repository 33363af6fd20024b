//! `--check`: the configuration read as the tool would read it, and what was found, one line each.
//!
//! Without a word it needs no network and leaves nothing behind, also beside the running service. `strict` takes
//! warnings for errors; `online` also asks those that the tool will talk to, for people and for `scripts/doctor`. The
//! lines go to the log, because the stdout of a unit is a pipe to the next tool. No secret is in any of them.

mod alertmanager;
mod files;
mod grafana;
mod telegram;

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

use crate::bot::access::{Access, Mode};
use crate::cli::{FAILED, Failure, MISUSED};
use crate::config::{self, Config};
use crate::grafana::Settings;
use crate::record::Chat;
use crate::text::{duration, time_zone};
use crate::users::UsersFile;
use crate::watchdog::Rule;
pub use alertmanager::{Listening, receiver};
pub use files::{outbox, socket, state, users};
pub use grafana::grafana;
pub use telegram::{Session, bot, chats, telegram, webhook};

/// How far a check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What would keep the tool from its work is an error.
    Offline,
    /// Whatever is worth a warning is one as well.
    Strict,
    /// The network is asked too.
    Online,
}

impl Scope {
    /// The word after `--check=`, if there is one.
    pub fn named(word: Option<&str>) -> Result<Self, Failure> {
        match word {
            None => Ok(Scope::Offline),
            Some("strict") => Ok(Scope::Strict),
            Some("online") => Ok(Scope::Online),
            Some(other) => Err(Failure::misuse(format!("there is no --check={other}"))
                .hint("say --check, --check=strict or --check=online")),
        }
    }
}

/// What was found so far, said as it is found.
#[derive(Debug)]
pub struct Findings {
    scope: Scope,
    code: u8,
}

impl Findings {
    /// Nothing yet.
    pub fn new(scope: Scope) -> Self {
        Findings { scope, code: 0 }
    }

    /// Whether the network may be asked.
    pub fn online(&self) -> bool {
        self.scope == Scope::Online
    }

    /// As it should be.
    pub fn ok(&mut self, what: impl Display) {
        log::info!("ok: {what}");
    }

    /// It works, but look.
    pub fn warn(&mut self, what: impl Display, hint: &str) {
        log::warn!("{what}{}", Findings::hint(hint));
        if self.scope == Scope::Strict {
            self.code = MISUSED;
        }
    }

    /// The configuration is wrong.
    pub fn error(&mut self, what: impl Display, hint: &str) {
        log::error!("{what}{}", Findings::hint(hint));
        self.code = MISUSED;
    }

    /// Somebody out there does not answer as they should.
    pub fn failed(&mut self, what: impl Display, hint: &str) {
        log::error!("{what}{}", Findings::hint(hint));
        self.code = self.code.max(FAILED);
    }

    fn hint(hint: &str) -> String {
        if hint.is_empty() { String::new() } else { format!("\nhint: {hint}") }
    }

    /// 0 where nothing is wrong, 2 where the configuration is, 1 where something out there is.
    pub fn end(self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

/// What has been read already: what is doubtful in it, and whether the secrets in the file of `-c` are safe from others.
pub fn configuration(findings: &mut Findings, path: Option<&Path>, config: &Config) {
    for doubt in &config.doubts {
        findings.warn(doubt, "");
    }
    let Some(path) = path else { return };
    let shown = path.display();
    if config::holds_secrets(path) && files::readable_by_all(path) {
        findings.warn(
            format!("configuration {shown} holds secrets, and every user of this machine can read it"),
            &format!("chmod 640 {shown}, or keep them in files of their own (bot_token_file)"),
        );
    } else {
        findings.ok(format!("configuration {shown}"));
    }
}

/// Alerts that must come: named each, and whether there is somebody to be told that one does not.
pub fn watchdogs(findings: &mut Findings, rules: &[Rule], nobody: bool) {
    for rule in rules {
        findings.ok(format!("watchdog {}, every {}", rule.name, duration(rule.within.as_secs())));
    }
    if nobody && !rules.is_empty() {
        let hint = "give a chat of the users file \"role\": \"admin\", or name one in admins of the configuration";
        findings.warn("nobody would be told of a silent Alertmanager: no chat has the role \"admin\"", hint);
    }
}

/// Whether there is somebody to whom the wishes of strangers are put; `known` is the users file, where there is one, and
/// where it can be read.
fn administrators(findings: &mut Findings, access: &Access, known: Option<Option<&UsersFile>>) {
    let is_admin = |file: &UsersFile| file.users.admins.iter().any(|(chat, _)| matches!(chat, Chat::Id(_)));
    let has_admin = known.is_some_and(|file| file.is_none_or(is_admin));
    if access.mode == Mode::Invite && access.admins.is_empty() && !has_admin {
        findings.warn(
            "there is no administrator yet, so nobody new is let in",
            "the log of tg-bot holds a code: send it to the bot as /start CODE; or name an id in admins of the configuration",
        );
    }
}

/// All that tg-bot needs: token, users file, state, and Grafana where one is named.
pub fn tg_bot(scope: Scope, path: Option<&Path>, config: &Config, users: &Path, state: &Path) -> ExitCode {
    let mut findings = Findings::new(scope);
    configuration(&mut findings, path, config);
    files::state(&mut findings, "state", state);
    let writable = files::writable(&mut findings, "users file", users);
    if let Err(err) = time_zone(config.time_zone.as_deref()) {
        findings.error(err, "say an IANA name such as Europe/Berlin or UTC");
    }
    let known = users.exists().then(|| UsersFile::open(users));
    match &known {
        Some(Ok(file)) => self::users(&mut findings, users, &file.users),
        Some(Err(err)) => findings.error(err, "mend it by hand, or put it aside: it is not overwritten"),
        None if writable => {
            findings.ok(format!("users file {}: not there yet, made when somebody is let in", users.display()))
        }
        None => {}
    }
    match Access::new(config) {
        Ok(access) => {
            findings.ok(format!("let in: {}", access.mode));
            administrators(&mut findings, &access, known.as_ref().map(|known| known.as_ref().ok()));
        }
        Err(err) => findings.error(err, ""),
    }
    match (&config.grafana_url, Settings::from_config(config)) {
        (None, _) => findings.ok("no Grafana, so no pictures"),
        (_, Ok(settings)) => grafana(&mut findings, &settings),
        (_, Err(err)) => findings.error(&err, err.advice().unwrap_or_default()),
    }
    let Some(session) = telegram(&mut findings, config).filter(|_| findings.online()) else { return findings.end() };
    if bot(&mut findings, &session).is_some() {
        webhook(&mut findings, &session);
        if let Some(Ok(file)) = &known {
            chats(&mut findings, &session, &file.users);
        }
    }
    findings.end()
}
