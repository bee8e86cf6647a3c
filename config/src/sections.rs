//! The sections of which there is one: `[buffer]`, `[index]`, `[embedded]`, `[page]`, `[metrics]`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::document::{Fault, Located};
use crate::reader::Reader;
use crate::secret::Secret;
use crate::units::{parse_duration, parse_size};
use crate::url::ServerUrl;

/// Most partitions of a buffer. Each costs a blocking connection of each worker.
pub const PARTITIONS_MAX: u16 = 64;
/// Shares of a service, in those of others.
const WEIGHT_MIN: f64 = 0.01;
const WEIGHT_MAX: f64 = 100.0;
/// Most bulk requests in flight. More only grow the server's queue.
pub const IN_FLIGHT_MAX: u16 = 64;
/// Largest bulk request, in bytes: the servers' own default for `http.max_content_length`.
pub const BULK_BYTES_MAX: u64 = 100 << 20;
/// Smallest bulk request, in bytes. Below it the requests' own cost outweighs the documents'.
const BULK_BYTES_MIN: u64 = 64 << 10;
/// Smallest bound of the buffer, in bytes: some frames of every file that is being read.
const BUFFER_BYTES_MIN: u64 = 1 << 20;
/// Levels that may be shed: what is wrong is never.
const LEVELS_SHED: &[(&str, &str)] =
    &[("trace", "trace"), ("debug", "debug"), ("info", "info"), ("notice", "notice")];
/// Default and largest number of attributes of one stream that are mapped: the templates allow a thousand fields.
const FIELD_BUDGET: u16 = 400;
const FIELD_BUDGET_MAX: u16 = 900;
/// Longest namespace of a data stream, in bytes. Source: ECS, `data_stream.namespace`.
const NAMESPACE_BYTES_MAX: usize = 100;
/// Characters that cannot stand in the name of an index. Source: Elasticsearch, create index API.
const FORBIDDEN_IN_NAMES: &[char] = &['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':'];

/// `[buffer]`.
#[derive(Debug, Clone, PartialEq)]
pub struct BufferConfig {
    /// `redis`: address of the Redis in between. Default: none, the buffer is in the memory of the process (`weir up`).
    pub redis: Option<ServerUrl>,
    /// `username`: user of Redis (ACL), in place of that of the URL. Default: none, Redis's own default user.
    pub username: Option<String>,
    /// `password`: in place of that of the URL. Default: none. As `{ file = }` it is read again for each connection, so
    /// that it can be changed without a restart.
    pub password: Option<Secret>,
    /// `ca`: PEM file of the authority that signed Redis's certificate, for `rediss://`. Default: none, the public
    /// authorities.
    pub ca: Option<PathBuf>,
    /// `cert` and `key`: PEM files of our certificate and its key, where Redis asks for one. Default: none.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// `max_bytes`: above this many bytes of frames, shippers stop reading and the log files wait. Default 1 GiB. Redis
    /// needs about as much memory free; raise it to bridge longer outages of the index.
    pub max_bytes: u64,
    /// `partitions`: parts of the buffer that may be at different nodes, from 1. Default 1. Raise it when one Redis core is
    /// the limit and Redis is a cluster; the same on all shippers and workers.
    pub partitions: u16,
    /// `weights`: how many times the share of others a service gets of what workers take while several have something
    /// waiting, from 0.01 to 100. Default 1 for each. Read by workers. Raise it for what must be searchable first.
    pub weights: BTreeMap<String, f64>,
    /// `shed`: levels whose records are not indexed while the buffer is more than three quarters full, and counted.
    /// Default: none. Name `debug` where it may be missing for a while, so that an outage costs less time.
    pub shed: Vec<String>,
}

impl BufferConfig {
    pub(crate) fn read(buffer: &mut Reader<'_, '_>) -> Self {
        Self {
            redis: buffer.parsed("redis", ServerUrl::redis),
            username: buffer.text("username").map(|text| text.value),
            password: buffer.secret("password").map(|password| password.value),
            ca: buffer.text("ca").map(|text| text.value.into()),
            certificate: certificate(buffer),
            max_bytes: size(buffer, "max_bytes", BUFFER_BYTES_MIN, u64::MAX, 1 << 30),
            partitions: buffer.number("partitions", 1..=PARTITIONS_MAX, 1),
            weights: buffer.decimal_table("weights", WEIGHT_MIN..=WEIGHT_MAX).into_iter().collect(),
            shed: shed(buffer),
        }
    }
}

fn shed(buffer: &mut Reader<'_, '_>) -> Vec<String> {
    let levels = buffer.strings("shed");
    let known = |level| buffer.one_of("shed", level, LEVELS_SHED);
    levels.into_iter().filter_map(known).map(str::to_owned).collect()
}

/// `[index]`: Elasticsearch or OpenSearch.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexConfig {
    /// `elasticsearch`: one address, or a list of addresses of one cluster. Default: none, the embedded index is used.
    pub elasticsearch: Vec<ServerUrl>,
    /// `api_key`, or `username` with `password`, or `bearer`. Default: none.
    pub auth: Option<Auth>,
    /// `ca`: PEM file of the authority that signed the servers' certificates. Default: none, the system's authorities.
    pub ca: Option<PathBuf>,
    /// `ca_fingerprint`: SHA-256 of the authority's certificate in hexadecimal, as Elasticsearch prints it at its first
    /// start; that authority is trusted where the servers present its certificate. Default: none.
    pub ca_fingerprint: Option<[u8; 32]>,
    /// `cert` and `key`: PEM files of our certificate and its key, where the servers ask for one. Default: none.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// `data_stream`: name of the stream of a record; `{service}` and `{namespace}` stand for the record's. Default
    /// `logs-{service}-{namespace}`. Change it to fit existing names, templates and rights.
    pub data_stream: String,
    /// `namespace`: what `{namespace}` stands for. Default `default`. Set it to part environments that share a cluster.
    pub namespace: String,
    /// `bulk_bytes`: bytes of documents in one bulk request, from 64 KiB to 100 MiB. Default 8 MiB. Lower it for servers
    /// that refuse requests of this size (413); the worker also halves by itself.
    pub bulk_bytes: u64,
    /// `in_flight`: bulk requests at the same time, from 1. Default 2. Raise it for clusters of many nodes.
    pub in_flight: u16,
    /// `field_budget`: attributes of one stream that are mapped, from 1 to 900. Default 400. What a service invents beyond
    /// them is stored below `unmapped`. Lower it where many workers each meet others first.
    pub field_budget: u16,
    /// `gzip`: compress bulk requests always or never. Default: none, where the network between turns out to be slow. It
    /// costs the worker more than all its other work.
    pub gzip: Option<bool>,
    /// `retention`: how long the servers keep records. Default: none, as the cluster has it. Part of what is set up.
    pub retention: Option<Duration>,
}

impl IndexConfig {
    pub(crate) fn read(index: &mut Reader<'_, '_>) -> Self {
        Self {
            elasticsearch: addresses(index, "elasticsearch"),
            auth: Auth::read(index),
            ca: index.text("ca").map(|text| text.value.into()),
            ca_fingerprint: index.parsed("ca_fingerprint", fingerprint),
            certificate: certificate(index),
            data_stream: index
                .parsed("data_stream", check_data_stream)
                .unwrap_or_else(|| "logs-{service}-{namespace}".into()),
            namespace: index.parsed("namespace", check_namespace).unwrap_or_else(|| "default".into()),
            bulk_bytes: size(index, "bulk_bytes", BULK_BYTES_MIN, BULK_BYTES_MAX, 8 << 20),
            in_flight: index.number("in_flight", 1..=IN_FLIGHT_MAX, 2),
            field_budget: index.number("field_budget", 1..=FIELD_BUDGET_MAX, FIELD_BUDGET),
            gzip: index.optional_flag("gzip"),
            retention: retention(index),
        }
    }
}

/// How a client of Elasticsearch or OpenSearch says who it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    /// `api_key`: the encoded form, base64 of `id:key`.
    ApiKey(Secret),
    /// `username` and `password`.
    Basic {
        /// Not secret.
        username: String,
        /// Secret.
        password: Secret,
    },
    /// `bearer`: a token, such as that of a service account.
    Bearer(Secret),
}

impl Auth {
    fn read(index: &mut Reader<'_, '_>) -> Option<Self> {
        let basic = Self::read_basic(index);
        let api_key = index.secret("api_key").map(|key| key.map(Self::ApiKey));
        let bearer = index.secret("bearer").map(|token| token.map(Self::Bearer));
        let mut given = [api_key, basic, bearer].into_iter().flatten();
        let first = given.next()?;
        for other in given {
            let message = "only one of `api_key`, `bearer`, and `username` with `password` can be used";
            index.fault(Fault::new(other.span, message));
        }
        Some(first.value)
    }

    fn read_basic(index: &mut Reader<'_, '_>) -> Option<Located<Self>> {
        match (index.text("username"), index.secret("password")) {
            (None, None) => None,
            (Some(username), Some(password)) => {
                Some(password.map(|password| Self::Basic { username: username.value, password }))
            }
            (Some(username), None) => {
                index.fault(Fault::new(username.span, "`username` needs a `password`"));
                None
            }
            (None, Some(password)) => {
                index.fault(Fault::new(password.span, "`password` needs a `username`"));
                None
            }
        }
    }
}

/// `[embedded]`: Weir's own index.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedConfig {
    /// `data`: directory of the index. Default `/var/lib/weir/index`.
    pub data: PathBuf,
    /// `retention`: how long records are kept. Default 14 days. Whole days are removed at a time.
    pub retention: Duration,
    /// `max_bytes`: the oldest days go first above this size on disk. Default 50 GiB.
    pub max_bytes: u64,
}

impl EmbeddedConfig {
    pub(crate) fn read(embedded: &mut Reader<'_, '_>) -> Self {
        Self {
            data: embedded.path("data", "/var/lib/weir/index"),
            retention: retention(embedded).unwrap_or(Duration::from_secs(14 * 24 * 3600)),
            max_bytes: size(embedded, "max_bytes", 1 << 20, u64::MAX, 50 << 30),
        }
    }
}

/// `[page]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PageConfig {
    /// `listen`: address of the search page. Default `127.0.0.1:9880`. The page has no login of its own: open it to
    /// other machines only behind something that has.
    pub listen: SocketAddr,
}

impl PageConfig {
    pub(crate) fn read(page: &mut Reader<'_, '_>) -> Self {
        Self { listen: address(page, "listen").unwrap_or(SocketAddr::from(([127, 0, 0, 1], 9880))) }
    }
}

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsConfig {
    /// `shipper`: address of the shipper's `/metrics`, `/live` and `/ready`. Default: none, off.
    pub shipper: Option<SocketAddr>,
    /// `worker`: the same of the worker. Default: none, off.
    pub worker: Option<SocketAddr>,
}

impl MetricsConfig {
    pub(crate) fn read(metrics: &mut Reader<'_, '_>) -> Self {
        Self { shipper: address(metrics, "shipper"), worker: address(metrics, "worker") }
    }
}

fn certificate(buffer: &mut Reader<'_, '_>) -> Option<(PathBuf, PathBuf)> {
    match (buffer.text("cert"), buffer.text("key")) {
        (Some(certificate), Some(key)) => Some((certificate.value.into(), key.value.into())),
        (Some(certificate), None) => {
            buffer.fault(Fault::new(certificate.span, "`cert` needs its `key`"));
            None
        }
        (None, Some(key)) => {
            buffer.fault(Fault::new(key.span, "`key` needs its `cert`"));
            None
        }
        (None, None) => None,
    }
}

pub(crate) fn size(section: &mut Reader<'_, '_>, key: &'static str, min: u64, max: u64, default: u64) -> u64 {
    let check = |text: &str| match parse_size(text) {
        Ok(bytes) if bytes < min => Err(format!("`{key}` is at least {min} bytes")),
        Ok(bytes) if bytes > max => Err(format!("`{key}` is at most {max} bytes")),
        parsed => parsed.map_err(|error| error.to_string()),
    };
    section.parsed(key, check).unwrap_or(default)
}

fn retention(section: &mut Reader<'_, '_>) -> Option<Duration> {
    section.parsed("retention", |text| match parse_duration(text) {
        Ok(kept) if kept.is_zero() => Err("nothing would be kept".to_owned()),
        parsed => parsed.map_err(|error| error.to_string()),
    })
}

pub(crate) fn address(section: &mut Reader<'_, '_>, key: &'static str) -> Option<SocketAddr> {
    section.parsed(key, |text| {
        let fault = format!("`{text}` is not an address: write IP:PORT, such as \"127.0.0.1:9880\"");
        text.parse().map_err(|_| fault)
    })
}

fn addresses(section: &mut Reader<'_, '_>, key: &'static str) -> Vec<ServerUrl> {
    let mut out = Vec::new();
    for text in section.texts(key) {
        match ServerUrl::http(&text.value) {
            Ok(url) => out.push(url),
            Err(error) => section.fault(Fault::new(text.span, error.to_string())),
        }
    }
    out
}

/// 32 bytes in hexadecimal, colons between them or not.
fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    let fault = "`ca_fingerprint` is the SHA-256 of a certificate: 64 hexadecimal digits";
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| fault.to_owned())
}

fn check_data_stream(template: &str) -> Result<String, String> {
    let literal = template.replace("{service}", "").replace("{namespace}", "");
    if literal.contains(['{', '}']) {
        return Err("`data_stream` knows only {service} and {namespace}".into());
    }
    if literal.contains(FORBIDDEN_IN_NAMES) || literal.chars().any(char::is_uppercase) {
        return Err("`data_stream` cannot have capitals, blanks, or any of \\ / * ? \" < > | , # :".into());
    }
    if template.is_empty() || template.starts_with(['-', '_', '+', '.']) {
        return Err("`data_stream` starts with a letter, a digit or a placeholder".into());
    }
    Ok(template.into())
}

fn check_namespace(namespace: &str) -> Result<String, String> {
    let has_forbidden = namespace.contains(FORBIDDEN_IN_NAMES) || namespace.contains('-');
    if namespace.is_empty() || has_forbidden || namespace.chars().any(char::is_uppercase) {
        return Err("`namespace` has no capitals, blanks, hyphens, or any of \\ / * ? \" < > | , # :".into());
    }
    if namespace.len() > NAMESPACE_BYTES_MAX {
        return Err(format!("`namespace` is at most {NAMESPACE_BYTES_MAX} bytes long"));
    }
    Ok(namespace.into())
}
