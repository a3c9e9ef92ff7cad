//! Puts the document together: every row of the table of routes with what is told of it.

use std::collections::BTreeMap;

use http::StatusCode;
use ota_core::access::Role;
use ota_http::routes::{ROUTES, Route};
use serde_json::{Map, Value, json};

use crate::codes::meaning;
use crate::nouns;
use crate::operation::{Answer, Body, Operation, Parameter, VALUE_CODES};
use crate::schema::{list, may, must, named, object, text, whole};

/// What a problem comes as (RFC 9457).
const PROBLEM: &str = "application/problem+json";
/// What downloads are called, which are no routes of operators.
const DOWNLOAD: &str = "download";
/// Problems that many operations may answer with, told once: their names, and all codes they may have.
const SHARED: [(&str, u16, &[&str]); 9] = [
    ("Malformed", 400, &["request.malformed"]),
    ("MalformedBody", 400, &["request.malformed", "request.body-cut"]),
    ("Unauthorized", 401, &["request.unauthorized"]),
    ("Forbidden", 403, &["request.forbidden"]),
    ("NotFound", 404, &["request.not-found"]),
    ("TooLarge", 413, &["request.too-large"]),
    ("Invalid", 422, &VALUE_CODES),
    ("Failed", 500, &["store.corrupt", "service.variable"]),
    ("Busy", 503, &["store.contention"]),
];
/// What the nouns are, in the order in which somebody meets them.
const NOUNS: [(&str, &str); 18] = [
    ("product", "Devices of one make."),
    ("module", "Parts of a product's devices that have versions of their own."),
    ("security", "Signing: pushes to a product's devices are signed with its key pair."),
    ("device", "Devices, what they run, and where they are."),
    ("sub-device", "Devices that stand behind a gateway."),
    ("upload", "Bytes on their way to become a package, in one request or by tus 1.0.0 (tus.io)."),
    ("package", "What devices are upgraded with, and its trial on a few of them."),
    ("delta", "Packages that the service makes of two others."),
    ("batch", "An upgrade of many devices."),
    ("task", "One device's part in a batch."),
    ("event", "What has happened, to be read as a list."),
    ("webhook", "Events told by requests to a URL."),
    ("delivery", "What is on its way to a webhook, and what became of it."),
    ("metrics", "How the service stands, for Prometheus."),
    ("token", "What callers bear: a role, and perhaps products."),
    ("audit", "Who has changed what."),
    ("settings", "How the service behaves where the vendor's documents differ."),
    (DOWNLOAD, "Where devices get packages, by signed URLs."),
];

/// Makes the document.
pub fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in nouns::operations() {
        let route = ROUTES.iter().find(|route| is_of(&operation, route));
        let rendered = render(&operation, route);
        paths.entry(operation.path).or_default().insert(operation.method.to_ascii_lowercase(), rendered);
    }
    let schemas = nouns::schemas().into_iter().chain([("Problem", problem()), ("Fault", fault())]);
    let schemas: Map<String, Value> =
        schemas.map(|(name, schema)| (name.to_owned(), schema.into_value())).collect();
    let shared: Map<String, Value> =
        SHARED.iter().map(|(name, status, codes)| ((*name).to_owned(), refusal(*status, codes))).collect();
    let tags: Vec<Value> =
        NOUNS.iter().map(|(name, says)| json!({"name": name, "description": says})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Overair",
            "summary": "Over-the-air upgrades for fleets of devices.",
            "description": INTRODUCTION,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/", "description": "The service that this document came from."}],
        "security": [{"token": []}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": shared,
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "The application's own token, which may do everything, or one that was made. `x-least-role` of an \
                                operation is the least role that may ask for it; see docs/access.md.",
            }},
        },
    })
}

/// What is said of all operations.
const INTRODUCTION: &str = "\
The REST API of operators. Bodies are JSON, at most 256 KiB; a field that is not listed is refused, and `null` is the same as a \
field that is left out. Times are milliseconds since 1970 UTC.

Faults come as `application/problem+json` (RFC 9457) with a stable `code`, every fault of a request at once. Lists come in pages: \
go on with `next_cursor`. Requests that make something take an `Idempotency-Key`.

Clients that were written for the vendor's cloud find its API under `/cloud-api/`, which is told of in docs/cloud-api.md and not \
here.";

/// Tells whether an operation tells of a route.
pub(crate) fn is_of(operation: &Operation, route: &Route) -> bool {
    (operation.method, operation.path) == (route.method, route.path)
}

fn render(operation: &Operation, route: Option<&Route>) -> Value {
    let mut rendered = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [route.map_or(DOWNLOAD, |route| route.noun)],
        "responses": responses(operation, route),
    });
    if !operation.description.is_empty() {
        rendered["description"] = json!(operation.description);
    }
    let parameters: Vec<Value> =
        path_parameters(operation).chain(operation.parameters.iter().map(parameter)).collect();
    if !parameters.is_empty() {
        rendered["parameters"] = json!(parameters);
    }
    if let Some(told) = &operation.body {
        rendered["requestBody"] = body(told);
    }
    if operation.is_open {
        rendered["security"] = json!([]);
    }
    if let Some(route) = route {
        rendered["x-least-role"] = json!(route.role.as_str());
        if route.unbound {
            rendered["x-unbound"] = json!(true);
        }
    }
    rendered
}

fn path_parameters(operation: &Operation) -> impl Iterator<Item = Value> {
    operation.path_names().filter_map(|name| {
        let known = operation.path_name(name)?;
        let schema = (known.schema)().into_value();
        let example = match schema["type"].as_str() {
            Some("integer") => json!(known.example.parse::<u64>().unwrap_or_default()),
            _ => json!(known.example),
        };
        Some(json!({"in": "path", "name": name, "required": true, "schema": schema, "example": example}))
    })
}

fn parameter(told: &Parameter) -> Value {
    let mut rendered =
        json!({"in": told.place, "name": told.name, "schema": told.schema.clone().into_value()});
    if let Some(says) = rendered["schema"].as_object_mut().and_then(|schema| schema.remove("description")) {
        rendered["description"] = says;
    }
    if told.required {
        rendered["required"] = json!(true);
    }
    if let Some(example) = &told.example {
        rendered["example"] = example.clone();
    }
    rendered
}

fn body(told: &Body) -> Value {
    let examples: Map<String, Value> = told
        .examples
        .iter()
        .map(|(summary, value)| (key(summary), json!({"summary": summary, "value": value})))
        .collect();
    let content = json!({"schema": told.schema.clone().into_value(), "examples": examples});
    json!({"required": told.required, "content": {told.media_type: content}})
}

/// Makes a name of a summary: `A file` becomes `a-file`.
fn key(summary: &str) -> String {
    let letters = summary.chars().filter(|c| c.is_ascii_alphanumeric() || *c == ' ');
    letters.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

fn responses(operation: &Operation, route: Option<&Route>) -> Value {
    let mut rendered: Map<String, Value> =
        operation.answers.iter().map(|told| (told.status.to_string(), answer(told))).collect();
    let mut refused: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (status, code) in &operation.codes {
        refused.entry(*status).or_default().push(code);
    }
    // A viewer may read, and whoever is bound may not ask for what belongs to no product.
    if route.is_some_and(|route| route.role > Role::Viewer || route.unbound) {
        refused.entry(403).or_default().push("request.forbidden");
    }
    for (status, codes) in refused {
        let shared = SHARED.iter().find(|(_, shared, all)| *shared == status && **all == *codes);
        let response = match shared {
            Some((name, _, _)) => json!({"$ref": format!("#/components/responses/{name}")}),
            None => refusal(status, &codes),
        };
        rendered.insert(status.to_string(), response);
    }
    Value::Object(rendered)
}

fn answer(told: &Answer) -> Value {
    let mut rendered = json!({"description": told.says});
    if !told.content.is_empty() {
        let content = told.content.iter();
        let content: Map<String, Value> = content
            .map(|(kind, schema)| ((*kind).to_owned(), json!({"schema": schema.clone().into_value()})))
            .collect();
        rendered["content"] = Value::Object(content);
    }
    let headers = told.headers.iter().map(|header| {
        let told =
            json!({"description": header.says, "required": header.always, "schema": {"type": "string"}});
        (header.name.to_owned(), told)
    });
    let headers: Map<String, Value> = headers.collect();
    if !headers.is_empty() {
        rendered["headers"] = Value::Object(headers);
    }
    rendered
}

/// An answer that refuses, with what each code means.
fn refusal(status: u16, codes: &[&str]) -> Value {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    // The one status that no RFC has is that of tus.
    let lines = codes.iter().map(|code| format!("- `{code}`: {}", meaning(code)));
    let lines =
        std::iter::once(reason.unwrap_or("Checksum Mismatch").to_owned()).chain([String::new()]).chain(lines);
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"properties": {"status": {"const": status}, "code": {"enum": codes}}},
    ]});
    let mut rendered = json!({
        "description": lines.collect::<Vec<_>>().join("\n"),
        "content": {PROBLEM: {"schema": schema}},
    });
    let header = |says: &str| json!({"description": says, "required": true, "schema": {"type": "string"}});
    match status {
        401 => rendered["headers"] = json!({"WWW-Authenticate": header("`Bearer`.")}),
        503 => rendered["headers"] = json!({"Retry-After": header("When to come again, in seconds.")}),
        _ => {}
    }
    rendered
}

fn problem() -> crate::schema::Schema {
    object([
        must("type", text().says("A URI that ends in the code.")),
        must("title", text().says("The same for every problem of its kind.")),
        must("status", whole().range(400_u64, 599_u64)),
        must("detail", text().says("What is wrong this time.")),
        must("instance", text().says("The id under which the log tells more.")),
        must("code", text().says("Stable; docs/errors.md lists them all.")),
        may("errors", list(named("Fault")).says("Every fault of a request that was read and found wrong.")),
    ])
}

fn fault() -> crate::schema::Schema {
    let place = "A JSON pointer into the body, `query:name`, `header:Name`, or `row:7` of an uploaded list.";
    object([
        must("pointer", text().says(place)),
        must("code", text()),
        must("detail", text().says("What is wrong with this value.")),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The codes of `docs/errors.md` whose problems have a status: those of messages from devices have none.
    fn with_status() -> impl Iterator<Item = &'static str> {
        let page = include_str!("../../../docs/errors.md");
        page.lines().filter_map(|line| {
            let (code, rest) = line.strip_prefix("| `")?.split_once('`')?;
            let status = rest.split('|').nth(1)?.trim();
            status.starts_with(|c: char| c.is_ascii_digit()).then_some(code)
        })
    }

    #[test]
    fn every_route_is_told_of_once_and_nothing_else_is() {
        let operations = nouns::operations();
        for route in ROUTES {
            let told = operations.iter().filter(|operation| is_of(operation, route)).count();
            assert_eq!(told, 1, "{} {}", route.method, route.path);
        }
        for operation in &operations {
            let is_route = ROUTES.iter().any(|route| is_of(operation, route));
            assert_ne!(is_route, operation.is_open, "{} {}", operation.method, operation.path);
        }
        let ids: BTreeSet<&str> = operations.iter().map(|operation| operation.id).collect();
        assert_eq!(ids.len(), operations.len(), "an operation's id is its own");
    }

    #[test]
    fn every_noun_is_explained_and_every_name_in_a_path_is_known() {
        for route in ROUTES {
            assert!(NOUNS.iter().any(|(noun, _)| *noun == route.noun), "{}", route.noun);
        }
        for operation in nouns::operations() {
            for name in operation.path_names() {
                assert!(operation.path_name(name).is_some(), "{name} in {}", operation.path);
            }
        }
    }

    #[test]
    fn every_code_that_callers_are_told_is_some_operations_and_is_explained() {
        // What no operation has: a path or method that is none, and what is told to the broker only.
        let others = ["request.no-route", "request.method-not-allowed", "device.login-refused"];
        let told: BTreeSet<&str> = nouns::operations()
            .iter()
            .flat_map(|operation| operation.codes.iter().map(|(_, code)| *code))
            .collect();
        for code in &told {
            assert!(!meaning(code).is_empty(), "docs/errors.md does not explain {code}");
        }
        let shared = ["request.forbidden"];
        let missing = with_status()
            .filter(|code| !told.contains(code) && !others.contains(code) && !shared.contains(code));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new(), "codes of no operation");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(document: &Value, value: &Value) {
            match value {
                Value::Object(fields) => {
                    if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
                    }
                    fields.values().for_each(|value| check(document, value));
                }
                Value::Array(items) => items.iter().for_each(|item| check(document, item)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
    }

    #[test]
    fn every_request_with_a_json_body_has_an_example() {
        for operation in nouns::operations() {
            if let Some(body) = &operation.body {
                assert!(!body.examples.is_empty(), "{}", operation.id);
            }
        }
    }
}
