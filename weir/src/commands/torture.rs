//! `weir torture`: proves on the user's own disk that no line is lost, or shows which shipper loses them.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use weir_process::{EXIT_WRONG, bad_use};

use crate::torture::{Kind, Logrotate, Played, Torture, stories};

/// Rotate, cut, compress and remove log files in every way that is known to lose lines, and count what is lost.
///
/// Weir's own shipper is tried unless another is named. Another one has to follow `*.log` in the directory that
/// TORTURE_LOGS names, and to write each record as one line to the file that TORTURE_OUTPUT names.
#[derive(Args)]
pub struct TortureArgs {
    /// Only these scenarios; --list shows all
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Show the scenarios and what happens in them
    #[arg(long)]
    list: bool,
    /// The same seed makes the same lines and pauses; default: from the clock
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the files are written: on the disk and file system to be tried; default: a temporary directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Lines of each scenario, about
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    lines: u64,
    /// Also rotate with logrotate, by the directives of this configuration file
    #[arg(long, value_name = "FILE")]
    logrotate: Option<PathBuf>,
    /// Try the shipper that this shell command starts, instead of Weir's; it finds its directories in TORTURE_LOGS,
    /// TORTURE_STATE and TORTURE_OUTPUT
    #[arg(long, value_name = "COMMAND", conflicts_with = "output")]
    command: Option<String>,
    /// Try a shipper that runs already and writes to this file; scenarios that stop it are left out
    #[arg(long, value_name = "FILE", requires = "dir")]
    output: Option<PathBuf>,
    /// What did not come for so long is lost, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    patience: u64,
    /// One JSON object a scenario
    #[arg(long)]
    json: bool,
}

/// Plays the scenarios and prints what became of each. Exit code 1 if anything was lost, duplicated or corrupted.
pub fn run(arguments: &TortureArgs) -> anyhow::Result<ExitCode> {
    if arguments.list {
        return list();
    }
    check_names(&arguments.scenarios)?;
    let seed = arguments.seed.unwrap_or_else(seed_from_clock);
    let directory = arguments
        .dir
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("weir-torture-{}", std::process::id())));
    std::fs::create_dir_all(&directory)
        .map_err(|error| bad_use(format!("cannot make {}: {error}", directory.display())))?;
    let directory = directory.canonicalize().context("cannot find the directory")?;
    let logrotate = arguments
        .logrotate
        .as_deref()
        .map(|path| Logrotate::read(path, directory.clone()))
        .transpose()
        .map_err(|error| bad_use(format!("{error:#}")))?;
    eprintln!("seed {seed}, {} lines a scenario, in {}", arguments.lines, directory.display());
    let torture = Torture {
        directory: directory.clone(),
        kind: kind(arguments),
        seed,
        lines: arguments.lines,
        patience: Duration::from_secs(arguments.patience),
        logrotate,
    };
    let mut table = Table { json: arguments.json, is_begun: false };
    let played = torture.run(&arguments.scenarios, |one| table.row(one))?;
    Ok(conclude(arguments, &directory, &played))
}

fn conclude(arguments: &TortureArgs, directory: &std::path::Path, played: &[Played]) -> ExitCode {
    let verdicts = || played.iter().filter_map(|one| one.verdict.as_ref());
    let left_out = played.len() - verdicts().count();
    if left_out > 0 {
        eprintln!("{left_out} scenarios left out: they need a shipper that can be stopped (--command)");
    }
    let (good, tried) = (verdicts().filter(|verdict| verdict.is_good()).count(), verdicts().count());
    let lines: u64 = verdicts().map(|verdict| verdict.written).sum();
    eprintln!("{good} of {tried} scenarios without fault, {lines} lines");
    if good < tried {
        eprintln!("the files of the others are kept in {}", directory.display());
        return ExitCode::from(EXIT_WRONG);
    }
    if arguments.dir.is_none() {
        // What is left there is empty, or logrotate's state.
        drop(std::fs::remove_dir_all(directory));
    }
    ExitCode::SUCCESS
}

fn kind(arguments: &TortureArgs) -> Kind {
    match (&arguments.command, &arguments.output) {
        (Some(command), _) => Kind::Command(command.clone()),
        (None, Some(output)) => Kind::Elsewhere { output: output.clone() },
        (None, None) => Kind::Own,
    }
}

fn seed_from_clock() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(1, |since| u64::from(since.subsec_nanos()))
}

fn check_names(names: &[String]) -> anyhow::Result<()> {
    match names.iter().find(|name| stories().all(|(known, _)| known != name.as_str())) {
        Some(unknown) => Err(bad_use(format!("there is no scenario {unknown:?}: --list shows them"))),
        None => Ok(()),
    }
}

fn list() -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for (name, story) in stories() {
        writeln!(out, "{name:<22}{story}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows as the scenarios end.
struct Table {
    json: bool,
    is_begun: bool,
}

impl Table {
    fn row(&mut self, played: &Played) {
        let text = if self.json { json(played) } else { self.text(played) };
        // Whoever reads may stop early; the scenarios go on, and the exit code tells.
        drop(writeln!(io::stdout().lock(), "{text}"));
    }

    fn text(&mut self, played: &Played) -> String {
        let mut text = String::new();
        if !self.is_begun {
            self.is_begun = true;
            text = format!(
                "{:<22}{:>9}{:>7}{:>12}{:>11}{:>11}{:>16}{:>8}\n",
                "scenario", "lines", "lost", "duplicated", "corrupted", "destroyed", "delay ms (max)", "took"
            );
        }
        let Some(verdict) = &played.verdict else {
            return format!("{text}{:<22}left out", played.name);
        };
        let delay = format!("{} ({})", verdict.delay_ms_median, verdict.delay_ms_max);
        let (on, off) =
            match (verdict.is_good(), io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()) {
                (_, false) => ("", ""),
                (true, true) => ("\x1b[32m", "\x1b[0m"),
                (false, true) => ("\x1b[31m", "\x1b[0m"),
            };
        format!(
            "{text}{on}{:<22}{off}{:>9}{:>7}{:>12}{:>11}{:>11}{delay:>16}{:>7.1}s",
            played.name,
            verdict.written,
            verdict.lost,
            verdict.duplicated,
            verdict.corrupted,
            verdict.destroyed,
            played.took.as_secs_f64()
        )
    }
}

fn json(played: &Played) -> String {
    serde_json::json!({
        "scenario": played.name,
        "story": played.story,
        "took_ms": played.took.as_millis() as u64,
        "verdict": played.verdict,
    })
    .to_string()
}
