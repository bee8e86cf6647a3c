//! `weir top`: how the pipeline does, live: rates, lag, what the buffer holds, the circuit breakers.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use weir_process::{EXIT_WRONG, stop_signal};
use weir_shipper::cli::load;

use crate::gauges::{Sample, render};
use crate::show::ignore_closed;

/// A live view of the pipeline.
#[derive(Args)]
pub struct TopArgs {
    /// A running `weir up`, or the metrics address of a shipper or a worker; several are shown below each other
    #[arg(value_name = "URL")]
    servers: Vec<String>,
    /// A configuration whose [metrics] addresses are shown
    #[arg(short, long, value_name = "FILE", conflicts_with = "servers")]
    config: Option<PathBuf>,
    /// Print once, over the first interval, and exit
    #[arg(long)]
    once: bool,
    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = weir_config::parse_duration)]
    interval: Duration,
}

/// Where `weir up` listens unless it is told otherwise.
const SERVER: &str = "http://127.0.0.1:9880";

/// Who does not answer by then is shown as away.
const TIMEOUT: Duration = Duration::from_secs(5);

/// To the upper left corner; what follows writes over what is there.
const HOME: &str = "\x1b[H";
/// Clears to the end of the line, and of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
const CLEAR: &str = "\x1b[2J";

/// Shows until interrupted.
pub async fn run(arguments: TopArgs) -> anyhow::Result<ExitCode> {
    let servers = arguments.servers()?;
    let client =
        reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().context("cannot set up HTTP")?;
    tokio::select! {
        code = watch(&arguments, &servers, &client) => code,
        () = stop_signal() => Ok(ExitCode::SUCCESS),
    }
}

impl TopArgs {
    fn servers(&self) -> anyhow::Result<Vec<String>> {
        if !self.servers.is_empty() {
            return Ok(self.servers.clone());
        }
        let Some(path) = &self.config else { return Ok(vec![SERVER.to_owned()]) };
        let config = load(Some(path))?;
        let named = [config.metrics.shipper, config.metrics.worker];
        let addresses: Vec<String> =
            named.into_iter().flatten().map(|address| format!("http://{address}")).collect();
        anyhow::ensure!(
            !addresses.is_empty(),
            "the configuration has no [metrics] addresses: add them, or name a URL"
        );
        Ok(addresses)
    }
}

async fn watch(
    arguments: &TopArgs,
    servers: &[String],
    client: &reqwest::Client,
) -> anyhow::Result<ExitCode> {
    let is_live = !arguments.once && io::stdout().is_terminal();
    let mut before = look(servers, client).await;
    if is_live {
        print(CLEAR)?;
    }
    loop {
        tokio::time::sleep(arguments.interval).await;
        let now = look(servers, client).await;
        let mut text = String::new();
        for ((server, before), now) in servers.iter().zip(&before).zip(&now) {
            text.push_str(&match now {
                Ok(now) => render(server, before.as_ref().unwrap_or(now), now),
                Err(reason) => format!("{server}: {reason}\n"),
            });
        }
        if is_live {
            let lines: Vec<String> = text.lines().map(|line| format!("{line}{CLEAR_LINE}\n")).collect();
            print(&format!("{HOME}{}{CLEAR_BELOW}", lines.concat()))?;
        } else {
            print(&text)?;
        }
        if arguments.once {
            let is_whole = now.iter().all(Result::is_ok);
            return Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(EXIT_WRONG) });
        }
        before = now;
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).or_else(ignore_closed)
}

/// What each server says, or why it says nothing.
async fn look(servers: &[String], client: &reqwest::Client) -> Vec<Result<Sample, String>> {
    let mut samples = Vec::with_capacity(servers.len());
    for server in servers {
        samples.push(ask(server, client).await);
    }
    samples
}

async fn ask(server: &str, client: &reqwest::Client) -> Result<Sample, String> {
    let url = format!("{}/metrics", server.trim_end_matches('/').trim_end_matches("/metrics"));
    let response = client.get(url).send().await.map_err(|error| match error.is_builder() {
        true => "not a URL: write http://HOST:PORT".to_owned(),
        false => "does not answer".to_owned(),
    })?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("answers {status}: is it a Weir?"));
    }
    let text = response.text().await.map_err(|_| "its answer breaks off".to_owned())?;
    Ok(Sample::parse(&text, Instant::now()))
}
