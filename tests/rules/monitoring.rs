//! The dashboard and the alerts ask for metrics that there are, by labels that they have; and `docs/observability.md` has
//! the table of them: `UPDATE_DOCS=1 cargo test -p ota-tests --test rules` writes it anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use metrics::families::FAMILIES;
use serde_json::Value;

use crate::documents::{filled, table};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Names of metrics, each with the labels it is filtered by.
    metrics: Vec<(String, Vec<String>)>,
    /// Labels that something is grouped or matched by.
    groups: Vec<String>,
}

/// Words that are followed by a list of labels.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Other words of the language that stand alone.
const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

fn labels(list: &str) -> Vec<String> {
    let names = list.split(',').map(|part| part.split(['=', '!', '~']).next().unwrap_or_default().trim());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Reads a query as far as that: names, and the lists behind them. No value of a label has a bracket or comma in it.
fn read(query: &str) -> Asked {
    let mut asked = Asked::default();
    let mut rest = query;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '[')) {
        rest = &rest[at..];
        if rest.starts_with('[') {
            // How far back.
            rest = rest.split_once(']').expect("a range ends").1;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        if LISTS.contains(&word) {
            let (list, after) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).expect("a list");
            asked.groups.extend(labels(list));
            rest = after;
        } else if let Some((filter, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            asked.metrics.push((word.to_owned(), labels(filter)));
            rest = after;
        } else if !["(", "by ", "without "].iter().any(|next| rest.starts_with(next))
            && !WORDS.contains(&word)
        {
            asked.metrics.push((word.to_owned(), Vec::new()));
        }
    }
    asked
}

/// Checks a query; `at` says where it stands.
#[track_caller]
fn check(at: &str, query: &str) -> BTreeSet<String> {
    let asked = read(query);
    assert!(!asked.metrics.is_empty(), "{at}: {query} asks for nothing");
    let mut known: BTreeSet<&str> = ["job", "instance"].into();
    for (name, filter) in &asked.metrics {
        // Prometheus itself says whether a scrape has come to something.
        let labels: &[&str] = match FAMILIES.iter().find(|family| family.name == name) {
            Some(family) => family.labels,
            None if name == "up" => &[],
            None => panic!("{at}: there is no metric {name}"),
        };
        known.extend(labels);
        for label in filter {
            let is_known = labels.contains(&label.as_str()) || ["job", "instance"].contains(&label.as_str());
            assert!(is_known, "{at}: {name} has no label {label}");
        }
    }
    for label in &asked.groups {
        assert!(known.contains(label.as_str()), "{at}: {query} has no label {label}");
    }
    asked.metrics.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn names_and_labels_are_found_in_a_query() {
    let query = "sum by (product) (rate(a_total{b=\"c\",d=~\"e|f\"}[5m]) > 0) / on (g) group_left () h_seconds and up == 1";
    let asked = read(query);
    let metric = |name: &str, labels: &[&str]| {
        (name.to_owned(), labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(asked.metrics, [metric("a_total", &["b", "d"]), metric("h_seconds", &[]), metric("up", &[])]);
    assert_eq!(asked.groups, ["product", "g"]);
}

#[test]
fn every_query_of_the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/overair.json")).expect("JSON");
    assert_eq!(dashboard["schemaVersion"], 39);
    let (mut used, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("a dashboard has panels") {
        assert!(ids.insert(panel["id"].as_u64()), "two panels have the id {}", panel["id"]);
        let title = panel["title"].as_str().expect("a panel has a title");
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(targets.is_empty(), panel["type"] == "row", "{title}");
        for target in targets {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            used.extend(check(title, target["expr"].as_str().expect("a target has a query")));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().expect("variables") {
        let query = variable["definition"].as_str().unwrap_or_default();
        if let Some(inside) = query.strip_prefix("label_values(") {
            let (name, label) = inside.trim_end_matches(')').split_once(", ").expect("a metric and a label");
            let family = FAMILIES.iter().find(|family| family.name == name);
            assert!(family.is_some_and(|family| family.labels.contains(&label)), "{query}");
        }
    }
    // What nobody looks at need not be told; what only names things is for joining.
    let rest = FAMILIES.iter().map(|family| family.name).filter(|name| !name.ends_with("_info"));
    let alerts: BTreeSet<String> = alerts().iter().flat_map(|(name, query)| check(name, query)).collect();
    let unused: Vec<&str> = rest.filter(|name| !used.contains(*name) && !alerts.contains(*name)).collect();
    assert_eq!(unused, [""; 0], "neither the dashboard nor an alert looks at these");
}

/// The names and queries of the alerts. Each stands on a line of its own, so that no reader of YAML is needed.
fn alerts() -> Vec<(String, String)> {
    let rules = file("deploy/prometheus/alerts.yml");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            found.push((name.to_owned(), String::new()));
        } else if let Some(query) = line.strip_prefix("expr: ") {
            found.last_mut().expect("a query belongs to an alert").1 = query.to_owned();
        }
    }
    found
}

#[test]
fn every_alert_asks_for_metrics_that_there_are_and_says_what_to_do() {
    let alerts = alerts();
    assert!(alerts.len() >= 10, "{}", alerts.len());
    let names: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "two alerts have one name");
    for (name, query) in &alerts {
        let _used = check(name, query);
    }
    let rules = file("deploy/prometheus/alerts.yml");
    for part in ["severity: ", "summary: ", "description: "] {
        assert_eq!(rules.matches(part).count(), alerts.len(), "each alert has its {part}");
    }
    let page = file("docs/observability.md");
    for (name, _) in &alerts {
        assert!(page.contains(&format!("`{name}`")), "docs/observability.md does not tell of {name}");
    }
}

#[test]
fn the_example_of_a_scrape_asks_where_the_metrics_are() {
    let scrape = file("deploy/prometheus/prometheus.yml");
    for line in ["metrics_path: /metrics", "type: Bearer", "- job_name: overair", "- alerts.yml"] {
        assert!(scrape.lines().any(|found| found.trim() == line), "{line}");
    }
}

#[test]
fn observability_doc_is_current() {
    let path = root().join("docs/observability.md");
    let page = file("docs/observability.md");
    let header = ["Metric", "Kind", "Labels", "What it tells"];
    let rows = FAMILIES.iter().map(|family| {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let unbound = if family.unbound { " Not for tokens that are bound to products." } else { "" };
        vec![
            format!("`{}`", family.name),
            family.kind.as_str().to_owned(),
            labels.join(", "),
            format!("{}{unbound}", family.help),
        ]
    });
    let current = filled(&page, "metrics", &table(&header, rows));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, current).expect("docs/observability.md can be written");
    } else {
        assert!(
            page == current,
            "docs/observability.md is out of date: UPDATE_DOCS=1 cargo test -p ota-tests --test rules"
        );
    }
}
