//! The users file as the bot sees it: read again when it has changed, and changed under a lock.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::Stamp;
use crate::users::{self, Roster};

/// The users file.
pub struct Guests {
    path: PathBuf,
    known: Mutex<(Option<Stamp>, Arc<Roster>)>,
}

impl Guests {
    /// Reads the file for the first time; one that is not there is made by the first change.
    pub fn open(path: &Path) -> Result<Self, String> {
        let stamp = Stamp::at(path);
        Ok(Guests { path: path.to_owned(), known: Mutex::new((stamp, Arc::new(users::read(path)?))) })
    }

    /// As the file is now. A state of it that cannot be read leaves the last one in force.
    pub fn roster(&self) -> Arc<Roster> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = Stamp::at(&self.path);
        if stamp != known.0 {
            known.0 = stamp;
            match users::read(&self.path) {
                // Whoever saves it badly must not make everybody a stranger, nor a stranger the administrator. The bot
                // itself writes an empty roster as an object.
                Ok(_) if known.1.chats().next().is_some() && self.is_blank() => {
                    log::error!(
                        "users file {} is empty or gone; the last good state stays in force",
                        self.path.display()
                    );
                }
                Ok(roster) => known.1 = Arc::new(roster),
                Err(err) => log::error!("{err}; the last good state stays in force"),
            }
        }
        known.1.clone()
    }

    fn is_blank(&self) -> bool {
        std::fs::read_to_string(&self.path).map_or(true, |text| text.trim().is_empty())
    }

    /// Changes the file; where somebody else changes it meanwhile, `change` is asked again.
    pub fn edit<T>(&self, change: impl FnMut(&mut Roster) -> T) -> Result<T, String> {
        users::edit(&self.path, change)
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
        for blank in ["", " \n \n"] {
            std::fs::write(&path, blank).unwrap();
            assert!(guests.roster().contains(1), "{blank:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(guests.roster().contains(1));
        std::fs::write(&path, r#"{"12": "cpu"}"#).unwrap();
        assert!(guests.roster().contains(12) && !guests.roster().contains(1));
        guests.edit(|roster| roster.remove(12)).unwrap();
        assert!(!guests.roster().contains(12), "removing the last one counts");
        std::fs::remove_file(&path).unwrap();
        let _ = std::fs::remove_file(path.with_extension("lock"));
    }
}
