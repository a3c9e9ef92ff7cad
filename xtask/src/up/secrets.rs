//! Secrets, made once and kept beside the data.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, bail};

/// The variables that are secrets of this installation.
const NAMES: [&str; 7] = [
    "api_token",
    "internal_token",
    "url_signing_key",
    "secrets_key",
    "mqtt_password",
    "access_key_id",
    "access_key_secret",
];
/// Bytes of a secret: as many as the digest has that signs with it.
const SECRET_BYTES: usize = 32;
/// Readable by its owner only.
const MODE: u32 = 0o600;

/// Reads the secrets, making those that are missing. Returns the operator's token.
pub(crate) fn ready(file: &Path) -> anyhow::Result<String> {
    let mut table = match std::fs::read_to_string(file) {
        // The parser's message quotes the text, which holds secrets.
        Ok(text) => {
            text.parse::<toml::Table>().ok().with_context(|| format!("{} is no TOML", file.display()))?
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => toml::Table::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut made = false;
    for name in NAMES {
        if !table.contains_key(name) {
            table.insert(name.to_owned(), toml::Value::String(random_hex()?));
            made = true;
        }
    }
    if made {
        write(file, &table.to_string())?;
    } else {
        std::fs::set_permissions(file, Permissions::from_mode(MODE)).context("secrets' permissions")?;
    }
    match table.get("api_token").and_then(toml::Value::as_str) {
        Some(token) if !token.is_empty() => Ok(token.to_owned()),
        _ => bail!("api_token in {} is not a text", file.display()),
    }
}

/// Writes the file whole or not at all, and never readable for others, not even for a moment.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let unfinished = file.with_extension("unfinished");
    let _leftover = std::fs::remove_file(&unfinished);
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unfinished)
        .with_context(|| format!("cannot write {}", unfinished.display()))?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&unfinished, file).with_context(|| format!("cannot write {}", file.display()))
}

fn random_hex() -> anyhow::Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(file: &Path) -> u32 {
        std::fs::metadata(file).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_made_once_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("variables.toml");
        let token = ready(&file).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(mode(&file), 0o600);
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text.parse::<toml::Table>().unwrap().len(), NAMES.len());

        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(ready(&file).unwrap(), token);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn what_is_there_stays_and_what_is_missing_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("variables.toml");
        std::fs::write(&file, "api_token = \"mine\"\nmqtt_address = \"mqtt://broker:1883\"\n").unwrap();
        assert_eq!(ready(&file).unwrap(), "mine");
        let table: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
        assert_eq!(table.len(), NAMES.len() + 1);
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("variables.toml");
        std::fs::write(&file, "api_token = s3cret").unwrap();
        let error = format!("{:#}", ready(&file).unwrap_err());
        assert!(error.contains("no TOML") && !error.contains("s3cret"), "{error}");
    }
}
