//! HAProxy's HTTP and TCP log, as it stands behind a syslog header or alone.
//!
//! ```text
//! client:port     [accepted]                 frontend backend/server timers       status bytes cookies state connections queues  headers request
//! 10.0.1.2:33317 [06/Feb/2026:12:14:14.655] http-in  static/srv1   10/0/30/69/109 200   2750  - -     ----  1/1/1/1/0   0/0     {a} {} "GET / HTTP/1.1"
//! 10.0.1.2:33313 [06/Feb/2026:12:12:51.443] fnt      bck/srv1      0/0/5007             212           --    0/0/0/0/3   0/0
//! 10.0.1.2:33313 [06/Feb/2026:12:12:51.443] fnt/1: SSL handshake failure
//! Connect from 10.0.1.2:33313 to 10.0.1.1:80 (fnt/HTTP)                        a frontend without a format of its own
//! ```
//! <https://docs.haproxy.org/3.0/configuration.html#8.2>

use memchr::memchr;
use weir_record::Level;
use weir_record::schema::Field;

use super::access;
use super::cut::Cut;
use super::draft::{Draft, Value};
use super::keys::Meaning;
use super::row::address;

/// Fills `draft` from `line`. None where it has another format: the draft has to be reset then.
pub(super) fn parse(line: &str, draft: &mut Draft<'_>) -> Option<()> {
    if let Some(connection) = line.strip_prefix("Connect from ") {
        return connect(line, connection, draft);
    }
    let (client, rest) = line.cut(" [")?;
    let is_address = memchr(b' ', client.as_bytes()).is_none() && client.contains(':');
    is_address.then_some(())?;
    let (time, rest) = rest.cut("] ")?;
    let (moment, length) = draft.clock.read_prefix(time.as_bytes())?;
    (length == time.len()).then_some(())?;
    if let Some((frontend, error)) = rest.cut(": ").filter(|(name, _)| !name.contains(' ')) {
        draft.writer.level(Level::Warning);
        draft.writer.attribute_string("frontend_name", frontend);
        draft.writer.string(Field::ErrorMessage, error);
    } else {
        row(rest, draft)?;
    }
    draft.time(moment);
    address(client, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
    draft.writer.string(Field::Message, line);
    Some(())
}

/// A connection as it was accepted, of which nothing else is said.
fn connect(line: &str, connection: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (client, rest) = connection.cut(" to ")?;
    let (server, frontend) = rest.cut(" (")?;
    let (frontend, mode) = frontend.strip_suffix(')')?.split_once('/')?;
    matches!(mode, "HTTP" | "TCP").then_some(())?;
    draft.writer.string(Field::Message, line);
    address(client, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
    draft.writer.attribute_string("frontend_address", server);
    draft.writer.attribute_string("frontend_name", frontend);
    Some(())
}

/// What follows the time of a connection that was accepted.
fn row(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let frontend = words.next()?;
    let (backend, server) = words.next()?.split_once('/')?;
    let timers = words.next()?;
    let number = words.next()?;
    let is_http = match timers.split('/').count() {
        5 => true,
        3 => false,
        _ => return None,
    };
    if is_http {
        (number == "-1" || draft.assign(Meaning::Status, Value::Plain(number))).then_some(())?;
        bytes(words.next()?, draft)?;
        for name in ["request_cookie", "response_cookie"] {
            attribute(name, words.next()?, draft);
        }
    } else {
        bytes(number, draft)?;
    }
    draft.writer.attribute_string("frontend_name", frontend);
    draft.writer.attribute_string("backend_name", backend);
    draft.writer.attribute_string("server_name", server);
    write_timers(timers, draft);
    attribute("termination_state", words.next()?, draft);
    attribute("connections", words.next()?, draft);
    attribute("queues", words.next()?, draft);
    if is_http {
        headers_and_request(text, draft);
    }
    Some(())
}

/// `TR/Tw/Tc/Tr/Ta` or `Tw/Tc/Tt`, milliseconds; -1 where it was not reached, a plus where it went on.
fn write_timers(timers: &str, draft: &mut Draft<'_>) {
    const HTTP: [&str; 4] = ["time_request_ms", "time_queue_ms", "time_connect_ms", "time_response_ms"];
    let names = if timers.split('/').count() == 5 { &HTTP[..] } else { &HTTP[1..3] };
    for (name, timer) in names.iter().zip(timers.split('/')) {
        draft.attribute_text(name, timer.trim_start_matches('+'));
    }
    let total = timers.rsplit('/').next().unwrap_or_default().trim_start_matches('+');
    if let Some(nanos) = super::duration::parse(total, super::keys::Unit::Millis) {
        draft.writer.integer(Field::EventDuration, nanos);
    }
}

fn headers_and_request(text: &str, draft: &mut Draft<'_>) {
    let Some(quote) = memchr(b'"', text.as_bytes()) else { return };
    let (before, request) = text.split_at(quote);
    let mut rest = before;
    for name in ["request_headers", "response_headers"] {
        let Some((_, inside)) = rest.split_once('{') else { break };
        let Some((headers, after)) = inside.split_once('}') else { break };
        if !headers.is_empty() {
            draft.writer.attribute_string(name, headers);
        }
        rest = after;
    }
    // The request is cut where the log line was too long.
    let request = request[1..].strip_suffix('"').unwrap_or(&request[1..]);
    if request != "<BADREQ>" {
        access::request(request, draft);
    }
}

fn bytes(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let number = text.trim_start_matches('+').parse().ok()?;
    draft.writer.integer(Field::HttpResponseBodyBytes, number);
    Some(())
}

fn attribute(name: &str, text: &str, draft: &mut Draft<'_>) {
    if text != "-" {
        draft.writer.attribute_string(name, text);
    }
}
