//! Decides which device may log in to the broker.
