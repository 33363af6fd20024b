//! The users file as the bot sees it: read again when it has changed, and changed under a lock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Stamp;
use crate::users::{self, Roster};

/// The users file.
pub struct Guests {
    path: PathBuf,
    known: Mutex<Known>,
}

struct Known {
    stamp: Option<Stamp>,
    /// Why this state could not even be read, as it was told; it is tried again until the rights are repaired.
    unread: Option<String>,
    roster: Arc<Roster>,
}

impl Guests {
    /// Reads the file for the first time; one that is not there is made by the first change.
    pub fn open(path: &Path) -> Result<Self, String> {
        let stamp = Stamp::at(path);
        let known = Known { stamp, unread: None, roster: Arc::new(users::read(path)?) };
        Ok(Guests { path: path.to_owned(), known: Mutex::new(known) })
    }

    /// As the file is now. A state of it that cannot be read leaves the last one in force.
    pub fn roster(&self) -> Arc<Roster> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::at(&self.path);
        let is_same = stamp == known.stamp;
        if is_same && known.unread.is_none() {
            return known.roster.clone();
        }
        let told = known.unread.take().filter(|_| is_same);
        known.stamp = stamp;
        let text = match users::text(&self.path) {
            Ok(text) => text,
            Err(err) => {
                if told.as_ref() != Some(&err) {
                    log::error!("{err}; the last good state stays in force");
                }
                known.unread = Some(err);
                return known.roster.clone();
            }
        };
        match users::parse(&self.path, &text) {
            // Whoever saves it badly must not make everybody a stranger, nor a stranger the administrator. The bot
            // itself writes an empty roster as an object.
            Ok(_) if known.roster.chats().next().is_some() && users::is_blank(&text) => {
                log::error!("users file {} is empty or gone; the last good state stays in force", self.path.display());
            }
            Ok(roster) => known.roster = Arc::new(roster),
            Err(err) => log::error!("{err}; the last good state stays in force"),
        }
        known.roster.clone()
    }

    /// Where the file is torn, as `line:column`; nothing where it can be read.
    pub fn torn_at(&self) -> Option<String> {
        let why = Roster::parse(&users::text(&self.path).ok()?).err()?;
        let mut place = why.split(':');
        Some(format!("{}:{}", place.next()?, place.next()?))
    }

    /// Changes the file; where somebody else changes it meanwhile, `change` is asked again. One that was emptied or
    /// taken away is not filled anew: all but the one who is changed would be lost.
    pub fn edit<T>(&self, change: impl FnMut(&mut Roster) -> T) -> Result<T, String> {
        let is_first = self.roster().chats().next().is_none();
        let done = if is_first { users::edit(&self.path, change) } else { users::edit_filled(&self.path, change) };
        if is_first {
            // So that somebody is known from now on.
            self.roster();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_emptied_makes_nobody_a_stranger() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-guests-{}", std::process::id()));
        std::fs::write(&path, r#"{"1": {"role": "admin"}}"#).unwrap();
        let guests = Guests::open(&path).unwrap();
        for blank in [Some(""), Some(" \n \n"), None] {
            match blank {
                Some(blank) => std::fs::write(&path, blank).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            assert!(guests.roster().contains(1), "{blank:?}");
            let refused = guests.edit(|roster| roster.admit(2)).unwrap_err();
            assert!(refused.contains("put the last good one back"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).ok().as_deref(), blank, "left alone");
            assert!(guests.roster().contains(1) && !guests.roster().contains(2));
        }
        std::fs::write(&path, r#"{"12": "cpu"}"#).unwrap();
        assert!(guests.roster().contains(12) && !guests.roster().contains(1));
        guests.edit(|roster| roster.remove(12)).unwrap();
        assert!(!guests.roster().contains(12), "removing the last one counts");
        std::fs::remove_file(&path).unwrap();
        guests.edit(|roster| roster.admit(3)).unwrap();
        assert!(guests.roster().contains(3), "the first one makes the file");
        std::fs::remove_file(&path).unwrap();
        assert!(guests.edit(|roster| roster.admit(4)).is_err(), "the first one is known at once");
        let _ = std::fs::remove_file(path.with_extension("lock"));
    }
    #[test]
    fn a_file_whose_rights_are_repaired_is_read() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-rights-{}", std::process::id()));
        std::fs::write(&path, r#"{"1": "cpu"}"#).unwrap();
        let guests = Guests::open(&path).unwrap();
        let stamp = users::write_with_time(&path, b"{\"2\": \"\xff\"}");
        assert!(guests.roster().contains(1) && guests.roster().contains(1));
        assert_eq!(users::write_with_time(&path, b"{\"2\": \"*\"}"), stamp, "nothing to see from outside");
        assert!(guests.roster().contains(2));
        std::fs::remove_file(&path).unwrap();
    }
}
