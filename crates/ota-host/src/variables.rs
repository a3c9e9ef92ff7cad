//! The values of the application's variables.
//!
//! A value comes from the caller (`--variable`), else from the environment (`SPIN_VARIABLE_<NAME>`), else from the
//! manifest's default. Values are never written to a log: a secret among them would be.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

use crate::manifest::Variable;

/// The environment variable of `api_token` is `SPIN_VARIABLE_API_TOKEN`.
const ENVIRONMENT_PREFIX: &str = "SPIN_VARIABLE_";

/// Reads one `--variable` argument: `name=value`, `@file.toml` or `@file.json`.
pub fn parse_argument(argument: &str) -> anyhow::Result<Vec<(String, String)>> {
    if let Some(path) = argument.strip_prefix('@') {
        return read_file(Path::new(path));
    }
    let (name, value) = argument.split_once('=').context("a variable is given as `name=value` or `@file`")?;
    let value = match value.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?,
        None => value.to_owned(),
    };
    Ok(vec![(name.to_owned(), value)])
}

fn read_file(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The parsers quote the line at fault, which may hold a secret: their text stays out of the message.
    let values: BTreeMap<String, String> = match path.extension().and_then(|e| e.to_str()) {
        Some("toml") => toml::from_str(&text).ok(),
        Some("json") => serde_json::from_str(&text).ok(),
        _ => bail!("{}: variables are read from .toml or .json", path.display()),
    }
    .with_context(|| format!("{} is no flat table of strings", path.display()))?;
    Ok(values.into_iter().collect())
}

/// Settles the value of each declared variable.
///
/// `placeholders` replaces `${name}` in values that the caller gave, which is how a value mentions a port that is
/// known only once it is bound.
pub fn resolve(
    declared: &BTreeMap<String, Variable>,
    given: &[(String, String)],
    environment: impl Fn(&str) -> Option<String>,
    placeholders: &[(&str, String)],
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut faults = Vec::new();
    for (name, _) in given.iter().filter(|(name, _)| !declared.contains_key(name)) {
        faults.push(format!("variable `{name}` is given but the manifest does not declare it"));
    }
    let mut values = BTreeMap::new();
    for (name, variable) in declared {
        let in_environment = format!("{ENVIRONMENT_PREFIX}{}", name.to_ascii_uppercase());
        // The last one given wins.
        let value = match given.iter().rev().find(|(given, _)| given == name) {
            Some((_, value)) => Some(fill(value, placeholders)),
            None => environment(&in_environment).or_else(|| variable.default.clone()),
        };
        match value {
            Some(value) => {
                values.insert(name.clone(), value);
            }
            None => faults.push(format!(
                "variable `{name}` is required: give `--variable {name}=..` or set {in_environment}"
            )),
        }
    }
    if faults.is_empty() { Ok(values) } else { bail!(faults.join("\n")) }
}

fn fill(value: &str, placeholders: &[(&str, String)]) -> String {
    placeholders
        .iter()
        .fold(value.to_owned(), |value, (name, with)| value.replace(&format!("${{{name}}}"), with))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(entries: &[(&str, Option<&str>)]) -> BTreeMap<String, Variable> {
        let variable =
            |default: &Option<&str>| Variable { default: default.map(str::to_owned), secret: true };
        entries.iter().map(|(name, default)| ((*name).to_owned(), variable(default))).collect()
    }

    fn given(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_caller_beats_the_environment_beats_the_default() {
        let declared = declared(&[("a", Some("0")), ("b_x", Some("0")), ("c", Some("0"))]);
        let environment =
            |name: &str| matches!(name, "SPIN_VARIABLE_A" | "SPIN_VARIABLE_B_X").then(|| "env".to_owned());
        let values = resolve(&declared, &given(&[("a", "1"), ("a", "2")]), environment, &[]).unwrap();
        assert_eq!(values["a"], "2");
        assert_eq!(values["b_x"], "env");
        assert_eq!(values["c"], "0");
    }

    #[test]
    fn ports_are_filled_into_given_values() {
        let declared = declared(&[("url", None)]);
        let given = given(&[("url", "http://h:${http_port}/${mqtt_port}${x}")]);
        let ports = [("http_port", "80".to_owned()), ("mqtt_port", "1883".to_owned())];
        assert_eq!(resolve(&declared, &given, |_| None, &ports).unwrap()["url"], "http://h:80/1883${x}");
    }

    #[test]
    fn every_missing_and_unknown_variable_is_named_and_no_value() {
        let declared = declared(&[("one", None), ("two", None)]);
        let error = resolve(&declared, &given(&[("typo", "s3cret")]), |_| None, &[]).unwrap_err().to_string();
        for name in ["`one`", "`two`", "`typo`", "SPIN_VARIABLE_ONE"] {
            assert!(error.contains(name), "{name} in {error}");
        }
        assert!(!error.contains("s3cret"));
    }

    #[test]
    fn arguments_are_pairs_or_files() {
        let folder = tempfile::tempdir().unwrap();
        let toml = folder.path().join("v.toml");
        std::fs::write(&toml, "a = \"1\"\nb = \"2\"").unwrap();
        let json = folder.path().join("v.json");
        std::fs::write(&json, "{\"a\": 1}").unwrap();
        assert_eq!(parse_argument("k=v=w").unwrap(), given(&[("k", "v=w")]));
        assert_eq!(
            parse_argument(&format!("@{}", toml.display())).unwrap(),
            given(&[("a", "1"), ("b", "2")])
        );
        assert!(parse_argument(&format!("@{}", json.display())).is_err());
        assert!(parse_argument("lonely").is_err());
    }
}
