//! `overair event`

use std::time::Duration;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Context, Limit};
use crate::failure::Failure;
use crate::output::{Column, cell, wait_for_more, with};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists events, oldest first.
    List(List),
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// Of this type only: task-ended, version-changed, batch-status.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Of this product only.
    #[arg(long)]
    product: Option<String>,
    /// Goes on from where an earlier list ended.
    #[arg(long)]
    cursor: Option<String>,
    /// Goes on with what happens, until Ctrl-C; as JSON each event is a line.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    limit: Limit,
}

/// How often it is asked whether more has happened.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Items of one page.
const PAGE_ITEMS: usize = 100;

const COLUMNS: &[Column] = &[
    Column::of("AT", "at"),
    Column::of("TYPE", "type"),
    Column::of("PRODUCT", "product_key"),
    with("WHAT", |event| cell(event, "payload")),
];

#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: String,
}

/// Runs a command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let Command::List(list) = command;
    if list.follow { follow(list, context).await } else { once(list, context).await }
}

/// Lists what there is. There is always a cursor to go on from, so the end is where nothing comes.
async fn once(list: List, context: &Context) -> Result<(), Failure> {
    let (mut items, mut cursor) = (Vec::new(), list.cursor.clone());
    loop {
        let wanted = PAGE_ITEMS.min(list.limit.limit - items.len());
        let page = page(&list, cursor.as_deref(), wanted, context).await?;
        let moved = cursor.as_ref() != Some(&page.next_cursor);
        cursor = Some(page.next_cursor);
        items.extend(page.items);
        if !moved || items.len() >= list.limit.limit {
            break;
        }
    }
    context.output.items(&items, "event_id", COLUMNS)?;
    if let Some(cursor) = cursor {
        context.output.note(&format!("go on with --cursor {cursor}"));
    }
    Ok(())
}

async fn follow(list: List, context: &Context) -> Result<(), Failure> {
    let output = &context.output;
    let mut cursor = list.cursor.clone();
    loop {
        let page = page(&list, cursor.as_deref(), PAGE_ITEMS, context).await?;
        for item in &page.items {
            if output.is_json() {
                output.raw(item.get())?;
                continue;
            }
            let event: Value = serde_json::from_str(item.get()).map_err(anyhow::Error::new)?;
            let line = if output.quiet { cell(&event, "event_id") } else { in_words(&event) };
            output.lines([line])?;
        }
        let moved = cursor.as_ref() != Some(&page.next_cursor);
        cursor = Some(page.next_cursor);
        if !moved {
            wait_for_more(LOOK_EVERY).await?;
        }
    }
}

async fn page(list: &List, cursor: Option<&str>, limit: usize, context: &Context) -> Result<Page, Failure> {
    let call = context.client.get(&["v1", "events"]).query("limit", Some(limit)).query("cursor", cursor);
    let call = call.query("type", list.kind.as_ref()).query("product_key", list.product.as_ref());
    call.send().await?.read()
}

/// Columns would need all rows to be known.
fn in_words(event: &Value) -> String {
    let [at, kind, product, what] = ["at", "type", "product_key", "payload"].map(|name| cell(event, name));
    format!("{at}  {kind}  {product}  {what}")
}
