//! What can go wrong with a buffer.

use std::time::Duration;

/// Why the buffer did not do what it was asked. The text says what to do about it, and never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum BufferError {
    /// The buffer holds `max_bytes`: the log files have to wait.
    #[error("the buffer is full: it holds {bytes} bytes of at most {bytes_max}")]
    Full {
        /// Bytes that wait.
        bytes: u64,
        /// The setting.
        bytes_max: u64,
    },
    /// The URL cannot be used.
    #[error("the buffer's URL cannot be used: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// No connection could be made.
    #[error("cannot connect to Redis at {address}; is it running there?")]
    Connect {
        /// Host and port, or path of the socket.
        address: String,
        /// Why.
        #[source]
        source: redis::RedisError,
    },
    /// The connection broke, or no answer came in time. Whether the request was carried out is not known.
    #[error("lost the connection to Redis at {address}")]
    Disconnected {
        /// Host and port, or path of the socket.
        address: String,
        /// Why.
        #[source]
        source: redis::RedisError,
    },
    /// Redis refused, for a reason that may pass: it loads, is out of memory, read-only, or wants a password.
    #[error("Redis at {address} refuses: {advice}")]
    Refused {
        /// Host and port, or path of the socket.
        address: String,
        /// What the refusal means, and what to do.
        advice: &'static str,
        /// Its words.
        #[source]
        source: redis::RedisError,
    },
    /// Redis may throw frames away.
    #[error(
        "Redis at {address} has maxmemory-policy {policy}, which may evict frames; \
         set it with: redis-cli CONFIG SET maxmemory-policy noeviction"
    )]
    EvictionPolicy {
        /// Host and port, or path of the socket.
        address: String,
        /// The policy that is set.
        policy: String,
    },
    /// Redis lacks commands that the buffer needs.
    #[error("Redis at {address} is version {version}; 6.2 is the oldest that will do")]
    TooOld {
        /// Host and port, or path of the socket.
        address: String,
        /// What it says it is.
        version: String,
    },
    /// The password to log in with cannot be had.
    #[error("cannot read the password for Redis at {address}")]
    Password {
        /// Host and port, or path of the socket.
        address: String,
        /// Why; without the password.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A certificate or key cannot be read, or is none.
    #[error("cannot use the certificate or key {}", path.display())]
    Certificate {
        /// Which file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Redis answered something that does not belong to the request.
    #[error("Redis at {address} answered {request} with something else: {answer}")]
    Unexpected {
        /// Host and port, or path of the socket.
        address: String,
        /// What was asked.
        request: &'static str,
        /// What came, shortened.
        answer: String,
    },
}

impl BufferError {
    /// Whether the same request may succeed later without anybody changing our configuration.
    pub fn is_transient(&self) -> bool {
        !matches!(
            self,
            BufferError::Url { .. } | BufferError::EvictionPolicy { .. } | BufferError::TooOld { .. }
        )
    }

    /// How long to wait before the next attempt, where the error says.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            BufferError::Full { .. } => Some(FULL_RETRY_AFTER),
            _ => None,
        }
    }
}

/// A full buffer drains at some hundred frames a second: asking more often is no use.
const FULL_RETRY_AFTER: Duration = Duration::from_millis(50);
