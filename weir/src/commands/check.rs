//! `weir check`: validates a configuration and runs its tests.

use std::io::Cursor;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use weir_config::{Fault, Scalar, SourceConfig, SourceTest};
use weir_process::{EXIT_WRONG, bad_use};
use weir_record::query::Query;
use weir_shipper::cli::{load, source_settings};

use super::lines;

/// Check a configuration and run its tests.
#[derive(Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// Every fault is printed with its place; then every test that fails, field by field.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = load(Some(&arguments.config))?;
    let faults: Vec<Fault> = config.sources.iter().flat_map(query_faults).collect();
    if !faults.is_empty() {
        return Err(bad_use(config.document.error(faults)));
    }
    let (mut passed, mut failed) = (0, 0);
    for source in &config.sources {
        for test in &source.tests {
            let differences = differences(source, test)?;
            if differences.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            let fault =
                Fault::new(test.input.span.clone(), format!("this test fails: {}", differences.join("; ")));
            eprintln!("{}", config.document.error(vec![fault]));
        }
    }
    let path = arguments.config.display();
    println!("{path}: {} sources, {passed} tests passed, {failed} failed", config.sources.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) })
}

fn query_faults(source: &SourceConfig) -> Vec<Fault> {
    let read = |query: &weir_config::Located<String>| {
        Query::parse(&query.value).err().map(|error| Fault::new(query.span.clone(), error.to_string()))
    };
    source.drop.iter().filter_map(read).collect()
}

/// What the document has that the test did not expect.
fn differences(source: &SourceConfig, test: &SourceTest) -> anyhow::Result<Vec<String>> {
    let mut documents = Vec::new();
    let mut input = Cursor::new(test.input.value.as_bytes());
    let settings = source_settings(source)?;
    lines::documents(&mut input, &settings, None, None, &mut |document| {
        documents.push(serde_json::from_slice::<Value>(document)?);
        Ok(())
    })?;
    let [document] = &documents[..] else {
        return Ok(vec![format!("the input makes {} records, not one", documents.len())]);
    };
    let differs = |(field, expected): (&String, &Scalar)| {
        let expected = to_json(expected);
        let found = document.get(field).cloned().unwrap_or(Value::Null);
        (found != expected).then(|| format!("`{field}` is {found}, expected {expected}"))
    };
    Ok(test.expect.iter().filter_map(differs).collect())
}

fn to_json(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text(text) => text.as_str().into(),
        Scalar::Integer(number) => (*number).into(),
        Scalar::Float(number) => (*number).into(),
        Scalar::Boolean(yes) => (*yes).into(),
    }
}
