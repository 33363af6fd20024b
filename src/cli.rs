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

use crate::check::Scope;
use crate::logger;

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
    /// `-c`, `--config`
    pub config: Option<PathBuf>,
    log: Option<PathBuf>,
    verbose: bool,
}

impl Args {
    fn new(name: &'static str, usage: &'static str, args: impl IntoIterator<Item = OsString>) -> Self {
        Args { parser: lexopt::Parser::from_args(args), name, usage, config: None, log: None, verbose: false }
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
            let common = match self.parser.clone().next()? {
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

    /// The value of the option just returned, parsed.
    pub fn parse<T: std::str::FromStr>(&mut self) -> anyhow::Result<T>
    where
        T::Err: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        use lexopt::ValueExt;
        Ok(self.parser.value()?.parse()?)
    }

    /// The value of the option just returned as a number of seconds, whole or not (`10`, `0.5`).
    pub fn seconds(&mut self) -> anyhow::Result<std::time::Duration> {
        let given: String = self.parse()?;
        given
            .parse()
            .ok()
            .and_then(|s: f64| std::time::Duration::try_from_secs_f64(s).ok())
            .ok_or_else(|| Failure::misuse(format!("\"{given}\" is not a number of seconds")).into())
    }

    /// Starts the log as `-l` and `-v` say; to be called once, when all arguments are read.
    pub fn start_log(&self) -> anyhow::Result<()> {
        logger::start(self.name, self.log.as_deref(), self.verbose).map_err(|err| {
            let path = self.log.as_deref().unwrap_or_else(|| "stderr".as_ref());
            Failure::misuse(format!("cannot open log file {}: {err}", path.display())).into()
        })
    }
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
        Err(err) => finish(name, &err),
    }
}

fn finish(name: &str, err: &anyhow::Error) -> ExitCode {
    if let Some(Asked(text)) = err.downcast_ref() {
        // A closed stdout (`--help | head -1`) is no failure of ours.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let failure = err.chain().find_map(|cause| cause.downcast_ref::<Failure>());
    let usage_error = err.chain().any(|cause| cause.is::<lexopt::Error>());
    let hint = match failure {
        Some(failure) => failure.hint.clone(),
        None if usage_error => Some(format!("{name} --help lists the options")),
        None => None,
    };
    logger::last_words(name, &format!("{err:#}"), hint.as_deref());
    ExitCode::from(match failure {
        Some(failure) => failure.code,
        None if usage_error => MISUSED,
        None => FAILED,
    })
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
        assert_eq!(args.parse::<u16>().unwrap(), 1);
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
    fn seconds_refuse_what_is_no_time() {
        for (text, ok) in [("10", true), ("0.5", true), ("-1", false), ("x", false), ("NaN", false), ("1e99", false)] {
            let mut args = args(&["--t", text]);
            args.next_arg().unwrap();
            assert_eq!(args.seconds().is_ok(), ok, "{text}");
        }
    }
}
