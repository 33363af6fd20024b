//! Uploaded files: what they are, and their bytes for getFile and the page.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::params::Upload;
use super::requests::FileFacts;

/// Beyond this the oldest bytes are forgotten; names and sizes stay.
const MOST_BYTES: usize = 256 << 20;

/// A photo: its file and its size in pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub file: u64,
    pub width: u32,
    pub height: u32,
}

#[derive(Debug)]
pub struct File {
    pub filename: String,
    pub mime: String,
    pub size: usize,
    pub bytes: Option<Vec<u8>>,
    pub dimensions: Option<(u32, u32)>,
}

/// All files that were uploaded, by number.
#[derive(Debug, Default)]
pub struct Files {
    files: BTreeMap<u64, File>,
    last: u64,
    held: usize,
}

impl Files {
    pub fn add(&mut self, upload: &Upload) -> u64 {
        self.last += 1;
        self.held += upload.bytes.len();
        let file = File {
            filename: upload.filename.clone(),
            mime: mime(upload),
            size: upload.bytes.len(),
            bytes: Some(upload.bytes.clone()),
            dimensions: dimensions(&upload.bytes),
        };
        self.files.insert(self.last, file);
        for file in self.files.values_mut() {
            if self.held <= MOST_BYTES {
                break;
            }
            self.held -= file.bytes.take().map_or(0, |bytes| bytes.len());
        }
        self.last
    }

    pub fn get(&self, number: u64) -> Option<&File> {
        self.files.get(&number)
    }

    /// The file that a file_id of ours names.
    pub fn by_id(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix("sandbox-file-")?.split('-').next()?.parse().ok()?;
        self.files.contains_key(&number).then_some(number)
    }

    fn ids(number: u64, size: &str) -> Value {
        let dash = if size.is_empty() { "" } else { "-" };
        json!({"file_id": format!("sandbox-file-{number}{dash}{size}"), "file_unique_id": format!("u{number}{size}")})
    }

    /// SPEC PhotoSize, smaller ones first, the last as large as what was sent.
    pub fn photo_json(&self, picture: &Picture) -> Value {
        let size = self.get(picture.file).map_or(0, |file| file.size);
        let longest = picture.width.max(picture.height).max(1);
        let mut sizes = Vec::new();
        for (name, most) in [("s", 90), ("m", 320), ("x", 800), ("", u32::MAX)] {
            if most != u32::MAX && longest <= most {
                continue;
            }
            let shrink = |side: u32| if most == u32::MAX { side } else { (side * most / longest).max(1) };
            let mut json = Files::ids(picture.file, name);
            json["width"] = shrink(picture.width).into();
            json["height"] = shrink(picture.height).into();
            json["file_size"] = size.into();
            sizes.push(json);
        }
        Value::Array(sizes)
    }

    /// SPEC Document
    pub fn document_json(&self, number: u64) -> Value {
        let mut json = Files::ids(number, "");
        if let Some(file) = self.get(number) {
            json["file_name"] = file.filename.clone().into();
            json["mime_type"] = file.mime.clone().into();
            json["file_size"] = file.size.into();
        }
        json
    }

    /// SPEC File
    pub fn file_json(&self, number: u64) -> Value {
        let mut json = Files::ids(number, "");
        if let Some(file) = self.get(number) {
            let folder = if file.dimensions.is_some() { "photos" } else { "documents" };
            json["file_size"] = file.size.into();
            json["file_path"] = format!("{folder}/file_{number}").into();
        }
        json
    }

    /// The file of a `file_path`.
    pub fn by_path(&self, path: &str) -> Option<&File> {
        self.get(path.rsplit_once("/file_")?.1.parse().ok()?)
    }
}

/// The real server looks at the name when the client says nothing.
fn mime(upload: &Upload) -> String {
    if !upload.mime.is_empty() && upload.mime != "application/octet-stream" {
        return upload.mime.clone();
    }
    let ending = upload.filename.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let mime = match ending.as_str() {
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "json" => "application/json",
        "html" | "htm" => "text/html",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    };
    mime.to_owned()
}

/// What the record of a request says about a file.
pub fn facts(upload: &Upload) -> FileFacts {
    let digest = Sha256::digest(&upload.bytes);
    FileFacts {
        name: upload.name.clone(),
        filename: upload.filename.clone(),
        mime: upload.mime.clone(),
        size: upload.bytes.len(),
        sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        dimensions: dimensions(&upload.bytes),
    }
}

/// Width and height of a PNG, JPEG or GIF, by its header.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let sides = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.get(12..16)? == b"IHDR" {
        let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        (side(16)?, side(20)?)
    } else if bytes.starts_with(b"GIF8") {
        let side = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
        (side(6)?, side(8)?)
    } else if bytes.starts_with(b"\xff\xd8") {
        jpeg(bytes)?
    } else {
        return None;
    };
    (sides.0 > 0 && sides.1 > 0).then_some(sides)
}

/// Walks the segments to the frame header.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let word = |at: usize| Some(u32::from(*bytes.get(at)?) << 8 | u32::from(*bytes.get(at + 1)?));
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Some((word(at + 7)?, word(at + 5)?)),
            _ => at += 2 + word(at + 2)? as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_the_header() {
        let jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xdb\x00\x03x\xff\xc2\x00\x11\x08\x01\x02\x03\x04";
        assert_eq!(dimensions(jpeg), Some((0x304, 0x102)));
        assert_eq!(dimensions(b"GIF89a\x05\x00\x06\x00"), Some((5, 6)));
        for broken in [&jpeg[..20], b"\xff\xd8", b"\xff\xd8\xff\xe0\xff\xff", b"GIF8", b"\x89PNG\r\n\x1a\n\0\0", b""] {
            assert_eq!(dimensions(broken), None, "{broken:?}");
        }
    }
}
