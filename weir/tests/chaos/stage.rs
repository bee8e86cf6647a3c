//! Everything that takes part: Redis, the index, the networks before them, shippers and workers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use weir_buffer::testing::{TestRedis, free_port};
use weir_buffer::{Buffer as _, FileLedger, RedisBuffer, RedisSettings};

use super::index::Index;
use super::node::Node;
use super::oracle::{Oracle, Verdict};
use super::process::Process;
use super::programs::{Programs, audit, logs, state};
use super::proxy::Proxy;
use super::story::Story;
use super::support::{run, text};
use super::writers::{SERVICES, Service, Written};

/// Shippers, each with services of its own.
pub const SHIPPERS: usize = 2;

/// Workers; an embedded index has one.
pub const WORKERS: usize = 2;

/// The service, so to speak, of what was refused for good.
const DEAD_LETTERS: &str = "dead_letter";

/// A state directory on a disk of this size fills up in no time.
const SMALL_DISK: &str = "1m";

/// How often it is looked whether all is indexed.
const CALM_INTERVAL: Duration = Duration::from_millis(200);

/// The stage of one run.
pub struct Stage {
    /// What happens on it.
    pub story: Story,
    /// Redis itself: whoever holds it decides whether it runs.
    pub redis: Mutex<TestRedis>,
    /// Between the programs and Redis.
    pub redis_network: Proxy,
    /// The index.
    pub index: Index,
    /// Its server; none where the index is embedded.
    pub server: Option<Server>,
    /// The shippers.
    pub shippers: [Mutex<Process>; SHIPPERS],
    /// The workers.
    pub workers: Vec<Mutex<Process>>,
    /// Ports of metrics, of shippers and workers.
    pub metrics: Vec<u16>,
    /// See [`Writer`](super::writers::Writer).
    pub names: RwLock<()>,
    /// Whether the second shipper's state is on a disk of its own.
    pub has_small_disk: bool,
    redis_url: String,
    directory: Option<TempDir>,
    runtime: Runtime,
}

/// A search server, and the network before it.
pub struct Server {
    /// The server.
    pub node: Mutex<Node>,
    /// Between the workers and it.
    pub network: Proxy,
    /// Its address, past the network.
    pub url: String,
}

/// Locks what a thread that has panicked may have left: its panic is what fails the run.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Starts everything; none, after saying so, where Redis cannot be run. `kind`: of server, as scripts/search-server
    /// calls it; none for the embedded index.
    pub fn start(kind: Option<&'static str>, sabotage: Option<&'static str>) -> Option<Stage> {
        let redis = TestRedis::start_with(&["--appendonly", "yes", "--appendfsync", "everysec"])?;
        let runtime = Runtime::new().expect("a runtime");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let proxy = |port| Proxy::start(runtime.handle(), port).expect("a port to listen on");
        let redis_network = proxy(redis.port());
        let server = kind.map(Node::start).map(|node| {
            let (network, url) = (proxy(node.port()), node.url());
            Server { node: Mutex::new(node), network, url }
        });
        let mut programs = Programs::new(directory.path(), redis_network.port(), sabotage);
        let shippers = std::array::from_fn(|number| Mutex::new(programs.shipper(number)));
        let page = free_port();
        let (workers, index) = match &server {
            Some(server) => {
                let worker = |number| Mutex::new(programs.worker(number, server.network.port()));
                ((0..WORKERS).map(worker).collect(), Index::Server { url: server.url.clone() })
            }
            None => {
                let url = format!("http://127.0.0.1:{page}");
                (vec![Mutex::new(programs.up(page))], Index::Page { url })
            }
        };
        let state = state(directory.path(), 1);
        std::fs::create_dir_all(&state).expect("a directory can be made");
        let stage = Stage {
            story: Story::new(),
            redis_url: redis.unix_url(),
            redis: Mutex::new(redis),
            redis_network,
            index,
            server,
            shippers,
            workers,
            metrics: programs.metrics,
            names: RwLock::new(()),
            has_small_disk: mount(&state),
            directory: Some(directory),
            runtime,
        };
        stage.processes().for_each(|process| lock(process).start());
        Some(stage)
    }

    /// Where everything is.
    pub fn root(&self) -> &Path {
        self.directory.as_ref().expect("it is given up only at the end").path()
    }

    /// The directory of all logs.
    pub fn logs(&self) -> PathBuf {
        logs(self.root())
    }

    /// The state directory of a shipper.
    pub fn state(&self, shipper: usize) -> PathBuf {
        state(self.root(), shipper)
    }

    /// To run the suite's own watching on.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Shippers and workers.
    pub fn processes(&self) -> impl Iterator<Item = &Mutex<Process>> {
        self.shippers.iter().chain(&self.workers)
    }

    /// Waits until all that was written is indexed, and nothing is on its way any more. Tells how long that took, or
    /// what is left after `patience`.
    pub fn calm(&self, written: &Written, patience: Duration) -> Result<Duration, String> {
        let began = Instant::now();
        loop {
            self.processes().for_each(|process| lock(process).assert_running());
            let open = self.unsettled();
            let count = self.count();
            if open.is_none() && count >= Some(written.total()) {
                return Ok(began.elapsed());
            }
            if began.elapsed() > patience {
                let count = count.map_or("an unknown number".to_owned(), |count| count.to_string());
                let open = open.unwrap_or_default();
                return Err(format!("{count} of {} lines are indexed; {open}", written.total()));
            }
            std::thread::sleep(CALM_INTERVAL);
        }
    }

    /// What the buffer still holds, or waits for; none: all that it ever took is indexed.
    pub fn unsettled(&self) -> Option<String> {
        let buffer = RedisBuffer::new(&RedisSettings::new(&self.redis_url)).expect("a URL of our own");
        let files = match self.runtime.block_on(buffer.ledger()) {
            Ok(files) => files,
            Err(error) => return Some(error.to_string()),
        };
        let open = |file: &&FileLedger| file.position.pushed != file.position.indexed;
        let open: Vec<String> =
            files.iter().filter(open).map(|file| format!("{:?}", file.position)).collect();
        (!open.is_empty()).then(|| format!("{} files are not indexed whole: {}", open.len(), open.join(", ")))
    }

    /// Documents in the index, dead letters left out; none where it does not answer.
    pub fn count(&self) -> Option<u64> {
        SERVICES.iter().map(|service| self.index.count(service.name)).sum()
    }

    /// Whether there are as many documents of each service as lines were written, and no dead letters. Cheap.
    pub fn counts_are_right(&self, written: &Written) -> bool {
        let lines = written.lines();
        let is_right = |(service, lines): (&Service, u64)| self.index.count(service.name) == Some(lines);
        SERVICES.iter().zip(lines).all(is_right) && self.index.count(DEAD_LETTERS) == Some(0)
    }

    /// Compares everything that was written with everything that is in the index.
    pub fn judge(&self, written: &Written) -> Verdict {
        let lines = written.lines();
        let mut oracle = Oracle::new(&lines);
        for (number, service) in SERVICES.iter().enumerate() {
            self.index.messages(service.name, |message| oracle.see(number, message));
        }
        let mut dead_letters = 0;
        self.index.messages(DEAD_LETTERS, |_| dead_letters += 1);
        oracle.verdict(&lines, dead_letters)
    }

    /// What `weir audit` says of both shippers, and whether it calls everything whole; none over the embedded index, whose
    /// process follows no files.
    pub fn audit(&self) -> Option<(bool, String)> {
        let server = self.server.as_ref()?;
        let mut is_whole = true;
        let mut reports = String::new();
        for number in 0..SHIPPERS {
            let configuration = audit(self.root(), number, &server.url);
            let ended = run(&["audit", "--settle", "10s", "-c", text(&configuration)]);
            is_whole &= ended.code == Some(0);
            reports.push_str(&ended.stdout);
            if ended.stdout.is_empty() {
                reports.push_str(&ended.stderr);
            }
        }
        Some((is_whole, reports))
    }

    /// Leaves everything where it is, for whoever wants to know more, and names the place.
    pub fn keep(&mut self) -> PathBuf {
        self.directory.take().map(TempDir::keep).unwrap_or_default()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.processes().for_each(|process| lock(process).end());
        if self.has_small_disk && self.directory.is_some() {
            drop(Command::new("umount").arg(self.state(1)).status());
        }
    }
}

/// Gives a directory a small disk of its own, where we may.
fn mount(directory: &Path) -> bool {
    let options = format!("size={SMALL_DISK}");
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &options, "chaos"]).arg(directory);
    command.output().is_ok_and(|output| output.status.success())
}
