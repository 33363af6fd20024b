//! Texts as templates and people make them: words, references, graphemes of many code points, nested tags, and trash.

use proptest::prelude::*;

/// Without markup, some of it many code points that are one character to a reader.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z0-9.:/_-]{1,12}",
        2 => "[а-яё]{1,9}",
        1 => Just("👨‍👩‍👧‍👦".to_owned()),
        1 => Just("🇩🇪".to_owned()),
        1 => Just("e\u{301}\u{323}".to_owned()),
        1 => Just(" \u{301}".to_owned()),
        1 => Just("각\u{11a8}".to_owned()),
        2 => prop_oneof![Just("&lt;"), Just("&amp;"), Just("&quot;"), Just("&#128512;"), Just("&#x41;")].prop_map(str::to_owned),
        1 => Just("w".repeat(300)),
    ]
}

fn gap() -> impl Strategy<Value = String> {
    prop_oneof![5 => Just(" "), 2 => Just("\n"), 1 => Just(""), 1 => Just("\n\n"), 1 => Just("  ")]
        .prop_map(str::to_owned)
}

fn plain() -> impl Strategy<Value = String> {
    prop::collection::vec((word(), gap()), 1..30)
        .prop_map(|words| words.into_iter().map(|(word, gap)| word + &gap).collect())
}

/// What TDLib accepts.
pub fn well_formed() -> impl Strategy<Value = String> {
    plain().prop_recursive(4, 400, 8, |inner| {
        let tag = prop_oneof![
            Just(("<b>", "</b>")),
            Just(("<i>", "</i>")),
            Just(("<u>", "</u>")),
            Just(("<s>", "</s>")),
            Just(("<CODE>", "</code>")),
            Just(("<tg-spoiler>", "</tg-spoiler>")),
            Just(("<span class=\"tg-spoiler\">", "</span>")),
            Just(("<blockquote expandable>", "</blockquote>")),
            Just(("<a href=\"https://p.example/graph?g0.expr=up%3E1&amp;x=%22>%22\">", "</a>")),
            Just(("<pre><code class=\"language-sh\">", "</code></pre>")),
        ];
        prop::collection::vec((inner, prop::option::of(tag)), 1..8).prop_map(|pieces| {
            let tagged = |(text, tag): (String, Option<(&str, &str)>)| match tag {
                Some((open, close)) => format!("{open}{text}{close}"),
                None => text,
            };
            pieces.into_iter().map(tagged).collect()
        })
    })
}

/// Tags that do not match, brackets that are none, and references to nothing.
pub fn trash() -> impl Strategy<Value = String> {
    let mark = prop_oneof![
        Just("<b>"),
        Just("</b>"),
        Just("</i>"),
        Just("<"),
        Just("< 5"),
        Just("<a href=\"x"),
        Just("&"),
        Just("&lt"),
        Just("&nbsp;"),
        Just("<br>"),
        Just("<b/>"),
        Just("&#0;"),
        Just("<i class='a>b'>"),
        Just(">"),
        Just("\""),
    ];
    prop::collection::vec((word(), gap(), prop::option::weighted(0.3, mark)), 1..120).prop_map(|pieces| {
        pieces.into_iter().map(|(word, gap, mark)| format!("{word}{gap}{}", mark.unwrap_or_default())).collect()
    })
}
