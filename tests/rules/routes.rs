//! The table of routes, the functions' own matches, and the pages of the documentation tell of the same routes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ota_http::routes::{ROUTES, Route};

use crate::documents::{filled, table};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A method and a path, with nothing in the braces of what is left open.
type Shape = (String, String);

/// Reads the arms of a `match` on a request's method and path: `(&Method::POST | &Method::PUT, ["v1", "uploads", id]) =>`.
fn arms(source: &str) -> BTreeSet<Shape> {
    let source: String = source.split_whitespace().collect();
    let mut found = BTreeSet::new();
    for arm in source.split("(&Method::").skip(1) {
        let Some((arm, _)) = arm.split_once("])=>") else { continue };
        let Some((methods, path)) = arm.split_once(",[") else { continue };
        let part = |part: &str| match part.strip_prefix('"') {
            Some(text) => text.trim_end_matches('"').to_owned(),
            None => "{}".to_owned(),
        };
        let path: String = path.split(',').map(|text| format!("/{}", part(text))).collect();
        for method in methods.split("|&Method::") {
            found.insert((method.to_owned(), path.clone()));
        }
    }
    found
}

fn shape(route: &Route) -> Shape {
    let part = |part: &str| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() };
    let path: Vec<String> = route.path.split('/').map(part).collect();
    (route.method.to_owned(), path.join("/"))
}

#[test]
fn arms_are_read_whatever_their_layout() {
    let source = "match x {\n (&Method::POST | &Method::PUT, [\"v1\", \"a\"]) => b(),\n (\n &Method::GET,\n [\"v1\", id, \"c\"],\n ) => d(&Method::GET),\n _ => e }";
    let one_line = "(&Method::GET, [\"v1\", id, \"c\"]) => d(),";
    let shapes = |list: &[(&str, &str)]| {
        list.iter().map(|(m, p)| ((*m).to_owned(), (*p).to_owned())).collect::<BTreeSet<Shape>>()
    };
    assert_eq!(arms(one_line), shapes(&[("GET", "/v1/{}/c")]));
    assert!(arms(source).is_superset(&shapes(&[("POST", "/v1/a"), ("PUT", "/v1/a")])));
}

#[test]
fn every_route_of_every_function_has_its_row_and_every_row_its_route() {
    let functions = fs::read_dir(root().join("functions")).expect("the functions are there");
    let mut matched = BTreeSet::new();
    let mut doors = 0;
    for function in functions {
        let path = function.expect("the folder can be read").path().join("src/handle.rs");
        let Ok(source) = fs::read_to_string(path) else { continue };
        if source.contains("serve::operator(") {
            doors += 1;
            matched.extend(arms(&source));
        }
    }
    assert!(doors >= 6, "{doors} functions have operators for callers");
    let rows: BTreeSet<Shape> = ROUTES.iter().map(shape).collect();
    assert_eq!(rows.len(), ROUTES.len(), "a route has two rows");
    assert_eq!(matched.difference(&rows).collect::<Vec<_>>(), Vec::<&Shape>::new(), "without a row");
    assert_eq!(rows.difference(&matched).collect::<Vec<_>>(), Vec::<&Shape>::new(), "without a route");
}

#[test]
fn every_change_has_a_name_of_a_noun_and_a_verb() {
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    for route in ROUTES.iter().filter(|route| route.is_change()) {
        assert!(is_word(route.noun) && is_word(route.verb), "{} {}", route.method, route.path);
    }
}

#[test]
fn the_page_of_the_api_tells_of_every_route() {
    let page = fs::read_to_string(root().join("docs/api.md")).expect("docs/api.md is there");
    for route in ROUTES {
        let told = page.lines().any(|line| {
            let mut cells = line.split('|');
            let first = cells.nth(1).unwrap_or_default();
            let spans: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
            let path = |span: &&str| span.split_once(' ').map_or(*span, |(_, path)| path).to_owned();
            let is_path = |span: &&str| path(span).split('?').next() == Some(route.path);
            spans.iter().any(is_path) && spans.iter().any(|span| span.split(' ').next() == Some(route.method))
        });
        assert!(told, "docs/api.md does not tell of {} {}", route.method, route.path);
    }
}

#[test]
fn access_doc_is_current() {
    let path = root().join("docs/access.md");
    let page = fs::read_to_string(&path).expect("docs/access.md is there");
    let header = ["Method and path", "Least role", "Action in the audit log"];
    let rows = ROUTES.iter().map(|route| {
        let unbound = if route.unbound { ", unbound" } else { "" };
        vec![
            format!("`{} {}`", route.method, route.path),
            format!("{}{unbound}", route.role.as_str()),
            if route.is_change() && route.listed { format!("`{}`", route.action()) } else { String::new() },
        ]
    });
    let current = filled(&page, "routes", &table(&header, rows));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, current).expect("docs/access.md can be written");
    } else {
        assert!(
            page == current,
            "docs/access.md is out of date: UPDATE_DOCS=1 cargo test -p ota-tests --test rules"
        );
    }
}
