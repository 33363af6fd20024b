//! Files that several processes share: locked by one at a time, and replaced as a whole, so that a reader, or whoever
//! starts after a kill, sees the old state or the new one and nothing between.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

/// A new file: for its owner to change, for its group to read, as far as the umask lets.
const NEW_MODE: u32 = 0o640;

/// A lock: for its owner only.
const LOCK_MODE: u32 = 0o600;

/// Links that are followed from one to the next, as Linux does (path_resolution(7)).
const LINKS: usize = 40;

/// Held by one process; the kernel gives it back when that process ends, however.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks `<path>.lock`, which stays there: a lock on the file itself would be lost when it is replaced. Waits for
    /// ever without a `patience`; nothing when the lock was not to be had.
    pub fn take(path: &Path, patience: Option<Duration>) -> io::Result<Option<Self>> {
        // Whoever can open it can hold it, and so stop everybody.
        let file = File::options().append(true).create(true).mode(LOCK_MODE).open(beside(path, ".lock"))?;
        let mode = file.metadata()?.permissions().mode();
        if mode & 0o007 != 0 {
            // Of an earlier version; may fail where it is somebody else's.
            let _ = file.set_permissions(fs::Permissions::from_mode(mode & 0o770));
        }
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(TryLockError::Error(err)) => return Err(err),
                Err(TryLockError::WouldBlock) if patience.is_some_and(|patience| start.elapsed() >= patience) => {
                    return Ok(None);
                }
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The file `name` in `$STATE_DIRECTORY` (systemd), else in the XDG state directory, which is made; `option` is what
/// names another place.
pub fn state_file(name: &str, option: &str) -> Result<PathBuf, String> {
    let env = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // systemd.exec(5): several directories are separated by colons.
    if let Some(list) = env("STATE_DIRECTORY") {
        let first = std::env::split_paths(&list).next().unwrap_or(list);
        return Ok(first.join(name));
    }
    let state = env("XDG_STATE_HOME").or_else(|| Some(env("HOME")?.join(".local/state")));
    let directory =
        state.ok_or_else(|| format!("no place for {name}: say it with {option}"))?.join("prometheus-telegram");
    make_folder(&directory).map_err(|err| format!("cannot make {}: {err}", directory.display()))?;
    Ok(directory.join(name))
}

/// Makes it, and what leads there, for its owner only, as the XDG directories are to be.
fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    /// Of a file that was looked at.
    pub fn of(meta: &fs::Metadata) -> Self {
        Stamp { modified: (meta.mtime(), meta.mtime_nsec()), size: meta.len(), inode: meta.ino() }
    }

    /// Of the file at this path, where there is one.
    pub fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|meta| Stamp::of(&meta))
    }
}

/// The file that a path means: where there is a symbolic link the one that it points to, also when that is not there.
pub fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Ok(link) = fs::read_link(&path) else { break };
        path = path.parent().map_or(link.clone(), |folder| folder.join(&link));
    }
    path
}

/// A new state of a file, written beside it and not yet in its place.
#[derive(Debug)]
pub struct Draft {
    path: PathBuf,
    draft: PathBuf,
}

impl Draft {
    /// Writes `<path>.new` with the mode, and as far as that is allowed the owner, of the file at `path`; on disk when
    /// this returns. Only one process at a time may do so. `path` should not be a link, see [`target`].
    pub fn write(path: &Path, contents: &[u8]) -> io::Result<Self> {
        let draft = beside(path, ".new");
        // A killed predecessor left it; and what is made anew cannot be somebody's link to elsewhere.
        match fs::remove_file(&draft) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(NEW_MODE).open(&draft)?;
        let written = like(path, &file).and_then(|()| file.write_all(contents)).and_then(|()| file.sync_all());
        let draft = Draft { path: path.to_owned(), draft };
        written.map(|()| draft)
    }

    /// Puts it in place, in one step, and makes that durable.
    pub fn place(self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)?;
        self.sync_folder()
    }

    /// Puts it in place of the file that was `seen` there, in one step, and makes that durable. False, with the file as
    /// it was, if somebody has changed it meanwhile. Where the file system cannot exchange two files there is a moment in
    /// which somebody's change could be overwritten.
    pub fn replace(self, seen: Option<Stamp>) -> io::Result<bool> {
        let Some(seen) = seen else { return self.place_anew() };
        if Stamp::at(&self.path) != Some(seen) {
            return Ok(false);
        }
        let ours = Stamp::at(&self.draft);
        match self.exchange() {
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => return self.place().map(|()| true),
            done => done?,
        }
        // What stood there is beside it now. Nobody else touches that, so now it can be looked at in peace.
        let is_same = Stamp::at(&self.draft) == Some(seen);
        if !is_same {
            self.exchange()?;
            if Stamp::at(&self.draft) != ours {
                // Somebody was faster once more: theirs is the newest.
                self.exchange()?;
            }
        }
        self.sync_folder()?;
        Ok(is_same)
    }

    fn exchange(&self) -> Result<(), rustix::io::Errno> {
        self.rename(RenameFlags::EXCHANGE)
    }

    /// Where no file was; false if there is one now.
    fn place_anew(self) -> io::Result<bool> {
        match self.rename(RenameFlags::NOREPLACE) {
            Ok(()) => self.sync_folder().map(|()| true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => self.place().map(|()| true),
            Err(err) => Err(err.into()),
        }
    }

    fn rename(&self, flags: RenameFlags) -> Result<(), rustix::io::Errno> {
        renameat_with(CWD, &self.draft, CWD, &self.path, flags)
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `place` there is nothing to remove.
        let _ = fs::remove_file(&self.draft);
    }
}

fn like(path: &Path, file: &File) -> io::Result<()> {
    let Ok(old) = fs::metadata(path) else { return Ok(()) };
    // Only root may give a file away; a group one is in may be given by anybody.
    if fchown(file, Some(old.uid()), Some(old.gid())).is_err() {
        let _ = fchown(file, None, Some(old.gid()));
    }
    file.set_permissions(old.permissions())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("prometheus-telegram-disk-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_replaced_with_its_mode_and_without_litter() {
        let folder = folder("replace");
        let path = folder.join("file");
        Draft::write(&path, b"one").unwrap().place().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o137, 0, "nobody else can read it");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        fs::write(folder.join("file.new"), "left by one that was killed").unwrap();
        let draft = Draft::write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        draft.place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o604);
        drop(Draft::write(&path, b"three").unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn only_what_was_seen_is_replaced() {
        let folder = folder("seen");
        let path = folder.join("file");
        assert!(Draft::write(&path, b"one").unwrap().replace(None).unwrap());
        let late = Draft::write(&path, b"late").unwrap();
        assert!(!late.replace(None).unwrap(), "there is one by now");
        let seen = Stamp::at(&path);
        let draft = Draft::write(&path, b"two").unwrap();
        fs::write(folder.join("editor"), b"by hand").unwrap();
        fs::rename(folder.join("editor"), &path).unwrap();
        // As if the editor had come between the look and the exchange.
        draft.exchange().unwrap();
        assert_eq!(fs::read(&draft.draft).unwrap(), b"by hand");
        draft.exchange().unwrap();
        assert!(!draft.replace(seen).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"by hand");
        assert!(Draft::write(&path, b"three").unwrap().replace(Stamp::at(&path)).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no litter");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn links_are_followed_also_to_what_is_not_there() {
        let folder = folder("links");
        symlink("deep/b", folder.join("a")).unwrap();
        fs::create_dir(folder.join("deep")).unwrap();
        symlink("c", folder.join("deep/b")).unwrap();
        assert_eq!(target(&folder.join("a")), folder.join("deep/c"));
        assert_eq!(target(Path::new("plain")), Path::new("plain"));
        symlink("circle", folder.join("circle")).unwrap();
        target(&folder.join("circle"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_lock_is_waited_for_no_longer_than_said() {
        let folder = folder("lock");
        let path = folder.join("file");
        let held = Lock::take(&path, None).unwrap().unwrap();
        assert!(Lock::take(&path, Some(Duration::from_millis(50))).unwrap().is_none());
        drop(held);
        assert!(Lock::take(&path, Some(Duration::ZERO)).unwrap().is_some());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_lock_and_a_folder_are_their_owners() {
        let folder = folder("modes");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        let (path, lock) = (folder.join("file"), folder.join("file.lock"));
        drop(Lock::take(&path, None).unwrap());
        assert_eq!(mode(&lock), 0o600);
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
        drop(Lock::take(&path, None).unwrap());
        assert_eq!(mode(&lock), 0o640, "one of an earlier version");
        make_folder(&folder.join("a/b")).unwrap();
        make_folder(&folder.join("a/b")).unwrap();
        assert_eq!((mode(&folder.join("a")), mode(&folder.join("a/b"))), (0o700, 0o700));
        fs::remove_dir_all(&folder).unwrap();
    }
}
