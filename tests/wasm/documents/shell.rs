//! A shell that keeps its variables, functions and background jobs from one command to the next, as a reader's does.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::service::PATIENCE;

/// Tells where a command's output ends.
const MARK: &str = "--- ended with";

pub(super) struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    folder: TempDir,
    replaced: Vec<(String, String)>,
    known: BTreeMap<String, String>,
}

impl Shell {
    /// Starts a shell in a folder of its own, which is its home as well.
    pub(super) fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the shell");
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it leaves in the background ends with it.
            .process_group(0)
            .spawn()
            .expect("bash is there");
        let mut input = child.stdin.take().expect("its input is a pipe");
        let output = child.stdout.take().expect("its output is a pipe");
        writeln!(input, "exec 2>&1").expect("the shell reads");
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let _nobody_reads = told.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { child, input, lines, folder, replaced: Vec::new(), known: BTreeMap::new() }
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Types `here` where a document says `there`: an address, for example.
    pub(super) fn replace(&mut self, there: &str, here: &str) {
        self.replaced.push((there.to_owned(), here.to_owned()));
    }

    /// Types this where a document says `<name>`.
    pub(super) fn knows(&mut self, name: &str, value: &str) {
        self.known.insert(name.to_owned(), value.to_owned());
    }

    /// Types a command, and returns its exit code and all that it said.
    ///
    /// # Panics
    /// If it does not end, or asks for something that no answer has told.
    pub(super) fn type_line(&mut self, command: &str) -> (i32, String) {
        let mut typed = command.to_owned();
        for (there, here) in &self.replaced {
            typed = typed.replace(there, here);
        }
        let typed = self.filled_in(&typed);
        // A file, so that the command may be of any form; it is read into this shell, so that what it sets stays.
        let file = self.folder.path().join(".typed");
        fs::write(&file, format!("{typed}\n")).expect("the command's file");
        let file = file.display();
        let line = format!(". {file} </dev/null; typed=$?; printf '\\n{MARK} %s\\n' $typed; (exit $typed)");
        writeln!(self.input, "{line}").expect("the shell reads");
        let mut said: Vec<String> = Vec::new();
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|why| panic!("{command}: {why}; so far:\n{}", said.join("\n")));
            if let Some(exit) = line.strip_prefix(MARK) {
                let exit = exit.trim().parse().expect("an exit code");
                // The mark has a line's end before it, whatever the command ended with.
                if said.last().is_some_and(String::is_empty) {
                    said.pop();
                }
                let said = said.join("\n");
                self.learn(&said);
                return (exit, said);
            }
            said.push(line);
        }
    }

    /// Puts what was told before in the places that a document leaves open, such as `<product_key>`.
    fn filled_in(&self, command: &str) -> String {
        let mut filled = String::new();
        let mut rest = command;
        while let Some((before, after)) = rest.split_once('<') {
            filled.push_str(before);
            let name = after.split('>').next().unwrap_or_default();
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if is_name && after.len() > name.len() {
                let value = self.known.get(name);
                filled.push_str(value.unwrap_or_else(|| panic!("{command}: no answer told a {name}")));
                rest = &after[name.len() + 1..];
            } else {
                filled.push('<');
                rest = after;
            }
        }
        filled + rest
    }

    /// Remembers every field that an answer told, the first of each name.
    fn learn(&mut self, said: &str) {
        let mut fields = BTreeMap::new();
        for text in said.lines() {
            if let Ok(value) = serde_json::from_str(text) {
                collect(&value, &mut fields);
            }
        }
        self.known.extend(fields);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ended = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _reaped = self.child.wait();
    }
}

fn collect(value: &Value, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                if let Value::String(text) = value {
                    fields.entry(name.clone()).or_insert_with(|| text.clone());
                }
                collect(value, fields);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, fields)),
        _ => {}
    }
}

/// Tells whether something that a command said is a refusal of the service.
pub(super) fn is_problem(said: &str) -> bool {
    let problem = |text: &str| {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(value.get("code").is_some() && value["status"].as_u64()? >= 400)
    };
    said.lines().any(|line| problem(line) == Some(true))
}
