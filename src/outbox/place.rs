//! Where the outbox is, and who works on it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Held by the one process that delivers from an outbox; the kernel gives it back when that process ends, however.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock, for ever without a `patience`; nothing when it was not to be had.
    pub fn take(outbox: &Path, patience: Option<Duration>) -> io::Result<Option<Self>> {
        let mut path = outbox.as_os_str().to_owned();
        path.push(".lock");
        let file = File::options().append(true).create(true).open(&path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(TryLockError::Error(err)) => return Err(err),
                Err(TryLockError::WouldBlock) if patience.is_some_and(|patience| start.elapsed() >= patience) => {
                    return Ok(None);
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

/// `outbox.db` in `$STATE_DIRECTORY` (systemd), else in the XDG state directory, which is made.
pub fn default_path() -> Result<PathBuf, String> {
    let env = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd.exec(5): several directories are separated by colons.
    if let Some(list) = env("STATE_DIRECTORY") {
        let first = std::env::split_paths(&list).next().unwrap_or(list);
        return Ok(first.join("outbox.db"));
    }
    let state = env("XDG_STATE_HOME").or_else(|| Some(env("HOME")?.join(".local/state")));
    let directory = state.ok_or("no place for the outbox: name it with --outbox")?.join("prometheus-telegram");
    std::fs::create_dir_all(&directory).map_err(|err| format!("cannot make {}: {err}", directory.display()))?;
    Ok(directory.join("outbox.db"))
}
