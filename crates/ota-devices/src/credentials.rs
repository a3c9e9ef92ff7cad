//! Names and secrets of devices, as a file holds them.

use std::fmt;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// A device's name and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The name within the product.
    pub name: String,
    /// The secret given at the registration.
    pub secret: String,
}

/// Leaves the secret out, so that a credential can be logged.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Registered {
    devices: Vec<Credential>,
}

/// Reads credentials: JSON (a list, or the answer to a registration) or CSV lines of `name,secret`, with or without
/// a header.
///
/// # Errors
/// What is wrong, with the line, and never with a secret.
pub fn parse_credentials(text: &str) -> anyhow::Result<Vec<Credential>> {
    let text = text.trim();
    // The parser quotes what it stumbled over, which may be a secret: only the place is told.
    let refused = |error: serde_json::Error| {
        anyhow::anyhow!("line {}, column {}: not a list of names and secrets", error.line(), error.column())
    };
    let credentials: Vec<Credential> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(refused)?
    } else if text.starts_with('{') {
        serde_json::from_str::<Registered>(text).map_err(refused)?.devices
    } else {
        parse_csv(text)?
    };
    if credentials.is_empty() {
        bail!("no device is listed");
    }
    Ok(credentials)
}

fn parse_csv(text: &str) -> anyhow::Result<Vec<Credential>> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && *line != "name,secret")
        .map(|(number, line)| {
            let (name, secret) =
                line.split_once(',').with_context(|| format!("line {number} is not `name,secret`"))?;
            Ok(Credential { name: name.trim().to_owned(), secret: secret.trim().to_owned() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_csv_say_the_same() {
        let wanted = [Credential { name: "lamp-1".into(), secret: "s1".into() }];
        for text in [
            r#"[{"name":"lamp-1","secret":"s1"}]"#,
            r#"{"devices":[{"name":"lamp-1","secret":"s1"}]}"#,
            "name,secret\nlamp-1,s1\n",
            "lamp-1, s1",
        ] {
            assert_eq!(parse_credentials(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn a_fault_names_the_place_and_no_secret() {
        for text in ["", "[]", "lamp-1,s1\nnonsense", r#"[{"name":"lamp-1","secret":5012}]"#] {
            let error = format!("{:#}", parse_credentials(text).unwrap_err());
            assert!(!error.contains("5012"), "{error}");
        }
    }
}
