//! Credentials, found from a literal that they begin with or that names them.

use std::ops::Range;

/// Longest name that is looked at around a word such as `password`.
const NAME_BYTES_MAX: usize = 64;

/// Shortest token after `Bearer` and the like.
const TOKEN_BYTES_MIN: usize = 8;

/// Shortest value of a name that only may be a secret's, such as `token`.
const VALUE_BYTES_MIN: usize = 6;

/// What to look at where a literal was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A key that is known by its prefix: so many characters of its alphabet follow.
    Prefixed {
        /// The part of the prefix before the literal: one of these.
        before: &'static [&'static str],
        min: usize,
        max: usize,
        /// Beyond letters and digits.
        also: &'static [u8],
    },
    /// Three parts of base64url. RFC 7519
    Jwt,
    /// `Bearer token` and `Basic credentials`. RFC 6750, RFC 7617
    Scheme,
    /// PEM. RFC 7468
    PrivateKey,
    /// A part of a secret's name: of password, passwort and passwd, passphrase, pwd, secret, token, API key, access key,
    /// account key, private key, authorization, in the spellings that occur.
    Name,
}

const fn key(before: &'static [&'static str], min: usize, max: usize, also: &'static [u8]) -> Rule {
    Rule::Prefixed { before, min, max, also }
}

/// What is searched for. Prefixes of keys, and what follows them, are from the services' own documentation and their
/// secret scanners.
///
/// The scan tells candidates by the halves of a literal's first three bytes, all literals of a group together, and looks
/// closer at each. So a group holds literals that are alike, and of each the part that makes the fewest candidates: with
/// these groups, found by moving literals until the lines of the golden files made the fewest, one in three lines has a
/// candidate, where groups without thought make ten a line.
pub(super) const GROUPS: Groups = [
    &[
        ("ASIC ", Rule::Scheme),
        ("asic ", Rule::Scheme),
        ("PWD", Rule::Name),
        ("eyJ", Rule::Jwt),
        ("pwd", Rule::Name),
        ("Pwd", Rule::Name),
    ],
    &[
        ("pm_", key(&["n"], 36, 36, b"")),
        ("hr_", key(&["g"], 36, 255, b"")),
        ("hs_", key(&["g"], 36, 255, b"")),
        ("ASIA", key(&[""], 16, 16, b"")),
        ("ho_", key(&["g"], 36, 255, b"")),
        ("a29.", key(&["y"], 20, 2048, b"_-.")),
    ],
    &[
        ("OKEN", Rule::Name),
        ("ikey", Rule::Name),
        ("oken", Rule::Name),
        ("_KEY", Rule::Name),
        ("ypi-", key(&["p"], 50, 255, b"_-")),
        ("_key", Rule::Name),
    ],
    &[
        ("EARER ", Rule::Scheme),
        ("ecret", Rule::Name),
        ("RIZATION", Rule::Name),
        ("AKIA", key(&[""], 16, 16, b"")),
        ("EGIN ", Rule::PrivateKey),
        ("earer ", Rule::Scheme),
        ("ECRET", Rule::Name),
        ("rization", Rule::Name),
        ("AIza", key(&[""], 35, 35, b"_-")),
    ],
    &[
        ("ghu_", key(&[""], 36, 255, b"")),
        ("rase", Rule::Name),
        ("ghp_", key(&[""], 36, 255, b"")),
        ("glpat-", key(&[""], 20, 255, b"_-.")),
        ("hvs.", key(&[""], 24, 255, b"_-")),
        ("RASE", Rule::Name),
    ],
    &[
        ("piKey", Rule::Name),
        ("ssKey", Rule::Name),
        ("ssw", Rule::Name),
        ("xoxa-", key(&[""], 20, 255, b"-")),
        ("xoxp-", key(&[""], 20, 255, b"-")),
        ("pi-Ke", Rule::Name),
        ("pi-ke", Rule::Name),
        ("sk-", key(&[""], 32, 255, b"_-")),
        ("SSW", Rule::Name),
        ("xoxb-", key(&[""], 20, 255, b"-")),
        ("xoxs-", key(&[""], 20, 255, b"-")),
    ],
    &[("ntKey", Rule::Name), ("SG.", key(&[""], 60, 80, b"_-."))],
    &[
        ("thub_pat_", key(&["gi"], 60, 255, b"_")),
        ("teKey", Rule::Name),
        ("shpat_", key(&[""], 32, 32, b"")),
        ("sk_test_", key(&[""], 16, 255, b"")),
        ("v1_", key(&["dop_"], 64, 64, b"")),
        ("ve_", key(&["sk_li", "rk_li"], 16, 255, b"")),
    ],
];

/// What [`super::scan`] takes together: as many groups as a byte has bits.
pub(super) type Groups = [&'static [(&'static str, Rule)]; 8];

/// Without `_`, `-` and `.`, a secret's name ends with one of these; the others may be harmless when they are short.
const SECRET_NAMES: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "pwd",
    "secret",
    "secretkey",
    "apikey",
    "secretaccesskey",
    "accountkey",
    "privatekey",
];
const MAYBE_SECRET_NAMES: [&str; 3] = ["token", "accesskey", "authorization"];

/// The value of an own field, where `found` is in its name.
pub(super) fn field(line: &[u8], found: Range<usize>, fields: &[String]) -> Option<Range<usize>> {
    let name = name_around(line, found);
    let last = line[name.clone()].rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let is_field = fields.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(last));
    let value = is_field.then(|| value_after(line, name.end)).flatten()?;
    (!is_placeholder(&line[value.clone()])).then_some(value)
}

impl Rule {
    /// Looks closer at a literal that was found: the bytes that have to go, if it is what it seems.
    pub(super) fn check(self, line: &[u8], found: Range<usize>) -> Option<Range<usize>> {
        match self {
            Rule::Prefixed { before, min, max, also } => {
                let is_before = |part: &&&str| line[..found.start].ends_with(part.as_bytes());
                let start = found.start - before.iter().find(is_before)?.len();
                prefixed(line, start..found.end, (min, max), also)
            }
            Rule::Jwt => jwt(line, found.start),
            Rule::Scheme => scheme(line, found),
            Rule::PrivateKey => private_key(line, found),
            Rule::Name => named(line, found),
        }
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether what stands at `at` may be the beginning of a word. The letter of an escape sequence before it, however often
/// that was escaped again, is none of its letters.
fn begins_word(line: &[u8], at: usize) -> bool {
    let [before @ .., last] = &line[..at] else { return true };
    !is_word(*last) || before.ends_with(b"\\")
}

fn run(line: &[u8], from: usize, also: &[u8]) -> usize {
    let rest = line.get(from..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || also.contains(byte)).count()
}

fn prefixed(
    line: &[u8],
    found: Range<usize>,
    (min, max): (usize, usize),
    also: &[u8],
) -> Option<Range<usize>> {
    if !begins_word(line, found.start) {
        return None;
    }
    // Longer ones are none, however long they are.
    let rest = &line[..line.len().min(found.end + max + 1)];
    let length = run(rest, found.end, also);
    (min..=max).contains(&length).then(|| found.start..found.end + length)
}

/// Where the first part of a JSON web token ends that would begin at `start`.
pub(super) fn first_part_end(line: &[u8], start: usize) -> usize {
    start + run(line, start, b"_-")
}

fn jwt(line: &[u8], start: usize) -> Option<Range<usize>> {
    if !begins_word(line, start) {
        return None;
    }
    let header = run(line, start, b"_-");
    let payload_start = start + header + 1;
    let payload = run(line, payload_start, b"_-");
    let dots = line.get(payload_start - 1) == Some(&b'.') && line.get(payload_start + payload) == Some(&b'.');
    if header < 10 || payload < 10 || !dots {
        return None;
    }
    let signature_start = payload_start + payload + 1;
    Some(start..signature_start + run(line, signature_start, b"_-"))
}

fn scheme(line: &[u8], found: Range<usize>) -> Option<Range<usize>> {
    let end = found.end - 1;
    let is_scheme = [&b"bearer"[..], b"basic"].iter().any(|scheme| {
        end.checked_sub(scheme.len())
            .is_some_and(|start| line[start..end].eq_ignore_ascii_case(scheme) && begins_word(line, start))
    });
    let length = run(line, found.end, b"._~+/=-");
    let token = &line[found.end..found.end + length];
    // "basic information", "bearer authentication": prose has neither digits nor capitals inside.
    let looks_random = token.iter().any(u8::is_ascii_digit)
        || token.iter().skip(1).any(u8::is_ascii_uppercase)
        || token.ends_with(b"=");
    (is_scheme && length >= TOKEN_BYTES_MIN && looks_random).then(|| found.end..found.end + length)
}

/// `scheme://user:password@host`, RFC 3986, 3.2.1: the passwords of a line that has an `@`.
pub(super) fn url_passwords(line: &[u8]) -> impl Iterator<Item = Range<usize>> {
    memchr::memmem::find_iter(line, "://").filter_map(|at| url_password(line, at + "://".len()))
}

fn url_password(line: &[u8], start: usize) -> Option<Range<usize>> {
    let rest = &line[start..line.len().min(start + 1024)];
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>')
    };
    let authority = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
    let at = memchr::memrchr(b'@', authority)?;
    let colon = memchr::memchr(b':', &authority[..at])?;
    let password = start + colon + 1..start + at;
    (!is_placeholder(&line[password.clone()])).then_some(password)
}

fn private_key(line: &[u8], found: Range<usize>) -> Option<Range<usize>> {
    const BEFORE: &[u8] = b"-----B";
    let start = line[..found.start].ends_with(BEFORE).then(|| found.start - BEFORE.len())?;
    const LABEL_BYTES_MAX: usize = 40;
    let rest = &line[found.end..];
    let label = &rest[..rest.len().min(LABEL_BYTES_MAX)];
    let marker = memchr::memmem::find(label, b"PRIVATE KEY")?;
    let body = found.end + marker;
    // A key that is cut is one still: all that follows goes.
    let end = memchr::memmem::find(&line[body..], b"-----END ").map_or(line.len(), |at| {
        let tail = body + at + b"-----END ".len();
        memchr::memmem::find(&line[tail..], b"-----").map_or(line.len(), |dashes| tail + dashes + 5)
    });
    Some(start..end)
}

/// The whole name that holds what was found.
fn name_around(line: &[u8], found: Range<usize>) -> Range<usize> {
    let is_name = |byte: &&u8| is_word(**byte) || matches!(**byte, b'-' | b'.');
    let before = &line[found.start.saturating_sub(NAME_BYTES_MAX)..found.start];
    let after = &line[found.end..line.len().min(found.end + NAME_BYTES_MAX)];
    found.start - before.iter().rev().take_while(is_name).count()
        ..found.end + after.iter().take_while(is_name).count()
}

fn named(line: &[u8], found: Range<usize>) -> Option<Range<usize>> {
    let name = name_around(line, found);
    let mut letters = [0; 3 * NAME_BYTES_MAX];
    let mut length = 0;
    for byte in line[name.clone()].iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *letters.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    let letters = &letters[..length];
    let ends = |names: &[&str]| names.iter().any(|secret| letters.ends_with(secret.as_bytes()));
    let is_certain = ends(&SECRET_NAMES);
    if !is_certain && !ends(&MAYBE_SECRET_NAMES) {
        return None;
    }
    if letters.ends_with(b"authorization") {
        return credentials(line, name.end);
    }
    let value = value_after(line, name.end)?;
    let text = &line[value.clone()];
    ((is_certain || is_long(text)) && !is_placeholder(text)).then_some(value)
}

/// Whether a text can be a secret where its name is not enough to tell.
fn is_long(text: &[u8]) -> bool {
    text.len() >= VALUE_BYTES_MIN && !text.iter().all(u8::is_ascii_alphabetic)
}

/// The value of a request's header `Authorization`.
fn credentials(line: &[u8], name_end: usize) -> Option<Range<usize>> {
    let value = value_after(line, name_end).and_then(|value| {
        let start = value.start + scheme_length(&line[value.clone()]);
        let text = &line[start..value.end];
        (is_long(text) && !is_placeholder(text)).then_some(start..value.end)
    });
    value.or_else(|| bearer(line, name_end))
}

/// The token behind `: Bearer `, `="Bearer `, `":["Bearer `: a secret whatever it looks like.
fn bearer(line: &[u8], name_end: usize) -> Option<Range<usize>> {
    const SCHEME: &[u8] = b"bearer ";
    /// Of what stands between a name and its value.
    const SEPARATOR_BYTES_MAX: usize = 12;
    let between = &line[name_end..line.len().min(name_end + SEPARATOR_BYTES_MAX)];
    let is_separator =
        |byte: &&u8| matches!(**byte, b' ' | b'\t' | b':' | b'=' | b'>' | b'"' | b'\'' | b'\\' | b'[');
    let length = between.iter().take_while(is_separator).count();
    between[..length].iter().any(|byte| matches!(byte, b':' | b'=')).then_some(())?;
    let scheme = name_end + length;
    line.get(scheme..scheme + SCHEME.len()).filter(|word| word.eq_ignore_ascii_case(SCHEME))?;
    let start = scheme + SCHEME.len() + blanks(line, scheme + SCHEME.len());
    let token = start..start + run(line, start, b"._~+/=-");
    let text = &line[token.clone()];
    // "authorization: bearer token expired" tells nothing.
    (!text.is_empty() && !text.eq_ignore_ascii_case(b"token") && !is_placeholder(text)).then_some(token)
}

/// `Bearer ` and the like say nothing, and stay.
fn scheme_length(value: &[u8]) -> usize {
    let word = value.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if value.get(word) == Some(&b' ') { word + 1 } else { 0 }
}

/// The value after a name: `=value`, `="a value"`, `": "value"`, `\": \"value\"`, `=> 'value'`, `: value`.
fn value_after(line: &[u8], name_end: usize) -> Option<Range<usize>> {
    let mut at = name_end;
    at += quote_at(line, at).map_or(0, <[u8]>::len);
    let was_quoted = at > name_end;
    at += blanks(line, at);
    let separator = *line.get(at)?;
    at += 1;
    match separator {
        b'=' if line.get(at) == Some(&b'>') => at += 1,
        b'=' if line.get(at) != Some(&b'=') => {}
        b':' if line.get(at) != Some(&b':') => {}
        _ => return None,
    }
    let gap = blanks(line, at);
    at += gap;
    if let Some(quote) = quote_at(line, at) {
        let start = at + quote.len();
        return Some(start..closing(line, start, quote));
    }
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace()
            || matches!(byte, b',' | b';' | b')' | b']' | b'}' | b'"' | b'\'' | b'<' | b'>')
            || (*byte == b'&' && separator == b'=')
    };
    let rest = &line[at..];
    let value = &rest[..rest.iter().position(ends).unwrap_or(rest.len())];
    // "password: must be longer" is prose; a lone word at the end, or one that is no word, is a value.
    let is_prose = gap > 0
        && !was_quoted
        && value.iter().all(u8::is_ascii_alphabetic)
        && rest.get(value.len()).is_some_and(u8::is_ascii_whitespace);
    (!is_prose).then(|| at..at + value.len())
}

fn blanks(line: &[u8], at: usize) -> usize {
    line.get(at..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn quote_at(line: &[u8], at: usize) -> Option<&'static [u8]> {
    let rest = line.get(at..)?;
    [&b"\\\""[..], b"\"", b"'"].into_iter().find(|quote| rest.starts_with(quote))
}

/// Where the value that was opened by `quote` ends; an escaped quote does not end it.
fn closing(line: &[u8], start: usize, quote: &[u8]) -> usize {
    let mut at = start;
    while at < line.len() {
        if line[at..].starts_with(quote) {
            return at;
        }
        // Inside an escaped string an inner quote has three backslashes.
        at += if line[at] == b'\\' { quote.len() + 1 } else { 1 };
    }
    line.len()
}

/// Nothing that could be told.
fn is_placeholder(value: &[u8]) -> bool {
    const WORDS: [&str; 9] =
        ["null", "nil", "none", "true", "false", "undefined", "redacted", "hidden", "empty"];
    let inner = value.trim_ascii();
    let first = inner.first().copied().unwrap_or(b'*');
    let is_drawn =
        matches!(first, b'*' | b'x' | b'X' | b'.' | b'-') && inner.iter().all(|byte| *byte == first);
    let bare = inner.strip_prefix(b"[").or_else(|| inner.strip_prefix(b"<")).unwrap_or(inner);
    // What goes on as a word does may be a secret that only begins so.
    let ends_word = |next: Option<&u8>| next.is_none_or(|byte| b" \t]>)}\"',;:.".contains(byte));
    is_drawn
        || WORDS.iter().any(|word| {
            bare.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
                && ends_word(bare.get(word.len()))
                && bare.len() <= word.len() + 16
        })
}
