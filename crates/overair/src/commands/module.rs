//! `overair module`

use clap::Subcommand;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Body, Context};
use crate::failure::Failure;
use crate::output::{Column, View};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Adds a module to a product.
    Add {
        /// The product's key.
        product: String,
        /// The module's name, as devices report it; it never changes.
        name: String,
        /// A name for people.
        #[arg(long)]
        alias: Option<String>,
        /// A few words.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Lists a product's modules.
    List {
        /// The product's key.
        product: String,
    },
    /// Changes a module's alias and description.
    Edit {
        /// The product's key.
        product: String,
        /// The module's name.
        name: String,
        /// A name for people; an empty one takes it away.
        #[arg(long, required_unless_present = "description")]
        alias: Option<String>,
        /// A few words.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Removes a module that has no packages.
    Remove {
        /// The product's key.
        product: String,
        /// The module's name.
        name: String,
    },
}

/// How modules are listed.
pub(super) const COLUMNS: &[Column] = &[
    Column::of("MODULE", "name"),
    Column::of("ALIAS", "alias"),
    Column::of("DESCRIPTION", "description"),
    Column::of("CREATED", "created_at"),
];

const VIEW: View = View { id: "name", order: &["name", "alias", "description", "created_at"], sections: &[] };

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Add { product, name, alias, description } => {
            let body = Body::default()
                .with("name", Some(name))
                .with("alias", alias)
                .with("description", description);
            let call = client.post(&["v1", "products", &product, "modules"]).json(body.done());
            output.show(&call.send().await?, &VIEW)
        }
        Command::List { product } => {
            let answer = client.get(&["v1", "products", &product]).send().await?;
            #[derive(serde::Deserialize)]
            struct Product {
                modules: Vec<Box<RawValue>>,
            }
            output.items(&answer.read::<Product>()?.modules, VIEW.id, COLUMNS)
        }
        Command::Edit { product, name, alias, description } => {
            let body: Value = Body::default().with("alias", alias).with("description", description).done();
            let call = client.patch(&["v1", "products", &product, "modules", &name]).json(body);
            output.show(&call.send().await?, &VIEW)
        }
        Command::Remove { product, name } => {
            client.delete(&["v1", "products", &product, "modules", &name]).send().await?;
            output.done(&format!("module {name} is removed"))
        }
    }
}
