//! Tokens and passwords: where they come from, and that they are not shown.

use std::fmt;
use std::path::Path;

/// What stands in the place of a secret.
const REDACTED: &str = "(redacted)";

/// Shorter secrets are parts of common words: taken out everywhere, they would mangle what is told, and the gaps tell them.
const SHORT: usize = 6;

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

    /// `text` without this secret in it, and without users and passwords in URLs, in whatever form: HTTP errors can hold
    /// the URL, and the Bot API's URL holds the token. One that is short is taken out only where it is one.
    pub fn redact(&self, text: &str) -> String {
        let hidden = if self.0.chars().count() >= SHORT {
            text.replace(&self.0, REDACTED)
        } else {
            let places = [(":", "@"), ("/bot", "/"), ("Bearer ", "")];
            places.iter().fold(text.to_owned(), |text, (before, after)| {
                text.replace(&format!("{before}{}{after}", self.0), &format!("{before}{REDACTED}{after}"))
            })
        };
        without_logins(&hidden)
    }
}

/// A text in whose URLs nobody is named: what is before the last `@` of `scheme://user:password@host`.
fn without_logins(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_whitespace() || "/?#\"'<>".contains(c)).unwrap_or(part.len());
        shown.push_str("://");
        match part[..end].rfind('@') {
            Some(at) => shown.extend([REDACTED, &part[at..]]),
            None => shown.push_str(part),
        }
    }
    shown
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
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
    fn a_short_one_is_hidden_where_it_is_a_secret_and_nowhere_else() {
        let password = Secret::new("p").unwrap();
        for (text, shown) in [
            ("io: failed to lookup address information", "io: failed to lookup address information"),
            ("socks5://u:p@proxy:1080: no", "socks5://(redacted)@proxy:1080: no"),
            ("connect to u:p@proxy", "connect to u:(redacted)@proxy"),
            ("see https://example.org/@p?p=p", "see https://example.org/@p?p=p"),
        ] {
            assert_eq!(password.redact(text), shown);
        }
        assert_eq!(
            Secret::new("1:a").unwrap().redact("http://x/bot1:a/getMe: 11:ab"),
            "http://x/bot(redacted)/getMe: 11:ab"
        );
        assert_eq!(Secret::new("abc").unwrap().redact("no Bearer abc, no abc"), "no Bearer (redacted), no abc");
    }

    #[test]
    fn users_and_passwords_of_urls_are_hidden_in_every_form() {
        let password = Secret::new("p@ss word").unwrap();
        for (text, shown) in [
            ("http://u:p%40ss%20word@h:1/x and p@ss word", "http://(redacted)@h:1/x and (redacted)"),
            ("http://u:p@ss word@h", "http://(redacted)@h"),
            ("\"socks5h://u:p@ss%20word@h\" http://a@b", "\"socks5h://(redacted)@h\" http://(redacted)@b"),
            ("http://h/a@b ://", "http://h/a@b ://"),
        ] {
            assert_eq!(password.redact(text), shown);
        }
    }

    #[test]
    fn empty_is_refused() {
        assert!(Secret::new("").is_err());
        assert!(Secret::new("\n").is_err());
    }
}
