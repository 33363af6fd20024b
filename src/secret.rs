//! Tokens and passwords: where they come from, and that they are not shown.

use std::fmt;
use std::path::Path;

/// A value that must not be seen: `Debug` hides it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// One trailing newline is trimmed; an empty secret is refused.
    pub fn new(value: &str) -> Result<Self, &'static str> {
        let value = value.strip_suffix('\n').unwrap_or(value);
        let value = value.strip_suffix('\r').unwrap_or(value);
        if value.is_empty() { Err("the secret is empty") } else { Ok(Secret(value.to_owned())) }
    }

    /// Reads a secret from a file, such as systemd's `LoadCredential=` makes.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let text =
            std::fs::read_to_string(path).map_err(|err| format!("cannot read secret {}: {err}", path.display()))?;
        Secret::new(&text).map_err(|err| format!("cannot use secret {}: {err}", path.display()))
    }

    /// The value itself, for the one place that puts it on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` without this secret in it. HTTP errors can hold the URL, and the Bot API's URL holds the token.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "(redacted)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_and_redact_hide_it() {
        let secret = Secret::new("123:abc\n").unwrap();
        assert_eq!(secret.expose(), "123:abc");
        assert_eq!(format!("{secret:?}"), "(redacted)");
        assert_eq!(secret.redact("http://x/bot123:abc/getMe"), "http://x/bot(redacted)/getMe");
    }

    #[test]
    fn empty_is_refused() {
        assert!(Secret::new("").is_err());
        assert!(Secret::new("\n").is_err());
    }
}
