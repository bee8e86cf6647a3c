//! Fewer records: a share of them, so many a second of each key, one of many that say the same. What was cut is told
//! by a record of its own.

use std::collections::HashMap;

/// Most keys that one file's step remembers; beyond, all further keys share one.
const KEYS_MAX: usize = 10_000;

/// Key of the records whose own would be one too many.
const OTHERS: &str = "others";

/// Bytes of a key that a notice shows.
const KEY_BYTES_SHOWN: usize = 100;

/// Whether a record goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// It does.
    Through,
    /// It is cut.
    Cut,
}

/// Lets a share of the records through, by their hash: a replay chooses the same ones.
pub fn sample(share: f64, hash: u64) -> Pass {
    // The upper bits as a number between 0 and 1.
    let place = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    if place < share { Pass::Through } else { Pass::Cut }
}

/// Counts records of keys in windows of time: so many go through, the others are cut and counted.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    keys: HashMap<String, Window>,
    /// When the oldest window that has cut something ends: nothing to tell before.
    next_notice: Option<i64>,
    /// Windows that are over are not looked for before.
    next_sweep: i64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    ends: i64,
    passed: u64,
    cut: u64,
}

/// So many records of a key were cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The key, shortened.
    pub key: String,
    /// How many.
    pub cut: u64,
}

impl Windows {
    /// One record of `key` at `now` (nanoseconds since 1970): `limit` of them pass in each window of `length`
    /// nanoseconds, which begins with its first record. [`notices`](Self::notices) is asked before: a window that has
    /// cut something is told of, and then forgotten.
    pub fn take(&mut self, key: &str, limit: u64, length: i64, now: i64) -> Pass {
        let ends = now.saturating_add(length);
        if self.keys.len() >= KEYS_MAX && now >= self.next_sweep {
            self.keys.retain(|_, window| now < window.ends || window.cut > 0);
            self.next_sweep = ends;
        }
        let known = self.keys.contains_key(key) || self.keys.len() < KEYS_MAX;
        let key = if known { key } else { OTHERS };
        let fresh = Window { ends, passed: 0, cut: 0 };
        let window = match self.keys.get_mut(key) {
            Some(window) => window,
            None => self.keys.entry(key.to_owned()).or_insert(fresh),
        };
        if now >= window.ends && window.cut == 0 {
            *window = fresh;
        }
        if window.passed < limit {
            window.passed += 1;
            return Pass::Through;
        }
        window.cut += 1;
        self.next_notice = Some(self.next_notice.map_or(window.ends, |next| next.min(window.ends)));
        Pass::Cut
    }

    /// The windows that have ended and have cut something; they are forgotten. Cheap while there are none.
    pub fn notices(&mut self, now: i64) -> Vec<Notice> {
        if self.next_notice.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut notices = Vec::new();
        self.keys.retain(|key, window| {
            let ended = now >= window.ends;
            if ended && window.cut > 0 {
                let shown =
                    key.char_indices().take_while(|(at, _)| *at < KEY_BYTES_SHOWN).map(|(_, c)| c).collect();
                notices.push(Notice { key: shown, cut: window.cut });
            }
            !ended
        });
        self.next_notice = self.keys.values().filter(|window| window.cut > 0).map(|window| window.ends).min();
        notices.sort_by(|one, other| one.key.cmp(&other.key));
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_each_key_pass_in_a_window_and_the_cut_ones_are_told_once() {
        let mut windows = Windows::default();
        let passes =
            |windows: &mut Windows, key: &str, now: i64| windows.take(key, 2, 100, now) == Pass::Through;
        let taken: Vec<bool> = (0..5).map(|n| passes(&mut windows, "a", n)).collect();
        assert_eq!(taken, [true, true, false, false, false]);
        assert!(passes(&mut windows, "b", 5));
        assert_eq!(windows.notices(99), []);
        assert_eq!(windows.notices(105), [Notice { key: "a".into(), cut: 3 }]);
        assert_eq!(windows.notices(500), []);
        assert!(passes(&mut windows, "a", 501) && passes(&mut windows, "a", 502));
        assert!(!passes(&mut windows, "a", 503));
    }

    #[test]
    fn endless_keys_take_no_endless_memory() {
        let mut windows = Windows::default();
        for number in 0..2 * KEYS_MAX {
            windows.take(&number.to_string(), 1, 100, 0);
        }
        assert!(windows.keys.len() <= KEYS_MAX + 1);
    }

    #[test]
    fn keys_that_are_over_make_room_for_new_ones() {
        let mut windows = Windows::default();
        for number in 0..5 * KEYS_MAX as i64 {
            // A hundred of them within one window.
            assert_eq!(windows.take(&number.to_string(), 1, 100, number), Pass::Through, "{number}");
        }
        assert!(windows.keys.len() <= KEYS_MAX + 1);
    }

    #[test]
    fn a_share_is_about_that_share_and_the_same_every_time() {
        let passed = |share: f64| {
            (0..100_000_u64)
                .filter(|n| {
                    sample(share, weir_record::identity::line_hash(&n.to_le_bytes())) == Pass::Through
                })
                .count()
        };
        assert_eq!((passed(0.0), passed(1.0)), (0, 100_000));
        assert!((9_000..11_000).contains(&passed(0.1)));
        assert_eq!(passed(0.1), passed(0.1));
    }
}
