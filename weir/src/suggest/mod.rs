//! `weir parse --suggest`: a configuration for lines like those of a sample.
//!
//! What the formats understand needs no pattern. Where they do not, patterns are mined from the lines, tried on them,
//! and proposed as far as they match; what stays uncovered is shown.

mod configuration;
mod pattern;
pub mod sample;
mod template;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;

use serde_json::{Map, Value};
use weir_config::Format;
use weir_shipper::SourceSettings;
use weir_shipper::drift::LineShape;
use weir_shipper::parse::{Detection, without_colours};

use crate::commands::lines;
use crate::show::safe;
use sample::Sample;
use template::{Line, Template};

/// Records that patterns are mined from: more say nothing new of what a program writes.
const MINED_MAX: usize = 4000;

/// Bytes of a record that is mined; longer ones hold documents, not lines.
const MINED_BYTES_MAX: usize = 4096;

/// Patterns of one proposal.
const PATTERNS_MAX: usize = 8;

/// A share of the records, in percent, that counts as nearly all.
const NEARLY_ALL: usize = 95;

/// A share of the records, in percent, that templates of whole lines have to cover; below, only their header is told.
const TEMPLATES_COVER: usize = 90;

/// Parts that a pattern has to capture beside time and level, to be better than the generic parser.
const CAPTURED_MIN: usize = 2;

/// Shapes that are shown of what is not covered.
const SHAPES_SHOWN: usize = 10;

/// Characters of an example.
const EXAMPLE_CHARACTERS: usize = 160;

/// What is proposed.
#[derive(Debug)]
pub struct Suggestion {
    /// TOML that `weir check` accepts.
    pub configuration: String,
    /// What it covers, what it does not, in lines for people.
    pub report: String,
}

/// A record of the sample.
struct Record<'t> {
    text: &'t str,
    document: Map<String, Value>,
}

impl Record<'_> {
    fn is_understood(&self) -> bool {
        let tags = self.document.get("tags").and_then(Value::as_array);
        !tags.is_some_and(|tags| tags.iter().any(|tag| tag == "unparsed"))
    }
}

/// A way to read the sample, and how it went.
struct Trial<'t> {
    formats: Vec<String>,
    records: Vec<Record<'t>>,
    detection: Option<Detection>,
}

impl<'t> Trial<'t> {
    /// Reads the sample as `weir ship` would. `formats`: none for `auto`.
    fn run(text: &'t str, formats: Vec<String>) -> anyhow::Result<Trial<'t>> {
        let mut source = SourceSettings::new(Vec::new());
        if !formats.is_empty() {
            source.set_format(&formats)?;
        }
        let mut documents: Vec<(usize, Map<String, Value>)> = Vec::new();
        let mut input = Cursor::new(text.as_bytes());
        let summary = lines::documents(&mut input, &source, None, None, &mut |document| {
            let document: Map<String, Value> = serde_json::from_slice(document)?;
            let offset = document.get("log.offset").and_then(Value::as_u64).unwrap_or_default();
            documents.push((usize::try_from(offset)?, document));
            Ok(())
        })?;
        let ends: Vec<usize> =
            documents.iter().skip(1).map(|(start, _)| *start).chain([text.len()]).collect();
        let records = documents.into_iter().zip(ends).map(|((start, document), end)| {
            let text = text.get(start..end).unwrap_or_default().trim_end_matches(['\n', '\r']);
            Record { text, document }
        });
        Ok(Trial { formats, records: records.collect(), detection: summary.detection })
    }

    fn understood(&self) -> usize {
        self.records.iter().filter(|record| record.is_understood()).count()
    }

    /// How many of a hundred records are understood.
    fn percent(&self) -> usize {
        self.understood() * 100 / self.records.len().max(1)
    }

    fn is_plain(&self) -> bool {
        self.detection.is_none_or(|detection| matches!(detection.format, Format::Plain | Format::Auto))
    }
}

/// Proposes a configuration for lines like these.
///
/// # Errors
/// The sample holds no line, or one that is too long for this command.
pub fn suggest(sample: &Sample, path: Option<&Path>, service: Option<&str>) -> anyhow::Result<Suggestion> {
    let mut plain = Vec::new();
    let text = String::from_utf8_lossy(without_colours(&sample.bytes, &mut plain));
    let automatic = Trial::run(&text, Vec::new())?;
    anyhow::ensure!(!automatic.records.is_empty(), "there is no line to learn from");
    let is_clear = !automatic.is_plain() && automatic.percent() >= NEARLY_ALL;
    let mined = if is_clear { None } else { mine(&text, &automatic)? };
    let chosen = mined.unwrap_or(automatic);
    let configuration = configuration::write(&chosen, path, service)?;
    Ok(Suggestion { report: report(&chosen, sample), configuration })
}

/// The patterns of the sample, where they say more than the generic parser does.
fn mine<'t>(text: &'t str, automatic: &Trial<'t>) -> anyhow::Result<Option<Trial<'t>>> {
    let usable = automatic.records.iter().filter(|record| record.text.len() <= MINED_BYTES_MAX);
    let texts: Vec<&str> = usable.map(|record| record.text).collect();
    let step = texts.len().div_ceil(MINED_MAX).max(1);
    let texts: Vec<&str> = texts.into_iter().step_by(step).collect();
    let (formats, captured) = cover(&texts)?;
    if formats.is_empty() {
        return Ok(None);
    }
    let mined = Trial::run(text, formats)?;
    let says_more = captured >= CAPTURED_MIN && mined.percent() >= TEMPLATES_COVER;
    let is_better = mined.understood() > automatic.understood() || says_more && automatic.is_plain();
    Ok(is_better.then_some(mined))
}

/// Patterns that match most of these records, and how many parts the first captures.
fn cover(texts: &[&str]) -> anyhow::Result<(Vec<String>, usize)> {
    let spans_lines = texts.iter().any(|text| text.contains('\n'));
    let mut left: Vec<&str> = texts.to_vec();
    let lines_min = (texts.len() / 100).max(2).min(texts.len());
    let (mut formats, mut captured, mut constant) = (Vec::new(), 0, 0);
    while formats.len() < PATTERNS_MAX && left.len() >= lines_min {
        let lines: Vec<Line<'_>> = left.iter().map(|text| Line::new(first_line(text))).collect();
        let Some(template) = best(&lines, texts.len()).filter(|template| template.lines >= lines_min) else {
            break;
        };
        let format = pattern::render(&template, spans_lines);
        let unmatched = unmatched(&format, &left)?;
        if left.len() - unmatched.len() < lines_min {
            break;
        }
        if formats.is_empty() {
            captured = pattern::captured(&template);
        }
        constant += usize::from(pattern::is_constant(&template));
        left = unmatched;
        formats.push(format);
    }
    // Messages word by word are no format.
    if constant * 2 > formats.len() {
        formats.clear();
    }
    Ok((formats, captured))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The template to go on with: of whole lines while a few of them cover nearly all, else of what lines begin with.
fn best(lines: &[Line<'_>], all: usize) -> Option<Template> {
    let templates = template::templates(lines);
    let covered: usize = templates.iter().take(PATTERNS_MAX).map(|template| template.lines).sum();
    let first = templates.into_iter().next();
    let is_few = covered * 100 >= lines.len() * TEMPLATES_COVER
        && first.as_ref()?.lines * PATTERNS_MAX * 2 >= lines.len();
    // The rest of what a few templates left is not worth a header of its own.
    if is_few || lines.len() * 100 < all * (100 - TEMPLATES_COVER) {
        return first;
    }
    let header = template::header(lines);
    match (header, first) {
        (Some(header), Some(first)) if header.lines > first.lines => Some(header),
        (_, first) => first,
    }
}

/// Records that the pattern does not match.
fn unmatched<'t>(format: &str, records: &[&'t str]) -> anyhow::Result<Vec<&'t str>> {
    use weir_shipper::parse::{Parser, ParserSettings};
    let mut source = SourceSettings::new(Vec::new());
    source.set_format(&[format])?;
    let mut parser = Parser::new(&ParserSettings {
        format: source.format,
        patterns: source.patterns,
        ..ParserSettings::default()
    });
    let mut out = Vec::new();
    let mut is_unmatched = |record: &str| {
        out.clear();
        !parser.parse(record.as_bytes(), 0, 0, &mut out).understood
    };
    Ok(records.iter().filter(|record| is_unmatched(record)).copied().collect())
}

fn report(trial: &Trial<'_>, sample: &Sample) -> String {
    let (all, understood) = (trial.records.len(), trial.understood());
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes everything");
    let part = if sample.is_whole { "" } else { ", a sample of the file" };
    line(format!("{all} records{part}"));
    let share = understood as f64 * 100.0 / all.max(1) as f64;
    match (trial.formats.len(), trial.detection) {
        (0, Some(detection)) if !trial.is_plain() => line(format!(
            "the format {} covers {share:.1} % of them: nothing else is needed",
            detection.format
        )),
        (0, _) => line(format!(
            "no pattern says more than what is recognised in any text: that covers {share:.1} % of them"
        )),
        (1, _) => line(format!("1 pattern covers {share:.1} % of them")),
        (count, _) => line(format!("{count} patterns cover {share:.1} % of them")),
    }
    let mut shapes: BTreeMap<LineShape, (usize, &str)> = BTreeMap::new();
    for record in trial.records.iter().filter(|record| !record.is_understood()) {
        shapes.entry(LineShape::of(record.text.as_bytes())).or_insert((0, record.text)).0 += 1;
    }
    let mut shapes: Vec<_> = shapes.into_iter().collect();
    shapes.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    if !shapes.is_empty() {
        line(format!("{} records of {} shapes are not covered:", all - understood, shapes.len()));
    }
    for (shape, (count, example)) in shapes.iter().take(SHAPES_SHOWN) {
        let example: String = safe(first_line(example)).chars().take(EXAMPLE_CHARACTERS).collect();
        line(format!("{count:>7}  {shape}\n         {example}"));
    }
    out
}

#[cfg(test)]
mod tests;
