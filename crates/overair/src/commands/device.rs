//! `overair device`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Body, Context, Limit, task};
use crate::client::{Answer, Client};
use crate::failure::Failure;
use crate::output::{Column, Section, View, cell, with};
use crate::parse;

/// Devices registered with one request.
const REGISTER_MAX: usize = 1_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Registers devices and prints their secrets, which are told only now.
    ///
    /// Registering a known name again changes nothing, and tells its secret again.
    Register(Register),
    /// Lists a product's devices.
    List {
        /// The product's key.
        product: String,
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows a device with its versions and tasks.
    Show(Device),
    /// Shows the version of each of a device's modules.
    Versions(Device),
    /// Lists the tasks of a device that have not ended.
    Tasks {
        #[command(flatten)]
        device: Device,
        /// Of this module only.
        #[arg(long)]
        module: Option<String>,
        /// Of these statuses only: unconfirmed, queued, notified, in-progress.
        #[arg(long, value_delimiter = ',')]
        status: Vec<String>,
    },
    /// Says where a device is.
    Locate {
        #[command(flatten)]
        device: Device,
        /// The codes of its province and city.
        #[arg(value_name = "PROVINCE[/CITY]", value_parser = parse::region, required_unless_present = "nowhere")]
        region: Option<(String, Option<String>)>,
        /// Says that it is not known.
        #[arg(long, conflicts_with = "region")]
        nowhere: bool,
    },
    /// Explains why a device was upgraded by a batch, or was not, and what would change it.
    Why {
        /// The batch's id.
        batch: String,
        /// The device's name.
        name: String,
    },
    /// Deletes a device; its task is canceled.
    Delete(Device),
    /// Sub-devices of a gateway.
    #[command(subcommand)]
    SubDevices(SubDevices),
}

#[derive(Args)]
pub(crate) struct Device {
    /// The product's key.
    product: String,
    /// The device's name.
    name: String,
}

#[derive(Args)]
pub(crate) struct Register {
    /// The product's key.
    product: String,
    /// The devices' names: 4 to 32 characters.
    #[arg(required_unless_present = "from")]
    names: Vec<String>,
    /// Reads lines of `name,secret,province,city` as well, of which all but the name may be missing; `-` is standard input.
    #[arg(long, value_name = "CSV")]
    from: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum SubDevices {
    /// Puts devices behind a gateway: all of them, or none if one cannot be.
    Add {
        #[command(flatten)]
        gateway: Device,
        /// The sub-devices, as `name` or, of another product, `product/name`.
        #[arg(required = true, value_name = "[PRODUCT/]NAME")]
        sub_devices: Vec<String>,
    },
    /// Lists a gateway's sub-devices.
    List {
        #[command(flatten)]
        gateway: Device,
        #[command(flatten)]
        limit: Limit,
    },
    /// Takes a device away from its gateway; it goes offline.
    Remove {
        #[command(flatten)]
        gateway: Device,
        /// The sub-device.
        #[arg(value_name = "[PRODUCT/]NAME")]
        sub_device: String,
    },
}

const VERSIONS: &[Column] = &[
    Column::of("MODULE", "module"),
    Column::of("VERSION", "version"),
    Column::of("BEFORE", "previous"),
    Column::of("REPORTED", "reported_at"),
];

const VIEW: View = View {
    id: "name",
    order: &["product_key", "name", "state", "region", "created_at", "activated_at"],
    sections: &[
        Section { field: "versions", columns: VERSIONS },
        Section { field: "tasks", columns: task::COLUMNS },
    ],
};

const COLUMNS: &[Column] = &[
    Column::of("DEVICE", "name"),
    Column::of("STATE", "state"),
    with("VERSION", versions_of),
    with("TASKS", |device| {
        let tasks = device["tasks"].as_array().into_iter().flatten();
        let told: Vec<String> = tasks.map(|task| cell(task, "status")).collect();
        if told.is_empty() { "-".to_owned() } else { told.join(", ") }
    }),
    Column::of("ACTIVATED", "activated_at"),
];

const REGISTERED: &[Column] = &[Column::of("DEVICE", "name"), Column::of("SECRET", "secret")];

const SUB_DEVICES: &[Column] = &[Column::of("PRODUCT", "product_key"), Column::of("DEVICE", "name")];

const WHY: View =
    View { id: "code", order: &["upgraded", "code", "rule", "because", "change", "task"], sections: &[] };

/// Tells a device's version, and those of its modules by name.
fn versions_of(device: &Value) -> String {
    let told = device["versions"].as_array().into_iter().flatten().map(|told| {
        let (module, version) = (cell(told, "module"), cell(told, "version"));
        if module == "default" { version } else { format!("{module}={version}") }
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "-".to_owned() } else { told.join(", ") }
}

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Register(arguments) => {
            let devices = arguments.devices()?;
            let answer = register(client, &arguments.product, &devices).await?;
            if output.is_json() {
                return output.raw(&answer.text);
            }
            output.items(&answer.read::<Registered>()?.devices, "secret", REGISTERED)
        }
        Command::List { product, limit } => {
            let listed = client.get(&["v1", "products", &product, "devices"]).list(limit.limit).await?;
            output.list(&listed, VIEW.id, COLUMNS)
        }
        Command::Show(device) => output.show(&client.get(&device.path()).send().await?, &VIEW),
        Command::Versions(device) => {
            let listed = client.get(&device.path_of("versions")).list(usize::MAX).await?;
            output.list(&listed, "version", VERSIONS)
        }
        Command::Tasks { device, module, status } => {
            let status = (!status.is_empty()).then(|| status.join(","));
            let call = client.get(&device.path_of("tasks")).query("module", module).query("status", status);
            // These are so few that they come in one page, whose size is not asked for.
            let answer = call.send().await?;
            output.items(&answer.read::<Items>()?.items, "task_id", task::COLUMNS)
        }
        Command::Locate { device, region, nowhere: _ } => {
            let region = region.map(region_json);
            let call = client.patch(&device.path()).json(json!({ "region": region }));
            output.show(&call.send().await?, &VIEW)
        }
        Command::Why { batch, name } => {
            let call = client.get(&["v1", "batches", &batch, "devices", &name, "why"]);
            output.show(&call.send().await?, &WHY)
        }
        Command::Delete(device) => {
            client.delete(&device.path()).send().await?;
            output.done(&format!("device {} is deleted", device.name))
        }
        Command::SubDevices(command) => sub_devices(command, context).await,
    }
}

async fn sub_devices(command: SubDevices, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        SubDevices::Add { gateway, sub_devices } => {
            let named = sub_devices.iter().map(|text| {
                let (product, name) = gateway.product_and_name(text);
                json!({ "product_key": product, "name": name })
            });
            let body = json!({ "sub_devices": named.collect::<Vec<_>>() });
            // A device that stands behind this gateway already may be put there again.
            client.post(&gateway.path_of("sub-devices")).json(body).repeatable().send().await?;
            output.done(&format!("{} behind {}", sub_devices.join(", "), gateway.name))
        }
        SubDevices::List { gateway, limit } => {
            let listed = client.get(&gateway.path_of("sub-devices")).list(limit.limit).await?;
            output.list(&listed, "name", SUB_DEVICES)
        }
        SubDevices::Remove { gateway, sub_device } => {
            let (product, name) = gateway.product_and_name(&sub_device);
            let path = [gateway.path_of("sub-devices").as_slice(), &[product, name]].concat();
            client.delete(&path).send().await?;
            output.done(&format!("{sub_device} is no longer behind {}", gateway.name))
        }
    }
}

impl Device {
    fn path(&self) -> [&str; 5] {
        ["v1", "products", &self.product, "devices", &self.name]
    }

    fn path_of<'a>(&'a self, what: &'a str) -> [&'a str; 6] {
        ["v1", "products", &self.product, "devices", &self.name, what]
    }

    /// Reads `name` or `product/name`; no name of a product or device holds a slash.
    fn product_and_name<'a>(&'a self, text: &'a str) -> (&'a str, &'a str) {
        text.split_once('/').unwrap_or((&self.product, text))
    }
}

#[derive(Deserialize)]
struct Registered {
    devices: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Box<RawValue>>,
}

/// Registers devices, some at a time, and returns one answer for all. It can be repeated: a known name stays as it is.
pub(super) async fn register(client: &Client, product: &str, devices: &[Value]) -> Result<Answer, Failure> {
    let mut told = Vec::with_capacity(devices.len());
    for some in devices.chunks(REGISTER_MAX) {
        let call = client.post(&["v1", "products", product, "devices"]).json(json!({ "devices": some }));
        let answer = call.repeatable().send().await?;
        if devices.len() <= REGISTER_MAX {
            return Ok(answer);
        }
        told.extend(answer.read::<Registered>()?.devices);
    }
    let told: Vec<&str> = told.iter().map(|device| device.get()).collect();
    Ok(Answer { text: format!("{{\"devices\":[{}]}}", told.join(",")) })
}

fn region_json((province, city): (String, Option<String>)) -> Value {
    Body::default().with("province", Some(province)).with("city", city).done()
}

impl Register {
    fn devices(&self) -> anyhow::Result<Vec<Value>> {
        let mut devices: Vec<Value> = self.names.iter().map(|name| json!({ "name": name })).collect();
        if let Some(path) = &self.from {
            let told = || path.display().to_string();
            if path.as_os_str() == "-" {
                devices.extend(read_csv(std::io::stdin().lock()).context("standard input")?);
            } else {
                devices.extend(
                    std::fs::File::open(path).map_err(Into::into).and_then(read_csv).with_context(told)?,
                );
            }
        }
        Ok(devices)
    }
}

/// Reads `name,secret,province,city`, with or without that line as a head.
fn read_csv(text: impl std::io::Read) -> anyhow::Result<Vec<Value>> {
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text)
        .into_records();
    let mut devices = Vec::new();
    for row in &mut rows {
        // The message of the library quotes nothing, so no secret is told.
        let row = row.context("this is not CSV")?;
        let line = row.position().map_or(0, csv::Position::line);
        let field = |index: usize| row.get(index).filter(|text| !text.is_empty()).map(str::to_owned);
        let Some(name) = field(0) else { anyhow::bail!("line {line} has no name") };
        if name == "name" && devices.is_empty() {
            continue;
        }
        anyhow::ensure!(row.len() <= 4, "line {line} is not `name,secret,province,city`");
        let region = match (field(2), field(3)) {
            (Some(province), city) => Some(region_json((province, city))),
            (None, None) => None,
            (None, Some(_)) => anyhow::bail!("line {line} has a city and no province"),
        };
        devices.push(
            Body::default().with("name", Some(name)).with("secret", field(1)).with("region", region).done(),
        );
    }
    anyhow::ensure!(!devices.is_empty(), "no device is listed");
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Value>, String> {
        read_csv(text.as_bytes()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_list_of_devices_may_say_more_than_names() {
        let wanted = vec![
            json!({ "name": "lamp-1" }),
            json!({ "name": "lamp-2", "secret": "s2" }),
            json!({ "name": "lamp-3", "region": { "province": "330000", "city": "330100" } }),
            json!({ "name": "lamp-4", "secret": "s4", "region": { "province": "330000" } }),
        ];
        let text = "name,secret,province,city\r\nlamp-1\n\nlamp-2, s2\nlamp-3,,330000,330100\nlamp-4,\"s4\",330000,\n";
        assert_eq!(read(text), Ok(wanted.clone()));
        assert_eq!(read(&format!("\u{feff}{text}")), Ok(wanted));
    }

    #[test]
    fn a_fault_names_the_line_and_no_secret() {
        for (text, line) in [
            ("lamp-1,5012\n,5012", "line 2"),
            ("lamp-1,5012,,city", "line 1"),
            ("lamp-1,5012,a,b,c", "line 1"),
            ("", "no device"),
            ("name\n", "no device"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(line) && !error.contains("5012"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_device_shows_its_modules_versions() {
        let device = json!({ "versions": [{ "module": "default", "version": "1.0" }, { "module": "mcu", "version": "7" }] });
        assert_eq!(versions_of(&device), "1.0, mcu=7");
        assert_eq!(versions_of(&json!({ "versions": [] })), "-");
    }
}
