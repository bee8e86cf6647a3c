//! What Java's virtual machine writes of itself (JEP 158, `-Xlog`): garbage collections, safepoints, classes.
//!
//! ```text
//! [0.015s][info][gc] Using G1
//! [2026-11-20T21:39:19.123+0000][4711][info ][gc,heap     ] GC(0) Eden regions: 12->0(15)
//! [2026-11-20T21:39:19.123+0000][4711][safepoint] Application time: 2.5 seconds
//! ```

use weir_record::Level;

use super::super::cut::Cut;
use super::super::draft::is_number;
use super::super::zone::Clock;
use super::header::Header;
use super::words::{Words, number};

/// Parts that it may write before the message: times, process and thread, level and tags.
const PARTS_MAX: usize = 8;

/// Most digits of an uptime, so that it is a number in JSON, too: eleven days of nanoseconds.
const DIGITS_MAX: usize = 15;

/// Reads the parts in brackets. The time since the start, or tags of its own, make a line certain.
pub(super) fn read<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let mut words = Words::at(line, 0);
    let mut header = Header::default();
    for place in 0..PARTS_MAX {
        words.skip("[").then_some(())?;
        let part = words.until("]")?.trim_end_matches(' ');
        if place == 0
            && let Some((moment, _)) =
                clock.read_prefix(part.as_bytes()).filter(|(_, end)| *end == part.len())
        {
            header.time = Some(moment);
        } else if let Some((name, value)) = uptime(part) {
            header.attribute(name, value);
        } else if let Some(id) = number(part).filter(|_| header.level.is_none()) {
            match header.pid {
                None => header.pid = Some(id),
                Some(_) => header.thread_id = Some(u64::from(id)),
            }
        } else if header.level.is_none() && is_level(part) {
            header.level = Level::from_name(part.as_bytes());
        } else {
            return behind_tags(part, words, header);
        }
    }
    None
}

/// The header whose last part is these tags.
fn behind_tags<'l>(tags: &'l str, mut words: Words<'l>, mut header: Header<'l>) -> Option<Header<'l>> {
    let is_tag = |tag: &str| {
        !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let first = tags.split(',').next()?;
    let is_own =
        matches!(first, "gc" | "safepoint" | "class" | "metaspace" | "codecache" | "os" | "jit" | "cds");
    let has_uptime = header.attributes.iter().flatten().any(|(name, _)| name.starts_with("uptime"));
    let is_certain = has_uptime && header.level.is_some() || is_own && !header.is_empty();
    (is_certain && tags.split(',').all(is_tag)).then_some(())?;
    (words.skip(" ") || words.rest().is_empty()).then_some(())?;
    header.logger = Some(tags);
    header.message_start = words.position();
    Some(header)
}

/// `0.015s`, `15ms`, `15123456ns`: the time since the start, without its unit.
fn uptime(part: &str) -> Option<(&'static str, &str)> {
    let digits = part.trim_end_matches(|last: char| last.is_ascii_lowercase());
    let name = match &part[digits.len()..] {
        "s" => "uptime_s",
        "ms" => "uptime_ms",
        "ns" => "uptime_ns",
        _ => return None,
    };
    let (whole, fraction) = digits.cut_byte(b'.').unwrap_or((digits, "0"));
    (digits.len() <= DIGITS_MAX && is_number(whole) && is_number(fraction)).then_some((name, digits))
}

fn is_level(part: &str) -> bool {
    matches!(part, "trace" | "debug" | "info" | "warning" | "error")
}
