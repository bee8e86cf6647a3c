//! What stands inside a syslog message: an application's own format, or the usual lines of a host's services, whose
//! user and address become fields while the text stays as it is.

use weir_record::Level;
use weir_record::scan::find_either;
use weir_record::schema::Field;

use super::cut::Cut;
use super::dispatch::Inner;
use super::draft::{Draft, Value};
use super::format::Certainty;
use super::keys::Meaning;
use super::plain::level_at_start;
use super::{access, cef, errors, haproxy, json, logfmt};

/// Fills `draft`, which is empty, from the message that `program` wrote in a format of its own. False where it has
/// none: the draft is empty again then.
pub(super) fn structured(program: &str, message: &str, draft: &mut Draft<'_>, inner: &mut Inner) -> bool {
    let text = message.strip_prefix("@cee:").unwrap_or(message).trim_start_matches(' ');
    let understood = match text.as_bytes().first() {
        Some(b'{') => json::parse(text, draft, &mut inner.json),
        Some(b'C' | b'L') if cef::parse(text, draft).is_some() => true,
        Some(b'M') if windows_event(text, draft).is_some() => true,
        Some(_) => match program {
            "haproxy" => haproxy::parse(text, draft).is_some(),
            "nginx" | "apache2" | "httpd" | "apache" => {
                access::parse(text, draft).is_some()
                    || again(draft, |draft| errors::nginx(text, draft).is_some())
                    || again(draft, |draft| errors::apache(text, draft).is_some())
            }
            _ => has_pairs(text) && logfmt::parse(text, Certainty::Guessed, draft, &mut inner.logfmt),
        },
        None => false,
    };
    if !understood {
        draft.reset();
    }
    understood
}

/// What Snare calls events of Windows.
const WINDOWS_TAG: &str = "MSWinEventLog";

/// An event of Windows as Snare and its like forward it, in columns:
/// `MSWinEventLog, criticality, log, counter, time, id, source, user, kind of user, type, host, category, data, text,
/// counter`.
fn windows_event(text: &str, draft: &mut Draft<'_>) -> Option<()> {
    const COLUMNS: usize = 15;
    let mut columns = [""; COLUMNS];
    let mut values = text.strip_prefix(WINDOWS_TAG)?.strip_prefix('\t')?.split('\t');
    for column in columns.iter_mut().skip(1) {
        *column = values.next()?;
    }
    let [
        _,
        criticality,
        channel,
        record,
        time,
        code,
        source,
        user,
        user_kind,
        kind,
        host,
        category,
        data,
        said,
        counter,
    ] = columns;
    let (moment, _) = draft.clock.read_prefix(time.as_bytes()).filter(|(_, length)| *length == time.len())?;
    values.next().is_none().then_some(())?;
    draft.time(moment);
    draft.writer.string(Field::Message, said);
    draft.writer.string(Field::SyslogAppname, WINDOWS_TAG);
    draft.put(Field::LogLogger, source);
    if user != "N/A" {
        draft.put(Field::UserName, user);
    }
    let attributes = [
        ("criticality", criticality),
        ("channel", channel),
        ("record", record),
        ("event_id", code),
        ("user_kind", user_kind),
        ("event_type", kind),
        ("computer", host),
        ("category", category),
        ("data", data),
        ("counter", counter),
    ];
    for (name, value) in attributes {
        if !matches!(value, "" | "N/A") {
            draft.attribute_text(name, value);
        }
    }
    match kind {
        "Success Audit" => drop(draft.writer.string(Field::EventOutcome, "success")),
        "Failure Audit" => drop(draft.writer.string(Field::EventOutcome, "failure")),
        _ => {}
    }
    Some(())
}

fn again(draft: &mut Draft<'_>, parse: impl FnOnce(&mut Draft<'_>) -> bool) -> bool {
    draft.reset();
    parse(draft)
}

/// Whether the first word is a pair: all others are then looked at.
fn has_pairs(text: &str) -> bool {
    find_either(b' ', b'=', text.as_bytes()).is_some_and(|at| text.as_bytes()[at] == b'=')
}

/// Writes what is certain of the usual services' messages, and the level that a message begins with.
pub(super) fn usual(program: &str, message: &str, draft: &mut Draft<'_>) {
    // rsyslog's RFC 5424 keeps the blank that stood behind the tag.
    let message = message.trim_start_matches(' ');
    match program {
        "sshd" | "sshd-session" => sshd(message, draft),
        "sudo" => sudo(message, draft),
        "CRON" | "cron" | "crond" | "anacron" => cron(message, draft),
        _ => {
            if let Some(level) = level_at_start(message).or_else(|| mnemonic_level(program)) {
                draft.writer.level(level);
            }
        }
    }
}

/// `Accepted publickey for anna from 203.0.113.9 port 51544 ssh2`, `Failed password for invalid user bob from ...`,
/// `Invalid user bob from ...`, `Connection closed by authenticating user root 203.0.113.9 port 22 [preauth]`.
fn sshd(message: &str, draft: &mut Draft<'_>) {
    let (action, outcome, rest) = if let Some(rest) = message.strip_prefix("Accepted ") {
        ("ssh_login", "success", rest)
    } else if let Some(rest) = message.strip_prefix("Failed ") {
        ("ssh_login", "failure", rest)
    } else if message.starts_with("Invalid user ") {
        ("ssh_login", "failure", message)
    } else {
        if let Some(level) = level_at_start(message) {
            draft.writer.level(level);
        }
        return;
    };
    // The user's name is the client's own words: it may hold `from`.
    let Some((who, place)) = rest.cut_last(" from ") else { return };
    let user = match who.cut(" for ") {
        Some((_method, user)) => user.strip_prefix("invalid user ").unwrap_or(user),
        None => who.strip_prefix("Invalid user ").unwrap_or_default(),
    };
    let (address, rest) = place.cut_word().unwrap_or((place, ""));
    // `port 51544 ssh2`: the word behind the next.
    let after = rest.cut_word().map_or("", |(_, after)| after);
    let port = after.cut_word().map_or(after, |(port, _)| port);
    draft.writer.string(Field::EventAction, action);
    draft.writer.string(Field::EventOutcome, outcome);
    if !user.is_empty() {
        draft.writer.string(Field::UserName, user);
    }
    draft.source(address);
    draft.assign(Meaning::Long(Field::SourcePort), Value::Plain(port));
}

/// `    anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/id`.
fn sudo(message: &str, draft: &mut Draft<'_>) {
    let Some((user, rest)) = message.cut(" : ") else { return };
    let Some((_, command)) = rest.cut("COMMAND=") else { return };
    draft.writer.string(Field::EventAction, "sudo");
    draft.writer.string(Field::UserName, user.trim());
    draft.writer.attribute_string("command", command);
    let target = rest.split(" ; ").find_map(|part| part.strip_prefix("USER="));
    if let Some(target) = target {
        draft.writer.attribute_string("target_user", target);
    }
}

/// `(root) CMD (test -x /usr/sbin/anacron)`.
fn cron(message: &str, draft: &mut Draft<'_>) {
    let Some((user, rest)) = message.strip_prefix('(').and_then(|rest| rest.cut(") ")) else { return };
    // The daemon speaks of itself, and of its system's table, in the same place.
    if !matches!(user, "CRON" | "*system*") {
        draft.writer.string(Field::UserName, user);
    }
    if let Some(command) = rest.strip_prefix("CMD (").and_then(|rest| rest.strip_suffix(')')) {
        draft.writer.attribute_string("command", command);
    }
}

/// The severity of Cisco's `%LINK-3-UPDOWN`.
fn mnemonic_level(program: &str) -> Option<Level> {
    let severity = mnemonic(program)?.1;
    Level::from_syslog_severity(severity)
}

/// The facility, the severity and the rest of `%ASA-4-106023`.
pub(super) fn mnemonic(program: &str) -> Option<(&str, u8)> {
    let name = program.strip_prefix('%')?;
    let mut parts = name.split('-');
    parts.next()?;
    let severity = parts.find_map(|part| match part.as_bytes() {
        [digit @ b'0'..=b'7'] => Some(digit - b'0'),
        _ => None,
    })?;
    parts.next().map(|_| (name, severity))
}
