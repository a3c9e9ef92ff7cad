//! The file that tells what is asked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// Requests that may be made before anything is measured.
const SETUP_TIMES_MAX: usize = 1_000_000;

/// What is asked of a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// Requests that are made once, before anything is measured.
    #[serde(default)]
    pub(crate) setup: Vec<Template>,
    /// Requests that are measured.
    pub(crate) request: Vec<Template>,
}

/// A request with names in it: `{n}` is how many were made before it, `{device}` the name of a device, and there are those that
/// the command line gives values and those that are captured. Names stand in paths, headers and bodies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    /// What its figures are called, if it is measured.
    #[serde(default)]
    pub(crate) name: String,
    /// `GET` unless it says otherwise.
    #[serde(default = "get")]
    pub(crate) method: String,
    /// The path and query.
    pub(crate) path: String,
    /// Headers beside the usual ones.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// None unless it says otherwise.
    #[serde(default)]
    pub(crate) body: String,
    /// The status that means that all went well.
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// How often it is made before anything is measured.
    #[serde(default = "once")]
    pub(crate) times: usize,
    /// Names for what the last answer tells, each with a JSON pointer, before anything is measured.
    #[serde(default)]
    pub(crate) capture: BTreeMap<String, String>,
}

fn get() -> String {
    "GET".to_owned()
}

fn ok() -> u16 {
    200
}

fn once() -> usize {
    1
}

impl Description {
    /// Reads and checks a file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let read: Self = toml::from_str(text)?;
        ensure!(!read.request.is_empty(), "no request is described");
        for (index, request) in read.request.iter().enumerate() {
            let name = &request.name;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            ensure!(!name.is_empty() && name.chars().all(plain), "`{name}` is no name: [a-z0-9_]");
            ensure!(read.request[..index].iter().all(|other| other.name != *name), "`{name}` is there twice");
            let plain = request.times == once() && request.capture.is_empty();
            ensure!(plain, "`{name}` has `times` or `capture`, which belong to `setup`");
        }
        for request in &read.setup {
            ensure!(request.times <= SETUP_TIMES_MAX, "{} times are too many", request.times);
        }
        Ok(read)
    }

    /// The names of the requests that are measured.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.request.iter().map(|request| request.name.as_str())
    }
}

/// Puts values in the places of names. A brace that no name follows stands for itself, as in JSON.
pub(crate) fn fill(text: &str, value: &impl Fn(&str) -> Option<String>) -> anyhow::Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let len = behind.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(behind.len());
        if len > 0 && behind[len..].starts_with('}') {
            let name = &behind[..len];
            let Some(value) = value(name) else { bail!("`{{{name}}}` has no value: give one with --set") };
            filled.push_str(&value);
            rest = &behind[len + 1..];
        } else {
            filled.push('{');
            rest = behind;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str) -> Option<String> {
        (name == "n").then(|| "7".to_owned())
    }

    #[test]
    fn names_are_filled_in_and_the_braces_of_json_stay() {
        let filled = fill(r#"{"id": "{n}", "params": {}, "{N": {n}}"#, &value).unwrap();
        assert_eq!(filled, r#"{"id": "7", "params": {}, "{N": 7}"#);
        assert_eq!(fill("{", &value).unwrap(), "{");
        assert!(fill("{token}", &value).is_err());
    }

    #[test]
    fn the_file_of_this_service_can_be_read() {
        let read = Description::parse(include_str!("../overair.toml")).unwrap();
        assert_eq!(read.names().collect::<Vec<_>>(), ["report", "change", "device", "devices"]);
        assert_eq!(read.setup[0].capture["product"], "/product_key");
        assert_eq!((read.request[0].method.as_str(), read.request[2].status), ("POST", 200));
    }

    #[test]
    fn files_that_say_too_little_or_twice_the_same_are_refused() {
        let named = |name: &str| format!("[[request]]\nname = \"{name}\"\npath = \"/\"\n");
        for bad in [
            "",
            "request = []",
            &named("A b"),
            &(named("a") + &named("a")),
            &(named("a") + "times = 2"),
            &(named("a") + "bdy = \"\""),
            "[[request]]\nname = \"a\"",
        ] {
            assert!(Description::parse(bad).is_err(), "{bad}");
        }
        assert!(Description::parse(&(named("a") + &named("b"))).is_ok());
    }
}
