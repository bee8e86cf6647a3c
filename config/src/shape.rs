//! `[[source.shape]]`: what is done to parsed records, one thing a step.

use std::ops::Range;
use std::time::Duration;

use crate::document::{Fault, Located};
use crate::format::Format;
use crate::reader::Reader;
use crate::units::parse_duration;

/// One step. Names of fields, queries, templates and types are not checked here.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapeConfig {
    /// `when`: a query; only records that match. Default: all.
    pub when: Option<Located<String>>,
    /// What is done.
    pub action: ShapeAction,
    /// Where the step stands.
    pub span: Range<usize>,
}

/// What a step does; the key of the same name says it.
#[derive(Debug, Clone, PartialEq)]
pub enum ShapeAction {
    /// `keep`: these fields, the others go. `a.*` names all below `a`.
    Keep(Vec<String>),
    /// `remove`: these fields go.
    Remove(Vec<String>),
    /// `rename`: `{ from = "to" }`.
    Rename(Vec<(String, String)>),
    /// `copy`: `{ from = "to" }`.
    Copy(Vec<(String, String)>),
    /// `set`: `{ field = "text {other}" }`.
    Set(Vec<(String, String)>),
    /// `convert`: `{ field = "long" }`, or `double`, `boolean`, `string`.
    Convert(Vec<(String, String)>),
    /// `lower`: these fields in lower case.
    Lower(Vec<String>),
    /// `upper`: these fields in upper case.
    Upper(Vec<String>),
    /// `split`: `{ field = "," }`.
    Split(Vec<(String, String)>),
    /// `parse`: `{ field = "format" }`.
    Parse(Vec<(String, Format)>),
    /// `route`: a template of the dataset.
    Route(Located<String>),
    /// `sample`: this share goes on, 0 to 1; written `"10%"`.
    Sample(f64),
    /// `rate_limit`: so many in a time, written `"100/s"`, of each value of the field `per`.
    RateLimit(u64, Duration, Option<String>),
    /// `deduplicate`: one of those that say the same goes on in this time.
    Deduplicate(Duration),
    /// `drop = true`.
    Drop,
}

impl ShapeConfig {
    pub(crate) fn read(step: &mut Reader<'_, '_>) -> Option<Self> {
        let span = step.span();
        let when = step.strings("when").pop();
        let faults = step.faults();
        let mut actions = read_actions(step);
        let action = actions.pop();
        if action.is_none() && step.faults() > faults {
            // Its only action is the one that cannot be read.
            return None;
        }
        if actions.is_empty() && action.is_some() {
            return Some(Self { when, action: action?, span });
        }
        let message =
            if action.is_none() { "this step does nothing" } else { "this step does several things" };
        let help = "one of keep, remove, rename, copy, set, convert, lower, upper, split, parse, route, sample, \
                    rate_limit, deduplicate, drop";
        step.fault(Fault::new(span, message).with_help(help));
        None
    }
}

/// Every key is asked for, so that each is known.
fn read_actions(step: &mut Reader<'_, '_>) -> Vec<ShapeAction> {
    let names = |texts: Vec<Located<String>>| {
        (!texts.is_empty()).then(|| texts.into_iter().map(|text| text.value).collect::<Vec<String>>())
    };
    let some = |pairs: Vec<(String, String)>| (!pairs.is_empty()).then_some(pairs);
    let actions = [
        names(step.texts("keep")).map(ShapeAction::Keep),
        names(step.texts("remove")).map(ShapeAction::Remove),
        some(step.string_table("rename")).map(ShapeAction::Rename),
        some(step.string_table("copy")).map(ShapeAction::Copy),
        some(step.string_table("set")).map(ShapeAction::Set),
        some(step.string_table("convert")).map(ShapeAction::Convert),
        names(step.texts("lower")).map(ShapeAction::Lower),
        names(step.texts("upper")).map(ShapeAction::Upper),
        some(step.string_table("split")).map(ShapeAction::Split),
        read_parse(step),
        step.text("route").map(ShapeAction::Route),
        step.parsed("sample", parse_share).map(ShapeAction::Sample),
        read_rate_limit(step),
        step.parsed("deduplicate", parse_duration).map(ShapeAction::Deduplicate),
        step.flag("drop", false).then_some(ShapeAction::Drop),
    ];
    actions.into_iter().flatten().collect()
}

fn read_parse(step: &mut Reader<'_, '_>) -> Option<ShapeAction> {
    let mut parsed = Vec::new();
    for (field, name) in step.string_table("parse") {
        match name.parse::<Format>() {
            Ok(format) => parsed.push((field, format)),
            Err(error) => step.fault(Fault::new(step.span(), error.to_string())),
        }
    }
    (!parsed.is_empty()).then_some(ShapeAction::Parse(parsed))
}

/// `rate_limit = "100/s"`, and `per = "field"` beside it.
fn read_rate_limit(step: &mut Reader<'_, '_>) -> Option<ShapeAction> {
    let per = step.text("per").map(|text| text.value);
    let (limit, window) = step.parsed("rate_limit", parse_rate)?;
    Some(ShapeAction::RateLimit(limit, window, per))
}

fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    number
        .filter(|share| (0.0..=100.0).contains(share))
        .map(|share| share / 100.0)
        .ok_or_else(|| format!("`{text}` is no share: write \"10%\""))
}

fn parse_rate(text: &str) -> Result<(u64, Duration), String> {
    let rate = text.split_once('/').and_then(|(limit, unit)| {
        let window = match unit.trim() {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3600),
            _ => return None,
        };
        Some((limit.trim().parse::<u64>().ok().filter(|limit| *limit > 0)?, window))
    });
    rate.ok_or_else(|| format!("`{text}` is no rate: write \"100/s\", \"1000/m\" or \"5000/h\""))
}
