//! Inputs that are not files: each writes what it receives to a journal under `state`, and the follower ships it from
//! there like any other log.
//!
//! | input | acknowledged | when its journal is full |
//! |---|---|---|
//! | standard input, syslog over TCP and TLS | by reading | nothing is read, and the sender waits |
//! | syslog over UDP | never | nothing is read, and the system drops and counts |
//! | HTTP | when it is on the disk | 429 with `Retry-After` |
//! | the journal of systemd | by its cursor, when it is on the disk | nothing is read |

pub mod counters;
mod http;
pub mod journal;
mod journald;
mod line;
pub mod settings;
mod stdin;
mod syslog;
pub mod writer;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_config::InputKind;
use weir_process::metrics::{Metric, Observed};

pub use self::settings::InputSettings;

use self::counters::InputCounters;
use self::writer::{JournalWriter, WhenFull, WriterEnd};
use crate::progress::Progress;

/// Why an input could not start.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Two inputs are the same.
    #[error("two inputs receive from the same place, {name}: leave one out")]
    Twice {
        /// Of both.
        name: String,
    },
    /// Its journal cannot be used.
    #[error("cannot use the journal {}", directory.display())]
    Journal {
        /// Of the journal.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Its token cannot be read.
    #[error(transparent)]
    Token(#[from] weir_config::ReadSecretError),
    /// Its certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] syslog::TlsError),
}

/// Running inputs.
#[derive(Debug)]
pub struct Inputs {
    running: Vec<Running>,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<bool>,
}

/// One running input.
#[derive(Debug)]
struct Running {
    name: String,
    counters: Arc<InputCounters>,
    address: Option<SocketAddr>,
    task: JoinHandle<()>,
    journal: WriterEnd,
}

/// What every input is given.
struct Context {
    writer: JournalWriter,
    counters: Arc<InputCounters>,
    /// Becomes true when the input has to end.
    stop: watch::Receiver<bool>,
}

impl Context {
    /// The same for one of several tasks.
    fn share(&self) -> Context {
        let (writer, counters) = (self.writer.clone(), Arc::clone(&self.counters));
        Context { writer, counters, stop: self.stop.clone() }
    }

    /// Resolves when the input has to end.
    async fn stopped(&mut self) {
        // Without a sender nothing runs any more.
        drop(self.stop.wait_for(|stop| *stop).await);
    }
}

impl Inputs {
    /// Opens the journals, listens, and begins to receive. The shipper's lock on `state` has to be held.
    pub async fn start(inputs: Vec<InputSettings>, state: &Path) -> Result<Inputs, InputError> {
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);
        let end = Arc::new(end);
        let mut running: Vec<Running> = Vec::new();
        for input in inputs {
            if running.iter().any(|other| other.name == input.name) {
                return Err(InputError::Twice { name: input.name });
            }
            running.push(start_one(input, stopped.clone(), Arc::clone(&end)).await?);
        }
        warn_of_others(&state.join("journal"), &running);
        Ok(Inputs { running, stop, ended })
    }

    /// Resolves when standard input has ended and is in its journal.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut ended = self.ended.clone();
        async move {
            if ended.wait_for(|ended| *ended).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Where each input listens, in their order; none for those that listen nowhere.
    pub fn addresses(&self) -> Vec<Option<SocketAddr>> {
        self.running.iter().map(|input| input.address).collect()
    }

    /// The counters of each input, with its name.
    pub fn counters(&self) -> Vec<(String, Arc<InputCounters>)> {
        self.running.iter().map(|input| (input.name.clone(), Arc::clone(&input.counters))).collect()
    }

    /// Receives no more, and waits until what was received is on the disk.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for input in self.running {
            if let Err(error) = input.task.await {
                tracing::error!(input = input.name, %error, "an input has crashed");
            }
            input.journal.closed().await;
        }
    }
}

async fn start_one(
    input: InputSettings,
    stop: watch::Receiver<bool>,
    end: Arc<watch::Sender<bool>>,
) -> Result<Running, InputError> {
    let counters = Arc::<InputCounters>::default();
    let when_full = match input.kind {
        InputKind::Http(_) => WhenFull::Refuse,
        InputKind::Stdin | InputKind::Syslog(_) | InputKind::Journald(_) => WhenFull::Wait,
    };
    let directory = input.journal.clone();
    let (writer, journal) =
        JournalWriter::start(directory.clone(), input.bytes_max, when_full, Arc::clone(&counters))
            .map_err(|source| InputError::Journal { directory, source })?;
    let context = Context { writer, counters: Arc::clone(&counters), stop };
    let (address, task) = match input.kind {
        InputKind::Stdin => {
            let task = async move {
                if stdin::run(context).await {
                    end.send_replace(true);
                }
            };
            (None, tokio::spawn(task))
        }
        InputKind::Syslog(syslog) => {
            let (address, task) = syslog::start(&syslog, context).await?;
            (Some(address), task)
        }
        InputKind::Journald(journald) => {
            (None, tokio::spawn(journald::run(journald, input.journal, context)))
        }
        InputKind::Http(http) => {
            let (address, task) = http::start(http, context).await?;
            (Some(address), task)
        }
    };
    if let Some(address) = address {
        tracing::info!(input = input.name, %address, "listening");
    }
    Ok(Running { name: input.name, counters, address, task, journal })
}

/// Lines of an input that is no longer configured stay where they are: whose they are is not known any more.
fn warn_of_others(journals: &Path, running: &[Running]) {
    let Ok(entries) = std::fs::read_dir(journals) else { return };
    for entry in entries.flatten() {
        let is_configured = running.iter().any(|input| *input.name == *entry.file_name());
        let holds_lines = || {
            let files = std::fs::read_dir(entry.path()).into_iter().flatten().flatten();
            files.filter_map(|file| file.metadata().ok()).any(|metadata| metadata.len() > 0)
        };
        if !is_configured && holds_lines() {
            tracing::warn!(journal = %entry.path().display(), "an input that is not configured now may have left lines here: they are shipped when it is configured again");
        }
    }
}

/// What a shipper with inputs shows.
pub struct Watched {
    progress: Arc<Progress>,
    inputs: Vec<(String, Arc<InputCounters>)>,
}

impl Watched {
    /// The shipper's numbers, and those of its inputs.
    pub fn new(progress: Arc<Progress>, inputs: &Inputs) -> Watched {
        Watched { progress, inputs: inputs.counters() }
    }
}

impl Observed for Watched {
    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.progress.metrics();
        let inputs = self.inputs.iter().map(|(name, counters)| (name.as_str(), counters.counts()));
        metrics.extend(counters::metrics(inputs));
        metrics
    }

    fn is_ready(&self) -> bool {
        self.progress.is_ready()
    }
}
