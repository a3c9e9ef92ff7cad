//! `spin.toml` and the folders of `functions/` name each other.

use std::path::Path;

use anyhow::Context;

use super::Finding;

/// Compares the manifest with the functions: each folder's name, and the name of its wasm file if it makes one.
pub(super) fn check(
    path: &Path,
    text: &str,
    functions: &[(String, Option<String>)],
) -> anyhow::Result<Vec<Finding>> {
    let manifest: toml::Table = text.parse().context("spin.toml")?;
    let empty = toml::Table::new();
    let components = manifest.get("component").and_then(toml::Value::as_table).unwrap_or(&empty);
    let line_of = |wanted: &str| text.lines().position(|line| line.contains(wanted)).map_or(1, |at| at + 1);
    let mut findings = Vec::new();

    for (folder, component) in functions {
        let Some(component) = component else {
            findings.push(Finding::new(
                path,
                1,
                format!("functions/{folder} is no member that makes a component"),
            ));
            continue;
        };
        let Some(entry) = components.get(folder) else {
            findings.push(Finding::new(path, 1, format!("functions/{folder} has no component")));
            continue;
        };
        let due = format!("target/wasm32-wasip2/wasm/{component}.wasm");
        if entry.get("source").and_then(toml::Value::as_str) != Some(due.as_str()) {
            let line = line_of(&format!("[component.{folder}]"));
            findings.push(Finding::new(path, line, format!("the source of {folder} is not {due}")));
        }
    }
    for name in components.keys().filter(|name| !functions.iter().any(|(folder, _)| folder == *name)) {
        let line = line_of(&format!("[component.{name}]"));
        findings.push(Finding::new(path, line, format!("there is no functions/{name}")));
    }
    let triggers = manifest.get("trigger").and_then(toml::Value::as_table).unwrap_or(&empty);
    let named: Vec<&str> = triggers
        .values()
        .filter_map(toml::Value::as_array)
        .flatten()
        .filter_map(|trigger| trigger.get("component").and_then(toml::Value::as_str))
        .collect();
    for name in named.iter().filter(|name| !components.contains_key(**name)) {
        let line = line_of(&format!("component = \"{name}\""));
        findings.push(Finding::new(path, line, format!("a trigger names {name}, which is no component")));
    }
    for name in components.keys().filter(|name| !named.contains(&name.as_str())) {
        let line = line_of(&format!("[component.{name}]"));
        findings.push(Finding::new(path, line, format!("no trigger names {name}")));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[trigger.http]]
route = "/v1/..."
component = "batch-create"

[component.batch-create]
source = "target/wasm32-wasip2/wasm/batch_create.wasm"
"#;

    fn found(text: &str, functions: &[(&str, Option<&str>)]) -> Vec<(usize, String)> {
        let functions: Vec<_> =
            functions.iter().map(|(f, c)| ((*f).to_owned(), c.map(str::to_owned))).collect();
        let found = check(Path::new("spin.toml"), text, &functions).unwrap();
        found.into_iter().map(|finding| (finding.line, finding.text)).collect()
    }

    const BATCH: (&str, Option<&str>) = ("batch-create", Some("batch_create"));

    #[test]
    fn both_sides_name_each_other() {
        assert_eq!(found(GOOD, &[BATCH]), []);
        assert_eq!(found(GOOD, &[]), [(6, "there is no functions/batch-create".to_owned())]);
        let more = found(GOOD, &[BATCH, ("fleet", Some("fleet")), ("notes", None)]);
        assert!(more[0].1.contains("functions/fleet has no component"));
        assert!(more[1].1.contains("functions/notes"));
    }

    #[test]
    fn sources_and_triggers_are_those_of_components() {
        let other = found(&GOOD.replace("batch_create.wasm", "batch.wasm"), &[BATCH]);
        assert_eq!(other[0].0, 6);
        let trigger = found(&GOOD.replace("component = \"batch-create\"", "component = \"batch\""), &[BATCH]);
        assert_eq!(trigger.len(), 2);
        assert_eq!(trigger[0].0, 4);
    }
}
