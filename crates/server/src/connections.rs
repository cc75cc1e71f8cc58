//! Limits on the number of connections and on their idle time.
//!
//! Each connection takes a file descriptor, and so does each file that the store reads or writes. Without
//! limits idle connections would stop the store.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use api::ErrorCode;
use futures::task::AtomicWaker;
use service::write::{Door, Share, Source};
use service::{Budgets, Tally};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep, sleep};
use tonic::codegen::http::Extensions;
use tonic::transport::server::Connected;

/// The number of file descriptors that `vouch serve` requests.
const DESCRIPTORS: u64 = 1 << 16;

/// The pause when the system has no descriptor for a new connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(200);

/// The most connections of a service. Further connections are closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections to each port; 2,048 by default, and never more than a quarter of the file descriptors
    /// that the process may open.
    pub per_port: usize,
    /// Connections to each port from one IPv4 address or one IPv6 network of 64 bits; 512 by default.
    pub per_address: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            per_port: 2_048,
            per_address: 512,
        }
    }
}

impl ConnectionLimits {
    /// The limits that leave at least half of the file descriptors to the store. There are two ports.
    pub(crate) fn within_descriptors(self) -> Self {
        let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(1_024);
        let limits = self.within(descriptors);
        if limits.per_port < self.per_port {
            tracing::warn!(
                descriptors,
                connections = limits.per_port,
                "the process may open few files, so it takes few connections; raise its limit (ulimit -n)"
            );
        }
        limits
    }

    /// If these are fewer connections than configured, one address still has at most a quarter of them, as by
    /// default.
    fn within(self, descriptors: u64) -> Self {
        let most = usize::try_from(descriptors / 4).unwrap_or(usize::MAX);
        let most = most.max(1);
        if most >= self.per_port {
            return self;
        }
        Self {
            per_port: most,
            per_address: self.per_address.min((most / 4).max(1)),
        }
    }
}

/// Raises the limit of open files as far as the system allows, up to 65,536.
pub fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(DESCRIPTORS) {
        tracing::warn!(%error, "the number of files that the process may open could not be raised");
    }
}

/// The properties of a port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port {
    /// Its name in the log.
    pub(crate) name: &'static str,
    /// A connection that sends nothing for this long is closed.
    pub(crate) idle: Option<Duration>,
    /// The response to a connection beyond the limits.
    pub(crate) refusal: &'static [u8],
}

/// Accepts the connections of one port.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    port: Port,
    counts: Arc<Counts>,
    budgets: Budgets,
    refused: Tally,
}

/// The open connections of a port.
#[derive(Debug)]
pub(crate) struct Counts {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The slot of an open connection.
#[derive(Debug)]
struct Place {
    counts: Arc<Counts>,
    address: IpAddr,
}

/// The peer of a connection; an extension of its requests.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// The address.
    pub(crate) address: IpAddr,
    /// The share of its address in the memory for writes.
    pub(crate) share: Share,
    /// The share of its address in the memory for queries.
    pub(crate) question_share: Share,
    /// Closes the connection.
    pub(crate) closing: Closing,
}

impl Peer {
    /// The origin of a request with these extensions.
    pub(crate) fn source(door: Door, extensions: &Extensions) -> Source {
        let peer = extensions.get::<Self>();
        Source {
            door,
            sender: peer.map(|peer| peer.address),
        }
    }
}

/// Closes a connection from outside.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing(Arc<(AtomicBool, AtomicWaker)>);

impl Closing {
    /// Closes the connection and drops everything in its send queue.
    pub(crate) fn close(&self) {
        let (is_closing, waker) = &*self.0;
        is_closing.store(true, Ordering::Release);
        waker.wake();
    }

    /// Whether it is to be closed.
    pub(crate) fn is_closing(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Fails when the connection is to be closed. Wakes the task of `context` when it becomes so.
    fn poll(&self, context: &Context<'_>) -> io::Result<()> {
        self.0.1.register(context.waker());
        if self.is_closing() {
            Err(io::ErrorKind::TimedOut.into())
        } else {
            Ok(())
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    peer: Peer,
    _place: Place,
}

impl Counts {
    /// The counts of a port with these limits.
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let open = Mutex::default();
        Arc::new(Self { limits, open })
    }

    /// The number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.lock().all
    }

    fn enter(self: &Arc<Self>, address: SocketAddr) -> Option<Place> {
        let address = counted_as(address.ip());
        let mut open = self.lock();
        let of_address = open.by_address.get(&address).copied().unwrap_or_default();
        if open.all >= self.limits.per_port || of_address >= self.limits.per_address {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, of_address + 1);
        Some(Place {
            counts: Arc::clone(self),
            address,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.counts.lock();
        open.all -= 1;
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// The address by which a connection is counted. For IPv6 it is the network of 64 bits, which one host has.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

impl Listener {
    /// Accepts at `listener` within the limits of `counts`.
    pub(crate) fn new(
        listener: TcpListener,
        port: Port,
        counts: Arc<Counts>,
        budgets: Budgets,
    ) -> Self {
        let refused = Tally::new(|(port, reason), count| {
            tracing::warn!(port, reason, count, "connections were closed at once");
        });
        Self {
            listener,
            port,
            counts,
            budgets,
            refused,
        }
    }

    /// The next connection that the limits allow.
    pub(crate) async fn accept(&self) -> Connection {
        loop {
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if is_of_connection(&error) => continue,
                Err(error) => {
                    tracing::error!(%error, port = self.port.name, "no connection can be accepted");
                    sleep(NO_DESCRIPTOR).await;
                    continue;
                }
            };
            let Some(place) = self.counts.enter(address) else {
                self.refused
                    .add((self.port.name, ErrorCode::TooManyConnections.as_str()), 1);
                // The client may or may not read it; the connection is closed in any case.
                let _ = stream.try_write(self.port.refusal);
                continue;
            };
            // Without this option answers are later, but correct.
            let _ = stream.set_nodelay(true);
            return Connection {
                stream,
                idle: self.port.idle.map(|idle| (idle, Box::pin(sleep(idle)))),
                peer: Peer {
                    address: address.ip().to_canonical(),
                    share: self.budgets.writes.share_of(place.address),
                    question_share: self.budgets.queries.share_of(place.address),
                    closing: Closing::default(),
                },
                _place: place,
            };
        }
    }
}

/// Whether accepting failed because of the connection, and the next one may be accepted at once.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

impl Connection {
    /// The peer.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.peer.closing.poll(context)?;
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some((idle, timer)) = &mut self.idle {
            match &read {
                Poll::Ready(_) => timer.as_mut().reset(Instant::now() + *idle),
                Poll::Pending if timer.as_mut().poll(context).is_ready() => {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending => {}
            }
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.peer.closing.poll(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.peer.closing.poll(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use service::write::Budget;

    use super::*;

    /// A connection that a request closes ends at once, even while it waits for its client.
    #[tokio::test]
    async fn closed_connection_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let budget = Budget::new(1 << 20, 1 << 20);
        let budgets = Budgets {
            writes: budget.clone(),
            queries: budget,
        };
        let port = Port {
            name: "test",
            idle: None,
            refusal: b"",
        };
        let counts = Counts::new(ConnectionLimits::default());
        let listener = Listener::new(listener, port, counts, budgets);
        let _client = TcpStream::connect(address).await.unwrap();
        let mut connection = listener.accept().await;
        let closing = connection.peer().closing.clone();
        let reading = tokio::spawn(async move { connection.read_u8().await });
        tokio::task::yield_now().await;
        closing.close();
        let ended = reading.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
    }

    /// However few files the process may open, one address cannot take all connections.
    #[test]
    fn one_address_never_has_all_connections() {
        let limits = |descriptors| {
            let limits = ConnectionLimits::default().within(descriptors);
            (limits.per_port, limits.per_address)
        };
        assert_eq!(limits(65_536), (2_048, 512));
        assert_eq!(limits(1_024), (256, 64));
        assert_eq!(limits(16), (4, 1));
        let few = ConnectionLimits {
            per_port: 8,
            per_address: 8,
        };
        let few = few.within(1_024);
        assert_eq!((few.per_port, few.per_address), (8, 8));
    }
}
