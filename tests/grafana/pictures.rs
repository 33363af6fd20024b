//! Bytes that come as a picture: what is one, and what only looks like one.

use crate::standin::{Generation, Setup, Standin, drawing};
use crate::tool::{own_dashboards, shot};

fn sends(bytes: Vec<u8>) -> Standin {
    Standin::start(Setup { raw: Some(bytes), ..Setup::new(Generation::V13, own_dashboards()) })
}

fn whole() -> Vec<u8> {
    drawing::picture(1000, 500, [1, 2, 3], "x")
}

#[test]
fn a_picture_cut_anywhere_is_refused() {
    let png = whole();
    let last_chunk = png.len() - 12;
    for end in [7, 8, 20, 33, 40, png.len() / 2, last_chunk, last_chunk + 4, png.len() - 1] {
        let done = shot(&sends(png[..end].to_vec()), ["web-shop", "3"]);
        done.refused(8, &["grafana sent"]);
    }
}

#[test]
fn a_picture_with_wrong_insides_is_refused() {
    let change = |at: usize, bytes: &[u8]| {
        let mut png = whole();
        png[at..at + bytes.len()].copy_from_slice(bytes);
        png
    };
    for (png, words) in [
        (change(0, b"X"), "no PNG"),
        (change(12, b"IDAT"), "does not start with its size"),
        (change(16, &[0, 0, 0, 0]), "its size is not readable"),
        (change(8, &[0xff, 0xff, 0xff, 0xff]), "cut off"),
        // No IDAT at all: the chunk says that it is something else.
        (no_data(), "holds no picture"),
    ] {
        shot(&sends(png), ["web-shop", "3"]).refused(8, &[words]);
    }
}

fn no_data() -> Vec<u8> {
    let mut png = whole();
    let places: Vec<usize> = (0..png.len() - 4).filter(|at| &png[*at..at + 4] == b"IDAT").collect();
    for at in places {
        png[at..at + 4].copy_from_slice(b"iDAT");
    }
    png
}

/// A size that a placeholder has is no proof when just that was asked for.
#[test]
fn a_picture_of_a_placeholders_size_that_was_asked_for_is_good() {
    for (width, height) in [(478, 208), (526, 202), (1004, 404)] {
        let standin = sends(drawing::picture(width, height, [1, 2, 3], "x"));
        let (w, h) = (width.to_string(), height.to_string());
        shot(&standin, ["--width", &w, "--height", &h, "web-shop", "3"]).picture();
        let other = shot(&standin, ["--retries", "0", "web-shop", "3"]);
        other.refused(if width == 478 { 5 } else { 6 }, &[]);
    }
    // As pixels, not as the page: 263x101 at scale 2.
    let standin = sends(drawing::picture(526, 202, [1, 2, 3], "x"));
    shot(&standin, ["--width", "263", "--height", "101", "--scale", "2", "web-shop", "3"]).picture();
}

#[test]
fn scaled_pictures_are_not_warned_about() {
    for (scale, width, height) in [("2", 2000, 1000), ("0.75", 750, 375), ("1.333", 1333, 667), ("0.333", 333, 167)] {
        let done = shot(&sends(drawing::picture(width, height, [1, 2, 3], "x")), ["--scale", scale, "web-shop", "3"]);
        done.picture();
        assert_eq!(done.err, "", "{scale}");
    }
}

#[test]
fn a_variable_that_does_not_exist_is_warned_about() {
    let standin = sends(whole());
    let done = shot(&standin, ["--var", "hots=web1", "web-shop", "3"]);
    done.picture();
    assert!(done.err.contains("has no variable \"hots\"; the nearest is \"host\""), "{}", done.err);
}
