//! Running the program.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::server::Server;

/// A place to run the program in, with a home of its own.
pub(crate) struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// A place where nobody has logged in.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A place where the variables name a server, and a token.
    pub(crate) fn with(server: &Server) -> Self {
        let variables = [("OVERAIR_SERVER", server.url()), ("OVERAIR_TOKEN", "the-token".to_owned())];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self { variables, ..Self::new() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and returns its name.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_overair"));
        command.args(line).current_dir(self.folder()).env_clear().env("HOME", self.folder());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, line: &[&str]) -> Ran {
        let ran = Ran::of(self.command(line).output().unwrap());
        assert!(!ran.err.contains("panicked"), "{line:?}: {ran:?}");
        ran
    }

    /// Runs it, and says what it printed; it must have succeeded.
    pub(crate) fn prints(&self, line: &[&str]) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line:?}: {ran:?}");
        ran.out
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}
