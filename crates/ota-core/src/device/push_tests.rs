use alloc::format;
use alloc::string::ToString;

use super::*;
use crate::ids::{DeviceName, ProductKey};

const MD5: &str = "01010101010101010101010101010101";
const SHA256: &str = "0202020202020202020202020202020202020202020202020202020202020202";
const DIGESTS: Digests = Digests { md5: [1; 16], sha256: [2; 32] };

fn tags(pairs: &[(&str, &str)]) -> alloc::vec::Vec<(String, String)> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Two files, whose digests and sizes tell them apart.
fn files() -> [PackageFile; 2] {
    [("app.bin", 3), ("fileSize", 4)].map(|(name, n)| PackageFile {
        name: name.to_string(),
        file_name: "image.bin".to_string(),
        size: n,
        digests: Digests { md5: [n as u8; 16], sha256: [n as u8 + 0x10; 32] },
    })
}

fn urls() -> [String; 2] {
    ["http://ota.example/d/k/1?e=1&s=a", "http://ota.example/d/k/2?e=1&s=b"].map(ToString::to_string)
}

fn file_members(push: &serde_json::Value) -> alloc::vec::Vec<String> {
    let members =
        |file: &serde_json::Value| file.as_object().unwrap().keys().cloned().collect::<alloc::vec::Vec<_>>();
    push["data"]["files"].as_array().into_iter().flatten().flat_map(members).collect()
}

/// Hands `check` the plainest notice there is, to be changed.
fn with_notice(check: impl Fn(UpgradeNotice<'_>)) {
    check(UpgradeNotice {
        target_version: &Version::new("2.0.0").unwrap(),
        size: 432_945,
        source: Source::Url("http://ota.example/d/k?e=1&s=a/b"),
        algorithm: DigestAlgorithm::Sha256,
        digests: &DIGESTS,
        is_delta: false,
        slice_bytes: None,
        module: &ModuleName::default_module(),
        tags: &[],
        udi: "",
        digest_signature: None,
    });
}

#[test]
fn r157_a_push_has_the_text_code_1000_and_a_number_for_an_id() {
    with_notice(|notice| {
        assert_eq!(
            render_push(&notice, 1_795_355_887),
            format!(
                "{{\"code\":\"1000\",\"data\":{{\"size\":432945,\"version\":\"2.0.0\",\"sign\":\"{SHA256}\",\
                 \"signMethod\":\"SHA256\",\"md5\":\"{MD5}\",\"url\":\"http://ota.example/d/k?e=1&s=a/b\"}},\
                 \"id\":1795355887,\"message\":\"success\"}}"
            )
        );
    });
}

#[test]
fn everything_at_once_has_its_place_and_ext_data_is_last() {
    with_notice(|notice| {
        let (module, tags) = (ModuleName::new("MCU").unwrap(), tags(&[("key1", "v\"1/&中"), ("k.2", "")]));
        let notice = UpgradeNotice {
            is_delta: true,
            module: &module,
            tags: &tags,
            udi: "free text",
            algorithm: DigestAlgorithm::Md5,
            digest_signature: Some("c2ln/+=="),
            ..notice
        };
        assert_eq!(
            render_push(&notice, 1),
            format!(
                "{{\"code\":\"1000\",\"data\":{{\"size\":432945,\"version\":\"2.0.0\",\"isDiff\":1,\"sign\":\"{MD5}\",\
                 \"signMethod\":\"Md5\",\"md5\":\"{MD5}\",\"url\":\"http://ota.example/d/k?e=1&s=a/b\",\
                 \"digestsign\":\"c2ln/+==\",\"module\":\"MCU\",\"extData\":{{\"key1\":\"v\\\"1/&中\",\"k.2\":\"\",\"_package_udi\":\"free text\"}}}},\
                 \"id\":1,\"message\":\"success\"}}"
            )
        );
    });
}

#[test]
fn r98_tags_arrive_in_push_and_reply() {
    with_notice(|notice| {
        let tags = tags(&[("color", "red")]);
        let notice = UpgradeNotice { tags: &tags, ..notice };
        for text in [render_push(&notice, 1), render_get_reply(&MessageId::Number(1), Some(&notice))] {
            assert!(text.contains(r#","extData":{"color":"red"}}"#), "{text}");
        }
    });
}

#[test]
fn r98_no_tag_shadows_a_member_of_the_notice() {
    with_notice(|notice| {
        let mut shadowing = tags(&[("_package_udi", "x")]);
        shadowing.extend(RESERVED_TAG_KEYS.iter().map(|key| (key.to_string(), "9.9".to_string())));
        let shadowed = UpgradeNotice { tags: &shadowing, ..notice };
        assert_eq!(render_push(&shadowed, 1), render_push(&notice, 1));

        shadowing.push(("Version".to_string(), "other".to_string()));
        let text = render_push(&UpgradeNotice { tags: &shadowing, ..notice }, 1);
        assert!(text.contains(r#""extData":{"Version":"other"}}"#), "{text}");
    });
}

#[test]
fn every_member_of_a_notice_is_a_reserved_tag_key() {
    with_notice(|notice| {
        let (module, tags) = (ModuleName::new("MCU").unwrap(), tags(&[("k", "v")]));
        let full =
            UpgradeNotice { is_delta: true, slice_bytes: Some(1), module: &module, tags: &tags, ..notice }
                .signed(Some("c2ln"));
        let value: serde_json::Value = serde_json::from_str(&render_push(&full, 1)).unwrap();
        let members = |value: &serde_json::Value| {
            value.as_object().unwrap().keys().cloned().collect::<alloc::vec::Vec<_>>()
        };
        for key in members(&value).iter().chain(&members(&value["data"])) {
            assert!(is_reserved_tag_key(key), "{key}");
        }
        let stream = UpgradeNotice { source: Source::Stream(7), ..full };
        let files = UpgradeNotice { source: Source::Files { files: &files(), urls: &urls() }, ..full };
        for notice in [stream, files] {
            let value: serde_json::Value = serde_json::from_str(&render_push(&notice, 1)).unwrap();
            for key in members(&value["data"]).iter().chain(&file_members(&value)) {
                assert!(is_reserved_tag_key(key), "{key}");
            }
        }
    });
}

#[test]
fn r37_a_sliced_delta_says_how_long_its_slices_are_and_nothing_else_does() {
    with_notice(|notice| {
        let text = |is_delta, slice_bytes| {
            let notice = UpgradeNotice { is_delta, slice_bytes, ..notice };
            [render_push(&notice, 1), render_get_reply(&MessageId::Number(1), Some(&notice))]
        };
        for text in text(true, Some(65_536)) {
            assert!(text.contains(r#","isDiff":1,"splictSize":65536,"sign":"#), "{text}");
        }
        for text in [text(true, None), text(false, None), text(false, Some(65_536))].concat() {
            assert!(!text.contains("splictSize"), "{text}");
        }
    });
}

#[test]
fn r99_the_default_module_is_not_named() {
    with_notice(|notice| assert!(!render_push(&notice, 1).contains("module")));
}

#[test]
fn r100_md5_is_always_there_besides_the_sign() {
    with_notice(|notice| {
        for (algorithm, sign) in [(DigestAlgorithm::Md5, MD5), (DigestAlgorithm::Sha256, SHA256)] {
            let text = render_push(&UpgradeNotice { algorithm, ..notice }, 1);
            assert!(text.contains(&format!(r#""sign":"{sign}""#)), "{text}");
            assert!(text.contains(&format!(r#""md5":"{MD5}""#)), "{text}");
        }
    });
}

#[test]
fn r40_the_signature_of_the_digest_is_there_only_if_the_product_signs() {
    with_notice(|notice| {
        for (signature, member) in [(Some("c2ln"), true), (None, false)] {
            let notice = notice.signed(signature);
            for text in [render_push(&notice, 1), render_get_reply(&MessageId::Number(1), Some(&notice))] {
                assert_eq!(text.contains(r#","digestsign":"c2ln"}"#), member, "{text}");
                assert_eq!(text.contains("digestsign"), member, "{text}");
            }
        }
    });
}

#[test]
fn r101_the_sign_method_is_spelled_as_devices_know_it() {
    with_notice(|notice| {
        for (algorithm, name) in [(DigestAlgorithm::Md5, "Md5"), (DigestAlgorithm::Sha256, "SHA256")] {
            let text = render_push(&UpgradeNotice { algorithm, ..notice }, 1);
            assert!(text.contains(&format!(r#","signMethod":"{name}","#)), "{text}");
        }
    });
}

#[test]
fn r158_a_reply_has_the_number_200_and_the_notice() {
    with_notice(|notice| {
        assert_eq!(
            render_get_reply(&MessageId::Text("123".into()), Some(&notice)),
            format!(
                "{{\"id\":\"123\",\"code\":200,\"data\":{{\"size\":432945,\"version\":\"2.0.0\",\"sign\":\"{SHA256}\",\
                 \"signMethod\":\"SHA256\",\"md5\":\"{MD5}\",\"url\":\"http://ota.example/d/k?e=1&s=a/b\"}},\
                 \"message\":\"success\"}}"
            )
        );
    });
}

#[test]
fn r158_a_reply_without_an_upgrade_has_empty_data() {
    let text = render_get_reply(&MessageId::Text("123".into()), None);
    assert_eq!(text, r#"{"id":"123","code":200,"data":{},"message":"success"}"#);
}

#[test]
fn r159_an_older_request_is_answered_by_a_push_on_the_upgrade_topic() {
    let device = device();
    assert_eq!(Topics::upgrade(&device), "/ota/device/upgrade/a1pk/lamp-1");
    assert_eq!(Topics::get_reply(&device), "/sys/a1pk/lamp-1/thing/ota/firmware/get_reply");
    assert_eq!(Topics::presence(&device), "/overair/presence/a1pk/lamp-1");
}

#[test]
fn r169_the_id_comes_back_with_its_type() {
    for (id, text) in [
        (MessageId::Text("1".into()), r#"{"id":"1","#),
        (MessageId::Text("a\"b".into()), r#"{"id":"a\"b","#),
        (MessageId::Number(u64::MAX), r#"{"id":18446744073709551615,"#),
        (MessageId::Absent, r#"{"id":"","#),
    ] {
        assert!(render_get_reply(&id, None).starts_with(text), "{id:?}");
    }
}

/// The oldest kind of device: finds the first `"key":` in the text and reads what is right behind it.
#[test]
fn a_device_that_searches_the_text_finds_the_right_values() {
    fn search<'a>(text: &'a str, key: &str) -> Option<&'a str> {
        let behind = text.split_once(&format!("\"{key}\":"))?.1;
        match behind.strip_prefix('"') {
            Some(behind) => behind.split('"').next(),
            None => behind.split([',', '}']).next(),
        }
    }
    with_notice(|notice| {
        let tags = tags(&[("a", "\"version\":\"9.9\",\"module\":\"x\""), ("module", "x"), ("size", "1")]);
        let text = render_push(&UpgradeNotice { tags: &tags, ..notice }, 77);
        assert_eq!(search(&text, "version"), Some("2.0.0"));
        assert_eq!(search(&text, "size"), Some("432945"));
        assert_eq!(search(&text, "url"), Some("http://ota.example/d/k?e=1&s=a/b"));
        assert_eq!(search(&text, "module"), None);
        assert_eq!(search(&text, "id"), Some("77"));
    });
}

fn device() -> DeviceRef {
    DeviceRef {
        product_key: ProductKey::new("a1pk").unwrap(),
        device_name: DeviceName::new("lamp-1").unwrap(),
    }
}

#[test]
fn r163_a_notice_for_mqtt_names_the_stream_and_no_url() {
    with_notice(|notice| {
        let notice = UpgradeNotice { source: Source::Stream(1_397_345), ..notice };
        assert_eq!(
            render_push(&notice, 1),
            format!(
                "{{\"code\":\"1000\",\"data\":{{\"size\":432945,\"version\":\"2.0.0\",\"sign\":\"{SHA256}\",\
                 \"signMethod\":\"SHA256\",\"md5\":\"{MD5}\",\"dProtocol\":\"mqtt\",\"streamId\":1397345,\
                 \"streamFileId\":1}},\"id\":1,\"message\":\"success\"}}"
            )
        );
    });
}

#[test]
fn r31_a_notice_of_several_files_lists_them_last_and_tells_nothing_of_them_before() {
    with_notice(|notice| {
        let (module, tags) = (ModuleName::new("MCU").unwrap(), tags(&[("color", "red")]));
        let (files, urls) = (files(), urls());
        let source = Source::Files { files: &files, urls: &urls };
        let notice = UpgradeNotice { source, module: &module, tags: &tags, is_delta: true, ..notice };
        let file = |n: u64, name: &str, s: &str| {
            let (md5, sign) = (format!("0{n}").repeat(16), format!("1{n}").repeat(32));
            format!(
                "{{\"fileSize\":{n},\"fileUrl\":\"http://ota.example/d/k/{}?e=1&s={s}\",\"fileMd5\":\"{md5}\",\
                 \"fileSign\":\"{sign}\",\"fileName\":\"{name}\"}}",
                n - 2
            )
        };
        assert_eq!(
            render_push(&notice, 1),
            format!(
                "{{\"code\":\"1000\",\"data\":{{\"version\":\"2.0.0\",\"isDiff\":1,\"signMethod\":\"SHA256\",\
                 \"module\":\"MCU\",\"extData\":{{\"color\":\"red\"}},\"files\":[{},{}]}},\
                 \"id\":1,\"message\":\"success\"}}",
                file(3, "app.bin", "a"),
                file(4, "fileSize", "b")
            )
        );
    });
}

#[test]
fn r31_the_signs_of_files_are_by_the_packages_algorithm_and_md5_is_always_there() {
    with_notice(|notice| {
        let (files, urls) = (files(), urls());
        let source = Source::Files { files: &files, urls: &urls };
        let text = render_push(&UpgradeNotice { source, algorithm: DigestAlgorithm::Md5, ..notice }, 1);
        let md5 = "03".repeat(16);
        assert!(text.contains(&format!(r#""fileMd5":"{md5}","fileSign":"{md5}""#)), "{text}");
        assert!(text.contains(r#""signMethod":"Md5""#), "{text}");
    });
}
