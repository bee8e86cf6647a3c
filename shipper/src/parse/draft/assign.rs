//! Where a key's meaning puts its value, if the value's type fits.

use weir_record::scan::{find, find_either};
use weir_record::schema::Field;
use weir_record::{Level, Timestamp};

use super::super::keys::{Meaning, Unit};
use super::super::row::address;
use super::super::time::epoch;
use super::super::{access, duration, json, trace, url};
use super::{Draft, Value, is_ip_address};

impl Draft<'_> {
    /// Writes `value` where its key's meaning puts it. False, and nothing written, where its type does not fit or
    /// the place is taken: it is an attribute then.
    pub(in crate::parse) fn assign(&mut self, meaning: Meaning, value: Value<'_>) -> bool {
        match meaning {
            Meaning::Time => self.assign_time(value),
            Meaning::Level => self.assign_level(value),
            Meaning::LevelLetter => self.assign_level_letter(value),
            Meaning::Message | Meaning::WeakMessage => self.write_text(Field::Message, value),
            Meaning::WeakLogger => self.assign_keyword(Field::LogLogger, value),
            Meaning::Text(field) => self.write_text(field, value),
            // An error of several lines is one with its stack trace, as is one that Monolog shows with its place.
            Meaning::ErrorText
                if matches!(value, Value::Escaped(text) if text.contains("\\n"))
                    || matches!(value, Value::Clean(text) | Value::Escaped(text) if trace::is_of_monolog(text)) =>
            {
                self.write_text(Field::ErrorStackTrace, value)
            }
            Meaning::ErrorText => !value.is_empty_text() && self.write_text(Field::ErrorMessage, value),
            Meaning::Keyword(field) => self.assign_keyword(field, value),
            Meaning::Identifier(field) => self.assign_identifier(field, value),
            Meaning::Long(field) => self.assign_long(field, value),
            Meaning::Ip(field) => is_ip(value) && self.write_ip(field, value),
            Meaning::Address(ip, _) if is_ip(value) => self.write_ip(ip, value),
            Meaning::Address(_, address) => !value.is_empty_text() && self.write_text(address, value),
            Meaning::NamedAddress(ip, address) => {
                if is_ip(value) {
                    self.write_ip(ip, value);
                }
                self.assign_keyword(address, value)
            }
            Meaning::Domain => value.text().is_some_and(|authority| self.domain(authority)),
            Meaning::Object(field) => match value {
                Value::Other(json) if json.starts_with('{') => self.writer.raw(field, json.as_bytes()),
                _ => false,
            },
            Meaning::Service => self.assign_service(value),
            Meaning::Caller => self.assign_caller(value),
            Meaning::Traceparent => self.assign_traceparent(value),
            Meaning::B3 => self.assign_b3(value),
            Meaning::Duration(unit) => self.assign_duration(unit, value),
            Meaning::Status => self.assign_status(value),
            Meaning::Method => is_method(value) && self.write_text(Field::HttpRequestMethod, value),
            Meaning::Path => self.assign_path(value),
            Meaning::Url => self.assign_url(value),
            Meaning::RequestLine => self.assign_request(value),
            Meaning::Protocol => self.assign_protocol(value),
            Meaning::HostPort => self.assign_host_port(value),
            Meaning::WeakDuration => self.assign_duration(Unit::InValue, value),
            Meaning::GelfMessage => {
                self.hints.has_syslog_level = true;
                self.write_text(Field::Message, value)
            }
            Meaning::EnvoyKey => {
                self.hints.duration = Some(Unit::Millis);
                false
            }
            Meaning::CaddyProtocol => {
                self.hints.duration = Some(Unit::Seconds);
                self.assign_protocol(value)
            }
            Meaning::CaddyLong(field) => {
                self.hints.duration == Some(Unit::Seconds) && self.assign_long(field, value)
            }
            Meaning::MongoTime => {
                self.hints.is_mongo = true;
                self.assign_time(value)
            }
            Meaning::MongoKeyword(field) => {
                self.hints.is_mongo && value.text() != Some("-") && self.assign_keyword(field, value)
            }
            Meaning::SeverityNumber => self.assign_severity_number(value),
            Meaning::EpochSecond => self.assign_epoch_second(value),
            Meaning::NanoOfSecond => self.assign_nano_of_second(value),
            Meaning::CloudTrace => {
                let trace = value.text().and_then(|text| text.rsplit('/').next()).filter(|id| is_hex(id));
                if let Some(trace) = trace {
                    self.writer.string(Field::TraceId, trace);
                }
                false
            }
            Meaning::KeyValues => false,
            Meaning::Tags => self.assign_tags(value),
        }
    }

    /// Writes a value that is an address.
    fn write_ip(&mut self, field: Field, value: Value<'_>) -> bool {
        let written = self.write_text(field, value);
        if written && self.is_locating && field == Field::SourceIp {
            self.source = value.text().and_then(|text| text.parse().ok());
        }
        written
    }

    fn write_text(&mut self, field: Field, value: Value<'_>) -> bool {
        let written = self.write_any_text(field, value);
        if written && field == Field::ErrorStackTrace {
            self.note_trace(value);
        }
        written
    }

    /// Keeps what a stack trace says of its error: its other members may stand behind it.
    fn note_trace(&mut self, value: Value<'_>) {
        let mut text = String::new();
        match value {
            Value::Clean(plain) | Value::Plain(plain) => text.push_str(plain),
            Value::Escaped(inside) => json::unescape(inside, &mut text),
            Value::Other(json) => text.push_str(&joined(json)),
            Value::Number(_) => {}
        }
        self.traced = trace::error_of(&text).map(|(class, message)| (class.to_owned(), message.to_owned()));
    }

    fn write_any_text(&mut self, field: Field, value: Value<'_>) -> bool {
        match value {
            Value::Clean(text) | Value::Escaped(text) => self.writer.escaped(field, text.as_bytes()),
            Value::Plain(text) => self.writer.string(field, text),
            Value::Other(json) if field == Field::ErrorStackTrace && is_array_of_strings(json) => {
                self.writer.string(field, &joined(json))
            }
            Value::Number(_) | Value::Other(_) => false,
        }
    }

    fn assign_time(&mut self, value: Value<'_>) -> bool {
        if self.writer.has(Field::Timestamp) {
            return false;
        }
        let Some(text) = value.text() else {
            let moment = value.text_or_number().and_then(|number| epoch(number.as_bytes()));
            return moment.is_some_and(|moment| self.time(moment));
        };
        let Some(moment) = self.clock.read_all(text.as_bytes()) else { return false };
        if !is_as_written(text.as_bytes(), moment) {
            return self.time(moment);
        }
        self.time = Some(moment.nanos());
        self.writer.escaped(Field::Timestamp, text.as_bytes())
    }

    fn assign_level(&mut self, value: Value<'_>) -> bool {
        let Some(text) = value.text_or_number() else { return false };
        let text = text.trim_ascii();
        let level =
            Level::from_name(text.as_bytes()).or_else(|| text.parse().ok().and_then(Level::from_number));
        match level {
            Some(level) => self.writer.level(level),
            None => self.level_between(text),
        }
    }

    /// Go's slog writes what lies between its levels as `INFO+2`: the distance is kept beside the level.
    fn level_between(&mut self, text: &str) -> bool {
        let Some((name, distance)) = text.split_once(['+', '-']) else { return false };
        let is_distance = !distance.is_empty() && distance.bytes().all(|byte| byte.is_ascii_digit());
        let level = Level::from_name(name.as_bytes()).filter(|_| is_distance);
        let is_fresh = level.is_some_and(|level| self.writer.level(level));
        if is_fresh {
            self.writer.attribute_string("severity", text);
        }
        is_fresh
    }

    /// A number from 0 to 7.
    pub(in crate::parse) fn syslog_level(&mut self, value: Value<'_>) -> bool {
        let severity = value.text_or_number().and_then(|text| text.parse().ok());
        severity.and_then(Level::from_syslog_severity).is_some_and(|level| self.writer.level(level))
    }

    fn assign_level_letter(&mut self, value: Value<'_>) -> bool {
        let level = match value.text() {
            Some("I") => Level::Info,
            Some("W") => Level::Warning,
            Some("E") => Level::Error,
            Some("F") => Level::Fatal,
            Some("D" | "D1" | "D2" | "D3" | "D4" | "D5") => Level::Debug,
            _ => return false,
        };
        self.writer.level(level)
    }

    fn assign_keyword(&mut self, field: Field, value: Value<'_>) -> bool {
        match value {
            Value::Clean("-") | Value::Plain("-") if field == Field::UserName => false,
            Value::Other(json) if is_array_of_strings(json) => self.writer.raw(field, json.as_bytes()),
            _ => !value.is_empty_text() && self.write_text(field, value),
        }
    }

    fn assign_identifier(&mut self, field: Field, value: Value<'_>) -> bool {
        if matches!(field, Field::TraceId | Field::SpanId)
            && let Some(id) = value.text_or_number()
        {
            // Zeros say that there is none; Python's console exporter writes numbers of base 16.
            let hex = id.strip_prefix("0x").filter(|hex| is_hex(hex));
            return match hex {
                _ if hex.unwrap_or(id).bytes().all(|byte| byte == b'0') => false,
                Some(hex) => self.writer.string(field, hex),
                None => self.write_identifier(field, value),
            };
        }
        self.write_identifier(field, value)
    }

    fn write_identifier(&mut self, field: Field, value: Value<'_>) -> bool {
        match value {
            Value::Number(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.writer.escaped(field, digits.as_bytes())
            }
            _ => !value.is_empty_text() && self.write_text(field, value),
        }
    }

    fn assign_long(&mut self, field: Field, value: Value<'_>) -> bool {
        let Some(text) = value.text_or_number() else { return false };
        self.digits(field, text) || text.parse::<i64>().is_ok_and(|number| self.writer.integer(field, number))
    }

    /// A number that can be an HTTP status; other programs call other numbers so.
    fn assign_status(&mut self, value: Value<'_>) -> bool {
        const STATUSES: std::ops::RangeInclusive<i64> = 100..=599;
        let status = value.text_or_number().and_then(|text| text.parse().ok());
        status.is_some_and(|status| {
            STATUSES.contains(&status) && self.writer.integer(Field::HttpResponseStatusCode, status)
        })
    }

    fn assign_service(&mut self, value: Value<'_>) -> bool {
        // Heroku's router writes `service=22ms`.
        let is_duration = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_digit())
                && duration::parse(name, Unit::Millis).is_some()
        };
        value.text().is_some_and(|name| !is_duration(name) && self.service(name))
    }

    /// `main.go:42`, `pkg/main.go:42`.
    fn assign_caller(&mut self, value: Value<'_>) -> bool {
        let Some((file, line)) = value.text().and_then(|text| text.rsplit_once(':')) else { return false };
        let (Ok(line), false) = (line.parse::<u32>(), file.is_empty()) else { return false };
        if self.writer.has(Field::LogOriginFileName) || self.writer.has(Field::LogOriginFileLine) {
            return false;
        }
        self.writer.string(Field::LogOriginFileName, file);
        self.writer.integer(Field::LogOriginFileLine, i64::from(line))
    }

    /// `00-<trace id>-<span id>-<flags>` (W3C Trace Context, §3.2). The whole stays an attribute: it holds more.
    fn assign_traceparent(&mut self, value: Value<'_>) -> bool {
        if let Some(text) = value.text()
            && text.len() >= 55
            && let (Some(trace), Some(span)) = (text.get(3..35), text.get(36..52))
            && is_hex(trace)
            && is_hex(span)
        {
            self.writer.string(Field::TraceId, trace);
            self.writer.string(Field::SpanId, span);
        }
        false
    }

    /// `<trace id>-<span id>[-<sampled>[-<parent>]]`. The whole stays an attribute: it holds more.
    fn assign_b3(&mut self, value: Value<'_>) -> bool {
        let mut parts = value.text().unwrap_or_default().split('-');
        if let (Some(trace), Some(span)) = (parts.next(), parts.next())
            && matches!(trace.len(), 16 | 32)
            && span.len() == 16
            && is_hex(trace)
            && is_hex(span)
        {
            self.writer.string(Field::TraceId, trace);
            self.writer.string(Field::SpanId, span);
        }
        false
    }

    fn assign_duration(&mut self, unit: Unit, value: Value<'_>) -> bool {
        let Some(text) = value.text_or_number() else { return false };
        if let Some(zeros) = duration::zeros(text, unit) {
            return self.writer.digits(Field::EventDuration, text.as_bytes(), zeros);
        }
        let nanos = duration::parse(text, unit);
        nanos.is_some_and(|nanos| self.writer.integer(Field::EventDuration, nanos))
    }

    fn assign_request(&mut self, value: Value<'_>) -> bool {
        let is_request = value.text().is_some_and(|text| text.contains(" HTTP/"));
        if !is_request || self.writer.has(Field::HttpRequestMethod) || self.writer.has(Field::UrlOriginal) {
            return false;
        }
        access::request(value.text().unwrap_or_default(), self);
        true
    }

    /// `HTTP/1.1`; other protocols stay attributes.
    fn assign_protocol(&mut self, value: Value<'_>) -> bool {
        let version = value.text().and_then(|text| text.strip_prefix("HTTP/"));
        version.is_some_and(|version| self.writer.string(Field::HttpVersion, version))
    }

    fn assign_host_port(&mut self, value: Value<'_>) -> bool {
        let Some(text) = value.text() else { return false };
        if text.len() < 2 || self.writer.has(Field::SourceIp) || self.writer.has(Field::SourcePort) {
            return false;
        }
        address(text, Field::SourceIp, Field::SourceAddress, Field::SourcePort, self);
        true
    }

    /// OpenTelemetry's data model, "Severity Fields": four numbers a level.
    fn assign_severity_number(&mut self, value: Value<'_>) -> bool {
        let level = match value.text_or_number().and_then(|number| number.parse::<u8>().ok()) {
            Some(1..=4) => Level::Trace,
            Some(5..=8) => Level::Debug,
            Some(9..=12) => Level::Info,
            Some(13..=16) => Level::Warning,
            Some(17..=20) => Level::Error,
            Some(21..=24) => Level::Fatal,
            _ => return false,
        };
        self.writer.level(level)
    }

    fn assign_epoch_second(&mut self, value: Value<'_>) -> bool {
        let second = value.text_or_number().and_then(|text| text.parse::<i64>().ok());
        let fresh = !self.writer.has(Field::Timestamp) && self.hints.epoch_second.is_none();
        let valid = second.filter(|second| fresh && Timestamp::from_seconds(*second, 0, 0).is_some());
        self.hints.epoch_second = self.hints.epoch_second.or(valid);
        valid.is_some()
    }

    fn assign_nano_of_second(&mut self, value: Value<'_>) -> bool {
        const NANOS: u32 = 1_000_000_000;
        let nano = value.text_or_number().and_then(|text| text.parse::<u32>().ok());
        match nano.filter(|nano| *nano < NANOS && self.hints.epoch_second.is_some()) {
            Some(nano) if self.hints.nano_of_second == 0 => {
                self.hints.nano_of_second = nano;
                true
            }
            _ => false,
        }
    }

    /// A path, or a target: some routers call it so.
    fn assign_path(&mut self, value: Value<'_>) -> bool {
        let Some(path) = value.text().filter(|path| path.starts_with('/')) else { return false };
        if !self.writer.has(Field::HttpRequestMethod) {
            return false;
        }
        match find(b'?', path.as_bytes()).is_some() {
            true => self.assign_url(value),
            false => self.write_text(Field::UrlPath, value),
        }
    }

    /// A target (`/cart?id=7`) or a URL.
    fn assign_url(&mut self, value: Value<'_>) -> bool {
        if let Value::Escaped(inside) = value {
            // PHP escapes each slash.
            let mut text = String::with_capacity(inside.len());
            json::unescape(inside, &mut text);
            return self.assign_url(Value::Plain(&text));
        }
        let Some(target) = value.text() else { return false };
        if !target.starts_with('/') && !target.contains("://") || self.writer.has(Field::UrlOriginal) {
            return false;
        }
        self.url(target, matches!(value, Value::Clean(_)));
        true
    }

    /// Writes a request's target: `url.original` and its parts. `is_clean`: JSON escapes nothing in it.
    pub(in crate::parse) fn url(&mut self, target: &str, is_clean: bool) {
        self.writer.string_or_clean(Field::UrlOriginal, target, is_clean);
        let url::Url { scheme, authority, path, query } = url::split(target);
        for (field, part) in [(Field::UrlScheme, scheme), (Field::UrlPath, path), (Field::UrlQuery, query)] {
            if !part.is_empty() {
                self.writer.string_or_clean(field, part, is_clean);
            }
        }
        if !authority.is_empty() {
            self.domain(authority);
        }
    }

    /// Writes the host that was asked, and its port where it is there. False, and nothing written, where it is known.
    pub(in crate::parse) fn domain(&mut self, authority: &str) -> bool {
        let (host, port) = url::host_and_port(authority);
        if host.is_empty() || !self.writer.string(Field::UrlDomain, host) {
            return false;
        }
        if let Some(port) = port {
            self.writer.integer(Field::UrlPort, i64::from(port));
        }
        true
    }

    /// Writes a client: `source.ip` where it is an address, else `source.address`.
    pub(in crate::parse) fn source(&mut self, host: &str) {
        let value = Value::Plain(host);
        match is_ip_address(host) {
            true => drop(self.write_ip(Field::SourceIp, value)),
            false if matches!(host, "" | "-") => {}
            false => drop(self.write_text(Field::SourceAddress, value)),
        }
    }

    fn assign_tags(&mut self, value: Value<'_>) -> bool {
        match value {
            Value::Other(json) if is_array_of_strings(json) => {
                self.writer.line_tags(json[1..json.len() - 1].trim().as_bytes());
                true
            }
            _ => false,
        }
    }
}

/// The lines of a stack trace that is written as an array.
fn joined(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = &json[1..];
    while let Some(start) = find(b'"', rest.as_bytes()) {
        let Some(length) = string_length(&rest.as_bytes()[start + 1..]) else { break };
        if !text.is_empty() {
            text.push('\n');
        }
        json::unescape(&rest[start + 1..start + 1 + length], &mut text);
        rest = &rest[start + 2 + length..];
    }
    text
}

/// Where a JSON string ends whose opening quote was passed.
fn string_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_either(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Whether a time stamp is written as a document's are, so that it can be copied: most loggers do it so.
fn is_as_written(text: &[u8], moment: Timestamp) -> bool {
    let is_leap_second = text.get(17) == Some(&b'6');
    let separators = (text.get(4), text.get(10), text.get(19), text.last());
    text.len() == 21 + usize::from(moment.digits())
        && separators == (Some(&b'-'), Some(&b'T'), Some(&b'.'), Some(&b'Z'))
        && !is_leap_second
}

fn is_ip(value: Value<'_>) -> bool {
    value.text().is_some_and(is_ip_address)
}

fn is_method(value: Value<'_>) -> bool {
    matches!(
        value.text(),
        Some("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "CONNECT" | "TRACE")
    )
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether valid JSON is an array of at least one string, and nothing else.
fn is_array_of_strings(json: &str) -> bool {
    let Some(inside) = json.strip_prefix('[').and_then(|json| json.strip_suffix(']')) else { return false };
    let (mut in_string, mut escaped, mut strings) = (false, false, 0usize);
    for byte in inside.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => {
                strings += usize::from(!in_string);
                in_string = !in_string;
            }
            _ if in_string => {}
            b',' | b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => return false,
        }
    }
    strings > 0
}
