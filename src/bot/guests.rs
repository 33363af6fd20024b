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
                Ok(roster) => known.1 = Arc::new(roster),
                Err(err) => log::error!("{err}; the last good state stays in force"),
            }
        }
        known.1.clone()
    }

    /// Changes the file; where somebody else changes it meanwhile, `change` is asked again.
    pub fn edit<T>(&self, change: impl FnMut(&mut Roster) -> T) -> Result<T, String> {
        users::edit(&self.path, change)
    }
}
