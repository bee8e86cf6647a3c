//! What servers write behind the common and the combined format. All of it stays in `message`; what is certain becomes
//! fields too.
//!
//! ```text
//! "203.0.113.7"                                              nginx's `main`: X-Forwarded-For
//! 0.012 0.010                                                nginx: request time, upstream's time
//! rt=0.012 uct="0.000" uht="0.010" urt="0.010"               nginx, as its amplifier suggests
//! 346 0.012 [default-shop-80] [] 10.0.0.5:80 612 0.010 200 id    ingress-nginx
//! 12 "router@docker" "http://10.0.0.2:80" 5ms                Traefik
//! 12345                                                      Apache's %D behind the combined format: microseconds
//! ```

use weir_record::schema::Field;

use super::super::draft::{Draft, Value};
use super::super::duration;
use super::super::format::Format;
use super::super::keys::{self, Meaning, Unit};
use super::quoted;

/// Most words of a tail that are looked at.
const WORDS_MAX: usize = 10;

/// A word of a tail.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word<'l> {
    Bare(&'l str),
    Quoted(&'l str),
    Bracketed(&'l str),
}

/// Writes what is certain of `tail`, which follows a line of `format`.
pub(super) fn write(tail: &str, format: Format, draft: &mut Draft<'_>) {
    use Word::{Bare, Bracketed, Quoted};
    let mut words = [Bare(""); WORDS_MAX];
    let mut count = 0;
    let mut rest = tail.trim_start();
    while count < WORDS_MAX
        && let Some((word, after)) = next(rest)
    {
        words[count] = word;
        count += 1;
        rest = after.trim_start();
    }
    match &words[..count] {
        [Bare(_length), Bare(time), Bracketed(upstream), Bracketed(_), Bare(address), ..] => {
            seconds(time, draft);
            attribute("upstream_name", upstream, draft);
            attribute("upstream", address, draft);
            if let Some(Bare(id)) = words.get(8).filter(|_| count > 8) {
                draft.assign(Meaning::Identifier(Field::HttpRequestId), Value::Plain(id));
            }
        }
        [Bare(_count), Quoted(router), Quoted(server), Bare(time)] => {
            attribute("router", router, draft);
            attribute("upstream", server, draft);
            draft.assign(Meaning::Duration(Unit::InValue), Value::Plain(time));
        }
        [Bare(number)] if format == Format::Combined && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            draft.assign(Meaning::Duration(Unit::Micros), Value::Plain(number));
        }
        words => words.iter().for_each(|word| loose(*word, draft)),
    }
}

/// A word without a fixed place.
fn loose(word: Word<'_>, draft: &mut Draft<'_>) {
    match word {
        Word::Bare(text) if text.contains('=') => pair(text, draft),
        Word::Bare(text) => seconds(text, draft),
        Word::Quoted(text) => {
            let first = text.split(',').next().unwrap_or_default();
            if first.parse::<std::net::IpAddr>().is_ok() {
                attribute("x_forwarded_for", text, draft);
            }
        }
        Word::Bracketed(_) => {}
    }
}

/// `rt=0.012`, `urt="0.010"`, `request_time=0.012`.
fn pair(text: &str, draft: &mut Draft<'_>) {
    let Some((key, value)) = text.split_once('=') else { return };
    let value = value.trim_matches('"');
    match key {
        "rt" => seconds(value, draft),
        _ if matches!(value, "-" | "") => {}
        _ => {
            let placed = keys::lookup(key.as_bytes())
                .is_some_and(|meaning| draft.assign(meaning, Value::Plain(value)));
            if !placed {
                draft.attribute_text(key, value);
            }
        }
    }
}

/// nginx writes seconds with three digits behind the point: nothing else there looks so. The first is the request's.
fn seconds(text: &str, draft: &mut Draft<'_>) {
    let is_time =
        text.split_once('.').is_some_and(|(whole, fraction)| !whole.is_empty() && fraction.len() == 3);
    if let Some(nanos) = duration::parse(text, Unit::Seconds).filter(|_| is_time)
        && !draft.writer.has(Field::EventDuration)
    {
        draft.writer.integer(Field::EventDuration, nanos);
    }
}

fn attribute(name: &str, text: &str, draft: &mut Draft<'_>) {
    if !matches!(text, "-" | "") {
        draft.writer.attribute_string(name, text);
    }
}

fn next(text: &str) -> Option<(Word<'_>, &str)> {
    match text.as_bytes().first()? {
        b'"' => quoted(text).map(|(inside, rest)| (Word::Quoted(inside), rest)),
        b'[' => text[1..].split_once(']').map(|(inside, rest)| (Word::Bracketed(inside), rest)),
        _ => {
            // A request that was tried again has a list of each: `0, 190`.
            let mut end = 0;
            loop {
                end = memchr::memchr(b' ', &text.as_bytes()[end..]).map_or(text.len(), |at| end + at);
                if end == text.len() || !text[..end].ends_with(',') {
                    break;
                }
                end += 1;
            }
            Some((Word::Bare(&text[..end]), &text[end..]))
        }
    }
}
