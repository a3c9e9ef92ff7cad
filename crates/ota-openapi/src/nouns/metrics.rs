//! Metrics.

use crate::operation::{Operation, operation};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        operation("getMetrics", "GET", "/metrics", "Tells metrics for Prometheus")
            .says("What each is, docs/observability.md tells. A token that is bound to products is told of these.")
            .faults(&[])
            .sends(200, "The metrics, in Prometheus' text format 0.0.4.", &["text/plain"]),
    ]
}
