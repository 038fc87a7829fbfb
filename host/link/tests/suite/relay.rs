//! A UDP relay between two hosts, which can be cut and can speak for itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::task::AbortHandle;

/// Forwards datagrams between one dialer and one host.
pub(crate) struct Relay {
    front: Arc<UdpSocket>,
    back: Arc<UdpSocket>,
    dialer: Arc<Mutex<Option<SocketAddr>>>,
    cut: Arc<AtomicBool>,
    tasks: [AbortHandle; 2],
}

impl Relay {
    pub(crate) async fn to(host: SocketAddr) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        back.connect(host).await.unwrap();
        let cut = Arc::new(AtomicBool::new(false));
        let dialer = Arc::new(Mutex::new(None));
        let forth = {
            let (front, back, cut, dialer) = (front.clone(), back.clone(), cut.clone(), dialer.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok((len, from)) = front.recv_from(&mut buffer).await {
                    *dialer.lock().await = Some(from);
                    if !cut.load(Ordering::SeqCst) {
                        let _ = back.send(&buffer[..len]).await;
                    }
                }
            })
        };
        let forth_back = {
            let (front, back, cut, dialer) = (front.clone(), back.clone(), cut.clone(), dialer.clone());
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                loop {
                    // An error is the answer to an earlier send, when the host was gone.
                    let Ok(len) = back.recv(&mut buffer).await else { continue };
                    let to = *dialer.lock().await;
                    if let (Some(to), false) = (to, cut.load(Ordering::SeqCst)) {
                        let _ = front.send_to(&buffer[..len], to).await;
                    }
                }
            })
        };
        Self { front, back, dialer, cut, tasks: [forth.abort_handle(), forth_back.abort_handle()] }
    }

    /// Where to dial instead of the host.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.front.local_addr().unwrap()
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    /// Sends `bytes` to both sides, each as from the other.
    pub(crate) async fn inject(&self, bytes: &[u8]) {
        self.back.send(bytes).await.unwrap();
        let dialer = self.dialer.lock().await.expect("somebody has dialed");
        self.front.send_to(bytes, dialer).await.unwrap();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
