//! A line at the terminal that says that a tool still waits: it appears after a second, counts, and vanishes.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Shows the line from a second after it was made until it is dropped.
#[derive(Debug)]
pub struct Progress {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// `words` say what is waited for; the seconds are added. `to` should be a terminal.
    pub fn start(words: String, to: impl Write + Send + 'static) -> Progress {
        let (done, finished) = channel();
        let thread = std::thread::spawn(move || {
            let mut to = to;
            let started = Instant::now();
            while finished.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                // A terminal that is gone is no reason to stop the work.
                let _ = write!(to, "\r{words} {} s\x1b[K", started.elapsed().as_secs());
                let _ = to.flush();
            }
            if started.elapsed() >= Duration::from_secs(1) {
                let _ = write!(to, "\r\x1b[K");
                let _ = to.flush();
            }
        });
        Progress { done: Some(done), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_quick_shows_nothing_and_what_is_slow_cleans_up() {
        let screen = Screen::default();
        drop(Progress::start("waiting".to_owned(), screen.clone()));
        assert_eq!(screen.0.lock().unwrap().len(), 0);
        let progress = Progress::start("waiting".to_owned(), screen.clone());
        let deadline = Instant::now() + Duration::from_secs(10);
        while screen.0.lock().unwrap().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(progress);
        let shown = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
        assert!(shown.starts_with("\rwaiting ") && shown[9..].starts_with(|c: char| c.is_ascii_digit()), "{shown:?}");
        assert!(shown.ends_with("\r\x1b[K"), "{shown:?}");
    }
}
