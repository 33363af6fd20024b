//! Which links the server accepts, and how it writes them (TDLib `LinkManager.cpp` and `HttpUrl.cpp`).

use std::net::Ipv6Addr;

use super::entity::Kind;

/// What a link in a text becomes; `None` when the server drops it silently.
pub(super) fn kind(url: &str) -> Option<Kind> {
    if let Some(id) = user(url) {
        return Some(Kind::TextMention(id));
    }
    checked(url).map(Kind::TextLink)
}

/// The user of `tg://user?id=1` (get_link_user_id).
fn user(url: &str) -> Option<i64> {
    let id = integer(parameter(&url.to_ascii_lowercase(), "user", "id")?)?;
    (id > 0 && id < 1 << 40).then_some(id)
}

/// The emoji of `tg://emoji?id=1` (get_link_custom_emoji_id).
pub(super) fn emoji(url: &str) -> Option<i64> {
    integer(parameter(url, "emoji", "id")?).filter(|id| *id != 0)
}

/// Time and format of `tg://time?unix=1&format=r` (get_link_date_format).
pub(super) fn time(url: &str) -> Option<(i32, String)> {
    let unix = integer(parameter(url, "time", "unix")?)?;
    let unix = i32::try_from(unix).ok().filter(|unix| *unix > 0)?;
    Some((unix, parameter(url, "time", "format").unwrap_or_default().to_owned()))
}

/// TDLib's to_integer_safe: only what it would itself write.
pub(super) fn integer(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

fn parameter<'a>(url: &'a str, host: &str, key: &str) -> Option<&'a str> {
    let rest = strip_scheme(url, "tg:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let rest = rest.get(..host.len()).filter(|name| name.eq_ignore_ascii_case(host)).map(|_| &rest[host.len()..])?;
    let rest = rest.strip_prefix('/').unwrap_or(rest).strip_prefix('?')?;
    let rest = rest.split('#').next().unwrap_or_default();
    rest.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key).then_some(value)
    })
}

fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let start = url.get(..scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
}

/// The link as the server keeps it, or `None` if it is not one (check_link_impl).
pub fn checked(link: &str) -> Option<String> {
    for (prefix, scheme) in [("tg:", "tg"), ("ton:", "ton"), ("tonsite:", "tonsite")] {
        if let Some(rest) = strip_scheme(link, prefix) {
            return internal(rest.strip_prefix("//").unwrap_or(rest), scheme);
        }
    }
    let url = Url::parse(link)?;
    (url.ipv6 || url.host.contains('.')).then(|| url.to_string())
}

fn internal(rest: &str, scheme: &str) -> Option<String> {
    let url = Url::parse(rest)?;
    let bare = strip_scheme(rest, "http://").is_none() && !url.https && url.userinfo.is_empty();
    let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_' || (scheme == "tonsite" && c == b'.');
    if !bare || url.port != 0 || url.ipv6 || !url.host.bytes().all(allowed) {
        return None;
    }
    let query = if url.query.starts_with("/?") { &url.query[1..] } else { &url.query };
    Some(format!("{scheme}://{}{query}", url.host))
}

/// The parts of a URL (HttpUrl.cpp parse_url).
struct Url {
    https: bool,
    userinfo: String,
    host: String,
    ipv6: bool,
    port: u16,
    query: String,
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.https { "https://" } else { "http://" })?;
        if !self.userinfo.is_empty() {
            write!(f, "{}@", self.userinfo)?;
        }
        f.write_str(&self.host)?;
        if self.port > 0 {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.query)
    }
}

impl Url {
    fn parse(url: &str) -> Option<Url> {
        let scheme_end = url.find([':', '/', '?', '#', '@', '[', ']']).unwrap_or(url.len());
        let (https, rest) = match url[scheme_end..].strip_prefix("://") {
            Some(rest) if url[..scheme_end].eq_ignore_ascii_case("http") => (false, rest),
            Some(rest) if url[..scheme_end].eq_ignore_ascii_case("https") => (true, rest),
            Some(_) => return None,
            None => (false, url),
        };
        let (authority, query) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (userinfo_host, port) = split_port(authority)?;
        let (userinfo, host) = userinfo_host.rsplit_once('@').unwrap_or(("", userinfo_host));
        let host = host.to_ascii_lowercase();
        let ipv6 = host.starts_with('[') && host.ends_with(']');
        if ipv6 {
            host.get(1..host.len() - 1)?.parse::<Ipv6Addr>().ok()?;
        } else if host.is_empty() || host == "." || !allowed(&host, false) || !allowed(userinfo, true) {
            return None;
        }
        Some(Url { https, userinfo: userinfo.to_owned(), host, ipv6, port, query: escaped(query) })
    }
}

/// The host part without its port, which is 0 if there is none.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    match authority.rfind([':', ']', '@']) {
        Some(colon) if colon > 0 && authority.as_bytes()[colon] == b':' => {
            let digits = authority[colon + 1..].trim_start_matches('0');
            let port = integer(digits).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)?;
            Some((&authority[..colon], port))
        }
        _ => Some((authority, 0)),
    }
}

fn escaped(query: &str) -> String {
    let query = query.trim_end_matches([' ', '\t', '\r', '\n', '\0', '\x0b']);
    let mut out = String::with_capacity(query.len() + 1);
    if !query.starts_with('/') {
        out.push('/');
    }
    for c in query.chars() {
        if c <= ' ' { out.push_str(&format!("%{:02X}", c as u32)) } else { out.push(c) }
    }
    out
}

fn allowed(part: &str, colon: bool) -> bool {
    let bytes = part.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'%' => {
                let hex = |i| bytes.get(i).is_some_and(u8::is_ascii_hexdigit);
                if !hex(i + 1) || !hex(i + 2) {
                    return false;
                }
                i += 2;
            }
            b':' if colon => {}
            c if c.is_ascii_alphanumeric() || b".-_!$,~*'();&+=".contains(&c) || c >= 128 => {}
            _ => return false,
        }
        i += 1;
    }
    true
}

/// The flags of a date's format (get_date_flags).
pub(super) fn date_flags(format: &str) -> Result<u8, String> {
    if format == "r" || format == "R" {
        return Ok(1);
    }
    let mut flags = 0;
    for c in format.chars() {
        flags |= match c {
            't' => 2,
            'T' => 4,
            'd' => 8,
            'D' => 16,
            'w' | 'W' => 32,
            _ => return Err("Invalid date format used".to_owned()),
        };
    }
    Ok(flags)
}
