//! Webhooks of Alertmanager in, lines out.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use lexopt::prelude::*;
use prometheus_telegram::check::{self, Findings};
use prometheus_telegram::cli::{self, Args, Failure};
use prometheus_telegram::config::Config;
use prometheus_telegram::recv::{Credentials, Options, Receiver};
use prometheus_telegram::{ack, fd, notice, notify};

const USAGE: &str = "
Usage: am-recv [-p 8080] [--ack SOCKET] | alert-route ... | tg-send ...

Receives webhooks of Alertmanager (and of vmalert and Grafana) and writes each
body as one line to stdout.

A webhook is answered 200 when its line is written; with --ack when tg-send says
that its records are on disk. What cannot be taken now is answered 503, which
Alertmanager retries; what can never be taken is answered 4xx with the reason.

Options:
  -H, --host ADDRESS       listen on this address       [default: 127.0.0.1]
  -p, --port PORT          listen on this port; 0 takes a free one
                           [default: 8080]
      --ack SOCKET         make this Unix socket and wait for acknowledgements
      --ack-timeout SECS   answer 503 when none came         [default: 10]
      --max-body BYTES     answer 413 to larger bodies       [default: 8388608]
      --read-timeout SECS  answer 408 to slower clients      [default: 30]
      --check[=WORD]       look at the configuration, say what is wrong, end;
                           strict: a warning is an error; online: ask
                           am-recv and Alertmanager (alertmanager_url) too
  -c, --config FILE        configuration (JSON)
  -l, --log FILE           write the log to FILE instead of stderr
  -v, --verbose            say more
  -h, --help               print this
  -V, --version            print the version

Also served: GET /-/healthy, /-/ready, /metrics.
A listening socket named \"http\" that systemd passes is used instead of -H and
-p.

Environment: WEBHOOK_TOKEN (what \"Authorization: Bearer\" must present),
WEBHOOK_USER and WEBHOOK_PASSWORD (or Basic); ALERTMANAGER_URL, for --check.

Exit: 0 the check found nothing wrong; 1 failed, for example because nobody
reads stdout any more; 2 called or configured wrong.

Example:
  am-recv -p 8080 | tee log.jsonl | alert-route -u users.json
";

fn main() -> ExitCode {
    cli::run("am-recv", USAGE, run)
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let (mut host, mut port, mut ack) = ("127.0.0.1".to_owned(), 8080, None);
    let mut ack_timeout = Duration::from_secs(10);
    let mut max_body = 8 << 20;
    let mut read_timeout = Duration::from_secs(30);
    let mut scope = None;
    while let Some(arg) = args.next_arg()? {
        match arg {
            Short('H') | Long("host") => host = args.text()?,
            Short('p') | Long("port") => port = args.parse("a port (0 to 65535)")?,
            Long("ack") => ack = Some(PathBuf::from(args.value()?)),
            Long("ack-timeout") => ack_timeout = args.seconds()?,
            Long("max-body") => max_body = args.parse("a number of bytes")?,
            Long("read-timeout") => read_timeout = args.seconds()?,
            Long("check") => scope = Some(args.scope()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    args.start_log()?;
    let config = Config::load(args.config.as_deref())?;
    let passed = fd::passed_listener("http");
    let basic = match (config.webhook_user.clone(), config.webhook_password.clone()) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => return Err(Failure::misuse("webhook_user and webhook_password go together").into()),
    };
    if let Some(scope) = scope {
        let mut findings = Findings::new(scope);
        check::configuration(&mut findings, args.config.as_deref(), &config);
        if let Some(path) = &ack {
            check::socket(&mut findings, path);
        }
        let passed = passed.and_then(|listener| listener.local_addr().ok());
        check::receiver(&mut findings, &config, &check::Listening { host, port, passed });
        return Ok(findings.end());
    }
    let options = Options {
        max_body,
        ack_timeout,
        with_ack: ack.is_some(),
        patience: read_timeout,
        credentials: Credentials { bearer: config.webhook_token, basic },
    };
    let listener = match passed {
        Some(listener) => listener,
        None => TcpListener::bind((host.as_str(), port)).map_err(|err| {
            let failure = Failure::new(cli::FAILED, format!("cannot listen on {host}:{port}: {err}"));
            if err.kind() == io::ErrorKind::AddrInUse { failure.hint("take another port with -p") } else { failure }
        })?,
    };
    // After the port: a second one that is started by mistake must not take the socket of the first.
    let socket = ack
        .map(|path| {
            ack::bind(&path).map_err(|err| {
                let what = format!("cannot listen on {}: {err}", path.display());
                if err.kind() == io::ErrorKind::AddrInUse {
                    Failure::new(cli::FAILED, what)
                } else {
                    Failure::misuse(what)
                }
            })
        })
        .transpose()?;
    let address = listener.local_addr().context("cannot read the address of the listening socket")?;
    let (receiver, accepted) = Receiver::start(listener, options);
    if let Some(socket) = socket {
        receiver.hear(socket);
    }
    notice!("listening on {address}");
    notify::ready(&format!("listening on {address}"));
    // Not the buffered stdout of the standard library: lines are put together already.
    let stdout = io::stdout().as_fd().try_clone_to_owned().context("stdout is closed")?;
    let err = receiver.write_lines(&accepted, &mut File::from(stdout));
    Err(anyhow::Error::new(err).context("cannot write lines to stdout, so webhooks are refused"))
}
