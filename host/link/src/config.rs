//! Every limit and every time of a transport, with its default and reason.

use std::time::Duration;

/// Limits and times of a transport.
///
/// Start from [`LinkConfig::default`] and change what must differ. Both transports check it when they are made.
/// Values that two ends must agree on are marked; the rest concerns one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Longest frame in bytes, sent or received. Both ends must agree. Bounds what one stream makes its reader hold.
    pub max_frame: usize,
    /// Most frames a [`FrameSender`](crate::FrameSender) holds that the transport has not taken yet.
    pub send_queue_frames: usize,
    /// Most bytes, prefixes included, a [`FrameSender`](crate::FrameSender) holds that the transport has not taken
    /// yet. At least `max_frame` and its prefix, else the longest frame could never be sent.
    pub send_queue_bytes: usize,
    /// A connection ends when nothing was heard for this long; the smaller value of both ends counts. Not the way to
    /// notice a dead peer soon: that is what beacons and the sentinel are for.
    pub idle_timeout: Duration,
    /// How often an idle connection says it is alive. Less than half of `idle_timeout`, so that one lost packet does
    /// not end it (quinn-rs/quinn#1670).
    pub keep_alive: Duration,
    /// Round trip assumed before one is measured. A lost first packet costs three times this; QUIC's own default of
    /// 333 ms is made for the open internet.
    pub initial_rtt: Duration,
    /// A handshake that is not done in this time has failed, on either side.
    pub handshake_timeout: Duration,
    /// Streams a peer may have open to us at once, per connection.
    pub max_streams: u32,
    /// Bytes a peer may send on one stream ahead of its reader.
    pub stream_window: u32,
    /// Bytes a peer may send on all streams of a connection ahead of their readers: what a slow reader costs us.
    pub connection_window: u32,
    /// Bytes sent on a connection and not acknowledged yet: what a slow peer costs us.
    pub send_window: u32,
    /// Bytes of datagrams kept per connection and direction while nobody takes them. The oldest go first: a beacon
    /// is worth less the older it is.
    pub datagram_buffer: usize,
    /// Connections of one transport; further ones are refused.
    pub max_connections: usize,
    /// Handshakes accepted and not done yet; further ones are refused at the cost of one packet.
    pub max_half_open: usize,
    /// From this many half-open handshakes on, a dialer must first prove that it receives at its address (a retry
    /// packet, one more round trip): forged source addresses then cost us no state.
    pub retry_above: usize,
    /// Connections whose handshake is done and that wait for `accept`; further ones are refused.
    pub accept_backlog: usize,
    /// Bytes asked of the kernel for the UDP socket's buffers. The usual default of 208 KiB holds fewer than a
    /// hundred full packets; a smaller grant is logged, not an error.
    pub udp_buffer: usize,
    /// Largest UDP payload tried by path discovery. 1452 suits Ethernet; 8900 a network with jumbo frames.
    pub mtu_max: u16,
    /// Whether packets are handed to the kernel in batches (GSO). Switch off on network cards that get it wrong.
    pub segmentation_offload: bool,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            max_frame: 1 << 20,
            send_queue_frames: 16_384,
            send_queue_bytes: 16 << 20,
            idle_timeout: Duration::from_secs(4),
            keep_alive: Duration::from_secs(1),
            initial_rtt: Duration::from_millis(10),
            handshake_timeout: Duration::from_secs(3),
            max_streams: 256,
            stream_window: 1 << 20,
            connection_window: 16 << 20,
            send_window: 8 << 20,
            datagram_buffer: 64 << 10,
            max_connections: 4_096,
            max_half_open: 256,
            retry_above: 64,
            accept_backlog: 256,
            udp_buffer: 4 << 20,
            mtu_max: 1_452,
            segmentation_offload: true,
        }
    }
}

/// Which bound of [`LinkConfig`] is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value is zero that must not be.
    #[error("`{0}` may not be zero")]
    Zero(&'static str),
    /// `max_frame` does not fit in the prefix of a frame.
    #[error("`max_frame` of {0} bytes is more than a prefix can say")]
    FrameTooLong(usize),
    /// `send_queue_bytes` does not hold the longest frame.
    #[error("`send_queue_bytes` of {queue} cannot hold a frame of {frame} bytes and its prefix")]
    QueueTooSmall {
        /// The value of `send_queue_bytes`.
        queue: usize,
        /// The value of `max_frame`.
        frame: usize,
    },
    /// `keep_alive` is not less than half of `idle_timeout`.
    #[error("`keep_alive` of {keep_alive:?} must be less than half of `idle_timeout`, {idle_timeout:?}")]
    KeepAliveTooSlow {
        /// The value of `keep_alive`.
        keep_alive: Duration,
        /// The value of `idle_timeout`.
        idle_timeout: Duration,
    },
    /// A duration is longer than the transport can express.
    #[error("`{0}` is too long")]
    TooLong(&'static str),
    /// `mtu_max` is less than what QUIC needs.
    #[error("`mtu_max` of {0} is less than 1200, which QUIC needs")]
    MtuTooSmall(u16),
}

/// Least UDP payload a QUIC path must carry (RFC 9000, 14.1).
const QUIC_MTU_MIN: u16 = 1_200;

/// Longest duration taken: far beyond use, and well inside what QUIC's 62-bit millisecond field holds.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

impl LinkConfig {
    /// Checks the bounds between the fields.
    ///
    /// # Errors
    ///
    /// The first bound that is not kept.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("max_frame", self.max_frame),
            ("send_queue_frames", self.send_queue_frames),
            ("max_streams", self.max_streams as usize),
            ("stream_window", self.stream_window as usize),
            ("connection_window", self.connection_window as usize),
            ("send_window", self.send_window as usize),
            ("datagram_buffer", self.datagram_buffer),
            ("max_connections", self.max_connections),
            ("max_half_open", self.max_half_open),
            ("accept_backlog", self.accept_backlog),
            ("udp_buffer", self.udp_buffer),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero(name));
        }
        let times = [
            ("idle_timeout", self.idle_timeout),
            ("keep_alive", self.keep_alive),
            ("initial_rtt", self.initial_rtt),
            ("handshake_timeout", self.handshake_timeout),
        ];
        for (name, value) in times {
            if value.is_zero() {
                return Err(ConfigError::Zero(name));
            }
            if value > DURATION_MAX {
                return Err(ConfigError::TooLong(name));
            }
        }
        if u32::try_from(self.max_frame).is_err() {
            return Err(ConfigError::FrameTooLong(self.max_frame));
        }
        if self.send_queue_bytes < self.max_frame.saturating_add(crate::PREFIX_LEN) {
            return Err(ConfigError::QueueTooSmall { queue: self.send_queue_bytes, frame: self.max_frame });
        }
        if self.keep_alive >= self.idle_timeout / 2 {
            return Err(ConfigError::KeepAliveTooSlow { keep_alive: self.keep_alive, idle_timeout: self.idle_timeout });
        }
        if self.mtu_max < QUIC_MTU_MIN {
            return Err(ConfigError::MtuTooSmall(self.mtu_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_keep_every_bound() {
        assert_eq!(LinkConfig::default().check(), Ok(()));
    }

    #[test]
    fn a_queue_that_cannot_hold_the_longest_frame_is_refused() {
        let config = LinkConfig { send_queue_bytes: 1 << 20, ..LinkConfig::default() };
        assert!(matches!(config.check(), Err(ConfigError::QueueTooSmall { .. })));
    }

    #[test]
    fn a_keep_alive_of_half_the_idle_timeout_is_refused() {
        let config = LinkConfig { keep_alive: Duration::from_secs(2), ..LinkConfig::default() };
        assert!(matches!(config.check(), Err(ConfigError::KeepAliveTooSlow { .. })));
    }
}
