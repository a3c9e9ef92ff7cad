//! Deltas that the service makes of two packages.

use ota_tests::{
    Answer, Call, Package, Value, World, hours, invariant_bytes_belong_to_packages,
    invariant_nothing_is_left_to_do, json, minutes, seconds,
};

/// Ticks in which every delta of these stories must be done.
const ROUNDS_MAX: u32 = 30;

/// Bytes that cannot be compressed, by the generator known as splitmix64.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let word = |n: u64| {
        let mut z = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).to_le_bytes()
    };
    (0..len as u64 / 8 + 1).flat_map(word).take(len).collect()
}

/// An image and the next version of it: more in front and at the end, some in the middle gone, some bytes changed. It takes
/// two steps unless it is not sliced, and each step fills a chunk and leaves something over.
fn images() -> (Vec<u8>, Vec<u8>) {
    let source = noise(1, 2_200_000);
    let parts = [&noise(2, 300_000), &source[..1_000_000], &source[1_200_000..], &noise(3, 300_000)];
    let mut target = parts.concat();
    target.iter_mut().skip(400_000).step_by(5_003).for_each(|byte| *byte = byte.wrapping_add(3));
    (source, target)
}

/// As [`images`], for stories that are told a hundred times: the source is small, and occurs in the target again and again.
fn quick_images() -> (Vec<u8>, Vec<u8>) {
    let source = noise(1, 100_000);
    let target = [noise(2, 270_000), source.repeat(18), noise(3, 270_000)].concat();
    (source, target)
}

fn package_of(world: &World, version: &str, image: &[u8], more: Value) -> Package {
    let mut more = more;
    more["upload_id"] = world.upload(image).expect(201).json()["upload_id"].clone();
    world.find_package(&world.try_package(version, &more).expect(201).text_of("package_id"))
}

/// Packages of version 1.0.0 and 1.1.0 with these images.
fn pair(world: &World, source: &[u8], target: &[u8]) -> (Package, Package) {
    (package_of(world, "1.0.0", source, json!({})), package_of(world, "1.1.0", target, json!({})))
}

fn ask(world: &World, source: &Package, target: &Package, more: &Value) -> Answer {
    let mut body = json!({"source_package_id": source.id, "target_package_id": target.id, "slice": "64K"});
    more.as_object().into_iter().flatten().for_each(|(field, value)| body[field] = value.clone());
    world.send(&Call::post("/v1/deltas", &body).key(&world.next("delta")))
}

fn find(world: &World, id: &str) -> Value {
    world.get(format!("/v1/deltas/{id}"))
}

/// Asks for a delta, and waits until it is done.
#[track_caller]
fn made(world: &World, source: &Package, target: &Package, more: &Value) -> Value {
    let id = ask(world, source, target, more).expect(201).text_of("delta_id");
    done(world, &id)
}

#[track_caller]
fn done(world: &World, id: &str) -> Value {
    for _ in 0..ROUNDS_MAX {
        let delta = find(world, id);
        if delta["status"] != "making" {
            return delta;
        }
        world.run(seconds(5));
    }
    panic!("it is never done: {}; log: {:?}", find(world, id), world.engine().log_lines().last());
}

/// What a device downloads of a package.
#[track_caller]
fn download(world: &World, package: &str) -> Vec<u8> {
    world.send(&Call::get(world.find_package(package).url())).expect(200).body
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Nothing of a delta is kept but its record.
fn invariant_no_leftovers(world: &World) {
    let dump = world.kv().dump();
    let left: Vec<&String> =
        dump.iter().map(|(key, _)| key).filter(|key| key.starts_with("delta/")).collect();
    assert!(left.iter().all(|key| key.matches('/').count() == 1), "{left:?}");
    let open = world.block_on(ota_store::deltas::open(world.kv())).expect("the store works again");
    assert!(open.deltas.is_empty(), "{open:?}");
}

/// A delta is made, and its package is like any other. Told with failures in `crash`.
pub(crate) fn story(world: World) {
    world.be_patient();
    let world = world.product("lamp");
    let (old, new) = quick_images();
    let (source, target) = pair(&world, &old, &new);
    let id = ask(&world, &source, &target, &json!({"name": "small"})).expect(201).text_of("delta_id");
    for _ in 0..ROUNDS_MAX {
        world.run(seconds(5));
        if find(&world, &id)["status"] != "making" {
            break;
        }
        // Whoever had the turn may have died with it.
        world.advance(minutes(1));
    }
    world.kv().clear_faults();
    world.run(minutes(1));
    world.advance(hours(25));
    world.run(seconds(10));

    let delta = find(&world, &id);
    assert_eq!(text(&delta, "status"), "ready", "{delta}");
    let restored = ota_delta::restore(&old, &download(&world, text(&delta, "package_id")));
    assert!(restored.as_deref() == Ok(&new[..]));
    assert_eq!(world.list("/v1/deltas", 50).len(), 1, "no delta is doubled");
    assert_eq!(world.list("/v1/packages", 50).len(), 3, "no package is doubled");
    invariant_no_leftovers(&world);
    invariant_nothing_is_left_to_do(&world);
    invariant_bytes_belong_to_packages(&world);
}

#[test]
fn r33_what_devices_download_restores_the_target_for_every_slice_size() {
    let (old, new) = images();
    for (slice, bytes) in [("none", 0), ("2M", 2_097_152), ("64K", 65_536), ("32K", 32_768)] {
        let world = World::new().product("lamp");
        let (source, target) = pair(&world, &old, &new);
        let delta = made(&world, &source, &target, &json!({"slice": slice}));
        assert_eq!(text(&delta, "status"), "ready", "{delta}");
        let downloaded = download(&world, text(&delta, "package_id"));
        let header = downloaded[..ota_delta::HEADER_LEN].try_into().unwrap();
        assert_eq!(ota_delta::Header::parse(header).unwrap().slice_bytes, bytes);
        assert!(ota_delta::restore(&old, &downloaded).as_deref() == Ok(&new[..]), "{slice}");
        // The service makes in steps what the crate makes at once.
        assert!(ota_delta::make(&old, &new, bytes).as_ref() == Ok(&downloaded), "{slice}");
        invariant_no_leftovers(&world);
    }
}

#[test]
fn r33_a_delta_says_how_much_it_saves() {
    let world = World::new().product("lamp");
    let (old, new) = images();
    let (source, target) = pair(&world, &old, &new);
    let delta = made(&world, &source, &target, &json!({}));
    let size = download(&world, text(&delta, "package_id")).len();
    assert_eq!(delta["size"], size);
    assert_eq!(delta["saved_percent"], (new.len() - size) * 100 / new.len());
    assert!(delta["saved_percent"].as_u64() > Some(70), "{delta}");
}

#[test]
fn r34_other_slice_sizes_are_refused() {
    let world = World::new().product("lamp");
    let (source, target) = pair(&world, &noise(1, 30_000), &noise(2, 30_000));
    for slice in ["16K", "128K", "4M", "65536", "0", "64k"] {
        let refused = ask(&world, &source, &target, &json!({"slice": slice}));
        assert_eq!(refused.faults(), ["/slice value.not-one-of"], "{slice}");
    }
    let refused = ask(&world, &source, &target, &json!({"slice": null}));
    assert_eq!(refused.faults(), ["/slice value.missing"], "nobody's devices take just any size");
}

#[test]
fn r35_a_target_of_20479_bytes_is_refused_and_one_of_20480_is_not() {
    let old = noise(1, 20_480);
    for (len, refused) in [(20_479, true), (20_480, false)] {
        let world = World::new().product("lamp");
        let (source, target) = pair(&world, &old, &[&[7], &old[1..len]].concat());
        let answer = ask(&world, &source, &target, &json!({}));
        if refused {
            assert_eq!(answer.faults(), ["/target_package_id delta.target-too-small"]);
        } else {
            assert_eq!(text(&done(&world, &answer.expect(201).text_of("delta_id")), "status"), "ready");
        }
    }
}

#[test]
fn r36_a_delta_is_first_being_made_and_only_when_it_is_ready_it_can_be_used() {
    let world = World::new().product("lamp").devices(1);
    let (old, new) = images();
    let (source, target) = pair(&world, &old, &new);
    let asked = ask(&world, &source, &target, &json!({})).expect(201).json();
    let id = text(&asked, "delta_id");
    let mut progress = Vec::new();
    while text(&find(&world, id), "status") == "making" {
        let delta = find(&world, id);
        progress.push(delta["progress"].as_u64().unwrap_or_default());
        assert!(delta.get("package_id").is_none() && delta.get("size").is_none(), "{delta}");
        // Not even who knows how ids are made gets hold of it.
        let early = world.find_package(id);
        assert_eq!(world.send(&Call::get(format!("/v1/packages/{id}"))).status, 404);
        assert_eq!(world.try_verify(&early, &json!({"devices": ["lamp-1"]})).status, 404);
        assert_eq!(world.try_batch(&early, &json!({})).faults(), ["/package_id value.malformed"]);
        assert_eq!(world.list("/v1/packages", 50).len(), 2);
        world.run(seconds(5));
    }
    assert_eq!(progress, [0, 80, 99], "a step a tick: 32 slices, 8 slices, the package");

    let ready = find(&world, id);
    assert_eq!((text(&ready, "status"), &ready["progress"]), ("ready", &json!(100)));
    let package = world.find_package(text(&ready, "package_id"));
    let told = package.get();
    assert_eq!((text(&told, "kind"), text(&told, "name")), ("delta", format!("delta-{id}").as_str()));
    assert_eq!((text(&told, "source_version"), text(&told, "target_version")), ("1.0.0", "1.1.0"));
    assert_eq!((&told["slice_bytes"], &told["size"]), (&json!(65_536), &ready["size"]));
    assert_eq!(package.verification(), "unverified");
    assert_eq!(world.try_batch(&package, &json!({})).problem(), "422 batch.package-not-verified");
    world.verify(&package, &["lamp-1"]);
    world.device("lamp-1").upgrade();
    world.run(minutes(1));
    assert_eq!(package.verification(), "verified");
}

#[test]
fn r36_a_delta_that_is_not_smaller_than_the_image_fails_and_says_so() {
    let world = World::new().product("lamp");
    let (source, target) = pair(&world, &noise(1, 2_500_000), &noise(2, 2_500_000));
    let failed = made(&world, &source, &target, &json!({}));
    assert_eq!(text(&failed, "status"), "failed");
    assert_eq!(text(&failed["reason"], "code"), "not-smaller");
    assert!(failed.get("package_id").is_none() && failed.get("saved_percent").is_none(), "{failed}");
    assert_eq!(world.list("/v1/packages", 50).len(), 2);
    world.run(minutes(1));
    invariant_no_leftovers(&world);
    invariant_nothing_is_left_to_do(&world);
    invariant_bytes_belong_to_packages(&world);
}

#[test]
fn r36_a_delta_fails_when_one_of_its_packages_is_deleted() {
    for which in [0, 1] {
        let world = World::new().product("lamp");
        let (old, new) = images();
        let (source, target) = pair(&world, &old, &new);
        let id = ask(&world, &source, &target, &json!({})).expect(201).text_of("delta_id");
        world.run(seconds(5));
        assert_eq!(find(&world, &id)["progress"], 80);
        let _gone = [&source, &target][which].delete().expect(204);
        let failed = done(&world, &id);
        assert_eq!(text(&failed["reason"], "code"), "package-deleted", "{failed}");
        world.advance(hours(2));
        world.run(minutes(1));
        invariant_no_leftovers(&world);
        invariant_nothing_is_left_to_do(&world);
        invariant_bytes_belong_to_packages(&world);
    }
}

#[test]
fn r37_a_push_tells_how_a_made_delta_is_sliced_and_the_device_restores_the_image() {
    let (old, new) = images();
    for (slice, told) in [("none", None), ("2M", Some(2_097_152)), ("32K", Some(32_768))] {
        let world = World::new().product("lamp").devices(1);
        let (source, target) = pair(&world, &old, &new);
        let delta = made(&world, &source, &target, &json!({"slice": slice}));
        let package = world.find_package(text(&delta, "package_id"));
        world.verify(&package, &["lamp-1"]);
        let pushed = world.device("lamp-1").told()[0].message["data"].clone();
        assert_eq!(pushed["isDiff"], 1);
        assert_eq!(pushed.get("splictSize").and_then(Value::as_u64), told, "{pushed}");
        assert_eq!(pushed["size"], delta["size"], "the delta's, not the image's");
        let bytes = world.send(&Call::get(text(&pushed, "url"))).expect(200).body;
        assert!(ota_delta::restore(&old, &bytes).as_deref() == Ok(&new[..]));
    }
}

#[test]
fn r37_neither_an_uploaded_delta_nor_a_full_package_has_slices() {
    let world = World::new().product("lamp").devices(1);
    for more in [json!({"kind": "delta", "source_version": "1.0.0"}), json!({})] {
        let package = package_of(&world, "1.1.0", b"opaque", {
            let mut more = more;
            more["name"] = json!(world.next("p"));
            more["needs_verification"] = json!(false);
            more
        });
        let _batch = world.batch(&package, json!({"overwrite": true}));
        world.run(seconds(5));
    }
    let told = world.device("lamp-1").told();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|told| told.message["data"].get("splictSize").is_none()));
}

#[test]
fn r19_r28_a_delta_whose_name_or_versions_are_taken_is_refused_or_fails() {
    let world = World::new().product("lamp");
    let (old, new) = images();
    let (source, target) = pair(&world, &old, &new);
    let taken = ask(&world, &source, &target, &json!({"name": "lamp-1_0_0"}));
    assert_eq!(taken.problem(), "409 package.name-taken");
    // Both may become a package as far as anybody knows when they are asked for.
    let one = ask(&world, &source, &target, &json!({"name": "one"})).expect(201).text_of("delta_id");
    let two = ask(&world, &source, &target, &json!({"name": "two"})).expect(201).text_of("delta_id");
    assert_eq!(text(&done(&world, &one), "status"), "ready");
    let failed = done(&world, &two);
    assert_eq!(text(&failed["reason"], "code"), "package.version-taken", "{failed}");
    let late = ask(&world, &source, &target, &json!({"name": "three"}));
    assert_eq!(late.problem(), "409 package.version-taken");
    world.advance(hours(2));
    world.run(minutes(1));
    invariant_no_leftovers(&world);
    invariant_nothing_is_left_to_do(&world);
    invariant_bytes_belong_to_packages(&world);
}

#[test]
fn every_fault_of_a_request_for_a_delta_is_told_at_once() {
    let world = World::new().product("lamp");
    let target = package_of(&world, "1.1.0", b"small", json!({}));
    let body = json!({"target_package_id": target.id, "source_package_id": "nobody", "slice": 7, "extra": 1});
    let mut faults = world.send(&Call::post("/v1/deltas", &body)).faults();
    faults.sort();
    let expected = [
        "/extra value.not-allowed",
        "/slice value.malformed",
        "/source_package_id value.malformed",
        "/target_package_id delta.target-too-small",
    ];
    assert_eq!(faults, expected);
    assert_eq!(world.send(&Call::get("/v1/deltas").token(None)).status, 401);
    assert_eq!(world.send(&Call::get("/v1/deltas/nobody")).problem(), "404 request.not-found");
    assert_eq!(world.list("/v1/deltas", 50).len(), 0);
}

#[test]
fn a_delta_is_made_of_full_packages_of_one_product_and_module() {
    let world = World::new().product("bulb");
    let image = noise(1, 30_000);
    let foreign = package_of(&world, "1.0.0", &image, json!({}));
    let world = world.product("lamp");
    let (source, target) = pair(&world, &image, &noise(2, 30_000));
    let delta = json!({"kind": "delta", "source_version": "0.9", "name": "d"});
    let delta = package_of(&world, "1.0.0", &image, delta);
    let asked = |source: &Package, target: &Package| ask(&world, source, target, &json!({})).faults();
    assert_eq!(asked(&foreign, &target), ["/source_package_id delta.other-product"]);
    assert_eq!(asked(&delta, &target), ["/source_package_id delta.not-full"]);
    assert_eq!(
        asked(&source, &delta),
        ["/target_package_id delta.not-full", "/source_package_id package.same-versions"]
    );
    assert_eq!(asked(&target, &target), ["/source_package_id package.same-versions"]);
}

#[test]
fn the_same_request_twice_makes_one_delta() {
    let world = World::new().product("lamp");
    let image = noise(1, 30_000);
    let (source, target) = pair(&world, &image, &[&[1, 2, 3], &image[..]].concat());
    let mut body = json!({"source_package_id": source.id, "target_package_id": target.id, "slice": "32K"});
    let ask = |body: &Value| world.send(&Call::post("/v1/deltas", body).key("k"));
    let first = ask(&body).expect(201).text_of("delta_id");
    assert_eq!(text(&done(&world, &first), "status"), "ready");
    let again = ask(&body).expect(201).json();
    assert_eq!((text(&again, "delta_id"), text(&again, "status")), (first.as_str(), "ready"));
    body["slice"] = json!("64K");
    assert_eq!(ask(&body).problem(), "422 request.idempotency-key-reused");
    assert_eq!(world.list("/v1/deltas", 1).len(), 1);
}

#[test]
fn deltas_are_listed_newest_first() {
    let world = World::new().product("lamp");
    let image = noise(1, 30_000);
    let (source, target) = pair(&world, &image, &[&[1, 2, 3], &image[..]].concat());
    let more = |name: &str| json!({"name": name});
    for name in ["one", "two", "three"] {
        let _asked = ask(&world, &source, &target, &more(name)).expect(201);
    }
    let names: Vec<String> =
        world.list("/v1/deltas", 2).iter().map(|delta| text(delta, "name").to_owned()).collect();
    assert_eq!(names, ["three", "two", "one"]);
}

#[test]
fn a_dispatcher_that_stalls_at_any_moment_while_another_goes_on_does_no_harm() {
    let (old, new) = quick_images();
    for at in 1.. {
        let world = World::new().product("lamp");
        let (source, target) = pair(&world, &old, &new);
        let id = ask(&world, &source, &target, &json!({})).expect(201).text_of("delta_id");
        // The turn of the one that stalls is over by then.
        let rival = Call::new("POST", "/internal/dispatch/tick");
        let answered = world.interrupt_after(at, minutes(2), rival);
        let delta = done(&world, &id);
        let Some(status) = answered.get() else {
            assert!(at > 60, "the story has only {at} operations");
            return;
        };
        assert!(status == 200 || status == 503, "operation {at}: the rival was answered {status}");
        world.kv().clear_faults();
        assert_eq!(text(&delta, "status"), "ready", "operation {at}: {delta}");
        let restored = ota_delta::restore(&old, &download(&world, text(&delta, "package_id")));
        assert!(restored.as_deref() == Ok(&new[..]), "operation {at}");
        world.run(seconds(10));
        assert_eq!(world.list("/v1/packages", 50).len(), 3, "operation {at}");
        invariant_no_leftovers(&world);
        invariant_nothing_is_left_to_do(&world);
        invariant_bytes_belong_to_packages(&world);
    }
}
