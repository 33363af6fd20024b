//! Where a picture goes: all of it, or nothing.

use std::fs::{self, File};
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
    // What is made anew cannot be somebody's link to elsewhere; one that was killed may have left its own.
    let _ = fs::remove_file(&part);
    let mut file = File::create_new(&part)?;
    file.write_all(picture).and_then(|()| fs::rename(&part, &path)).inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = std::env::temp_dir().join(format!("prometheus-telegram-output-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let (path, other) = (folder.join("p.png"), folder.join("precious"));
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, folder.join(format!("p.png.{}.part", std::process::id()))).unwrap();
        Output::File(path.clone()).write(b"picture", &mut Vec::new()).unwrap();
        assert_eq!((fs::read(&other).unwrap(), fs::read(&path).unwrap()), (b"precious".to_vec(), b"picture".to_vec()));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
