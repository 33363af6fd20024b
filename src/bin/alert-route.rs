//! Lines of webhooks in, records for chats out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use jiff::Timestamp;
use lexopt::prelude::*;
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::config::Config;
use prometheus_telegram::lines::{Line, Lines};
use prometheus_telegram::notice;
use prometheus_telegram::route::{explain, route};
use prometheus_telegram::text::{DEFAULT_TEMPLATE, Words, time_zone};
use prometheus_telegram::users::{Refresh, UsersFile};

const USAGE: &str = "
Usage: am-recv -p 8080 | alert-route -u users.json [--ack] | tg-send

Reads webhooks of Alertmanager, one a line, matches every alert by itself
against the users file, and writes a record for each chat that wants it.
The users file is read again when it changes.

Options:
  -u, --users FILE      who wants what: {\"<chat id>\": \"<regexp>\"}
  -t, --template FILE   Jinja template of an alert's text, in Telegram's HTML
      --ack             end the records of each line with an ack record, for
                        am-recv and tg-send that were given --ack SOCKET
      --check           check users file and template, say what is wrong, end
      --explain         do not write records: say who gets what, and why
  -c, --config FILE     configuration (JSON)
  -l, --log FILE        write the log to FILE instead of stderr
  -v, --verbose         say more
  -h, --help            print this
  -V, --version         print the version

Environment: USERS_FILE, ALERT_TEMPLATE, ALERT_TIME_ZONE, ALERTMANAGER_URL

Exit: 0 all input handled; 1 failed; 2 called or configured wrong.

Example, replaying what was kept of a night:
  alert-route -u users.json --explain < log.jsonl
";

fn main() -> ExitCode {
    cli::run("alert-route", USAGE, run)
}

enum Mode {
    Route,
    Check,
    Explain,
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let (mut users, mut template, mut ack, mut mode) = (None, None, false, Mode::Route);
    while let Some(arg) = args.next_arg()? {
        match arg {
            Short('u') | Long("users") => users = Some(PathBuf::from(args.value()?)),
            Short('t') | Long("template") => template = Some(PathBuf::from(args.value()?)),
            Long("ack") => ack = true,
            Long("check") => mode = Mode::Check,
            Long("explain") => mode = Mode::Explain,
            _ => return Err(arg.unexpected().into()),
        }
    }
    args.start_log()?;
    let config = Config::load(args.config.as_deref())?;
    let users = users.or(config.users_file).ok_or_else(|| Failure::misuse("no users file").hint("name it with -u"))?;
    let zone = time_zone(config.time_zone.as_deref()).map_err(Failure::misuse)?;
    let words = match template.or(config.template) {
        None => Words::new("default template", DEFAULT_TEMPLATE.to_owned(), zone, config.alertmanager_url),
        Some(path) => Words::new(&path.display().to_string(), read_template(&path)?, zone, config.alertmanager_url),
    }
    .map_err(|err| Failure::misuse(format!("cannot use template {err}")))?;
    let users = UsersFile::open(&users).map_err(Failure::misuse)?;
    for warning in &users.users.warnings {
        log::warn!("{warning}");
    }
    match mode {
        Mode::Check if users.users.warnings.is_empty() => Ok(ExitCode::SUCCESS),
        Mode::Check => Err(Failure::misuse("the users file has entries that cannot be used").into()),
        Mode::Explain => for_each_line(users, false, |line, users| Ok(explain(line, users, Timestamp::now())?)),
        Mode::Route => for_each_line(users, true, |line, users| {
            let routed = route(line, users, &words, Timestamp::now())?;
            for warning in &routed.warnings {
                log::warn!("{warning}");
            }
            log::debug!("routed id={} records={}", routed.ack.digest.short(), routed.records.len());
            let mut text = String::new();
            for record in &routed.records {
                text.push_str(&serde_json::to_string(record).context("cannot write a record")?);
                text.push('\n');
            }
            if ack {
                text.push_str(&routed.ack.to_line());
                text.push('\n');
            }
            Ok(text)
        }),
    }
}

fn read_template(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|err| Failure::misuse(format!("cannot read template {}: {err}", path.display())))
}

/// Writes what `work` makes of each line. Output is kept while more input is already here, and no longer.
fn for_each_line(
    mut users: UsersFile,
    records: bool,
    work: impl Fn(&[u8], &prometheus_telegram::users::Users) -> anyhow::Result<String>,
) -> anyhow::Result<ExitCode> {
    const KEEP: usize = 64 * 1024;
    let mut lines = Lines::new(io::stdin().lock());
    // In a FIFO that outlives its writers the last one may have left half a line.
    let mut output = if records { b"\n".to_vec() } else { Vec::new() };
    let mut stdout = io::stdout().lock();
    loop {
        if !lines.has_line() || output.len() > KEEP {
            stdout.write_all(&output).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
            output.clear();
        }
        let Some(line) = lines.next_line().context("cannot read stdin")? else { break };
        refresh(&mut users);
        let result = match line {
            Line::Text(text) => work(text, &users.users),
            Line::TooLong => Err(anyhow::anyhow!("the line is too long")),
        };
        match result {
            Ok(text) => output.extend_from_slice(text.as_bytes()),
            Err(err) => log::warn!("stdin:{}: skipped: {err:#}", lines.number()),
        }
    }
    stdout.write_all(&output).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

fn refresh(users: &mut UsersFile) {
    match users.refresh() {
        Refresh::Same => {}
        Refresh::Reloaded => {
            notice!("users file read again: {} chats", users.users.chats.len());
            for warning in &users.users.warnings {
                log::warn!("{warning}");
            }
        }
        Refresh::Kept(reason) => log::error!("{reason}; the users as they were stay in force"),
    }
}
