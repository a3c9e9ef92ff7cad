//! `overair webhook`

use clap::{Args, Subcommand};

use super::{Body, Context, Limit};
use crate::failure::Failure;
use crate::output::{Column, View};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Makes a webhook and prints its secret, which is told only now.
    Create {
        /// Where events are sent to.
        url: String,
        /// The events, such as task.finished; all otherwise.
        #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
        event_types: Vec<String>,
        /// Those of this product only.
        #[arg(long)]
        product: Option<String>,
        /// A few words.
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Lists webhooks.
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Shows a webhook.
    Show {
        /// The webhook's id.
        webhook: String,
    },
    /// Changes a webhook.
    Edit(Edit),
    /// Deletes a webhook.
    Delete {
        /// The webhook's id.
        webhook: String,
    },
    /// Sends a test event.
    Test {
        /// The webhook's id.
        webhook: String,
    },
    /// Lists what was sent, and what became of it.
    Deliveries {
        /// The webhook's id.
        webhook: String,
        /// Of this status only: pending, delivered, dead.
        #[arg(long)]
        status: Option<String>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Sends a delivery again.
    Replay {
        /// The webhook's id.
        webhook: String,
        /// The delivery's id.
        delivery: String,
    },
    /// Makes a new secret and prints it; the old one signs beside it for a day.
    RotateSecret {
        /// The webhook's id.
        webhook: String,
    },
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub(crate) struct Edit {
    /// The webhook's id.
    webhook: String,
    /// Where events are sent to.
    #[arg(long, group = "change")]
    url: Option<String>,
    /// The events.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', group = "change")]
    event_types: Vec<String>,
    /// A few words.
    #[arg(long, value_name = "TEXT", group = "change")]
    description: Option<String>,
    /// Sends events.
    #[arg(long, group = "change", conflicts_with = "disable")]
    enable: bool,
    /// Sends none until it is enabled again.
    #[arg(long, group = "change")]
    disable: bool,
}

const VIEW: View = View {
    id: "webhook_id",
    order: &[
        "webhook_id",
        "url",
        "event_types",
        "product_key",
        "description",
        "enabled",
        "created_at",
        "secret",
    ],
    sections: &[],
};

const COLUMNS: &[Column] = &[
    Column::of("WEBHOOK", "webhook_id"),
    Column::of("URL", "url"),
    Column::of("EVENTS", "event_types"),
    Column::of("PRODUCT", "product_key"),
    Column::of("ENABLED", "enabled"),
    Column::of("CREATED", "created_at"),
];

const DELIVERIES: &[Column] = &[
    Column::of("DELIVERY", "delivery_id"),
    Column::of("EVENT", "event_type"),
    Column::of("STATUS", "status"),
    Column::of("TRIES", "attempts"),
    Column::of("LAST STATUS", "last_status"),
    Column::of("LAST ERROR", "last_error"),
    Column::of("NEXT TRY", "next_attempt_at"),
    Column::of("CREATED", "created_at"),
];

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let (client, output) = (&context.client, &context.output);
    match command {
        Command::Create { url, event_types, product, description } => {
            let body = Body::default().with("url", Some(url)).with_list("event_types", &event_types);
            let body = body.with("product_key", product).with("description", description);
            output.show(&client.post(&["v1", "webhooks"]).json(body.done()).send().await?, &VIEW)
        }
        Command::List { limit } => {
            output.list(&client.get(&["v1", "webhooks"]).list(limit.limit).await?, VIEW.id, COLUMNS)
        }
        Command::Show { webhook } => {
            output.show(&client.get(&["v1", "webhooks", &webhook]).send().await?, &VIEW)
        }
        Command::Edit(edit) => {
            let call = client.patch(&["v1", "webhooks", &edit.webhook]);
            output.show(&call.json(edit.body().done()).send().await?, &VIEW)
        }
        Command::Delete { webhook } => {
            client.delete(&["v1", "webhooks", &webhook]).send().await?;
            output.done(&format!("webhook {webhook} is deleted"))
        }
        Command::Test { webhook } => {
            client.post(&["v1", "webhooks", &webhook, "test"]).send().await?;
            output.done("a test event is on its way: see `overair webhook deliveries`")
        }
        Command::Deliveries { webhook, status, limit } => {
            let call = client.get(&["v1", "webhooks", &webhook, "deliveries"]).query("status", status);
            output.list(&call.list(limit.limit).await?, "delivery_id", DELIVERIES)
        }
        Command::Replay { webhook, delivery } => {
            client.post(&["v1", "webhooks", &webhook, "deliveries", &delivery, "replay"]).send().await?;
            output.done(&format!("delivery {delivery} is sent again"))
        }
        Command::RotateSecret { webhook } => {
            let answer = client.post(&["v1", "webhooks", &webhook, "secret"]).send().await?;
            output.show(&answer, &View { id: "secret", order: &["secret"], sections: &[] })
        }
    }
}

impl Edit {
    fn body(&self) -> Body {
        let enabled = if self.disable { Some(false) } else { self.enable.then_some(true) };
        Body::default()
            .with("url", self.url.clone())
            .with_list("event_types", &self.event_types)
            .with("description", self.description.clone())
            .with("enabled", enabled)
    }
}
