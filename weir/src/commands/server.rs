//! A running Weir, asked over HTTP: what `weir search` and `weir tail` have in common.

use anyhow::Context as _;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use weir_process::bad_use;

/// Whom to ask.
#[derive(Args)]
pub struct ServerAddress {
    /// The search page of a running Weir
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9880")]
    server: String,
}

/// Where to search, and for what.
#[derive(Args)]
pub struct ServerArgs {
    #[command(flatten)]
    pub address: ServerAddress,
    /// Only this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// One JSON document a line
    #[arg(long)]
    pub json: bool,
    /// Print control characters of the records as they are
    #[arg(long)]
    pub raw: bool,
}

/// An error as the page's interface writes it.
#[derive(Deserialize)]
struct Fault {
    error: String,
    position: Option<usize>,
}

impl ServerArgs {
    /// The query that asks for `query` of the service only.
    pub fn query(&self, query: &str) -> String {
        match &self.service {
            None => query.to_owned(),
            Some(service) => {
                let quoted =
                    format!("service.name:\"{}\"", service.replace('\\', "\\\\").replace('"', "\\\""));
                if query.trim().is_empty() { quoted } else { format!("({query}) AND {quoted}") }
            }
        }
    }

    /// Asks for `path` with `parameters`.
    pub async fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<reqwest::Response> {
        self.address.get(path, parameters).await
    }
}

impl ServerAddress {
    /// Asks for `path` with `parameters`; an answer that is no success becomes an error that says what to do.
    pub async fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<reqwest::Response> {
        let base = self.server.trim_end_matches('/');
        let client = reqwest::Client::builder().no_proxy().build().context("cannot set up HTTP")?;
        let response = client
            .get(format!("{base}{path}"))
            .query(parameters)
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        Err(match serde_json::from_str::<Fault>(&text) {
            Ok(fault) => self.refused(status.is_client_error(), &fault),
            Err(_) => anyhow::anyhow!("{base} answers {status}: is it a Weir?"),
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let server = &self.server;
        if error.is_builder() {
            return bad_use(format!("--server {server} is not a URL: write http://HOST:PORT"));
        }
        anyhow::anyhow!(
            "no Weir answers at {server}: start one with `weir up`, or name another with --server"
        )
    }

    fn refused(&self, own_fault: bool, fault: &Fault) -> anyhow::Error {
        let place =
            fault.position.map(|position| format!(" (at character {})", position + 1)).unwrap_or_default();
        let text = format!("{}{place}", fault.error);
        if own_fault { bad_use(text) } else { anyhow::anyhow!(text) }
    }
}

/// Reads a moment of the command line: a time ago (`15m`, `1h`, `7d`), or RFC 3339.
pub fn moment(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let ago = weir_config::parse_duration(text)
        .map_err(|_| bad_use(format!("`{text}` is no time: write 15m, 1h, 7d, or 2026-11-20T21:00:00Z")))?;
    let ago = SignedDuration::try_from(ago).map_err(|_| bad_use(format!("`{text}` is too long ago")))?;
    Timestamp::now().checked_sub(ago).map_err(|_| bad_use(format!("`{text}` is too long ago")))
}
