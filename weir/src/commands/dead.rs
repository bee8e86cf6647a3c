//! `weir dead`: what the index refused for good, and how to send it again.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_config::Config;
use weir_indexer::elasticsearch::Elasticsearch;
use weir_indexer::embedded::{Embedded, EmbeddedSettings};
use weir_indexer::letter::{open_among, open_letters};
use weir_indexer::{AnyIndex, DeadLetter, Index as _, Outcome};
use weir_process::{EXIT_WRONG, bad_use};
use weir_shipper::cli::load;
use weir_worker::cli::elasticsearch_settings;

use super::server::ServerArgs;
use crate::show::{ignore_closed, safe};

/// Letters that are sent at once.
const BATCH: usize = 500;

/// A document that was sent again so often, and refused each time, is not sent again unless it is forced.
const REPLAYS_MAX: u32 = 3;

/// Letters that a running Weir is asked for at once.
const PAGE_MAX: usize = 1000;

/// Dead letters: documents that the index refused for good.
#[derive(Args)]
pub struct DeadArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// How many there are, by reason and stream
    List(Selection),
    /// All of them, the oldest first
    Show(Selection),
    /// Send them again; what is refused again is a dead letter again
    Replay(ReplayArgs),
}

/// Which letters, and where they are.
#[derive(Args)]
struct Selection {
    /// The configuration file; flags override it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Letters in this Elasticsearch or OpenSearch
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    to: Option<String>,
    /// Letters in the index in this directory, which no running Weir may use
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only those whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
struct ReplayArgs {
    #[command(flatten)]
    selection: Selection,
    /// At most so many documents a second
    #[arg(long, value_name = "N/s", value_parser = rate)]
    rate: Option<NonZeroU32>,
    /// Only say what would be sent
    #[arg(long)]
    dry_run: bool,
    /// Also those that were sent again, and refused again, three times
    #[arg(long)]
    force: bool,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().map_err(|_| "write 100/s: whole documents a second, one at least".to_owned())
}

/// Runs one of the actions.
pub async fn run(arguments: DeadArgs) -> anyhow::Result<ExitCode> {
    match arguments.action {
        Action::List(selection) => {
            let letters = selection.letters().await?;
            list(&letters, selection.server.json)?;
        }
        Action::Show(selection) => {
            let letters = selection.letters().await?;
            show(&letters, &selection.server)?;
        }
        Action::Replay(replay) => return replay.run().await,
    }
    Ok(ExitCode::SUCCESS)
}

impl Selection {
    /// The index itself; none where a running Weir has to be asked.
    fn index(&self) -> anyhow::Result<Option<AnyIndex>> {
        let config = load(self.config.as_deref())?;
        if let Some(data) = &self.data {
            return open(data.clone(), &config).map(Some);
        }
        if let Some(settings) = elasticsearch_settings(self.to.as_deref(), &config.index)? {
            return Ok(Some(AnyIndex::Elasticsearch(Elasticsearch::connect(&settings).map_err(bad_use)?)));
        }
        Ok(None)
    }

    async fn letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let letters = match self.index()? {
            Some(index) => open_letters(&index).await.context("cannot read the dead letters")?,
            None => self.letters_of_server().await?,
        };
        Ok(self.chosen(letters))
    }

    fn chosen(&self, mut letters: Vec<DeadLetter>) -> Vec<DeadLetter> {
        if let Some(text) = &self.reason {
            letters.retain(|letter| letter.reason.contains(text.as_str()));
        }
        letters
    }

    async fn letters_of_server(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let (mut documents, mut after): (Vec<Value>, Option<String>) = (Vec::new(), None);
        loop {
            let mut parameters = vec![
                ("q", self.server.query("dataset:dead_letter")),
                ("limit", PAGE_MAX.to_string()),
                ("from", "1970-01-01T00:00:00Z".to_owned()),
            ];
            parameters.extend(after.take().map(|after| ("after", after)));
            let answer: Answer = self
                .server
                .get("/api/search", &parameters)
                .await?
                .json()
                .await
                .context("the answer cannot be read: are both of the same version?")?;
            let is_last = answer.hits.len() < PAGE_MAX;
            after = answer.hits.last().map(|hit| hit.cursor.clone());
            documents.extend(answer.hits.into_iter().map(|hit| hit.document));
            if is_last {
                return Ok(open_among(&documents));
            }
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    cursor: String,
    document: Value,
}

fn open(data: PathBuf, config: &Config) -> anyhow::Result<AnyIndex> {
    // `weir up --data DIR` holds its index in a directory within.
    let inner = data.join("index");
    let settings = EmbeddedSettings {
        data: if inner.is_dir() { inner } else { data },
        retention: config.embedded.retention,
        max_bytes: config.embedded.max_bytes,
        namespace: config.index.namespace.clone(),
    };
    let index =
        Embedded::open(&settings).map_err(|error| bad_use(format!("{:#}", anyhow::Error::new(error))))?;
    Ok(AnyIndex::Embedded(index.into()))
}

fn list(letters: &[DeadLetter], json: bool) -> io::Result<()> {
    let mut groups: BTreeMap<(&str, &str), Vec<&DeadLetter>> = BTreeMap::new();
    for letter in letters {
        groups.entry((letter.kind(), &letter.target)).or_default().push(letter);
    }
    let mut out = io::stdout().lock();
    for ((kind, target), group) in &groups {
        let reason = group.last().map_or("", |letter| letter.reason.as_str());
        let line = if json {
            json!({"reason": kind, "stream": target, "count": group.len(), "example": reason}).to_string()
        } else {
            format!("{:>8}  {}  {}\n          {}", group.len(), safe(kind), safe(target), safe(reason))
        };
        writeln!(out, "{line}").or_else(ignore_closed)?;
    }
    eprintln!("{} dead letters, {} reasons", letters.len(), groups.len());
    Ok(())
}

fn show(letters: &[DeadLetter], server: &ServerArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let time = |nanos: i64| {
        let time = weir_record::Timestamp::from_nanos(nanos.max(0), 3);
        time.map(|time| time.to_string()).unwrap_or_default()
    };
    for letter in letters {
        let DeadLetter { id, target, status, reason, attempts, replays, .. } = letter;
        let text = String::from_utf8_lossy(&letter.document);
        let line = if server.json {
            let document = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(&*text));
            json!({
                "id": id, "stream": target, "status": status, "reason": reason, "attempts": attempts,
                "replays": replays, "first_time": time(letter.first_time), "time": time(letter.time),
                "document": document,
            })
            .to_string()
        } else {
            let shown = if server.raw { text.into_owned() } else { safe(&text) };
            format!(
                "{} {} HTTP {status}, {attempts} attempts since {}, {replays} replays  {id}\n    {}\n    {shown}",
                time(letter.time),
                safe(target),
                time(letter.first_time),
                safe(reason),
            )
        };
        writeln!(out, "{line}").or_else(ignore_closed)?;
    }
    eprintln!("{} dead letters", letters.len());
    Ok(())
}

/// What became of the letters that were sent.
#[derive(Default)]
struct Replayed {
    stored: usize,
    refused: usize,
    put_off: usize,
}

impl ReplayArgs {
    async fn run(&self) -> anyhow::Result<ExitCode> {
        let index = self.selection.index()?.ok_or_else(|| {
            bad_use(
                "name the index to replay into: -c FILE or --to URL, or --data DIR of an index that no running Weir uses",
            )
        })?;
        let letters = open_letters(&index).await.context("cannot read the dead letters")?;
        let (letters, frames): (Vec<_>, Vec<_>) =
            self.selection.chosen(letters).into_iter().partition(DeadLetter::is_document);
        let may = |letter: &DeadLetter| self.force || letter.replays < REPLAYS_MAX;
        let (letters, looping): (Vec<_>, Vec<_>) = letters.into_iter().partition(may);
        if !frames.is_empty() {
            eprintln!("{} are frames that could not be read, and cannot be sent as documents", frames.len());
        }
        if !looping.is_empty() {
            let count = looping.len();
            eprintln!(
                "{count} were sent again {REPLAYS_MAX} times and refused each time: --force sends them once more"
            );
        }
        if self.dry_run {
            list(&letters, self.selection.server.json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let replayed = self.send(&index, &letters).await?;
        let Replayed { stored, refused, put_off } = replayed;
        println!("{stored} stored, {refused} refused again, {put_off} not taken now");
        let is_wrong = refused + put_off + looping.len() > 0;
        Ok(if is_wrong { ExitCode::from(EXIT_WRONG) } else { ExitCode::SUCCESS })
    }

    async fn send(&self, index: &AnyIndex, letters: &[DeadLetter]) -> anyhow::Result<Replayed> {
        let mut replayed = Replayed::default();
        let batch = self.rate.map_or(BATCH, |rate| BATCH.min(rate.get() as usize));
        // A rate of N/s is a batch of so many each so many parts of a second.
        let pause = self.rate.map(|rate| Duration::from_secs_f64(batch as f64 / f64::from(rate.get())));
        let mut pace = pause.map(tokio::time::interval);
        for some in letters.chunks(batch) {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            for outcome in index.replay(some).await.context("cannot send dead letters again")? {
                match outcome {
                    Outcome::Rejected { .. } => replayed.refused += 1,
                    open if open.is_open() => replayed.put_off += 1,
                    _ => replayed.stored += 1,
                }
            }
        }
        Ok(replayed)
    }
}
