//! Every metric there is. Dashboards and alerts are compared with this table, and `docs/observability.md` has it.

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It comes and goes.
    Gauge,
}

impl Kind {
    /// Returns the word of the exposition format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One metric: a name, and all samples of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name, with its unit at the end.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What it counts, in words.
    pub help: &'static str,
    /// The names of the labels that every sample has.
    pub labels: &'static [&'static str],
    /// Whether it is about what belongs to no product, so that a token that is bound to products is not told of it.
    pub unbound: bool,
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, help, labels, unbound: false }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { kind: Kind::Counter, ..gauge(name, labels, help) }
}

impl Family {
    const fn unbound(self) -> Self {
        Self { unbound: true, ..self }
    }
}

macro_rules! families {
    ($($constant:ident = $family:expr;)*) => {
        $(#[allow(missing_docs, reason = "the help of each says it")] pub const $constant: Family = $family;)*

        /// All of them, in the order they are told.
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
}

families! {
    BUILD_INFO = gauge("overair_build_info", &["version"], "The version of the service; always 1.");
    PRODUCT_INFO = gauge("overair_product_info", &["product", "name"], "The name of each product; always 1.");
    PACKAGES = gauge("overair_packages", &["product"], "Packages.");
    BATCHES = gauge("overair_batches", &["product", "status"], "Batches that have something left to do, by status.");
    BATCH_TASKS = gauge(
        "overair_batch_tasks", &["product", "status"],
        "Tasks of those batches by status, as they were last counted.");
    OLDEST_PROGRESS = gauge(
        "overair_batch_oldest_progress_timestamp_seconds", &["product"],
        "When the counts last changed of the batch that has been still for longest, of those in progress with tasks that have not ended.");
    OLDEST_WALK = gauge(
        "overair_batch_oldest_walk_timestamp_seconds", &["product"],
        "When the dispatcher last came to the end of the batch that has waited for longest.");
    BATCHES_UNREAD = gauge(
        "overair_batches_unread", &[],
        "Batches that have something left to do and are too many to be told of.").unbound();
    OPEN_BATCHES_LIMIT = gauge(
        "overair_batches_limit", &[], "How many batches may have something left to do at once.").unbound();
    BATCHES_MADE = counter("overair_batches_made_total", &[], "Batches ever made, with verifications.").unbound();
    EVENTS = counter(
        "overair_events_total", &[],
        "Events ever listed: tasks that have ended, versions that have changed, batches that have another status.").unbound();
    LAST_TICK = gauge(
        "overair_dispatcher_last_tick_timestamp_seconds", &[],
        "When a tick of the dispatcher last came to its end without a failure; noted once a minute.").unbound();
    TICK_DURATION = gauge(
        "overair_dispatcher_last_tick_duration_seconds", &[], "How long that tick took.").unbound();
    UPLOADS = gauge("overair_uploads_open", &[], "Uploads that are not packages yet.").unbound();
    DELTAS_MAKING = gauge("overair_deltas_making", &[], "Deltas that are being made.").unbound();
    DELTAS_RECENT = gauge(
        "overair_deltas_recent", &["status"], "The 20 deltas that were asked for last, by status.").unbound();
    WEBHOOK_ENABLED = gauge(
        "overair_webhook_enabled", &["webhook"], "Whether the webhook is told of events: 1, or 0.");
    WEBHOOK_BEHIND = gauge(
        "overair_webhook_behind_events", &["webhook"], "Events that the webhook has not looked at.");
    WEBHOOK_DELIVERIES = gauge(
        "overair_webhook_deliveries", &["webhook", "status"],
        "Deliveries to the webhook that are to be tried (pending), or were given up and are kept (dead).");
    WEBHOOK_DELIVERED = counter(
        "overair_webhook_delivered_total", &["webhook"], "Events that the webhook's receiver has taken.");
    WEBHOOK_LOST = counter(
        "overair_webhook_lost_total", &["webhook"],
        "Events that the webhook's receiver will not be told of: given up and not kept any more, or forgotten before they were delivered.");
}
