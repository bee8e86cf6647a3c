//! Where documents are stored and searched: Elasticsearch and OpenSearch, or an index of Weir's own.
//!
//! * [`batch`] splices the records of many frames into one bulk body.
//! * [`fields`] keeps mappings from growing without end.
//! * [`index`] is the writing side, [`search`] the reading side: one interface over both backends.
//! * [`elasticsearch`] talks to Elasticsearch and OpenSearch; [`embedded`] is the index for one machine.

mod any;
pub mod batch;
pub mod elasticsearch;
pub mod embedded;
pub mod fields;
pub mod index;
pub mod letter;
pub mod search;

pub use any::{AnyIndex, AnySearch};
pub use batch::{Batch, DocumentSettings, FrameRange, Item, Reshaped};
pub use elasticsearch::{Elasticsearch, ElasticsearchSettings};
pub use embedded::{Embedded, EmbeddedSettings};
pub use index::{Index, IndexError, IndexHealth, Outcome, SetupError};
pub use letter::DeadLetter;
pub use search::{
    Aggregation, AggregationResult, Cursor, FieldInfo, FieldKind, Hit, Order, Search, SearchError,
    SearchRequest, SearchResponse, TimeBucket,
};
