//! Upgrade batches: create, query, cancel.
