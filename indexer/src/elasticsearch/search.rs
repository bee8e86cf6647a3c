//! Searching data streams.

use std::time::{Duration, Instant};

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use weir_record::Field;
use weir_record::schema::{ATTRIBUTES, Kind};

use super::nodes::{Answer, Content, Nodes, Request};
use super::query::translate;
use super::server::Server;
use super::{ElasticsearchSettings, dead_letter_stream, stream_pattern};
use crate::index::IndexError;
use crate::letter::DEAD_LETTER_DATASET;
use crate::search::{
    Aggregation, AggregationResult, BUCKETS_MAX, Cursor, FieldInfo, FieldKind, Hit, LIMIT_MAX, Order,
    SearchError, SearchRequest, SearchResponse, TimeBucket, countable, wants_dead_letters,
};

const TIMEOUT: Duration = Duration::from_secs(30);
const NANOS_PER_MILLISECOND: i64 = 1_000_000;

#[derive(Deserialize)]
struct SearchAnswer {
    hits: Hits,
    #[serde(default)]
    aggregations: Map<String, Value>,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
    #[serde(default)]
    hits: Vec<RawHit>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct RawHit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source")]
    source: Box<RawValue>,
    sort: Box<RawValue>,
}

/// Runs `request` over all streams of the settings.
pub(super) async fn search(
    nodes: &Nodes,
    settings: &ElasticsearchSettings,
    request: &SearchRequest,
) -> Result<SearchResponse, SearchError> {
    let started = Instant::now();
    let body = body_of(request)?;
    let path = format!("{}/_search", indices(settings, wants_dead_letters(&request.query)));
    let parameters = [
        ("ignore_unavailable", "true"),
        ("allow_partial_search_results", "false"),
        ("filter_path", "hits.total,hits.hits._id,hits.hits._source,hits.hits.sort,aggregations"),
    ];
    let answer = send(nodes, Method::Post, &path, &parameters, Some(body)).await?;
    let answer: SearchAnswer = read(&answer)?;
    let hits = answer.hits.hits.into_iter().map(hit).collect::<Result<_, _>>()?;
    let aggregations = request
        .aggregations
        .iter()
        .enumerate()
        .map(|(index, asked)| result_of(asked, answer.aggregations.get(&index.to_string())))
        .collect();
    Ok(SearchResponse { total: answer.hits.total.value, hits, aggregations, took: started.elapsed() })
}

/// The fields of all streams; where the server cannot tell, also those that no document has.
pub(super) async fn fields(
    nodes: &Nodes,
    server: &Server,
    settings: &ElasticsearchSettings,
) -> Result<Vec<FieldInfo>, SearchError> {
    let path = format!("{}/_field_caps", indices(settings, false));
    let mut parameters = vec![("fields", "*"), ("ignore_unavailable", "true")];
    if server.knows_empty_fields() {
        parameters.push(("include_empty_fields", "false"));
    }
    let answer = send(nodes, Method::Get, &path, &parameters, None).await?;
    let answer: Value = read(&answer)?;
    let fields = answer.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut fields: Vec<FieldInfo> = fields
        .into_iter()
        .filter(|(name, _)| !name.starts_with('_'))
        .filter_map(|(name, types)| Some(FieldInfo { kind: kind_of(&name, &types)?, name }))
        .collect();
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(fields)
}

fn kind_of(name: &str, types: &Value) -> Option<FieldKind> {
    if let Some(field) = Field::from_name(name.as_bytes()) {
        return Some(FieldKind::of(field.kind()));
    }
    let kind = types.as_object()?.keys().find(|kind| *kind != "unmapped")?;
    Some(match kind.as_str() {
        "object" | "nested" => return None,
        "keyword" | "constant_keyword" | "wildcard" => FieldKind::Keyword,
        "text" | "match_only_text" => FieldKind::Text,
        "long" | "integer" | "short" | "byte" | "double" | "float" | "half_float" | "scaled_float"
        | "unsigned_long" => FieldKind::Number,
        "boolean" => FieldKind::Boolean,
        "date" | "date_nanos" => FieldKind::Date,
        "ip" => FieldKind::Ip,
        _ => FieldKind::Other,
    })
}

/// All log streams, without the dead letters unless they are wanted. Of a data stream only a pattern can be left
/// out: both servers overlook the exact name.
fn indices(settings: &ElasticsearchSettings, dead_letters: bool) -> String {
    let streams = stream_pattern(settings);
    if dead_letters {
        format!("{streams},{}", dead_letter_stream(settings))
    } else {
        format!("{streams},-logs-{DEAD_LETTER_DATASET}-*")
    }
}

async fn send(
    nodes: &Nodes,
    method: Method,
    path: &str,
    parameters: &[(&str, &str)],
    body: Option<Value>,
) -> Result<Answer, SearchError> {
    let body = body.map(|body| (Content::Json, Bytes::from(body.to_string())));
    let answer = nodes
        .send(Request { method, path, parameters, body, timeout: TIMEOUT })
        .await
        .map_err(|error| SearchError::Unavailable(error.to_string()))?;
    match answer.status {
        200 => Ok(answer),
        400..=499 if answer.status != 429 => Err(SearchError::Refused(answer.reason())),
        _ => Err(SearchError::Unavailable(answer.into_error().to_string())),
    }
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Answer) -> Result<T, SearchError> {
    serde_json::from_slice(&answer.body).map_err(|error| {
        let error = IndexError::Unusable { node: answer.node.clone(), reason: error.to_string() };
        SearchError::Unexpected(error.to_string())
    })
}

fn body_of(request: &SearchRequest) -> Result<Value, SearchError> {
    if request.limit > LIMIT_MAX {
        return Err(SearchError::Refused(format!("a search returns {LIMIT_MAX} records at most")));
    }
    let mut body = json!({
        "size": request.limit,
        "track_total_hits": true,
        "query": translate(&request.query, request.from, request.until),
        "sort": sort_of(request.order),
    });
    if let Some(after) = &request.after {
        body["search_after"] = serde_json::from_str(&after.0)
            .map_err(|_| SearchError::Refused("the cursor is not one of this index".to_owned()))?;
    }
    let mut aggregations = Map::new();
    for (index, aggregation) in request.aggregations.iter().enumerate() {
        aggregations.insert(index.to_string(), aggregation_of(aggregation)?);
    }
    if !aggregations.is_empty() {
        body["aggs"] = Value::Object(aggregations);
    }
    Ok(body)
}

/// `_id` cannot be sorted by: host, file and sequence together are one record.
fn sort_of(order: Order) -> Value {
    let order = match order {
        Order::NewestFirst => "desc",
        Order::OldestFirst => "asc",
    };
    let by = |field: Field, kind: &str| json!({field.name(): {"order": order, "unmapped_type": kind}});
    json!([
        {Field::Timestamp.name(): {
            "order": order, "unmapped_type": "date_nanos", "numeric_type": "date_nanos",
        }},
        by(Field::EventSequence, "long"),
        by(Field::LogFilePath, "keyword"),
        by(Field::HostName, "keyword"),
    ])
}

fn aggregation_of(aggregation: &Aggregation) -> Result<Value, SearchError> {
    match aggregation {
        Aggregation::Terms { field, size } => terms(field, *size),
        Aggregation::DateHistogram { interval, split } => {
            let mut value = json!({"date_histogram": {
                "field": Field::Timestamp.name(),
                "fixed_interval": format!("{}ms", interval.as_millis().max(1)),
                "min_doc_count": 1,
            }});
            if let Some((field, size)) = split {
                value["aggs"] = json!({"split": terms(field, *size)?});
            }
            Ok(value)
        }
    }
}

fn terms(field: &str, size: usize) -> Result<Value, SearchError> {
    let field = countable(field)?.to_string();
    Ok(json!({"terms": {"field": field, "size": size.clamp(1, BUCKETS_MAX)}}))
}

fn result_of(asked: &Aggregation, result: Option<&Value>) -> AggregationResult {
    let buckets = result.and_then(|result| result.get("buckets")).and_then(Value::as_array);
    let buckets = buckets.map(Vec::as_slice).unwrap_or_default();
    match asked {
        Aggregation::Terms { .. } => {
            let other = result.and_then(|result| result.get("sum_other_doc_count")).and_then(Value::as_u64);
            AggregationResult::Terms {
                buckets: buckets.iter().map(value_count).collect(),
                other: other.unwrap_or(0),
            }
        }
        Aggregation::DateHistogram { .. } => {
            AggregationResult::DateHistogram { buckets: buckets.iter().map(time_bucket).collect() }
        }
    }
}

fn count_of(bucket: &Value) -> u64 {
    bucket.get("doc_count").and_then(Value::as_u64).unwrap_or(0)
}

fn value_count(bucket: &Value) -> (String, u64) {
    let value = match bucket.get("key_as_string").or_else(|| bucket.get("key")) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    (value, count_of(bucket))
}

fn time_bucket(bucket: &Value) -> TimeBucket {
    let milliseconds = bucket.get("key").and_then(Value::as_i64).unwrap_or(0);
    let split = bucket.pointer("/split/buckets").and_then(Value::as_array);
    TimeBucket {
        start: milliseconds.saturating_mul(NANOS_PER_MILLISECOND),
        count: count_of(bucket),
        split: split.map(|buckets| buckets.iter().map(value_count).collect()).unwrap_or_default(),
    }
}

fn hit(hit: RawHit) -> Result<Hit, SearchError> {
    let RawHit { id, source, sort } = hit;
    Ok(Hit { id, cursor: Cursor(sort.get().to_owned()), document: flat(source)? })
}

/// A source is as it was sent, flat; one that the server put together itself may be nested, and is made flat.
fn flat(source: Box<RawValue>) -> Result<Box<RawValue>, SearchError> {
    let unexpected = |error: serde_json::Error| SearchError::Unexpected(error.to_string());
    let members: Vec<(String, &RawValue)> = members_of(source.get()).map_err(unexpected)?;
    if !members.iter().any(|(name, value)| is_nested(name, value)) {
        return Ok(source);
    }
    let mut flat = String::from("{");
    for (name, value) in members {
        push_flat(&mut flat, &name, value).map_err(unexpected)?;
    }
    if flat.ends_with(',') {
        flat.pop();
    }
    flat.push('}');
    RawValue::from_string(flat).map_err(unexpected)
}

fn push_flat(out: &mut String, name: &str, value: &RawValue) -> serde_json::Result<()> {
    if is_nested(name, value) {
        for (key, member) in members_of(value.get())? {
            push_flat(out, &format!("{name}.{key}"), member)?;
        }
    } else {
        out.push_str(&serde_json::to_string(name)?);
        out.push(':');
        out.push_str(value.get());
        out.push(',');
    }
    Ok(())
}

/// Objects are values only below `attributes`, and where the schema has an object.
fn is_nested(name: &str, value: &RawValue) -> bool {
    let is_object = Field::from_name(name.as_bytes()).is_some_and(|field| field.kind() == Kind::Flattened);
    let below_attributes = name.strip_prefix(ATTRIBUTES).is_some_and(|rest| rest.starts_with('.'));
    value.get().starts_with('{') && !is_object && !below_attributes
}

/// The members of an object, in their order.
fn members_of(object: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde::de::Deserializer::deserialize_map(&mut serde_json::Deserializer::from_str(object), Members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let source = RawValue::from_string(source.to_owned()).expect("JSON");
        assert_eq!(flat(source).expect("an object").get(), expected);
    }

    #[test]
    fn a_flat_source_stays_as_it_is_and_a_nested_one_is_made_flat() {
        check(r#"{"b" : 1.0, "attributes.a":{"b":1}}"#, r#"{"b" : 1.0, "attributes.a":{"b":1}}"#);
        check(
            r#"{"log":{"level":"info","file":{"path":"/x"}},"attributes":{"a":{"b":1}},"unmapped":{"c":2},"m":1}"#,
            r#"{"log.level":"info","log.file.path":"/x","attributes.a":{"b":1},"unmapped":{"c":2},"m":1}"#,
        );
        check(r#"{"empty":{}}"#, "{}");
    }
}
