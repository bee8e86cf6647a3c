//! `weir audit`: reads the files again, and compares them with the buffer and the index.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use weir_indexer::Elasticsearch;
use weir_process::{EXIT_WRONG, bad_use};
use weir_shipper::cli::{file_settings, load, redis_buffer};
use weir_worker::cli::elasticsearch_settings;

use super::server::{ServerAddress, moment};
use crate::audit::{Plan, Report, audit};
use crate::show::ignore_closed;

/// Read the files again and look for each record in the index; exit code 1 where one is missing or there twice.
///
/// With a Redis and an index (flags, or a configuration that names both): on the shipper's machine, as a user who may
/// read its files and its state. Without: asks a running `weir up`.
#[derive(Args)]
pub struct AuditArgs {
    /// The configuration file of the shipper; flags override it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Redis that the shipper pushes into
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// The Elasticsearch or OpenSearch that has the records
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Directory of the shipper's checkpoint
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Leave files alone that were last written before: 15m, 1h, 7d ago, or a time such as 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How long the index may take to show what it stored: its refresh interval
    #[arg(long, value_name = "DURATION", default_value = "35s", value_parser = weir_config::parse_duration)]
    settle: Duration,
    /// The files, directories or globs that the shipper follows, instead of the configuration's
    #[arg(value_name = "PATH|GLOB")]
    paths: Vec<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerAddress,
}

/// Audits, and prints what was found.
pub async fn run(arguments: AuditArgs) -> anyhow::Result<ExitCode> {
    let config = load(arguments.config.as_deref())?;
    let since = arguments.since.as_deref().map(moment).transpose()?;
    let buffer = redis_buffer("--from", arguments.from.as_deref(), &config.buffer)?;
    let index = elasticsearch_settings(arguments.to.as_deref(), &config.index)?;
    let report = match (buffer, index) {
        (Some(buffer), Some(index)) => {
            let index = Elasticsearch::connect(&index).map_err(bad_use)?;
            let shipper = file_settings(&arguments.paths, arguments.state, &config)?;
            let (since, shed) = (since.map(Into::into), config.buffer.shed.clone());
            let plan = Plan { shipper, since, shed, settle: arguments.settle };
            audit(plan, &buffer, &index).await?
        }
        (None, None) => arguments.ask(since).await?,
        (Some(_), None) => return Err(bad_use("name the index too: --to URL, or [index] elasticsearch")),
        (None, Some(_)) => return Err(bad_use("name the Redis too: --from URL, or [buffer] redis")),
    };
    let text = if arguments.json {
        format!("{}\n", serde_json::to_string(&report).context("cannot write the report")?)
    } else {
        report.render()
    };
    io::stdout().lock().write_all(text.as_bytes()).or_else(ignore_closed)?;
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) })
}

impl AuditArgs {
    /// Lets a running `weir up` audit itself.
    async fn ask(&self, since: Option<Timestamp>) -> anyhow::Result<Report> {
        if !self.paths.is_empty() || self.state.is_some() {
            return Err(bad_use(
                "files and a state directory are audited with a Redis and an index: --from URL --to URL; \
                 a running `weir up` knows its own",
            ));
        }
        let since = since.map(|since| ("since", since.to_string()));
        let parameters: Vec<(&str, String)> = since.into_iter().collect();
        let response = self.server.get("/api/audit", &parameters).await?;
        response.json().await.context("the answer cannot be read: are both of the same version?")
    }
}
