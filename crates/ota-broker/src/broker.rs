//! Starting and stopping the broker.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rmqtt::context::ServerContext;
use rmqtt::net::{Builder, Listener};
use rmqtt::router::DefaultRouter;
use rmqtt::server::MqttServer;
use rmqtt::types::QoS;
use tokio::runtime::{Handle, Runtime};

use crate::Gate;
use crate::config::BrokerConfig;
use crate::counters::Counters;
use crate::exchange::Exchange;
use crate::farewell::Farewells;
use crate::fitter::Terms;
use crate::hooks::Hooks;
use crate::login::Doorman;
use crate::presence::unix_ms;
use crate::seats::Seats;
use crate::shared::{Sessions, SharedSubscriptions};
use crate::turns::Turns;

/// Logins that are decided at once; more wait for their turn within the connect timeout.
const LOGINS_AT_ONCE: usize = 64;

/// QoS 2 messages of one client between PUBLISH and PUBREL, above what clients allow themselves by default.
const HALF_FINISHED_MAX: NonZeroU16 = NonZeroU16::new(1024).expect("it is not zero");

/// How often what ended without a word is cleared away. A device whose connection broke in the very moment of its
/// login counts as online until then.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long a shutdown waits for the broker's threads, which only ever work for microseconds at a time.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// A running broker. Dropping it stops it without waiting for the end; [`Broker::shutdown`] waits.
pub struct Broker {
    local_addr: SocketAddr,
    exchange: Arc<Exchange>,
    is_closing: Arc<AtomicBool>,
    /// A runtime of its own, because the library knows no shutdown: its tasks end when their runtime does.
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}

/// Starts a broker; it takes connections when this returns.
///
/// The gate runs in the runtime that this is called from, everything else in one of the broker's own. Any number of
/// brokers can run in one process.
///
/// # Errors
///
/// When the address cannot be listened on, or the operating system has no threads left.
pub async fn start(config: BrokerConfig, gate: Arc<dyn Gate>) -> anyhow::Result<Broker> {
    let config = Arc::new(config);
    let home = Handle::try_current().context("the broker is started outside of a runtime")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.threads.max(1))
        .thread_name("mqtt-broker")
        .enable_all()
        .build()
        .context("the broker's threads do not start")?;

    let exchange = Arc::new(Exchange::default());
    let sessions = Sessions {
        exchange: exchange.clone(),
        seats: Arc::new(Seats::new(unix_ms())),
        turns: Arc::new(Turns::new()),
        device_sessions_max: config.device_sessions_max,
    };
    let is_closing = Arc::new(AtomicBool::new(false));
    let hooks = Hooks {
        config: config.clone(),
        doorman: Arc::new(Doorman { gate, home, config }),
        sessions,
        is_closing: is_closing.clone(),
    };

    // From here on the runtime has an owner that stops it, whatever goes wrong.
    let mut broker = Broker { local_addr: hooks.config.listen, exchange, is_closing, runtime: Some(runtime) };
    if let Some(runtime) = &broker.runtime {
        broker.local_addr = runtime.spawn(run(hooks)).await.context("the broker failed to start")??;
    }
    tracing::info!(listen = %broker.local_addr, "the broker takes connections");
    Ok(broker)
}

impl Broker {
    /// The address that clients connect to, with the port that was really taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What the broker has done so far.
    pub fn counters(&self) -> Counters {
        self.exchange.tally.snapshot(self.exchange.sessions())
    }

    /// Ends all connections and gives the port back.
    ///
    /// No device is announced as offline: whoever would hear it is connected to this broker as well.
    pub async fn shutdown(mut self) {
        if let Some(runtime) = self.close() {
            // A failure here would be a panic on a thread that only waits.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(SHUTDOWN_PATIENCE)).await;
        }
        tracing::info!(listen = %self.local_addr, "the broker is stopped");
    }

    /// Lets nobody in any more, ends all sessions, and hands out the runtime to be stopped.
    fn close(&mut self) -> Option<Runtime> {
        self.is_closing.store(true, Ordering::Relaxed);
        let runtime = self.runtime.take()?;
        // The library's sessions spawn a task when they are dropped, so that has to happen inside of a runtime.
        let context = runtime.enter();
        self.exchange.clear();
        drop(context);
        Some(runtime)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.close() {
            runtime.shutdown_background();
        }
    }
}

/// Sets the library up and lets it run; returns the address it listens on.
async fn run(hooks: Hooks) -> anyhow::Result<SocketAddr> {
    let listener = listen(&hooks.config)?;
    let local_addr = listener.local_addr()?;
    let context = ServerContext::new()
        // The library would refuse connections whenever the whole machine is busy, with whatever.
        .busy_check_enable(false)
        .task_exec_workers(LOGINS_AT_ONCE)
        .task_exec_queue_max(hooks.config.device_sessions_max)
        .build()
        .await;
    let extends = &context.extends;
    *extends.shared_mut().await = Box::new(hooks.sessions.clone());
    // The exchange routes; the library's router only has to stop holding on to the context that holds it.
    *extends.router_mut().await = Box::new(DefaultRouter::new(None));
    *extends.shared_subscription_mut().await = Box::new(SharedSubscriptions);
    *extends.session_mgr_mut().await = Box::new(Farewells {
        exchange: hooks.sessions.exchange.clone(),
        seats: hooks.sessions.seats.clone(),
    });
    *extends.fitter_mgr_mut().await = Box::new(Terms { config: hooks.config.clone() });
    hooks.clone().register(extends.hook_mgr().register().as_ref()).await;

    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(SWEEP_EVERY);
        loop {
            ticks.tick().await;
            hooks.sweep().await;
        }
    });
    // Its identifier only has to differ from that of other listeners of the same server, of which there are none.
    let server = MqttServer::new(context).listener_by_id(listener, 1).build();
    tokio::spawn(server.run());
    Ok(local_addr)
}

/// Binds the port and sets the library's limits.
fn listen(config: &BrokerConfig) -> anyhow::Result<Listener> {
    Builder::new()
        .name("overair")
        .laddr(config.listen)
        .reuseaddr(Some(true))
        .nodelay(true)
        .allow_anonymous(false)
        .allow_zero_keepalive(true)
        .max_connections(config.device_sessions_max)
        .max_handshaking_limit(LOGINS_AT_ONCE)
        .handshake_timeout(config.connect_timeout)
        .send_timeout(config.send_timeout)
        .max_packet_size(config.packet_bytes_max())
        .max_clientid_len(config.client_id_bytes_max)
        // What one session may have depends on its sub-devices; the hook that is asked for each subscription knows.
        .max_subscriptions(config.subscriptions_of(config.sub_devices_max))
        // What is on its way out is bounded per connection. This bounds how many QoS 2 messages a client may leave
        // half-finished.
        .max_inflight(HALF_FINISHED_MAX)
        // QoS 2 is not part of the device protocol, and nothing sent by QoS 1 needs a second window.
        .max_qos_allowed(QoS::AtLeastOnce)
        // A message is sent once per connection. Sending it again on the same connection would only add to what a
        // slow client has to read; after its expiry it leaves the window.
        .message_retry_interval(Duration::ZERO)
        .message_expiry_interval(config.message_expiry)
        .session_expiry_interval(Duration::ZERO)
        .bind()
        .with_context(|| format!("cannot listen on {}", config.listen))
}
