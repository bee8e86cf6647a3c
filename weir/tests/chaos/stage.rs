//! Everything that takes part: Redis, the index, the networks before them, shippers and workers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer as _, RedisBuffer, RedisSettings};

use super::node::Node;
use super::oracle::{Oracle, Verdict};
use super::process::{Process, write};
use super::proxy::Proxy;
use super::story::Story;
use super::support::{free_port, text};
use super::writers::{SERVICES, Service, Written};

/// Shippers, each with services of its own.
pub const SHIPPERS: usize = 2;

/// Workers.
pub const WORKERS: usize = 2;

/// The namespace of all data streams.
pub const NAMESPACE: &str = "chaos";

/// A state directory on a disk of this size fills up in no time.
const SMALL_DISK: &str = "1m";

/// Redis holds no more than this: an outage of the index fills it, and the log files have to wait.
const BUFFER_BYTES_MAX: &str = "1MiB";

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
    /// The index's server.
    pub node: Mutex<Node>,
    /// The address of the index, past the network.
    pub node_url: String,
    /// Between the workers and the index.
    pub index_network: Proxy,
    /// The shippers.
    pub shippers: [Mutex<Process>; SHIPPERS],
    /// The workers.
    pub workers: [Mutex<Process>; WORKERS],
    /// Addresses of metrics, of shippers and workers.
    pub metrics: Vec<(String, u16)>,
    /// See [`Writer`](super::writers::Writer).
    pub names: RwLock<()>,
    /// Whether the second shipper's state is on a disk of its own.
    pub has_small_disk: bool,
    redis_url: String,
    directory: Option<TempDir>,
    runtime: Runtime,
}

/// Locks what a thread that has panicked may have left: its panic is what fails the run.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// Starts everything; none, after saying so, where Redis cannot be run.
    pub fn start(kind: &'static str, sabotage: Option<&'static str>) -> Option<Stage> {
        let redis = TestRedis::start_with(&["--appendonly", "yes", "--appendfsync", "everysec"])?;
        let runtime = Runtime::new().expect("a runtime");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        let node = Node::start(kind);
        let proxy = |port| Proxy::start(runtime.handle(), port).expect("a port to listen on");
        let (redis_network, index_network) = (proxy(redis.port()), proxy(node.port()));
        let metrics: Vec<(String, u16)> = (0..SHIPPERS)
            .map(|number| format!("shipper-{number}"))
            .chain((0..WORKERS).map(|number| format!("worker-{number}")))
            .map(|name| (name, free_port()))
            .collect();
        let shippers = std::array::from_fn(|number| {
            let (name, port) = &metrics[number];
            write_configuration(
                root,
                name,
                &shipper_configuration(root, number, *port, redis_network.port()),
            );
            Mutex::new(process(root, name, "ship", sabotage))
        });
        let workers = std::array::from_fn(|number| {
            let (name, port) = &metrics[SHIPPERS + number];
            let text = worker_configuration(*port, redis_network.port(), index_network.port());
            write_configuration(root, name, &text);
            Mutex::new(process(root, name, "work", sabotage))
        });
        let state = state(root, 1);
        std::fs::create_dir_all(&state).expect("a directory can be made");
        let stage = Stage {
            story: Story::new(),
            redis_url: redis.unix_url(),
            redis: Mutex::new(redis),
            redis_network,
            node_url: node.url(),
            node: Mutex::new(node),
            index_network,
            shippers,
            workers,
            metrics,
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
        let buffer = RedisBuffer::new(&RedisSettings::new(&self.redis_url)).expect("a URL of our own");
        loop {
            self.processes().for_each(|process| lock(process).assert_running());
            let open = self.runtime.block_on(unsettled(&buffer));
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

    /// Documents in the index, dead letters left out; none where it does not answer.
    pub fn count(&self) -> Option<u64> {
        let streams: Vec<String> = SERVICES.iter().map(|service| stream(service.name)).collect();
        Node::count(&self.node_url, &streams.join(","))
    }

    /// Whether there are as many documents of each service as lines were written, and no dead letters. Cheap.
    pub fn counts_are_right(&self, written: &Written) -> bool {
        let count = |service: &str| Node::count(&self.node_url, &stream(service));
        let lines = written.lines();
        let is_right = |(service, lines): (&Service, u64)| count(service.name) == Some(lines);
        SERVICES.iter().zip(lines).all(is_right) && count("dead_letter") == Some(0)
    }

    /// Compares everything that was written with everything that is in the index.
    pub fn judge(&self, written: &Written) -> Verdict {
        let lines = written.lines();
        let mut oracle = Oracle::new(&lines);
        for (index, service) in SERVICES.iter().enumerate() {
            Node::messages(&self.node_url, &stream(service.name), |message| oracle.see(index, message));
        }
        let mut dead_letters = 0;
        Node::messages(&self.node_url, &stream("dead_letter"), |_| dead_letters += 1);
        oracle.verdict(&lines, dead_letters)
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

/// What the buffer still holds, or waits for.
async fn unsettled(buffer: &RedisBuffer) -> Option<String> {
    match buffer.ledger().await {
        Ok(files) => {
            let open = |file: &&weir_buffer::FileLedger| file.position.pushed != file.position.indexed;
            let open: Vec<String> =
                files.iter().filter(open).map(|file| format!("{:?}", file.position)).collect();
            (!open.is_empty())
                .then(|| format!("{} files are not indexed whole: {}", open.len(), open.join(", ")))
        }
        Err(error) => Some(error.to_string()),
    }
}

fn logs(root: &Path) -> PathBuf {
    root.join("logs")
}

fn state(root: &Path, shipper: usize) -> PathBuf {
    root.join(format!("state-{shipper}"))
}

/// The data stream of a service.
pub fn stream(service: &str) -> String {
    format!("logs-{service}-{NAMESPACE}")
}

fn process(root: &Path, name: &str, role: &str, sabotage: Option<&'static str>) -> Process {
    let configuration = root.join(format!("{name}.toml"));
    let arguments = [role, "-c", text(&configuration)].map(str::to_owned).to_vec();
    Process::new(name.to_owned(), root, arguments, sabotage)
}

fn write_configuration(root: &Path, name: &str, text: &str) {
    write(&root.join(format!("{name}.toml")), text);
}

fn shipper_configuration(root: &Path, number: usize, metrics: u16, redis: u16) -> String {
    let own = SERVICES.iter().filter(|service| service.shipper == number);
    let sources: String = own
        .map(|service| {
            let directory = service.directory(&logs(root));
            let (name, directory) = (service.name, directory.display());
            format!("[[source]]\nservice = \"{name}\"\npaths = [\"{directory}/{name}.log\"]\n")
        })
        .collect();
    format!(
        "state = \"{}\"\n{sources}{}[metrics]\nshipper = \"127.0.0.1:{metrics}\"\n",
        state(root, number).display(),
        buffer_configuration(redis)
    )
}

fn worker_configuration(metrics: u16, redis: u16, index: u16) -> String {
    format!(
        "[index]\nelasticsearch = \"http://127.0.0.1:{index}\"\nnamespace = \"{NAMESPACE}\"\nbulk_bytes = \"256KiB\"\n\
         {}[metrics]\nworker = \"127.0.0.1:{metrics}\"\n",
        buffer_configuration(redis)
    )
}

fn buffer_configuration(redis: u16) -> String {
    format!("[buffer]\nredis = \"redis://127.0.0.1:{redis}/\"\nmax_bytes = \"{BUFFER_BYTES_MAX}\"\n")
}

/// Gives a directory a small disk of its own, where we may.
fn mount(directory: &Path) -> bool {
    let options = format!("size={SMALL_DISK}");
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", &options, "chaos"]).arg(directory);
    command.output().is_ok_and(|output| output.status.success())
}
