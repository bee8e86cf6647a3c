//! Requests as frameworks write them for people: the access logs of Gin, uvicorn, uWSGI, morgan, Django's own server
//! and OpenStack, Apache's of TLS, and Rails' lines, with a logger's prefix or without.
//!
//! ```text
//! [GIN] 2026/11/20 - 21:39:19 | 200 |     812.123µs |     203.0.113.7 | GET      "/cart"
//! INFO:     203.0.113.7:52752 - "GET /cart HTTP/1.1" 200 OK
//! GET /cart 200 12.345 ms - 1024
//! [20/Nov/2026 21:39:19] "GET /cart HTTP/1.1" 200 1234
//! [20/Nov/2026:21:39:19 +0100] 203.0.113.7 TLSv1.3 TLS_AES_256_GCM_SHA384 "GET /cart HTTP/1.1" 1234
//! 203.0.113.7 "GET /cart HTTP/1.1" status: 200 len: 1893 time: 0.2477829
//! [pid: 42|app: 0|req: 1/7] 203.0.113.7 () {38 vars in 696 bytes} [Fri Nov 20 21:39:19 2026] GET /cart => generated 47
//! bytes in 129 msecs (HTTP/1.1 200) 9 headers in 378 bytes (1 switches on core 3)
//! Started GET "/cart" for 203.0.113.7 at 2026-11-20 21:39:19 +0100
//! Processing by CartsController#show as HTML
//!   Parameters: {"id"=>"7"}
//! Completed 200 OK in 15ms (Views: 10.1ms | ActiveRecord: 2.2ms | Allocations: 4711)
//! ```

use weir_record::Level;
use weir_record::schema::Field;

use super::super::access;
use super::super::cut::Cut;
use super::super::draft::{Draft, Value, is_number};
use super::super::format::Format;
use super::super::keys::{Meaning, Unit};
use super::super::row::address;

/// Fills `draft` from a record of one of these, whose text stays whole. None where it is none.
pub(super) fn parse(record: &str, draft: &mut Draft<'_>) -> Option<Format> {
    let format = match record.as_bytes().first()? {
        b'[' => gin(record, draft)
            .map(|()| Format::Go)
            .or_else(|| runserver(record, draft).map(|()| Format::Python))
            .or_else(|| uwsgi(record, draft).map(|()| Format::Python))
            .or_else(|| ssl_request(record, draft).map(|()| Format::Plain)),
        b'E' => gin_errors(record, draft).map(|()| Format::Go),
        b'G' | b'P' | b'D' | b'H' | b'O' if morgan(record, draft).is_some() => Some(Format::Node),
        b'S' | b'P' | b'C' | b' ' => rails(record, draft).map(|()| Format::Ruby),
        _ => None,
    }?;
    draft.writer.string(Field::Message, record);
    Some(format)
}

fn gin(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let first = record.lines().next()?;
    if let Some(rest) = first.strip_prefix("[GIN-debug] ") {
        let level = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((name, _)) => Level::from_name(name.as_bytes()).unwrap_or(Level::Debug),
            None => Level::Debug,
        };
        draft.writer.level(level);
        return Some(());
    }
    let mut columns = first.strip_prefix("[GIN] ")?.split(" | ").map(str::trim);
    let (date, time) = columns.next()?.cut(" - ")?;
    let (status, latency) = (columns.next()?, columns.next()?);
    let (client, request) = (columns.next()?, columns.next()?);
    columns.next().is_none().then_some(())?;
    let (method, path) = request.split_once([' ', '\t'])?;
    let path = path.trim_start().strip_prefix('"')?.strip_suffix('"')?;
    let moment = draft.clock.read_all([date, time].join(" ").as_bytes())?;
    draft.assign(Meaning::Status, Value::Plain(status)).then_some(())?;
    draft.time(moment);
    draft.assign(Meaning::Duration(Unit::InValue), Value::Plain(latency));
    draft.source(client);
    draft.assign(Meaning::Keyword(Field::HttpRequestMethod), Value::Plain(method));
    draft.url(path, false);
    if let Some((_, errors)) = record.split_once('\n') {
        gin_errors(errors, draft);
    }
    Some(())
}

/// `Error #01: write: broken pipe`: what handlers have noted stands below the request.
fn gin_errors(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (number, message) = text.lines().next()?.strip_prefix("Error #")?.cut(": ")?;
    is_number(number).then_some(())?;
    draft.writer.level(Level::Error);
    draft.writer.string(Field::ErrorMessage, message);
    Some(())
}

/// `[20/Nov/2026 21:39:19] "GET /cart HTTP/1.1" 200 1234` (Django's server for development).
fn runserver(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (time, rest) = record.strip_prefix('[')?.cut("] \"")?;
    let (request, rest) = rest.cut("\" ")?;
    let (status, bytes) = rest.cut_word()?;
    (status.len() == 3 && is_number(status) && is_number(bytes)).then_some(())?;
    let moment = draft.clock.read_all(time.as_bytes())?;
    draft.time(moment);
    access::request(request, draft);
    draft.assign(Meaning::Status, Value::Plain(status));
    draft.assign(Meaning::Long(Field::HttpResponseBodyBytes), Value::Plain(bytes));
    Some(())
}

/// uWSGI's line: process, client, user in parentheses, time, request, bytes, duration with its unit, answer.
fn uwsgi(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (pid, rest) = record.strip_prefix("[pid: ")?.cut_byte(b'|')?;
    let (client, rest) = rest.cut("] ")?.1.cut(" (")?;
    let (user, rest) = rest.cut(") {")?;
    let (time, rest) = rest.cut("} [")?.1.cut("] ")?;
    let (request, rest) = rest.cut(" => generated ")?;
    let (method, path) = request.cut_word()?;
    let (bytes, rest) = rest.cut(" bytes in ")?;
    let (took, rest) = rest.cut_word()?;
    let (unit, rest) = rest.cut_word()?;
    let (version, rest) = rest.cut("(HTTP/")?.1.cut_word()?;
    let (status, _) = rest.cut_byte(b')')?;
    let unit = match unit {
        "msecs" => Unit::Millis,
        "micros" => Unit::Micros,
        _ => return None,
    };
    let moment = draft.clock.read_all(time.as_bytes())?;
    draft.assign(Meaning::Status, Value::Plain(status)).then_some(())?;
    draft.time(moment);
    draft.assign(Meaning::Long(Field::ProcessPid), Value::Plain(pid));
    draft.source(client);
    if !user.is_empty() {
        draft.writer.string(Field::UserName, user);
    }
    draft.assign(Meaning::Keyword(Field::HttpRequestMethod), Value::Plain(method));
    draft.url(path, false);
    draft.assign(Meaning::Keyword(Field::HttpVersion), Value::Plain(version));
    draft.assign(Meaning::Long(Field::HttpResponseBodyBytes), Value::Plain(bytes));
    draft.assign(Meaning::Duration(unit), Value::Plain(took));
    Some(())
}

/// `[20/Nov/2026:21:39:19 +0100] 203.0.113.7 TLSv1.3 TLS_AES_256_GCM_SHA384 "GET /cart HTTP/1.1" 1234` (Apache's
/// `ssl_request_log`).
fn ssl_request(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (time, rest) = record.strip_prefix('[')?.cut("] ")?;
    let (client, rest) = rest.cut_word()?;
    let (protocol, rest) = rest.cut_word()?;
    let (cipher, rest) = rest.cut_word()?;
    let (request, bytes) = access::quoted(rest)?;
    let bytes = bytes.strip_prefix(' ')?;
    let is_count = bytes == "-" || is_number(bytes);
    let is_tls =
        protocol.starts_with("TLSv") || protocol.starts_with("SSLv") || (protocol, cipher) == ("-", "-");
    (is_tls && is_count).then_some(())?;
    let moment = draft.clock.read_access(time.as_bytes())?;
    draft.time(moment);
    draft.source(client);
    if protocol != "-" {
        draft.writer.attribute_string("tls_protocol", protocol);
        draft.writer.attribute_string("tls_cipher", cipher);
    }
    access::request(request, draft);
    draft.assign(Meaning::Long(Field::HttpResponseBodyBytes), Value::Plain(bytes));
    Some(())
}

/// `GET /cart 200 12.345 ms - 1024` and `GET /cart 200 1024 - 12.345 ms` (morgan's `dev` and `tiny`, for Node).
fn morgan(record: &str, draft: &mut Draft<'_>) -> Option<()> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    let mut words = record.split(' ');
    let (method, path, status) = (words.next()?, words.next()?, words.next()?);
    let rest = [words.next()?, words.next()?, words.next()?, words.next()?];
    let (took, bytes) = match rest {
        [took, "ms", "-", bytes] | [bytes, "-", took, "ms"] => (took, bytes),
        _ => return None,
    };
    let is_decimal = |text: &str| text.parse::<f64>().is_ok();
    let is_request = METHODS.contains(&method) && path.starts_with('/') && status.len() == 3;
    let is_whole = is_decimal(took) && (bytes == "-" || is_decimal(bytes)) && words.next().is_none();
    (is_request && is_whole).then_some(())?;
    draft.assign(Meaning::Status, Value::Plain(status)).then_some(())?;
    draft.assign(Meaning::Keyword(Field::HttpRequestMethod), Value::Plain(method));
    draft.url(path, false);
    draft.assign(Meaning::Duration(Unit::Millis), Value::Plain(took));
    draft.assign(Meaning::Long(Field::HttpResponseBodyBytes), Value::Plain(bytes));
    Some(())
}

/// What uvicorn says of a request: fills in all but the message.
pub(super) fn uvicorn(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (client, rest) = text.cut(" - \"")?;
    let (request, answer) = rest.cut("\" ")?;
    let (status, _) = answer.cut_word().unwrap_or((answer, ""));
    (status.len() == 3 && !client.contains(' ')).then_some(())?;
    draft.assign(Meaning::Status, Value::Plain(status)).then_some(())?;
    address(client, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
    access::request(request, draft);
    Some(())
}

/// What OpenStack's services say of a request: fills in all but the message. Clients are those of proxies too.
pub(super) fn eventlet(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (clients, rest) = text.cut(" \"")?;
    let (request, rest) = rest.cut("\" status: ")?;
    let (status, rest) = rest.cut(" len: ")?;
    let (bytes, took) = rest.cut(" time: ")?;
    (!clients.contains(' ')).then_some(())?;
    draft.assign(Meaning::Status, Value::Plain(status)).then_some(())?;
    draft.source(clients.split(',').next()?);
    access::request(request, draft);
    draft.assign(Meaning::Long(Field::HttpResponseBodyBytes), Value::Plain(bytes));
    let took = took.split(' ').next().unwrap_or_default();
    draft.assign(Meaning::Duration(Unit::Seconds), Value::Plain(took));
    Some(())
}

/// What Rails says of a request: fills in all but the message. None, and nothing written, where it is something else.
pub(super) fn rails(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    if let Some(rest) = text.strip_prefix("Started ") {
        return started(rest, draft);
    }
    if let Some(rest) = text.strip_prefix("Processing by ") {
        let (controller, rest) = rest.split_once('#')?;
        let (action, format) = rest.cut(" as ")?;
        (!controller.contains(' ') && !action.contains(' ')).then_some(())?;
        for (name, value) in [("controller", controller), ("action", action), ("format", format)] {
            draft.writer.attribute_string(name, value);
        }
        return Some(());
    }
    if let Some(rest) = text.strip_prefix("Completed ") {
        let (status, rest) = rest.cut_word()?;
        let (_, took) = rest.cut(" in ")?;
        let took = took.split(' ').next().filter(|took| took.ends_with("ms"))?;
        draft.assign(Meaning::Status, Value::Plain(status)).then_some(())?;
        draft.assign(Meaning::Duration(Unit::InValue), Value::Plain(took));
        return Some(());
    }
    const OTHERS: [&str; 5] =
        ["Redirected to http", "Filter chain halted as :", "  Rendering ", "  ↳ ", "  Parameters: {"];
    if OTHERS.iter().any(|start| text.starts_with(start)) {
        return Some(());
    }
    let inside = text.strip_prefix("  ")?;
    if let Some(rest) = inside.strip_prefix("Rendered ") {
        let (_, took) = rest.strip_suffix(')')?.cut_last(" (")?;
        let took = took.strip_prefix("Duration: ").unwrap_or(took);
        let took = took.split(" | ").next().filter(|took| took.ends_with("ms"))?;
        draft.assign(Meaning::Duration(Unit::InValue), Value::Plain(took));
        return Some(());
    }
    statement(inside, draft)
}

/// `Post Load (0.4ms)  SELECT "posts".* FROM "posts"`.
fn statement(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    const NAME_BYTES_MAX: usize = 60;
    let (name, rest) = text.cut("(")?;
    let (took, _) = rest.cut(")  ")?;
    (name.len() <= NAME_BYTES_MAX && took.ends_with("ms")).then_some(())?;
    draft.assign(Meaning::Duration(Unit::InValue), Value::Plain(took)).then_some(())
}

/// `GET "/cart" for 203.0.113.7 at 2026-11-20 21:39:19 +0100`.
fn started(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (method, rest) = text.cut(" \"")?;
    method.bytes().all(|byte| byte.is_ascii_uppercase()).then_some(())?;
    let (path, rest) = rest.cut_last("\" for ")?;
    let (client, time) = rest.cut(" at ")?;
    let moment = draft.clock.read_all(time.as_bytes())?;
    draft.time(moment);
    draft.assign(Meaning::Keyword(Field::HttpRequestMethod), Value::Plain(method));
    draft.url(path, false);
    draft.source(client);
    Some(())
}
