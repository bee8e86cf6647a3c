//! Syslog: RFC 5424, RFC 3164, and both as they stand in files under `/var/log`, without `<PRI>`.
//!
//! ```text
//! <165>1 2026-11-20T21:39:19.123456+01:00 host app 123 ID47 [x@1 k="v"] message      RFC 5424
//! <34>Nov 20 21:39:19 host app[123]: message                                         RFC 3164
//! 2026-11-20T21:39:19.123456+01:00 host app[123]: message                            rsyslog's file format
//! ```

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memchr_iter;
use weir_record::document::Members;
use weir_record::json::push_string;
use weir_record::limits::FIELDS_MAX;
use weir_record::scan::{find, find_either, word};
use weir_record::schema::Field;
use weir_record::{Level, Timestamp};

use super::cut::Cut;
use super::dispatch::Inner;
use super::draft::Draft;
use super::format::Certainty;
use super::inner;
use super::time::{begins_with_time, epoch};

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
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        match device.numbers.get_mut(place) {
            Some(number) if is_number => *number = Some(word),
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

/// `app[123]: message`.
struct Tag<'l> {
    program: &'l str,
    pid: Option<&'l str>,
    message: &'l str,
}

/// Reads a tag; none where the text is all message.
fn tag(text: &str) -> Option<Tag<'_>> {
    const TAG_BYTES_MAX: usize = 128;
    let head = &text.as_bytes()[..text.len().min(TAG_BYTES_MAX)];
    // `su(pam_unix)` and `postfix/smtpd` are names, too.
    let mut end = word([b'[', b':'], head);
    (end < head.len() && head[end] >= b' ').then_some(())?;
    if head[end] == b' ' {
        end = words_of_name(head)?;
    }
    let (program, rest) = text.split_at(end);
    if program.is_empty() {
        return None;
    }
    if let Some(rest) = rest.strip_prefix('[') {
        let (pid, rest) = rest.cut_byte(b']')?;
        let is_pid = !pid.is_empty() && !pid.has(b' ');
        let Some(message) = rest.strip_prefix(':') else {
            // macOS' launchd names what it is about before the colon, ProFTPD a host.
            let message = rest.strip_prefix(' ').filter(|_| is_number(pid) && !program.has(b' '))?;
            return Some(Tag { program, pid: Some(pid), message });
        };
        return is_pid.then_some(Tag {
            program,
            pid: Some(pid),
            message: message.strip_prefix(' ').unwrap_or(message),
        });
    }
    let message = rest.strip_prefix(':')?;
    let message = if message.is_empty() { message } else { message.strip_prefix(' ')? };
    Some(Tag { program, pid: None, message })
}

/// The length of a name with blanks right before a process: `Microsoft Word[42]`. Each word has a capital or is a number.
#[cold]
fn words_of_name(head: &[u8]) -> Option<usize> {
    const WORDS_MAX: usize = 4;
    let end = find(b'[', head)?;
    let words = head[..end].split(|byte| *byte == b' ');
    let is_title = |word: &[u8]| {
        word.first().is_some_and(|first| first.is_ascii_uppercase() || first.is_ascii_digit())
            && word.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'.')
    };
    let is_process = head.get(end + 1).is_some_and(u8::is_ascii_digit);
    (is_process && words.clone().count() <= WORDS_MAX && words.into_iter().all(is_title)).then_some(end)
}

/// Reads the tag of a line without a host, as BusyBox and `journalctl --no-hostname` write them: its process makes it
/// certain. Some put blanks before that (SOGo's `sogod [123]: `).
fn tag_without_host<'l>(time: &str, text: &'l str) -> Option<Tag<'l>> {
    let is_syslog_time = time.starts_with(|first: char| first.is_ascii_uppercase());
    let text = text.trim_start_matches(' ');
    let tag = match text.cut(" [").filter(|(program, _)| is_syslog_time && !program.trim_end().has(b' ')) {
        Some((program, rest)) => {
            let (pid, message) = rest.cut("]: ")?;
            Tag { program: program.trim_end(), pid: Some(pid), message }
        }
        None => tag(text)?,
    };
    // Behind another time, a name with dots is a logger's: fail2ban's `fail2ban.actions  [123]: NOTICE `.
    let is_name = is_syslog_time || !tag.program.has(b'.');
    let is_program = is_name && !tag.program.has(b'=') && !tag.program.is_empty();
    (is_program && tag.pid.is_some_and(is_number)).then_some(tag)
}

/// Whether `[123]: ` follows blanks, or none.
fn begins_with_process(text: &str) -> bool {
    let inside = text.trim_start_matches(' ').strip_prefix('[');
    inside.and_then(|inside| inside.cut("]: ")).is_some_and(|(pid, _)| is_number(pid))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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

/// Length of the structured data at the start of `text`: `-`, or elements in brackets.
fn structured_data_length(text: &str) -> Option<usize> {
    if text.starts_with('-') {
        return Some(1);
    }
    let bytes = text.as_bytes();
    let mut at = 0;
    while bytes.get(at) == Some(&b'[') {
        at += element_length(&bytes[at..])?;
    }
    (at > 0).then_some(at)
}

fn element_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_either(b'"', b']', bytes.get(at..)?)?;
        if bytes[at] == b']' {
            return Some(at + 1);
        }
        at += 1;
        loop {
            at += find_either(b'"', b'\\', bytes.get(at..)?)?;
            if bytes[at] == b'"' {
                break;
            }
            at += 2;
        }
        at += 1;
    }
}

/// Appends `[id k="v"][...]` as `{"id":{"k":"v"}}`; a repeated name keeps its last part under a number.
fn push_structured_data(text: &str, out: &mut Vec<u8>) {
    let mut ids: Vec<String> = Vec::new();
    let mut rest = text;
    out.push(b'{');
    while let Some(length) = rest.starts_with('[').then(|| element_length(rest.as_bytes())).flatten() {
        let inside = &rest[1..length - 1];
        let (id, parameters) = inside.cut_byte(b' ').unwrap_or((inside, ""));
        push_name(id, &mut ids, out);
        push_parameters(parameters, out);
        rest = &rest[length..];
    }
    out.push(b'}');
}

fn push_parameters(text: &str, out: &mut Vec<u8>) {
    let mut names: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    out.push(b'{');
    while let Some((name, tail)) = rest.cut("=\"") {
        let end = quoted_end(tail);
        push_name(name, &mut names, out);
        push_string(out, &unescape(&tail[..end]));
        rest = tail.get(end + 1..).unwrap_or_default().trim_start();
    }
    if !rest.is_empty() {
        push_name("_", &mut names, out);
        push_string(out, rest);
    }
    out.push(b'}');
}

/// Where a value whose opening quote was passed ends.
fn quoted_end(text: &str) -> usize {
    let (bytes, mut at) = (text.as_bytes(), 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| find_either(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// Appends `"name":`; a repeated or empty name gets a number.
fn push_name(name: &str, names: &mut Vec<String>, out: &mut Vec<u8>) {
    if !names.is_empty() {
        out.push(b',');
    }
    let name = if name.trim().is_empty() { "_" } else { name };
    let mut unique = name.to_owned();
    let mut number = 1;
    while names.contains(&unique) {
        number += 1;
        unique = format!("{name}_{number}");
    }
    push_string(out, &unique);
    out.push(b':');
    names.push(unique);
}

/// Undoes `\"`, `\\` and `\]` (RFC 5424 §6.3.3).
fn unescape(text: &str) -> Cow<'_, str> {
    if find(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match chars.peek() {
            Some(next @ ('"' | '\\' | ']')) if char == '\\' => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(char),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::testing::{check, check_unparsed};

    #[test]
    fn an_rfc_5424_line_is_read_whole() {
        check(
            Format::Auto,
            r#"<165>1 2026-11-20T21:39:19.003Z mymachine.example.com evntslog 8710 ID47 [exampleSDID@32473 iut="3" eventSource="App \"x\" [y\]"][z@1] An application event log entry"#,
            r#"{"@timestamp":"2026-11-20T21:39:19.003Z","message":"An application event log entry","log.syslog.hostname":"mymachine.example.com",
               "host.name":"mymachine.example.com","log.syslog.appname":"evntslog","process.name":"evntslog","log.syslog.procid":"8710","process.pid":8710,
               "log.syslog.msgid":"ID47","log.syslog.structured_data":{"exampleSDID@32473":{"iut":"3","eventSource":"App \"x\" [y]"},"z@1":{}},
               "log.syslog.priority":165,"log.syslog.facility.code":20,"log.syslog.facility.name":"local4","log.syslog.severity.code":5,
               "log.syslog.severity.name":"Notice","log.level":"notice"}"#,
        );
    }

    #[test]
    fn an_rfc_5424_line_may_lack_everything() {
        check(
            Format::Syslog,
            "<0>1 - - - - - -",
            r#"{"@timestamp":"READ","message":"","log.syslog.priority":0,"log.syslog.facility.code":0,"log.syslog.facility.name":"kern",
               "log.syslog.severity.code":0,"log.syslog.severity.name":"Emergency","log.level":"emergency"}"#,
        );
    }

    #[test]
    fn an_rfc_3164_line_is_read_whole() {
        check(
            Format::Auto,
            "<34>Oct 11 22:14:15 mymachine su[71]: 'su root' failed for lonvick on /dev/pts/8",
            r#"{"@timestamp":"2026-10-11T22:14:15.000Z","message":"'su root' failed for lonvick on /dev/pts/8","log.syslog.hostname":"mymachine",
               "host.name":"mymachine","log.syslog.appname":"su","process.name":"su","log.syslog.procid":"71","process.pid":71,"log.syslog.priority":34,
               "log.syslog.facility.code":4,"log.syslog.facility.name":"auth","log.syslog.severity.code":2,"log.syslog.severity.name":"Critical","log.level":"critical"}"#,
        );
    }

    #[test]
    fn a_device_may_leave_out_time_and_host() {
        check(
            Format::Syslog,
            "<13>app: hello",
            r#"{"@timestamp":"READ","message":"hello","log.syslog.appname":"app","process.name":"app","log.syslog.priority":13,"log.syslog.facility.code":1,
               "log.syslog.facility.name":"user","log.syslog.severity.code":5,"log.syslog.severity.name":"Notice","log.level":"notice"}"#,
        );
    }

    #[test]
    fn files_of_syslog_daemons_have_no_priority() {
        check(
            Format::Auto,
            "Nov 20 11:39:19 host sshd[123]: Accepted publickey for x",
            r#"{"@timestamp":"2026-11-20T11:39:19.000Z","message":"Accepted publickey for x","log.syslog.hostname":"host","log.syslog.appname":"sshd",
               "process.name":"sshd","log.syslog.procid":"123","process.pid":123}"#,
        );
        check(
            Format::Auto,
            "2026-11-20T21:39:19.123456+01:00 host kernel: [    0.000000] Linux version 6.1.0",
            r#"{"@timestamp":"2026-11-20T20:39:19.123456Z","message":"[    0.000000] Linux version 6.1.0","log.syslog.hostname":"host",
               "log.syslog.appname":"kernel","process.name":"kernel"}"#,
        );
        check(
            Format::Auto,
            "2026-11-20T21:39:19Z host app[1]: ERROR it broke",
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"ERROR it broke","log.syslog.hostname":"host","log.syslog.appname":"app",
               "process.name":"app","log.syslog.procid":"1","process.pid":1,"log.level":"error"}"#,
        );
    }

    #[test]
    fn a_program_with_its_process_needs_no_host() {
        for line in [
            "Nov 20 21:39:19 cartd[42]: added",
            "Nov 20 21:39:19 cartd [42]: added",
            "Nov 20 21:39:19   cartd[42]: added",
            "Nov 20 21:39:19 cartd   [42]: added",
        ] {
            check(
                Format::Auto,
                line,
                r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"added","log.syslog.appname":"cartd","process.name":"cartd","log.syslog.procid":"42","process.pid":42}"#,
            );
        }
        check(
            Format::Auto,
            "Fri Nov 20 21:39:19 2026 - OK - [::1] added",
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"OK - [::1] added"}"#,
        );
        check(
            Format::Auto,
            "Nov 20 21:39:19 cart [x]: added",
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"[x]: added","log.syslog.hostname":"cart"}"#,
        );
    }

    #[test]
    fn a_guess_does_not_take_words_for_hosts() {
        check(
            Format::Auto,
            "2026-11-20T21:39:19Z starting server: port 80",
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"starting server: port 80"}"#,
        );
    }

    #[test]
    fn what_is_no_syslog_is_kept_as_text() {
        for line in
            ["<192>1 - - - - - -", "<>x", "<13", "<13>1 2026-11-20 - - - - -", "<13>1 - - - - - [open"]
        {
            check_unparsed(Format::Syslog, line);
        }
    }
}
