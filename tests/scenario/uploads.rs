//! Uploading files, and what becomes of those that are no packages.

use ota_tests::{
    Call, World, hours, invariant_bytes_belong_to_packages, invariant_nothing_is_left_to_do, json, minutes,
};

fn blob_keys(world: &World) -> usize {
    world.kv().dump().iter().filter(|(key, _)| key.starts_with("blob/")).count()
}

#[test]
fn an_upload_is_answered_with_its_size_and_digests() {
    let world = World::new();
    let made = world.upload(b"hello").expect(201).json();
    assert_eq!(made["size"], 5);
    assert_eq!(made["md5"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(made["sha256"], "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_eq!(made["file_name"], "image.bin");
    assert_eq!(made["expires_at"].as_u64().unwrap(), world.now_ms() + hours(1));
}

#[test]
fn r15_an_empty_file_is_refused_and_leaves_nothing() {
    let world = World::new();
    let empty = Call::new("POST", "/v1/uploads?file_name=a.bin");
    assert_eq!(world.send(&empty).problem(), "422 package.empty-file");
    assert_eq!(world.send(&empty.header("content-length", "0")).problem(), "422 package.empty-file");
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r13_r14_a_file_with_another_ending_is_refused() {
    let world = World::new();
    for (name, good) in [
        ("a.bin", true),
        ("a.tar", true),
        ("a.gz", true),
        ("a.tar.gz", true),
        ("a.zip", true),
        ("a.gzip", true),
        ("%E5%9B%BA%E4%BB%B6.bin", true),
        ("a.exe", false),
        ("a.BIN", false),
        ("bin", false),
        (".bin", false),
        ("..%2Fa.bin", false),
    ] {
        let answer = world.send(&Call::new("POST", format!("/v1/uploads?file_name={name}")).bytes("x"));
        assert_eq!(answer.problem(), if good { "201 " } else { "422 package.suffix" }, "{name}");
    }
    let nameless = world.send(&Call::new("POST", "/v1/uploads").bytes("x"));
    assert_eq!(nameless.faults(), ["query:file_name value.missing"]);
}

#[test]
fn r12_a_file_that_says_it_is_too_large_is_refused_before_it_comes() {
    let world = World::new();
    let large = Call::new("POST", "/v1/uploads?file_name=a.bin").header("content-length", "1048576001");
    assert_eq!(world.send(&large).problem(), "413 package.file-too-large");
    assert_eq!(world.kv().dump().len(), 0);
}

#[test]
fn a_body_that_is_cut_leaves_nothing_behind() {
    let world = World::new();
    let bytes = vec![7; 700_000];
    let cut = Call::new("POST", "/v1/uploads?file_name=a.bin").bytes(bytes.clone()).cut();
    assert_eq!(world.send(&cut).problem(), "400 request.body-cut");
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);

    let short =
        Call::new("POST", "/v1/uploads?file_name=a.bin").bytes(bytes).header("content-length", "700001");
    assert_eq!(world.send(&short).problem(), "400 request.body-cut");
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn an_upload_that_a_failing_store_cut_off_is_collected_in_time() {
    let world = World::new();
    let seen = std::cell::Cell::new(0);
    world.kv().set_faults(move |key, _| {
        seen.set(seen.get() + u32::from(key.starts_with("blob/")));
        (seen.get() >= 2).then_some(ota_store::memory::Fault::Refused)
    });
    let answer = world.send(&Call::new("POST", "/v1/uploads?file_name=a.bin").bytes(vec![7; 700_000]));
    assert_eq!(answer.problem(), "503 store.contention");
    world.kv().clear_faults();
    assert_eq!(blob_keys(&world), 1);
    world.advance(hours(25));
    world.run(minutes(1));
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r30_an_upload_waits_60_minutes_for_its_package() {
    let world = World::new().product("lamp");
    let upload = || world.upload(b"image").expect(201).text_of("upload_id");
    let (early, late) = (upload(), upload());
    world.advance(minutes(60) - 1);
    assert_eq!(world.try_package("1.1.0", &json!({"upload_id": early})).status, 201);
    world.advance(1);
    assert_eq!(
        world.try_package("1.2.0", &json!({"upload_id": late})).faults(),
        ["/upload_id value.malformed"]
    );
}

#[test]
fn an_upload_without_a_package_is_collected() {
    let world = World::new().product("lamp");
    let _kept = world.package("1.1.0");
    let _orphan = world.upload(&vec![1; 600_000]).expect(201);
    world.run(minutes(59));
    assert_eq!(blob_keys(&world), 2 + 4);
    world.run(minutes(3));
    assert_eq!(blob_keys(&world), 2);
    invariant_bytes_belong_to_packages(&world);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn the_bytes_of_a_large_orphan_are_collected_in_small_steps() {
    let world = World::new();
    // Cut off by the death of its function, of unknown length: 4,000 chunks may be there.
    let cut = Call::new("POST", "/v1/uploads?file_name=a.bin").bytes(vec![7; 300_000]);
    let seen = std::cell::Cell::new(0);
    world.kv().set_faults(move |key, _| {
        seen.set(seen.get() + u32::from(key.starts_with("blob/")));
        (seen.get() >= 2).then_some(ota_store::memory::Fault::Refused)
    });
    let _lost = world.send(&cut).expect(503);
    world.kv().clear_faults();
    world.advance(hours(25));
    let mut ticks = 0;
    while blob_keys(&world) > 0 {
        let cost = world.operations(|| {
            world.tick();
        });
        assert!(cost.writes < 1_100, "{cost:?}");
        ticks += 1;
        assert!(ticks < 10);
    }
    assert!(ticks > 1);
}

#[test]
fn deleting_a_package_collects_its_bytes() {
    let world = World::new().product("lamp");
    let package = world.package("1.1.0");
    let _other = world.package("1.2.0");
    let _gone = package.delete().expect(204);
    // An hour after the upload, so that a download that has begun may end.
    world.run(minutes(62));
    assert_eq!(blob_keys(&world), 2);
    invariant_bytes_belong_to_packages(&world);
    invariant_nothing_is_left_to_do(&world);
}
