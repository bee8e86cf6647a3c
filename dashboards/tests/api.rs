//! The page's HTTP interface over a real index.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use support::{Corpus, EmbeddedIndex, Page, SEQUENCE_BASE, add_shop, embedded, now};
use weir_dashboards::{BindError, PageSettings, bind};
use weir_indexer::{FieldInfo, Search, SearchError, SearchRequest, SearchResponse};

const SECOND: i64 = 1_000_000_000;

struct Served {
    page: Page,
    index: EmbeddedIndex,
    corpus: Corpus,
    client: Client,
}

async fn served() -> Served {
    let index = embedded();
    let page = Page::serve(index.index.clone()).await;
    Served { page, index, corpus: Corpus::new("api"), client: Client::new() }
}

impl Served {
    async fn index(&mut self) {
        self.corpus.index(&*self.index.index).await;
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Response {
        self.client.get(format!("{}{path}", self.page.url)).query(parameters).send().await.unwrap()
    }

    async fn json(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let response = self.get(path, parameters).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

#[tokio::test]
async fn a_search_pages_by_cursor_and_keeps_documents_as_they_are() {
    let mut served = served().await;
    let end = now();
    for number in 0..250 {
        served.corpus.add(end - number * SECOND, "checkout", json!({"message": format!("number {number}")}));
    }
    served.index().await;
    let mut messages = Vec::new();
    let mut after = String::new();
    loop {
        let answer = served.json("/api/search", &[("limit", "60"), ("after", &after)]).await;
        assert_eq!(answer["total"], 250);
        let hits = answer["hits"].as_array().unwrap();
        messages.extend(hits.iter().map(|hit| hit["document"]["message"].as_str().unwrap().to_owned()));
        let Some(last) = hits.last() else { break };
        after = last["cursor"].as_str().unwrap().to_owned();
    }
    let expected: Vec<String> = (0..250).map(|number| format!("number {number}")).collect();
    assert_eq!(messages, expected);
    let text =
        served.get("/api/search", &[("q", "\"number 0\""), ("limit", "1")]).await.text().await.unwrap();
    assert!(text.contains(&format!("\"event.sequence\":{SEQUENCE_BASE}")), "{text}");
}

#[tokio::test]
async fn order_time_range_and_query_select() {
    let mut served = served().await;
    let end = now();
    for number in 0..10 {
        let level = if number % 2 == 0 { "error" } else { "info" };
        let fields = json!({"message": format!("number {number}"), "log.level": level});
        served.corpus.add(end - number * 60 * SECOND, "checkout", fields);
    }
    served.index().await;
    let first = async |parameters: &[(&str, &str)]| {
        let answer = served.json("/api/search", parameters).await;
        (
            answer["total"].as_u64().unwrap(),
            answer["hits"][0]["document"]["message"].as_str().unwrap_or("").to_owned(),
        )
    };
    assert_eq!(first(&[("order", "oldest")]).await, (10, "number 9".to_owned()));
    assert_eq!(first(&[("q", "level:info")]).await, (5, "number 1".to_owned()));
    assert_eq!(first(&[("from", "now-150s"), ("until", "now")]).await, (3, "number 0".to_owned()));
    let until = (end / 1_000_000 - 5 * 60_000 - 1_000).to_string();
    assert_eq!(first(&[("until", &until)]).await, (4, "number 6".to_owned()));
}

#[tokio::test]
async fn the_histogram_counts_every_record_once_by_level() {
    let mut served = served().await;
    let end = now();
    add_shop(&mut served.corpus, 500, end, 3_600 * SECOND);
    served.index().await;
    for range in [vec![("from", "now-2h"), ("until", "now")], vec![]] {
        let answer = served.json("/api/histogram", &[&range[..], &[("buckets", "50")]].concat()).await;
        let buckets = answer["buckets"].as_array().unwrap();
        assert!((10..=51).contains(&buckets.len()), "{}", buckets.len());
        let counted: u64 = buckets.iter().map(|bucket| bucket["count"].as_u64().unwrap()).sum();
        let by_level: u64 = buckets
            .iter()
            .flat_map(|bucket| {
                bucket["levels"].as_object().unwrap().values().map(|count| count.as_u64().unwrap())
            })
            .sum();
        assert_eq!((answer["total"].as_u64(), counted, by_level), (Some(500), 500, 500));
        let (from, until) = (answer["from"].as_i64().unwrap(), answer["until"].as_i64().unwrap());
        let interval = answer["interval"].as_i64().unwrap();
        for bucket in buckets {
            let start = bucket["start"].as_i64().unwrap();
            assert!(start + interval > from && start < until, "{bucket}");
        }
    }
}

#[tokio::test]
async fn an_empty_index_has_an_empty_histogram() {
    let served = served().await;
    let answer = served.json("/api/histogram", &[]).await;
    assert_eq!((answer["total"].as_u64(), answer["buckets"].as_array().unwrap().len()), (Some(0), 0));
    assert!(answer["from"].as_i64() < answer["until"].as_i64());
}

#[tokio::test]
async fn values_of_several_fields_are_counted_in_one_request() {
    let mut served = served().await;
    add_shop(&mut served.corpus, 400, now(), 600 * SECOND);
    served.index().await;
    let parameters = [("field", "log.level"), ("field", "service.name"), ("size", "2")];
    let answer = served.json("/api/terms", &parameters).await;
    let [levels, services] = answer["terms"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    assert_eq!(levels["field"], "log.level");
    assert_eq!(services["buckets"][0]["value"], "checkout");
    assert_eq!(services["buckets"].as_array().unwrap().len(), 2);
    let shown: u64 = [0, 1].map(|at| services["buckets"][at]["count"].as_u64().unwrap()).iter().sum();
    assert_eq!(shown + services["other"].as_u64().unwrap(), 400);
    let fields = served.json("/api/fields", &[]).await;
    let kind = |name: &str| {
        let fields = fields["fields"].as_array().unwrap();
        fields
            .iter()
            .find(|field| field["name"] == name)
            .map(|field| field["kind"].as_str().unwrap().to_owned())
    };
    assert_eq!(kind("service.name").as_deref(), Some("keyword"));
    assert_eq!(kind("message").as_deref(), Some("text"));
    assert_eq!(kind("@timestamp").as_deref(), Some("date"));
}

#[tokio::test]
async fn an_export_is_every_document_once_in_order() {
    let mut served = served().await;
    let end = now();
    for number in 0..2_500 {
        served.corpus.add(
            end - number * 1_000_000,
            "checkout",
            json!({"message": format!("number {number}")}),
        );
    }
    served.index().await;
    let response = served.get("/api/export", &[("order", "oldest"), ("format", "ndjson")]).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    let messages: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["message"].clone()).collect();
    let expected: Vec<Value> = (0..2_500).rev().map(|number| json!(format!("number {number}"))).collect();
    assert!(messages == expected, "{} documents", messages.len());
}

#[tokio::test]
async fn errors_are_json_and_say_where() {
    let served = served().await;
    let check = async |path: &str, parameters: &[(&str, &str)], position: Option<u64>, text: &str| {
        let response = served.get(path, parameters).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["position"].as_u64(), position, "{body}");
        assert!(body["error"].as_str().unwrap().contains(text), "{body}");
    };
    for path in ["/api/search", "/api/histogram", "/api/export", "/api/tail"] {
        check(path, &[("q", "level:error AND (a OR b")], Some(16), "").await;
    }
    check("/api/search", &[("from", "yesterday")], None, "\"yesterday\"").await;
    check("/api/search", &[("limit", "many")], None, "\"many\"").await;
    check("/api/search", &[("order", "random")], None, "\"random\"").await;
    check("/api/export", &[("format", "xlsx")], None, "\"xlsx\"").await;
    check("/api/terms", &[], None, "field=service.name").await;
}

/// Reads server-sent events up to one of this name; returns its data.
async fn next_event(response: &mut Response, pending: &mut String, name: &str) -> Value {
    loop {
        while let Some((event, rest)) = pending.split_once("\n\n") {
            let (event, rest) = (event.to_owned(), rest.to_owned());
            *pending = rest;
            let data = event.lines().find_map(|line| line.strip_prefix("data: "));
            if event.lines().any(|line| line == format!("event: {name}")) {
                return serde_json::from_str(data.unwrap()).unwrap();
            }
        }
        let chunk =
            tokio::time::timeout(support::DEADLINE, response.chunk()).await.expect("an event in time");
        pending.push_str(std::str::from_utf8(&chunk.unwrap().expect("the tail goes on")).unwrap());
    }
}

#[tokio::test]
async fn the_tail_tells_of_each_new_record_once_and_of_how_many_it_left_out() {
    let mut served = served().await;
    let end = now();
    served.corpus.add(end, "checkout", json!({"message": "before", "log.level": "error"}));
    served.index().await;
    let mut tail = served.get("/api/tail", &[("q", "level:error")]).await;
    assert_eq!(tail.headers()["content-type"], "text/event-stream");
    let mut pending = String::new();
    next_event(&mut tail, &mut pending, "ready").await;
    // One of long ago, one that the query does not want, one of now.
    served.corpus.add(end - 86_400 * SECOND, "checkout", json!({"message": "late", "log.level": "error"}));
    served.corpus.add(end + 1, "checkout", json!({"message": "other", "log.level": "info"}));
    served.corpus.add(end + 2, "checkout", json!({"message": "new", "log.level": "error"}));
    served.index().await;
    let records = next_event(&mut tail, &mut pending, "records").await;
    let messages = |records: &Value| -> Vec<String> {
        let hits = records["hits"].as_array().unwrap();
        hits.iter().map(|hit| hit["document"]["message"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (messages(&records), records["left_out"].as_u64()),
        (vec!["new".to_owned(), "late".to_owned()], Some(0))
    );
    for number in 0..1_000 {
        let fields = json!({"message": format!("many {number}"), "log.level": "error"});
        served.corpus.add(end + 10 + number, "checkout", fields);
    }
    served.index().await;
    let (mut told, mut sent) = (0, 0);
    while told < 1_000 {
        let records = next_event(&mut tail, &mut pending, "records").await;
        let hits = messages(&records);
        assert!(hits.len() <= 200 && hits.iter().all(|message| message.starts_with("many")), "{hits:?}");
        sent += hits.len();
        told += hits.len() + usize::try_from(records["left_out"].as_u64().unwrap()).unwrap();
    }
    assert_eq!(told, 1_000);
    assert!(sent >= 200, "{sent}");
}

#[tokio::test]
async fn stopping_the_page_ends_its_tails() {
    let mut served = served().await;
    let mut tail = served.get("/api/tail", &[]).await;
    let mut pending = String::new();
    next_event(&mut tail, &mut pending, "ready").await;
    served.page.stop();
    let ended = tokio::time::timeout(Duration::from_secs(2), served.page.served.take().unwrap()).await;
    ended.expect("within two seconds").unwrap();
    while let Ok(Some(_)) = tail.chunk().await {}
}

#[tokio::test]
async fn the_pages_files_come_with_their_types_and_are_kept_by_browsers() {
    let served = served().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
    ] {
        let response = served.get(path, &[]).await;
        assert_eq!(
            (response.status(), &response.headers()["content-type"]),
            (StatusCode::OK, &kind.parse().unwrap())
        );
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        let again = served.client.get(format!("{}{path}", served.page.url)).header("if-none-match", tag);
        assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    }
    for path in ["/missing.js", "/../Cargo.toml", "/%2e%2e/Cargo.toml", "/api/none"] {
        assert_eq!(served.get(path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let put = served.client.post(format!("{}/api/search", served.page.url)).body("x").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn other_sites_get_nothing() {
    let served = served().await;
    let url = format!("{}/api/search", served.page.url);
    for (name, value) in
        [("host", "evil.example"), ("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")]
    {
        let response = served.client.get(&url).header(name, value).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{name}: {value}");
        let body: Value = response.json().await.unwrap();
        assert!(body["error"].is_string() && body["hits"].is_null());
    }
}

#[tokio::test]
async fn a_port_in_use_and_a_remote_address_are_refused_with_what_to_do() {
    let first = bind(&PageSettings::new(([127, 0, 0, 1], 0).into())).await.unwrap();
    let taken = first.local_addr().unwrap();
    let error = bind(&PageSettings::new(taken)).await.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&taken.port().to_string()), "{error}");
    let everywhere = PageSettings::new(([0, 0, 0, 0], 0).into());
    let error = bind(&everywhere).await.unwrap_err();
    assert!(matches!(error, BindError::Remote { .. }), "{error}");
    bind(&PageSettings { allow_remote: true, ..everywhere }).await.unwrap();
}

/// An index that is down.
struct Down;

impl Search for Down {
    async fn search(&self, _: &SearchRequest) -> Result<SearchResponse, SearchError> {
        Err(SearchError::Unavailable("connection refused".to_owned()))
    }

    async fn fields(&self) -> Result<Vec<FieldInfo>, SearchError> {
        Err(SearchError::Unavailable("connection refused".to_owned()))
    }
}

#[tokio::test]
async fn an_index_that_does_not_answer_is_503_and_not_ready() {
    let page = Page::serve(Arc::new(Down)).await;
    for path in ["/api/search", "/api/histogram", "/api/fields", "/api/tail", "/api/export", "/ready"] {
        let response = reqwest::get(format!("{}{path}", page.url)).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        let body: Value = response.json().await.unwrap();
        assert!(body["error"].as_str().unwrap().contains("connection refused"), "{body}");
    }
    assert_eq!(reqwest::get(format!("{}/live", page.url)).await.unwrap().status(), StatusCode::OK);
    let up = served().await;
    assert_eq!(up.get("/ready", &[]).await.status(), StatusCode::OK);
}
