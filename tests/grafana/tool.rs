//! Running `grafana-shot` and looking at what it did.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::standin::{Generation, Setup, Standin, Stored, drawing};

/// What one call did.
pub struct Done {
    command: String,
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Done {
    pub fn text(&self) -> String {
        String::from_utf8(self.out.clone()).unwrap()
    }

    /// Fails with all that is known.
    pub fn fail(&self, why: &str) -> ! {
        let out = match drawing::request_in(&self.out) {
            Some(request) => format!("a picture of {request}"),
            None => String::from_utf8_lossy(&self.out[..self.out.len().min(2000)]).into_owned(),
        };
        panic!("{why}\ncommand: {}\nstatus: {}\nstdout: {out}\nstderr: {}", self.command, self.code, self.err)
    }

    /// Done, and a whole picture on stdout.
    pub fn picture(&self) -> String {
        if self.code != 0 {
            self.fail("no picture");
        }
        drawing::request_in(&self.out).unwrap_or_else(|| self.fail("stdout is no picture of the stand-in"))
    }

    /// Refused: nothing on stdout, one line that says why, and at most one that says what to do.
    pub fn refused(&self, code: i32, words: &[&str]) {
        if self.code != code {
            self.fail(&format!("the exit code should be {code}"));
        }
        if !self.out.is_empty() {
            self.fail("something is on stdout");
        }
        let lines: Vec<&str> = self.err.lines().filter(|line| !line.contains("trying again in")).collect();
        if lines.is_empty() || !lines[0].starts_with("grafana-shot: error: ") || lines.len() > 2 {
            self.fail("not one line of error and one of hint");
        }
        if lines.len() == 2 && !lines[1].starts_with("grafana-shot: hint: ") {
            self.fail("the second line is no hint");
        }
        for word in words {
            if !self.err.contains(word) {
                self.fail(&format!("it does not say {word:?}"));
            }
        }
        if self.err.contains("glsa_") {
            self.fail("the token is in the message");
        }
    }
}

/// A call to be made; the environment is empty but for what is set here.
pub struct Shot {
    command: Command,
}

impl Shot {
    /// Against this server, with the good token.
    pub fn at(standin: &Standin) -> Shot {
        Shot::bare().env("GRAFANA_URL", &standin.url).env("GRAFANA_TOKEN", "glsa_standin_token")
    }

    pub fn bare() -> Shot {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grafana-shot"));
        command.env_clear().env("TZ", "Europe/Berlin").stdin(Stdio::null());
        Shot { command }
    }

    pub fn env(mut self, name: &str, value: &str) -> Shot {
        self.command.env(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Shot {
        self.command.env_remove(name);
        self
    }

    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Shot {
        self.command.args(args);
        self
    }

    pub fn run(mut self) -> Done {
        let output = self.command.output().unwrap();
        Done {
            command: format!("{:?}", self.command),
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `grafana-shot ARGS` against the server.
pub fn shot<'a>(standin: &Standin, args: impl IntoIterator<Item = &'a str>) -> Done {
    Shot::at(standin).args(args).run()
}

/// The project's own dashboards.
pub fn own_dashboards() -> Vec<Stored> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/grafana/dashboards");
    let read = |name: &str| serde_json::from_slice::<Value>(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    vec![
        Stored::from_json(&read("classic.json"), "", Some("Shops")),
        Stored::from_json(&read("old-rows.json"), "", None),
        Stored::from_json(&read("tabs.json"), "", Some("Networks")),
    ]
}

/// A server of a generation with the project's own dashboards.
pub fn own(generation: Generation) -> Standin {
    Standin::start(Setup::new(generation, own_dashboards()))
}

/// A new empty directory.
pub fn directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("grafana-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Says loudly, past the harness that keeps what passing tests print, that something was not tried. `scripts/test`
/// counts these lines.
pub fn skip(what: &str, why: &str) {
    past_the_harness(&format!("SKIPPED: grafana: {what}: {why}"));
}

/// A whole line, at the start of one.
pub fn past_the_harness(words: &str) {
    let _ = std::io::stderr().write_all(format!("\n{words}\n").as_bytes());
}
