//! A real redis-server for tests: started on a free port, killed, started again, ended with its test.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{io, iter};

use redis::{ConnectionLike, Value};
use tempfile::TempDir;

/// A server answers within this after its start, a big append-only file to load included.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The ports that tests name.
const PORTS: Range<u16> = 10_000..20_000;

/// How far apart processes that were started one after the other begin.
const PORTS_A_PROCESS: u32 = 101;

/// Another process may take a free port before the server does.
const START_ATTEMPTS: usize = 5;

/// A redis-server with a directory, a port and a socket of its own.
pub struct TestRedis {
    process: Option<Child>,
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl TestRedis {
    /// Starts a server that keeps nothing on disk. None, after saying so, where no redis-server is installed.
    ///
    /// # Panics
    /// If it is installed and does not start, or if it is not installed and the environment has `CI=true`.
    pub fn start() -> Option<TestRedis> {
        TestRedis::start_with(&["--appendonly", "no"])
    }

    /// [`start`](Self::start) with more arguments, such as `--appendonly yes`.
    pub fn start_with(arguments: &[&str]) -> Option<TestRedis> {
        if let Err(error) = Command::new("redis-server").arg("--version").output() {
            skip(&format!("redis-server cannot be run: {error}"));
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = TestRedis { process: None, directory, port: 0, arguments };
        for _ in 0..START_ATTEMPTS {
            server.port = free_port();
            if server.spawn() {
                return Some(server);
            }
        }
        panic!("redis-server does not start: {}", server.log());
    }

    /// Its address on the loopback interface.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port on the loopback interface.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory that it runs in.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The address of its socket.
    pub fn unix_url(&self) -> String {
        format!("unix://{}", self.directory.path().join("redis.sock").display())
    }

    /// Ends it without warning (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it runs");
            process.wait().expect("it was ours");
        }
    }

    /// Starts it again on the same port, with what its disk holds.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.spawn(), "redis-server does not start again: {}", self.log());
    }

    /// The same, but does not wait until it has loaded its data.
    pub fn restart_without_waiting(&mut self) {
        self.kill();
        self.process = Some(self.run());
    }

    /// Sends SIGSTOP or SIGCONT, or any other signal by its name.
    pub fn signal(&self, name: &str) {
        let process = self.process.as_ref().expect("it runs");
        let status = Command::new("kill").arg(format!("-{name}")).arg(process.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Sends one command and returns its answer.
    ///
    /// # Panics
    /// If it is refused.
    pub fn command(&self, words: &[&str]) -> Value {
        self.try_command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The same, where a refusal is as good.
    ///
    /// # Errors
    /// The server's words.
    pub fn try_command(&self, words: &[&str]) -> redis::RedisResult<Value> {
        let mut connection = redis::Client::open(self.unix_url())?.get_connection()?;
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(word);
        });
        connection.req_command(&command)
    }

    /// The directory of its append-only files.
    pub fn append_only_directory(&self) -> PathBuf {
        self.directory.path().join("appendonlydir")
    }

    fn run(&self) -> Child {
        let log = File::create(self.directory.path().join("log")).expect("a log file");
        Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--unixsocket", "redis.sock", "--dir", "."])
            .args(&self.arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server runs")
    }

    fn spawn(&mut self) -> bool {
        self.process = Some(self.run());
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if self.process.as_mut().is_none_or(|process| process.try_wait().is_ok_and(|end| end.is_some())) {
                self.process = None;
                return false;
            }
            if self.answers() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill();
        false
    }

    /// Whether it is ours that answers, and has loaded its data.
    fn answers(&self) -> bool {
        let Ok(client) = redis::Client::open(self.unix_url()) else { return false };
        // A password makes it refuse, which is an answer too.
        match client.get_connection().and_then(|mut connection| connection.req_command(&redis::cmd("PING"))) {
            Ok(_) => true,
            Err(error) => matches!(error.code(), Some("NOAUTH" | "NOPERM")),
        }
    }

    fn log(&self) -> String {
        let log: io::Result<String> = std::fs::read_to_string(self.directory.path().join("log"));
        log.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Says that the running test is skipped; fails where nothing may be.
///
/// # Panics
/// If the environment has `CI=true`.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let message = format!("SKIPPED: {}: {reason}", thread.name().unwrap_or("a test"));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("{message}");
}

/// A port of the loopback interface that nobody listens on. It stays so until its test uses it: Linux gives ports from
/// 32,768 up to connections and to listeners that name none (`ip_local_port_range`), a process gets each of these once,
/// and where a process begins is its own. A node of a Redis Cluster also has the one 10,000 above.
///
/// # Panics
/// If none is free.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(PORTS_A_PROCESS);
    let port = |nth: u32| PORTS.start + (first.wrapping_add(nth) % PORTS.len() as u32) as u16;
    let next = || port(GIVEN.fetch_add(1, Ordering::Relaxed));
    let is_free = |&port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    iter::repeat_with(next).take(PORTS.len()).find(is_free).expect("a free port")
}
