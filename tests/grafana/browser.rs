//! One picture that is really drawn: the stand-in lets Debian's chromium take it.

use crate::standin::{Generation, Setup, Standin, drawing};
use crate::tool::{own_dashboards, shot, skip};

#[test]
fn chromium_draws_what_was_asked_for() {
    let Some(browser) = drawing::browser() else {
        return skip("a picture by a real browser", "no chromium (apt-get install chromium, or set CHROMIUM)");
    };
    let setup = Setup { browser: Some(browser), ..Setup::new(Generation::V13, own_dashboards()) };
    let standin = Standin::start(setup);
    let dark = shot(&standin, ["--width", "400", "--height", "200", "--theme", "dark", "--tz", "UTC", "web-shop", "3"]);
    if dark.code != 0 || !dark.err.is_empty() {
        dark.fail("no clean picture");
    }
    let (width, height, pixels) = drawing::pixels(&dark.out);
    assert_eq!((width, height), (400, 200));
    // The page's squares are 4 pixels wide, the first begins at 4.
    let at = |x: usize| pixels[2 * width as usize + x];
    assert_eq!([at(2), at(6), at(14)], [[16, 16, 16], [3, 20, 30], [0, 60, 50]], "background, panel, hour");
    let light = shot(
        &standin,
        [
            "--width",
            "400",
            "--height",
            "200",
            "--scale",
            "2",
            "--theme",
            "light",
            "--tz",
            "Asia/Tokyo",
            "--var",
            "host=web1",
            "--var",
            "host=web 2",
            "web-shop",
            "4",
        ],
    );
    if light.code != 0 || !light.err.is_empty() {
        light.fail("no clean picture");
    }
    let (width, height, pixels) = drawing::pixels(&light.out);
    assert_eq!((width, height), (800, 400));
    let at = |x: usize| pixels[4 * width as usize + 2 * x];
    // Two values of nine letters together, and 1970 began at nine in Tokyo.
    assert_eq!([at(2), at(6), at(10), at(14)], [[255, 255, 255], [4, 20, 30], [100, 9, 40], [90, 60, 50]]);
}
