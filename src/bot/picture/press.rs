//! What a key under a picture asks for, and its form in `callback_data`.

use sha2::{Digest, Sha256};

use super::range::{RANGES, Range};
use crate::grafana::Variable;

/// A press of a key under a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Press {
    /// Another range.
    Range(Range),
    /// The same again.
    Refresh,
    /// The values of a variable, by the digest of its name.
    Variable(String),
    /// The ranges again.
    Close,
    /// A value, by the digest of the variable's name and itself.
    Value(String),
}

impl Press {
    /// The `callback_data` of the picture with this number: at most 64 bytes, as Telegram demands.
    pub fn data(&self, number: i64) -> String {
        let what = match self {
            Press::Range(range) => format!("r:{}", range.word()),
            Press::Refresh => "u".to_owned(),
            Press::Variable(mark) => format!("n:{mark}"),
            Press::Close => "c".to_owned(),
            Press::Value(mark) => format!("v:{mark}"),
        };
        format!("p:{number}:{what}")
    }

    /// Reads such data, with the picture's number. Data come from anybody: they may name what does not exist.
    pub fn parse(data: &str) -> Option<(i64, Press)> {
        let (number, what) = data.strip_prefix("p:")?.split_once(':')?;
        let number = number.parse().ok()?;
        let (kind, of) = what.split_once(':').unwrap_or((what, ""));
        let mark = || is_mark(of).then(|| of.to_owned());
        let press = match kind {
            "r" if of == "own" => Press::Range(Range::Own),
            "r" => Press::Range(RANGES.iter().find(|(_, word)| *word == of)?.0),
            "u" => Press::Refresh,
            "c" => Press::Close,
            "n" => Press::Variable(mark()?),
            "v" => Press::Value(mark()?),
            _ => return None,
        };
        // What we would not write ourselves is somebody's try.
        (press.data(number) == data).then_some((number, press))
    }

    /// Whether the picture is to be drawn anew; else only the keys change.
    pub fn redraws(&self) -> bool {
        !matches!(self, Press::Variable(_) | Press::Close)
    }
}

/// Which variable.
pub(super) fn name_mark(variable: &Variable) -> String {
    mark(&[&variable.name])
}

/// Which value of it.
pub(super) fn value_mark(variable: &Variable, value: &str) -> String {
    mark(&[&variable.name, value])
}

/// Characters of a mark.
const MARK: usize = 16;

/// The start of a digest of names, each with its length before it so that no two lists of names look the same.
pub(super) fn mark(names: &[&str]) -> String {
    let mut digest = Sha256::new();
    for name in names {
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
    }
    digest.finalize().iter().take(MARK / 2).map(|byte| format!("{byte:02x}")).collect()
}

fn is_mark(text: &str) -> bool {
    text.len() == MARK && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
