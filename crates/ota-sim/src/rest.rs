//! The end of a run: nothing goes wrong any more, devices do what they are told, and everything must come to rest within a
//! bound. Then whatever was lost, doubled or forgotten on the way shows.

use std::collections::{BTreeMap, BTreeSet};

use ota_store::keys;
use ota_store::memory::MemoryKv;
use ota_store::record::Record;
use ota_store::work::{OpenBatches, OpenUploads};
use serde_json::{Value, json};

use crate::call::Call;
use crate::device::{Act, Character, Word};
use crate::weather::Weather;
use crate::world::World;

/// How long each round takes: first as the clock ticks, then until lost claims are given out anew, then until every
/// schedule, timeout and retry is over.
const ROUNDS: [(u32, u64); 3] = [(40, 5_000), (20, 61_000), (60, 15 * 60_000)];
/// Things a device does in one round.
const ACTS_PER_ROUND: u32 = 8;
/// How long uploads without a package are kept at the most, and a little more.
const COLLECT_MS: u64 = 25 * 3_600_000;
/// Ticks in which everything must be collected, told and delivered.
const LAST_TICKS: u32 = 60;
/// How often the last ticks come: retries of webhooks are hours apart.
const LAST_TICK_MS: u64 = 30 * 60_000;
/// Items of one page that is asked for.
const PAGE: usize = 50;
/// Pages of one list. More would be a list without an end.
const PAGES_MAX: u32 = 1_000;

fn stored<R: Record + Default>(store: &MemoryKv, key: &str) -> R {
    store.peek(key).and_then(|bytes| R::read(bytes).ok()).unwrap_or_default()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

impl World {
    fn check(&self, invariant: &'static str, holds: bool, what: impl FnOnce() -> String) {
        self.shared.watch.borrow_mut().check(invariant, holds, what);
    }

    /// Ends all faults, and lets everything come to rest.
    pub(crate) fn come_to_rest(&mut self) {
        self.shared.note("from here on nothing goes wrong");
        self.weather = Weather::default();
        self.shared.receiver_fails.set(0);
        self.drain();
        self.deliver();
        for at in 0..self.devices.len() {
            self.devices[at].character = Character::Obedient;
            self.devices[at].told = None;
            self.devices[at].is_connecting = false;
            self.come_back(at);
        }
        let rounds = ROUNDS.into_iter().flat_map(|(times, ms)| (0..times).map(move |_| ms));
        for (round, ms) in (0_u32..).zip(rounds) {
            if self.is_broken() {
                return;
            }
            if round % 4 == 3 {
                self.decide_for_operators();
            }
            self.round(round);
            if self.is_at_rest() {
                break;
            }
            self.shared.advance(ms);
        }
        let rests = self.is_at_rest();
        let open: OpenBatches = stored(&self.shared.store, keys::WORK_BATCHES);
        self.check("invariant_everything_comes_to_rest", rests, || {
            format!("open batches: {open:?}; wishes: {:?}", self.operator_wishes())
        });
        if !self.is_broken() {
            self.shared.advance(COLLECT_MS);
            for _ in 0..LAST_TICKS {
                self.tick();
                self.drain();
                self.shared.advance(LAST_TICK_MS);
            }
        }
    }

    fn come_back(&mut self, at: usize) {
        if self.devices[at].is_deleted {
            return;
        }
        self.disconnect(at);
        self.connect(at);
        let version = self.devices[at].version.clone();
        self.say(at, &Word::Version(version));
        self.deliver();
    }

    fn round(&mut self, round: u32) {
        while self.repeat_a_wish() {
            self.drain();
        }
        self.tick();
        self.drain();
        self.deliver();
        for at in 0..self.devices.len() {
            if self.devices[at].is_deleted {
                continue;
            }
            if self.devices[at].session.is_none() {
                self.come_back(at);
            }
            if round % 8 == 7 {
                self.say(at, &Word::Ask);
                self.deliver();
            }
            for _ in 0..ACTS_PER_ROUND {
                let act = self.devices[at].go_on(&mut self.shared.dice.borrow_mut());
                if matches!(act, Act::Nothing) {
                    break;
                }
                self.perform(at, act);
                self.drain();
                self.deliver();
            }
            // No connection lasts: one that the service has not heard of is followed by another.
            if round % 16 == 15 {
                self.come_back(at);
            }
        }
        self.drain();
    }

    /// Brings every message to where it goes, in order.
    fn deliver(&mut self) {
        self.drain();
        while !self.is_broken() {
            if !self.up.is_empty() {
                let up = self.up.remove(0);
                self.post(up);
            } else if !self.down.is_empty() {
                let down = self.down.remove(0);
                self.bring(&down);
            } else {
                return;
            }
            self.drain();
        }
    }

    /// Consents to what waits for it, and ends what would go on for ever.
    fn decide_for_operators(&mut self) {
        let batches: Vec<_> = self
            .operator
            .batches
            .iter()
            .map(|b| (b.id.clone(), b.is_dynamic, b.needs_confirmation))
            .collect();
        for (id, is_dynamic, needs_confirmation) in batches {
            if is_dynamic {
                self.ask(Call::post(format!("/v1/batches/{id}/cancel"), &json!({"strategy": true})));
            }
            if needs_confirmation {
                let waiting = self.list(&format!("/v1/batches/{id}/tasks?status=unconfirmed"));
                for task in waiting {
                    let ids = json!({"task_ids": [text(&task, "task_id")]});
                    self.ask(Call::post("/v1/tasks/confirm", &ids));
                }
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let open: OpenBatches = stored(&self.shared.store, keys::WORK_BATCHES);
        open.0.is_empty() && self.is_content() && self.up.is_empty() && self.down.is_empty()
    }

    /// Returns all items of a list.
    fn list(&mut self, uri: &str) -> Vec<Value> {
        let join = if uri.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let answer = self.ask(Call::get(format!("{uri}{join}limit={PAGE}{cursor}")));
            self.check("invariant_lists_can_be_read", answer.status == 200, || {
                format!("{uri}: {} {}", answer.status, answer.text())
            });
            let page = answer.json();
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        items
    }

    fn events(&mut self) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
        for _ in 0..PAGES_MAX {
            let page = self.ask(Call::get(format!("/v1/events?limit={PAGE}&cursor={cursor}"))).json();
            let next = text(&page, "next_cursor");
            all.extend(page["items"].as_array().cloned().unwrap_or_default());
            if next == cursor || next.is_empty() {
                break;
            }
            cursor = next;
        }
        all
    }

    /// Looks at everything once more.
    pub(crate) fn check_the_end(&mut self) {
        if self.is_broken() {
            return;
        }
        let events = self.events();
        let batches = self.list("/v1/batches");
        self.check_batches(&batches, &events);
        self.check_fleet();
        self.check_packages();
        self.check_webhook(&events);
        let uploads: OpenUploads = stored(&self.shared.store, keys::WORK_UPLOADS);
        self.check("invariant_no_upload_is_left", uploads.0.is_empty(), || format!("{uploads:?}"));
    }

    fn check_batches(&mut self, batches: &[Value], events: &[Value]) {
        let listed: BTreeSet<String> = batches.iter().map(|batch| text(batch, "batch_id")).collect();
        let known: Vec<String> = self.operator.batches.iter().map(|batch| batch.id.clone()).collect();
        let known: BTreeSet<String> = known.into_iter().chain(self.operator.trials.clone()).collect();
        let lost: Vec<&String> = known.difference(&listed).collect();
        self.check("invariant_what_was_acknowledged_is_there", lost.is_empty(), || {
            format!("batches {lost:?}")
        });
        let upgrades = batches.iter().filter(|batch| batch["kind"] == "upgrade").count();
        let wished = self.operator.batches.len();
        self.check("invariant_one_key_makes_one_thing", upgrades == wished, || {
            format!("{upgrades} batches, and {wished} were acknowledged")
        });
        let mut told: BTreeSet<(String, String)> = BTreeSet::new();
        for event in events {
            let payload = &event["payload"];
            let subject = if event["type"] == "task-ended" { "taskId" } else { "jobId" };
            told.insert((text(payload, subject), text(payload, "status")));
        }
        for batch in batches {
            self.check_batch(batch, &told);
        }
    }

    fn check_batch(&mut self, batch: &Value, told: &BTreeSet<(String, String)>) {
        let id = text(batch, "batch_id");
        let status = text(batch, "status");
        let over = matches!(status.as_str(), "completed" | "canceled");
        self.check("invariant_every_batch_ends", over, || format!("{batch}"));
        let is_told = told.contains(&(id.clone(), status.to_uppercase()));
        self.check("invariant_every_end_is_told", is_told, || {
            format!("batch {id} is {status}, and no event says so")
        });

        let tasks = self.list(&format!("/v1/batches/{id}/tasks"));
        let mut counted: BTreeMap<String, u64> = BTreeMap::new();
        let mut devices: BTreeSet<String> = BTreeSet::new();
        for task in &tasks {
            let status = text(task, "status");
            *counted.entry(status.replace('-', "_")).or_default() += 1;
            *counted.entry("total".to_owned()).or_default() += 1;
            let is_new = devices.insert(text(task, "device_name"));
            self.check("invariant_one_task_per_device_and_batch", is_new, || format!("{task}"));
            let over = matches!(status.as_str(), "succeeded" | "failed" | "canceled");
            self.check("invariant_every_task_ends", over, || format!("{task}"));
            let is_untold = status == "canceled" || task["reason"]["code"] == "device-busy";
            let is_told = told.contains(&(text(task, "task_id"), status.to_uppercase()));
            self.check("invariant_every_end_is_told", is_untold || is_told, || {
                format!("no event tells of {task}")
            });
        }
        for (status, count) in batch["counts"].as_object().into_iter().flatten() {
            let found = counted.get(status).copied().unwrap_or(0);
            self.check("invariant_counts_are_the_sum_of_the_tasks", count.as_u64() == Some(found), || {
                format!("batch {id}: {found} are {status}, and it counts {}", batch["counts"])
            });
        }
    }

    fn check_fleet(&mut self) {
        let Some(product) = self.operator.product.clone() else { return };
        let devices = self.list(&format!("/v1/products/{product}/devices"));
        for device in &devices {
            let free = device["tasks"].as_array().is_some_and(Vec::is_empty);
            self.check("invariant_every_task_ends", free, || format!("{device}"));
        }
        let names: Vec<String> = devices.iter().map(|device| text(device, "name")).collect();
        let listed: BTreeSet<String> = names.iter().cloned().collect();
        let registered: BTreeSet<String> = self.operator.registered.iter().cloned().collect();
        let same = listed == registered && names.len() == listed.len();
        self.check("invariant_the_fleet_is_what_was_registered", same, || {
            let lost: Vec<_> = registered.difference(&listed).collect();
            let extra: Vec<_> = listed.difference(&registered).collect();
            format!("lost {lost:?}, too many {extra:?}, {} devices listed", names.len())
        });
    }

    fn check_packages(&mut self) {
        let packages = self.list("/v1/packages");
        let listed: BTreeSet<String> = packages.iter().map(|package| text(package, "package_id")).collect();
        let known: BTreeSet<String> =
            self.operator.packages.iter().map(|package| package.id.clone()).collect();
        self.check("invariant_what_was_acknowledged_is_there", listed == known, || {
            format!("packages {listed:?}, and {known:?} were acknowledged")
        });
        let dump = self.shared.store.dump();
        let blobs = dump.iter().filter_map(|(key, _)| key.strip_prefix("blob/"));
        let owners: BTreeSet<&str> = blobs.map(|rest| rest.split('/').next().unwrap_or_default()).collect();
        self.check("invariant_bytes_belong_to_packages", owners.len() == listed.len(), || {
            format!("{} files, {} packages", owners.len(), listed.len())
        });
    }

    fn check_webhook(&mut self, events: &[Value]) {
        let Some((id, since)) = self.operator.webhook.clone() else { return };
        let hook = self.ask(Call::get(format!("/v1/webhooks/{id}"))).json();
        let count = |field: &str| hook["counts"][field].as_u64().unwrap_or(u64::MAX);
        let waiting = count("behind").saturating_add(count("pending"));
        self.check("invariant_webhooks_are_told", waiting == 0, || format!("{hook}"));
        if [count("dead"), count("missed"), count("dropped")].iter().any(|count| *count > 0)
            || self.shared.watch.borrow().ledger.set_back
        {
            return;
        }
        let received = self.shared.watch.borrow().received.clone();
        let unheard = events.iter().find(|event| {
            event["at"].as_u64().is_some_and(|at| at > since) && !received.contains(&text(event, "event_id"))
        });
        self.check("invariant_webhooks_are_told", unheard.is_none(), || format!("{unheard:?} never came"));
    }
}
