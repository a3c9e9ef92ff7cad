//! A product's signing, and a package's signature.

use minicbor::{Decode, Encode};
use ota_core::security::SealedKeyPair;
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, write_body};
use crate::security::{StoredSecurity, StoredSignature};

#[derive(Encode, Decode)]
struct SecurityRecord<'a> {
    #[n(0)]
    enabled: bool,
    #[b(1)]
    public_key: &'a str,
    #[cbor(b(2), with = "minicbor::bytes")]
    sealed: &'a [u8],
    #[n(3)]
    created_at: u64,
}

#[derive(Encode, Decode)]
struct SignatureRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    key_id: [u8; 32],
    #[cbor(b(1), with = "minicbor::bytes")]
    digest: &'a [u8],
    #[cbor(b(2), with = "minicbor::bytes")]
    signature: &'a [u8],
}

impl Record for StoredSecurity {
    fn write(&self, out: &mut Vec<u8>) {
        let record = SecurityRecord {
            enabled: self.enabled,
            public_key: &self.key_pair.public_key,
            sealed: &self.key_pair.sealed,
            created_at: self.created_at.0,
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: SecurityRecord<'_> = read_body(&bytes)?;
        let (public_key, sealed) = (record.public_key.to_owned(), record.sealed.to_vec());
        Ok(Self {
            enabled: record.enabled,
            key_pair: SealedKeyPair { public_key, sealed },
            created_at: Timestamp(record.created_at),
        })
    }
}

impl Record for StoredSignature {
    fn write(&self, out: &mut Vec<u8>) {
        let record =
            SignatureRecord { key_id: self.key_id, digest: &self.digest, signature: &self.signature };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: SignatureRecord<'_> = read_body(&bytes)?;
        Ok(Self {
            key_id: record.key_id,
            digest: record.digest.to_vec(),
            signature: record.signature.to_vec(),
        })
    }
}
