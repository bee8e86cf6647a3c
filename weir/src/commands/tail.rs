//! `weir tail`: new records as they are indexed.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use weir_process::stop_signal;

use super::server::ServerArgs;
use crate::show::{Printer, ignore_closed};

/// Follow new records.
#[derive(Args)]
pub struct TailArgs {
    /// What to follow, as in the page
    #[arg(value_name = "QUERY", default_value = "")]
    query: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints until interrupted, or until the server ends.
pub async fn run(arguments: TailArgs) -> anyhow::Result<ExitCode> {
    tokio::select! {
        result = follow(&arguments) => result,
        () = stop_signal() => Ok(ExitCode::SUCCESS),
    }
}

async fn follow(arguments: &TailArgs) -> anyhow::Result<ExitCode> {
    let parameters = [("q", arguments.server.query(&arguments.query))];
    let mut response = arguments.server.get("/api/tail", &parameters).await?;
    let printer = Printer::new(arguments.server.json, arguments.server.raw);
    let mut events = Events::default();
    while let Some(bytes) = response.chunk().await? {
        events.push(&bytes);
        while let Some((kind, data)) = events.next() {
            show(&printer, &kind, &data)?;
        }
    }
    anyhow::bail!("the server has ended the stream")
}

#[derive(Deserialize)]
struct Records {
    /// The newest first.
    hits: Vec<Hit>,
    left_out: u64,
}

#[derive(Deserialize)]
struct Hit {
    document: Box<RawValue>,
}

fn show(printer: &Printer, kind: &str, data: &str) -> anyhow::Result<()> {
    if kind != "records" {
        return Ok(());
    }
    let records: Records = serde_json::from_str(data)
        .context("the server sends something else: are both of the same version?")?;
    let mut out = io::stdout().lock();
    for hit in records.hits.iter().rev() {
        printer.print(&mut out, hit.document.get())?;
    }
    if records.left_out > 0 {
        eprintln!("... {} more came at the same time and are not shown: search for them", records.left_out);
    }
    Ok(out.flush().or_else(ignore_closed)?)
}

/// Server-sent events out of a stream of bytes. <https://html.spec.whatwg.org/multipage/server-sent-events.html>
#[derive(Default)]
struct Events {
    pending: Vec<u8>,
}

impl Events {
    fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole event: its kind and its data. Comments (keep-alives) are skipped.
    fn next(&mut self) -> Option<(String, String)> {
        loop {
            let end = memchr::memmem::find(&self.pending, b"\n\n")?;
            let block = String::from_utf8_lossy(&self.pending[..end]).into_owned();
            self.pending.drain(..end + 2);
            let field = |name: &str| {
                let lines = block.lines().filter_map(|line| line.strip_prefix(name));
                lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
            };
            let data = field("data:");
            if !data.is_empty() {
                return Some((field("event:"), data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_the_stream_is_cut() {
        let stream = b": keep-alive\n\nevent: record\ndata: {\"a\":1}\n\ndata: x\ndata: y\n\n";
        for cut in 0..stream.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                events.push(part);
                seen.extend(std::iter::from_fn(|| events.next()));
            }
            assert_eq!(seen, [("record".into(), "{\"a\":1}".into()), (String::new(), "x\ny".into())]);
        }
    }
}
