//! The load: connections that each send a request as soon as the last one is answered.

use std::time::{Duration, Instant};

use anyhow::ensure;
use bench_support::client::{Call, Connection};
use tokio::task::JoinSet;

use crate::description::Template;
use crate::target::Target;

/// Times that are kept; what comes on top of that is not looked at. They take 20 MB.
const LATENCIES_MAX: usize = 5_000_000;
/// Requests that are written beforehand, for each connection: they are sent again and again, with other numbers than the ones
/// before.
const WRITTEN_MAX: usize = 2_000;

/// When a round ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// When this has passed.
    Time(Duration),
    /// When so many are answered.
    Count(usize),
}

/// How long answers took, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

/// Open connections, and the requests that they send in turn.
pub(crate) struct Load {
    clients: Vec<Client>,
    status: u16,
}

struct Client {
    connection: Connection,
    requests: Vec<Call>,
    next: usize,
}

impl Load {
    pub(crate) async fn connect(
        target: &Target,
        template: &Template,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let mut clients = Vec::with_capacity(connections);
        for client in 0..connections {
            // No two connections send the same.
            let numbers = (client..).step_by(connections).take(WRITTEN_MAX);
            let requests = numbers.map(|number| target.call(template, number)).collect::<Result<_, _>>()?;
            clients.push(Client { connection: target.connect().await?, requests, next: 0 });
        }
        Ok(Self { clients, status: template.status })
    }

    /// Sends requests over all connections, and returns how many were answered a second and how long each took.
    pub(crate) async fn round(&mut self, until: Until) -> anyhow::Result<(f64, Latencies)> {
        let (connections, status) = (self.clients.len(), self.status);
        let began = Instant::now();
        let mut sending = JoinSet::new();
        for (index, mut client) in self.clients.drain(..).enumerate() {
            sending.spawn(async move {
                let mut took = Vec::new();
                loop {
                    let more = match until {
                        Until::Time(time) => began.elapsed() < time,
                        Until::Count(count) => took.len() * connections + index < count,
                    };
                    if !more {
                        return anyhow::Ok((client, took));
                    }
                    took.push(client.send(status).await?);
                }
            });
        }
        let mut all = Vec::new();
        while let Some(sent) = sending.join_next().await {
            let (client, took) = sent??;
            self.clients.push(client);
            all.extend(took);
        }
        Ok((all.len() as f64 / began.elapsed().as_secs_f64(), Latencies(all)))
    }
}

impl Client {
    async fn send(&mut self, expected: u16) -> anyhow::Result<u32> {
        let call = self.requests[self.next % self.requests.len()].clone();
        self.next += 1;
        let began = Instant::now();
        let (status, body) = self.connection.exchange(call).await?;
        let took = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
        ensure!(status == expected, "{status} {}", String::from_utf8_lossy(&body));
        Ok(took)
    }
}

impl Latencies {
    /// Takes in those of another round.
    pub(crate) fn add(&mut self, Self(mut other): Self) {
        other.truncate(LATENCIES_MAX - self.0.len());
        self.0.append(&mut other);
    }

    /// Returns the time that this share of the answers did not exceed; 0 if there was none.
    pub(crate) fn percentile(&mut self, percent: f64) -> u32 {
        self.0.sort_unstable();
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.max(1) - 1).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_what_so_many_did_not_exceed() {
        let mut latencies = Latencies((1..=200).rev().collect());
        assert_eq!([50.0, 99.0, 100.0].map(|percent| latencies.percentile(percent)), [100, 198, 200]);
        assert_eq!(Latencies(vec![7]).percentile(99.0), 7);
        assert_eq!(Latencies::default().percentile(50.0), 0);
    }
}
