//! `overair batch create --dry-run`: the parts of a large fleet, added up.

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Context;
use crate::client::Answer;
use crate::failure::Failure;
use crate::output::{Column, Section, View};

/// Parts of one dry run at most: far more than a fleet of many millions has.
const PARTS_MAX: usize = 10_000;
/// Names that are shown for one reason: those of the first part that has some.
const NAMES_MAX: usize = 5;

const VIEW: View = View {
    id: "devices",
    order: &["devices", "minutes_at_rate", "walked"],
    sections: &[Section {
        field: "refused",
        columns: &[
            Column::of("REFUSED", "code"),
            Column::of("COUNT", "count"),
            Column::of("SUCH AS", "devices"),
        ],
    }],
};

/// What the service answers, and what several answers come to.
#[derive(Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
struct Sum {
    devices: u64,
    minutes_at_rate: Option<u64>,
    walked: bool,
    refused: Vec<Refused>,
    #[serde(skip_serializing)]
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
struct Refused {
    code: String,
    count: u64,
    devices: Vec<String>,
}

impl Sum {
    /// Adds the next part. The minutes of a part are those of all up to it.
    fn add(&mut self, part: Self) {
        self.devices += part.devices;
        self.minutes_at_rate = part.minutes_at_rate;
        self.walked = part.walked;
        self.next_cursor = part.next_cursor;
        for mut refused in part.refused {
            match self.refused.iter_mut().find(|known| known.code == refused.code) {
                Some(known) => {
                    known.count += refused.count;
                    known.devices.append(&mut refused.devices);
                    known.devices.truncate(NAMES_MAX);
                }
                None => self.refused.push(refused),
            }
        }
    }
}

/// Tells what the batch of this request would do.
pub(super) async fn run(body: &Value, context: &Context) -> Result<(), Failure> {
    let mut sum = Sum::default();
    for _ in 0..PARTS_MAX {
        let call = context.client.post(&["v1", "batches"]).json(body.clone()).repeatable();
        let call = call.query("dry_run", Some(true)).query("cursor", sum.next_cursor.take());
        sum.add(call.send().await?.read()?);
        if sum.next_cursor.is_none() {
            let text = serde_json::to_string(&sum).context("the sum of the parts")?;
            return context.output.show(&Answer { text }, &VIEW);
        }
    }
    Err(anyhow!("the dry run has more than {PARTS_MAX} parts").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn part(devices: u64, minutes: u64, refused: Value, next: Option<&str>) -> Sum {
        let told = json!({
            "devices": devices, "minutes_at_rate": minutes, "walked": next.is_none(), "refused": refused,
            "next_cursor": next,
        });
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn parts_add_up() {
        let mut sum = Sum::default();
        let busy =
            |count: u64, names: Value| json!({"code": "device-busy", "count": count, "devices": names});
        sum.add(part(10, 1, json!([busy(1, json!(["a"]))]), Some("1")));
        let there = json!({"code": "at-target", "count": 9, "devices": ["b", "c"]});
        sum.add(part(5, 2, json!([there, busy(7, json!(["d", "e", "f", "g", "h"]))]), None));
        let expected = json!({
            "devices": 15, "minutes_at_rate": 2, "walked": true,
            "refused": [busy(8, json!(["a", "d", "e", "f", "g"])), there],
        });
        assert_eq!(serde_json::to_value(&sum).unwrap(), expected);
    }
}
