//! Why a request does not even get to its operation (R178).

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

/// Why a request is refused before its operation is asked. The codes are the vendor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayError {
    /// The parameters cannot be read: not UTF-8 once decoded, one of them twice, or too many.
    Malformed {
        /// What is wrong.
        why: &'static str,
    },
    /// Parameters without which the operation means nothing.
    Missing {
        /// All of them; the code names the first.
        names: Vec<&'static str>,
    },
    /// The API has no operation of this name, or this service does not offer it.
    UnknownAction,
    /// The API has no such version.
    UnknownVersion,
    /// The operation does not take this HTTP method.
    MethodNotAllowed,
    /// The signature is not there, or made in a way that is not known.
    IncompleteSignature,
    /// There is no such access key.
    UnknownAccessKey,
    /// The signature is not that of these parameters.
    SignatureMismatch,
    /// The timestamp has not the form `YYYY-MM-DDThh:mm:ssZ`.
    TimestampForm,
    /// The timestamp is too far from the service's time.
    TimestampExpired,
    /// The nonce was used before.
    NonceUsed,
    /// More requests than the service remembers the nonces of.
    Throttled,
}

impl GatewayError {
    /// Returns the vendor's code.
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Malformed { .. } => "InvalidParameter".into(),
            Self::Missing { names } => format!("Missing{}", names.first().unwrap_or(&"Parameter")).into(),
            Self::UnknownAction => "InvalidAction.NotFound".into(),
            Self::UnknownVersion => "InvalidVersion".into(),
            Self::MethodNotAllowed => "UnsupportedHTTPMethod".into(),
            Self::IncompleteSignature => "IncompleteSignature".into(),
            Self::UnknownAccessKey => "InvalidAccessKeyId.NotFound".into(),
            Self::SignatureMismatch => "SignatureDoesNotMatch".into(),
            Self::TimestampForm => "InvalidTimeStamp.Format".into(),
            Self::TimestampExpired => "InvalidTimeStamp.Expired".into(),
            Self::NonceUsed => "SignatureNonceUsed".into(),
            Self::Throttled => "Throttling".into(),
        }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { why } => write!(f, "the parameters cannot be read: {why}"),
            Self::Missing { names } => write!(f, "mandatory for this action: {}", names.join(", ")),
            Self::UnknownAction => write!(f, "this service has no such action"),
            Self::UnknownVersion => write!(f, "the version must be 2018-01-20"),
            Self::MethodNotAllowed => write!(f, "this action does not take this HTTP method"),
            Self::IncompleteSignature => write!(
                f,
                "needed are Signature, SignatureNonce, SignatureMethod=HMAC-SHA1 and SignatureVersion=1.0"
            ),
            Self::UnknownAccessKey => write!(f, "there is no such access key"),
            Self::SignatureMismatch => write!(f, "the signature is not that of these parameters"),
            Self::TimestampForm => write!(f, "the timestamp must be YYYY-MM-DDThh:mm:ssZ"),
            Self::TimestampExpired => {
                write!(f, "the timestamp is more than 15 minutes from the service's time")
            }
            Self::NonceUsed => write!(f, "this SignatureNonce was used before"),
            Self::Throttled => write!(f, "too many requests; come again in some minutes"),
        }
    }
}

impl core::error::Error for GatewayError {}
