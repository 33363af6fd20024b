//! Where the outbox is.

use std::path::PathBuf;

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
