//! Torture: log files are rotated, cut, compressed and removed in every way that is known to lose lines, while a
//! shipper follows them; in the end every line that was written is looked for in what it put out.

mod line;
mod logrotate;
mod oracle;
mod scenarios;
mod stage;
mod subject;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

pub use self::logrotate::Logrotate;
use self::oracle::Seen;
pub use self::oracle::Verdict;
use self::scenarios::{Needs, SCENARIOS, Scenario};
use self::stage::Stage;
pub use self::subject::Kind;
use self::subject::{Places, Subject};

/// How hard.
pub struct Torture {
    /// Where the files are written: on the disk and the file system that are to be tried.
    pub directory: PathBuf,
    /// Which shipper.
    pub kind: Kind,
    /// The same seed makes the same lines and pauses.
    pub seed: u64,
    /// Lines of each scenario, about.
    pub lines: u64,
    /// Without progress for so long, what is missing is lost.
    pub patience: Duration,
    /// The user's own rotation, as one more scenario.
    pub logrotate: Option<Logrotate>,
}

/// What became of one scenario.
pub struct Played {
    /// Its name.
    pub name: &'static str,
    /// What happened.
    pub story: &'static str,
    /// How it ended; none: it needs a shipper that can be stopped from here.
    pub verdict: Option<Verdict>,
    /// How long it took.
    pub took: Duration,
}

/// Names and stories of all scenarios.
pub fn stories() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCENARIOS.iter().map(|scenario| (scenario.name, scenario.story))
}

impl Torture {
    /// Plays the named scenarios, or all where none is named; `told` hears of each when it has ended.
    pub fn run(&self, names: &[String], mut told: impl FnMut(&Played)) -> anyhow::Result<Vec<Played>> {
        let run = format!(
            "{:08x}",
            crc32fast::hash(format!("{}:{}", std::process::id(), line::micros_now()).as_bytes())
        );
        let mut played = Vec::new();
        for scenario in SCENARIOS.iter().filter(|scenario| names.is_empty() || is_named(names, scenario.name))
        {
            let one = self.play(scenario, &run, |stage| (scenario.play)(stage))?;
            told(&one);
            played.push(one);
        }
        if let Some(rotation) = &self.logrotate {
            let scenario = Scenario {
                name: "logrotate",
                story: "rotated by the directives of --logrotate",
                needs: Needs::Destruction,
                play: |_| Ok(()),
            };
            let one = self.play(&scenario, &run, |stage| scenarios::logrotate(stage, rotation))?;
            told(&one);
            played.push(one);
        }
        Ok(played)
    }

    fn play(
        &self,
        scenario: &Scenario,
        run: &str,
        play: impl FnOnce(&mut Stage) -> anyhow::Result<()>,
    ) -> anyhow::Result<Played> {
        let began = Instant::now();
        let home = self.directory.join(scenario.name);
        let places = places(&home)?;
        let logs = places.logs.clone();
        let seen = Seen::new(run, scenario.name);
        let mut subject = Subject::new(self.kind.clone(), places, seen.clone())?;
        let mut played =
            Played { name: scenario.name, story: scenario.story, verdict: None, took: Duration::ZERO };
        if scenario.needs == Needs::Control && !subject.is_ours() {
            return Ok(played);
        }
        subject.start()?;
        let size = (self.lines, self.seed, self.patience);
        let mut stage = Stage::new(subject, seen, (run, scenario.name), logs, size)?;
        play(&mut stage).with_context(|| format!("the scenario {} cannot be played", scenario.name))?;
        let verdict = stage.finish(scenario.needs == Needs::Destruction)?;
        if verdict.is_good() {
            fs::remove_dir_all(&home)?;
        }
        played.verdict = Some(verdict);
        played.took = began.elapsed();
        Ok(played)
    }
}

fn is_named(names: &[String], name: &str) -> bool {
    names.iter().any(|wanted| wanted == name)
}

/// Fresh directories below `home`.
fn places(home: &Path) -> anyhow::Result<Places> {
    if home.exists() {
        fs::remove_dir_all(home)?;
    }
    let places =
        Places { logs: home.join("logs"), state: home.join("state"), output: home.join("output.log") };
    for directory in [&places.logs, &places.state] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    Ok(places)
}
