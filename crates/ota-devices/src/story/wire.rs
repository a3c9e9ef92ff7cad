//! The answers of the REST API: the fields that the story looks at.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
pub(super) struct Product {
    pub(super) product_key: String,
}

#[derive(Deserialize)]
pub(super) struct Device {
    pub(super) name: String,
    #[serde(default)]
    pub(super) versions: Vec<ModuleVersion>,
}

#[derive(Deserialize)]
pub(super) struct ModuleVersion {
    pub(super) module: String,
    pub(super) version: String,
}

impl Device {
    /// Returns the version of the whole device, if it has told one.
    pub(super) fn version(&self) -> Option<&str> {
        self.versions.iter().find(|v| v.module == "default").map(|v| v.version.as_str())
    }
}

#[derive(Deserialize)]
pub(super) struct Upload {
    pub(super) upload_id: String,
    pub(super) sha256: String,
    pub(super) size: u64,
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) package_id: String,
}

#[derive(Deserialize)]
pub(super) struct Verification {
    pub(super) status: String,
    #[serde(default)]
    pub(super) progress_percent: u8,
    #[serde(default)]
    pub(super) tasks: Vec<Task>,
}

#[derive(Deserialize)]
pub(super) struct Batch {
    pub(super) batch_id: String,
    pub(super) status: String,
    pub(super) counts: Counts,
}

/// How many tasks of a batch have which status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) queued: u64,
    pub(super) notified: u64,
    pub(super) in_progress: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) canceled: u64,
}

impl Counts {
    /// Returns how many tasks have ended.
    pub(super) const fn ended(&self) -> u64 {
        self.succeeded + self.failed + self.canceled
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Task {
    pub(super) device_name: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) reason: Option<Reason>,
}

/// Why a task ended as it did.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Reason {
    pub(super) code: String,
    #[serde(default)]
    pub(super) description: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)
    }
}
