//! Looks at every state that a model can come to, breadth first, so that the history that is told with a fault is a
//! shortest one.
//!
//! This is some hundred lines rather than a model checker from a registry: that of this language asks for a feature of
//! `serde` that would have the host's largest dependencies compiled anew in every build, brings a web server along, and
//! does not look for what is asked here last: whether an end can be reached from every state.

use std::collections::{HashMap, VecDeque};
use std::fmt::Debug;

/// Something with states, and actions that lead from one to others.
pub trait Model {
    /// A state.
    type State;
    /// What can happen.
    type Action: Clone + Debug;

    /// Returns the first state.
    fn initial(&self) -> Self::State;

    /// Returns what tells a state from others, and nothing else.
    fn key(&self, state: &Self::State) -> Vec<u8>;

    /// Returns what can happen in a state.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;

    /// Returns the state that an action leads to.
    fn after(&self, state: &Self::State, action: &Self::Action) -> Self::State;

    /// Looks at one step.
    ///
    /// # Errors
    /// The name of what does not hold.
    fn check(
        &self,
        before: &Self::State,
        action: &Self::Action,
        after: &Self::State,
    ) -> Result<(), &'static str>;

    /// Tells whether nothing is left to be done in a state.
    fn is_at_rest(&self, state: &Self::State) -> bool;

    /// Tells whether an action is one of those by which a state must be able to come to rest.
    fn helps(&self, action: &Self::Action) -> bool;
}

/// What was explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// Different states.
    pub states: usize,
    /// Steps from one to another, or to itself.
    pub steps: usize,
    /// Steps from the first state to the farthest.
    pub depth: usize,
    /// States with nothing left to be done.
    pub at_rest: usize,
}

/// What is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What does not hold.
    pub what: &'static str,
    /// A shortest history that leads there, in words.
    pub history: Vec<String>,
}

/// More states than were to be looked at.
pub const TOO_MANY: &str = "there are more states than the bound";
/// A state from which no helpful actions lead to rest.
pub const NO_WAY_OUT: &str = "a state can never come to rest";

/// Looks at all states, of which there may be `states_max`.
///
/// # Errors
/// The first fault.
pub fn explore<M: Model>(model: &M, states_max: usize) -> Result<Explored, Fault> {
    let first = model.initial();
    let mut places: HashMap<Vec<u8>, usize> = HashMap::from([(model.key(&first), 0)]);
    // How each state was first reached, and by which helpful steps it is reached.
    let mut reached: Vec<(usize, Option<M::Action>)> = vec![(0, None)];
    let mut helped_from: Vec<Vec<u32>> = vec![Vec::new()];
    let mut rest: Vec<usize> = Vec::new();
    let mut depths: Vec<usize> = vec![0];
    let mut queue = VecDeque::from([(0_usize, first)]);
    let mut steps = 0;
    while let Some((at, state)) = queue.pop_front() {
        if model.is_at_rest(&state) {
            rest.push(at);
        }
        for action in model.actions(&state) {
            steps += 1;
            let after = model.after(&state, &action);
            if let Err(what) = model.check(&state, &action, &after) {
                let mut history = tell(&reached, at);
                history.push(format!("{action:?}"));
                return Err(Fault { what, history });
            }
            let next = places.len();
            let place = *places.entry(model.key(&after)).or_insert(next);
            if place == next {
                if next >= states_max {
                    return Err(Fault { what: TOO_MANY, history: tell(&reached, at) });
                }
                reached.push((at, Some(action.clone())));
                helped_from.push(Vec::new());
                depths.push(depths[at] + 1);
                queue.push_back((place, after));
            }
            if model.helps(&action) && place != at {
                helped_from[place].push(u32::try_from(at).unwrap_or(u32::MAX));
            }
        }
    }
    let at_rest = rest.len();
    let mut can_rest = vec![false; places.len()];
    while let Some(at) = rest.pop() {
        if !std::mem::replace(&mut can_rest[at], true) {
            rest.extend(helped_from[at].iter().map(|from| *from as usize).filter(|from| !can_rest[*from]));
        }
    }
    if let Some(stuck) = can_rest.iter().position(|can| !can) {
        return Err(Fault { what: NO_WAY_OUT, history: tell(&reached, stuck) });
    }
    let depth = depths.into_iter().max().unwrap_or(0);
    Ok(Explored { states: places.len(), steps, depth, at_rest })
}

/// Tells how a state was first reached.
fn tell<A: Debug>(reached: &[(usize, Option<A>)], mut at: usize) -> Vec<String> {
    let mut history = Vec::new();
    while let (before, Some(action)) = &reached[at] {
        history.push(format!("{action:?}"));
        at = *before;
    }
    history.reverse();
    history
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts up to a bound, in ones and twos; `hole` is a number that must not be come to, `trap` one that is never left.
    struct Counter {
        hole: Option<u8>,
        trap: Option<u8>,
    }

    impl Model for Counter {
        type State = u8;
        type Action = u8;

        fn initial(&self) -> u8 {
            0
        }

        fn key(&self, state: &u8) -> Vec<u8> {
            vec![*state]
        }

        fn actions(&self, state: &u8) -> Vec<u8> {
            if Some(*state) == self.trap { Vec::new() } else { vec![1, 2] }
        }

        fn after(&self, state: &u8, action: &u8) -> u8 {
            (state + action).min(10)
        }

        fn check(&self, _: &u8, _: &u8, after: &u8) -> Result<(), &'static str> {
            if Some(*after) == self.hole { Err("fell into the hole") } else { Ok(()) }
        }

        fn is_at_rest(&self, state: &u8) -> bool {
            *state == 10
        }

        fn helps(&self, _: &u8) -> bool {
            true
        }
    }

    #[test]
    fn every_state_is_seen_once() {
        let explored = explore(&Counter { hole: None, trap: None }, 100);
        assert_eq!(explored, Ok(Explored { states: 11, steps: 22, depth: 5, at_rest: 1 }));
    }

    #[test]
    fn a_fault_is_told_with_a_shortest_history() {
        let fault = explore(&Counter { hole: Some(4), trap: None }, 100).unwrap_err();
        assert_eq!(fault, Fault { what: "fell into the hole", history: vec!["2".into(), "2".into()] });
    }

    #[test]
    fn a_state_without_a_way_to_rest_is_found() {
        let fault = explore(&Counter { hole: None, trap: Some(3) }, 100).unwrap_err();
        assert_eq!((fault.what, fault.history.len()), (NO_WAY_OUT, 2));
    }

    #[test]
    fn more_states_than_the_bound_are_a_fault() {
        assert_eq!(explore(&Counter { hole: None, trap: None }, 5).unwrap_err().what, TOO_MANY);
    }
}
