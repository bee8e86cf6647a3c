//! The comparison itself, pure: the records that a range of a file holds, with the documents that the index has of it.

use std::collections::HashMap;

/// A record that the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its `_id`.
    pub id: String,
    /// Its first byte.
    pub offset: u64,
    /// The first byte of the next record, or the end of what was read.
    pub end: u64,
    /// A worker may have left it out while the buffer was nearly full.
    pub may_be_shed: bool,
}

/// A document of the same file in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its `_id`.
    pub id: String,
    /// Its `log.offset`.
    pub offset: u64,
}

/// What became of the records of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Records that the index has.
    pub indexed: u64,
    /// Of these, records of several lines that were joined otherwise when they were shipped.
    pub joined_otherwise: u64,
    /// Records that the index has not, in order.
    pub missing: Vec<Expected>,
    /// First bytes of documents that are one too many, in order.
    pub duplicated: Vec<u64>,
}

/// Compares. `expected` is in order; `stored` is of the same file, in any order.
pub fn compare(expected: &[Expected], stored: &[Stored]) -> Comparison {
    let mut comparison = Comparison::default();
    let mut copies: HashMap<&str, u64> = HashMap::with_capacity(stored.len());
    for document in stored {
        *copies.entry(&document.id).or_default() += 1;
    }
    let known: HashMap<&str, u64> = expected.iter().map(|record| (&*record.id, record.offset)).collect();
    let mut strays: Vec<u64> = stored
        .iter()
        .filter(|document| !known.contains_key(&*document.id))
        .map(|document| document.offset)
        .collect();
    strays.sort_unstable();
    for record in expected {
        match copies.get(&*record.id) {
            Some(count) => {
                comparison.indexed += 1;
                comparison.duplicated.extend((1..*count).map(|_| record.offset));
            }
            // A line that is continued after a pause is shipped by itself; read at once, both are one record.
            None if strays.contains(&record.offset) => {
                comparison.indexed += 1;
                comparison.joined_otherwise += 1;
                strays.retain(|offset| !(record.offset..record.end).contains(offset));
            }
            None => comparison.missing.push(record.clone()),
        }
    }
    comparison.duplicated.extend(strays);
    comparison.duplicated.sort_unstable();
    comparison
}

/// A range of bytes in which records are amiss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Span {
    /// First byte.
    pub start: u64,
    /// First byte after it.
    pub end: u64,
    /// Records that begin in it.
    pub records: u64,
}

/// Adds one record to spans that are kept in order; records that follow each other are one span.
pub fn add_to_spans(spans: &mut Vec<Span>, offset: u64, end: u64) {
    match spans.last_mut() {
        Some(last) if last.end == offset => {
            last.end = end;
            last.records += 1;
        }
        _ => spans.push(Span { start: offset, end, records: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(records: &[(&str, u64)]) -> Vec<Expected> {
        let ends = records.iter().skip(1).map(|(_, offset)| *offset).chain([100]);
        let one = |((id, offset), end): (&(&str, u64), u64)| Expected {
            id: (*id).into(),
            offset: *offset,
            end,
            may_be_shed: false,
        };
        records.iter().zip(ends).map(one).collect()
    }

    fn stored(documents: &[(&str, u64)]) -> Vec<Stored> {
        documents.iter().map(|(id, offset)| Stored { id: (*id).into(), offset: *offset }).collect()
    }

    fn check(records: &[(&str, u64)], documents: &[(&str, u64)], missing: &[u64], duplicated: &[u64]) {
        let comparison = compare(&expected(records), &stored(documents));
        let offsets: Vec<u64> = comparison.missing.iter().map(|record| record.offset).collect();
        assert_eq!((&*offsets, &*comparison.duplicated), (missing, duplicated));
        assert_eq!(comparison.indexed, (records.len() - missing.len()) as u64);
    }

    #[test]
    fn each_record_is_expected_once() {
        let records = [("a", 0), ("b", 10), ("c", 20)];
        check(&records, &[("c", 20), ("a", 0), ("b", 10)], &[], &[]);
        check(&records, &[("a", 0), ("c", 20)], &[10], &[]);
        check(&records, &[], &[0, 10, 20], &[]);
        check(&records, &[("a", 0), ("b", 10), ("b", 10), ("b", 10), ("c", 20)], &[], &[10, 10]);
    }

    #[test]
    fn another_identity_of_the_same_line_is_one_too_many() {
        check(&[("a", 0), ("b", 10)], &[("a", 0), ("b", 10), ("x", 10)], &[], &[10]);
        check(&[("a", 0)], &[("a", 0), ("x", 5)], &[], &[5]);
    }

    #[test]
    fn lines_that_were_joined_otherwise_are_neither_missing_nor_one_too_many() {
        check(&[("ab", 0), ("c", 20)], &[("a", 0), ("b", 10), ("c", 20)], &[], &[]);
        let comparison = compare(&expected(&[("ab", 0)]), &stored(&[("a", 0), ("b", 10)]));
        assert_eq!((comparison.indexed, comparison.joined_otherwise), (1, 1));
    }

    #[test]
    fn records_that_follow_each_other_are_one_span() {
        let mut spans = Vec::new();
        for (offset, end) in [(0, 10), (10, 25), (40, 50)] {
            add_to_spans(&mut spans, offset, end);
        }
        let first = Span { start: 0, end: 25, records: 2 };
        assert_eq!(spans, [first, Span { start: 40, end: 50, records: 1 }]);
    }
}
