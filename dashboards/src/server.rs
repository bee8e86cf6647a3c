//! Binding, routes, connections, and the end of them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use weir_indexer::Search;

use crate::api::{self, DriftSource, Page, Pipeline};
use crate::assets;
use crate::guard::{self, Hosts};

/// Most connections at one time: a browser opens six, and a tail keeps one.
const CONNECTIONS_MAX: usize = 256;

/// How long a client may take to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long open answers may take to end once the page is to stop. Tails and exports end at once.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait when a connection could not be accepted: file descriptors are used up, for instance.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How the page is served.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// Address to bind; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be reachable by other machines. The page has no login: everybody who reaches it reads
    /// every record.
    pub allow_remote: bool,
    /// Names, without a port, by which browsers may ask for the page besides addresses and `localhost`; all others are
    /// refused, because a hostile web site can give its own name this machine's address (DNS rebinding).
    pub hosts: Vec<String>,
    /// Further routes behind the same checks. Taken already: `/live`, `/ready`, `/metrics`, `/api/...`.
    pub routes: Router,
    /// What the shipper in the same process knows of lines that no parser understood; none where there is none.
    pub drift: Option<Arc<dyn DriftSource>>,
    /// The pipeline in the same process; none where there is none.
    pub pipeline: Option<Arc<dyn Pipeline>>,
}

impl PageSettings {
    /// The page at this address, for this machine alone.
    pub fn new(listen: SocketAddr) -> PageSettings {
        PageSettings {
            listen,
            allow_remote: false,
            hosts: Vec::new(),
            routes: Router::new(),
            drift: None,
            pipeline: None,
        }
    }
}

/// Why the page has no address.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Other machines could reach it, and nobody allowed that.
    #[error(
        "the page would be open to other machines at {listen}, and it has no login: \
         listen on 127.0.0.1:{}, or allow it with --allow-remote", listen.port()
    )]
    Remote {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// Another program has the port.
    #[error(
        "port {} is in use by another program: stop it, or choose another address for the page, \
         for instance {}:0 for any free port", listen.port(), listen.ip()
    )]
    InUse {
        /// The address asked for.
        listen: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Binds the page's address.
pub async fn bind(settings: &PageSettings) -> Result<TcpListener, BindError> {
    let listen = settings.listen;
    if !listen.ip().is_loopback() && !settings.allow_remote {
        return Err(BindError::Remote { listen });
    }
    TcpListener::bind(listen).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { listen },
        _ => BindError::Listen { listen, source },
    })
}

/// Serves the page over `search` until `shutdown` resolves, then ends tails and exports, and waits a moment for the
/// other answers.
pub async fn serve<S: Search>(
    listener: TcpListener,
    search: Arc<S>,
    settings: PageSettings,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (stop, stopping) = watch::channel(());
    let router = router(search, settings, stopping);
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            let (stream, permit) = accept(&listener, &connections).await;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the page broke");
                }
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop(stop);
    if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::debug!("the page stops before all its answers ended");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit in the end.
    let permit = connections.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "small answers may be late");
                }
                return (stream, permit);
            }
            Err(error) => {
                tracing::warn!(%error, "the page cannot accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

fn router<S: Search>(search: Arc<S>, settings: PageSettings, stopping: watch::Receiver<()>) -> Router {
    let hosts = Arc::new(Hosts::new(settings.hosts));
    api::routes(Arc::new(Page::new(search, stopping, settings.drift, settings.pipeline)))
        .merge(settings.routes)
        .route("/live", get(|| async { "live\n" }))
        .fallback(get(assets::serve))
        .layer(middleware::from_fn_with_state(hosts, guard::check))
}
