//! Connections: accepted up to a bound, read while the journal has room.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::frame::{Framer, Messages};
use crate::input::Context;

/// Most connections at one time; further ones wait. Each may hold one message of the largest size.
const CONNECTIONS_MAX: usize = 512;

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// A connection that said nothing for this long is closed. Long, because a sender of plain syslog notices only with the
/// message after the next, and loses one; a peer that is gone is found by keep-alive instead.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);

/// A silent peer is asked after this long whether it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A handshake may take this long.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long to wait when a connection could not be accepted: file descriptors are used up, for instance.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts and reads until the input has to end.
pub(super) async fn run(listener: TcpListener, tls: Option<TlsAcceptor>, mut context: Context) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = context.stopped() => break,
            Some(_) = connections.join_next() => continue,
            accepted = async {
                // The semaphore is never closed.
                let permit = Arc::clone(&room).acquire_owned().await.ok();
                (listener.accept().await, permit)
            } => accepted,
        };
        match accepted {
            (Ok((stream, peer)), permit) => {
                let (tls, mut context) = (tls.clone(), context.share());
                connections.spawn(async move {
                    context.counters.connected();
                    serve(stream, peer, tls, &mut context).await;
                    context.counters.disconnected();
                    drop(permit);
                });
            }
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    // Each has its own way to see the stop.
    while connections.join_next().await.is_some() {}
    if context.writer.flush().await.is_err() {
        tracing::warn!("the last messages are not in the journal");
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, context: &mut Context) {
    let kept_alive = set_socket_keepalive(&stream, true).and_then(|()| set_tcp_keepidle(&stream, KEEP_ALIVE));
    if let Err(error) = kept_alive {
        tracing::debug!(%peer, %error, "a peer that is gone is not noticed");
    }
    let Some(tls) = tls else { return receive(stream, peer, context).await };
    let shaken = tokio::select! {
        shaken = timeout(HANDSHAKE_MAX, tls.accept(stream)) => shaken,
        () = context.stopped() => return,
    };
    match shaken {
        Ok(Ok(stream)) => receive(stream, peer, context).await,
        Ok(Err(error)) => {
            context.counters.fault();
            tracing::warn!(%peer, %error, "a sender could not agree on TLS");
        }
        Err(_) => {
            context.counters.fault();
            tracing::debug!(%peer, "a handshake took too long");
        }
    }
}

async fn receive(mut stream: impl AsyncRead + Unpin, peer: SocketAddr, context: &mut Context) {
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = tokio::select! {
            read = timeout(IDLE_MAX, stream.read(&mut buffer)) => read,
            () = context.stopped() => break,
        };
        let bytes = match read {
            Ok(Ok(0)) | Err(_) => break,
            Ok(Ok(count)) => buffer.get(..count).unwrap_or_default(),
            Ok(Err(error)) => {
                context.counters.fault();
                tracing::debug!(%peer, %error, "a connection broke");
                break;
            }
        };
        if !keep(framer.take(bytes), peer, context).await {
            return;
        }
    }
    keep(framer.end(), peer, context).await;
}

/// False: nothing more is taken.
async fn keep(messages: Messages, peer: SocketAddr, context: &Context) -> bool {
    if messages.cut > 0 {
        context.counters.refused(messages.cut);
        tracing::debug!(%peer, messages = messages.cut, "messages were longer than the limit: their ends are missing");
    }
    messages.lines.is_empty() || context.writer.push(messages.lines).await.is_ok()
}
