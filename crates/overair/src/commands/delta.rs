//! `overair delta`

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::{Body, Context, Limit};
use crate::failure::Failure;
use crate::output::{Column, View, cell};
use crate::parse;
use crate::watch::{Progress, watch};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a delta that leads from one package to another.
    Make(Make),
    /// Lists deltas, newest first.
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows a delta.
    Show {
        /// The delta's id.
        delta: String,
    },
    /// Waits until a delta is ready, or has failed.
    Watch {
        /// The delta's id.
        delta: String,
        /// Waits so long at most.
        #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
        timeout: Option<Duration>,
    },
}

#[derive(Args)]
pub(crate) struct Make {
    /// The package that devices run.
    #[arg(long, value_name = "PACKAGE")]
    from: String,
    /// The package that they come to run.
    #[arg(long, value_name = "PACKAGE")]
    to: String,
    /// How much of the image a device restores at once.
    #[arg(long, value_enum, default_value = "64K")]
    slice: Slice,
    /// The name of the package that comes of it.
    #[arg(long)]
    name: Option<String>,
    /// Waits until it is ready.
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Slice {
    /// All of it.
    None,
    /// 2 MB.
    #[value(name = "2M")]
    TwoMegabytes,
    /// 64 KB.
    #[value(name = "64K")]
    Kilobytes64,
    /// 32 KB.
    #[value(name = "32K")]
    Kilobytes32,
}

const VIEW: View = View {
    id: "delta_id",
    order: &[
        "delta_id",
        "status",
        "progress",
        "source_package_id",
        "target_package_id",
        "slice",
        "name",
        "package_id",
        "size",
        "saved_percent",
        "reason",
        "created_at",
        "ended_at",
    ],
    sections: &[],
};

const COLUMNS: &[Column] = &[
    Column::of("DELTA", "delta_id"),
    Column::of("STATUS", "status"),
    Column::of("PROGRESS", "progress"),
    Column::of("SLICE", "slice"),
    Column::of("NAME", "name"),
    Column::of("PACKAGE", "package_id"),
    Column::of("SAVED %", "saved_percent"),
    Column::of("CREATED", "created_at"),
];

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Make(arguments) => {
            let slice = arguments.slice.to_possible_value().map(|value| value.get_name().to_owned());
            let body = Body::default()
                .with("source_package_id", Some(arguments.from))
                .with("target_package_id", Some(arguments.to))
                .with("slice", slice)
                .with("name", arguments.name);
            let answer = client.post(&["v1", "deltas"]).json(body.done()).once_only()?.send().await?;
            if arguments.watch {
                return until_ended(&answer.text_of("delta_id")?, None, context).await;
            }
            output.show(&answer, &VIEW)
        }
        Command::List { limit } => {
            output.list(&client.get(&["v1", "deltas"]).list(limit.limit).await?, VIEW.id, COLUMNS)
        }
        Command::Show { delta } => output.show(&client.get(&["v1", "deltas", &delta]).send().await?, &VIEW),
        Command::Watch { delta, timeout } => until_ended(&delta, timeout, context).await,
    }
}

async fn until_ended(delta: &str, timeout: Option<Duration>, context: &Context) -> Result<(), Failure> {
    let call = context.client.get(&["v1", "deltas", delta]);
    let (answer, ended) = watch(&context.output, "delta", call, timeout, progress).await?;
    context.output.show(&answer, &VIEW)?;
    ended
}

fn progress(delta: &Value) -> Progress {
    let status = cell(delta, "status");
    let ended = match status.as_str() {
        "ready" => Some(Ok(())),
        "failed" => {
            Some(Err(Failure::Failed(format!("the delta failed: {}", cell(delta, "reason.description")))))
        }
        _ => None,
    };
    Progress { done: delta["progress"].as_u64().unwrap_or_default(), total: 100, words: status, ended }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_delta_ends_ready_or_failed() {
        assert!(progress(&json!({ "status": "making", "progress": 5 })).ended.is_none());
        assert!(progress(&json!({ "status": "ready" })).ended.unwrap().is_ok());
        let failed =
            json!({ "status": "failed", "reason": { "code": "not-smaller", "description": "larger" } });
        assert_eq!(progress(&failed).ended.unwrap().unwrap_err().exit_code(), 7);
    }
}
