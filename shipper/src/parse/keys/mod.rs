//! What a key of a structured line means: the names of ECS, and those that the usual loggers write.

use weir_record::Field;
use weir_record::document::AttributeKey;
use weir_record::scan::{BLOCK_BYTES, Block, words};
use weir_record::schema::{Kind, Origin};

mod dictionary;

use Meaning::{Duration, Identifier, Keyword, Long, Message, Service, Text, Time};
use dictionary::LOGGER_KEYS;

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
    /// A name, written beside the IP address that it may be.
    NamedAddress(Field, Field),
    /// The host that a request asked for, with or without its port.
    Domain,
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
    /// A whole request: `GET /path HTTP/1.1`.
    RequestLine,
    /// `HTTP/1.1`.
    Protocol,
    /// An address with its port.
    HostPort,
    /// A duration whose unit the rest of the line tells, once all of it has been read.
    WeakDuration,
    /// GELF's message: a numeric level is a syslog severity beside it.
    GelfMessage,
    /// A key of Envoy's: a duration is in milliseconds beside it.
    EnvoyKey,
    /// A key of Caddy's, `HTTP/2.0`: a duration is in seconds beside it.
    CaddyProtocol,
    /// An integer, in a line of Caddy's.
    CaddyLong(Field),
    /// The time of a line of MongoDB's.
    MongoTime,
    /// Text that is not empty, in a line of MongoDB's.
    MongoKeyword(Field),
    /// OpenTelemetry's severity, 1 to 24, where no name states it.
    SeverityNumber,
    /// Seconds since 1970; nanoseconds may stand beside them.
    EpochSecond,
    /// Nanoseconds of a second.
    NanoOfSecond,
    /// `projects/<project>/traces/<trace id>`.
    CloudTrace,
    /// OpenTelemetry's list of `{"key":...,"value":{"stringValue":...}}`.
    KeyValues,
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
            | b"id"
            | b"service.node"
            | b"host"
            | b"host.os"
            | b"cloud"
            | b"cloud.instance"
            | b"cloud.machine"
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
            | b"source.geo"
            | b"source.as"
            | b"source.as.organization"
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
            | b"body"
            | b"instant"
            | b"timestamp"
            | b"fields"
            | b"record"
            | b"record.level"
            | b"record.time"
            | b"record.process"
            | b"contextMap"
            | b"mdc"
            | b"MDC"
            | b"attr"
            | b"request"
            | b"httpRequest"
            | b"logging.googleapis.com/sourceLocation"
            | b"jsonPayload"
            | b"resource"
            | b"resource.service"
            | b"instrumentationScope"
            | b"Properties"
            | b"src"
            | b"record.file"
            | b"record.thread"
            | b"request.headers"
    )
}

/// The meaning of a key: one hash and, mostly, one comparison.
#[inline]
pub(super) fn lookup(name: &[u8]) -> Option<Meaning> {
    let ends = ends(name);
    for index in TABLE[slot_of(name, ends)] {
        let entry = ENTRIES.get(usize::from(index))?;
        let is_same = entry.ends == ends && entry.name.len() == name.len();
        if is_same && (name.len() <= BLOCK_BYTES || entry.name.as_bytes() == name) {
            return entry.meaning;
        }
    }
    None
}

/// What the keys of a line are, by their place: the line before mostly had the same ones in the same order.
#[derive(Debug, Default)]
pub(super) struct Places {
    keys: Vec<Key>,
    /// The place of the next key.
    next: usize,
}

/// A key of a line before.
#[derive(Debug)]
struct Key {
    ends: (u64, u64),
    length: usize,
    lead: Lead,
    known: Known,
}

/// How a member of JSON begins, `"key":`, if a block has room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    words: (u64, u64),
    /// The bits that tell.
    masks: (u64, u64),
    key_length: usize,
}

impl Lead {
    /// The quotes and the colon.
    const MARKS: usize = 3;

    /// No text begins so: it is no UTF-8.
    const NEVER: Lead = Lead { words: (u64::MAX, u64::MAX), masks: (u64::MAX, u64::MAX), key_length: 0 };

    fn new(key: &[u8]) -> Lead {
        if key.len() > BLOCK_BYTES - Lead::MARKS {
            return Lead::NEVER;
        }
        let lead = [b"\"", key, b"\":"].concat();
        Lead { words: words(&lead), masks: words(&vec![u8::MAX; lead.len()]), key_length: key.len() }
    }

    #[inline]
    pub(super) fn is_at(&self, text: &Block) -> bool {
        let (low, high) = words(text);
        (low ^ self.words.0) & self.masks.0 | (high ^ self.words.1) & self.masks.1 == 0
    }

    /// Bytes between the quotes.
    #[inline]
    pub(super) const fn key_length(&self) -> usize {
        self.key_length
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) meaning: Option<Meaning>,
    /// What the document writer knows it by, where it can be an attribute's as it is.
    pub(super) attribute: Option<AttributeKey>,
}

impl Places {
    /// Begins a line.
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// How the line's next member begins if it is the one of the line before, and what its key is then.
    #[inline]
    pub(super) fn expected(&self) -> Option<(&Lead, Known)> {
        self.keys.get(self.next).map(|key| (&key.lead, key.known))
    }

    /// Passes over the line's next key: it was the expected one.
    #[inline]
    pub(super) fn skip(&mut self) {
        self.next += 1;
    }

    /// What the line's next key is.
    #[inline]
    pub(super) fn next(&mut self, name: &[u8]) -> Known {
        let (place, ends) = (self.next, ends(name));
        self.next += 1;
        match self.keys.get(place) {
            Some(key) if key.ends == ends && key.length == name.len() && name.len() <= BLOCK_BYTES => {
                key.known
            }
            _ => self.learn(place, name),
        }
    }

    #[inline(never)]
    fn learn(&mut self, place: usize, name: &[u8]) -> Known {
        let known = Known { meaning: lookup(name), attribute: AttributeKey::new(name) };
        let key = Key { ends: ends(name), length: name.len(), lead: Lead::new(name), known };
        match self.keys.get_mut(place) {
            Some(before) => *before = key,
            None => self.keys.push(key),
        }
        known
    }
}

/// All of a name that is not longer than a block, else its first and its last word.
#[inline]
const fn ends(name: &[u8]) -> (u64, u64) {
    match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) if name.len() > BLOCK_BYTES => {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        }
        _ => words(name),
    }
}

/// A name and what it means.
#[derive(Clone, Copy)]
struct Entry {
    name: &'static str,
    ends: (u64, u64),
    meaning: Option<Meaning>,
}

const ENTRY_COUNT: usize = LOGGER_KEYS.len() + Field::ALL.len();
const SLOTS: usize = 1024;
const SLOT_DEPTH: usize = 4;
const FREE: u16 = u16::MAX;

const _: () = assert!(ENTRY_COUNT < FREE as usize, "an entry's index has 16 bits");

static ENTRIES: [Entry; ENTRY_COUNT] = build_entries();

/// Indices into [`ENTRIES`] by hash, built at compile time. A name that would not fit fails the build.
static TABLE: [[u16; SLOT_DEPTH]; SLOTS] = build_table();

const fn build_entries() -> [Entry; ENTRY_COUNT] {
    let mut entries = [Entry { name: "", ends: (0, 0), meaning: None }; ENTRY_COUNT];
    let mut at = 0;
    while at < ENTRY_COUNT {
        let (name, meaning) = if at < LOGGER_KEYS.len() {
            (LOGGER_KEYS[at].0, Some(LOGGER_KEYS[at].1))
        } else {
            let field = Field::ALL[at - LOGGER_KEYS.len()];
            (field.name(), meaning_of(field))
        };
        entries[at] = Entry { name, ends: ends(name.as_bytes()), meaning };
        at += 1;
    }
    entries
}

const fn build_table() -> [[u16; SLOT_DEPTH]; SLOTS] {
    let entries = build_entries();
    let mut table = [[FREE; SLOT_DEPTH]; SLOTS];
    let mut at = 0;
    while at < ENTRY_COUNT {
        let slot = slot_of(entries[at].name.as_bytes(), entries[at].ends);
        let mut depth = 0;
        while table[slot][depth] != FREE {
            depth += 1;
        }
        table[slot][depth] = at as u16;
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
        Field::SourceIp => Meaning::Address(field, Field::SourceAddress),
        Field::ClientIp => Meaning::Address(field, Field::ClientAddress),
        Field::DestinationIp => Meaning::Address(field, Field::DestinationAddress),
        Field::SourceAddress => Meaning::NamedAddress(Field::SourceIp, field),
        Field::ClientAddress => Meaning::NamedAddress(Field::ClientIp, field),
        Field::DestinationAddress => Meaning::NamedAddress(Field::DestinationIp, field),
        Field::UserId | Field::EventId | Field::SyslogProcid | Field::HttpVersion => Identifier(field),
        _ => match field.kind() {
            Kind::DateNanos => Time,
            Kind::Text | Kind::Stored => Text(field),
            Kind::Keyword | Kind::ConstantKeyword => Keyword(field),
            Kind::Long => Long(field),
            Kind::Ip => Meaning::Ip(field),
            Kind::Flattened | Kind::GeoPoint => Meaning::Object(field),
        },
    })
}

/// A hash of a name's length and ends.
#[inline]
const fn slot_of(name: &[u8], (low, high): (u64, u64)) -> usize {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    const SHIFT: u32 = u64::BITS - SLOTS.trailing_zeros();
    let word = low ^ high.rotate_left(32) ^ (name.len() as u64) << 56;
    (word.wrapping_mul(FACTOR) >> SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        for Entry { name, meaning, .. } in &ENTRIES {
            assert_eq!(lookup(name.as_bytes()), *meaning, "{name}");
        }
        for other in ["", "m", "messages", "LEVEL", "user_id", "log.offset", "event.original"] {
            assert_eq!(lookup(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn keys_are_what_they_are_wherever_the_line_before_had_others() {
        let names =
            ["level", "msg", "a", "b", "a.b", "", "a key longer than a block", "level", "Level", "trace.id"];
        bolero::check!().with_type::<Vec<Vec<u8>>>().for_each(|lines| {
            let mut places = Places::default();
            for line in lines {
                places.begin();
                for choice in line {
                    let name = names[usize::from(*choice) % names.len()].as_bytes();
                    let expected = Known { meaning: lookup(name), attribute: AttributeKey::new(name) };
                    assert_eq!(places.next(name), expected);
                }
            }
        });
    }

    #[test]
    fn a_key_stands_once() {
        let mut names: Vec<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ENTRY_COUNT);
    }

    #[test]
    fn every_object_on_the_way_to_a_known_key_is_opened() {
        for Entry { name, meaning, .. } in &ENTRIES {
            let is_nesting = meaning.is_some() && !name.starts_with("logging.googleapis.com/");
            for (at, _) in name.match_indices('.').filter(|_| is_nesting) {
                assert!(holds_known_members(&name.as_bytes()[..at]), "{} of {name}", &name[..at]);
            }
        }
    }
}
