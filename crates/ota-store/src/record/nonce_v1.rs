//! Used nonces.

use minicbor::{Decode, Encode};
use ota_core::cloud::Nonce;
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, write_body};
use crate::nonces::Nonces;

#[derive(Encode, Decode)]
struct NonceRecord {
    #[cbor(n(0), with = "minicbor::bytes")]
    hash: [u8; 16],
    #[n(1)]
    until: u64,
}

impl Record for Nonces {
    fn write(&self, out: &mut Vec<u8>) {
        let nonces = self.0.iter().map(|nonce| NonceRecord { hash: nonce.hash, until: nonce.until.0 });
        write_body(&nonces.collect::<Vec<_>>(), out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let nonces: Vec<NonceRecord> = read_body(&bytes)?;
        let nonces = nonces.into_iter().map(|n| Nonce { hash: n.hash, until: Timestamp(n.until) });
        Ok(Self(nonces.collect()))
    }
}
