//! The command line of the worker: `weir-worker`, and `weir work`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use weir_buffer::{Password, RedisBuffer, RedisSettings};
use weir_config::{Auth, BufferConfig, Config, IndexConfig, ServerUrl, parse_duration};
use weir_indexer::elasticsearch::{CredentialSource, Credentials, Elasticsearch, ElasticsearchSettings};
use weir_indexer::{DocumentSettings, IndexHealth, SetupError};
use weir_process::metrics::{self, Metric, Observed};
use weir_process::{EXIT_WRONG, bad_use, stop_signal};

use crate::watch::chain;
use crate::{
    BlockedStream, BreakerState, Counters, Counts, Delivering, Mode, ShedSettings, Waiting, WorkError,
    Worker, WorkerSettings,
};

/// Drain the buffer into Elasticsearch or OpenSearch.
#[derive(Args, Clone, Debug)]
pub struct WorkArgs {
    /// The configuration file; flags override it
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Claim from this Redis
    #[arg(long, value_name = "URL")]
    pub from: Option<String>,
    /// Write to this Elasticsearch or OpenSearch
    #[arg(long, value_name = "URL")]
    pub to: Option<String>,
    /// End when the buffer is empty
    #[arg(long)]
    pub once: bool,
    /// With --once: how long the buffer has to be empty
    #[arg(long, value_name = "DURATION", default_value = "1s", requires = "once", value_parser = parse_duration)]
    pub idle: Duration,
}

/// Runs the worker.
pub async fn run(arguments: WorkArgs) -> anyhow::Result<ExitCode> {
    let config = load(&arguments)?;
    let buffer = buffer(arguments.from.as_deref(), &config.buffer)?;
    let index = elasticsearch_settings(arguments.to.as_deref(), &config.index)?.ok_or_else(|| {
        bad_use(
            "no index to write to: name one with --to http://HOST:9200, \
             or in the configuration ([index] elasticsearch)",
        )
    })?;
    let index = Elasticsearch::connect(&index).map_err(bad_use)?;
    let mut settings = WorkerSettings::from_config(&config);
    if arguments.once {
        settings.mode = Mode::UntilIdle(arguments.idle);
    }
    let worker = Worker::new(Arc::new(buffer), Arc::new(index), settings);
    let counters = worker.counters();
    serve_metrics(config.metrics.worker, &counters).await?;
    let began = Instant::now();
    let counts = worker.run(stop_signal()).await.map_err(own_fault)?;
    summarize(&counts, began);
    Ok(if counts.rejected + counts.poison_frames > 0 && arguments.once {
        ExitCode::from(EXIT_WRONG)
    } else {
        ExitCode::SUCCESS
    })
}

/// The cluster that the flag names, else the configuration; none where neither does.
pub fn elasticsearch_settings(
    to: Option<&str>,
    index: &IndexConfig,
) -> anyhow::Result<Option<ElasticsearchSettings>> {
    let urls = match to {
        // Not shown: a URL may hold a password.
        Some(url) => {
            vec![ServerUrl::http(url).map_err(|error| bad_use(format!("the index's address: {error}")))?]
        }
        None => index.elasticsearch.clone(),
    };
    if urls.is_empty() {
        return Ok(None);
    }
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| {
            bad_use(format!("cannot read the certificates in {}", path.display())).context(error)
        })
    };
    let certificate = match &index.certificate {
        Some((certificate, key)) => Some([read(certificate)?, read(key)?].concat()),
        None => None,
    };
    let credentials = index
        .auth
        .clone()
        .map(|auth| CredentialSource::new(move || credentials(&auth).map_err(|error| chain(&error))));
    if let Some(source) = &credentials {
        source.read().map_err(bad_use)?;
    }
    Ok(Some(ElasticsearchSettings {
        urls: urls.iter().map(|url| url.expose().to_owned()).collect(),
        credentials,
        certificate_authority: index.ca.as_ref().map(read).transpose()?,
        authority_fingerprint: index.ca_fingerprint,
        certificate,
        documents: document_settings(index),
        retention: index.retention,
        gzip: index.gzip,
    }))
}

impl WorkerSettings {
    /// As the configuration says, named so that no other living worker has the same name.
    pub fn from_config(config: &Config) -> WorkerSettings {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        WorkerSettings {
            documents: document_settings(&config.index),
            bulk_bytes: usize::try_from(config.index.bulk_bytes).unwrap_or(usize::MAX),
            in_flight: usize::from(config.index.in_flight),
            field_budget: usize::from(config.index.field_budget),
            shed: shed_settings(&config.buffer),
            ..WorkerSettings::new(format!("{host}-{}", std::process::id()))
        }
    }
}

/// Shippers begin to get no more than their share at three quarters; records are shed from there on too.
fn shed_settings(buffer: &BufferConfig) -> Option<ShedSettings> {
    let bytes_max = buffer.max_bytes.saturating_mul(u64::from(buffer.partitions));
    let levels = buffer.shed.clone();
    (!levels.is_empty()).then(|| ShedSettings { levels, above_bytes: bytes_max / 4 * 3 })
}

fn load(arguments: &WorkArgs) -> anyhow::Result<Config> {
    let Some(path) = &arguments.config else { return Ok(Config::default()) };
    let config = Config::load(path).map_err(|error| bad_use(chain(&error)))?;
    for warning in &config.warnings {
        eprintln!("{}", config.document.render_warning(warning));
    }
    Ok(config)
}

fn buffer(from: Option<&str>, buffer: &BufferConfig) -> anyhow::Result<RedisBuffer> {
    let url = match from {
        Some(url) => ServerUrl::redis(url).map_err(|error| bad_use(format!("--from: {error}")))?,
        None => buffer.redis.clone().ok_or_else(|| {
            bad_use(
                "no Redis to claim from: name one with --from redis://HOST:6379, \
                 or in the configuration ([buffer] redis)",
            )
        })?,
    };
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
    RedisBuffer::new(&settings).map_err(bad_use)
}

fn document_settings(index: &IndexConfig) -> DocumentSettings {
    DocumentSettings { data_stream: index.data_stream.clone(), namespace: index.namespace.clone() }
}

fn credentials(auth: &Auth) -> Result<Credentials, weir_config::ReadSecretError> {
    Ok(match auth {
        Auth::ApiKey(key) => Credentials::ApiKey(key.read()?),
        Auth::Basic { username, password } => {
            Credentials::Basic { user: username.clone(), password: password.read()? }
        }
        Auth::Bearer(token) => Credentials::Bearer(token.read()?),
    })
}

/// What somebody has to mend in the configuration, of the buffer or of the index, is bad use.
fn own_fault(error: WorkError) -> anyhow::Error {
    let usage = matches!(error, WorkError::Buffer(_) | WorkError::Setup(SetupError::Missing { .. }));
    let error = anyhow::Error::new(error);
    if usage { bad_use(format!("{error:#}")) } else { error }
}

/// Serves a worker's numbers where the configuration wants them.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve_metrics(address: Option<SocketAddr>, counters: &Arc<Counters>) -> anyhow::Result<()> {
    match address {
        Some(address) => metrics::serve(address, Arc::clone(counters) as Arc<dyn Observed>)
            .await
            .context("cannot serve the worker's metrics"),
        None => Ok(()),
    }
}

fn summarize(counts: &Counts, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let Counts { frames, documents, indexed, duplicates, rejected, retried, .. } = *counts;
    eprintln!(
        "{documents} documents of {frames} frames in {seconds:.2} s: {indexed} indexed, {duplicates} were there \
         before, {rejected} refused, {retried} retries"
    );
    if rejected + counts.poison_frames > 0 {
        eprintln!("{rejected} documents and {} frames are in the dead letters", counts.poison_frames);
    }
}

fn waiting_metrics(waiting: &Waiting) -> [Metric; 3] {
    let Waiting { depth, gaps } = waiting;
    [
        Metric::gauge("weir_worker_buffer_frames", "Frames in the buffer, for all workers.", depth.frames),
        Metric::gauge("weir_worker_buffer_bytes", "Their encoded bytes.", depth.bytes),
        Metric::counter("weir_worker_buffer_gaps_total", "Gaps found in the buffer, and mended.", *gaps),
    ]
}

fn delivering_metrics(now: &Delivering) -> Vec<Metric> {
    let (counter, gauge) = (Metric::counter, Metric::gauge);
    let states = [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];
    let state = |state: BreakerState| {
        let help = "1 for the state of the index's circuit breaker.";
        gauge("weir_worker_index_breaker", help, u64::from(now.index == state))
            .with_label("state", state.name())
    };
    let blocked = |stream: &BlockedStream| {
        let help = "Data streams that take nothing: their records wait in the buffer.";
        gauge("weir_worker_stream_blocked", help, 1)
            .with_label("stream", &stream.name)
            .with_label("state", stream.state.name())
    };
    let mut metrics: Vec<Metric> = states.into_iter().map(state).collect();
    let openings = now.index_openings;
    metrics.push(counter("weir_worker_index_breaker_openings_total", "Times it opened.", openings));
    metrics.extend(now.blocked.iter().map(blocked));
    let openings = now.stream_openings;
    metrics.push(counter("weir_worker_stream_breaker_openings_total", "Times a stream's opened.", openings));
    metrics.push(counter("weir_worker_parked_frames_total", "Times a frame was parked.", now.parked));
    if let Some(in_flight) = now.in_flight {
        metrics.push(gauge("weir_worker_in_flight_limit", "Bulks allowed at once.", in_flight as u64));
    }
    let help = "Whether records are shed, because the buffer is nearly full.";
    metrics.push(gauge("weir_worker_shedding", help, u64::from(now.is_shedding)));
    metrics.push(gauge("weir_worker_bulk_bytes_limit", "Bytes allowed in a bulk.", now.bulk_bytes as u64));
    metrics
}

fn health_metrics(health: &IndexHealth) -> [Metric; 3] {
    let IndexHealth { partitions_set_aside, documents_set_aside, bytes_taken_back } = *health;
    let counter = Metric::counter;
    [
        counter("weir_index_damaged_partitions_total", "Partitions set aside.", partitions_set_aside),
        counter(
            "weir_index_damaged_documents_total",
            "Documents in these, where known.",
            documents_set_aside,
        ),
        counter("weir_index_taken_back_bytes_total", "Bytes of log files asked for again.", bytes_taken_back),
    ]
}

impl Observed for Counters {
    fn metrics(&self) -> Vec<Metric> {
        let counts = self.counts();
        let counter = Metric::counter;
        let mut metrics = vec![
            counter("weir_worker_frames_total", "Frames acknowledged.", counts.frames),
            counter("weir_worker_frame_bytes_total", "Encoded bytes of these frames.", counts.bytes),
            counter("weir_worker_documents_total", "Documents with a final outcome.", counts.documents),
            counter("weir_worker_indexed_total", "Documents stored.", counts.indexed),
            counter("weir_worker_duplicates_total", "Documents stored before.", counts.duplicates),
            counter("weir_worker_retried_total", "Documents sent again.", counts.retried),
            counter("weir_worker_rejected_total", "Documents in the dead letters.", counts.rejected),
            counter("weir_worker_covered_frames_total", "Frames indexed before.", counts.covered_frames),
            counter("weir_worker_poison_frames_total", "Frames in the dead letters.", counts.poison_frames),
            counter("weir_worker_bulks_total", "Bulks answered.", counts.bulks),
        ];
        metrics.extend(self.healed().into_iter().map(|healed| {
            let help = "Documents stored without their attributes being mapped, because this one clashed.";
            counter("weir_worker_healed_total", help, healed.documents)
                .with_label("stream", &healed.stream)
                .with_label("field", &healed.field)
        }));
        metrics.extend(self.diverted().into_iter().map(|(stream, documents)| {
            let help = "Documents in the failure store of their stream.";
            counter("weir_worker_failure_store_total", help, documents).with_label("stream", &stream)
        }));
        metrics.extend(self.waiting().iter().flat_map(waiting_metrics));
        metrics.extend(self.unmapped().into_iter().map(|(service, documents)| {
            let help = "Documents with attributes beyond the service's budget of fields, stored unmapped.";
            counter("weir_worker_over_budget_total", help, documents).with_label("service", &service)
        }));
        metrics.extend(self.shed().into_iter().map(|((service, level), records)| {
            let help = "Records not indexed because the buffer was nearly full.";
            counter("weir_worker_shed_total", help, records)
                .with_label("service", &service)
                .with_label("reason", &level)
        }));
        metrics.extend(delivering_metrics(&self.delivering()));
        metrics.extend(self.index_health().iter().flat_map(health_metrics));
        metrics
    }

    fn is_ready(&self) -> bool {
        Counters::is_ready(self)
    }
}
