//! TDLib's parser, asked through tests/peers/oracle.py.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use prometheus_telegram::sandbox::markup::{self, Mode};
use serde_json::{Value, json};

/// Says what is left of a text when it is parsed.
pub struct Oracle {
    tdlib: Option<(Child, ChildStdin, BufReader<ChildStdout>)>,
}

impl Oracle {
    /// TDLib, or, said loudly, only the sandbox's parser, which is itself held to TDLib by tests/markup.rs.
    pub fn start() -> Oracle {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let python =
            std::env::var_os("TDJSON_PYTHON").map_or_else(|| root.join("target/peers/venv/bin/python"), PathBuf::from);
        let has_tdjson = Command::new(&python).args(["-c", "import tdjson"]).stderr(Stdio::null()).status();
        if !has_tdjson.is_ok_and(|status| status.success()) {
            // Past the harness, which keeps back what a test that passes says.
            let _ =
                std::io::stderr().write_all(b"\nSKIPPED: TDLib's judgement: no tdjson; tests/peers/run installs it\n");
            return Oracle { tdlib: None };
        }
        let mut command = Command::new(python);
        command.arg(root.join("tests/peers/oracle.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (questions, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Oracle { tdlib: Some((child, questions, answers)) }
    }

    /// The plain text, or why the markup is refused.
    pub fn parse(&mut self, html: &str) -> Result<String, String> {
        let ours = markup::parse(html, Mode::from_name("html").unwrap()).map(|(text, _)| text);
        let Some((_, questions, answers)) = &mut self.tdlib else { return ours.map_err(|err| err.to_string()) };
        writeln!(questions, "{}", json!({"text": html, "mode": "html"})).unwrap();
        let mut line = String::new();
        answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["text"].as_str().unwrap().to_owned()),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        if let Some((child, ..)) = &mut self.tdlib {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
