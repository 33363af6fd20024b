//! Records in, messages in Telegram out.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use lexopt::prelude::*;
use prometheus_telegram::ack::Acks;
use prometheus_telegram::check::{self, Findings, Scope};
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::config::Config;
use prometheus_telegram::delivery::{self, Batch, Delivery, End, Event, Metrics, Options};
use prometheus_telegram::disk::{self, Lock};
use prometheus_telegram::outbox::Outbox;
use prometheus_telegram::pacing::Limits;
use prometheus_telegram::record::Chat;
use prometheus_telegram::telegram::Api;
use prometheus_telegram::{desk, metrics, notice, notify};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const USAGE: &str = "
Usage: am-recv | alert-route ... | tg-send [--outbox FILE] [--ack SOCKET]
       COMMAND | tg-send --chat CHAT [--silent] [--thread N] [--photo FILE]

Reads records, one a line, keeps them in an outbox on disk, and sends them to
Telegram: in order within a chat, each (chat, key) once, never faster than
Telegram allows. Runs until stdin ends and everything is told.

Options:
      --outbox FILE        the queue (SQLite) [default: outbox.db in
                           $STATE_DIRECTORY, else
                           ~/.local/state/prometheus-telegram]
      --ack SOCKET         tell am-recv which webhooks are on disk
      --repeat-after TIME  tell an alert again that was told so long ago (4h);
                           without it Alertmanager's reminders are not told
      --remember TIME      forget what was told or failed before  [default: 30d]
      --timeout SECS       after stdin has ended, give up then; the rest stays
                           in the outbox
      --at-most-once       never send a second time what may have arrived
      --connections N      calls at a time                   [default: 8]
      --limits C/G/A       messages a second in a chat, a minute in a group, a
                           second in all; 0 is no limit      [default: 1/20/30]
      --metrics ADDRESS    serve /metrics there, e.g. 127.0.0.1:9095
      --check[=WORD]       look at configuration and outbox, say what is wrong,
                           end; strict: a warning is an error; online: ask
                           Telegram too
  -c, --config FILE        configuration (JSON)
  -l, --log FILE           write the log to FILE instead of stderr
  -v, --verbose            say more
  -h, --help               print this
  -V, --version            print the version

By hand:
      --chat CHAT          send stdin as plain text to this chat: id or @channel
      --thread N           ... into this topic
      --silent             ... without a sound
      --pre                ... in a fixed-width font
      --photo FILE         ... under this picture
      --document FILE      ... under this file

Looking after the outbox, also while another tg-send works on it:
      --status             say how it stands
      --failed             list what could not be told, and why
      --retry-failed       put that back into the queue, and end
      --forget-failed      forget that, and end

Environment: TELEGRAM_BOT_TOKEN, TELEGRAM_API_URL, TELEGRAM_PROXY, HTTPS_PROXY,
TG_SEND_OUTBOX, REPEAT_AFTER. There is no option for the token: ps would show
it.

Exit: 0 everything was told; 1 something was set aside, or failed; 2 called or
configured wrong, the token for example; 75 something still waits.

Example:
  df -h | tg-send --chat 123456789 --pre
";

fn main() -> ExitCode {
    cli::run("tg-send", USAGE, run)
}

enum Mode {
    Deliver,
    Check(Scope),
    Status,
    Failed,
    Retry,
    Forget,
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let (mut file, mut ack, mut repeat_after, mut scraped_on, mut mode) = (None, None, None, None, Mode::Deliver);
    let mut note = desk::Note::default();
    let mut options = Options {
        limits: Limits::default(),
        connections: 8,
        remember: Duration::from_secs(30 * 86_400),
        at_most_once: false,
        timeout: None,
        quiet: false,
    };
    while let Some(arg) = args.next_arg()? {
        match arg {
            Long("outbox") => file = Some(PathBuf::from(args.value()?)),
            Long("ack") => ack = Some(PathBuf::from(args.value()?)),
            Long("repeat-after") => repeat_after = Some(args.time()?),
            Long("remember") => options.remember = args.time()?,
            Long("timeout") => options.timeout = Some(args.seconds()?),
            Long("at-most-once") => options.at_most_once = true,
            Long("connections") => options.connections = args.parse::<usize>("a number of calls")?.clamp(1, 64),
            Long("limits") => options.limits = args.told::<Limits>()?,
            Long("metrics") => scraped_on = Some(args.address()?),
            Long("chat") => note.chat = Some(chat(args)?),
            Long("thread") => note.thread = Some(args.parse("the number of a topic")?),
            Long("silent") => note.silent = true,
            Long("pre") => note.pre = true,
            Long("photo") => note.photo = Some(args.text()?),
            Long("document") => note.document = Some(args.text()?),
            Long("check") => mode = Mode::Check(args.scope()?),
            Long("status") => mode = Mode::Status,
            Long("failed") => mode = Mode::Failed,
            Long("retry-failed") => mode = Mode::Retry,
            Long("forget-failed") => mode = Mode::Forget,
            _ => return Err(arg.unexpected().into()),
        }
    }
    args.start_log()?;
    let config = Config::load(args.config.as_deref())?;
    let path = match file.or(config.outbox.clone()) {
        Some(path) => path,
        None => disk::state_file("outbox.db", "--outbox").map_err(Failure::misuse)?,
    };
    if let Mode::Check(scope) = mode {
        return Ok(look(scope, args, &config, &path));
    }
    for doubt in &config.doubts {
        log::warn!("{doubt}");
    }
    let open = || {
        Outbox::open(&path, repeat_after.or(config.repeat_after))
            .with_context(|| format!("cannot open outbox {}", path.display()))
    };
    match mode {
        Mode::Status => return desk::status(&open()?, io::stdout()),
        Mode::Failed => return desk::failed(&open()?, io::stdout()),
        Mode::Retry => return desk::retry_failed(&mut open()?, io::stdout()),
        Mode::Forget => return desk::forget_failed(&mut open()?, io::stdout()),
        Mode::Deliver | Mode::Check(_) => {}
    }
    let api = Api::new(&config, options.connections)?;
    let batch = note.batch(io::stdin())?;
    // Cron mails what a job says: by hand it says what goes wrong.
    let quiet = batch.is_some();
    options.quiet = quiet;
    let _lock = lock(&path, options.timeout)?;
    let acks = ack.map(|path| Acks::new(&path)).transpose().context("cannot make a socket")?;
    let (sender, events) = delivery::events();
    let counters = Arc::new(Metrics::default());
    if let Some(address) = scraped_on {
        let scraped = counters.clone();
        metrics::listen(&address, move || scraped.response()).map_err(Failure::misuse)?;
    }
    let mut delivery = Delivery::new(open()?, api, options, acks, counters, sender.clone())?;
    delivery.share_pace(&path);
    finish_when_asked(sender.clone())?;
    thread::spawn(move || read(batch, &sender));
    match quiet {
        true => log::debug!("outbox {}", path.display()),
        false => notice!("outbox {}", path.display()),
    }
    notify::ready("the outbox is open");
    Ok(match delivery.run(&events)? {
        End::Told | End::Terminated => ExitCode::SUCCESS,
        End::SomeFailed(n) => {
            let failure = Failure::new(cli::FAILED, format!("{n} records could not be told and were set aside"));
            return Err(failure
                .hint("tg-send --failed lists them, --retry-failed tries again, --forget-failed forgets")
                .into());
        }
        End::SomeWait(n) => {
            return Err(Failure::temporary(format!("{n} records still wait; they stay in the outbox")).into());
        }
    })
}

fn look(scope: Scope, args: &Args, config: &Config, outbox: &Path) -> ExitCode {
    let mut findings = Findings::new(scope);
    check::configuration(&mut findings, args.config.as_deref(), config);
    check::outbox(&mut findings, outbox);
    if let Some(session) = check::telegram(&mut findings, config).filter(|_| findings.online()) {
        check::bot(&mut findings, &session);
    }
    findings.end()
}

fn chat(args: &mut Args) -> anyhow::Result<String> {
    let given = args.text()?;
    if Chat::parse(&given).is_none() {
        return Err(args.wrong(&given, "a chat: neither a number nor an @channel"));
    }
    Ok(given)
}

/// One process at a time delivers from an outbox.
fn lock(path: &Path, timeout: Option<Duration>) -> anyhow::Result<Lock> {
    let context = || format!("cannot lock outbox {}", path.display());
    if let Some(lock) = Lock::take(path, Some(Duration::ZERO)).with_context(context)? {
        return Ok(lock);
    }
    notice!("another tg-send works on {}: waiting for its end", path.display());
    notify::status("waiting for another tg-send that works on the outbox");
    let lock = Lock::take(path, timeout).with_context(context)?;
    lock.ok_or_else(|| Failure::temporary("another tg-send still works on the outbox; nothing was read").into())
}

fn read(batch: Option<Batch>, events: &SyncSender<Event>) {
    match batch {
        None => delivery::read(io::stdin(), events),
        Some(batch) => {
            let _ = events.send(Event::Intake(batch));
            let _ = events.send(Event::Ended(Ok(())));
        }
    }
}

fn finish_when_asked(events: SyncSender<Event>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            notice!("asked to end: finishing what is in flight");
            notify::stopping();
            let _ = events.send(Event::Terminate);
        }
    });
    Ok(())
}
