//! `overair token`

use clap::{Subcommand, ValueEnum};

use super::{Body, Context, Limit};
use crate::failure::Failure;
use crate::output::{Column, View};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a token, which is told only now.
    Create {
        /// What it is for, or whose.
        name: String,
        /// What it may do.
        #[arg(long)]
        role: Role,
        /// The products it is for; all otherwise.
        #[arg(long = "product", value_name = "PRODUCT", value_delimiter = ',')]
        products: Vec<String>,
        /// Ends it after so many days.
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
    },
    /// Lists tokens.
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Ends a token.
    Revoke {
        /// The token's id.
        token_id: String,
    },
    /// Shows the token that this command uses, but for the token itself.
    #[command(name = "self")]
    Own,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// Everything.
    Admin,
    /// Everything but tokens, webhooks' secrets, settings and audit.
    Operator,
    /// Only looks.
    Viewer,
}

const ORDER: &[&str] = &["token_id", "name", "role", "product_keys", "created_at", "expires_at", "token"];
/// A new token's id is not what a script wants of it.
const NEW: View = View { id: "token", order: ORDER, sections: &[] };
const OWN: View = View { id: "name", order: ORDER, sections: &[] };

const COLUMNS: &[Column] = &[
    Column::of("TOKEN", "token_id"),
    Column::of("NAME", "name"),
    Column::of("ROLE", "role"),
    Column::of("PRODUCTS", "product_keys"),
    Column::of("CREATED", "created_at"),
    Column::of("EXPIRES", "expires_at"),
];

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Create { name, role, products, expires_in_days } => {
            let role = role.to_possible_value().map(|value| value.get_name().to_owned());
            let body = Body::default().with("name", Some(name)).with("role", role);
            let body = body.with_list("product_keys", &products).with("expires_in_days", expires_in_days);
            output.show(&client.post(&["v1", "tokens"]).json(body.done()).send().await?, &NEW)
        }
        Command::List { limit } => {
            output.list(&client.get(&["v1", "tokens"]).list(limit.limit).await?, "token_id", COLUMNS)
        }
        Command::Revoke { token_id } => {
            client.delete(&["v1", "tokens", &token_id]).send().await?;
            output.done(&format!("token {token_id} is revoked"))
        }
        Command::Own => output.show(&client.get(&["v1", "tokens", "self"]).send().await?, &OWN),
    }
}
