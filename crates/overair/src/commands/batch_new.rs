//! `overair batch create`: every policy of a batch as an option.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use serde_json::{Value, json};

use super::{Body, Context, batch, dry_run, tags};
use crate::failure::Failure;
use crate::parse;
use crate::upload::upload;

#[derive(Args)]
#[command(group = ArgGroup::new("selection").required(true))]
pub(crate) struct Arguments {
    /// The package, verified or in no need of it.
    #[arg(long)]
    package: String,
    /// The package's product, refused if it is another one.
    #[arg(long)]
    product: Option<String>,

    /// Upgrades every eligible device.
    #[arg(long, group = "selection", help_heading = "Which devices")]
    all: bool,
    /// Upgrades these devices, up to 200.
    #[arg(
        long = "device",
        group = "selection",
        value_name = "DEVICE",
        value_delimiter = ',',
        help_heading = "Which devices"
    )]
    devices: Vec<String>,
    /// Upgrades the devices named in a file: one name a line, or several with commas between, up to 10,000.
    #[arg(long, group = "selection", value_name = "FILE.csv", help_heading = "Which devices")]
    devices_from: Option<PathBuf>,
    /// Upgrades so many in a hundred, chosen at random.
    #[arg(
        long,
        group = "selection",
        value_name = "PERCENT",
        value_parser = parse::percent,
        help_heading = "Which devices"
    )]
    gray: Option<String>,
    /// Upgrades the devices located there.
    #[arg(
        long = "region",
        group = "selection",
        value_name = "PROVINCE[/CITY]",
        value_parser = parse::region,
        help_heading = "Which devices"
    )]
    regions: Vec<(String, Option<String>)>,
    /// The versions that are upgraded, up to 10; any otherwise.
    #[arg(
        long = "source-version",
        value_name = "VERSION",
        value_delimiter = ',',
        help_heading = "Which devices"
    )]
    source_versions: Vec<String>,
    /// Takes devices that come to match later as well, until the batch is canceled.
    #[arg(long, help_heading = "Which devices")]
    dynamic: bool,
    /// Leaves the devices of now alone until they report another version.
    #[arg(long, requires = "dynamic", help_heading = "Which devices")]
    new_reports_only: bool,

    /// Begins then: `2030-01-31T22:00:00Z`, or `+2h` from now.
    #[arg(long, value_name = "TIME", value_parser = parse::moment, help_heading = "When")]
    start_at: Option<u64>,
    /// Cancels then what has not begun.
    #[arg(long, value_name = "TIME", value_parser = parse::moment, requires = "start_at", help_heading = "When")]
    end_at: Option<u64>,
    /// Cancels then what has begun as well.
    #[arg(long, requires = "end_at", help_heading = "When")]
    hard_stop: bool,
    /// Tells so many devices a minute at most: 10 to 1,000.
    #[arg(long, value_name = "PUSHES", help_heading = "When")]
    rate: Option<u32>,

    /// Counts a device as failed that takes longer from its first progress on; in minutes, or such as `1h`.
    #[arg(long, value_name = "MINUTES", value_parser = parse::minutes, help_heading = "What if it fails")]
    timeout: Option<u64>,
    /// Tries again after so long: 0, 10, 30, 60 or 1440 minutes.
    #[arg(
        long,
        value_name = "MINUTES",
        value_parser = parse::minutes,
        requires = "retry_count",
        help_heading = "What if it fails"
    )]
    retry_after: Option<u64>,
    /// Tries again so often: 1, 2 or 5 times.
    #[arg(long, value_name = "N", requires = "retry_after", help_heading = "What if it fails")]
    retry_count: Option<u64>,

    /// Replaces tasks of older batches that have not begun.
    #[arg(long, help_heading = "How")]
    overwrite: bool,
    /// Occupies the package's module only, so that a device may be in a batch for each module.
    #[arg(long, help_heading = "How")]
    multi_module: bool,
    /// Devices get the upgrade when they ask, and are not told of it.
    #[arg(long, help_heading = "How")]
    no_push: bool,
    /// Each task waits for consent first (`overair task confirm`).
    #[arg(long, help_heading = "How")]
    needs_confirmation: bool,
    /// How devices download: https or mqtt.
    #[arg(long, value_name = "PROTOCOL", help_heading = "How")]
    download_protocol: Option<String>,
    /// Pairs that devices are told, up to 10.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse::pair, help_heading = "How")]
    tags: Vec<(String, String)>,

    /// Makes nothing, and tells which devices would be upgraded.
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Watches the batch until it ends.
    #[arg(long)]
    watch: bool,
}

/// Makes a batch, or tells what it would be.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let list = match &arguments.devices_from {
        Some(path) => Some(upload(context, path).await?),
        None => None,
    };
    let body = arguments.body(list.as_ref().map(|list| list.id.as_str()));
    if arguments.dry_run {
        return dry_run::run(&body, context).await;
    }
    let answer = context.client.post(&["v1", "batches"]).json(body).once_only()?.send().await?;
    if let Some(list) = list {
        list.taken();
    }
    if arguments.watch {
        let id = answer.text_of("batch_id")?;
        context.output.note(&format!("batch {id}"));
        return batch::until_ended(&id, None, context).await;
    }
    context.output.show(&answer, &batch::VIEW)
}

impl Arguments {
    fn target(&self, list: Option<&str>) -> Value {
        if let Some(list) = list {
            json!({ "selection": "specific", "device_list": list })
        } else if !self.devices.is_empty() {
            json!({ "selection": "specific", "devices": self.devices })
        } else if let Some(percent) = &self.gray {
            json!({ "selection": "gray", "gray_percent": percent })
        } else if !self.regions.is_empty() {
            let region = |(province, city): &(String, Option<String>)| {
                Body::default().with("province", Some(province.clone())).with("city", city.clone()).done()
            };
            json!({ "selection": "region", "regions": self.regions.iter().map(region).collect::<Vec<_>>() })
        } else {
            json!({ "selection": "all" })
        }
    }

    fn body(&self, list: Option<&str>) -> Value {
        let schedule = self.start_at.map(|start_at| {
            let schedule = Body::default().with("start_at", Some(start_at)).with("end_at", self.end_at);
            schedule.with_flag("hard_stop", self.hard_stop).done()
        });
        let retry = self.retry_after.zip(self.retry_count);
        let retry = retry.map(|(after, count)| json!({ "after_minutes": after, "count_max": count }));
        Body::default()
            .with("package_id", Some(self.package.clone()))
            .with("product_key", self.product.clone())
            .with("mode", self.dynamic.then_some("dynamic"))
            .with_flag("new_reports_only", self.new_reports_only)
            .with("target", Some(self.target(list)))
            .with_list("source_versions", &self.source_versions)
            .with("schedule", schedule)
            .with("push_per_minute_max", self.rate)
            .with("timeout_minutes", self.timeout)
            .with("retry", retry)
            .with_flag("overwrite", self.overwrite)
            .with_flag("multi_module", self.multi_module)
            .with("push", self.no_push.then_some(false))
            .with_flag("needs_confirmation", self.needs_confirmation)
            .with("download_protocol", self.download_protocol.clone())
            .with("tags", tags(&self.tags))
            .done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn body(line: &str) -> Option<Value> {
        let words = ["create", "--package", "p"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).ok().map(|line| line.arguments.body(None))
    }

    #[test]
    fn every_policy_has_its_option() {
        let line = "--gray 10% --product a1 --source-version 1.0,1.1 --start-at 1970-01-01T00:00:01Z --end-at 9000 \
                    --hard-stop --rate 100 --timeout 1h --retry-after 10m --retry-count 2 --overwrite --multi-module \
                    --no-push --needs-confirmation --download-protocol mqtt --tag a=b --tag c=d=e";
        let wanted = json!({
            "package_id": "p", "product_key": "a1",
            "target": { "selection": "gray", "gray_percent": "10" },
            "source_versions": ["1.0", "1.1"],
            "schedule": { "start_at": 1000, "end_at": 9000, "hard_stop": true },
            "push_per_minute_max": 100, "timeout_minutes": 60,
            "retry": { "after_minutes": 10, "count_max": 2 },
            "overwrite": true, "multi_module": true, "push": false, "needs_confirmation": true,
            "download_protocol": "mqtt", "tags": [{ "key": "a", "value": "b" }, { "key": "c", "value": "d=e" }],
        });
        assert_eq!(body(line), Some(wanted));
        let dynamic = json!({
            "package_id": "p", "mode": "dynamic", "new_reports_only": true,
            "target": { "selection": "region", "regions": [{ "province": "33" }, { "province": "11", "city": "1" }] },
        });
        assert_eq!(body("--dynamic --new-reports-only --region 33 --region 11/1"), Some(dynamic));
    }

    #[test]
    fn who_is_upgraded_is_said_and_said_once() {
        assert_eq!(body(""), None);
        assert_eq!(body("--all --gray 10"), None);
        assert_eq!(body("--all --device lamp-1"), None);
        let all = json!({ "package_id": "p", "target": { "selection": "all" } });
        assert_eq!(body("--all"), Some(all));
    }

    #[test]
    fn half_a_policy_is_refused() {
        for line in [
            "--end-at +2h",
            "--retry-after 10",
            "--retry-count 1",
            "--new-reports-only",
            "--start-at +1h --hard-stop",
        ] {
            assert_eq!(body(&format!("--all {line}")), None, "{line}");
        }
    }
}
