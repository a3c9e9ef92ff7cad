//! Links from one document to another lead somewhere.

use std::path::Path;

use super::{Finding, TextFile};

/// Finds relative links whose file is not there.
pub(super) fn check(file: &TextFile, root: &Path) -> Vec<Finding> {
    let folder = root.join(file.path.parent().unwrap_or(Path::new("")));
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in file.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            let target_path = target.split('#').next().unwrap_or_default();
            let from = if target_path.starts_with('/') { root } else { &folder };
            if !target_path.is_empty() && !from.join(target_path.trim_start_matches('/')).exists() {
                findings.push(Finding::new(
                    &file.path,
                    index + 1,
                    format!("the link to {target} leads nowhere"),
                ));
            }
        }
    }
    findings
}

/// Returns the relative targets of a line's links: of `[text](target)`, and of `[name]: target`.
fn targets(line: &str) -> Vec<String> {
    // Text in backquotes is not read: every second piece.
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("_");
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    let defined = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    inline
        .chain(defined)
        .filter_map(|target| target.split_whitespace().next())
        .map(|target| target.trim_start_matches('<').trim_end_matches('>'))
        .filter(|target| {
            !target.starts_with('#') && !target.contains("://") && !target.starts_with("mailto:")
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_links_are_read() {
        let line =
            "See [a](a.md), [b](../b.md#part \"title\"), [c](https://c.example/x), [d](#d), `[e](e.md)`.";
        assert_eq!(targets(line), ["a.md", "../b.md#part"]);
        assert_eq!(targets("[name]: docs/x.md"), ["docs/x.md"]);
        assert!(targets("plain (text) [and] more").is_empty());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        std::fs::write(folder.path().join("docs/here.md"), "").unwrap();
        let text = "[a](here.md)\n[b](gone.md)\n```\n[c](example.md)\n```\n[d](../docs/here.md#x)\n[e](/docs/here.md)\n";
        let file = TextFile { path: "docs/index.md".into(), text: text.into() };
        let found = check(&file, folder.path());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }
}
