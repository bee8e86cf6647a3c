//! Either index, chosen when the program starts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::batch::Batch;
use crate::elasticsearch::Elasticsearch;
use crate::embedded::Embedded;
use crate::index::{Index, IndexError, IndexHealth, Outcome, SetupError};
use crate::letter::DeadLetter;
use crate::search::{FieldInfo, Search, SearchError, SearchRequest, SearchResponse};

/// An index, whichever the configuration names. Clones are the same index.
#[derive(Clone)]
pub enum AnyIndex {
    /// A cluster.
    Elasticsearch(Elasticsearch),
    /// Weir's own.
    Embedded(Arc<Embedded>),
}

/// The reading side of [`AnyIndex`].
pub type AnySearch = AnyIndex;

type Outcomes = Result<Vec<Outcome>, IndexError>;

impl Index for AnyIndex {
    fn bulk(&self, batch: &Arc<Batch>, selection: &[u32]) -> impl Future<Output = Outcomes> + Send + 'static {
        // Boxed once a bulk: the two futures have different types, and the embedded index takes its place now.
        let future: Pin<Box<dyn Future<Output = Outcomes> + Send>> = match self {
            AnyIndex::Elasticsearch(index) => Box::pin(index.bulk(batch, selection)),
            AnyIndex::Embedded(index) => Box::pin(index.bulk(batch, selection)),
        };
        future
    }

    async fn dead_letters(&self, letters: &[DeadLetter]) -> Outcomes {
        match self {
            AnyIndex::Elasticsearch(index) => index.dead_letters(letters).await,
            AnyIndex::Embedded(index) => index.dead_letters(letters).await,
        }
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Outcomes {
        match self {
            AnyIndex::Elasticsearch(index) => index.replay(letters).await,
            AnyIndex::Embedded(index) => index.replay(letters).await,
        }
    }

    async fn ensure_setup(&self) -> Result<(), SetupError> {
        match self {
            AnyIndex::Elasticsearch(index) => index.ensure_setup().await,
            AnyIndex::Embedded(index) => index.ensure_setup().await,
        }
    }

    async fn mapped_attributes(&self, stream: &str) -> Result<Vec<String>, IndexError> {
        match self {
            AnyIndex::Elasticsearch(index) => index.mapped_attributes(stream).await,
            AnyIndex::Embedded(index) => index.mapped_attributes(stream).await,
        }
    }

    fn in_flight(&self) -> Option<usize> {
        match self {
            AnyIndex::Elasticsearch(index) => index.in_flight(),
            AnyIndex::Embedded(index) => index.in_flight(),
        }
    }

    fn health(&self) -> Option<IndexHealth> {
        match self {
            AnyIndex::Elasticsearch(index) => index.health(),
            AnyIndex::Embedded(index) => index.health(),
        }
    }
}

impl Search for AnyIndex {
    async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        match self {
            AnyIndex::Elasticsearch(index) => index.search(request).await,
            AnyIndex::Embedded(index) => index.search(request).await,
        }
    }

    async fn fields(&self) -> Result<Vec<FieldInfo>, SearchError> {
        match self {
            AnyIndex::Elasticsearch(index) => index.fields().await,
            AnyIndex::Embedded(index) => index.fields().await,
        }
    }
}
