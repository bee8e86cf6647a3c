//! How the programs under test are configured: as a user would, with small bounds.

use std::path::{Path, PathBuf};

use weir_buffer::testing::free_port;

use super::index::NAMESPACE;
use super::process::Process;
use super::support::{text, write};
use super::writers::SERVICES;

/// Redis holds no more than this: an outage of the index fills it, and the log files have to wait.
const BUFFER_BYTES_MAX: &str = "1MiB";

/// Bytes of one bulk: what waits makes several.
const BULK_BYTES: &str = "256KiB";

/// Makes programs that find each other.
pub struct Programs<'a> {
    root: &'a Path,
    /// Port of Redis, behind its network.
    redis: u16,
    sabotage: Option<&'static str>,
    /// Ports of the metrics of all that were made.
    pub metrics: Vec<u16>,
}

impl<'a> Programs<'a> {
    /// Everything they write is below `root`.
    pub fn new(root: &'a Path, redis: u16, sabotage: Option<&'static str>) -> Programs<'a> {
        Programs { root, redis, sabotage, metrics: Vec::new() }
    }

    /// The shipper with this number.
    pub fn shipper(&mut self, number: usize) -> Process {
        let own = SERVICES.iter().filter(|service| service.shipper == number);
        let sources: String = own
            .map(|service| {
                let directory = service.directory(&logs(self.root));
                let (name, directory) = (service.name, directory.display());
                format!("[[source]]\nservice = \"{name}\"\npaths = [\"{directory}/{name}.log\"]\n")
            })
            .collect();
        let state = state(self.root, number);
        let configuration = format!("state = \"{}\"\n{sources}{}", state.display(), self.metrics("shipper"));
        self.program(format!("shipper-{number}"), "ship", &configuration, &[])
    }

    /// The worker with this number; `index`: port of the index, behind its network.
    pub fn worker(&mut self, number: usize, index: u16) -> Process {
        let configuration = format!(
            "[index]\nelasticsearch = \"http://127.0.0.1:{index}\"\nnamespace = \"{NAMESPACE}\"\n\
             bulk_bytes = \"{BULK_BYTES}\"\n{}",
            self.metrics("worker")
        );
        self.program(format!("worker-{number}"), "work", &configuration, &[])
    }

    /// `weir up` as worker and index in one; it has nothing to follow, and no metrics.
    pub fn up(&mut self, page: u16) -> Process {
        let (nothing, data) = (self.root.join("nothing/*.log"), self.root.join("data"));
        let (page, redis) = (format!("127.0.0.1:{page}"), format!("redis://127.0.0.1:{}/", self.redis));
        let more = ["--data", text(&data), "--listen", &page, "--redis", &redis, text(&nothing)];
        self.program("worker-0".to_owned(), "up", "", &more)
    }

    fn metrics(&mut self, role: &str) -> String {
        let port = free_port();
        self.metrics.push(port);
        format!("[metrics]\n{role} = \"127.0.0.1:{port}\"\n")
    }

    fn program(&self, name: String, role: &str, configuration: &str, more: &[&str]) -> Process {
        let buffer = format!(
            "[buffer]\nredis = \"redis://127.0.0.1:{}/\"\nmax_bytes = \"{BUFFER_BYTES_MAX}\"\n",
            self.redis
        );
        let path = write(self.root, &format!("{name}.toml"), format!("{configuration}{buffer}"));
        let first = [role, "-c", text(&path)];
        let arguments = first.iter().chain(more).map(|&argument| argument.to_owned());
        Process::new(name, self.root, arguments.collect(), self.sabotage)
    }
}

/// The configuration of a shipper that also names the index at `url`: what an audit needs.
pub fn audit(root: &Path, number: usize, url: &str) -> PathBuf {
    let shipper =
        std::fs::read_to_string(root.join(format!("shipper-{number}.toml"))).expect("it was written");
    let index = format!("[index]\nelasticsearch = \"{url}\"\nnamespace = \"{NAMESPACE}\"\n");
    write(root, &format!("audit-{number}.toml"), shipper + &index)
}

/// The directory of all logs.
pub fn logs(root: &Path) -> PathBuf {
    root.join("logs")
}

/// The state directory of a shipper.
pub fn state(root: &Path, shipper: usize) -> PathBuf {
    root.join(format!("state-{shipper}"))
}
