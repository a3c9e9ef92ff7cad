//! How a device logs in to the broker: who it says it is, and the proof.
//!
//! The user name says who: `{device name}&{product key}`. The client id changes with every connection of some SDKs and
//! proves nothing; the part before its first `|` goes into the password, the part behind says how the password was
//! made. The password is `HMAC(device secret, "clientId" X "deviceName" .. "productKey" .. ["timestamp" ..])` in
//! hexadecimal digits, names in alphabetic order.
//!
//! Deliberately missing: any look at how fresh the timestamp is. Shipped SDKs send a constant of the year 2050, or
//! seconds, or milliseconds, or nothing. Nor is `securemode` looked at: some say "TLS" over plain TCP.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use subtle::ConstantTimeEq;

use crate::error::{Coded, ValueError, check_len};
use crate::ids::{DeviceName, DeviceRef, ProductKey};
use crate::limits;

/// The three texts of an MQTT CONNECT packet. There is no `Debug`, so that no password gets into a log.
#[derive(Clone, Copy)]
pub struct LoginRequest<'a> {
    /// The client id as sent, with its bars.
    pub client_id: &'a str,
    /// The user name.
    pub username: &'a str,
    /// The password.
    pub password: &'a str,
}

/// How a password is made (signmethod).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignMethod {
    /// HMAC with MD5: what is meant when nothing is said.
    #[default]
    HmacMd5,
    /// HMAC with SHA-1.
    HmacSha1,
    /// HMAC with SHA-256.
    HmacSha256,
}

impl SignMethod {
    /// Every method there is.
    pub const ALL: [Self; 3] = [Self::HmacMd5, Self::HmacSha1, Self::HmacSha256];

    /// Returns the name used in client ids.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacMd5 => "hmacmd5",
            Self::HmacSha1 => "hmacsha1",
            Self::HmacSha256 => "hmacsha256",
        }
    }

    /// Reads the name used in client ids, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(text))
    }

    fn sign(self, secret: &str, content: &str) -> Vec<u8> {
        match self {
            Self::HmacMd5 => sign::<Hmac<md5::Md5>>(secret, content),
            Self::HmacSha1 => sign::<Hmac<sha1::Sha1>>(secret, content),
            Self::HmacSha256 => sign::<Hmac<sha2::Sha256>>(secret, content),
        }
    }
}

fn sign<M: Mac + KeyInit>(secret: &str, content: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(content.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The proof of a login: what was signed, how, and the signature. Not yet compared with anything.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedLogin {
    content: String,
    method: SignMethod,
    signature: Vec<u8>,
}

impl SignedLogin {
    /// Takes the proof of a login that names its parts one by one, as a gateway does for its sub-device (R168). Here the
    /// client id is signed whole, bars and all.
    pub fn of_sub_device(
        client_id: &str,
        device: &DeviceRef,
        timestamp: Option<&str>,
        method: SignMethod,
        signature: &str,
    ) -> Self {
        let content = content(client_id, device, timestamp);
        // As in `identify`: what is no hexadecimal number equals no signature.
        Self { content, method, signature: hex::decode(signature).unwrap_or_default() }
    }

    /// Tells whether the password was made with this secret. Takes as long for a wrong one as for the right one.
    pub fn verify(&self, device_secret: &str) -> bool {
        self.method.sign(device_secret, &self.content).ct_eq(&self.signature).into()
    }
}

impl fmt::Debug for SignedLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedLogin").field("method", &self.method).finish_non_exhaustive()
    }
}

/// Why a login cannot even be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// The user name is not `{device name}&{product key}`.
    Username {
        /// What is wrong with it, or with one of its parts.
        fault: ValueError,
    },
    /// The part of the client id before the first `|` is empty or too long.
    ClientId {
        /// What is wrong with it.
        fault: ValueError,
    },
    /// The client id names an unknown `signmethod`.
    SignMethod,
}

impl Coded for LoginError {
    fn code(&self) -> &'static str {
        match self {
            Self::Username { .. } => "auth.username",
            Self::ClientId { .. } => "auth.client-id",
            Self::SignMethod => "auth.sign-method",
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Username { fault } => write!(f, "the user name, or a part of it, {fault}"),
            Self::ClientId { fault } => write!(f, "the client id before the first `|` {fault}"),
            Self::SignMethod => write!(f, "signmethod must be one of hmacmd5, hmacsha1, hmacsha256"),
        }
    }
}

impl core::error::Error for LoginError {}

/// Reads who wants to log in, and the proof to be verified with that device's secret.
///
/// # Errors
/// Why there is no device to look up, or no way to check its password.
pub fn identify(request: &LoginRequest<'_>) -> Result<(DeviceRef, SignedLogin), LoginError> {
    let device = read_username(request.username)?;
    let (client_id, parameters) = request.client_id.split_once('|').unwrap_or((request.client_id, ""));
    check_len(client_id, 1, limits::CLIENT_ID_LEN_MAX).map_err(|fault| LoginError::ClientId { fault })?;
    let parameters = Parameters::read(parameters);
    let method = match parameters.sign_method {
        Some(name) => SignMethod::parse(name).ok_or(LoginError::SignMethod)?,
        None => SignMethod::default(),
    };
    let content = content(client_id, &device, parameters.timestamp);
    // What is no hexadecimal number equals no signature, and is refused like any other wrong password.
    let signature = hex::decode(request.password).unwrap_or_default();
    Ok((device, SignedLogin { content, method, signature }))
}

/// Returns the password that a device sends, in upper-case digits. `client_id` is the part before the first `|`;
/// `timestamp` is as in the rest of the client id, if it has one.
pub fn password(
    client_id: &str,
    device: &DeviceRef,
    timestamp: Option<&str>,
    method: SignMethod,
    device_secret: &str,
) -> String {
    hex::encode_upper(method.sign(device_secret, &content(client_id, device, timestamp)))
}

fn read_username(username: &str) -> Result<DeviceRef, LoginError> {
    let fault = |fault| LoginError::Username { fault };
    let form = ValueError::Malformed { expected: "{device name}&{product key}" };
    let (device_name, product_key) = username.split_once('&').ok_or_else(|| fault(form))?;
    let device_name = DeviceName::new(device_name).map_err(fault)?;
    let product_key = ProductKey::new(product_key).map_err(fault)?;
    Ok(DeviceRef { product_key, device_name })
}

/// The parameters behind the first `|` that matter.
#[derive(Default)]
struct Parameters<'a> {
    sign_method: Option<&'a str>,
    timestamp: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    /// Reads `k=v` pairs in any order up to the closing `|`; unknown and empty pairs are passed over.
    fn read(text: &'a str) -> Self {
        let text = text.split_once('|').map_or(text, |(before, _)| before);
        let mut parameters = Self::default();
        for (name, value) in text.split(',').filter_map(|pair| pair.split_once('=')) {
            match name {
                "signmethod" => parameters.sign_method = Some(value),
                "timestamp" => parameters.timestamp = Some(value),
                _ => {}
            }
        }
        parameters
    }
}

fn content(client_id: &str, device: &DeviceRef, timestamp: Option<&str>) -> String {
    let DeviceRef { product_key, device_name } = device;
    let content = format!("clientId{client_id}deviceName{device_name}productKey{product_key}");
    match timestamp {
        Some(timestamp) => format!("{content}timestamp{timestamp}"),
        None => content,
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
