//! What a key of a structured line means: the names of ECS, and those that the usual loggers write.

use weir_record::Field;
use weir_record::schema::{Kind, Origin};

use Meaning::{
    Address, B3, Caller, Duration, ErrorText, Identifier, Keyword, LevelLetter, Long, Message, Method, Path,
    Service, Status, Text, Time, Traceparent, Url, WeakLogger, WeakMessage,
};

/// What a key's value is, if its type fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The event's own time: text in any usual shape, or a number since 1970.
    Time,
    /// A level's name, or a number of pino and bunyan.
    Level,
    /// A level as MongoDB writes it: `I`, `W`, `E`, `F`, `D1`.
    LevelLetter,
    /// The human part.
    Message,
    /// The human part, where no other key states it.
    WeakMessage,
    /// The logger's name, where the line is of a logger that calls it so.
    WeakLogger,
    /// Text of any kind, the empty one too.
    Text(Field),
    /// Text that is not empty, or an array of such.
    Keyword(Field),
    /// Text that is not empty, or an integer, kept as text.
    Identifier(Field),
    /// An integer, as a number or as digits.
    Long(Field),
    /// An IP address.
    Ip(Field),
    /// An IP address, else a name.
    Address(Field, Field),
    /// An object that is indexed as one field.
    Object(Field),
    /// `service.name`.
    Service,
    /// `file:line` of the code.
    Caller,
    /// W3C `traceparent`.
    Traceparent,
    /// Zipkin's single header.
    B3,
    /// How long something took.
    Duration(Unit),
    /// An error as text.
    ErrorText,
    /// An HTTP status, where the number can be one.
    Status,
    /// An HTTP method.
    Method,
    /// A request's path, where the line is about a request.
    Path,
    /// A request's target or URL.
    Url,
    /// Tags.
    Tags,
}

/// The unit of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Stated in the value: `1.5ms`.
    InValue,
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// What loggers call their fields, beside the schema's own names. A dot is a level of nesting or part of the name.
const LOGGER_KEYS: &[(&str, Meaning)] = &[
    ("time", Time),
    ("ts", Time),
    ("timestamp", Time),
    ("t", Time),
    ("t.$date", Time),
    ("datetime", Time),
    ("date", Time),
    ("asctime", Time),
    ("eventTime", Time),
    ("@t", Time),
    ("timeMillis", Time),
    ("instant", Time),
    ("Timestamp", Time),
    ("level", Meaning::Level),
    ("severity", Meaning::Level),
    ("lvl", Meaning::Level),
    ("loglevel", Meaning::Level),
    ("logLevel", Meaning::Level),
    ("log_level", Meaning::Level),
    ("levelname", Meaning::Level),
    ("level_name", Meaning::Level),
    ("@l", Meaning::Level),
    ("severityText", Meaning::Level),
    ("severity_text", Meaning::Level),
    ("SeverityText", Meaning::Level),
    ("s", LevelLetter),
    ("msg", Message),
    ("@m", Message),
    ("@mt", WeakMessage),
    ("text", WeakMessage),
    ("body", WeakMessage),
    ("Body", WeakMessage),
    ("log", WeakMessage),
    ("event", WeakMessage),
    ("logger", Keyword(Field::LogLogger)),
    ("logger_name", Keyword(Field::LogLogger)),
    ("loggerName", Keyword(Field::LogLogger)),
    ("name", WeakLogger),
    ("caller", Caller),
    ("func", Keyword(Field::LogOriginFunction)),
    ("funcName", Keyword(Field::LogOriginFunction)),
    ("source.file", Keyword(Field::LogOriginFileName)),
    ("source.line", Long(Field::LogOriginFileLine)),
    ("source.function", Keyword(Field::LogOriginFunction)),
    ("service", Service),
    ("application", Service),
    ("app", Service),
    ("hostname", Keyword(Field::HostHostname)),
    ("trace_id", Identifier(Field::TraceId)),
    ("traceId", Identifier(Field::TraceId)),
    ("TraceId", Identifier(Field::TraceId)),
    ("traceID", Identifier(Field::TraceId)),
    ("dd.trace_id", Identifier(Field::TraceId)),
    ("x-b3-traceid", Identifier(Field::TraceId)),
    ("X-B3-TraceId", Identifier(Field::TraceId)),
    ("@tr", Identifier(Field::TraceId)),
    ("span_id", Identifier(Field::SpanId)),
    ("spanId", Identifier(Field::SpanId)),
    ("SpanId", Identifier(Field::SpanId)),
    ("spanID", Identifier(Field::SpanId)),
    ("dd.span_id", Identifier(Field::SpanId)),
    ("x-b3-spanid", Identifier(Field::SpanId)),
    ("X-B3-SpanId", Identifier(Field::SpanId)),
    ("@sp", Identifier(Field::SpanId)),
    ("traceparent", Traceparent),
    ("b3", B3),
    ("thread", Keyword(Field::ProcessThreadName)),
    ("thread_name", Keyword(Field::ProcessThreadName)),
    ("threadName", Keyword(Field::ProcessThreadName)),
    ("pid", Long(Field::ProcessPid)),
    ("error", ErrorText),
    ("err", ErrorText),
    ("exception", ErrorText),
    ("err.type", Keyword(Field::ErrorType)),
    ("err.name", Keyword(Field::ErrorType)),
    ("err.message", Text(Field::ErrorMessage)),
    ("err.msg", Text(Field::ErrorMessage)),
    ("err.stack", Text(Field::ErrorStackTrace)),
    ("err.stack_trace", Text(Field::ErrorStackTrace)),
    ("err.code", Identifier(Field::ErrorCode)),
    ("error.name", Keyword(Field::ErrorType)),
    ("error.kind", Keyword(Field::ErrorType)),
    ("error.msg", Text(Field::ErrorMessage)),
    ("error.stack", Text(Field::ErrorStackTrace)),
    ("exception.type", Keyword(Field::ErrorType)),
    ("exception.name", Keyword(Field::ErrorType)),
    ("exception.class", Keyword(Field::ErrorType)),
    ("exception.exception_class", Keyword(Field::ErrorType)),
    ("exception.message", Text(Field::ErrorMessage)),
    ("exception.exception_message", Text(Field::ErrorMessage)),
    ("exception.stack", Text(Field::ErrorStackTrace)),
    ("exception.stacktrace", Text(Field::ErrorStackTrace)),
    ("exception.stack_trace", Text(Field::ErrorStackTrace)),
    ("thrown.name", Keyword(Field::ErrorType)),
    ("thrown.message", Text(Field::ErrorMessage)),
    ("thrown.extendedStackTrace", Text(Field::ErrorStackTrace)),
    ("stack_trace", Text(Field::ErrorStackTrace)),
    ("stacktrace", Text(Field::ErrorStackTrace)),
    ("stackTrace", Text(Field::ErrorStackTrace)),
    ("exc_info", Text(Field::ErrorStackTrace)),
    ("@x", Text(Field::ErrorStackTrace)),
    ("duration", Duration(Unit::InValue)),
    ("latency", Duration(Unit::InValue)),
    ("elapsed", Duration(Unit::InValue)),
    ("took", Duration(Unit::InValue)),
    ("duration_s", Duration(Unit::Seconds)),
    ("duration_seconds", Duration(Unit::Seconds)),
    ("duration_ms", Duration(Unit::Millis)),
    ("durationMs", Duration(Unit::Millis)),
    ("durationMillis", Duration(Unit::Millis)),
    ("duration_us", Duration(Unit::Micros)),
    ("duration_ns", Duration(Unit::Nanos)),
    ("latency_s", Duration(Unit::Seconds)),
    ("latency_ms", Duration(Unit::Millis)),
    ("latencyMs", Duration(Unit::Millis)),
    ("latency_us", Duration(Unit::Micros)),
    ("latency_ns", Duration(Unit::Nanos)),
    ("elapsed_s", Duration(Unit::Seconds)),
    ("elapsed_ms", Duration(Unit::Millis)),
    ("elapsedMs", Duration(Unit::Millis)),
    ("elapsed_us", Duration(Unit::Micros)),
    ("elapsed_ns", Duration(Unit::Nanos)),
    ("took_ms", Duration(Unit::Millis)),
    ("request_time", Duration(Unit::Seconds)),
    ("responseTime", Duration(Unit::Millis)),
    ("method", Method),
    ("request_method", Method),
    ("status", Status),
    ("status_code", Status),
    ("statusCode", Status),
    ("path", Path),
    ("url", Url),
    ("uri", Url),
    ("request_uri", Url),
    ("body_bytes_sent", Long(Field::HttpResponseBodyBytes)),
    ("user_agent", Keyword(Field::UserAgentOriginal)),
    ("userAgent", Keyword(Field::UserAgentOriginal)),
    ("http_user_agent", Keyword(Field::UserAgentOriginal)),
    ("referer", Keyword(Field::HttpRequestReferrer)),
    ("referrer", Keyword(Field::HttpRequestReferrer)),
    ("http_referer", Keyword(Field::HttpRequestReferrer)),
    ("remote_addr", Address(Field::SourceIp, Field::SourceAddress)),
    ("remote_ip", Address(Field::SourceIp, Field::SourceAddress)),
    ("remoteAddr", Address(Field::SourceIp, Field::SourceAddress)),
    ("client_ip", Address(Field::SourceIp, Field::SourceAddress)),
    ("clientip", Address(Field::SourceIp, Field::SourceAddress)),
    ("req.method", Method),
    ("req.url", Url),
    ("req.id", Identifier(Field::HttpRequestId)),
    ("req.remoteAddress", Address(Field::SourceIp, Field::SourceAddress)),
    ("req.remotePort", Long(Field::SourcePort)),
    ("res.statusCode", Status),
];

/// Whether the key's object may hold members that have a meaning: it is opened instead of copied.
pub(super) fn holds_known_members(path: &[u8]) -> bool {
    matches!(
        path,
        b"log"
            | b"log.origin"
            | b"log.origin.file"
            | b"log.file"
            | b"log.syslog"
            | b"log.syslog.facility"
            | b"log.syslog.severity"
            | b"process"
            | b"process.thread"
            | b"service"
            | b"service.node"
            | b"host"
            | b"container"
            | b"container.image"
            | b"kubernetes"
            | b"kubernetes.pod"
            | b"kubernetes.container"
            | b"kubernetes.node"
            | b"orchestrator"
            | b"orchestrator.cluster"
            | b"trace"
            | b"span"
            | b"transaction"
            | b"error"
            | b"http"
            | b"http.request"
            | b"http.request.body"
            | b"http.response"
            | b"http.response.body"
            | b"url"
            | b"user_agent"
            | b"user"
            | b"source"
            | b"client"
            | b"destination"
            | b"server"
            | b"event"
            | b"t"
            | b"dd"
            | b"err"
            | b"exception"
            | b"thrown"
            | b"req"
            | b"res"
    )
}

/// The meaning of a key: one hash and, mostly, one comparison.
#[inline]
pub(super) fn lookup(name: &[u8]) -> Option<Meaning> {
    for index in TABLE[slot_of(name)] {
        let (known, meaning) = ENTRIES.get(usize::from(index))?;
        if is_same(known.as_bytes(), name) {
            return *meaning;
        }
    }
    None
}

/// Compares two names. Most are short: a few words each, without a call.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        8..=16 => {
            one.first_chunk::<8>() == other.first_chunk() && one.last_chunk::<8>() == other.last_chunk()
        }
        4..=7 => one.first_chunk::<4>() == other.first_chunk() && one.last_chunk::<4>() == other.last_chunk(),
        0..=3 => one.iter().eq(other),
        _ => one == other,
    }
}

const ENTRY_COUNT: usize = LOGGER_KEYS.len() + Field::ALL.len();
const SLOTS: usize = 1024;
const SLOT_DEPTH: usize = 4;
const FREE: u8 = u8::MAX;

const _: () = assert!(ENTRY_COUNT < FREE as usize, "an entry's index has 8 bits");

static ENTRIES: [(&str, Option<Meaning>); ENTRY_COUNT] = build_entries();

/// Indices into [`ENTRIES`] by hash, built at compile time. A name that would not fit fails the build.
static TABLE: [[u8; SLOT_DEPTH]; SLOTS] = build_table();

const fn build_entries() -> [(&'static str, Option<Meaning>); ENTRY_COUNT] {
    let mut entries = [("", None); ENTRY_COUNT];
    let mut at = 0;
    while at < ENTRY_COUNT {
        entries[at] = if at < LOGGER_KEYS.len() {
            (LOGGER_KEYS[at].0, Some(LOGGER_KEYS[at].1))
        } else {
            let field = Field::ALL[at - LOGGER_KEYS.len()];
            (field.name(), meaning_of(field))
        };
        at += 1;
    }
    entries
}

const fn build_table() -> [[u8; SLOT_DEPTH]; SLOTS] {
    let entries = build_entries();
    let mut table = [[FREE; SLOT_DEPTH]; SLOTS];
    let mut at = 0;
    while at < ENTRY_COUNT {
        let slot = slot_of(entries[at].0.as_bytes());
        let mut depth = 0;
        while table[slot][depth] != FREE {
            depth += 1;
        }
        table[slot][depth] = at as u8;
        at += 1;
    }
    table
}

/// What a schema field takes from a line; none for those that only Weir writes.
const fn meaning_of(field: Field) -> Option<Meaning> {
    if matches!(field.origin(), Origin::Weir) {
        return None;
    }
    Some(match field {
        Field::LogLevel => Meaning::Level,
        Field::Message => Message,
        Field::ServiceName => Service,
        Field::EventDuration => Duration(Unit::Nanos),
        Field::Tags => Meaning::Tags,
        // Holds the line's own bytes where they were no UTF-8, and nothing else.
        Field::EventOriginal => return None,
        Field::TraceId | Field::SpanId | Field::TransactionId | Field::ErrorCode | Field::HttpRequestId => {
            Identifier(field)
        }
        Field::UserId | Field::EventId | Field::SyslogProcid | Field::HttpVersion => Identifier(field),
        _ => match field.kind() {
            Kind::DateNanos => Time,
            Kind::Text | Kind::Stored => Text(field),
            Kind::Keyword | Kind::ConstantKeyword => Keyword(field),
            Kind::Long => Long(field),
            Kind::Ip => Meaning::Ip(field),
            Kind::Flattened => Meaning::Object(field),
        },
    })
}

/// A hash of the length and the four bytes in which names differ most.
#[inline]
const fn slot_of(name: &[u8]) -> usize {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    const SHIFT: u32 = u64::BITS - SLOTS.trailing_zeros();
    if name.is_empty() {
        return 0;
    }
    let length = name.len();
    let (first, middle, last) = (name[0] as u64, name[length / 2] as u64, name[length - 1] as u64);
    let before_last = name[length.saturating_sub(2)] as u64;
    let word = first | middle << 8 | before_last << 16 | last << 24 | (length as u64) << 32;
    (word.wrapping_mul(FACTOR) >> SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        for (name, meaning) in ENTRIES.iter() {
            assert_eq!(lookup(name.as_bytes()), *meaning, "{name}");
        }
        for other in ["", "m", "messages", "Level", "user_id", "log.offset", "event.original"] {
            assert_eq!(lookup(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_key_stands_once() {
        let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ENTRY_COUNT);
    }

    #[test]
    fn every_object_on_the_way_to_a_known_key_is_opened() {
        for (name, meaning) in ENTRIES.iter() {
            for (at, _) in name.match_indices('.').filter(|_| meaning.is_some()) {
                assert!(holds_known_members(&name.as_bytes()[..at]), "{} of {name}", &name[..at]);
            }
        }
    }
}
