//! Sidekiq's lines: the process, the thread and what is known of the job stand before the level.
//!
//! ```text
//! 2026-11-20T21:39:19.123Z pid=4711 tid=gsu3 class=HardWorker jid=b4a577edbccf1d805744efa9 elapsed=0.011 INFO: done
//! 2026-11-20T21:39:19.123Z 4711 TID-gsu3 HardWorker JID-b4a577edbccf1d805744efa9 INFO: done: 0.011 sec
//! ```

use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::super::draft::{Draft, Value};
use super::super::keys::{Meaning, Unit};
use super::header::Header;
use super::words::{Words, number};

/// Most pairs of one header: applications may add their own.
const PAIRS_MAX: usize = 16;

/// Reads a header since version 6, the time passed.
pub(super) fn read(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    words.skip(" pid=").then_some(())?;
    let pid = number(words.until(" tid=")?)?;
    let thread = words.word()?;
    let mut pairs = 0..PAIRS_MAX;
    let level = loop {
        let word = words.word()?;
        if let Some(level) = level(word) {
            break level;
        }
        pair(word).and(pairs.next())?;
    };
    let mut header = Header::stamped(moment, words.position());
    header.pid = Some(pid);
    header.thread = Some(thread);
    header.level = Some(level);
    Some(header)
}

/// Writes the pairs of such a header, `head` being all of the line before its message. None where it is none.
pub(super) fn lift(head: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (_, context) = head.cut(" pid=")?.1.cut(" tid=")?;
    for (key, value) in context.split([' ', '\t']).filter_map(pair) {
        let seconds = Meaning::Duration(Unit::Seconds);
        if key != "elapsed" || !draft.assign(seconds, Value::Plain(value)) {
            draft.attribute_text(key, value);
        }
    }
    Some(())
}

/// Reads a header before version 6, the time passed.
pub(super) fn read_old(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let pid = words.number()?;
    words.skip("TID-").then_some(())?;
    let mut header = Header::stamped(moment, 0);
    header.pid = Some(pid);
    header.thread = Some(words.word()?);
    let mut word = words.word()?;
    if level(word).is_none() {
        header.attribute("class", word);
        word = words.word()?;
    }
    while let Some((name, value)) = word.cut_byte(b'-').filter(|_| level(word).is_none()) {
        match name {
            "JID" => header.attribute("jid", value),
            "BID" => header.attribute("bid", value),
            _ => return None,
        }
        header.has_room().then_some(())?;
        word = words.word()?;
    }
    header.level = Some(level(word)?);
    header.message_start = words.position();
    let message = &line[header.message_start..];
    let seconds = message.strip_prefix("done: ").or_else(|| message.strip_prefix("fail: "));
    header.duration = seconds.filter(|seconds| seconds.ends_with(" sec"));
    Some(header)
}

/// `INFO:`.
fn level(word: &str) -> Option<Level> {
    match word {
        "DEBUG:" => Some(Level::Debug),
        "INFO:" => Some(Level::Info),
        "WARN:" => Some(Level::Warning),
        "ERROR:" => Some(Level::Error),
        "FATAL:" => Some(Level::Fatal),
        _ => None,
    }
}

/// `class=HardWorker`.
fn pair(word: &str) -> Option<(&str, &str)> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    word.cut_byte(b'=')
        .filter(|(key, value)| !key.is_empty() && key.bytes().all(is_name) && !value.is_empty())
}
