//! Commands and keyboards in the chat.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use lexopt::prelude::*;
use prometheus_telegram::bot::metrics::Metrics;
use prometheus_telegram::bot::poll::Stop;
use prometheus_telegram::bot::{self, End, Options};
use prometheus_telegram::check;
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::config::Config;
use prometheus_telegram::disk::{self, Lock};
use prometheus_telegram::pacing::Limits;
use prometheus_telegram::telegram::Api;
use prometheus_telegram::{metrics, notice, notify};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const USAGE: &str = "
Usage: tg-bot -c config.json [-u users.json]

Answers people in Telegram: who wants which alerts, and pictures of Grafana's
panels. Writes the users file that alert-route reads. Runs until SIGTERM.

Options:
  -u, --users FILE         the users file; without it users_file of the
                           configuration, or users.json
      --state FILE         what it remembers (SQLite) [default: bot.db in
                           $STATE_DIRECTORY, else
                           ~/.local/state/prometheus-telegram]
      --seen FILE          alerts seen lately, as alert-route --seen keeps them
      --limits C/G/A       messages a second in a chat, a minute in a group, a
                           second in all; 0 is no limit      [default: 1/20/30]
      --delete-webhook     take away a webhook that keeps updates from the bot
      --metrics ADDRESS    serve /metrics there, e.g. 127.0.0.1:9096
      --check[=WORD]       look at configuration and files, say what is wrong,
                           end; strict: a warning is an error; online: ask
                           Telegram and Grafana too
  -c, --config FILE        configuration (JSON)
  -l, --log FILE           write the log to FILE instead of stderr
  -v, --verbose            say more
  -h, --help               print this
  -V, --version            print the version

Environment: TELEGRAM_BOT_TOKEN, TELEGRAM_API_URL, TELEGRAM_PROXY, HTTPS_PROXY,
USERS_FILE, GRAFANA_URL, GRAFANA_TOKEN, BOT_LANGUAGE. There is no option for a
token: ps would show it.

Exit: 0 asked to end; 1 failed; 2 called or configured wrong, the token for
example; 75 another tg-bot works with the same state.

Example:
  TELEGRAM_BOT_TOKEN=... tg-bot -u users.json
";

fn main() -> ExitCode {
    cli::run("tg-bot", USAGE, run)
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let (mut users, mut state, mut seen, mut scraped_on) = (None, None, None, None);
    let (mut limits, mut delete_webhook, mut scope) = (Limits::default(), false, None);
    while let Some(arg) = args.next_arg()? {
        match arg {
            Short('u') | Long("users") => users = Some(PathBuf::from(args.value()?)),
            Long("state") => state = Some(PathBuf::from(args.value()?)),
            Long("seen") => seen = Some(PathBuf::from(args.value()?)),
            Long("limits") => limits = args.told::<Limits>()?,
            Long("metrics") => scraped_on = Some(args.address()?),
            Long("check") => scope = Some(args.scope()?),
            Long("delete-webhook") => delete_webhook = true,
            _ => return Err(arg.unexpected().into()),
        }
    }
    args.start_log()?;
    let config = Config::load(args.config.as_deref())?;
    let users = users.or_else(|| config.users_file.clone()).unwrap_or_else(|| PathBuf::from("users.json"));
    let state = state.map_or_else(|| disk::state_file("bot.db", "--state"), Ok).map_err(Failure::misuse)?;
    if let Some(scope) = scope {
        return Ok(check::tg_bot(scope, args.config.as_deref(), &config, &users, &state));
    }
    let api = Api::new(&config, bot::CONNECTIONS)?;
    let counters = Arc::new(Metrics::default());
    let options = Options { users, state, seen, limits, delete_webhook };
    let lock = Lock::take(&options.state, Some(Duration::from_secs(5)))
        .with_context(|| format!("cannot lock {}", options.state.display()))?;
    let _lock = lock.ok_or_else(|| {
        Failure::temporary(format!("another tg-bot works with {}", options.state.display()))
            .hint("only one program can ask for a bot's updates")
    })?;
    let conversation = bot::prepare(&config, &options, &api, counters.clone())?;
    if let Some(address) = scraped_on {
        let working = counters.clone();
        metrics::listen_while(&address, move || counters.response(), move || working.is_healthy())
            .map_err(Failure::misuse)?;
    }
    let stop = Arc::new(Stop::default());
    stop_when_asked(stop.clone())?;
    notify::ready("asking Telegram for its name");
    match bot::run(conversation, &options, &api, &stop)? {
        End::Asked => Ok(ExitCode::SUCCESS),
        End::Refused(why) => Err(Failure::misuse(format!("Telegram refuses the token: {why}"))
            .hint("take the token from @BotFather once more")
            .into()),
    }
}

fn stop_when_asked(stop: Arc<Stop>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("cannot listen for signals")?;
    thread::spawn(move || {
        for _ in signals.forever() {
            notice!("asked to end: finishing what is under way");
            notify::stopping();
            stop.set();
        }
    });
    Ok(())
}
