//! `weir parse`: the documents that lines become.

use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use weir_config::{Ansi, CarriageReturn};
use weir_process::bad_use;
use weir_shipper::SourceSettings;
use weir_shipper::cli::{describe_host, host_name, load, source_settings};
use weir_shipper::follow::Encoding;
use weir_shipper::parse::{Multiline, Preset, Zone};
use weir_shipper::shape::Cut;

use super::lines::{self, Summary};
use crate::show::ignore_closed;
use crate::suggest::{self, sample};

/// Show the documents that lines become, one JSON object a line.
#[derive(Args)]
pub struct ParseArgs {
    /// How the lines are written: auto, json, logfmt, combined, syslog, csv, plain, and more (see weir.toml); or
    /// grok:PATTERN or regex:PATTERN; given several times, patterns are tried in order
    #[arg(long, value_name = "NAME")]
    format: Vec<String>,
    /// How lines are joined: auto, none, java, python, go, and more (see weir.toml)
    #[arg(long, value_name = "NAME")]
    multiline: Option<Preset>,
    /// Zone of time stamps without one: local, UTC, Europe/Berlin, +02:00
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Zone>,
    /// What the bytes are: utf-8, utf-16le, latin1, windows-1251, shift_jis, gbk, ...
    #[arg(long, value_name = "NAME")]
    encoding: Option<Encoding>,
    /// What becomes of escape sequences: auto (colours go), keep, strip
    #[arg(long, value_name = "HOW", value_parser = |name: &str| choice(name, Ansi::NAMES))]
    ansi: Option<Ansi>,
    /// What becomes of carriage returns inside a line: keep, last (what a terminal shows in the end)
    #[arg(long, value_name = "HOW", value_parser = |name: &str| choice(name, CarriageReturn::NAMES))]
    carriage_return: Option<CarriageReturn>,
    /// Name of the service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Take the settings of the configuration's source whose paths match the file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Propose a configuration for lines like these, with a pattern where no format fits; what it covers is said on stderr
    #[arg(long, conflicts_with_all = ["format", "config", "full"])]
    suggest: bool,
    /// Also the fields that depend on the host and on the moment
    #[arg(long)]
    full: bool,
    /// Files, or - for stdin
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,
}

/// Members that depend on the host and on the moment.
const PASSING_MEMBERS: [&str; 4] = ["host.name", "event.created", "event.ingested", "event.sequence"];

/// Prints the documents; a summary goes to stderr.
pub fn run(arguments: &ParseArgs) -> anyhow::Result<ExitCode> {
    if arguments.suggest {
        return propose(arguments);
    }
    let config = load(arguments.config.as_deref())?;
    let mut sources = config.sources.iter().map(source_settings).collect::<anyhow::Result<Vec<_>>>()?;
    if arguments.full {
        describe_host(&mut sources, config.metadata);
    }
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut total = Summary::default();
    for file in &arguments.files {
        let path = (file != Path::new("-")).then_some(file.as_path());
        let source = settings(arguments, &sources, path)?;
        let summary = print(arguments, &source, path, &mut out)?;
        total.records += summary.records;
        total.lines += summary.lines;
        total.not_understood += summary.not_understood;
        total.dropped += summary.dropped;
        total.cut.iter_mut().zip(summary.cut).for_each(|(total, cut)| *total += cut);
        total.detection = total.detection.or(summary.detection);
    }
    out.flush().or_else(ignore_closed)?;
    summarize(arguments, &total);
    Ok(ExitCode::SUCCESS)
}

/// Prints a configuration for one file, or for stdin.
fn propose(arguments: &ParseArgs) -> anyhow::Result<ExitCode> {
    let [file] = &arguments.files[..] else {
        return Err(bad_use("--suggest reads one file: each kind of lines is a source of its own"));
    };
    let path = (file != Path::new("-")).then_some(file.as_path());
    let sample = match path {
        Some(path) => sample::of_file(&mut lines::open(path)?)?,
        None => sample::of_stream(&mut io::stdin().lock())?,
    };
    let suggestion = suggest::suggest(&sample, path, arguments.service.as_deref())?;
    eprint!("{}", suggestion.report);
    io::stdout().lock().write_all(suggestion.configuration.as_bytes()).or_else(ignore_closed)?;
    Ok(ExitCode::SUCCESS)
}

fn settings(
    arguments: &ParseArgs,
    sources: &[SourceSettings],
    path: Option<&Path>,
) -> anyhow::Result<SourceSettings> {
    let mut source = source_of(sources, path).cloned().unwrap_or_else(|| SourceSettings::new(Vec::new()));
    if !arguments.format.is_empty() {
        source.set_format(&arguments.format).map_err(|error| bad_use(format!("--format: {error}")))?;
    }
    if let Some(preset) = arguments.multiline {
        source.multiline = Multiline::Preset(preset);
    }
    if let Some(zone) = &arguments.timezone {
        source.zone = zone.clone();
    }
    let text = &mut source.text;
    text.encoding = arguments.encoding.unwrap_or(text.encoding);
    text.ansi = arguments.ansi.unwrap_or(text.ansi);
    text.carriage_return = arguments.carriage_return.unwrap_or(text.carriage_return);
    if let Some(service) = &arguments.service {
        source.service = Some(service.clone());
    }
    Ok(source)
}

/// The configured source of a file, as it is called or by its whole path; of stdin the first. It is said where there is
/// none: the file is then parsed as if there were no configuration.
fn source_of<'s>(sources: &'s [SourceSettings], path: Option<&Path>) -> Option<&'s SourceSettings> {
    let Some(path) = path else { return sources.first() };
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = sources.iter().find(|source| source.names(path) || source.names(&whole));
    if found.is_none() && !sources.is_empty() {
        eprintln!("no source of the configuration has {}: parsed without one", path.display());
    }
    found
}

/// The value of this name.
fn choice<T: Copy>(name: &str, names: &[(&str, T)]) -> Result<T, String> {
    let known = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let usage = || names.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    known.ok_or_else(|| format!("use one of {}", usage()))
}

fn print(
    arguments: &ParseArgs,
    source: &SourceSettings,
    path: Option<&Path>,
    out: &mut dyn Write,
) -> anyhow::Result<Summary> {
    let mut input: Box<dyn Read> = match path {
        Some(path) => Box::new(lines::open(path)?),
        None => Box::new(io::stdin().lock()),
    };
    let host = arguments.full.then(host_name);
    lines::documents(&mut *input, source, host.as_deref(), path, &mut |document| {
        if arguments.full {
            out.write_all(document).or_else(ignore_closed)?;
        } else {
            out.write_all(&without_passing_members(document)).or_else(ignore_closed)?;
        }
        Ok(out.write_all(b"\n").or_else(ignore_closed)?)
    })
}

/// Takes the members that the worker added out of a document's text. They stand once, after all members of the line,
/// and their values hold neither quotes nor commas.
fn without_passing_members(document: &[u8]) -> Vec<u8> {
    let mut kept = document.to_vec();
    for name in PASSING_MEMBERS {
        let member = format!(",\"{name}\":");
        if let Some(start) = memchr::memmem::rfind(&kept, member.as_bytes()) {
            let value = start + member.len();
            let length = kept[value..].iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(0);
            kept.drain(start..value + length);
        }
    }
    kept
}

fn summarize(arguments: &ParseArgs, total: &Summary) {
    let format = match (arguments.format.first(), total.detection) {
        (Some(format), _) if format != "auto" => {
            format!("{} (told)", format.split(':').next().unwrap_or_default())
        }
        (_, Some(detection)) => format!("{} ({:.0} %)", detection.format, detection.confidence * 100.0),
        (_, None) => "none".to_owned(),
    };
    let Summary { records, lines, not_understood, dropped, cut, .. } = total;
    let reasons = Cut::ALL
        .iter()
        .zip(cut)
        .map(|(reason, cut)| (reason.name(), if *reason == Cut::Dropped { cut + dropped } else { *cut }));
    let gone: String = reasons
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!(", {count} {reason}"))
        .collect();
    eprintln!("{records} records, {lines} lines, format {format}, {not_understood} not parsed{gone}");
}
