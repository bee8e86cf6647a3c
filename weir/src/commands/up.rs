//! `weir up`: shipper, buffer, worker, index and search page in one process.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use clap::Args;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_buffer::{Buffer, MemoryBuffer};
use weir_config::{InputConfig, MetricsConfig};
use weir_dashboards::{DriftSource, PageSettings};
use weir_indexer::elasticsearch::{Elasticsearch, ElasticsearchSettings};
use weir_indexer::embedded::{Embedded, EmbeddedSettings};
use weir_indexer::{Index, Search};
use weir_process::metrics::Observed;
use weir_process::{bad_use, stop_signal};
use weir_shipper::cli::{
    describe_host, host_name, input_settings, load, redis_buffer, source_id, source_settings, takes_stdin,
};
use weir_shipper::input::{InputSettings, Inputs, Watched};
use weir_shipper::settings::DELETED_BYTES_MAX;
use weir_shipper::{Limits, Mode, Progress, ShipSettings, Shipper, SourceSettings, Timing};
use weir_worker::{Counters, Worker, WorkerSettings};

use super::running::Running;
use crate::demo::Demo;

/// All in one: follow files, index them here, and serve the search page.
#[derive(Args)]
pub struct UpArgs {
    /// Files, directories or globs to follow, - for standard input; default: the configuration's sources, else what is readable in /var/log
    #[arg(value_name = "PATH|GLOB")]
    paths: Vec<String>,
    /// Also run demo services that write realistic logs, and follow them
    #[arg(long)]
    demo: bool,
    /// Directory of the index and the checkpoint; default: $XDG_DATA_HOME/weir, or ~/.local/share/weir
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the search page; default 127.0.0.1:9880
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Let other machines reach the page, which has no login
    #[arg(long)]
    allow_remote: bool,
    /// Use this Redis as the buffer instead of memory
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Use this Elasticsearch or OpenSearch instead of the embedded index
    #[arg(long, value_name = "URL")]
    elasticsearch: Option<String>,
    /// The configuration file; flags override it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What is readable under `/var/log` without being a rotated copy of something else.
const SYSTEM_LOGS: [&str; 1] = ["/var/log/**/*"];
const SYSTEM_LOGS_EXCLUDED: [&str; 7] =
    ["*.gz", "*.xz", "*.bz2", "*.zst", "*.[0-9]", "*.[0-9][0-9]", "*.old"];

/// Of the buffer in memory: about five million records.
const MEMORY_BUFFER_BYTES: u64 = 256 * 1024 * 1024;

/// Directory of the checkpoint and of the inputs' journals, under `--data`.
const STATE: &str = "state";

/// Everything that was decided before anything starts.
struct Plan {
    data: PathBuf,
    sources: Vec<SourceSettings>,
    inputs: Vec<InputSettings>,
    page: PageSettings,
    demo: Option<Demo>,
    worker: WorkerSettings,
    metrics: MetricsConfig,
}

/// Runs until it is told to stop.
pub async fn run(mut arguments: UpArgs) -> anyhow::Result<ExitCode> {
    let config = load(arguments.config.as_deref())?;
    let data = data_directory(&arguments)?;
    let inputs = inputs(&mut arguments, &config, &data)?;
    let page = PageSettings {
        allow_remote: arguments.allow_remote,
        ..PageSettings::new(arguments.listen.unwrap_or(config.page.listen))
    };
    let listener = weir_dashboards::bind(&page)
        .await
        .map_err(|error| bad_use(format!("{:#}", anyhow::Error::new(error))))?;
    let demo = arguments.demo.then(|| Demo::new(&data.join("demo"), 1)).transpose()?;
    let mut sources = sources(&arguments, &config, demo.as_ref(), &inputs)?;
    sources.extend(inputs.iter().map(|input| input.source.clone()));
    describe_host(&mut sources, config.metadata);
    let mut worker = WorkerSettings::from_config(&config);
    let redis = redis_buffer("--redis", arguments.redis.as_deref(), &config.buffer)?;
    if let (None, Some(shed)) = (&redis, &mut worker.shed) {
        shed.above_bytes = MEMORY_BUFFER_BYTES / 4 * 3;
    }
    let plan = Plan { data, sources, inputs, page, demo, worker, metrics: config.metrics.clone() };
    match elasticsearch(&arguments, &config)? {
        Some(settings) => {
            let index = Arc::new(Elasticsearch::connect(&settings).map_err(bad_use)?);
            match redis {
                Some(buffer) => pipeline(plan, listener, Arc::new(buffer), index).await,
                None => {
                    pipeline(plan, listener, Arc::new(MemoryBuffer::new(MEMORY_BUFFER_BYTES)), index).await
                }
            }
        }
        None => {
            let index = Arc::new(open_embedded(&arguments, &config, &plan.data)?);
            match redis {
                Some(buffer) => pipeline(plan, listener, Arc::new(buffer), index).await,
                None => {
                    // The index knows how far each file is in it: a buffer that begins empty goes on from there.
                    let buffer = MemoryBuffer::with_positions(MEMORY_BUFFER_BYTES, index.positions());
                    pipeline(plan, listener, Arc::new(buffer), index).await
                }
            }
        }
    }
}

/// Starts the page last, because it shows how the others do, and else in the order of the records' way backwards; stops
/// in the order of their way.
async fn pipeline<B: Buffer, I: Index + Search>(
    plan: Plan,
    listener: tokio::net::TcpListener,
    buffer: Arc<B>,
    index: Arc<I>,
) -> anyhow::Result<ExitCode> {
    let address = listener.local_addr().context("the page has no address")?;
    let state = plan.data.join(STATE);
    let ship_settings = ShipSettings {
        state: state.clone(),
        source: source_id(),
        host: host_name(),
        sources: plan.sources,
        mode: Mode::Follow,
        timing: Timing::default(),
        limits: Limits::default(),
        deleted_bytes_max: DELETED_BYTES_MAX,
    };
    let shipper = Shipper::new(ship_settings.clone())
        .map_err(|error| bad_use(format!("{:#}", anyhow::Error::new(error))))?;

    let (stop_worker, worker_stopped) = watch::channel(());
    let shed = plan.worker.shed.as_ref().map(|shed| shed.levels.clone()).unwrap_or_default();
    let worker = Worker::new(Arc::clone(&buffer), Arc::clone(&index), plan.worker);
    let counters = worker.counters();
    let worker = tokio::spawn(worker.run(ended(worker_stopped)));

    let inputs = Inputs::start(plan.inputs, &state)
        .await
        .map_err(|error| bad_use(format!("{:#}", anyhow::Error::new(error))))?;
    let watched = Arc::new(Watched::new(shipper.progress(), &inputs));
    serve_metrics(plan.metrics, &watched, &counters).await?;
    let page = PageSettings {
        drift: Some(Arc::new(ShippedDrift(shipper.progress()))),
        pipeline: Some(Arc::new(Running::new(watched, counters, ship_settings, shed, &buffer, &index))),
        ..plan.page
    };
    let (stop_page, page_stopped) = watch::channel(());
    let page = tokio::spawn(weir_dashboards::serve(listener, index, page, ended(page_stopped)));
    let stop_demo = Arc::new(AtomicBool::new(false));
    if let Some(mut demo) = plan.demo {
        demo.write_past().context("cannot write the demo's logs")?;
        demo.spawn(Arc::clone(&stop_demo)).context("cannot start the demo")?;
    }
    announce(address);
    let stop = async {
        stop_or_end(&worker).await;
        inputs.stop().await;
    };
    let shipped = shipper.run(buffer, stop).await;
    drop(stop_worker);
    let worked = worker.await.context("the worker has crashed")?;
    drop(stop_page);
    page.await.context("the page has crashed")?;
    shipped?;
    worked?;
    Ok(ExitCode::SUCCESS)
}

/// What the shipper of this process did not understand, for its page.
#[derive(Debug)]
struct ShippedDrift(Arc<Progress>);

impl DriftSource for ShippedDrift {
    fn services(&self) -> serde_json::Value {
        serde_json::to_value(self.0.drift().report()).unwrap_or_default()
    }
}

/// Each role on the address that the configuration names for it; the page has the numbers of both.
async fn serve_metrics(
    addresses: MetricsConfig,
    watched: &Arc<Watched>,
    counters: &Arc<Counters>,
) -> anyhow::Result<()> {
    if let Some(address) = addresses.shipper {
        weir_process::metrics::serve(address, Arc::clone(watched) as Arc<dyn Observed>).await?;
    }
    if let Some(address) = addresses.worker {
        weir_process::metrics::serve(address, Arc::clone(counters) as Arc<dyn Observed>).await?;
    }
    Ok(())
}

/// Resolves at a signal, or when the worker has ended by itself: then nothing would be indexed any more.
async fn stop_or_end<T>(worker: &JoinHandle<T>) {
    let ended = async {
        while !worker.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = stop_signal() => {}
        () = ended => {}
    }
}

/// Resolves when the other end is dropped.
async fn ended(mut stopped: watch::Receiver<()>) {
    while stopped.changed().await.is_ok() {}
}

fn announce(address: SocketAddr) {
    if std::io::stdout().is_terminal() {
        println!("\n  Search your logs at  http://{address}\n  Stop with Ctrl-C.\n");
    } else {
        println!("http://{address}");
    }
}

fn data_directory(arguments: &UpArgs) -> anyhow::Result<PathBuf> {
    if let Some(data) = &arguments.data {
        return Ok(data.clone());
    }
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_DATA_HOME")
        .or_else(|| Some(named("HOME")?.join(".local/share")))
        .map(|base| base.join("weir"))
        .ok_or_else(|| bad_use("no home directory for the data: name a directory with --data"))
}

fn sources(
    arguments: &UpArgs,
    config: &weir_config::Config,
    demo: Option<&Demo>,
    inputs: &[InputSettings],
) -> anyhow::Result<Vec<SourceSettings>> {
    let mut sources = Vec::new();
    if let Some(demo) = demo {
        sources.push(SourceSettings::new(demo.paths().map(|path| path.display().to_string()).collect()));
    }
    if !arguments.paths.is_empty() {
        sources.push(SourceSettings::new(arguments.paths.clone()));
    } else if demo.is_none() {
        let configured = config.sources.iter().map(source_settings).collect::<anyhow::Result<Vec<_>>>()?;
        let is_empty = configured.is_empty() && inputs.is_empty();
        sources.extend(if is_empty { vec![system_logs()] } else { configured });
    }
    Ok(sources)
}

/// The configuration's inputs, and standard input where `-` names it.
fn inputs(
    arguments: &mut UpArgs,
    config: &weir_config::Config,
    data: &Path,
) -> anyhow::Result<Vec<InputSettings>> {
    let mut inputs = config.inputs.clone();
    if takes_stdin(&mut arguments.paths) {
        inputs.push(InputConfig::stdin());
    }
    input_settings(&inputs, &data.join(STATE))
}

fn system_logs() -> SourceSettings {
    let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    SourceSettings { exclude: owned(&SYSTEM_LOGS_EXCLUDED), ..SourceSettings::new(owned(&SYSTEM_LOGS)) }
}

fn elasticsearch(
    arguments: &UpArgs,
    config: &weir_config::Config,
) -> anyhow::Result<Option<ElasticsearchSettings>> {
    weir_worker::cli::elasticsearch_settings(arguments.elasticsearch.as_deref(), &config.index)
}

fn open_embedded(arguments: &UpArgs, config: &weir_config::Config, data: &Path) -> anyhow::Result<Embedded> {
    // The configuration names a place of its own; `--data` and the default of this command hold everything together.
    let configured = arguments.data.is_none() && arguments.config.is_some();
    let data = if configured { config.embedded.data.clone() } else { data.join("index") };
    let settings = EmbeddedSettings {
        data,
        retention: config.embedded.retention,
        max_bytes: config.embedded.max_bytes,
        namespace: config.index.namespace.clone(),
    };
    Embedded::open(&settings).map_err(|error| bad_use(format!("{:#}", anyhow::Error::new(error))))
}
