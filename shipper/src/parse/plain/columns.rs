//! Lines whose header is columns with bars between: the Datadog agent's, and those of formats that many people write.
//!
//! ```text
//! 2026-11-20 21:39:19 UTC | CORE | INFO | (pkg/collector/worker/check_logger.go:40 in CheckStarted) | check:cpu | Running check
//! 2026-11-20 21:39:19 UTC | INFO | dd.collector | collector(collector.py:530) | Finished run
//! 2026-11-20 21:39:19 | INFO | shop.cart | added
//! 2026-11-20 21:39:19 | shop.cart | INFO | added
//! 2026-11-20 21:39:19 | INFO | Connector openwire stopped | org.apache.activemq.broker.TransportConnector | main
//! ```

use std::borrow::Cow;

use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::super::format::Format;
use super::header::Header;
use super::layouts::capital_level;
use super::parts::{is_logger, place_in_code};
use super::words::{Words, number};

/// What stands between two columns.
const BAR: &str = " | ";

/// Reads a header, the time passed. None where a level is all that is certain.
pub(super) fn read(line: &str, moment: Timestamp, length: usize) -> Option<(Format, Header<'_>)> {
    let mut words = Words::at(line, length);
    words.skip(BAR).then_some(())?;
    let mut header = Header { lifts_pairs: true, ..Header::stamped(moment, 0) };
    let format = if let Some(behind) = datadog(words, &mut header) {
        words = behind;
        Format::Go
    } else {
        let first = column(&mut words)?;
        match capital_level(first) {
            Some(level) => {
                let before = words;
                match behind_level(level, &mut words, &mut header) {
                    Some(format) => format,
                    None => {
                        words = before;
                        message_first(words.rest(), &mut header)?
                    }
                }
            }
            None => name_and_level(first, &mut words, &mut header)?,
        }
    };
    header.message_start = words.position();
    Some((format, header))
}

/// The text of a column, which blanks may fill to a width.
fn column<'l>(words: &mut Words<'l>) -> Option<&'l str> {
    words.until(BAR).map(|text| text.trim_matches(' '))
}

/// The same where `read` takes it; nothing is passed over where it does not.
fn column_if<'l, R>(words: &mut Words<'l>, read: impl FnOnce(&'l str) -> Option<R>) -> Option<R> {
    let mut after = *words;
    let found = read(column(&mut after)?)?;
    *words = after;
    Some(found)
}

/// The program's part, the level, the place in its code, and what is known of the context. One of the parts is called
/// `TRACE`.
fn datadog<'l>(mut words: Words<'l>, header: &mut Header<'l>) -> Option<Words<'l>> {
    let part = column(&mut words).filter(|part| is_logger(part))?;
    let level = capital_level(column(&mut words)?)?;
    let place = column(&mut words)?.strip_prefix('(')?.strip_suffix(')')?;
    let (place, function) = place.cut(" in ")?;
    let (file, origin_line) = place.rsplit_once(':')?;
    header.origin = Some((file, number(origin_line)?));
    header.function = Some(function);
    header.logger = Some(part);
    header.level = Some(level);
    if let Some((name, value)) = column_if(&mut words, context) {
        header.attribute(name, value);
    }
    Some(words)
}

/// `check:cpu`, `service:a,source:b`.
fn context(text: &str) -> Option<(&'static str, &str)> {
    let (key, value) = text.cut_byte(b':').filter(|(key, _)| is_logger(key) && !text.has(b' '))?;
    let found = if key == "check" { ("check", value) } else { ("context", text) };
    (!value.is_empty()).then_some(found)
}

/// A logger, perhaps behind a thread, and perhaps with its function and line.
fn behind_level<'l>(level: Level, words: &mut Words<'l>, header: &mut Header<'l>) -> Option<Format> {
    header.level = Some(level);
    let in_brackets = |text: &'l str| text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    header.thread = column_if(words, |text| in_brackets(text).filter(|name| !name.is_empty()));
    let name = column_if(words, |text| Some(text).filter(|text| is_logger(text)));
    if header.thread.is_none()
        && let Some(logger) = column_if(words, |text| Some(text).filter(|text| is_dotted(text)))
    {
        header.thread = name;
        header.logger = Some(logger);
        return Some(Format::Plain);
    }
    match place_in_code(name?) {
        Some(place) => header.origin = Some(place),
        None => set_logger(name?, header),
    }
    // The agent's of old.
    if let Some((function, place)) = column_if(words, function_and_place) {
        header.function = Some(function);
        header.origin = Some(place);
        return Some(Format::Python);
    }
    Some(Format::Plain)
}

/// ActiveMQ's message, logger and thread, the level passed. A message of one word could be a thread's name.
fn message_first<'l>(rest: &'l str, header: &mut Header<'l>) -> Option<Format> {
    let (rest, thread) = rest.cut_last(BAR)?;
    let (message, logger) = rest.cut_last(BAR)?;
    let is_thread = !thread.has(b' ') || thread.starts_with("ActiveMQ ") || thread.starts_with("KahaDB ");
    let is_message = message.has(b' ') && !message.contains("thread") && !message.contains("Thread");
    (is_thread && is_message && is_dotted(logger)).then_some(())?;
    header.thread = Some(thread);
    header.logger = Some(logger);
    header.message = Some(Cow::Borrowed(message));
    Some(Format::Java)
}

/// `com.x.Foo`: a logger's name and nothing else's.
fn is_dotted(text: &str) -> bool {
    is_logger(text) && text.has(b'.') && place_in_code(text).is_none()
}

/// `shop.cart`, `shop.cart:add:12`.
fn set_logger<'l>(name: &'l str, header: &mut Header<'l>) {
    let place = name.rsplit_once(':').and_then(|(name, line)| Some((name.rsplit_once(':')?, number(line)?)));
    match place {
        Some(((module, function), line)) => {
            header.logger = Some(module);
            header.function = Some(function);
            header.origin = Some(("", line));
        }
        None => header.logger = Some(name),
    }
}

/// `collector(collector.py:530)`.
fn function_and_place(text: &str) -> Option<(&str, (&str, u32))> {
    let (function, place) = text.strip_suffix(')')?.cut_byte(b'(')?;
    is_logger(function).then_some((function, place_in_code(place)?))
}

/// A logger or a process before the level.
fn name_and_level<'l>(first: &'l str, words: &mut Words<'l>, header: &mut Header<'l>) -> Option<Format> {
    header.level = Some(capital_level(column(words)?)?);
    match number(first) {
        Some(pid) => header.pid = Some(pid),
        None if is_logger(first) => set_logger(first, header),
        None => return None,
    }
    Some(Format::Plain)
}
