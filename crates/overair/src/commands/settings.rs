//! `overair settings`

use clap::Subcommand;

use super::{Context, settings_of};
use crate::failure::Failure;
use crate::output::View;
use crate::parse;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows the settings of the service.
    Show,
    /// Changes settings of the service, such as `fast_push=true`; see docs/settings.md.
    Set {
        /// What is to be changed.
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = parse::pair)]
        settings: Vec<(String, String)>,
    },
}

const VIEW: View = View { id: "package_limits", order: &[], sections: &[] };

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let path = ["v1", "settings"];
    let answer = match command {
        Command::Show => context.client.get(&path).send().await?,
        Command::Set { settings } => context.client.patch(&path).json(settings_of(&settings)).send().await?,
    };
    context.output.show(&answer, &VIEW)
}
