//! The load: connections that each send a request as soon as the last one is answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::fleet::{Fleet, Kind};

/// Open connections, and the requests that they send in turn.
pub(crate) struct Load {
    clients: Vec<Client>,
}

/// A connection, and the devices that it speaks for.
struct Client {
    connection: Connection,
    /// For each kind of request: one of each device and turn, written beforehand.
    requests: [Vec<Vec<u8>>; 3],
    /// The next of each.
    next: [usize; 3],
}

/// How many different reports of each device are written beforehand: any number from two up keeps them news.
const TURNS: usize = 5;

impl Load {
    pub(crate) async fn connect(
        server: SocketAddr,
        fleet: &Fleet,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let mut clients = Vec::with_capacity(connections);
        for client in 0..connections {
            // No device speaks over two connections.
            let numbers: Vec<usize> = (client..fleet.len()).step_by(connections).collect();
            ensure!(!numbers.is_empty(), "there are more connections than devices");
            let requests = Kind::ALL.map(|kind| {
                let turns = (0..TURNS).flat_map(|turn| numbers.iter().map(move |number| (turn, *number)));
                turns.map(|(turn, number)| fleet.request(kind, number, turn)).collect()
            });
            clients.push(Client { connection: Connection::open(server).await?, requests, next: [0; 3] });
        }
        Ok(Self { clients })
    }

    /// Sends requests over all connections for a while, and returns how many were answered and how long it took.
    pub(crate) async fn round(&mut self, kind: Kind, length: Duration) -> anyhow::Result<(u64, Duration)> {
        let began = Instant::now();
        let mut sending = JoinSet::new();
        for mut client in self.clients.drain(..) {
            sending.spawn(async move {
                let mut answered = 0;
                while began.elapsed() < length {
                    client.send(kind).await?;
                    answered += 1;
                }
                anyhow::Ok((client, answered))
            });
        }
        let mut answered = 0;
        while let Some(sent) = sending.join_next().await {
            let (client, count) = sent??;
            self.clients.push(client);
            answered += count;
        }
        Ok((answered, began.elapsed()))
    }

    /// Sends one request.
    pub(crate) async fn one(&mut self, kind: Kind) -> anyhow::Result<()> {
        self.clients[0].send(kind).await
    }
}

impl Client {
    async fn send(&mut self, kind: Kind) -> anyhow::Result<()> {
        let requests = &self.requests[kind as usize];
        let next = &mut self.next[kind as usize];
        let request = &requests[*next % requests.len()];
        *next += 1;
        let (status, body) = self.connection.exchange(request).await?;
        ensure!(
            status == kind.status(),
            "{kind:?} is answered with {status}: {}",
            String::from_utf8_lossy(body)
        );
        Ok(())
    }
}
