//! Names that stand alone before a message, or between the time and the level.

use weir_record::Level;
use weir_record::scan::{find, find_either};

use super::super::super::cut::Cut;
use super::super::pairs;
use super::super::parts::{is_host, is_logger};
use super::super::words::number;
use super::Reader;

impl Reader<'_, '_> {
    /// The logger of HashiCorp's programs, one word: `2026-11-20T21:39:19.123Z [INFO]  core: unsealed: key=value`. Certain
    /// by the blanks that fill the level up to five letters, or by pairs where it has five.
    pub(super) fn hashicorp_name(&mut self) {
        const TIME_BYTES: usize = "2026-11-20T21:39:19.123".len();
        let zone = self.line.as_bytes().get(TIME_BYTES);
        let behind = self.line[..self.at].strip_suffix(' ').unwrap_or_default();
        if self.header.logger.is_some() || !matches!(zone, Some(b'Z' | b'+' | b'-')) {
            return;
        }
        let is_short = behind.ends_with("[INFO] ") || behind.ends_with("[WARN] ");
        let is_long = ["[TRACE]", "[DEBUG]", "[ERROR]"].iter().any(|level| behind.ends_with(level));
        let Some((name, rest)) = self.rest().cut(": ") else { return };
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let has_pairs = || rest.cut_last(": ").is_some_and(|(_, pairs)| pairs::begins(pairs));
        if is_name && (is_short || is_long && has_pairs()) {
            self.header.logger = Some(name);
            self.at += name.len() + ": ".len();
        }
    }

    /// fail2ban's `fail2ban.actions        [123]: NOTICE  `: a logger filled to a width, its process, and the level.
    pub(super) fn name_and_process(&mut self) -> bool {
        let before = self.at;
        let rest = self.rest();
        let name = &rest[..find_either(b' ', b'[', rest.as_bytes()).unwrap_or(rest.len())];
        self.at += name.len();
        self.blanks();
        let pid = self.brackets().filter(|_| name.has(b'.') && is_logger(name));
        if let Some((pid, length)) = pid.and_then(|(inside, length)| Some((number(inside)?, length))) {
            self.at += length;
            if self.take(": ") && self.level_word() {
                self.header.logger = Some(name);
                self.header.pid = Some(pid);
                self.blanks();
                return true;
            }
        }
        self.at = before;
        false
    }

    /// BIND's `queries: info: `, Wazuh's `wazuh-logcollector(1950): INFO: `, and `shop.cart: ERROR `.
    pub(super) fn name_and_level(&mut self) -> bool {
        let rest = self.rest();
        let word = &rest[..find(b' ', rest.as_bytes()).unwrap_or(rest.len())];
        let Some(name) = word.strip_suffix(':') else { return false };
        let (name, code) = match name.strip_suffix(')').and_then(|name| name.cut_byte(b'(')) {
            Some((name, code)) if number(code).is_some() => (name, Some(code)),
            _ => (name, None),
        };
        if !is_logger(name) || is_host(name) {
            return false;
        }
        let before = self.at;
        self.at += word.len();
        self.blanks();
        if !self.level_word() {
            self.at = before;
            return false;
        }
        self.header.logger = Some(name);
        if let Some(code) = code {
            self.header.attribute("code", code);
        }
        self.blanks();
        true
    }

    /// Icinga's `warning/ApiListener: `.
    pub(super) fn level_and_name(&mut self) -> bool {
        let rest = self.rest();
        let word = &rest[..find(b' ', rest.as_bytes()).unwrap_or(rest.len())];
        let parts = word.strip_suffix(':').and_then(|word| word.cut_byte(b'/'));
        let Some((level, name)) = parts.filter(|(level, name)| level.len() > 3 && is_logger(name)) else {
            return false;
        };
        let Some(level) = Level::from_name(level.as_bytes()) else { return false };
        self.header.level = Some(level);
        self.header.logger = Some(name);
        self.at += word.len();
        self.blanks();
        true
    }
}
