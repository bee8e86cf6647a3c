//! One datagram, one message.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};

use crate::input::Context;
use crate::input::line::push_message;

/// What the system may hold for us: a burst of some ten thousand messages. Without the right to have as much, it is as
/// much as `net.core.rmem_max` allows.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Longest datagram (RFC 768).
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Datagrams are written together up to this many bytes.
const BATCH_BYTES: usize = 256 * 1024;

/// How often the system's count of dropped datagrams is read.
const DROPS_INTERVAL: Duration = Duration::from_secs(2);

/// Binds the address with a large receive buffer.
pub(super) fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(listen)?;
    if set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES).is_err() {
        set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER_BYTES)?;
    }
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Receives until the input has to end.
pub(super) async fn run(socket: UdpSocket, mut context: Context) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut drops = interval(DROPS_INTERVAL);
    drops.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = context.stopped() => break,
            _ = drops.tick() => count_drops(&socket, &context),
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::warn!(%error, "cannot wait for datagrams");
                    break;
                }
            }
        }
        let lines = receive(&socket, &mut buffer);
        if !lines.is_empty() && context.writer.push(lines).await.is_err() {
            return;
        }
    }
    count_drops(&socket, &context);
    // What is left in the system's buffer would be gone with the socket.
    let lines = receive(&socket, &mut buffer);
    if context.writer.append(lines, None).await.is_err() {
        tracing::warn!("the last datagrams are not in the journal");
    }
}

/// Everything that has come, up to a bound: one line each.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    while lines.len() < BATCH_BYTES {
        // An error is that nothing is there, or what a network answered to somebody else's datagram.
        let Ok((length, _)) = socket.try_recv_from(buffer) else { break };
        push_message(buffer.get(..length).unwrap_or_default(), &mut lines);
    }
    lines
}

fn count_drops(socket: &UdpSocket, context: &Context) {
    let Ok(stat) = fstat(socket) else { return };
    for table in ["/proc/net/udp", "/proc/net/udp6"] {
        let table = std::fs::read_to_string(table).unwrap_or_default();
        if let Some(drops) = drops_of(&table, stat.st_ino) {
            context.counters.dropped_in_all(drops);
        }
    }
}

/// The last column of the socket's line. <https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html>
fn drops_of(table: &str, inode: u64) -> Option<u64> {
    const INODE: usize = 9;
    let of_socket =
        |line: &&str| line.split_whitespace().nth(INODE).and_then(|n| n.parse().ok()) == Some(inode);
    table.lines().find(of_socket)?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_count_of_drops_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1093: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 17\n";
        assert_eq!(drops_of(table, 4711), Some(17));
        assert_eq!(drops_of(table, 4712), None);
    }
}
