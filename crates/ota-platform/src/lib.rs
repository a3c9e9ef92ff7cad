//! What a function needs of the engine it runs on: clock, store, publish, fetch.
