use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;

const INFORM: &str = "/ota/device/inform/a1pk/lamp-1";
const PROGRESS: &str = "/ota/device/progress/a1pk/lamp-1";
const REQUEST: &str = "/ota/device/request/a1pk/lamp-1";
const GET: &str = "/sys/a1pk/lamp-1/thing/ota/firmware/get";
const DOWNLOAD: &str = "/sys/a1pk/lamp-1/thing/file/download";
const PRESENCE: &str = "/overair/presence/a1pk/lamp-1";

fn read(topic: &str, payload: &str) -> Result<DeviceMessage, MessageError> {
    parse(topic, payload.as_bytes()).map(|(_, message)| message)
}

fn module(name: &str) -> ModuleName {
    ModuleName::new(name).unwrap()
}

fn reported(module_name: &str, version: &str) -> DeviceMessage {
    DeviceMessage::VersionReported { module: module(module_name), version: Version::new(version).unwrap() }
}

fn progressed(step: Step, desc: &str) -> DeviceMessage {
    DeviceMessage::ProgressReported { module: module("default"), step, desc: desc.to_string() }
}

fn requested(module_name: &str, id: MessageId, channel: ReplyChannel) -> DeviceMessage {
    DeviceMessage::UpgradeRequested { module: module(module_name), id, channel }
}

#[test]
fn the_topic_names_the_device() {
    let payload = br#"{"params":{"version":"1"}}"#;
    let (device, _) = parse("/ota/device/inform/a1pk/a.b:c@d_-", payload).unwrap();
    assert_eq!((device.product_key.as_str(), device.device_name.as_str()), ("a1pk", "a.b:c@d_-"));
}

#[test]
fn other_topics_are_unknown() {
    for topic in [
        "",
        "/",
        "ota/device/inform/a1pk/lamp-1",
        "/ota/device/inform/a1pk",
        "/ota/device/inform/a1pk/lamp-1/",
        "/ota/device/inform/a1pk/lamp-1/more",
        "/ota/device/upgrade/a1pk/lamp-1",
        "/ota/device/inform",
        "/sys/a1pk/lamp-1/thing/ota/firmware/get_reply",
        "/sys/a1pk/lamp-1/thing/file/download_reply",
        "/sys/thing/ota/firmware/get",
        "/overair/presence/a1pk",
    ] {
        assert_eq!(parse(topic, b"{}"), Err(MessageError::UnknownTopic), "{topic}");
    }
}

#[test]
fn impossible_devices_are_refused() {
    for topic in [
        "/ota/device/inform//lamp-1",
        "/ota/device/inform/a1pk/abc",
        "/sys/a-b/lamp-1/thing/ota/firmware/get",
    ] {
        assert_eq!(parse(topic, b"{}").unwrap_err().code(), "message.device", "{topic}");
    }
}

#[test]
fn the_version_reports_of_shipped_clients_are_read() {
    for (client, payload, expected) in [
        ("C 4.x", r#"{"id":1, "params":{"version":"1.0.0"}}"#, reported("default", "1.0.0")),
        ("C 4.x", r#"{"id":1, "params":{"version":"1.0.0","module":"MCU"}}"#, reported("MCU", "1.0.0")),
        (
            "iotkit",
            r#"{"id":"0","params":{"version":"app-1.0.0-20180101.1001"}}"#,
            reported("default", "app-1.0.0-20180101.1001"),
        ),
        (
            "aiot",
            r#"{"id":"1","version":"1.0","params":{"version":"1.0.0","module":null}}"#,
            reported("default", "1.0.0"),
        ),
        ("AliOS", "{\"id\":0,\"params\":{\"version\":\"1.0.0\"}}\0", reported("default", "1.0.0")),
        ("QuecPython", r#"{"id":"7","params":{"version":"2","module":"mcu"}}"#, reported("mcu", "2")),
    ] {
        assert_eq!(read(INFORM, payload), Ok(expected), "{client}");
    }
}

#[test]
fn r156_a_module_that_is_absent_null_or_empty_is_the_default_one() {
    for params in [
        r#"{"version":"1"}"#,
        r#"{"version":"1","module":null}"#,
        r#"{"version":"1","module":""}"#,
        r#"{"module":"default","version":"1"}"#,
    ] {
        assert_eq!(
            read(INFORM, &format!(r#"{{"params":{params}}}"#)),
            Ok(reported("default", "1")),
            "{params}"
        );
    }
}

#[test]
fn what_surrounds_the_members_does_not_matter() {
    for payload in [
        "{\"params\":{\"version\":\"1\"}}\0\0",
        "{\"params\":{\"version\":\"1\"}}\r\n\0\n",
        " { \"params\" :\t{ \"version\" : \"1\" } } ",
        r#"{"method":"m","sys":{"ack":[0,{"a":1e9}]},"params":{"x":[[]],"version":"1","y":{}},"time":1.5}"#,
        r#"{"params":{"version":"0","version":"1"}}"#,
        r#"{"params":{"version":"\u0031"}}"#,
    ] {
        assert_eq!(read(INFORM, payload), Ok(reported("default", "1")), "{payload}");
    }
}

#[test]
fn what_is_no_version_report_is_refused() {
    for (payload, code) in [
        ("", "message.malformed"),
        ("\0", "message.malformed"),
        ("hello", "message.malformed"),
        ("[]", "message.malformed"),
        (r#"["1",{"version":"1"}]"#, "message.malformed"),
        (r#"{"params":{"version":"1"}"#, "message.malformed"),
        (r#"{"params":{"version":"1"}} x"#, "message.malformed"),
        (r#"{"params":{"version":"1",}}"#, "message.malformed"),
        (r#"{"params":["1"]}"#, "message.malformed"),
        (r#"{"params":{}}"#, "message.version"),
        (r#"{"params":null}"#, "message.version"),
        ("{}", "message.version"),
        (r#"{"params":{"version":""}}"#, "message.version"),
        (r#"{"params":{"version":"1 0"}}"#, "message.version"),
        (r#"{"params":{"version":1}}"#, "message.version"),
        (r#"{"params":{"version":null}}"#, "message.version"),
        (r#"{"params":{"version":"1","module":"a b"}}"#, "message.module"),
        (r#"{"params":{"version":"1","module":7}}"#, "message.module"),
    ] {
        assert_eq!(read(INFORM, payload).unwrap_err().code(), code, "{payload}");
    }
}

#[test]
fn a_message_may_have_256_kib_and_no_more() {
    let payload = |len: usize| {
        let head = r#"{"params":{"version":"1"},"padding":""#;
        format!("{head}{}\"}}", "x".repeat(len - head.len() - 2))
    };
    let max = limits::DEVICE_MESSAGE_BYTES_MAX;
    assert_eq!(read(INFORM, &payload(max)), Ok(reported("default", "1")));
    assert_eq!(read(INFORM, &payload(max + 1)), Err(MessageError::TooLarge { len: max + 1 }));
}

#[test]
fn the_progress_of_shipped_clients_is_read() {
    use DeviceFailure as F;
    for (client, params, step, desc) in [
        ("C 4.x", r#"{"step":"0","desc":""}"#, Step::Percent(0), ""),
        ("C 4.x", r#"{"step":"100","desc":""}"#, Step::Percent(100), ""),
        ("C 4.x", r#"{"step":"-3","desc":""}"#, Step::Failed(F::Verify), ""),
        ("iotkit", r#"{"step": "7", "desc": "hello"}"#, Step::Percent(7), "hello"),
        ("aiot", r#"{"step":"5","desc":"","module":null}"#, Step::Percent(5), ""),
        ("QuecPython", r#"{"step":50,"desc":null}"#, Step::Percent(50), ""),
        ("QuecPython", r#"{"step":-2,"desc":"no route","module":""}"#, Step::Failed(F::Download), "no route"),
        ("QuecPython", r#"{"step":-1}"#, Step::Failed(F::Upgrade), ""),
        ("documents", r#"{"step":"-4","desc":"烧写失败"}"#, Step::Failed(F::Flash), "烧写失败"),
    ] {
        let payload = format!(r#"{{"id":0,"params":{params}}}"#);
        assert_eq!(read(PROGRESS, &payload), Ok(progressed(step, desc)), "{client}: {params}");
    }
}

#[test]
fn a_step_is_any_spelling_of_a_whole_number_from_minus_4_to_100() {
    for (step, expected) in [
        ("0", Step::Percent(0)),
        ("50.0", Step::Percent(50)),
        ("1e2", Step::Percent(100)),
        ("-0.0", Step::Percent(0)),
        ("-2.0", Step::Failed(DeviceFailure::Download)),
        (r#"" 50 ""#, Step::Percent(50)),
        (r#""50.0""#, Step::Percent(50)),
        (r#""050""#, Step::Percent(50)),
        (r#""-1.00""#, Step::Failed(DeviceFailure::Upgrade)),
    ] {
        let payload = format!(r#"{{"params":{{"step":{step}}}}}"#);
        assert_eq!(read(PROGRESS, &payload), Ok(progressed(expected, "")), "{step}");
    }
}

#[test]
fn other_steps_are_ignored() {
    for step in [
        "101",
        "-5",
        "50.5",
        "1e300",
        "-1e300",
        "18446744073709551615",
        "true",
        "null",
        "[50]",
        r#"{"a":50}"#,
        r#""101""#,
        r#""-5""#,
        r#""819200""#,
        r#""50.5""#,
        r#""50.""#,
        r#"".5""#,
        r#""50%""#,
        r#""""#,
        r#""done""#,
        r#""99999999999999999999999999999999999999999999""#,
        r#""- 1""#,
        r#""0x10""#,
    ] {
        let payload = format!(r#"{{"params":{{"step":{step}}}}}"#);
        assert_eq!(read(PROGRESS, &payload).unwrap_err().code(), "message.step-ignored", "{step}");
    }
    assert_eq!(read(PROGRESS, r#"{"params":{}}"#).unwrap_err().code(), "message.step-ignored");
}

#[test]
fn an_ignored_step_is_told_in_one_short_line() {
    let payload = format!(r#"{{"params":{{"step":"\n{}"}}}}"#, "x".repeat(1_000));
    let text = read(PROGRESS, &payload).unwrap_err().to_string();
    assert!(text.len() < 100 && !text.contains('\n'), "{text}");
}

#[test]
fn a_long_desc_is_cut_between_characters() {
    let max = limits::TASK_DESC_LEN_MAX;
    let desc_of = |desc: &str| match read(PROGRESS, &format!(r#"{{"params":{{"step":-1,"desc":"{desc}"}}}}"#))
    {
        Ok(DeviceMessage::ProgressReported { desc, .. }) => desc,
        other => panic!("{other:?}"),
    };
    assert_eq!(desc_of(&"烧".repeat(max)), "烧".repeat(max));
    assert_eq!(desc_of(&"烧".repeat(max + 1)), "烧".repeat(max));
    assert_eq!(desc_of(r"a\nb\u4e2d"), "a\nb中");
}

#[test]
fn a_desc_that_is_no_text_is_empty_and_one_in_another_encoding_is_kept_as_far_as_it_goes() {
    let failed = |desc| progressed(Step::Failed(DeviceFailure::Upgrade), desc);
    assert_eq!(read(PROGRESS, r#"{"params":{"step":"-1","desc":5}}"#), Ok(failed("")));
    let gbk = b"{\"params\":{\"step\":\"-1\",\"desc\":\"x\xca\xa7\xb0\xdcy\"}}";
    let (_, message) = parse(PROGRESS, gbk).unwrap();
    assert_eq!(message, failed(&String::from_utf8_lossy(b"x\xca\xa7\xb0\xdcy")));
}

#[test]
fn r169_an_id_is_kept_with_its_type() {
    let text = |id: &str| MessageId::Text(id.to_string());
    let longest = "9".repeat(limits::MESSAGE_ID_LEN_MAX);
    for (id, expected) in [
        (r#""id":"1","#, text("1")),
        (r#""id":"","#, text("")),
        (r#""id":"a\"b","#, text("a\"b")),
        (&*format!(r#""id":"{longest}","#), text(&longest)),
        (&*format!(r#""id":"{longest}9","#), MessageId::Absent),
        (r#""id":1,"#, MessageId::Number(1)),
        (r#""id":1.0,"#, MessageId::Number(1)),
        (r#""id":18446744073709551615,"#, MessageId::Number(u64::MAX)),
        (r#""id":-1,"#, MessageId::Absent),
        (r#""id":1.5,"#, MessageId::Absent),
        (r#""id":null,"#, MessageId::Absent),
        (r#""id":[1],"#, MessageId::Absent),
        ("", MessageId::Absent),
    ] {
        let payload = format!(r#"{{{id}"params":{{}}}}"#);
        assert_eq!(read(GET, &payload), Ok(requested("default", expected, ReplyChannel::GetReply)), "{id}");
    }
}

#[test]
fn the_requests_of_shipped_clients_are_read() {
    for (payload, module_name, id) in [
        (r#"{"id":2, "params":{}}"#, "default", MessageId::Number(2)),
        (r#"{"id":2, "params":{"module":"MCU"}}"#, "MCU", MessageId::Number(2)),
        (r#"{"id":"3","params":{"module":null}}"#, "default", MessageId::Text("3".into())),
        (
            r#"{"id":"4","version":"1.0","params":{"module":"m"},"method":"thing.ota.firmware.get"}"#,
            "m",
            MessageId::Text("4".into()),
        ),
        ("{\"id\":5}\0", "default", MessageId::Number(5)),
    ] {
        assert_eq!(read(GET, payload), Ok(requested(module_name, id, ReplyChannel::GetReply)), "{payload}");
    }
}

#[test]
fn r159_the_older_request_is_answered_on_the_upgrade_topic() {
    let expected = requested("default", MessageId::Number(1), ReplyChannel::Upgrade);
    assert_eq!(read(REQUEST, r#"{"id":1,"params":{"version":"1.0"}}"#), Ok(expected));
}

#[test]
fn presence_is_the_brokers_word() {
    let (session, at) = ("19a-1".to_string(), Timestamp(1_795_355_887_123));
    assert_eq!(
        read(PRESENCE, r#"{"status":"online","session":"19a-1","at":1795355887123}"#),
        Ok(DeviceMessage::CameOnline { session: session.clone(), at })
    );
    assert_eq!(
        read(PRESENCE, r#"{"status":"offline","session":"19a-1","at":1795355887123}"#),
        Ok(DeviceMessage::WentOffline { session, at })
    );
    for payload in [
        "{}",
        r#"{"status":"away","session":"1","at":1}"#,
        r#"{"status":"online","session":"","at":1}"#,
        r#"{"status":"online","session":1,"at":1}"#,
        r#"{"status":"online","session":"1","at":-1}"#,
    ] {
        assert_eq!(read(PRESENCE, payload), Err(MessageError::Presence), "{payload}");
    }
}

#[test]
fn failures_have_one_number_and_one_text_each() {
    let texts = DeviceFailure::ALL.map(|failure| (failure.code(), failure.as_str()));
    assert_eq!(
        texts,
        [(-1, "upgrade-failed"), (-2, "download-failed"), (-3, "verify-failed"), (-4, "flash-failed")]
    );
    for failure in DeviceFailure::ALL {
        assert_eq!(DeviceFailure::parse(failure.as_str()), Some(failure));
    }
    assert_eq!(DeviceFailure::parse("-1"), None);
}

/// A small generator of numbers that look random: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn no_input_panics() {
    const SCRAPS: [&[u8]; 20] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b":",
        b",",
        b"\\",
        b"\\u",
        b"\\ud800",
        b"\0",
        b"\xff",
        b"-",
        b"1e999",
        b"null",
        b"\"params\":",
        b"\"step\":",
        b"\"module\":",
        b"999999999999999999999999",
        "中".as_bytes(),
    ];
    let seeds: [&[u8]; 4] = [
        br#"{"id":"4","version":"1.0","params":{"module":"m","version":"1.0"},"method":"x"}"#,
        br#"{"id":4,"params":{"step":"-1","desc":"\u4e2d","module":null}}"#,
        br#"{"status":"online","session":"19a-1","at":1795355887123}"#,
        br#"{"id":"1","params":{"fileToken":"t","fileInfo":{"streamId":7,"fileId":1,},"fileBlock":{"size":9,"offset":0}}}"#,
    ];
    let topics = [INFORM, PROGRESS, REQUEST, GET, DOWNLOAD, PRESENCE];
    let mut random = Random(0x5eed);
    for _ in 0..50_000 {
        let mut payload: Vec<u8> = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(payload.len() + 1);
            match random.below(4) {
                0 => payload.truncate(at),
                1 => drop(payload.splice(at..at, SCRAPS[random.below(SCRAPS.len())].iter().copied())),
                2 => drop(payload.drain(at..(at + random.below(8)).min(payload.len()))),
                _ => payload.insert(at, random.below(256) as u8),
            }
        }
        for topic in topics {
            if let Err(error) = parse(topic, &payload) {
                assert!(!error.to_string().contains('\n'));
            }
        }
    }
    for opening in ["[", "{\"a\":", "{\"params\":", "{\"params\":{\"desc\":["] {
        let deep = opening.repeat(limits::DEVICE_MESSAGE_BYTES_MAX / opening.len());
        assert_eq!(read(PROGRESS, &deep).unwrap_err().code(), "message.malformed", "{opening}");
    }
}

#[test]
fn no_topic_panics() {
    const LEVELS: [&str; 14] = [
        "", "ota", "device", "inform", "progress", "sys", "thing", "firmware", "get", "overair", "presence",
        "a1pk", "lamp-1", "灯",
    ];
    let mut random = Random(7);
    for _ in 0..50_000 {
        let levels: Vec<&str> = (0..random.below(9)).map(|_| LEVELS[random.below(LEVELS.len())]).collect();
        let _ = parse(&levels.join("/"), b"{}");
    }
}
