//! What the mains of all tools share: the common options, how a tool ends, and how its last words are printed.
//!
//! A tool is `fn main() -> ExitCode { cli::run("tool", USAGE, run) }`. Its `run` returns the exit code, or an error
//! whose [`Failure`] says which code and which hint; any other error ends with 1. Nothing else in the project ends a
//! process or prints an error.

use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use crate::check::Scope;
use crate::{config, logger, near};

/// Something was not done; trying again may help.
pub const FAILED: u8 = 1;
/// Called or configured wrong; trying again cannot help. The units do not restart a tool that ends with it.
pub const MISUSED: u8 = 2;
/// Failed for now: network, 429, 5xx (`EX_TEMPFAIL` of sysexits.h).
pub const TEMPFAIL: u8 = 75;

/// An error that knows its exit code and, where there is one, what the person should do.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Any exit code; for the tools that have a finer list.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Failure { code, message: message.into(), hint: None }
    }

    /// Exit code 2: the call or the configuration is wrong.
    pub fn misuse(message: impl Into<String>) -> Self {
        Failure::new(MISUSED, message)
    }

    /// Exit code 75: it may work later.
    pub fn temporary(message: impl Into<String>) -> Self {
        Failure::new(TEMPFAIL, message)
    }

    /// What the person should do, where that is known.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Adds the line that says what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The person asked for `--help` or `--version`: printed on stdout, exit code 0.
#[derive(Debug)]
struct Asked(String);

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Asked {}

/// The arguments of one call and the options that every tool has.
pub struct Args {
    parser: lexopt::Parser,
    name: &'static str,
    usage: &'static str,
    /// The option that was returned last, as it was typed.
    option: String,
    /// What is told as a warning as soon as there is a log.
    doubts: Vec<String>,
    /// `-c`, `--config`
    pub config: Option<PathBuf>,
    log: Option<PathBuf>,
    verbose: bool,
}

impl Args {
    fn new(name: &'static str, usage: &'static str, args: impl IntoIterator<Item = OsString>) -> Self {
        Args {
            parser: lexopt::Parser::from_args(args),
            name,
            usage,
            option: String::new(),
            doubts: Vec::new(),
            config: None,
            log: None,
            verbose: false,
        }
    }

    /// The next argument that is not a common option.
    pub fn next_arg(&mut self) -> anyhow::Result<Option<lexopt::Arg<'_>>> {
        use lexopt::prelude::*;
        // Two passes over one argument would borrow the parser twice: the common ones are taken by name first.
        loop {
            enum Common {
                Config,
                Log,
                Verbose,
                Help,
                Version,
            }
            let mut ahead = self.parser.clone();
            let arg = ahead.next()?;
            self.option = match arg {
                Some(Short(letter)) => format!("-{letter}"),
                Some(Long(name)) => format!("--{name}"),
                _ => String::new(),
            };
            let common = match arg {
                Some(Short('c') | Long("config")) => Common::Config,
                Some(Short('l') | Long("log")) => Common::Log,
                Some(Short('v') | Long("verbose")) => Common::Verbose,
                Some(Short('h') | Long("help")) => Common::Help,
                Some(Short('V') | Long("version")) => Common::Version,
                _ => return Ok(self.parser.next()?),
            };
            self.parser.next()?;
            match common {
                Common::Config => self.config = Some(self.parser.value()?.into()),
                Common::Log => self.log = Some(self.parser.value()?.into()),
                Common::Verbose => self.verbose = true,
                Common::Help => return Err(Asked(self.usage.trim_start().to_owned()).into()),
                Common::Version => {
                    return Err(Asked(format!("{} {}\n", self.name, env!("CARGO_PKG_VERSION"))).into());
                }
            }
        }
    }

    /// The value of the option just returned.
    pub fn value(&mut self) -> anyhow::Result<OsString> {
        Ok(self.parser.value()?)
    }

    /// How far `--check`, the option just returned, goes: the word after its `=`.
    pub fn scope(&mut self) -> anyhow::Result<Scope> {
        let word = self.parser.optional_value().map(|word| word.to_string_lossy().into_owned());
        Ok(Scope::named(word.as_deref())?)
    }

    /// The value of the option just returned as text.
    pub fn text(&mut self) -> anyhow::Result<String> {
        self.value()?.into_string().map_err(|word| self.refused(format!("{word:?} is not UTF-8")))
    }

    /// The value of the option just returned, parsed; `what` says what it may be.
    pub fn parse<T: FromStr>(&mut self, what: &str) -> anyhow::Result<T> {
        let given = self.text()?;
        given.parse().map_err(|_| self.wrong(&given, what))
    }

    /// The value of the option just returned, of a type that says itself what is wrong with it.
    pub fn told<T: FromStr<Err = String>>(&mut self) -> anyhow::Result<T> {
        self.text()?.parse().map_err(|why| self.refused(why))
    }

    /// The value of the option just returned as a number of seconds, whole or not (`10`, `0.5`).
    pub fn seconds(&mut self) -> anyhow::Result<Duration> {
        let given = self.text()?;
        config::seconds(&given).ok_or_else(|| self.wrong(&given, "a number of seconds"))
    }

    /// The value of the option just returned as a time with its unit (`4h`).
    pub fn time(&mut self) -> anyhow::Result<Duration> {
        let given = self.text()?;
        let time = config::duration(&given).ok_or_else(|| self.wrong(&given, "a time like 4h or 30d"))?;
        self.doubt(&given);
        Ok(time)
    }

    /// The value of the option just returned as what can be listened on. That it can be looked up is seen later.
    pub fn address(&mut self) -> anyhow::Result<String> {
        let given = self.text()?;
        let port = given.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
        if matches!(port, Some(Ok(_))) { Ok(given) } else { Err(self.wrong(&given, "an address like 127.0.0.1:9095")) }
    }

    /// Warns of a time in the value of the option just returned that is a few seconds for want of a unit.
    pub fn doubt(&mut self, time: &str) {
        if let Some(doubt) = config::doubt(time) {
            self.doubts.push(format!("{}: {doubt}", self.names()));
        }
    }

    /// The error about the option just returned: its value is not what it may be.
    pub fn wrong(&self, given: &str, what: &str) -> anyhow::Error {
        self.refused(format!("{given:?} is not {what}"))
    }

    /// The error about the option just returned, where it has words of its own.
    pub fn refused(&self, why: impl fmt::Display) -> anyhow::Error {
        Failure::misuse(format!("{}: {why}", self.names())).into()
    }

    /// The option just returned by both its names: `-p/--port`.
    fn names(&self) -> String {
        let of_it = |(short, long): &(Option<&str>, &str)| *short == Some(&self.option) || *long == self.option;
        match options(self.usage).find(of_it) {
            Some((Some(short), long)) => format!("{short}/{long}"),
            Some((None, long)) => long.to_owned(),
            None => self.option.clone(),
        }
    }

    /// Starts the log as `-l` and `-v` say; to be called once, when all arguments are read.
    pub fn start_log(&self) -> anyhow::Result<()> {
        logger::start(self.name, self.log.as_deref(), self.verbose).map_err(|err| {
            let path = self.log.as_deref().unwrap_or_else(|| "stderr".as_ref());
            Failure::misuse(format!("cannot open log file {}: {err}", path.display()))
        })?;
        for doubt in &self.doubts {
            log::warn!("{doubt}");
        }
        Ok(())
    }
}

/// All options that a usage tells, each with its short name where it has one.
fn options(usage: &'static str) -> impl Iterator<Item = (Option<&'static str>, &'static str)> + Clone {
    usage.lines().filter(|line| line.starts_with("  ")).filter_map(|line| {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        let (short, long) = match first.strip_suffix(',') {
            Some(short) if !short.starts_with("--") => (Some(short), words.next()?),
            _ => (None, first),
        };
        let long = long.split(['[', '=']).next()?;
        long.starts_with("--").then_some((short, long))
    })
}

/// Runs a tool: its whole main.
pub fn run(
    name: &'static str,
    usage: &'static str,
    tool: impl FnOnce(&mut Args) -> anyhow::Result<ExitCode>,
) -> ExitCode {
    crate::bug::end_the_process();
    let mut args = Args::new(name, usage, std::env::args_os().skip(1));
    match tool(&mut args) {
        Ok(code) => code,
        Err(err) => finish(name, usage, &err),
    }
}

fn finish(name: &str, usage: &'static str, err: &anyhow::Error) -> ExitCode {
    if let Some(Asked(text)) = err.downcast_ref() {
        // A closed stdout (`--help | head -1`) is no failure of ours.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let failure = err.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let usage_error = err.chain().find_map(|cause| cause.downcast_ref::<lexopt::Error>());
    let hint = match (failure, usage_error) {
        (Some(failure), _) => failure.hint.clone(),
        (None, Some(wrong)) => Some(match meant(usage, wrong) {
            Some(option) => format!("did you mean {option}?"),
            None => format!("{name} --help lists the options"),
        }),
        (None, None) => None,
    };
    logger::last_words(name, &format!("{err:#}"), hint.as_deref());
    ExitCode::from(match failure {
        Some(failure) => failure.code,
        None if usage_error.is_some() => MISUSED,
        None => FAILED,
    })
}

/// The option that somebody meant who wrote one that is not there.
fn meant(usage: &'static str, wrong: &lexopt::Error) -> Option<&'static str> {
    let lexopt::Error::UnexpectedOption(given) = wrong else { return None };
    let given = given.strip_prefix("--")?;
    let known = options(usage).map(|(_, long)| long);
    // Without the dashes: those all options have in common.
    let name = near::meant(known.clone().map(|long| long.trim_start_matches('-')), given)?;
    known.into_iter().find(|long| long.trim_start_matches('-') == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::new("tool", "\nusage", words.iter().map(OsString::from))
    }

    #[test]
    fn common_options_are_taken_wherever_they_stand() {
        let mut args = args(&["-v", "--port", "1", "-cfile.json", "rest"]);
        assert!(matches!(args.next_arg().unwrap(), Some(lexopt::Arg::Long("port"))));
        assert_eq!(args.parse::<u16>("a port").unwrap(), 1);
        assert!(matches!(args.next_arg().unwrap(), Some(lexopt::Arg::Value(v)) if v == "rest"));
        assert!(args.next_arg().unwrap().is_none());
        assert_eq!(args.config.as_deref(), Some("file.json".as_ref()));
        assert!(args.verbose);
    }

    #[test]
    fn help_and_version_are_not_failures() {
        for (word, start) in [("-h", "usage"), ("--help", "usage"), ("-V", "tool 0"), ("--version", "tool 0")] {
            let err = args(&[word]).next_arg().unwrap_err();
            assert!(err.downcast_ref::<Asked>().unwrap().0.starts_with(start));
        }
    }

    #[test]
    fn a_bad_value_is_told_once_with_both_names_of_the_option() {
        const USAGE: &str = "\nUsage: tool\n\n  -p, --port PORT  a port\n      --check[=WORD]  look\n";
        for given in [&["-p", "99999"][..], &["--port=99999"]] {
            let mut args = Args::new("tool", USAGE, given.iter().map(OsString::from));
            args.next_arg().unwrap();
            let err = args.parse::<u16>("a port (0 to 65535)").unwrap_err();
            assert_eq!(format!("{err:#}"), "-p/--port: \"99999\" is not a port (0 to 65535)");
        }
        for (given, name) in [("--chek", Some("--check")), ("--prot", Some("--port")), ("--x", None), ("-x", None)] {
            assert_eq!(meant(USAGE, &lexopt::Error::UnexpectedOption(given.to_owned())), name, "{given}");
        }
    }

    #[test]
    fn a_few_seconds_for_want_of_a_unit_are_doubted() {
        for (text, doubted) in [("4", true), ("4s", false), ("4h", false), ("14400", false), ("0", false)] {
            let mut args = args(&["--t", text]);
            args.next_arg().unwrap();
            args.time().unwrap();
            assert_eq!(!args.doubts.is_empty(), doubted, "{text}: {:?}", args.doubts);
        }
    }

    #[test]
    fn seconds_refuse_what_is_no_time() {
        for (text, ok) in [("10", true), ("0.5", true), ("-1", false), ("x", false), ("NaN", false), ("1e99", false)] {
            let mut args = args(&["--t", text]);
            args.next_arg().unwrap();
            assert_eq!(args.seconds().is_ok(), ok, "{text}");
        }
    }
}
