//! One of the programs under test.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::support::weir;

/// A program that is asked to stop does so within this: ten seconds to finish what it has begun, and some for a machine
/// that is busy with everything else.
const STOP_PATIENCE: Duration = Duration::from_secs(25);

/// A program starts within this, on a machine that is busy with everything else.
const YOUTH: Duration = Duration::from_secs(3);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Of what a program said last, this much is shown.
const SAID_BYTES: usize = 6_000;

/// A shipper or worker that is started again and again.
pub struct Process {
    /// What the story calls it.
    pub name: String,
    arguments: Vec<String>,
    sabotage: Option<&'static str>,
    log: PathBuf,
    child: Option<Child>,
    /// When it was started last.
    started: Instant,
}

impl Process {
    /// Not started yet. `sabotage`: how it fails its promise, in a build that can.
    pub fn new(
        name: String,
        directory: &Path,
        arguments: Vec<String>,
        sabotage: Option<&'static str>,
    ) -> Process {
        let log = directory.join(format!("{name}.stderr"));
        Process { name, arguments, sabotage, log, child: None, started: Instant::now() }
    }

    /// Starts it.
    pub fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log can be written");
        let mut command = weir(&self.arguments);
        if let Some(sabotage) = self.sabotage {
            command.env("WEIR_SABOTAGE", sabotage);
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the program under test runs");
        self.child = Some(child);
        self.started = Instant::now();
    }

    /// A program that ended by itself is a finding, whatever it was done to.
    pub fn assert_running(&mut self) {
        let end = self.child.as_mut().expect("it was started").try_wait().expect("it is our child");
        assert!(end.is_none(), "{} ended by itself, {}: {}", self.name, end.unwrap_or_default(), self.said());
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.assert_running();
        self.end();
    }

    /// Ends it, whether it runs or not.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Asks it to stop, and tells how long that took.
    pub fn stop(&mut self) -> Duration {
        self.assert_running();
        self.signal(Signal::TERM);
        let asked = Instant::now();
        // Who has not come to listening to signals yet is ended by the system: nothing was begun.
        let is_young = self.started.elapsed() < YOUTH;
        let mut child = self.child.take().expect("it was started");
        loop {
            if let Some(end) = child.try_wait().expect("it is our child") {
                let is_by_signal = end.signal() == Some(Signal::TERM.as_raw());
                assert!(
                    end.success() || is_young && is_by_signal,
                    "{} was asked to stop, and ended with {end}: {}",
                    self.name,
                    self.said()
                );
                return asked.elapsed();
            }
            if asked.elapsed() > STOP_PATIENCE {
                self.child = Some(child);
                panic!("{} does not stop within {STOP_PATIENCE:?}: {}", self.name, self.said());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it was started");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// The end of what it has said.
    pub fn said(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said[said.len().saturating_sub(SAID_BYTES)..]).into_owned()
    }

    /// Where all that it said stands.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
