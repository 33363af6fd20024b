//! Lines of webhooks in, records for chats out.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use lexopt::prelude::*;
use prometheus_telegram::check::{self, Findings, Scope};
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::config::Config;
use prometheus_telegram::lines::{Line, Lines};
use prometheus_telegram::route::{Metrics, Options, Station};
use prometheus_telegram::text::{DEFAULT_TEMPLATE, Words, time_zone};
use prometheus_telegram::users::UsersFile;
use prometheus_telegram::watchdog::{self, Rule};
use prometheus_telegram::{metrics, notify};

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
      --seen FILE       keep the alerts seen lately there, for tg-bot
      --watchdog NAME=TIME
                        tell the administrators when the alert NAME, which
                        must always fire, has not come for TIME (10m); may
                        be given more than once
      --metrics ADDRESS serve /metrics there, e.g. 127.0.0.1:9097
      --check[=WORD]    look at users file and template, say what is wrong, end;
                        strict: a warning is an error; online: the same
      --explain         do not write records: say who gets what, and why
  -c, --config FILE     configuration (JSON)
  -l, --log FILE        write the log to FILE instead of stderr
  -v, --verbose         say more
  -h, --help            print this
  -V, --version         print the version

Environment: USERS_FILE, ALERT_TEMPLATE, ALERT_TIME_ZONE, ALERT_WATCHDOG
(Watchdog=10m,Other=1h), ALERTMANAGER_URL

Exit: 0 all input handled; 1 failed; 2 called or configured wrong.

Example, replaying what was kept of a night:
  alert-route -u users.json --explain < log.jsonl
";

fn main() -> ExitCode {
    cli::run("alert-route", USAGE, run)
}

enum Mode {
    Route,
    Check(Scope),
    Explain,
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let (mut users, mut template, mut scraped_on, mut mode) = (None, None, None, Mode::Route);
    let mut options = Options::default();
    while let Some(arg) = args.next_arg()? {
        match arg {
            Short('u') | Long("users") => users = Some(PathBuf::from(args.value()?)),
            Short('t') | Long("template") => template = Some(PathBuf::from(args.value()?)),
            Long("ack") => options.ack = true,
            Long("seen") => options.seen = Some(PathBuf::from(args.value()?)),
            Long("watchdog") => options.watchdogs.push(watchdog(args)?),
            Long("metrics") => scraped_on = Some(args.address()?),
            Long("check") => mode = Mode::Check(args.scope()?),
            Long("explain") => mode = Mode::Explain,
            _ => return Err(arg.unexpected().into()),
        }
    }
    args.start_log()?;
    let config = Config::load(args.config.as_deref())?;
    let path = users.or_else(|| config.users_file.clone());
    let path =
        path.ok_or_else(|| Failure::misuse("no users file").hint("name it with -u, USERS_FILE or users_file"))?;
    let zone = time_zone(config.time_zone.as_deref()).map_err(Failure::misuse)?;
    let template = template.or_else(|| config.template.clone());
    let alertmanager = config.alertmanager_url.clone();
    let words = match template {
        None => Words::new("default template", DEFAULT_TEMPLATE.to_owned(), zone, alertmanager),
        Some(path) => Words::new(&path.display().to_string(), read_template(&path)?, zone, alertmanager),
    }
    .map_err(|err| Failure::misuse(format!("cannot use template {err}")))?;
    let users = open_users(&path)?;
    options.admins.clone_from(&config.admins);
    if options.watchdogs.is_empty() {
        options.watchdogs.clone_from(&config.watchdog);
    }
    if let Some(name) = watchdog::named_twice(&options.watchdogs) {
        return Err(Failure::misuse(format!("watchdog {name:?} is named twice")).into());
    }
    match mode {
        Mode::Check(scope) => {
            let mut findings = Findings::new(scope);
            check::configuration(&mut findings, args.config.as_deref(), &config);
            check::users(&mut findings, &path, &users.users);
            if let Some(seen) = &options.seen {
                check::state(&mut findings, "file of alerts seen", seen);
            }
            let nobody = options.admins.is_empty() && users.users.admins.is_empty();
            check::watchdogs(&mut findings, &options.watchdogs, nobody);
            findings.ok("template and time zone");
            Ok(findings.end())
        }
        Mode::Explain => {
            options.seen = None;
            let mut station = Station::new(users, words, options, Arc::default(), Timestamp::now());
            for_each_line(|line| Ok(station.explain(text_of(line)?, Timestamp::now())?))
        }
        Mode::Route => serve(users, words, options, scraped_on.as_deref()),
    }
}

fn open_users(path: &Path) -> Result<UsersFile, Failure> {
    UsersFile::open(path).map_err(|err| {
        let failure = Failure::misuse(err);
        if path.exists() {
            return failure;
        }
        failure.hint(format!("echo '{{\"123456789\": \"*\"}}' > {}, or let tg-bot make it", path.display()))
    })
}

fn watchdog(args: &mut Args) -> anyhow::Result<Rule> {
    let given = args.text()?;
    let rule = given.parse().map_err(|why: String| args.refused(why))?;
    args.doubt(given.rsplit('=').next().unwrap_or_default());
    Ok(rule)
}

fn read_template(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .map_err(|err| Failure::misuse(format!("cannot read template {}: {err}", path.display())))
}

/// Routes lines until stdin ends. Another thread sees time pass, so that reading need not know of it.
fn serve(users: UsersFile, words: Words, options: Options, scraped_on: Option<&str>) -> anyhow::Result<ExitCode> {
    let metrics = Arc::new(Metrics::default());
    let needs_time = options.seen.is_some() || !options.watchdogs.is_empty() || scraped_on.is_some();
    let station = Station::new(users, words, options, metrics.clone(), Timestamp::now());
    let every = station.tick_every();
    let station = Arc::new(Mutex::new(station));
    if let Some(address) = scraped_on {
        metrics::listen(address, move || metrics.response()).map_err(Failure::misuse)?;
    }
    // In a FIFO that outlives its writers the last one may have left half a line.
    write(b"\n").context("cannot write to stdout")?;
    if needs_time {
        let station = station.clone();
        thread::spawn(move || pass_time(&station, every));
    }
    notify::ready(&lock(&station).status());
    let code = for_each_line(|line| {
        let mut station = lock(&station);
        let text = text_of(line).inspect_err(|_| station.bad_line())?;
        Ok(station.line(text, Timestamp::now())?)
    })?;
    // Held to the end, so that the other thread begins no record that it could not finish.
    let mut station = lock(&station);
    if let Some(Err(reason)) = station.save(true).map(|save| save.write()) {
        log::warn!("{reason}");
    }
    std::mem::forget(station);
    Ok(code)
}

fn text_of(line: Line<'_>) -> anyhow::Result<&[u8]> {
    match line {
        Line::Text(text) => Ok(text),
        Line::TooLong => Err(anyhow::anyhow!("the line is too long")),
    }
}

fn lock(station: &Mutex<Station>) -> MutexGuard<'_, Station> {
    station.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass_time(station: &Mutex<Station>, every: Duration) {
    let mut is_warned = false;
    loop {
        let save = {
            // While the next stage takes nothing, no line is read, and nobody's silence is counted.
            let mut stdout = io::stdout().lock();
            let mut station = lock(station);
            let text = station.tick(Timestamp::now());
            if !text.is_empty()
                && let Err(err) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
            {
                log::error!("cannot write to stdout: {err}");
            }
            station.save(false)
        };
        // A disk that hangs holds up nobody.
        if let Some(save) = save {
            match save.write() {
                Ok(()) => is_warned = false,
                Err(reason) if !is_warned => {
                    log::warn!("{reason}");
                    is_warned = true;
                }
                Err(_) => {}
            }
        }
        thread::sleep(every);
    }
}

/// Whole lines at a time: two threads write.
fn write(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines).and_then(|()| stdout.flush())
}

/// Writes what `work` makes of each line. Output is kept while more input is already here, and no longer.
fn for_each_line(mut work: impl FnMut(Line<'_>) -> anyhow::Result<String>) -> anyhow::Result<ExitCode> {
    const KEEP: usize = 64 * 1024;
    let mut output = Vec::new();
    let mut lines = Lines::new(io::stdin().lock());
    loop {
        if !lines.has_line() || output.len() > KEEP {
            write(&output).context("cannot write to stdout")?;
            output.clear();
        }
        let Some(line) = lines.next_line().context("cannot read stdin")? else { break };
        match work(line) {
            Ok(text) => output.extend_from_slice(text.as_bytes()),
            Err(err) => log::warn!("stdin:{}: skipped: {err:#}", lines.number()),
        }
    }
    write(&output).context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}
