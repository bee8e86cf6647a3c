//! A budget of mapped fields for each stream, so that a service that invents keys without end does not use up what the
//! index allows one mapping: beyond the budget, attributes that are new go below `unmapped`, where nothing is mapped.
//!
//! What is known of a stream is what its mapping had when this process met it, where that may be asked, and what came
//! since. While nothing new comes, only a part of the documents is looked at.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Map;
use serde_json::value::RawValue;
use weir_record::Field;
use weir_record::schema::ATTRIBUTES;

/// Attributes of one stream that are mapped. With those of the schema, and of as many that another worker met first, that
/// stays below the thousand that the templates allow.
pub const FIELD_BUDGET: usize = 400;

/// Documents without a new field after which a stream counts as settled.
const SETTLED_AFTER: u32 = 10_000;

/// Of a settled stream one document in so many is looked at.
const LOOK_EVERY: u32 = 32;

/// Streams that are kept in mind: a bound of memory, 32 MB at the default budget.
const STREAMS_MAX: usize = 10_000;

/// Levels of objects that are told apart; what lies deeper counts to its parent. Mappings allow 20.
const DEPTH_MAX: usize = 32;

/// How long to wait before the mapping of a stream is asked for again that could not be had.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Asks for the paths of the attributes that the mapping of a stream has; none where that is not known now.
type AskMapping = dyn FnMut(&str) -> Option<Vec<String>> + Send;

/// What was seen of all streams.
pub struct FieldBudget {
    fields_max: usize,
    streams: HashMap<String, Seen>,
    ask: Box<AskMapping>,
    /// Scratch.
    new: Vec<u64>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Hashes of paths.
    known: HashSet<u64>,
    /// Documents since something new came.
    quiet: u32,
    /// When its mapping is asked for; none when that is done.
    ask_at: Option<Instant>,
}

impl FieldBudget {
    /// So many attributes for each stream. `ask` is called once for each stream, and again where it does not know.
    pub fn new(
        fields_max: usize,
        ask: impl FnMut(&str) -> Option<Vec<String>> + Send + 'static,
    ) -> FieldBudget {
        FieldBudget { fields_max, streams: HashMap::new(), ask: Box::new(ask), new: Vec::new() }
    }

    /// The document as it has to be stored, where that is not as it is: with what is beyond the budget of its stream
    /// below `unmapped`.
    pub fn fit(&mut self, stream: &str, document: &[u8]) -> Option<String> {
        if !self.streams.contains_key(stream) {
            if self.streams.len() >= STREAMS_MAX {
                return None;
            }
            let seen = Seen { ask_at: Some(Instant::now()), ..Seen::default() };
            self.streams.insert(stream.to_owned(), seen);
        }
        let seen = self.streams.get_mut(stream)?;
        seen.quiet = seen.quiet.saturating_add(1);
        if seen.quiet > SETTLED_AFTER && !seen.quiet.is_multiple_of(LOOK_EVERY) {
            return None;
        }
        self.new.clear();
        attribute_paths(document, |path| {
            if !seen.known.contains(&path) {
                self.new.push(path);
            }
        });
        self.new.sort_unstable();
        self.new.dedup();
        if self.new.is_empty() {
            return None;
        }
        seen.quiet = 0;
        if seen.ask_at.is_some_and(|at| at <= Instant::now()) {
            let mapped = (self.ask)(stream);
            seen.ask_at = mapped.is_none().then(|| Instant::now() + ASK_AGAIN_AFTER);
            seen.known.extend(mapped.iter().flatten().map(|path| hash(FNV_OFFSET, path.as_bytes())));
            self.new.retain(|path| !seen.known.contains(path));
        }
        if seen.known.len() + self.new.len() <= self.fields_max {
            seen.known.extend(&self.new);
            return None;
        }
        let (known, mut member) = (&seen.known, Vec::new());
        unmapped(document, |name, value| {
            member.clear();
            member.extend_from_slice(format!("{{\"{name}\":{value}}}").as_bytes());
            let mut is_new = false;
            attribute_paths(&member, |path| is_new |= !known.contains(&path));
            is_new
        })
    }
}

/// The document with those of its attributes below `unmapped` that `is_moved` chooses by name and value; none where that
/// is none, or the document is no JSON.
pub(crate) fn unmapped(document: &[u8], mut is_moved: impl FnMut(&str, &str) -> bool) -> Option<String> {
    let mut members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(document).ok()?;
    let attributes = members.iter().filter(|(name, value)| is_attribute(name) && is_moved(name, value.get()));
    let names: Vec<String> = attributes.map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        return None;
    }
    // What was moved before stays.
    let before = members.remove(Field::Unmapped.name());
    let before: Option<Map<_, _>> = before.and_then(|before| serde_json::from_str(before.get()).ok());
    let mut unmapped = before.unwrap_or_default();
    for name in names {
        let value: serde_json::Value = serde_json::from_str(members.remove(&name)?.get()).ok()?;
        match name.strip_prefix(ATTRIBUTES).and_then(|rest| rest.strip_prefix('.')) {
            Some(path) => {
                unmapped.insert(path.to_owned(), value);
            }
            None => unmapped.extend(value.as_object().cloned().unwrap_or_default()),
        }
    }
    let unmapped = serde_json::value::to_raw_value(&unmapped).ok()?;
    members.insert(Field::Unmapped.name().to_owned(), unmapped);
    serde_json::to_string(&members).ok()
}

/// Whether a member of a document is an attribute.
pub(crate) fn is_attribute(name: &str) -> bool {
    name.strip_prefix(ATTRIBUTES).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The text of a member of the document itself, as it is written; none where it is no text.
pub fn text_of<'a>(document: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut found = None;
    each_key(document, |depth, key, rest| {
        if depth == 1 && key == name.as_bytes() && found.is_none() {
            found =
                rest.trim_ascii_start().strip_prefix(b"\"").and_then(|text| text.get(..end_of_text(text)?));
        }
    });
    found
}

/// Hashes of the paths of all attributes: the same for `"attributes.a":{"b":1}` and `"attributes.a.b":1`.
fn attribute_paths(document: &[u8], mut visit: impl FnMut(u64)) {
    let mut above = [0_u64; DEPTH_MAX];
    let mut is_within = false;
    each_key(document, |depth, key, _| {
        if depth == 1 {
            is_within =
                key.strip_prefix(ATTRIBUTES.as_bytes()).is_some_and(|rest| matches!(rest, [] | [b'.', ..]));
        }
        let level = depth.min(DEPTH_MAX - 1);
        let parent = above.get(level - 1).copied().filter(|_| level > 1);
        let path = match parent {
            Some(parent) => hash(hash(parent, b"."), key),
            None => hash(FNV_OFFSET, key),
        };
        above[level] = path;
        if is_within {
            visit(path);
        }
    });
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: what is hashed in parts has the hash of the whole.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Calls with each key, as it is written: how many objects it is in, and what stands behind its colon. Of what is no
/// JSON, with some keys or none.
fn each_key<'a>(document: &'a [u8], mut visit: impl FnMut(usize, &'a [u8], &'a [u8])) {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = document.get(at) {
        at += 1;
        match byte {
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                let Some(text) = document.get(at..) else { return };
                let Some(end) = end_of_text(text) else { return };
                at += end + 1;
                let rest = document.get(at..).unwrap_or_default();
                if let Some(value) = rest.trim_ascii_start().strip_prefix(b":")
                    && depth > 0
                {
                    visit(depth, text.get(..end).unwrap_or_default(), value);
                }
            }
            _ => {}
        }
    }
}

/// Where a JSON text ends: at the first quote that is not escaped.
fn end_of_text(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fit(budget: &mut FieldBudget, document: &Value) -> Value {
        let text = document.to_string();
        budget
            .fit("shop", text.as_bytes())
            .map_or_else(|| document.clone(), |text| serde_json::from_str(&text).expect("JSON"))
    }

    #[test]
    fn attributes_move_below_unmapped_and_all_else_stays() {
        let document = br#"{"message":"m","attributes.a":{"b":1.10},"attributes.c.d":"x","attributesque":1}"#;
        assert_eq!(
            unmapped(document, |_, _| true).as_deref(),
            Some(r#"{"attributesque":1,"message":"m","unmapped":{"a":{"b":1.1},"c.d":"x"}}"#)
        );
        assert_eq!(unmapped(document, |_, _| false), None);
        assert_eq!(unmapped(br#"{"message":"m"}"#, |_, _| true), None);
        let twice = unmapped(br#"{"attributes.b":2,"unmapped":{"a":1}}"#, |_, _| true);
        assert_eq!(twice.as_deref(), Some(r#"{"unmapped":{"a":1,"b":2}}"#), "what was moved before stays");
    }

    #[test]
    fn keys_that_are_invented_without_end_stop_at_the_budget_and_known_ones_go_on() {
        let mut budget = FieldBudget::new(10, |_| None);
        let mut mapped = HashSet::new();
        for number in 0..1000 {
            let invented = format!("attributes.k{number}");
            let document = json!({"message": "m", "attributes.user": "ada", invented.as_str(): number});
            let stored = fit(&mut budget, &document);
            assert_eq!(stored["attributes.user"], "ada");
            let moved = stored["unmapped"][format!("k{number}")] == number;
            assert_ne!(moved, stored.get(&invented).is_some(), "it is in one place: {stored}");
            mapped.extend(
                stored.as_object().expect("an object").keys().filter(|key| is_attribute(key)).cloned(),
            );
        }
        assert_eq!(mapped.len(), 10);
        assert_eq!(
            budget.fit("other", br#"{"attributes.k999":1}"#),
            None,
            "another stream has a budget of its own"
        );
    }

    #[test]
    fn keys_within_objects_count_too_and_the_same_path_counts_once() {
        let mut budget = FieldBudget::new(3, |_| None);
        for document in [
            json!({"attributes.cart": {"id": 1}}),
            json!({"attributes.cart.id": 2}),
            json!({"attributes.cart": [{"id": 3}, {"id": 4}]}),
            json!({"attributes.cart": {"tax": 5}, "message": "\"attributes.x\":1", "labels.a": {"b": "c"}}),
        ] {
            assert_eq!(fit(&mut budget, &document), document);
        }
        let beyond =
            fit(&mut budget, &json!({"attributes.cart": {"id": 1, "new": 2}, "attributes.cart.tax": 1}));
        assert_eq!(beyond, json!({"attributes.cart.tax": 1, "unmapped": {"cart": {"id": 1, "new": 2}}}));
    }

    #[test]
    fn what_the_mapping_has_already_counts_and_is_known() {
        let mut asked = 0;
        let mapped = ["attributes.a", "attributes.cart", "attributes.cart.id"].map(str::to_owned).to_vec();
        let mut budget = FieldBudget::new(4, move |stream| {
            assert_eq!((stream, asked), ("shop", 0), "once");
            asked += 1;
            Some(mapped.clone())
        });
        let known = json!({"attributes.cart": {"id": 1}, "attributes.a": 1});
        assert_eq!(fit(&mut budget, &known), known);
        let last = json!({"attributes.b": 1});
        assert_eq!(fit(&mut budget, &last), last);
        assert_eq!(fit(&mut budget, &json!({"attributes.c": 1})), json!({"unmapped": {"c": 1}}));
        assert_eq!(fit(&mut budget, &known), known);
    }

    #[test]
    fn a_settled_stream_that_begins_to_invent_keys_is_noticed() {
        let mut budget = FieldBudget::new(5, |_| None);
        let known = json!({"attributes.a": 1});
        for _ in 0..2 * SETTLED_AFTER {
            assert_eq!(fit(&mut budget, &known), known);
        }
        let moved = (0..1000).filter(|number| {
            let key = format!("attributes.k{number}");
            fit(&mut budget, &json!({ key: 1 })).get("unmapped").is_some()
        });
        let missed = 1000 - moved.count() as u32;
        assert!(missed <= 5 + LOOK_EVERY, "{missed}");
    }

    #[test]
    fn a_text_of_the_document_itself_is_found_and_no_other() {
        let document = br#"{"attributes.x":{"log.level":"debug"},"message":"\"log.level\":\"trace\"", "log.level" : "error"}"#;
        assert_eq!(text_of(document, "log.level"), Some(&b"error"[..]));
        assert_eq!(text_of(document, "attributes.x"), None);
        assert_eq!(text_of(br#"{"log.level":"#, "log.level"), None);
    }
}
