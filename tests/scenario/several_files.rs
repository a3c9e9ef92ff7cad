//! Packages of several files (R31).

use std::cell::Cell;

use md5::{Digest, Md5};
use ota_store::memory::Fault;
use ota_tests::{
    Answer, Call, Package, Value, World, hours, invariant_bytes_belong_to_packages,
    invariant_nothing_is_left_to_do, json, minutes, seconds,
};

/// Store operations of the longest request here; each of them fails once.
const OPERATIONS_MAX: u64 = 40;

fn bytes_of(n: usize) -> Vec<u8> {
    format!("file {n}").repeat(n * 1_000).into_bytes()
}

/// Uploads `count` files, and returns the words about them: `file-1`, `file-2`, and so on.
fn uploaded(world: &World, count: usize) -> Vec<Value> {
    let upload = |n: usize| {
        let id = world.upload(&bytes_of(n)).expect(201).text_of("upload_id");
        json!({"name": format!("file-{n}"), "upload_id": id})
    };
    (1..=count).map(upload).collect()
}

fn request(world: &World, files: &[Value]) -> Value {
    json!({
        "product_key": world.product_key(),
        "name": format!("several-{}", files.len()),
        "target_version": format!("2.{}", files.len()),
        "files": files,
        "needs_verification": false,
    })
}

fn try_files(world: &World, files: &[Value]) -> Answer {
    world.send(&Call::post("/v1/packages", &request(world, files)).key(&world.next("package")))
}

fn package_of(world: &World, count: usize) -> Package {
    let made = try_files(world, &uploaded(world, count)).expect(201);
    world.find_package(&made.text_of("package_id"))
}

fn blob_keys(world: &World) -> usize {
    world.kv().dump().iter().filter(|(key, _)| key.starts_with("blob/")).count()
}

#[test]
fn r31_a_device_is_told_of_all_files_and_downloads_each() {
    let world = World::new().product("lamp").devices(1);
    let batch = world.batch(&package_of(&world, 3), json!({}));
    let lamp = world.device("lamp-1");
    let data = lamp.told()[0].message["data"].clone();
    for absent in ["url", "size", "sign", "md5"] {
        assert_eq!(data.get(absent), None, "{absent}");
    }
    let files = data["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    for (n, file) in (1..).zip(files) {
        let url = file["fileUrl"].as_str().unwrap();
        let path_and_query = url.strip_prefix("http://ota.test").unwrap();
        assert!(path_and_query.len() < 256, "{url}");
        let body = world.send(&Call::get(url)).expect(200).body;
        assert_eq!(body, bytes_of(n));
        assert_eq!(file["fileName"], format!("file-{n}"));
        assert_eq!(file["fileSize"], body.len());
        assert_eq!(file["fileMd5"], hex::encode(Md5::digest(&body)));
        assert_eq!(file["fileSign"].as_str().map(str::len), Some(64));
        let part = world.send(&Call::get(url).header("range", "bytes=2-5")).expect(206);
        assert_eq!(part.body, bytes_of(n)[2..6]);
    }
    assert_eq!(lamp.ask()["data"]["files"].as_array().map(Vec::len), Some(3));
    lamp.progress(100, "");
    lamp.restart("2.3");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
}

#[test]
fn r31_a_package_has_at_most_20_files() {
    let world = World::new().product("lamp");
    let mut files = uploaded(&world, 21);
    assert_eq!(try_files(&world, &files).faults(), ["/files value.too-many"]);
    assert_eq!(try_files(&world, &files[..1]).faults(), ["/files value.not-allowed"], "one is no list");
    assert_eq!(try_files(&world, &[]).faults(), ["/files value.not-allowed"]);
    files.truncate(20);
    let made = try_files(&world, &files).expect(201).json();
    assert_eq!(made["files"].as_array().map(Vec::len), Some(20));
}

#[test]
fn r31_file_names_are_different_and_have_1_to_32_characters() {
    let world = World::new().product("lamp");
    let files = uploaded(&world, 2);
    let ask = |name: &str| {
        let mut files = files.clone();
        files[1]["name"] = json!(name);
        try_files(&world, &files).faults()
    };
    assert_eq!(ask("file-1"), ["/files/1/name value.duplicate"]);
    assert_eq!(ask(""), ["/files/1/name value.missing"]);
    assert_eq!(ask(&"n".repeat(33)), ["/files/1/name value.length"]);
    assert_eq!(ask("a/b"), ["/files/1/name value.charset"]);
    assert_eq!(ask(&"名".repeat(32)), [""; 0]);
}

#[test]
fn r25_r31_what_is_said_of_each_file_must_be_right_and_all_faults_are_told_at_once() {
    let world = World::new().product("lamp");
    let mut files = uploaded(&world, 2);
    files[0]["size"] = json!(1);
    files[1]["digest"] = json!("00");
    files.push(json!({"name": 5, "upload_id": "none", "colour": "red"}));
    files.push(json!({"name": "file-4"}));
    let mut faults = try_files(&world, &files).faults();
    faults.sort();
    assert_eq!(
        faults,
        [
            "/files/0/size package.size-mismatch",
            "/files/1/digest package.digest-mismatch",
            "/files/2/colour value.not-allowed",
            "/files/2/name value.malformed",
            "/files/2/upload_id value.malformed",
            "/files/3/upload_id value.missing",
        ]
    );
    assert_eq!(world.list("/v1/packages", 50).len(), 0);
}

#[test]
fn r31_a_list_that_is_none_is_one_fault() {
    let world = World::new().product("lamp");
    let mut body = request(&world, &[]);
    body["files"] = json!("file-1");
    let refused = world.send(&Call::post("/v1/packages", &body));
    assert_eq!(refused.faults(), ["/files value.malformed"]);
}

#[test]
fn r31_an_upload_is_one_file_of_one_package() {
    let world = World::new().product("lamp");
    let mut files = uploaded(&world, 3);
    let twice = [files[0].clone(), json!({"name": "again", "upload_id": files[0]["upload_id"]})];
    assert_eq!(try_files(&world, &twice).faults(), ["/files/1/upload_id value.duplicate"]);
    let _taken = try_files(&world, &files[..2]).expect(201);
    files.rotate_left(1);
    let refused = try_files(&world, &[files[1].clone(), files[0].clone(), files[2].clone()]);
    assert_eq!(refused.faults(), ["/files/1/upload_id value.malformed"]);
    // The one that was free is still: what is refused takes nothing.
    let alone = json!({"upload_id": files[1]["upload_id"]});
    assert_eq!(world.try_package("9.0", &alone).status, 201);
}

#[test]
fn r31_the_uploads_of_a_refused_package_can_be_used_again() {
    let world = World::new().product("lamp");
    let _taken = world.try_package("1.0", &json!({"name": "several-2"})).expect(201);
    let files = uploaded(&world, 2);
    assert_eq!(try_files(&world, &files).problem(), "409 package.name-taken");
    let mut body = request(&world, &files);
    body["name"] = json!("another");
    assert_eq!(world.send(&Call::post("/v1/packages", &body)).status, 201);
}

#[test]
fn r31_a_package_shows_its_files_and_where_to_download_them() {
    let world = World::new().product("lamp");
    let package = package_of(&world, 2);
    let told = package.get();
    assert_eq!(told["size"], bytes_of(1).len() + bytes_of(2).len());
    for absent in ["digest", "md5", "sha256", "file_name"] {
        assert_eq!(told.get(absent), None, "{absent}");
    }
    let file = &told["files"][1];
    assert_eq!((&file["name"], &file["file_name"]), (&json!("file-2"), &json!("image.bin")));
    assert_eq!(
        (&file["md5"], &file["size"]),
        (&json!(hex::encode(Md5::digest(bytes_of(2)))), &json!(bytes_of(2).len()))
    );
    assert_eq!(file["digest"], file["sha256"]);
    assert_eq!(world.list("/v1/packages", 50)[0], told);

    let urls = world.get(format!("/v1/packages/{}/download_url", package.id));
    assert_eq!((urls.get("url"), &urls["files"][0]["name"]), (None, &json!("file-1")));
    let url = urls["files"][1]["url"].as_str().unwrap();
    assert_eq!(world.send(&Call::get(url)).expect(200).body, bytes_of(2));
    let one = world.ready_package("1.1.0");
    assert_eq!(one.get().get("files"), None, "a package of one file has no list");
    assert_eq!(world.send(&Call::get(one.url())).status, 200);
}

#[test]
fn r31_the_signature_of_a_url_covers_the_number_of_its_file() {
    let world = World::new().product("lamp");
    let (several, one) = (package_of(&world, 2), world.ready_package("1.1.0"));
    let urls = world.get(format!("/v1/packages/{}/download_url", several.id));
    let first = urls["files"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(world.send(&Call::get(&first)).status, 200);
    let own = format!("/d/{}/1?", several.id);
    for altered in ["/2?", "/3?", "/0?", "/01?", "/+1?", "/256?", "?", "/1/1?"] {
        let url = first.replace(&own, &format!("/d/{}{altered}", several.id));
        let problem = world.send(&Call::get(&url)).problem();
        let expected = if altered == "/1/1?" { "404 request.no-route" } else { "403 download.signature" };
        assert_eq!(problem, expected, "{altered}");
    }
    let url = one.url().replace(&format!("/d/{}?", one.id), &format!("/d/{}/1?", one.id));
    assert_eq!(world.send(&Call::get(&url)).problem(), "403 download.signature");
}

#[test]
fn r31_r165_several_files_are_not_downloaded_over_mqtt() {
    let world = World::new().product("lamp").devices(1);
    let package = package_of(&world, 2);
    let refused = world.try_batch(&package, &json!({"download_protocol": "mqtt"}));
    assert_eq!(refused.faults(), ["/download_protocol batch.mqtt-several-files"]);
    let tried = json!({"devices": ["lamp-1"], "download_protocol": "mqtt"});
    assert_eq!(world.try_verify(&package, &tried).faults(), ["/download_protocol batch.mqtt-several-files"]);
}

#[test]
fn r31_the_same_key_makes_one_package_of_several_files() {
    let world = World::new().product("lamp");
    let call = Call::post("/v1/packages", &request(&world, &uploaded(&world, 2))).key("k");
    let first = world.send(&call).expect(201).json();
    assert_eq!(world.send(&call).expect(201).json(), first);
    assert_eq!(world.list("/v1/packages", 50).len(), 1);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn r31_the_uploads_of_a_package_are_kept_and_those_of_a_deleted_one_are_collected() {
    let world = World::new().product("lamp");
    let package = package_of(&world, 3);
    world.advance(hours(2));
    world.run(minutes(1));
    invariant_bytes_belong_to_packages(&world);
    let _gone = package.delete().expect(204);
    world.run(minutes(1));
    assert_eq!(blob_keys(&world), 0, "their hour is over");
    invariant_nothing_is_left_to_do(&world);
}

/// Lets operation number `at` from now on fail once, as when the process dies right after it.
fn die_at(world: &World, at: u64) {
    let seen = Cell::new(0);
    world.kv().set_faults(move |_, _| {
        seen.set(seen.get() + 1);
        (seen.get() == at).then_some(Fault::AnswerLost)
    });
}

#[test]
fn r31_whenever_the_making_breaks_off_it_can_be_made_again_and_no_file_is_lost() {
    for at in 1..=OPERATIONS_MAX {
        let world = World::new().product("lamp");
        let call = Call::post("/v1/packages", &request(&world, &uploaded(&world, 3))).key("k");
        die_at(&world, at);
        let _cut = world.send_once(&call);
        world.kv().clear_faults();
        world.be_patient();
        let package = world.find_package(&world.send(&call).expect(201).text_of("package_id"));
        world.advance(hours(2));
        world.run(minutes(1));
        invariant_bytes_belong_to_packages(&world);
        invariant_nothing_is_left_to_do(&world);
        let urls = world.get(format!("/v1/packages/{}/download_url", package.id));
        for (n, file) in (1..).zip(urls["files"].as_array().unwrap()) {
            let body = world.send(&Call::get(file["url"].as_str().unwrap())).expect(200).body;
            assert_eq!(body, bytes_of(n), "cut at {at}");
        }
    }
}

#[test]
fn r31_whenever_the_deletion_breaks_off_all_bytes_go_in_the_end() {
    for at in 1..=OPERATIONS_MAX {
        let world = World::new().product("lamp");
        let package = package_of(&world, 3);
        die_at(&world, at);
        let _cut = world.send_once(&Call::delete(format!("/v1/packages/{}", package.id)));
        world.kv().clear_faults();
        world.be_patient();
        let again = package.delete().status;
        assert!(matches!(again, 204 | 404), "{again}, cut at {at}");
        world.advance(hours(2));
        world.run(minutes(1));
        assert_eq!(blob_keys(&world), 0, "cut at {at}");
        invariant_nothing_is_left_to_do(&world);
    }
}
