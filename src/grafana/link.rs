//! Links copied from a browser: which dashboard, which panel, and how it was looked at.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::error::{Error, Kind};

/// RFC 3986's unreserved characters stay.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A part of a path or a value of a query, as it goes into a URL.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The opposite.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// What a link says. Times are as in the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Everything before `/d/`: Grafana's root.
    pub root: String,
    /// The dashboard.
    pub uid: String,
    /// The panel, as a number or in a form of [`super::Dashboard::find_view`].
    pub panel: Option<String>,
    /// `orgId`
    pub org: Option<u64>,
    /// Values of variables, without `var-`.
    pub variables: Vec<(String, String)>,
    /// The other parameters that a picture can have, `from` and `theme` for example.
    pub rest: Vec<(String, String)>,
}

impl Link {
    /// Reads the address of a dashboard's page, of one panel (`/d-solo/`), or of a picture (`/render/d-solo/`).
    pub fn parse(text: &str) -> Result<Link, Error> {
        let text = text.trim();
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Err(Error::new(Kind::Misuse, format!("{text:?} is no link"))
                .with_hint("copy it from the browser: https://host/d/UID/name?viewPanel=3"));
        }
        let (address, query) = text.split_once('?').unwrap_or((text, ""));
        let address = address.split('#').next().unwrap_or_default();
        let (root, uid) = split(address).ok_or_else(|| not_a_dashboard(address))?;
        let mut link = Link { root, uid, ..Link::default() };
        for pair in query.split('#').next().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            link.take(&form_decoded(name), form_decoded(value));
        }
        Ok(link)
    }

    fn take(&mut self, name: &str, value: String) {
        match name {
            "viewPanel" | "panelId" | "editPanel" | "inspect" => {
                self.panel.get_or_insert(value);
            }
            "orgId" => self.org = value.parse().ok(),
            _ => match name.strip_prefix("var-") {
                Some(variable) => self.variables.push((variable.to_owned(), value)),
                None => self.rest.push((name.to_owned(), value)),
            },
        }
    }

    /// The value of a parameter, if it is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.rest.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

fn split(address: &str) -> Option<(String, String)> {
    ["/render/d-solo/", "/render/d/", "/d-solo/", "/d/"].iter().find_map(|mark| {
        let (root, rest) = address.split_once(mark)?;
        let uid = decoded(rest.split('/').next()?);
        (!uid.is_empty()).then(|| (root.to_owned(), uid))
    })
}

fn not_a_dashboard(address: &str) -> Error {
    let error = Error::new(Kind::Misuse, "the link does not lead to a dashboard: there is no /d/UID in it");
    if address.contains("/goto/") {
        return error.with_hint("open the short link and copy the address that the browser shows then");
    }
    if address.contains("/dashboard/db/") || address.contains("/dashboard-solo/db/") {
        return error.with_hint("grafana removed such links in version 8: name the dashboard instead of --url");
    }
    error.with_hint("copy it from the browser: https://host/d/UID/name?viewPanel=3")
}

/// In a query `+` is a blank.
fn form_decoded(text: &str) -> String {
    decoded(&text.replace('+', " "))
}
