//! File descriptors that this process was given by number: the listening sockets of systemd.

use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

/// The first descriptor that systemd passes (sd_listen_fds(3)).
const FIRST: RawFd = 3;

/// A close-on-exec copy of a descriptor that is known by its number only; an error if there is none of that number.
fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // The one place of the project that needs it: the number comes from the environment, and nothing is done
    // with it but fcntl(F_DUPFD_CLOEXEC), which answers EBADF when it is not open.
    #[allow(unsafe_code)]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned()
}

/// The listening TCP socket that systemd passed under this name, where it passed one.
///
/// The order of descriptors is not that of `Sockets=`, and the FIFOs of `StandardInput=fd:` are passed again, so the
/// name decides.
pub fn passed_listener(name: &str) -> Option<TcpListener> {
    let env = |name: &str| std::env::var(name).ok();
    if env("LISTEN_PID")?.parse() != Ok(std::process::id()) {
        return None;
    }
    let names = env("LISTEN_FDNAMES")?;
    let at = names.split(':').position(|passed| passed == name)?;
    let listener = TcpListener::from(duplicate(FIRST + RawFd::try_from(at).ok()?).ok()?);
    listener.local_addr().is_ok().then_some(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_copy_is_of_the_same_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let copy = TcpListener::from(duplicate(listener.as_raw_fd()).unwrap());
        assert_eq!(copy.local_addr().unwrap(), listener.local_addr().unwrap());
        assert!(duplicate(99_999).is_err());
    }
}
