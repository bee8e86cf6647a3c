//! Bulks to real servers: what is stored, what is a duplicate, what is healed, what is refused.

use std::sync::Arc;

use elasticsearch::http::Method;
use serde_json::{Value, json};
use weir_indexer::elasticsearch::{Change, Distribution};
use weir_indexer::letter::open_letters;
use weir_indexer::{
    Batch, DeadLetter, Elasticsearch, ElasticsearchSettings, Index, IndexError, Outcome, Search,
    SearchRequest, SetupError,
};
use weir_record::Query;

use crate::support::*;

const ELASTICSEARCH: &str = "WEIR_TEST_ELASTICSEARCH";
const OPENSEARCH: &str = "WEIR_TEST_OPENSEARCH";

/// Runs `test` on both servers, as far as they are there.
pub async fn on_both<F: Future<Output = ()>>(name: &str, test: impl Fn(Arc<SearchServer>) -> F) {
    for variable in [ELASTICSEARCH, OPENSEARCH] {
        if let Some(server) = SearchServer::from_environment(variable, name) {
            let server = Arc::new(server);
            test(Arc::clone(&server)).await;
            server.clean().await;
        }
    }
}

fn batch_of(server: &SearchServer, service: &str, fragments: &[String]) -> Arc<Batch> {
    batch(server.settings().documents, &[frame(file(1), 0, service, fragments)])
}

pub async fn total(index: &impl Search, query: &str) -> u64 {
    let request = SearchRequest { limit: 0, ..SearchRequest::new(Query::parse(query).expect(query)) };
    index.search(&request).await.expect("an answer").total
}

#[tokio::test]
async fn a_poisonous_document_hurts_nobody_else_and_a_repeat_is_a_duplicate() {
    on_both("a_poisonous_document", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let mut fragments: Vec<String> = (0..5000).map(|n| plain(n, "ok")).collect();
        fragments[3210] = format!("{},\"log.level\":{{\"an\":\"object\"}},\"trace.id\":", plain(0, "poison"));
        fragments[3210].push_str("{\"as\":\"well\"}");
        fragments[17] = "\"@timestamp\":\"never\",\"message\":\"no time\"".to_owned();
        let batch = batch_of(&server, "shop", &fragments);

        let first = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
        assert_eq!(first.len(), 5000);
        assert!(matches!(&first[17], Outcome::Rejected { status: 400, .. }), "{:?}", first[17]);
        let is_opensearch = index.server().await.expect("a server").distribution == Distribution::OpenSearch;
        // OpenSearch ignores an object where a keyword is mapped.
        assert_eq!(matches!(&first[3210], Outcome::Rejected { .. }), !is_opensearch, "{:?}", first[3210]);
        let stored = first.iter().filter(|outcome| **outcome == Outcome::Indexed).count();
        assert_eq!(stored, if is_opensearch { 4999 } else { 4998 });

        let second = index.bulk(&batch, &[0, 17, 4999]).await.expect("an answer");
        assert_eq!(second[0], Outcome::Duplicate);
        assert!(matches!(second[1], Outcome::Rejected { .. }));
        assert_eq!(second[2], Outcome::Duplicate);

        server.refresh().await;
        assert_eq!(total(&index, "ok").await, 4998);
        assert_eq!(server.streams().await, [format!("logs-shop-{}", server.namespace)]);
    })
    .await;
}

#[tokio::test]
async fn a_document_whose_attributes_clash_is_stored_with_them_unmapped() {
    on_both("a_document_whose_attributes_clash", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let with = |n, attributes: &str| format!("{},{attributes}", plain(n, "cart"));
        let fragments = [
            with(0, r#""attributes.cart":{"id":7}"#),
            with(1, r#""attributes.cart":"c-8","attributes.user":"ada""#),
            with(2, r#""attributes.cart":{"id":9}"#),
        ];
        let batch = batch_of(&server, "shop", &fragments);
        let first = index.bulk(&batch, &[0]).await.expect("an answer");
        assert_eq!(first, [Outcome::Indexed]);
        let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
        let healed = Outcome::Healed { field: "attributes.cart".to_owned() };
        assert_eq!(outcomes, [Outcome::Duplicate, healed, Outcome::Indexed]);
        server.refresh().await;
        assert_eq!(total(&index, "unmapped.cart:c-8").await + total(&index, "cart:c-8").await, 1);
        assert_eq!(total(&index, "cart.id:(7 or 9)").await, 2);
    })
    .await;
}

#[tokio::test]
async fn the_templates_give_every_field_its_type() {
    on_both("the_templates", |server| async move {
        let index = server.connect();
        index.setup().await.expect("installed");
        index.setup().await.expect("installed again");
        index.ensure_setup().await.expect("found");
        let batch = batch_of(&server, "shop", &[plain(0, "first")]);
        assert_eq!(index.bulk(&batch, &[0]).await.expect("an answer"), [Outcome::Indexed]);

        let answer =
            server.request(Method::Get, &format!("logs-shop-{}/_mapping", server.namespace), None).await;
        let mapping = answer.as_object().and_then(|indices| indices.values().next()).expect("an index");
        let kind = |name: &str| {
            let path = name.replace('.', "/properties/");
            mapping.pointer(&format!("/mappings/properties/{path}/type")).and_then(Value::as_str)
        };
        let is_opensearch = index.server().await.expect("a server").distribution == Distribution::OpenSearch;
        assert_eq!(kind("@timestamp"), Some("date_nanos"));
        // The Elasticsearch of the tests stores the one as text, and constant_keyword as keyword.
        assert!(matches!(kind("message"), Some("match_only_text" | "text")));
        assert_eq!(kind("log.level"), Some("keyword"));
        assert_eq!(kind("log.offset"), Some("long"));
        assert_eq!(kind("source.ip"), Some("ip"));
        assert_eq!(kind("source.geo.location"), Some("geo_point"));
        assert_eq!(kind("unmapped"), Some(if is_opensearch { "flat_object" } else { "flattened" }));
        assert!(matches!(kind("data_stream.dataset"), Some("constant_keyword" | "keyword")));
    })
    .await;
}

#[tokio::test]
async fn records_of_a_group_with_a_pipeline_go_through_it_and_the_others_do_not() {
    on_both("records_of_a_group_with_a_pipeline", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let name = format!("mark-{}", server.namespace);
        let path = format!("_ingest/pipeline/{name}");
        let set = json!({"set": {"field": "attributes.marked", "value": "by the pipeline"}});
        let installed = server.request(Method::Put, &path, Some(json!({"processors": [set]}))).await;
        if installed["acknowledged"] != true {
            let server = index.server().await.expect("a server");
            assert_eq!(server.distribution, Distribution::OpenSearch, "{installed}");
            eprintln!("SKIPPED: the OpenSearch of the tests has no ingest processors");
            return;
        }

        let mut bodies = Vec::new();
        for (number, pipeline) in [(1, Some(&*name)), (2, None), (3, Some("there-is-none"))] {
            bodies.push(frame_through(file(number), 0, "shop", pipeline, &[plain(0, "order")]));
        }
        let batch = batch(server.settings().documents, &bodies);
        let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
        assert_eq!(outcomes[..2], [Outcome::Indexed, Outcome::Indexed]);
        assert!(matches!(&outcomes[2], Outcome::Rejected { reason, .. } if reason.contains("there-is-none")));
        let again = index.bulk(&batch, &[0, 1]).await.expect("an answer");
        assert_eq!(again, [Outcome::Duplicate, Outcome::Duplicate]);

        server.refresh().await;
        assert_eq!(total(&index, "order").await, 2);
        assert_eq!(total(&index, "marked:\"by the pipeline\"").await, 1);
        server.request(Method::Delete, &path, None).await;
    })
    .await;
}

#[tokio::test]
async fn dead_letters_are_stored_whatever_is_in_them_and_found_by_who_asks() {
    on_both("dead_letters", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let letter = |n: usize, document: Vec<u8>| DeadLetter {
            id: format!("letter-{n}"),
            target: "logs-shop-default".to_owned(),
            pipeline: None,
            document: document.into(),
            status: 400,
            reason: "document_parsing_exception: object where a keyword is".to_owned(),
            attempts: 1,
            first_time: DAY,
            time: DAY,
            replays: 0,
        };
        let letters = [
            letter(0, b"{\"log\":{\"level\":{}}}".to_vec()),
            letter(1, vec![b'x'; 100_000]),
            letter(2, vec![0xff]),
        ];
        let outcomes = index.dead_letters(&letters).await.expect("an answer");
        assert_eq!(outcomes, [Outcome::Indexed, Outcome::Indexed, Outcome::Indexed]);
        let again = index.dead_letters(&letters).await.expect("an answer");
        assert_eq!(again, [Outcome::Duplicate, Outcome::Duplicate, Outcome::Duplicate]);
        server.refresh().await;
        assert_eq!(total(&index, "*").await, 0, "dead letters are no log records");
        assert_eq!(total(&index, "dataset:dead_letter").await, 3);
    })
    .await;
}

#[tokio::test]
async fn a_bulk_that_is_too_large_for_the_server_is_halved_until_it_fits() {
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let url = fake_server(move |request| {
        seen.lock().expect("no panic").push(request.items);
        if request.items > 2 { (413, String::new()) } else { (200, created(request.items)) }
    })
    .await;
    let (index, batch) = eight_items(&url);
    let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
    assert_eq!(outcomes, vec![Outcome::Indexed; 8]);
    assert_eq!(*requests.lock().expect("no panic"), [8, 4, 2, 2, 4, 2, 2]);
}

#[tokio::test]
async fn a_refused_bulk_is_bisected_to_the_one_document_that_is_to_blame() {
    // The second: OpenSearch with a pipeline, which gives every item the error of one.
    for everywhere in [false, true] {
        let url = fake_server(move |request| {
            let poisoned = request.body.contains("message 5");
            match (poisoned, everywhere) {
                (false, _) => (200, created(request.items)),
                (true, false) => {
                    (400, json!({"error": {"type": "parse_exception", "reason": "bad"}}).to_string())
                }
                (true, true) => (200, items(request.items, 400, Some("parse_exception"))),
            }
        })
        .await;
        let (index, batch) = eight_items(&url);
        let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
        for (n, outcome) in outcomes.iter().enumerate() {
            if n == 5 {
                assert!(matches!(outcome, Outcome::Rejected { status: 400, .. }), "{outcome:?}");
            } else {
                assert_eq!(*outcome, Outcome::Indexed, "{n}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_says_nothing_is_an_error_and_never_a_success() {
    let odd: [(u16, String); 9] = [
        (200, String::new()),
        (200, "<html>ok</html>".to_owned()),
        (200, created(7)),
        (200, created(9)),
        (200, created(8)[..created(8).len() - 2].to_owned()),
        (200, json!({"errors": false}).to_string()),
        (502, "<html>bad gateway</html>".to_owned()),
        (503, String::new()),
        (429, json!({"error": {"type": "circuit_breaking_exception", "reason": "x"}}).to_string()),
    ];
    for (status, body) in odd {
        let answer = (status, body.clone());
        let url = fake_server(move |_| answer.clone()).await;
        let (index, batch) = eight_items(&url);
        let error = index.bulk(&batch, &everything(&batch)).await.expect_err(&body);
        assert!(error.is_transient(), "{status} {body}: {error}");
    }
    let url = fake_server(|_| (401, String::new())).await;
    let (index, batch) = eight_items(&url);
    let error = index.bulk(&batch, &everything(&batch)).await.expect_err("no rights");
    assert!(matches!(error, IndexError::Refused { status: 401, .. }), "{error}");
}

#[tokio::test]
async fn items_under_pressure_are_to_be_retried_and_others_are_done() {
    let url = fake_server(|request| {
        let mut rows: Vec<Value> = vec![json!({"create": {"status": 201}}); request.items];
        rows[3] = json!({"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "full"}}});
        rows[6] = json!({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception", "reason": "there"}}});
        (200, json!({"errors": true, "items": rows}).to_string())
    })
    .await;
    let (index, batch) = eight_items(&url);
    let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
    assert!(matches!(outcomes[3], Outcome::Retry { .. }));
    assert_eq!(outcomes[6], Outcome::Duplicate);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Indexed).count(), 6);
}

#[tokio::test]
async fn a_user_without_rights_is_told_what_to_run() {
    let url = fake_server(|request| match request.method.as_str() {
        "GET" => (404, "{}".to_owned()),
        _ => (403, json!({"error": {"type": "security_exception", "reason": "not you"}}).to_string()),
    })
    .await;
    let settings = ElasticsearchSettings { urls: vec![url], ..ElasticsearchSettings::default() };
    let index = Elasticsearch::connect(&settings).expect("a usable URL");
    let error = index.ensure_setup().await.expect_err("not allowed");
    assert!(matches!(&error, SetupError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("weir setup"), "{error}");
}

fn eight_items(url: &str) -> (Elasticsearch, Arc<Batch>) {
    let settings = ElasticsearchSettings { urls: vec![url.to_owned()], ..ElasticsearchSettings::default() };
    let index = Elasticsearch::connect(&settings).expect("a usable URL");
    let fragments: Vec<String> = (0..8).map(|n| plain(n, &format!("message {n}"))).collect();
    (index, batch(settings.documents, &[frame(file(1), 0, "shop", &fragments)]))
}

fn created(count: usize) -> String {
    items(count, 201, None)
}

fn items(count: usize, status: u16, error: Option<&str>) -> String {
    let row = match error {
        None => format!("{{\"create\":{{\"status\":{status}}}}}"),
        Some(kind) => format!(
            "{{\"create\":{{\"status\":{status},\"error\":{{\"type\":\"{kind}\",\"reason\":\"r\"}}}}}}"
        ),
    };
    format!("{{\"errors\":{},\"items\":[{}]}}", error.is_some(), vec![row; count].join(","))
}

#[tokio::test]
async fn a_plan_names_what_an_installation_would_change_and_nothing_after_it() {
    on_both("a_plan", |server| async move {
        let index = server.connect();
        let logs = format!("_index_template/weir-logs-{}", server.namespace);
        let change = |changes: &[Change]| changes.iter().find(|change| change.path == logs).cloned();
        assert!(change(&index.plan().await.expect("a plan")).expect("not there yet").is_new);
        index.setup().await.expect("installed");
        let after = index.plan().await.expect("a plan");
        let own = |change: &&Change| change.path.contains(&server.namespace) || change.path.contains("weir@");
        assert_eq!(after.iter().filter(own).collect::<Vec<_>>(), Vec::<&Change>::new());

        // Somebody changed it: that is shown, and an installation mends it.
        let changed = json!({"index_patterns": [format!("logs-*-{}", server.namespace)], "data_stream": {},
                             "priority": 150, "version": 1, "composed_of": []});
        server.request(Method::Put, &logs, Some(changed)).await;
        let change = change(&index.plan().await.expect("a plan")).expect("changed");
        assert!(!change.is_new);
        assert!(change.differences.iter().any(|line| line.starts_with("~ version: 1 -> ")), "{change:?}");
        index.ensure_setup().await.expect("updated in place");
        assert!(index.plan().await.expect("a plan").iter().all(|change| change.path != logs));
    })
    .await;
}

#[tokio::test]
async fn blocks_and_missing_templates_hold_a_stream_and_are_no_refusal() {
    on_both("blocks", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let batch = batch_of(&server, "shop", &[plain(0, "first"), plain(1, "second")]);
        assert_eq!(index.bulk(&batch, &[0]).await.expect("an answer"), [Outcome::Indexed]);
        let settings = &format!("logs-shop-{}/_settings", server.namespace);
        for block in ["index.blocks.write", "index.blocks.read_only_allow_delete"] {
            let set = |value: Value| server.request(Method::Put, settings, Some(json!({ block: value })));
            set(json!(true)).await;
            let outcomes = index.bulk(&batch, &[1]).await.expect("an answer");
            assert!(matches!(&outcomes[0], Outcome::Blocked { .. }), "{block}: {outcomes:?}");
            set(Value::Null).await;
        }
        assert_eq!(index.bulk(&batch, &[1]).await.expect("an answer"), [Outcome::Indexed]);
    })
    .await;
}

#[tokio::test]
async fn a_document_that_a_pipeline_refuses_is_a_dead_letter_and_taken_at_a_replay_without_it() {
    on_both("a_pipeline", |server| async move {
        let index = server.connect();
        index.ensure_setup().await.expect("templates");
        let first = batch_of(&server, "shop", &[plain(0, "first")]);
        assert_eq!(index.bulk(&first, &[0]).await.expect("an answer"), [Outcome::Indexed]);
        let pipeline = format!("_ingest/pipeline/fail-{}", server.namespace);
        let fail = json!({"processors": [{"fail": {"message": "not this", "if": "ctx.message == 'bad'"}}]});
        if server.request(Method::Put, &pipeline, Some(fail)).await.get("acknowledged").is_none() {
            // Of the two servers OpenSearch has both; the test Elasticsearch comes without the modules.
            let distribution = index.server().await.expect("a server").distribution;
            assert_eq!(distribution, Distribution::Elasticsearch, "no fail processor");
            return;
        }
        let settings = format!("logs-shop-{}/_settings", server.namespace);
        let set = |name: Value| {
            server.request(Method::Put, &settings, Some(json!({"index.default_pipeline": name})))
        };
        set(json!(format!("fail-{}", server.namespace))).await;
        let batch = batch_of(&server, "shop", &[plain(0, "first"), plain(1, "bad")]);
        let outcomes = index.bulk(&batch, &everything(&batch)).await.expect("an answer");
        let Outcome::Rejected { status, reason } = outcomes[1].clone() else { panic!("{outcomes:?}") };

        let letter = DeadLetter {
            id: String::from_utf8_lossy(&batch.items()[1].id.to_text()).into_owned(),
            target: batch.target(&batch.items()[1]).to_owned(),
            pipeline: batch.pipeline(&batch.items()[1]).map(str::to_owned),
            document: batch.document(&batch.items()[1]).to_vec().into(),
            status,
            reason,
            attempts: 1,
            first_time: DAY,
            time: DAY,
            replays: 0,
        };
        index.dead_letters(std::slice::from_ref(&letter)).await.expect("an answer");
        server.refresh().await;
        assert_eq!(open_letters(&index).await.expect("letters"), std::slice::from_ref(&letter));
        let again = index.replay(std::slice::from_ref(&letter)).await.expect("an answer");
        assert!(matches!(again[0], Outcome::Rejected { .. }), "{again:?}");
        set(Value::Null).await;
        server.refresh().await;
        let letters = open_letters(&index).await.expect("letters");
        assert_eq!(letters.iter().map(|letter| letter.replays).collect::<Vec<_>>(), [1]);
        assert_eq!(index.replay(&letters).await.expect("an answer"), [Outcome::Indexed]);
        assert_eq!(
            index.replay(&letters).await.expect("an answer"),
            [Outcome::Duplicate],
            "its own _id again"
        );
        server.refresh().await;
        assert_eq!(open_letters(&index).await.expect("letters"), []);
        assert_eq!(total(&index, "bad").await, 1);
    })
    .await;
}

/// No OpenSearch here has ISM: against the shapes of its documentation.
#[tokio::test]
async fn the_retention_is_a_policy_of_ism_on_opensearch_and_an_update_names_what_it_replaces() {
    let requests = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let url = fake_server(move |request| {
        let is_policy = request.path.contains("_plugins/_ism/policies/weir-logs-default");
        match (&*request.method, is_policy) {
            ("GET", true) => {
                (200, json!({"_id": "x", "_seq_no": 7, "_primary_term": 2, "policy": {}}).to_string())
            }
            ("PUT", true) => {
                seen.lock().expect("no panic").push((request.path, request.body));
                (201, json!({"_id": "x", "_version": 2}).to_string())
            }
            ("GET", false) => (404, "{}".to_owned()),
            _ => (200, json!({"acknowledged": true}).to_string()),
        }
    })
    .await;
    let retention = Some(std::time::Duration::from_secs(30 * 24 * 3600));
    let settings = ElasticsearchSettings { urls: vec![url], retention, ..ElasticsearchSettings::default() };
    let index = Elasticsearch::connect(&settings).expect("a usable URL");
    index.setup().await.expect("installed");
    let requests = requests.lock().expect("no panic");
    let [(path, body)] = &requests[..] else { panic!("{requests:?}") };
    assert!(path.contains("if_seq_no=7") && path.contains("if_primary_term=2"), "{path}");
    let policy: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(policy["policy"]["ism_template"][0]["index_patterns"], json!(["logs-*-default"]));
    assert_eq!(policy["policy"]["states"][0]["transitions"][0]["conditions"]["min_rollover_age"], "30d");
    assert_eq!(policy["policy"]["states"][1]["actions"], json!([{"delete": {}}]));
}
