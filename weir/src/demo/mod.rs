//! Demo services: realistic logs of a small shop, written to files as real services would write them.
//!
//! Four services log in four ways: `gateway` an access log, `checkout` JSON, `inventory` Java lines with stack
//! traces, `payments` logfmt. One customer's request runs through all of them under one trace id, and now and then
//! something breaks.

mod shop;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use self::shop::{SERVICES, Shop};

/// Requests that the demo pretends have happened in the hour before its start.
const PAST_REQUESTS: u32 = 1500;

/// How far the pretended past reaches.
const PAST: Duration = Duration::from_secs(3600);

/// Mean pause between requests, while running.
const PAUSE: Duration = Duration::from_millis(250);

/// A log is rotated by renaming at this size; one rotated file is kept.
const ROTATE_BYTES: u64 = 32 * 1024 * 1024;

/// Writes the demo's logs into a directory.
pub struct Demo {
    shop: Shop,
    logs: Vec<Log>,
}

struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Demo {
    /// Opens the log files in `directory`, which is made where it is missing. The same `seed` tells the same story.
    pub fn new(directory: &Path, seed: u64) -> anyhow::Result<Demo> {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
        let logs = SERVICES
            .iter()
            .map(|service| Log::open(directory.join(service)))
            .collect::<io::Result<_>>()
            .with_context(|| format!("cannot write to {}", directory.display()))?;
        Ok(Demo { shop: Shop::new(seed), logs })
    }

    /// The files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.logs.iter().map(|log| log.path.as_path())
    }

    /// Writes the hour before now, unless the files hold a past already.
    pub fn write_past(&mut self) -> io::Result<()> {
        if self.logs.iter().any(|log| log.bytes > 0) {
            return Ok(());
        }
        let start = SystemTime::now() - PAST;
        for request in 0..PAST_REQUESTS {
            self.write_request(start + PAST * request / PAST_REQUESTS)?;
        }
        Ok(())
    }

    /// Writes requests as they "happen" until `stop` is set.
    pub fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        while !stop.load(Ordering::Relaxed) {
            self.write_request(SystemTime::now())?;
            thread::sleep(self.shop.pause(PAUSE));
        }
        Ok(())
    }

    /// Runs on a thread of its own for as long as the process lives.
    pub fn spawn(self, stop: Arc<AtomicBool>) -> io::Result<()> {
        thread::Builder::new().name("demo".into()).spawn(move || {
            if let Err(error) = self.run(&stop) {
                tracing::warn!(%error, "the demo services have stopped: their logs cannot be written");
            }
        })?;
        Ok(())
    }

    fn write_request(&mut self, at: SystemTime) -> io::Result<()> {
        for (service, text) in self.shop.request(at) {
            self.logs[service].append(text.as_bytes())?;
        }
        Ok(())
    }
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Log> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Log { path, file, bytes })
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if self.bytes >= ROTATE_BYTES {
            let mut rotated = self.path.clone().into_os_string();
            rotated.push(".1");
            fs::rename(&self.path, rotated)?;
            *self = Log::open(self.path.clone())?;
        }
        self.file.write_all(text)?;
        self.bytes += text.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_runs_through_several_services_and_every_format_is_written() {
        let directory = tempfile::tempdir().expect("a directory");
        Demo::new(directory.path(), 7).expect("opened").write_past().expect("written");
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).expect("there");
        let checkout = read("checkout.log");
        let line: serde_json::Value =
            serde_json::from_str(checkout.lines().next().expect("a line")).expect("JSON");
        let trace = line["trace_id"].as_str().expect("a trace id");
        assert!(read("inventory.log").contains(trace));
        assert!(read("payments.log").contains(trace));
        assert!(read("inventory.log").contains("\n\tat com.example.inventory."));
        assert!(read("gateway.log").contains("\"POST /api/checkout HTTP/1.1\" 201"));
    }
}
