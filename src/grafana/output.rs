//! Where a picture goes: all of it, or nothing.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

/// The target of `-o`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Must not be a terminal.
    Stdout,
    /// Appears whole or not at all.
    File(PathBuf),
}

impl Output {
    /// Writes the picture; `stdout` is used where it is the target.
    pub fn write(&self, picture: &[u8], stdout: &mut impl Write) -> io::Result<()> {
        match self {
            Output::Stdout => stdout.write_all(picture).and_then(|()| stdout.flush()),
            Output::File(path) => write_whole(path.clone(), picture),
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Output::Stdout => f.write_str("stdout"),
            Output::File(path) => path.display().fmt(f),
        }
    }
}

/// A reader of the file sees the old picture or the new one, never a part. A link stays a link; a device or a pipe is
/// written to and not replaced.
fn write_whole(path: PathBuf, picture: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(&path).unwrap_or(path);
    if fs::metadata(&path).is_ok_and(|old| !old.is_file()) {
        return fs::write(&path, picture);
    }
    let mut part = path.clone().into_os_string();
    part.push(format!(".{}.part", std::process::id()));
    fs::write(&part, picture).and_then(|()| fs::rename(&part, &path)).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}
