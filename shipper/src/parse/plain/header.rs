//! The header of a plain line: what stands before its message.

use std::borrow::Cow;

use weir_record::schema::Field;
use weir_record::{Level, Timestamp};

use super::super::draft::{Draft, Value};
use super::super::keys::{Meaning, Unit};
use super::super::row::address;
use super::parts::TraceContext;
use super::{objects, pairs};

/// What stands before a line's message.
#[derive(Clone, Debug, Default)]
pub(super) struct Header<'l> {
    pub(super) time: Option<Timestamp>,
    pub(super) level: Option<Level>,
    pub(super) thread: Option<&'l str>,
    pub(super) thread_id: Option<u64>,
    pub(super) logger: Option<&'l str>,
    pub(super) pid: Option<u32>,
    /// `process.name`.
    pub(super) program: Option<&'l str>,
    pub(super) user: Option<&'l str>,
    /// An address, with or without its port.
    pub(super) client: Option<&'l str>,
    /// `error.code`.
    pub(super) code: Option<&'l str>,
    /// `log.origin.function`.
    pub(super) function: Option<&'l str>,
    /// `event.action`.
    pub(super) action: Option<&'l str>,
    /// With its unit.
    pub(super) duration: Option<&'l str>,
    /// File and line of the code; an empty file where only the line is told.
    pub(super) origin: Option<(&'l str, u32)>,
    pub(super) attributes: [Option<(&'static str, &'l str)>; 5],
    pub(super) trace: Option<(&'l str, &'l str)>,
    pub(super) service: Option<&'l str>,
    /// Pairs behind a message that was taken out of the line.
    pub(super) pairs: &'l str,
    /// The message of a record of one line, where it is not all that follows.
    pub(super) message: Option<Cow<'l, str>>,
    /// JSON objects behind that message.
    pub(super) objects: &'l str,
    /// Whether pairs inside the message are lifted.
    pub(super) lifts_pairs: bool,
    /// Where the message begins, in bytes; 0 where the line has to stay whole.
    pub(super) message_start: usize,
}

impl<'l> Header<'l> {
    /// A header of which the time and the end are known.
    pub(super) fn stamped(time: Timestamp, message_start: usize) -> Header<'l> {
        Header { time: Some(time), message_start, ..Header::default() }
    }

    /// Takes the objects that stand behind the message, if there are any.
    pub(super) fn take_objects(&mut self, line: &'l str) {
        if let Some((message, objects)) = objects::split(&line[self.message_start..]) {
            self.message = Some(Cow::Borrowed(message));
            self.objects = objects;
        }
    }

    /// Adds an attribute, where there is still room.
    pub(super) fn attribute(&mut self, name: &'static str, value: &'l str) {
        if let Some(place) = self.attributes.iter_mut().find(|place| place.is_none()) {
            *place = Some((name, value));
        }
    }

    /// Whether what is said of a trace names no second service, and no second trace.
    pub(super) const fn has_room_for(&self, context: &TraceContext<'_>) -> bool {
        (self.service.is_none() || context.service.is_none())
            && (self.trace.is_none() || context.ids.is_none())
    }

    /// Takes over what is said of a trace.
    pub(super) fn note(&mut self, context: TraceContext<'l>) {
        self.service = context.service.or(self.service);
        self.trace = context.ids.or(self.trace);
        if let Some(exported) = context.exported {
            self.attribute("exported", exported);
        }
    }

    /// Whether there is still room for an attribute.
    pub(super) fn has_room(&self) -> bool {
        self.attributes.iter().any(Option::is_none)
    }

    /// Whether nothing was recognised.
    pub(super) fn is_empty(&self) -> bool {
        self.time.is_none() && self.level.is_none()
    }

    /// Writes everything but the message.
    pub(super) fn write(&self, draft: &mut Draft<'_>) {
        if let Some(moment) = self.time {
            draft.time(moment);
        }
        if let Some(level) = self.level {
            draft.writer.level(level);
        }
        let texts = [
            (Field::ProcessThreadName, self.thread),
            (Field::LogLogger, self.logger),
            (Field::ProcessName, self.program),
            (Field::UserName, self.user),
            (Field::ErrorCode, self.code),
            (Field::LogOriginFunction, self.function),
            (Field::EventAction, self.action),
            (Field::TraceId, self.trace.map(|ids| ids.0)),
            (Field::SpanId, self.trace.map(|ids| ids.1)),
        ];
        for (field, text) in texts {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                draft.put(field, text);
            }
        }
        let pid = self.pid.map(i64::from);
        let thread_id = self.thread_id.and_then(|id| i64::try_from(id).ok());
        for (field, number) in [(Field::ProcessPid, pid), (Field::ProcessThreadId, thread_id)] {
            if let Some(number) = number {
                draft.writer.integer(field, number);
            }
        }
        if let Some((file, line)) = self.origin {
            if !file.is_empty() {
                draft.put(Field::LogOriginFileName, file);
            }
            draft.writer.integer(Field::LogOriginFileLine, i64::from(line));
        }
        if let Some(client) = self.client {
            address(client, Field::SourceIp, Field::SourceAddress, Field::SourcePort, draft);
        }
        if let Some(duration) = self.duration {
            draft.assign(Meaning::Duration(Unit::InValue), Value::Plain(duration));
        }
        for (name, value) in self.attributes.iter().flatten() {
            draft.attribute_text(name, value);
        }
        if let Some(service) = self.service.filter(|service| !service.is_empty())
            && !draft.service(service)
        {
            draft.writer.attribute_string("service", service);
        }
        if !self.pairs.is_empty() {
            pairs::lift(self.pairs, draft);
        }
    }
}
