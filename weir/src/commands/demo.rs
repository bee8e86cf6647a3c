//! `weir demo`: the demo services alone, for the sample container.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;

use crate::demo::Demo;

/// Write the logs of demo services, without end.
#[derive(Args)]
pub struct DemoArgs {
    /// Directory of the log files
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The same seed tells the same story
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Writes until it is ended; every line is on disk as soon as it is written.
pub fn run(arguments: &DemoArgs) -> anyhow::Result<ExitCode> {
    let mut demo = Demo::new(&arguments.dir, arguments.seed)?;
    demo.write_past()?;
    demo.run(&AtomicBool::new(false))?;
    Ok(ExitCode::SUCCESS)
}
