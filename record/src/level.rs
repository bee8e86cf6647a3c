//! The severity of a record, on one scale whatever the line calls it.

use crate::scan::{BLOCK_BYTES, words};

/// `log.level`, exactly as indexed: the ten names that Kibana's badges know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
    Fatal,
}

impl Level {
    /// Every level, from the least to the most severe.
    pub const ALL: [Level; 10] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Notice,
        Level::Warning,
        Level::Error,
        Level::Critical,
        Level::Alert,
        Level::Emergency,
        Level::Fatal,
    ];

    /// The indexed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Critical => "critical",
            Level::Alert => "alert",
            Level::Emergency => "emergency",
            Level::Fatal => "fatal",
        }
    }

    /// Reads the names that loggers write, in any case: `WARN`, `E`, `SEVERE`, `dbg`, `crit`, ...
    pub fn from_name(name: &[u8]) -> Option<Level> {
        if name.len() > BLOCK_BYTES {
            return None;
        }
        let (low, high) = words(name);
        let slot = TABLE[slot_of(name.len(), folded((low, high)))];
        let is_same = |known: &&Name| {
            let letters = known.letters;
            (low | letters.0, high | letters.1) == known.words && known.text.len() == name.len()
        };
        slot.iter().map_while(|index| NAMES.get(usize::from(*index))).find(is_same).map(|known| known.level)
    }

    /// Maps a syslog severity (RFC 5424 §6.2.1, 0 to 7).
    pub const fn from_syslog_severity(severity: u8) -> Option<Level> {
        Some(match severity {
            0 => Level::Emergency,
            1 => Level::Alert,
            2 => Level::Critical,
            3 => Level::Error,
            4 => Level::Warning,
            5 => Level::Notice,
            6 => Level::Info,
            7 => Level::Debug,
            _ => return None,
        })
    }

    /// Maps the numbers of pino and bunyan: 10 trace, 20 debug, 30 info, 40 warning, 50 error, 60 fatal;
    /// a number in between counts as the level below it.
    pub const fn from_number(number: i64) -> Option<Level> {
        Some(match number {
            10..=19 => Level::Trace,
            20..=29 => Level::Debug,
            30..=39 => Level::Info,
            40..=49 => Level::Warning,
            50..=59 => Level::Error,
            60..=69 => Level::Fatal,
            _ => return None,
        })
    }
}

/// A name that loggers write.
#[derive(Clone, Copy)]
struct Name {
    text: &'static str,
    words: (u64, u64),
    /// What makes a small letter of a capital one, where the name has letters.
    letters: (u64, u64),
    level: Level,
}

/// The names, in lower case.
const TEXTS: [(Level, &[&str]); 10] = [
    (Level::Trace, &["trace", "trc", "trce", "t", "v", "verbose", "finest", "finer", "silly"]),
    (
        Level::Debug,
        &["debug", "dbg", "dbug", "d", "fine", "config", "debug1", "debug2", "debug3", "debug4", "debug5"],
    ),
    (Level::Info, &["info", "inf", "i", "information", "informational", "log", "statement"]),
    (Level::Notice, &["notice", "note", "n"]),
    (Level::Warning, &["warning", "warn", "wrn", "w", "deprecation"]),
    (Level::Error, &["error", "err", "eror", "e", "severe", "failure", "fail"]),
    (Level::Critical, &["critical", "crit", "c", "dpanic"]),
    (Level::Alert, &["alert", "a"]),
    (Level::Emergency, &["emergency", "emerg", "panic"]),
    (Level::Fatal, &["fatal", "ftl", "f"]),
];

const NAME_COUNT: usize = {
    let (mut count, mut at) = (0, 0);
    while at < TEXTS.len() {
        count += TEXTS[at].1.len();
        at += 1;
    }
    count
};
const SLOTS: usize = 128;
const SLOT_DEPTH: usize = 4;
const FREE: u8 = u8::MAX;

static NAMES: [Name; NAME_COUNT] = build_names();

/// Indices into [`NAMES`] by hash, built at compile time. A name that would not fit fails the build.
static TABLE: [[u8; SLOT_DEPTH]; SLOTS] = build_table();

const fn build_names() -> [Name; NAME_COUNT] {
    let mut names = [Name { text: "", words: (0, 0), letters: (0, 0), level: Level::Info }; NAME_COUNT];
    let (mut count, mut at) = (0, 0);
    while at < TEXTS.len() {
        let (level, texts) = TEXTS[at];
        let mut text = 0;
        while text < texts.len() {
            let words = words(texts[text].as_bytes());
            let letters = (letters(words.0), letters(words.1));
            names[count] = Name { text: texts[text], words, letters, level };
            text += 1;
            count += 1;
        }
        at += 1;
    }
    names
}

const fn build_table() -> [[u8; SLOT_DEPTH]; SLOTS] {
    let names = build_names();
    let mut table = [[FREE; SLOT_DEPTH]; SLOTS];
    let mut at = 0;
    while at < NAME_COUNT {
        let slot = slot_of(names[at].text.len(), folded(names[at].words));
        let mut depth = 0;
        while table[slot][depth] != FREE {
            depth += 1;
        }
        table[slot][depth] = at as u8;
        at += 1;
    }
    table
}

/// A text whose letters are small ones; other bytes change, too.
const fn folded((low, high): (u64, u64)) -> (u64, u64) {
    const SMALL: u64 = u64::MAX / 255 * 0x20;
    (low | SMALL, high | SMALL)
}

/// 0x20 in the place of each letter: all that is above 0x40 among the names' bytes.
const fn letters(word: u64) -> u64 {
    const ABOVE: u64 = u64::MAX / 255 * 0x40;
    (word & ABOVE) >> 1
}

const fn slot_of(length: usize, (low, high): (u64, u64)) -> usize {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    const SHIFT: u32 = u64::BITS - SLOTS.trailing_zeros();
    ((low ^ high.rotate_left(32) ^ length as u64).wrapping_mul(FACTOR) >> SHIFT) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_many_loggers_map_to_the_ten_levels() {
        let check = |name: &str, level| assert_eq!(Level::from_name(name.as_bytes()), level, "{name}");
        check("WARN", Some(Level::Warning));
        check("E", Some(Level::Error));
        check("err", Some(Level::Error));
        check("FINEST", Some(Level::Trace));
        check("FINE", Some(Level::Debug));
        check("CONFIG", Some(Level::Debug));
        check("LOG", Some(Level::Info));
        check("SEVERE", Some(Level::Error));
        check("panic", Some(Level::Emergency));
        check("EMERG", Some(Level::Emergency));
        check("F", Some(Level::Fatal));
        check("Informational", Some(Level::Info));
        check("", None);
        check("INFORMATIONALLY", None);
        check("Debug1", Some(Level::Debug));
        check("debug\u{11}", None);
        check("i\u{0}", None);
        check("i ", None);
        check("\u{9}", None);
        check("hello", None);
    }

    #[test]
    fn every_level_reads_back_its_own_name() {
        for level in Level::ALL {
            assert_eq!(Level::from_name(level.as_str().as_bytes()), Some(level));
        }
    }

    #[test]
    fn numbers_of_pino_and_of_syslog_map() {
        assert_eq!(Level::from_number(30), Some(Level::Info));
        assert_eq!(Level::from_number(35), Some(Level::Info));
        assert_eq!(Level::from_number(7), None);
        assert_eq!(Level::from_syslog_severity(3), Some(Level::Error));
        assert_eq!(Level::from_syslog_severity(8), None);
    }
}
