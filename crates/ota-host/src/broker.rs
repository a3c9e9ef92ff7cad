//! The MQTT broker in the same process, and who may log in to it.

use std::net::SocketAddr;
use std::sync::Weak;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use ota_broker::{DeviceIdentity, Gate, Login, LoginDecision};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tokio::sync::watch;

use crate::http::{Application, body};

/// The route of the function that knows the devices.
const LOGIN_PATH: &str = "/internal/device-auth/login";

/// An answer of it is an identity, which is short.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What decides logins. Known only once the application runs; until then logins wait.
#[derive(Clone)]
pub(crate) struct Accounts {
    /// Whether devices may come in. The broker keeps nothing for who has not subscribed yet: what a device says before
    /// the application listens would be lost, acknowledged or not. So until then devices are asked to come again.
    pub(crate) devices: bool,
    /// The account of the application itself.
    pub(crate) username: String,
    pub(crate) password: String,
    /// What functions trust each other by.
    pub(crate) internal_token: Option<String>,
    pub(crate) application: Weak<Application>,
}

/// Asks the application about devices, without a socket.
pub(crate) struct Door {
    accounts: watch::Receiver<Option<Accounts>>,
}

impl Door {
    /// Returns a door and what opens it.
    pub(crate) fn new() -> (Self, watch::Sender<Option<Accounts>>) {
        let (open, accounts) = watch::channel(None);
        (Self { accounts }, open)
    }
}

#[derive(Serialize)]
struct Question<'a> {
    client_id: &'a str,
    username: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    product_key: String,
    device_name: String,
}

impl Gate for Door {
    fn login(&self, login: Login) -> BoxFuture<'_, LoginDecision> {
        let mut accounts = self.accounts.clone();
        async move {
            let known = accounts.wait_for(Option::is_some).await.ok().and_then(|known| known.clone());
            let Some(accounts) = known else { return turned_away("the host is shutting down") };
            if accounts.is_own(&login) {
                return LoginDecision::Service;
            }
            if !accounts.devices {
                // Not made to wait: many devices that wait would leave no room for the login of the application.
                return turned_away("the application does not listen yet");
            }
            accounts.ask(&login).await.unwrap_or_else(|reason| turned_away(&reason))
        }
        .boxed()
    }
}

fn turned_away(reason: &str) -> LoginDecision {
    LoginDecision::TurnedAway { reason: reason.to_owned() }
}

impl Accounts {
    /// Whether this is the application's own account. Takes the same time whatever differs.
    fn is_own(&self, login: &Login) -> bool {
        let name = self.username.as_bytes().ct_eq(login.username.as_bytes());
        let password = self.password.as_bytes().ct_eq(&login.password);
        // An application without a password has no account that could be told from a device's.
        !self.password.is_empty() && bool::from(name & password)
    }

    /// Asks who a login is. An error is a reason why nobody can tell: that is no fault of the device's, whose software may
    /// take a refusal for a wrong secret and never try again.
    async fn ask(&self, login: &Login) -> Result<LoginDecision, String> {
        let token =
            self.internal_token.as_ref().ok_or("the application declares no variable `internal_token`")?;
        let application = self.application.upgrade().ok_or("the host is shutting down")?;
        let Ok(password) = std::str::from_utf8(&login.password) else {
            return Ok(LoginDecision::Refused { reason: "the password is no text".to_owned() });
        };
        let question = Question { client_id: &login.client_id, username: &login.username, password };
        let question = serde_json::to_vec(&question).map_err(|error| error.to_string())?;
        let client = login.remote_addr.parse().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let request = Request::post(format!("http://localhost{LOGIN_PATH}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, question.len())
            .body(body(Full::from(question)))
            .map_err(|error| error.to_string())?;
        let response = application.handle(request, client).await;
        let status = response.status();
        if status != StatusCode::OK {
            let reason = format!("device login answered {status}");
            return if is_refusal(status) { Ok(LoginDecision::Refused { reason }) } else { Err(reason) };
        }
        let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let answer = answer.map_err(|error| error.to_string())?.to_bytes();
        let Answer { product_key, device_name } = serde_json::from_slice(&answer)
            .map_err(|error| format!("device login answered no identity: {error}"))?;
        Ok(LoginDecision::Device(DeviceIdentity { product_key, device_name }))
    }
}

/// Whether a status says that the login is wrong, or no login at all.
fn is_refusal(status: StatusCode) -> bool {
    use StatusCode as S;
    matches!(status, S::FORBIDDEN | S::BAD_REQUEST | S::PAYLOAD_TOO_LARGE | S::UNPROCESSABLE_ENTITY)
}

/// Whether clients of `address` end up at a listener on `listen`.
pub(crate) fn leads_to(address: &crate::mqtt::Address, listen: SocketAddr) -> bool {
    let host_fits = match address.host.parse::<std::net::IpAddr>() {
        Ok(ip) => listen.ip() == ip || listen.ip().is_unspecified() && ip.is_loopback(),
        Err(_) => address.host == "localhost" && (listen.ip().is_loopback() || listen.ip().is_unspecified()),
    };
    host_fits && address.port == listen.port()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mqtt::Address;

    fn login(username: &str, password: &[u8]) -> Login {
        Login {
            client_id: "c".into(),
            username: username.into(),
            password: password.to_vec(),
            remote_addr: String::new(),
            keep_alive_seconds: 30,
        }
    }

    fn accounts(password: &str) -> Accounts {
        Accounts {
            devices: true,
            username: "service".into(),
            password: password.into(),
            internal_token: None,
            application: Weak::new(),
        }
    }

    #[test]
    fn the_own_account_needs_name_and_password() {
        assert!(accounts("pw").is_own(&login("service", b"pw")));
        assert!(!accounts("pw").is_own(&login("service", b"pwd")));
        assert!(!accounts("pw").is_own(&login("services", b"pw")));
        assert!(!accounts("").is_own(&login("service", b"")));
    }

    #[tokio::test]
    async fn nobody_else_enters_when_there_is_nobody_to_ask() {
        let (door, open) = Door::new();
        open.send_replace(Some(accounts("pw")));
        assert!(matches!(door.login(login("device", b"x")).await, LoginDecision::TurnedAway { .. }));
        assert_eq!(door.login(login("service", b"pw")).await, LoginDecision::Service);
    }

    #[tokio::test]
    async fn devices_are_asked_to_come_again_until_the_application_listens() {
        let (door, open) = Door::new();
        open.send_replace(Some(Accounts { devices: false, ..accounts("pw") }));
        assert_eq!(door.login(login("service", b"pw")).await, LoginDecision::Service);
        let decision = door.login(login("device", b"x")).await;
        let reason = "the application does not listen yet".to_owned();
        assert_eq!(decision, LoginDecision::TurnedAway { reason });
    }

    #[tokio::test]
    async fn a_password_that_is_no_text_is_wrong() {
        let (door, open) = Door::new();
        let application = Arc::new(Application::new(vec![]));
        let internal_token = Some("token".to_owned());
        let known = Accounts { internal_token, application: Arc::downgrade(&application), ..accounts("pw") };
        open.send_replace(Some(known));
        assert!(matches!(door.login(login("device", b"\xff")).await, LoginDecision::Refused { .. }));
        // Nothing answers at the function's route.
        assert!(matches!(door.login(login("device", b"x")).await, LoginDecision::TurnedAway { .. }));
    }

    #[test]
    fn addresses_lead_to_listeners() {
        let leads =
            |address, listen: &str| leads_to(&Address::parse(address).unwrap(), listen.parse().unwrap());
        assert!(leads("mqtt://127.0.0.1:1883", "127.0.0.1:1883"));
        assert!(leads("mqtt://localhost", "0.0.0.0:1883"));
        assert!(leads("mqtt://127.0.0.1", "0.0.0.0:1883"));
        assert!(!leads("mqtt://127.0.0.1:1884", "127.0.0.1:1883"));
        assert!(!leads("mqtt://10.0.0.1", "0.0.0.0:1883"));
    }
}
