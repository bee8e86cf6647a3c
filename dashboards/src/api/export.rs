//! Every document that matches, one JSON object a line, read page by page as fast as the client takes it.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weir_indexer::{Search, SearchRequest, SearchResponse};

use super::parameters::Parameters;
use super::{ApiError, Page};

/// Documents of one search: about half a megabyte.
const PAGE_DOCUMENTS: usize = 1_000;

/// Pages that wait for the client.
const PAGES_AHEAD: usize = 2;

pub(super) async fn export<S: Search>(
    State(page): State<Arc<Page<S>>>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    if let Some(format) = parameters.text("format").filter(|format| *format != "ndjson") {
        return Err(ApiError::bad_request(format!("\"{format}\" is no format here: there is ndjson")));
    }
    let mut request = parameters.ordered_selection()?;
    request.limit = PAGE_DOCUMENTS;
    let Ok(permit) = page.exports.clone().try_acquire_owned() else {
        return Err(ApiError::unavailable("too many exports run already: try again later".to_owned()));
    };
    // The first page is awaited here: what is wrong with the request still has its own status.
    let first = page.ask(&request).await?;
    let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
    tokio::spawn(async move {
        let _permit = permit;
        let mut stopping = page.stopping.clone();
        tokio::select! {
            () = send_pages(&page, request, first, &sender) => {}
            _ = stopping.changed() => {}
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"records.ndjson\""),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Sends all pages. A failure breaks the connection, so that half an export never looks like a whole one.
async fn send_pages<S: Search>(
    page: &Page<S>,
    mut request: SearchRequest,
    first: SearchResponse,
    sender: &mpsc::Sender<io::Result<String>>,
) {
    let mut response = first;
    loop {
        let last = response.hits.len() < PAGE_DOCUMENTS;
        request.after = response.hits.last().map(|hit| hit.cursor.clone());
        // An error means that the client is gone.
        if sender.send(Ok(lines(&response))).await.is_err() || last {
            return;
        }
        response = match page.ask(&request).await {
            Ok(response) => response,
            Err(_) => {
                let broken = io::Error::other("the index stopped answering");
                // The client may be gone by now; then nobody has to be told.
                drop(sender.send(Err(broken)).await);
                return;
            }
        };
    }
}

fn lines(response: &SearchResponse) -> String {
    let mut text = String::with_capacity(response.hits.iter().map(|hit| hit.document.get().len() + 1).sum());
    for hit in &response.hits {
        text.push_str(hit.document.get());
        text.push('\n');
    }
    text
}
