//! What is told of each noun: its operations and what they ask for and answer.

mod access;
mod batch;
mod batch_request;
mod delta;
mod device;
mod download;
mod event;
mod metrics;
mod package;
mod product;
mod settings;
mod task;
mod upload;
mod verification;
mod webhook;

use crate::operation::Operation;
use crate::schema::Schema;

/// Every operation.
pub(crate) fn operations() -> Vec<Operation> {
    let all = [
        product::operations(),
        settings::operations(),
        device::operations(),
        upload::operations(),
        package::operations(),
        verification::operations(),
        delta::operations(),
        batch::operations(),
        task::operations(),
        event::operations(),
        webhook::operations(),
        metrics::operations(),
        access::operations(),
        download::operations(),
    ];
    all.into_iter().flatten().collect()
}

/// Every schema that has a name.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let all = [
        product::schemas(),
        settings::schemas(),
        device::schemas(),
        upload::schemas(),
        package::schemas(),
        verification::schemas(),
        delta::schemas(),
        batch_request::schemas(),
        batch::schemas(),
        task::schemas(),
        event::schemas(),
        webhook::schemas(),
        access::schemas(),
    ];
    all.into_iter().flatten().collect()
}
