//! What flows through Weir: records as documents, their identity, and the frames that carry them.
//!
//! Everything here is pure: functions of bytes and numbers, without I/O, clocks or async, so that it can be
//! tested exhaustively and used by every other part.
//!
//! * [`schema`] names every field that has a fixed place and type in the index.
//! * [`document`] appends one record as flat, dotted JSON members.
//! * [`identity`] derives the `_id` that makes every replay idempotent.
//! * [`scan`] searches the short parts of a line.
//! * [`frame`] packs many records of one file into the unit of buffering.

pub mod document;
pub mod frame;
pub mod identity;
pub mod json;
pub mod level;
pub mod limits;
pub mod query;
pub mod scan;
pub mod schema;
pub mod stream;
pub mod time;

pub use document::DocumentWriter;
pub use frame::{DecodedFrame, Decoder, Frame, FrameBuilder, FrameError, Group, Record};
pub use identity::{FileIdentity, FileKey, RecordId, SourceId};
pub use level::Level;
pub use query::{Query, QueryError};
pub use schema::Field;
pub use time::Timestamp;
