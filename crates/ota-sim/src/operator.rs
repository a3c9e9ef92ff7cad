//! Operators: what they wish for, repeated with the same words until it is answered.

use ota_core::ids::{BatchId, DeviceName};
use ota_store::shard::{DEVICES_MAX, hash};
use ota_store::shards;
use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::device::FIRST_VERSION;
use crate::dice::Dice;
use crate::world::{Purpose, World};

/// What packages lead to.
const VERSIONS: [&str; 3] = ["1.1.0", "1.2.0", "1.3.0"];
/// Batches of one run, trials not counted.
const BATCHES_MAX: usize = 8;
/// How long after a failure a wish is repeated: often at once, and sometimes after a lost claim is given out anew
/// (`ota_store::claim::GRACE_MS`).
const PATIENCE_MS: [u64; 3] = [500, 5_000, 61_000];
/// The lowest rate there is, so that few devices can reach it.
const RATE: u32 = 10;

/// The bytes of the package that leads to a version.
pub(crate) fn image(version: &str) -> Vec<u8> {
    format!("the image of {version}").into_bytes()
}

/// What an operator wants.
#[derive(Clone, Debug)]
enum Want {
    Product,
    Register {
        names: Vec<String>,
    },
    Upload {
        version: &'static str,
    },
    Package {
        version: &'static str,
    },
    Verify,
    Batch {
        of: BatchOf,
    },
    Cancel {
        batch: String,
        all: bool,
    },
    Reupgrade {
        batch: String,
        device: String,
    },
    DeleteDevice {
        name: String,
    },
    DeletePackage {
        package: String,
    },
    Webhook,
    /// Reads something that must be there.
    Look {
        must: bool,
    },
    /// Anything whose answer teaches nothing.
    Other,
}

/// What is known of a batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchOf {
    pub(crate) id: String,
    pub(crate) package: String,
    pub(crate) needs_confirmation: bool,
    pub(crate) is_dynamic: bool,
    pub(crate) is_scheduled: bool,
    pub(crate) is_pulled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waits { not_before: u64 },
    UnderWay,
    Over,
}

/// A wish, from when it comes up until it is answered.
struct Wish {
    want: Want,
    call: Call,
    state: State,
    /// The id of what it made.
    made: Option<String>,
}

/// A package that the service has acknowledged.
#[derive(Clone)]
pub(crate) struct PackageOf {
    pub(crate) id: String,
    needs_verification: bool,
    is_deleting: bool,
}

/// All operators.
pub(crate) struct Operator {
    pub(crate) product: Option<String>,
    pub(crate) packages: Vec<PackageOf>,
    pub(crate) batches: Vec<BatchOf>,
    pub(crate) trials: Vec<String>,
    /// Devices that the service has said are registered.
    pub(crate) registered: Vec<String>,
    /// Devices that do something once they are registered.
    acting: Vec<String>,
    /// Devices that come later.
    later: Vec<String>,
    crowd: Vec<String>,
    has_webhook: bool,
    /// The webhook, and when its making was first acknowledged: events from then on are told to it.
    pub(crate) webhook: Option<(String, u64)>,
    wishes: Vec<Wish>,
    counter: u64,
}

/// Makes names whose devices fall into shard 0, or anywhere.
fn names(prefix: &str, count: usize, in_first_shard: bool) -> Vec<String> {
    let all = (1_u32..).map(|n| format!("{prefix}-{n:04}"));
    let fits = |name: &String| {
        let name = DeviceName::new(name).expect("a name of letters and digits");
        !in_first_shard || hash(&name).is_multiple_of(u64::from(shards::INITIAL))
    };
    all.filter(fits).take(count).collect()
}

impl Operator {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        // One shard holds some dozens of devices before its fleet grows; a crowd that only lies there brings it near that.
        let is_crowded = dice.permille(500);
        let acting = usize::try_from(dice.within(2, 6)).unwrap_or(2);
        let crowd = if is_crowded { DEVICES_MAX - acting - 2 } else { 0 };
        Self {
            product: None,
            packages: Vec::new(),
            batches: Vec::new(),
            trials: Vec::new(),
            registered: Vec::new(),
            acting: [names("near", acting, true), names("lamp", acting, false)].concat(),
            later: if is_crowded { names("late", 8, true) } else { names("late", 2, false) },
            crowd: names("idle", crowd, true),
            has_webhook: dice.permille(400),
            webhook: None,
            wishes: Vec::new(),
            counter: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn wish(&mut self, want: Want, call: Call) {
        self.wishes.push(Wish { want, call, state: State::Waits { not_before: 0 }, made: None });
    }

    fn any(&self, is_it: impl Fn(&Want) -> bool) -> bool {
        self.wishes.iter().any(|wish| is_it(&wish.want))
    }

    /// How many wishes wait for an answer or to be repeated.
    pub(crate) fn open(&self) -> usize {
        self.wishes.iter().filter(|wish| wish.state != State::Over).count()
    }
}

impl World {
    /// Repeats a wish, or has a new one.
    pub(crate) fn act_as_operator(&mut self) {
        if self.permille(400) || self.operator.open() > 4 {
            self.repeat_a_wish();
        } else {
            self.have_a_wish();
            self.repeat_a_wish();
        }
    }

    /// Makes the request of a wish whose time has come; returns whether there was one.
    pub(crate) fn repeat_a_wish(&mut self) -> bool {
        let now = self.clock();
        let waiting: Vec<usize> = (0..self.operator.wishes.len())
            .filter(|at| matches!(self.operator.wishes[*at].state, State::Waits { not_before } if not_before <= now))
            .collect();
        let Some(chosen) = self.index(waiting.len()) else { return false };
        let at = waiting[chosen];
        self.operator.wishes[at].state = State::UnderWay;
        let call = self.operator.wishes[at].call.clone();
        self.note_wish(at);
        self.begin(Purpose::Wish(at), call);
        true
    }

    fn have_a_wish(&mut self) {
        let Some(product) = self.operator.product.clone() else {
            if !self.operator.any(|want| matches!(want, Want::Product)) {
                self.operator
                    .wish(Want::Product, Call::post("/v1/products", &json!({"name": "lamp"})).key("product"));
            }
            return;
        };
        if !self.operator.any(|want| matches!(want, Want::Register { .. })) {
            let names = [self.operator.acting.clone(), self.operator.crowd.clone()].concat();
            self.wish_to_register(&product, names);
            return;
        }
        match self.below(100) {
            0..=17 => self.wish_for_package(&product),
            18..=23 => self.wish_for_trial(),
            24..=51 => self.wish_for_batch(&product),
            52..=63 => self.wish_to_cancel(),
            64..=67 => self.wish_to_cancel_by_device(),
            68..=76 => self.wish_for_task("confirm"),
            77..=86 => self.wish_for_task("reupgrade"),
            87..=89 => self.wish_to_delete(&product),
            90..=93 => {
                if let Some(name) = self.operator.later.pop() {
                    // Several at once, so that a crowded shard grows beyond what it may hold.
                    let names: Vec<String> =
                        self.operator.later.split_off(self.operator.later.len() / 2).into_iter().collect();
                    self.wish_to_register(&product, [vec![name], names].concat());
                }
            }
            94..=95 => {
                if self.operator.has_webhook && !self.operator.any(|want| matches!(want, Want::Webhook)) {
                    let call = Call::post("/v1/webhooks", &json!({"url": "https://hooks.test/"}));
                    self.operator.wish(Want::Webhook, call.key("webhook"));
                }
            }
            96..=97 => self.wish_again(),
            _ => self.wish_to_look(),
        }
    }

    fn wish_to_register(&mut self, product: &str, names: Vec<String>) {
        let listed: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        let call = Call::post(format!("/v1/products/{product}/devices"), &json!({"devices": listed}));
        self.operator.wish(Want::Register { names }, call);
    }

    fn wish_for_package(&mut self, product: &str) {
        let known = |version: &str, operator: &Operator| {
            operator.any(|want| match want {
                Want::Upload { version: other } | Want::Package { version: other } => *other == version,
                _ => false,
            })
        };
        let missing = VERSIONS.into_iter().find(|version| !known(version, &self.operator));
        if let Some(version) = missing {
            let call = Call::bytes("/v1/uploads?file_name=image.bin", image(version));
            self.operator.wish(Want::Upload { version }, call);
            return;
        }
        // An upload nobody makes a package of is collected in time; one more of a version is refused.
        if self.permille(50) {
            let call = Call::bytes("/v1/uploads?file_name=image.bin", image(product));
            self.operator.wish(Want::Other, call);
        }
    }

    fn wish_for_trial(&mut self) {
        let packages: Vec<PackageOf> =
            self.operator.packages.iter().filter(|package| package.needs_verification).cloned().collect();
        let (Some(at), Some(device)) = (self.index(packages.len()), self.index(self.devices.len())) else {
            return;
        };
        let number = self.operator.next();
        let said = json!({
            "devices": [self.devices[device].name],
            "timeout_minutes": 30,
            "tags": [{"key": "batch", "value": number.to_string()}],
        });
        let uri = format!("/v1/packages/{}/verification", packages[at].id);
        self.operator.wish(Want::Verify, Call::post(uri, &said).key(format!("trial-{number}")));
    }

    fn wish_for_batch(&mut self, product: &str) {
        let wished =
            self.operator.wishes.iter().filter(|wish| matches!(wish.want, Want::Batch { .. })).count();
        let packages: Vec<PackageOf> =
            self.operator.packages.iter().filter(|package| !package.is_deleting).cloned().collect();
        let Some(at) = self.index(packages.len()) else { return };
        if wished >= BATCHES_MAX {
            return;
        }
        let number = self.operator.next();
        let package = &packages[at];
        let mut said = json!({
            "package_id": package.id,
            "product_key": product,
            "target": {"selection": "all"},
            "push_per_minute_max": RATE,
            "overwrite": self.permille(400),
            "tags": [{"key": "batch", "value": number.to_string()}],
        });
        if self.permille(300) {
            let after = if self.permille(300) { 10 } else { 0 };
            said["retry"] = json!({"after_minutes": after, "count_max": 2});
        }
        if self.permille(300) {
            said["timeout_minutes"] = json!(self.below(5) + 1);
        }
        let mut of = BatchOf { package: package.id.clone(), ..BatchOf::default() };
        match self.below(10) {
            0 | 1 => {
                said["mode"] = json!("dynamic");
                said["source_versions"] = json!([FIRST_VERSION, "0.9.0"]);
                said["new_reports_only"] = json!(self.permille(300));
                of.is_dynamic = true;
            }
            2 => said["target"] = json!({"selection": "gray", "gray_percent": "50"}),
            3 | 4 => {
                let names: Vec<&str> =
                    self.devices.iter().map(|device| device.name.as_str()).take(5).collect();
                said["target"] = json!({"selection": "specific", "devices": names});
            }
            5 => {
                let start = self.clock() + 6 * 60_000;
                said["schedule"] = json!({
                    "start_at": start,
                    "end_at": start + 3_600_000,
                    "hard_stop": self.permille(500),
                });
                of.is_scheduled = true;
            }
            6 => {
                said["needs_confirmation"] = json!(true);
                of.needs_confirmation = true;
            }
            7 => {
                said["push"] = json!(false);
                of.is_pulled = true;
            }
            _ => {}
        }
        let call = Call::post("/v1/batches", &said).key(format!("batch-{number}"));
        self.operator.wish(Want::Batch { of }, call);
    }

    fn some_batch(&self) -> Option<BatchOf> {
        self.index(self.operator.batches.len()).map(|at| self.operator.batches[at].clone())
    }

    fn wish_to_cancel(&mut self) {
        let Some(batch) = self.some_batch() else { return };
        let uri = format!("/v1/batches/{}/cancel", batch.id);
        let all = json!({"queued": true, "notified": true, "in_progress": true});
        let (said, is_all) = match self.below(6) {
            0 => (json!({"queued": true}), false),
            1 => (json!({"notified": true, "in_progress": true}), false),
            2 if batch.is_scheduled => (json!({"scheduled": true}), false),
            3 if batch.is_dynamic => (json!({"strategy": true}), false),
            4 if batch.is_dynamic => {
                (json!({"strategy": true, "queued": true, "notified": true, "in_progress": true}), true)
            }
            _ => (all, true),
        };
        self.operator.wish(Want::Cancel { batch: batch.id, all: is_all }, Call::post(uri, &said));
    }

    fn wish_to_cancel_by_device(&mut self) {
        let (Some(batch), Some(at)) = (self.some_batch(), self.index(self.devices.len())) else { return };
        let mut said = json!({"package_id": batch.package, "devices": [self.devices[at].name]});
        if self.permille(500) {
            said["batch_id"] = json!(batch.id);
        }
        self.operator.wish(Want::Other, Call::post("/v1/tasks/cancel", &said));
    }

    fn wish_for_task(&mut self, verb: &str) {
        let wanted: Vec<BatchOf> = self
            .operator
            .batches
            .iter()
            .filter(|batch| verb != "confirm" || batch.needs_confirmation)
            .cloned()
            .collect();
        let (Some(batch), Some(device)) = (self.index(wanted.len()), self.index(self.devices.len())) else {
            return;
        };
        let (batch, device) = (wanted[batch].id.clone(), self.devices[device].name.clone());
        let said = json!({"task_ids": [format!("{batch}.{device}")]});
        let want = if verb == "reupgrade" { Want::Reupgrade { batch, device } } else { Want::Other };
        self.operator.wish(want, Call::post(format!("/v1/tasks/{verb}"), &said));
    }

    fn wish_to_delete(&mut self, product: &str) {
        if self.permille(700) {
            let Some(at) = self.index(self.devices.len()) else { return };
            let name = self.devices[at].name.clone();
            let call = Call::delete(format!("/v1/products/{product}/devices/{name}"));
            self.shared.watch.borrow_mut().ledger.deleting.insert(name.clone());
            self.operator.wish(Want::DeleteDevice { name }, call);
        } else if let Some(at) = self.index(self.operator.packages.len()) {
            let package = self.operator.packages[at].id.clone();
            self.operator.packages[at].is_deleting = true;
            let call = Call::delete(format!("/v1/packages/{package}"));
            self.operator.wish(Want::DeletePackage { package }, call);
        }
    }

    /// Makes a request once more that was answered: its answer was heard, and somebody doubts it.
    fn wish_again(&mut self) {
        let keyed: Vec<usize> = (0..self.operator.wishes.len())
            .filter(|at| {
                self.operator.wishes[*at].made.is_some() && self.operator.wishes[*at].call.key.is_some()
            })
            .collect();
        if let Some(chosen) = self.index(keyed.len()) {
            self.operator.wishes[keyed[chosen]].state = State::Waits { not_before: 0 };
        }
    }

    fn wish_to_look(&mut self) {
        if let Some(batch) = self.some_batch() {
            let uri = format!("/v1/batches/{}", batch.id);
            let uri = if self.permille(500) { uri } else { format!("{uri}/tasks?limit=100") };
            self.operator.wish(Want::Look { must: true }, Call::get(uri));
        } else {
            self.operator.wish(Want::Look { must: false }, Call::get("/v1/packages?limit=10"));
        }
    }

    /// Hears what became of a wish.
    pub(crate) fn hear_of_wish(&mut self, at: usize, answer: Option<Answer>) {
        let Some(answer) = answer.filter(|answer| answer.status < 500 && !answer.is_cut) else {
            let patience = PATIENCE_MS[self.index(PATIENCE_MS.len()).unwrap_or(0)];
            self.operator.wishes[at].state = State::Waits { not_before: self.clock() + patience };
            return;
        };
        self.operator.wishes[at].state = State::Over;
        let (want, call) = (self.operator.wishes[at].want.clone(), self.operator.wishes[at].call.clone());
        if (200..300).contains(&answer.status) {
            self.learn(at, want, &call, &answer);
        } else {
            self.be_refused(want, &answer);
        }
    }

    fn be_refused(&mut self, want: Want, answer: &Answer) {
        let must_be_there = matches!(want, Want::Look { must: true }) && answer.status == 404;
        self.shared.watch.borrow_mut().check(
            "invariant_what_was_acknowledged_is_there",
            !must_be_there,
            || answer.text(),
        );
        match want {
            // Gone is gone, whoever did it: the answer of the first try may have been lost.
            Want::DeleteDevice { name } if answer.status == 404 => self.forget_device(&name),
            Want::DeletePackage { package } if answer.status == 409 => {
                let known = self.operator.packages.iter_mut().find(|known| known.id == package);
                if let Some(known) = known {
                    known.is_deleting = false;
                }
            }
            Want::DeletePackage { package } => self.operator.packages.retain(|known| known.id != package),
            _ => {}
        }
    }

    fn learn(&mut self, at: usize, want: Want, call: &Call, answer: &Answer) {
        let id_field = match &want {
            Want::Product => "product_key",
            Want::Upload { .. } => "upload_id",
            Want::Package { .. } => "package_id",
            Want::Batch { .. } => "batch_id",
            Want::Webhook => "webhook_id",
            _ => "",
        };
        let id = answer.text_of(id_field);
        if !id.is_empty() && call.key.is_some() {
            let before = self.operator.wishes[at].made.replace(id.clone());
            let is_same = before.as_ref().is_none_or(|before| *before == id);
            self.shared.watch.borrow_mut().check("invariant_one_key_makes_one_thing", is_same, || {
                format!("{call}: {id}, and before {before:?}")
            });
            if before.is_some() {
                return;
            }
        }
        match want {
            Want::Product => self.operator.product = Some(id),
            Want::Register { names } => self.learn_devices(&names, answer),
            Want::Upload { version } => {
                let needs_verification = self.permille(250);
                let said = json!({
                    "product_key": self.operator.product,
                    "name": format!("image-{}", version.replace('.', "_")),
                    "target_version": version,
                    "upload_id": id,
                    "needs_verification": needs_verification,
                });
                let call = Call::post("/v1/packages", &said).key(format!("package-{version}"));
                self.operator.wish(Want::Package { version }, call);
            }
            Want::Package { .. } => {
                let needs_verification = answer.json()["verification"]["status"] != "not-needed";
                let package = PackageOf { id, needs_verification, is_deleting: false };
                self.operator.packages.push(package);
            }
            Want::Verify => {
                let told = answer.json();
                if let Some(id) = told["batch"]["batch_id"].as_str()
                    && !self.operator.trials.iter().any(|known| known == id)
                {
                    self.operator.trials.push(id.to_owned());
                }
            }
            Want::Batch { of } => self.operator.batches.push(BatchOf { id, ..of }),
            Want::Cancel { batch, all } => {
                if let (true, Ok(id)) = (all, batch.parse::<BatchId>()) {
                    let moment = self.shared.moment.get();
                    self.shared.watch.borrow_mut().ledger.canceled.entry(id).or_insert(moment);
                }
            }
            Want::DeleteDevice { name } => self.forget_device(&name),
            Want::DeletePackage { package } => self.operator.packages.retain(|known| known.id != package),
            Want::Webhook => {
                let now = self.clock();
                self.operator.webhook.get_or_insert((id, now));
            }
            Want::Reupgrade { .. } | Want::Look { .. } | Want::Other => {}
        }
    }

    fn learn_devices(&mut self, names: &[String], answer: &Answer) {
        let told = answer.json();
        let secrets = told["devices"].as_array().cloned().unwrap_or_default();
        for (name, told) in names.iter().zip(&secrets) {
            let secret = told["secret"].as_str().unwrap_or_default();
            self.operator.registered.push(name.clone());
            if !self.operator.crowd.contains(name) {
                self.add_device(name, secret);
            }
        }
    }

    fn forget_device(&mut self, name: &str) {
        if let Some(at) = self.devices.iter().position(|device| device.name == name) {
            self.disconnect(at);
            self.devices[at].is_deleted = true;
        }
        self.operator.registered.retain(|known| known != name);
    }

    /// Has nothing new on its mind: only wishes that were had are repeated.
    pub(crate) fn is_content(&self) -> bool {
        self.operator.open() == 0
    }

    /// Tells which wishes are not answered.
    pub(crate) fn operator_wishes(&self) -> Vec<String> {
        let open = self.operator.wishes.iter().filter(|wish| wish.state != State::Over);
        open.map(|wish| wish.call.to_string()).collect()
    }

    /// Notes what a wish asks for at the moment it is asked for: from then on it may happen.
    fn note_wish(&mut self, at: usize) {
        if let Want::Reupgrade { batch, device } = &self.operator.wishes[at].want
            && let Ok(batch) = batch.parse::<BatchId>()
        {
            self.shared.watch.borrow_mut().ledger.again.insert((batch, device.clone()));
        }
    }
}
