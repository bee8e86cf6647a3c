//! Answers that are no results.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use weir_indexer::SearchError;
use weir_record::QueryError;

/// An error as the client sees it.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: Body,
}

#[derive(Debug, Serialize)]
struct Body {
    error: String,
    /// Characters of the query before the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<usize>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, error: String) -> ApiError {
        ApiError { status, body: Body { error, position: None } }
    }

    /// The request is wrong: the same one will never be answered.
    pub(crate) fn bad_request(error: String) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, error)
    }

    /// There is no answer now.
    pub(crate) fn unavailable(error: String) -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    /// Whether the same request will never be answered.
    pub(crate) fn is_permanent(&self) -> bool {
        self.status.is_client_error()
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> ApiError {
        let body = Body { error: error.message, position: Some(error.position) };
        ApiError { status: StatusCode::BAD_REQUEST, body }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> ApiError {
        match error {
            SearchError::Refused(reason) => ApiError::bad_request(reason),
            other => ApiError::unavailable(other.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
