//! Reading bodies with a bound.

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;

use crate::Problem;

/// Reads a whole body of at most `max` bytes.
///
/// # Errors
/// `request.too-large`, or `request.body-cut` when it ends early.
pub async fn read<B>(body: &mut B, max: usize) -> Result<Vec<u8>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let too_large = || Problem::new("request.too-large", format!("the body has more than {max} bytes"));
    let hint = body.size_hint();
    if hint.lower() > max as u64 {
        return Err(too_large());
    }
    let mut read = Vec::new();
    // To ask for the end of a body that has told its length costs as much as to ask for the body.
    while hint.upper() != Some(read.len() as u64)
        && let Some(bytes) = next(body).await?
    {
        if read.len() + bytes.len() > max {
            return Err(too_large());
        }
        read.extend_from_slice(&bytes);
    }
    Ok(read)
}

/// Returns the next bytes of a body, `None` at its end.
///
/// # Errors
/// `request.body-cut` when the connection ends before the body does.
pub async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Problem::new("request.body-cut", "the body ended before it was complete"));
            }
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data()
                    && !bytes.is_empty()
                {
                    return Ok(Some(bytes));
                }
            }
        }
    }
}
