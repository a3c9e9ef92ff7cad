use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::device::message::{DeviceMessage, parse};

const DOWNLOAD: &str = "/sys/a1pk/lamp-1/thing/file/download";
const BATCH: BatchId = BatchId([0x80, 0x15, 0x52, 0x61, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
/// As the C SDK words it.
const SHIPPED: &str = r#"{"id":"1","version":"1.0","params":{"fileToken":"default","fileInfo":{"streamId":1397345,"fileId":1,},"fileBlock":{"size":10240,"offset":0}}}"#;

fn parsed(payload: &[u8]) -> Result<BlockRequest, MessageError> {
    match parse(DOWNLOAD, payload)?.1 {
        DeviceMessage::BlockRequested(request) => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn shipped() -> BlockRequest {
    BlockRequest {
        id: MessageId::Text("1".to_string()),
        file_token: "default".to_string(),
        stream_id: Some(1_397_345),
        file_id: Some(1),
        size: Some(10_240),
        offset: Some(0),
    }
}

#[test]
fn r164_a_request_with_the_superfluous_comma_of_shipped_devices_is_read() {
    assert_eq!(parsed(SHIPPED.as_bytes()), Ok(shipped()));
    assert_eq!(parsed(format!("{SHIPPED}\0").as_bytes()), Ok(shipped()), "a NUL behind it");
    assert_eq!(parsed(SHIPPED.replace(",}", "}").as_bytes()), Ok(shipped()), "without the comma");
    assert_eq!(parsed(SHIPPED.replace(",}", " ,\n\t}").as_bytes()), Ok(shipped()), "with spaces");
    let everywhere = SHIPPED.replace("}}}", ",},},}");
    assert_eq!(parsed(everywhere.as_bytes()), Ok(shipped()), "in every object");
}

#[test]
fn r164_a_comma_inside_a_text_stays() {
    for token in [r"a,}", r"a,]", r#"\",}"#, r"\\", r#"\\\",}"#] {
        let payload = SHIPPED.replace("default", token);
        let expected: String = serde_json::from_str(&format!("\"{token}\"")).unwrap();
        assert_eq!(parsed(payload.as_bytes()), Ok(BlockRequest { file_token: expected, ..shipped() }));
    }
}

#[test]
fn r164_other_faults_are_not_forgiven() {
    for payload in ["", "{", "{,,}", "[]", "{\"params\":{\"fileInfo\":1}}", "{\"id\":\"1\",,}", ",}"] {
        assert_eq!(parsed(payload.as_bytes()).unwrap_err().code(), "message.malformed", "{payload}");
    }
}

#[test]
fn r169_numbers_and_ids_come_as_text_or_as_numbers() {
    let texts = r#"{"id":7,"params":{"fileToken":"default","fileInfo":{"streamId":"1397345","fileId":"1"},"fileBlock":{"size":"10240","offset":"0"}}}"#;
    assert_eq!(parsed(texts.as_bytes()), Ok(BlockRequest { id: MessageId::Number(7), ..shipped() }));
}

#[test]
fn what_is_missing_or_no_number_is_absent() {
    let nothing = BlockRequest {
        id: MessageId::Absent,
        file_token: String::new(),
        stream_id: None,
        file_id: None,
        size: None,
        offset: None,
    };
    let longest = "t".repeat(limits::FILE_TOKEN_LEN_MAX);
    let token = |token: &str| format!(r#"{{"params":{{"fileToken":"{token}"}}}}"#);
    for payload in [
        "{}".to_string(),
        r#"{"params":null}"#.to_string(),
        r#"{"params":{"fileInfo":{"streamId":-1,"fileId":"x"},"fileBlock":{"size":-5,"offset":1.5}}}"#
            .to_string(),
        token(&format!("{longest}t")),
    ] {
        assert_eq!(parsed(payload.as_bytes()), Ok(nothing.clone()), "{payload}");
    }
    assert_eq!(parsed(token(&longest).as_bytes()).unwrap().file_token, longest);
}

#[test]
fn r163_a_block_is_framed_byte_for_byte() {
    let json = r#"{"id":"1","code":200,"msg":"success","data":{"fileToken":"default","fileLength":1238848,"bSize":9,"bOffset":2}}"#;
    let mut expected = vec![0, json.len() as u8];
    expected.extend_from_slice(json.as_bytes());
    expected.extend_from_slice(b"123456789");
    // 0xBB3D, the lower byte first: the check value of CRC-16/IBM.
    expected.extend_from_slice(&[0x3d, 0xbb]);
    assert_eq!(render_block(&shipped(), 1_238_848, 2, b"123456789"), expected);
}

#[test]
fn r163_the_length_of_the_json_has_its_higher_byte_first() {
    let request = BlockRequest { file_token: "\u{1}".repeat(100), ..shipped() };
    let frame = render_block(&request, 9, 0, b"x");
    let len = usize::from(frame[0]) * 256 + usize::from(frame[1]);
    assert!(len > 255 && frame[1 + len] == b'}', "{len}");
    assert_eq!(frame.len(), 2 + len + 1 + 2);
}

#[test]
fn r163_the_largest_reply_fits_into_a_message() {
    let token = "\u{1}".repeat(limits::FILE_TOKEN_LEN_MAX);
    let id = MessageId::Text("\u{1}".repeat(limits::MESSAGE_ID_LEN_MAX));
    let request = BlockRequest { id, file_token: token, ..shipped() };
    let frame = render_block(&request, u64::MAX, u64::MAX, &vec![0; limits::BLOCK_BYTES_MAX as usize]);
    assert!(frame.len() < limits::DEVICE_MESSAGE_BYTES_MAX);
}

#[test]
fn r163_a_refusal_has_its_code_and_words_and_no_block() {
    let request = BlockRequest { id: MessageId::Number(8), ..shipped() };
    for (refusal, json) in [
        (BlockRefusal::Size, r#"{"id":8,"code":400,"msg":"size must be at least 1","data":{}}"#),
        (
            BlockRefusal::Stream,
            r#"{"id":8,"code":404,"msg":"no such stream or file for this device","data":{}}"#,
        ),
        (
            BlockRefusal::FileTooLarge,
            r#"{"id":8,"code":413,"msg":"file size has exceeded the limit 16 MB","data":{}}"#,
        ),
        (BlockRefusal::Offset, r#"{"id":8,"code":416,"msg":"offset is not within the file","data":{}}"#),
    ] {
        let mut expected = vec![0, json.len() as u8];
        expected.extend_from_slice(json.as_bytes());
        assert_eq!(render_refusal(&request, refusal), expected);
    }
}

#[test]
fn r163_the_last_block_is_short_and_no_block_is_longer_than_128_kib() {
    let range = |size, offset, len| BlockRequest { size, offset, ..shipped() }.range(len);
    for (size, offset, len, expected) in [
        (Some(10), Some(0), 25, Ok(0..10)),
        (Some(10), Some(20), 25, Ok(20..25)),
        (Some(1), Some(24), 25, Ok(24..25)),
        (Some(131_072), Some(0), 1_000_000, Ok(0..131_072)),
        (Some(131_073), Some(1), 1_000_000, Ok(1..131_073)),
        (Some(u64::MAX), Some(999_999), 1_000_000, Ok(999_999..1_000_000)),
        (Some(10), Some(25), 25, Err(BlockRefusal::Offset)),
        (Some(10), Some(u64::MAX), 25, Err(BlockRefusal::Offset)),
        (Some(10), None, 25, Err(BlockRefusal::Offset)),
        (Some(0), Some(0), 25, Err(BlockRefusal::Size)),
        (None, Some(0), 25, Err(BlockRefusal::Size)),
    ] {
        assert_eq!(range(size, offset, len), expected, "{size:?} bytes from {offset:?} of {len}");
    }
}

#[test]
fn r165_a_file_of_16_mb_is_served_and_a_larger_one_is_not() {
    assert_eq!(shipped().range(16_777_216), Ok(0..10_240));
    assert_eq!(shipped().range(16_777_217), Err(BlockRefusal::FileTooLarge));
}

#[test]
fn r165_only_the_stream_of_the_batch_and_its_file_are_meant() {
    // The first bit is taken off, so that the number fits 32 bits with a sign.
    assert_eq!(stream_id(BATCH), 1_397_345);
    assert!(shipped().names_stream_of(BATCH));
    assert!(!shipped().names_stream_of(BatchId([1; 16])));
    for other in [
        BlockRequest { stream_id: Some(1_397_346), ..shipped() },
        BlockRequest { stream_id: Some(1_397_345 + (1 << 32)), ..shipped() },
        BlockRequest { stream_id: None, ..shipped() },
        BlockRequest { file_id: Some(2), ..shipped() },
        BlockRequest { file_id: None, ..shipped() },
    ] {
        assert!(!other.names_stream_of(BATCH), "{other:?}");
    }
}

#[test]
fn stream_ids_are_positive_numbers_of_31_bits() {
    assert_eq!(stream_id(BatchId([0; 16])), 1);
    assert_eq!(stream_id(BatchId([0xff; 16])), 0x7fff_ffff);
}

#[test]
fn every_refusal_has_a_code_of_its_own() {
    let mut codes = BlockRefusal::ALL.map(BlockRefusal::wire_code);
    codes.sort_unstable();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]) && !codes.contains(&200));
}
