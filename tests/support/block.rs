//! A block of a file as a device takes it apart, by its own means: nothing here is shared with what made it.

use serde_json::Value;

/// The answer to a device that asked for a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The JSON before the bytes.
    pub head: Value,
    /// The bytes; none in a refusal.
    pub bytes: Vec<u8>,
}

impl Block {
    /// Takes a frame apart.
    ///
    /// # Panics
    /// If it is none, or its bytes are not those that were sent.
    #[track_caller]
    pub(crate) fn parse(frame: &[u8]) -> Self {
        let [high, low, rest @ ..] = frame else { panic!("a frame begins with a length") };
        let (json, rest) = rest.split_at(usize::from(*high) * 256 + usize::from(*low));
        let head: Value = serde_json::from_slice(json).expect("a frame has JSON");
        assert_eq!(head.to_string().len(), json.len(), "the JSON is compact");
        if head["code"] != 200 {
            assert!(rest.is_empty(), "a refusal ends after its JSON");
            return Self { head, bytes: Vec::new() };
        }
        let (bytes, crc) = rest.split_at(rest.len() - 2);
        assert_eq!(crc, crc_ibm(bytes).to_le_bytes());
        assert_eq!(head["data"]["bSize"], bytes.len());
        Self { head, bytes: bytes.to_vec() }
    }

    /// Returns the code of the answer.
    pub fn code(&self) -> u64 {
        self.head["code"].as_u64().unwrap_or_default()
    }
}

/// CRC-16/IBM, bit by bit.
fn crc_ibm(bytes: &[u8]) -> u16 {
    let shift = |crc: u16| if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 };
    bytes.iter().fold(0, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| shift(crc)))
}
