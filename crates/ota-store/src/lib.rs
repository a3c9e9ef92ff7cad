//! Core values in a key-value store: keys, records, shards, bounded read-decide-swap.
