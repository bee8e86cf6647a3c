//! Which lines go on the record before them. Decided by the bytes of the record and of the line alone, so that reading
//! them again gives the same records.

mod event;
mod lines;

use std::sync::Arc;

use regex::Regex;
use weir_config::Ansi;
use weir_record::limits::LINE_BYTES_MAX;

use super::colours::without_colours;
use super::format::Format;
use super::grok::{self, PatternError};
use super::time::begins_with_time;

pub use weir_config::Preset;

use event::Event;
use lines::is_stray_frame;

/// Most lines of one record: bounds what an endless trace may hold up.
pub const LINES_MAX: usize = 500;

/// How the lines of one event are joined.
#[derive(Clone, Debug)]
pub enum Multiline {
    /// As a runtime or program writes them.
    Preset(Preset),
    /// By own patterns.
    Own(Arc<OwnLines>),
}

impl Default for Multiline {
    fn default() -> Multiline {
        Multiline::Preset(Preset::Auto)
    }
}

/// Regular expressions that tell the lines of events.
#[derive(Debug)]
pub struct OwnLines {
    start: Option<Regex>,
    continues: Option<Regex>,
}

impl OwnLines {
    /// `start` matches the first line of each event, `continues` every further line; where both are there, a line that
    /// matches neither begins an event.
    ///
    /// # Errors
    /// A pattern that is no regular expression.
    pub fn new(start: Option<&str>, continues: Option<&str>) -> Result<OwnLines, PatternError> {
        let compiled = |pattern: Option<&str>| pattern.map(grok::regular_expression).transpose();
        Ok(OwnLines { start: compiled(start)?, continues: compiled(continues)? })
    }

    fn is_further(&self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line);
        match (&self.start, &self.continues) {
            (start, Some(continues)) => {
                continues.is_match(&line) && !start.as_ref().is_some_and(|start| start.is_match(&line))
            }
            (Some(start), None) => !start.is_match(&line),
            (None, None) => false,
        }
    }
}

/// Joins the lines of one file.
#[derive(Debug)]
pub(super) struct Joiner {
    how: How,
    ansi: Ansi,
    /// Of the open record: saves reading all its lines again with each further line.
    known: Known,
}

#[derive(Debug)]
enum How {
    /// Each line is a record.
    Never,
    /// By what runtimes and programs are known to write; a preset adds what only its own writes.
    Events(Preset),
    Own(Arc<OwnLines>),
}

/// What is known of an open record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Its length: one that has grown otherwise than by what was joined is read again.
    length: usize,
    lines: usize,
    event: Event,
}

impl Joiner {
    pub(super) fn new(multiline: &Multiline, format: Format, ansi: Ansi) -> Joiner {
        let how = match multiline {
            Multiline::Preset(Preset::Auto) => preset_of(format).map_or(How::Never, How::Events),
            Multiline::Preset(Preset::None) => How::Never,
            Multiline::Preset(preset) => How::Events(*preset),
            Multiline::Own(own) => How::Own(Arc::clone(own)),
        };
        Joiner { how, ansi, known: Known::default() }
    }

    /// Whether `line` goes on the record `open`.
    pub(super) fn continues(&mut self, open: &[u8], line: &[u8]) -> bool {
        let mut plain = Vec::new();
        let length = open.len() + 1 + line.len();
        let preset = match &self.how {
            How::Never => return false,
            How::Events(preset) => Some(*preset),
            How::Own(own) => {
                let line = if self.ansi == Ansi::Keep { line } else { without_colours(line, &mut plain) };
                if !own.is_further(line) {
                    return false;
                }
                None
            }
        };
        let line = seen(line, self.ansi, &mut plain);
        if self.known.length != open.len() {
            self.known = Known::read(open, preset, self.ansi);
        }
        if preset.is_some() && begins_with_time(line) && !self.known.event.holds_any_line() {
            // Whoever writes a time begins an event: nearly every line is decided here.
            return false;
        }
        let is_one_text = matches!(self.known.event, Event::Text { .. }) && self.known.lines == 1;
        if is_one_text && is_stray_frame(open, line) {
            return false;
        }
        let event = match preset {
            Some(preset) => self.known.event.next(line, preset),
            None => Some(Event::default()),
        };
        let Some(event) = event.filter(|_| length <= LINE_BYTES_MAX && self.known.lines < LINES_MAX) else {
            return false;
        };
        self.known = Known { length, lines: self.known.lines + 1, event };
        true
    }

    /// Opens `record`, a line. Whether one that is not there yet could go on it.
    pub(super) fn may_continue(&mut self, record: &[u8]) -> bool {
        let preset = match &self.how {
            How::Never => return false,
            How::Events(preset) => Some(*preset),
            How::Own(_) => None,
        };
        self.known = Known::read(record, preset, self.ansi);
        preset.is_none() || self.known.event.may_go_on()
    }

    /// What is known of the open record.
    pub(super) fn known(&self) -> Known {
        self.known
    }

    /// Goes back to another open record.
    pub(super) fn resume(&mut self, known: Known) {
        self.known = known;
    }
}

impl Known {
    fn read(record: &[u8], preset: Option<Preset>, ansi: Ansi) -> Known {
        let mut plain = Vec::new();
        let mut lines = record.split(|&byte| byte == b'\n');
        let first = lines.next().unwrap_or_default();
        let mut known = Known { length: record.len(), lines: 1, event: Event::default() };
        let Some(preset) = preset else {
            known.lines += lines.count();
            return known;
        };
        known.event = Event::begin(seen(first, ansi, &mut plain), preset);
        for line in lines {
            known.lines += 1;
            known.event = known.event.next(seen(line, ansi, &mut plain), preset).unwrap_or_default();
        }
        known
    }
}

/// A line as it is parsed. What tells events apart stands at a line's start: only there a colour is in the way.
fn seen<'l>(line: &'l [u8], ansi: Ansi, plain: &'l mut Vec<u8>) -> &'l [u8] {
    const ESCAPE: u8 = 0x1b;
    match line.first() {
        Some(&ESCAPE) if ansi != Ansi::Keep => without_colours(line, plain),
        _ => line,
    }
}

/// The preset of a format's own; none where its records are lines.
fn preset_of(format: Format) -> Option<Preset> {
    match format {
        Format::Auto => Some(Preset::Auto),
        Format::Java | Format::Hadoop => Some(Preset::Java),
        Format::Python | Format::Celery | Format::Openstack => Some(Preset::Python),
        Format::Go | Format::Klog => Some(Preset::Go),
        Format::Node => Some(Preset::Node),
        Format::Ruby => Some(Preset::Ruby),
        Format::Dotnet => Some(Preset::Dotnet),
        Format::Rust => Some(Preset::Rust),
        Format::Php => Some(Preset::Php),
        Format::Postgresql | Format::Mysql => Some(Preset::Sql),
        // Of the export format's entries only.
        Format::Journald => Some(Preset::Auto),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
