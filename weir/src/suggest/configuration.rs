//! The proposal as TOML, with a test made of a line of the sample.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use weir_config::Config;
use weir_shipper::cli::source_settings;

use super::{Record, Trial};
use crate::trial;

/// Fields of a test.
const EXPECTED_MAX: usize = 12;

/// Bytes of a record that a test is made of, at most, where there is a shorter one.
const INPUT_BYTES_MAX: usize = 2000;

/// Fields that depend on more than the line: its place, its zone, the moment, the source.
const PASSING: [&str; 9] = [
    "@timestamp",
    "event.created",
    "event.dataset",
    "event.ingested",
    "event.sequence",
    "host.name",
    "log.file.path",
    "log.offset",
    "service.name",
];

/// The whole proposal. It is read back, and its test is run, before it is shown.
pub(super) fn write(trial: &Trial<'_>, path: Option<&Path>, service: Option<&str>) -> anyhow::Result<String> {
    let mut out = String::from("[[source]]\n");
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    if let Some(service) = service {
        line(format!("service = {}", expanding(service)));
    }
    match path {
        Some(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            line(format!("paths = [{}]", expanding(&path.to_string_lossy())));
        }
        None => {
            line("# The sample came from standard input: say here which files hold such lines.".to_owned());
            line(format!("paths = [{}]", expanding(&format!("/var/log/{}.log", service.unwrap_or("app")))));
        }
    }
    match &trial.formats[..] {
        [] if trial.is_plain() => line("format = \"auto\"".to_owned()),
        [] => line(format!("format = \"{}\"", trial.detection.context("a format was found")?.format)),
        [format] => line(format!("format = {}", quoted(format))),
        several => {
            line("# Tried in this order; the first that matches counts.".to_owned());
            line("format = [".to_owned());
            several.iter().for_each(|format| line(format!("    {},", quoted(format))));
            line("]".to_owned());
        }
    }
    let tested = tested(&trial.records).context("no record can be tested")?;
    line(format!("\n[[source.test]]\ninput = {}", quoted(tested.text)));
    let expect: Vec<String> = expected(tested).collect();
    line(format!("expect = {{ {} }}", expect.join(", ")));
    verify(&out)?;
    Ok(out)
}

/// The record that says most, of those that are understood; else any.
fn tested<'r, 't>(records: &'r [Record<'t>]) -> Option<&'r Record<'t>> {
    let is_short = |record: &&Record<'_>| record.text.len() <= INPUT_BYTES_MAX;
    let fields = |record: &&Record<'_>| (record.is_understood(), record.document.len());
    // The first of those that are alike: the last one of a sample may be cut.
    records.iter().filter(is_short).rev().max_by_key(fields).or(records.first())
}

fn expected(record: &Record<'_>) -> impl Iterator<Item = String> {
    let is_passing = |name: &str| PASSING.contains(&name) || name.starts_with("data_stream.");
    let members = record.document.iter().filter(move |(name, _)| !is_passing(name));
    let scalars = members.filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) => quoted(text),
            Value::Number(number) if number.is_i64() || number.is_f64() => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            _ => return None,
        };
        Some(format!("{} = {value}", quoted(name)))
    });
    // A record of nothing but its text has that.
    scalars.take(EXPECTED_MAX)
}

/// What is proposed has to be accepted.
fn verify(configuration: &str) -> anyhow::Result<()> {
    let config = Config::from_toml(configuration, Path::new("suggestion"), &|_| None)?;
    for source in &config.sources {
        let settings = source_settings(source)?;
        for test in &source.tests {
            let outcome = trial::run(&settings, test)?;
            anyhow::ensure!(
                outcome.has_passed(),
                "the proposal does not read its own example as it read the sample:\n{}",
                outcome.render(false)
            );
        }
    }
    Ok(())
}

/// As [`quoted`], where `${..}` would be a variable.
fn expanding(text: &str) -> String {
    quoted(&text.replace("${", "$${"))
}

/// A TOML string: literal where that can be, so that patterns stay readable.
fn quoted(text: &str) -> String {
    if !text.contains('\'') && !text.chars().any(|character| character.is_control() && character != '\t') {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character.is_control() => {
                write!(out, "\\u{:04X}", u32::from(character)).expect("a String takes everything");
            }
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}
