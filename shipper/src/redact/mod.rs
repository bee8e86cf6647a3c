//! Redaction: what must not leave the host is taken out of a line before it is parsed, so that no field can hold it.
//!
//! One pass that looks for short literals, `@` and long rows of digits ([`scan`]) decides that a line is clean, which
//! nearly all are; only around what is found a hand-written rule looks closer. Replacements need no escaping in any
//! format, and are fitted to JSON: a JSON line stays JSON.

mod card;
mod email;
mod json;
mod scan;
mod secret;

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use regex::bytes::{Regex, RegexBuilder};
use ring::hmac;

use scan::{Literal, Scan};

/// Bytes of a keyed hash that a replacement shows: enough to follow one value through a log, and to meet no other by
/// chance among millions.
const HASH_BYTES: usize = 9;

/// Compiled size of one own pattern, at most.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Credentials: bearer tokens, JSON web tokens, keys of cloud services, private keys, passwords.
    Secret,
    /// E-mail addresses.
    Email,
    /// Numbers of payment cards that pass the Luhn check.
    Card,
    /// What an own pattern matches, or an own field holds.
    Own,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Secret, Kind::Email, Kind::Card, Kind::Own];

    /// As it stands in replacements and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::Email => "email",
            Kind::Card => "card",
            Kind::Own => "own",
        }
    }
}

/// What stands in the place of what was taken out.
#[derive(Clone, Default)]
pub enum Replacement {
    /// `[redacted:email]`.
    #[default]
    Mask,
    /// `[email:Fq3xTz9aBc0d]`, from HMAC-SHA-256 under this key: equal values can be told to be equal, and not read.
    Hash(Arc<hmac::Key>),
}

impl std::fmt::Debug for Replacement {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Replacement::Mask => "Mask",
            Replacement::Hash(_) => "Hash(***)",
        })
    }
}

/// What to take out of the lines of a source.
#[derive(Clone, Debug, Default)]
pub struct RedactSettings {
    /// Credentials.
    pub secrets: bool,
    /// E-mail addresses.
    pub email: bool,
    /// Payment cards.
    pub card: bool,
    /// Names whose values are taken out wherever they stand: `name=value`, `"name":"value"`, `name: value`.
    pub fields: Vec<String>,
    /// Regular expressions; of a match with groups the groups are taken out, else all of it.
    pub patterns: Vec<String>,
    /// What stands in their place.
    pub replacement: Replacement,
}

impl RedactSettings {
    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        !(self.secrets || self.email || self.card) && self.fields.is_empty() && self.patterns.is_empty()
    }
}

/// What is to be looked for cannot be.
#[derive(Debug, thiserror::Error)]
pub enum RedactError {
    /// An own pattern is wrong, or too large.
    #[error("the redaction pattern `{pattern}` cannot be used")]
    Pattern {
        /// As configured.
        pattern: String,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// There are too many names.
    #[error("the names of the fields to redact cannot be searched for")]
    Fields(#[source] aho_corasick::BuildError),
    /// Secrets cannot be searched for.
    #[error("secrets cannot be searched for")]
    Secrets(#[source] aho_corasick::BuildError),
}

/// Takes out of lines what must not leave the host. One for all files of a source.
#[derive(Debug)]
pub struct Redactor {
    scan: Scan,
    /// What secrets begin with or are named by; none: they are not looked for.
    literals: Vec<(&'static str, secret::Rule)>,
    /// Own names, in lower case, and their search.
    fields: Option<(AhoCorasick, Vec<String>)>,
    email: bool,
    card: bool,
    patterns: Vec<Regex>,
    replacement: Replacement,
}

/// How many parts were taken out, in the order of [`Kind::ALL`].
pub type Taken = [u32; Kind::ALL.len()];

/// A part of a line that has to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    kind: Kind,
    bytes: Range<usize>,
    /// It is a JSON value that is no string: its replacement needs quotes.
    is_value: bool,
}

impl Finding {
    const fn new(kind: Kind, bytes: Range<usize>) -> Finding {
        Finding { kind, bytes, is_value: false }
    }
}

impl Redactor {
    /// Compiles the own patterns.
    pub fn new(settings: &RedactSettings) -> Result<Redactor, RedactError> {
        let groups = if settings.secrets { secret::GROUPS } else { secret::Groups::default() };
        let patterns = settings.patterns.iter().map(|pattern| compile(pattern)).collect::<Result<_, _>>()?;
        Ok(Redactor {
            scan: Scan::new(&groups).map_err(RedactError::Secrets)?,
            literals: groups.concat(),
            fields: own_fields(settings)?,
            email: settings.email,
            card: settings.card,
            patterns,
            replacement: settings.replacement.clone(),
        })
    }

    /// Writes the redacted `line` to `out`, which is cleared before, and says what was taken out. None: the line is
    /// clean, and `out` empty.
    pub fn redact(&self, line: &[u8], out: &mut Vec<u8>) -> Option<Taken> {
        out.clear();
        let (layout, mut findings) = (json::Layout::new(line), Vec::new());
        self.find(&layout, &mut findings);
        findings.iter_mut().for_each(|finding| layout.fit(finding));
        findings.retain(|finding| !finding.bytes.is_empty());
        if findings.is_empty() {
            return None;
        }
        findings.sort_by_key(|finding| (finding.bytes.start, std::cmp::Reverse(finding.bytes.end)));
        let mut taken = Taken::default();
        let mut done = 0;
        for finding in findings {
            let start = finding.bytes.start.max(done);
            if start >= finding.bytes.end {
                continue;
            }
            out.extend_from_slice(&line[done..start]);
            let quote: &[u8] = if finding.is_value { b"\"" } else { b"" };
            out.extend_from_slice(quote);
            self.replace(finding.kind, &line[start..finding.bytes.end], out);
            out.extend_from_slice(quote);
            taken[finding.kind as usize] += 1;
            done = finding.bytes.end;
        }
        out.extend_from_slice(&line[done..]);
        Some(taken)
    }

    fn find(&self, layout: &json::Layout<'_>, findings: &mut Vec<Finding>) {
        let line = layout.line();
        let mut literals = Vec::new();
        let signs = self.scan.look(line, &mut literals);
        self.find_secrets(layout, &literals, findings);
        if let Some((searcher, names)) = &self.fields {
            let mut done = 0;
            for found in searcher.find_iter(line) {
                // What stands in a value goes with it.
                let is_open = found.start() >= done;
                let value = is_open
                    .then(|| secret::field(layout.reach(found.start()), found.start()..found.end(), names))
                    .flatten();
                if let Some(bytes) = value {
                    done = bytes.end;
                    findings.push(Finding::new(Kind::Own, bytes));
                }
            }
        }
        if signs.has_at
            && let Some(at) = memchr::memchr(b'@', line)
        {
            self.find_at(line, at, findings);
        }
        if self.card
            && let Some(first) = signs.row
        {
            card::find(line, first, findings);
        }
        for pattern in &self.patterns {
            find_own(pattern, line, findings);
        }
    }

    fn find_secrets(&self, layout: &json::Layout<'_>, literals: &[Literal], findings: &mut Vec<Finding>) {
        let (mut done, mut no_token_before) = (0, 0);
        for Literal { start, number } in literals.iter().copied() {
            let (text, rule) = self.literals[number];
            let is_jwt = rule == secret::Rule::Jwt;
            if start < done || (is_jwt && start < no_token_before) {
                continue;
            }
            if let Some(bytes) = rule.check(layout.reach(start), start..start + text.len()) {
                done = bytes.end;
                findings.push(Finding::new(Kind::Secret, bytes));
            } else if is_jwt {
                // What begins in its first part has the same parts after that.
                no_token_before = secret::first_part_end(layout.reach(start), start);
            }
        }
    }

    /// What has an `@`, the first at `first`: most lines have none.
    fn find_at(&self, line: &[u8], first: usize, findings: &mut Vec<Finding>) {
        if !self.literals.is_empty() {
            let passwords = secret::url_passwords(line);
            findings.extend(passwords.map(|bytes| Finding::new(Kind::Secret, bytes)));
        }
        if self.email {
            email::find(line, first, findings);
        }
    }

    fn replace(&self, kind: Kind, taken: &[u8], out: &mut Vec<u8>) {
        match &self.replacement {
            Replacement::Mask => {
                out.extend_from_slice(b"[redacted:");
                out.extend_from_slice(kind.name().as_bytes());
            }
            Replacement::Hash(key) => {
                let tag = hmac::sign(key, taken);
                let shown = tag.as_ref().get(..HASH_BYTES).unwrap_or_default();
                out.push(b'[');
                out.extend_from_slice(kind.name().as_bytes());
                out.push(b':');
                out.extend_from_slice(URL_SAFE_NO_PAD.encode(shown).as_bytes());
            }
        }
        out.push(b']');
    }
}

fn compile(pattern: &str) -> Result<Regex, RedactError> {
    RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|source| RedactError::Pattern { pattern: pattern.to_owned(), source })
}

/// The last parts of the names: lines know `ssn`, where documents have `attributes.user.ssn`.
fn own_fields(settings: &RedactSettings) -> Result<Option<(AhoCorasick, Vec<String>)>, RedactError> {
    let last = |name: &String| name.rsplit('.').next().map(str::to_ascii_lowercase);
    let names: Vec<String> =
        settings.fields.iter().filter_map(last).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let searcher =
        AhoCorasick::builder().ascii_case_insensitive(true).build(&names).map_err(RedactError::Fields)?;
    Ok(Some((searcher, names)))
}

fn find_own(pattern: &Regex, line: &[u8], findings: &mut Vec<Finding>) {
    if pattern.captures_len() == 1 {
        let found = pattern.find_iter(line).map(|found| Finding::new(Kind::Own, found.range()));
        findings.extend(found.filter(|finding| !finding.bytes.is_empty()));
        return;
    }
    for captures in pattern.captures_iter(line) {
        let groups = captures.iter().skip(1).flatten();
        findings.extend(groups.map(|group| Finding::new(Kind::Own, group.range())));
    }
}

#[cfg(test)]
mod tests;
