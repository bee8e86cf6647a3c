//! The saved objects fit together and fit the schema, and their import is checked by Kibana's own answer.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Multipart, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use weir_dashboards::kibana::{ImportError, KibanaSettings, OBJECTS, import};
use weir_indexer::elasticsearch::Credentials;
use weir_record::Field;

/// The source field of counts.
const RECORDS: &str = "___records___";

fn objects() -> Vec<Value> {
    OBJECTS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Kibana keeps some objects as JSON inside strings.
fn inner(value: &Value) -> Value {
    serde_json::from_str(value.as_str().expect("stringified JSON")).unwrap()
}

fn panels(dashboard: &Value) -> Vec<Value> {
    inner(&dashboard["attributes"]["panelsJSON"]).as_array().unwrap().clone()
}

fn dashboard() -> Value {
    objects().into_iter().find(|object| object["type"] == "dashboard").expect("a dashboard")
}

fn key(value: &Value) -> (String, String) {
    (value["type"].as_str().unwrap().to_owned(), value["id"].as_str().unwrap().to_owned())
}

fn is_known(field: &str) -> bool {
    field == RECORDS || Field::from_name(field.as_bytes()).is_some()
}

#[test]
fn every_reference_points_to_an_object_of_the_file() {
    let objects = objects();
    let ids: HashSet<_> = objects.iter().map(key).collect();
    let mut references = 0;
    for object in &objects {
        for reference in object["references"].as_array().unwrap() {
            assert!(ids.contains(&key(reference)), "{reference}");
            references += 1;
        }
    }
    assert!(references >= 6, "{references}");
}

#[test]
fn every_object_states_the_oldest_versions_that_kibana_migrates() {
    let expected = [("index-pattern", "8.0.0"), ("search", "7.9.3"), ("dashboard", "8.9.0")];
    let found: Vec<_> = objects();
    assert_eq!(found.len(), expected.len());
    for (object, (kind, version)) in found.iter().zip(expected) {
        assert_eq!(object["type"], kind);
        assert_eq!(object["typeMigrationVersion"], version);
        assert_eq!(object["coreMigrationVersion"], "8.8.0");
    }
}

#[test]
fn every_panel_finds_what_it_refers_to() {
    let dashboard = dashboard();
    let named: HashSet<&str> =
        dashboard["references"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let mut used = 0;
    for panel in panels(&dashboard) {
        let index = panel["panelIndex"].as_str().unwrap();
        assert_eq!(panel["gridData"]["i"], panel["panelIndex"]);
        let grid = |name: &str| panel["gridData"][name].as_u64().unwrap();
        assert!(grid("x") + grid("w") <= 48, "{index} stands beyond the grid");
        let names: Vec<String> = match panel["panelRefName"].as_str() {
            Some(name) => vec![name.to_owned()],
            None => {
                let attributes = &panel["embeddableConfig"]["attributes"];
                attributes["references"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|one| one["name"].as_str().unwrap().to_owned())
                    .collect()
            }
        };
        for name in names {
            let full = format!("{index}:{name}");
            assert!(named.contains(full.as_str()), "{full}");
            used += 1;
        }
    }
    let search = inner(&dashboard["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]);
    for filter in search["filter"].as_array().unwrap() {
        assert!(named.contains(filter["meta"]["indexRefName"].as_str().unwrap()));
        assert!(is_known(filter["meta"]["key"].as_str().unwrap()));
        used += 1;
    }
    assert_eq!(used, named.len(), "the dashboard lists references that nothing uses");
}

#[test]
fn layers_columns_and_fields_agree() {
    let mut lenses = 0;
    for panel in panels(&dashboard()).iter().filter(|panel| panel["type"] == "lens") {
        let attributes = &panel["embeddableConfig"]["attributes"];
        let layers = attributes["state"]["datasourceStates"]["formBased"]["layers"].as_object().unwrap();
        for (id, layer) in layers {
            check_layer(id, layer, attributes);
        }
        lenses += 1;
    }
    assert_eq!(lenses, 3);
}

fn check_layer(id: &str, layer: &Value, attributes: &Value) {
    let columns = layer["columns"].as_object().unwrap();
    let order: HashSet<&str> =
        layer["columnOrder"].as_array().unwrap().iter().map(|column| column.as_str().unwrap()).collect();
    assert_eq!(order, columns.keys().map(String::as_str).collect(), "{id}");
    let reference = format!("indexpattern-datasource-layer-{id}");
    assert_eq!(attributes["references"][0]["name"], reference.as_str());
    for (name, column) in columns {
        let field = column["sourceField"].as_str().unwrap();
        assert!(is_known(field), "{name} uses {field}, which is not in the schema");
        if let Some(by) = column["params"]["orderBy"]["columnId"].as_str() {
            assert!(columns.contains_key(by), "{name} is ordered by {by}");
        }
    }
    let visualization = &attributes["state"]["visualization"];
    let mut shown = Vec::new();
    for layer in visualization["layers"].as_array().into_iter().flatten() {
        assert_eq!(layer["layerId"], id);
        shown.extend(
            [&layer["xAccessor"], &layer["splitAccessor"]].into_iter().filter(|name| !name.is_null()),
        );
        shown.extend(layer["accessors"].as_array().unwrap());
    }
    if let Some(table) = visualization["columns"].as_array() {
        assert_eq!(visualization["layerId"], id);
        shown.extend(table.iter().map(|column| &column["columnId"]));
    }
    let shown: HashSet<&str> = shown.into_iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(shown, columns.keys().map(String::as_str).collect(), "{id} shows other columns than it has");
}

#[test]
fn every_field_of_queries_and_columns_is_in_the_schema() {
    let mut checked = 0;
    let mut check = |query: &Value| {
        let text = query["query"].as_str().unwrap();
        // KQL: a field stands before " : ".
        for (before, _) in text.match_indices(" : ").map(|(at, _)| text.split_at(at)) {
            let field = before.rsplit([' ', '(']).next().unwrap();
            assert!(is_known(field), "{text}");
            checked += 1;
        }
        assert_eq!(text.matches(':').count(), text.matches(" : ").count(), "{text}");
    };
    for panel in panels(&dashboard()) {
        let query = &panel["embeddableConfig"]["attributes"]["state"]["query"];
        if !query.is_null() {
            check(query);
        }
    }
    assert!(checked > 0);
    let search = objects().into_iter().find(|object| object["type"] == "search").unwrap();
    let columns = search["attributes"]["columns"].as_array().unwrap().clone();
    for column in columns.iter().chain([&search["attributes"]["sort"][0][0]]) {
        assert!(is_known(column.as_str().unwrap()), "{column}");
    }
}

/// What the fake Kibana saw, and what it answers.
struct Kibana {
    answer: (StatusCode, Value),
    seen: Mutex<Vec<Seen>>,
}

#[derive(Debug, PartialEq)]
struct Seen {
    authorization: Option<String>,
    overwrite: Option<String>,
    file_name: String,
    content: String,
}

async fn imported(
    State(kibana): State<Arc<Kibana>>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    mut form: Multipart,
) -> (StatusCode, axum::Json<Value>) {
    if headers.get("kbn-xsrf").is_none() {
        let refusal = json!({"statusCode": 400, "error": "Bad Request", "message": "Request must contain a kbn-xsrf header."});
        return (StatusCode::BAD_REQUEST, axum::Json(refusal));
    }
    let file = form.next_field().await.unwrap().expect("a file");
    assert_eq!(file.name(), Some("file"));
    let seen = Seen {
        authorization: headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()),
        overwrite: parameters.iter().find(|(name, _)| name == "overwrite").map(|(_, value)| value.clone()),
        file_name: file.file_name().unwrap().to_owned(),
        content: file.text().await.unwrap(),
    };
    kibana.seen.lock().unwrap().push(seen);
    (kibana.answer.0, axum::Json(kibana.answer.1.clone()))
}

async fn start_kibana(status: StatusCode, answer: Value) -> (Arc<Kibana>, String) {
    let kibana = Arc::new(Kibana { answer: (status, answer), seen: Mutex::new(Vec::new()) });
    let router = Router::new()
        .route("/s/operations/api/saved_objects/_import", post(imported))
        .with_state(kibana.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/s/operations/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (kibana, url)
}

async fn import_from(status: StatusCode, answer: Value) -> Result<u64, ImportError> {
    let (_kibana, url) = start_kibana(status, answer).await;
    import(&KibanaSettings { url, ..KibanaSettings::default() }).await
}

#[tokio::test]
async fn the_import_sends_the_objects_as_a_file_with_the_headers_kibana_wants() {
    let (kibana, url) = start_kibana(StatusCode::OK, json!({"success": true, "successCount": 3})).await;
    let credentials = Some(Credentials::ApiKey("aWQ6a2V5".to_owned()));
    let count = import(&KibanaSettings { url, credentials, certificates: Vec::new() }).await.unwrap();
    assert_eq!(count, 3);
    let expected = Seen {
        authorization: Some("ApiKey aWQ6a2V5".to_owned()),
        overwrite: Some("true".to_owned()),
        file_name: "weir.ndjson".to_owned(),
        content: OBJECTS.to_owned(),
    };
    assert_eq!(*kibana.seen.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn an_answer_200_with_success_false_is_a_failure_that_names_the_objects() {
    let answer = json!({
        "success": false, "successCount": 2,
        "errors": [{"type": "dashboard", "id": "weir-overview", "error": {"type": "missing_references", "references": []}}],
    });
    let error = import_from(StatusCode::OK, answer).await.unwrap_err();
    assert!(
        error.to_string().ends_with("did not import dashboard weir-overview: missing_references"),
        "{error}"
    );
    assert!(!error.is_transient());
}

#[tokio::test]
async fn refused_credentials_other_servers_and_silence_are_told_apart() {
    let denied = import_from(StatusCode::UNAUTHORIZED, json!({"message": "no"})).await.unwrap_err();
    assert!(matches!(denied, ImportError::Denied { .. }), "{denied}");
    let other = import_from(StatusCode::OK, json!({"name": "not Kibana"})).await.unwrap_err();
    assert!(matches!(other, ImportError::Unexpected { .. }), "{other}");
    let starting = import_from(StatusCode::SERVICE_UNAVAILABLE, json!("Kibana server is not ready yet"))
        .await
        .unwrap_err();
    assert!(starting.is_transient(), "{starting}");
    let nobody = "http://user:secret@127.0.0.1:1".to_owned();
    let settings = KibanaSettings { url: nobody, ..KibanaSettings::default() };
    let silent = import(&settings).await.unwrap_err();
    assert!(matches!(silent, ImportError::Unreachable { .. }) && silent.is_transient(), "{silent}");
    assert!(!format!("{silent} {silent:?}").contains("secret"));
}
