//! From our configuration to quinn's and rustls's.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{EndpointConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;

use super::ALPN;
use super::reset::{RandomIds, ResetKey};
use crate::LinkConfig;
use crate::tls::{HostVerifier, Identity, provider};

/// Handshakes begun by strangers that wait for our accept loop, at most; the loop is fast, so that this is a burst.
const INCOMING_MAX: usize = 1_024;

/// Bytes that come with one of them ahead of being accepted, at most.
const INCOMING_BUFFER: u64 = 64 << 10;

/// The same for all of them.
const INCOMING_BUFFER_TOTAL: u64 = 8 << 20;

/// How long a retry token proves an address.
const RETRY_TOKEN_LIFETIME: Duration = Duration::from_secs(15);

/// The one stream the peer may open for its welcome.
const UNI_STREAMS: u32 = 1;

pub(super) fn endpoint(identity: &Identity) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey::derive(identity.secret())));
    config.cid_generator(|| Box::new(RandomIds::new()));
    config
}

pub(super) fn transport(config: &LinkConfig) -> TransportConfig {
    let idle_ms = u32::try_from(config.idle_timeout.as_millis()).unwrap_or(u32::MAX);
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(config.mtu_max);
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(config.max_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
        .keep_alive_interval(Some(config.keep_alive))
        .initial_rtt(config.initial_rtt)
        .stream_receive_window(VarInt::from_u32(config.stream_window))
        .receive_window(VarInt::from_u32(config.connection_window))
        .send_window(u64::from(config.send_window))
        // Many short streams of one peer: less fragmentation, by quinn's own advice.
        .send_fairness(false)
        .datagram_receive_buffer_size(Some(config.datagram_buffer))
        .datagram_send_buffer_size(config.datagram_buffer)
        .mtu_discovery_config(Some(mtu))
        .enable_segmentation_offload(config.segmentation_offload);
    transport
}

pub(super) fn server(identity: &Identity, transport: Arc<TransportConfig>) -> Result<quinn::ServerConfig, String> {
    let resolver = SingleCertAndKey::from(identity.certified());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(identity.client_verifier())
        .with_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    // No 0-RTT and no resumption: every connection begins with a full check of both certificates.
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    let crypto = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(transport)
        .migration(false)
        .retry_token_lifetime(RETRY_TOKEN_LIFETIME)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BUFFER)
        .incoming_buffer_size_total(INCOMING_BUFFER_TOTAL);
    Ok(config)
}

/// The configuration of one dial, whose verdict on the peer's certificate `verifier` will hold.
pub(super) fn client(
    identity: &Identity,
    verifier: Arc<HostVerifier>,
    transport: Arc<TransportConfig>,
) -> Result<quinn::ClientConfig, String> {
    let resolver = SingleCertAndKey::from(identity.certified());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(resolver));
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.enable_early_data = false;
    tls.resumption = Resumption::disabled();
    let crypto = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(transport);
    Ok(config)
}
