//! What can go wrong on the way to a picture, sorted by what the caller can do about it.

use std::fmt;
use std::time::Duration;

use crate::cli::Failure;

/// The kinds of failure; each has an exit code of `grafana-shot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something else was not done: a file not written, an answer of Grafana that fits nothing below.
    Failed,
    /// Asked for wrongly; asking again cannot help.
    Misuse,
    /// No such dashboard or panel, or none that may be seen.
    NotFound,
    /// No login, a wrong one, or one without the permission.
    Denied,
    /// This Grafana has no image renderer.
    NoRenderer,
    /// Too slow, too busy, or the renderer failed: worth trying again.
    Busy,
    /// Grafana was not reached: network, TLS, or something else answers there.
    Unreachable,
    /// What came is not a whole PNG picture.
    NotPicture,
    /// The name fits several dashboards or panels.
    Ambiguous,
}

impl Kind {
    /// The exit code of `grafana-shot`. 65 is `EX_DATAERR` of sysexits.h.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Misuse => 2,
            Kind::NotFound => 3,
            Kind::Denied => 4,
            Kind::NoRenderer => 5,
            Kind::Busy => 6,
            Kind::Unreachable => 7,
            Kind::NotPicture => 8,
            Kind::Ambiguous => 65,
        }
    }
}

/// A failure: `Display` is one line that is fit for a chat. [`Error::hint`] says what to do in the words of
/// `grafana-shot`'s options, to a person who can set up Grafana.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
    again: Option<Duration>,
}

impl Error {
    /// An error without a hint.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hint: None, again: None }
    }

    /// Adds what the person should do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first which option it is about.
    pub(super) fn of(mut self, option: &str) -> Self {
        self.message = format!("{option}: {}", self.message);
        self
    }

    /// Marks an error that a second try soon can mend; `wait` is the least time the server asked for.
    pub(super) fn retry_after(mut self, wait: Duration) -> Self {
        self.again = Some(wait);
        self
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the person should do, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether, and after which time at least, a second try makes sense.
    pub fn again(&self) -> Option<Duration> {
        self.again
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(err: Error) -> Failure {
        let failure = Failure::new(err.kind.exit_code(), err.message);
        match err.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
