//! A broker and a file server, as small as a device can do with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use rumqttc::{ConnAck, ConnectReturnCode, Packet, PingResp, PubAck, Publish, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What devices said, and how to talk to them.
#[derive(Default)]
struct Heard {
    connects: Vec<(String, String)>,
    messages: Vec<(String, String)>,
    subscribes: usize,
    /// Connections that have not ended.
    open: usize,
    /// The connection of each topic's device, by the topic that devices are pushed on.
    lines: BTreeMap<String, mpsc::UnboundedSender<(String, String)>>,
}

/// A broker that lets everybody in.
#[derive(Clone)]
pub(super) struct Broker {
    pub(super) port: u16,
    heard: Arc<Mutex<Heard>>,
    refuse: bool,
}

impl Broker {
    pub(super) async fn start() -> Self {
        Self::start_with(false).await
    }

    pub(super) async fn start_with(refuse: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = Self { port, heard: Arc::default(), refuse };
        let serving = broker.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                serving.heard.lock().unwrap().open += 1;
                tokio::spawn(async move {
                    serving.serve(stream).await;
                    serving.heard.lock().unwrap().open -= 1;
                });
            }
        });
        broker
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut input = BytesMut::new();
        let mut output = BytesMut::new();
        let (line, mut pushed) = mpsc::unbounded_channel::<(String, String)>();
        let mut next_id = 0;
        loop {
            let mut chunk = [0; 4096];
            tokio::select! {
                read = stream.read(&mut chunk) => match read {
                    Ok(len @ 1..) => input.extend_from_slice(&chunk[..len]),
                    _ => return,
                },
                Some((topic, payload)) = pushed.recv() => {
                    next_id += 1;
                    let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
                    publish.pkid = next_id;
                    publish.write(&mut output).unwrap();
                }
            }
            while let Ok(packet) = Packet::read(&mut input, 1024 * 1024) {
                self.answer(packet, &line, &mut output);
            }
            if stream.write_all(&output).await.is_err() {
                return;
            }
            output.clear();
        }
    }

    fn answer(&self, packet: Packet, line: &mpsc::UnboundedSender<(String, String)>, output: &mut BytesMut) {
        let mut heard = self.heard.lock().unwrap();
        match packet {
            Packet::Connect(connect) => {
                let username = connect.login.map(|login| login.username).unwrap_or_default();
                let (name, product) = username.split_once('&').unwrap();
                heard.lines.insert(format!("{product}/{name}"), line.clone());
                heard.connects.push((connect.client_id, username));
                let code = match self.refuse {
                    true => ConnectReturnCode::BadUserNamePassword,
                    false => ConnectReturnCode::Success,
                };
                ConnAck::new(code, false).write(output).unwrap();
            }
            Packet::Publish(publish) => {
                let text = String::from_utf8_lossy(&publish.payload).into_owned();
                heard.messages.push((publish.topic, text));
                if publish.qos == QoS::AtLeastOnce {
                    PubAck::new(publish.pkid).write(output).unwrap();
                }
            }
            Packet::PingReq => {
                PingResp.write(output).unwrap();
            }
            Packet::Subscribe(_) => heard.subscribes += 1,
            _ => {}
        }
    }

    /// Waits until all connections have ended: until then, what devices said last may still be on its way.
    pub(super) async fn deserted(&self) {
        while self.heard.lock().unwrap().open > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }

    /// Sends a device a message.
    pub(super) fn push(&self, identity: &str, topic: &str, payload: &str) {
        let heard = self.heard.lock().unwrap();
        heard.lines[identity].send((topic.to_owned(), payload.to_owned())).unwrap();
    }

    /// What devices said on topics that start so.
    pub(super) fn heard(&self, topic: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.messages.iter().filter(|(t, _)| t.starts_with(topic)).map(|(_, text)| text.clone()).collect()
    }

    /// Client ids and user names of all connections.
    pub(super) fn connects(&self) -> Vec<(String, String)> {
        self.heard.lock().unwrap().connects.clone()
    }

    pub(super) fn subscribes(&self) -> usize {
        self.heard.lock().unwrap().subscribes
    }
}

/// Serves one file, with ranges. Returns where, and the ranges that were asked for.
pub(super) async fn serve_file(bytes: Vec<u8>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/d/package", listener.local_addr().unwrap());
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let ranges = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_range(stream, bytes.clone(), asked.clone()));
        }
    });
    (url, ranges)
}

async fn answer_range(mut stream: TcpStream, bytes: Vec<u8>, asked: Arc<Mutex<Vec<String>>>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk).await {
            Ok(len @ 1..) => request.extend_from_slice(&chunk[..len]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).unwrap();
    let range =
        request.lines().find_map(|line| line.strip_prefix("Range: bytes=")).unwrap_or("none").to_owned();
    asked.lock().unwrap().push(range.clone());
    let from: usize = range.trim_end_matches('-').parse().unwrap();
    let (last, size) = (bytes.len() - 1, bytes.len());
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{last}/{size}\r\n\
         Connection: close\r\n\r\n",
        size - from
    );
    // A device that cuts the connection makes these fail, as it should.
    let _cut = stream.write_all(head.as_bytes()).await;
    let _cut = stream.write_all(&bytes[from..]).await;
}
