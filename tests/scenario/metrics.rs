//! What a monitoring system is told.

use std::collections::{BTreeMap, BTreeSet};

use metrics::families::{FAMILIES, Family, Kind};
use ota_tests::{Answer, Call, World, json, minutes, seconds};
use prometheus_parse::{Scrape, Value as Number};

/// The samples of a scrape by their names with labels, as in `overair_packages{product=a1}`.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = Scrape::parse(lines).expect("the text is in the format");
    let sample = |sample: prometheus_parse::Sample| {
        let mut labels: Vec<String> =
            sample.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
        labels.sort();
        let number = match sample.value {
            Number::Counter(number) | Number::Gauge(number) => number,
            other => panic!("{} is {other:?}", sample.metric),
        };
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        (format!("{}{labels}", sample.metric), number)
    };
    let count = scrape.samples.len();
    let samples: BTreeMap<String, f64> = scrape.samples.into_iter().map(sample).collect();
    assert_eq!(samples.len(), count, "a sample is told twice");
    samples
}

fn text(answer: Answer) -> String {
    String::from_utf8(answer.expect(200).body).expect("text")
}

fn scrape(world: &World) -> BTreeMap<String, f64> {
    samples(&text(world.send(&Call::get("/metrics"))))
}

#[track_caller]
fn told(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    *samples.get(name).unwrap_or_else(|| panic!("{name} is not told: {samples:#?}"))
}

/// A world in which every family has a sample.
fn busy_world() -> World {
    let world = World::new().product("lamp").devices(4);
    let package = world.ready_package("1.1.0");
    let _batch = world.batch(&package, json!({}));
    let hook = json!({"url": "https://example.com/hook"});
    let _made = world.send(&Call::post("/v1/webhooks", &hook)).expect(201);
    world.run(minutes(1));
    world
}

#[test]
fn every_metric_has_its_name_help_type_and_labels_as_the_conventions_want_them() {
    let text = text(busy_world().send(&Call::get("/metrics")));
    let mut open: Option<&Family> = None;
    let mut seen = BTreeSet::new();
    let mut lines = text.lines().peekable();
    assert!(text.ends_with('\n') && lines.peek().is_some());
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help has words");
            let family = FAMILIES.iter().find(|family| family.name == name).expect("a family of the table");
            assert!(seen.insert(name.to_owned()), "{name} begins twice");
            assert_eq!(help, family.help);
            assert_eq!(lines.next(), Some(format!("# TYPE {name} {}", family.kind.as_str()).as_str()));
            assert!(lines.peek().is_some_and(|next| next.starts_with(name)), "{name} has no sample");
            open = Some(family);
            continue;
        }
        let family = open.expect("a sample comes after its family's help");
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        assert_eq!(name, family.name, "samples of one family stand together");
    }
    let all: BTreeSet<String> = FAMILIES.iter().map(|family| family.name.to_owned()).collect();
    assert_eq!(seen, all, "a family has no sample in a busy world");
    for (sample, _) in samples(&text) {
        let (name, labels) = sample.split_once('{').unwrap_or((&sample, ""));
        let labels: BTreeSet<&str> = labels
            .trim_end_matches('}')
            .split(',')
            .filter_map(|pair| Some(pair.split_once('=')?.0))
            .collect();
        let family = FAMILIES.iter().find(|family| family.name == name).expect("a family of the table");
        assert_eq!(labels, family.labels.iter().copied().collect(), "{sample}");
    }
}

/// What `promtool check metrics` finds fault with.
#[test]
fn the_table_of_metrics_passes_the_linters_rules() {
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.contains("__")
    };
    let mut names = BTreeSet::new();
    for Family { name, kind, help, labels, .. } in FAMILIES {
        assert!(names.insert(name), "{name} is there twice");
        assert!(is_name(name) && name.starts_with("overair_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            *kind == Kind::Counter,
            "{name}: counters, and only they, are totals"
        );
        assert!(help.ends_with('.') && !help.contains(['\n', '\\']), "{name}: {help}");
        for part in name.split('_') {
            let bad = [
                "gauge",
                "counter",
                "ms",
                "milliseconds",
                "sec",
                "minutes",
                "hours",
                "count",
                "bucket",
                "sum",
            ];
            assert!(!bad.contains(&part), "{name}: {part}");
        }
        assert!(!name.contains("timestamp") || name.ends_with("_timestamp_seconds"), "{name}");
        for &label in *labels {
            let reserved = ["job", "instance", "le", "quantile"];
            assert!(is_name(label) && !reserved.contains(&label), "{name}: {label}");
        }
    }
}

#[test]
fn batches_and_their_tasks_are_counted_by_product_and_status() {
    let world = World::new().product("lamp").devices(3);
    let key = world.product_key();
    let package = world.ready_package("1.1.0");
    let batches = |status: &str| format!("overair_batches{{product={key},status={status}}}");
    let tasks = |status: &str| format!("overair_batch_tasks{{product={key},status={status}}}");
    let empty = scrape(&world);
    assert_eq!((told(&empty, &batches("in-progress")), told(&empty, &tasks("failed"))), (0.0, 0.0));
    assert_eq!(told(&empty, &format!("overair_packages{{product={key}}}")), 1.0);
    assert_eq!(told(&empty, &format!("overair_product_info{{name=lamp,product={key}}}")), 1.0);
    world.device("lamp-3").disconnect();
    let _batch = world.batch(&package, json!({}));
    let start = world.now_ms() + minutes(30);
    let named = json!({"selection": "specific", "devices": ["lamp-1"]});
    let later = json!({"target": named, "schedule": {"start_at": start}, "overwrite": false});
    let _planned = world.batch(&package, later);
    world.run(minutes(1));
    let busy = scrape(&world);
    assert_eq!(told(&busy, &batches("in-progress")), 1.0);
    assert_eq!(told(&busy, &batches("planned")), 0.0, "its only task has failed, for the device was busy");
    assert_eq!((told(&busy, &tasks("notified")), told(&busy, &tasks("queued"))), (2.0, 1.0));
    assert_eq!(told(&busy, "overair_batches_made_total"), 2.0);
    world.device("lamp-1").progress(-1, "");
    world.run(seconds(10));
    assert_eq!(told(&scrape(&world), &tasks("failed")), 1.0);
}

#[test]
fn a_batch_that_stands_still_shows_by_its_age() {
    let world = World::new().product("lamp").devices(2);
    let key = world.product_key();
    let progress = format!("overair_batch_oldest_progress_timestamp_seconds{{product={key}}}");
    let walk = format!("overair_batch_oldest_walk_timestamp_seconds{{product={key}}}");
    assert!(!scrape(&world).contains_key(&progress), "where there is no batch there is no age");
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.run(seconds(5));
    let began = world.now_ms();
    let age = |name: &str| world.now_ms() as f64 / 1000.0 - told(&scrape(&world), name);
    world.run(minutes(30));
    assert!((age(&progress) - (world.now_ms() - began) as f64 / 1000.0).abs() < 10.0, "{}", age(&progress));
    assert!(age(&walk) < 10.0);
    world.advance(minutes(10));
    assert!(age(&walk) > 590.0, "nobody ticks");
    world.device("lamp-1").upgrade();
    world.run(seconds(5));
    assert!(age(&progress) < 10.0);
    world.device("lamp-2").upgrade();
    world.run(seconds(10));
    assert!(!scrape(&world).contains_key(&progress), "it has ended");
}

#[test]
fn the_dispatcher_is_seen_to_tick_and_to_have_stopped() {
    let world = World::new().product("lamp");
    let tick = "overair_dispatcher_last_tick_timestamp_seconds";
    assert!(!scrape(&world).contains_key(tick), "it has never ticked");
    world.run(minutes(10));
    let last = told(&scrape(&world), tick);
    assert!(world.now_ms() as f64 / 1000.0 - last < 61.0);
    world.advance(minutes(5));
    assert_eq!(told(&scrape(&world), tick), last);
    let notes = world.observe();
    world.run(minutes(10));
    let written = notes.count(&["set"], |key| key == "work/tick");
    assert!((9..=11).contains(&written), "{written} notes in ten minutes");
}

#[test]
fn webhooks_tell_how_far_behind_they_are() {
    let world = World::new().product("lamp").devices(2);
    let hook = json!({"url": "https://example.com/hook"});
    let id = world.send(&Call::post("/v1/webhooks", &hook)).expect(201).text_of("webhook_id");
    let of = |name: &str| format!("overair_webhook_{name}{{webhook={id}}}");
    let pending = format!("overair_webhook_deliveries{{status=pending,webhook={id}}}");
    assert_eq!(told(&scrape(&world), &of("enabled")), 1.0);
    // Nobody answers at that address.
    let _batch = world.batch(&world.ready_package("1.1.0"), json!({}));
    world.all_devices().iter().for_each(|device| device.upgrade());
    world.run(minutes(1));
    let busy = scrape(&world);
    assert!(told(&busy, &pending) > 0.0);
    assert_eq!((told(&busy, &of("delivered_total")), told(&busy, &of("lost_total"))), (0.0, 0.0));
    assert_eq!(told(&busy, &of("behind_events")), 0.0);
    assert!(told(&busy, "overair_events_total") > 0.0);
    let _off = world.send(&Call::patch(format!("/v1/webhooks/{id}"), &json!({"enabled": false}))).expect(200);
    world.device("lamp-1").restart("1.2.0");
    world.run(seconds(10));
    let off = scrape(&world);
    assert_eq!(told(&off, &of("enabled")), 0.0);
    assert!(told(&off, &of("behind_events")) > 0.0);
}

#[test]
fn a_token_that_is_bound_is_told_of_its_products_only() {
    let lamp = busy_world();
    let lamp_key = lamp.product_key();
    let world = lamp.product("radio");
    let key = world.product_key();
    let own = json!({"url": "https://example.com/radio", "product_key": key});
    let own = world.send(&Call::post("/v1/webhooks", &own)).expect(201).text_of("webhook_id");
    let viewer = world.token("viewer", &[&key]);
    let text = text(world.send_as(&viewer, Call::get("/metrics")));
    assert!(!text.contains(&lamp_key) && !text.contains("lamp"), "{text}");
    let seen = samples(&text);
    let webhooks = seen.keys().filter(|sample| sample.starts_with("overair_webhook_enabled"));
    assert_eq!(webhooks.collect::<Vec<_>>(), [&format!("overair_webhook_enabled{{webhook={own}}}")]);
    for family in FAMILIES.iter().filter(|family| family.unbound) {
        assert!(!text.contains(&format!("# HELP {} ", family.name)), "{} belongs to no product", family.name);
    }
    assert_eq!(told(&seen, &format!("overair_product_info{{name=radio,product={key}}}")), 1.0);
}

#[test]
fn whoever_has_no_token_is_told_nothing() {
    let world = World::new();
    for call in [Call::get("/metrics").token(None), Call::get("/metrics").token(Some("wrong"))] {
        assert_eq!(world.send(&call).problem(), "401 request.unauthorized");
    }
    let answer = world.send(&Call::get("/metrics"));
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(world.send(&Call::get("/metrics?x=1")).problem(), "422 value.not-allowed");
    assert_eq!(world.send(&Call::new("POST", "/metrics").token(Some("api-token"))).status, 405);
}

#[test]
fn a_scrape_reads_a_bounded_number_of_values_and_writes_nothing() {
    let world = World::new().product("lamp").devices(300);
    let package = world.ready_package("1.1.0");
    let _batch = world.batch(&package, json!({}));
    let before = world.kv().dump();
    let few = world.operations(|| drop(scrape(&world)));
    assert_eq!(world.kv().dump(), before);
    // The products, the packages, the open batches and one of them, how many there were, events twice, the tick, uploads,
    // deltas twice, webhooks: no shard of the fleet.
    assert_eq!((few.reads, few.writes + few.swaps + few.increments), (12, 0));
    let names: Vec<String> = (1..=210).map(|n| format!("lamp-{n}")).collect();
    for name in &names {
        let named = json!({"package_id": package.id, "target": {"selection": "specific", "devices": [name]}});
        let _made = world.send(&Call::post("/v1/batches", &named)).expect(201);
    }
    let many = world.operations(|| drop(scrape(&world)));
    assert_eq!(many.reads, few.reads + 199, "it looks at two hundred batches");
    assert_eq!(told(&scrape(&world), "overair_batches_unread"), 11.0);
}
