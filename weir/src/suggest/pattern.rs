//! A template as a grok pattern: what varies is captured under the name that the field, the key before it, or its kind
//! suggests.

use std::collections::BTreeSet;

use weir_record::Field;
use weir_shipper::drift::Kind;

use super::template::{Place, Template};

const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"];

/// What keys of values mean in the Elastic Common Schema.
const KEYS: [(&str, &str); 21] = [
    ("client", "source.ip"),
    ("client_ip", "source.ip"),
    ("from", "source.ip"),
    ("ip", "source.ip"),
    ("level", "log.level"),
    ("logger", "log.logger"),
    ("method", "http.request.method"),
    ("path", "url.path"),
    ("pid", "process.pid"),
    ("remote", "source.ip"),
    ("request_id", "http.request.id"),
    ("requestid", "http.request.id"),
    ("span_id", "span.id"),
    ("thread", "process.thread.name"),
    ("to", "destination.ip"),
    ("trace_id", "trace.id"),
    ("traceid", "trace.id"),
    ("uri", "url.original"),
    ("url", "url.original"),
    ("user", "user.name"),
    ("username", "user.name"),
];

/// Words before a value that do not name it.
const PREPOSITIONS: [&str; 12] =
    ["after", "and", "at", "by", "for", "from", "in", "of", "on", "than", "to", "with"];

/// Varying words behind each other that are taken for text.
const TEXT_WORDS_MIN: usize = 2;

/// As it stands behind `format =`. `spans_lines`: what follows the pattern may hold newlines.
pub fn render(template: &Template, spans_lines: bool) -> String {
    let text_from = if template.is_open { template.places.len() } else { text_start(&template.places) };
    let mut names = Names::new(&template.places);
    let mut out = String::from(if spans_lines { "grok:(?s)^" } else { "grok:^" });
    for (at, place) in template.places.iter().enumerate().take(text_from) {
        push_literal(&place.before, template.is_padded, &mut out);
        match place.fixed() {
            Some(word) => push_literal(word, false, &mut out),
            None => {
                let behind = template.places.get(at + 1).map_or(&template.end, |next| &next.before);
                let name = names.next(&template.places, at);
                out.push_str(&reference(place, &name, behind.chars().next()));
            }
        }
    }
    if let Some(text) = template.places.get(text_from) {
        push_literal(text.before.trim_end(), template.is_padded, &mut out);
        out.push_str(" *%{GREEDYDATA:message}");
    } else {
        push_literal(&template.end, template.is_padded, &mut out);
        if template.is_open {
            out.push_str(" *%{GREEDYDATA:message}");
        }
    }
    out.push('$');
    out
}

/// How many parts of a line are captured beside its time and level.
pub fn captured(template: &Template) -> usize {
    let is_value =
        |place: &&Place| place.fixed().is_none() && !place.kind.is_time_stamp() && place.kind != Kind::Level;
    template.places.iter().take(text_start(&template.places)).filter(is_value).count()
}

/// Whether it captures nothing at all: one message, word by word.
pub fn is_constant(template: &Template) -> bool {
    !template.is_open && template.places.iter().all(|place| place.fixed().is_some())
}

/// Where a text begins that ends the line; the number of places where none does.
fn text_start(places: &[Place]) -> usize {
    let is_of_text = |place: &&Place| {
        place.kind == Kind::Word
            && !place.is_value
            && place.fixed().is_none()
            && place.before.trim().is_empty()
    };
    let words = places.iter().rev().take_while(is_of_text).count();
    if words >= TEXT_WORDS_MIN { places.len() - words } else { places.len() }
}

/// The pattern that captures what stands in a place. `behind`: the first character after it.
fn reference(place: &Place, name: &str, behind: Option<char>) -> String {
    let all_begin = |quote: char| place.values.iter().all(|value| value.starts_with(quote));
    match place.kind {
        Kind::Iso8601 => format!("%{{TIMESTAMP_ISO8601:{name}}}"),
        Kind::HttpDate => format!("%{{HTTPDATE:{name}}}"),
        Kind::SyslogTime => format!("%{{SYSLOGTIMESTAMP:{name}}}"),
        Kind::DateTime => format!("(?<{name}>[0-9]+[/.-][0-9]+[/.-][0-9]+[ -][0-9:.,]+)"),
        Kind::Time => format!("%{{TIME:{name}}}"),
        Kind::Uuid => format!("%{{UUID:{name}}}"),
        Kind::Email => format!("%{{EMAILADDRESS:{name}}}"),
        Kind::Mac => format!("%{{MAC:{name}}}"),
        Kind::Ip => format!("%{{IP:{name}}}"),
        Kind::Hex => format!("%{{BASE16NUM:{name}}}"),
        Kind::Level => format!("%{{LOGLEVEL:{name}}}"),
        Kind::Number if place.values.iter().any(|value| value.contains('.')) => {
            format!("%{{NUMBER:{name}:float}}")
        }
        Kind::Number => format!("%{{INT:{name}:int}}"),
        Kind::Quoted if all_begin('"') => format!(r#""(?<{name}>(?:[^"\\]|\\.)*)""#),
        Kind::Quoted => format!("%{{QUOTEDSTRING:{name}}}"),
        Kind::Date | Kind::Uri | Kind::Path | Kind::Duration | Kind::Code | Kind::Word => match behind {
            Some(end) if end != ' ' => {
                let mut class = String::new();
                push_literal(&end.to_string(), false, &mut class);
                format!(r"(?<{name}>[^{class}\s]+)")
            }
            _ => format!("%{{NOTSPACE:{name}}}"),
        },
    }
}

/// `text` as a regular expression; a blank of a padded line stands for any number of them.
fn push_literal(text: &str, is_padded: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            ' ' if is_padded => out.push_str(" +"),
            '\t' => out.push_str("\\t"),
            _ if character.is_ascii_punctuation() && !"<>=:,;\"'!%@`~/_#&".contains(character) => {
                out.push('\\');
                out.push(character);
            }
            // Its meaning to grok ends where no brace follows.
            _ => out.push(character),
        }
    }
}

/// Gives each place a name of its own.
struct Names {
    used: BTreeSet<String>,
    is_http: bool,
}

impl Names {
    fn new(places: &[Place]) -> Names {
        Names { used: BTreeSet::new(), is_http: places.iter().any(is_method) }
    }

    fn next(&mut self, places: &[Place], at: usize) -> String {
        let wanted = self.wanted(places, at);
        let is_free = !self.used.contains(&wanted);
        let attribute = wanted.rsplit('.').next().unwrap_or_default();
        let mut numbered = (2..).map(|number| format!("{attribute}{number}"));
        let name =
            if is_free { Some(wanted.clone()) } else { numbered.find(|name| !self.used.contains(name)) };
        let name = name.unwrap_or_default();
        self.used.insert(name.clone());
        name
    }

    fn wanted(&self, places: &[Place], at: usize) -> String {
        let place = &places[at];
        if place.kind.is_time_stamp() {
            return "timestamp".to_owned();
        }
        if place.kind == Kind::Level {
            return "log.level".to_owned();
        }
        if let Some(key) = key_of(places, at) {
            let known = KEYS.iter().find(|(known, _)| *known == key).map(|(_, field)| *field);
            let fits = |field: &&str| {
                Field::from_name(field.as_bytes()).is_some()
                    && (!field.ends_with(".ip") || place.kind == Kind::Ip)
            };
            if let Some(field) = known.filter(fits) {
                return field.to_owned();
            }
            if !PREPOSITIONS.contains(&key.as_str()) {
                return key;
            }
        }
        self.by_kind(places, at).to_owned()
    }

    fn by_kind(&self, places: &[Place], at: usize) -> &'static str {
        let place = &places[at];
        let is_status =
            |value: &String| value.parse::<u16>().is_ok_and(|status| (100..600).contains(&status));
        let follows_name = at > 0 && place.before == "[" && places[at - 1].kind == Kind::Word;
        match place.kind {
            Kind::Ip if self.used.contains("source.ip") => "destination.ip",
            Kind::Ip => "source.ip",
            Kind::Email => "user.email",
            Kind::Uuid => "id",
            Kind::Uri => "url.original",
            Kind::Path if self.is_http => "url.path",
            Kind::Path => "path",
            Kind::Hex => "hash",
            Kind::Mac => "mac",
            Kind::Duration => "duration",
            Kind::Code => "code",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::Quoted => "text",
            Kind::Number if follows_name => "process.pid",
            Kind::Number if self.is_http && place.values.iter().all(is_status) => "http.response.status_code",
            Kind::Number => "number",
            Kind::Word if is_method(place) => "http.request.method",
            Kind::Word if place.values.iter().all(|value| value.contains('.')) => "log.logger",
            _ => "field",
        }
    }
}

fn is_method(place: &Place) -> bool {
    place.kind == Kind::Word && place.values.iter().all(|value| METHODS.contains(&value.as_str()))
}

/// `user=`, `user: `, or for what is no word `job `.
fn key_of(places: &[Place], at: usize) -> Option<String> {
    let (place, key) = (&places[at], places.get(at.checked_sub(1)?)?);
    let word = match &key.values[..] {
        [word] if key.kind == Kind::Word => word,
        _ => return None,
    };
    let is_key = match place.before.trim_end() {
        "=" | ":" | "=\"" => true,
        "" => place.kind != Kind::Word && key.fixed().is_some(),
        _ => false,
    };
    let name: String = word
        .to_ascii_lowercase()
        .chars()
        .map(|character| if character.is_ascii_alphanumeric() { character } else { '_' })
        .collect();
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_taken = matches!(name.as_str(), "message" | "timestamp");
    (is_key && is_name && !is_taken).then_some(name)
}
