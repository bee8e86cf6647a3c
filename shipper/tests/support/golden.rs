//! Golden files: their lines as records, and what they become.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use weir_shipper::parse::{
    Envelope, Export, Format, Parser, ParserSettings, Wrapping, is_blank, without_colours,
};

use crate::support::read_document;

/// 2026-11-21T12:00:00Z, when the files are read.
pub const READ_TIME: i64 = 1_795_262_400_000_000_000;
/// As much of a file as the shipper looks at first.
const SAMPLE_BYTES_MAX: usize = 64 * 1024;
/// A golden file.
pub struct Golden {
    pub path: PathBuf,
    pub name: String,
    pub text: Vec<u8>,
}

/// A record of a golden file, out of what a container engine has around its lines.
pub struct Record {
    pub text: Vec<u8>,
    pub envelope: Envelope<'static>,
}

pub fn golden_files() -> Vec<Golden> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&directory)
        .expect("the directory of the golden files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are golden files");
    let read = |path: PathBuf| Golden {
        name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
        text: std::fs::read(&path).expect("a golden file"),
        path,
    };
    paths.into_iter().map(read).collect()
}

impl Golden {
    pub fn settings(&self) -> ParserSettings {
        let Ok(text) = std::fs::read(self.path.with_extension("settings.json")) else {
            return ParserSettings::default();
        };
        let settings: HashMap<String, Value> = serde_json::from_slice(&text).expect("settings are JSON");
        let format = settings.get("format").map_or(Format::Auto, |name| {
            name.as_str().expect("a format's name").parse().expect("a known format")
        });
        let columns = settings.get("columns").and_then(Value::as_array).into_iter().flatten();
        let columns = columns.map(|name| name.as_str().expect("a column's name").to_owned()).collect();
        ParserSettings { format, columns, ..ParserSettings::default() }
    }

    /// The format that the file's name promises.
    pub fn promised(&self) -> Option<Format> {
        self.name.split('-').next()?.parse().ok()
    }

    /// The records of the file and their documents.
    pub fn documents(&self) -> Vec<(String, Map<String, Value>)> {
        let mut parser = Parser::new(&self.settings());
        let sample = self.text.get(..SAMPLE_BYTES_MAX).unwrap_or(&self.text);
        let detection = parser.detect(sample).expect("a golden file has lines");
        let is_told = self.settings().format != Format::Auto || self.wrapping().is_some();
        if let Some(promised) = self.promised().filter(|_| !is_told) {
            assert_eq!(detection.format, promised, "{}: {detection:?}", self.name);
        }
        let parse = |record: Record| {
            let document = document(&mut parser, &record);
            (String::from_utf8_lossy(&record.text).into_owned(), document)
        };
        self.records().into_iter().map(parse).collect()
    }

    /// What a container engine has around the lines.
    pub fn wrapping(&self) -> Option<Wrapping> {
        Wrapping::of(self.text.split(|byte| *byte == b'\n').next().expect("a line"))
    }

    /// The records of the file: its lines, unwrapped and joined as the shipper does it, without colours.
    pub fn records(&self) -> Vec<Record> {
        if let Some(wrapping) = self.wrapping() {
            return unwrapped(wrapping, &self.text);
        }
        let plain = |text: Vec<u8>| Record {
            text: without_colours(&text, &mut Vec::new()).to_vec(),
            envelope: Envelope::default(),
        };
        let joined = joined(&mut Parser::new(&self.settings()), &self.text);
        joined.into_iter().flat_map(exported).map(plain).collect()
    }

    pub fn expected(&self) -> Vec<Map<String, Value>> {
        let text = std::fs::read_to_string(self.path.with_extension("expected.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("an expectation is JSON")).collect()
    }

    pub fn bless(&self, documents: &[(String, Map<String, Value>)]) {
        let lines: String =
            documents.iter().map(|(_, document)| format!("{}\n", Value::Object(document.clone()))).collect();
        std::fs::write(self.path.with_extension("expected.jsonl"), lines).expect("written");
    }
}

/// A record's document, with the service that the line itself names.
pub fn document(parser: &mut Parser, record: &Record) -> Map<String, Value> {
    let mut out = Vec::new();
    let parsed = parser.parse_within(&record.text, record.envelope, READ_TIME, 0, &mut out);
    let service = parsed.service.map(Value::from);
    let mut document = read_document(&out);
    document.extend(service.map(|service| ("service.name".to_owned(), service)));
    document
}

/// What a container wrote: its lines, of which an engine cuts long ones into pieces that follow each other here. A
/// container inside a container is unwrapped twice.
fn unwrapped(wrapping: Wrapping, text: &[u8]) -> Vec<Record> {
    let (mut records, mut scratch, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let piece = wrapping.read(line, &mut scratch).expect("every line is wrapped");
        open.extend_from_slice(piece.text);
        if piece.is_partial {
            continue;
        }
        let envelope = Envelope { time: Some(piece.time), stream: Some(piece.stream), ..Envelope::default() };
        let text = without_colours(&open, &mut Vec::new()).to_vec();
        open.clear();
        let whole = Record { text, envelope };
        match Wrapping::of(&whole.text) {
            Some(inner) => records.extend(unwrapped(inner, &whole.text)),
            None => records.push(whole),
        }
    }
    records
}

/// The records of a line of OpenTelemetry's exporters, or the line.
fn exported(line: Vec<u8>) -> Vec<Vec<u8>> {
    let Some(export) = Export::read(&line, false) else { return vec![line] };
    let record = |at| {
        let mut text = String::new();
        export.write(at, &mut text);
        text.into_bytes()
    };
    (0..export.count()).map(record).collect()
}

/// The lines of a file, joined as the shipper joins them.
fn joined(parser: &mut Parser, text: &[u8]) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    let mut is_open = false;
    for line in text.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match records.last_mut().filter(|_| is_open) {
            Some(open) if parser.continues(open, line) => {
                open.push(b'\n');
                open.extend_from_slice(line);
            }
            // Blank lines are no records.
            _ if is_blank(line) => is_open = false,
            _ => {
                records.push(line.to_vec());
                is_open = parser.may_continue(line);
            }
        }
    }
    records
}
