//! E-mail addresses: the shapes that people use of RFC 5321's mailboxes, found from their `@`.

use memchr::memchr_iter;

use super::{Finding, Kind};

/// Longest local part and longest domain. RFC 5321, 4.5.3.1
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;

/// Looks around each `@` from the first, which stands at `first`.
pub(super) fn find(line: &[u8], first: usize, findings: &mut Vec<Finding>) {
    for at in memchr_iter(b'@', &line[first..]).map(|at| first + at) {
        let start = local_start(line, at);
        let end = domain_end(line, at + 1);
        if let Some((start, end)) = start.zip(end).filter(|(start, _)| !is_in_url(line, *start)) {
            findings.push(Finding::new(Kind::Email, start..end));
        }
    }
}

fn local_start(line: &[u8], at: usize) -> Option<usize> {
    let window = &line[at.saturating_sub(LOCAL_BYTES_MAX)..at];
    let length = window.iter().rev().take_while(|byte| is_local(**byte)).count();
    // A dot neither begins nor ends it.
    let dots = window[window.len() - length..].iter().take_while(|byte| **byte == b'.').count();
    let is_mailbox = length > dots && window.last() != Some(&b'.');
    is_mailbox.then(|| at - length + dots)
}

/// Who logs in at a host is no mailbox: `https://user@example.com`.
fn is_in_url(line: &[u8], start: usize) -> bool {
    let before = &line[start.saturating_sub(LOCAL_BYTES_MAX)..start];
    let is_part = |byte: &&u8| {
        !byte.is_ascii_whitespace() && !matches!(**byte, b'/' | b'"' | b'\'' | b'<' | b',' | b';')
    };
    let userinfo = before.iter().rev().take_while(is_part).count();
    before[..before.len() - userinfo].ends_with(b"://")
}

const fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-')
}

/// The end of `label.label.tld`, the last of at least two letters.
fn domain_end(line: &[u8], start: usize) -> Option<usize> {
    let window = &line[start..line.len().min(start + DOMAIN_BYTES_MAX)];
    let length =
        window.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')).count();
    // A full stop or hyphen after the address belongs to the sentence.
    let domain = window[..length].trim_ascii_end();
    let kept = domain.iter().rev().skip_while(|byte| matches!(byte, b'.' | b'-')).count();
    let domain = &domain[..kept];
    let top = memchr::memrchr(b'.', domain)?;
    let (labels, name) = (&domain[..top], &domain[top + 1..]);
    let is_domain = name.len() >= 2
        && name.iter().all(u8::is_ascii_alphabetic)
        && labels.split(|byte| *byte == b'.').all(|label| !label.is_empty() && !label.starts_with(b"-"));
    is_domain.then_some(start + kept)
}
