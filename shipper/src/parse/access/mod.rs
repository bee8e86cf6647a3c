//! Access logs of web servers: the common and the combined format of Apache and nginx, with a virtual host before them
//! and what servers add behind them.
//!
//! ```text
//! 203.0.113.7 - frank [20/Nov/2026:21:39:19 +0100] "GET /a?b=c HTTP/1.1" 200 2326 "http://referrer/" "agent"
//! host        id user  time                         request               status bytes  (combined only)
//! ```

mod tail;

use std::borrow::Cow;

use memchr::memrchr;
use weir_record::scan::{clean_prefix, find};
use weir_record::schema::Field;

use super::draft::{Draft, is_ip_address, is_number};
use super::format::Format;

/// The inside of a quoted part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'l> {
    pub(super) text: &'l str,
    /// Whether neither a backslash is in it nor anything else that JSON escapes.
    is_clean: bool,
}

impl<'l> Quoted<'l> {
    /// The text without its escapes.
    fn unescaped(&self) -> Cow<'l, str> {
        if self.is_clean { Cow::Borrowed(self.text) } else { unescape(self.text) }
    }

    /// Writes the text without its escapes.
    fn write(&self, field: Field, draft: &mut Draft<'_>) {
        draft.writer.string_or_clean(field, &self.unescaped(), self.is_clean);
    }
}

/// The parts of a line, as they stand in it.
struct Parts<'l> {
    /// The virtual host that stands before all else, with its port.
    domain: Option<&'l str>,
    host: &'l str,
    /// The addresses that stand in the host's place, where a proxy told several (`X-Forwarded-For`).
    forwarded: Option<&'l str>,
    user: &'l str,
    time: &'l str,
    request: Quoted<'l>,
    status: &'l str,
    bytes: &'l str,
    /// Referrer and user agent.
    combined: Option<(Quoted<'l>, Quoted<'l>)>,
    /// What else follows.
    tail: &'l str,
}

/// Fills `draft` from `line`; returns which of the two formats it has. None where it has neither: the draft has to be
/// reset then.
pub(super) fn parse(line: &str, draft: &mut Draft<'_>) -> Option<Format> {
    let parts = split(line)?;
    let moment = draft.clock.read_access(parts.time.as_bytes())?;
    draft.time(moment);
    draft.writer.string(Field::Message, line);
    draft.source(parts.host);
    if let Some(domain) = parts.domain {
        draft.domain(domain);
    }
    if let Some(addresses) = parts.forwarded {
        draft.writer.attribute_string("x_forwarded_for", addresses);
    }
    // Jetty and others leave more than one blank between the parts.
    let user = parts.user.trim_ascii();
    if !matches!(user, "-" | "" | "\"\"") {
        draft.writer.string(Field::UserName, &unescape(user));
    }
    quoted_request(parts.request, draft);
    for (field, number) in
        [(Field::HttpResponseStatusCode, parts.status), (Field::HttpResponseBodyBytes, parts.bytes)]
    {
        match number.as_bytes() {
            // It is one, and stands as JSON writes it.
            digits @ [b'1'..=b'9', ..] => drop(draft.writer.raw(field, digits)),
            _ => drop(draft.digits(field, number)),
        }
    }
    if let Some((referrer, agent)) = parts.combined {
        for (field, part) in [(Field::HttpRequestReferrer, referrer), (Field::UserAgentOriginal, agent)] {
            if matches!(part.text, "-" | "") {
                continue;
            }
            part.write(field, draft);
        }
    }
    let format = if parts.combined.is_some() { Format::Combined } else { Format::Common };
    if !parts.tail.is_empty() {
        tail::write(parts.tail, format, draft);
    }
    Some(format)
}

/// Whether a line is of an access log, by its shape alone.
pub(super) fn is_access(line: &str) -> bool {
    split(line).is_some()
}

#[inline(always)]
fn split(line: &str) -> Option<Parts<'_>> {
    // A user's name may have blanks: it ends where the time begins.
    let bracket = find(b'[', line.as_bytes())?;
    let Who { domain, host, forwarded, user } = who(line[..bracket].strip_suffix(' ')?)?;
    let rest = &line[bracket + 1..];
    let time_end = find(b']', rest.as_bytes())?;
    let time = &rest[..time_end];
    let (request, rest) = quoted_part(rest[time_end + 1..].strip_prefix(' ')?)?;
    let rest = rest.strip_prefix(' ')?;
    let (status, rest) = match rest.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', ..] => (&rest[..3], &rest[4..]),
        [b'-', b' ', ..] => (&rest[..1], &rest[2..]),
        _ => return None,
    };
    let (bytes, rest) = rest.split_at(find(b' ', rest.as_bytes()).unwrap_or(rest.len()));
    let is_count = bytes == "-" || is_number(bytes);
    if !is_count || host.is_empty() {
        return None;
    }
    let (combined, tail) = match combined_parts(rest) {
        Some((parts, tail)) => (Some(parts), tail),
        None => (None, rest),
    };
    Some(Parts { domain, host, forwarded, user, time, request, status, bytes, combined, tail })
}

/// What stands before the time.
struct Who<'l> {
    domain: Option<&'l str>,
    host: &'l str,
    forwarded: Option<&'l str>,
    user: &'l str,
}

/// `host identity user`, `domain:port host identity user`, lighttpd's `host domain user`, and an address alone.
#[inline(always)]
fn who(text: &str) -> Option<Who<'_>> {
    let Some((first, rest)) = word(text) else {
        return is_ip_address(text).then_some(Who { domain: None, host: text, forwarded: None, user: "-" });
    };
    if first.ends_with(',') || first.starts_with('"') {
        return behind_proxies(text);
    }
    let (second, rest) = word(rest)?;
    let (domain, host, user) = match word(rest) {
        _ if second == "-" => (None, first, rest),
        Some(("-", user)) => (Some(first), second, user),
        Some((_, user)) if is_ip_address(second) && !is_ip_address(first) => (Some(first), second, user),
        _ if second.contains('.') => (Some(second), first, rest),
        _ => (None, first, rest),
    };
    Some(Who { domain, host, forwarded: None, user })
}

/// `client, proxy, proxy - user`, with quotes around the addresses and the last proxy's own address behind them on demand.
#[cold]
fn behind_proxies(text: &str) -> Option<Who<'_>> {
    let (addresses, user) = text.split_once(" - ")?;
    let host = addresses.trim_start_matches('"').split([',', '"', ' ']).next()?;
    Some(Who { domain: None, host, forwarded: Some(addresses), user })
}

/// Referrer and user agent, and what else follows them.
#[inline(always)]
fn combined_parts(rest: &str) -> Option<((Quoted<'_>, Quoted<'_>), &str)> {
    let (referrer, rest) = quoted_part(rest.strip_prefix(' ')?)?;
    let (agent, rest) = quoted_part(rest.strip_prefix(' ')?)?;
    Some(((referrer, agent), rest))
}

/// `GET /path?query HTTP/1.1`. What is none (bytes of a TLS handshake, for one) stays an attribute.
pub(super) fn request(text: &str, draft: &mut Draft<'_>) {
    let is_clean = clean_prefix(text.as_bytes()) == text.len();
    quoted_request(Quoted { text, is_clean }, draft);
}

fn quoted_request(request: Quoted<'_>, draft: &mut Draft<'_>) {
    let text = request.text;
    if matches!(text, "-" | "") {
        return;
    }
    let parts = word(text).and_then(|(method, rest)| {
        let (target, version) = match version(rest) {
            Some((target, version)) => (target, Some(version)),
            None => (rest, None),
        };
        let is_method = method.starts_with(|c: char| c.is_ascii_uppercase())
            && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        (is_method && !target.is_empty()).then_some((method, target, version))
    });
    let Some((method, target, version)) = parts else {
        return draft.writer.attribute_string("request", &request.unescaped());
    };
    let part = |text| Quoted { text, ..request };
    draft.writer.string_or_clean(Field::HttpRequestMethod, method, request.is_clean);
    draft.url(&part(target).unescaped(), request.is_clean);
    if let Some(version) = version {
        draft.writer.string_or_clean(Field::HttpVersion, version, request.is_clean);
    }
}

/// Splits `/path HTTP/1.1` before its last word, which most often is as long as this one's.
fn version(text: &str) -> Option<(&str, &str)> {
    if let Some((target, [b' ', b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'])) =
        text.as_bytes().split_last_chunk()
    {
        let at = target.len();
        return Some((&text[..at], &text[at + " HTTP/".len()..]));
    }
    let at = memrchr(b' ', text.as_bytes())?;
    Some((&text[..at], text[at + 1..].strip_prefix("HTTP/")?))
}

#[inline(always)]
fn word(text: &str) -> Option<(&str, &str)> {
    let end = find(b' ', text.as_bytes())?;
    Some((&text[..end], &text[end + 1..]))
}

/// The inside of a quoted text, and what follows it.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    quoted_part(text).map(|(part, rest)| (part.text, rest))
}

#[inline(always)]
fn quoted_part(text: &str) -> Option<(Quoted<'_>, &str)> {
    let inside = text.strip_prefix('"')?;
    let (mut at, mut is_clean) = (0, true);
    loop {
        at += clean_prefix(inside.as_bytes().get(at..)?);
        at += match inside.as_bytes().get(at)? {
            b'"' => return Some((Quoted { text: &inside[..at], is_clean }, &inside[at + 1..])),
            b'\\' => 2,
            _control => 1,
        };
        is_clean = false;
    }
}

/// Undoes `\"`, `\\` and `\xHH`. Where that makes no UTF-8, the text stays as it is.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if find(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        let (byte, length) = match (first, after) {
            (b'\\', [b'x', high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, 4),
                _ => (first, 1),
            },
            (b'\\', [escaped @ (b'"' | b'\\'), ..]) => (*escaped, 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            _ => (first, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::testing::{check, check_unparsed, quoted_line};

    #[test]
    fn a_combined_line_is_read_whole() {
        let line = r#"203.0.113.7 - frank [20/Nov/2026:21:39:19 +0100] "GET /cart/add?id=7&n=2 HTTP/1.1" 200 2326 "https://shop.example.org/" "Mozilla/5.0 (X11; Linux x86_64)""#;
        let expected = format!(
            r#"{{"@timestamp":"2026-11-20T20:39:19.000Z","message":{},"source.ip":"203.0.113.7","user.name":"frank","http.request.method":"GET",
               "url.original":"/cart/add?id=7&n=2","url.path":"/cart/add","url.query":"id=7&n=2","http.version":"1.1","http.response.status_code":200,
               "http.response.body.bytes":2326,"http.request.referrer":"https://shop.example.org/","user_agent.original":"Mozilla/5.0 (X11; Linux x86_64)"}}"#,
            quoted_line(line)
        );
        check(Format::Auto, line, &expected);
        check(Format::Combined, line, &expected);
    }

    #[test]
    fn a_common_line_may_lack_everything() {
        let line = r#"client.example.org - - [10/Oct/2000:13:55:36 -0700] "-" - -"#;
        let expected = format!(
            r#"{{"@timestamp":"2000-10-10T20:55:36.000Z","message":{},"source.address":"client.example.org"}}"#,
            quoted_line(line)
        );
        check(Format::Auto, line, &expected);
        check(Format::Common, line, &expected);
        check(Format::Combined, line, &expected);
    }

    #[test]
    fn escapes_and_ipv6_and_odd_requests_are_kept() {
        let line = r#"2001:db8::1 - a b [20/Nov/2026:21:39:19 +0000] "\x16\x03\x01" 400 0 "-" "say \x22hi\x22 \"you\" \xff""#;
        let expected = format!(
            r#"{{"@timestamp":"2026-11-20T21:39:19.000Z","message":{},"source.ip":"2001:db8::1","user.name":"a b","attributes.request":"\u0016\u0003\u0001",
               "http.response.status_code":400,"http.response.body.bytes":0,"user_agent.original":"say \\x22hi\\x22 \\\"you\\\" \\xff"}}"#,
            quoted_line(line)
        );
        check(Format::Auto, line, &expected);
    }

    #[test]
    fn quotes_inside_a_quoted_part_are_undone() {
        let line = r#"::1 - - [20/Nov/2026:21:39:19 +0000] "OPTIONS * HTTP/1.0" 200 - "http://x/?q=\x22a b\x22" "b\"c" 0.012 extra"#;
        let expected = format!(
            r#"{{"@timestamp":"2026-11-20T21:39:19.000Z","message":{},"source.ip":"::1","http.request.method":"OPTIONS","url.original":"*","http.version":"1.0",
               "http.response.status_code":200,"http.request.referrer":"http://x/?q=\"a b\"","user_agent.original":"b\"c","event.duration":12000000}}"#,
            quoted_line(line)
        );
        check(Format::Auto, line, &expected);
    }

    #[test]
    fn what_is_no_access_line_is_left_to_others() {
        for line in [
            r#"203.0.113.7 - - [no time] "GET / HTTP/1.1" 200 1"#,
            r#"203.0.113.7 - - [20/Nov/2026:21:39:19 +0100] "GET / HTTP/1.1" 20x 1"#,
            r#"203.0.113.7 - - [20/Nov/2026:21:39:19 +0100] "GET / HTTP/1.1"#,
            "203.0.113.7 - -",
        ] {
            check_unparsed(Format::Combined, line);
            check_unparsed(Format::Common, line);
        }
    }
}
