//! Redaction and shaping on the way from a file to the buffer, as the configuration says them.

use std::path::Path;

use serde_json::Value;
use weir_config::Config;
use weir_record::frame::Decoder;
use weir_record::{FileIdentity, FileKey, FrameBuilder, Group, SourceId};
use weir_shipper::cli::source_settings;
use weir_shipper::follow::records::{Assembler, AtEnd, RecordCounts, Sink};

/// The documents of these lines, and what was counted.
fn ship(configuration: &str, text: &str) -> (Vec<Value>, RecordCounts) {
    let toml = format!("[[source]]\npaths = [\"/var/log/app.log\"]\n{configuration}");
    let config = Config::from_toml(&toml, Path::new("weir.toml"), &|_| None).expect("a configuration");
    let source = source_settings(&config.sources[0]).expect("settings");
    let identity = FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 0 };
    let key = FileKey::new(SourceId::from_name("test"), &identity);
    let mut builder = FrameBuilder::new(key, 0, 0).expect("a builder");
    let mut assembler = Assembler::new(&source, Some("web-1"), Some(Path::new("/var/log/app.log")));
    let mut frames = Vec::new();
    let mut sink = Sink { builder: &mut builder, frames: &mut frames, read_time: 0 };
    let mut offset = 0;
    // Two seconds between the lines' reading: windows end.
    for line in text.split_inclusive('\n') {
        let taken = assembler.take(line.as_bytes(), offset, AtEnd::All, &mut sink);
        assert_eq!(taken.bytes, line.len());
        offset += line.len() as u64;
        sink.read_time += if line.contains("PAUSE") { 2_000_000_000 } else { 0 };
    }
    builder.finish(offset, 0, &mut frames);
    let mut decoder = Decoder::new().expect("a decoder");
    let mut documents = Vec::new();
    for frame in &frames {
        let decoded = decoder.decode(&frame.bytes).expect("a frame");
        for record in decoded.records() {
            let (dataset, fields) = decoded.groups[record.group];
            let (_, fields) = Group::split_pipeline(fields);
            let text =
                format!("{{{},{fields},\"dataset\":{dataset:?}}}", String::from_utf8_lossy(record.document));
            documents.push(serde_json::from_str(&text).expect("JSON"));
        }
    }
    (documents, assembler.counts())
}

fn text<'d>(document: &'d Value, field: &str) -> &'d str {
    document[field].as_str().unwrap_or_default()
}

#[test]
fn what_is_redacted_is_in_no_field_and_is_tagged_and_counted() {
    let line = "{\"msg\":\"login of a@example.com\",\"password\":\"hunter2\",\"ssn\":\"123\",\"ok\":true}\n";
    let bytes = [line.as_bytes(), b"plain caf\xe9 password=hunter2 4111 1111 1111 1111\n"].concat();
    let configuration = "redact = [\"secrets\", \"email\", \"card\"]\nredact_fields = [\"ssn\"]";
    let (documents, counts) = ship(configuration, line);
    assert_eq!(text(&documents[0], "message"), "login of [redacted:email]");
    assert_eq!(text(&documents[0], "attributes.password"), "[redacted:secret]");
    assert_eq!(text(&documents[0], "attributes.ssn"), "[redacted:own]");
    assert_eq!(documents[0]["tags"][0], "redacted");
    assert_eq!(counts.redacted, [1, 1, 0, 1]);
    assert!(!documents[0].to_string().contains("hunter2"));
    // The bytes of a line that is no UTF-8 are kept, but not what was taken out of them.
    let (documents, _) = ship(configuration, &String::from_utf8_lossy(&bytes));
    assert!(!documents.iter().any(|document| document.to_string().contains("hunter2")));
}

#[test]
fn a_clean_line_is_as_it_would_be_without_redaction() {
    let line = "2026-11-21T10:00:00Z INFO started in 12ms\n";
    let (clean, counts) = ship("redact = [\"secrets\", \"email\", \"card\"]", line);
    assert_eq!((&clean, counts.redacted), (&ship("", line).0, [0; 4]));
}

#[test]
fn the_rule_that_the_reference_configuration_shows_drops() {
    let configuration = "drop = ['log.level == \"debug\"']";
    let (documents, counts) = ship(configuration, "{\"level\":\"debug\"}\n{\"level\":\"info\"}\n");
    assert_eq!((documents.len(), counts.dropped), (1, 1));
}

#[test]
fn a_short_name_of_its_own_target_is_the_attribute_of_that_name() {
    let configuration = "[[source.shape]]\nrename = { user = \"user.name\" }";
    let (documents, _) = ship(configuration, "{\"msg\":\"hi\",\"user\":\"anna\"}\n");
    assert_eq!((text(&documents[0], "user.name"), text(&documents[0], "attributes.user")), ("anna", ""));
}

#[test]
fn steps_are_done_in_their_order_under_their_conditions() {
    let configuration = r#"
[[source.shape]]
rename = { lvl = "level", "attributes.client" = "source.ip" }
[[source.shape]]
when = 'level:error'
set = { "attributes.alert" = "{message} on {host.name}" }
[[source.shape]]
route = "audit_{attributes.area}"
[[source.shape]]
remove = "attributes.area"
[[source.shape]]
when = 'message:health'
drop = true
"#;
    let lines = concat!(
        "{\"msg\":\"boom\",\"lvl\":\"E\",\"client\":\"10.0.0.1\",\"area\":\"Pay\"}\n",
        "{\"msg\":\"health\",\"lvl\":\"info\"}\n",
        "{\"msg\":\"fine\",\"lvl\":\"info\",\"client\":\"nobody\"}\n",
    );
    let (documents, counts) = ship(configuration, lines);
    assert_eq!(documents.len(), 2);
    assert_eq!(text(&documents[0], "log.level"), "error");
    assert_eq!(text(&documents[0], "source.ip"), "10.0.0.1");
    assert_eq!(text(&documents[0], "attributes.alert"), "boom on web-1");
    assert_eq!(text(&documents[0], "dataset"), "audit_pay");
    assert!(documents[0].get("attributes.area").is_none());
    assert_eq!(text(&documents[1], "attributes.client"), "nobody");
    assert_eq!(text(&documents[1], "dataset"), "app");
    assert_eq!((counts.records, counts.cut), (3, [1, 0, 0, 0]));
}

#[test]
fn what_a_limit_cuts_is_told_by_a_record_of_its_own() {
    let configuration = "[[source.shape]]\nrate_limit = \"2/s\"\nper = \"attributes.user\"\n";
    let mut lines = String::new();
    for number in 0..10 {
        lines.push_str(&format!("{{\"msg\":\"m{number}\",\"user\":\"u1\"}}\n"));
    }
    lines.push_str("{\"msg\":\"PAUSE\",\"user\":\"u2\"}\n{\"msg\":\"later\",\"user\":\"u1\"}\n");
    let (documents, counts) = ship(configuration, &lines);
    let messages: Vec<&str> = documents.iter().map(|document| text(document, "message")).collect();
    let notice = "weir: 8 records of u1 were cut by the rate limit";
    assert_eq!(messages, ["m0", "m1", "PAUSE", "later", notice]);
    assert_eq!(counts.cut, [0, 0, 8, 0]);
}

#[test]
fn wrong_steps_are_said_with_what_is_wrong() {
    let fault = |configuration: &str| {
        let toml = format!("[[source]]\npaths = [\"/x.log\"]\n{configuration}");
        match Config::from_toml(&toml, Path::new("weir.toml"), &|_| None) {
            Ok(config) => source_settings(&config.sources[0]).expect_err("a fault").to_string(),
            Err(error) => error.to_string(),
        }
    };
    for (configuration, words) in [
        ("redact = [\"secret\"]", "`secret` is no value of `redact`"),
        ("redact_patterns = [\"(\"]", "the redaction pattern `(` cannot be used"),
        ("[[source.shape]]\nwhen = 'a:'\ndrop = true", "when `a:`"),
        ("[[source.shape]]\nwhen = 'a:b'", "this step does nothing"),
        ("[[source.shape]]\ndrop = true\nsample = \"1%\"", "this step does several things"),
        ("[[source.shape]]\nset = { \"log.offset\" = \"1\" }", "`log.offset` cannot be changed"),
        ("[[source.shape]]\nconvert = { a = \"int\" }", "`int` is no type"),
        ("[[source.shape]]\nsample = \"ten\"", "`ten` is no share"),
        ("[[source.shape]]\nrate_limit = \"10\"", "`10` is no rate"),
        ("[[source.shape]]\nparse = { a = \"jsn\" }", "jsn"),
    ] {
        let said = fault(configuration);
        assert!(said.contains(words), "{configuration}: {said}");
    }
}

#[test]
fn a_pipeline_is_named_by_its_source_and_what_cannot_be_one_is_refused() {
    let source = |configuration: &str| {
        let toml = format!("[[source]]\npaths = [\"/x\"]\n{configuration}");
        let config = Config::from_toml(&toml, Path::new("weir.toml"), &|_| None).expect("a configuration");
        source_settings(&config.sources[0]).map(|settings| settings.pipeline)
    };
    assert_eq!(source("").expect("settings"), None);
    assert_eq!(source("pipeline = \"geo-v2\"").expect("settings").as_deref(), Some("geo-v2"));
    for odd in ["", "two words", "a\\\"b", "a\\\\b"] {
        let error = source(&format!("pipeline = \"{odd}\"")).expect_err("no name").to_string();
        assert!(error.starts_with("pipeline: "), "{error}");
    }
    // It is no field of the records.
    let (documents, _) = ship("pipeline = \"geo-v2\"", "hello\n");
    assert!(!documents[0].to_string().contains("geo-v2"), "{}", documents[0]);
}
