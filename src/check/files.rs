//! Files and directories: can be read, can be written, hold what they should.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use super::Findings;
use crate::delivery::now;
use crate::outbox::Outbox;
use crate::text::duration;
use crate::users::Users;

/// Records that wait longer than this, in seconds, are worth a look.
const LONG: u64 = 300;

/// Whether others than owner and group may read it.
pub(super) fn readable_by_all(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

/// Whether a file can be made beside `path`, found out by making one: what mode bits mean depends on too much.
fn can_make_files_beside(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = directory.join(format!(".check-{}", std::process::id()));
    File::options().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(&probe)
}

/// A file that the tool makes, and replaces or writes later; what it is called goes first.
pub fn state(findings: &mut Findings, what: &str, path: &Path) {
    if writable(findings, what, path) {
        findings.ok(format!("{what} {}", path.display()));
    }
}

/// The same for a file of which more is said later: says nothing where it can be written.
pub(super) fn writable(findings: &mut Findings, what: &str, path: &Path) -> bool {
    let writable = match can_make_files_beside(path) {
        Ok(()) if path.exists() => File::options().append(true).open(path).map(drop),
        other => other,
    };
    if let Err(err) = &writable {
        findings.error(
            format!("cannot write {what} {}: {err}", path.display()),
            "the directory must be there, and writable for the user that the tool runs as",
        );
    }
    writable.is_ok()
}

/// The outbox: that it can be written, and how it stands. One that is not there yet is not made: the person who checks
/// may be another one than the user that the service runs as.
pub fn outbox(findings: &mut Findings, path: &Path) {
    let shown = path.display();
    if !path.exists() {
        return state(findings, "outbox", path);
    }
    let status = Outbox::open(path, None).and_then(|outbox| outbox.status());
    let status = match status {
        Ok(status) => status,
        Err(err) => {
            let hint = "it must be an outbox of tg-send, writable for the user that the tool runs as";
            return findings.error(format!("cannot open outbox {shown}: {err}"), hint);
        }
    };
    let age = status.oldest.map_or(0, |at| u64::try_from((now() - at) / 1000).unwrap_or(0));
    let waiting = format!("outbox {shown}: {} wait, {} told", status.waiting, status.told);
    if age > LONG {
        findings.warn(
            format!("{waiting}, the oldest for {}", duration(age)),
            "is tg-send running? its log says what it waits for",
        );
    } else {
        findings.ok(waiting);
    }
    if status.failed > 0 {
        findings.warn(
            format!("{} records could not be told", status.failed),
            "tg-send --failed says why, tg-send --retry-failed tries them again",
        );
    }
    for (chat, why, waiting) in &status.gone {
        findings.warn(
            format!("chat {chat} cannot be reached: {why}; {waiting} wait"),
            "let the bot in again, or take the chat out of the users file",
        );
    }
}

/// The users file, and each thing in it that is skipped.
pub fn users(findings: &mut Findings, path: &Path, users: &Users) {
    for warning in users.warnings.iter().chain(&users.doubts) {
        findings.warn(warning, "");
    }
    for chat in &users.idle {
        findings.warn(format!("chat {chat} has neither match nor labels: it gets no alerts"), "");
    }
    let chats = users.chats.len();
    let words = format!("users file {}: {chats} {}", path.display(), if chats == 1 { "chat" } else { "chats" });
    if chats == 0 {
        findings.warn(words, "nobody gets an alert; write to the bot, or add {\"<chat id>\": \"<regexp>\"}");
    } else {
        findings.ok(words);
    }
}

/// The socket of the acknowledgements, where am-recv would make it.
pub fn socket(findings: &mut Findings, path: &Path) {
    let shown = path.display();
    let other = std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.file_type().is_socket());
    if other {
        findings.error(format!("cannot listen on {shown}: something that is no socket is there"), "");
    } else if let Err(err) = can_make_files_beside(path) {
        findings.error(
            format!("cannot listen on {shown}: {err}"),
            "the directory must be there, and writable for the user that am-recv runs as",
        );
    } else {
        findings.ok(format!("acknowledgements by {shown}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scope;
    use super::*;

    fn code(check: impl FnOnce(&mut Findings)) -> String {
        let mut findings = Findings::new(Scope::Offline);
        check(&mut findings);
        format!("{:?}", findings.end())
    }

    #[test]
    fn nothing_is_left_behind() {
        let directory = std::env::temp_dir().join(format!("prometheus-telegram-check-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let fine = format!("{:?}", std::process::ExitCode::SUCCESS);
        assert_eq!(code(|findings| outbox(findings, &directory.join("outbox.db"))), fine);
        assert_eq!(code(|findings| socket(findings, &directory.join("ack"))), fine);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
        std::fs::write(directory.join("file"), "precious").unwrap();
        assert_ne!(code(|findings| socket(findings, &directory.join("file"))), fine);
        assert_ne!(code(|findings| outbox(findings, &directory.join("file"))), fine);
        assert_ne!(code(|findings| state(findings, "state", &directory.join("none/file"))), fine);
        assert_eq!(std::fs::read_to_string(directory.join("file")).unwrap(), "precious");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
