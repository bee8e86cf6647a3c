//! The records themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::value::RawValue;
use weir_indexer::{Hit, Search};

use super::parameters::Parameters;
use super::{ApiError, Page};

const LIMIT_DEFAULT: usize = 100;

/// Most records of one answer; more come by cursor.
const LIMIT_MAX: usize = 1_000;

#[derive(Serialize)]
pub(super) struct Records {
    total: u64,
    took_ms: u64,
    hits: Vec<HitBody>,
}

/// One record. The document is passed on as text: its numbers stay what they are.
#[derive(Serialize)]
pub(super) struct HitBody {
    id: String,
    cursor: String,
    document: Box<RawValue>,
}

impl From<Hit> for HitBody {
    fn from(hit: Hit) -> HitBody {
        HitBody { id: hit.id, cursor: hit.cursor.0, document: hit.document }
    }
}

pub(super) async fn search<S: Search>(
    State(page): State<Arc<Page<S>>>,
    parameters: Parameters,
) -> Result<Json<Records>, ApiError> {
    let mut request = parameters.ordered_selection()?;
    request.limit = parameters.number("limit", LIMIT_DEFAULT)?.min(LIMIT_MAX);
    let response = page.ask(&request).await?;
    Ok(Json(Records {
        total: response.total,
        took_ms: u64::try_from(response.took.as_millis()).unwrap_or(u64::MAX),
        hits: response.hits.into_iter().map(HitBody::from).collect(),
    }))
}
