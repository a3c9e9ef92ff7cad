//! What an operator does: packages, verifications, batches.

use serde_json::{Value, json};

use crate::{Answer, Call, World};

/// A package of the story.
#[derive(Clone)]
pub struct Package {
    world: World,
    /// Its id.
    pub id: String,
}

/// A batch of the story.
#[derive(Clone)]
pub struct Batch {
    world: World,
    /// Its id.
    pub id: String,
}

impl World {
    /// Uploads a file of these bytes.
    pub fn upload(&self, bytes: &[u8]) -> Answer {
        let call = Call::new("POST", "/v1/uploads?file_name=image.bin").bytes(bytes);
        self.send(&call.header("content-length", bytes.len().to_string()))
    }

    /// Makes a package that leads to `version` and has yet to be verified.
    #[track_caller]
    pub fn package(&self, version: &str) -> Package {
        let made = self.try_package(version, &json!({})).expect(201);
        self.find_package(&made.text_of("package_id"))
    }

    /// Makes a package that leads to `version` and needs no verification.
    #[track_caller]
    pub fn ready_package(&self, version: &str) -> Package {
        let made = self.try_package(version, &json!({"needs_verification": false})).expect(201);
        self.find_package(&made.text_of("package_id"))
    }

    /// Returns a package by its id.
    pub fn find_package(&self, id: &str) -> Package {
        Package { world: self.clone(), id: id.to_owned() }
    }

    /// Asks for a package; `more` adds to the request, or says otherwise.
    pub fn try_package(&self, version: &str, more: &Value) -> Answer {
        let mut body = json!({
            "product_key": self.product_key(),
            "name": format!("{}-{}", self.product_name(), version.replace('.', "_")),
            "target_version": version,
        });
        if more.get("upload_id").is_none() {
            let uploaded = self.upload(format!("the image of {version}").as_bytes()).expect(201);
            body["upload_id"] = uploaded.json()["upload_id"].clone();
        }
        merge(&mut body, more);
        self.send(&Call::post("/v1/packages", &body).key(&self.next("package")))
    }

    /// Starts the verification of a package on some devices, and lets the dispatcher hear of it.
    #[track_caller]
    pub fn verify(&self, package: &Package, devices: &[&str]) -> Value {
        self.try_verify(package, &json!({"devices": devices})).expect(201).json()
    }

    /// Asks for a verification.
    pub fn try_verify(&self, package: &Package, body: &Value) -> Answer {
        let uri = format!("/v1/packages/{}/verification", package.id);
        let answer = self.send(&Call::post(uri, body).key(&self.next("verification")));
        self.settle();
        answer
    }

    /// Makes a batch of a package for all devices, and lets the dispatcher hear of it; `more` adds to the request, or
    /// says otherwise.
    #[track_caller]
    pub fn batch(&self, package: &Package, more: Value) -> Batch {
        let made = self.try_batch(package, &more).expect(201);
        self.find_batch(&made.text_of("batch_id"))
    }

    /// Makes a batch for named devices.
    #[track_caller]
    pub fn batch_for(&self, package: &Package, devices: &[&str]) -> Batch {
        self.batch(package, json!({"target": {"selection": "specific", "devices": devices}}))
    }

    /// Asks for a batch.
    pub fn try_batch(&self, package: &Package, more: &Value) -> Answer {
        let mut body = json!({"package_id": package.id, "target": {"selection": "all"}});
        merge(&mut body, more);
        let answer = self.send(&Call::post("/v1/batches", &body).key(&self.next("batch")));
        self.settle();
        answer
    }

    /// Returns a batch by its id.
    pub fn find_batch(&self, id: &str) -> Batch {
        Batch { world: self.clone(), id: id.to_owned() }
    }
}

fn merge(body: &mut Value, more: &Value) {
    for (field, value) in more.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
}

impl Package {
    /// Returns the package as it is told.
    #[track_caller]
    pub fn get(&self) -> Value {
        self.world.get(format!("/v1/packages/{}", self.id))
    }

    /// Returns how its verification stands.
    #[track_caller]
    pub fn verification(&self) -> String {
        self.get()["verification"]["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns a URL to download it from.
    #[track_caller]
    pub fn url(&self) -> String {
        let told = self.world.get(format!("/v1/packages/{}/download_url", self.id));
        told["url"].as_str().unwrap_or_default().to_owned()
    }

    /// Deletes it.
    pub fn delete(&self) -> Answer {
        self.world.send(&Call::delete(format!("/v1/packages/{}", self.id)))
    }
}

impl Batch {
    /// Returns the batch as it is told.
    #[track_caller]
    pub fn get(&self) -> Value {
        self.world.get(format!("/v1/batches/{}", self.id))
    }

    /// Returns its status.
    #[track_caller]
    pub fn status(&self) -> String {
        self.get()["status"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns all its tasks, by device.
    #[track_caller]
    pub fn tasks(&self) -> Vec<Value> {
        let mut tasks = self.world.list(&format!("/v1/batches/{}/tasks", self.id), 100);
        tasks.sort_by_key(|task| task["device_name"].as_str().map(str::to_owned));
        tasks
    }

    /// Returns one device's task.
    pub fn task(&self, device: &str) -> Value {
        self.world.get(format!("/v1/batches/{}/tasks/{device}", self.id))
    }

    /// Returns its tasks in words: the device, the status, and the reason if there is one, as in `lamp-1 failed timeout`.
    #[track_caller]
    pub fn outcome(&self) -> Vec<String> {
        let words = |task: &Value| {
            let parts = [&task["device_name"], &task["status"], &task["reason"]["code"]];
            parts.iter().filter_map(|part| part.as_str()).collect::<Vec<_>>().join(" ")
        };
        self.tasks().iter().map(words).collect()
    }

    /// Cancels tasks of the statuses that are true in `what`, and lets the dispatcher hear of it.
    pub fn cancel(&self, what: &Value) -> Answer {
        let answer = self.world.send(&Call::post(format!("/v1/batches/{}/cancel", self.id), what));
        self.world.settle();
        answer
    }

    /// Cancels without saying what, and lets the dispatcher hear of it.
    pub fn cancel_by_default(&self) -> Answer {
        let answer = self.world.send(&Call::new("POST", format!("/v1/batches/{}/cancel", self.id)));
        self.world.settle();
        answer
    }
}
