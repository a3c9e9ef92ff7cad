//! Downloading a package.

use ota_tests::{Call, World, hours, seconds};

/// A package of 600 KB, whose every byte tells its place.
fn world() -> (World, String, Vec<u8>) {
    let world = World::new().product("lamp");
    let bytes: Vec<u8> = (0..600_000_u32).map(|n| (n / 7 + n % 251) as u8).collect();
    let upload = world.upload(&bytes).expect(201).text_of("upload_id");
    let made = world.try_package("1.1.0", &ota_tests::json!({"upload_id": upload})).expect(201);
    let url = world.find_package(&made.text_of("package_id")).url();
    (world, url, bytes)
}

#[test]
fn r162_the_bytes_come_as_they_were_uploaded() {
    let (world, url, bytes) = world();
    let file = world.send(&Call::get(&url)).expect(200);
    assert_eq!(file.body, bytes);
    assert_eq!(file.header("content-length"), "600000");
    assert_eq!(file.header("accept-ranges"), "bytes");
    assert!(file.header("etag").starts_with('"'));
}

#[test]
fn r161_a_range_is_answered_with_206_and_the_right_bytes() {
    let (world, url, bytes) = world();
    for (from, to) in
        [(0, 1), (0, 600_000), (10, 20), (262_143, 262_145), (262_144, 524_288), (599_999, 600_000)]
    {
        let part =
            world.send(&Call::get(&url).header("range", format!("bytes={from}-{}", to - 1))).expect(206);
        assert_eq!(part.body, bytes[from..to], "{from} to {to}");
        assert_eq!(part.header("content-length"), (to - from).to_string());
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/600000", to - 1));
    }
    let tail = world.send(&Call::get(&url).header("range", "bytes=-5")).expect(206);
    assert_eq!(tail.body, bytes[599_995..]);
    let rest = world.send(&Call::get(&url).header("range", "bytes=500000-")).expect(206);
    assert_eq!(rest.body, bytes[500_000..]);
}

#[test]
fn r161_several_ranges_come_in_one_body_with_the_place_of_each() {
    let (world, url, bytes) = world();
    // Within a chunk, over the border of two, and at the end; in the order they are asked for.
    let ranges = "bytes=262143-524288,0-99,-5";
    let answer = world.send(&Call::get(&url).header("range", ranges)).expect(206);
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.header("content-range"), "");
    let parts = multipart(answer.header("content-type"), &answer.body);
    let told: Vec<&str> = parts.iter().map(|part| part.0.as_str()).collect();
    let of = |range: &str| {
        format!("Content-Type: application/octet-stream\r\nContent-Range: bytes {range}/600000")
    };
    assert_eq!(told, [of("262143-524288"), of("0-99"), of("599995-599999")]);
    assert_eq!(parts[0].1, bytes[262_143..=524_288]);
    assert_eq!(parts[1].1, bytes[..100]);
    assert_eq!(parts[2].1, bytes[599_995..]);
}

/// Takes a body of several parts apart: the lines of each, and its bytes.
fn multipart(content_type: &str, body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").expect(content_type);
    let find = |text: &str, within: &[u8]| within.windows(text.len()).position(|w| w == text.as_bytes());
    let mut parts = Vec::new();
    let mut rest = body.strip_prefix(format!("--{boundary}").as_bytes()).expect("the first boundary");
    while rest != b"--\r\n" {
        let end = find(&format!("\r\n--{boundary}"), rest).expect("another boundary");
        let part = rest[..end].strip_prefix(b"\r\n").expect("a line's end");
        let head = find("\r\n\r\n", part).expect("an empty line");
        parts.push((String::from_utf8(part[..head].to_vec()).unwrap(), part[head + 4..].to_vec()));
        rest = &rest[end + 4 + boundary.len()..];
    }
    parts
}

#[test]
fn r161_ranges_that_come_to_one_are_answered_as_one() {
    let (world, url, bytes) = world();
    for (ranges, from, to) in [
        ("bytes=0-9,10-19", 0, 20),
        ("bytes=300000-400000,200000-300000", 200_000, 400_001),
        ("bytes=600000-,10-19,-0", 10, 20),
    ] {
        let part = world.send(&Call::get(&url).header("range", ranges)).expect(206);
        assert_eq!(part.header("content-type"), "application/octet-stream", "{ranges}");
        assert_eq!(part.header("content-range"), format!("bytes {from}-{}/600000", to - 1));
        assert_eq!(part.body, bytes[from..to], "{ranges}");
    }
}

#[test]
fn ranges_that_ask_for_too_much_are_answered_with_the_file() {
    let (world, url, bytes) = world();
    let many: Vec<String> = (0..17).map(|n| format!("{}-{}", 100 * n, 100 * n + 9)).collect();
    for ranges in [format!("bytes={}", many.join(",")), "bytes=0-,0-0".into(), "bytes=0-9,ten".into()] {
        let whole = world.send(&Call::get(&url).header("range", &ranges)).expect(200);
        assert_eq!(whole.header("content-range"), "", "{ranges}");
        assert_eq!(whole.body, bytes, "{ranges}");
    }
}

#[test]
fn r161_a_range_outside_the_file_is_refused_with_its_length() {
    let (world, url, _) = world();
    for ranges in ["bytes=600000-", "bytes=600000-,700000-800000,-0"] {
        let refused = world.send(&Call::get(&url).header("range", ranges));
        assert_eq!(refused.problem(), "416 download.range", "{ranges}");
        assert_eq!(refused.header("content-range"), "bytes */600000");
    }
}

#[test]
fn r161_a_download_goes_on_where_it_stopped_only_if_the_file_is_the_same() {
    let (world, url, bytes) = world();
    let etag = world.send(&Call::get(&url)).header("etag").to_owned();
    let go_on =
        |etag: &str| world.send(&Call::get(&url).header("range", "bytes=599990-").header("if-range", etag));
    assert_eq!(go_on(&etag).expect(206).body, bytes[599_990..]);
    assert_eq!(go_on("\"another\"").expect(200).body, bytes);
    assert_eq!(go_on("Wed, 21 Oct 2015 07:28:00 GMT").expect(200).body, bytes);
    let several = |etag: &str| {
        world.send(&Call::get(&url).header("range", "bytes=0-9,20-29").header("if-range", etag)).status
    };
    assert_eq!((several(&etag), several("\"another\"")), (206, 200));
}

#[test]
fn a_head_tells_the_length_and_sends_nothing() {
    let (world, url, _) = world();
    let head = world.send(&Call::new("HEAD", &url)).expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("600000", 0));
    let head = world.send(&Call::new("HEAD", &url).header("range", "bytes=0-9")).expect(206);
    assert_eq!((head.header("content-length"), head.body.len()), ("10", 0));
    let ask = |method| world.send(&Call::new(method, &url).header("range", "bytes=0-9,20-29")).expect(206);
    let (head, whole) = (ask("HEAD"), ask("GET"));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert!(head.body.is_empty() && head.header("content-type").starts_with("multipart/byteranges"));
}

#[test]
fn a_caller_who_has_the_bytes_is_not_sent_them_again() {
    let (world, url, _) = world();
    let etag = world.send(&Call::get(&url)).header("etag").to_owned();
    let answer = world.send(&Call::get(&url).header("if-none-match", etag)).expect(304);
    assert!(answer.body.is_empty());
}

#[test]
fn r160_a_url_lives_24_hours() {
    let (world, url, _) = world();
    world.advance(hours(24) - seconds(1));
    assert_eq!(world.send(&Call::get(&url)).status, 200);
    world.advance(seconds(1));
    assert_eq!(world.send(&Call::get(&url)).problem(), "403 download.expired");
}

#[test]
fn r160_an_altered_url_is_refused() {
    let (world, url, _) = world();
    let other = world.package("2.0").id;
    let id = url.split("/d/").nth(1).unwrap().split('?').next().unwrap().to_owned();
    let (head, signature) = url.split_at(url.len() - 4);
    let (first, rest) = signature.split_at(1);
    let flipped = format!("{}{rest}", if first == "0" { "1" } else { "0" });
    for altered in [
        url.replace(&id, &other),
        url.replace("?e=", "?e=f"),
        url.replace("?e=", "?e=0"),
        format!("{head}{flipped}"),
        head.to_owned(),
        url.split('?').next().unwrap().to_owned(),
        url.replace("&s=", "&t="),
        url.replace(&id, "x"),
    ] {
        assert_eq!(world.send(&Call::get(&altered)).problem(), "403 download.signature", "{altered}");
    }
}

#[test]
fn a_deleted_package_is_not_downloaded_any_more() {
    let (world, url, _) = world();
    let id = url.split("/d/").nth(1).unwrap().split('?').next().unwrap();
    let _gone = world.find_package(id).delete().expect(204);
    assert_eq!(world.send(&Call::get(&url)).problem(), "404 request.not-found");
}

#[test]
fn a_download_whose_bytes_are_missing_breaks_off_rather_than_ending_short() {
    let (world, url, _) = world();
    let chunk =
        world.kv().dump().into_iter().find(|(key, _)| key.starts_with("blob/") && key.ends_with("/1"));
    let key = chunk.unwrap().0;
    world.block_on(async { ota_store::Kv::delete(world.kv(), &key).await.unwrap() });
    let file = world.send(&Call::get(&url)).expect(200);
    assert!(file.cut && file.body.len() == 262_144, "{}", file.body.len());
}
