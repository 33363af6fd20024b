//! `grafana-shot DASHBOARD PANEL > p.png`: a panel of Grafana as a picture, or a clear no.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use prometheus_telegram::check::{self, Findings};
use prometheus_telegram::cli::{self, Args, FAILED, Failure};
use prometheus_telegram::config::Config;
use prometheus_telegram::grafana::{
    Dashboard, Error, Grafana, Kind, Options, Output, Shot, Target, list_dashboards, list_panels,
};
use prometheus_telegram::progress::Progress;

const USAGE: &str = "
Usage: grafana-shot [options] DASHBOARD PANEL > p.png
       grafana-shot [options] --url LINK [PANEL] > p.png
       grafana-shot [options] --list [DASHBOARD]

Asks Grafana (8 to 13) to draw one panel and writes the PNG to stdout. Nothing
is written but a checked picture of that panel: no login page, no placeholder,
no error.

  DASHBOARD             uid, title, folder/title, slug, or a part of them that
                        only one has
  PANEL                 id (3 or panel-3), #3 (the third as seen), title,
                        row/title, or a part that only one has

What to draw:
      --url LINK        a link copied from the browser: dashboard, panel, times,
                        variables and organisation are in it
  -u, --uid             DASHBOARD is a uid
  -t, --title           DASHBOARD is a name
      --var NAME=VALUE  value of a variable; give it again for several values;
                        $__all for all
      --from TIME       now-6h, 6h (ago), 2026-11-22, '2026-11-22 15:30',
                        RFC 3339, epoch in s or ms
      --to TIME         the same; a day is meant whole
      --since TIME      the same as --from now-TIME --to now
                        [default: the dashboard's own range]
      --tz ZONE         IANA name, or 'dashboard' for its own
                        [default: time_zone, else the local zone]
      --theme NAME      light or dark [default: the login's own]
      --width N         in pixels of the page [default: 1000]
      --height N        in pixels of the page [default: 500]
      --scale X         pixels of the picture for one of the page, up to 4
                        [default: 1]
  -o, --output FILE     write FILE, whole or not at all
  -n, --dry-run         find everything, then print the URL of the picture
                        instead of fetching it

Lists:
      --list            uid, folder, title of all dashboards; with DASHBOARD:
                        id, type, row, title of its panels
      --json            a JSON object a line instead of tabs

The server:
      --timeout SECS    limit for drawing; we wait for twice as long and 5 s, as
                        Grafana does [default: 60]
      --retries N       tries again when Grafana is busy, after 1, 2, 4 s ...
                        [default: 2]
      --org N           the organisation, for a login with a password; a token
                        has just one
      --cacert FILE     trust these certificates (PEM) only
      --insecure        trust any certificate
      --header 'K: V'   one more header, for proxies; @FILE reads such lines and
                        keeps them out of ps
      --token-file FILE the token is in this file
      --check[=WORD]    look at the configuration, say what is wrong, end;
                        strict: a warning is an error; online: ask Grafana too

Common:
  -c, --config FILE     JSON with grafana_url, grafana_token, grafana_org,
                        grafana_ca, time_zone
  -l, --log FILE        write the log to FILE instead of stderr
  -q, --quiet           no warnings, no progress
  -v, --verbose         each request with its time
  -h, --help            print this
  -V, --version         print the version

Environment: GRAFANA_URL, GRAFANA_TOKEN (or GRAFANA_SERVICE_ACCOUNT_TOKEN,
GRAFANA_TOKEN_FILE), or GRAFANA_USER and GRAFANA_PASSWORD; GRAFANA_ORG,
GRAFANA_CA; HTTPS_PROXY, NO_PROXY.

Exit: 0 done; 1 failed otherwise; 2 called or configured wrong; 3 no such
dashboard or panel; 4 login or permission; 5 no image renderer installed; 6 too
slow or too busy, try later; 7 Grafana not reached; 8 what came is not a whole
PNG; 65 the name fits several (the hint lists them).

Example:
  grafana-shot 'Node Exporter Full' 'CPU Basic' --since 6h > cpu.png
";

fn main() -> ExitCode {
    cli::run("grafana-shot", USAGE, |args| run(args).map_err(with_exit_code))
}

fn with_exit_code(err: anyhow::Error) -> anyhow::Error {
    match err.downcast::<Error>() {
        Ok(err) => Failure::from(err).into(),
        Err(err) => err,
    }
}

fn run(args: &mut Args) -> anyhow::Result<ExitCode> {
    let options = Options::read(args)?;
    args.start_log()?;
    if options.quiet {
        log::set_max_level(log::LevelFilter::Error);
    }
    let config = Config::load(args.config.as_deref())?;
    let shot = options.shot(&config)?;
    let settings = options.settings(&config)?;
    if let Target::Check(scope) = options.target {
        let mut findings = Findings::new(scope);
        check::configuration(&mut findings, args.config.as_deref(), &config);
        check::grafana(&mut findings, &settings);
        return Ok(findings.end());
    }
    let grafana = Grafana::new(&settings)?;
    match &options.target {
        Target::List(dashboard) => list(&grafana, &options, dashboard.as_deref()),
        Target::Check(_) => Ok(ExitCode::SUCCESS),
        Target::Named(dashboard, panel) => {
            refuse_terminal(&options)?;
            let dashboard = grafana.find_dashboard(dashboard, options.meaning)?;
            draw(&grafana, &options, &dashboard, panel, shot)
        }
        Target::Link(link, panel) => {
            refuse_terminal(&options)?;
            let panel = panel.as_ref().or(link.panel.as_ref()).ok_or_else(|| {
                Failure::misuse("the link is of a whole dashboard")
                    .hint("add the panel after it, or copy the link of a panel")
            })?;
            if !grafana.is_known_as(&link.root) {
                log::warn!("the link is of {}, the picture of {} (GRAFANA_URL)", link.root, grafana.root());
            }
            let dashboard = grafana.dashboard(&link.uid)?;
            draw(&grafana, &options, &dashboard, panel, shot)
        }
    }
}

fn list(grafana: &Grafana, options: &Options, dashboard: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = match dashboard {
        None => list_dashboards(&grafana.dashboards()?, options.form, &mut out),
        Some(name) => {
            let dashboard = grafana.find_dashboard(name, options.meaning)?;
            list_panels(&dashboard, options.form, &mut out)
        }
    };
    match written {
        // `| head` has seen enough.
        Err(err) if err.kind() != io::ErrorKind::BrokenPipe => Err(cannot_write("the list", &err).into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn draw(grafana: &Grafana, options: &Options, of: &Dashboard, name: &str, mut shot: Shot) -> anyhow::Result<ExitCode> {
    let (panel, picked) = of.find_view(name)?;
    let id = panel.id.ok_or_else(|| Error::new(Kind::NotFound, "the panel has no id"))?;
    shot.variables.retain(|(name, _)| picked.iter().all(|(other, _)| other != name));
    shot.variables.extend(picked);
    if options.dry_run {
        let line = format!("{}{}\n", grafana.root(), shot.path(of, id));
        return write(&Output::Stdout, line.as_bytes());
    }
    let words = format!("grafana-shot: drawing {:?}, at most {} s:", panel.title, shot.patience().as_secs());
    let progress = (!options.quiet && io::stderr().is_terminal()).then(|| Progress::start(words, io::stderr()));
    let picture = grafana.render(of, id, &shot);
    drop(progress);
    let picture = picture?;
    for note in &picture.notes {
        log::warn!("{note}");
    }
    write(&options.output, &picture.png)
}

fn write(output: &Output, bytes: &[u8]) -> anyhow::Result<ExitCode> {
    output.write(bytes, &mut io::stdout().lock()).map_err(|err| cannot_write(&output.to_string(), &err))?;
    Ok(ExitCode::SUCCESS)
}

fn refuse_terminal(options: &Options) -> anyhow::Result<()> {
    if options.output == Output::Stdout && !options.dry_run && io::stdout().is_terminal() {
        return Err(Failure::misuse("a picture is not for a terminal").hint("add > p.png, or -o p.png").into());
    }
    Ok(())
}

fn cannot_write(what: &str, err: &io::Error) -> Failure {
    Failure::new(FAILED, format!("cannot write {what}: {err}"))
}
