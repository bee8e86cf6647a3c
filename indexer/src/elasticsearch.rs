//! Elasticsearch and OpenSearch: bulks into data streams, templates, searches.
//!
//! Of the `elasticsearch` crate only the transport is used, with bytes that are made once. Which server it is is
//! asked at the first request, so that one that starts later is waited for.

mod bulk;
mod credentials;
mod fingerprint;
mod link;
mod mapping;
mod nodes;
mod outcome;
mod query;
mod search;
mod server;
mod templates;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::OnceCell;

pub use self::credentials::{CredentialSource, Credentials};
pub use self::server::{Distribution, Server};
pub use self::templates::Change;

use self::nodes::Nodes;
use crate::batch::{Batch, DocumentSettings};
use crate::index::{Index, IndexError, Outcome, SetupError};
use crate::letter::{DEAD_LETTER_DATASET, DeadLetter, after_replay};
use crate::search::{FieldInfo, Search, SearchError, SearchRequest, SearchResponse};

/// Where documents go.
#[derive(Clone, Debug, Default)]
pub struct ElasticsearchSettings {
    /// The servers of one cluster: `https://es1:9200`. User and password may stand in it.
    pub urls: Vec<String>,
    /// Who Weir is; before what stands in the URL.
    pub credentials: Option<CredentialSource>,
    /// Certificates, as PEM, that are trusted beside the system's own.
    pub certificate_authority: Option<Vec<u8>>,
    /// SHA-256 of the certificate of an authority that is trusted beside them, if the server presents it.
    pub authority_fingerprint: Option<[u8; 32]>,
    /// Our own certificate and its key, as PEM.
    pub certificate: Option<Vec<u8>>,
    /// Names of the streams.
    pub documents: DocumentSettings,
    /// How long streams keep documents, where the server can be told so in a template; none: its own default.
    pub retention: Option<Duration>,
    /// Compress bulks always or never; none: where the link turns out to be slow.
    pub gzip: Option<bool>,
}

/// Why there can be no connection, whatever the server does.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No server is named.
    #[error("no Elasticsearch URL is given")]
    NoUrl,
    /// A URL cannot be used.
    #[error("{url} is no Elasticsearch URL: {reason}")]
    Url {
        /// Without its password.
        url: String,
        /// Why.
        reason: String,
    },
    /// The file with certificates cannot be used.
    #[error("the file of certificates is no PEM with certificates: {reason}")]
    Certificate {
        /// Why.
        reason: String,
    },
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client: {reason}")]
    Client {
        /// Why.
        reason: String,
    },
}

/// An Elasticsearch or OpenSearch cluster. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Elasticsearch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nodes: Nodes,
    settings: ElasticsearchSettings,
    server: OnceCell<Server>,
}

impl Elasticsearch {
    /// Makes ready to talk to the cluster; nothing is sent yet.
    pub fn connect(settings: &ElasticsearchSettings) -> Result<Elasticsearch, ConnectError> {
        let nodes = Nodes::new(settings)?;
        let shared = Shared { nodes, settings: settings.clone(), server: OnceCell::new() };
        Ok(Elasticsearch { shared: Arc::new(shared) })
    }

    /// Which server it is; asked once.
    pub async fn server(&self) -> Result<&Server, IndexError> {
        self.shared.server().await
    }

    /// What [`setup`](Self::setup) would change; nothing is written.
    ///
    /// # Errors
    /// The server does not answer, or does not let this user read templates.
    pub async fn plan(&self) -> Result<Vec<Change>, IndexError> {
        let server = self.server().await?;
        templates::plan(&self.shared.nodes, server, &self.shared.settings).await
    }

    /// Installs all templates, whether they are there or not.
    pub async fn setup(&self) -> Result<(), SetupError> {
        let server = self.server().await?;
        templates::install(&self.shared.nodes, server, &self.shared.settings).await
    }
}

impl Elasticsearch {
    /// Adds documents to the dead-letter stream. One that the server rejects is `Blocked`: it must not be lost.
    async fn write_letters(
        &self,
        records: impl Iterator<Item = (String, String)>,
    ) -> Result<Vec<Outcome>, IndexError> {
        let stream = dead_letter_stream(&self.shared.settings);
        let (mut body, mut count) = (String::new(), 0);
        for (id, record) in records {
            body.push_str(&json!({"create": {"_index": stream, "_id": id}}).to_string());
            body.push('\n');
            body.push_str(&record);
            body.push('\n');
            count += 1;
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let server = self.server().await?;
        let outcomes = bulk::send_body(&self.shared.nodes, server, body.into(), count).await?;
        let kept = |outcome| match outcome {
            Outcome::Rejected { reason, .. } => Outcome::Blocked { reason },
            other => other,
        };
        Ok(outcomes.into_iter().map(kept).collect())
    }
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

impl Shared {
    async fn server(&self) -> Result<&Server, IndexError> {
        self.server.get_or_try_init(|| Server::detect(&self.nodes)).await
    }
}

impl Index for Elasticsearch {
    fn bulk(
        &self,
        batch: &Arc<Batch>,
        selection: &[u32],
    ) -> impl Future<Output = Result<Vec<Outcome>, IndexError>> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        let (batch, selection) = (Arc::clone(batch), selection.to_vec());
        async move { bulk::send(&shared.nodes, shared.server().await?, &batch, &selection).await }
    }

    async fn dead_letters(&self, letters: &[DeadLetter]) -> Result<Vec<Outcome>, IndexError> {
        let namespace = &self.shared.settings.documents.namespace;
        let records = letters.iter().map(|letter| (letter.letter_id(), letter.to_document(namespace)));
        self.write_letters(records).await
    }

    async fn replay(&self, letters: &[DeadLetter]) -> Result<Vec<Outcome>, IndexError> {
        let server = self.server().await?;
        let outcomes = bulk::replay(&self.shared.nodes, server, letters).await?;
        let namespace = &self.shared.settings.documents.namespace;
        let now = now();
        let records = letters
            .iter()
            .zip(&outcomes)
            .flat_map(|(letter, outcome)| after_replay(letter, outcome, namespace, now));
        // Whoever replays sees letters again of which this could not be written; their documents are duplicates then.
        if let Some(Outcome::Retry { reason } | Outcome::Blocked { reason }) =
            self.write_letters(records).await?.iter().find(|outcome| outcome.is_open())
        {
            tracing::warn!("cannot record that dead letters were sent again: {reason}");
        }
        Ok(outcomes)
    }

    async fn ensure_setup(&self) -> Result<(), SetupError> {
        let server = self.server().await?;
        templates::ensure(&self.shared.nodes, server, &self.shared.settings).await
    }

    async fn mapped_attributes(&self, stream: &str) -> Result<Vec<String>, IndexError> {
        mapping::attributes(&self.shared.nodes, stream).await
    }
}

impl Search for Elasticsearch {
    async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, SearchError> {
        search::search(&self.shared.nodes, &self.shared.settings, request).await
    }

    async fn fields(&self) -> Result<Vec<FieldInfo>, SearchError> {
        let server = self.server().await.map_err(|error| SearchError::Unavailable(error.to_string()))?;
        search::fields(&self.shared.nodes, server, &self.shared.settings).await
    }
}

/// All log streams of these settings: `logs-*-default`.
fn stream_pattern(settings: &ElasticsearchSettings) -> String {
    settings.documents.stream("*")
}

/// `logs-dead_letter-default`.
fn dead_letter_stream(settings: &ElasticsearchSettings) -> String {
    format!("logs-{DEAD_LETTER_DATASET}-{}", settings.documents.namespace)
}
