//! `weir dead` over an index in a directory.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use weir_indexer::embedded::{Embedded, EmbeddedSettings};
use weir_indexer::{DeadLetter, Index as _, Search as _, SearchRequest};
use weir_record::Query;

const TIME: i64 = 1_795_132_800_000_000_000;

fn open(data: &Path) -> Embedded {
    let settings = EmbeddedSettings {
        data: data.to_owned(),
        retention: Duration::from_secs(100 * 365 * 24 * 3600),
        max_bytes: u64::MAX,
        namespace: "default".to_owned(),
    };
    Embedded::open(&settings).expect("an index")
}

fn letter(number: u32, reason: &str, document: &str) -> DeadLetter {
    DeadLetter {
        id: format!("id-{number}"),
        target: "logs-shop-default".to_owned(),
        pipeline: None,
        document: document.as_bytes().to_vec().into(),
        status: 400,
        reason: reason.to_owned(),
        attempts: 1,
        first_time: TIME,
        time: TIME + i64::from(number),
        replays: 0,
    }
}

fn good(number: u32) -> String {
    format!(
        r#"{{"@timestamp":"2026-11-20T00:00:00.000Z","message":"order {number}","service.name":"shop","data_stream.dataset":"shop"}}"#
    )
}

fn weir(data: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("dead")
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("weir runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

fn total(data: &Path, query: &str) -> u64 {
    let index = open(data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let request = SearchRequest::new(Query::parse(query).expect(query));
    runtime.block_on(index.search(&request)).expect("an answer").total
}

/// Three good documents that were refused for two reasons, one that is bad for ever, and a frame.
fn fill(data: &Path) {
    let index = open(data);
    let letters = [
        letter(1, "mapper_parsing_exception: no \u{1b}[2J", &good(1)),
        letter(2, "mapper_parsing_exception: neither", &good(2)),
        letter(3, "illegal_argument_exception: too many fields", &good(3)),
        letter(4, "document_parsing_exception: no JSON", "{not json"),
        DeadLetter { target: "frame".to_owned(), ..letter(5, "the checksum is wrong", "AAAA") },
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(index.dead_letters(&letters)).expect("written");
}

#[test]
fn letters_are_listed_by_reason_and_shown_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    fill(directory.path());
    let (code, out, summary) = weir(directory.path(), &["list", "--json"]);
    assert_eq!(code, Some(0), "{summary}");
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let count = |kind: &str| rows.iter().find(|row| row["reason"] == kind).map(|row| row["count"].clone());
    assert_eq!(rows.len(), 4, "{out}");
    assert_eq!(count("mapper_parsing_exception"), Some(Value::from(2)));
    assert!(summary.contains("5 dead letters"), "{summary}");

    let (_, out, _) = weir(directory.path(), &["list"]);
    assert!(!out.contains('\u{1b}'), "a terminal would obey: {out}");
    let (_, out, _) = weir(directory.path(), &["show", "--json", "--reason", "too many fields"]);
    let shown: Value = serde_json::from_str(&out).expect("one letter");
    assert_eq!(shown["document"]["message"], "order 3");
    assert_eq!((&shown["stream"], &shown["status"]), (&Value::from("logs-shop-default"), &Value::from(400)));
}

#[test]
fn a_replay_stores_what_is_taken_now_and_keeps_the_rest_until_it_has_been_tried_enough() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path();
    fill(data);
    let (code, out, _) = weir(data, &["replay", "--dry-run"]);
    assert_eq!((code, out.contains("mapper_parsing_exception")), (Some(0), true), "{out}");
    assert_eq!(total(data, ""), 0, "a dry run sends nothing");

    let (code, out, summary) = weir(data, &["replay", "--reason", "mapper_parsing", "--rate", "1000/s"]);
    assert_eq!((code, out.trim()), (Some(0), "2 stored, 0 refused again, 0 not taken now"), "{summary}");
    assert_eq!(total(data, "service:shop"), 2);
    let (code, out, summary) = weir(data, &["replay"]);
    assert_eq!((code, out.trim()), (Some(1), "1 stored, 1 refused again, 0 not taken now"));
    assert!(summary.contains("1 are frames"), "{summary}");
    assert_eq!(total(data, "service:shop"), 3, "none is stored twice");

    for _ in 0..2 {
        let (_, out, _) = weir(data, &["replay"]);
        assert_eq!(out.trim(), "0 stored, 1 refused again, 0 not taken now");
    }
    let (code, out, summary) = weir(data, &["replay"]);
    assert_eq!((code, out.trim()), (Some(1), "0 stored, 0 refused again, 0 not taken now"));
    assert!(summary.contains("refused each time"), "{summary}");
    let (_, out, _) = weir(data, &["replay", "--force"]);
    assert_eq!(out.trim(), "0 stored, 1 refused again, 0 not taken now");
    let (_, out, _) = weir(data, &["show", "--json", "--reason", ""]);
    assert_eq!(out.lines().count(), 2, "the bad one and the frame: {out}");
}

#[test]
fn an_index_that_is_in_use_is_not_replayed_into() {
    let directory = tempfile::tempdir().expect("a directory");
    let _running = open(directory.path());
    let (code, _, error) = weir(directory.path(), &["replay"]);
    assert_eq!(code, Some(2), "{error}");
}
