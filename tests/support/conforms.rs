//! Keeps the OpenAPI document true: what a test asks and is answered is what the document says, or the test fails.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(ota_openapi::document);
/// Compiled schemas, by their text: many answers have the same.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
/// What an answer bears that no operation tells: there is none, or whoever asks is not let in before it is looked for.
const WITHOUT_OPERATION: [&str; 4] =
    ["request.no-route", "request.method-not-allowed", "request.unauthorized", "request.malformed"];

/// A request as a test makes it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
}

/// Checks a request and its answer.
///
/// # Panics
/// If the document says otherwise.
#[track_caller]
pub(crate) fn check(asked: Asked<'_>, answer: &Answer) {
    let uri: http::Uri = asked.uri.parse().expect("a story's URI is well formed");
    if !["/v1/", "/d/", "/metrics"].iter().any(|beginning| uri.path().starts_with(beginning)) {
        return;
    }
    let what = format!("{} {} answered {}", asked.method, asked.uri, answer.status);
    // The vendors of some clients know only `POST`.
    let method = asked.header("x-http-method-override").unwrap_or(asked.method);
    let Some(operation) = find(method, uri.path()) else {
        let code = answer.text_of("code");
        assert!(WITHOUT_OPERATION.contains(&code.as_str()), "{what}: the document has no such operation");
        return;
    };
    check_answer(&what, operation, answer);
    if (200..300).contains(&answer.status) {
        check_request(&what, operation, asked, uri.query().unwrap_or_default());
    }
}

impl Asked<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Finds the operation of a request.
fn find(method: &str, path: &str) -> Option<&'static Value> {
    let said: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == said.len()
            && parts.iter().zip(&said).all(|(part, said)| part.starts_with('{') || part == said)
    };
    let paths = DOCUMENT["paths"].as_object()?;
    let method = method.to_ascii_lowercase();
    paths.iter().filter(|(template, _)| fits(template)).find_map(|(_, operations)| operations.get(&method))
}

fn resolved(value: &'static Value) -> &'static Value {
    let named =
        value["$ref"].as_str().and_then(|reference| DOCUMENT.pointer(reference.trim_start_matches('#')));
    named.unwrap_or(value)
}

#[track_caller]
fn check_answer(what: &str, operation: &'static Value, answer: &Answer) {
    let told = operation["responses"].get(answer.status.to_string());
    let told =
        resolved(told.unwrap_or_else(|| panic!("{what}, which the document does not say: {answer:?}")));
    for (name, header) in told["headers"].as_object().into_iter().flatten() {
        let is_there = answer.headers.contains_key(name.as_str());
        assert!(is_there || header["required"] != json!(true), "{what} without the header {name}");
    }
    let media_type = answer.header("content-type").split(';').next().unwrap_or_default().trim();
    if media_type.is_empty() {
        assert!(answer.body.is_empty(), "{what} with a body of no type");
        return;
    }
    // An answer to `HEAD` tells the type of a body that it does not have.
    if answer.body.is_empty() && told.get("content").is_none() {
        return;
    }
    let content = told["content"].get(media_type);
    let content =
        content.unwrap_or_else(|| panic!("{what} as {media_type}, which the document does not say"));
    if media_type.ends_with("json") && !answer.cut {
        check_value(what, &content["schema"], &answer.json());
        check_faults(what, operation, answer);
    }
}

/// Checks that the codes of single faults are ones that the operation has.
#[track_caller]
fn check_faults(what: &str, operation: &'static Value, answer: &Answer) {
    let told: Vec<&Value> = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, response)| {
            resolved(response)
                .pointer("/content/application~1problem+json/schema/allOf/1/properties/code/enum")
        })
        .flat_map(|codes| codes.as_array().into_iter().flatten())
        .collect();
    for fault in answer.json()["errors"].as_array().into_iter().flatten() {
        assert!(told.contains(&&fault["code"]), "{what}: the operation has no fault {}", fault["code"]);
    }
}

#[track_caller]
fn check_request(what: &str, operation: &'static Value, asked: Asked<'_>, query: &str) {
    let parameters = || operation["parameters"].as_array().into_iter().flatten();
    let of = |place: &'static str| parameters().filter(move |parameter| parameter["in"] == place);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let told = of("query").find(|parameter| parameter["name"] == name);
        let told = told.unwrap_or_else(|| panic!("{what}: the document has no parameter {name}"));
        let text = text.replace('+', " ");
        let text = percent_decode_str(&text).decode_utf8_lossy();
        let number = text.parse::<u64>().ok().filter(|_| told["schema"]["type"] == "integer");
        check_value(
            &format!("{what}: {name}"),
            &told["schema"],
            &number.map_or(json!(text), |number| json!(number)),
        );
    }
    for header in of("header").filter(|header| header["required"] == json!(true)) {
        let name = header["name"].as_str().unwrap_or_default();
        assert!(
            asked.header(name).is_some(),
            "{what} without the header {name}, which the document asks for"
        );
    }
    let told = &operation["requestBody"];
    if asked.body.is_empty() {
        // The answer to the last bytes of an upload got lost, and its client sends none.
        let is_json = told["content"].get("application/json").is_some();
        assert!(
            !is_json || told["required"] != json!(true),
            "{what} without a body, which the document asks for"
        );
    } else if let Some(content) = told["content"].get("application/json") {
        let body = serde_json::from_slice(asked.body).expect("a request that is not refused is JSON");
        check_value(&format!("{what}: the request"), &content["schema"], &body);
    } else {
        // An empty object, or `null`, says as little as no body.
        let says_nothing = matches!(asked.body, b"{}" | b"null");
        assert!(!told.is_null() || says_nothing, "{what}: the document has no body of this request");
    }
}

/// Checks a value against a schema of the document.
#[track_caller]
fn check_value(what: &str, schema: &'static Value, value: &Value) {
    let validator = validator(schema);
    if validator.is_valid(value) {
        return;
    }
    let wrong: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    panic!("{what}, which is not what the document says:\n{}\n{value}", wrong.join("\n"));
}

fn validator(schema: &'static Value) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().expect("no check panics while it holds this");
    let made = known.entry(schema.to_string()).or_insert_with(|| {
        let mut whole = schema.clone();
        // References lead from the root of the document.
        whole["components"] = json!({"schemas": DOCUMENT["components"]["schemas"]});
        Arc::new(jsonschema::draft202012::new(&whole).expect("the document's schemas are well formed"))
    });
    Arc::clone(made)
}
