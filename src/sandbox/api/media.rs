//! The files that a message shows: where they come from, and what is refused.

use serde_json::Value;

use super::Refusal;
use super::send::marked_up;
use crate::sandbox::State;
use crate::sandbox::files;
use crate::sandbox::markup::Fixed;
use crate::sandbox::params::{Params, Upload};

/// TD MessageContent.cpp:5241
const MOST_CAPTION: usize = 1024;
/// TD FileLoaderUtils.cpp
const MOST_PHOTO: usize = 10_485_760;
const MOST_DOCUMENT: usize = 50 << 20;

/// Kinds of media that the server knows and that the sandbox has no messages for.
const OTHER_KINDS: [&str; 4] = ["animation", "audio", "live_photo", "video"];

/// Where a file comes from.
pub enum Source<'a> {
    Upload(&'a Upload),
    Known(u64),
}

impl Source<'_> {
    pub fn into_file(self, state: &mut State) -> u64 {
        match self {
            Source::Upload(upload) => state.files.add(upload),
            Source::Known(file) => file,
        }
    }
}

/// BAPI get_input_file: a part of that name, `attach://` another part, a file_id, or a URL.
pub fn source<'a>(state: &State, params: &'a Params, field: &str) -> Result<Source<'a>, Refusal> {
    let named = params.get(field);
    let part = named.strip_prefix("attach://").unwrap_or(field);
    if named.is_empty() && params.file(part).is_none() {
        return Err(Refusal::bad(&format!("there is no {field} in the request")));
    }
    file_named(state, params, named, part)
}

/// `part` is the part of the request that holds the file, if any does.
fn file_named<'a>(state: &State, params: &'a Params, named: &str, part: &str) -> Result<Source<'a>, Refusal> {
    if let Some(upload) = params.file(part) {
        return if upload.bytes.is_empty() {
            Err(Refusal::bad("file must be non-empty"))
        } else {
            Ok(Source::Upload(upload))
        };
    }
    match state.files.by_id(named) {
        Some(file) => Ok(Source::Known(file)),
        // What could be fetched is an upload by now.
        None if named.starts_with("http") => Err(Refusal::bad("failed to get HTTP URL content")),
        None => Err(Refusal::bad("wrong file identifier/HTTP URL specified")),
    }
}

/// SPEC InputMediaPhoto, InputMediaDocument.
pub struct Input<'a> {
    pub is_photo: bool,
    pub source: Source<'a>,
    pub caption: Fixed,
}

/// The `media` parameter. BAPI get_input_media reads the caption first, then the type, the file, and whether it knows
/// the type; what it finds wrong there has a prefix.
pub fn input<'a>(state: &State, params: &'a Params, late: &mut Option<&'static str>) -> Result<Input<'a>, Refusal> {
    let text = params.get("media");
    if text.is_empty() {
        return Err(Refusal::bad("parameter \"media\" is required"));
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Err(Refusal::bad("can't parse input media JSON object"));
    };
    let unreadable = |reason: &str| Refusal::bad(&format!("can't parse InputMedia: {reason}"));
    let Value::Object(object) = value else { return Err(unreadable("expected an Object")) };
    let fields = Params::of(object);
    let caption = marked_up(&fields, "caption", "parse_mode", "caption_entities", late)
        .map_err(|refusal| unreadable(&capitalised(refusal.description.trim_start_matches("Bad Request: "))))?;
    let kind = fields.get("type");
    let named = fields.get("media");
    if kind.is_empty() {
        return Err(unreadable("Can't find field \"type\""));
    }
    // Not a part of that name: the parameter holds the description.
    let part = named.strip_prefix("attach://").unwrap_or(if named.starts_with("http") { FETCHED } else { "" });
    if named.is_empty() || (named.starts_with("attach://") && params.file(part).is_none()) {
        return Err(unreadable("media not found"));
    }
    if OTHER_KINDS.contains(&kind) {
        return Err(unreadable(&format!("type \"{kind}\" is not in this sandbox")));
    }
    if !["photo", "document"].contains(&kind) {
        return Err(unreadable(&format!("type \"{kind}\" is unsupported")));
    }
    let source = file_named(state, params, named, part)?;
    Ok(Input { is_photo: kind == "photo", source, caption })
}

/// The name under which the file behind a URL in `media` is among the uploads.
pub const FETCHED: &str = "media";

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

pub fn check_caption(caption: &Fixed) -> Result<(), Refusal> {
    let short = caption.text.chars().count() <= MOST_CAPTION;
    if short { Ok(()) } else { Err(Refusal::bad("message caption is too long")) }
}

/// Width and height of what Telegram takes as a photo.
pub fn check_photo(state: &State, source: &Source, caption: &Fixed) -> Result<(u32, u32), Refusal> {
    let (size, dimensions) = match source {
        Source::Upload(upload) => (upload.bytes.len(), files::dimensions(&upload.bytes)),
        Source::Known(file) => state.files.get(*file).map_or((0, None), |file| (file.size, file.dimensions)),
    };
    if size > MOST_PHOTO {
        return Err(Refusal::bad(&format!(
            "file of size {size} bytes is too big for a photo; the maximum size is {MOST_PHOTO} bytes"
        )));
    }
    check_caption(caption)?;
    let Some((width, height)) = dimensions else { return Err(Refusal::bad("IMAGE_PROCESS_FAILED")) };
    if width + height > 10_000 || width.max(height) > 20 * width.min(height) {
        return Err(Refusal::bad("PHOTO_INVALID_DIMENSIONS"));
    }
    Ok((width, height))
}

pub fn check_document(source: &Source, caption: &Fixed) -> Result<(), Refusal> {
    if let Source::Upload(upload) = source
        && upload.bytes.len() > MOST_DOCUMENT
    {
        return Err(Refusal::new(413, "Request Entity Too Large"));
    }
    check_caption(caption)
}
