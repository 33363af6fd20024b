//! The command line of `grafana-shot`, and what it makes of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use lexopt::Arg;

use super::error::{Error, Kind};
use super::output::Output;
use super::when::{self, End};
use super::{Form, Link, Meaning, Settings, Shot, Size, Theme};
use crate::check::Scope;
use crate::cli::{Args, Failure};
use crate::config::Config;
use crate::secret::Secret;

/// Longer sides than any renderer makes are typing errors.
const LONGEST_SIDE: u32 = 20_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Target {
    /// All dashboards, or the panels of one.
    List(Option<String>),
    /// Nothing but a look at configuration and server.
    Check(Scope),
    /// The panel of a link; the word is the panel, where the link has none.
    Link(Box<Link>, Option<String>),
    /// A dashboard and a panel.
    Named(String, String),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is asked for.
    pub target: Target,
    /// What the word for the dashboard is.
    pub meaning: Meaning,
    /// How lists are written.
    pub form: Form,
    /// Where the picture goes.
    pub output: Output,
    /// Only print the URL.
    pub dry_run: bool,
    /// No warnings and no progress.
    pub quiet: bool,
    given: Given,
}

/// The values of options, as given.
#[derive(Clone, Debug, Default)]
struct Given {
    from: Option<String>,
    to: Option<String>,
    zone: Option<String>,
    theme: Option<String>,
    width: Option<u32>,
    height: Option<u32>,
    scale: Option<f64>,
    timeout: Option<Duration>,
    variables: Vec<(String, String)>,
    retries: Option<u32>,
    org: Option<u64>,
    ca: Option<PathBuf>,
    insecure: bool,
    headers: Vec<(String, Secret)>,
    token_file: Option<PathBuf>,
}

impl Options {
    /// Reads the whole command line.
    pub fn read(args: &mut Args) -> anyhow::Result<Options> {
        let mut reader = Reader::default();
        while let Some(arg) = args.next_arg()? {
            let name = match arg {
                Arg::Value(word) => {
                    let word = word.into_string().map_err(|word| Failure::misuse(format!("{word:?} is not UTF-8")))?;
                    reader.words.push(word);
                    continue;
                }
                Arg::Short(letter) => letter.to_string(),
                Arg::Long(name) => name.to_owned(),
            };
            reader.option(&name, args)?;
        }
        reader.finish()
    }

    /// Which Grafana, and who we are there: options first, then the configuration. A link says which Grafana only where
    /// nothing that is secret would go there.
    pub fn settings(&self, config: &Config) -> anyhow::Result<Settings> {
        let given = &self.given;
        let mut config = config.clone();
        if let Target::Link(link, _) = &self.target {
            if config.grafana_url.is_none() {
                // The token is for one server, and a pasted link can name any.
                let has_login = config.grafana_token.is_some() || config.grafana_password.is_some();
                if has_login || given.token_file.is_some() || !given.headers.is_empty() {
                    let host = link.root.rsplit('@').next().unwrap_or_default();
                    let host = host.split_once("://").map_or(host, |(_, host)| host);
                    return Err(Failure::misuse(format!("it is not said that {host:?} may have the login"))
                        .hint("set GRAFANA_URL (or grafana_url) to the Grafana that the login is for")
                        .into());
                }
                config.grafana_url = Some(link.root.clone());
            }
            config.grafana_org = link.org.or(config.grafana_org);
        }
        if let Some(path) = &given.token_file {
            let token = Secret::from_file(path).map_err(|err| Failure::misuse(format!("--token-file: {err}")))?;
            config.grafana_token = Some(Secret::new(token.expose().trim()).map_err(Failure::misuse)?);
        }
        config.grafana_org = given.org.or(config.grafana_org);
        config.grafana_ca = given.ca.clone().or(config.grafana_ca);
        let settings = Settings::from_config(&config)?;
        Ok(Settings {
            headers: given.headers.clone(),
            insecure: given.insecure,
            retries: given.retries.unwrap_or(settings.retries),
            ..settings
        })
    }

    /// How the picture shall be: options first, then the link; the zone also from the configuration, else the local one.
    pub fn shot(&self, config: &Config) -> Result<Shot, Error> {
        let given = &self.given;
        let in_link = |name: &str| match &self.target {
            Target::Link(link, _) => link.get(name).map(str::to_owned),
            _ => None,
        };
        let zone = match (&given.zone, in_link("timezone"), &config.time_zone) {
            (Some(name), _, _) => zone(Some(name)).map_err(|err| err.of("--tz"))?,
            (None, Some(name), _) => zone(Some(&name))?,
            (None, None, name) => zone(name.as_deref())?,
        };
        let clock = zone.clone().unwrap_or_else(TimeZone::system);
        let time = |option: &Option<String>, name: &str, end: End| {
            let of_link = in_link(name).filter(|_| option.is_none()).map(|text| when::moment(&text, end, &clock));
            let own =
                option.as_ref().map(|text| when::moment(text, end, &clock).map_err(|err| err.of(&format!("--{name}"))));
            own.or(of_link).transpose()
        };
        let (from, to) = (time(&given.from, "from", End::From)?, time(&given.to, "to", End::To)?);
        when::check_range(from.as_deref(), to.as_deref())?;
        let number = |name: &str| in_link(name).and_then(|text| text.parse::<u32>().ok()).filter(|n| *n > 0);
        let standard = Shot::default();
        Ok(Shot {
            from,
            to,
            size: Size {
                width: given.width.or_else(|| number("width")).unwrap_or(standard.size.width),
                height: given.height.or_else(|| number("height")).unwrap_or(standard.size.height),
            },
            scale: given.scale.unwrap_or(standard.scale),
            theme: theme(given.theme.clone(), in_link("theme"))?,
            zone: zone.as_ref().and_then(zone_name),
            timeout: given.timeout.map_or(standard.timeout, |time| time.as_secs_f64().ceil() as u32),
            variables: self.variables(),
        })
    }

    /// A variable given by `--var` replaces all values that the link has for it.
    fn variables(&self) -> Vec<(String, String)> {
        let given = &self.given.variables;
        let mut all = match &self.target {
            Target::Link(link, _) => link.variables.clone(),
            _ => Vec::new(),
        };
        all.retain(|(name, _)| given.iter().all(|(other, _)| other != name));
        all.extend(given.iter().cloned());
        all
    }
}

/// The command line, half read.
#[derive(Default)]
struct Reader {
    words: Vec<String>,
    given: Given,
    link: Option<String>,
    list: bool,
    json: bool,
    since: Option<String>,
    meaning: Option<Meaning>,
    output: Option<PathBuf>,
    dry_run: bool,
    quiet: bool,
    check: Option<Scope>,
}

impl Reader {
    fn option(&mut self, name: &str, args: &mut Args) -> anyhow::Result<()> {
        let given = &mut self.given;
        match name {
            "list" => self.list = true,
            "json" => self.json = true,
            "u" | "uid" => self.mean(Meaning::Uid)?,
            "t" | "title" => self.mean(Meaning::Name)?,
            "n" | "dry-run" => self.dry_run = true,
            "q" | "quiet" => self.quiet = true,
            "check" => self.check = Some(args.scope()?),
            "insecure" => given.insecure = true,
            "url" => self.link = Some(args.text()?),
            "o" | "output" => self.output = Some(args.value()?.into()),
            "from" => given.from = Some(args.text()?),
            "to" => given.to = Some(args.text()?),
            "since" => self.since = Some(args.text()?),
            "tz" => given.zone = Some(args.text()?),
            "theme" => given.theme = Some(args.text()?),
            "var" => given.variables.push(pair(args)?),
            "width" => given.width = Some(side(args)?),
            "height" => given.height = Some(side(args)?),
            "scale" => given.scale = Some(scale(args)?),
            "timeout" => given.timeout = Some(timeout(args)?),
            "retries" => given.retries = Some(args.parse("a number from 0")?),
            "org" => given.org = Some(args.parse("the number of an organisation")?),
            "cacert" => given.ca = Some(args.value()?.into()),
            "header" => given.headers.extend(headers(args)?),
            "token-file" => given.token_file = Some(args.value()?.into()),
            other => {
                let dashes = if other.chars().count() == 1 { "-" } else { "--" };
                return Err(lexopt::Error::UnexpectedOption(format!("{dashes}{other}")).into());
            }
        }
        Ok(())
    }

    fn mean(&mut self, meaning: Meaning) -> anyhow::Result<()> {
        match self.meaning.replace(meaning) {
            Some(other) if other != meaning => Err(Failure::misuse("-u and -t exclude each other").into()),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> anyhow::Result<Options> {
        if let Some(since) = &self.since {
            if self.given.from.is_some() || self.given.to.is_some() {
                return Err(Failure::misuse("--since excludes --from and --to").into());
            }
            self.given.from = Some(when::ago(since).map_err(|err| err.of("--since"))?);
            self.given.to = Some("now".to_owned());
        }
        let target = self.target()?;
        Ok(Options {
            target,
            meaning: self.meaning.unwrap_or_default(),
            form: if self.json { Form::Json } else { Form::Tsv },
            output: match self.output {
                Some(path) if path.as_os_str() != "-" => Output::File(path),
                _ => Output::Stdout,
            },
            dry_run: self.dry_run,
            quiet: self.quiet,
            given: self.given,
        })
    }

    fn target(&mut self) -> anyhow::Result<Target> {
        let wrong = |message: &str| Failure::misuse(message).hint("grafana-shot --help shows examples").into();
        if self.words.iter().any(|word| word.trim().is_empty()) {
            return Err(wrong("a name is empty"));
        }
        let mut words = std::mem::take(&mut self.words).into_iter();
        let (first, second) = (words.next(), words.next());
        if let Some(extra) = words.next() {
            return Err(wrong(&format!("{extra:?} is one word too many; put names with blanks in quotes")));
        }
        if let Some(scope) = self.check {
            return match first {
                None => Ok(Target::Check(scope)),
                Some(_) => Err(wrong("--check takes no dashboard")),
            };
        }
        if self.list {
            return match (second, &self.link) {
                (None, None) => Ok(Target::List(first)),
                _ => Err(wrong("--list takes a dashboard or nothing")),
            };
        }
        if self.json {
            return Err(wrong("--json goes with --list"));
        }
        match (&self.link, first, second) {
            (Some(link), panel, None) => {
                Ok(Target::Link(Box::new(Link::parse(link).map_err(|err| err.of("--url"))?), panel))
            }
            (Some(_), _, Some(_)) => Err(wrong("--url takes the place of DASHBOARD")),
            (None, Some(dashboard), Some(panel)) => Ok(Target::Named(dashboard, panel)),
            (None, Some(dashboard), None) => Err(Failure::misuse("a panel is missing")
                .hint(format!("grafana-shot --list {dashboard:?} shows the panels"))
                .into()),
            (None, None, _) => {
                Err(Failure::misuse("a dashboard is missing").hint("grafana-shot --list shows the dashboards").into())
            }
        }
    }
}

fn pair(args: &mut Args) -> anyhow::Result<(String, String)> {
    let given = args.text()?;
    let pair = given.split_once('=').map(|(name, value)| (name.strip_prefix("var-").unwrap_or(name), value));
    match pair {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(args.wrong(&given, "NAME=VALUE")),
    }
}

fn side(args: &mut Args) -> anyhow::Result<u32> {
    let given = args.text()?;
    let pixels = given.parse().ok().filter(|pixels| (1..=LONGEST_SIDE).contains(pixels));
    pixels.ok_or_else(|| args.wrong(&given, &format!("a number of pixels (1 to {LONGEST_SIDE})")))
}

fn scale(args: &mut Args) -> anyhow::Result<f64> {
    let given = args.text()?;
    // Both renderers refuse or ignore what is beyond 4 (facts 1.5).
    let factor = given.parse().ok().filter(|factor| *factor > 0.0 && *factor <= 4.0);
    factor.ok_or_else(|| args.wrong(&given, "a number above 0 and at most 4"))
}

fn timeout(args: &mut Args) -> anyhow::Result<Duration> {
    let time = args.seconds()?;
    if (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&time) {
        return Ok(time);
    }
    Err(args.refused(format!("{} seconds are not above 0 and at most 3600", time.as_secs_f64())))
}

/// `Name: value`, or `@FILE` with such lines, which keeps secrets out of the list of processes.
fn headers(args: &mut Args) -> anyhow::Result<Vec<(String, Secret)>> {
    let text = args.text()?;
    let wrong = || args.refused("it is not \"Name: value\" or @FILE");
    let header = |text: &str| header(text).ok_or_else(wrong);
    let Some(path) = text.strip_prefix('@') else { return Ok(vec![header(&text)?]) };
    let lines =
        std::fs::read_to_string(path).map_err(|err| args.refused(format!("cannot read headers from {path}: {err}")))?;
    lines.lines().filter(|line| !line.trim().is_empty()).map(header).collect()
}

/// The text can hold a secret and so is not shown.
fn header(text: &str) -> Option<(String, Secret)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().to_owned(), Secret::new(value.trim()).ok()?))
}

fn theme(option: Option<String>, in_link: Option<String>) -> Result<Option<Theme>, Error> {
    let known = |name: &str| [Theme::Light, Theme::Dark].into_iter().find(|theme| theme.name() == name);
    match option {
        // Links can hold names of newer themes, which the renderer refuses.
        None => Ok(in_link.as_deref().and_then(known)),
        Some(name) => known(&name).map(Some).ok_or_else(|| {
            Error::new(Kind::Misuse, format!("--theme: there is no theme {name:?}"))
                .with_hint("say --theme light or --theme dark")
        }),
    }
}

/// The zone to draw in; `None` leaves it to the dashboard.
fn zone(name: Option<&str>) -> Result<Option<TimeZone>, Error> {
    match name {
        None | Some("browser" | "") => Ok(Some(TimeZone::system())),
        Some("dashboard") => Ok(None),
        Some(name) => TimeZone::get(name).map(Some).map_err(|_| {
            Error::new(Kind::Misuse, format!("there is no time zone {name:?}"))
                .with_hint("say an IANA name such as Europe/Berlin or UTC, or --tz dashboard for the dashboard's own")
        }),
    }
}

/// A machine's zone can be without a name (`/etc/localtime` as a file that is no known zone): then Grafana decides.
fn zone_name(zone: &TimeZone) -> Option<String> {
    zone.iana_name().map(str::to_owned)
}
