//! The writing side: what becomes of documents that are handed to an index.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::Batch;
use crate::letter::DeadLetter;

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored.
    Indexed,
    /// It is stored, its attributes below `unmapped`: one of them clashed with the mapping.
    Healed {
        /// Which attribute, as the index names it.
        field: String,
    },
    /// It is stored, but in the failure store of its stream: whoever searches the stream does not see it.
    Diverted,
    /// It had been stored before: an earlier try landed.
    Duplicate,
    /// Not now, because there is too much to do or something is broken: the same document may be stored later.
    Retry {
        /// What the index says.
        reason: String,
    },
    /// Not before an operator mends something: the stream takes no document of this user. Rights, a block, a stream or
    /// template that is missing.
    Blocked {
        /// What the index says.
        reason: String,
    },
    /// Never as it is.
    Rejected {
        /// HTTP status of the item.
        status: u16,
        /// What the index says.
        reason: String,
    },
}

impl Outcome {
    /// Whether the index holds the document.
    pub fn is_stored(&self) -> bool {
        matches!(self, Outcome::Indexed | Outcome::Healed { .. } | Outcome::Diverted | Outcome::Duplicate)
    }

    /// Whether the same document has to be sent again.
    pub fn is_open(&self) -> bool {
        matches!(self, Outcome::Retry { .. } | Outcome::Blocked { .. })
    }
}

/// Why nothing is known about any document of a bulk: send them all again.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// No answer: not reached, broken off, timed out.
    #[error("no answer from {node}: {reason}")]
    Unreachable {
        /// Which server.
        node: String,
        /// What happened.
        reason: String,
    },
    /// The index has too much to do.
    #[error("{node} is overloaded: {reason}")]
    Overloaded {
        /// Which server.
        node: String,
        /// What it says.
        reason: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The index refuses whoever asks: credentials, rights, templates.
    #[error("{node} refuses (HTTP {status}): {reason}")]
    Refused {
        /// Which server.
        node: String,
        /// HTTP status.
        status: u16,
        /// What it says.
        reason: String,
    },
    /// The answer cannot be read, or counts other items than were sent.
    #[error("unusable answer from {node}: {reason}")]
    Unusable {
        /// Which server.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The embedded index could not write.
    #[error("cannot write to the index: {0}")]
    Write(String),
    /// The embedded index was closed.
    #[error("the index is closed")]
    Closed,
}

impl IndexError {
    /// Whether the same bulk may succeed later without anybody's help. What an operator has to mend is retried too,
    /// but slowly and loudly.
    pub fn is_transient(&self) -> bool {
        !matches!(self, IndexError::Refused { .. } | IndexError::Closed)
    }

    /// How long the index asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            IndexError::Overloaded { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// Why an index is not ready for documents.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The server did not answer, or not as one of the known kinds.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A template is missing, and this user may not install it.
    #[error(
        "the index template \"{template}\" is missing on {node}, and this user may not install it ({reason}); \
         run `weir setup` once as a user with the cluster privilege manage_index_templates"
    )]
    Missing {
        /// Which template.
        template: String,
        /// Which server.
        node: String,
        /// What the server said.
        reason: String,
    },
    /// The server refused a template.
    #[error("{node} refuses {what}: {reason}")]
    Refused {
        /// Which server.
        node: String,
        /// Which template.
        what: String,
        /// What it said.
        reason: String,
    },
}

/// What is wrong with an index that keeps its own files, counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexHealth {
    /// Parts of it that were damaged, and set aside.
    pub partitions_set_aside: u64,
    /// Documents in these, as far as that is known.
    pub documents_set_aside: u64,
    /// Bytes of log files that were indexed in these, as far as that is known, and that are asked for again.
    pub bytes_taken_back: u64,
}

/// An index that documents are written to.
pub trait Index: Send + Sync + 'static {
    /// Sends the items of the batch that `selection` names (indices into [`Batch::items`], ascending); one outcome
    /// for each, in the same order. An error means that nothing is known about any of them.
    ///
    /// Frames of one file must be handed over in the order in which they were claimed. The place in that order is
    /// taken when this function is *called*, not when its future is first polled; so call it before spawning the
    /// future.
    fn bulk(
        &self,
        batch: &Arc<Batch>,
        selection: &[u32],
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send + 'static;

    /// Writes letters to the dead-letter stream; one outcome for each, none of them `Rejected`.
    fn dead_letters(
        &self,
        letters: &[DeadLetter],
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send;

    /// Sends the documents of letters to their streams once more, with their own `_id`s. What is stored then, or refused
    /// again, is recorded beside the letters, so that [`open_letters`](crate::letter::open_letters) knows.
    fn replay(&self, letters: &[DeadLetter])
    -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send;

    /// Makes sure that documents find their templates: installs them if they are not there. Safe to repeat.
    fn ensure_setup(&self) -> impl Future<Output = Result<(), SetupError>> + Send;

    /// The attributes that the mapping of a stream has already, by their paths; none where there is no such stream, or
    /// nothing is mapped.
    fn mapped_attributes(
        &self,
        _stream: &str,
    ) -> impl Future<Output = Result<Vec<String>, IndexError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// How many bulks should be under way at once, where the index knows better than the settings.
    fn in_flight(&self) -> Option<usize> {
        None
    }

    /// What is wrong with its files; none where they are somebody else's.
    fn health(&self) -> Option<IndexHealth> {
        None
    }
}
