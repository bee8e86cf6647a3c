//! `weir`: the whole pipeline in one program, every role, every tool.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

mod audit;
mod commands;
mod demo;
mod gauges;
mod show;
mod suggest;
mod torture;
mod trial;

use commands::{
    audit as audit_command, check, dead, demo as demo_command, parse, search, setup, tail, top,
    torture as torture_command, torture_shipper, up,
};

/// A centralized log pipeline: brings the logs of many services together and makes them searchable.
#[derive(Parser)]
#[command(name = "weir", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All in one: follow files, index them here, and serve the search page
    Up(up::UpArgs),
    /// Follow log files and push their records into the buffer
    Ship(weir_shipper::cli::ShipArgs),
    /// Take records out of the buffer and index them
    Work(weir_worker::cli::WorkArgs),
    /// Install templates, and with --kibana the data view, searches and dashboards
    Setup(setup::SetupArgs),
    /// Show the documents that lines become, one JSON object a line
    Parse(parse::ParseArgs),
    /// Check a configuration and run its tests
    Check(check::CheckArgs),
    /// Search records
    Search(search::SearchArgs),
    /// List, show and replay what the index refused for good
    Dead(dead::DeadArgs),
    /// Read the files again, and look for each record in the buffer and the index
    Audit(audit_command::AuditArgs),
    /// Follow new records
    Tail(tail::TailArgs),
    /// Show rates, lag, the buffer and the circuit breakers, live
    Top(top::TopArgs),
    /// Rotate, cut, compress and remove log files in every way that loses lines elsewhere, and count what is lost
    Torture(torture_command::TortureArgs),
    /// The shipper under torture
    #[command(hide = true)]
    TortureShipper(torture_shipper::TortureShipperArgs),
    /// Write the logs of demo services, without end
    #[command(hide = true)]
    Demo(demo_command::DemoArgs),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    weir_process::begin();
    let (mut one, mut many) = (Builder::new_current_thread(), Builder::new_multi_thread());
    match arguments.command {
        Command::Up(arguments) => weir_process::run(&mut many, up::run(arguments)),
        Command::Ship(arguments) => weir_process::run(&mut one, weir_shipper::cli::run(arguments)),
        Command::Work(arguments) => weir_process::run(&mut many, weir_worker::cli::run(arguments)),
        Command::Setup(arguments) => weir_process::run(&mut one, setup::run(arguments)),
        Command::Parse(arguments) => weir_process::run(&mut one, async { parse::run(&arguments) }),
        Command::Check(arguments) => weir_process::run(&mut one, async { check::run(&arguments) }),
        Command::Search(arguments) => weir_process::run(&mut one, search::run(arguments)),
        Command::Dead(arguments) => weir_process::run(&mut one, dead::run(arguments)),
        Command::Audit(arguments) => weir_process::run(&mut one, audit_command::run(arguments)),
        Command::Tail(arguments) => weir_process::run(&mut one, tail::run(arguments)),
        Command::Top(arguments) => weir_process::run(&mut one, top::run(arguments)),
        Command::Torture(arguments) => {
            weir_process::run(&mut one, async { torture_command::run(&arguments) })
        }
        Command::TortureShipper(arguments) => weir_process::run(&mut one, torture_shipper::run(arguments)),
        Command::Demo(arguments) => weir_process::run(&mut one, async { demo_command::run(&arguments) }),
    }
}
