//! Signed packages (安全升级, R39 to R41): a product's key pair, how it rests, and what it signs.
//!
//! A digest proves that the bytes arrived whole; only the signature of the digest proves who made the package. The key
//! pair is the product's. Its private half leaves this module only sealed: encrypted under the installation's secret, and
//! bound to its product and its public half, so that a stored key pair opens nowhere else.
//!
//! Randomness comes in as an argument, as everywhere in this crate.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20::ChaCha20Rng;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rsa::PrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Coded, ValueError, check_len};
use crate::ids::ProductKey;
use crate::limits;

/// What the installation's secret is expanded for. Another purpose has another text, and so another key.
const KEY_PAIR_PURPOSE: &[u8] = b"overair product key pair v1";
/// See [`KEY_PAIR_PURPOSE`].
const WEBHOOK_PURPOSE: &[u8] = b"overair webhook secret v1";
/// Bytes of the nonce before a sealed key: XChaCha20's, long enough to be drawn at random.
pub(crate) const NONCE_BYTES: usize = 24;

/// The installation's secret, ready to seal with. It is never shown: there is no `Debug`.
pub struct SecretsKey(Zeroizing<[u8; 32]>);

impl SecretsKey {
    /// Makes the one for products' key pairs of the variable `secrets_key`. The text must be random: it is expanded and not
    /// stretched (HKDF, RFC 5869), so a password that can be guessed would be.
    ///
    /// # Errors
    /// [`ValueError::Length`].
    pub fn new(text: &str) -> Result<Self, ValueError> {
        Self::expand(text, KEY_PAIR_PURPOSE)
    }

    /// Makes the one for webhooks' secrets, likewise.
    ///
    /// # Errors
    /// [`ValueError::Length`].
    pub fn for_webhooks(text: &str) -> Result<Self, ValueError> {
        Self::expand(text, WEBHOOK_PURPOSE)
    }

    fn expand(text: &str, purpose: &[u8]) -> Result<Self, ValueError> {
        check_len(text, limits::SECRETS_KEY_LEN_MIN, limits::SECRETS_KEY_LEN_MAX)?;
        let mut key = Zeroizing::new([0; 32]);
        let expanded = Hkdf::<Sha256>::new(None, text.as_bytes()).expand(purpose, key.as_mut());
        expanded.expect("32 bytes are one block of HKDF-SHA-256, which gives up to 255");
        Ok(Self(key))
    }

    /// Encrypts `secret` with XChaCha20-Poly1305, bound to `aad`: a nonce, and what was encrypted. `None` only for a secret
    /// of more than 256 GB.
    pub(crate) fn seal(&self, nonce: [u8; NONCE_BYTES], secret: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: secret, aad };
        let encrypted = self.cipher().encrypt(&XNonce::from(nonce), payload).ok()?;
        Some([nonce.as_slice(), &encrypted].concat())
    }

    /// Decrypts what [`Self::seal`] made; `None` if it is not that, or bound to something else.
    pub(crate) fn open(&self, sealed: &[u8], aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, encrypted) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: encrypted, aad };
        self.cipher().decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.0))
    }
}

/// Why a package cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityError {
    /// The key pair does not open: another secret sealed it, or it was altered, or it is another product's.
    Sealed,
    /// The arithmetic failed its own check. Nothing wrong with a request or a setting leads here.
    Failed,
}

impl Coded for SecurityError {
    fn code(&self) -> &'static str {
        match self {
            Self::Sealed => "security.key-sealed",
            Self::Failed => "security.failed",
        }
    }
}

impl fmt::Display for SecurityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed => write!(
                f,
                "the product's key pair cannot be opened: the variable secrets_key is not the one it was sealed with, \
                 or what is stored was altered"
            ),
            Self::Failed => write!(f, "making or using the product's key pair failed"),
        }
    }
}

impl core::error::Error for SecurityError {}

/// A product's key pair as it rests: the public half in clear, the private half sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKeyPair {
    /// The public half as devices' makers need it: PEM of a `SubjectPublicKeyInfo` (RFC 7468).
    pub public_key: String,
    /// A nonce, and the private half (PKCS #8) encrypted with XChaCha20-Poly1305.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for SealedKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedKeyPair").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

impl SealedKeyPair {
    /// Makes a key pair of [`limits::SIGNING_KEY_BITS`] with the exponent 65537 out of 32 random bytes. This takes long:
    /// two large primes are searched for.
    ///
    /// # Errors
    /// [`SecurityError::Failed`].
    pub fn make(
        secrets: &SecretsKey,
        product: &ProductKey,
        random: [[u8; 16]; 2],
    ) -> Result<Self, SecurityError> {
        let mut rng = generator(random);
        let private =
            PrivateKey::new(&mut rng, limits::SIGNING_KEY_BITS).map_err(|_| SecurityError::Failed)?;
        let public_key = private.as_public_key().to_public_key_pem(LineEnding::LF);
        let public_key = public_key.map_err(|_| SecurityError::Failed)?;
        let secret = private.to_pkcs8_der().map_err(|_| SecurityError::Failed)?;
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed = secrets.seal(nonce, secret.as_bytes(), &bound_to(product, &public_key));
        Ok(Self { public_key, sealed: sealed.ok_or(SecurityError::Failed)? })
    }

    /// Opens the key pair to sign with it.
    ///
    /// # Errors
    /// [`SecurityError::Sealed`].
    pub fn open(&self, secrets: &SecretsKey, product: &ProductKey) -> Result<KeyPair, SecurityError> {
        let secret = secrets.open(&self.sealed, &bound_to(product, &self.public_key));
        let secret = secret.ok_or(SecurityError::Sealed)?;
        // What was sealed by us is a key; whatever else is wrong with it was not noticed then.
        PrivateKey::from_pkcs8_der(&secret).map(KeyPair).map_err(|_| SecurityError::Failed)
    }

    /// Returns what tells this key pair from every other: the digest of its public half.
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.public_key.as_bytes()).into()
    }
}

/// A key pair that can sign. It is never shown: there is no `Debug`.
pub struct KeyPair(PrivateKey);

impl KeyPair {
    /// Signs the binary digest of a package (R40): RSASSA-PKCS1-v1_5 with SHA-256, of 16 bytes for MD5 and of 32 for
    /// SHA-256. The same digest has the same signature every time; `random` only hides how long the arithmetic takes.
    ///
    /// # Errors
    /// [`SecurityError::Failed`].
    pub fn sign(&self, digest: &[u8], random: [u8; 16]) -> Result<Vec<u8>, SecurityError> {
        let mut rng = generator([random, [0; 16]]);
        self.0.pkcs1v15_sign_with_rng::<Sha256, _>(&mut rng, digest).map_err(|_| SecurityError::Failed)
    }
}

/// Renders a signature as devices read it in `digestsign`: base64 with padding (RFC 4648), 344 characters.
pub fn render_signature(signature: &[u8]) -> String {
    STANDARD.encode(signature)
}

fn generator(random: [[u8; 16]; 2]) -> ChaCha20Rng {
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(random.as_flattened());
    ChaCha20Rng::from_seed(*seed)
}

/// The data a sealed key is bound to. No product key and no PEM holds a zero byte, so the two cannot be confused.
fn bound_to(product: &ProductKey, public_key: &str) -> Vec<u8> {
    [product.as_str().as_bytes(), &[0], public_key.as_bytes()].concat()
}

#[cfg(test)]
#[path = "security_tests.rs"]
mod tests;
