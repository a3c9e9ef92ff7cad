//! A file for each noun: its arguments, its requests, how its answers are shown.

mod audit;
mod batch;
mod batch_new;
mod completions;
mod delta;
mod device;
mod dry_run;
mod event;
mod login;
mod module;
mod package;
mod product;
mod settings;
mod simulate;
mod task;
mod token;
mod verify;
mod webhook;

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::config::{self, Given};
use crate::failure::Failure;
use crate::output::Output;
use crate::parse;

/// What a command works with.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) output: Output,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Keeps the server and the token for later commands, in a file that only you can read.
    Login(login::Arguments),
    /// Forgets the server and the token.
    Logout,
    /// Products, their settings and signing.
    #[command(subcommand)]
    Product(product::Command),
    /// Modules of a product.
    #[command(subcommand)]
    Module(module::Command),
    /// Devices, and gateways' sub-devices.
    #[command(subcommand)]
    Device(device::Command),
    /// Packages: upload, list, download.
    #[command(subcommand)]
    Package(package::Command),
    /// Deltas that the service makes of two packages.
    #[command(subcommand)]
    Delta(delta::Command),
    /// The trial of a package on a few devices.
    #[command(subcommand)]
    Verify(verify::Command),
    /// Batches: the roll-out of a package.
    #[command(subcommand)]
    Batch(batch::Command),
    /// Tasks: one device in one batch.
    #[command(subcommand)]
    Task(task::Command),
    /// What happened, in the vendor's words.
    #[command(subcommand)]
    Event(event::Command),
    /// Settings of the service.
    #[command(subcommand)]
    Settings(settings::Command),
    /// Tokens of people and programs.
    #[command(subcommand)]
    Token(token::Command),
    /// Who did what.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Webhooks: events sent to your own servers.
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Runs simulated devices until Ctrl-C.
    Simulate(simulate::Arguments),
    /// Prints a shell's completions.
    Completions(completions::Arguments),
}

/// Runs a command.
pub(crate) async fn run(command: Command, given: &Given, output: Output) -> Result<(), Failure> {
    // What needs no service needs no login either.
    match command {
        Command::Login(arguments) => return login::run(arguments, given, output).await,
        Command::Logout => return login::out(output),
        Command::Completions(arguments) => return completions::run(&arguments),
        _ => {}
    }
    let (server, token) = config::resolve(given, config::load(&config::file()?)?)?;
    let context = Context { client: Client::new(&server, token)?, output };
    match command {
        Command::Product(command) => product::run(command, &context).await,
        Command::Module(command) => module::run(command, &context).await,
        Command::Device(command) => device::run(command, &context).await,
        Command::Package(command) => package::run(command, &context).await,
        Command::Delta(command) => delta::run(command, &context).await,
        Command::Verify(command) => verify::run(command, &context).await,
        Command::Batch(command) => batch::run(command, &context).await,
        Command::Task(command) => task::run(command, &context).await,
        Command::Event(command) => event::run(command, &context).await,
        Command::Settings(command) => settings::run(command, &context).await,
        Command::Token(command) => token::run(command, &context).await,
        Command::Audit(command) => audit::run(command, &context).await,
        Command::Webhook(command) => webhook::run(command, &context).await,
        Command::Simulate(arguments) => simulate::run(arguments, &context).await,
        Command::Login(_) | Command::Logout | Command::Completions(_) => Ok(()),
    }
}

/// How much of a list is shown.
#[derive(Args)]
pub(crate) struct Limit {
    /// How many items to show, or `all`.
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse::limit)]
    pub(crate) limit: usize,
}

/// A body that says only what was given.
#[derive(Default)]
pub(crate) struct Body(Map<String, Value>);

impl Body {
    /// Says a field, if there is something to say.
    pub(crate) fn with(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    /// Says a list, unless it is empty.
    pub(crate) fn with_list(self, name: &str, items: &[String]) -> Self {
        self.with(name, (!items.is_empty()).then(|| items.to_vec()))
    }

    /// Says a flag when it is on: off is what the service does by itself.
    pub(crate) fn with_flag(self, name: &str, on: bool) -> Self {
        self.with(name, on.then_some(true))
    }

    /// Tells whether nothing was said.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the body.
    pub(crate) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// Returns tags as the API has them.
pub(crate) fn tags(pairs: &[(String, String)]) -> Option<Value> {
    let tag = |(key, value): &(String, String)| serde_json::json!({ "key": key, "value": value });
    (!pairs.is_empty()).then(|| pairs.iter().map(tag).collect())
}

/// Returns settings as the API has them.
pub(crate) fn settings_of(pairs: &[(String, String)]) -> Value {
    let settings: Map<String, Value> =
        pairs.iter().map(|(name, value)| (name.clone(), parse::setting(value))).collect();
    Body::default().with("settings", Some(settings)).done()
}
