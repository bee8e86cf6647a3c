//! What the tests of the whole share: programs as processes, waiting, a little HTTP, real search servers.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

pub mod search_server;

/// Longer than anything here takes on a busy machine with a debug build, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The program under test with these arguments, free of this shell's settings.
pub fn weir<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).env_remove("WEIR_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(arguments: &[&str]) -> Ended {
    Ended::from(weir(arguments).output().unwrap())
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).expect("programs write UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// A running program whose output goes to files; killed with its test.
pub struct Program {
    child: Child,
    output: TempDir,
}

impl Program {
    pub fn start(mut command: Command) -> Program {
        let output = tempfile::tempdir().unwrap();
        let file = |name| File::create(output.path().join(name)).unwrap();
        let child = command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Program { child, output }
    }

    pub fn stdout(&self) -> String {
        std::fs::read_to_string(self.output.path().join("stdout")).unwrap()
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.output.path().join("stderr")).unwrap()
    }

    /// Waits until it has said this on stderr.
    pub fn says(&mut self, words: &str) {
        until_or(&format!("stderr has {words:?}"), || self.stderr().contains(words), || self.stderr());
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it without warning (SIGKILL). It has to run still: a program that ended by itself is a finding.
    pub fn kill(&mut self) {
        assert!(self.is_running(), "it ended by itself: {}", self.stderr());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop (SIGTERM), and waits for its end.
    pub fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.end().code()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let mut end = None;
        until("the program ends", || {
            end = self.child.try_wait().unwrap();
            end.is_some()
        });
        end.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for a condition, and fails the test when it does not come.
pub fn until(what: &str, condition: impl FnMut() -> bool) {
    until_or(what, condition, String::new);
}

/// [`until`], with something that explains a failure.
pub fn until_or(what: &str, mut condition: impl FnMut() -> bool, explanation: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}\n{}", explanation());
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Status and body of one HTTP request; none where nobody answers.
pub fn request(method: &str, url: &str, body: Option<&str>) -> Option<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let mut request = client.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    })
}

pub fn get(url: &str) -> Option<(u16, String)> {
    request("GET", url, None)
}

/// A GET that has to succeed, with a JSON answer.
pub fn get_json(url: &str) -> Value {
    let (status, body) = get(url).unwrap_or_else(|| panic!("nobody answers at {url}"));
    assert_eq!(status, 200, "{url}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// All documents that `weir up` finds, page by page, the newest first.
pub fn found(page: &str, query: &str) -> Vec<Value> {
    let mut documents = Vec::new();
    each_found(page, query, |document| documents.push(document.clone()));
    documents
}

/// The same, of which nothing is kept.
pub fn each_found(page: &str, query: &str, mut see: impl FnMut(&Value)) {
    let mut after = String::new();
    loop {
        let answer = get_json(&format!("{page}/api/search?limit=1000&q={query}&after={after}"));
        let hits = answer["hits"].as_array().unwrap();
        hits.iter().for_each(|hit| see(&hit["document"]));
        let Some(last) = hits.last() else { return };
        after = encoded(last["cursor"].as_str().unwrap());
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Writes a file in a directory and names it.
pub fn write(directory: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Says that a test is skipped; fails where nothing may be.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let message = format!("SKIPPED: {}: {reason}", thread.name().unwrap_or("a test"));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("{message}");
}

/// Random numbers (SplitMix64, Steele et al. 2014) from a seed that is printed; WEIR_TEST_SEED repeats a run.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        let told = std::env::var("WEIR_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = told.unwrap_or_else(unique);
        println!("WEIR_TEST_SEED={seed}");
        Random::seeded(seed)
    }

    /// The numbers of this seed, which somebody else has printed.
    pub fn seeded(seed: u64) -> Random {
        Random(seed)
    }

    /// One of `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// From zero to less than one, in thousandths.
    pub fn fraction(&mut self) -> f64 {
        self.below(1000) as f64 / 1000.0
    }

    /// One of several.
    pub fn choose<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.below(several.len() as u64) as usize]
    }
}

/// A number that no other test run has.
pub fn unique() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}
