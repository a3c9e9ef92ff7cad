//! The cron trigger's shim: one POST to dispatch.
