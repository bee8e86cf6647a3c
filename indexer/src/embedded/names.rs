//! Which fields documents have, found in dictionaries and columns without looking at a document.

use std::collections::BTreeMap;
use std::sync::Arc;

use tantivy::columnar::DynamicColumnHandle;
use tantivy::schema::{Field as Handle, Type};
use tantivy::{SegmentReader, TantivyError};
use weir_record::Field;
use weir_record::schema::{ATTRIBUTES, LABELS};

use super::partition::Partition;
use super::schema::Fields;
use crate::search::{FieldInfo, FieldKind, SearchError};

/// Between the path of a JSON field and the type of its value.
const END_OF_PATH: u8 = 0;

/// Between the parts of a path.
const PATH_SEPARATOR: &str = "\u{1}";

type Kinds = BTreeMap<String, FieldKind>;

/// The names and kinds of all fields that documents of these partitions have.
pub(super) fn fields(partitions: &[Arc<Partition>]) -> Result<Vec<FieldInfo>, SearchError> {
    let mut kinds = Kinds::new();
    for partition in partitions {
        for segment in partition.reader.searcher().segment_readers() {
            add_fields(&mut kinds, &partition.fields, segment)
                .map_err(|error| SearchError::Unexpected(error.to_string()))?;
        }
    }
    Ok(kinds.into_iter().map(|(name, kind)| FieldInfo { name, kind }).collect())
}

fn add_fields(kinds: &mut Kinds, fields: &Fields, segment: &SegmentReader) -> tantivy::Result<()> {
    for field in Field::ALL.iter().filter(|field| Fields::is_counted(**field)) {
        let column = Fields::column(&weir_record::query::FieldPath::Schema(*field));
        if kinds.contains_key(field.name()) {
            continue;
        }
        // Every field of the schema has a column, also where no document has the field.
        let mut columns = segment.fast_fields().dynamic_column_handles(&column)?.into_iter();
        let is_used = |column: DynamicColumnHandle| Ok::<_, TantivyError>(column.open()?.num_values() > 0);
        if columns.try_fold(false, |used, column| Ok::<_, TantivyError>(used || is_used(column)?))? {
            kinds.insert(field.name().to_owned(), FieldKind::of(field.kind()));
        }
    }
    add_present(kinds, fields, segment)?;
    add_paths(kinds, ATTRIBUTES, fields.attributes, segment)?;
    add_paths(kinds, LABELS, fields.labels, segment)
}

/// Those without a column.
fn add_present(kinds: &mut Kinds, fields: &Fields, segment: &SegmentReader) -> tantivy::Result<()> {
    let names = segment.inverted_index(fields.present)?;
    let mut names = names.terms().stream().map_err(TantivyError::from)?;
    while names.advance() {
        let Ok(name) = std::str::from_utf8(names.key()) else { continue };
        let kind =
            Field::from_name(name.as_bytes()).map_or(FieldKind::Keyword, |field| FieldKind::of(field.kind()));
        kinds.entry(name.to_owned()).or_insert(kind);
    }
    Ok(())
}

/// The paths of a JSON field: its dictionary is sorted by `path 00 type value`, so that one look-up leads from one path
/// and type to the next.
fn add_paths(kinds: &mut Kinds, root: &str, handle: Handle, segment: &SegmentReader) -> tantivy::Result<()> {
    let index = segment.inverted_index(handle)?;
    let mut from = Vec::new();
    loop {
        let mut terms = index.terms().range().ge(&from).into_stream().map_err(TantivyError::from)?;
        if !terms.advance() {
            return Ok(());
        }
        let key = terms.key();
        let Some(end) = key.iter().position(|byte| *byte == END_OF_PATH) else { return Ok(()) };
        let (Some(path), Some(code)) = (key.get(..end), key.get(end + 1)) else { return Ok(()) };
        if let Ok(path) = std::str::from_utf8(path) {
            let name = format!("{root}.{}", path.replace(PATH_SEPARATOR, "."));
            kinds.entry(name).or_insert(kind_of(Type::from_code(*code)));
        }
        from.clear();
        from.extend_from_slice(key.get(..=end).unwrap_or_default());
        from.push(code.saturating_add(1));
    }
}

const fn kind_of(kind: Option<Type>) -> FieldKind {
    match kind {
        Some(Type::I64 | Type::U64 | Type::F64) => FieldKind::Number,
        Some(Type::Bool) => FieldKind::Boolean,
        Some(Type::Date) => FieldKind::Date,
        Some(Type::IpAddr) => FieldKind::Ip,
        _ => FieldKind::Keyword,
    }
}
