//! The suite's own Elasticsearch or OpenSearch, started by scripts/search-server: it is killed, stopped and restarted,
//! which nobody else's server may be.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::{free_port, request};

/// Documents of one answer.
const PAGE: usize = 5_000;

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

    /// How many documents these streams have; none where it does not answer.
    pub fn count(url: &str, streams: &str) -> Option<u64> {
        let path = format!("{url}/{streams}/_count?ignore_unavailable=true&allow_no_indices=true");
        let (status, body) = request("GET", &path, None)?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        answer["count"].as_u64().filter(|_| status == 200)
    }

    /// The messages of all documents of a stream.
    pub fn messages(url: &str, stream: &str, mut see: impl FnMut(&str)) {
        let ask = |path: &str, body: Option<Value>| {
            let body = body.map(|body| body.to_string());
            let (status, answer) = request("POST", &format!("{url}/{path}"), body.as_deref())
                .unwrap_or_else(|| panic!("the index does not answer {path}"));
            assert!(status == 200 || status == 404, "{path}: {status} {answer}");
            (status == 200).then(|| serde_json::from_str::<Value>(&answer).expect("an answer is JSON"))
        };
        if ask(&format!("{stream}/_refresh"), None).is_none() {
            return;
        }
        let first = json!({ "size": PAGE, "_source": ["message"], "sort": ["_doc"] });
        let mut answer = ask(&format!("{stream}/_search?scroll=5m"), Some(first));
        while let Some(page) = &answer {
            let hits = page["hits"]["hits"].as_array().expect("an answer has hits");
            if hits.is_empty() {
                return;
            }
            hits.iter().for_each(|hit| see(hit["_source"]["message"].as_str().unwrap_or_default()));
            let next = json!({ "scroll": "5m", "scroll_id": page["_scroll_id"] });
            answer = ask("_search/scroll", Some(next));
        }
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
