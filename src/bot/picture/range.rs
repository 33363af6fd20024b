//! The time that a picture shows.

use serde::{Deserialize, Serialize};

/// The time that a picture shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Range {
    /// What the dashboard opens with.
    #[default]
    Own,
    /// The last hour.
    Hour,
    /// The last six hours.
    SixHours,
    /// The last 24 hours.
    Day,
    /// The last seven days.
    Week,
}

/// The lengths with their words in addresses and in stored pictures.
pub(super) const RANGES: [(Range, &str); 4] =
    [(Range::Hour, "1h"), (Range::SixHours, "6h"), (Range::Day, "24h"), (Range::Week, "7d")];

impl From<String> for Range {
    /// A word that a later version wrote means the dashboard's own range.
    fn from(word: String) -> Range {
        RANGES.iter().find(|(_, other)| *other == word).map_or(Range::Own, |(range, _)| *range)
    }
}

impl From<Range> for String {
    fn from(range: Range) -> String {
        range.word().to_owned()
    }
}

impl Range {
    pub(super) fn word(self) -> &'static str {
        RANGES.iter().find(|(other, _)| *other == self).map_or("own", |(_, word)| word)
    }

    /// From and to, in Grafana's words.
    pub(super) fn ends(self) -> Option<(String, String)> {
        (self != Range::Own).then(|| (format!("now-{}", self.word()), "now".to_owned()))
    }

    /// The one with these ends.
    pub(super) fn with_ends(ends: &(String, String)) -> Option<Range> {
        // 24h and 1d are the same in Grafana's pickers too.
        let from = if ends.0 == "now-1d" { "now-24h" } else { &ends.0 };
        RANGES
            .iter()
            .map(|(range, _)| *range)
            .find(|range| range.ends().is_some_and(|(start, end)| start == from && end == ends.1))
    }
}
