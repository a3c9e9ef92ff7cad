//! Sending pieces of a file one after the other, as fast as they are taken.

use bytes::Bytes;
use futures::SinkExt;
use futures::channel::mpsc;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use ota_blob::File;
use ota_http::{Body, Problem};
use ota_platform::Platform;
use ota_platform::line::Line;

use crate::parts::Piece;

type Sender = mpsc::Sender<Result<Frame<Bytes>, anyhow::Error>>;

/// Returns a body of these pieces. Little of it is ever in memory.
pub(crate) async fn stream<P: Platform>(
    platform: &P,
    file: File<P>,
    mut pieces: Vec<Piece>,
) -> Result<Body, Problem> {
    if let [Piece::File(range)] = pieces.as_mut_slice() {
        return file.stream(range.clone()).await;
    }
    let (mut sender, receiver) = mpsc::channel(0);
    let engine = platform.clone();
    platform.spawn(async move {
        for piece in pieces {
            let sent = match piece {
                Piece::Lines(lines) => sender.send(Ok(Frame::data(lines))).await.is_ok(),
                Piece::File(range) => match file.stream(range).await {
                    Ok(body) => forward(&mut sender, body).await,
                    Err(problem) => {
                        let line = Line::of("Download").with("outcome", "cut").with("code", problem.code);
                        line.with_some("error", problem.log.as_deref()).write(&engine);
                        let _cut =
                            sender.send(Err(anyhow::anyhow!("a part of the file is not to be had"))).await;
                        false
                    }
                },
            };
            if !sent {
                return;
            }
        }
    });
    Ok(StreamBody::new(receiver).boxed_unsync())
}

/// Hands a body on; `false` when it was cut, or nobody takes it any more because the device has gone.
async fn forward(sender: &mut Sender, mut body: Body) -> bool {
    while let Some(frame) = body.frame().await {
        let cut = frame.is_err();
        if sender.send(frame).await.is_err() || cut {
            return false;
        }
    }
    true
}
