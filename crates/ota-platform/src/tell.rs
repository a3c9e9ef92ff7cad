//! Messages that somebody waits for: all of them are taken by the broker, or whoever asked is told to ask again.

use ota_http::{Problem, variable};

use crate::{Broker, Message, Platform, PlatformError};

/// Publishes messages over one connection, in order.
///
/// # Errors
/// `broker.unreachable` (503) if the broker has not taken all of them. Those before the first that it did not take are
/// told again by whoever asks again. `service.variable` if the broker's account is not set.
pub async fn tell<P: Platform>(platform: &P, messages: &[Message]) -> Result<(), Problem> {
    if messages.is_empty() {
        return Ok(());
    }
    let broker = variable(Broker::from_variables(platform).await)?;
    let taken = platform.publish(&broker, messages).await.map_err(unreachable)?;
    if taken < messages.len() {
        let why = format!("{taken} of {} messages were taken", messages.len());
        return Err(unreachable(PlatformError::Broker(why)));
    }
    Ok(())
}

fn unreachable(error: PlatformError) -> Problem {
    let problem = Problem::new("broker.unreachable", "the broker cannot be reached; try again");
    Problem { log: Some(error.to_string()), ..problem }
}
