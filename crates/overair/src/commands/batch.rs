//! `overair batch`

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Body, Context, Limit, batch_new, tags, task};
use crate::failure::Failure;
use crate::output::{Column, View, cell, with};
use crate::parse;
use crate::watch::{Progress, watch};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Rolls a package out.
    Create(Box<batch_new::Arguments>),
    /// Lists batches, newest first.
    List {
        /// Of this package only.
        #[arg(long)]
        package: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows a batch with its policies and counts.
    Show {
        /// The batch's id.
        batch: String,
    },
    /// Shows how the counts of a batch went.
    History {
        /// The batch's id.
        batch: String,
    },
    /// Shows how far a batch is until it ends. A dynamic batch ends when it is canceled.
    Watch {
        /// The batch's id.
        batch: String,
        /// Watches so long at most, such as `30m`.
        #[arg(long, value_name = "DURATION", value_parser = parse::duration)]
        timeout: Option<Duration>,
    },
    /// Cancels tasks of a batch, or the strategy of a dynamic one. Devices that have begun are not told.
    ///
    /// Without an option: the scheduled tasks of a static batch, the strategy of a dynamic one.
    Cancel(Cancel),
    /// Lists the tasks of a batch.
    Tasks {
        /// The batch's id.
        batch: String,
        /// Of this status only: unconfirmed, queued, notified, in-progress, succeeded, failed, canceled.
        #[arg(long)]
        status: Option<String>,
        /// Of these devices only, up to 50.
        #[arg(long = "device", value_name = "DEVICE", value_delimiter = ',')]
        devices: Vec<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Queues tasks of a batch again that have failed, or were canceled.
    ReUpgrade {
        /// The batch's id.
        batch: String,
        /// Which: failed or canceled.
        #[arg(long, default_value = "failed", value_parser = ["failed", "canceled"])]
        status: String,
    },
    /// Replaces the tags of a batch, where the product has `editable_tags`; none takes all away.
    Tag {
        /// The batch's id.
        batch: String,
        /// The tags.
        #[arg(value_name = "KEY=VALUE", value_parser = parse::pair)]
        tags: Vec<(String, String)>,
    },
}

#[derive(Args)]
pub(crate) struct Cancel {
    /// The batch's id.
    batch: String,
    /// Tasks that wait for the start of the schedule.
    #[arg(long)]
    scheduled: bool,
    /// Tasks that wait for their push, and those that wait for consent.
    #[arg(long)]
    queued: bool,
    /// Tasks that wait for consent.
    #[arg(long, conflicts_with = "keep_unconfirmed")]
    unconfirmed: bool,
    /// Leaves those that wait for consent, where --queued would take them along.
    #[arg(long, requires = "queued")]
    keep_unconfirmed: bool,
    /// Tasks whose devices were told and have not begun.
    #[arg(long)]
    notified: bool,
    /// Tasks whose devices have begun.
    #[arg(long)]
    in_progress: bool,
    /// No device joins the dynamic batch any more.
    #[arg(long)]
    strategy: bool,
    /// All tasks that have not ended.
    #[arg(long)]
    all: bool,
}

/// How a batch is shown.
pub(super) const VIEW: View = View {
    id: "batch_id",
    order: &[
        "batch_id",
        "kind",
        "mode",
        "status",
        "counts",
        "counted_at",
        "package_id",
        "product_key",
        "module",
        "source_versions",
        "target_version",
        "target",
        "schedule",
        "push_per_minute_max",
        "timeout_minutes",
        "retry",
    ],
    sections: &[],
};

const COLUMNS: &[Column] = &[
    Column::of("BATCH", "batch_id"),
    Column::of("KIND", "kind"),
    Column::of("MODE", "mode"),
    Column::of("STATUS", "status"),
    Column::of("VERSION", "target_version"),
    with("DONE", |batch| {
        let (done, total) = done_and_total(&batch["counts"]);
        format!("{done}/{total}")
    }),
    Column::of("FAILED", "counts.failed"),
    Column::of("CREATED", "created_at"),
];

const HISTORY: &[Column] = &[
    Column::of("AT", "at"),
    Column::of("QUEUED", "queued"),
    Column::of("NOTIFIED", "notified"),
    Column::of("IN PROGRESS", "in_progress"),
    Column::of("SUCCEEDED", "succeeded"),
    Column::of("FAILED", "failed"),
    Column::of("CANCELED", "canceled"),
];

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Create(arguments) => batch_new::run(*arguments, context).await,
        Command::List { package, limit } => {
            let call = client.get(&["v1", "batches"]).query("package_id", package);
            output.list(&call.list(limit.limit).await?, VIEW.id, COLUMNS)
        }
        Command::Show { batch } => output.show(&client.get(&["v1", "batches", &batch]).send().await?, &VIEW),
        Command::History { batch } => {
            // The points are so few that they come in one page, whose size is not asked for.
            let answer = client.get(&["v1", "batches", &batch, "history"]).send().await?;
            output.items(&answer.read::<task::Items>()?.items, "at", HISTORY)
        }
        Command::Watch { batch, timeout } => until_ended(&batch, timeout, context).await,
        Command::Cancel(arguments) => {
            let call = client.post(&["v1", "batches", &arguments.batch, "cancel"]);
            let body = arguments.body();
            // What is canceled stays canceled.
            let call = if body.is_empty() { call } else { call.json(body.done()).repeatable() };
            output.show(&call.send().await?, &VIEW)
        }
        Command::Tasks { batch, status, devices, limit } => {
            let call = client.get(&["v1", "batches", &batch, "tasks"]);
            if devices.is_empty() {
                let listed = call.query("status", status).list(limit.limit).await?;
                return output.list(&listed, "task_id", task::COLUMNS);
            }
            let answer = call.query("device_names", Some(devices.join(","))).send().await?;
            let items = answer.read::<task::Items>()?.items;
            output.items(&task::of_status(items, status.as_deref())?, "task_id", task::COLUMNS)
        }
        Command::ReUpgrade { batch, status } => {
            let call = client.get(&["v1", "batches", &batch, "tasks"]).query("status", Some(status));
            let listed = call.list(usize::MAX).await?;
            task::re_upgrade(&task::ids(&listed.items)?, context).await
        }
        Command::Tag { batch, tags: pairs } => {
            let tags = tags(&pairs).unwrap_or_else(|| json!([]));
            let call = client.patch(&["v1", "batches", &batch]).json(json!({ "tags": tags }));
            output.show(&call.send().await?, &VIEW)
        }
    }
}

/// Shows how far a batch is until it ends.
pub(super) async fn until_ended(
    batch: &str,
    timeout: Option<Duration>,
    context: &Context,
) -> Result<(), Failure> {
    let call = context.client.get(&["v1", "batches", batch]);
    let (answer, ended) = watch(&context.output, "batch", call, timeout, progress).await?;
    if context.output.is_json() {
        context.output.show(&answer, &VIEW)?;
    } else {
        let seen: Value = answer.read()?;
        let counts = counts_in_words(&seen["counts"]);
        context.output.done(&format!("batch {batch} is {}: {counts}", cell(&seen, "status")))?;
    }
    ended
}

fn progress(batch: &Value) -> Progress {
    let counts = &batch["counts"];
    let failed = counts["failed"].as_u64().unwrap_or_default();
    let ended = match batch["status"].as_str() {
        Some("completed" | "canceled") if failed > 0 => {
            let id = cell(batch, "batch_id");
            let why = format!("overair batch tasks {id} --status failed");
            Some(Err(Failure::Failed(format!("{failed} devices were not upgraded; why: {why}"))))
        }
        Some("completed") => Some(Ok(())),
        Some("canceled") => Some(Err(Failure::Canceled("the batch was canceled".to_owned()))),
        _ => None,
    };
    let (done, total) = done_and_total(counts);
    Progress { done, total, words: counts_in_words(counts), ended }
}

/// Returns how many tasks have ended, of how many.
pub(super) fn done_and_total(counts: &Value) -> (u64, u64) {
    let count = |name: &str| counts[name].as_u64().unwrap_or_default();
    (count("succeeded") + count("failed") + count("canceled"), count("total"))
}

/// Tells how many tasks stand where, leaving out where there are none.
pub(super) fn counts_in_words(counts: &Value) -> String {
    const STATUSES: [(&str, &str); 7] = [
        ("unconfirmed", "unconfirmed"),
        ("queued", "queued"),
        ("notified", "notified"),
        ("in_progress", "in progress"),
        ("succeeded", "succeeded"),
        ("failed", "failed"),
        ("canceled", "canceled"),
    ];
    let counted = STATUSES.iter().filter_map(|(name, word)| {
        let count = counts[*name].as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {word}"))
    });
    let words: Vec<String> = counted.collect();
    if words.is_empty() { "no tasks".to_owned() } else { words.join(", ") }
}

impl Cancel {
    fn body(&self) -> Body {
        let all = self.all;
        let unconfirmed =
            if self.keep_unconfirmed { Some(false) } else { (self.unconfirmed || all).then_some(true) };
        Body::default()
            .with_flag("scheduled", self.scheduled)
            .with_flag("queued", self.queued || all)
            .with("unconfirmed", unconfirmed)
            .with_flag("notified", self.notified || all)
            .with_flag("in_progress", self.in_progress || all)
            .with_flag("strategy", self.strategy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_by_its_status_and_its_failures() {
        let ended = |status: &str, failed: u64| {
            let batch = json!({ "status": status, "counts": { "failed": failed } });
            progress(&batch).ended.map(|ended| ended.map_err(|failure| failure.exit_code()))
        };
        assert_eq!(ended("planned", 0), None);
        assert_eq!(ended("in-progress", 2), None);
        assert_eq!(ended("completed", 0), Some(Ok(())));
        assert_eq!(ended("completed", 1), Some(Err(7)));
        assert_eq!(ended("canceled", 0), Some(Err(8)));
        assert_eq!(ended("canceled", 1), Some(Err(7)));
    }

    #[test]
    fn counts_are_told_where_there_are_some() {
        let counts = json!({ "total": 5, "queued": 0, "in_progress": 2, "succeeded": 2, "failed": 1 });
        assert_eq!(counts_in_words(&counts), "2 in progress, 2 succeeded, 1 failed");
        assert_eq!(done_and_total(&counts), (3, 5));
        assert_eq!(counts_in_words(&json!({})), "no tasks");
    }

    #[test]
    fn a_cancel_says_what_it_was_told() {
        let none = || Cancel {
            batch: String::new(),
            scheduled: false,
            queued: false,
            unconfirmed: false,
            keep_unconfirmed: false,
            notified: false,
            in_progress: false,
            strategy: false,
            all: false,
        };
        assert!(none().body().is_empty());
        let kept = Cancel { queued: true, keep_unconfirmed: true, ..none() };
        assert_eq!(kept.body().done(), json!({ "queued": true, "unconfirmed": false }));
        let all = Cancel { all: true, ..none() };
        let wanted = json!({ "queued": true, "unconfirmed": true, "notified": true, "in_progress": true });
        assert_eq!(all.body().done(), wanted);
    }
}
