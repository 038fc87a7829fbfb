//! Framed streams and datagrams between hosts: QUIC, and an in-memory twin with faults.
