//! Addresses of servers, whose passwords are never shown.

use std::fmt;
use std::ops::Range;

/// Why an address cannot be used. Does not show it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}: write {example}")]
pub struct UrlError {
    problem: &'static str,
    example: &'static str,
}

/// A URL whose scheme was checked. `Debug` and `Display` show `***` in place of its password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

const REDIS_SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "unix",
    "redis+unix",
    "redis-sentinel",
    "rediss-sentinel",
    "redis-cluster",
    "rediss-cluster",
];

impl ServerUrl {
    /// An address of Redis: `redis://`, `rediss://` (TLS), `unix://` (socket), the sentinels of a primary
    /// (`redis-sentinel://host,host/primary`) or nodes of a cluster (`redis-cluster://host,host`).
    pub fn redis(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, REDIS_SCHEMES, "\"redis://127.0.0.1:6379/0\"")
    }

    /// An address of Elasticsearch or OpenSearch: `http://` or `https://`.
    pub fn http(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, &["http", "https"], "\"https://127.0.0.1:9200\"")
    }

    fn parse(text: &str, schemes: &[&str], example: &'static str) -> Result<Self, UrlError> {
        let fault = |problem| Err(UrlError { problem, example });
        let Some((scheme, rest)) = text.split_once("://") else {
            return fault("this is not a URL");
        };
        if !schemes.contains(&scheme) {
            return fault("this kind of URL is not understood here");
        }
        let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
        if rest[authority.len()..].contains('@') {
            return fault(
                "a `/`, `?` or `#` in a password, and an `@` after it, have to be encoded in a URL (%2F, %3F, %23, %40)",
            );
        }
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let is_socket = scheme.ends_with("unix") && !rest.is_empty();
        let names_server = !host.is_empty() && !host.starts_with(':') || is_socket;
        if !names_server || rest.contains(char::is_whitespace) {
            return fault("this URL names no server");
        }
        Ok(Self(text.into()))
    }

    /// The whole address, with its password if it has one: for connecting, not for showing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match password_span(&self.0) {
            Some(password) => write!(f, "{}***{}", &self.0[..password.start], &self.0[password.end..]),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Bytes of the password in a URL, `scheme://user:PASSWORD@host`, if it has one. A password that is not encoded as it
/// should be may hold any character, so all up to the last `@` is taken for it.
pub(crate) fn password_span(url: &str) -> Option<Range<usize>> {
    let start = url.find("://")? + 3;
    let (user_info, _) = url[start..].rsplit_once('@')?;
    let (user, _) = user_info.split_once(':')?;
    Some(start + user.len() + 1..start + user_info.len())
}
