//! `overair product`

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Context, Limit, module, settings_of};
use crate::client::{Answer, Call};
use crate::failure::Failure;
use crate::output::{Column, Format, Section, View, with};
use crate::parse;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a product.
    Create {
        /// Its name: 4 to 30 characters.
        name: String,
    },
    /// Lists products.
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows a product with its settings and modules.
    Show {
        /// The product's key.
        product: String,
    },
    /// Changes settings of a product, such as `conflict_policy=source-version`; see docs/settings.md.
    Set {
        /// The product's key.
        product: String,
        /// What is to be changed.
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = parse::pair)]
        settings: Vec<(String, String)>,
    },
    /// Counts the devices of a product by the version they run.
    Versions {
        /// The product's key.
        product: String,
        /// The versions of this module; `default` unless a package says another.
        #[arg(long)]
        module: Option<String>,
        /// Leaves out this package's own version: what remains are the versions it could upgrade.
        #[arg(long, value_name = "PACKAGE")]
        package: Option<String>,
    },
    /// Signing of what is pushed to a product's devices.
    #[command(subcommand)]
    Security(Security),
}

#[derive(Subcommand)]
pub(crate) enum Security {
    /// Begins to sign; the key pair is made the first time.
    On {
        /// The product's key.
        product: String,
    },
    /// Ends it; the key pair stays.
    Off {
        /// The product's key.
        product: String,
    },
    /// Tells whether pushes are signed, and shows the public key.
    Show {
        /// The product's key.
        product: String,
    },
    /// Prints the public key as PEM, to be built into devices.
    Key {
        /// The product's key.
        product: String,
    },
}

const VIEW: View = View {
    id: "product_key",
    order: &["product_key", "name", "created_at", "settings"],
    sections: &[Section { field: "modules", columns: module::COLUMNS }],
};

const COLUMNS: &[Column] = &[
    Column::of("PRODUCT", "product_key"),
    Column::of("NAME", "name"),
    with("MODULES", |product| product["modules"].as_array().map_or(0, Vec::len).to_string()),
    Column::of("CREATED", "created_at"),
];

const SECURITY: View = View { id: "enabled", order: &["enabled"], sections: &[] };

const VERSIONS: View = View {
    id: "module",
    order: &["module", "silent"],
    sections: &[Section {
        field: "versions",
        columns: &[Column::of("VERSION", "version"), Column::of("DEVICES", "devices")],
    }],
};

/// Parts of a fleet that are added up at most: each is some ten thousand devices.
const PARTS_MAX: usize = 100_000;

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Create { name } => {
            let call = client.post(&["v1", "products"]).json(json!({ "name": name })).once_only()?;
            output.show(&call.send().await?, &VIEW)
        }
        Command::List { limit } => {
            let listed = client.get(&["v1", "products"]).list(limit.limit).await?;
            output.list(&listed, VIEW.id, COLUMNS)
        }
        Command::Show { product } => {
            output.show(&client.get(&["v1", "products", &product]).send().await?, &VIEW)
        }
        Command::Set { product, settings } => {
            let call = client.patch(&["v1", "products", &product]).json(settings_of(&settings));
            output.show(&call.send().await?, &VIEW)
        }
        Command::Versions { product, module, package } => {
            let path = ["v1", "products", product.as_str(), "versions"];
            let call =
                || client.get(&path).query("module", module.clone()).query("package_id", package.clone());
            output.show(&added_up(call).await?, &VERSIONS)
        }
        Command::Security(command) => security(command, context).await,
    }
}

async fn security(command: Security, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    let switch = async |product: &str, enabled: bool| {
        let call = client.put(&["v1", "products", product, "security"]);
        output.show(&call.json(json!({ "enabled": enabled })).send().await?, &SECURITY)
    };
    let get = async |product: &str| client.get(&["v1", "products", product, "security"]).send().await;
    match command {
        Security::On { product } => switch(&product, true).await,
        Security::Off { product } => switch(&product, false).await,
        Security::Show { product } => show_security(context, &get(&product).await?),
        Security::Key { product } => {
            let answer = get(&product).await?;
            let value: Value = answer.read()?;
            match value["public_key"].as_str() {
                Some(_) if output.format == Format::Json => output.raw(&answer.text),
                Some(key) => output.raw(key),
                None => {
                    Err(anyhow::anyhow!("the product's pushes are not signed, so it tells no key").into())
                }
            }
        }
    }
}

/// A PEM has lines, which a table would run together.
fn show_security(context: &Context, answer: &Answer) -> Result<(), Failure> {
    let output = &context.output;
    if output.quiet || output.format == Format::Json {
        return output.show(answer, &SECURITY);
    }
    let mut value: Value = answer.read()?;
    let key = value.as_object_mut().and_then(|fields| fields.remove("public_key"));
    output.show(&Answer { text: value.to_string() }, &SECURITY)?;
    key.as_ref().and_then(Value::as_str).map_or(Ok(()), |key| output.raw(&format!("\n{key}")))
}

/// Adds up the parts that a large fleet is counted in.
async fn added_up<'a>(call: impl Fn() -> Call<'a>) -> Result<Answer, Failure> {
    let first = call().send().await?;
    let mut sum: Value = first.read()?;
    if sum["next_cursor"].is_null() {
        return Ok(first);
    }
    let mut counts: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    let (mut part, mut silent) = (sum.clone(), 0);
    for _ in 0..PARTS_MAX {
        silent += part["silent"].as_u64().unwrap_or_default();
        for counted in part["versions"].as_array().into_iter().flatten() {
            let version = counted["version"].as_str().unwrap_or_default().to_owned();
            *counts.entry(version).or_default() += counted["devices"].as_u64().unwrap_or_default();
        }
        let Some(cursor) = part["next_cursor"].as_str().map(str::to_owned) else { break };
        part = call().query("cursor", Some(cursor)).send().await?.read()?;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let versions =
        counts.into_iter().map(|(version, devices)| json!({ "version": version, "devices": devices }));
    if let Some(fields) = sum.as_object_mut() {
        fields.remove("next_cursor");
        fields.insert("silent".to_owned(), silent.into());
        fields.insert("versions".to_owned(), versions.collect());
    }
    Ok(Answer { text: sum.to_string() })
}
