//! Records that are not indexed while the buffer is nearly full, where the configuration says which: better `debug` is
//! missing for a while than that `error` waits in the files. Nothing is shed by default, and what is, is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use weir_indexer::fields::text_of;

/// How often the buffer is asked how full it is.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Shedding ends when the buffer has no more than this part of what it begins at, so that it does not flicker.
const END_PART: (u64, u64) = (2, 3);

/// What is shed, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShedSettings {
    /// Values of `log.level`.
    pub levels: Vec<String>,
    /// Bytes in the buffer above which it begins.
    pub above_bytes: u64,
}

/// Whether records are shed now.
#[derive(Debug, Default)]
pub(crate) struct Shedding {
    settings: Option<ShedSettings>,
    is_on: AtomicBool,
}

impl Shedding {
    pub(crate) fn new(settings: Option<ShedSettings>) -> Shedding {
        Shedding { settings, is_on: AtomicBool::new(false) }
    }

    /// Whether it may ever shed anything.
    pub(crate) fn is_configured(&self) -> bool {
        self.settings.is_some()
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// The level for which a document is not to be indexed now.
    pub(crate) fn level_of<'a>(&'a self, document: &[u8]) -> Option<&'a str> {
        let settings = self.settings.as_ref().filter(|_| self.is_on())?;
        let level = text_of(document, "log.level")?;
        settings.levels.iter().map(String::as_str).find(|shed| shed.as_bytes() == level)
    }

    /// So many bytes wait in the buffer.
    pub(crate) fn note_depth(&self, bytes: u64) {
        let Some(settings) = &self.settings else { return };
        let (part, of) = END_PART;
        let is_on = match self.is_on() {
            true => bytes > settings.above_bytes / of * part,
            false => bytes > settings.above_bytes,
        };
        if self.is_on.swap(is_on, Ordering::Relaxed) != is_on {
            let levels = &settings.levels;
            match is_on {
                true => {
                    tracing::warn!(bytes, ?levels, "the buffer is nearly full: these records are not indexed")
                }
                false => tracing::info!(bytes, "the buffer has room again: all records are indexed"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBUG: &[u8] = br#"{"log.level":"debug","message":"m"}"#;
    const ERROR: &[u8] = br#"{"log.level":"error","message":"\"log.level\":\"debug\""}"#;

    #[test]
    fn only_what_is_configured_is_shed_and_only_while_the_buffer_is_nearly_full() {
        let levels = vec!["trace".to_owned(), "debug".to_owned()];
        let shedding = Shedding::new(Some(ShedSettings { levels, above_bytes: 900 }));
        let mut shed = |bytes| {
            shedding.note_depth(bytes);
            assert_eq!(shedding.level_of(ERROR), None);
            shedding.level_of(DEBUG)
        };
        let answers = [900, 901, 700, 600, 700, 901].map(&mut shed);
        assert_eq!(answers, [None, Some("debug"), Some("debug"), None, None, Some("debug")]);
        let never = Shedding::new(None);
        never.note_depth(u64::MAX);
        assert_eq!(never.level_of(DEBUG), None);
    }
}
