//! Commands and keyboards in the chat.

use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::prelude::*;
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::pacing::Limits;

const USAGE: &str = "
Usage: tg-bot -c config.json [-u users.json]

Answers people in Telegram: who wants which alerts, and pictures of Grafana's
panels. Writes the users file that alert-route reads. Runs until SIGTERM.

Options:
  -u, --users FILE         the users file   [default: users_file of the
                           configuration, else users.json]
      --state FILE         what it remembers (SQLite)     [default: bot.db in
                           $STATE_DIRECTORY, else ~/.local/state/prometheus-telegram]
      --seen FILE          alerts seen lately, as alert-route --seen keeps them
      --limits C/G/A       messages a second in a chat, a minute in a group, a
                           second in all; 0 is no limit      [default: 1/20/30]
      --metrics ADDRESS    serve /metrics there, e.g. 127.0.0.1:9096
  -c, --config FILE        configuration (JSON)
  -l, --log FILE           write the log to FILE instead of stderr
  -v, --verbose            say more
  -h, --help               print this
  -V, --version            print the version

Environment: TELEGRAM_BOT_TOKEN, TELEGRAM_API_URL, TELEGRAM_PROXY, HTTPS_PROXY,
USERS_FILE, GRAFANA_URL, GRAFANA_TOKEN, BOT_LANGUAGE. There is no option for a
token: ps would show it.

Exit: 0 asked to end; 1 failed; 2 called or configured wrong, the token for
example.

Example:
  TELEGRAM_BOT_TOKEN=... tg-bot -u users.json
";

fn main() -> ExitCode {
    cli::run("tg-bot", USAGE, run)
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let (mut users, mut state, mut seen, mut scraped_on, mut limits) = (None, None, None, None, Limits::default());
    while let Some(arg) = args.next_arg()? {
        match arg {
            Short('u') | Long("users") => users = Some(PathBuf::from(args.value()?)),
            Long("state") => state = Some(PathBuf::from(args.value()?)),
            Long("seen") => seen = Some(PathBuf::from(args.value()?)),
            Long("limits") => limits = args.parse::<Limits>()?,
            Long("metrics") => scraped_on = Some(args.parse::<String>()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    args.start_log()?;
    let _ = (users, state, seen, scraped_on, limits);
    Err(Failure::misuse("not built in yet").into())
}
