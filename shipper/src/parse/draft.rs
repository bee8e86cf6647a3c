//! The record that a parser is filling: its document, and what the follower has to know beside it.

use std::net::IpAddr;

use weir_record::schema::Field;
use weir_record::{DocumentWriter, Timestamp};

use super::keys::Unit;
use super::zone::Clock;
use crate::geo::Geo;

mod assign;
mod values;

pub(super) use values::{is_ip_address, is_json_scalar, is_number};

/// A value of a structured line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'v> {
    /// Text without anything that JSON escapes.
    Clean(&'v str),
    /// The inside of a JSON string, with its escapes.
    Escaped(&'v str),
    /// Text that JSON may have to escape.
    Plain(&'v str),
    /// A JSON number.
    Number(&'v str),
    /// Any other JSON.
    Other(&'v str),
}

impl<'v> Value<'v> {
    /// The text as it is read, where nothing has to be undone first.
    fn text(self) -> Option<&'v str> {
        match self {
            Value::Clean(text) | Value::Plain(text) => Some(text),
            _ => None,
        }
    }

    /// The text, or the number's digits.
    fn text_or_number(self) -> Option<&'v str> {
        match self {
            Value::Number(text) => Some(text),
            other => other.text(),
        }
    }

    fn is_empty_text(self) -> bool {
        matches!(self, Value::Clean("") | Value::Plain(""))
    }
}

/// One record on its way from a line to a document.
pub(super) struct Draft<'a> {
    pub(super) writer: DocumentWriter<'a>,
    pub(super) clock: &'a mut Clock,
    time: Option<i64>,
    /// Whether [`locate`](Self::locate) will be asked for.
    pub(super) is_locating: bool,
    /// The `source.ip` that was written, where it will be.
    source: Option<IpAddr>,
    /// The record's bytes were no UTF-8: all of them are kept.
    pub(super) is_damaged: bool,
    service: &'a mut String,
    /// Whether the line's own `service.name` counts: it is not given by the configuration.
    takes_service: bool,
    /// What keys of known dialects say of the others.
    pub(super) hints: Hints,
    /// What the stack trace says of its error, where nothing else does: class and message.
    traced: Option<(String, String)>,
}

/// What some keys say of others in the same line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hints {
    /// The unit of `duration`.
    pub(super) duration: Option<Unit>,
    /// A numeric `level` is a syslog severity.
    pub(super) has_syslog_level: bool,
    /// The line is MongoDB's.
    is_mongo: bool,
    /// Seconds since 1970, and nanoseconds of the second.
    epoch_second: Option<i64>,
    nano_of_second: u32,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        writer: DocumentWriter<'a>,
        clock: &'a mut Clock,
        service: &'a mut String,
        takes_service: bool,
    ) -> Draft<'a> {
        service.clear();
        clock.begin_record();
        Draft {
            writer,
            clock,
            time: None,
            is_locating: false,
            source: None,
            is_damaged: false,
            service,
            takes_service,
            hints: Hints::default(),
            traced: None,
        }
    }

    /// Forgets what was filled in: the line turned out to be something else.
    pub(super) fn reset(&mut self) {
        self.writer.reset();
        self.service.clear();
        self.time = None;
        self.source = None;
        self.traced = None;
        self.hints = Hints::default();
    }

    /// Ends the document: `@timestamp` is the time of reading where the line has none. Returns the event's own time,
    /// nanoseconds since 1970.
    #[inline]
    pub(super) fn finish(mut self) -> Option<i64> {
        if let Some(second) = self.hints.epoch_second
            && let Some(moment) =
                Timestamp::from_seconds(second, self.hints.nano_of_second, Timestamp::DIGITS_MAX)
        {
            self.time(moment);
        }
        if let Some((class, message)) = self.traced.take()
            && self.writer.string(Field::ErrorType, &class)
            && !message.is_empty()
        {
            self.writer.string(Field::ErrorMessage, &message);
        }
        if self.time.is_none() {
            self.writer.timestamp(self.clock.read_time());
        }
        self.writer.finish();
        self.time
    }

    /// Sets the event's own time.
    pub(super) fn time(&mut self, moment: Timestamp) -> bool {
        let fresh = self.writer.timestamp(moment);
        if fresh {
            self.time = Some(moment.nanos());
        }
        fresh
    }

    /// Writes text as a field; where the place is taken, as an attribute of that name.
    pub(super) fn put(&mut self, field: Field, text: &str) {
        if !self.writer.string(field, text) {
            self.writer.attribute_string(field.name(), text);
        }
    }

    /// Writes a number of digits. False, and nothing written, where the text is none, or 64 bits do not hold it.
    pub(super) fn digits(&mut self, field: Field, text: &str) -> bool {
        match text.as_bytes() {
            _ if !is_number(text) => false,
            // As it stands, it is a number of JSON.
            digits @ [b'1'..=b'9', ..] => self.writer.raw(field, digits),
            _ => text.parse().is_ok_and(|number| self.writer.integer(field, number)),
        }
    }

    /// Writes an attribute: a number where the text is one that loses nothing so, else text.
    pub(super) fn attribute_text(&mut self, name: &str, text: &str) {
        if is_json_scalar(text) {
            self.writer.attribute(name).extend_from_slice(text.as_bytes());
        } else {
            self.writer.attribute_string(name, text);
        }
    }

    /// Writes the structured data of a syslog message: `push` appends it as JSON.
    pub(super) fn structured_data(&mut self, push: impl FnOnce(&mut Vec<u8>)) {
        let mut json = Vec::new();
        push(&mut json);
        self.writer.raw(Field::SyslogStructuredData, &json);
    }

    /// Sets the service that the line itself states. False where that does not count, or is known already.
    pub(super) fn service(&mut self, name: &str) -> bool {
        let fresh = self.takes_service && self.service.is_empty() && !name.is_empty();
        if fresh {
            self.service.push_str(name);
        }
        fresh
    }

    /// Writes where `source.ip` is, and whose; what the line says of it itself counts more.
    pub(super) fn locate(&mut self, geo: &Geo) {
        let Some(address) = self.source else { return };
        for (field, json) in geo.facts(address).iter() {
            self.writer.raw(*field, json.as_bytes());
        }
    }
}
