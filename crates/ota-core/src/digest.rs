//! Digests of package files: MD5 and SHA-256.
//!
//! The vendor's documents call the choice "signature algorithm"; both are digests. The word *signature* is kept for
//! the security option.

use alloc::string::String;

/// Which digest a package's `sign` is (签名算法, R24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// MD5, 32 hexadecimal digits.
    Md5,
    /// SHA-256, 64 hexadecimal digits.
    Sha256,
}

impl DigestAlgorithm {
    /// Returns the spelling devices need: exactly `Md5` or `SHA256`; shipped SDKs drop any other (R101).
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Md5 => "Md5",
            Self::Sha256 => "SHA256",
        }
    }

    /// Returns the API's spelling, which is also the stored one.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA256",
        }
    }

    /// Reads the API's spelling.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "MD5" => Some(Self::Md5),
            "SHA256" => Some(Self::Sha256),
            _ => None,
        }
    }
}

/// Both digests of a file. Both are always kept: one widely shipped device SDK reads only MD5, whatever the
/// package's algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The MD5 of the bytes.
    pub md5: [u8; 16],
    /// The SHA-256 of the bytes.
    pub sha256: [u8; 32],
}

impl Digests {
    /// Returns the digest by `algorithm`: 16 bytes for MD5, 32 for SHA-256.
    pub fn bytes(&self, algorithm: DigestAlgorithm) -> &[u8] {
        match algorithm {
            DigestAlgorithm::Md5 => &self.md5,
            DigestAlgorithm::Sha256 => &self.sha256,
        }
    }

    /// Returns the digest by `algorithm` in lower-case hexadecimal.
    pub fn hex(&self, algorithm: DigestAlgorithm) -> String {
        hex::encode(self.bytes(algorithm))
    }
}
