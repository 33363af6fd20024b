//! Is this a picture of the panel? Grafana answers 200 and `image/png` also for its placeholders and for bodies that are
//! no picture at all (facts 0.1, 0.2), so only the bytes count.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::error::{Error, Kind};

/// PNG specification, 5.2.
const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// What Grafana paints instead of a panel.
#[derive(Clone, Copy)]
enum Placeholder {
    NoRenderer,
    Limit,
}

/// Grafana 8.5.13, `public/img/rendering_plugin_not_installed.png` and `rendering_limit_dark.png`.
const KNOWN: [(&str, Placeholder); 2] = [
    ("02923f5883878de815eb8cb64ab06fe0073362744cfdcaed134744d563392af8", Placeholder::NoRenderer),
    ("8af5c59b9cd29655bb166b0449fc5d7bdd74afb0e756c35af6dbbf4b9a1c6b65", Placeholder::Limit),
];

/// The same pictures by size, for versions that redrew them: they are never as large as what was asked for, unless
/// just that was asked for. 1004x404 is `rendering_limit_light.png`.
const SIZES: [(Size, Placeholder); 3] = [
    (Size { width: 478, height: 208 }, Placeholder::NoRenderer),
    (Size { width: 526, height: 202 }, Placeholder::Limit),
    (Size { width: 1004, height: 404 }, Placeholder::Limit),
];

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
}

impl Size {
    /// The pixels of a page of this size at a device scale factor.
    pub fn scaled(self, scale: f64) -> Size {
        let pixels = |length: u32| (f64::from(length) * scale).round() as u32;
        Size { width: pixels(self.width), height: pixels(self.height) }
    }

    /// Equal but for rounding.
    pub fn about(self, other: Size) -> bool {
        self.width.abs_diff(other.width) <= 1 && self.height.abs_diff(other.height) <= 1
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Accepts a whole PNG that is no placeholder and tells its size; `wanted` is the size that was asked for, in pixels.
pub fn check(body: &[u8], content_type: &str, wanted: Size) -> Result<Size, Error> {
    if !body.starts_with(&SIGNATURE) {
        return Err(not_png(body, content_type));
    }
    let size = whole(body)?;
    if let Some(placeholder) = placeholder(body, size, wanted) {
        return Err(instead(placeholder));
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case("image/png") {
        let message = format!("grafana sent a picture that it calls {media_type:?}, not image/png");
        return Err(Error::new(Kind::NotPicture, message).with_hint("a proxy in front of Grafana may change answers"));
    }
    Ok(size)
}

/// Walks the chunks from IHDR to IEND (PNG specification, 5.3): a picture that was cut off lacks the end.
fn whole(png: &[u8]) -> Result<Size, Error> {
    let broken = |why: &str| {
        Error::new(Kind::NotPicture, format!("grafana sent a broken PNG of {} bytes: {why}", png.len()))
            .with_hint("try again; if it stays so, a proxy in front of Grafana cuts long answers off")
    };
    let mut rest = &png[SIGNATURE.len()..];
    let mut size = None;
    let mut has_data = false;
    loop {
        let (kind, data, after) = chunk(rest).ok_or_else(|| broken("it is cut off"))?;
        match (kind, size) {
            (b"IHDR", None) => size = Some(dimensions(data).ok_or_else(|| broken("its size is not readable"))?),
            (_, None) => return Err(broken("it does not start with its size")),
            (b"IDAT", _) => has_data = true,
            (b"IEND", Some(size)) if has_data => return Ok(size),
            (b"IEND", _) => return Err(broken("it holds no picture")),
            _ => {}
        }
        rest = after;
    }
}

/// A chunk: length, type, data, checksum.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_at_checked(4)?;
    let (data, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    let (_checksum, rest) = rest.split_at_checked(4)?;
    Some((kind, data, rest))
}

fn dimensions(header: &[u8]) -> Option<Size> {
    let (width, rest) = header.split_first_chunk::<4>()?;
    let (height, _) = rest.split_first_chunk::<4>()?;
    let size = Size { width: u32::from_be_bytes(*width), height: u32::from_be_bytes(*height) };
    (size.width > 0 && size.height > 0).then_some(size)
}

fn placeholder(png: &[u8], size: Size, wanted: Size) -> Option<Placeholder> {
    let digest: String = Sha256::digest(png).iter().map(|byte| format!("{byte:02x}")).collect();
    let by_digest = KNOWN.iter().find(|(known, _)| *known == digest).map(|(_, what)| *what);
    let by_size = || SIZES.iter().find(|(known, _)| *known == size && !size.about(wanted)).map(|(_, what)| *what);
    by_digest.or_else(by_size)
}

fn instead(placeholder: Placeholder) -> Error {
    match placeholder {
        Placeholder::NoRenderer => no_renderer(),
        Placeholder::Limit => {
            Error::new(Kind::Busy, "grafana is drawing too many pictures at once and sent its placeholder instead")
                .with_hint(
                    "try again in a moment, or raise concurrent_render_request_limit in [rendering] of grafana.ini",
                )
                .retry_after(Duration::ZERO)
        }
    }
}

/// The server cannot draw at all.
pub fn no_renderer() -> Error {
    Error::new(Kind::NoRenderer, "this grafana cannot draw pictures: no image renderer is installed").with_hint(
        "run grafana/grafana-image-renderer and set server_url (ending in /render) and callback_url in [rendering] of grafana.ini",
    )
}

fn not_png(body: &[u8], content_type: &str) -> Error {
    if body.is_empty() {
        return Error::new(Kind::NotPicture, "grafana sent an empty picture").with_hint("look into Grafana's log");
    }
    let start = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    // Facts 0.2, renderer issue #608: the renderer's own front page, taken for a picture.
    if start.trim_start().starts_with("Grafana Image Renderer") {
        return Error::new(Kind::NotPicture, "grafana sent the front page of its renderer instead of a picture")
            .with_hint("server_url in [rendering] of grafana.ini must end in /render");
    }
    if is_login_page(&start) {
        return Error::new(Kind::Denied, "a login page came instead of a picture").with_hint(
            "something in front of Grafana wants a login of its own: give it what it needs by --header, or go around it",
        );
    }
    let message = format!("grafana sent no PNG but {}: {}", named(content_type), super::client::excerpt(&start));
    Error::new(Kind::NotPicture, message).with_hint("look into the log of Grafana and of its renderer")
}

fn named(content_type: &str) -> &str {
    if content_type.is_empty() { "something" } else { content_type }
}

fn is_login_page(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let html = text.contains("<html") || text.contains("<!doctype html");
    html && (text.contains("type=\"password\"") || text.contains("login") || text.contains("sign in"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One pixel; the checksums are not read.
    fn small() -> Vec<u8> {
        let mut png = SIGNATURE.to_vec();
        for (kind, data) in
            [(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0][..]), (b"IDAT", &[1, 2]), (b"IEND", &[])]
        {
            png.extend((data.len() as u32).to_be_bytes());
            png.extend(kind);
            png.extend(data);
            png.extend([0; 4]);
        }
        png
    }

    #[test]
    fn no_part_of_a_picture_passes_and_nothing_panics() {
        let png = small();
        let wanted = Size { width: 1, height: 1 };
        assert_eq!(check(&png, "image/png", wanted), Ok(wanted));
        assert_eq!(check(&png, "IMAGE/PNG; charset=x", wanted), Ok(wanted));
        for end in 0..png.len() {
            assert_eq!(check(&png[..end], "image/png", wanted).unwrap_err().kind(), Kind::NotPicture, "{end}");
        }
        for at in 0..png.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut other = png.clone();
                other[at] = value;
                let _ = check(&other, "image/png", wanted);
            }
        }
    }

    #[test]
    fn texts_in_place_of_a_picture_are_named() {
        let wanted = Size { width: 1, height: 1 };
        for (body, kind, words) in [
            ("", Kind::NotPicture, "empty"),
            ("Grafana Image Renderer", Kind::NotPicture, "front page"),
            ("<html><a href=/login>Sign in</a></html>", Kind::Denied, "login page"),
            ("<html>no\nsuch page</html>", Kind::NotPicture, "\"<html>no such page</html>\""),
            ("%PDF-1.4 login", Kind::NotPicture, "%PDF"),
        ] {
            let err = check(body.as_bytes(), "image/png", wanted).unwrap_err();
            assert_eq!(err.kind(), kind, "{body}");
            assert!(err.to_string().contains(words) && err.hint().is_some(), "{err}");
        }
    }
}
