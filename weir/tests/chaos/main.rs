//! Chaos: shippers and workers as processes, a real Redis and a real index, services that write and rotate their logs,
//! and random faults of all of it at once. When the faults stop, every line that was written has to be in the index,
//! once, byte for byte.
//!
//! It goes in rounds: faults for a while, calm until everything is indexed, judgement: the number of documents of each
//! service after every round, and every document at the end, or when a number is wrong. The faults, their times and lengths come from a seed, which is printed; what they meet depends on the machine. How long,
//! which seed and which index is told by `scripts/chaos`, through the environment; as a test among others it takes about
//! a minute. See docs/delivering.md.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::sync::Arc;
use std::time::{Duration, Instant};

mod faults;
mod gauges;
mod index;
mod node;
mod oracle;
mod process;
mod programs;
mod proxy;
mod round;
mod stage;
mod story;
#[expect(dead_code, reason = "each test program uses a part of it")]
#[path = "../support/mod.rs"]
mod support;
mod writers;

use self::faults::Lane;
use self::gauges::Gauges;
use self::oracle::Verdict;
use self::round::{Clock, Weather};
use self::stage::Stage;
use self::support::{Random, skip, unique};
use self::writers::{SERVICES, Writer, Written};

/// As a test among others: two rounds.
const SHORT: Duration = Duration::from_secs(30);
const SHORT_ROUND: Duration = Duration::from_secs(20);

/// Longer than it takes until a live worker's claims are taken from it.
const LONG_ROUND: Duration = Duration::from_secs(150);

/// When the faults are over, all is indexed within this. A stalled worker's frames alone take a minute, and a server that
/// was left with a queue of one bulk takes little at a time.
const CALM_PATIENCE: Duration = Duration::from_secs(300);

/// Nobody expects of a control that all is indexed: only long enough that a build that keeps its promise is done.
const CONTROL_PATIENCE: Duration = Duration::from_secs(90);

/// What is asked for.
struct Settings {
    seed: u64,
    /// Rounds begin for so long.
    length: Duration,
    /// As scripts/search-server calls it; none for the embedded index.
    server: Option<&'static str>,
    sabotage: Option<&'static str>,
}

/// The ways in which a build with the feature `sabotage` can break its promise. With `none` it keeps it, under the same
/// faults: so that what the others lose is known to be lost by them.
const SABOTAGES: [&str; 4] = ["acknowledge-early", "rewind-dropped", "pushed-trusted", NO_SABOTAGE];
const NO_SABOTAGE: &str = "none";

impl Settings {
    /// None, after saying so, where no index is told, nor any server for tests.
    fn from_environment() -> Option<Settings> {
        let told = |name: &str| std::env::var(format!("WEIR_CHAOS_{name}")).ok();
        if told("INDEX").is_none() && std::env::var("WEIR_TEST_ELASTICSEARCH").is_err() {
            skip("neither WEIR_CHAOS_INDEX nor WEIR_TEST_ELASTICSEARCH is set");
            return None;
        }
        let minutes =
            told("MINUTES").map(|minutes| minutes.parse::<f64>().expect("WEIR_CHAOS_MINUTES is a number"));
        let seed = told("SEED").map(|seed| seed.parse().expect("WEIR_CHAOS_SEED is a number"));
        let sabotage = told("CONTROL").map(|name| {
            if !cfg!(feature = "sabotage") {
                panic!("controls need a build with --features sabotage");
            }
            *SABOTAGES.iter().find(|sabotage| **sabotage == name).expect("WEIR_CHAOS_CONTROL is a sabotage")
        });
        Some(Settings {
            seed: seed.unwrap_or_else(unique),
            length: minutes.map_or(SHORT, |minutes| Duration::from_secs_f64(minutes * 60.0)),
            server: match told("INDEX").as_deref() {
                None | Some("elasticsearch") => Some("elasticsearch9"),
                Some("opensearch") => Some("opensearch3"),
                Some("embedded") => None,
                Some(other) => {
                    panic!("WEIR_CHAOS_INDEX is elasticsearch, opensearch or embedded, not {other}")
                }
            },
            sabotage,
        })
    }

    /// Who is disturbed. Of a control, only what the broken promise is needed for: other faults may mend it.
    fn lanes(&self) -> &'static [Lane] {
        match self.sabotage {
            None => &Lane::ALL,
            Some("acknowledge-early") => &[Lane::Worker(0), Lane::Worker(1), Lane::IndexNetwork],
            Some("rewind-dropped") => &[Lane::Worker(0), Lane::Worker(1), Lane::Redis],
            Some(_) => &[Lane::Backlog],
        }
    }

    fn round(&self) -> Duration {
        if self.length > LONG_ROUND { LONG_ROUND } else { SHORT_ROUND }
    }
}

/// How a run ended.
struct Ending {
    rounds: u64,
    longest_calm: Duration,
    /// The last one.
    verdict: Verdict,
    /// What went wrong beside the verdict.
    failure: Option<String>,
}

/// Plays rounds until the time is over, or something is wrong.
fn play(settings: &Settings, stage: &Stage, written: &Arc<Written>) -> Ending {
    let mut random = Random::seeded(settings.seed);
    let names = &stage.names;
    let mut writers: Vec<Writer<'_>> = (0..SERVICES.len())
        .map(|index| Writer::new(index, &stage.logs(), random.below(u64::MAX), written, names).unwrap())
        .collect();
    let began = Instant::now();
    let first = random.below(Weather::ALL.len() as u64);
    let mut ending =
        Ending { rounds: 0, longest_calm: Duration::ZERO, verdict: Verdict::default(), failure: None };
    while began.elapsed() < settings.length && ending.failure.is_none() {
        let weather = Weather::ALL[((first + ending.rounds) % Weather::ALL.len() as u64) as usize];
        let weather = settings.sabotage.map_or(weather, |_| Weather::EmptyBuffer);
        ending.rounds += 1;
        stage.story.tell("round", format!("{} {weather:?}", ending.rounds));
        ending.failure = disturb(settings, stage, weather, &mut writers, &mut random).err();
        let patience = if settings.sabotage.is_some() { CONTROL_PATIENCE } else { CALM_PATIENCE };
        match stage.calm(written, patience) {
            Ok(took) => {
                stage.story.tell("calm", format!("all is indexed after {took:.1?}"));
                ending.longest_calm = ending.longest_calm.max(took);
            }
            Err(left) => ending.failure = Some(ending.failure.unwrap_or_default() + &left),
        }
        if began.elapsed() < settings.length && stage.counts_are_right(written) {
            stage
                .story
                .tell("judgement", format!("{} lines, {} documents", written.total(), written.total()));
            continue;
        }
        ending.verdict = stage.judge(written);
        stage.story.tell("judgement", ending.verdict.to_string());
        if !ending.verdict.is_good() {
            break;
        }
    }
    ending
}

/// One round of faults, while the services write.
fn disturb(
    settings: &Settings,
    stage: &Stage,
    weather: Weather,
    writers: &mut [Writer<'_>],
    random: &mut Random,
) -> Result<(), String> {
    let clock = &Clock::new(settings.round());
    let lanes = settings.lanes().iter().filter(|lane| lane.is_on(stage));
    let lanes = lanes.map(|lane| (*lane, random.below(u64::MAX)));
    let lanes: Vec<_> = lanes.collect();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for writer in writers {
            threads.push(scope.spawn(move || {
                // All that was written is indexed.
                writer.remove_rotated().and_then(|()| writer.write(clock, weather.rotations())).unwrap();
            }));
        }
        for (lane, seed) in lanes {
            threads.push(scope.spawn(move || {
                let guard = BreakOff(clock);
                lane.run(stage, weather, clock, seed);
                drop(guard);
            }));
        }
        let broken = threads.into_iter().filter_map(|thread| thread.join().err());
        let reasons = broken.map(|panic| match panic.downcast::<String>() {
            Ok(reason) => *reason,
            Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("a thread has panicked").to_owned(),
        });
        let reasons: Vec<String> = reasons.collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons.join("\n")) }
    })
}

/// When something is wrong, the rest of the round would only hide it.
struct BreakOff<'a>(&'a Clock);

impl Drop for BreakOff<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.break_off();
        }
    }
}

/// Tells what a run was.
fn report(settings: &Settings, stage: &Stage, written: &Written, ending: &Ending, gauges: &Gauges) {
    let (seed, index) = (settings.seed, settings.server.unwrap_or("the embedded index"));
    let (rounds, megabytes) = (ending.rounds, written.bytes() / 1_000_000);
    println!(
        "chaos: seed {seed}, {index}, {rounds} rounds, {megabytes} MB, {} rotations",
        written.rotations()
    );
    println!("chaos: {}", ending.verdict);
    let (calm, stall) = (ending.longest_calm, gauges.longest_stall());
    println!("chaos: all indexed at most {calm:.1?} after a round; nothing new for at most {stall:.1?}");
    let counted = stage.story.counted();
    println!("chaos: {} faults", counted.values().sum::<u64>());
    counted.iter().for_each(|(fault, count)| println!("{count:8} {fault}"));
    println!("chaos: counters of all lives");
    gauges.counters().iter().for_each(|(name, count)| println!("{count:12} {name}"));
}

/// What no program may count, because none of it was done: no line was too long, none was to be dropped, no document has
/// a fault that an index would refuse it for, and nobody has put a broken frame into the buffer.
const NEVER_COUNTED: [&str; 6] = [
    "weir_shipper_truncated_records_total",
    "weir_shipper_dropped_records_total",
    "weir_shipper_skipped_records_total",
    "weir_shipper_damaged_files_total",
    "weir_worker_rejected_total",
    "weir_worker_poison_frames_total",
];

/// Counters that say what did not happen.
fn miscounted(gauges: &Gauges) -> Option<String> {
    let wrong = gauges
        .counters()
        .into_iter()
        .filter(|(name, count)| *count > 0 && NEVER_COUNTED.contains(&name.as_str()));
    let wrong: Vec<String> = wrong.map(|(name, count)| format!("{name} is {count}")).collect();
    (!wrong.is_empty()).then(|| wrong.join(", "))
}

/// Records that only the files have, as far as the reports of `weir audit` tell.
fn unread(audit: &str) -> u64 {
    const COLUMN: usize = 4;
    let totals = audit.lines().filter(|line| line.ends_with("all files"));
    totals.filter_map(|line| line.split_whitespace().nth(COLUMN)?.parse::<u64>().ok()).sum()
}

/// A failure has to be understood from what it leaves.
fn explain(settings: &Settings, stage: &mut Stage, ending: &Ending) -> String {
    let said: Vec<String> = stage
        .processes()
        .map(|process| {
            let process = stage::lock(process);
            format!("--- {}, {}\n{}", process.name, process.log().display(), process.said())
        })
        .collect();
    let place = stage.keep();
    format!(
        "{}\n{}\n{}\nrepeat: scripts/chaos --seed {} --minutes {}\nthe logs and states are kept in {}",
        said.join("\n"),
        ending.failure.as_deref().unwrap_or_default(),
        ending.verdict,
        settings.seed,
        settings.length.as_secs_f64() / 60.0,
        place.display()
    )
}

#[test]
fn every_line_is_indexed_once_whatever_fails() {
    let Some(settings) = Settings::from_environment() else { return };
    println!("chaos: seed {}", settings.seed);
    let Some(mut stage) = Stage::start(settings.server, settings.sabotage) else { return };
    let written = Arc::new(Written::default());
    let gauges = Gauges::start(&stage, Arc::clone(&written));
    let mut ending = play(&settings, &stage, &written);
    ending.failure = ending.failure.or_else(|| miscounted(&gauges));
    report(&settings, &stage, &written, &ending, &gauges);
    let audited = stage.audit();
    if let Some((_, audit)) = &audited {
        println!("chaos: weir audit\n{audit}");
    }
    if let Some(sabotage) = settings.sabotage.filter(|sabotage| *sabotage != NO_SABOTAGE) {
        assert!(ending.verdict.missing > 0, "{sabotage} was not found out: {}", ending.verdict);
        assert_eq!(stage.unsettled(), None, "it is not done: what is missing may only be late");
        // What the shipper does not go back to, nobody has called indexed: it is where it waits to be read.
        let is_found =
            |(is_whole, audit): (bool, String)| !is_whole || unread(&audit) >= ending.verdict.missing;
        assert!(audited.is_none_or(is_found), "weir audit has not found it");
        println!("chaos: {sabotage} was found out");
        return;
    }
    if ending.failure.is_some() || !ending.verdict.is_good() {
        panic!("{}", explain(&settings, &mut stage, &ending));
    }
    assert!(audited.is_none_or(|(is_whole, _)| is_whole), "weir audit says that something is amiss");
    assert!(written.total() > 0 && ending.rounds > 0, "nothing was written");
}
