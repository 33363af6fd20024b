//! The nearest of known names, for hints: keys of the configuration, options, members of the users file.

use strsim::damerau_levenshtein;

/// The known name that is most like this word.
pub fn nearest<'a>(known: impl IntoIterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    known.into_iter().min_by_key(|name| distance(name, word))
}

/// The known name that this word most likely is, mistyped; nothing where it may as well be a word of its own.
pub fn meant<'a>(known: impl IntoIterator<Item = &'a str>, word: &str) -> Option<&'a str> {
    let name = nearest(known, word)?;
    let length = name.chars().count().max(word.chars().count());
    (distance(name, word) * 3 <= length).then_some(name)
}

fn distance(name: &str, word: &str) -> usize {
    damerau_levenshtein(&name.to_lowercase(), &word.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_told_from_another_word() {
        let known = ["match", "labels", "role", "muted_until"];
        for (word, name) in [
            ("mtach", Some("match")),
            ("MATCH", Some("match")),
            ("lable", Some("labels")),
            ("rol", Some("role")),
            ("mutd_untill", Some("muted_until")),
            ("note", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(meant(known, word), name, "{word:?}");
        }
        assert_eq!(nearest(known, "x"), Some("role"));
        assert_eq!(nearest([], "x"), None);
    }
}
