//! The program that a line is of, with its process: `app[123]: message`.

use weir_record::scan::{find, word};

use super::super::cut::Cut;
use super::super::draft::is_number;

/// `app[123]: message`.
pub(super) struct Tag<'l> {
    pub(super) program: &'l str,
    pub(super) pid: Option<&'l str>,
    pub(super) message: &'l str,
}

/// Reads a tag; none where the text is all message.
pub(super) fn tag(text: &str) -> Option<Tag<'_>> {
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
pub(super) fn tag_without_host<'l>(time: &str, text: &'l str) -> Option<Tag<'l>> {
    let is_syslog_time = time.starts_with(|first: char| first.is_ascii_uppercase());
    let text = text.trim_start_matches(' ');
    let tag = match text.cut(" [").filter(|(program, _)| is_syslog_time && !program.trim_end().has(b' ')) {
        Some((program, rest)) => {
            let (pid, message) = rest.cut("]: ")?;
            Tag { program: program.trim_end(), pid: Some(pid), message }
        }
        None => tag(text)?,
    };
    // Behind another time, a name with dots is a logger's (fail2ban's `fail2ban.actions  [123]: NOTICE `), and what has no
    // colon behind its process is any program's.
    let behind = |pid: &str| text.get(tag.program.len() + 1 + pid.len()..);
    let has_colon = tag.pid.and_then(behind).is_some_and(|rest| rest.starts_with("]:"));
    let is_name = is_syslog_time || !tag.program.has(b'.') && has_colon;
    let is_program = is_name && !tag.program.has(b'=') && !tag.program.is_empty();
    (is_program && tag.pid.is_some_and(is_number)).then_some(tag)
}

/// Whether `[123]: ` follows blanks, or none.
pub(super) fn begins_with_process(text: &str) -> bool {
    let inside = text.trim_start_matches(' ').strip_prefix('[');
    inside.and_then(|inside| inside.cut("]: ")).is_some_and(|(pid, _)| is_number(pid))
}
