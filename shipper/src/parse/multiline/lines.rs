//! What kind of line one is, by its bytes alone.

use super::super::time::begins_with_time;
use super::super::trace::{is_frame, is_go_function, is_ruby_frame};

/// Whether a line that begins with a time is nothing else: `2026-11-20T21:39:19.123456+01:00` as Oracle writes it, `Fri Nov
/// 20 21:39:19 CET 2026` as `date` does.
pub(super) fn is_bare_time(line: &[u8]) -> bool {
    const BYTES_MAX: usize = 40;
    let line = line.trim_ascii_end();
    if line.len() > BYTES_MAX {
        return false;
    }
    match line.first() {
        Some(b'0'..=b'9') => {
            memchr::memchr(b':', line).is_some()
                && line.iter().all(|byte| byte.is_ascii_digit() || b"-:.,+/TZ ".contains(byte))
        }
        Some(b'A'..=b'Z') => {
            let is_dated = line.get(3) == Some(&b' ') && line.get(4).is_some_and(u8::is_ascii_uppercase);
            let is_year = |tail: &[u8]| tail[0] == b' ' && tail[1..].iter().all(u8::is_ascii_digit);
            is_dated && line.len() > 20 && is_year(&line[line.len() - 5..])
        }
        _ => false,
    }
}

/// Whether a line has its level before its time, `ERROR [main] 2026-..`, or the milliseconds of a program's run and a
/// thread before its level, `176 [main] ERROR ..`.
pub(super) fn begins_with_level(line: &[u8]) -> bool {
    /// A thread's name is looked for no further.
    const HEAD_BYTES_MAX: usize = 80;
    let head = &line[..line.len().min(HEAD_BYTES_MAX)];
    let is_level = |word: &[u8]| word.len() > 3 && word.iter().all(u8::is_ascii_uppercase);
    let word = |text: &[u8]| text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let behind_thread = |text: &[u8]| {
        let end = text.first().filter(|first| **first == b'[').and(memchr::memchr(b']', text))?;
        Some(text.len() - text[end + 1..].trim_ascii_start().len())
    };
    let first = &head[..word(head)];
    let rest = head[first.len()..].trim_ascii_start();
    match first.first() {
        Some(b'A'..=b'Z') if is_level(first) => {
            begins_with_time(&line[head.len() - rest.len()..]) || {
                let at = head.len() - rest.len();
                behind_thread(rest).is_some_and(|length| begins_with_time(&line[at + length..]))
            }
        }
        Some(b'[') => {
            let level = first.strip_prefix(b"[").unwrap_or(first);
            let level = level.strip_suffix(b"]").unwrap_or(level);
            is_level(level) && begins_with_time(rest.strip_prefix(b"]").unwrap_or(rest).trim_ascii_start())
        }
        Some(b'0'..=b'9') if first.iter().all(u8::is_ascii_digit) => {
            behind_thread(rest).is_some_and(|length| is_level(&rest[length..length + word(&rest[length..])]))
        }
        _ => false,
    }
}

/// Whether a frame is of another event than `open`, one line that tells of nothing that went wrong: nobody shows a trace
/// for that. What remains is a trace whose own line another writer has cut off.
pub(super) fn is_stray_frame(open: &[u8], line: &[u8]) -> bool {
    /// Parts of levels, of names of errors, and of what is said of them.
    const ALARMS: [&[u8]; 12] = [
        b"err", b"exc", b"warn", b"wrn", b"fail", b"fatal", b"ftl", b"crit", b"sev", b"trac", b"stack",
        b"thr",
    ];
    let text = line.trim_ascii_start();
    let begins_alarm = |part: &[u8]| {
        ALARMS
            .iter()
            .any(|alarm| part.get(..alarm.len()).is_some_and(|word| word.eq_ignore_ascii_case(alarm)))
    };
    text.len() < line.len()
        && text.starts_with(b"at ")
        && !is_frame(open)
        && !(0..open.len()).any(|at| begins_alarm(&open[at..]))
}

/// Whether a line is of zap's console, at a level that traces are shown of: `2026-11-20T21:39:19.123Z<tab>ERROR<tab>..`.
pub(super) fn is_zap(line: &[u8]) -> bool {
    const LEVELS: [&[u8]; 6] = [b"WARN", b"ERROR", b"DPANIC", b"PANIC", b"FATAL", b"error"];
    /// Behind the time.
    const TAB_AT_MAX: usize = 36;
    let Some(tab) = memchr::memchr(b'\t', &line[..line.len().min(TAB_AT_MAX)]) else { return false };
    let rest = &line[tab + 1..];
    LEVELS.iter().any(|level| rest.strip_prefix(*level).is_some_and(|rest| rest.first() == Some(&b'\t')))
}

/// `main.main`, `k8s.io/a/b.(*Controller).Start.func2`, and the place in the code below it.
pub(super) fn is_zap_frame(line: &[u8]) -> bool {
    is_indented(line) || is_go_function(line)
}

/// `I1120 21:39:19.123456   12345 controller.go:116] text`, with the year or without.
pub(super) fn is_klog(line: &[u8]) -> bool {
    let Some((b'I' | b'W' | b'E' | b'F', date)) = line.split_first() else { return false };
    let digits = date.iter().take_while(|byte| byte.is_ascii_digit()).count();
    matches!(digits, 4 | 8) && date.get(digits) == Some(&b' ') && date.get(digits + 3) == Some(&b':')
}

/// `"main" #1 prio=5 os_prio=0 ..`: a thread in a dump of Java's.
pub(super) fn is_java_thread(line: &[u8]) -> bool {
    line.first() == Some(&b'"') && memchr::memmem::find(line, b" os_prio=").is_some()
}

/// Whether a line is the header of another exception in a trace: Java's causes and what was suppressed, .NET's inner ones.
pub(super) fn is_cause(line: &[u8]) -> bool {
    const WORDS: [&[u8]; 4] = [b"Caused by: ", b"Wrapped by: ", b"Suppressed: ", b"---> "];
    let text = line.trim_ascii_start();
    is_frame(line) && WORDS.iter().any(|word| text.starts_with(word))
}

/// `  code: 'ENOENT',`, `  [cause]: Error: x`, `  }`.
pub(super) fn has_property(line: &[u8]) -> bool {
    let text = line.trim_ascii_start();
    text.starts_with(b"[")
        || text.starts_with(b"}")
        || text.starts_with(b"]")
        || memchr::memmem::find(text, b": ").is_some()
}

/// Whether a line begins as nothing but a clause of SQL does, in capitals.
pub(super) fn begins_clause(line: &[u8]) -> bool {
    const CLAUSES: [&[u8]; 14] = [
        b"FROM ",
        b"WHERE ",
        b"GROUP BY ",
        b"ORDER BY ",
        b"HAVING ",
        b"JOIN ",
        b"LEFT JOIN ",
        b"RIGHT JOIN ",
        b"INNER JOIN ",
        b"CROSS JOIN ",
        b"LIMIT ",
        b"VALUES ",
        b"UNION ",
        b"RETURNING ",
    ];
    line.first().is_some_and(|first| b"FWGOHJLRICVU".contains(first))
        && CLAUSES.iter().any(|clause| line.starts_with(clause))
}

/// Whether a line can stand inside of an object: indented, a key, or a bracket. Others are of another writer.
pub(super) fn may_be_json(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t' | b'"' | b'}' | b']' | b',')) || is_opening_bracket(line)
}

/// `/usr/sbin/mysqld, Version: 8.0.39 (MySQL Community Server - GPL). started with:`.
pub(super) fn is_slow_log_head(line: &[u8]) -> bool {
    line.ends_with(b"started with:") && memchr::memmem::find(line, b", Version: ").is_some()
}

/// Whether a line can be any text: nothing that is known to begin an event.
pub(super) fn is_free(line: &[u8]) -> bool {
    !matches!(line.first(), Some(b'{' | b'<'))
}

pub(super) fn is_indented(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

/// Whether an object begins that cannot end in this line: `{`, `{"a": 1,`, `{ "a": {`.
pub(super) fn is_opening_json(line: &[u8]) -> bool {
    is_opening_bracket(line)
        || matches!(line.trim_ascii_end().last(), Some(b',' | b'{' | b'['))
            && matches!(line[1..].trim_ascii_start().first(), Some(b'"'))
}

/// Whether an object begins at the end of a line of text: `response: {`.
pub(super) fn opens_object(line: &[u8]) -> bool {
    matches!(line, [.., b' ' | b'=' | b':' | b'(', b'{' | b'['])
}

fn is_opening_bracket(line: &[u8]) -> bool {
    matches!(line.trim_ascii_end(), b"{" | b"[" | b"[{")
}

/// Python's, also behind a time stamp or the plus of a group.
pub(super) fn is_traceback(line: &[u8]) -> bool {
    line.ends_with(b"Traceback (most recent call last):")
}

pub(super) fn is_go_panic(line: &[u8]) -> bool {
    line.starts_with(b"panic: ")
        || line.starts_with(b"fatal error: ")
        || line.starts_with(b"goroutine ") && memchr::memchr(b'[', line).is_some()
}

pub(super) fn is_go(line: &[u8]) -> bool {
    let is_call = || {
        let Some(open) = memchr::memchr(b'(', line) else { return false };
        let name = &line[..open];
        let is_name = memchr::memchr(b'.', name).is_some() || name == b"panic";
        line.ends_with(b")") && is_name && memchr::memchr(b' ', name).is_none()
    };
    // `rax    0x0`, as a fatal signal shows the registers.
    let is_register = || line.len() < 40 && memchr::memmem::find(line, b" 0x").is_some_and(|at| at < 8);
    line.is_empty()
        || is_indented(line)
        || is_go_panic(line)
        || line.starts_with(b"[signal ")
        || line.starts_with(b"created by ")
        || line.starts_with(b"exit status ")
        || line.starts_with(b"runtime stack:")
        || line.starts_with(b"...additional frames elided...")
        || is_call()
        || is_register()
}

pub(super) fn is_rust_panic(line: &[u8]) -> bool {
    line.starts_with(b"thread '") && is_rust_panic_inside(line)
}

pub(super) fn is_rust_panic_inside(line: &[u8]) -> bool {
    line.ends_with(b":") && memchr::memmem::find(line, b" panicked at ").is_some()
}

pub(super) fn is_rust(line: &[u8]) -> bool {
    // JavaScript's errors begin alike: gRPC's for Node have two traces, and properties end with a brace.
    line.is_empty()
        || line == b"for call at"
        || line == b"}"
        || is_indented(line)
        || line == b"Caused by:"
        || line == b"Stack backtrace:"
        || line == b"stack backtrace:"
        || line.starts_with(b"note: ")
        || line.starts_with(b"Location:")
}

/// `0. DB::Exception::Exception(..) @ 0x000000000c61ff37 in /usr/bin/clickhouse`, ` (version 23.8.2.7)`, a blank line.
pub(super) fn is_of_clickhouse(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_frame = digits > 0 && line[digits..].starts_with(b". ");
    line.is_empty() || is_frame || line.starts_with(b" (version ")
}

/// `/srv/app.js:10`, `file:///srv/app.mjs:10`, `node:internal/process:10`.
pub(super) fn is_node_source(line: &[u8]) -> bool {
    let has_scheme = [&b"/"[..], b"file://", b"node:"].iter().any(|scheme| line.starts_with(scheme));
    let Some(colon) = memchr::memrchr(b':', line) else { return false };
    has_scheme
        && line.len() > colon + 1
        && line[colon + 1..].iter().all(u8::is_ascii_digit)
        && memchr::memchr(b' ', line).is_none()
}

/// `Nov 20, 2026 9:39:19 PM com.x.Foo bar`: a date with a comma and half a day, and the class and method behind it.
pub(super) fn is_java_util(line: &[u8]) -> bool {
    /// Behind the day: `Nov 2,`, `Sept. 20,`.
    const COMMA_AT_MAX: usize = 9;
    let comma = line.iter().take(COMMA_AT_MAX + 1).position(|byte| *byte == b',');
    let has_comma = comma.is_some_and(|at| at > 4 && line[at - 1].is_ascii_digit());
    let half = [&b" AM "[..], b" PM "].iter().filter_map(|half| memchr::memmem::find(line, half)).min();
    has_comma && half.is_some_and(|at| !line.ends_with(b":") && memchr::memchr(b':', &line[at..]).is_none())
}

/// `info: Microsoft.Hosting.Lifetime[14]` of .NET's console: its message is indented below.
pub(super) fn is_console_category(line: &[u8]) -> bool {
    let Some((level, rest)) = line.split_first_chunk::<6>() else { return false };
    matches!(level, b"trce: " | b"dbug: " | b"info: " | b"warn: " | b"fail: " | b"crit: ")
        && rest.ends_with(b"]")
        && memchr::memchr(b'[', rest).is_some()
}

/// `E, [2026-11-20T21:39:19.123456 #42] ERROR -- : message`.
pub(super) fn is_ruby_logger(line: &[u8]) -> bool {
    line.get(1..4) == Some(b", [") && begins_with_time(&line[4..])
}

pub(super) fn is_ruby(line: &[u8]) -> bool {
    is_ruby_frame(line) || is_indented(line)
}

/// `#0 /srv/a.php(12): f()`, `#1 {main}`, `  thrown in ..`, and what Monolog writes between exceptions and closes with.
pub(super) fn is_php(line: &[u8]) -> bool {
    let is_numbered = line.first() == Some(&b'#') && line.get(1).is_some_and(u8::is_ascii_digit);
    is_numbered
        || line.is_empty()
        || is_indented(line)
        || line.starts_with(b"\"}")
        || line.starts_with(b"Next ")
        || line == b"Stack trace:"
        || line == b"[stacktrace]"
        || line.starts_with(b"[previous exception] ")
}
