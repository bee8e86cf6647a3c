//! Where Redis is: one server, the primary that sentinels name, or the node of a cluster that owns a slot.
//!
//! The library's own sentinel and cluster clients are not used: all keys of a partition are in one slot, so that one
//! question to a sentinel, or following one MOVED, finds the only server that a connection needs.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisError, RedisResult, TlsCertificates, Value,
};

use super::advice;
use super::settings::RedisSettings;
use crate::BufferError;

/// To connect to one server, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a cluster may point elsewhere while the owner of a slot is looked for.
const REDIRECTS_MAX: usize = 5;

const SENTINEL_PORT: u16 = 26379;
const REDIS_PORT: u16 = 6379;

/// What the URL and the settings beside it say. Passwords and certificates are read anew for each connection, so that
/// they can be changed while we run.
pub(super) struct Target {
    settings: RedisSettings,
    /// The servers that the URL names, with database and credentials of Redis itself.
    servers: Vec<ConnectionInfo>,
    kind: Kind,
    address: String,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Single,
    /// The servers are sentinels of this primary.
    Sentinel(String),
    Cluster,
}

/// A server of a cluster, as MOVED and ASK name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Target {
    /// Reads the URL; does not connect.
    pub(super) fn new(settings: &RedisSettings) -> Result<Target, BufferError> {
        let (kind, servers) = parse(&settings.url)?;
        if settings.ca.is_some() || settings.certificate.is_some() {
            let plain = servers.iter().any(|server| !matches!(server.addr(), ConnectionAddr::TcpTls { .. }));
            if plain {
                let reason = "a CA or a client certificate needs TLS: write rediss:// in place of redis://";
                return Err(BufferError::Url { reason: reason.to_owned() });
            }
        }
        let names: Vec<String> = servers.iter().map(|server| server.addr().to_string()).collect();
        let names = names.join(",");
        let address = match &kind {
            Kind::Single => names,
            Kind::Sentinel(primary) => format!("{primary} of the sentinels {names}"),
            Kind::Cluster => format!("the cluster {names}"),
        };
        Ok(Target { settings: settings.clone(), servers, kind, address })
    }

    /// For messages; without the password.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.kind == Kind::Cluster
    }

    /// Whether only the sentinels know where to connect to next.
    fn is_sentinel(&self) -> bool {
        matches!(self.kind, Kind::Sentinel(_))
    }

    /// A connection to the server that holds `key`. `owner`: the node of the cluster that did last time.
    pub(super) async fn connect(
        &self,
        key: &str,
        owner: Option<&Node>,
    ) -> Result<(MultiplexedConnection, Option<Node>), BufferError> {
        match &self.kind {
            Kind::Single => Ok((self.open(&self.servers[0]).await?, None)),
            Kind::Sentinel(primary) => Ok((self.connect_primary(primary).await?, None)),
            Kind::Cluster => self.connect_owner(key, owner).await,
        }
    }

    /// A connection to one node of the cluster.
    pub(super) async fn connect_node(&self, node: &Node) -> Result<MultiplexedConnection, BufferError> {
        self.open(&self.at(node)).await
    }

    /// Asks the sentinels in turn, until one names a server that can be reached and says itself that it is the primary:
    /// a sentinel that was cut off from the others may name the last one.
    async fn connect_primary(&self, primary: &str) -> Result<MultiplexedConnection, BufferError> {
        let mut last = None;
        for sentinel in &self.servers {
            let connected = async { self.connect_node(&self.ask_sentinel(sentinel, primary).await?).await };
            match connected.await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unusable("it names no sentinel")))
    }

    async fn ask_sentinel(&self, sentinel: &ConnectionInfo, primary: &str) -> Result<Node, BufferError> {
        let failed = |source| self.failed(sentinel, source);
        // A sentinel has users of its own, mostly none; where it wants a password, it is the one of Redis.
        let database = sentinel.redis_settings().clone().set_db(0);
        let nobody = sentinel
            .clone()
            .set_redis_settings(redis::RedisConnectionInfo::default().set_skip_set_lib_name());
        let mut request = redis::cmd("SENTINEL");
        request.arg("get-master-addr-by-name").arg(primary);
        let mut connection = self.client(nobody)?.open_for_requests().await.map_err(failed)?;
        let answer = match timed(request.query_async(&mut connection)).await {
            Err(error) if error.code() == Some("NOAUTH") => {
                let known = self.with_password(sentinel.clone().set_redis_settings(database))?;
                let mut connection = self.client(known)?.open_for_requests().await.map_err(failed)?;
                timed(request.query_async(&mut connection)).await
            }
            answer => answer,
        };
        let answer: Option<(String, u16)> = answer.map_err(failed)?;
        let unknown = || {
            let reason =
                (redis::ErrorKind::InvalidClientConfig, "no sentinel knows this primary", primary.to_owned());
            BufferError::Connect { address: sentinel.addr().to_string(), source: reason.into() }
        };
        let (host, port) = answer.ok_or_else(unknown)?;
        Ok(Node { host, port })
    }

    /// Asks the last owner first, then the servers of the URL, and goes where they point.
    async fn connect_owner(
        &self,
        key: &str,
        owner: Option<&Node>,
    ) -> Result<(MultiplexedConnection, Option<Node>), BufferError> {
        let mut last = None;
        let owner = owner.map(|node| self.at(node));
        for server in owner.iter().chain(&self.servers) {
            match self.follow(key, server.clone()).await {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unusable("it names no server")))
    }

    async fn follow(
        &self,
        key: &str,
        mut server: ConnectionInfo,
    ) -> Result<(MultiplexedConnection, Option<Node>), BufferError> {
        let mut node = None;
        for _ in 0..REDIRECTS_MAX {
            let mut connection = self.open(&server).await?;
            let mut probe = redis::cmd("EXISTS");
            probe.arg(key);
            match timed::<Value>(probe.query_async(&mut connection)).await {
                Ok(_) => return Ok((connection, node)),
                Err(error) => match Node::of(&error, &server) {
                    // A slot that is on its way is still owned by this node.
                    Some(_) if error.code() == Some("ASK") => return Ok((connection, node)),
                    Some(next) => {
                        server = self.at(&next);
                        node = Some(next);
                    }
                    None => return Err(self.failed(&server, error)),
                },
            }
        }
        Err(BufferError::Unexpected {
            address: self.address.clone(),
            request: "EXISTS",
            answer: "its nodes point at each other".to_owned(),
        })
    }

    /// One server, checked: fit to hold a buffer, and with the scripts loaded.
    async fn open(&self, server: &ConnectionInfo) -> Result<MultiplexedConnection, BufferError> {
        let client = self.client(self.with_password(server.clone())?)?;
        let preparation = async {
            let mut connection = client.open_for_requests().await?;
            let info: Value = redis::cmd("INFO").query_async(&mut connection).await.unwrap_or_default();
            let scripts = super::scripts::load();
            let loaded = connection.send_packed_commands(&scripts, 0, scripts.len()).await?;
            loaded.into_iter().try_for_each(|answer| answer.extract_error().map(drop))?;
            Ok((connection, info))
        };
        match timed(preparation).await {
            Ok((connection, info)) => self.check_server(server, &info).map(|()| connection),
            Err(source) => Err(self.failed(server, source)),
        }
    }

    /// What INFO tells. A server that hides it is taken at its word.
    fn check_server(&self, server: &ConnectionInfo, info: &Value) -> Result<(), BufferError> {
        let Value::BulkString(text) = info else { return Ok(()) };
        let text = String::from_utf8_lossy(text);
        let value = |name: &str| {
            let value = |line: &'_ str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
            text.lines().find_map(value)
        };
        let address = server.addr().to_string();
        if let Some(version) = value("redis_version").filter(|version| is_too_old(version)) {
            return Err(BufferError::TooOld { address, version });
        }
        // It may evict the whole stream at once.
        if let Some(policy) = value("maxmemory_policy").filter(|policy| policy != "noeviction") {
            return Err(BufferError::EvictionPolicy { address, policy });
        }
        if self.is_sentinel() && value("role").is_some_and(|role| role != "master") {
            let source = RedisError::from((redis::ErrorKind::Io, "the sentinels still name a replica"));
            return Err(BufferError::Connect { address, source });
        }
        Ok(())
    }

    fn at(&self, node: &Node) -> ConnectionInfo {
        let info = self.servers[0].clone();
        let Node { host, port } = node.clone();
        let address = match info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        info.set_addr(address)
    }

    fn with_password(&self, server: ConnectionInfo) -> Result<ConnectionInfo, BufferError> {
        // CLIENT SETINFO would be another right to grant.
        let mut redis = server.redis_settings().clone().set_skip_set_lib_name();
        if let Some(name) = &self.settings.username {
            redis = redis.set_username(name);
        }
        if let Some(password) = &self.settings.password {
            let unreadable = |source| BufferError::Password { address: self.address.clone(), source };
            redis = redis.set_password(password.read().map_err(unreadable)?);
        }
        Ok(server.set_redis_settings(redis))
    }

    fn client(&self, server: ConnectionInfo) -> Result<Opener, BufferError> {
        let is_tls = matches!(server.addr(), ConnectionAddr::TcpTls { .. });
        let nodelay = server.tcp_settings().clone().set_nodelay(true);
        let server = server.set_tcp_settings(nodelay);
        let client =
            if is_tls { Client::build_with_tls(server, self.certificates()?) } else { Client::open(server) };
        client.map(Opener).map_err(|error| {
            let own = self.settings.certificate.as_ref().map(|(certificate, _)| certificate);
            match self.settings.ca.as_ref().or(own) {
                // Half written, perhaps: it is read again at the next attempt.
                Some(path) => {
                    BufferError::Certificate { path: path.clone(), source: std::io::Error::other(error) }
                }
                // The library's own words may hold the password.
                None => unusable("its address is not understood"),
            }
        })
    }

    fn certificates(&self) -> Result<TlsCertificates, BufferError> {
        let read = |path: &std::path::PathBuf| {
            std::fs::read(path).map_err(|source| BufferError::Certificate { path: path.clone(), source })
        };
        let client_tls = match &self.settings.certificate {
            Some((certificate, key)) => {
                Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
            }
            None => None,
        };
        Ok(TlsCertificates { client_tls, root_cert: self.settings.ca.as_ref().map(read).transpose()? })
    }

    fn failed(&self, server: &ConnectionInfo, source: RedisError) -> BufferError {
        let address = server.addr().to_string();
        match advice::of(&source) {
            Some(advice) => BufferError::Refused { address, advice, source },
            None => BufferError::Connect { address, source },
        }
    }
}

impl Node {
    /// Where a MOVED or ASK points. `from`: who said so; an empty host means its own.
    fn of(error: &RedisError, from: &ConnectionInfo) -> Option<Node> {
        let host = match from.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.as_str(),
            _ => "",
        };
        Node::parse(error.redirect_node()?.0, host)
    }

    /// `host:port`; IPv6 addresses stand without brackets.
    pub(super) fn parse(text: &str, from: &str) -> Option<Node> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() { from } else { host };
        Some(Node { host: host.to_owned(), port: port.parse().ok()? })
    }
}

/// Makes connections to one server.
struct Opener(Client);

impl Opener {
    async fn open_for_requests(&self) -> RedisResult<MultiplexedConnection> {
        // Requests have their own time limits: a claim waits on purpose.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(None);
        self.0.get_multiplexed_async_connection_with_config(&config).await
    }
}

async fn timed<T>(attempt: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
        Ok(result) => result,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// The scripts use XPENDING with IDLE, which came with 6.2. Valkey says 7.2 here.
fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) < (6, 2))
}

fn unusable(reason: &str) -> BufferError {
    BufferError::Url { reason: reason.to_owned() }
}

fn parse(url: &str) -> Result<(Kind, Vec<ConnectionInfo>), BufferError> {
    let invalid = || {
        unusable(
            "it has to be redis://[[user]:password@]host[:port][/database], rediss://... (TLS), \
             unix:///path/of/the.sock, redis-sentinel://host,host/primary[/database], or redis-cluster://host,host",
        )
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
    let Some((plain, kind)) = scheme.split_once('-') else {
        // The library's own words may hold the password.
        return Ok((Kind::Single, vec![url.into_connection_info().map_err(|_| invalid())?]));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority
        .rsplit_once('@')
        .map_or((String::new(), authority), |(user, hosts)| (format!("{user}@"), hosts));
    let (kind, port, database) = match kind {
        "sentinel" => {
            let (primary, database) = path.split_once('/').unwrap_or((path, ""));
            (Kind::Sentinel(primary.to_owned()), SENTINEL_PORT, database)
        }
        "cluster" => (Kind::Cluster, REDIS_PORT, path),
        _ => return Err(invalid()),
    };
    if kind == Kind::Sentinel(String::new()) || (kind == Kind::Cluster && !matches!(database, "" | "0")) {
        return Err(invalid());
    }
    let server = |host: &str| {
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let port = if has_port { String::new() } else { format!(":{port}") };
        let url = format!("{plain}://{user}{host}{port}/{database}");
        url.into_connection_info().map_err(|_| invalid())
    };
    let servers: Result<Vec<_>, _> = hosts.split(',').map(server).collect();
    Ok((kind, servers?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, BufferError> {
        Target::new(&RedisSettings::new(url))
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_its_password() {
        for url in [
            "http://user:geheim@host",
            "redis://:geheim@host:port",
            "geheim",
            "redis://:geheim@host/x",
            "redis-sentinel://:geheim@host",
            "redis-cluster://:geheim@host/1",
            "redis-else://:geheim@host",
        ] {
            let error = target(url).err().expect(url).to_string();
            assert!(error.contains("redis://") && !error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn the_address_of_each_kind_of_url_is_shown_without_the_password() {
        let check = |url: &str, expected: &str| assert_eq!(target(url).expect(url).address(), expected);
        check("redis://user:geheim@example.net:6380/3", "example.net:6380");
        check("rediss://:geheim@example.net", "example.net:6379");
        check("unix:///run/redis.sock?pass=geheim", "/run/redis.sock");
        check("redis+unix:///run/redis.sock", "/run/redis.sock");
        check("redis-sentinel://:geheim@a,b:1/main/3", "main of the sentinels a:26379,b:1");
        check("rediss-cluster://u:geheim@a,b:1", "the cluster a:6379,b:1");
    }

    #[test]
    fn servers_before_6_2_are_too_old() {
        let check = |version: &str, expected: bool| assert_eq!(is_too_old(version), expected, "{version}");
        check("5.0.14", true);
        check("6.0.20", true);
        check("6.2.0", false);
        check("7.2.4", false);
        check("8.0.1", false);
        check("unheard of", false);
    }

    #[test]
    fn a_redirect_names_a_node_or_only_its_port() {
        let node = |host: &str, port| Some(Node { host: host.to_owned(), port });
        assert_eq!(Node::parse("10.0.0.2:6380", "10.0.0.1"), node("10.0.0.2", 6380));
        assert_eq!(Node::parse("2001:db8::1:6380", "::1"), node("2001:db8::1", 6380));
        assert_eq!(Node::parse(":6380", "10.0.0.1"), node("10.0.0.1", 6380));
        assert_eq!(Node::parse("nonsense", "10.0.0.1"), None);
    }
}
