//! The command line of the shipper: `weir-shipper`, and `weir ship`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use clap::{Args, ValueEnum};
use rustix::fs::FileType;
use weir_buffer::{Password, RedisBuffer, RedisSettings};
use weir_config::{
    BufferConfig, Config, EnrichConfig, InputConfig, InputKind, Located, MetadataConfig, RedactConfig,
    ServerUrl, ShapeConfig, SourceConfig,
};
use weir_process::metrics::{self, Metric, Observed};
use weir_process::{EXIT_WRONG, bad_use, stop_signal};
use weir_record::{Query, SourceId};

use crate::backfill::{Period, moment};
use crate::bar::Bar;
use crate::follow::{Encoding, TextRules};
use crate::input::{InputSettings, Inputs, Watched};
use crate::metadata::host_fields;
use crate::parse::{Multiline, OwnLines, PatternLibrary, Zone};
use crate::progress::{Counts, Progress, Vanished};
use crate::push::chain;
use crate::redact;
use crate::rules;
use crate::settings::{
    DELETED_BYTES_MAX, Limits, Mode, Settled, ShipSettings, SourceSettings, Start, Timing,
};
use crate::shape::Cut;
use crate::ship::{ShipError, Shipper};

/// Follow log files and push their records into the buffer.
#[derive(Args, Clone, Debug)]
pub struct ShipArgs {
    /// The configuration file; flags override it
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Push into this Redis; with --once also, or instead: records of events before this time only
    #[arg(long, value_name = "URL|TIME")]
    pub to: Vec<String>,
    /// With --once: records of events from this time on only: 2026-11-01, 2026-11-01T10:00, or 7d for seven days ago.
    /// What is left out counts as read, here and in the buffer
    #[arg(long, value_name = "TIME", requires = "once")]
    pub from: Option<String>,
    /// With --once: show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Name of the service whose files these are; default: from the line, else from the path
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Read every file to its end, wait until all of it is indexed, and exit
    #[arg(long)]
    pub once: bool,
    /// With --once: how far records have to come
    #[arg(long, value_enum, default_value = "indexed", requires = "once")]
    pub wait: Wait,
    /// Directory of the checkpoint; each shipper needs its own
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Files, directories or globs to follow, instead of the configuration's; - for standard input, as a pipe without any
    #[arg(value_name = "PATH|GLOB")]
    pub paths: Vec<String>,
}

/// How far records have to come before `--once` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Into the buffer
    Pushed,
    /// Into the index
    Indexed,
}

/// Runs the shipper.
pub async fn run(mut arguments: ShipArgs) -> anyhow::Result<ExitCode> {
    let config = load(arguments.config.as_deref())?;
    let inputs = inputs(&mut arguments, &config)?;
    let settings = settings(&arguments, &config, &inputs)?;
    let (url, _) = split_to(&arguments.to);
    let buffer = Arc::new(connect(url, &config.buffer)?);
    let (state, mode) = (settings.state.clone(), settings.mode);
    let once = arguments.once;
    let shipper = Shipper::new(settings).map_err(own_fault)?;
    let progress = shipper.progress();
    let inputs = Inputs::start(inputs, &state).await.map_err(|error| bad_use(chain(&error)))?;
    serve_metrics(config.metrics.shipper, Watched::new(Arc::clone(&progress), &inputs)).await?;
    let began = Instant::now();
    let bar = (once && !arguments.quiet).then(|| Bar::start(Arc::clone(&progress)));
    let mut stopped = false;
    let ended = inputs.ended();
    let stop = async {
        stop_signal().await;
        stopped = true;
        inputs.stop().await;
    };
    let ended = shipper.run_until(buffer, stop, ended).await;
    drop(bar);
    ended.map_err(own_fault)?;
    if once && stopped {
        eprintln!("stopped before everything was shipped: the next run goes on from here");
        return Ok(ExitCode::from(EXIT_WRONG));
    }
    Ok(if mode == Mode::Follow { ExitCode::SUCCESS } else { summarize(&progress.counts(), began) })
}

/// Reads the configuration, or the defaults where none is named.
pub fn load(path: Option<&Path>) -> anyhow::Result<Config> {
    let Some(path) = path else { return Ok(Config::default()) };
    let config = Config::load(path).map_err(|error| bad_use(chain(&error)))?;
    for warning in &config.warnings {
        eprintln!("{}", config.document.render_warning(warning));
    }
    Ok(config)
}

/// What one `[[source]]` means.
pub fn source_settings(source: &SourceConfig) -> anyhow::Result<SourceSettings> {
    let mut settings = SourceSettings {
        service: source.service.clone(),
        exclude: source.exclude.iter().map(|path| path.value.clone()).collect(),
        format: source.format,
        patterns: None,
        pattern_library: pattern_library(source)?,
        columns: source.columns.clone(),
        text: TextRules {
            encoding: source.encoding.value.parse::<Encoding>().map_err(bad_use)?,
            ansi: source.ansi,
            carriage_return: source.carriage_return,
        },
        start: match source.start {
            weir_config::Start::Beginning => Start::Beginning,
            weir_config::Start::End => Start::End,
        },
        environment: source.environment.clone(),
        labels: source.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        ..SourceSettings::new(source.paths.iter().map(|path| path.value.clone()).collect())
    };
    line_rules(
        &mut settings,
        &LineRules {
            multiline: &source.multiline,
            timezone: &source.timezone,
            enrich: &source.enrich,
            redact: &source.redact,
            shape: &source.shape,
            drop: &source.drop,
        },
    )?;
    let patterns: Vec<&str> = source.format_patterns.iter().map(|text| text.value.as_str()).collect();
    if !patterns.is_empty() {
        settings.set_format(&patterns).map_err(|error| bad_use(format!("format: {error}")))?;
    }
    Ok(settings)
}

fn multiline(multiline: &weir_config::Multiline) -> anyhow::Result<Multiline> {
    Ok(match multiline {
        weir_config::Multiline::Preset(preset) => Multiline::Preset(*preset),
        weir_config::Multiline::Own { start, continues } => {
            let text = |pattern: &Option<Located<String>>| pattern.as_ref().map(|text| text.value.clone());
            let lines = OwnLines::new(text(start).as_deref(), text(continues).as_deref());
            Multiline::Own(Arc::new(lines.map_err(|error| bad_use(format!("multiline: {error}")))?))
        }
    })
}

/// What sources and inputs say of their lines in the same words.
pub(crate) struct LineRules<'c> {
    pub multiline: &'c weir_config::Multiline,
    pub timezone: &'c Located<String>,
    pub enrich: &'c EnrichConfig,
    pub redact: &'c RedactConfig,
    pub shape: &'c [ShapeConfig],
    pub drop: &'c [Located<String>],
}

/// Sets them.
pub(crate) fn line_rules(settings: &mut SourceSettings, told: &LineRules<'_>) -> anyhow::Result<()> {
    settings.multiline = multiline(told.multiline)?;
    settings.zone = told.timezone.value.parse::<Zone>().map_err(bad_use)?;
    settings.geo = rules::geo(told.enrich)?;
    settings.pipeline = rules::pipeline(told.enrich)?;
    settings.redactor = rules::redactor(told.redact)?;
    settings.shape = rules::steps(told.shape, &settings.zone)?;
    let rule = |rule: &Located<String>| {
        Query::parse(&rule.value).map_err(|error| bad_use(format!("drop rule `{}`: {error}", rule.value)))
    };
    settings.drop = told.drop.iter().map(rule).collect::<anyhow::Result<_>>()?;
    Ok(())
}

/// What the `[[input]]`s mean whose journals stand under `state`.
pub fn input_settings(inputs: &[InputConfig], state: &Path) -> anyhow::Result<Vec<InputSettings>> {
    inputs.iter().map(|input| InputSettings::new(input, state)).collect()
}

/// Lets the records of all sources say what is wanted of this machine; it is looked at once.
pub fn describe_host(sources: &mut [SourceSettings], wanted: MetadataConfig) {
    let fields = host_fields(wanted);
    for source in sources {
        source.host_fields = Arc::clone(&fields);
    }
}

/// Takes `-` out of the paths: standard input.
pub fn takes_stdin(paths: &mut Vec<String>) -> bool {
    let before = paths.len();
    paths.retain(|path| path != "-");
    paths.len() < before
}

/// The patterns that a source names: its own, and those of its files.
fn pattern_library(source: &SourceConfig) -> anyhow::Result<PatternLibrary> {
    let mut library = PatternLibrary::default();
    for file in &source.pattern_files {
        let path = &file.value;
        let text = std::fs::read_to_string(path).map_err(|error| bad_use(format!("{path}: {error}")))?;
        library.add_file(&text).map_err(|error| bad_use(format!("{path}: {error}")))?;
    }
    for (name, pattern) in &source.patterns {
        library.add(name, pattern);
    }
    Ok(library)
}

/// Where to, and until when: `--to` takes both.
fn split_to(to: &[String]) -> (Option<&str>, Option<&str>) {
    let is_url = |to: &&String| to.contains("://");
    let url = to.iter().find(is_url).map(String::as_str);
    (url, to.iter().find(|to| !is_url(to)).map(String::as_str))
}

fn period(arguments: &ShipArgs) -> anyhow::Result<Period> {
    let now = SystemTime::now();
    let read = |text: Option<&str>| text.map(|text| moment(text, now)).transpose().map_err(bad_use);
    let (url, until) = split_to(&arguments.to);
    if arguments.to.len() > usize::from(url.is_some()) + usize::from(until.is_some()) {
        return Err(bad_use("--to takes one address of a Redis, and one time"));
    }
    if until.is_some() && !arguments.once {
        let what = "--to is not a URL: write redis://HOST:6379 (a time, which --to takes too, needs --once)";
        return Err(bad_use(what));
    }
    Ok(Period { from: read(arguments.from.as_deref())?, to: read(until)? })
}

/// The name of this machine.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Who this shipper is, for the identity of records: the machine id, else the host's name.
/// <https://www.freedesktop.org/software/systemd/man/latest/machine-id.html>
pub fn source_id() -> SourceId {
    match std::fs::read_to_string("/etc/machine-id") {
        Ok(id) if !id.trim().is_empty() => SourceId::from_name(id.trim()),
        _ => SourceId::from_name(&host_name()),
    }
}

/// The configuration's inputs; standard input where `-` names it, or where it is a pipe and nothing else is named.
fn inputs(arguments: &mut ShipArgs, config: &Config) -> anyhow::Result<Vec<InputSettings>> {
    let is_named = takes_stdin(&mut arguments.paths);
    let has_other = !arguments.paths.is_empty() || !config.sources.is_empty() || !config.inputs.is_empty();
    // Paths on the command line stand instead of the configuration's sources, and of its inputs.
    let mut inputs = if arguments.paths.is_empty() && !is_named { config.inputs.clone() } else { Vec::new() };
    if is_named || !has_other && is_piped() {
        inputs.push(InputConfig::stdin());
    }
    for input in &mut inputs {
        input.service = arguments.service.clone().or(input.service.take());
    }
    let state = arguments.state.as_ref().unwrap_or(&config.state);
    input_settings(&inputs, state)
}

/// Whether something is written into standard input, or it is a file: not a terminal, and not `/dev/null`.
fn is_piped() -> bool {
    rustix::fs::fstat(std::io::stdin()).is_ok_and(|stat| {
        let kind = FileType::from_raw_mode(stat.st_mode);
        matches!(kind, FileType::Fifo | FileType::Socket | FileType::RegularFile)
    })
}

fn settings(arguments: &ShipArgs, config: &Config, inputs: &[InputSettings]) -> anyhow::Result<ShipSettings> {
    let is_stdin = |input: &InputSettings| input.kind == InputKind::Stdin;
    let names_stdin_alone = arguments.paths.is_empty() && inputs.iter().any(is_stdin);
    let mut sources = if !arguments.paths.is_empty() {
        vec![SourceSettings::new(arguments.paths.clone())]
    } else if names_stdin_alone && config.inputs.is_empty() {
        Vec::new()
    } else {
        config.sources.iter().map(source_settings).collect::<anyhow::Result<Vec<_>>>()?
    };
    for source in &mut sources {
        source.service = arguments.service.clone().or(source.service.take());
    }
    let period = period(arguments)?;
    for source in &mut sources {
        source.period = period;
    }
    let wait = match arguments.wait {
        Wait::Pushed => Settled::Pushed,
        Wait::Indexed => Settled::Indexed,
    };
    let ends = !inputs.is_empty() && inputs.iter().all(is_stdin);
    let mode = match (arguments.once, inputs.is_empty()) {
        (true, true) => Mode::Once(wait),
        (true, false) if !ends => {
            return Err(bad_use("--once ships files and standard input: what is listened to has no end"));
        }
        (false, false) if !ends || !sources.is_empty() => Mode::Follow,
        (_, false) => Mode::Input(wait),
        (false, true) => Mode::Follow,
    };
    sources.extend(inputs.iter().map(|input| input.source.clone()));
    describe_host(&mut sources, config.metadata);
    if sources.is_empty() {
        return Err(bad_use(
            "nothing to follow: name files or globs, or a configuration with a [[source]] or an [[input]] (-c FILE), \
             or pipe lines into this program",
        ));
    }
    Ok(ship_settings(arguments.state.clone().unwrap_or_else(|| config.state.clone()), sources, mode))
}

/// A shipper of the files that are named, else of the configuration's, without inputs: what an audit reads again.
pub fn file_settings(
    paths: &[String],
    state: Option<PathBuf>,
    config: &Config,
) -> anyhow::Result<ShipSettings> {
    let sources = if paths.is_empty() {
        config.sources.iter().map(source_settings).collect::<anyhow::Result<Vec<_>>>()?
    } else {
        vec![SourceSettings::new(paths.to_vec())]
    };
    if sources.is_empty() {
        return Err(bad_use("no files: name those that the shipper follows, or its configuration (-c FILE)"));
    }
    Ok(ship_settings(state.unwrap_or_else(|| config.state.clone()), sources, Mode::Follow))
}

fn ship_settings(state: PathBuf, sources: Vec<SourceSettings>, mode: Mode) -> ShipSettings {
    ShipSettings {
        state,
        source: source_id(),
        host: host_name(),
        sources,
        mode,
        timing: Timing::default(),
        limits: Limits::default(),
        deleted_bytes_max: DELETED_BYTES_MAX,
    }
}

fn connect(to: Option<&str>, buffer: &BufferConfig) -> anyhow::Result<RedisBuffer> {
    redis_buffer("--to", to, buffer)?.ok_or_else(|| {
        bad_use(
            "no Redis to push into: name one with --to redis://HOST:6379, \
             or in the configuration ([buffer] redis)",
        )
    })
}

/// The buffer in the Redis that the flag names, else the configuration; none where neither does.
pub fn redis_buffer(
    flag: &str,
    url: Option<&str>,
    buffer: &BufferConfig,
) -> anyhow::Result<Option<RedisBuffer>> {
    let url = match url {
        Some(url) => Some(ServerUrl::redis(url).map_err(|error| bad_use(format!("{flag}: {error}")))?),
        None => buffer.redis.clone(),
    };
    let Some(url) = url else { return Ok(None) };
    let password = buffer.password.clone();
    let settings = RedisSettings {
        username: buffer.username.clone(),
        password: password.map(|secret| Password::new(move || secret.read().map_err(Into::into))),
        ca: buffer.ca.clone(),
        certificate: buffer.certificate.clone(),
        partitions: u32::from(buffer.partitions),
        bytes_max: buffer.max_bytes,
        weights: buffer.weights.clone(),
        ..RedisSettings::new(url.expose())
    };
    Ok(Some(RedisBuffer::new(&settings).map_err(bad_use)?))
}

/// A wrong path pattern or an unusable state directory is the user's to mend.
fn own_fault(error: ShipError) -> anyhow::Error {
    let usage = matches!(
        error,
        ShipError::State { .. }
            | ShipError::Locked { .. }
            | ShipError::Follow(crate::follow::FollowError::Glob(_))
    );
    let error = anyhow::Error::new(error);
    if usage { bad_use(format!("{error:#}")) } else { error }
}

async fn serve_metrics(address: Option<SocketAddr>, watched: Watched) -> anyhow::Result<()> {
    match address {
        Some(address) => metrics::serve(address, Arc::new(watched)).await,
        None => Ok(()),
    }
}

fn summarize(counts: &Counts, began: Instant) -> ExitCode {
    let seconds = began.elapsed().as_secs_f64();
    let megabytes = counts.bytes_read as f64 / 1e6;
    eprintln!("shipped {} records ({megabytes:.1} MB) in {seconds:.2} s", counts.records);
    let (dropped, truncated) = (counts.records_dropped, counts.records_truncated);
    let (skipped, too_old) = (counts.records_skipped, counts.files_too_old);
    if skipped + too_old > 0 {
        eprintln!("{skipped} records and {too_old} files are of other times, and were left out");
    }
    if dropped + truncated > 0 {
        eprintln!("{dropped} of them were dropped by rule, {truncated} cut at the limit of a line");
    }
    let (cut, redacted) = (counts.records_cut.iter().sum::<u64>(), counts.redacted.iter().sum::<u64>());
    if cut + redacted > 0 {
        eprintln!("{cut} of them were cut by shape, {redacted} parts of lines taken out by redact");
    }
    let (unread, damaged) = (counts.files_unreadable, counts.files_damaged);
    if damaged > 0 {
        eprintln!("{damaged} compressed files are damaged: what stands before that was shipped");
    }
    if unread > 0 {
        eprintln!("{unread} files could not be read");
    }
    if unread + damaged > 0 {
        return ExitCode::from(EXIT_WRONG);
    }
    ExitCode::SUCCESS
}

impl Observed for Progress {
    fn metrics(&self) -> Vec<Metric> {
        let counts = self.counts();
        let mut metrics = vec![
            Metric::counter(
                "weir_shipper_read_bytes_total",
                "Bytes of log files read into frames.",
                counts.bytes_read,
            ),
            Metric::counter("weir_shipper_records_total", "Records read.", counts.records),
            Metric::counter(
                "weir_shipper_unparsed_records_total",
                "Records that no parser understood.",
                counts.records_not_understood,
            ),
            Metric::counter(
                "weir_shipper_truncated_records_total",
                "Records cut at the limit of a line.",
                counts.records_truncated,
            ),
            Metric::counter(
                "weir_shipper_dropped_records_total",
                "Records that a rule dropped.",
                counts.records_dropped,
            ),
            Metric::counter(
                "weir_shipper_skipped_records_total",
                "Records of times that are not wanted.",
                counts.records_skipped,
            ),
            Metric::counter(
                "weir_shipper_pushed_frames_total",
                "Frames that the buffer accepted.",
                counts.frames_pushed,
            ),
            Metric::counter(
                "weir_shipper_pushed_bytes_total",
                "Encoded bytes of these frames.",
                counts.bytes_pushed,
            ),
            Metric::counter(
                "weir_shipper_rewinds_total",
                "Times the buffer was at another offset.",
                counts.rewinds,
            ),
            Metric::counter(
                "weir_shipper_skipped_files_total",
                "Files that are no text.",
                counts.files_skipped,
            ),
            Metric::counter(
                "weir_shipper_unreadable_files_total",
                "Files that could not be read.",
                counts.files_unreadable,
            ),
            Metric::counter(
                "weir_shipper_unwatched_directories_total",
                "Directories without events, by a limit of the system: scanning finds their new files later.",
                counts.directories_unwatched,
            ),
            Metric::gauge(
                "weir_shipper_idle_watched_files",
                "Idle files whose growth the system tells.",
                counts.idle_watched,
            ),
            Metric::gauge(
                "weir_shipper_idle_polled_files",
                "Idle files that are polled: a limit of watches was reached, or the file system tells nothing.",
                counts.idle_polled,
            ),
            Metric::gauge("weir_shipper_open_files", "Log files that are open now.", counts.files_open),
            Metric::gauge(
                "weir_shipper_behind_bytes",
                "Bytes of followed files that are not indexed yet.",
                counts.bytes_behind,
            ),
            Metric::counter(
                "weir_shipper_damaged_files_total",
                "Compressed files whose end could not be decoded.",
                counts.files_damaged,
            ),
        ];
        let vanished = Vanished::ALL.into_iter().zip(counts.bytes_vanished);
        metrics.extend(vanished.map(|(reason, bytes)| {
            Metric::counter(
                "weir_shipper_vanished_bytes_total",
                "Bytes that were there, and vanished before they were read.",
                bytes,
            )
            .with_label("reason", reason.name())
        }));
        for (reason, records) in Cut::ALL.iter().zip(counts.records_cut) {
            let help = "Records that a step of shape has cut.";
            let metric = Metric::counter("weir_shipper_cut_records_total", help, records);
            metrics.push(metric.with_label("reason", reason.name()));
        }
        for (kind, parts) in redact::Kind::ALL.iter().zip(counts.redacted) {
            let metric = Metric::counter("weir_shipper_redacted_total", "Parts taken out of lines.", parts);
            metrics.push(metric.with_label("kind", kind.name()));
        }
        for report in self.drift().report() {
            let help = "Shapes of the lines that no parser understood: so many are kept, without any value.";
            let metric = Metric::gauge("weir_shipper_unparsed_shapes", help, report.shapes.len() as u64);
            metrics.push(metric.with_label("service", &report.service));
        }
        metrics
    }

    fn is_ready(&self) -> bool {
        self.is_connected()
    }
}
