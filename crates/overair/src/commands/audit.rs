//! `overair audit`

use clap::Subcommand;

use super::{Context, Limit};
use crate::failure::Failure;
use crate::output::Column;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists who did what, newest first.
    List {
        /// What was done to this product only.
        #[arg(long)]
        product: Option<String>,
        /// What this one did only: the name of a token.
        #[arg(long)]
        actor: Option<String>,
        /// Actions of this kind only, such as `batch.create`.
        #[arg(long)]
        action: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
}

const COLUMNS: &[Column] = &[
    Column::of("AT", "at"),
    Column::of("ACTOR", "actor"),
    Column::of("ROLE", "role"),
    Column::of("ACTION", "action"),
    Column::of("SUBJECT", "subject"),
    Column::of("PRODUCT", "product_key"),
    Column::of("STATUS", "status"),
];

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let Command::List { product, actor, action, limit } = command;
    let call = context.client.get(&["v1", "audit"]);
    let call = call.query("product_key", product).query("actor", actor).query("action", action);
    context.output.list(&call.list(limit.limit).await?, "request_id", COLUMNS)
}
