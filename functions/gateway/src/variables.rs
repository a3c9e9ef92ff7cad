//! What variables are worth that nobody has set, as in `spin.toml`.

/// The defaults. Those of addresses are not among them: none fits elsewhere than on the machine of a developer.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("access_key_id", ""),
    ("access_key_secret", ""),
    ("mqtt_username", "overair-service"),
    ("blob_store", "key-value"),
    ("s3_endpoint", ""),
    ("s3_bucket", ""),
    ("s3_region", "us-east-1"),
    ("s3_access_key_id", ""),
    ("s3_secret_access_key", ""),
];
