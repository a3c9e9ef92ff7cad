//! The story of the demo: a fleet is upgraded, some devices fail, and every one is accounted for.
//!
//! The story is told from the outside: over the REST API as an operator, and by a process full of devices that speaks
//! MQTT and HTTP. It knows from the [`Plan`] what must come of each device, and compares.

mod api;
mod check;
mod crew;
mod show;
mod wire;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep, timeout};

use crate::credentials::Credential;
use crate::plan::Plan;
use crate::random::Random;
use api::Api;
use crew::Crew;
use show::Show;
use wire::{Batch, Counts, Device, Package, Product, Reason, Task, Upload, Verification};

/// The version devices run at first, and the one they are upgraded to.
const VERSIONS: (&str, &str) = ("1.0.0", "1.1.0");
/// Devices of the trial.
const TRIAL_DEVICES: usize = 2;
/// How often the service is asked how things are.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Minutes after which a device that began and fell silent counts as failed.
const TIMEOUT_MINUTES: u16 = 5;
/// Devices registered with one request.
const REGISTER_MAX: usize = 1000;

/// What the story is told with.
#[derive(Clone, Debug)]
pub struct StoryConfig {
    /// The service, such as `http://127.0.0.1:3000`.
    pub base_url: String,
    /// The broker, as `host:port`.
    pub mqtt: String,
    /// The operator's token.
    pub token: String,
    /// Devices of the fleet.
    pub devices: usize,
    /// Which devices fail, and how, follows from this.
    pub seed: u64,
    /// How many devices fail on purpose.
    pub fail_percent: u8,
    /// Size of the package.
    pub package_bytes: usize,
    /// How long the story may take.
    pub within: Duration,
    /// The program whose `run` is the devices.
    pub program: PathBuf,
    /// More arguments for it.
    pub device_arguments: Vec<String>,
}

/// How a story ended.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every device is accounted for.
    pub ok: bool,
    /// What is not as it has to be.
    pub faults: Vec<String>,
    /// The product.
    pub product_key: String,
    /// The package.
    pub package_id: String,
    /// The batch.
    pub batch_id: String,
    /// All devices.
    pub devices: usize,
    /// Devices that run the new version, those of the trial among them.
    pub upgraded: usize,
    /// Who failed, and why.
    pub failed: Vec<FailedDevice>,
    /// How long it took.
    pub seconds: u64,
}

/// A device that was not upgraded.
#[derive(Clone, Debug, Serialize)]
pub struct FailedDevice {
    /// The device.
    pub device: String,
    /// Code and description, as the service has them.
    pub reason: String,
}

/// The devices after a story: they go on until this is dropped.
pub struct Devices {
    crew: Crew,
}

impl Devices {
    /// Switches them off.
    pub async fn stop(self) {
        self.crew.stop().await;
    }

    /// Waits until the devices' process ends, which it does not do by itself.
    pub async fn ended(mut self) {
        self.crew.ended().await;
    }
}

/// Tells the story on standard output.
///
/// # Errors
/// What went wrong, when the story cannot be told to its end. Devices that are not accounted for are no error but
/// [`Report::faults`].
pub async fn tell(config: &StoryConfig) -> anyhow::Result<(Report, Devices)> {
    let mut random = Random::new(config.seed ^ entropy());
    let run = format!("{:08x}", random.next() >> 32);
    let names: Vec<String> = (1..=config.devices).map(|n| format!("lamp-{n:04}")).collect();
    let plan = Plan::deal(config.seed, names.iter().map(String::as_str), config.fail_percent);
    let trial = plan.trial_devices(TRIAL_DEVICES);
    ensure!(
        trial.len() == TRIAL_DEVICES,
        "the story needs {TRIAL_DEVICES} devices that do not fail on purpose"
    );
    ensure!(config.devices > TRIAL_DEVICES, "the story needs more than {TRIAL_DEVICES} devices");
    let api = Api::new(&config.base_url, &config.token, &run)?;
    let mut story =
        Story { config, api, run, names, plan, trial, show: Show::new(), at: "beginning", batch_id: None };
    let told = timeout(config.within, story.go()).await;
    match told {
        Ok(ended) => ended,
        Err(_) => {
            let stuck = timeout(Duration::from_secs(10), story.unended()).await.unwrap_or_default();
            bail!("the story took longer than {} s; it was {}{stuck}", config.within.as_secs(), story.at)
        }
    }
}

/// Makes one run's names unlike another's; nothing secret comes of it.
fn entropy() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ (u64::from(since.subsec_nanos()) << 32) ^ u64::from(std::process::id())
}

struct Story<'a> {
    config: &'a StoryConfig,
    api: Api,
    run: String,
    names: Vec<String>,
    plan: Plan,
    trial: Vec<String>,
    show: Show,
    /// What is going on, for the message when it does not end.
    at: &'static str,
    batch_id: Option<String>,
}

impl Story<'_> {
    async fn go(&mut self) -> anyhow::Result<(Report, Devices)> {
        let began = Instant::now();
        let (from, to) = VERSIONS;
        let count = self.names.len();

        self.at = "registering devices";
        let product_key = self.create_product().await?;
        let credentials = self.register(&product_key).await?;
        self.show.line(&format!("product {product_key}, {count} devices registered"));

        self.at = "waiting for the devices' first versions";
        let mut crew = self.start_devices(&product_key, &credentials).await?;
        self.await_versions(&product_key, from, &mut crew).await?;
        self.show.line(&format!("{count} devices are online and report {from}"));

        self.at = "uploading the package";
        let package_id = self.create_package(&product_key).await?;

        self.at = "waiting for the trial";
        self.verify(&package_id, &mut crew).await?;
        self.show.line(&format!("package {to} is verified on {}", self.trial.join(" and ")));

        self.at = "waiting for the batch";
        let batch = self.upgrade_all(&package_id, &mut crew).await?;

        self.at = "comparing what came of the devices";
        let tasks: Vec<Task> = self.api.list(&format!("/v1/batches/{}/tasks", batch.batch_id)).await?;
        let devices: Vec<Device> = self.api.list(&format!("/v1/products/{product_key}/devices")).await?;
        let heard = crew.heard();
        let faults = check::faults(&check::Facts {
            plan: &self.plan,
            trial: &self.trial,
            reported: &heard.failures,
            complaints: &heard.complaints,
            counts: &batch.counts,
            tasks: &tasks,
            devices: &devices,
            target: to,
        });
        let failed = |task: &Task| FailedDevice {
            device: task.device_name.clone(),
            reason: task.reason.as_ref().map_or_else(|| task.status.clone(), Reason::to_string),
        };
        let report = Report {
            ok: faults.is_empty(),
            faults,
            product_key,
            package_id,
            batch_id: batch.batch_id,
            devices: count,
            upgraded: devices.iter().filter(|device| device.version() == Some(to)).count(),
            failed: tasks.iter().filter(|task| task.status != "succeeded").map(failed).collect(),
            seconds: began.elapsed().as_secs(),
        };
        self.sum_up(&report, &batch.counts, &tasks);
        Ok((report, Devices { crew }))
    }

    async fn create_product(&self) -> anyhow::Result<String> {
        let body = json!({ "name": format!("demo-lamp-{}", self.run) });
        let product: Product = self.api.post("/v1/products", "product", &body).await?;
        Ok(product.product_key)
    }

    async fn register(&self, product_key: &str) -> anyhow::Result<Vec<Credential>> {
        #[derive(serde::Deserialize)]
        struct Registered {
            devices: Vec<Credential>,
        }
        let mut credentials = Vec::with_capacity(self.names.len());
        for (index, names) in self.names.chunks(REGISTER_MAX).enumerate() {
            let body =
                json!({ "devices": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
            let path = format!("/v1/products/{product_key}/devices");
            let registered: Registered = self.api.post(&path, &format!("devices-{index}"), &body).await?;
            credentials.extend(registered.devices);
        }
        let answered: BTreeSet<&str> =
            credentials.iter().map(|credential| credential.name.as_str()).collect();
        ensure!(
            answered.len() == credentials.len()
                && self.names.iter().all(|name| answered.contains(name.as_str())),
            "the registration did not answer with every device once"
        );
        Ok(credentials)
    }

    async fn start_devices(&self, product_key: &str, credentials: &[Credential]) -> anyhow::Result<Crew> {
        let mut arguments: Vec<String> = vec!["--mqtt".into(), self.config.mqtt.clone()];
        for (name, value) in [
            ("--product-key", product_key.to_owned()),
            ("--seed", self.config.seed.to_string()),
            ("--fail-percent", self.config.fail_percent.to_string()),
            ("--firmware", VERSIONS.0.to_owned()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        arguments.extend(self.config.device_arguments.iter().cloned());
        Crew::start(&self.config.program, &arguments, credentials).await
    }

    async fn await_versions(
        &mut self,
        product_key: &str,
        version: &str,
        crew: &mut Crew,
    ) -> anyhow::Result<()> {
        loop {
            crew.check()?;
            let devices: Vec<Device> = self.api.list(&format!("/v1/products/{product_key}/devices")).await?;
            let told = devices.iter().filter(|device| device.version() == Some(version)).count() as u64;
            let total = self.names.len() as u64;
            if told == total {
                return Ok(());
            }
            self.show
                .live(&format!("  {} {told:>3}/{total}  devices report {version}", show::bar(told, total)));
            sleep(LOOK_EVERY).await;
        }
    }

    async fn create_package(&mut self, product_key: &str) -> anyhow::Result<String> {
        let bytes = Random::new(self.config.seed).bytes(self.config.package_bytes);
        let (size, sha256) = (bytes.len() as u64, hex::encode(Sha256::digest(&bytes)));
        let file = format!("lamp-{}.bin", VERSIONS.1);
        let upload: Upload = self.api.upload(&format!("/v1/uploads?file_name={file}"), bytes).await?;
        ensure!(
            upload.size == size && upload.sha256 == sha256,
            "the service digested other bytes than were sent"
        );
        let body = json!({
            "product_key": product_key,
            "name": format!("lamp-1_1_0-{}", self.run),
            "target_version": VERSIONS.1,
            "upload_id": upload.upload_id,
            "digest_algorithm": "SHA256",
            "digest": sha256,
            "size": size,
        });
        let package: Package = self.api.post("/v1/packages", "package", &body).await?;
        self.show.line(&format!("package {} uploaded: {} KiB", VERSIONS.1, size / 1024));
        Ok(package.package_id)
    }

    async fn verify(&mut self, package_id: &str, crew: &mut Crew) -> anyhow::Result<()> {
        let path = format!("/v1/packages/{package_id}/verification");
        let body = json!({ "devices": self.trial, "timeout_minutes": TIMEOUT_MINUTES });
        let mut verification: Verification = self.api.post(&path, "verification", &body).await?;
        loop {
            match verification.status.as_str() {
                "verified" => return Ok(()),
                "failed" => {
                    let reasons = show::reasons_table(&verification.tasks).join("\n");
                    bail!("the trial failed, though its devices were to succeed\n{reasons}")
                }
                _ => {}
            }
            crew.check()?;
            let percent = u64::from(verification.progress_percent);
            self.show.live(&format!("  {} trial {percent} %", show::bar(percent, 100)));
            sleep(LOOK_EVERY).await;
            verification = self.api.get(&path).await?;
        }
    }

    async fn upgrade_all(&mut self, package_id: &str, crew: &mut Crew) -> anyhow::Result<Batch> {
        let body = json!({
            "package_id": package_id,
            "target": { "selection": "all" },
            "push_per_minute_max": 1000,
            "timeout_minutes": TIMEOUT_MINUTES,
        });
        let mut batch: Batch = self.api.post("/v1/batches", "batch", &body).await?;
        self.batch_id = Some(batch.batch_id.clone());
        self.show.line(&format!("batch {} upgrades all other devices", batch.batch_id));
        let path = format!("/v1/batches/{}", batch.batch_id);
        while !matches!(batch.status.as_str(), "completed" | "canceled") {
            crew.check()?;
            self.show.live(&show::counts_line(&batch.counts));
            sleep(LOOK_EVERY).await;
            batch = self.api.get(&path).await.context("while the batch runs")?;
        }
        self.show.line(&show::counts_line(&batch.counts));
        Ok(batch)
    }

    /// Names the tasks that have not ended, for the message when time is up.
    async fn unended(&self) -> String {
        let Some(id) = &self.batch_id else { return String::new() };
        let Ok(tasks) = self.api.list::<Task>(&format!("/v1/batches/{id}/tasks")).await else {
            return String::new();
        };
        let ended = |task: &&Task| matches!(task.status.as_str(), "succeeded" | "failed" | "canceled");
        let open: Vec<String> = tasks
            .iter()
            .filter(|task| !ended(task))
            .map(|task| format!("\n  {} is {}", task.device_name, task.status))
            .collect();
        format!(", {} of {} tasks have not ended{}", open.len(), tasks.len(), open.concat())
    }

    fn sum_up(&mut self, report: &Report, counts: &Counts, tasks: &[Task]) {
        self.show.line("");
        self.show.line(&format!(
            "upgraded {} of {} devices in {} s, {} of them in the trial; failed {}, canceled {}",
            report.upgraded,
            report.devices,
            report.seconds,
            self.trial.len(),
            counts.failed,
            counts.canceled
        ));
        for line in show::reasons_table(tasks) {
            self.show.line(&line);
        }
        if report.ok {
            self.show
                .line("every device is accounted for: those that failed on purpose, and only those, failed");
        } else {
            self.show.line("not as it has to be:");
            for fault in &report.faults {
                self.show.line(&format!("  {fault}"));
            }
        }
    }
}
