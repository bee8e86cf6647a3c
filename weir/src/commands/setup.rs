//! `weir setup`: installs what the index, and Kibana, need.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use weir_dashboards::kibana::{self, KibanaSettings};
use weir_indexer::elasticsearch::{Change, Elasticsearch};
use weir_indexer::letter::open_letters;
use weir_process::bad_use;
use weir_shipper::cli::load;
use weir_worker::cli::elasticsearch_settings;

/// Install templates, and with --kibana the data view, searches and dashboards.
#[derive(Args)]
pub struct SetupArgs {
    /// The configuration file; flags override it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Elasticsearch or OpenSearch
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Also import into this Kibana; a space is part of the address: http://kibana:5601/s/operations
    #[arg(long, value_name = "URL")]
    kibana: Option<String>,
    /// Only print what would change on the server
    #[arg(long, conflicts_with = "kibana")]
    dry_run: bool,
}

/// Safe to repeat: what is there is updated.
pub async fn run(arguments: SetupArgs) -> anyhow::Result<ExitCode> {
    let config = load(arguments.config.as_deref())?;
    let settings = elasticsearch_settings(arguments.to.as_deref(), &config.index)?.ok_or_else(|| {
        bad_use(
            "nothing to set up: name a server with --to URL, or in the configuration ([index] elasticsearch)",
        )
    })?;
    let index = Elasticsearch::connect(&settings).map_err(bad_use)?;
    let server = index.server().await.context("cannot set up the index")?;
    eprintln!("{:?} {}", server.distribution, server.version);
    let changes = index.plan().await.context("cannot read what is set up");
    if arguments.dry_run {
        print_changes(&changes?);
        return Ok(ExitCode::SUCCESS);
    }
    index.setup().await.context("cannot set up the index")?;
    println!("templates are installed");
    if changes.is_ok_and(|changes| !changes.is_empty()) {
        offer_replay(&index).await;
    }
    if let Some(url) = arguments.kibana {
        // Kibana knows the same users, keys and authorities as its Elasticsearch.
        let certificates = settings.certificate_authority.unwrap_or_default();
        let credentials = settings.credentials.map(|source| source.read()).transpose().map_err(bad_use)?;
        let kibana = KibanaSettings { url, credentials, certificates };
        let objects = kibana::import(&kibana).await.context("cannot set up Kibana")?;
        println!("{objects} objects are imported into Kibana");
    }
    Ok(ExitCode::SUCCESS)
}

fn print_changes(changes: &[Change]) {
    if changes.is_empty() {
        println!("everything is as it should be");
    }
    for Change { path, is_new, differences } in changes {
        println!("{path}{}", if *is_new { " (new)" } else { "" });
        for line in differences {
            println!("  {line}");
        }
    }
}

/// What was refused under older templates may be taken now.
async fn offer_replay(index: &Elasticsearch) {
    // A first set-up finds no letters, and a user who may not search has none to replay.
    let letters = open_letters(index).await.unwrap_or_default();
    if !letters.is_empty() {
        println!("{} dead letters may be taken now: weir dead replay --dry-run", letters.len());
    }
}
