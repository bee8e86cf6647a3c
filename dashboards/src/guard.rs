//! What a browser may do with the page, and which sites may ask for it.
//!
//! Log lines are written by strangers. Should one of them ever be taken for markup, these headers leave it nothing to
//! run and nowhere to send what it read.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::ApiError;

const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The names under which the page may be asked for.
#[derive(Debug)]
pub(crate) struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    pub(crate) fn new(names: Vec<String>) -> Hosts {
        Hosts { names }
    }

    /// An address cannot be rebound, and `localhost` belongs to this machine; other names have to be listed.
    fn allows(&self, authority: &Authority) -> bool {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }
}

/// Refuses requests of other sites, and adds the headers to every answer.
pub(crate) async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&hosts, request.uri(), request.headers()) {
        Some(reason) => ApiError::new(StatusCode::FORBIDDEN, reason).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(hosts: &Hosts, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let Some(host) = text(headers, header::HOST).and_then(|host| host.parse::<Authority>().ok()) else {
        return Some("the request does not say which host it is for".to_owned());
    };
    if !hosts.allows(&host) {
        return Some(format!(
            "\"{}\" is not a name of this page: use its address, or allow the name",
            host.host()
        ));
    }
    if headers.contains_key(header::ORIGIN) && origin(headers).is_none_or(|origin| origin != host) {
        return Some("the request comes from another site".to_owned());
    }
    // A link from elsewhere may lead to the page, but no other site may make the browser ask for data.
    let site = text(headers, HeaderName::from_static("sec-fetch-site")).unwrap_or("none");
    if uri.path().starts_with("/api/") && !matches!(site, "none" | "same-origin") {
        return Some("the request comes from another site".to_owned());
    }
    None
}

fn origin(headers: &HeaderMap) -> Option<Authority> {
    let origin: Uri = text(headers, header::ORIGIN)?.parse().ok()?;
    origin.into_parts().authority
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, headers: &[(&'static str, &str)], allowed: bool) {
        let hosts = Hosts::new(vec!["logs.example".to_owned()]);
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let refusal = refusal(&hosts, &path.parse().unwrap(), &headers);
        assert_eq!(refusal.is_none(), allowed, "{path} {headers:?}: {refusal:?}");
    }

    #[test]
    fn addresses_localhost_and_listed_names_are_allowed_and_other_names_are_not() {
        for host in
            ["127.0.0.1:9880", "[::1]:9880", "localhost:9880", "LOCALHOST", "logs.example", "10.1.2.3"]
        {
            check("/", &[("host", host)], true);
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:9880", "x logs.example"]
        {
            check("/", &[("host", host)], false);
        }
        check("/", &[], false);
    }

    #[test]
    fn another_sites_origin_is_refused() {
        let host = ("host", "127.0.0.1:9880");
        check("/api/search", &[host, ("origin", "http://127.0.0.1:9880")], true);
        for origin in ["http://evil.example", "http://127.0.0.1:9881", "null", ""] {
            check("/api/search", &[host, ("origin", origin)], false);
        }
    }

    #[test]
    fn other_sites_may_link_to_the_page_but_not_ask_for_data() {
        let host = ("host", "localhost:9880");
        for site in ["cross-site", "same-site"] {
            check("/", &[host, ("sec-fetch-site", site)], true);
            check("/api/search", &[host, ("sec-fetch-site", site)], false);
        }
        check("/api/search", &[host, ("sec-fetch-site", "same-origin")], true);
    }
}
