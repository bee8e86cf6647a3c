//! Lines of programs that are written as nobody else writes them. Each reader takes a whole first line or nothing.

use std::borrow::Cow;

use memchr::memmem;
use weir_record::time::parse_fraction;
use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::super::format::Format;
use super::super::zone::Clock;
use super::daemons;
use super::header::Header;
use super::jvm;
use super::layouts::{self, Family};
use super::parts::{epoch_at, is_logger, logger_and_line};
use super::words::{Words, number};
use super::{pairs, stamped};

/// The header of a line, and whose it is.
pub(super) fn read<'l>(line: &'l str, clock: &mut Clock) -> Option<(Format, Header<'l>)> {
    let first = *line.as_bytes().first()?;
    let as_format = |format| move |header| (format, header);
    match first {
        b'0'..=b'9' => {
            if let Some((moment, length)) = clock.read_start(line.as_bytes()) {
                let found = stamped::read(line, moment, length);
                // The others begin with no year of four digits.
                let has_year = matches!(line.as_bytes(), [_, _, _, _, b'-' | b'/', ..]);
                if found.is_some() {
                    return found;
                }
                if has_year {
                    return None;
                }
            }
            redis(line, clock)
                .map(as_format(Format::Redis))
                .or_else(|| logcat_threadtime(line, clock).map(as_format(Format::Logcat)))
                .or_else(|| hadoop(line, clock).map(as_format(Format::Hadoop)))
                .or_else(|| mysql_old(line, clock).map(as_format(Format::Mysql)))
                .or_else(|| layouts::ttcc(line).map(as_format(Format::Java)))
                .or_else(|| zap_epoch(line).map(as_format(Format::Go)))
                .or_else(|| stamped::postgresql_behind_client(line, clock).map(as_format(Format::Postgresql)))
        }
        b'[' if line.starts_with("[Nest] ") => nest(line, clock).map(as_format(Format::Node)),
        b'[' if line.starts_with("[ ") => layouts::kernel(line).map(as_format(Format::Plain)),
        b'[' if line.as_bytes().get(2) == Some(&b' ') => tornado(line, clock).map(as_format(Format::Python)),
        b'[' => celery(line, clock)
            .map(as_format(Format::Celery))
            .or_else(|| php(line, clock).map(as_format(Format::Php)))
            .or_else(|| coredns(line).map(as_format(Format::Coredns)))
            .or_else(|| redis(line, clock).map(as_format(Format::Redis)))
            .or_else(|| kafka(line, clock).map(as_format(Format::Hadoop)))
            .or_else(|| nats(line, clock).map(as_format(Format::Go)))
            .or_else(|| layouts::kernel(line).map(as_format(Format::Plain)))
            .or_else(|| jvm::read(line, clock).map(as_format(Format::Java)))
            .or_else(|| level_first(line, clock)),
        b'A'..=b'Z' => klog(line, clock)
            .map(as_format(Format::Klog))
            .or_else(|| ruby(line, clock).map(as_format(Format::Ruby)))
            .or_else(|| logcat_brief(line).map(as_format(Format::Logcat)))
            .or_else(|| daemons::cups(line, clock).map(as_format(Format::Plain)))
            .or_else(|| level_first(line, clock))
            .or_else(|| python(line).map(as_format(Format::Python)))
            .or_else(|| uvicorn(line).map(as_format(Format::Python)))
            .or_else(|| php_bare(line).map(as_format(Format::Php))),
        b'(' => daemons::sssd(line, clock).map(as_format(Format::Plain)),
        b't' if line.starts_with("type=") => audit(line).map(as_format(Format::Plain)),
        b'a'..=b'z' => dotnet(line).map(as_format(Format::Dotnet)),
        _ => None,
    }
}

/// Lines that begin with their level, and whose they are.
fn level_first<'l>(line: &'l str, clock: &mut Clock) -> Option<(Format, Header<'l>)> {
    let (header, family) = layouts::level_first(line, clock)?;
    let format = match family {
        Family::Go => Format::Go,
        Family::Java => Format::Java,
        Family::Python => Format::Python,
        Family::Any => Format::Plain,
    };
    Some((format, header))
}

/// `I1120 21:39:19.123456   12345 controller.go:116] "Pod status updated" pod="a/b"` (klog, glog).
fn klog<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let level = match line.as_bytes()[0] {
        b'I' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'F' => Level::Fatal,
        _ => return None,
    };
    let (date, rest) = line.get(1..)?.cut_byte(b' ')?;
    // glog writes the year since 0.5.
    let time = match date.len() {
        8 => clock.read_prefix(line.as_bytes().get(1..)?)?,
        _ => {
            clock.read_month_and_day(date, rest).map(|(moment, length)| (moment, date.len() + 1 + length))?
        }
    };
    let mut words = Words::at(line, 1 + time.1);
    let thread = words.number()?;
    let place = words.until("] ").or_else(|| words.until("]")).filter(|place| !place.has(b' '))?;
    let (file, origin_line) = place.rsplit_once(':')?;
    let mut header = Header { time: Some(time.0), level: Some(level), ..Header::default() };
    header.thread_id = Some(u64::from(thread));
    header.origin = Some((file, number(origin_line)?));
    header.message_start = words.position();
    // Structured: what is quoted is the message, pairs follow.
    if let Some((message, pairs)) = quoted(words.rest()).filter(|(_, pairs)| is_pairs(pairs)) {
        header.pairs = pairs;
        header.message = Some(pairs::unquoted(message));
    } else {
        header.lifts_pairs = true;
    }
    Some(header)
}

/// A text in quotes, its escapes not undone, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let length = pairs::quoted_length(text.strip_prefix('"')?)?;
    Some((&text[1..1 + length], &text[length + 2..]))
}

/// Whether a text is nothing but pairs, each of which can be lifted.
fn is_pairs(text: &str) -> bool {
    let mut rest = text;
    while let Some(after) = rest.strip_prefix(' ') {
        let Some((key, value)) = after.cut_byte(b'=') else { return false };
        if key.is_empty() || !is_logger(key) || key.contains(['/', ':', '$']) {
            return false;
        }
        rest = match quoted(value) {
            Some((inside, after)) if !inside.is_empty() => after,
            _ if value.starts_with('"') => return false,
            _ => {
                let end = value.find(' ').unwrap_or(value.len());
                let is_plain = value[..end]
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-/:+%".contains(&byte));
                if end == 0 || !is_plain || value[..end].ends_with(['.', ':']) {
                    return false;
                }
                &value[end..]
            }
        };
    }
    rest.is_empty()
}

/// `20058:M 20 Nov 2026 22:09:40.762 * Running`, `[20058] 20 Nov 22:09:40.762 # Warning`.
fn redis<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let mut words = Words::at(line, 0);
    let bracketed = words.skip("[");
    let pid = words.number_prefix()?;
    let role = match bracketed {
        true => words.skip("] ").then_some("")?,
        false => {
            words.skip(":").then_some(())?;
            let role = words.word()?;
            if role == "signal-handler" {
                return redis_signal(pid, words);
            }
            matches!(role, "M" | "S" | "C" | "X").then_some(role)?
        }
    };
    let (moment, length) =
        clock.read_prefix(words.rest().as_bytes()).or_else(|| clock.read_day_and_month(words.rest()))?;
    words.advance(length);
    words.skip(" ").then_some(())?;
    let level = match words.word()? {
        "." => Level::Debug,
        "-" => Level::Info,
        "*" => Level::Notice,
        "#" => Level::Warning,
        _ => return None,
    };
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.pid = Some(pid);
    if !role.is_empty() {
        header.attribute("role", role);
    }
    Some(header)
}

/// `1:signal-handler (1795210759) Received SIGTERM scheduling shutdown...`
fn redis_signal(pid: u32, mut words: Words<'_>) -> Option<Header<'_>> {
    words.skip("(").then_some(())?;
    const SECONDS_DIGITS: usize = 10;
    let seconds = words.until(") ").filter(|digits| digits.len() == SECONDS_DIGITS)?.parse().ok()?;
    let mut header = Header::stamped(Timestamp::from_seconds(seconds, 0, 0)?, words.position());
    header.pid = Some(pid);
    header.attribute("role", "signal-handler");
    Some(header)
}

/// `11-20 21:39:19.123  1234  5678 I ActivityManager: Start`, `11-20 21:39:19.123 I/ActivityManager( 1234): Start`.
fn logcat_threadtime<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let (date, rest) = line.cut_byte(b' ')?;
    let (month, day) = date.cut_byte(b'-')?;
    if (month.len(), day.len()) != (2, 2) {
        return None;
    }
    let (moment, length) = clock.read_month_and_day_of(month, day, rest)?;
    logcat(line, moment, line.len() - rest.len() + length)
}

/// What follows the time: with process and thread, or as in the short form.
pub(super) fn logcat(line: &str, moment: Timestamp, at: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, at);
    words.blanks();
    if let Some(mut header) = logcat_tag(line, words.position()) {
        header.time = Some(moment);
        return Some(header);
    }
    let (mut pid, mut tid) = (words.number()?, words.number()?);
    let mut header = Header::default();
    if let Some(third) = words.number() {
        // `logcat -v uid` writes the user first.
        header.attribute("uid", line[at..].split_ascii_whitespace().next().unwrap_or_default());
        (pid, tid) = (tid, third);
    }
    let level = logcat_level(words.word()?)?;
    let tag = words.until(": ").or_else(|| words.until(":"))?;
    header.time = Some(moment);
    header.message_start = words.position();
    header.level = Some(level);
    header.pid = Some(pid);
    header.thread_id = Some(u64::from(tid));
    header.logger = Some(tag.trim_end());
    Some(header)
}

/// `I/ActivityManager( 1234): Start`.
fn logcat_brief(line: &str) -> Option<Header<'_>> {
    logcat_tag(line, 0)
}

fn logcat_tag(line: &str, at: usize) -> Option<Header<'_>> {
    let rest = &line[at..];
    let level = logcat_level(rest.get(..1)?).filter(|_| rest[1..].starts_with('/'))?;
    let (tag, message) = rest[2..].cut("): ")?;
    let (tag, pid) = tag.rsplit_once('(')?;
    let mut header = Header { level: Some(level), ..Header::default() };
    header.pid = Some(number(pid.trim())?);
    header.logger = Some(tag.trim_end());
    header.message_start = line.len() - message.len();
    Some(header)
}

fn logcat_level(letter: &str) -> Option<Level> {
    Some(match letter {
        "V" => Level::Trace,
        "D" => Level::Debug,
        "I" => Level::Info,
        "W" => Level::Warning,
        "E" => Level::Error,
        "F" | "A" => Level::Fatal,
        _ => return None,
    })
}

/// `I, [2026-11-20T21:39:19.123456 #42]  INFO -- progname: message`.
fn ruby<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let rest = line.get(1..)?.strip_prefix(", [")?;
    let (moment, length) = clock.read_prefix(rest.as_bytes())?;
    let mut words = Words::at(line, 4 + length);
    words.skip(" #").then_some(())?;
    let pid = words.number_prefix()?;
    words.skip("]").then_some(())?;
    let level = words.word().filter(|level| level.as_bytes()[0] == line.as_bytes()[0])?;
    let level = Some(level).filter(|level| *level != "ANY").map(|level| Level::from_name(level.as_bytes()));
    if level == Some(None) {
        return None;
    }
    words.skip("-- ").then_some(())?;
    let name = words.until(": ").or_else(|| words.until(":"))?;
    let mut header = Header::stamped(moment, words.position());
    header.level = level.flatten();
    if header.level.is_none() {
        header.attribute("severity", "ANY");
    }
    header.pid = Some(pid);
    header.program = Some(name.trim()).filter(|name| !name.is_empty());
    Some(header)
}

/// `WARNING:app.views:low disk` (Python's default).
fn python(line: &str) -> Option<Header<'_>> {
    let (level, rest) = line.cut_byte(b':')?;
    let (logger, message) = rest.cut_byte(b':')?;
    let level = match level {
        "DEBUG" => Level::Debug,
        "INFO" => Level::Info,
        "WARNING" => Level::Warning,
        "ERROR" => Level::Error,
        "CRITICAL" => Level::Critical,
        _ => return None,
    };
    if !is_logger(logger) || logger.has(b'/') || message.starts_with(":") || message.starts_with("//") {
        return None;
    }
    let mut header = Header { level: Some(level), ..Header::default() };
    header.logger = Some(logger);
    header.message_start = line.len() - message.len();
    Some(header)
}

/// `[42] 2026/11/20 21:39:19.123456 [INF] Server is ready` (NATS).
fn nats<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let mut words = Words::at(line, 1);
    let pid = words.number_prefix()?;
    words.skip("] ").then_some(())?;
    let (moment, length) = clock.read_start(words.rest().as_bytes())?;
    words.advance(length);
    words.skip(" [").then_some(())?;
    let level = layouts::capital_level(words.until("] ")?)?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.pid = Some(pid);
    header.lifts_pairs = true;
    Some(header)
}

/// `[W 261120 21:39:19 web:2162] 404 GET /` (Tornado), `[I 2026-11-20 21:39:19.123 ServerApp] started` (Jupyter).
fn tornado<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let level = match line.as_bytes()[1] {
        b'D' => Level::Debug,
        b'I' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'C' => Level::Critical,
        _ => return None,
    };
    let mut words = Words::at(line, "[I ".len());
    let time = clock.read_prefix(words.rest().as_bytes());
    let (moment, length) = time.or_else(|| clock.read_short_year(words.rest()))?;
    words.advance(length);
    words.skip(" ").then_some(())?;
    let (name, origin_line) = logger_and_line(words.until("] ")?);
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(name).filter(|name| is_logger(name));
    header.logger?;
    header.origin = origin_line.map(|line| ("", line));
    Some(header)
}

/// `type=SYSCALL msg=audit(1795210759.123:456): arch=c000003e success=yes`, of Linux' audit log.
fn audit(line: &str) -> Option<Header<'_>> {
    let mut words = Words::at(line, "type=".len());
    let kind = words.until(" msg=")?;
    let logger = words.until("(").filter(|logger| *logger == "audit")?;
    let (moment, length) = epoch_at(words.rest())?;
    words.advance(length);
    words.skip(":").then_some(())?;
    let serial = words.until("): ").filter(|serial| number(serial).is_some())?;
    let mut header = Header::stamped(moment, words.position());
    header.logger = Some(logger);
    header.attribute("type", kind);
    header.attribute("serial", serial);
    header.lifts_pairs = true;
    Some(header)
}

/// `INFO:     Application startup complete.`, filled to ten letters (uvicorn).
fn uvicorn(line: &str) -> Option<Header<'_>> {
    const WIDTH: usize = 10;
    let (level, rest) = line.split_once(':')?;
    let message = rest.trim_start_matches(' ');
    if line.len() - message.len() != WIDTH || message.is_empty() {
        return None;
    }
    let mut header = Header { level: Some(layouts::capital_level(level)?), ..Header::default() };
    header.message_start = WIDTH;
    Some(header)
}

/// `1.7000000001234567e+09<tab>INFO<tab>setup<tab>starting manager` (zap's console with its usual times).
fn zap_epoch(line: &str) -> Option<Header<'_>> {
    const EXPONENT: usize = 9;
    let (time, _) = line.split_once("e+09\t")?;
    let (first, digits) = time.split_once('.')?;
    let (seconds, fraction) = digits.split_at_checked(EXPONENT)?;
    let is_number = first.len() == 1 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (nanosecond, count, _) = parse_fraction(format!(".{fraction}").as_bytes());
    let seconds = format!("{first}{seconds}").parse().ok().filter(|_| is_number)?;
    stamped::zap(line, Timestamp::from_seconds(seconds, nanosecond, count)?, time.len() + "e+09".len())
}

/// `info: Microsoft.Hosting.Lifetime[14]`, the message in the lines below or behind it.
fn dotnet(line: &str) -> Option<Header<'_>> {
    let level = match line.get(..6)? {
        "trce: " => Level::Trace,
        "dbug: " => Level::Debug,
        "info: " => Level::Info,
        "warn: " => Level::Warning,
        "fail: " => Level::Error,
        "crit: " => Level::Critical,
        _ => return None,
    };
    let (category, rest) = line[6..].cut_byte(b'[')?;
    let (event, message) = rest.cut_byte(b']')?;
    if !is_logger(category) || !event.bytes().all(|byte| byte.is_ascii_digit()) || event.is_empty() {
        return None;
    }
    let mut header = Header { level: Some(level), ..Header::default() };
    header.logger = Some(category);
    header.attribute("event_id", event);
    header.message_start = line.len() - message.trim_start().len();
    Some(header)
}

/// The two lines of `java.util.logging`: `Nov 20, 2026 9:39:19 PM com.x.Foo bar`, `INFO: started`.
pub(super) fn java_util<'l>(record: &'l str, first: &str, clock: &mut Clock) -> Option<Header<'l>> {
    let (first, second) = record.split_at_checked(first.len())?;
    let second = second.strip_prefix('\n')?;
    let (moment, length) = clock.read_start(first.as_bytes())?;
    let (class, method) = first[length..].strip_prefix(' ')?.cut_byte(b' ')?;
    let (level, message) = second.cut_byte(b':')?;
    let is_level = level.bytes().all(|byte| byte.is_ascii_uppercase());
    let level = Level::from_name(level.as_bytes()).filter(|_| is_level && level.len() > 1)?;
    if !is_logger(class) || !class.has(b'.') || method.has(b' ') {
        return None;
    }
    let mut header = Header::stamped(moment, record.len() - message.trim_start_matches(' ').len());
    header.level = Some(level);
    header.logger = Some(class);
    header.function = Some(method);
    Some(header)
}

/// `[2026-11-20 21:39:19,123: INFO/MainProcess] Connected`.
fn celery<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let (moment, length) = clock.read_start(&line.as_bytes()[1..])?;
    let mut words = Words::at(line, 1 + length);
    words.skip(": ").then_some(())?;
    let (level, process) = words.until("] ").or_else(|| words.until("]"))?.cut_byte(b'/')?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(Level::from_name(level.as_bytes())?);
    header.program = Some(process);
    Some(header)
}

/// `[Nest] 4711  - 11/20/2026, 9:39:19 PM     LOG [NestFactory] Starting Nest application... +4ms`.
fn nest<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let mut words = Words::at(line, 1);
    let program = words.until("] ")?;
    let pid = words.number()?;
    words.skip("- ").then_some(())?;
    let (moment, length) = clock.read_prefix(words.rest().as_bytes())?;
    words.advance(length);
    let level = words.word()?;
    let mut header = Header::stamped(moment, 0);
    header.level = Some(layouts::capital_level(level)?);
    header.pid = Some(pid);
    header.program = Some(program);
    if words.skip("[") {
        header.logger = Some(words.until("] ")?);
    }
    header.lifts_pairs = true;
    header.message_start = words.position();
    Some(header)
}

/// `[20-Nov-2026 21:39:19 UTC] PHP Warning:  Undefined variable $a in /srv/a.php on line 3`,
/// `[2026-11-20T21:39:19.123456+00:00] app.ERROR: gone {"id":7} []` (Monolog).
fn php<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let time = &line.as_bytes()[1..];
    let (mut moment, length) = clock.read_start(time)?;
    let mut words = Words::at(line, 1 + length);
    let mut zone = None;
    if !words.skip("] ") {
        let name = words.until("] ")?.strip_prefix(' ')?;
        zone = Some(Some(name).filter(|name| is_logger(name) && name.has(b'/'))?);
        // One that the system does not know is taken for the file's own.
        moment = clock.read_in_zone(&time[..length], name).unwrap_or(moment);
    }
    if let Some(mut header) = php_error(line, words.position()) {
        header.time = Some(moment);
        if let Some(zone) = zone {
            header.attribute("timezone", zone);
        }
        return Some(header);
    }
    if zone.is_some() {
        return None;
    }
    let (channel, level) = words.until(": ")?.rsplit_once('.')?;
    let level =
        Level::from_name(level.as_bytes()).filter(|_| level.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(channel).filter(|channel| is_logger(channel));
    header.logger?;
    header.take_objects(line);
    Some(header)
}

/// The same on standard error: without the time.
fn php_bare(line: &str) -> Option<Header<'_>> {
    php_error(line, 0)
}

fn php_error(line: &str, at: usize) -> Option<Header<'_>> {
    let (kind, message) = line[at..].strip_prefix("PHP ")?.cut(":  ")?;
    let level = match kind {
        "Fatal error" | "Parse error" | "Core error" | "Compile error" | "Recoverable fatal error" => {
            Level::Error
        }
        "Warning" | "Core warning" | "Compile warning" => Level::Warning,
        "Notice" | "Deprecated" | "Strict Standards" => Level::Notice,
        _ => return None,
    };
    let mut header = Header { level: Some(level), ..Header::default() };
    header.attribute("kind", kind);
    header.message_start = line.len() - message.len();
    if let Some((file, origin_line)) = message.cut_last(" on line ") {
        let file = memmem::rfind(file.as_bytes(), b" in ").map(|at| &file[at + 4..]);
        // What goes wrong before a script runs.
        header.origin = file.filter(|file| *file != "Unknown").zip(number(origin_line));
    }
    Some(header)
}

/// `[INFO] 10.244.0.5:43102 - 12345 "A IN example.org. udp 41 false 512" NOERROR qr,rd,ra 98 0.012345s`.
fn coredns(line: &str) -> Option<Header<'_>> {
    let (level, rest) = line[1..].cut("] ")?;
    let level =
        Level::from_name(level.as_bytes()).filter(|_| level.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let mut header = Header { level: Some(level), ..Header::default() };
    header.message_start = line.len() - rest.len();
    if let Some(plugin) = rest.strip_prefix("plugin/").and_then(|rest| rest.cut(": ")) {
        header.logger = Some(&rest[..7 + plugin.0.len()]);
        header.message_start = line.len() - plugin.1.len();
        return Some(header);
    }
    let (client, rest) = rest.cut(" - ")?;
    let (_, rest) = rest.cut(" \"")?;
    let (question, answer) = rest.cut("\" ")?;
    let mut question = question.split(' ');
    header.attribute("dns.question.type", question.next()?);
    header.attribute("dns.question.class", question.next()?);
    header.attribute("dns.question.name", question.next()?);
    header.client = Some(client);
    header.attribute("dns.response_code", answer.split(' ').next()?);
    header.duration = answer.rsplit(' ').next().filter(|duration| duration.ends_with('s'));
    Some(header)
}

/// `[2026-11-20 21:39:19,123] INFO Kafka version: 3.6 (org.apache.kafka.common.utils.AppInfoParser)`.
fn kafka<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let (moment, length) = clock.read_start(&line.as_bytes()[1..])?;
    let mut words = Words::at(line, 1 + length);
    words.skip("] ").then_some(())?;
    let level = words.word()?;
    let level =
        Level::from_name(level.as_bytes()).filter(|_| level.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let (message, logger) = words.rest().strip_suffix(')')?.cut_last(" (")?;
    if !logger.has(b'.') || !is_logger(logger) {
        return None;
    }
    let mut header = Header::stamped(moment, words.position());
    // Kafka Connect adds the line of the code.
    let (logger, origin_line) = logger_and_line(logger);
    header.origin = origin_line.map(|line| ("", line));
    header.level = Some(level);
    header.logger = Some(logger);
    header.message = Some(Cow::Borrowed(message));
    Some(header)
}

/// `26/11/20 21:39:19 INFO SparkContext: Running`, `261120 213919 148 INFO dfs.DataNode$PacketResponder: Received`.
fn hadoop<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let (moment, length) = clock.read_short_year(line)?;
    let mut words = Words::at(line, length);
    words.blanks();
    let mut header = Header { time: Some(moment), ..Header::default() };
    header.thread_id = words.number().map(u64::from);
    let level = words.word()?;
    header.level = Some(Level::from_name(level.as_bytes()).filter(|_| level.len() > 1)?);
    let logger = words.until(": ").filter(|logger| is_logger(logger))?;
    header.logger = Some(logger);
    header.message_start = words.position();
    Some(header)
}

/// `261120 21:39:19 [Note] Event Scheduler: Loaded 0 events`, `261120 21:39:19  8 [Warning] Aborted`.
fn mysql_old<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let (moment, length) = clock.read_short_year(line)?;
    stamped::mysql(line, moment, length)
}
