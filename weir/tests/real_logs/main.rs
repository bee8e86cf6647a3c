//! Logs of programs that nobody here wrote: parsed without losing a word, and found.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_buffer::testing::{TestRedis, free_port};

mod apache;
#[expect(dead_code, reason = "documents come from the program here")]
#[path = "../../../shipper/tests/support/mod.rs"]
mod conservation;
mod haproxy;
mod mariadb;
mod nginx;
mod postgresql;
mod server;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/mod.rs"]
mod support;
mod syslog;

use conservation::words_lost;
use support::{Ended, Program, run, skip, text, until, write};

/// Of a large file, so much is looked at.
const BYTES_MAX: usize = 1 << 20;

/// Text files below a directory.
fn text_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::ok) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            text_files(&entry.path(), files);
        } else if kind.is_file() && std::fs::read(entry.path()).is_ok_and(|bytes| is_text(&bytes)) {
            files.push(entry.path());
        }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && !bytes.contains(&0)
        && std::str::from_utf8(&bytes[..bytes.len().min(4096) / 2]).is_ok()
}

/// The documents of a log that Weir has to understand whole: every record, and nothing of it lost.
fn understood(path: &Path) -> Vec<Value> {
    understood_as(path, &[])
}

/// The same with options of `weir parse`.
fn understood_as(path: &Path, options: &[&str]) -> Vec<Value> {
    let documents = documents_of_all(path, options);
    for document in &documents {
        assert!(!is_unparsed(document), "{}: {document}", path.display());
        assert!(document["@timestamp"].is_string(), "{}: {document}", path.display());
    }
    println!("{} records of {}", documents.len(), path.display());
    documents
}

/// Finds the first document whose message has these words, and compares the fields that are expected.
#[track_caller]
fn check_fields(documents: &[Value], words: &str, expected: &Value) {
    let has_words = |document: &&Value| document["message"].as_str().unwrap().contains(words);
    let Some(document) = documents.iter().find(has_words) else {
        panic!("{words:?} is in none of {documents:#?}");
    };
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&document[name], value, "{name} of {document:#}");
    }
}

/// As [`documents_of_all`], for logs that need not be understood whole. Returns how many records there are.
fn check_nothing_lost(path: &Path) -> usize {
    documents_of_all(path, &[]).len()
}

/// Parses what the lines of `path` say, and checks that nothing of it is lost.
fn documents_of_all(path: &Path, options: &[&str]) -> Vec<Value> {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(BYTES_MAX);
    let directory = tempfile::tempdir().unwrap();
    let copy = write(directory.path(), "copy.log", &bytes);
    let ended = run(&[&["parse"], options, &[text(&copy)]].concat());
    assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stderr);
    let documents: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut starts: Vec<usize> =
        documents.iter().map(|document| document["log.offset"].as_u64().unwrap() as usize).collect();
    starts.push(bytes.len());
    assert!(starts.is_sorted_by(|one, next| one < next), "{}: records overlap", path.display());
    let before = String::from_utf8_lossy(&bytes[..starts[0]]);
    assert!(before.trim().is_empty(), "{}: the first lines are lost: {before}", path.display());
    for (document, range) in documents.iter().zip(starts.windows(2)) {
        let record = String::from_utf8_lossy(&bytes[range[0]..range[1]]);
        check_record(path, &record, document);
    }
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert!(documents.len() <= lines, "{}", path.display());
    documents
}

fn is_unparsed(document: &Value) -> bool {
    document["tags"].as_array().is_some_and(|tags| tags.contains(&"unparsed".into()))
}

fn check_record(path: &Path, record: &str, document: &Value) {
    let record = record.trim_end_matches(['\n', '\r']);
    if is_unparsed(document) {
        let message = document["message"].as_str().unwrap();
        assert_eq!(message.trim_end(), record.trim_end(), "{}", path.display());
        return;
    }
    let lost = words_lost(record, document.as_object().unwrap());
    assert!(lost.is_empty(), "{}: {lost:?} of\n{record}\nis not in\n{document}", path.display());
}

#[test]
fn nothing_of_this_machines_own_logs_is_lost() {
    let mut files = Vec::new();
    text_files(Path::new("/var/log"), &mut files);
    if files.is_empty() {
        return skip("/var/log holds no text that can be read");
    }
    let records: usize = files.iter().map(|path| check_nothing_lost(path)).sum();
    println!("{records} records of {} files", files.len());
    assert!(records > 0);
}

#[test]
fn nothing_of_the_log_of_redis_is_lost() {
    if TestRedis::start().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("redis.log");
    let port = free_port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--logfile", text(&log)]);
    command.current_dir(directory.path()).stdin(Stdio::null());
    let mut redis = Program::start(command);
    let ready = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("eady to accept connections"));
    until("redis is ready", ready);
    redis.stop();
    assert!(check_nothing_lost(&log) >= 3);
    let parsed = run(&["parse", text(&log)]).stdout;
    let ready = parsed.lines().find(|line| line.contains("eady to accept connections")).unwrap();
    let ready: Value = serde_json::from_str(ready).unwrap();
    assert_eq!(ready["process.pid"], redis.id(), "{ready}");
    assert_eq!(ready["log.level"], "notice", "{ready}");
    assert_eq!(ready["service.name"], "redis");
}

#[test]
fn nothing_of_the_log_of_elasticsearch_is_lost() {
    if std::env::var("WEIR_TEST_ELASTICSEARCH").is_err() {
        return skip("WEIR_TEST_ELASTICSEARCH is not set");
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/search-server");
    let start = Ended::from(Command::new(list).args(["start", "elasticsearch9"]).output().unwrap());
    let Some(log) = start.stdout.lines().find_map(|line| line.strip_prefix("SEARCH_LOG=")) else {
        return skip("the Elasticsearch was not started by scripts/search-server");
    };
    assert!(check_nothing_lost(Path::new(log)) > 10);
}
