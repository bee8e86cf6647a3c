//! Who Weir is to the server: read again from where it stands, so that keys may be rotated under a running program.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::http::headers::HeaderValue;

/// What was read is used for so long; after a 401 it is read again at once.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Who Weir is to the server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User and password.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// An API key as Elasticsearch shows it: base64 of `id:key`.
    ApiKey(String),
    /// A service token.
    Bearer(String),
}

/// Never shows a secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Credentials::Basic { .. } => "Basic",
            Credentials::ApiKey(_) => "ApiKey",
            Credentials::Bearer(_) => "Bearer",
        })
    }
}

impl Credentials {
    fn header(&self) -> Result<HeaderValue, String> {
        let text = match self {
            Credentials::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Credentials::ApiKey(key) => format!("ApiKey {key}"),
            Credentials::Bearer(token) => format!("Bearer {token}"),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| "the key or token has characters that cannot be sent".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}

type Read = dyn Fn() -> Result<Credentials, String> + Send + Sync;

/// Where credentials stand. The error of a reading says what is wrong with that place.
#[derive(Clone)]
pub struct CredentialSource(Arc<Read>);

impl CredentialSource {
    /// Calls `read` whenever they are needed anew.
    pub fn new(read: impl Fn() -> Result<Credentials, String> + Send + Sync + 'static) -> CredentialSource {
        CredentialSource(Arc::new(read))
    }

    /// The credentials now.
    ///
    /// # Errors
    /// What is wrong with the place where they stand.
    pub fn read(&self) -> Result<Credentials, String> {
        (self.0)()
    }
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> CredentialSource {
        CredentialSource::new(move || Ok(credentials.clone()))
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CredentialSource")
    }
}

/// The header that tells who Weir is.
#[derive(Debug)]
pub(super) struct Authorization {
    source: CredentialSource,
    last: Mutex<Option<(HeaderValue, Instant)>>,
}

impl Authorization {
    pub fn new(source: CredentialSource) -> Authorization {
        Authorization { source, last: Mutex::new(None) }
    }

    pub fn header(&self) -> Result<HeaderValue, String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((header, read)) = &*last
            && read.elapsed() < READ_AGAIN_AFTER
        {
            return Ok(header.clone());
        }
        let header = self.source.read()?.header()?;
        *last = Some((header.clone(), Instant::now()));
        Ok(header)
    }

    /// The server did not know whoever that was.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
