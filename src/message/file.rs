//! A record with a picture or a file.

use serde_json::Value;

use super::{Occasion, Waiting, head_line, text_call};
use crate::record::Record;
use crate::telegram::{Call, File};
use crate::text::escape;

/// What the Bot API takes: <https://core.telegram.org/bots/api#senddocument>.
const LARGEST: u64 = 50 << 20;

/// A file by path is uploaded, one by URL is fetched by Telegram. One that cannot be read costs only itself.
pub fn call(waiting: &Waiting, caption: &str, occasion: &Occasion<'_>) -> Call {
    let record = &waiting.record;
    let source = record.photo.as_ref().or(record.document.as_ref()).map_or("", String::as_str);
    let (method, parameter) = match record.photo.is_some() && !occasion.changes.as_document {
        true => ("sendPhoto", "photo"),
        false => ("sendDocument", "document"),
    };
    let head = head_line(&[waiting], occasion);
    let by_url = source.starts_with("https://") || source.starts_with("http://");
    let bytes = match if by_url { Ok(Vec::new()) } else { read(source) } {
        Ok(bytes) => bytes,
        Err(why) => {
            let text = format!("{head}{}", without(record, caption, &format!("cannot be read: {why}")));
            return text_call(&text, &[waiting], occasion, Some(&record.buttons));
        }
    };
    let mut call = text_call(&format!("{head}{caption}"), &[waiting], occasion, Some(&record.buttons));
    call.method = method;
    if let Value::Object(parameters) = &mut call.parameters {
        parameters.remove("link_preview_options");
        let text = parameters.remove("text").filter(|text| text.as_str().is_some_and(|text| !text.trim().is_empty()));
        match text {
            Some(text) => drop(parameters.insert("caption".into(), text)),
            None => drop(parameters.remove("parse_mode")),
        }
        if by_url {
            parameters.insert(parameter.into(), source.into());
        }
    }
    if !by_url {
        let name = source.rsplit('/').next().unwrap_or_default().to_owned();
        call.file = Some(File { parameter, name, kind: kind(&bytes), bytes });
    }
    call
}

/// The text of a record whose picture or file is left out, for this reason.
pub fn without(record: &Record, text: &str, why: &str) -> String {
    let what = if record.photo.is_some() { "picture" } else { "file" };
    let gap = if text.trim().is_empty() { "" } else { "\n\n" };
    format!("{}{gap}<i>the {what} {}</i>", text.trim_end(), escape(why))
}

/// Nothing that never ends, and nothing that waits for a writer.
fn read(path: &str) -> Result<Vec<u8>, String> {
    let about = std::fs::metadata(path).map_err(|err| err.to_string())?;
    if !about.is_file() {
        return Err("it is no file".to_owned());
    }
    if about.len() > LARGEST {
        return Err(format!("it is larger than {} MB", LARGEST >> 20));
    }
    std::fs::read(path).map_err(|err| err.to_string())
}

fn kind(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(b"\x89PNG") {
        "image/png"
    } else if bytes.starts_with(b"\xff\xd8") {
        "image/jpeg"
    } else if std::str::from_utf8(bytes).is_ok() {
        "text/plain"
    } else {
        "application/octet-stream"
    }
}
