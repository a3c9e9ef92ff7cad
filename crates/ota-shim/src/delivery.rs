//! How often a POST is tried, and when it is given up.

use core::time::Duration;

use thiserror::Error;

/// How much a delivery may take. Bounded in both directions, because a trigger hands on one message at a time and the
/// next ones wait behind it.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How long to wait before each further try; so there is one try more than there are waits.
    pub waits: &'static [Duration],
    /// How long one try may wait for its answer.
    pub answer_timeout: Duration,
}

/// Why a delivery was given up. No text has a token or a payload in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DeliveryError {
    /// A variable cannot be read.
    #[error("variable {name}: {why}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What the host says.
        why: String,
    },
    /// The base URL is not of the form `http://host[:port][/prefix]`.
    #[error("internal_base_url is not of the form http://host[:port][/prefix]")]
    BaseUrl,
    /// The function refused the request, and would do so again.
    #[error("refused with status {status}")]
    Refused {
        /// Its HTTP status.
        status: u16,
    },
    /// Every try failed.
    #[error("failed {tries} times, at last with: {last}")]
    Exhausted {
        /// How many there were.
        tries: usize,
        /// What the last one came to.
        last: String,
    },
}

/// The outside world of a delivery.
pub trait Wire {
    /// Tries once, and returns the HTTP status of the answer.
    ///
    /// # Errors
    /// Why there was no answer.
    fn try_once(&mut self) -> Result<u16, String>;

    /// Lets time pass.
    fn wait(&mut self, time: Duration);
}

/// Tries until the request is accepted (2xx) or refused for good, or patience ends.
///
/// A try without an answer may have been performed all the same; what is posted must be safe to be performed twice.
///
/// # Errors
/// [`DeliveryError::Refused`] or [`DeliveryError::Exhausted`].
pub fn deliver(wire: &mut impl Wire, patience: &Patience) -> Result<(), DeliveryError> {
    let mut waits = patience.waits.iter();
    let mut tries = 0;
    loop {
        tries += 1;
        let last = match wire.try_once() {
            Ok(200..=299) => return Ok(()),
            Ok(status) if is_passing(status) => format!("status {status}"),
            Ok(status) => return Err(DeliveryError::Refused { status }),
            Err(why) => why,
        };
        match waits.next() {
            Some(wait) => wire.wait(*wait),
            None => return Err(DeliveryError::Exhausted { tries, last }),
        }
    }
}

/// Tells whether the same request may succeed a little later: any 5xx, and what proxies in between say when they are
/// slow (408) or busy (429). A redirect is final: a token is not sent to an address that nobody configured.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: [Duration; 3] =
        [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];
    const PATIENCE: Patience = Patience { waits: &WAITS, answer_timeout: Duration::from_secs(1) };

    /// Answers in the given order; a missing answer is a test's mistake.
    struct Script {
        answers: std::vec::IntoIter<Result<u16, String>>,
        waited: Vec<Duration>,
    }

    impl Wire for Script {
        fn try_once(&mut self) -> Result<u16, String> {
            self.answers.next().expect("tried more often than expected")
        }

        fn wait(&mut self, time: Duration) {
            self.waited.push(time);
        }
    }

    /// Returns the result, the number of waits and of answers that were not asked for; 0 stands for no answer.
    fn run(answers: &[u16], patience: &Patience) -> (Result<(), DeliveryError>, usize, usize) {
        let answer = |status: &u16| if *status == 0 { Err("no connection".to_owned()) } else { Ok(*status) };
        let answers: Vec<_> = answers.iter().map(answer).collect();
        let mut script = Script { answers: answers.into_iter(), waited: Vec::new() };
        let result = deliver(&mut script, patience);
        assert_eq!(script.waited, WAITS[..script.waited.len()]);
        (result, script.waited.len(), script.answers.len())
    }

    #[test]
    fn an_accepted_request_is_sent_once() {
        assert_eq!(run(&[204, 204], &PATIENCE), (Ok(()), 0, 1));
        assert_eq!(run(&[200], &PATIENCE), (Ok(()), 0, 0));
    }

    #[test]
    fn a_fault_that_may_pass_is_tried_again_with_growing_waits() {
        assert_eq!(run(&[0, 503, 429, 204], &PATIENCE), (Ok(()), 3, 0));
    }

    #[test]
    fn a_refusal_is_final() {
        for status in [301, 400, 401, 403, 404, 413] {
            assert_eq!(
                run(&[status, 204], &PATIENCE),
                (Err(DeliveryError::Refused { status }), 0, 1),
                "{status}"
            );
        }
    }

    #[test]
    fn patience_ends_after_one_try_more_than_there_are_waits() {
        let exhausted = |tries, last: &str| Err(DeliveryError::Exhausted { tries, last: last.to_owned() });
        assert_eq!(run(&[503, 500, 502, 0, 204], &PATIENCE), (exhausted(4, "no connection"), 3, 1));
        let once = Patience { waits: &[], ..PATIENCE };
        assert_eq!(run(&[503, 204], &once), (exhausted(1, "status 503"), 0, 1));
    }
}
