//! `overair login` and `logout`.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::Context as _;
use clap::Args;

use crate::client::Client;
use crate::config::{self, Given, Login};
use crate::failure::Failure;
use crate::output::Output;

/// The longest token that is read from standard input.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// The token is asked for, or read from standard input, unless it is given by an option or the variable.
#[derive(Args)]
pub(crate) struct Arguments {}

/// Keeps the server and the token, after trying them.
pub(crate) async fn run(_: Arguments, given: &Given, output: Output) -> Result<(), Failure> {
    let kept = config::load(&config::file()?).unwrap_or_default();
    let (server, _) = config::resolve(&Given { server: given.server.clone(), ..Given::default() }, kept)?;
    let token = match config::said_token(given)? {
        Some(token) => token,
        None => ask(&server)?,
    };
    if token.is_empty() {
        return Err(Failure::Usage("there is no token".to_owned()));
    }
    let client = Client::new(&server, Some(token.clone()))?;
    // A small question that every token may ask.
    client.get(&["v1", "products"]).query("limit", Some(1)).send().await?;
    let file = config::file()?;
    config::store(&file, &Login { server: server.clone(), token })?;
    output.done(&format!("logged in to {server}; kept in {}", file.display()))
}

/// Forgets them.
pub(crate) fn out(output: Output) -> Result<(), Failure> {
    let was_in = config::forget(&config::file()?)?;
    output.done(if was_in { "logged out" } else { "nobody was logged in" })
}

fn ask(server: &str) -> anyhow::Result<String> {
    let token = if io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str(&format!("Token for {server}: ")).context("the terminal")?;
        terminal.read_secure_line().context("the terminal")?
    } else {
        let mut line = String::new();
        io::stdin().lock().take(TOKEN_BYTES_MAX).read_line(&mut line).context("standard input")?;
        line
    };
    Ok(token.trim().to_owned())
}
