//! What the page says of the pipeline, in a real browser.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "support/browser.rs"]
#[expect(dead_code, reason = "each test program uses a part of it")]
mod browser;
mod support;

use std::sync::{Arc, Mutex};

use browser::Browser;
use serde_json::json;
use support::{Corpus, Page, embedded, now};
use weir_dashboards::{Audited, PageSettings, Pipeline};
use weir_process::metrics::Metric;

/// A pipeline in the state that a test puts it in.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Metric>>);

impl Told {
    fn is(&self, metrics: Vec<Metric>) {
        *self.0.lock().unwrap() = metrics;
    }
}

impl Pipeline for Told {
    fn metrics(&self) -> Vec<Metric> {
        self.0.lock().unwrap().clone()
    }

    fn audit(&self, since: Option<i64>) -> Audited {
        Box::pin(async move { Ok(json!({"files": [], "since": since})) })
    }
}

fn breaker(state: &str) -> Metric {
    Metric::gauge("weir_worker_index_breaker", "", 1).with_label("state", state)
}

fn blocked(stream: &str) -> Metric {
    Metric::gauge("weir_worker_stream_blocked", "", 1)
        .with_label("stream", stream)
        .with_label("state", "open")
}

#[tokio::test]
async fn breakers_blocked_streams_and_dead_letters_are_told() {
    let Some(browser) = Browser::start("pipeline").await else { return };
    let index = embedded();
    let mut corpus = Corpus::new("pipeline");
    corpus.add(now(), "checkout", json!({"message": "paid"}));
    corpus.index(&*index.index).await;
    let told = Arc::new(Told::default());
    told.is(vec![breaker("closed"), Metric::gauge("weir_worker_buffer_frames", "", 3)]);
    let settings = |settings| PageSettings { pipeline: Some(told.clone()), ..settings };
    let page = Page::serve_with(index.index.clone(), settings).await;
    browser.open(&page.url).await;

    let state = |state: &str| format!("document.getElementById('pipeline').dataset.status === '{state}'");
    browser.until("!document.getElementById('pipeline').hidden").await;
    browser.until(&state("ok")).await;
    browser.click("#pipeline").await;
    let panel = "document.getElementById('pipeline-panel').textContent";
    browser.until(&format!("{panel}.includes('3 frames')")).await;
    assert_eq!(browser.count("#pipeline-panel .finding").await, 0);
    browser.screenshot("pipeline_ok").await;

    told.is(vec![breaker("closed"), blocked("logs-<b>evil</b>-default")]);
    browser.until(&state("warning")).await;
    browser.until(&format!("{panel}.includes('logs-<b>evil</b>-default takes nothing (open)')")).await;

    told.is(vec![breaker("open"), Metric::counter("weir_worker_rejected_total", "", 2)]);
    browser.until(&state("error")).await;
    browser.until(&format!("{panel}.includes('circuit breaker is open')")).await;
    browser.until(&format!("{panel}.includes('2 records were refused for good')")).await;
    browser.screenshot("pipeline_error").await;
    browser.script("document.querySelector('#pipeline-panel .finding button').click()").await;
    browser.until("document.getElementById('query').value === 'dataset:dead_letter'").await;

    told.is(vec![breaker("closed")]);
    browser.until(&state("ok")).await;
    browser.close().await;
}

#[tokio::test]
async fn a_page_without_a_pipeline_says_nothing_of_one_and_cannot_audit() {
    let index = embedded();
    let page = Page::serve(index.index.clone()).await;
    let get = |path: &str| {
        let url = format!("{}{path}", page.url);
        async move { reqwest::get(url).await.unwrap() }
    };
    let answer = get("/api/pipeline").await.text().await.unwrap();
    assert_eq!(answer, r#"{"metrics":null}"#);
    assert_eq!(get("/api/audit").await.status(), 503);

    let told = Arc::new(Told::default());
    told.is(vec![breaker("open")]);
    let page =
        Page::serve_with(index.index.clone(), |settings| PageSettings { pipeline: Some(told), ..settings })
            .await;
    let get = |path: &str| {
        let url = format!("{}{path}", page.url);
        async move { reqwest::get(url).await.unwrap().text().await.unwrap() }
    };
    assert!(get("/metrics").await.contains("weir_worker_index_breaker{state=\"open\"} 1\n"));
    assert_eq!(get("/api/audit?since=1970-01-01T00:00:01Z").await, r#"{"files":[],"since":1000000000}"#);
    assert!(get("/api/audit?since=soon").await.contains("since has to be a time"));
}
