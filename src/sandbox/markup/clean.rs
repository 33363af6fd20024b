//! What the server does to every text before it is sent: characters taken out, ends trimmed, entities put in order
//! (TDLib fix_formatted_text). So the text of an answer may differ from the text of the request.

use super::entity::{Entity, Kind, sort};

/// A text as it is delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// The plain text; empty when there was nothing to show.
    pub text: String,
    /// Its entities.
    pub entities: Vec<Entity>,
}

/// Cleans and trims a text. What is left may be empty: the caller knows whether that is an error.
pub fn fix(text: &str, entities: Vec<Entity>) -> Fixed {
    let mut entities = ordered(entities);
    let mut text = clean(text, &mut entities);
    trim(&mut text, &mut entities);
    if text.chars().all(is_invisible) {
        return Fixed::default();
    }
    Fixed { entities: ordered(entities), text }
}

fn clean(text: &str, entities: &mut [Entity]) -> String {
    if text.chars().all(|c| kept(c) == Some(c)) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    // For every UTF-16 offset of the old text, the offset in the new one.
    let mut moved = Vec::with_capacity(text.len() + 1);
    let mut offset = 0;
    for c in text.chars() {
        moved.extend((0..c.len_utf16()).map(|_| offset));
        if let Some(c) = kept(c) {
            cleaned.push(c);
            offset += c.len_utf16() as u32;
        }
    }
    moved.push(offset);
    let new = |old: u32| moved.get(old as usize).copied().unwrap_or(offset);
    for entity in entities {
        let end = new(entity.end());
        entity.offset = new(entity.offset);
        entity.length = end.saturating_sub(entity.offset);
    }
    cleaned
}

/// The character that stands for this one, if any (TDLib misc.cpp clean_input_string).
fn kept(c: char) -> Option<char> {
    match c {
        '\r' | '\u{2028}'..='\u{202e}' | '\u{333}' | '\u{33f}' | '\u{30a}' => None,
        '\n' => Some(c),
        '\0'..=' ' => Some(' '),
        _ => Some(c),
    }
}

/// Blanks at the start go only up to the first entity.
fn trim(text: &mut String, entities: &mut Vec<Entity>) {
    text.truncate(text.trim_end_matches([' ', '\n']).len());
    let end = text.encode_utf16().count() as u32;
    entities.retain_mut(|entity| {
        entity.length = entity.end().min(end).saturating_sub(entity.offset);
        entity.length > 0
    });
    let first = entities.first().map_or(u32::MAX, |entity| entity.offset) as usize;
    let start = text.bytes().take(first).take_while(|c| *c == b' ' || *c == b'\n').count();
    text.drain(..start);
    for entity in entities {
        entity.offset -= start as u32;
    }
}

/// Characters that show nothing (TDLib strip_empty_characters).
fn is_invisible(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200b}' | '\u{200d}'..='\u{200f}'
        | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{2800}' | '\u{3000}' | '\u{feff}' | '\u{fffc}')
}

fn is_splittable(kind: &Kind) -> bool {
    matches!(kind, Kind::Bold | Kind::Italic | Kind::Underline | Kind::Strikethrough | Kind::Spoiler)
}

fn is_quote(kind: &Kind) -> bool {
    matches!(kind, Kind::Blockquote | Kind::ExpandableBlockquote)
}

/// No decoration inside them.
fn is_verbatim(kind: &Kind) -> bool {
    matches!(kind, Kind::Code | Kind::Pre | Kind::PreCode(_) | Kind::DateTime(..))
}

/// Sorts, removes what overlaps and may not, and merges and cuts the styles (TDLib fix_entities).
fn ordered(mut entities: Vec<Entity>) -> Vec<Entity> {
    entities.retain(|entity| entity.length > 0);
    sort(&mut entities);
    if entities.len() < 2 {
        return entities;
    }
    let (styles, others): (Vec<_>, Vec<_>) = entities.into_iter().partition(|entity| is_splittable(&entity.kind));
    let (mut quotes, mut others): (Vec<_>, Vec<_>) = others.into_iter().partition(|entity| is_quote(&entity.kind));
    remove_overlaps(&mut quotes);
    remove_overlaps(&mut others);
    others.retain(|entity| {
        !quotes.iter().any(|quote| {
            let apart = entity.end() <= quote.offset || entity.offset >= quote.end();
            let inside = entity.offset >= quote.offset && entity.end() <= quote.end();
            !apart && !inside
        })
    });
    others.append(&mut quotes);
    let mut all = cut(styles, &others);
    all.append(&mut others);
    sort(&mut all);
    all
}

/// Of entities that overlap the first one stays.
fn remove_overlaps(entities: &mut Vec<Entity>) {
    let mut end = 0;
    entities.retain(|entity| {
        let apart = entity.offset >= end;
        if apart {
            end = entity.end();
        }
        apart
    });
}

/// Merges styles of one kind that touch, and cuts all styles where another entity starts or ends.
fn cut(styles: Vec<Entity>, others: &[Entity]) -> Vec<Entity> {
    let mut merged: Vec<Entity> = Vec::new();
    for style in styles {
        match merged.iter_mut().rev().find(|last| last.kind == style.kind && last.end() >= style.offset) {
            Some(last) => last.length = last.length.max(style.end() - last.offset),
            None => merged.push(style),
        }
    }
    let mut cuts: Vec<u32> = merged.iter().map(|style| style.offset).collect();
    cuts.extend(others.iter().flat_map(|other| [other.offset, other.end()]));
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces = Vec::new();
    for style in merged {
        let mut start = style.offset;
        let first = cuts.partition_point(|cut| *cut <= start);
        let ends = cuts[first..].iter().copied().take_while(|cut| *cut < style.end());
        for end in ends.chain([style.end()]) {
            let verbatim = |other: &Entity| is_verbatim(&other.kind) && other.offset <= start && other.end() >= end;
            if !others.iter().any(verbatim) {
                pieces.push(Entity::new(style.kind.clone(), start, end));
            }
            start = end;
        }
    }
    pieces
}
