//! Lines of daemons of Unix that write files of their own: CUPS, SSSD.

use weir_record::Level;

use super::super::zone::Clock;
use super::header::Header;
use super::words::Words;

/// `E [20/Nov/2026:21:39:19 +0100] Unable to open listen socket` (CUPS).
pub(super) fn cups<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let level = match line.as_bytes() {
        [level, b' ', b'[', ..] => match level {
            b'D' => Level::Debug,
            b'I' => Level::Info,
            b'N' => Level::Notice,
            b'W' => Level::Warning,
            b'E' => Level::Error,
            b'C' => Level::Critical,
            b'A' => Level::Alert,
            b'X' => Level::Emergency,
            _ => return None,
        },
        _ => return None,
    };
    let mut words = Words::at(line, "E [".len());
    let moment = clock.read_all(words.until("] ")?.as_bytes())?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    Some(header)
}

/// `(2026-11-20 21:39:19): [be[example.org]] [sysdb_add_user] (0x0040): [RID#3] text`, `(Fri Nov 20 21:39:19 2026) [sssd]
/// [start_service] (0x0100): text` (SSSD): component, function, and the bit of the level.
pub(super) fn sssd<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let mut words = Words::at(line, 1);
    let time = words.until(")")?;
    words.skip(":");
    words.skip(" [").then_some(())?;
    let moment = clock.read_all(time.as_bytes())?;
    let component = words.until("] [")?;
    let function = words.until("] (")?;
    let bit = words.until("): ")?;
    let level = match u32::from_str_radix(bit.strip_prefix("0x")?, 16).ok()? {
        0x10 => Level::Fatal,
        0x20 => Level::Critical,
        0x40 => Level::Error,
        0x80 => Level::Warning,
        0x100 | 0x200 => Level::Info,
        0x400 | 0x1000 | 0x2000 => Level::Debug,
        _ => Level::Trace,
    };
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(component);
    header.function = Some(function);
    header.attribute("debug_level", bit);
    Some(header)
}
