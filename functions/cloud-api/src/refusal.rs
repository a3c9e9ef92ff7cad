//! Refused requests.

use std::borrow::Cow;

use http::StatusCode;
use ota_core::cloud::GatewayError;
use ota_http::Problem;
use ota_store::StoreError;

/// Why a request is refused.
pub(crate) enum Refusal {
    /// It did not get to its operation.
    Gateway(GatewayError),
    /// Its operation refused it.
    Business {
        /// The vendor's code.
        code: Cow<'static, str>,
        /// What is wrong this time, in words that are safe for strangers.
        message: String,
    },
    /// The store is busy; the same request, signed anew, may succeed.
    Busy {
        /// What the log is told.
        log: String,
    },
    /// The service failed.
    Failed {
        /// What the log is told.
        log: String,
    },
}

impl Refusal {
    /// Makes a refusal by an operation.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self::Business { code: code.into(), message: message.into() }
    }

    /// Returns the status of a refusal outside of the operation; `None` if it comes in an ordinary answer.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        Some(match self {
            Self::Gateway(GatewayError::UnknownAction | GatewayError::UnknownAccessKey) => {
                StatusCode::NOT_FOUND
            }
            Self::Gateway(GatewayError::MethodNotAllowed) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Gateway(GatewayError::Throttled) => StatusCode::TOO_MANY_REQUESTS,
            Self::Gateway(_) => StatusCode::BAD_REQUEST,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Business { .. } | Self::Failed { .. } => return None,
        })
    }

    /// Returns the vendor's code.
    pub(crate) fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Gateway(error) => error.code(),
            Self::Business { code, .. } => code.clone(),
            Self::Busy { .. } => "ServiceUnavailable".into(),
            Self::Failed { .. } => "iot.system.SystemException".into(),
        }
    }

    /// Returns what is wrong, in words.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Gateway(error) => error.to_string(),
            Self::Business { message, .. } => message.clone(),
            Self::Busy { .. } => "the service is busy; sign the request anew and try again".into(),
            Self::Failed { .. } => "the service failed".into(),
        }
    }
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        Self::Gateway(error)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let status = problem.status();
        let log = format!("{}: {}", problem.code, problem.log.unwrap_or(problem.detail));
        if status == StatusCode::SERVICE_UNAVAILABLE { Self::Busy { log } } else { Self::Failed { log } }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}
