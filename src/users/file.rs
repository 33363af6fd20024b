//! Changing the users file on disk: several programs and people may do so at the same time.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::Roster;
use crate::disk::{Draft, Lock, Stamp, target};

/// How long another writer may hold the lock; each needs a few milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a change starts anew because somebody without the lock, a person with an editor, was faster.
const ATTEMPTS: usize = 10;

/// Reads a users file for tg-bot. One that is not there is empty.
pub fn read(path: &Path) -> Result<Roster, String> {
    parse(path, &text(path)?)
}

/// What stands in a users file: nothing where there is none.
pub fn text(path: &Path) -> Result<String, String> {
    match std::fs::read_to_string(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|err| format!("cannot read users file {}: {err}", path.display())),
    }
}

/// Reads what stands in the users file at `path`.
pub fn parse(path: &Path, text: &str) -> Result<Roster, String> {
    Roster::parse(text).map_err(|err| format!("users file {}:{err}", path.display()))
}

/// Nothing stands there; `{}` is the users file of nobody.
pub fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Changes a users file: locks `<file>.lock`, reads the file as it is now, and replaces it as a whole, on disk when this
/// returns. Nothing is written where nothing changed. A file that is no users file is an error and left alone.
///
/// `change` is called again, with the roster as it is then, when somebody who knows nothing of the lock has changed the
/// file meanwhile; the last call's value is returned. A symbolic link stays, and what it points to is changed.
pub fn edit<T>(path: &Path, change: impl FnMut(&mut Roster) -> T) -> Result<T, String> {
    edit_unless(path, |_| false, change)
}

/// Changes a users file as [`edit`] does, but for one that named somebody: where that is blank or gone now, it was not
/// meant so, and what would be written has lost everybody. It is an error and left alone.
pub fn edit_filled<T>(path: &Path, change: impl FnMut(&mut Roster) -> T) -> Result<T, String> {
    edit_unless(path, is_blank, change)
}

fn edit_unless<T>(
    path: &Path,
    is_lost: impl Fn(&str) -> bool,
    mut change: impl FnMut(&mut Roster) -> T,
) -> Result<T, String> {
    let path = &target(path);
    let shown = path.display();
    let lock = Lock::take(path, Some(PATIENCE)).map_err(|err| format!("cannot lock users file {shown}: {err}"))?;
    let _lock = lock.ok_or_else(|| format!("cannot lock users file {shown}: another program has held it too long"))?;
    let cannot = |err: io::Error| format!("cannot write users file {shown}: {err}");
    for _ in 0..ATTEMPTS {
        let stamp = Stamp::at(path);
        let text = text(path)?;
        if is_lost(&text) {
            return Err(format!(
                "users file {shown} is empty or gone and is not changed: put the last good one back, or write {{}} into \
                 it if nobody shall be in it"
            ));
        }
        let before = parse(path, &text)?;
        let mut roster = before.clone();
        let result = change(&mut roster);
        if roster == before {
            return Ok(result);
        }
        let draft = Draft::write(path, roster.to_text().as_bytes()).map_err(cannot)?;
        if draft.replace(stamp).map_err(cannot)? {
            return Ok(result);
        }
    }
    Err(format!("cannot write users file {shown}: somebody else changes it all the time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;
    use std::thread;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("prometheus-telegram-edit-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_made_changed_and_left_alone() {
        let folder = folder("change");
        let path = folder.join("users.json");
        edit(&path, |roster| roster.set_match(1, None, "cpu")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\n  \"1\": \"cpu\"\n}\n");
        fs::write(&path, "{\"1\":   \"cpu\"}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o606)).unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        edit(&path, |roster| roster.set_match(1, None, "cpu")).unwrap();
        assert!(!edit(&path, |roster| roster.remove(2)).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), before, "nothing changed");
        let link = folder.join("link.json");
        symlink("users.json", &link).unwrap();
        edit(&link, |roster| roster.admit(2)).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(read(&path).unwrap().contains(2));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o606);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_users_file_is_left_alone() {
        let folder = folder("bad");
        let path = folder.join("users.json");
        assert_eq!(read(&path).unwrap(), Roster::default(), "none is an empty one");
        for text in ["[]", "{\"1\": \"a\",}", "precious"] {
            fs::write(&path, text).unwrap();
            let err = edit(&path, |roster| roster.admit(1)).unwrap_err();
            assert!(err.starts_with(&format!("users file {}:1:", path.display())), "{err}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, "").unwrap();
        edit(&path, |roster| roster.admit(1)).unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_edit_by_hand_meanwhile_is_not_lost() {
        let folder = folder("hand");
        let path = folder.join("users.json");
        fs::write(&path, "{}").unwrap();
        let mut calls = 0;
        edit(&path, |roster| {
            calls += 1;
            if calls == 1 {
                fs::write(&path, r#"{"5": "by hand"}"#).unwrap();
            }
            roster.admit(6);
        })
        .unwrap();
        let roster = read(&path).unwrap();
        assert!(calls == 2 && roster.contains(5) && roster.contains(6), "{roster:?}");
        let endless = edit(&path, |roster| {
            calls += 1;
            fs::write(&path, format!("{{\"{calls}\": \"by hand\"}}")).unwrap();
            roster.admit(700);
        });
        assert!(endless.unwrap_err().ends_with("changes it all the time"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let folder = folder("writers");
        let path = folder.join("users.json");
        thread::scope(|scope| {
            for writer in 1..=4 {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..25 {
                        edit(path, |roster| roster.set_match(writer * 100 + n, None, "x")).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&path).unwrap().chats().count(), 100);
        fs::remove_dir_all(&folder).unwrap();
    }
}
