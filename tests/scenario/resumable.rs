//! Uploads that go on after a break, by the tus protocol.

use std::fmt::Write;

use ota_core::ids::UploadId;
use ota_store::blobs::{self, CHUNK_BYTES};
use ota_store::memory::Fault;
use ota_tests::{
    Answer, Call, World, hours, invariant_bytes_belong_to_packages, invariant_nothing_is_left_to_do, json,
    minutes,
};
use sha2::{Digest, Sha256};

/// `filename image.bin`, in base64.
const NAMED: &str = "filename aW1hZ2UuYmlu";

fn blob_keys(world: &World) -> usize {
    world.kv().dump().iter().filter(|(key, _)| key.starts_with("blob/")).count()
}

/// Bytes of which no two chunks are alike.
fn image(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 251 + n % 249) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn creation(size: usize) -> Call {
    Call::new("POST", "/v1/uploads")
        .header("tus-resumable", "1.0.0")
        .header("upload-length", size.to_string())
        .header("upload-metadata", NAMED)
}

/// Announces a file and returns where it goes.
fn begin(world: &World, size: usize) -> String {
    world.send(&creation(size)).expect(201).header("location").to_owned()
}

fn patch(uri: &str, offset: usize, bytes: &[u8]) -> Call {
    Call::new("PATCH", uri)
        .header("tus-resumable", "1.0.0")
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", offset.to_string())
        .header("content-length", bytes.len().to_string())
        .bytes(bytes)
}

fn head(world: &World, uri: &str) -> Answer {
    world.send(&Call::new("HEAD", uri).header("tus-resumable", "1.0.0"))
}

fn offset(world: &World, uri: &str) -> usize {
    head(world, uri).expect(200).header("upload-offset").parse().unwrap()
}

/// Makes a package of a complete upload and downloads that.
fn downloaded(world: &World, uri: &str) -> Vec<u8> {
    let upload = world.get(uri);
    assert_eq!(upload["complete"], true);
    let made = world.try_package("9.9.9", &json!({"upload_id": upload["upload_id"]})).expect(201);
    let url = world.find_package(&made.text_of("package_id")).url();
    world.send(&Call::get(url).token(None)).expect(200).body
}

#[test]
fn a_file_comes_in_several_requests_and_is_the_same_in_the_end() {
    let world = World::new().product("lamp");
    let bytes = image(3 * CHUNK_BYTES + 1_234);
    let uri = begin(&world, bytes.len());
    assert_eq!(offset(&world, &uri), 0);
    let mut at = 0;
    for len in [1, CHUNK_BYTES - 1, CHUNK_BYTES / 2, CHUNK_BYTES, 7, usize::MAX] {
        let end = at + len.min(bytes.len() - at);
        let answer = world.send(&patch(&uri, at, &bytes[at..end])).expect(204);
        assert_eq!(answer.header("upload-offset"), end.to_string());
        assert_eq!(answer.header("tus-resumable"), "1.0.0");
        assert!(answer.header("upload-expires").ends_with(" GMT"));
        at = end;
    }
    let upload = world.get(&uri);
    assert_eq!((upload["file_name"].as_str(), upload["size"].as_u64()), (Some("image.bin"), Some(at as u64)));
    assert_eq!(upload["sha256"], sha256(&bytes));
    assert_eq!(offset(&world, &uri), bytes.len());
    assert!(downloaded(&world, &uri) == bytes);
    invariant_bytes_belong_to_packages(&world);
}

#[test]
fn what_came_before_a_cut_is_kept() {
    let world = World::new().product("lamp");
    let bytes = image(700_000);
    let uri = begin(&world, bytes.len());
    let cut = patch(&uri, 0, &bytes[..500_000]).cut();
    assert_eq!(world.send(&cut).problem(), "400 request.body-cut");
    let there = offset(&world, &uri);
    assert!(there > 0 && there <= 500_000, "{there}");
    let _ended = world.send(&patch(&uri, there, &bytes[there..])).expect(204);
    assert!(downloaded(&world, &uri) == bytes);
}

/// Whichever operation of the store is the last before the process dies, the client goes on from what it is told.
#[test]
fn an_upload_goes_on_after_a_death_at_any_moment() {
    let bytes = image(20 * CHUNK_BYTES + 100);
    for last in 0..26 {
        let world = World::new().product("lamp");
        let uri = begin(&world, bytes.len());
        let _some = world.send(&patch(&uri, 0, &bytes[..1_000])).expect(204);
        let seen = std::cell::Cell::new(0);
        world.kv().set_faults(move |_, _| {
            seen.set(seen.get() + 1);
            (seen.get() > last).then_some(Fault::Refused)
        });
        let _dead = world.send(&patch(&uri, 1_000, &bytes[1_000..]));
        world.kv().clear_faults();
        let there = offset(&world, &uri);
        assert!(there >= 1_000);
        if there < bytes.len() {
            let _ended = world.send(&patch(&uri, there, &bytes[there..])).expect(204);
        }
        assert!(downloaded(&world, &uri) == bytes, "{last}");
        // What the dead one has left beside the file goes with it.
        let package = world.get("/v1/packages")["items"][0]["package_id"].as_str().unwrap().to_owned();
        let _gone = world.find_package(&package).delete().expect(204);
        world.run(minutes(62));
        assert_eq!(blob_keys(&world), 0, "{last}");
        invariant_nothing_is_left_to_do(&world);
    }
}

#[test]
fn of_two_who_write_at_once_the_later_goes_on_and_the_other_ends() {
    let bytes = image(40 * CHUNK_BYTES);
    let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    for at in [3, 10, 17, 19, 30] {
        let world = World::new().product("lamp");
        let uri = begin(&world, bytes.len());
        // The first writes other bytes; what it has written and not noted yet must never be read.
        let there = world.interrupt(at, patch(&uri, 0, &bytes));
        let first = world.send_once(&patch(&uri, 0, &other));
        match there.get() {
            // The first had not noted anything: the second's file is whole.
            Some(204) => {
                // Or it had not even begun, and is told that there is more than it thought.
                let ended =
                    ["409 upload.taken-over", "409 upload.offset"].contains(&first.problem().as_str());
                assert!(ended, "{at}: {}", first.problem());
                assert_eq!(world.get(&uri)["sha256"], sha256(&bytes), "{at}");
                assert!(downloaded(&world, &uri) == bytes, "{at}");
            }
            // It had: the second is told how much is there.
            Some(409) => assert!(downloaded(&world, &uri) == other, "{at}"),
            status => panic!("{at}: {status:?}"),
        }
    }
}

#[test]
fn bytes_with_a_wrong_checksum_are_not_kept() {
    let world = World::new().product("lamp");
    let bytes = image(600_000);
    let uri = begin(&world, bytes.len());
    let (first, second) = bytes.split_at(400_000);
    let _good = world.send(&patch(&uri, 0, first)).expect(204);
    let wrong = "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=";
    let refused = world.send(&patch(&uri, first.len(), second).header("upload-checksum", wrong));
    assert_eq!(refused.problem(), "460 upload.checksum");
    assert_eq!(refused.header("tus-resumable"), "1.0.0");
    assert_eq!(offset(&world, &uri), first.len());
    let cut = patch(&uri, first.len(), &second[..100_000]).header("upload-checksum", wrong).cut();
    assert_eq!(world.send(&cut).problem(), "400 request.body-cut");
    assert_eq!(offset(&world, &uri), first.len());
    for malformed in ["sha1", "sha1 !", "crc32 AAAA"] {
        let call = patch(&uri, first.len(), second).header("upload-checksum", malformed);
        assert_eq!(world.send(&call).problem(), "400 upload.checksum-malformed", "{malformed}");
    }
    use base64::Engine;
    let right = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(second));
    let call = patch(&uri, first.len(), second).header("upload-checksum", format!("sha256 {right}"));
    let _kept = world.send(&call).expect(204);
    assert!(downloaded(&world, &uri) == bytes);
}

#[test]
fn r25_a_file_with_another_digest_than_was_told_is_not_kept() {
    let world = World::new();
    let bytes = image(300_000);
    use base64::Engine;
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let told = |digest: &str| format!("{NAMED},sha256 {}", base64(digest));
    let good = creation(bytes.len()).header("upload-metadata", told(&sha256(&bytes)));
    let uri = world.send(&good).expect(201).header("location").to_owned();
    let _complete = world.send(&patch(&uri, 0, &bytes)).expect(204);
    let _gone = world.send(&Call::delete(&uri).header("tus-resumable", "1.0.0")).expect(204);

    let bad = creation(bytes.len()).header("upload-metadata", told(&sha256(b"another")));
    let uri = world.send(&bad).expect(201).header("location").to_owned();
    assert_eq!(world.send(&patch(&uri, 0, &bytes)).problem(), "422 package.digest-mismatch");
    assert_eq!(head(&world, &uri).status, 404);
    let malformed = creation(5).header("upload-metadata", told("12"));
    assert_eq!(world.send(&malformed).faults(), ["header:Upload-Metadata/sha256 value.malformed"]);

    let plain = |digest: &str| {
        let uri = format!("/v1/uploads?file_name=a.bin&sha256={digest}");
        world.send(&Call::new("PUT", uri).bytes(bytes.clone()))
    };
    assert_eq!(plain(&sha256(b"another")).problem(), "422 package.digest-mismatch");
    world.run(minutes(1));
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);
    let _good = plain(&sha256(&bytes)).expect(201);
}

#[test]
fn r12_r13_r15_a_file_is_judged_when_it_is_announced() {
    let world = World::new();
    let max = 1_000 * 1024 * 1024;
    let _largest = world.send(&creation(max)).expect(201);
    let before = world.kv().dump().len();
    assert_eq!(world.send(&creation(max + 1)).problem(), "413 package.file-too-large");
    assert_eq!(world.send(&creation(0)).faults(), ["header:Upload-Length package.empty-file"]);
    let exe = creation(5).header("upload-metadata", "filename YS5leGU=");
    assert_eq!(world.send(&exe).problem(), "422 package.suffix");
    let faults = world.send(&Call::new("POST", "/v1/uploads").header("tus-resumable", "1.0.0")).faults();
    let missing = ["header:Upload-Metadata/filename value.missing", "header:Upload-Length value.malformed"];
    assert_eq!(faults, missing);
    assert_eq!(world.kv().dump().len(), before);
}

#[test]
fn requests_that_do_not_keep_to_the_protocol_are_refused() {
    let world = World::new();
    let bytes = image(1_000);
    let uri = begin(&world, bytes.len());
    let version = patch(&uri, 0, &bytes).header("tus-resumable", "0.2.2");
    let refused = world.send(&version);
    assert_eq!((refused.status, refused.header("tus-version")), (412, "1.0.0"));
    let kind = patch(&uri, 0, &bytes).header("content-type", "application/json");
    assert_eq!(world.send(&kind).problem(), "415 upload.content-type");
    assert_eq!(world.send(&patch(&uri, 1, &bytes[1..])).problem(), "409 upload.offset");
    let long = patch(&uri, 0, &image(1_001));
    assert_eq!(world.send(&long).problem(), "413 upload.beyond-size");
    let silent = patch(&uri, 0, &image(1_001)).header("content-length", "x");
    assert_eq!(world.send(&silent).problem(), "413 upload.beyond-size");
    assert_eq!(offset(&world, &uri), 0);
    let unknown = UploadId([9; 16]);
    assert_eq!(head(&world, &format!("/v1/uploads/{unknown}")).status, 404);
    assert_eq!(world.send(&patch("/v1/uploads/x", 0, &bytes)).status, 404);
    let _whole = world.send(&patch(&uri, 0, &bytes)).expect(204);
    // The answer was lost and the client asks again.
    assert_eq!(world.send(&patch(&uri, 1_000, b"")).expect(204).header("upload-offset"), "1000");
    assert_eq!(world.send(&patch(&uri, 0, &bytes)).problem(), "409 upload.offset");
}

#[test]
fn a_service_says_what_it_can_do() {
    let world = World::new();
    let told = world.send(&Call::new("OPTIONS", "/v1/uploads")).expect(204);
    assert_eq!(told.header("tus-version"), "1.0.0");
    assert_eq!(told.header("tus-max-size"), "1048576000");
    assert_eq!(told.header("tus-extension"), "creation,creation-with-upload,termination,checksum,expiration");
    assert_eq!(told.header("tus-checksum-algorithm"), "sha1,md5,sha256");
    assert_eq!(world.send(&Call::new("OPTIONS", "/v1/uploads").token(None)).status, 401);
    assert_eq!(world.send(&creation(5).token(None)).status, 401);
}

#[test]
fn the_first_bytes_may_come_with_the_announcement_and_methods_may_be_disguised() {
    let world = World::new().product("lamp");
    let bytes = image(1_000);
    let first = creation(bytes.len()).header("content-type", "application/offset+octet-stream");
    let made = world.send(&first.header("content-length", "400").bytes(&bytes[..400])).expect(201);
    assert_eq!(made.header("upload-offset"), "400");
    let uri = made.header("location").to_owned();
    let told = head(&world, &uri);
    assert_eq!((told.header("upload-metadata"), told.header("upload-length")), (NAMED, "1000"));
    let disguised = Call::new("POST", &uri)
        .header("x-http-method-override", "PATCH")
        .header("tus-resumable", "1.0.0")
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", "400")
        .bytes(&bytes[400..]);
    let _appended = world.send(&disguised).expect(204);
    assert!(downloaded(&world, &uri) == bytes);
}

#[test]
fn an_upload_that_is_ended_by_its_client_is_gone() {
    let world = World::new().product("lamp");
    let uri = begin(&world, 800_000);
    let _some = world.send(&patch(&uri, 0, &image(600_000))).expect(204);
    let end = |uri: &str| world.send(&Call::delete(uri).header("tus-resumable", "1.0.0"));
    let _ended = end(&uri).expect(204);
    assert_eq!(head(&world, &uri).status, 404);
    assert_eq!(end(&uri).status, 404);
    assert_eq!(world.send(&patch(&uri, 600_000, b"x")).status, 404);
    world.run(minutes(1));
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);
    // Not when it is a package already.
    let package = world.package("1.1.0");
    let blob = world.kv().dump().into_iter().find(|(key, _)| key.starts_with("blob/")).unwrap().0;
    let upload = format!("/v1/uploads/{}", blob.split('/').nth(1).unwrap());
    assert_eq!(end(&upload).problem(), "409 upload.in-use");
    assert_eq!(package.get()["size"], "the image of 1.1.0".len());
}

#[test]
fn an_upload_that_does_not_arrive_within_a_day_is_collected() {
    let world = World::new();
    let uri = begin(&world, 800_000);
    let _some = world.send(&patch(&uri, 0, &image(600_000))).expect(204);
    world.advance(hours(24) - 1);
    assert_eq!(offset(&world, &uri), 600_000);
    world.advance(1);
    assert_eq!(head(&world, &uri).status, 410);
    assert_eq!(world.send(&patch(&uri, 600_000, b"x")).problem(), "410 upload.expired");
    world.run(minutes(2));
    assert_eq!(blob_keys(&world), 0);
    invariant_nothing_is_left_to_do(&world);
}

#[test]
fn what_a_request_of_an_upload_costs() {
    let world = World::new();
    let bytes = image(32 * CHUNK_BYTES);
    let uri = begin(&world, bytes.len() + 1);
    let cost = world.operations(|| {
        let _appended = world.send(&patch(&uri, 0, &bytes)).expect(204);
    });
    // A write for each chunk; the record when it begins, every sixteen chunks, and when it ends.
    assert_eq!(cost.writes, 32, "{cost:?}");
    assert_eq!(cost.swaps, 1 + 2 + 1, "{cost:?}");
}

#[test]
fn a_writer_whose_place_was_taken_notes_nothing() {
    let world = World::new();
    let uri = begin(&world, 1_000);
    let id: UploadId = uri.rsplit('/').next().unwrap().parse().unwrap();
    let now = ota_core::time::Timestamp(world.now_ms());
    let first = world.block_on(blobs::begin(world.kv(), id, 0, now)).unwrap().unwrap();
    let second = world.block_on(blobs::begin(world.kv(), id, 0, now)).unwrap().unwrap();
    assert_eq!((first.pieces.writer(), second.pieces.writer()), (0, 1));
    let note = |writer| {
        let same = |arrival| blobs::Stored::Arriving(Box::new(arrival));
        world.block_on(blobs::note(world.kv(), id, writer, now, same)).unwrap()
    };
    assert!(note(0).is_none() && note(1).is_some());
}
