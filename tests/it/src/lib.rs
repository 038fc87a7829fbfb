//! Real hosts, real QUIC, real plugins.
