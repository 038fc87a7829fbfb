//! What crosses the network: ids, messages, frames, limits.
