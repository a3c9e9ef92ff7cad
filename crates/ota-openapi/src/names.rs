//! What examples call things, and what the names in paths look like.
//!
//! Ids are random. Those of the examples stand for ones that a test makes before it sends an example as it is written here.

use crate::schema::{Schema, device_name, id, module_name, product_key};

/// A product.
pub const PRODUCT_KEY: &str = "a1kx7mn4pq2w";
/// Another one, of a sub-device.
pub const SUB_PRODUCT_KEY: &str = "a1b3c5d7e9f2";
/// A device of the product.
pub const DEVICE: &str = "lamp-1";
/// A device of the other product.
pub const SUB_DEVICE: &str = "bulb-1";
/// A module of the product.
pub const MODULE: &str = "mcu";
/// An upload.
pub const UPLOAD_ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
/// Another upload.
pub const OTHER_UPLOAD_ID: &str = "1b2c3d4e5f60718293a4b5c6d7e8f90a";
/// A package.
pub const PACKAGE_ID: &str = "2c3d4e5f60718293a4b5c6d7e8f90a1b";
/// A package of an older version.
pub const OLDER_PACKAGE_ID: &str = "3d4e5f60718293a4b5c6d7e8f90a1b2c";
/// A delta.
pub const DELTA_ID: &str = "4e5f60718293a4b5c6d7e8f90a1b2c3d";
/// A batch.
pub const BATCH_ID: &str = "5f60718293a4b5c6d7e8f90a1b2c3d4e";
/// A webhook.
pub const WEBHOOK_ID: &str = "60718293a4b5c6d7e8f90a1b2c3d4e5f";
/// A delivery to it.
pub const DELIVERY_ID: &str = "718293a4b5c6d7e8f90a1b2c3d4e5f60";
/// A token.
pub const TOKEN_ID: &str = "8293a4b5c6d7e8f90a1b2c3d4e5f6071";
/// The start of a schedule.
pub const START_AT: u64 = 1_700_003_600_000;
/// Its end.
pub const END_AT: u64 = 1_700_014_400_000;
/// The moment a download's URL expires, as it says it.
pub const URL_EXPIRES: &str = "6554b180";
/// The signature of a download's URL.
pub const URL_SIGNATURE: &str = "93a4b5c6d7e8f90a1b2c3d4e5f607182";

/// A name that a path leaves open.
pub(crate) struct Name {
    name: &'static str,
    /// What an example calls it.
    pub(crate) example: &'static str,
    /// What it looks like.
    pub(crate) schema: fn() -> Schema,
}

const fn named(name: &'static str, example: &'static str, schema: fn() -> Schema) -> Name {
    Name { name, example, schema }
}

/// Every name of every path.
const NAMES: &[Name] = &[
    named("product_key", PRODUCT_KEY, product_key),
    named("sub_product_key", SUB_PRODUCT_KEY, product_key),
    named("device_name", DEVICE, device_name),
    named("sub_name", SUB_DEVICE, device_name),
    named("upload_id", UPLOAD_ID, id),
    named("package_id", PACKAGE_ID, id),
    named("delta_id", DELTA_ID, id),
    named("batch_id", BATCH_ID, id),
    named("webhook_id", WEBHOOK_ID, id),
    named("delivery_id", DELIVERY_ID, id),
    named("token_id", TOKEN_ID, id),
    named("n", "2", number),
];
/// What `{name}` is depends on what stands before it.
const MODULE_NAME: Name = named("name", MODULE, module_name);
const DEVICE_NAME: Name = named("name", DEVICE, device_name);

fn number() -> Schema {
    let max = ota_core::limits::PACKAGE_FILES_MAX as u64;
    crate::schema::whole().range(1_u64, max).says("Which of several files, counted from 1.")
}

impl Name {
    /// Finds what a path means by a name.
    pub(crate) fn of(path: &str, name: &str) -> Option<&'static Self> {
        match name {
            "name" if path.contains("/modules/{name}") => Some(&MODULE_NAME),
            "name" => Some(&DEVICE_NAME),
            _ => NAMES.iter().find(|known| known.name == name),
        }
    }
}
