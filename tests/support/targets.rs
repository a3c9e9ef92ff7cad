//! Whom a batch is for: uploaded lists, places, and how often devices were pushed to.

use std::cell::Cell;

use ota_store::memory::Fault;
use serde_json::{Value, json};

use crate::{Answer, Call, World, minutes, seconds};

impl World {
    /// Uploads a device list of these rows.
    pub fn upload_list(&self, rows: &str) -> Answer {
        let call = Call::new("POST", "/v1/uploads?file_name=devices.csv").bytes(rows);
        self.send(&call.header("content-length", rows.len().to_string()))
    }

    /// Returns a target that names the devices of an uploaded list.
    ///
    /// # Panics
    /// If the list is refused.
    #[track_caller]
    pub fn listed(&self, rows: &str) -> Value {
        let upload = self.upload_list(rows).expect(201).text_of("upload_id");
        json!({"target": {"selection": "specific", "device_list": upload}})
    }

    /// Registers `count` more devices, which the story never hears of, and lets whoever does it die at the store's operation
    /// number `at`. Returns whether it was done before.
    pub fn register_and_die(&self, count: usize, at: u64) -> bool {
        let more: Vec<Value> = (0..count).map(|_| json!({"name": self.next("more")})).collect();
        let uri = format!("/v1/products/{}/devices", self.product_key());
        let seen = Cell::new(0);
        self.kv().set_faults(move |_, _| {
            seen.set(seen.get() + 1);
            (seen.get() >= at).then_some(Fault::Refused)
        });
        let status = self.send_once(&Call::post(uri, &json!({"devices": more}))).status;
        self.kv().clear_faults();
        status == 201
    }

    /// Lets so much time pass that claims of the dead are given out anew, and what they left half done is finished.
    pub fn mend(&self) {
        for _ in 0..3 {
            self.advance(minutes(1));
            self.run(seconds(10));
        }
    }

    /// Tells where a device is: a province and perhaps a city, or `null`.
    pub fn place(&self, device: &str, region: &Value) -> Answer {
        let uri = format!("/v1/products/{}/devices/{device}", self.product_key());
        self.send(&Call::patch(uri, &json!({"region": region})))
    }

    /// Returns how many upgrades were pushed so far, to whomever.
    pub fn pushes(&self) -> usize {
        self.published().iter().filter(|push| push.topic.starts_with("/ota/device/upgrade/")).count()
    }
}
