//! A Colony host: shards, services, command line.
