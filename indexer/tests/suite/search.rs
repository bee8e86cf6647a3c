//! One search suite over every backend: the same documents, the same queries, the same hits; and the same again by
//! testing each document in memory.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::*;
use serde_json::Value;
use weir_indexer::{
    Aggregation, AggregationResult, DocumentSettings, FieldKind, Index, Order, Outcome, Search, SearchError,
    SearchRequest,
};
use weir_indexer::{Embedded, EmbeddedSettings};
use weir_record::Query;

/// The documents, numbered by their order in time; `labels.n` tells them apart.
fn fragments() -> Vec<String> {
    let at = |seconds, n: usize, message: &str, more: &str| {
        format!(
            "{},\"labels.n\":\"{n}\"{}{more}",
            plain(seconds, message),
            if more.is_empty() { "" } else { "," }
        )
    };
    vec![
        at(
            0,
            0,
            "Connection reset by peer",
            r#""log.level":"error","trace.id":"abc123","attributes.cart.id":7"#,
        ),
        at(
            10,
            1,
            "GET /health HTTP/1.1",
            r#""log.level":"info","url.path":"/health","http.response.status_code":200,"source.ip":"10.1.2.3""#,
        ),
        at(
            20,
            2,
            "GET /cart HTTP/1.1",
            r#""log.level":"error","url.path":"/cart","http.response.status_code":503,"source.ip":"192.168.0.9""#,
        ),
        at(
            30,
            3,
            "payment failed",
            r#""log.level":"critical","error.type":"java.io.IOException","error.message":"Broken pipe while writing","attributes.cart":{"id":8,"paid":false}"#,
        ),
        at(
            40,
            4,
            "slow query took 250 ms",
            r#""log.level":"warning","event.duration":250000000,"attributes.query":"select 1","tags":["slow","db"]"#,
        ),
        at(
            50,
            5,
            "reset the connection pool",
            r#""log.level":"notice","attributes.ratio":1.5,"attributes.request":"6f1c9a70b2d84e55""#,
        ),
        at(
            60,
            6,
            "started",
            r#""attributes.version":"1.2.3","attributes.a":{"b":{"c":"deep value"}},"host.ip":"2001:db8::1""#,
        ),
        at(60, 7, "started twice", r#""attributes.quote":"say \"hi\" (now)","attributes.paid":true"#),
    ]
}

/// Query and the numbers of the documents that match.
const QUERIES: &[(&str, &[usize])] = &[
    ("*", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("connection", &[0, 5]),
    ("CONNECTION", &[0, 5]),
    ("\"connection reset\"", &[0]),
    ("connection reset", &[0, 5]),
    ("connection AND NOT peer", &[5]),
    ("conn*", &[0, 5]),
    ("*eset", &[0, 5]),
    ("co*ion", &[0, 5]),
    ("pipe", &[3]),
    ("\"broken pipe\"", &[3]),
    ("message:started", &[6, 7]),
    ("start", &[]),
    ("level:error", &[0, 2]),
    ("level:ERR", &[0, 2]),
    ("level:(error or warn)", &[0, 2, 4]),
    ("level>=error", &[0, 2, 3]),
    ("level<notice", &[1]),
    ("level:*", &[0, 1, 2, 3, 4, 5]),
    ("NOT level:*", &[6, 7]),
    ("level:err*", &[0, 2]),
    ("status>=500", &[2]),
    ("status:200", &[1]),
    ("status:[200 TO 503}", &[1]),
    ("status:{200 TO 503]", &[2]),
    ("status:(200 or >500)", &[1, 2]),
    ("status<200", &[]),
    ("trace.id:abc*", &[0]),
    ("trace:abc123", &[0]),
    ("trace:*", &[0]),
    ("path:/health", &[1]),
    ("path:/c*", &[2]),
    ("path:/*", &[1, 2]),
    ("path:/C*", &[]),
    ("path:[/d TO *]", &[1]),
    ("ip:10.1.2.3", &[1]),
    ("ip:10.0.0.0/8", &[1]),
    ("ip:[10.0.0.0 TO 200.0.0.0]", &[1, 2]),
    ("host.ip:\"2001:db8::/32\"", &[6]),
    ("cart.id:7", &[0]),
    ("cart.id:(7 or 8)", &[0, 3]),
    ("cart.id>7", &[3]),
    ("attributes.cart.id<=7", &[0]),
    ("cart:*", &[0, 3]),
    ("cart.paid:false", &[3]),
    ("paid:true", &[7]),
    ("ratio:1.5", &[5]),
    ("ratio>1", &[5]),
    ("request:6f1c9a70b2d84e55", &[5]),
    ("request:6f1c*", &[5]),
    ("request:*", &[5]),
    ("version:1.2.3", &[]),
    ("attributes.version:1.2.3", &[6]),
    ("a.b.c:\"deep value\"", &[6]),
    ("a.b.c:deep*", &[6]),
    ("a.b.c:*ue", &[6]),
    ("a.b:*", &[6]),
    ("query:\"select 1\"", &[4]),
    ("query:[select TO t]", &[4]),
    (r#"quote:"say \"hi\" (now)""#, &[7]),
    ("nothing:*", &[]),
    ("nothing:at_all", &[]),
    ("error:java.io.IOException", &[3]),
    ("tag:slow", &[4]),
    ("tag:(slow and db)", &[4]),
    ("duration>=250ms", &[4]),
    ("duration:>0.3s", &[]),
    ("labels.n:(3 or 4)", &[3, 4]),
    ("service:shop", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("file:*shop.log", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("time>=2026-11-20T00:00:50", &[5, 6, 7]),
    ("time:2026-11-20T00:00:50", &[5]),
    ("time<2026-11-20T00:00:10", &[0]),
    ("time:2026-11-21", &[]),
    ("ingested:2026-11-20", &[0, 1, 2, 3, 4, 5, 6, 7]),
    ("offset:[100 TO 200]", &[1, 2]),
    ("(level:error or level:critical) and not connection", &[2, 3]),
    ("-level:error !started", &[1, 3, 4, 5]),
];

fn number_of(document: &str) -> usize {
    let document: Value = serde_json::from_str(document).expect("JSON");
    document["labels.n"].as_str().and_then(|n| n.parse().ok()).expect("flat, with a number")
}

async fn fill(index: &impl Index, settings: DocumentSettings) {
    let batch = batch(settings, &[frame(file(1), 0, "shop", &fragments())]);
    let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Indexed), "{outcomes:?}");
}

/// `scope` keeps other tests' documents out.
async fn suite(search: &impl Search, scope: &str) {
    let request = |query: &str| {
        let query = Query::parse(query).expect(query).and(Query::parse(scope).expect(scope));
        SearchRequest { order: Order::OldestFirst, ..SearchRequest::new(query) }
    };
    every_query_finds_its_documents(search, &request).await;
    pages_go_on_without_repeats_or_gaps(search, &request).await;
    time_limits_are_half_open(search, &request).await;
    values_are_counted(search, &request).await;
    what_cannot_be_counted_is_refused(search, &request).await;
    fields_are_listed(search).await;
}

async fn every_query_finds_its_documents(search: &impl Search, request: &impl Fn(&str) -> SearchRequest) {
    for (query, expected) in QUERIES {
        let response =
            search.search(&request(query)).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        let found: Vec<usize> = response.hits.iter().map(|hit| number_of(hit.document.get())).collect();
        assert_eq!(found, *expected, "{query}");
        assert_eq!(response.total, expected.len() as u64, "{query}");
    }
}

async fn pages_go_on_without_repeats_or_gaps(search: &impl Search, request: &impl Fn(&str) -> SearchRequest) {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut numbers, mut ids, mut after) = (Vec::new(), BTreeSet::new(), None);
        loop {
            let page = SearchRequest { order, limit: 3, after, ..request("*") };
            let response = search.search(&page).await.expect("a page");
            assert_eq!(response.total, 8);
            let Some(last) = response.hits.last() else { break };
            after = Some(last.cursor.clone());
            numbers.extend(response.hits.iter().map(|hit| number_of(hit.document.get())));
            ids.extend(response.hits.iter().map(|hit| hit.id.clone()));
        }
        if order == Order::NewestFirst {
            numbers.reverse();
        }
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7], "{order:?}");
        assert_eq!(ids.len(), 8);
    }
}

async fn time_limits_are_half_open(search: &impl Search, request: &impl Fn(&str) -> SearchRequest) {
    let limited = SearchRequest {
        from: Some(DAY + 10 * SECOND),
        until: Some(DAY + 30 * SECOND),
        limit: 0,
        ..request("*")
    };
    let response = search.search(&limited).await.expect("an answer");
    assert_eq!((response.total, response.hits.len()), (2, 0));
}

async fn values_are_counted(search: &impl Search, request: &impl Fn(&str) -> SearchRequest) {
    let terms = |field: &str, size| Aggregation::Terms { field: field.to_owned(), size };
    let over_time = |split| Aggregation::DateHistogram { interval: Duration::from_secs(30), split };
    let counted = SearchRequest {
        limit: 0,
        aggregations: vec![
            terms("level", 1),
            terms("status", 10),
            terms("cart.id", 10),
            terms("labels.none", 10),
            over_time(None),
            over_time(Some(("level".to_owned(), 5))),
        ],
        ..request("*")
    };
    let results = search.search(&counted).await.expect("an answer").aggregations;
    let count = |value: &str, count| (value.to_owned(), count);
    assert_eq!(results[0], AggregationResult::Terms { buckets: vec![count("error", 2)], other: 4 });
    let sorted = |result: &AggregationResult| match result {
        AggregationResult::Terms { buckets, .. } => buckets.iter().cloned().collect::<BTreeSet<_>>(),
        AggregationResult::DateHistogram { .. } => panic!("terms were asked for"),
    };
    assert_eq!(sorted(&results[1]), BTreeSet::from([count("200", 1), count("503", 1)]));
    assert_eq!(sorted(&results[2]), BTreeSet::from([count("7", 1), count("8", 1)]));
    assert_eq!(results[3], AggregationResult::Terms { buckets: vec![], other: 0 });
    let AggregationResult::DateHistogram { buckets } = &results[4] else { panic!("a histogram") };
    let starts: Vec<(i64, u64)> = buckets.iter().map(|bucket| (bucket.start, bucket.count)).collect();
    assert_eq!(starts, [(DAY, 3), (DAY + 30 * SECOND, 3), (DAY + 60 * SECOND, 2)]);
    let AggregationResult::DateHistogram { buckets } = &results[5] else { panic!("a histogram") };
    assert_eq!(buckets[0].split, [count("error", 2), count("info", 1)]);
    assert_eq!(buckets[2].split, []);
}

async fn what_cannot_be_counted_is_refused(search: &impl Search, request: &impl Fn(&str) -> SearchRequest) {
    for field in ["message", "error.stack_trace", "@timestamp", "unmapped"] {
        let aggregations = vec![Aggregation::Terms { field: field.to_owned(), size: 3 }];
        let refused = search.search(&SearchRequest { aggregations, ..request("*") }).await;
        assert!(matches!(refused, Err(SearchError::Refused(_))), "{field}: {refused:?}");
    }
}

async fn fields_are_listed(search: &impl Search) {
    let fields = search.fields().await.expect("fields");
    let kind = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.kind);
    assert_eq!(kind("@timestamp"), Some(FieldKind::Date));
    assert_eq!(kind("message"), Some(FieldKind::Text));
    assert_eq!(kind("log.level"), Some(FieldKind::Keyword));
    assert_eq!(kind("http.response.status_code"), Some(FieldKind::Number));
    assert_eq!(kind("source.ip"), Some(FieldKind::Ip));
    assert_eq!(kind("attributes.cart.id"), Some(FieldKind::Number));
    assert_eq!(kind("attributes.paid"), Some(FieldKind::Boolean));
    assert_eq!(kind("attributes.query"), Some(FieldKind::Keyword));
    assert_eq!(kind("attributes.none"), None);
    assert!(fields.is_sorted_by(|a, b| a.name < b.name), "sorted, each once");
}

#[test]
fn every_query_matches_its_documents_in_memory() {
    let batch = batch(DocumentSettings::default(), &[frame(file(1), 0, "shop", &fragments())]);
    let documents: Vec<Value> = batch
        .items()
        .iter()
        .map(|item| serde_json::from_slice(batch.document(item)).expect("JSON"))
        .collect();
    for (query, expected) in QUERIES {
        let parsed = Query::parse(query).expect(query);
        let found: Vec<usize> = (0..documents.len()).filter(|n| parsed.matches(&documents[*n])).collect();
        assert_eq!(found, *expected, "{query}");
    }
}

#[tokio::test]
async fn the_embedded_index_finds_and_counts() {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = EmbeddedSettings {
        data: directory.path().to_owned(),
        retention: Duration::from_secs(86_400 * 365 * 100),
        max_bytes: 1 << 30,
        namespace: "default".to_owned(),
    };
    let index = Embedded::open(&settings).expect("a new index");
    fill(&index, DocumentSettings::default()).await;
    suite(&index, "*").await;
}

async fn a_server_finds_and_counts(variable: &str, test: &str) {
    let Some(server) = SearchServer::from_environment(variable, test) else { return };
    let index = server.connect();
    index.ensure_setup().await.expect("templates");
    fill(&index, server.settings().documents).await;
    server.refresh().await;
    suite(&index, "*").await;
    server.clean().await;
}

#[tokio::test]
async fn elasticsearch_finds_and_counts() {
    a_server_finds_and_counts("WEIR_TEST_ELASTICSEARCH", "elasticsearch_finds_and_counts").await;
}

#[tokio::test]
async fn opensearch_finds_and_counts() {
    a_server_finds_and_counts("WEIR_TEST_OPENSEARCH", "opensearch_finds_and_counts").await;
}
