//! One reason for which a chat gets an alert: a pattern for its name, or a matcher set for its labels.

use regex::Regex;

use crate::alert::Labels;
use crate::matcher::Matchers;
use crate::pattern::{self, PatternError};

/// What an alert must be like.
#[derive(Debug)]
pub struct Wish(Kind);

#[derive(Debug)]
enum Kind {
    Everything,
    /// Found anywhere in the alertname.
    Name(Regex),
    /// A matcher set, and how it was written.
    Labels(Matchers, String),
}

impl Wish {
    /// A `match`: `*`, `all` and `\w` mean every alert, also one that has no name.
    pub fn by_name(pattern: &str) -> Result<Self, PatternError> {
        if pattern::is_everything(pattern) {
            return Ok(Wish(Kind::Everything));
        }
        pattern::compile(pattern).map(Kind::Name).map(Wish)
    }

    /// One of `labels`.
    pub fn by_labels(text: &str) -> Result<Self, PatternError> {
        Matchers::parse(text).map(|matchers| Wish(Kind::Labels(matchers, text.to_owned())))
    }

    /// About how much memory it takes compiled; see [`pattern::weight`].
    pub fn weight(&self) -> usize {
        match &self.0 {
            Kind::Everything => 0,
            Kind::Name(regex) => pattern::weight(regex.as_str()),
            Kind::Labels(matchers, _) => matchers.weight(),
        }
    }

    /// Whether an alert with these labels is like that.
    pub fn holds(&self, labels: &Labels) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Name(regex) => regex.is_match(labels.get("alertname").map_or("", String::as_str)),
            Kind::Labels(matchers, _) => matchers.hold(labels),
        }
    }

    /// In words for `--explain`.
    pub(super) fn reason(&self) -> String {
        match &self.0 {
            Kind::Everything => "it wants every alert".to_owned(),
            Kind::Name(regex) => format!("match {:?} is found in its alertname", regex.as_str()),
            Kind::Labels(_, text) => format!("labels {text} hold"),
        }
    }
}
