//! `weir check`: validates a configuration and runs its tests.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use weir_config::{Config, Fault, InputConfig, Located, Multiline, RedactConfig, SourceConfig, SourceTest};
use weir_process::{EXIT_WRONG, bad_use};
use weir_shipper::cli::{load, source_settings};

use crate::trial;

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
    let mut faults = line_faults(&config);
    if !faults.is_empty() {
        faults.sort_by_key(|fault| fault.span.start);
        return Err(bad_use(config.document.error(faults)));
    }
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (mut passed, mut failed) = (0, 0);
    for source in &config.sources {
        let settings = source_settings(source)?;
        for test in &source.tests {
            let outcome = trial::run(&settings, test)?;
            if outcome.has_passed() {
                passed += 1;
                continue;
            }
            failed += 1;
            eprintln!("{}\n{}\n", headline(&config, source, test), outcome.render(colours));
        }
    }
    let path = arguments.config.display();
    println!("{path}: {} sources, {passed} tests passed, {failed} failed", config.sources.len());
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) })
}

fn headline(config: &Config, source: &SourceConfig, test: &SourceTest) -> String {
    let name = source.service.as_deref().or(source.paths.first().map(|path| path.value.as_str()));
    let message = format!("a test of {} fails", name.unwrap_or("a source"));
    config.document.error(vec![Fault::new(test.input.span.clone(), message)]).to_string()
}

/// What the configuration's reader does not look into: patterns, queries, names of fields.
fn line_faults(config: &Config) -> Vec<Fault> {
    let sources = config.sources.iter().flat_map(parts);
    sources
        .chain(config.inputs.iter().map(as_source).flat_map(|source| parts(&source)))
        .filter_map(fault)
        .collect()
}

/// An input says the same of its lines as a source does.
fn as_source(input: &InputConfig) -> SourceConfig {
    SourceConfig {
        multiline: input.multiline.clone().unwrap_or_default(),
        timezone: input.timezone.clone(),
        redact: input.redact.clone(),
        shape: input.shape.clone(),
        drop: input.drop.clone(),
        ..SourceConfig::default()
    }
}

/// A part of a source, by itself: whatever is wrong with it is wrong where it stands.
type Part = Located<SourceConfig>;

fn fault(part: Part) -> Option<Fault> {
    source_settings(&part.value).err().map(|error| Fault::new(part.span, format!("{error:#}")))
}

fn parts(source: &SourceConfig) -> Vec<Part> {
    let none = SourceConfig::default;
    let mut parts = Vec::new();
    let mut add = |span: &std::ops::Range<usize>, value| parts.push(Located { value, span: span.clone() });
    for file in &source.pattern_files {
        add(&file.span, SourceConfig { pattern_files: vec![file.clone()], ..none() });
    }
    for pattern in &source.format_patterns {
        let (patterns, files) = (source.patterns.clone(), readable(&source.pattern_files));
        let format_patterns = vec![pattern.clone()];
        add(&pattern.span, SourceConfig { format_patterns, patterns, pattern_files: files, ..none() });
    }
    if let Multiline::Own { start, continues } = &source.multiline {
        for (start, continues) in [(start, &None), (&None, continues)] {
            if let Some(pattern) = start.as_ref().or(continues.as_ref()) {
                let multiline = Multiline::Own { start: start.clone(), continues: continues.clone() };
                add(&pattern.span, SourceConfig { multiline, ..none() });
            }
        }
    }
    add(&source.timezone.span, SourceConfig { timezone: source.timezone.clone(), ..none() });
    add(&source.encoding.span, SourceConfig { encoding: source.encoding.clone(), ..none() });
    for pattern in &source.redact.patterns {
        let redact = RedactConfig { patterns: vec![pattern.clone()], ..RedactConfig::default() };
        add(&pattern.span, SourceConfig { redact, ..none() });
    }
    if let Some(key) = &source.redact.key {
        let redact = RedactConfig { key: source.redact.key.clone(), ..RedactConfig::default() };
        add(&key.span, SourceConfig { redact, ..none() });
    }
    for step in &source.shape {
        add(&step.span, SourceConfig { shape: vec![step.clone()], ..none() });
    }
    for query in &source.drop {
        add(&query.span, SourceConfig { drop: vec![query.clone()], ..none() });
    }
    parts
}

/// A file that cannot be read is a fault of its own, not of each pattern.
fn readable(files: &[Located<String>]) -> Vec<Located<String>> {
    let is_good = |file: &&Located<String>| {
        source_settings(&SourceConfig { pattern_files: vec![(*file).clone()], ..SourceConfig::default() })
            .is_ok()
    };
    files.iter().filter(is_good).cloned().collect()
}
