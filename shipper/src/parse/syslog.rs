//! Syslog: RFC 5424, RFC 3164, and both as they stand in files under `/var/log`, without `<PRI>`.
//!
//! ```text
//! <165>1 2026-11-20T21:39:19.123456+01:00 host app 123 ID47 [x@1 k="v"] message      RFC 5424
//! <34>Nov 20 21:39:19 host app[123]: message                                         RFC 3164
//! 2026-11-20T21:39:19.123456+01:00 host app[123]: message                            rsyslog's file format
//! ```

use std::sync::LazyLock;

use memchr::memchr_iter;
use weir_record::document::Members;
use weir_record::limits::FIELDS_MAX;
use weir_record::schema::Field;
use weir_record::{Level, Timestamp};

use super::cut::Cut;
use super::dispatch::Inner;
use super::draft::{Draft, is_number};
use super::format::Certainty;
use super::inner;
use super::time::{begins_with_time, epoch};

mod structured;
mod tag;

use structured::{push_structured_data, structured_data_length};
use tag::{Tag, begins_with_process, tag, tag_without_host};

/// Fills `draft`, which is empty, from `line`. False where the line is no syslog: the draft has to be reset then.
pub(super) fn parse(line: &str, certainty: Certainty, draft: &mut Draft<'_>, inner: &mut Inner) -> bool {
    let Some(rest) = line.strip_prefix('<') else {
        return without_priority(line, certainty, draft, inner).is_some();
    };
    let Some((priority, rest)) = priority(rest) else { return false };
    let filled = match rest.strip_prefix("1 ") {
        Some(header) => rfc5424(header, draft, inner).or_else(|| meraki(header, draft)),
        None => rfc3164(rest, draft, inner),
    };
    if filled.is_some() {
        write_priority(priority, draft);
    }
    filled.is_some()
}

/// The largest: facility 23, severity 7.
const PRIORITY_MAX: u8 = 191;

/// The number of `<34>`, whose opening bracket was passed, and what follows.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.cut_byte(b'>')?;
    let valid = matches!(digits.len(), 1..=3) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let priority = digits.parse().ok().filter(|priority| valid && *priority <= PRIORITY_MAX)?;
    Some((priority, rest))
}

/// What a priority says, in the order in which it stands in the document.
const PRIORITY_FIELDS: [Field; 6] = [
    Field::SyslogPriority,
    Field::SyslogFacilityCode,
    Field::SyslogFacilityName,
    Field::SyslogSeverityCode,
    Field::SyslogSeverityName,
    Field::LogLevel,
];

/// The members of each priority: they are the same in all lines that have it.
static PRIORITIES: LazyLock<Vec<Members>> = LazyLock::new(|| (0..=PRIORITY_MAX).map(members_of).collect());

const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// The priority that `daemon.err` names.
#[cold]
fn named_priority(text: &str) -> Option<u8> {
    const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    let (facility, severity) = text.cut_byte(b'.')?;
    let facility = FACILITIES.iter().position(|name| *name == facility)?;
    let severity = SEVERITIES.iter().position(|name| *name == severity)?;
    u8::try_from(facility * 8 + severity).ok()
}

fn write_priority(priority: u8, draft: &mut Draft<'_>) {
    if let Some(members) = PRIORITIES.get(usize::from(priority)) {
        draft.writer.prepared(members);
    }
}

fn members_of(priority: u8) -> Members {
    const SEVERITIES: [&str; 8] =
        ["Emergency", "Alert", "Critical", "Error", "Warning", "Notice", "Informational", "Debug"];
    let (facility, severity) = (priority / 8, priority % 8);
    let quoted = |text: Option<&&str>| format!("\"{}\"", text.copied().unwrap_or_default());
    let level = Level::from_syslog_severity(severity).map(Level::as_str);
    let values = [
        priority.to_string(),
        facility.to_string(),
        quoted(FACILITIES.get(usize::from(facility))),
        severity.to_string(),
        quoted(SEVERITIES.get(usize::from(severity))),
        quoted(level.as_ref()),
    ];
    Members::new(PRIORITY_FIELDS.into_iter().zip(values))
}

/// What follows `<PRI>1 ` (RFC 5424 §6).
fn rfc5424(header: &str, draft: &mut Draft<'_>, inner: &mut Inner) -> Option<()> {
    let (time, rest) = header.cut_word()?;
    let (hostname, rest) = rest.cut_word()?;
    let (appname, rest) = rest.cut_word()?;
    let (procid, rest) = rest.cut_word()?;
    let (msgid, rest) = rest.cut_word()?;
    let moment = match time {
        "-" => None,
        text => Some(Timestamp::parse_rfc3339(text.as_bytes())?),
    };
    let structured_length = structured_data_length(rest)?;
    let (structured, message) = rest.split_at(structured_length);
    let message = message.strip_prefix(' ').unwrap_or(message);
    write_message(appname, message.strip_prefix('\u{feff}').unwrap_or(message), draft, inner);
    if let Some(moment) = moment {
        draft.time(moment);
    }
    write_host(hostname, draft);
    write_program(appname, draft);
    if procid != "-" {
        draft.writer.string(Field::SyslogProcid, procid);
        write_pid(procid, draft);
    }
    if msgid != "-" {
        draft.writer.string(Field::SyslogMsgid, msgid);
    }
    if structured != "-" {
        // Names are compared with each other: too many would take too long.
        let parameters = memchr_iter(b'=', structured.as_bytes()).count();
        let elements = memchr_iter(b'[', structured.as_bytes()).count();
        (parameters + elements <= FIELDS_MAX).then_some(())?;
        draft.structured_data(|out| push_structured_data(structured, out));
    }
    Some(())
}

/// `1795210759.123456789 mx_1 flows src=10.0.0.5 ...`: Meraki's devices have seconds where RFC 5424 has its time.
fn meraki(header: &str, draft: &mut Draft<'_>) -> Option<()> {
    let (time, rest) = header.cut_word()?;
    let (hostname, message) = rest.cut_word()?;
    let moment = epoch(time.as_bytes()).filter(|_| time.has(b'.'))?;
    draft.reset();
    draft.time(moment);
    write_host(hostname, draft);
    draft.writer.string(Field::Message, message);
    Some(())
}

/// The message, whose own format is more precise than the header: what it states is written first.
fn write_message(program: &str, message: &str, draft: &mut Draft<'_>, inner: &mut Inner) {
    if !inner::structured(program, message, draft, inner) {
        draft.writer.string(Field::Message, message);
        inner::usual(program, message, draft);
    }
}

/// What follows `<PRI>` (RFC 3164 §4): time and host may be missing on the way from a device. Cisco's put a sequence
/// number, a name and a mark for a clock that is not set before the time: `123: router1: *Nov 20 21:39:19.123 UTC: `.
fn rfc3164(text: &str, draft: &mut Draft<'_>, inner: &mut Inner) -> Option<()> {
    let (device, text_at_time) = match draft.clock.read_start(text.as_bytes()) {
        Some(_) => (Device::default(), text),
        None => device_prefix(text, draft),
    };
    let marked = text_at_time.strip_prefix(['*', '.']).unwrap_or(text_at_time);
    let Some((moment, length)) = draft.clock.read_start(marked.as_bytes()) else {
        program_and_message(text, tag(text), draft, inner);
        return Some(());
    };
    let rest = marked[length..].trim_start_matches([':', ' ']);
    let first = tag(rest);
    let hostname = if first.is_some() || device.name.is_some() {
        program_and_message(rest, first, draft, inner);
        device.name
    } else {
        let (hostname, rest) = split_host(rest)?;
        program_and_message(rest, tag(rest), draft, inner);
        hostname
    };
    draft.time(moment);
    if let Some(hostname) = hostname {
        write_host(hostname, draft);
    }
    for number in device.numbers.into_iter().flatten() {
        // Some write leading zeros: text, always.
        draft.writer.attribute_string("sequence", number);
    }
    Some(())
}

/// `host rest`; a Cisco puts a colon behind its name, too.
fn split_host(text: &str) -> Option<(Option<&str>, &str)> {
    let (hostname, rest) = text.cut_word()?;
    Some((Some(hostname), rest.strip_prefix(": ").unwrap_or(rest)))
}

/// What stands before a device's time.
#[derive(Default)]
struct Device<'l> {
    numbers: [Option<&'l str>; 2],
    name: Option<&'l str>,
}

/// Reads `123: 000124: router1: ` where a time stamp follows.
fn device_prefix<'l>(text: &'l str, draft: &mut Draft<'_>) -> (Device<'l>, &'l str) {
    let mut device = Device::default();
    let mut rest = text;
    for place in 0..3 {
        let Some((word, after)) = rest.cut(": ").filter(|(word, _)| !word.has(b' ')) else {
            break;
        };
        match device.numbers.get_mut(place) {
            Some(number) if is_number(word) => *number = Some(word),
            _ if device.name.is_none() && !word.starts_with('%') => device.name = Some(word),
            _ => break,
        }
        rest = after;
    }
    let at_time = rest.strip_prefix(['*', '.']).unwrap_or(rest);
    if rest.len() < text.len() && draft.clock.read_prefix(at_time.as_bytes()).is_some() {
        (device, rest)
    } else {
        (Device::default(), text)
    }
}

/// As syslog daemons write files: time, host, program, message.
fn without_priority(
    line: &str,
    certainty: Certainty,
    draft: &mut Draft<'_>,
    inner: &mut Inner,
) -> Option<()> {
    if let Some(header) = line.strip_prefix("1 ").filter(|header| begins_with_time(header.as_bytes())) {
        return rfc5424(header, draft, inner);
    }
    let (moment, length) = draft.clock.read_start(line.as_bytes())?;
    let (time, rest) = line.split_at(length);
    let header = rest.strip_prefix(' ')?;
    let (hostname, rest) = header.cut_word()?;
    let mut has_dot = false;
    let is_part = |byte: u8| {
        has_dot |= byte == b'.';
        byte.is_ascii_alphanumeric() || b"._-:".contains(&byte)
    };
    let is_host = Level::from_name(hostname.as_bytes()).is_none()
        && !hostname.is_empty()
        && !hostname.starts_with('-')
        && hostname.bytes().all(is_part)
        && !hostname.ends_with(':');
    if !is_host || has_dot || rest.starts_with(['[', ' ']) {
        let header = Headless { time, header, hostname, rest, is_host };
        if let Some(is_syslog) = header.fill(draft, inner) {
            draft.time(moment);
            return is_syslog.then_some(());
        }
    }
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    let tag = tag(rest);
    if tag.is_none() && time.as_bytes().get(10) == Some(&b'T') && is_rfc5424_behind_host(rest) {
        return rfc5424(line, draft, inner);
    }
    let has_pid = tag.as_ref().is_some_and(|tag| tag.pid.is_some());
    let is_certain = match is_date_command(time) {
        true => has_pid,
        false => {
            certainty != Certainty::Guessed
                || time.starts_with(|c: char| c.is_ascii_uppercase()) && !time.has(b',')
                || has_pid
                || is_rsyslog_time(time) && tag.is_some()
        }
    };
    is_certain.then_some(())?;
    match tag {
        None => without_tag(rest, draft, inner),
        tag => program_and_message(rest, tag, draft, inner),
    }
    draft.time(moment);
    draft.writer.string(Field::SyslogHostname, hostname);
    Some(())
}

/// A header that may have no host: from its time on.
struct Headless<'l> {
    time: &'l str,
    /// What follows the time.
    header: &'l str,
    /// Its first word, and what follows that.
    hostname: &'l str,
    rest: &'l str,
    /// Whether the word can be a host.
    is_host: bool,
}

impl Headless<'_> {
    /// Fills the draft if there is no host; whether it is a header of syslog at all. None where there is a host.
    #[cold]
    fn fill(&self, draft: &mut Draft<'_>, inner: &mut Inner) -> Option<bool> {
        if let Some(priority) = named_priority(self.hostname) {
            // OpenWrt's file.
            program_and_message(self.rest, tag(self.rest), draft, inner);
            write_priority(priority, draft);
            return Some(true);
        }
        if self.hostname == "---" {
            // macOS' `--- last message repeated 2 times ---`.
            write_message("", self.header, draft, inner);
            return Some(true);
        }
        let is_program = self.rest.starts_with(['[', ' ']) && begins_with_process(self.rest);
        if self.is_host && !is_program {
            return None;
        }
        let tag = tag_without_host(self.time, self.header);
        let is_syslog = tag.is_some();
        if is_syslog {
            program_and_message(self.header, tag, draft, inner);
        }
        Some(is_syslog)
    }
}

/// What follows the host and is no tag: BusyBox writes the priority's name before it.
#[inline(never)]
fn without_tag(text: &str, draft: &mut Draft<'_>, inner: &mut Inner) {
    let named = text.cut_word().and_then(|(word, rest)| Some((named_priority(word)?, rest)));
    match named {
        Some((priority, rest)) => {
            program_and_message(rest, tag(rest), draft, inner);
            write_priority(priority, draft);
        }
        None => write_message("", text, draft, inner),
    }
}

/// `Fri Nov 20 21:39:19 CET 2026`, as `date` writes it: what scripts put before their lines, and no daemon of syslog.
fn is_date_command(time: &str) -> bool {
    matches!(time.get(..4), Some("Mon " | "Tue " | "Wed " | "Thu " | "Fri " | "Sat " | "Sun "))
}

/// `app 123 - - text`, `app - - - text`, `app 123 ID47 [x@1 k="v"] text`: what follows a host in RFC 5424, whose priority
/// some templates leave out.
fn is_rfc5424_behind_host(rest: &str) -> bool {
    let mut words = rest.splitn(5, ' ').skip(1);
    let (Some(procid), Some(msgid), Some(structured)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let is_process = procid == "-" || is_number(procid);
    let has_data = structured.starts_with('[') && structured.has(b'@');
    is_process && (msgid == "-" && structured == "-" || has_data)
}

/// `2026-11-20T21:39:19.123456+01:00`: six digits and an offset in numbers.
fn is_rsyslog_time(time: &str) -> bool {
    time.len() == 32 && time.as_bytes()[10] == b'T' && matches!(time.as_bytes()[26], b'+' | b'-')
}

/// Writes a text that begins with this tag.
fn program_and_message(text: &str, tag: Option<Tag<'_>>, draft: &mut Draft<'_>, inner: &mut Inner) {
    let Some(tag) = tag else {
        return write_message("", text, draft, inner);
    };
    write_message(tag.program, tag.message, draft, inner);
    match inner::mnemonic(tag.program) {
        Some((name, _severity)) => drop(draft.writer.string(Field::SyslogMsgid, name)),
        None => write_program(tag.program, draft),
    }
    if let Some(pid) = tag.pid {
        draft.writer.string(Field::SyslogProcid, pid);
        write_pid(pid, draft);
    }
}

fn write_host(hostname: &str, draft: &mut Draft<'_>) {
    if hostname != "-" {
        draft.writer.string(Field::SyslogHostname, hostname);
        // The message was forwarded: the shipper's own host is another, unless the configuration says so.
        draft.writer.string(Field::HostName, hostname);
    }
}

fn write_program(name: &str, draft: &mut Draft<'_>) {
    if name != "-" {
        draft.writer.string(Field::SyslogAppname, name);
        draft.writer.string(Field::ProcessName, name);
    }
}

fn write_pid(procid: &str, draft: &mut Draft<'_>) {
    if procid.parse::<u32>().is_ok() {
        draft.digits(Field::ProcessPid, procid);
    }
}

#[cfg(test)]
mod tests;
