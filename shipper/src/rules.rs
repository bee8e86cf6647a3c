//! From the words of the configuration to redactors and steps; what is wrong is said as the configuration wrote it.

use std::sync::Arc;
use std::time::Duration;

use ring::hmac;
use weir_config::{EnrichConfig, RedactConfig, ShapeAction, ShapeConfig};
use weir_process::bad_use;
use weir_record::query::FieldPath;
use weir_record::{Group, Query};

use crate::geo::Geo;
use crate::parse::{ParserSettings, Zone};
use crate::push::chain;
use crate::redact::{RedactSettings, Redactor, Replacement};
use crate::shape::{Action, Step, Template, Type, is_writable};

/// What is taken out of lines; none where nothing is.
///
/// # Errors
/// A pattern is wrong, or the key cannot be read.
pub fn redactor(config: &RedactConfig) -> anyhow::Result<Option<Arc<Redactor>>> {
    let replacement = match &config.key {
        None => Replacement::Mask,
        Some(key) => {
            let key = key.value.read().map_err(|error| bad_use(format!("redact_key: {}", chain(&error))))?;
            Replacement::Hash(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())))
        }
    };
    let settings = RedactSettings {
        secrets: config.secrets,
        email: config.email,
        card: config.card,
        fields: config.fields.clone(),
        patterns: config.patterns.iter().map(|pattern| pattern.value.clone()).collect(),
        replacement,
    };
    if settings.is_empty() {
        return Ok(None);
    }
    Redactor::new(&settings).map(|redactor| Some(Arc::new(redactor))).map_err(|error| bad_use(chain(&error)))
}

/// What tells where addresses are; none where no database is named.
///
/// # Errors
/// A database cannot be used.
pub fn geo(config: &EnrichConfig) -> anyhow::Result<Option<Arc<Geo>>> {
    let paths: Vec<&str> = config.geoip.iter().map(|path| path.value.as_str()).collect();
    if paths.is_empty() {
        return Ok(None);
    }
    let geo = Geo::open(&paths).map_err(|error| bad_use(format!("geoip: {}", chain(&error))))?;
    Ok(Some(Arc::new(geo)))
}

/// The ingest pipeline of a source.
///
/// # Errors
/// Its name cannot be one.
pub fn pipeline(config: &EnrichConfig) -> anyhow::Result<Option<String>> {
    let Some(name) = config.pipeline.as_ref().map(|name| &name.value) else { return Ok(None) };
    if Group::is_pipeline_name(name) {
        return Ok(Some(name.clone()));
    }
    Err(bad_use(format!(
        "pipeline: `{name}` names none: it is empty, too long, or has blanks, quotes or backslashes"
    )))
}

/// The steps of a source, in their order. `zone`: of time stamps without one in fields that are parsed again.
///
/// # Errors
/// A query, a field, a template or a type is wrong.
pub fn steps(configured: &[ShapeConfig], zone: &Zone) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for step in configured {
        let when = step.when.as_ref().map(|when| {
            Query::parse(&when.value)
                .map_err(|error| bad_use(format!("shape: when `{}`: {error}", when.value)))
        });
        let when = when.transpose()?;
        for action in actions(&step.action, zone)? {
            steps.push(Step { when: when.clone(), action });
        }
    }
    Ok(steps)
}

fn actions(action: &ShapeAction, zone: &Zone) -> anyhow::Result<Vec<Action>> {
    Ok(match action {
        ShapeAction::Keep(names) => vec![Action::Keep(full_names(names)?)],
        ShapeAction::Remove(names) => vec![Action::Remove(full_names(names)?)],
        ShapeAction::Rename(pairs) => {
            each(pairs, |from, to| Ok(Action::Rename(writable(&source(from, to)?)?, writable(to)?)))?
        }
        ShapeAction::Copy(pairs) => {
            each(pairs, |from, to| Ok(Action::Copy(field(&source(from, to)?)?, writable(to)?)))?
        }
        ShapeAction::Set(pairs) => {
            each(pairs, |name, text| Ok(Action::Set(writable(name)?, template(text)?)))?
        }
        ShapeAction::Convert(pairs) => {
            each(pairs, |name, to| Ok(Action::Convert(writable(name)?, type_of(to)?)))?
        }
        ShapeAction::Lower(names) => {
            names.iter().map(|name| Ok(Action::Lower(writable(name)?))).collect::<anyhow::Result<_>>()?
        }
        ShapeAction::Upper(names) => {
            names.iter().map(|name| Ok(Action::Upper(writable(name)?))).collect::<anyhow::Result<_>>()?
        }
        ShapeAction::Split(pairs) => {
            each(pairs, |name, by| Ok(Action::Split(writable(name)?, by.to_owned())))?
        }
        ShapeAction::Parse(pairs) => pairs
            .iter()
            .map(|(name, format)| {
                let settings =
                    ParserSettings { format: *format, zone: zone.clone(), ..ParserSettings::default() };
                Ok(Action::Parse(writable(name)?, Box::new(settings)))
            })
            .collect::<anyhow::Result<_>>()?,
        ShapeAction::Route(text) => vec![Action::Route(template(&text.value)?)],
        ShapeAction::Sample(share) => vec![Action::Sample(*share)],
        ShapeAction::RateLimit(limit, window, per) => {
            let per = per.as_deref().map(field).transpose()?;
            vec![Action::RateLimit { limit: *limit, window: nanos(*window), per }]
        }
        ShapeAction::Deduplicate(window) => vec![Action::Deduplicate(nanos(*window))],
        ShapeAction::Drop => vec![Action::Drop],
    })
}

fn each(
    pairs: &[(String, String)],
    action: impl Fn(&str, &str) -> anyhow::Result<Action>,
) -> anyhow::Result<Vec<Action>> {
    pairs.iter().map(|(name, value)| action(name, value)).collect()
}

fn field(name: &str) -> anyhow::Result<FieldPath> {
    FieldPath::resolve(name).map_err(|error| bad_use(format!("shape: field `{name}`: {error}")))
}

/// The name of what becomes `to`: where the query language's short name means `to` itself, as in `user = "user.name"`,
/// the attribute that is called so.
fn source(from: &str, to: &str) -> anyhow::Result<String> {
    let is_same = field(from)? == field(to)? && from != to;
    Ok(if is_same { format!("attributes.{from}") } else { from.to_owned() })
}

fn writable(name: &str) -> anyhow::Result<FieldPath> {
    let path = field(name)?;
    if is_writable(&path) {
        return Ok(path);
    }
    Err(bad_use(format!(
        "shape: `{path}` cannot be changed here: it is set for the whole source, or by Weir itself"
    )))
}

/// Names as they stand in documents; `a.*` stays a pattern.
fn full_names(names: &[String]) -> anyhow::Result<Vec<String>> {
    let full = |name: &String| match name.strip_suffix(".*") {
        Some(prefix)
            if weir_record::Field::ALL
                .iter()
                .any(|field| field.name().starts_with(&format!("{prefix}."))) =>
        {
            Ok(name.clone())
        }
        Some("attributes") => Ok(name.clone()),
        Some(prefix) => Ok(format!("{}.*", field(prefix)?)),
        None => Ok(field(name)?.to_string()),
    };
    names.iter().map(full).collect()
}

fn template(text: &str) -> anyhow::Result<Template> {
    Template::read(text).map_err(|error| bad_use(format!("shape: {error}")))
}

fn type_of(name: &str) -> anyhow::Result<Type> {
    match name {
        "long" => Ok(Type::Long),
        "double" => Ok(Type::Double),
        "boolean" => Ok(Type::Boolean),
        "string" => Ok(Type::String),
        other => Err(bad_use(format!("shape: `{other}` is no type: write long, double, boolean or string"))),
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
