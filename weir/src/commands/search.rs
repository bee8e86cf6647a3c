//! `weir search`: records that match a query, the oldest first so that the newest stand above the prompt.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::server::{ServerArgs, moment};
use crate::show::{Printer, ignore_closed};

/// Search records.
#[derive(Args)]
pub struct SearchArgs {
    /// What to search for, as in the page: level:error "connection reset" status>=500 NOT path:/health
    #[arg(value_name = "QUERY", default_value = "")]
    query: String,
    /// Not older: 15m, 1h, 7d ago, or a time such as 2026-11-20T21:00:00Z
    #[arg(long, value_name = "TIME", default_value = "1h")]
    since: String,
    /// Not newer
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most this many, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Deserialize)]
struct Answer {
    total: u64,
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    cursor: String,
    document: Box<RawValue>,
}

/// Records asked for in one request; more are paged.
const PAGE_MAX: usize = 1000;

/// Prints the records; how many there are goes to stderr.
pub async fn run(arguments: SearchArgs) -> anyhow::Result<ExitCode> {
    let mut hits = Vec::new();
    let mut total = 0;
    let mut after = None;
    while hits.len() < arguments.limit {
        let wanted = (arguments.limit - hits.len()).min(PAGE_MAX);
        let answer = page(&arguments, wanted, after.as_deref()).await?;
        total = answer.total;
        after = answer.hits.last().map(|hit| hit.cursor.clone());
        let last = answer.hits.len() < wanted;
        hits.extend(answer.hits);
        if last {
            break;
        }
    }
    let printer = Printer::new(arguments.server.json, arguments.server.raw);
    let mut out = io::stdout().lock();
    for hit in hits.iter().rev() {
        printer.print(&mut out, hit.document.get())?;
    }
    out.flush().or_else(ignore_closed)?;
    eprintln!("{} of {total} records", hits.len());
    Ok(ExitCode::SUCCESS)
}

async fn page(arguments: &SearchArgs, limit: usize, after: Option<&str>) -> anyhow::Result<Answer> {
    let mut parameters = vec![
        ("q", arguments.server.query(&arguments.query)),
        ("limit", limit.to_string()),
        ("from", moment(&arguments.since)?.to_string()),
    ];
    if let Some(until) = &arguments.until {
        parameters.push(("until", moment(until)?.to_string()));
    }
    if let Some(after) = after {
        parameters.push(("after", after.to_owned()));
    }
    let response = arguments.server.get("/api/search", &parameters).await?;
    response.json().await.context("the answer cannot be read: are both of the same version?")
}
