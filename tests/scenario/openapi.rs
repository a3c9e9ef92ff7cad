//! Every example of the OpenAPI document does what it says: it is sent as it stands there, but for the ids, which are those of
//! things that the story makes before.

use ota_openapi::names;
use ota_tests::{Call, Package, Value, World, json};

/// An example request.
struct Example {
    operation: String,
    method: &'static str,
    uri: String,
    headers: Vec<(String, String)>,
    body: Option<(String, Value)>,
}

const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

fn examples() -> Vec<Example> {
    let document = ota_openapi::document();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("there are paths") {
        for (method, told) in METHODS.map(|method| (method, &operations[method.to_ascii_lowercase()])) {
            if !told.is_null() {
                found.extend(of_operation(path, method, told));
            }
        }
    }
    found
}

fn of_operation(path: &str, method: &'static str, told: &Value) -> Vec<Example> {
    let given = told["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter.get("example").is_some());
    let (mut uri, mut query, mut headers) = (path.to_owned(), Vec::new(), Vec::new());
    for parameter in given {
        let name = parameter["name"].as_str().unwrap_or_default();
        let text = plain(&parameter["example"]);
        match parameter["in"].as_str() {
            Some("path") => uri = uri.replace(&format!("{{{name}}}"), &text),
            Some("query") => query.push(format!("{name}={text}")),
            _ => headers.push((name.to_owned(), text)),
        }
    }
    if !query.is_empty() {
        uri = format!("{uri}?{}", query.join("&"));
    }
    let operation = plain(&told["operationId"]);
    let example = |body| Example {
        operation: operation.clone(),
        method,
        uri: uri.clone(),
        headers: headers.clone(),
        body,
    };
    let contents = told["requestBody"]["content"].as_object().into_iter().flatten();
    let bodies: Vec<(String, Value)> = contents
        .flat_map(|(kind, content)| {
            let examples = content["examples"].as_object().into_iter().flatten();
            examples.map(move |(_, example)| (kind.clone(), example["value"].clone()))
        })
        .collect();
    if bodies.is_empty() {
        vec![example(None)]
    } else {
        bodies.into_iter().map(|body| example(Some(body))).collect()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A world in which an example finds what it names, and the names of the document with those of the world.
struct Ready {
    world: World,
    names: Vec<(&'static str, String)>,
}

impl Ready {
    fn new() -> Self {
        let world = World::new().product("lamp").devices(3);
        let key = world.product_key();
        Self { world, names: vec![(names::PRODUCT_KEY, key)] }
    }

    fn name(&mut self, name: &'static str, real: String) {
        self.names.push((name, real));
    }

    fn upload(&mut self, name: &'static str) {
        let id = self.world.upload(name.as_bytes()).expect(201).text_of("upload_id");
        self.name(name, id);
    }

    /// A package large enough for a delta.
    fn package(&mut self, name: &'static str, version: &str, more: Value) -> Package {
        let image: Vec<u8> = (0..30_000_u32).map(|at| (at * at / 7 % 251) as u8).collect();
        let mut body = json!({"upload_id": self.world.upload(&image).expect(201).text_of("upload_id")});
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        if body.get("files").is_some() {
            body["upload_id"] = Value::Null;
        }
        let made = self.world.try_package(version, &body).expect(201);
        let package = self.world.find_package(&made.text_of("package_id"));
        self.name(name, package.id.clone());
        package
    }

    fn make(&mut self, uri: &str, body: &Value, field: &str) -> String {
        let answer = self.world.send(&Call::post(uri, body));
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answer.text_of(field)
    }

    /// Makes whatever an example names.
    fn for_example(example: &Example) -> Self {
        let mut ready = Self::new();
        let text = format!(
            "{} {}",
            example.uri,
            example.body.as_ref().map(|(_, body)| body.to_string()).unwrap_or_default()
        );
        let (operation, names_a) = (example.operation.as_str(), |name: &str| text.contains(name));
        if names_a(names::SUB_PRODUCT_KEY) || operation == "listSubDevices" {
            ready.sub_devices();
        }
        if text.contains("/modules/") {
            let uri = format!("/v1/products/{}/modules", ready.world.product_key());
            let _name = ready.make(&uri, &json!({"name": names::MODULE}), "name");
        }
        if operation == "changeBatch" {
            let uri = format!("/v1/products/{}", ready.world.product_key());
            let _set = ready
                .world
                .send(&Call::patch(uri, &json!({"settings": {"editable_tags": true}})))
                .expect(200);
        }
        ready.uploads(operation, &names_a);
        if names_a(names::PACKAGE_ID) || names_a(names::BATCH_ID) || names_a(names::DELTA_ID) {
            ready.packages(operation, &names_a);
        }
        if names_a(names::WEBHOOK_ID) {
            let id = ready.make("/v1/webhooks", &json!({"url": "https://hooks.test"}), "webhook_id");
            let delivery = ready.make(&format!("/v1/webhooks/{id}/test"), &json!({}), "delivery_id");
            ready.name(names::WEBHOOK_ID, id);
            ready.name(names::DELIVERY_ID, delivery);
        }
        if names_a(names::TOKEN_ID) {
            let token = ready.world.token("viewer", &[]).id;
            ready.name(names::TOKEN_ID, token);
        }
        ready
    }

    fn sub_devices(&mut self) {
        let key = self.make("/v1/products", &json!({"name": "bulb"}), "product_key");
        let bulbs = json!({"devices": [{"name": names::SUB_DEVICE}, {"name": "bulb-2"}]});
        let _made = self.make(&format!("/v1/products/{key}/devices"), &bulbs, "");
        let uri = format!("/v1/products/{}/devices/{}/sub-devices", self.world.product_key(), names::DEVICE);
        let behind = json!({"sub_devices": [{"product_key": key, "name": names::SUB_DEVICE}]});
        let _behind = self.make(&uri, &behind, "");
        self.name(names::SUB_PRODUCT_KEY, key);
    }

    fn uploads(&mut self, operation: &str, names_a: &impl Fn(&str) -> bool) {
        if matches!(operation, "appendUpload" | "headUpload") {
            let announced = Call::new("POST", "/v1/uploads").header("tus-resumable", "1.0.0");
            let announced =
                announced.header("upload-length", "19").header("upload-metadata", "filename YS5iaW4=");
            let made = self.world.send(&announced).expect(201);
            let id = made.header("location").trim_start_matches("/v1/uploads/").to_owned();
            self.name(names::UPLOAD_ID, id);
        } else if names_a(names::UPLOAD_ID) {
            self.upload(names::UPLOAD_ID);
        }
        if names_a(names::OTHER_UPLOAD_ID) {
            self.upload(names::OTHER_UPLOAD_ID);
        }
    }

    fn packages(&mut self, operation: &str, names_a: &impl Fn(&str) -> bool) {
        let mut more = json!({"needs_verification": operation == "verifyPackage"});
        if operation.ends_with("downloadFile") || operation.ends_with("DownloadFile") {
            let [one, two] = ["one", "two"].map(|name| {
                json!({"name": name, "upload_id": self.world.upload(name.as_bytes()).expect(201).text_of("upload_id")})
            });
            more["files"] = json!([one, two]);
        }
        let package = self.package(names::PACKAGE_ID, "1.1.0", more);
        if names_a(names::OLDER_PACKAGE_ID) || names_a(names::DELTA_ID) {
            let older = self.package(names::OLDER_PACKAGE_ID, "1.0.9", json!({}));
            if names_a(names::DELTA_ID) {
                let body =
                    json!({"target_package_id": package.id, "source_package_id": older.id, "slice": "none"});
                let id = self.make("/v1/deltas", &body, "delta_id");
                self.name(names::DELTA_ID, id);
            }
        }
        if names_a(names::URL_SIGNATURE) {
            let told = self.world.get(format!("/v1/packages/{}/download_url", package.id));
            let url = told["files"][1]["url"].as_str().or(told["url"].as_str()).expect("a URL").to_owned();
            let query =
                url.split_once("?e=").and_then(|(_, query)| query.split_once("&s=")).expect("a signed URL");
            self.name(names::URL_EXPIRES, query.0.to_owned());
            self.name(names::URL_SIGNATURE, query.1.to_owned());
        }
        if names_a(names::BATCH_ID) || operation == "cancelTasks" {
            let batch =
                self.world.batch(&package, json!({"needs_confirmation": operation == "confirmTasks"}));
            self.name(names::BATCH_ID, batch.id);
            if operation == "reupgradeTasks" {
                let cancel = json!({"package_id": package.id, "devices": [names::DEVICE]});
                let _canceled = self.make("/v1/tasks/cancel", &cancel, "");
            }
        }
    }

    /// Says it with this world's names.
    fn said(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, real)| text.replace(name, real))
    }
}

#[test]
fn every_example_of_the_openapi_document_does_what_it_says() {
    let examples = examples();
    assert!(examples.len() > ota_http::routes::ROUTES.len(), "{} examples", examples.len());
    let mut failed = Vec::new();
    for example in examples {
        let ready = Ready::for_example(&example);
        let mut call = Call::new(example.method, ready.said(&example.uri));
        for (name, value) in &example.headers {
            call = call.header(name, value.clone());
        }
        if let Some((kind, body)) = &example.body {
            let text = if kind.ends_with("json") { body.to_string() } else { plain(body) };
            call = call.header("content-type", kind.clone()).bytes(ready.said(&text));
        }
        // That the answer is as the document says is checked of every answer.
        let answer = ready.world.send(&call);
        if !(200..300).contains(&answer.status) {
            let told = String::from_utf8_lossy(&answer.body).into_owned();
            failed.push(format!("{} was answered {} {told}", example.operation, answer.status));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn whoever_asks_gets_the_document_and_the_page_that_shows_it() {
    let world = World::new();
    let document = world.send(&Call::get("/console/openapi.json")).expect(200);
    assert_eq!(document.header("content-type"), "application/json");
    assert_eq!(document.json(), ota_openapi::document());
    let page = world.send(&Call::get("/console/api")).expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("script-src 'self'"), "{page:?}");
    // The page names its files by where they are from itself.
    let with_slash = world.send(&Call::get("/console/api/")).expect(307);
    assert_eq!(with_slash.header("location"), "../api");
}
