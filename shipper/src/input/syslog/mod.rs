//! Syslog from other machines and programs, over UDP (RFC 5426), TCP (RFC 6587) and TLS (RFC 5425).

mod frame;
mod stream;
mod tls;
mod udp;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use weir_config::{SyslogConfig, Transport};

pub use self::tls::TlsError;

use super::{Context, InputError};

/// Begins to listen; the task ends when the input has to. Returns the address, which is another where port 0 was asked for.
pub(super) async fn start(
    config: &SyslogConfig,
    context: Context,
) -> Result<(SocketAddr, JoinHandle<()>), InputError> {
    let listen = config.listen;
    let fault = |source| InputError::Listen { listen, source };
    if config.transport == Transport::Udp {
        let socket = udp::bind(listen).map_err(fault)?;
        let address = socket.local_addr().map_err(fault)?;
        return Ok((address, tokio::spawn(udp::run(socket, context))));
    }
    let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let listener = TcpListener::bind(listen).await.map_err(fault)?;
    let address = listener.local_addr().map_err(fault)?;
    Ok((address, tokio::spawn(stream::run(listener, tls, context))))
}
