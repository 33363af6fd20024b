//! The acknowledgement on its way back: digests as datagrams, from tg-send to the Unix socket on which am-recv listens.
//!
//! A datagram holds digests, one a line. One that is lost costs nothing but time: the webhook is answered 503, sent
//! again, and its records are known already.

use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::line::Digest;

/// Digests in one datagram: 65 bytes each, well under what a Unix datagram holds by default.
const IN_ONE: usize = 512;

/// A full queue of datagrams is waited for this long, and no longer: tg-send has other things to do.
const PATIENCE: Duration = Duration::from_millis(200);

/// Binds am-recv's end. A socket that a predecessor left is replaced; one at which somebody listens is not, nor is anything
/// else at that path.
pub fn bind(path: &Path) -> io::Result<UnixDatagram> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => {
            if UnixDatagram::unbound()?.connect(path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another am-recv listens there"));
            }
            std::fs::remove_file(path)?;
        }
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is no socket is there")),
        Err(_) => {}
    }
    UnixDatagram::bind(path)
}

/// Waits for a datagram and returns the digests in it.
pub fn receive(socket: &UnixDatagram) -> io::Result<Vec<Digest>> {
    let mut buffer = [0; IN_ONE * 65];
    let length = socket.recv(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).lines().filter_map(Digest::parse).collect())
}

/// tg-send's end.
#[derive(Debug)]
pub struct Acks {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Acks {
    /// Nothing is connected yet: am-recv may start later, and again.
    pub fn new(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Acks { socket, path: path.to_owned() })
    }

    /// Sends digests of lines whose records are on disk.
    pub fn send(&self, digests: &[Digest]) -> io::Result<()> {
        for part in digests.chunks(IN_ONE) {
            let text: String = part.iter().map(|digest| format!("{digest}\n")).collect();
            self.socket.send_to(text.as_bytes(), &self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_arrive_also_after_a_restart_of_the_receiver() {
        let path = std::env::temp_dir().join(format!("prometheus-telegram-ack-{}", std::process::id()));
        let digests: Vec<Digest> = (0..700).map(|n: u32| Digest::of(&n.to_le_bytes())).collect();
        let acks = Acks::new(&path).unwrap();
        assert!(acks.send(&digests[..1]).is_err(), "nobody is there");
        for _ in 0..2 {
            let receiver = bind(&path).unwrap();
            acks.send(&digests).unwrap();
            let mut received = receive(&receiver).unwrap();
            received.extend(receive(&receiver).unwrap());
            assert_eq!(received, digests);
            assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
            acks.send(&digests[..1]).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(bind(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
    }
}
