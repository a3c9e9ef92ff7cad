//! What goes wrong in a run, and how often. Every seed has a weather of its own: faults that are always there at once hide
//! what only one of them alone would show.

use crate::dice::Dice;

/// How often in a thousand times something goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// An operation is refused.
    pub(crate) refuse: u64,
    /// An operation is done and its answer lost.
    pub(crate) lose_answer: u64,
    /// A request dies before an operation.
    pub(crate) die_before: u64,
    /// A request dies right after an operation.
    pub(crate) die_after: u64,
    /// A process dies with all that is under way in it.
    pub(crate) crash: u64,
    /// The answer of a request does not reach whoever asked.
    pub(crate) unheard: u64,
    /// A message is lost between broker and device, or broker and service.
    pub(crate) lose_message: u64,
    /// A message comes twice, the second time perhaps much later.
    pub(crate) repeat_message: u64,
    /// Messages overtake each other.
    pub(crate) reorder: u64,
    /// Time passes while requests are under way.
    pub(crate) stall: u64,
    /// The machine sleeps for minutes or hours.
    pub(crate) sleep: u64,
    /// The clock is set back by some seconds.
    pub(crate) set_back: u64,
    /// A receiver of webhooks does not take an event.
    pub(crate) receiver_fails: u64,
}

impl Weather {
    /// Makes the weather of a run: some faults not at all, others seldom or often.
    pub(crate) fn new(dice: &mut Dice) -> Self {
        if dice.permille(100) {
            return Self { reorder: 300, ..Self::default() };
        }
        let mut of = |often: u64| if dice.permille(500) { dice.within(1, often) } else { 0 };
        Self {
            refuse: of(20),
            lose_answer: of(20),
            die_before: of(20),
            die_after: of(20),
            crash: of(6),
            unheard: of(200),
            lose_message: of(150),
            repeat_message: of(150),
            reorder: of(800),
            stall: of(20),
            sleep: of(2),
            set_back: of(1),
            receiver_fails: of(400),
        }
    }
}
