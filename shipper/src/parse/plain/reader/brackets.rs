//! What stands in brackets in a header: levels, threads, loggers, processes, traces, and a logger's context.

use weir_record::Level;
use weir_record::scan::find;

use super::super::super::cut::Cut;
use super::super::pairs;
use super::super::parts::{
    is_host, is_level_in_brackets, is_logger, level_word, logger_and_line, place_in_code, trace_context,
};
use super::{Reader, is_thread_of_java};

impl<'l> Reader<'l, '_> {
    /// Parts in brackets. Whether they followed each other without a blank.
    #[inline]
    pub(super) fn bracketed_parts(&mut self) -> bool {
        if self.is_at_brackets() {
            return self.parts_in_brackets();
        }
        self.blanks();
        self.take("- ");
        false
    }

    fn parts_in_brackets(&mut self) -> bool {
        let first = self.at;
        let mut is_tight = false;
        while let Some((inside, length)) = self.brackets() {
            if !self.bracketed_part(inside.trim_ascii(), length) {
                break;
            }
            self.at += length;
            is_tight |= self.at > first && self.rest().starts_with('[');
            if is_tight && self.rest().starts_with(' ') {
                break;
            }
            self.blanks();
        }
        self.blanks();
        self.take("- ");
        is_tight
    }

    /// Takes a place in the code that stands in brackets.
    pub(super) fn place_in_brackets(&mut self) {
        if let Some((inside, length)) = self.brackets().filter(|_| self.header.origin.is_none())
            && let Some(place) = place_in_code(inside)
        {
            self.header.origin = Some(place);
            self.at += length;
            self.blanks();
        }
    }

    #[inline]
    pub(super) fn brackets(&self) -> Option<(&'l str, usize)> {
        if self.is_at_brackets() { self.brackets_at(self.at) } else { None }
    }

    #[inline]
    fn is_at_brackets(&self) -> bool {
        matches!(self.line.as_bytes().get(self.at), Some(b'[' | b'(' | b'{'))
    }

    fn brackets_at(&self, at: usize) -> Option<(&'l str, usize)> {
        let rest = self.line.get(at..).unwrap_or_default();
        let close = match rest.as_bytes().first()? {
            b'[' => b']',
            b'(' => b')',
            b'{' => b'}',
            _ => return None,
        };
        let end = find(close, rest.as_bytes())?;
        Some((&rest[1..end], end + 1))
    }

    /// Takes what stands in the brackets at this place, which are `length` bytes long.
    fn bracketed_part(&mut self, inside: &'l str, length: usize) -> bool {
        if let (None, Some(place)) = (self.header.origin, place_in_code(inside)) {
            self.header.origin = Some(place);
            return true;
        }
        // A logger's context: nothing but pairs.
        if self.header.pairs.is_empty() && pairs::is_all(inside) {
            self.header.pairs = inside;
            return true;
        }
        if self.rest().starts_with('{') && !inside.is_empty() {
            // calibre-web's `{cps.web:1475}`.
            let is_place = logger_and_line(inside).1.is_some() && is_logger(inside) && !is_host(inside);
            let is_taken = is_place && self.header.level.is_some() && self.header.logger.is_none();
            if is_taken {
                self.set_logger(inside);
            }
            return is_taken;
        }
        if self.header.level.is_none()
            && let Some(level) = Level::from_name(inside.as_bytes())
        {
            self.header.level = Some(level);
            return true;
        }
        if let (None, Ok(number)) = (self.header.pid, inside.parse::<u32>()) {
            match self.is_thread_of_spdlog(inside) {
                true => self.header.thread_id = Some(u64::from(number)),
                false => self.header.pid = Some(number),
            }
            return true;
        }
        if self.header.trace.is_none()
            && let Some(context) = trace_context(inside).filter(|context| self.header.has_room_for(context))
        {
            self.header.note(context);
            return true;
        }
        // Right behind the level's bracket stands the logger, whatever its name.
        let is_adjacent = self.at > 0 && self.line.as_bytes()[self.at - 1] == b']';
        let is_logger = self.header.level.is_some() && is_logger(inside) && (inside.has(b'.') || is_adjacent);
        if self.header.logger.is_none() && is_logger && !is_host(inside) {
            self.set_logger(inside);
            return true;
        }
        if self.header.thread.is_none() && self.is_thread_of_jboss(inside) {
            self.header.thread = Some(inside);
            return true;
        }
        if self.header.level.is_none()
            && (self.header.thread.is_some() || inside.is_empty() || inside.has(b'='))
        {
            return self.context_before_level(inside);
        }
        if self.header.thread.is_none() && self.thread_is_certain(length) {
            match self.is_logger_of_spdlog(inside) {
                true => self.header.logger = Some(inside),
                false => self.header.thread = Some(inside),
            }
            return true;
        }
        self.header.thread.is_some() && inside.is_empty()
    }

    /// Takes what stands in brackets right before a level, and is no thread: a request's id, pairs of which some have no
    /// value, or nothing.
    fn context_before_level(&mut self, inside: &'l str) -> bool {
        let after = self.behind_brackets();
        let is_context = is_level_ahead(after) && self.header.has_room();
        if is_context && !inside.is_empty() {
            self.header.attribute("context", inside);
        }
        is_context
    }

    /// What follows the brackets at this place, and blanks.
    fn behind_brackets(&self) -> &'l str {
        self.brackets().map_or("", |(_, length)| self.rest()[length..].trim_start_matches([' ', '\t']))
    }

    /// Whether this is the number of a thread in `[time][8][info][logger]`, as spdlog (Envoy) writes it: no blanks, and
    /// the level in small letters.
    fn is_thread_of_spdlog(&self, inside: &str) -> bool {
        self.rest().get(inside.len() + 2..).is_some_and(is_small_level)
    }

    /// Whether this is a logger in spdlog's `[time] [logger] [info] text`.
    fn is_logger_of_spdlog(&self, inside: &str) -> bool {
        let is_behind_time = self.line.starts_with('[') && self.header.logger.is_none();
        is_behind_time && is_logger(inside) && is_small_level(self.behind_brackets())
    }

    /// Whether this is the thread in `INFO  [org.example.Shop] (main) text`, as JBoss and Quarkus write it.
    fn is_thread_of_jboss(&self, inside: &str) -> bool {
        self.rest().starts_with('(')
            && self.header.level.is_some()
            && self.header.logger.is_some_and(|logger| logger.has(b'.'))
            && self.line[..self.at].ends_with("] ")
            && is_thread_of_java(inside)
    }

    /// Whether a part in brackets is a thread's name: a level follows it (`[main] INFO`), or a level stands before it
    /// and a logger with its separator follows (`INFO [main] com.x.Foo - `). `length`: of the brackets.
    fn thread_is_certain(&mut self, length: usize) -> bool {
        let after = self.rest()[length..].trim_start_matches([' ', '\t']);
        let after = after.strip_prefix("- ").or_else(|| after.strip_prefix("| ")).unwrap_or(after);
        let mut after = after.trim_start_matches([' ', '\t']);
        if self.header.level.is_none() {
            // A process or contexts may stand between.
            return is_level_ahead(after);
        }
        if let Some((_, behind)) = behind_context(after).filter(|(inside, _)| is_pairs_or_empty(inside)) {
            after = behind;
        }
        let start = self.line.len() - after.len();
        self.is_bracketed_logger(start) || {
            self.ahead = self.logger_at(start, false);
            self.ahead.is_some()
        }
    }

    /// Whether a logger in brackets with a separator behind it stands there.
    fn is_bracketed_logger(&self, at: usize) -> bool {
        let Some((inside, length)) = self.brackets_at(at) else { return false };
        is_logger(inside.trim_ascii()) && inside.has(b'.') && self.line[at + length..].starts_with([' ', ':'])
    }

    /// Up to three parts: the application's name where it has one, the thread, the trace where there is one.
    pub(super) fn spring_brackets(&mut self) {
        /// Spring Boot fills and cuts threads to this many letters, and nothing else.
        const THREAD_WIDTH: usize = 15;
        let mut names: [Option<&'l str>; 2] = [None; 2];
        let mut are_threads = [false; 2];
        while let Some((inside, length)) = self.brackets() {
            let is_thread = inside.len() == THREAD_WIDTH;
            let inside = inside.trim_ascii();
            if let Some(context) = trace_context(inside).filter(|context| self.header.has_room_for(context)) {
                self.header.note(context);
            } else if inside.is_empty() {
                // The blanks that fill the place of a trace.
            } else if let Some(place) = names.iter().position(Option::is_none) {
                names[place] = Some(inside);
                are_threads[place] = is_thread;
            } else {
                break;
            }
            self.at += length;
            self.blanks();
        }
        match names {
            [Some(thread), Some(context)] if are_threads == [true, false] => {
                self.header.attribute("context", context);
                self.header.thread = Some(thread);
            }
            [Some(service), Some(thread)] => {
                match self.header.service {
                    Some(known) if known != service => self.header.attribute("application", service),
                    _ => self.header.service = Some(service),
                }
                self.header.thread = Some(thread);
            }
            [thread, _] => self.header.thread = thread,
        }
    }
}

/// Whether a level stands here, as a word or in brackets.
fn is_level_at(text: &str) -> bool {
    level_word(text).is_some() || text.starts_with('[') && is_level_in_brackets(text)
}

/// Whether a level stands here, or behind parts in brackets.
fn is_level_ahead(text: &str) -> bool {
    const PARTS_MAX: usize = 3;
    let mut rest = text;
    for _ in 0..PARTS_MAX {
        if is_level_at(rest) {
            return true;
        }
        let Some((_, behind)) = behind_context(rest) else { return false };
        rest = behind;
    }
    is_level_at(rest)
}

/// Whether a level in brackets and small letters stands here: `[info]`.
fn is_small_level(text: &str) -> bool {
    matches!(text.as_bytes(), [b'[', b'a'..=b'z', ..]) && is_level_in_brackets(text)
}

/// The inside of brackets or braces at the start, and what follows them and blanks.
fn behind_context(text: &str) -> Option<(&str, &str)> {
    let close = match text.as_bytes().first()? {
        b'[' => b']',
        b'{' => b'}',
        _ => return None,
    };
    let end = find(close, text.as_bytes())?;
    Some((&text[1..end], text[end + 1..].trim_start_matches([' ', '\t'])))
}

fn is_pairs_or_empty(text: &str) -> bool {
    text.is_empty() || pairs::is_all(text)
}
