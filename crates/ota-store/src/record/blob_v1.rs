//! An uploaded file.

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};
use ota_core::digest::Digests;
use ota_core::ids::UploadId;
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};
use crate::blobs::{Arrival, Blob, Expected, Hashing, Parts, Pieces, Place, Remains, Stored};

/// A complete file has digests, one that arrives an arrival, and one that is being removed neither.
#[derive(Encode, Decode)]
struct BlobRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    id: [u8; 16],
    #[b(1)]
    file_name: &'a str,
    #[n(2)]
    size: u64,
    #[n(3)]
    chunk_bytes: u32,
    #[n(4)]
    md5: Option<ByteArray<16>>,
    #[n(5)]
    sha256: Option<ByteArray<32>>,
    #[n(6)]
    created_at: u64,
    #[b(7)]
    place: Option<&'a str>,
    #[n(8)]
    pieces: Option<Vec<u64>>,
    #[b(9)]
    arrival: Option<ArrivalRecord<'a>>,
    #[b(10)]
    upload: Option<&'a str>,
}

#[derive(Encode, Decode)]
struct ArrivalRecord<'a> {
    #[b(0)]
    metadata: &'a str,
    #[n(1)]
    offset: u64,
    #[n(2)]
    md5_state: ByteVec,
    #[n(3)]
    sha256_state: ByteVec,
    #[n(4)]
    md5: Option<ByteArray<16>>,
    #[n(5)]
    sha256: Option<ByteArray<32>>,
    #[n(6)]
    writing: bool,
    #[b(7)]
    etags: Vec<&'a str>,
    #[n(8)]
    leftover: (u64, u64),
    #[n(9)]
    tail_writer: u32,
}

fn pieces(pieces: &Pieces) -> Option<Vec<u64>> {
    (!pieces.0.is_empty()).then(|| pieces.0.clone())
}

impl Record for Stored {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Complete(blob) => write_body(&complete(blob), out),
            Self::Arriving(arrival) => write_body(&arriving(arrival), out),
            Self::Gone(remains) => write_body(&gone(remains), out),
        }
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: BlobRecord<'_> = read_body(&bytes)?;
        let place = record.place.unwrap_or(Place::Chunks.as_str());
        let place = state(Place::parse(place), place)?;
        let pieces = Pieces(record.pieces.unwrap_or_default());
        let upload = record.upload.map(str::to_owned);
        let created_at = Timestamp(record.created_at);
        match (record.arrival, record.md5, record.sha256) {
            (None, Some(md5), Some(sha256)) => Ok(Self::Complete(Blob {
                id: UploadId(record.id),
                file_name: record.file_name.to_owned(),
                size: record.size,
                chunk_bytes: record.chunk_bytes,
                digests: Digests { md5: *md5, sha256: *sha256 },
                created_at,
                place,
                pieces,
            })),
            (Some(arrival), _, _) => Ok(Self::Arriving(Box::new(Arrival {
                id: UploadId(record.id),
                file_name: record.file_name.to_owned(),
                metadata: arrival.metadata.to_owned(),
                size: record.size,
                offset: arrival.offset,
                hashing: Hashing { md5: arrival.md5_state.into(), sha256: arrival.sha256_state.into() },
                expected: Expected { md5: arrival.md5.map(|d| *d), sha256: arrival.sha256.map(|d| *d) },
                writing: arrival.writing,
                pieces,
                tail_writer: arrival.tail_writer,
                parts: upload.map(|upload| Parts {
                    upload,
                    etags: arrival.etags.into_iter().map(str::to_owned).collect(),
                    leftover: arrival.leftover,
                }),
                created_at,
            }))),
            (None, _, _) => Ok(Self::Gone(Remains { place, upload, pieces })),
        }
    }
}

fn complete(blob: &Blob) -> BlobRecord<'_> {
    BlobRecord {
        id: blob.id.0,
        file_name: &blob.file_name,
        size: blob.size,
        chunk_bytes: blob.chunk_bytes,
        md5: Some(blob.digests.md5.into()),
        sha256: Some(blob.digests.sha256.into()),
        created_at: blob.created_at.0,
        place: Some(blob.place.as_str()),
        pieces: pieces(&blob.pieces),
        arrival: None,
        upload: None,
    }
}

fn arriving(arrival: &Arrival) -> BlobRecord<'_> {
    let parts = arrival.parts.as_ref();
    let place = if parts.is_some() { Place::Bucket } else { Place::Chunks };
    BlobRecord {
        id: arrival.id.0,
        file_name: &arrival.file_name,
        size: arrival.size,
        chunk_bytes: 0,
        md5: None,
        sha256: None,
        created_at: arrival.created_at.0,
        place: Some(place.as_str()),
        pieces: pieces(&arrival.pieces),
        arrival: Some(ArrivalRecord {
            metadata: &arrival.metadata,
            offset: arrival.offset,
            md5_state: arrival.hashing.md5.clone().into(),
            sha256_state: arrival.hashing.sha256.clone().into(),
            md5: arrival.expected.md5.map(Into::into),
            sha256: arrival.expected.sha256.map(Into::into),
            writing: arrival.writing,
            etags: parts.map(|parts| parts.etags.iter().map(String::as_str).collect()).unwrap_or_default(),
            leftover: parts.map_or((0, 0), |parts| parts.leftover),
            tail_writer: arrival.tail_writer,
        }),
        upload: parts.map(|parts| parts.upload.as_str()),
    }
}

fn gone(remains: &Remains) -> BlobRecord<'_> {
    BlobRecord {
        id: [0; 16],
        file_name: "",
        size: 0,
        chunk_bytes: 0,
        md5: None,
        sha256: None,
        created_at: 0,
        place: Some(remains.place.as_str()),
        pieces: pieces(&remains.pieces),
        arrival: None,
        upload: remains.upload.as_deref(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{from_bytes, to_bytes};
    use super::*;

    fn same(stored: &Stored) {
        assert_eq!(&from_bytes::<Stored>(to_bytes(stored, 3)).unwrap(), stored);
    }

    #[test]
    fn a_file_rests_and_is_read_back_in_each_of_its_states() {
        let arrival = Arrival {
            id: UploadId([1; 16]),
            file_name: "a.bin".into(),
            metadata: "filename YS5iaW4=".into(),
            size: 10_000_000,
            offset: 6_000_000,
            hashing: Hashing { md5: vec![1, 2], sha256: vec![3; 40] },
            expected: Expected { md5: None, sha256: Some([9; 32]) },
            writing: true,
            pieces: Pieces(vec![3, 7]),
            tail_writer: 1,
            parts: Some(Parts { upload: "u".into(), etags: vec!["\"e\"".into()], leftover: (1, 4) }),
            created_at: Timestamp(5),
        };
        let digests = Digests { md5: [1; 16], sha256: [2; 32] };
        let blob = arrival.clone().into_blob(digests, Timestamp(9));
        assert_eq!(blob.place, Place::Bucket);
        for stored in [Stored::Arriving(Box::new(arrival)), Stored::Complete(blob)] {
            same(&stored);
            same(&Stored::Gone(stored.remains()));
        }
    }
}
