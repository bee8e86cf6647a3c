//! How to reach a buffer in Redis.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// How to reach a buffer in Redis.
#[derive(Clone)]
pub struct RedisSettings {
    /// `redis://`, `rediss://`, `unix://`, `redis-sentinel://host,host/primary/database` or
    /// `redis-cluster://host,host` (with TLS: `rediss-sentinel`, `rediss-cluster`). It may hold a password, and is
    /// never printed.
    pub url: String,
    /// User of Redis, in place of that of the URL.
    pub username: Option<String>,
    /// Password, in place of that of the URL.
    pub password: Option<Password>,
    /// PEM file of the authority that signed the server's certificate, in place of the public ones.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Name of the buffer: part of each key.
    pub name: String,
    /// Number of streams that the files are spread over. The same for everybody who uses the buffer.
    pub partitions: u32,
    /// Frames that may wait, in encoded bytes and what Redis needs beside them, per partition.
    pub bytes_max: u64,
    /// How many times the share of others a service gets of what is claimed, by its name; 1 where it is not named.
    pub weights: BTreeMap<String, f64>,
}

impl RedisSettings {
    /// The default buffer at `url`: `logs`, one partition, 1 GiB.
    pub fn new(url: impl Into<String>) -> RedisSettings {
        RedisSettings {
            url: url.into(),
            username: None,
            password: None,
            ca: None,
            certificate: None,
            name: "logs".to_owned(),
            partitions: 1,
            bytes_max: 1024 * 1024 * 1024,
            weights: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for RedisSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RedisSettings {
            url: _,
            username,
            password,
            ca,
            certificate,
            name,
            partitions,
            bytes_max,
            weights,
        } = self;
        let mut shown = formatter.debug_struct("RedisSettings");
        shown.field("username", username).field("password", password);
        shown.field("ca", ca).field("certificate", certificate);
        shown
            .field("name", name)
            .field("partitions", partitions)
            .field("bytes_max", bytes_max)
            .field("weights", weights);
        shown.finish_non_exhaustive()
    }
}

/// A password that is read anew for each connection, so that it can be changed while we run. `Debug` shows `***`.
#[derive(Clone)]
pub struct Password(Arc<ReadPassword>);

type ReadPassword = dyn Fn() -> Result<String, PasswordError> + Send + Sync;

/// Why a password cannot be had: in words, without the password.
pub type PasswordError = Box<dyn std::error::Error + Send + Sync>;

impl Password {
    /// `read` is called before each login, and must not take long: it may read a small file.
    pub fn new(read: impl Fn() -> Result<String, PasswordError> + Send + Sync + 'static) -> Password {
        Password(Arc::new(read))
    }

    pub(super) fn read(&self) -> Result<String, PasswordError> {
        (self.0)()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("***")
    }
}
