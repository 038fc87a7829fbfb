//! UDP sockets with buffers that hold a burst.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Once;

use socket2::{Domain, Protocol, Socket, Type};

/// Opens a socket at `addr` and asks for buffers of `buffer` bytes.
pub(super) fn open(addr: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() && addr.ip().is_unspecified() {
        // One socket for both families; systems differ in the default.
        socket.set_only_v6(false)?;
    }
    grow(&socket, buffer);
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Opens a socket at a port of the system's choice that reaches both families, or IPv4 where there is no IPv6.
pub(super) fn open_ephemeral(buffer: usize) -> io::Result<UdpSocket> {
    open(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), buffer)
        .or_else(|_| open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), buffer))
}

/// Asks for larger buffers. The kernel caps them silently, so that the grant is read back; less than half of the
/// wish is worth a warning, since packets lost here look like a bad network (quinn-rs/quinn#2262). Once a process: the
/// answer is the same for every socket.
fn grow(socket: &Socket, wish: usize) {
    static WARNED: Once = Once::new();
    let asked = socket.set_recv_buffer_size(wish).and_then(|()| socket.set_send_buffer_size(wish));
    let granted = socket.recv_buffer_size().unwrap_or(0).min(socket.send_buffer_size().unwrap_or(0));
    if asked.is_err() || granted < wish / 2 {
        WARNED.call_once(|| {
            tracing::warn!(
                wish,
                granted,
                "the kernel caps the buffers of UDP sockets, bursts may be lost: raise net.core.rmem_max and wmem_max"
            );
        });
    }
}
