//! `weir-worker`: the worker alone.

use std::process::ExitCode;

use clap::Parser;
use weir_worker::cli::{WorkArgs, run};

/// Drains Weir's buffer into Elasticsearch or OpenSearch.
#[derive(Parser)]
#[command(name = "weir-worker", version)]
struct Arguments {
    #[command(flatten)]
    work: WorkArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    weir_process::begin();
    weir_process::run(&mut tokio::runtime::Builder::new_multi_thread(), run(arguments.work))
}
