//! How documents are laid out in tantivy: one field for each of the record's schema, and a few for what is open.

use std::collections::HashMap;

use tantivy::schema::{
    DateOptions, Field as Handle, IndexRecordOption, IpAddrOptions, JsonObjectOptions, NumericOptions,
    STORED, Schema, SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{
    DateTime, Index, IndexSettings, directory::MmapDirectory, store::Compressor, store::ZstdCompressor,
};
use weir_record::Field;
use weir_record::query::{FieldPath, Word, Words};
use weir_record::schema::{ATTRIBUTES, Kind, LABELS};

/// Name of the tokenizer that cuts text into the words of the query language.
const WORDS: &str = "weir_words";
/// tantivy's tokenizer that takes a value whole.
const WHOLE: &str = "raw";
/// Field with the names of those fields of a document that have no column: answers `field:*` for them.
const PRESENT: &str = "_present";
/// Field with the document itself, its `_id` before it.
const SOURCE: &str = "_source";
/// Field with 64 bits of the `_id`: makes the order of hits total.
pub(super) const TIE: &str = "_tie";
/// Like `attributes`, without columns: for values that hardly repeat. Measured with one random 128-bit id in each
/// document: in a column it costs more than half of the indexing speed.
const RARE: &str = "_rare";

/// Keywords that are not in columns, so that they are found but not counted: their values hardly repeat, or never
/// differ.
const NOT_COUNTED: &[Field] = &[
    Field::TraceId,
    Field::SpanId,
    Field::TransactionId,
    Field::HttpRequestId,
    Field::EventId,
    Field::UrlOriginal,
    Field::UrlFull,
    Field::UrlQuery,
    Field::DataStreamType,
];

/// Block of documents that is compressed together, in bytes: larger is smaller on disk and slower to show.
const SOURCE_BLOCK_BYTES: usize = 32 * 1024;

/// The fields of one partition's schema.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    handles: HashMap<Field, Handle>,
    pub attributes: Handle,
    pub rare: Handle,
    pub labels: Handle,
    pub inner: HashMap<Field, Handle>,
    pub present: Handle,
    pub source: Handle,
    pub tie: Handle,
}

impl Fields {
    /// Where a field of the schema is indexed; none: it is only shown, or it is an object.
    pub fn get(&self, field: Field) -> Option<Handle> {
        self.handles.get(&field).copied()
    }

    /// Whether the values of a field are in a column, so that they can be counted.
    pub fn is_counted(field: Field) -> bool {
        let is_counted =
            !matches!(field.kind(), Kind::Text | Kind::Stored | Kind::Flattened | Kind::GeoPoint);
        is_counted && !NOT_COUNTED.contains(&field)
    }

    /// The name of the column of a field.
    pub fn column(path: &FieldPath) -> String {
        match path {
            FieldPath::Schema(Field::EventDataset) => Field::DataStreamDataset.name().to_owned(),
            other => other.to_string(),
        }
    }

    /// Finds them in the schema of an index.
    pub fn of(schema: &Schema) -> tantivy::Result<Fields> {
        let mut handles = HashMap::new();
        let mut inner = HashMap::new();
        for field in Field::ALL {
            if let Ok(handle) = schema.get_field(field.name()) {
                let map = if field.kind() == Kind::Flattened { &mut inner } else { &mut handles };
                map.insert(*field, handle);
            }
        }
        // The two are always equal: one is indexed.
        if let Some(dataset) = handles.get(&Field::DataStreamDataset).copied() {
            handles.insert(Field::EventDataset, dataset);
        }
        Ok(Fields {
            handles,
            inner,
            attributes: schema.get_field(ATTRIBUTES)?,
            rare: schema.get_field(RARE)?,
            labels: schema.get_field(LABELS)?,
            present: schema.get_field(PRESENT)?,
            source: schema.get_field(SOURCE)?,
            tie: schema.get_field(TIE)?,
        })
    }
}

/// The schema of new partitions.
pub(super) fn schema() -> Schema {
    let mut builder = Schema::builder();
    for field in Field::ALL.iter().filter(|field| **field != Field::EventDataset) {
        add(&mut builder, *field);
    }
    let json = || JsonObjectOptions::default().set_indexing_options(exact(WHOLE)).set_expand_dots_enabled();
    builder.add_json_field(ATTRIBUTES, json().set_fast(WHOLE));
    builder.add_json_field(RARE, json());
    builder.add_json_field(LABELS, json().set_fast(WHOLE));
    builder.add_text_field(PRESENT, TextOptions::default().set_indexing_options(exact(WHOLE)));
    builder.add_u64_field(TIE, NumericOptions::default().set_fast());
    builder.add_bytes_field(SOURCE, STORED);
    builder.build()
}

fn add(builder: &mut SchemaBuilder, field: Field) {
    let name = field.name();
    match field.kind() {
        Kind::DateNanos => {
            let precision = tantivy::schema::DateTimePrecision::Nanoseconds;
            builder.add_date_field(name, DateOptions::default().set_fast().set_precision(precision));
        }
        Kind::Text => {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(WORDS)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions)
                .set_fieldnorms(false);
            builder.add_text_field(name, TextOptions::default().set_indexing_options(indexing));
        }
        Kind::Keyword | Kind::ConstantKeyword => {
            let options = TextOptions::default().set_indexing_options(exact(WHOLE));
            let options = if Fields::is_counted(field) { options.set_fast(WHOLE) } else { options };
            builder.add_text_field(name, options);
        }
        Kind::Long => {
            builder.add_i64_field(name, NumericOptions::default().set_fast());
        }
        Kind::Ip => {
            builder.add_ip_addr_field(name, IpAddrOptions::default().set_fast());
        }
        Kind::Flattened => {
            let options = JsonObjectOptions::default().set_indexing_options(exact(WHOLE));
            builder.add_json_field(name, options.set_expand_dots_enabled());
        }
        Kind::Stored | Kind::GeoPoint => {}
    }
}

fn exact(tokenizer: &str) -> TextFieldIndexing {
    TextFieldIndexing::default()
        .set_tokenizer(tokenizer)
        .set_index_option(IndexRecordOption::Basic)
        .set_fieldnorms(false)
}

/// Creates an index in an empty directory.
pub(super) fn create(path: &std::path::Path) -> tantivy::Result<Index> {
    let settings = IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(1) }),
        docstore_blocksize: SOURCE_BLOCK_BYTES,
        ..IndexSettings::default()
    };
    let directory = MmapDirectory::open(path)?;
    let mut index = Index::create(directory, schema(), settings)?;
    index.set_tokenizers(tokenizers());
    Ok(index)
}

/// Opens the index in a directory.
pub(super) fn open(path: &std::path::Path) -> tantivy::Result<Index> {
    let mut index = Index::open_in_dir(path)?;
    index.set_tokenizers(tokenizers());
    Ok(index)
}

/// A moment as tantivy has it.
pub(super) fn date(nanos: i64) -> DateTime {
    DateTime::from_timestamp_nanos(nanos)
}

fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(WORDS, WordTokenizer::default());
    manager
}

/// The words of the query language, so that every index and every test of one document agree on them.
#[derive(Clone, Default)]
struct WordTokenizer {
    token: Token,
}

struct WordStream<'a> {
    words: Words<'a>,
    word: Word,
    token: &'a mut Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        self.token.reset();
        let word = Word { text: String::new(), position: 0, start: 0, end: 0 };
        WordStream { words: Words::new(text), word, token: &mut self.token }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if !self.words.next_into(&mut self.word) {
            return false;
        }
        std::mem::swap(&mut self.token.text, &mut self.word.text);
        self.token.position = self.word.position;
        self.token.offset_from = self.word.start;
        self.token.offset_to = self.word.end;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
