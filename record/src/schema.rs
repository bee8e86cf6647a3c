//! Every field that has a fixed name and type in the index: Elastic Common Schema names, written dotted.
//!
//! The templates for Elasticsearch and OpenSearch, the embedded index, the query language and the document
//! writer all read this one table. What is not in it stands under `attributes`.

/// How a field is indexed. Each server's template translates it to what that version offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A moment with nanoseconds, RFC 3339 in the document.
    DateNanos,
    /// Words, searched one by one; position and score do not matter.
    Text,
    /// Stored, shown, not searched.
    Stored,
    /// An exact value, filtered and counted.
    Keyword,
    /// The same value in every document of a stream.
    ConstantKeyword,
    /// A signed 64-bit number.
    Long,
    /// An IPv4 or IPv6 address.
    Ip,
    /// An object of arbitrary keys, indexed as one field.
    Flattened,
    /// A place on Earth, `{"lat":52.5,"lon":13.4}` in degrees.
    GeoPoint,
}

/// How a member begins, from the comma before it to the quote of a text. Of fixed size, so that it is copied without a
/// call: what is beyond its length is cut off again.
pub(crate) struct Opening {
    bytes: [u8; Self::BYTES_MAX + 1],
    length: u8,
}

impl Opening {
    /// The longest.
    const BYTES_MAX: usize = 32;

    /// `text` begins with the comma, and ends where a value that is no text begins. Longer ones fail the build.
    pub(crate) const fn new(text: &str) -> Opening {
        let (text, mut bytes, mut at) = (text.as_bytes(), [0; Self::BYTES_MAX + 1], 0);
        assert!(text.len() < Self::BYTES_MAX, "a member's opening has at most 31 bytes and a quote");
        while at < text.len() {
            bytes[at] = text[at];
            at += 1;
        }
        bytes[at] = b'"';
        Opening { bytes, length: text.len() as u8 }
    }

    /// The bytes to append behind another member.
    #[inline]
    pub(crate) fn behind_another(&self) -> &[u8; Self::BYTES_MAX] {
        self.bytes.first_chunk().expect("one byte more stands there")
    }

    /// The bytes to append as the first member: without the comma.
    #[inline]
    pub(crate) fn first(&self) -> &[u8; Self::BYTES_MAX] {
        self.bytes.last_chunk().expect("one byte more stands there")
    }

    /// How many of the bytes count, the comma included, the quote not.
    #[inline]
    pub(crate) const fn length(&self) -> usize {
        self.length as usize
    }
}

/// Who may write a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The line itself, or the configuration.
    Line,
    /// Weir alone: the same name in a line is kept under `attributes`.
    Weir,
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $origin:ident,)*) => {
        /// A field of the schema.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is documented by its ECS name beside it")]
        pub enum Field { $($variant,)* }

        impl Field {
            /// Every field, in the order of the table.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)*];

            /// The dotted name in the document.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// `,"name":`, ready to append behind another member.
            pub(crate) fn member(self) -> &'static Opening {
                static OPENINGS: [Opening; Field::ALL.len()] = [$(Opening::new(concat!(",\"", $name, "\":")),)*];
                &OPENINGS[self as usize]
            }

            /// How it is indexed.
            pub const fn kind(self) -> Kind {
                match self { $(Field::$variant => Kind::$kind,)* }
            }

            /// Who may write it.
            pub const fn origin(self) -> Origin {
                match self { $(Field::$variant => Origin::$origin,)* }
            }

        }
    };
}

fields! {
    Timestamp "@timestamp" DateNanos Line,
    Message "message" Text Line,
    LogLevel "log.level" Keyword Line,
    LogLogger "log.logger" Keyword Line,
    LogFilePath "log.file.path" Keyword Weir,
    LogOffset "log.offset" Long Weir,
    LogTruncatedBytes "log.truncated_bytes" Long Weir,
    LogIostream "log.iostream" Keyword Line,
    LogOriginFileName "log.origin.file.name" Keyword Line,
    LogOriginFileLine "log.origin.file.line" Long Line,
    LogOriginFunction "log.origin.function" Keyword Line,
    SyslogHostname "log.syslog.hostname" Keyword Line,
    SyslogAppname "log.syslog.appname" Keyword Line,
    SyslogProcid "log.syslog.procid" Keyword Line,
    SyslogMsgid "log.syslog.msgid" Keyword Line,
    SyslogPriority "log.syslog.priority" Long Line,
    SyslogFacilityCode "log.syslog.facility.code" Long Line,
    SyslogFacilityName "log.syslog.facility.name" Keyword Line,
    SyslogSeverityCode "log.syslog.severity.code" Long Line,
    SyslogSeverityName "log.syslog.severity.name" Keyword Line,
    SyslogStructuredData "log.syslog.structured_data" Flattened Line,
    ProcessPid "process.pid" Long Line,
    ProcessName "process.name" Keyword Line,
    ProcessThreadName "process.thread.name" Keyword Line,
    ProcessThreadId "process.thread.id" Long Line,
    ServiceName "service.name" Keyword Line,
    ServiceEnvironment "service.environment" Keyword Line,
    ServiceVersion "service.version" Keyword Line,
    ServiceNodeName "service.node.name" Keyword Line,
    HostName "host.name" Keyword Line,
    HostHostname "host.hostname" Keyword Line,
    HostIp "host.ip" Ip Line,
    HostArchitecture "host.architecture" Keyword Line,
    HostOsName "host.os.name" Keyword Line,
    HostOsVersion "host.os.version" Keyword Line,
    CloudProvider "cloud.provider" Keyword Line,
    CloudRegion "cloud.region" Keyword Line,
    CloudAvailabilityZone "cloud.availability_zone" Keyword Line,
    CloudInstanceId "cloud.instance.id" Keyword Line,
    CloudMachineType "cloud.machine.type" Keyword Line,
    ContainerId "container.id" Keyword Line,
    ContainerName "container.name" Keyword Line,
    ContainerImageName "container.image.name" Keyword Line,
    KubernetesNamespace "kubernetes.namespace" Keyword Line,
    KubernetesPodName "kubernetes.pod.name" Keyword Line,
    KubernetesPodUid "kubernetes.pod.uid" Keyword Line,
    KubernetesContainerName "kubernetes.container.name" Keyword Line,
    KubernetesNodeName "kubernetes.node.name" Keyword Line,
    OrchestratorType "orchestrator.type" Keyword Line,
    OrchestratorNamespace "orchestrator.namespace" Keyword Line,
    OrchestratorClusterName "orchestrator.cluster.name" Keyword Line,
    TraceId "trace.id" Keyword Line,
    SpanId "span.id" Keyword Line,
    TransactionId "transaction.id" Keyword Line,
    ErrorType "error.type" Keyword Line,
    ErrorMessage "error.message" Text Line,
    ErrorCode "error.code" Keyword Line,
    ErrorStackTrace "error.stack_trace" Stored Line,
    HttpRequestMethod "http.request.method" Keyword Line,
    HttpRequestId "http.request.id" Keyword Line,
    HttpRequestReferrer "http.request.referrer" Keyword Line,
    HttpRequestBodyBytes "http.request.body.bytes" Long Line,
    HttpResponseStatusCode "http.response.status_code" Long Line,
    HttpResponseBodyBytes "http.response.body.bytes" Long Line,
    HttpVersion "http.version" Keyword Line,
    UrlOriginal "url.original" Keyword Line,
    UrlFull "url.full" Keyword Line,
    UrlPath "url.path" Keyword Line,
    UrlQuery "url.query" Keyword Line,
    UrlDomain "url.domain" Keyword Line,
    UrlPort "url.port" Long Line,
    UrlScheme "url.scheme" Keyword Line,
    UserAgentOriginal "user_agent.original" Keyword Line,
    UserName "user.name" Keyword Line,
    UserId "user.id" Keyword Line,
    UserEmail "user.email" Keyword Line,
    SourceIp "source.ip" Ip Line,
    SourceAddress "source.address" Keyword Line,
    SourcePort "source.port" Long Line,
    SourceGeoContinentName "source.geo.continent_name" Keyword Line,
    SourceGeoCountryIsoCode "source.geo.country_iso_code" Keyword Line,
    SourceGeoCountryName "source.geo.country_name" Keyword Line,
    SourceGeoRegionName "source.geo.region_name" Keyword Line,
    SourceGeoCityName "source.geo.city_name" Keyword Line,
    SourceGeoLocation "source.geo.location" GeoPoint Line,
    SourceAsNumber "source.as.number" Long Line,
    SourceAsOrganizationName "source.as.organization.name" Keyword Line,
    ClientIp "client.ip" Ip Line,
    ClientAddress "client.address" Keyword Line,
    ClientPort "client.port" Long Line,
    DestinationIp "destination.ip" Ip Line,
    DestinationAddress "destination.address" Keyword Line,
    DestinationPort "destination.port" Long Line,
    ServerAddress "server.address" Keyword Line,
    EventDuration "event.duration" Long Line,
    EventAction "event.action" Keyword Line,
    EventCategory "event.category" Keyword Line,
    EventOutcome "event.outcome" Keyword Line,
    EventId "event.id" Keyword Line,
    EventOriginal "event.original" Stored Line,
    EventSequence "event.sequence" Long Weir,
    EventCreated "event.created" DateNanos Weir,
    EventIngested "event.ingested" DateNanos Weir,
    EventDataset "event.dataset" ConstantKeyword Weir,
    DataStreamType "data_stream.type" ConstantKeyword Weir,
    DataStreamDataset "data_stream.dataset" ConstantKeyword Weir,
    DataStreamNamespace "data_stream.namespace" ConstantKeyword Weir,
    Tags "tags" Keyword Line,
    Unmapped "unmapped" Flattened Weir,
}

impl Field {
    /// The field of this exact name: one hash and one comparison.
    pub fn from_name(name: &[u8]) -> Option<Field> {
        let slot = NAMES.get(slot_of(name))?;
        slot.iter().flatten().copied().find(|field| field.name().as_bytes() == name)
    }
}

/// Prefix of every field that is not in the table.
pub const ATTRIBUTES: &str = "attributes";

/// Prefix of the static labels of the configuration.
pub const LABELS: &str = "labels";

const SLOTS: usize = 512;
const SLOT_DEPTH: usize = 4;

/// Field names by hash; built once, at compile time. A name that would not fit fails the build.
static NAMES: [[Option<Field>; SLOT_DEPTH]; SLOTS] = build_names();

const fn build_names() -> [[Option<Field>; SLOT_DEPTH]; SLOTS] {
    let mut table = [[None; SLOT_DEPTH]; SLOTS];
    let mut at = 0;
    while at < Field::ALL.len() {
        let field = Field::ALL[at];
        let slot = slot_of(field.name().as_bytes());
        let mut depth = 0;
        while table[slot][depth].is_some() {
            depth += 1;
        }
        table[slot][depth] = Some(field);
        at += 1;
    }
    table
}

const fn slot_of(name: &[u8]) -> usize {
    if name.is_empty() {
        return 0;
    }
    let (first, middle, last) =
        (name[0] as usize, name[name.len() / 2] as usize, name[name.len() - 1] as usize);
    (name.len() * 37 + first * 5 + middle * 17 + last * 101) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_nothing_else_is() {
        for field in Field::ALL {
            assert_eq!(Field::from_name(field.name().as_bytes()), Some(*field));
        }
        for other in ["", "m", "messag", "messages", "log.levels", "Message"] {
            assert_eq!(Field::from_name(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn no_field_name_is_a_prefix_path_of_another() {
        // `a` and `a.b` cannot both be leaves of one mapping.
        for outer in Field::ALL {
            for inner in Field::ALL {
                let prefix = format!("{}.", outer.name());
                assert!(
                    !inner.name().starts_with(&prefix),
                    "{} is a leaf and holds {}",
                    outer.name(),
                    inner.name()
                );
            }
        }
    }
}
