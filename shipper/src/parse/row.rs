//! Access logs that are a row of words with a fixed meaning each: Envoy and Istio, Amazon's load balancers and S3, Squid.
//!
//! A word ends at a blank; one that begins with a quote or a bracket ends with it. `-` is nothing. `message` is the
//! whole line: what a layout has no column for is there.

use memchr::{memchr, memchr2};
use weir_record::schema::Field;

use super::access;
use super::draft::{Draft, Value, is_ip_address};
use super::format::Format;
use super::keys::{Meaning, Unit};
use super::time::epoch;
use Column::{Attribute, Client, Is, Number, Request, Status, Target, Url};
use Meaning::{Duration, Keyword, Long};

/// What one word of a row is.
#[derive(Clone, Copy, Debug)]
enum Column {
    /// A field of the schema; an attribute of that name where it is not of its type.
    Is(&'static str, Meaning),
    /// The event's time.
    Time,
    /// `GET /path HTTP/1.1`.
    Request,
    /// A URL, or the authority of `CONNECT`.
    Url,
    /// `address:port` of who asked.
    Client,
    /// `address:port` of who answered.
    Target,
    /// `TCP_MISS/200`.
    Status(&'static str),
    /// Text without a field.
    Attribute(&'static str),
    /// A number without a field.
    Number(&'static str),
}

/// The columns of a format, and how many of them every version of it has.
#[derive(Debug)]
struct Layout {
    columns: &'static [Column],
    words_min: usize,
}

const STATUS: Column = Is("status", Meaning::Status);
const AGENT: Column = Is("user_agent", Keyword(Field::UserAgentOriginal));
const SENT: Column = Is("bytes_sent", Long(Field::HttpResponseBodyBytes));
const RECEIVED: Column = Is("bytes_received", Long(Field::HttpRequestBodyBytes));
const DOMAIN: Column = Is("domain", Meaning::Domain);
const REQUEST_ID: Column = Is("request_id", Meaning::Identifier(Field::HttpRequestId));
const MILLIS: Column = Is("duration_ms", Duration(Unit::Millis));

/// <https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage>
static ENVOY: Layout = Layout {
    columns: &[
        Column::Time,
        Request,
        STATUS,
        Attribute("response_flags"),
        RECEIVED,
        SENT,
        MILLIS,
        Number("upstream_service_time"),
        Attribute("x_forwarded_for"),
        AGENT,
        REQUEST_ID,
        DOMAIN,
        Target,
    ],
    words_min: 13,
};

/// <https://istio.io/latest/docs/tasks/observability/logs/access-log/>
static ISTIO: Layout = Layout {
    columns: &[
        Column::Time,
        Request,
        STATUS,
        Attribute("response_flags"),
        Attribute("response_code_details"),
        Attribute("connection_termination_details"),
        Attribute("upstream_transport_failure_reason"),
        RECEIVED,
        SENT,
        MILLIS,
        Number("upstream_service_time"),
        Attribute("x_forwarded_for"),
        AGENT,
        REQUEST_ID,
        DOMAIN,
        Target,
        Attribute("upstream_cluster"),
        Attribute("upstream_local_address"),
        Attribute("downstream_local_address"),
        Client,
        Attribute("requested_server_name"),
        Attribute("route_name"),
    ],
    words_min: 20,
};

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
static APPLICATION_BALANCER: Layout = Layout {
    columns: &[
        Attribute("type"),
        Column::Time,
        Attribute("elb"),
        Client,
        Target,
        Number("request_processing_time"),
        Number("target_processing_time"),
        Number("response_processing_time"),
        STATUS,
        Number("target_status_code"),
        RECEIVED,
        SENT,
        Request,
        AGENT,
        Attribute("ssl_cipher"),
        Attribute("ssl_protocol"),
        Attribute("target_group_arn"),
        Attribute("trace_id"),
        DOMAIN,
        Attribute("chosen_cert_arn"),
        Number("matched_rule_priority"),
        Attribute("request_creation_time"),
        Attribute("actions_executed"),
        Attribute("redirect_url"),
        Attribute("error_reason"),
        Attribute("target_port_list"),
        Attribute("target_status_code_list"),
        Attribute("classification"),
        Attribute("classification_reason"),
        Attribute("conn_trace_id"),
    ],
    words_min: 17,
};

/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html>
static CLASSIC_BALANCER: Layout = Layout {
    columns: &[
        Column::Time,
        Attribute("elb"),
        Client,
        Target,
        Number("request_processing_time"),
        Number("backend_processing_time"),
        Number("response_processing_time"),
        STATUS,
        Number("backend_status_code"),
        RECEIVED,
        SENT,
        Request,
        AGENT,
        Attribute("ssl_cipher"),
        Attribute("ssl_protocol"),
    ],
    words_min: 12,
};

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html>
static S3: Layout = Layout {
    columns: &[
        Attribute("bucket_owner"),
        Attribute("bucket"),
        Column::Time,
        Client,
        Is("requester", Keyword(Field::UserName)),
        REQUEST_ID,
        Is("operation", Keyword(Field::EventAction)),
        Attribute("key"),
        Request,
        STATUS,
        Is("error_code", Meaning::Identifier(Field::ErrorCode)),
        SENT,
        Number("object_size"),
        MILLIS,
        Number("turn_around_time"),
        Is("referrer", Keyword(Field::HttpRequestReferrer)),
        AGENT,
        Attribute("version_id"),
        Attribute("host_id"),
        Attribute("signature_version"),
        Attribute("cipher_suite"),
        Attribute("authentication_type"),
        DOMAIN,
        Attribute("tls_version"),
        Attribute("access_point_arn"),
        Attribute("acl_required"),
    ],
    words_min: 17,
};

/// <https://wiki.squid-cache.org/Features/LogFormat>
static SQUID: Layout = Layout {
    columns: &[
        Column::Time,
        MILLIS,
        Client,
        Status("cache_result"),
        SENT,
        Is("method", Meaning::Method),
        Url,
        Is("user", Keyword(Field::UserName)),
        Attribute("hierarchy"),
        Attribute("content_type"),
    ],
    words_min: 10,
};

/// Fills `draft` from a line of one of these formats. None where it is not: the draft has to be reset then.
pub(super) fn parse(line: &str, format: Format, draft: &mut Draft<'_>) -> Option<()> {
    let layout = match format {
        Format::Envoy => envoy_layout(line)?,
        Format::Elb if line.starts_with(|c: char| c.is_ascii_digit()) => &CLASSIC_BALANCER,
        Format::Elb => &APPLICATION_BALANCER,
        Format::S3 => &S3,
        Format::Squid => &SQUID,
        _ => return None,
    };
    let (mut rest, mut words) = (line, 0);
    let mut seconds = None;
    for &column in layout.columns {
        let Some((word, after)) = word(rest) else { break };
        rest = after;
        words += 1;
        if matches!(column, Column::Time) {
            let moment = draft.clock.read_all(word.as_bytes()).or_else(|| epoch(word.as_bytes()))?;
            draft.time(moment);
        } else if matches!(column, Number(name) if name.ends_with("processing_time")) {
            seconds = add_seconds(seconds, word);
            write(column, word, draft)?;
        } else if !matches!(word, "-" | "") {
            write(column, word, draft)?;
        }
    }
    (words >= layout.words_min).then_some(())?;
    if let Some(nanos) = seconds {
        draft.writer.integer(Field::EventDuration, nanos);
    }
    draft.writer.string(Field::Message, line);
    Some(())
}

/// Envoy's own default, or Istio's: behind the flags stands a number, or the details of the response.
fn envoy_layout(line: &str) -> Option<&'static Layout> {
    let (_time, rest) = word(line.starts_with('[').then_some(line)?)?;
    let (_request, rest) = word(rest.trim_start().starts_with('"').then_some(rest)?)?;
    let (_status, rest) = word(rest)?;
    let (_flags, rest) = word(rest)?;
    let (fifth, _) = word(rest)?;
    Some(if fifth.bytes().all(|byte| byte.is_ascii_digit()) { &ENVOY } else { &ISTIO })
}

/// Splits off the first word, without its quotes or brackets.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(' ');
    match text.as_bytes().first()? {
        b'"' => access::quoted(text),
        b'[' => {
            let end = memchr(b']', text.as_bytes())?;
            // `[2001:db8::1]:443` is one word.
            match text.as_bytes().get(end + 1) {
                Some(b':') => Some(bare_word(text)),
                _ => Some((&text[1..end], &text[end + 1..])),
            }
        }
        _ => Some(bare_word(text)),
    }
}

fn bare_word(text: &str) -> (&str, &str) {
    text.split_at(memchr(b' ', text.as_bytes()).unwrap_or(text.len()))
}

/// None where a column that tells the format apart is not what it has to be.
fn write(column: Column, word: &str, draft: &mut Draft<'_>) -> Option<()> {
    match column {
        Is(name, meaning) => {
            let is_status = meaning == Meaning::Status;
            let text = access::unescape(word);
            if !draft.assign(meaning, Value::Plain(&text)) {
                // Envoy and load balancers write 0 or 000 where there was no answer.
                (!is_status || matches!(word, "0" | "000")).then_some(())?;
                draft.attribute_text(name, &text);
            }
        }
        Column::Time => {}
        Request => access::request(word, draft),
        Url => draft.url(&access::unescape(word), false),
        Client => address(word, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft),
        Target => {
            address(word, Field::DestinationIp, Field::DestinationAddress, Field::DestinationPort, draft);
        }
        Status(name) => {
            let (result, status) = word.split_once('/')?;
            draft.writer.attribute_string(name, result);
            if !draft.assign(Meaning::Status, Value::Plain(status)) {
                matches!(status, "0" | "000" | "-").then_some(())?;
            }
        }
        Attribute(name) => draft.writer.attribute_string(name, &access::unescape(word)),
        Number(name) => draft.attribute_text(name, word),
    }
    Some(())
}

/// `203.0.113.7:51544`, `[2001:db8::1]:443`, `tcp://10.0.2.1:80`, or an address alone.
pub(super) fn address(text: &str, ip: Field, name: Field, port: Field, draft: &mut Draft<'_>) {
    let text = text.strip_prefix("tcp://").unwrap_or(text);
    let (host, number) = match text.rsplit_once(':') {
        Some((host, digits)) if !text.ends_with(']') && !is_ip_address(text) => {
            (host, digits.parse::<u16>().ok())
        }
        _ => (text, None),
    };
    let host = if number.is_some() { host } else { text };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    draft.assign(Meaning::Address(ip, name), Value::Plain(host));
    if let Some(number) = number {
        draft.writer.integer(port, i64::from(number));
    }
}

/// Adds up seconds, in nanoseconds; -1 says that the part did not take place.
fn add_seconds(sum: Option<i64>, word: &str) -> Option<i64> {
    match super::duration::parse(word, Unit::Seconds) {
        Some(nanos) => sum.unwrap_or_default().checked_add(nanos),
        None => sum,
    }
}

/// Whether a line can only be of this format, by a look at its beginning.
pub(super) fn is_certain(line: &str, format: Format) -> bool {
    let bytes = line.as_bytes();
    match format {
        Format::Envoy => {
            bytes.first() == Some(&b'[')
                && memchr(b']', bytes).is_some_and(|end| line[end..].starts_with("] \""))
        }
        Format::Elb => {
            let mut words = line.split(' ');
            let first = words.next().unwrap_or_default();
            matches!(first, "http" | "https" | "h2" | "grpcs" | "ws" | "wss")
                && words.next().is_some_and(|time| time.ends_with('Z') && time.contains('T'))
                || first.ends_with('Z')
                    && first.contains('T')
                    && words.nth(1).is_some_and(|w| w.contains(':'))
        }
        Format::S3 => {
            let owner = memchr(b' ', bytes).unwrap_or_default();
            owner == 64 && bytes[..owner].iter().all(u8::is_ascii_hexdigit)
        }
        Format::Squid => {
            memchr2(b'.', b' ', bytes) == Some(10)
                && bytes.get(14) == Some(&b' ')
                && line.contains("/")
                && bytes[..10].iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}
