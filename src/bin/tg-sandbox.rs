//! `tg-sandbox`: Telegram's Bot API on loopback.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::notice;
use prometheus_telegram::sandbox::{Options, Sandbox};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

const USAGE: &str = "
Usage: tg-sandbox [options]

Telegram's Bot API on 127.0.0.1, for trying out, for demos and for tests, with a
page on which you are the users. Point a bot at it by its API root (api_url,
TELEGRAM_API_URL). One line on stdout says where things are:

    tg-sandbox api=127.0.0.1:PORT ctl=127.0.0.1:PORT

The page is at / of either port; the control API, which tests use, is on ctl.

Options:
      --port N             port of the API; 0 takes a free one      [default: 0]
      --ctl-port N         port of the control API and the page     [default: 0]
      --token TOKEN        a bot's token, may be given more than once; without
                           it every well-formed one is a bot
      --world FILE         chats and users that exist from the start, JSON:
                           {\"chats\": [{\"id\": 1, ...}], \"users\": [...]}
      --strict             only chats that were declared exist; the others are
                           made when first written to (id above 0 a private
                           chat, below a group, @name a channel)
      --lenient            methods that do not exist answer true
      --oss                malformed tokens get 401, as from the open source
                           server, not 404
      --limits MODE        Telegram's limits: off, count or enforce
                           [default: off]
      --scale F            divides the times of limits and floods, and the
                           retry_after told, by F
      --rules FILE         faults, one JSON object a line: {\"match\": {...},
                           \"times\": 1, \"do\": {...}}; times -1 is always
      --seed N             for what is left to chance               [default: 1]
      --upstream URL       passes requests on to another Bot API server; faults,
                           limits and records stay
      --keep N             requests and messages kept in memory
                           [default: 200000]
      --record FILE        writes each request to FILE as a line of JSON
      --max-seconds N      ends after that time
      --fail-on-violation  ends with 3 if a client did what it should not
                           (GET /violations lists it)
  -l, --log FILE           write the log to FILE instead of stderr
  -v, --verbose            say more
  -h, --help               print this
  -V, --version            print the version

When it ends (POST /stop, SIGTERM, SIGINT, --max-seconds), a line of JSON on
stdout says what was seen.

Exit: 0 done; 1 failed; 2 called wrong; 3 --fail-on-violation and there was one.

Example:
  tg-sandbox --port 8081 --ctl-port 8082 &
  curl -d chat_id=1 -d text=hello http://127.0.0.1:8081/bot123:abc/sendMessage
  xdg-open http://127.0.0.1:8082/
";

/// `--fail-on-violation`, and there was one.
const VIOLATED: u8 = 3;

const PORT: &str = "a port (0 to 65535)";

/// What the options say beside the sandbox's own.
#[derive(Default)]
struct Call {
    options: Options,
    record: Option<PathBuf>,
    max: Option<Duration>,
    fail_on_violation: bool,
}

fn main() -> ExitCode {
    cli::run("tg-sandbox", USAGE, run)
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let mut call = read_args(args)?;
    args.start_log()?;
    if let Some(path) = &call.record {
        let file = std::fs::File::options().append(true).create(true).open(path);
        call.options.log = Some(file.with_context(|| format!("cannot open {}", path.display()))?);
    }
    let sandbox = Sandbox::start(call.options).map_err(Failure::misuse)?;
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).context("cannot watch for signals")?;
    let watched = std::sync::Arc::clone(&sandbox);
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            watched.stop();
            watched.stopped();
        }
    });
    let (api, ctl) = (sandbox.api_port(), sandbox.ctl_port());
    say(&format!("tg-sandbox api=127.0.0.1:{api} ctl=127.0.0.1:{ctl}"))?;
    notice!("Bot API at http://127.0.0.1:{api}, chats at http://127.0.0.1:{ctl}/");
    let (summary, violated) = sandbox.wait_for_end(call.max);
    // Who reads the ports and closes (`| head -1`) has not failed us.
    let _ = say(&summary.to_string());
    Ok(if violated && call.fail_on_violation { ExitCode::from(VIOLATED) } else { ExitCode::SUCCESS })
}

fn read_args(args: &mut Args) -> anyhow::Result<Call> {
    use lexopt::prelude::*;
    let mut call = Call { options: Options { seed: 1, keep: 200_000, ..Options::default() }, ..Call::default() };
    let options = &mut call.options;
    while let Some(arg) = args.next_arg()? {
        match arg {
            Long("port") => options.port = args.parse(PORT)?,
            Long("ctl-port") => options.ctl_port = args.parse(PORT)?,
            Long("token") => options.tokens.push(args.text()?),
            Long("world") => options.world = Some(read_file(args, read_world)?),
            Long("rules") => options.rules = read_file(args, read_rules)?,
            Long("record") => call.record = Some(args.value()?.into()),
            Long("limits") => options.limits = Some(args.told()?),
            Long("scale") => options.scale = Some(scale(args)?),
            Long("strict") => options.strict = true,
            Long("lenient") => options.lenient = true,
            Long("oss") => options.oss = true,
            Long("upstream") => options.upstream = Some(upstream(args)?),
            Long("seed") => options.seed = args.parse("a number from 0")?,
            Long("keep") => options.keep = args.parse("a number from 0")?,
            Long("max-seconds") => call.max = Some(args.seconds()?),
            Long("fail-on-violation") => call.fail_on_violation = true,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(call)
}

fn scale(args: &mut Args) -> anyhow::Result<f64> {
    let given = args.text()?;
    let scale = given.parse().ok().filter(|scale: &f64| *scale > 0.0 && scale.is_finite());
    scale.ok_or_else(|| args.wrong(&given, "a number above 0"))
}

fn upstream(args: &mut Args) -> anyhow::Result<String> {
    let given = args.text()?;
    if given.starts_with("http://") || given.starts_with("https://") {
        return Ok(given);
    }
    Err(args.wrong(&given, "an http or https URL"))
}

/// What is in the file that the option just returned names.
fn read_file<T>(args: &mut Args, read: impl Fn(&PathBuf) -> Result<T, String>) -> anyhow::Result<T> {
    let path = args.value()?.into();
    read(&path).map_err(|why| args.refused(why))
}

fn read(path: &PathBuf) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|err| format!("cannot read {}: {err}", path.display()))
}

fn read_world(path: &PathBuf) -> Result<Value, String> {
    serde_json::from_str(&read(path)?).map_err(|err| format!("{}: {err}", path.display()))
}

fn read_rules(path: &PathBuf) -> Result<Vec<Value>, String> {
    let text = read(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| serde_json::from_str(line).map_err(|err| format!("{}:{}: {err}", path.display(), n + 1)))
        .collect()
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).context("cannot write to stdout")
}
