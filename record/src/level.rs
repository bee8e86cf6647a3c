//! The severity of a record, on one scale whatever the line calls it.

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
        const LONGEST: usize = 13; // INFORMATIONAL
        let mut lower = [0u8; LONGEST];
        let lower = lower.get_mut(..name.len())?;
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        Some(match &*lower {
            b"trace" | b"trc" | b"trce" | b"t" | b"v" | b"verbose" | b"finest" | b"finer" | b"silly" => {
                Level::Trace
            }
            b"debug" | b"dbg" | b"dbug" | b"d" | b"fine" | b"config" | b"debug1" | b"debug2" | b"debug3"
            | b"debug4" | b"debug5" => Level::Debug,
            b"info" | b"inf" | b"i" | b"information" | b"informational" | b"log" | b"statement" => {
                Level::Info
            }
            b"notice" | b"note" | b"n" => Level::Notice,
            b"warning" | b"warn" | b"wrn" | b"w" => Level::Warning,
            b"error" | b"err" | b"eror" | b"e" | b"severe" | b"failure" | b"fail" => Level::Error,
            b"critical" | b"crit" | b"c" | b"dpanic" => Level::Critical,
            b"alert" | b"a" => Level::Alert,
            b"emergency" | b"emerg" | b"panic" => Level::Emergency,
            b"fatal" | b"ftl" | b"f" => Level::Fatal,
            _ => return None,
        })
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
