//! The journal of systemd, through a `journalctl` that follows it.
//!
//! The cursor of the last entry in our own journal is where the next life goes on: an entry counts as read when it is on
//! the disk. A journalctl that dies is started again there; one that does not know the cursor any more (the journal was
//! cleaned, or is another's) is started at the cursor's time: rather some entries twice than one lost.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use memchr::memmem;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use weir_config::JournaldConfig;

use super::Context;
use super::journal::last_mark;
use super::line::Lines;

/// Bytes of one read.
const READ_BYTES: usize = 256 * 1024;

/// An entry longer than this is cut into lines: more than what the journal itself takes as one field by default.
const ENTRY_BYTES_MAX: usize = 64 << 20;

const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Bytes of what journalctl complains of that are shown.
const COMPLAINT_BYTES_MAX: usize = 400;

/// How long its complaints are waited for once it has closed its output.
const COMPLAINT_WAIT: Duration = Duration::from_secs(1);

/// Where a journalctl begins.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Beginning,
    AfterCursor(String),
    /// `--since`, microseconds since 1970.
    Since(u64),
}

/// Reads until the input has to end. `directory`: of our own journal.
pub(super) async fn run(config: JournaldConfig, directory: PathBuf, mut context: Context) {
    let mut backoff = BACKOFF_MIN;
    let mut cursor = last_cursor(&directory);
    let mut start = cursor.clone().map_or(Start::Beginning, Start::AfterCursor);
    loop {
        let before = cursor.clone();
        let complaint = match spawn(&config, &start) {
            Ok(child) => match read(child, &mut cursor, &mut context).await {
                Some(complaint) => complaint,
                None => return,
            },
            Err(error) => error.to_string(),
        };
        context.counters.fault();
        let has_read = cursor != before;
        backoff = if has_read { BACKOFF_MIN } else { (backoff * 2).min(BACKOFF_MAX) };
        start = next_start(cursor.as_deref(), &start, has_read);
        tracing::warn!(program = %config.program.display(), complaint, ?backoff, "journalctl has ended: it is started again where it was");
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = context.stopped() => return,
        }
    }
}

/// A cursor that led to nothing is tried by its time, and then by itself again.
fn next_start(cursor: Option<&str>, last: &Start, has_read: bool) -> Start {
    let Some(cursor) = cursor else { return Start::Beginning };
    match (last, time_of(cursor)) {
        (Start::AfterCursor(_), Some(micros)) if !has_read => Start::Since(micros),
        _ => Start::AfterCursor(cursor.to_owned()),
    }
}

fn spawn(config: &JournaldConfig, start: &Start) -> std::io::Result<Child> {
    let mut command = Command::new(&config.program);
    command.args(["--output=json", "--follow", "--all", "--no-pager", "--no-tail", "--quiet"]);
    command.args(config.units.iter().map(|unit| format!("--unit={unit}")));
    let place = match start {
        Start::Beginning => None,
        Start::AfterCursor(cursor) => Some(format!("--after-cursor={cursor}")),
        Start::Since(micros) => Some(format!("--since=@{}.{:06}", micros / 1_000_000, micros % 1_000_000)),
    };
    command.args(place);
    command.args(&config.arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()
}

/// Reads a journalctl to its end; what it complained of. None: the input has to end.
async fn read(mut child: Child, cursor: &mut Option<String>, context: &mut Context) -> Option<String> {
    let mut output = child.stdout.take()?;
    let writer = context.writer.clone();
    let mut lines = Lines::new(ENTRY_BYTES_MAX);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = tokio::select! {
            read = output.read(&mut buffer) => read,
            () = context.stopped() => return None,
        };
        let count = match read {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let whole = lines.take(buffer.get(..count).unwrap_or_default());
        if whole.is_empty() {
            continue;
        }
        let last = whole.rsplit(|&byte| byte == b'\n').find_map(cursor_of);
        let mark = last.clone();
        // Nothing is read meanwhile: a journal of ours that is full holds journalctl up.
        tokio::select! {
            appended = writer.append(whole, mark) => appended.ok()?,
            () = context.stopped() => return None,
        }
        if let Some(last) = last {
            *cursor = Some(String::from_utf8_lossy(&last).into_owned());
        }
    }
    // An entry that was cut off is read again.
    Some(complaint(child).await)
}

async fn complaint(mut child: Child) -> String {
    let mut text = Vec::new();
    if let Some(errors) = child.stderr.take() {
        let mut errors = errors.take(COMPLAINT_BYTES_MAX as u64);
        // It may have given its end of the pipe to somebody who keeps it open.
        drop(timeout(COMPLAINT_WAIT, errors.read_to_end(&mut text)).await);
    }
    let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    format!("{status}: {}", String::from_utf8_lossy(&text).trim())
}

/// The cursor of the last entry in our own journal.
fn last_cursor(directory: &Path) -> Option<String> {
    match last_mark(directory, cursor_of) {
        Ok(mark) => mark.map(|cursor| String::from_utf8_lossy(&cursor).into_owned()),
        Err(error) => {
            tracing::warn!(%error, "cannot read where the journal of systemd was read to: it is read from its beginning");
            None
        }
    }
}

/// The value of `__CURSOR` in an entry that is whole. A quote in another field's value has a backslash before it.
fn cursor_of(line: &[u8]) -> Option<Vec<u8>> {
    const KEY: &[u8] = b"\"__CURSOR\"";
    if !line.ends_with(b"}") {
        return None;
    }
    let after = line.get(memmem::find(line, KEY)? + KEY.len()..)?;
    let value = after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr2(b'"', b'\\', value)?;
    (value.get(end) == Some(&b'"')).then(|| value.get(..end).unwrap_or_default().to_vec())
}

/// `s=..;i=..;b=..;m=..;t=5f0c..;x=..`: `t` is the entry's time in microseconds, hexadecimal.
fn time_of(cursor: &str) -> Option<u64> {
    let time = cursor.split(';').find_map(|part| part.strip_prefix("t="))?;
    u64::from_str_radix(time, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_of_an_entry_is_found_and_half_an_entry_has_none() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(cursor_of(line.as_bytes()).as_deref(), expected.map(str::as_bytes), "{line}");
        };
        check(r#"{"__CURSOR":"s=1;t=5f","MESSAGE":"x"}"#, Some("s=1;t=5f"));
        check(r#"{"MESSAGE":"\"__CURSOR\":\"no\"","__CURSOR" : "s=1"}"#, Some("s=1"));
        check(r#"{"__CURSOR":"s=1","MESS"#, None);
        check("", None);
    }

    #[test]
    fn a_cursor_that_is_not_known_any_more_is_tried_by_its_time() {
        let cursor = "s=1;i=2;b=3;m=4;t=64a1;x=5";
        let after = Start::AfterCursor(cursor.to_owned());
        assert_eq!(next_start(None, &Start::Beginning, false), Start::Beginning);
        assert_eq!(next_start(Some(cursor), &after, true), after);
        assert_eq!(next_start(Some(cursor), &after, false), Start::Since(0x64a1));
        assert_eq!(next_start(Some(cursor), &Start::Since(0x64a1), false), after);
        assert_eq!(
            next_start(Some("s=1"), &Start::AfterCursor("s=1".into()), false),
            Start::AfterCursor("s=1".into())
        );
    }
}
