//! Every number the product promises or refuses by, with its source.
//!
//! "Rn" is the rule of `docs/rules.md`; "vendor" is the newer console document, "API" the cloud API reference.
//! Lengths are counted in Unicode code points (one Chinese character counts as one); MB and KB are binary.

/// Custom modules of a product (API, R9).
pub const MODULES_PER_PRODUCT_MAX: usize = 10;
/// Characters of a module name (vendor, R1).
pub const MODULE_NAME_LEN_MAX: usize = 64;
/// Characters of a module alias (vendor, R5).
pub const MODULE_ALIAS_LEN_MIN: usize = 4;
/// Characters of a module alias of a product with lenient aliases (API, R5).
pub const MODULE_ALIAS_LEN_MIN_LENIENT: usize = 1;
/// Characters of a module alias (vendor, R5).
pub const MODULE_ALIAS_LEN_MAX: usize = 64;
/// Characters of a description of a module or package (vendor, R6, R26).
pub const DESCRIPTION_LEN_MAX: usize = 100;

/// Packages of one account (vendor, R11).
pub const PACKAGES_MAX: usize = 500;
/// Bytes of a package file: 1,000 MB exactly (vendor, R12).
pub const PACKAGE_BYTES_MAX: u64 = 1_000 * 1024 * 1024;
/// Characters of a package name (vendor, R16).
pub const PACKAGE_NAME_LEN_MAX: usize = 40;
/// Characters of a version (vendor, R20).
pub const VERSION_LEN_MAX: usize = 64;
/// File suffixes of a package, lower case only (vendor, R13, R14).
pub const PACKAGE_SUFFIXES: [&str; 6] = ["bin", "tar", "gz", "tar.gz", "zip", "gzip"];
/// Packages of one account by the older limits (older document, R32).
pub const LEGACY_PACKAGES_MAX: usize = 100;
/// Bytes of a package file by the older limits: 10 MB exactly (older document, R32).
pub const LEGACY_PACKAGE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Characters of a package name by the older limits (older document, R32).
pub const LEGACY_PACKAGE_NAME_LEN_MIN: usize = 4;
/// Characters of a package name by the older limits (older document, R32).
pub const LEGACY_PACKAGE_NAME_LEN_MAX: usize = 32;
/// File suffixes of a package by the older limits (older document, R32); lower case as now (R14).
pub const LEGACY_PACKAGE_SUFFIXES: [&str; 4] = ["bin", "tar", "gz", "zip"];
/// Characters of the free text handed to devices as `_package_udi` (cloud API, later).
pub const UDI_LEN_MAX: usize = 4_096;
/// How long an upload waits for its package before it is collected: 60 minutes (API, R30).
pub const UPLOAD_LIFE_MINUTES: u16 = 60;
/// How long an upload may take to arrive, in however many requests: a day, as long as a download may (ours).
pub const UPLOAD_ARRIVAL_MINUTES: u16 = 24 * 60;
/// Files of a package of several, at least: a package of one file has no list, because device SDKs read a list of one
/// wrongly.
pub const PACKAGE_FILES_MIN: usize = 2;
/// Files of a package, at most (cloud API, later, R31).
pub const PACKAGE_FILES_MAX: usize = 20;
/// Characters of a file's name within its package (cloud API, later, R31).
pub const PACKAGE_FILE_NAME_LEN_MAX: usize = 32;
/// Characters of an uploaded file's name. Ours: what common file systems allow.
pub const FILE_NAME_LEN_MAX: usize = 255;

/// Bytes of the target image of a delta that the service makes: 20 KB exactly (older document, R35).
pub const DELTA_TARGET_BYTES_MIN: u64 = 20 * 1024;
/// Bytes of an image that a delta is made of. Ours: the source lies in the memory of a function, which has 64 MiB.
pub const DELTA_IMAGE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Bytes of an image that a delta without slices is made of. Ours: the whole target and its patch lie there as well, and
/// one step makes all of it.
pub const DELTA_UNSLICED_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Bytes of the target that one step makes a delta of, unless a delta without slices is longer. Ours: the largest slice.
pub const DELTA_STEP_BYTES: u32 = 2 * 1024 * 1024;
/// Deltas that are being made at once. Ours: they are made one step a tick, so the last of them waits some hours.
pub const OPEN_DELTAS_MAX: usize = 100;
/// How long a dispatcher that makes deltas keeps the others from it, unless it says before that it is done. Ours: far
/// longer than a step takes; making the same step twice does no harm.
pub const DELTA_TURN_MS: u64 = 60_000;

/// Test devices of one verification (API, R44).
pub const VERIFY_DEVICES_MAX: usize = 10;
/// Named devices of one batch request (API, R65).
pub const BATCH_DEVICES_MAX: usize = 200;
/// Rows of an uploaded device list (vendor, R66).
pub const DEVICE_LIST_ROWS_MAX: usize = 10_000;
/// Bytes of an uploaded device list: 5 MB (API, R66).
pub const DEVICE_LIST_BYTES_MAX: u64 = 5 * 1024 * 1024;
/// File suffix of a device list (API).
pub const DEVICE_LIST_SUFFIX: &str = "csv";
/// Regions of one batch. Ours: all provinces of a large country fit.
pub const REGIONS_MAX: usize = 100;
/// Characters of a province's or city's code. Ours.
pub const REGION_CODE_LEN_MAX: usize = 32;
/// Decimals of a gray percentage (API, R71).
pub const GRAY_DECIMALS_MAX: usize = 3;
/// How far ahead a schedule may begin at the least: 5 minutes (vendor, R78).
pub const SCHEDULE_START_MS_MIN: u64 = 5 * 60_000;
/// How far ahead a schedule may begin at the most: 7 days (vendor, R78).
pub const SCHEDULE_START_MS_MAX: u64 = 7 * 24 * 60 * 60_000;
/// How long a schedule lasts at the least: 1 hour (vendor, R79).
pub const SCHEDULE_LENGTH_MS_MIN: u64 = 60 * 60_000;
/// How long a schedule lasts at the most: 30 days (vendor, R79).
pub const SCHEDULE_LENGTH_MS_MAX: u64 = 30 * 24 * 60 * 60_000;
/// How often one device may join one dynamic batch (later console, R112); it also ends a device that bounces between two
/// versions.
pub const DYNAMIC_JOINS_MAX: u8 = 10;
/// Names that a dry run tells of the devices it refuses for one reason. Ours: enough to go and look at some.
pub const DRY_RUN_NAMES_MAX: usize = 5;
/// Points of a batch's history. Ours: some hours by the minute, and enough for a picture of any span; they lie in one value
/// of some 5 KB.
pub const HISTORY_POINTS_MAX: usize = 240;
/// Batches of one product that may run at once where they exclude each other: dynamic ones, and all under the conflict policy
/// `source-version`. Ours: they lie in one value, and a dynamic batch is a part of every shard's.
pub const LANES_MAX: usize = 100;
/// Tasks of one request to confirm or to upgrade again (API, R97, R134).
pub const TASKS_PER_REQUEST_MAX: usize = 10;
/// Changed versions of one shard that wait to be told; beyond that the oldest is forgotten. Ours: some 100 KB of a value.
pub const OUTBOX_EVENTS_MAX: usize = 256;
/// Webhooks of the service. Ours: they lie in one value, and each costs a read in every tick.
pub const WEBHOOKS_MAX: usize = 50;
/// Bytes of a webhook's URL. Ours: what receivers issue stays far below.
pub const WEBHOOK_URL_LEN_MAX: usize = 512;
/// Events of one webhook that wait to be delivered or tried again. Ours: they are a part of one value; what comes later waits
/// in the list of events.
pub const WEBHOOK_PENDING_MAX: usize = 1_000;
/// Deliveries of one webhook that are kept after they were given up; beyond that the oldest is dropped, and counted.
/// Ours: a part of the same value.
pub const WEBHOOK_DEAD_MAX: usize = 500;
/// Deliveries of one webhook that are shown after they were made. Ours: likewise.
pub const WEBHOOK_DELIVERED_MAX: usize = 100;
/// Bytes of what a failed try came to that are kept. Ours: the name of an error fits.
pub const WEBHOOK_ERROR_LEN_MAX: usize = 64;
/// Seconds between a failed try of a delivery and the next; after one try more than these it is given up. Ours, after the
/// example of the Standard Webhooks specification: a receiver may be down for a night and half a day.
pub const WEBHOOK_RETRY_AFTER_SECONDS: [u32; 9] =
    [5, 30, 2 * 60, 10 * 60, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, 24 * 3_600];
/// How much of a wait is added at the most so that not all tries come at once, in percent. Ours.
pub const WEBHOOK_JITTER_PERCENT: u64 = 20;
/// The longest wait that a receiver may ask for with `Retry-After`: 24 h. Ours: as long as the longest of our own.
pub const WEBHOOK_RETRY_AFTER_MS_MAX: u64 = 24 * 3_600_000;
/// How long one try may take: 10 s. Ours: the specification's advice is 15 to 30 s, but ticks are seconds apart.
pub const WEBHOOK_TRY_MS: u64 = 10_000;
/// How long a replaced secret signs beside the new one: 24 h. Ours.
pub const WEBHOOK_SECRET_OVERLAP_MS: u64 = 24 * 3_600_000;
/// How long a dispatcher that delivers to a webhook keeps the others from it, unless it says before that it is done. Ours:
/// longer than a tick delivers and a try takes; delivering twice does no harm.
pub const WEBHOOK_TURN_MS: u64 = 60_000;

/// Devices of one request to cancel tasks by device (API, R153).
pub const CANCEL_DEVICES_MAX: usize = 200;
/// Tasks of one page of a list (API, R173).
pub const TASK_PAGE_SIZE_MAX: usize = 100;
/// Device names that a task list may ask for in place of pages (API, R173).
pub const TASK_NAMES_MAX: usize = 50;
/// Source versions of one batch (API, R59).
pub const SOURCE_VERSIONS_MAX: usize = 10;
/// Pushes per minute of a batch (vendor, R81).
pub const PUSH_PER_MINUTE_MIN: u32 = 10;
/// Pushes per minute of a batch (vendor, R81); also the default (API).
pub const PUSH_PER_MINUTE_MAX: u32 = 1_000;
/// Pushes per minute of a batch when the service setting `fast_push` is on (later API).
pub const PUSH_PER_MINUTE_MAX_FAST: u32 = 10_000;
/// Minutes until an upgrade that began fails (vendor, R84).
pub const TIMEOUT_MINUTES_MAX: u16 = 1_440;
/// Minutes between a failure and the next attempt (vendor, R82).
pub const RETRY_AFTER_MINUTES: [u16; 5] = [0, 10, 30, 60, 1_440];
/// How many times an upgrade may be tried again (vendor, R83).
pub const RETRY_COUNTS: [u8; 3] = [1, 2, 5];
/// Tags of one batch (cloud API, R86).
pub const TAGS_MAX: usize = 10;
/// Characters of a tag key (cloud API, R86).
pub const TAG_KEY_LEN_MAX: usize = 30;
/// Characters of a tag value (cloud API, R86).
pub const TAG_VALUE_LEN_MAX: usize = 1_024;
/// Characters of all tags of a batch together (cloud API, R86).
pub const TAGS_LEN_MAX: usize = 4_096;

/// Characters of a device name (API).
pub const DEVICE_NAME_LEN_MIN: usize = 4;
/// Characters of a device name (API).
pub const DEVICE_NAME_LEN_MAX: usize = 32;
/// Characters of a product key (vendor's device source).
pub const PRODUCT_KEY_LEN_MAX: usize = 20;
/// Characters of a product name, a Chinese character counting two (API).
pub const PRODUCT_NAME_LEN_MIN: usize = 4;
/// Characters of a product name, a Chinese character counting two (API).
pub const PRODUCT_NAME_LEN_MAX: usize = 30;
/// Products of one account. Ours: the catalogue of products is one value of the store (256 KiB).
pub const PRODUCTS_MAX: usize = 1_000;
/// Devices registered by one request. Ours: keeps a request's work to a handful of shards.
pub const REGISTER_DEVICES_MAX: usize = 1_000;
/// Module versions kept for one device: its modules and `default`.
pub const DEVICE_MODULES_MAX: usize = MODULES_PER_PRODUCT_MAX + 1;
/// Characters of a device's `desc` that are kept. Ours: devices send whole log lines.
pub const TASK_DESC_LEN_MAX: usize = 256;
/// Bytes of a message from a device (vendor's limits page: 256 KB).
pub const DEVICE_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Characters of a message id that is echoed. Ours; the documents say 0..4294967295.
pub const MESSAGE_ID_LEN_MAX: usize = 64;

/// Sub-devices of one gateway, logged in or not (vendor's limits page: 1,500 online at the same time, R168). One limit
/// serves for both, so that no login can fail for it; the list is one value of the store (256 KiB).
pub const SUB_DEVICES_MAX: usize = 1_500;
/// Sub-devices of one login or logout of several (vendor: 5, later 50).
pub const SUB_DEVICES_PER_LOGIN_MAX: usize = 50;
/// Sub-devices that one request gives to a gateway. Ours: each costs some operations of the store.
pub const SUB_DEVICES_PER_REQUEST_MAX: usize = 100;

/// Characters of the client id's part before the first `|` that is signed (vendor: 64).
pub const CLIENT_ID_LEN_MAX: usize = 64;

/// Characters of a sub-device's client id, which is signed whole (ours: what the broker takes of a client id).
pub const SUB_DEVICE_CLIENT_ID_LEN_MAX: usize = 256;

/// How long a download URL lives: 24 h (vendor, R160).
pub const URL_LIFE_MS: u64 = 24 * 60 * 60 * 1000;
/// Bytes of the path and query of a download URL, exclusive (device SDKs' buffer).
pub const URL_PATH_LEN_MAX: usize = 256;

/// Bits of a product's RSA key: the fewest that device SDKs take (device SDK, R40), and what they have buffers for.
pub const SIGNING_KEY_BITS: usize = 2_048;
/// Characters of the secret that key pairs and webhooks' secrets are sealed under. Ours: 128 bits in hexadecimal.
pub const SECRETS_KEY_LEN_MIN: usize = 32;
/// Characters of the secret that key pairs and webhooks' secrets are sealed under. Ours: no more than that is worth reading.
pub const SECRETS_KEY_LEN_MAX: usize = 1_024;
/// Bytes of a file that is downloaded over MQTT: 16 MB (cloud API, later, R165).
pub const MQTT_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of one block of such a file. Ours: with its JSON it stays far below the 256 KB of an MQTT message (vendor's
/// limits page), and shipped devices ask for 5 to 10 KiB.
pub const BLOCK_BYTES_MAX: u64 = 128 * 1024;
/// Bytes of a block that is sent when a longer one did not get through. Ours: Spin's MQTT client sends no message of more
/// than 10 KiB.
pub const SHORT_BLOCK_BYTES: usize = 8 * 1024;
/// Characters of a `fileToken` that is echoed (device SDK's buffer: 128 bytes).
pub const FILE_TOKEN_LEN_MAX: usize = 127;

/// How long after connecting a device may stay silent before it is pushed to. A device that has just rebooted into
/// the new image needs the time to say so, or it would be told to upgrade again (the documents leave the wait open).
pub const SETTLE_MS: u64 = 5_000;
/// How long a push may take from the moment its rate token was granted to its publishing. A dispatcher that is
/// slower gives the push up, and the rate window is longer than a minute by as much: so no 60 s window ever sees
/// more than the rate, whenever the publishing happened within the grant (R93).
pub const PUSH_GRANT_MS: u64 = 5_000;
/// The rate window: one minute (R93).
pub const RATE_WINDOW_MS: u64 = 60_000;

/// Items of one page of a list, unless the request asks for fewer (API: 100 to 200).
pub const PAGE_SIZE_MAX: usize = 200;
/// Items of one page of a list when the request does not say.
pub const PAGE_SIZE_DEFAULT: usize = 50;
/// Bytes of a JSON request body. Ours: 200 device names and ten long tags fit many times over.
pub const JSON_BODY_BYTES_MAX: usize = 256 * 1024;
/// Characters of an `Idempotency-Key` header (the IETF draft leaves it open).
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 128;

/// Tokens of one account. Ours: the list of them is one value of the store (256 KiB).
pub const TOKENS_MAX: usize = 200;
/// Characters of a token's name. Ours.
pub const TOKEN_NAME_LEN_MAX: usize = 64;
/// Products that a token may be bound to. Ours: the list of tokens is one value of the store (256 KiB).
pub const TOKEN_PRODUCTS_MAX: usize = 50;
/// Days until a token expires, if it does. Ours: ten years are as good as for ever, and the clock can tell them.
pub const TOKEN_LIFE_DAYS_MAX: u32 = 3_650;
/// Names that the subject of an entry of the audit log tells; of more it tells how many there are. Ours: an entry is read
/// and written with those beside it.
pub const AUDIT_SUBJECT_NAMES_MAX: usize = 10;
/// Bytes of such a subject. Ours: as many of the longest names, which are those of tasks.
pub const AUDIT_SUBJECT_BYTES_MAX: usize = 768;
/// Refused attempts of one caller that the audit log lists within a day, as far as they lie among its newest entries.
/// Ours: whoever may change nothing should not be able to push the changes out of the log.
pub const AUDIT_REFUSED_PER_DAY_MAX: usize = 8;

/// How far the `Timestamp` of a signed cloud API request may be from the service's clock, either way: 15 minutes (cloud
/// API, R177).
pub const CLOUD_CLOCK_SKEW_MS: u64 = 15 * 60_000;
/// Parameters of one cloud API request. Ours: 200 device names and ten tags fit several times over.
pub const CLOUD_PARAMETERS_MAX: usize = 1_000;
/// Bytes of the query of a cloud API request. Ours: 200 encoded device names and ten long tags fit; what is longer goes
/// into the body.
pub const CLOUD_QUERY_BYTES_MAX: usize = 64 * 1024;
/// Characters of a `SignatureNonce`. Ours; the documents show a UUID.
pub const CLOUD_NONCE_LEN_MAX: usize = 128;
/// Values that used nonces are spread over. Ours: requests at the same time rarely meet in one of them.
pub const CLOUD_NONCE_VALUES: u8 = 16;
/// Nonces of one such value. Ours: it stays below 256 KiB, and all of them together bear some 35 requests a second.
pub const CLOUD_NONCES_PER_VALUE_MAX: usize = 4_096;
/// The last item that a numbered page of a list may reach: page times size (cloud API, later, R174).
pub const LIST_REACH_MAX: usize = 100_000;
/// Jobs of one page of the cloud API (cloud API).
pub const CLOUD_JOBS_PAGE_MAX: usize = 200;
/// Jobs of a device, or packages, of one page of the cloud API (cloud API).
pub const CLOUD_PAGE_MAX: usize = 100;
/// Items of a page of the cloud API's list of tasks when the request does not say. Ours.
pub const CLOUD_PAGE_DEFAULT: usize = 20;
