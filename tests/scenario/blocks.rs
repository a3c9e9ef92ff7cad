//! Devices that download over MQTT, block by block.

use md5::{Digest, Md5};
use ota_tests::{Batch, Block, Call, Device, Package, Value, World, json, seconds};

/// Bytes whose every one tells its place; more than two chunks of the store.
fn image(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n / 7 + n % 251) as u8).collect()
}

fn package_of(world: &World, version: &str, bytes: &[u8]) -> Package {
    let upload = world.upload(bytes).expect(201).text_of("upload_id");
    let more = json!({"upload_id": upload, "digest_algorithm": "MD5", "needs_verification": false});
    world.find_package(&world.try_package(version, &more).expect(201).text_of("package_id"))
}

fn over_mqtt() -> Value {
    json!({"download_protocol": "mqtt"})
}

/// A world in which `lamp-1` was told to download 600,000 bytes over MQTT.
fn told() -> (World, Batch, Device, u64) {
    let world = World::new().product("lamp").devices(2);
    let package = package_of(&world, "1.1.0", &image(600_000));
    let target = json!({"selection": "specific", "devices": ["lamp-1"]});
    let batch = world.batch(&package, json!({"download_protocol": "mqtt", "target": target}));
    let lamp = world.device("lamp-1");
    let stream = lamp.told()[0].message["data"]["streamId"].as_u64().expect("it is told of a stream");
    (world, batch, lamp, stream)
}

/// Downloads a file as shipped devices do, one block after the other.
fn download(lamp: &Device, stream: u64, size: u64, block: i64) -> Vec<u8> {
    let mut file: Vec<u8> = Vec::new();
    while (file.len() as u64) < size {
        let answer = lamp.ask_block(stream, 1, block, file.len() as u64);
        assert_eq!(answer.code(), 200, "{}", answer.head);
        assert_eq!(answer.head["data"]["bOffset"], file.len());
        assert_eq!(answer.head["data"]["fileLength"], size);
        file.extend(answer.bytes);
    }
    file
}

#[test]
fn r163_a_device_downloads_its_package_block_by_block_and_upgrades() {
    let world = World::new().product("lamp").devices(1);
    let bytes = image(600_000);
    let batch = world.batch(&package_of(&world, "1.1.0", &bytes), over_mqtt());
    let lamp = world.device("lamp-1");
    let data = lamp.told()[0].message["data"].clone();
    assert_eq!((&data["dProtocol"], &data["streamFileId"]), (&json!("mqtt"), &json!(1)));
    assert_eq!((data.get("url"), &data["size"]), (None, &json!(600_000)));

    lamp.progress(0, "");
    let file = download(&lamp, data["streamId"].as_u64().unwrap(), 600_000, 10_240);
    assert_eq!(hex::encode(Md5::digest(&file)), data["md5"]);
    assert_eq!(file, bytes);
    lamp.progress(100, "");
    lamp.restart("1.1.0");
    world.run(seconds(10));
    assert_eq!(batch.outcome(), ["lamp-1 succeeded"]);
}

#[test]
fn r163_a_device_that_asks_for_its_upgrade_is_told_the_same_stream() {
    let (_, _, lamp, stream) = told();
    let data = lamp.ask()["data"].clone();
    assert_eq!((data["streamId"].as_u64(), data.get("url")), (Some(stream), None));
}

#[test]
fn r163_the_last_block_is_short_and_a_block_has_at_most_128_kib() {
    let (_, _, lamp, stream) = told();
    let bytes = image(600_000);
    for (size, offset, len) in [
        (10_240, 599_000, 1_000),
        (1, 599_999, 1),
        (131_072, 200_000, 131_072),
        (131_073, 200_000, 131_072),
        (10_000_000, 0, 131_072),
    ] {
        let block = lamp.ask_block(stream, 1, size, offset as u64);
        assert_eq!(block.bytes, bytes[offset..offset + len], "{size} bytes from {offset}");
    }
}

#[test]
fn r163_a_block_of_no_bytes_or_behind_the_end_is_refused() {
    let (world, _, lamp, stream) = told();
    let lines = world.engine().log_lines().len();
    for (size, offset, code) in [(0, 0, 400), (-1, 0, 400), (1, 600_000, 416), (1, u64::MAX, 416)] {
        let block = lamp.ask_block(stream, 1, size, offset);
        assert_eq!((block.code(), &block.head["data"]), (code, &json!({})), "{size} bytes from {offset}");
    }
    assert_eq!(world.engine().log_lines().len(), lines + 4);
}

#[test]
fn r164_the_superfluous_comma_and_a_nul_are_forgiven_and_the_id_comes_back_as_it_was() {
    let (_, _, lamp, stream) = told();
    let ask = |id: &str| {
        let words = format!(
            r#"{{"id":{id},"params":{{"fileToken":"t,}}","fileInfo":{{"streamId":"{stream}","fileId":1 , }},"fileBlock":{{"size":2,"offset":3,}},}}}}"#
        );
        lamp.ask_block_in_words(&[words.as_bytes(), b"\0"].concat())
    };
    let Block { head, bytes } = ask("\"9\"");
    let data = json!({"fileToken": "t,}", "fileLength": 600_000, "bSize": 2, "bOffset": 3});
    assert_eq!(head, json!({"id": "9", "code": 200, "msg": "success", "data": data}));
    assert_eq!(bytes, image(5)[3..]);
    assert_eq!(ask("9").head["id"], 9);
}

#[test]
fn r164_a_request_that_cannot_be_read_is_logged_and_dropped() {
    let (world, _, lamp, _) = told();
    let (lines, published) = (world.engine().log_lines().len(), world.published().len());
    let topic = format!("/sys/{}/lamp-1/thing/file/download", world.product_key());
    assert_eq!(lamp.say_bytes(&topic, br#"{"id":"1","params":{"fileInfo":"#), 204);
    assert_eq!((world.engine().log_lines().len(), world.published().len()), (lines + 1, published));
}

#[test]
fn r165_a_stream_is_served_to_the_device_it_was_told_to_and_to_no_other() {
    let (world, _, lamp, stream) = told();
    let other = world.device("lamp-2");
    assert_eq!(lamp.ask_block(stream, 1, 10, 0).code(), 200);
    assert_eq!(other.ask_block(stream, 1, 10, 0).code(), 404, "it has no upgrade");
    let package = package_of(&world, "1.2.0", b"another image");
    let target = json!({"selection": "specific", "devices": ["lamp-2"]});
    let _batch = world.batch(&package, json!({"download_protocol": "mqtt", "target": target}));
    let own = other.told()[0].message["data"]["streamId"].as_u64().unwrap();
    assert_eq!(other.ask_block(own, 1, 7, 0).bytes, b"another");
    assert_eq!(other.ask_block(stream, 1, 10, 0).code(), 404, "it has another upgrade");
    assert_eq!(lamp.ask_block(own, 1, 10, 0).code(), 404);
    for (stream, file) in [(stream, 0), (stream, 2), (0, 1), (stream + (1 << 32), 1)] {
        assert_eq!(lamp.ask_block(stream, file, 10, 0).code(), 404, "{stream} {file}");
    }
}

#[test]
fn r165_a_stream_ends_with_its_task() {
    let (_, batch, lamp, stream) = told();
    lamp.progress(10, "");
    assert_eq!(lamp.ask_block(stream, 1, 10, 0).code(), 200);
    let _canceled = batch.cancel(&json!({"in_progress": true})).expect(202);
    assert_eq!(batch.outcome(), ["lamp-1 canceled canceled-by-user"]);
    assert_eq!(lamp.ask_block(stream, 1, 10, 0).code(), 404);
}

/// The number that the stream of a batch would have.
fn stream_of(batch: &Batch) -> u64 {
    u64::from_str_radix(&batch.id[..8], 16).expect("an id is hexadecimal") & 0x7fff_ffff
}

#[test]
fn r165_a_device_that_was_told_of_no_stream_guesses_none() {
    let world = World::new().product("lamp").devices(2);
    let https = world.batch_for(&package_of(&world, "1.1.0", b"image"), &["lamp-1"]);
    assert_eq!(world.device("lamp-1").ask_block(stream_of(&https), 1, 10, 0).code(), 404, "it has a URL");
    world.device("lamp-2").disconnect();
    let target = json!({"selection": "specific", "devices": ["lamp-2"]});
    let more = json!({"download_protocol": "mqtt", "target": target});
    let mqtt = world.batch(&package_of(&world, "1.2.0", b"image"), more);
    let lamp = world.device("lamp-2");
    lamp.connect_silently();
    assert_eq!(mqtt.outcome(), ["lamp-2 queued"]);
    assert_eq!(lamp.ask_block(stream_of(&mqtt), 1, 10, 0).code(), 404, "it was not told yet");
    let _told = lamp.ask();
    assert_eq!(lamp.ask_block(stream_of(&mqtt), 1, 10, 0).bytes, b"image");
}

#[test]
fn r165_a_file_of_16_mb_is_downloaded_over_mqtt_and_a_larger_one_is_not() {
    let world = World::new().product("lamp").devices(1);
    let bytes = image(16 * 1024 * 1024 + 1);
    let larger = package_of(&world, "1.2.0", &bytes);
    let refused = world.try_batch(&larger, &over_mqtt());
    assert_eq!(refused.faults(), ["/download_protocol batch.mqtt-too-large"]);
    let tried = json!({"devices": ["lamp-1"], "download_protocol": "mqtt"});
    assert_eq!(world.try_verify(&larger, &tried).faults(), ["/download_protocol batch.mqtt-too-large"]);
    let _by_https = world.try_verify(&larger, &json!({"devices": ["lamp-1"]})).expect(201);
    world.device("lamp-1").upgrade();
    world.run(seconds(10));

    let largest = package_of(&world, "1.3.0", &bytes[1..]);
    let _batch = world.batch(&largest, over_mqtt());
    let lamp = world.device("lamp-1");
    let stream = lamp.told()[0].message["data"]["streamId"].as_u64().unwrap();
    let end = lamp.ask_block(stream, 1, 10_240, 16 * 1024 * 1024 - 5);
    assert_eq!(end.bytes, bytes[bytes.len() - 5..]);
}

#[test]
fn a_trial_may_download_over_mqtt() {
    let world = World::new().product("lamp").devices(1);
    let package = package_of(&world, "1.1.0", b"image");
    let tried = json!({"devices": ["lamp-1"], "download_protocol": "mqtt"});
    let begun = world.try_verify(&package, &tried).expect(201).json();
    assert_eq!(begun["batch"]["download_protocol"], "mqtt");
    let lamp = world.device("lamp-1");
    let stream = lamp.told()[0].message["data"]["streamId"].as_u64().unwrap();
    assert_eq!(download(&lamp, stream, 5, 2), b"image");
}

#[test]
fn a_trial_is_told_all_its_faults_at_once() {
    let world = World::new().product("lamp").devices(1);
    let package = package_of(&world, "1.1.0", b"image");
    let refused = world.try_verify(&package, &json!({"timeout_minutes": 0, "download_protocol": "ftp"}));
    let mut faults = refused.faults();
    faults.sort();
    let expected =
        ["/devices value.missing", "/download_protocol value.not-one-of", "/timeout_minutes value.range"];
    assert_eq!(faults, expected);
}

#[test]
fn a_batch_tells_how_its_devices_download() {
    let world = World::new().product("lamp").devices(1);
    let package = package_of(&world, "1.1.0", b"image");
    assert_eq!(
        world.try_batch(&package, &json!({"download_protocol": "x"})).problem(),
        "422 value.not-one-of"
    );
    assert_eq!(world.batch(&package, over_mqtt()).get()["download_protocol"], "mqtt");
    let told = world.batch(&package, json!({"overwrite": true})).get();
    assert_eq!(told["download_protocol"], "https");
}

#[test]
fn a_block_is_read_and_nothing_is_written() {
    let (world, _, lamp, stream) = told();
    let counted = world.operations(|| drop(lamp.ask_block(stream, 1, 10_240, 262_000)));
    assert_eq!((counted.writes, counted.swaps, counted.increments), (0, 0, 0));
    // The fleet's shape, its shard, the batch, the package, and the two chunks that the block lies in.
    assert!(counted.reads <= 6, "{counted:?}");
}

#[test]
fn r163_a_block_that_is_too_long_for_the_broker_is_answered_with_a_shorter_one() {
    let (world, _, lamp, stream) = told();
    world.engine().set_message_bytes_max(10_000);
    let file = download(&lamp, stream, 600_000, 10_240);
    assert_eq!(file, image(600_000));
    // One that fits is not cut.
    assert_eq!(lamp.ask_block(stream, 1, 9_000, 0).bytes.len(), 9_000);
}

#[test]
fn an_answer_that_breaks_the_connection_is_asked_for_again() {
    let (world, _, lamp, stream) = told();
    let topic = format!("/sys/{}/{}/thing/ota/firmware/get", world.product_key(), lamp.name());
    let upgrade =
        Call::post(format!("/internal/device-messages?topic={topic}"), &json!({"id": "1", "params": {}}));
    world.engine().set_message_bytes_max(10);
    for ask in [block_request(&world, &lamp, stream), upgrade] {
        assert_eq!(world.send_once(&ask).problem(), "503 broker.unreachable", "{ask:?}");
    }
}

/// The message by which a device asks for the first byte, as the bridge forwards it.
fn block_request(world: &World, lamp: &Device, stream: u64) -> Call {
    let words = format!(
        r#"{{"id":"1","params":{{"fileInfo":{{"streamId":{stream},"fileId":1}},"fileBlock":{{"size":1,"offset":0}}}}}}"#
    );
    let topic = format!("/sys/{}/{}/thing/file/download", world.product_key(), lamp.name());
    Call::new("POST", format!("/internal/device-messages?topic={topic}")).bytes(words)
}

#[test]
fn a_block_that_the_broker_did_not_take_is_asked_for_again() {
    let (world, _, lamp, stream) = told();
    let ask = block_request(&world, &lamp, stream);
    world.engine().set_broker_down(true);
    assert_eq!(world.send_once(&ask).problem(), "503 broker.unreachable");
    world.engine().set_broker_down(false);
    let _taken = world.send_once(&ask).expect(204);
}
