//! Reading a header from left to right, part by part.

mod names;

use weir_record::Level;
use weir_record::scan::{digits, find_either};
use weir_record::time::Civil;

use super::super::cut::Cut;
use super::super::zone::Clock;
use super::header::Header;
use super::parts::{
    behind_separator, epoch_at, is_host, is_logger, level_word, logger_and_line, place_in_code,
    split_at_dash, trace_context,
};
use super::times::time_of_day;
use super::words::number;

mod brackets;

impl<'l> Header<'l> {
    /// Reads the header of a record's first line into this one, which is empty.
    pub(super) fn read(&mut self, line: &'l str, clock: &mut Clock) {
        let mut reader = Reader { line, at: 0, ahead: None, header: self };
        reader.read(clock);
        self.lifts_pairs = true;
    }

    /// Reads what stands behind a level and a time that were read, as far as it is certain.
    pub(super) fn behind(line: &'l str, at: usize, level: Level) -> Header<'l> {
        let mut header = Header { level: Some(level), ..Header::default() };
        let mut reader = Reader { line, at, ahead: None, header: &mut header };
        reader.dash();
        reader.bracketed_parts();
        reader.blanks();
        reader.logger_word();
        header.message_start = reader.at;
        header.lifts_pairs = true;
        header
    }
}

/// Reads a header from left to right; what it does not know begins the message.
struct Reader<'l, 'h> {
    line: &'l str,
    at: usize,
    /// The logger that was seen behind a thread.
    ahead: Option<Ahead<'l>>,
    header: &'h mut Header<'l>,
}

/// A logger as a word, and where it stands.
#[derive(Clone, Copy)]
struct Ahead<'l> {
    start: usize,
    /// Where its separator ends.
    end: usize,
    name: Name<'l>,
}

/// What stands in a logger's place.
#[derive(Clone, Copy)]
enum Name<'l> {
    /// `in module: `.
    Module(&'l str),
    Logger(&'l str),
    Place((&'l str, u32)),
    ClassAndThread(&'l str, &'l str),
    /// `com.x.Foo.bar(Foo.java:42)`: the class, its method, and the place.
    Method(&'l str, &'l str, (&'l str, u32)),
}

impl<'l> Reader<'l, '_> {
    fn read(&mut self, clock: &mut Clock) {
        if !self.time(clock) {
            return if self.epoch() { self.header.message_start = self.at } else { self.without_date() };
        }
        let next = self.rest().bytes().next();
        self.blanks();
        self.dash();
        let (before_parts, zone) = (self.at, self.header.attributes);
        let is_known = self.python()
            || self.parts()
            || self.name_and_process()
            || self.level_and_name()
            || self.name_and_level();
        if is_known {
            // Fluentd's `[error]: text`.
            self.take(": ");
            self.header.message_start = self.at;
            self.settle_name();
        } else {
            // Only the time is certain. One that is a value among others is no header.
            let time = self.header.time;
            let is_value = matches!(next, Some(b',' | b';' | b'|'));
            let message_start = if is_value { 0 } else { before_parts };
            *self.header = Header { time, attributes: zone, message_start, ..Header::default() };
        }
    }

    /// A time in seconds or milliseconds since 1970: `1700000000.123 INFO started`, where a level follows, and
    /// `[1700000000] SERVICE ALERT: ..` (Nagios).
    fn epoch(&mut self) -> bool {
        let bracketed = self.line.starts_with('[');
        let start = usize::from(bracketed);
        let Some((moment, length)) = epoch_at(&self.line[start..]) else { return false };
        self.at = start + length;
        if bracketed && !self.take("] ") || !bracketed && !self.rest().starts_with(' ') {
            return self.give_up();
        }
        self.header.time = Some(moment);
        if self.parts() {
            self.settle_name();
            return true;
        }
        *self.header = Header { time: Some(moment).filter(|_| bracketed), ..Header::default() };
        self.at = start + length + "] ".len();
        bracketed || self.give_up()
    }

    /// A line without any time: `[main] INFO com.x.Foo - started` (SLF4J's simple logger), `[main] [4711] INFO started`,
    /// `INFO [main] com.x.Foo - started`. Its level alone leaves the line whole.
    fn undated(&mut self) {
        if !self.line.starts_with(|first: char| first == '[' || first.is_ascii_uppercase()) {
            return;
        }
        let is_understood = self.parts();
        self.settle_name();
        let header = &self.header;
        let is_thread = |name: &str| name == "main" || name.ends_with(|last: char| last.is_ascii_digit());
        let is_certain = match self.line.starts_with('[') {
            true => header.pid.is_some() || header.thread.is_some_and(is_thread) || header.logger.is_some(),
            false => header.thread.is_some() && header.logger.is_some(),
        };
        if is_understood && is_certain {
            self.header.message_start = self.at;
        } else {
            *self.header = Header::default();
        }
    }

    /// A line whose time has no date, which is kept as it is: `21:39:19.123 [main] INFO  com.x.Foo - started`
    /// (logback), `[21:39:19 INF] started` (Serilog). Read only where a level follows.
    fn without_date(&mut self) {
        let start = usize::from(self.line.starts_with('['));
        let Some((_, length)) =
            time_of_day(&mut Civil::default(), self.rest().get(start..).unwrap_or_default())
        else {
            return self.undated();
        };
        let time = &self.line[start..start + length];
        if self.line[start + length..].starts_with(|next: char| next.is_ascii_alphanumeric()) {
            return;
        }
        self.at = start + length;
        self.blanks();
        let is_understood = if start == 1 && !self.take("]") {
            self.time_level_and_module()
        } else {
            self.take(" ");
            self.parts()
        };
        if !is_understood || self.header.level.is_none() {
            *self.header = Header::default();
            return;
        }
        self.settle_name();
        self.header.attribute("time", time);
        // pino's `INFO (42): text`.
        self.take(":");
        self.header.message_start = self.at + usize::from(self.rest().starts_with(' '));
    }

    fn rest(&self) -> &'l str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.line.as_bytes().get(self.at) {
            self.at += 1;
        }
    }

    fn take(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        self.at += if found { prefix.len() } else { 0 };
        found
    }

    fn dash(&mut self) {
        let length = match self.rest().as_bytes() {
            [b'-' | b'|', b' ', ..] => 2,
            [b':', b':', b' ', ..] => 3,
            _ => return,
        };
        self.at += length;
        self.blanks();
    }

    /// A time stamp at the very start, perhaps in brackets.
    fn time(&mut self, clock: &mut Clock) -> bool {
        let bracketed = self.line.starts_with('[');
        let start = usize::from(bracketed);
        let text = self.line.as_bytes().get(start..).unwrap_or_default();
        let read = clock.read_start(text).or_else(|| clock.read_minute_start(text));
        let Some((moment, length)) = read.or_else(|| if bracketed { clock.read_split(text) } else { None })
        else {
            return false;
        };
        self.header.time = Some(moment);
        self.at = start + length;
        if bracketed && !self.take("]") {
            return self.time_level_and_module();
        }
        self.zone_name();
        self.take(":");
        true
    }

    /// `[Europe/Berlin]`, as Java writes it right behind a time and its offset.
    fn zone_name(&mut self) {
        let is_zone = |name: &str| name.contains('/') && name.starts_with(|c: char| c.is_ascii_uppercase());
        if let Some((name, length)) = self.brackets().filter(|(name, _)| is_zone(name) && is_logger(name)) {
            self.header.attribute("timezone", name);
            self.at += length;
        }
    }

    /// The rest of env_logger's `[2026-11-20T21:39:19Z INFO  module] message`.
    fn time_level_and_module(&mut self) -> bool {
        let Some((inside, _)) = self.rest().cut_byte(b']') else { return self.give_up() };
        let mut words = inside.split_ascii_whitespace();
        let Some(level) = words.next().and_then(|word| Level::from_name(word.as_bytes())) else {
            return self.give_up();
        };
        let module = words.next();
        if words.next().is_some() || !module.is_none_or(is_logger) {
            return self.give_up();
        }
        self.header.level = Some(level);
        self.header.logger = module;
        self.at += inside.len() + 1;
        true
    }

    /// The line begins with a time, but goes on in a way that is not known: it stays whole.
    fn give_up(&mut self) -> bool {
        self.at = 0;
        false
    }

    /// Python's `name - LEVEL - message`, the blanks and the dash before it passed.
    fn python(&mut self) -> bool {
        let Some((name, rest)) = split_at_dash(self.rest()) else { return false };
        let Some((level, message)) = split_at_dash(rest) else { return false };
        let Some(level) = Level::from_name(level.as_bytes()) else { return false };
        if !is_logger(name) {
            return false;
        }
        self.header.logger = Some(name);
        self.header.level = Some(level);
        self.at = self.line.len() - message.len();
        true
    }

    /// Level, thread, logger and so on, in whatever order. False where no level is among them: then nothing but the
    /// time was certain.
    fn parts(&mut self) -> bool {
        self.blanks();
        let is_tight = self.bracketed_parts();
        if self.header.level.is_none() && !self.level_word() && !self.pid_and_level() {
            return false;
        }
        self.blanks();
        self.dash();
        if self.spring() {
            return true;
        }
        if is_tight {
            // Elasticsearch's `[time][LEVEL][logger] [node] message`: what stands in brackets now is its node, or with
            // Envoy's a place in the code.
            self.place_in_brackets();
            self.place_word();
            return true;
        }
        self.bracketed_parts();
        self.blanks();
        if !self.logger_word() {
            self.hashicorp_name();
        }
        true
    }

    /// A dotted name in brackets before the level is a thread's where a logger stands behind it, else a logger's; so is
    /// a path of Rust's modules.
    fn settle_name(&mut self) {
        let is_dotted = |name: &str| name.has(b'.') && !name.contains(['-', ':', '/']);
        let is_name = |name: &&str| is_logger(name) && (is_dotted(name) || name.contains("::"));
        if self.header.logger.is_none() && self.header.thread.as_ref().is_some_and(is_name) {
            self.header.logger = self.header.thread.take();
        }
    }

    /// Takes a logger's name, with the line of its code or without.
    fn set_logger(&mut self, name: &'l str) {
        let (name, line) = logger_and_line(name);
        self.header.logger = Some(name);
        if let (None, Some(line)) = (self.header.origin, line) {
            self.header.origin = Some(("", line));
        }
    }

    /// A level as a word: capitals, or with a colon behind it.
    fn level_word(&mut self) -> bool {
        let Some((level, length)) = level_word(self.rest()) else {
            return self.postgres_level();
        };
        self.header.level = Some(level);
        self.at += length;
        true
    }

    /// `2931 INFO`.
    fn pid_and_level(&mut self) -> bool {
        let before = self.at;
        let digits = digits(self.rest().as_bytes());
        let pid = self.rest()[..digits].parse::<u32>();
        self.at += digits;
        if let Ok(pid) = pid
            && self.take(" ")
        {
            self.blanks();
            if self.header.pid.is_none() && self.level_word() {
                self.header.pid = Some(pid);
                return true;
            }
        }
        self.at = before;
        false
    }

    /// PostgreSQL's `user@database LOG:`, after its pid in brackets.
    fn postgres_level(&mut self) -> bool {
        let Some((name, rest)) = self.rest().cut_byte(b' ') else { return false };
        let Some(user_and_database) = name.cut_byte(b'@').filter(|_| self.header.pid.is_some()) else {
            return false;
        };
        let Some((level, length)) = level_word(rest) else { return false };
        self.header.user = Some(user_and_database.0);
        self.header.attribute("database", user_and_database.1);
        self.header.level = Some(level);
        self.at += name.len() + 1 + length;
        true
    }

    /// Spring Boot's `[service,trace,span] 123 --- [app] [thread] [trace-span] logger : message`, level passed.
    fn spring(&mut self) -> bool {
        if self.header.thread.is_some() || self.header.logger.is_some() {
            // Spring Boot writes both behind the level; one of the two would be lost.
            return false;
        }
        let start = self.at;
        let context = self.brackets().and_then(|(inside, length)| Some((trace_context(inside)?, length)));
        if let Some((_, length)) = context {
            self.at += length;
            self.blanks();
        }
        let digits = digits(self.rest().as_bytes());
        let pid = self.rest()[..digits].parse::<u32>().ok();
        self.at += digits;
        // Some patterns leave out the process, and keep its dashes.
        if !(pid.is_some() && self.take(" --- ") || digits == 0 && self.take("--- ")) {
            self.at = start;
            return false;
        }
        self.header.pid = pid.or(self.header.pid);
        if let Some((context, _)) = context {
            self.header.note(context);
        }
        self.spring_brackets();
        let rest = self.rest();
        // Tomcat calls its loggers `o.a.c.c.C.[.[.[/].[dispatcherServlet]`.
        let is_name = |name: &str| !name.is_empty() && !name.has(b' ');
        if let Some((logger, _)) = rest.cut(" : ").filter(|(logger, _)| is_name(logger.trim())) {
            self.header.logger = Some(logger.trim());
            self.at += logger.len() + 3;
        } else if let Some(logger) = rest.strip_suffix(" :").filter(|logger| is_name(logger.trim())) {
            self.header.logger = Some(logger.trim());
            self.at = self.line.len();
        }
        true
    }

    /// Takes a place in the code that stands here as a word.
    fn place_word(&mut self) {
        let place = self.logger_at(self.at, self.header.origin.is_some());
        if let Some(Ahead { end, name: Name::Place(place), .. }) = place {
            self.header.origin = Some(place);
            self.at = end;
        }
    }

    /// Takes a logger that stands here as a word.
    fn logger_word(&mut self) -> bool {
        let has_origin = self.header.origin.is_some();
        let known = self.ahead.take().filter(|ahead| ahead.start == self.at && !has_origin);
        let Some(ahead) = known.or_else(|| self.logger_at(self.at, has_origin)) else { return false };
        match ahead.name {
            Name::Module(module) => self.header.logger = Some(module),
            Name::Place(place) => self.header.origin = Some(place),
            Name::Method(class, function, place) if self.header.logger.is_none() && !has_origin => {
                self.header.logger = Some(class);
                self.header.function = Some(function);
                self.header.origin = Some(place);
            }
            Name::Logger(name) if self.header.logger.is_none_or(|logger| logger == name) => {
                self.set_logger(name);
            }
            Name::ClassAndThread(class, thread) if self.header.thread.is_none() => {
                self.header.logger = Some(class);
                self.header.thread = Some(thread);
            }
            _ => return false,
        }
        self.at = ahead.end;
        true
    }

    /// A logger as a word with its separator: `com.x.Foo - `, `com.x.Foo -- `, `com.x.Foo: `, `my::module: `,
    /// `com.x.Foo [] - `, `in module: `, `com.x.Foo [thread] `. `has_origin`: a place in the code is known already.
    fn logger_at(&self, start: usize, has_origin: bool) -> Option<Ahead<'l>> {
        let rest = self.line.get(start..).unwrap_or_default();
        let ahead = |name, message: &str| Ahead { start, end: self.line.len() - message.len(), name };
        if let Some((module, message)) = rest.strip_prefix("in ").and_then(|rest| rest.cut(": "))
            && is_logger(module)
        {
            return Some(ahead(Name::Module(module), message));
        }
        let end = find_either(b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        if !has_origin && let Some((place, message)) = spaced_place(word, after) {
            return Some(ahead(Name::Place(place), message));
        }
        let (name, message) = if let Some(message) = behind_separator(after) {
            (word, message)
        } else if let Some(name) = word.strip_suffix(':').filter(|name| name.contains("::") || name.has(b'.'))
        {
            (name, after)
        } else {
            let (class, thread, message) = class_and_thread(word, after)?;
            return Some(ahead(Name::ClassAndThread(class, thread), message));
        };
        if name.ends_with(')') {
            let (class, function, place) = method_and_place(name)?;
            return Some(ahead(Name::Method(class, function, place), message));
        }
        let place = if has_origin { None } else { place_in_code(name) };
        match place {
            Some(place) => Some(ahead(Name::Place(place), message)),
            None => (is_logger(name) && !is_host(name)).then(|| ahead(Name::Logger(name), message)),
        }
    }
}

/// log4j's `%l`: `com.x.Foo.bar(Foo.java:42)`.
fn method_and_place(word: &str) -> Option<(&str, &str, (&str, u32))> {
    let (path, place) = word.strip_suffix(')')?.cut_byte(b'(')?;
    let (class, function) = path.rsplit_once('.').filter(|(class, _)| is_logger(class))?;
    Some((class, function, place_in_code(place)?))
}

/// Whether a text in parentheses is a thread's name, and no remark: `main`, `default task-1`, `MSC service thread 1-2`.
fn is_thread_of_java(name: &str) -> bool {
    name == "main"
        || name.ends_with("Thread")
        || name.contains("thread")
        || name.contains("Thread Pool")
        || name.has(b'-') && name.ends_with(|last: char| last.is_ascii_digit())
}

/// Calico's `felix/table.go 851: message`: the place in the code, and the message.
fn spaced_place<'l>(file: &'l str, after: &'l str) -> Option<((&'l str, u32), &'l str)> {
    let (line, message) = Some(after).filter(|_| file.ends_with(".go"))?.cut(": ")?;
    Some(((file, number(line)?), message))
}

/// log4j's `%c [%t] %m`: a class with its packages, a thread, and the message.
fn class_and_thread<'l>(word: &'l str, after: &'l str) -> Option<(&'l str, &'l str, &'l str)> {
    let (thread, message) = after.strip_prefix('[').and_then(|rest| rest.cut("] "))?;
    let name = word.rsplit('.').next().filter(|name| name.len() < word.len())?;
    let is_class = name.starts_with(|c: char| c.is_ascii_uppercase());
    (is_class && is_logger(word) && !thread.is_empty()).then_some((word, thread, message))
}
