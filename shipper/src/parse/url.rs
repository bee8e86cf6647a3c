//! The parts of a URL or of a request's target, as they stand in it: nothing is decoded.

use memchr::{memchr3, memrchr};
use weir_record::scan::find_either;

use super::cut::Cut;

/// What a URL names; empty, or none, is what it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Url<'u> {
    pub(super) scheme: &'u str,
    /// Host and port.
    pub(super) authority: &'u str,
    pub(super) path: &'u str,
    /// Behind the question mark.
    pub(super) query: &'u str,
}

/// Splits `/path?query`, `https://user@host:443/path?query#fragment`, or the `host:443` of a CONNECT.
pub(super) fn split(target: &str) -> Url<'_> {
    let (scheme, authority, rest) = if target.starts_with('/') {
        ("", "", target)
    } else if let Some((scheme, rest)) = target.cut("://").filter(|(name, _)| is_scheme(name)) {
        let end = memchr3(b'/', b'?', b'#', rest.as_bytes()).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let host = memrchr(b'@', authority.as_bytes()).map_or(0, |at| at + 1);
        (scheme, &authority[host..], rest)
    } else if host_and_port(target).1.is_some() {
        ("", target, "")
    } else {
        return Url::default();
    };
    let path_end = find_either(b'?', b'#', rest.as_bytes()).unwrap_or(rest.len());
    let (path, behind) = rest.split_at(path_end);
    let query = behind.strip_prefix('?').unwrap_or_default();
    let query = query.cut_byte(b'#').map_or(query, |(query, _)| query);
    Url { scheme, authority, path, query }
}

/// A host, without the brackets of an IPv6 address, and the port behind it.
pub(super) fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let port = |digits: &str| digits.parse::<u16>().ok().filter(|_| !digits.starts_with('+'));
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        return (host, rest.strip_prefix(':').and_then(port));
    }
    match authority.split_once(':') {
        Some((host, digits)) if !host.is_empty() && port(digits).is_some() => (host, port(digits)),
        _ => (authority, None),
    }
}

fn is_scheme(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_where_the_standard_splits_it() {
        let check = |target, scheme, authority, path, query| {
            assert_eq!(split(target), Url { scheme, authority, path, query }, "{target}");
        };
        check("/", "", "", "/", "");
        check("/cart?id=7&next=http://a/?b#top", "", "", "/cart", "id=7&next=http://a/?b");
        check("/a#b?c", "", "", "/a", "");
        check("/a?", "", "", "/a", "");
        check("https://shop.example.org/a?b", "https", "shop.example.org", "/a", "b");
        check("http://shop.example.org:8080?b#c", "http", "shop.example.org:8080", "", "b");
        check("http://u:p@[2001:db8::1]:80/@x", "http", "[2001:db8::1]:80", "/@x", "");
        check("shop.example.org:443", "", "shop.example.org:443", "", "");
        check("wss://h", "wss", "h", "", "");
        for other in ["*", "", "no url", "a b://c/d", "://x", "1x://y", ":443", "a:b:c"] {
            check(other, "", "", "", "");
        }
    }

    #[test]
    fn a_port_is_one_only_behind_a_host() {
        let check = |authority, host, port| assert_eq!(host_and_port(authority), (host, port), "{authority}");
        check("shop.example.org", "shop.example.org", None);
        check("shop.example.org:443", "shop.example.org", Some(443));
        check("[::1]:8080", "::1", Some(8080));
        check("[::1]", "::1", None);
        check("::1", "::1", None);
        check("2001:db8::1", "2001:db8::1", None);
        for odd in [":80", "a:", "a:65536", "a:+1", "a:b"] {
            check(odd, odd, None);
        }
    }
}
