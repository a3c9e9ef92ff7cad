//! Where the server and its token are kept between commands.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The server when nobody says another.
pub(crate) const SERVER: &str = "http://127.0.0.1:3000";

/// What `login` keeps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The server's URL.
    pub(crate) server: String,
    /// The token, which is for this server only.
    pub(crate) token: String,
}

/// What the command line and the environment say.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) server: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
}

/// Decides which server is talked to, and with which token. What is said goes before what is kept, and a token that is
/// kept goes to the server it was given for and to no other.
pub(crate) fn resolve(given: &Given, kept: Option<Login>) -> anyhow::Result<(String, Option<String>)> {
    let kept_server = kept.as_ref().map(|login| login.server.clone());
    let server = given.server.clone().or(kept_server).unwrap_or_else(|| SERVER.to_owned());
    let server = server.trim_end_matches('/').to_owned();
    let token = match said_token(given)? {
        Some(token) => Some(token),
        None => kept.filter(|login| login.server == server).map(|login| login.token),
    };
    Ok((server, token))
}

/// Returns the token that was said, by a file or by itself.
pub(crate) fn said_token(given: &Given) -> anyhow::Result<Option<String>> {
    let Some(path) = &given.token_file else { return Ok(given.token.clone()) };
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).context("standard input")?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    Ok(Some(text.trim().to_owned()))
}

/// Returns the file that `login` writes.
pub(crate) fn file() -> anyhow::Result<PathBuf> {
    Ok(home("XDG_CONFIG_HOME", ".config")?.join("overair").join("login.json"))
}

/// Returns the folder for what makes an interrupted upload go on.
pub(crate) fn uploads_folder() -> anyhow::Result<PathBuf> {
    Ok(home("XDG_STATE_HOME", ".local/state")?.join("overair").join("uploads"))
}

fn home(variable: &str, below: &str) -> anyhow::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match (set(variable), set("HOME")) {
        // A relative path is no answer (XDG Base Directory Specification).
        (Some(path), _) if path.is_absolute() => Ok(path),
        (_, Some(home)) => Ok(home.join(below)),
        (_, None) => anyhow::bail!("neither {variable} nor HOME is set"),
    }
}

/// Reads what is kept, if anything is.
pub(crate) fn load(file: &Path) -> anyhow::Result<Option<Login>> {
    match std::fs::read_to_string(file) {
        // The parser's message quotes the text, which holds the token.
        Ok(text) => serde_json::from_str(&text)
            .ok()
            .with_context(|| format!("{} cannot be read: log in again", file.display()))
            .map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Keeps a login.
pub(crate) fn store(file: &Path, login: &Login) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(login).context("the login")?;
    write_private(file, &format!("{text}\n"))
}

/// Forgets the login; tells whether there was one.
pub(crate) fn forget(file: &Path) -> anyhow::Result<bool> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", file.display())),
    }
}

/// Writes a file whole or not at all, and never readable for others, not even for a moment.
pub(crate) fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", file.display());
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(told)?;
    }
    let unfinished = file.with_extension(format!("unfinished-{}", std::process::id()));
    let _leftover = std::fs::remove_file(&unfinished);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&unfinished).with_context(told)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).with_context(told)?;
    std::fs::rename(&unfinished, file).with_context(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login { server: "http://a".to_owned(), token: "kept".to_owned() }
    }

    fn given(server: Option<&str>, token: Option<&str>) -> Given {
        Given { server: server.map(str::to_owned), token: token.map(str::to_owned), token_file: None }
    }

    #[test]
    fn what_is_said_goes_before_what_is_kept() {
        let resolved = |server, token, kept| {
            let (server, token) = resolve(&given(server, token), kept).unwrap();
            (server, token.unwrap_or_default())
        };
        let pair = |server: &str, token: &str| (server.to_owned(), token.to_owned());
        assert_eq!(resolved(None, None, None), pair(SERVER, ""));
        assert_eq!(resolved(None, None, Some(login())), pair("http://a", "kept"));
        assert_eq!(resolved(Some("http://a/"), None, Some(login())), pair("http://a", "kept"));
        assert_eq!(resolved(None, Some("said"), Some(login())), pair("http://a", "said"));
    }

    #[test]
    fn a_kept_token_goes_to_no_other_server() {
        let (_, token) = resolve(&given(Some("http://b"), None), Some(login())).unwrap();
        assert_eq!(token, None);
    }

    #[test]
    fn a_login_is_kept_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("overair/login.json");
        assert!(load(&file).unwrap().is_none());
        store(&file, &login()).unwrap();
        store(&file, &login()).unwrap();
        assert!(load(&file).unwrap() == Some(login()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(forget(&file).unwrap());
        assert!(!forget(&file).unwrap());
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login.json");
        std::fs::write(&file, "{\"server\": \"x\", \"token\": ovr_secret").unwrap();
        let error = format!("{:#}", load(&file).err().unwrap());
        assert!(!error.contains("ovr_secret"), "{error}");
    }

    #[test]
    fn a_token_may_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "from-file\n").unwrap();
        let given = Given { token_file: Some(file), ..given(None, Some("said")) };
        assert_eq!(said_token(&given).unwrap().as_deref(), Some("from-file"));
    }
}
