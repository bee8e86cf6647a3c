//! The suite's own Elasticsearch or OpenSearch, started by scripts/search-server: it is killed, stopped and restarted,
//! which nobody else's server may be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use weir_buffer::testing::free_port;

/// A real server with data of its own.
pub struct Node {
    kind: &'static str,
    port: u16,
    process: Option<Pid>,
    directory: PathBuf,
}

impl Node {
    /// Starts one. `kind`: as scripts/search-server calls it.
    pub fn start(kind: &'static str) -> Node {
        let mut node = Node { kind, port: free_port(), process: None, directory: PathBuf::new() };
        node.run(&[]);
        node
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        let process = self.process.take().expect("it runs");
        // It is nobody's child: gone when its number is.
        super::support::until("the index's server is gone", || {
            rustix::process::test_kill_process(process).is_err() || is_zombie(process)
        });
    }

    /// Starts it again with its data.
    pub fn restart(&mut self, settings: &[&str]) {
        let mut arguments = vec!["--keep"];
        settings.iter().for_each(|setting| arguments.extend(["-E", setting]));
        self.run(&arguments);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.process.expect("it runs"), signal).expect("it runs");
    }

    fn run(&mut self, arguments: &[&str]) {
        let port = self.port.to_string();
        let mut command = search_server();
        command.args(["start", self.kind, "--port", &port]).args(arguments);
        let output = command.output().expect("scripts/search-server runs");
        let told = String::from_utf8_lossy(&output.stdout);
        let value = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let errors = String::from_utf8_lossy(&output.stderr);
        let process = value("SEARCH_PID").unwrap_or_else(|| panic!("{} does not start: {errors}", self.kind));
        self.process = Pid::from_raw(process.parse().expect("a process's number"));
        let log = Path::new(value("SEARCH_LOG").expect("it names its log"));
        self.directory = log.parent().expect("a log is in a directory").to_owned();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let port = self.port.to_string();
        drop(search_server().args(["stop", self.kind, "--port", &port]).output());
        if self.directory.ends_with(format!("{}-{port}", self.kind)) {
            drop(std::fs::remove_dir_all(&self.directory));
        }
    }
}

fn search_server() -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/search-server"));
    command.stdin(Stdio::null());
    command
}

fn is_zombie(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}
