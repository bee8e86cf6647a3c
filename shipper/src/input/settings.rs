//! From an `[[input]]` of the configuration to what is listened to, and to the source that its journal is.

use std::path::{Path, PathBuf};

use glob::Pattern;
use weir_config::{Format, InputConfig, InputKind, Multiline, Preset};

use super::journal::{Disk, Journal};
use crate::cli::{LineRules, line_rules};
use crate::settings::{LineHost, Origin, SourceSettings};

/// Longest name of a journal's directory, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// One input, resolved.
#[derive(Clone, Debug)]
pub struct InputSettings {
    /// Its name in metrics, and of its journal's directory: the same at every start.
    pub name: String,
    /// What it receives from.
    pub kind: InputKind,
    /// Directory of its journal.
    pub journal: PathBuf,
    /// Most bytes of its journal.
    pub bytes_max: u64,
    /// How the journal is followed.
    pub source: SourceSettings,
}

impl InputSettings {
    /// Resolves an input whose journal stands under `state`.
    pub fn new(config: &InputConfig, state: &Path) -> anyhow::Result<InputSettings> {
        let (place, service, format, host) = match &config.kind {
            InputKind::Stdin => ("stdin".to_owned(), "stdin", Format::Auto, LineHost::Here),
            InputKind::Syslog(syslog) => {
                let place = format!("syslog {}://{}", syslog.transport, syslog.listen);
                (place, "syslog", Format::Syslog, LineHost::Stated)
            }
            InputKind::Http(http) => {
                (format!("http://{}", http.listen), "http", Format::Auto, LineHost::Stated)
            }
            InputKind::Journald(_) => ("journald".to_owned(), "journald", Format::Journald, LineHost::Stated),
        };
        let name = name(&place, config);
        let journal = state.join("journal").join(&name);
        let path = Journal::<Disk>::current_path(&journal).to_string_lossy().into_owned();
        let mut source = SourceSettings {
            service: config.service.clone(),
            format: config.format.unwrap_or(format),
            environment: config.environment.clone(),
            labels: config.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            remove_when_indexed: true,
            origin: Some(Origin { name: place, service: service.to_owned(), host }),
            ..SourceSettings::new(vec![Pattern::escape(&path)])
        };
        let preset = match config.kind {
            InputKind::Syslog(_) | InputKind::Journald(_) => Preset::None,
            InputKind::Stdin | InputKind::Http(_) => Preset::Auto,
        };
        let multiline = config.multiline.clone().unwrap_or(Multiline::Preset(preset));
        line_rules(
            &mut source,
            &LineRules {
                multiline: &multiline,
                timezone: &config.timezone,
                enrich: &config.enrich,
                redact: &config.redact,
                shape: &config.shape,
                drop: &config.drop,
            },
        )?;
        Ok(InputSettings { name, kind: config.kind.clone(), journal, bytes_max: config.max_bytes, source })
    }
}

/// Lines of one service are not shipped as another's at the next start, nor those of one unit as another's.
fn name(place: &str, config: &InputConfig) -> String {
    let mut name = place.to_owned();
    match &config.kind {
        InputKind::Stdin => name.extend(config.service.iter().flat_map(|service| ["-", service])),
        InputKind::Journald(journald) => {
            let told = journald.units.iter().chain(&journald.arguments);
            name.extend(told.flat_map(|word| ["-", word]));
        }
        InputKind::Syslog(_) | InputKind::Http(_) => {}
    }
    let is_clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let words: Vec<&str> = name.split(|c| !is_clean(c)).filter(|word| !word.is_empty()).collect();
    words.join("-").chars().take(NAME_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_s_journal_is_a_log_that_names_its_place_and_goes_when_it_is_indexed() {
        let check = |text: &str, name: &str, origin: &str, format: Format| {
            let text = format!("[[input]]\n{text}\n");
            let config = weir_config::Config::from_toml(&text, Path::new("weir.toml"), &|_| None);
            let config = config.expect("valid");
            let input = InputSettings::new(&config.inputs[0], Path::new("/state")).expect("resolved");
            assert_eq!(input.name, name);
            let origin = (Some(origin), format);
            let found = input.source.origin.as_ref().map(|origin| origin.name.as_str());
            assert_eq!((found, input.source.format), origin);
            assert!(input.source.remove_when_indexed);
            assert_eq!(input.source.paths, [format!("/state/journal/{name}/current.log")]);
        };
        check("stdin = true", "stdin", "stdin", Format::Auto);
        check("stdin = true\nservice = \"a/b\"", "stdin-a-b", "stdin", Format::Auto);
        let udp = "syslog udp://127.0.0.1:5514";
        check("syslog = \"udp://127.0.0.1:5514\"", "syslog-udp-127.0.0.1-5514", udp, Format::Syslog);
        check("http = \"127.0.0.1:9881\"", "http-127.0.0.1-9881", "http://127.0.0.1:9881", Format::Auto);
        check(
            "journald = true\nunits = [\"nginx.service\"]",
            "journald-nginx.service",
            "journald",
            Format::Journald,
        );
    }
}
