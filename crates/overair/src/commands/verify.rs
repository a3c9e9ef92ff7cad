//! `overair verify`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Body, Context, batch, tags, task};
use crate::client::Answer;
use crate::failure::Failure;
use crate::output::{Section, View, cell};
use crate::parse;
use crate::watch::{Progress, watch};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tries a package on up to ten devices, without which no batch of it is made.
    Start(Start),
    /// Shows how the trial of a package stands.
    Show {
        /// The package's id.
        package: String,
    },
    /// Waits until the trial of a package has ended.
    Watch {
        /// The package's id.
        package: String,
        /// Waits so long at most.
        #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
        timeout: Option<Duration>,
    },
}

#[derive(Args)]
pub(crate) struct Start {
    /// The package's id.
    package: String,
    /// The test devices.
    #[arg(required = true, value_name = "DEVICE")]
    devices: Vec<String>,
    /// The package's product, refused if it is another one.
    #[arg(long)]
    product: Option<String>,
    /// The versions that are upgraded.
    #[arg(long = "source-version", value_name = "VERSION", value_delimiter = ',')]
    source_versions: Vec<String>,
    /// From the first progress to failure, in minutes or such as `1h`.
    #[arg(long, value_name = "MINUTES", value_parser = parse::minutes)]
    timeout: Option<u64>,
    /// Devices get the upgrade when they ask, and are not told of it.
    #[arg(long)]
    no_push: bool,
    /// Each task waits for consent first (`overair task confirm`).
    #[arg(long)]
    needs_confirmation: bool,
    /// How devices download: https or mqtt.
    #[arg(long, value_name = "PROTOCOL")]
    download_protocol: Option<String>,
    /// Pairs that devices are told.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse::pair)]
    tags: Vec<(String, String)>,
    /// Waits until the trial has ended.
    #[arg(long)]
    watch: bool,
}

const VIEW: View = View {
    id: "status",
    order: &["package_id", "status", "progress_percent"],
    sections: &[Section { field: "tasks", columns: task::COLUMNS }],
};

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let client = &context.client;
    match command {
        Command::Start(arguments) => start(arguments, context).await,
        Command::Show { package } => {
            show(&client.get(&["v1", "packages", &package, "verification"]).send().await?, context)
        }
        Command::Watch { package, timeout } => until_ended(&package, timeout, context).await,
    }
}

async fn start(arguments: Start, context: &Context) -> Result<(), Failure> {
    let body = Body::default()
        .with_list("devices", &arguments.devices)
        .with("product_key", arguments.product)
        .with_list("source_versions", &arguments.source_versions)
        .with("timeout_minutes", arguments.timeout)
        .with("push", arguments.no_push.then_some(false))
        .with_flag("needs_confirmation", arguments.needs_confirmation)
        .with("download_protocol", arguments.download_protocol)
        .with("tags", tags(&arguments.tags));
    let call = context.client.post(&["v1", "packages", &arguments.package, "verification"]);
    let answer = call.json(body.done()).once_only()?.send().await?;
    if arguments.watch {
        return until_ended(&arguments.package, None, context).await;
    }
    show(&answer, context)
}

/// Shows a trial. Its batch says little that is not said already: a table tells its id alone.
fn show(answer: &Answer, context: &Context) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.show(answer, &VIEW);
    }
    let mut value: Value = answer.read()?;
    if let Some(id) = value.pointer("/batch/batch_id").cloned()
        && let Some(batch) = value.get_mut("batch")
    {
        *batch = id;
    }
    context.output.show(&Answer { text: value.to_string() }, &VIEW)
}

async fn until_ended(package: &str, timeout: Option<Duration>, context: &Context) -> Result<(), Failure> {
    let call = context.client.get(&["v1", "packages", package, "verification"]);
    let (answer, ended) = watch(&context.output, "trial", call, timeout, progress).await?;
    show(&answer, context)?;
    ended
}

fn progress(trial: &Value) -> Progress {
    let status = cell(trial, "status");
    let counts = trial.pointer("/batch/counts").unwrap_or(&Value::Null);
    let ended = match status.as_str() {
        "verified" | "not-needed" => Some(Ok(())),
        "failed" if cell(trial, "batch.status") == "canceled" => {
            Some(Err(Failure::Canceled("the trial was canceled".to_owned())))
        }
        "failed" => Some(Err(Failure::Failed("the trial failed".to_owned()))),
        "unverified" => {
            let why = "no trial of the package was started: `overair verify start`";
            Some(Err(Failure::Local(anyhow::anyhow!(why))))
        }
        _ => None,
    };
    let (done, total) = batch::done_and_total(counts);
    Progress { done, total, words: batch::counts_in_words(counts), ended }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trial_ends_by_its_status() {
        let ended = |trial: Value| progress(&trial).ended.map(|ended| ended.map_err(|f| f.exit_code()));
        assert_eq!(ended(json!({ "status": "verifying" })), None);
        assert_eq!(ended(json!({ "status": "verified" })), Some(Ok(())));
        assert_eq!(ended(json!({ "status": "failed", "batch": { "status": "completed" } })), Some(Err(7)));
        assert_eq!(ended(json!({ "status": "failed", "batch": { "status": "canceled" } })), Some(Err(8)));
        assert_eq!(ended(json!({ "status": "unverified" })), Some(Err(1)));
    }
}
