//! One text in several messages.

use std::cell::RefCell;

use prometheus_telegram::markup::{Limits, MESSAGE, fits, part, plain, split, visible_length};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use unicode_segmentation::UnicodeSegmentation;

use crate::oracle::Oracle;
use crate::texts;

fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}

fn limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(MESSAGE),
        (20..400_usize).prop_map(|visible| Limits { visible, ..MESSAGE }),
        (200..900_usize).prop_map(|raw| Limits { raw, ..MESSAGE }),
        (3..12_usize).prop_map(|entities| Limits { entities, ..MESSAGE }),
    ]
}

fn run<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, test: impl Fn(T) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: 300,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        max_shrink_iters: 2000,
        ..Config::default()
    };
    TestRunner::new(config).run(&strategy, test).unwrap();
}

/// Fits, parses, and loses nothing but blanks.
fn check(html: &str, text: &str, limits: Limits, oracle: &RefCell<Oracle>) -> Result<(), TestCaseError> {
    let parts = split(html, limits);
    let mut told = String::new();
    for one in &parts {
        // What is open where it is cut takes its place in the limits of entities; a deep nest may be all there is.
        prop_assert!(fits(one, limits) || visible_length(one) <= 1, "{one:?} does not fit {limits:?}");
        prop_assert!(visible_length(one) <= 4096 && one.len() <= 32 << 10);
        let parsed = oracle.borrow_mut().parse(one);
        prop_assert!(parsed.is_ok(), "{parsed:?}: {one:?}");
        told.push_str(&parsed.unwrap());
        told.push(' ');
    }
    prop_assert_eq!(without_blanks(&told), without_blanks(text), "of {:?}", parts);
    Ok(())
}

#[test]
fn every_part_fits_and_parses_and_nothing_is_lost() {
    let oracle = RefCell::new(Oracle::start());
    run((texts::well_formed(), limits()), |(html, limits)| {
        let whole = oracle.borrow_mut().parse(&html);
        prop_assert!(whole.is_ok(), "the generator: {whole:?}: {html:?}");
        prop_assert_eq!(whole.unwrap(), plain(&html), "what is plain is what TDLib leaves");
        check(&html, &plain(&html), limits, &oracle)
    });
}

#[test]
fn trash_is_told_as_the_text_that_is_left_of_it() {
    let oracle = RefCell::new(Oracle::start());
    run((texts::trash(), limits()), |(html, limits)| {
        if fits(&html, limits) {
            // It goes out as it is, and as plain text when that is refused.
            return Ok(());
        }
        check(&html, &plain(&html), limits, &oracle)
    });
}

#[test]
fn no_cut_is_inside_a_grapheme() {
    run((texts::well_formed(), 20..300_usize), |(html, visible)| {
        let limits = Limits { visible, ..MESSAGE };
        let text = plain(&html);
        let mut borders = vec![0];
        for grapheme in text.graphemes(true) {
            borders.push(borders.last().unwrap() + grapheme.chars().count());
        }
        let mut shown = 0;
        while let Some(part) = part(&html, shown, limits) {
            prop_assert!(part.shown > shown, "it goes on");
            prop_assert!(borders.contains(&part.shown), "{} in {text:?}", part.shown);
            shown = part.shown;
            if part.last {
                break;
            }
        }
        Ok(())
    });
}

#[test]
fn the_limit_is_in_code_points_to_the_last_one() {
    for c in ["x", "😀", "Ж", "&lt;"] {
        for (n, parts) in [(4095, 1), (4096, 1), (4097, 2), (8192, 2), (8193, 3)] {
            let text = c.repeat(n);
            // Raw bytes count, too: 4 bytes for each of these make half of what is allowed.
            assert_eq!(split(&text, MESSAGE).len(), parts, "{n} times {c}");
        }
    }
    let tagged = "<b>x</b>".repeat(4000);
    assert!(split(&tagged, MESSAGE).iter().all(|part| part.len() <= 32 << 10 && fits(part, MESSAGE)));
}
