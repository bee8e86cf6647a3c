//! What every program of Weir does as a process: its log, its signals, its exit code.
//!
//! Three programs and a dozen commands share these few lines, so that they all say errors in one way, stop at the
//! same signals and end with the same codes.

pub mod metrics;

use std::fmt;
use std::future::Future;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

/// It ran, but something is wrong.
pub const EXIT_WRONG: u8 = 1;
/// Bad use or bad configuration.
pub const EXIT_USAGE: u8 = 2;
/// A second interrupt ended it at once.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Marks an error as the user's to mend: a flag, a path, the configuration. Attach it with
/// [`anyhow::Error::context`], or make it the error itself.
#[derive(Debug)]
pub struct BadUse(pub String);

impl fmt::Display for BadUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for BadUse {}

/// An error about bad use, ready to return.
pub fn bad_use(what: impl fmt::Display) -> anyhow::Error {
    anyhow::Error::new(BadUse(what.to_string()))
}

/// Begins a process: the log on stderr, the TLS implementation. `WEIR_LOG` sets the level (`error`, `warn`, `info`,
/// `debug`, `trace`), info by default.
pub fn begin() {
    let level = std::env::var("WEIR_LOG").ok().and_then(|level| level.parse::<LevelFilter>().ok());
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .init();
    // Fails only if it was done before, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Whether this process is to break its promise in the way of this name, which the environment has in `WEIR_SABOTAGE`:
/// the controls of the chaos suite show that it is found out.
#[cfg(feature = "sabotage")]
pub fn is_sabotaged(how: &str) -> bool {
    std::env::var("WEIR_SABOTAGE").is_ok_and(|sabotage| sabotage == how)
}

/// Never: only a build with the feature `sabotage` can break its promise.
#[cfg(not(feature = "sabotage"))]
pub const fn is_sabotaged(_how: &str) -> bool {
    false
}

/// Runs a command on a runtime and turns its end into an exit code. An error is printed once, with its causes, on
/// one line.
pub fn run(
    runtime: &mut tokio::runtime::Builder,
    command: impl Future<Output = anyhow::Result<ExitCode>>,
) -> ExitCode {
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start the async runtime")),
    };
    let result = runtime.block_on(command);
    // Whatever still blocks (a read of a dead network file system) must not keep the process.
    runtime.shutdown_background();
    result.unwrap_or_else(|error| fail(&error))
}

/// Prints an error with its causes on one line, and gives the exit code that belongs to it.
pub fn fail(error: &anyhow::Error) -> ExitCode {
    let text = format!("{error:#}");
    if text.starts_with("error") {
        eprintln!("{text}")
    } else {
        eprintln!("error: {text}")
    }
    let code = if error.downcast_ref::<BadUse>().is_some() { EXIT_USAGE } else { EXIT_WRONG };
    ExitCode::from(code)
}

/// Resolves at the first SIGTERM or SIGINT: stop cleanly. A second one ends the process at once, which loses nothing
/// either.
pub async fn stop_signal() {
    wait_for_signal().await;
    tracing::info!("stopping; once more to end at once");
    tokio::spawn(async {
        wait_for_signal().await;
        std::process::exit(i32::from(EXIT_INTERRUPTED));
    });
}

async fn wait_for_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be handled here: a stop will be abrupt, and loses nothing");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
