//! What devices tell their watchers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

/// Something a device did or saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since 1970 UTC.
    pub at: u64,
    /// Which device.
    pub device: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a device did or saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// The broker let it in.
    Online,
    /// Its connection ended, or there was none to be had.
    Offline {
        /// Why.
        why: String,
    },
    /// It told its version.
    Informed {
        /// The version.
        version: String,
    },
    /// It was told to upgrade and begins.
    Told {
        /// The version to upgrade to.
        version: String,
        /// Bytes to download.
        size: u64,
    },
    /// It reported progress.
    Progress {
        /// 0 to 100.
        percent: u8,
    },
    /// Its download was cut; it goes on from there.
    Cut {
        /// Bytes received so far.
        at: u64,
    },
    /// It reported that its upgrade failed.
    Failed {
        /// -1 to -4.
        step: i8,
        /// Its words.
        desc: String,
    },
    /// It runs the new version and has told so.
    Upgraded {
        /// The new version.
        version: String,
    },
    /// The service sent something that some shipped device would choke on.
    Complaint {
        /// What.
        text: String,
    },
    /// It gave up for good: it does not run any more.
    GaveUp {
        /// Why.
        why: String,
    },
}

impl Event {
    /// Notes what a device did just now.
    pub(crate) fn now(device: &str, what: What) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Self { at: u64::try_from(at).unwrap_or(u64::MAX), device: device.to_owned(), what }
    }

    /// Tells what matters to people; `None` of what comes too often.
    pub fn in_words(&self) -> Option<String> {
        let what = match &self.what {
            What::Online | What::Progress { .. } => return None,
            What::Offline { why } => format!("offline: {why}"),
            What::Informed { version } => format!("runs {version}"),
            What::Told { version, size } => format!("is told to upgrade to {version}, {size} bytes"),
            What::Cut { at } => format!("lost its download at {at} bytes"),
            What::Failed { step, desc } => format!("failed, {step}: {desc}"),
            What::Upgraded { version } => format!("is upgraded to {version}"),
            What::Complaint { text } => format!("complains: {text}"),
            What::GaveUp { why } => format!("gave up: {why}"),
        };
        Some(format!("{} {what}", self.device))
    }
}

/// Where a device's events go: nowhere, or to whoever watches.
pub(crate) type Watcher = Option<UnboundedSender<Event>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_flat_line_of_json() {
        let failed = What::Failed { step: -3, desc: "digest mismatch".into() };
        let event = Event { at: 5, device: "lamp-1".into(), what: failed };
        let line = serde_json::to_string(&event).unwrap();
        let wanted = r#"{"at":5,"device":"lamp-1","event":"failed","step":-3,"desc":"digest mismatch"}"#;
        assert_eq!(line, wanted);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
}
