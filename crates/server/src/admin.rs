//! The administrative port.
//!
//! Every client that sends events reaches the other ports. Methods that change settings or drop events are served at
//! a port of their own, which exists only when it is configured. A socket in the file system is preferred.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;

/// Owner only.
const MODE: u32 = 0o600;
const UNIX: &str = "unix:";

/// The address of the administrative port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// An address of the network.
    Tcp(SocketAddr),
    /// A socket in the file system, which only the user of the process may open.
    Unix(PathBuf),
}

impl FromStr for AdminAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("name a path after `unix:`".to_owned());
            }
            return Ok(Self::Unix(path.into()));
        }
        let address = text.parse();
        address
            .map(Self::Tcp)
            .map_err(|error| format!("{error}; give IP:PORT or unix:PATH"))
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

/// Listens at an [`AdminAddress`].
#[derive(Debug)]
pub(crate) enum AdminListener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

/// A socket in the file system, which is deleted with it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    listener: Option<UnixListener>,
    path: PathBuf,
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // A socket that remains is harmless: the next service replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

impl UnixSocket {
    fn bind(path: PathBuf) -> io::Result<Self> {
        if UnixStream::connect(&path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        {
            // A socket of a service that was killed.
            fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        let socket = Self {
            listener: Some(listener),
            path,
        };
        fs::set_permissions(&socket.path, Permissions::from_mode(MODE))?;
        Ok(socket)
    }

    /// The connections. The socket is deleted when `self` is dropped.
    pub(crate) fn incoming(&mut self) -> Option<UnixListenerStream> {
        self.listener.take().map(UnixListenerStream::new)
    }
}

impl AdminListener {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address is in use or not available to this process.
    pub(crate) fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => crate::serve::listen(*address).map(Self::Tcp),
            AdminAddress::Unix(path) => UnixSocket::bind(path.clone()).map(Self::Unix),
        }
    }

    /// The address, with the assigned port in place of port 0.
    pub(crate) fn address(&self) -> io::Result<AdminAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(AdminAddress::Tcp),
            Self::Unix(socket) => Ok(AdminAddress::Unix(socket.path.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both kinds of addresses are parsed and formatted.
    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("127.0.0.1:50052", Some("127.0.0.1:50052")),
            ("unix:/run/vouch.sock", Some("unix:/run/vouch.sock")),
            ("unix:///run/vouch.sock", Some("unix:/run/vouch.sock")),
            ("unix:", None),
            ("localhost", None),
        ] {
            let address = text.parse::<AdminAddress>().ok();
            assert_eq!(address.map(|address| address.to_string()).as_deref(), shown);
        }
    }

    /// A socket without a listener is replaced; a socket in use is not.
    #[tokio::test]
    async fn left_socket_is_replaced() {
        let path = std::env::temp_dir().join(format!("vouch-admin-{}", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = UnixSocket::bind(path.clone()).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let second = UnixSocket::bind(path.clone()).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
    }
}
