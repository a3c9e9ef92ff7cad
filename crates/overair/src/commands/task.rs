//! `overair task`

use anyhow::Context as _;
use clap::Subcommand;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Body, Context};
use crate::client::Answer;
use crate::failure::Failure;
use crate::output::{Column, View, cell, with};

/// Tasks of one request (docs/limits.md): more are sent so many at a time.
const TASKS_PER_REQUEST_MAX: usize = 10;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows the task of a device in a batch.
    Show {
        /// The batch's id.
        batch: String,
        /// The device's name.
        device: String,
    },
    /// Consents to tasks that wait for it, ten at a time.
    Confirm {
        /// The tasks' ids.
        #[arg(required = true, value_name = "TASK")]
        tasks: Vec<String>,
    },
    /// Queues failed and canceled tasks again, ten at a time.
    ReUpgrade {
        /// The tasks' ids.
        #[arg(required = true, value_name = "TASK")]
        tasks: Vec<String>,
    },
    /// Ends the tasks that devices have of a package.
    Cancel {
        /// The package's id.
        #[arg(long)]
        package: String,
        /// Those of this batch only.
        #[arg(long)]
        batch: Option<String>,
        /// The devices, up to 200.
        #[arg(required = true, value_name = "DEVICE")]
        devices: Vec<String>,
    },
}

/// How tasks are listed.
pub(super) const COLUMNS: &[Column] = &[
    Column::of("DEVICE", "device_name"),
    with("STATUS", |task| match task["queued_because"].as_str() {
        Some(because) => format!("{} ({because})", cell(task, "status")),
        None => cell(task, "status"),
    }),
    with("PROGRESS", |task| format!("{}%", cell(task, "progress"))),
    Column::of("FROM", "source_version"),
    Column::of("TO", "target_version"),
    Column::of("UPDATED", "updated_at"),
    Column::of("REASON", "reason.description"),
];

const VIEW: View = View {
    id: "task_id",
    order: &[
        "task_id",
        "batch_id",
        "product_key",
        "device_name",
        "module",
        "source_version",
        "target_version",
        "status",
        "queued_because",
        "scheduled_at",
        "progress",
        "reason",
    ],
    sections: &[],
};

#[derive(Deserialize)]
struct Tasks {
    tasks: Vec<Box<RawValue>>,
}

/// A list that comes whole.
#[derive(Deserialize)]
pub(super) struct Items {
    pub(super) items: Vec<Box<RawValue>>,
}

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Show { batch, device } => {
            let call = client.get(&["v1", "batches", &batch, "tasks", &device]);
            output.show(&call.send().await?, &VIEW)
        }
        Command::Confirm { tasks } => send(&["v1", "tasks", "confirm"], &tasks, context).await,
        Command::ReUpgrade { tasks } => re_upgrade(&tasks, context).await,
        Command::Cancel { package, batch, devices } => {
            let body = Body::default().with("package_id", Some(package)).with("batch_id", batch);
            let call =
                client.post(&["v1", "tasks", "cancel"]).json(body.with_list("devices", &devices).done());
            let answer = call.send().await?;
            if output.is_json() {
                return output.raw(&answer.text);
            }
            let value: Value = answer.read()?;
            output.done(&format!("{} tasks are canceled", cell(&value, "canceled")))
        }
    }
}

/// Queues tasks again.
pub(super) async fn re_upgrade(tasks: &[String], context: &Context) -> Result<(), Failure> {
    send(&["v1", "tasks", "reupgrade"], tasks, context).await
}

/// Sends the ids of tasks, some at a time, and shows what the tasks are then. What was done before a refusal stays done,
/// and is shown as well.
async fn send(path: &[&str], tasks: &[String], context: &Context) -> Result<(), Failure> {
    let mut told = Vec::with_capacity(tasks.len());
    let mut outcome = Ok(());
    for some in tasks.chunks(TASKS_PER_REQUEST_MAX) {
        match context.client.post(path).json(json!({ "task_ids": some })).send().await {
            Ok(answer) => told.extend(answer.read::<Tasks>()?.tasks),
            Err(failure) => {
                outcome = Err(failure);
                break;
            }
        }
    }
    if outcome.is_ok() || !told.is_empty() {
        show(&told, context)?;
    }
    outcome
}

/// Shows tasks; as JSON in the form that one request would be answered in.
fn show(tasks: &[Box<RawValue>], context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    if output.is_json() {
        let tasks: Vec<&str> = tasks.iter().map(|task| task.get()).collect();
        let answer = Answer { text: format!("{{\"tasks\":[{}]}}", tasks.join(",")) };
        return output.raw(&answer.text);
    }
    output.items(tasks, VIEW.id, COLUMNS)
}

/// Returns the ids of listed tasks.
pub(super) fn ids(tasks: &[Box<RawValue>]) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Task {
        task_id: String,
    }
    let ids = tasks.iter().map(|task| serde_json::from_str(task.get()).map(|task: Task| task.task_id));
    ids.collect::<Result<_, _>>().context("the answer is not as documented")
}

/// Leaves the tasks of one status: the service gives named devices' tasks whatever their status is.
pub(super) fn of_status(
    tasks: Vec<Box<RawValue>>,
    status: Option<&str>,
) -> anyhow::Result<Vec<Box<RawValue>>> {
    #[derive(Deserialize)]
    struct Task {
        status: String,
    }
    let Some(wanted) = status else { return Ok(tasks) };
    let mut left = Vec::new();
    for task in tasks {
        let read: Task = serde_json::from_str(task.get()).context("the answer is not as documented")?;
        if read.status == wanted {
            left.push(task);
        }
    }
    Ok(left)
}
