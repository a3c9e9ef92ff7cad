//! Computing both digests of a file while it passes, also with a break in between.

use md5::Md5;
use ota_core::digest::Digests;
use ota_store::blobs::Hashing;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

/// Both digests of the bytes so far.
#[derive(Clone, Default)]
pub struct Hashes {
    md5: Md5,
    sha256: Sha256,
}

impl Hashes {
    /// Goes on where `hashing` stopped; `None` if that is no state of this computation.
    pub fn resume(hashing: &Hashing) -> Option<Self> {
        if hashing.md5.is_empty() && hashing.sha256.is_empty() {
            return Some(Self::default());
        }
        let md5 = SerializedState::<Md5>::try_from(hashing.md5.as_slice()).ok()?;
        let sha256 = SerializedState::<Sha256>::try_from(hashing.sha256.as_slice()).ok()?;
        Some(Self { md5: Md5::deserialize(&md5).ok()?, sha256: Sha256::deserialize(&sha256).ok()? })
    }

    /// Returns the state, to go on from another time.
    pub fn state(&self) -> Hashing {
        Hashing { md5: self.md5.serialize().to_vec(), sha256: self.sha256.serialize().to_vec() }
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha256.update(bytes);
    }

    /// Returns the digests of all bytes.
    pub fn finish(self) -> Digests {
        Digests { md5: self.md5.finalize().into(), sha256: self.sha256.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_same_wherever_the_break_is() {
        let bytes: Vec<u8> = (0..1_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        let mut whole = Hashes::default();
        whole.update(&bytes);
        let whole = whole.finish();
        for at in [0, 1, 63, 64, 65, 500, 999, 1_000] {
            let (before, after) = bytes.split_at(at);
            let mut first = Hashes::default();
            first.update(before);
            let mut second = Hashes::resume(&first.state()).unwrap();
            second.update(after);
            assert_eq!(second.finish(), whole, "{at}");
        }
    }

    /// An upload may go on with a newer version of the service: if this fails, that version must still read the old form.
    #[test]
    fn the_state_rests_in_a_form_that_stays() {
        let mut hashes = Hashes::default();
        hashes.update(b"abc");
        let Hashing { md5, sha256 } = hashes.state();
        assert_eq!((md5.len(), sha256.len()), (88, 104));
        assert_eq!(hex::encode(&md5[..16]), "0123456789abcdeffedcba9876543210");
        assert_eq!(hex::encode(&sha256[..8]), "67e6096a85ae67bb");
        assert!(md5[24..].starts_with(b"\x03abc") && sha256[40..].starts_with(b"\x03abc"));
    }

    #[test]
    fn what_is_no_state_is_refused() {
        assert!(Hashes::resume(&Hashing { md5: vec![1], sha256: vec![2] }).is_none());
    }
}
