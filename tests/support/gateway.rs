//! A gateway: it logs the devices behind it in and out, and its broker does as the service orders.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use ota_core::device::auth::{SignMethod, password};
use ota_core::ids::{DeviceName, DeviceRef, ProductKey};
use serde_json::{Value, json};

use crate::{Answer, Call, Device, World};

/// A gateway of the story. What the broker keeps of its connection is kept here.
pub struct Gateway {
    world: World,
    device: Device,
    /// The sub-devices that its connection carries.
    carried: RefCell<BTreeSet<String>>,
    /// Published messages looked at so far.
    seen: Cell<usize>,
}

impl World {
    /// Returns a registered device as a gateway.
    ///
    /// # Panics
    /// If there is none of this name.
    #[track_caller]
    pub fn gateway(&self, name: &str) -> Gateway {
        Gateway {
            world: self.clone(),
            device: self.device(name),
            carried: RefCell::default(),
            seen: Cell::new(self.published().len()),
        }
    }
}

impl Gateway {
    /// Returns it as a device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the path of the operator's route to its sub-devices.
    pub fn path(&self) -> String {
        format!("/v1/products/{}/devices/{}/sub-devices", self.world.product_key(), self.device.name())
    }

    /// Lets the operator put devices behind it.
    pub fn put_behind(&self, names: &[&str]) -> Answer {
        let key = self.world.product_key();
        let listed: Vec<Value> = names.iter().map(|name| json!({"product_key": key, "name": name})).collect();
        self.world.send(&Call::post(self.path(), &json!({"sub_devices": listed})))
    }

    /// Lets the operator take a device away from it.
    pub fn take_away(&self, name: &str) -> Answer {
        let answer =
            self.world.send(&Call::delete(format!("{}/{}/{name}", self.path(), self.world.product_key())));
        self.obey();
        answer
    }

    /// Returns what it says to log a device in, signed with a secret.
    pub fn credentials(&self, name: &str, secret: &str) -> Value {
        let key = self.world.product_key();
        let device = DeviceRef {
            product_key: ProductKey::new(&key).expect("the service makes good keys"),
            device_name: DeviceName::new(name).expect("the story's names are good"),
        };
        let (client_id, at) = (format!("{key}.{name}"), self.world.now_ms().to_string());
        let sign = password(&client_id, &device, Some(&at), SignMethod::HmacSha256, secret);
        json!({"productKey": key, "deviceName": name, "clientId": client_id, "timestamp": at,
            "signMethod": "hmacSha256", "sign": sign, "cleanSession": "true"})
    }

    /// Logs a device in that it knows the secret of, and returns the reply's code.
    pub fn login(&self, name: &str) -> Value {
        let params = self.credentials(name, self.world.device(name).secret());
        self.ask("login", &params)["code"].clone()
    }

    /// Logs a device out, and returns the reply's code.
    pub fn logout(&self, name: &str) -> Value {
        let params = json!({"productKey": self.world.product_key(), "deviceName": name});
        self.ask("logout", &params)["code"].clone()
    }

    /// Says something as a gateway, and returns the reply.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn ask(&self, verb: &str, params: &Value) -> Value {
        let before = self.world.published().len();
        self.say(verb, params);
        let reply =
            format!("/ext/session/{}/{}/combine/{verb}_reply", self.world.product_key(), self.device.name());
        let published = self.world.published();
        let reply = published[before..].iter().find(|message| message.topic == reply);
        reply.expect("who asks is answered").payload.clone()
    }

    /// Says something as a gateway, and returns the status it was answered with. The broker then does as it is ordered.
    pub fn say(&self, verb: &str, params: &Value) -> u16 {
        let topic =
            format!("/ext/session/{}/{}/combine/{verb}", self.world.product_key(), self.device.name());
        let status = self.device.say(&topic, &json!({"id": "1", "version": "1.0", "params": params}));
        self.obey();
        status
    }

    /// Loses its connection, and with it those of all its sub-devices, as the broker announces.
    pub fn disconnect(&self) {
        self.device.disconnect();
        for name in self.carried.take() {
            self.world.device(&name).disconnect();
        }
    }

    /// Carries out the orders of the service that came since the last time, as the broker does: a sub-device comes or
    /// goes, and is announced.
    fn obey(&self) {
        let published = self.world.published();
        let from = self.seen.replace(published.len());
        let orders = format!("/overair/sub-device/{}/{}", self.world.product_key(), self.device.name());
        for order in published[from..].iter().filter(|message| message.topic == orders) {
            let named = |verb: &str| -> Vec<String> {
                let devices = order.payload[verb].as_array().into_iter().flatten();
                devices.filter_map(|device| device["deviceName"].as_str().map(str::to_owned)).collect()
            };
            for name in named("attach") {
                if self.device.is_online() && self.carried.borrow_mut().insert(name.clone()) {
                    self.world.device(&name).connect_silently();
                }
            }
            for name in named("detach") {
                if self.carried.borrow_mut().remove(&name) {
                    self.world.device(&name).disconnect();
                }
            }
        }
    }
}
