//! What an operator, or an app, asks of single tasks; and what is told of what happened.

use serde_json::{Value, json};

use crate::{Answer, Batch, Call, Package, World};

impl World {
    /// Changes settings of the product.
    #[track_caller]
    pub fn set(&self, settings: &Value) {
        let uri = format!("/v1/products/{}", self.product_key());
        let _set = self.send(&Call::patch(uri, &json!({"settings": settings}))).expect(200);
    }

    /// Adds a module to the product.
    #[track_caller]
    pub fn add_module(&self, name: &str) {
        let uri = format!("/v1/products/{}/modules", self.product_key());
        let _made = self.send(&Call::post(uri, &json!({"name": name}))).expect(201);
    }

    /// Makes a package of a module that leads to `version` and needs no verification.
    #[track_caller]
    pub fn ready_package_of(&self, module: &str, version: &str) -> Package {
        let name = format!("{}-{module}-{}", self.product_name(), version.replace('.', "_"));
        let more = json!({"module": module, "name": name, "needs_verification": false});
        self.find_package(&self.try_package(version, &more).expect(201).text_of("package_id"))
    }

    /// Gives an app's consent to tasks, and lets the dispatcher hear of it.
    pub fn confirm(&self, ids: &[String]) -> Answer {
        self.ask_of_tasks("confirm", ids)
    }

    /// Asks for failed or canceled tasks to be tried again, and lets the dispatcher hear of it.
    pub fn reupgrade(&self, ids: &[String]) -> Answer {
        self.ask_of_tasks("reupgrade", ids)
    }

    fn ask_of_tasks(&self, verb: &str, ids: &[String]) -> Answer {
        let answer = self.send(&Call::post(format!("/v1/tasks/{verb}"), &json!({"task_ids": ids})));
        self.settle();
        answer
    }

    /// Cancels the tasks that devices have of a package; `more` adds to the request, or says otherwise.
    pub fn cancel_by_device(&self, package: &Package, devices: &[&str], more: &Value) -> Answer {
        let mut body = json!({"package_id": package.id, "devices": devices});
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        let answer = self.send(&Call::post("/v1/tasks/cancel", &body));
        self.settle();
        answer
    }

    /// Returns all events there are, oldest first; `query` may filter them, as in `type=batch-status`.
    ///
    /// # Panics
    /// If the list never ends.
    #[track_caller]
    pub fn events(&self, query: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
        for _ in 0..1_000 {
            let page = self.get(format!("/v1/events?limit=50&cursor={cursor}&{query}"));
            let next = page["next_cursor"].as_str().unwrap_or_default().to_owned();
            if next == cursor {
                return all;
            }
            all.extend(page["items"].as_array().into_iter().flatten().cloned());
            cursor = next;
        }
        panic!("the list of events never ends");
    }
}

impl Batch {
    /// Returns the id of a device's task.
    #[track_caller]
    pub fn task_id(&self, device: &str) -> String {
        self.task(device)["task_id"].as_str().unwrap_or_default().to_owned()
    }

    /// Tells why a device was upgraded or was not: the code, and the rule's number.
    #[track_caller]
    pub fn why(&self, world: &World, device: &str) -> (String, String) {
        let told = world.get(format!("/v1/batches/{}/devices/{device}/why", self.id));
        let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
        assert!(!text("because").is_empty(), "{told}");
        (text("code"), text("rule"))
    }
}
