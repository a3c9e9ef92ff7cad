//! Stands in for a host of wasmCloud where tests cannot have one: it runs the component that ships, on the same interfaces.
//!
//! What it takes from wasmCloud is how things behave that the service rests on: the store of JetStream's buckets, with
//! revisions and an insert that an existing key refuses ([`store`]); instances that are reused; variables in the
//! environment; a service beside the component ([`service`]). [`emqx`] takes the place of EMQX beside it: it asks about
//! logins, posts devices' messages, and publishes what its REST API is given. Nothing else is alike, so this proves
//! that the component and its adapter work, and not that wasmCloud does.

mod component;
mod emqx;
mod keyvalue;
mod server;
mod service;
mod state;
mod store;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::component::{HttpComponent, engine};
use self::state::Environment;
use self::store::Store;

/// Stands in for a host of wasmCloud, its store and EMQX beside it.
#[derive(Parser)]
struct Arguments {
    /// The component that answers HTTP requests.
    #[arg(long)]
    component: PathBuf,
    /// A service beside it, which is run for as long as this.
    #[arg(long)]
    service: Option<PathBuf>,
    /// Where compiled components are kept.
    #[arg(long)]
    data_dir: PathBuf,
    /// Where HTTP is served.
    #[arg(long)]
    listen: SocketAddr,
    /// Where the broker listens.
    #[arg(long)]
    mqtt_listen: SocketAddr,
    /// Runs no broker.
    #[arg(long)]
    no_broker: bool,
    /// What the broker hands on.
    #[arg(long)]
    topic: Vec<String>,
    /// A variable of the environment: `NAME=value`. `${http_port}` and `${rest_port}` in a value stand for the ports of the
    /// component and of EMQX's REST API.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Lets every operation of the store take up to so long, before it is done and after.
    #[arg(long, default_value_t = 0)]
    store_latency_us: u64,
}

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::new("info,rmqtt=warn,rmqtt_net=warn");
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => match runtime.block_on(run(Arguments::parse())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let http = TcpListener::bind(arguments.listen).await.context("cannot listen for HTTP")?;
    let rest = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.context("no REST API")?;
    let (http_addr, rest_addr) = (http.local_addr()?, rest.local_addr()?);
    let ports = [("${http_port}", http_addr.port()), ("${rest_port}", rest_addr.port())];
    let environment = arguments.env.iter().map(|pair| {
        let (name, value) = pair.split_once('=').context("a variable is given as `NAME=value`")?;
        let filled =
            ports.iter().fold(value.to_owned(), |text, (of, port)| text.replace(of, &port.to_string()));
        Ok((name.to_owned(), filled))
    });
    let environment = environment.collect::<anyhow::Result<Vec<_>>>()?;
    let value =
        |wanted: &str| environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let token = value("OVERAIR_INTERNAL_TOKEN").unwrap_or_default();
    let key = (
        value("OVERAIR_MQTT_USERNAME").unwrap_or_default(),
        value("OVERAIR_MQTT_PASSWORD").unwrap_or_default(),
    );
    let environment = Arc::new(Environment {
        variables: environment,
        store: Store::new(Duration::from_micros(arguments.store_latency_us)),
    });

    let engine = engine(&arguments.data_dir.join("cache")).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let component = HttpComponent::compile(&engine, &arguments.component, environment.clone())
        .map_err(|error| anyhow::anyhow!("{error:#}"))?;
    tokio::spawn(server::serve_component(http, component));
    let mut mqtt = String::new();
    if !arguments.no_broker {
        let site = emqx::Site { base_url: format!("http://{http_addr}"), token };
        let broker = emqx::start(arguments.mqtt_listen, site, &arguments.topic).await?;
        mqtt = format!(" mqtt={}", broker.address());
        tokio::spawn(server::serve_rest_api(rest, broker, key));
    }
    if let Some(file) = &arguments.service {
        service::start(&engine, file, environment).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    }
    println!("ready http={http_addr}{mqtt}");
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
