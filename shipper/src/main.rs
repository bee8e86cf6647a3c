//! `weir-shipper`: the agent alone, small, to run beside a service.

use std::process::ExitCode;

use clap::Parser;
use weir_shipper::cli::{ShipArgs, run};

/// Follows log files and pushes their records into Weir's buffer.
#[derive(Parser)]
#[command(name = "weir-shipper", version)]
struct Arguments {
    #[command(flatten)]
    ship: ShipArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    weir_process::begin();
    weir_process::run(&mut tokio::runtime::Builder::new_current_thread(), run(arguments.ship))
}
