//! What requests say.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Query as UrlQuery};
use axum::http::request::Parts;
use weir_indexer::{Cursor, Order, SearchRequest};
use weir_record::Query;

use super::{ApiError, moment};

/// The parameters of a request's address, in order. An empty value is as good as none.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Parameters, ApiError> {
        match UrlQuery::from_request_parts(parts, state).await {
            Ok(UrlQuery(pairs)) => Ok(Parameters(pairs)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}

impl Parameters {
    /// The value of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter that may be repeated.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A number, held to `1..=max`.
    pub(super) fn count(&self, name: &str, default: usize, max: usize) -> Result<usize, ApiError> {
        self.number(name, default).map(|number| number.clamp(1, max))
    }

    /// A number.
    pub(super) fn number(&self, name: &str, default: usize) -> Result<usize, ApiError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                ApiError::bad_request(format!("{name} has to be a whole number, not \"{text}\""))
            }),
        }
    }

    /// The query.
    pub(super) fn query(&self) -> Result<Query, ApiError> {
        Ok(Query::parse(self.text("q").unwrap_or_default())?)
    }

    /// The documents of the request's query and time range, without hits.
    pub(super) fn selection(&self) -> Result<SearchRequest, ApiError> {
        let now = now();
        Ok(SearchRequest {
            from: self.moment("from", now)?,
            until: self.moment("until", now)?,
            limit: 0,
            ..SearchRequest::new(self.query()?)
        })
    }

    /// The same with the request's order and place.
    pub(super) fn ordered_selection(&self) -> Result<SearchRequest, ApiError> {
        let order = match self.text("order") {
            None | Some("newest") => Order::NewestFirst,
            Some("oldest") => Order::OldestFirst,
            Some(other) => {
                return Err(ApiError::bad_request(format!(
                    "order has to be newest or oldest, not \"{other}\""
                )));
            }
        };
        let after = self.text("after").map(|cursor| Cursor(cursor.to_owned()));
        Ok(SearchRequest { order, after, ..self.selection()? })
    }

    /// A moment, nanoseconds since 1970.
    pub(super) fn moment(&self, name: &str, now: i64) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match moment::parse(text, now) {
            Some(moment) => Ok(Some(moment)),
            None => Err(ApiError::bad_request(format!(
                "{name} has to be a time such as 2026-11-20T21:39:19Z, milliseconds since 1970, now, or now-15m, \
                 not \"{text}\""
            ))),
        }
    }
}

/// Nanoseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
