//! Lines that begin with a time as most do, and go on as one program's do.

use std::net::IpAddr;

use weir_record::{Level, Timestamp};

use super::super::cut::Cut;
use super::super::format::Format;
use super::super::zone::Clock;
use super::columns;
use super::dialect::logcat;
use super::header::Header;
use super::layouts;
use super::parts::is_logger;
use super::sidekiq;
use super::vmware;
use super::words::{Words, number};

/// Reads what stands behind the time, which is `length` bytes long.
pub(super) fn read(line: &str, moment: Timestamp, length: usize) -> Option<(Format, Header<'_>)> {
    let as_format = |format| move |header| (format, header);
    let next = line.as_bytes().get(length..)?;
    match next {
        [b' ', b'[', b' ', b'0'..=b'9', ..] => {
            layouts::clickhouse(line, moment, length).map(as_format(Format::Plain))
        }
        [b' ', b'[', ..] => rabbitmq(line, moment, length)
            .map(as_format(Format::Rabbitmq))
            .or_else(|| layouts::zookeeper(line, moment, length).map(as_format(Format::Java)))
            .or_else(|| postgresql(line, moment, length).map(as_format(Format::Postgresql))),
        [b' ', b'0'..=b'9', ..] => openstack(line, moment, length)
            .map(as_format(Format::Openstack))
            .or_else(|| layouts::odoo(line, moment, length).map(as_format(Format::Python)))
            .or_else(|| mysql(line, moment, length).map(as_format(Format::Mysql)))
            .or_else(|| logcat(line, moment, length).map(as_format(Format::Logcat)))
            .or_else(|| sidekiq::read_old(line, moment, length).map(as_format(Format::Ruby))),
        [b' ', b'p', b'i', b'd', b'=', ..] => {
            sidekiq::read(line, moment, length).map(as_format(Format::Ruby))
        }
        [b' ', b' ', b'0'..=b'9', ..] => logcat(line, moment, length)
            .map(as_format(Format::Logcat))
            .or_else(|| mysql(line, moment, length).map(as_format(Format::Mysql))),
        [b' ', b'-', ..] => layouts::zookeeper(line, moment, length).map(as_format(Format::Java)),
        [b' ', b'|', ..] => layouts::loguru(line, moment, length)
            .map(as_format(Format::Python))
            .or_else(|| columns::read(line, moment, length)),
        [b' ', b' ', b'I' | b'W', ..] => layouts::tracing(line, moment, length).map(as_format(Format::Rust)),
        [b' ', b'A'..=b'Z', b'a'..=b'z', b'(', ..] => {
            vmware::esxi(line, moment, length).map(as_format(Format::Plain))
        }
        [b' ', letter, b' ', b'|', b' ', ..] => {
            etcd(line, moment, length, *letter).map(as_format(Format::Go))
        }
        [b' ', b'A'..=b'Z', b' ', ..] | [b' ', b'D', b'1'..=b'5', b' ', ..] => {
            mongodb(line, moment, length).map(as_format(Format::Mongodb))
        }
        // A level in capitals.
        [b' ', b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'Z', b'A'..=b'Z' | b' ', b'A'..=b'Z' | b' ', ..] => {
            layouts::tracing(line, moment, length)
                .map(as_format(Format::Rust))
                .or_else(|| tomcat(line, moment, length).map(as_format(Format::Java)))
                .or_else(|| postgresql(line, moment, length).map(as_format(Format::Postgresql)))
        }
        [b' ', ..] => go(line, moment, length)
            .map(as_format(Format::Go))
            .or_else(|| layouts::gitea(line, moment, length).map(as_format(Format::Go)))
            .or_else(|| layouts::tracing(line, moment, length).map(as_format(Format::Rust)))
            .or_else(|| dpkg(line, moment, length).map(as_format(Format::Dpkg)))
            .or_else(|| layouts::sql_server(line, moment, length).map(as_format(Format::Plain)))
            .or_else(|| tomcat(line, moment, length).map(as_format(Format::Java)))
            .or_else(|| postgresql(line, moment, length).map(as_format(Format::Postgresql)))
            .or_else(|| vmware::daemon(line, moment, length).map(as_format(Format::Plain))),
        [b':', ..] => postgresql(line, moment, length)
            .map(as_format(Format::Postgresql))
            .or_else(|| layouts::colons(line, moment, length).map(as_format(Format::Python))),
        [b'\t', ..] => zap(line, moment, length)
            .map(as_format(Format::Go))
            .or_else(|| mysql_general(line, moment, length).map(as_format(Format::Mysql))),
        [b'|', ..] => bars(line, moment, length).map(as_format(Format::Dotnet)),
        [b',', b' ', ..] => windows(line, moment, length).map(as_format(Format::Plain)),
        _ => None,
    }
}

/// `2026-11-20 21:39:19, Info                  CBS    Loaded Servicing Stack` (Windows' servicing and setup logs).
fn windows(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length + 1);
    let level = Level::from_name(words.word().filter(|level| level.len() > 3)?.as_bytes())?;
    let component = words.word().filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(component);
    Some(header)
}

/// `2026-11-20 21:39:19.123456+00:00 [info] <0.222.0> Server startup complete`.
fn rabbitmq(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    words.skip(" [").then_some(())?;
    let level = Level::from_name(words.until("] <")?.as_bytes())?;
    let process = words.until(">")?;
    process.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then_some(())?;
    let mut header = Header::stamped(moment, words.position());
    header.message_start += usize::from(words.skip(" "));
    header.level = Some(level);
    header.thread = Some(process);
    Some(header)
}

/// `2026-11-20 21:39:19.123 2931 INFO nova.compute.manager [req-1 user project - - -] message`.
fn openstack(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let pid = words.number()?;
    let level = words.word().filter(|level| level.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    let logger =
        words.word().filter(|logger| logger.has(b'.') && !logger.ends_with(':') && is_logger(logger))?;
    let mut header = Header::stamped(moment, 0);
    // What old releases say of resources, a little above INFO.
    header.level = Some(match level {
        "AUDIT" => Level::Info,
        _ => Level::from_name(level.as_bytes())?,
    });
    if level == "AUDIT" {
        header.attribute("severity", level);
    }
    header.pid = Some(pid);
    header.logger = Some(logger);
    if ["[req-", "[None req-"].iter().any(|start| words.rest().starts_with(start)) {
        words.skip("[");
        let request = words.until("]")?;
        header.attribute("request", request);
        words.skip(" ");
    } else {
        words.skip("[-] ");
    }
    header.message_start = words.position();
    Some(header)
}

/// `2026-11-20T21:39:19.123456Z 0 [System] [MY-010116] [Server] ready`, `2026-11-20 21:39:19 0 [Note] ready`.
pub(super) fn mysql(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    words.blanks();
    let thread = words.number().map(u64::from);
    words.skip("[").then_some(())?;
    let kind = words.until("]")?;
    let level = match kind {
        "System" | "Note" => Level::Info,
        "Warning" => Level::Warning,
        "ERROR" | "Error" => Level::Error,
        _ => return None,
    };
    let mut header = Header::stamped(moment, 0);
    header.level = Some(level);
    header.thread_id = thread;
    if kind == "System" {
        header.attribute("severity", kind);
    }
    words.skip(" ");
    if words.rest().starts_with("[MY-") {
        words.skip("[");
        header.code = words.until("] ");
        words.skip("[").then_some(())?;
        header.logger = words.until("]");
        words.skip(" ");
    }
    header.message_start = words.position();
    Some(header)
}

/// `2026-11-20T21:39:19.123456Z<tab>   12 Query<tab>SELECT 1` (MySQL's general log): connection, command, statement.
fn mysql_general(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    const COMMANDS: [&str; 12] = [
        "Query",
        "Connect",
        "Quit",
        "Execute",
        "Prepare",
        "Init DB",
        "Close stmt",
        "Reset stmt",
        "Field List",
        "Ping",
        "Statistics",
        "Change user",
    ];
    let mut words = Words::at(line, length);
    let thread = words.number()?;
    let command = words.until("\t").filter(|command| COMMANDS.contains(command))?;
    let mut header = Header::stamped(moment, words.position());
    header.thread_id = Some(u64::from(thread));
    header.action = Some(command);
    Some(header)
}

/// `2026-11-20T21:39:19.123+0000 I NETWORK  [conn1] end connection` (before 4.4).
fn mongodb(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let letter = words.word()?;
    let level = match letter {
        "F" => Level::Fatal,
        "E" => Level::Error,
        "W" => Level::Warning,
        "I" => Level::Info,
        "D" | "D1" | "D2" | "D3" | "D4" | "D5" => Level::Debug,
        _ => return None,
    };
    let component = words
        .word()
        .filter(|name| *name == "-" || name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))?;
    words.skip("[").then_some(())?;
    let context = words.until("]")?;
    words.skip(" ");
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(component).filter(|name| *name != "-");
    header.thread = Some(context);
    if letter.len() > 1 {
        header.attribute("severity", letter);
    }
    header.duration = words.rest().rsplit(' ').next().filter(|word| is_millis(word));
    Some(header)
}

/// `120ms`.
fn is_millis(word: &str) -> bool {
    word.strip_suffix("ms").is_some_and(|digits| number(digits).is_some())
}

/// `2026-11-20 21:39:19.123456 I | etcdserver: starting` (capnslog).
fn etcd(line: &str, moment: Timestamp, length: usize, letter: u8) -> Option<Header<'_>> {
    let level = match letter {
        b'C' => Level::Critical,
        b'E' => Level::Error,
        b'W' => Level::Warning,
        b'N' => Level::Notice,
        b'I' => Level::Info,
        b'D' => Level::Debug,
        b'T' => Level::Trace,
        _ => return None,
    };
    let mut words = Words::at(line, length + 5);
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    if let Some(package) = words.until(": ").filter(|package| is_logger(package)) {
        header.logger = Some(package);
        header.message_start = words.position();
    }
    Some(header)
}

/// `2026/11/20 21:39:19 main.go:42: started`, with the whole path or without (Go's `log`).
fn go(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let (place, message) = line.get(length + 1..)?.cut(": ")?;
    let (file, origin_line) = place.rsplit_once(':').filter(|(file, _)| file.ends_with(".go"))?;
    let mut header = Header::stamped(moment, line.len() - message.len());
    header.origin = Some((file, number(origin_line)?));
    header.lifts_pairs = true;
    Some(header)
}

/// `20-Nov-2026 21:39:19.123 INFO [main] org.apache.catalina.startup.Catalina.start Server startup` (Tomcat).
fn tomcat(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    line.get(2..7).filter(|month| month.starts_with('-') && month.ends_with('-'))?;
    let mut words = Words::at(line, length);
    let level = Level::from_name(words.word()?.as_bytes())?;
    words.skip("[").then_some(())?;
    let thread = words.until("] ")?;
    let (class, method) = words.word()?.rsplit_once('.').filter(|(class, _)| is_logger(class))?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.thread = Some(thread);
    header.logger = Some(class);
    header.function = Some(method);
    Some(header)
}

/// `2026-11-20T21:39:19.123Z<tab>INFO<tab>logger<tab>a/b.go:42<tab>message<tab>{"k":1}` (zap's console encoder).
pub(super) fn zap(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length + 1);
    let level = Level::from_name(words.until("\t")?.as_bytes())?;
    let mut header = Header { time: Some(moment), level: Some(level), ..Header::default() };
    while let Some((part, rest)) = words.rest().cut_byte(b'\t') {
        if rest.starts_with('{') {
            // The message, behind which its fields stand.
            break;
        }
        let caller = part.rsplit_once(':').and_then(|(file, at)| Some((file, number(at)?)));
        if caller.is_some() && header.origin.is_none() {
            header.origin = caller;
        } else if header.origin.is_none() && header.logger.is_none() && is_logger(part) {
            header.logger = Some(part);
        } else {
            break;
        }
        words.advance(part.len() + 1);
    }
    header.message_start = words.position();
    header.take_objects(line);
    Some(header)
}

/// `2026-11-20 21:39:19 status installed libc6:amd64 2.36-9`.
fn dpkg(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length);
    let action = words.word()?;
    let mut header = Header::stamped(moment, length + 1);
    match action {
        "status" => {
            header.attribute("status", words.word()?);
            header.attribute("package", words.word().filter(|package| package.has(b':'))?);
            if let Some(version) = words.word().filter(|version| *version != "<none>") {
                header.attribute("version", version);
            }
        }
        // The version that is installed, and the one that will be.
        "install" | "upgrade" | "remove" | "purge" | "configure" | "trigproc" | "disappear" => {
            header.attribute("package", words.word().filter(|package| package.has(b':'))?);
            let versions =
                [words.word(), words.word()].map(|version| version.filter(|name| *name != "<none>"));
            let (before, version) = match versions {
                [before, Some(version)] => (before, Some(version)),
                [version, None] => (None, version),
            };
            for (name, version) in [("version", version), ("previous_version", before)] {
                if let Some(version) = version {
                    header.attribute(name, version);
                }
            }
        }
        "startup" => drop(words.word().filter(|what| matches!(*what, "archives" | "packages"))?),
        "conffile" => {}
        _ => return None,
    }
    header.action = Some(action);
    Some(header)
}

/// `2026-11-20 21:39:19.1234|INFO|Shop.Cart|added` (NLog).
fn bars(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let mut words = Words::at(line, length + 1);
    let level = words.until("|")?;
    let level = Level::from_name(level.trim().as_bytes()).filter(|_| level.trim().len() > 1)?;
    let logger = words.until("|").filter(|logger| is_logger(logger.trim()))?;
    let mut header = Header::stamped(moment, words.position());
    header.level = Some(level);
    header.logger = Some(logger.trim());
    Some(header)
}

/// What PostgreSQL calls the kinds of its messages, and their levels.
pub(super) const SEVERITIES: [(&str, Option<Level>); 18] = [
    ("LOG", Some(Level::Info)),
    ("ERROR", Some(Level::Error)),
    ("STATEMENT", None),
    ("DETAIL", None),
    ("HINT", None),
    ("CONTEXT", None),
    ("QUERY", None),
    ("LOCATION", None),
    ("WARNING", Some(Level::Warning)),
    ("FATAL", Some(Level::Fatal)),
    ("PANIC", Some(Level::Emergency)),
    ("NOTICE", Some(Level::Notice)),
    ("INFO", Some(Level::Info)),
    ("DEBUG1", Some(Level::Debug)),
    ("DEBUG2", Some(Level::Debug)),
    ("DEBUG3", Some(Level::Debug)),
    ("DEBUG4", Some(Level::Debug)),
    ("DEBUG5", Some(Level::Debug)),
];

/// `2026-11-20 21:39:19.123 UTC [42] app@shop ERROR:  gone`, and the usual other prefixes: `%t [%p]: [%l-1]
/// user=%u,db=%d,app=%a,client=%h `, `%t:%r:%u@%d:[%p]:`.
fn postgresql(line: &str, moment: Timestamp, length: usize) -> Option<Header<'_>> {
    let end = line.get(length..)?.cut(":  ")?.0.len() + length;
    let word = line[..end].rfind([' ', ':', ']', '-']).map_or(0, |at| at + 1);
    let (_, level) = SEVERITIES.iter().find(|(name, _)| *name == &line[word..end])?;
    let mut header = Header::stamped(moment, end + 3);
    match level {
        Some(level) => header.level = Some(*level),
        // Part of the event before it; the text says which.
        None => header.message_start = word,
    }
    let has_process = prefix(line[length..word].trim_end_matches([':', ' ']), &mut header);
    let duration = line[header.message_start..].strip_prefix("duration: ");
    header.duration = duration.and_then(|rest| Some(&rest[..rest.find(" ms")? + 3]));
    has_process.then_some(header)
}

/// `192.0.2.14 2026-11-20 21:39:19.123 UTC [42] app@shop ERROR:  gone`: a prefix that begins with the client's address.
pub(super) fn postgresql_behind_client<'l>(line: &'l str, clock: &mut Clock) -> Option<Header<'l>> {
    let (client, rest) = line.cut_byte(b' ')?;
    client.parse::<IpAddr>().ok()?;
    let (moment, length) = clock.read_start(rest.as_bytes())?;
    let mut header = postgresql(line, moment, client.len() + 1 + length)?;
    header.client = Some(client);
    Some(header)
}

/// Reads a prefix; false where no process is in it, or anything that is not known.
fn prefix<'l>(prefix: &'l str, header: &mut Header<'l>) -> bool {
    let parts = prefix.split([' ', ',']).flat_map(bracketed_parts).filter(|part| !part.is_empty());
    parts.into_iter().all(|part| prefix_part(part, header)) && header.pid.is_some()
}

/// `[42]`, `[1-1]`, `[42-1]` (process and line), `[local]`, `user=app`, `app@shop`, `192.0.2.14(52814)`, `192.0.2.14`.
fn prefix_part<'l>(part: &'l str, header: &mut Header<'l>) -> bool {
    if header.client.is_none() && part.parse::<IpAddr>().is_ok() {
        header.client = Some(part);
        return true;
    }
    let inside = part.strip_prefix('[').and_then(|part| part.strip_suffix(']'));
    if let Some(inside) = inside.filter(|inside| !inside.has(b']')) {
        if inside == "local" && header.client.is_none() {
            header.client = Some(inside);
            return true;
        }
        let is_line = inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let process_and_line = inside.cut_byte(b'-').and_then(|(pid, line)| Some((number(pid)?, line)));
        match (number(inside), process_and_line, header.pid) {
            (Some(pid), _, None) => header.pid = Some(pid),
            (None, Some((pid, line)), None) => {
                header.pid = Some(pid);
                header.attribute("line", line);
            }
            _ => header.attribute("line", inside),
        }
        return is_line;
    }
    if let Some((name, value)) = part.cut_byte(b'=') {
        match name {
            _ if value.is_empty() => {}
            "user" if header.user.is_none() => header.user = Some(value),
            "db" => header.attribute("database", value),
            "app" => header.attribute("application", value),
            "client" | "host" if header.client.is_none() => header.client = Some(value),
            _ => return false,
        }
        return matches!(name, "user" | "db" | "app" | "client" | "host") && header.has_room();
    }
    if let Some((user, database)) = part.cut_byte(b'@') {
        let is_first = header.user.is_none();
        header.user = Some(user).filter(|user| !user.is_empty());
        if !database.is_empty() {
            header.attribute("database", database);
        }
        return is_first && header.has_room();
    }
    let address = part.strip_suffix(')').and_then(|part| part.cut_byte(b'('));
    let Some((host, port)) = address.filter(|_| header.client.is_none()) else { return false };
    header.client = Some(host);
    header.attribute("client_port", port);
    header.has_room()
}

/// Amazon's prefix has colons between its parts; the others have blanks.
fn bracketed_parts(part: &str) -> impl Iterator<Item = &str> {
    let is_address = part.bytes().filter(|byte| *byte == b':').count() > 1 && !part.has(b'[');
    let whole = is_address.then_some(part);
    let parts = (!is_address).then(|| part.split(':'));
    whole.into_iter().chain(parts.into_iter().flatten())
}
