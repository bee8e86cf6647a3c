//! Lines of VMware's daemons and of ESXi.
//!
//! ```text
//! 2026-11-20T21:39:19.123Z info vpxd[45715] [Originator@6876 sub=vpxLro opID=7e1280cf] [VpxLRO] -- FINISH lro-846063
//! 2026-11-20T21:39:19.123Z In(14) settingsd[263657]: deleted ticket
//! ```

use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::header::Header;
use super::words::{Words, number};

/// What a daemon writes: a level in small letters, its name and thread, and who it is that speaks.
pub(super) fn daemon(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let level = match words.word()? {
        "panic" => Level::Emergency,
        "error" => Level::Error,
        "warning" => Level::Warning,
        "info" => Level::Info,
        "verbose" => Level::Debug,
        "trivia" => Level::Trace,
        _ => return None,
    };
    let (program, thread) = words.until("] ")?.cut_byte(b'[')?;
    words.rest().starts_with("[Originator@").then_some(())?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.program = Some(program).filter(|name| *name != "-");
    match thread.parse() {
        Ok(id) => header.thread_id = Some(id),
        Err(_) => header.thread = Some(thread),
    }
    header.lifts_pairs = true;
    Some(header)
}

/// What ESXi's syslog writes since its version 8: two letters of the severity's name and the priority, then the program.
pub(super) fn esxi(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length + 1);
    let severity = words.until("(")?;
    let level = match severity {
        "Em" => Level::Emergency,
        "Al" => Level::Alert,
        "Cr" => Level::Critical,
        "Er" => Level::Error,
        "Wa" => Level::Warning,
        "No" => Level::Notice,
        "In" => Level::Info,
        "Db" => Level::Debug,
        _ => return None,
    };
    let priority = words.until(")").filter(|priority| number(priority).is_some())?;
    // A line that goes on the one before has a mark.
    words.skip("[+]");
    words.skip(" ").then_some(())?;
    let mut header = Header { time: Some(moment), level: Some(level), ..Header::default() };
    header.attribute("severity", severity);
    header.attribute("priority", priority);
    let program = words.rest().cut(": ").map(|(program, _)| program).filter(|program| !program.has(b' '));
    if let Some(program) = program {
        words.advance(program.len() + 2);
        let process = program.strip_suffix(']').and_then(|program| program.cut_byte(b'['));
        let process = process.and_then(|(name, pid)| Some((name, number(pid)?)));
        header.program = Some(process.map_or(program, |(name, _)| name));
        header.pid = process.map(|(_, pid)| pid);
    }
    header.lifts_pairs = true;
    header.message_start = words.position();
    Some(header)
}
