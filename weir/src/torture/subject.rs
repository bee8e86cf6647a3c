//! The shipper that is tortured: Weir's own as a child process, or any other whose output file is read.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};

use super::oracle::Seen;

/// An output file is looked at this often.
const OUTPUT_INTERVAL: Duration = Duration::from_millis(20);

/// A shipper that was asked to end is killed after so long.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Which shipper.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Weir's, as a child of this process.
    Own,
    /// Started by a command, and read from the file that it writes.
    Command(String),
    /// Started by somebody else: it cannot be stopped from here.
    Elsewhere {
        /// What it writes.
        output: PathBuf,
    },
}

/// Where things are, for one scenario.
#[derive(Clone, Debug)]
pub struct Places {
    /// The directory of the log files.
    pub logs: PathBuf,
    /// A directory that outlives restarts.
    pub state: PathBuf,
    /// What a shipper of another make writes.
    pub output: PathBuf,
}

/// The shipper of one scenario.
pub struct Subject {
    kind: Kind,
    places: Places,
    seen: Seen,
    running: Option<Running>,
    /// Reads the output file, until told to stop.
    tail: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

struct Running {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Subject {
    /// Not started yet, unless it runs elsewhere.
    pub fn new(kind: Kind, places: Places, seen: Seen) -> anyhow::Result<Subject> {
        let output = match &kind {
            Kind::Own => None,
            Kind::Command(_) => Some(places.output.clone()),
            Kind::Elsewhere { output } => Some(output.clone()),
        };
        let tail = output.map(|output| tail(output, seen.clone())).transpose()?;
        Ok(Subject { kind, places, seen, running: None, tail })
    }

    /// Whether it can be stopped and killed from here.
    pub fn is_ours(&self) -> bool {
        !matches!(self.kind, Kind::Elsewhere { .. })
    }

    /// Starts it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        if self.running.is_some() || !self.is_ours() {
            return Ok(());
        }
        let mut command = self.command()?;
        let mut child = command.process_group(0).spawn().context("cannot start the shipper")?;
        let seen = self.seen.clone();
        let reader = child.stdout.take().map(|out| thread::spawn(move || read_records(out, &seen)));
        self.running = Some(Running { child, reader });
        Ok(())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let places = &self.places;
        if let Kind::Command(text) = &self.kind {
            let mut command = Command::new("sh");
            command.args(["-c", text]).stdin(Stdio::null()).stdout(Stdio::null());
            command.env("TORTURE_LOGS", &places.logs).env("TORTURE_STATE", &places.state);
            command.env("TORTURE_OUTPUT", &places.output);
            return Ok(command);
        }
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new(program);
        command.arg("torture-shipper").arg("--state").arg(&places.state);
        command.arg(places.logs.join("*.log")).stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(command)
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.end(Signal::TERM)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.end(Signal::KILL)
    }

    /// Removes everything that it remembers; it is not running.
    pub fn forget(&self) -> anyhow::Result<()> {
        let state = &self.places.state;
        fs::remove_dir_all(state)
            .and_then(|()| fs::create_dir(state))
            .context("cannot empty the state directory")
    }

    /// Stops it from running, without ending it.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it run again.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(running) = &self.running else { return Ok(()) };
        Ok(kill_process_group(Pid::from_child(&running.child), signal)?)
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if self.running.is_none() {
            return Ok(());
        }
        self.signal(signal)?;
        let Some(mut running) = self.running.take() else { return Ok(()) };
        let deadline = Instant::now() + STOP_TIMEOUT;
        while running.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                kill_process_group(Pid::from_child(&running.child), Signal::KILL)?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        if let Some(reader) = running.reader {
            reader.join().map_err(|_| anyhow::anyhow!("reading the shipper's output has crashed"))?;
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Err(error) = self.end(Signal::KILL) {
            tracing::warn!(%error, "cannot end the shipper");
        }
        if let Some((stop, thread)) = self.tail.take() {
            stop.store(true, Ordering::Relaxed);
            drop(thread.join());
        }
    }
}

/// Each line is an id, a tab and the record.
fn read_records(out: ChildStdout, seen: &Seen) {
    // An unfinished last line was never put out: the shipper was killed.
    let mut lines = BufReader::new(out);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some((id, record)) = line.strip_suffix('\n').and_then(|line| line.split_once('\t')) {
            seen.record(Some(id), record);
        }
        line.clear();
    }
}

/// Reads what is appended to the file at `path` from now on; it need not be there yet.
fn tail(path: PathBuf, seen: Seen) -> anyhow::Result<(Arc<AtomicBool>, JoinHandle<()>)> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let start = path.metadata().map_or(0, |metadata| metadata.len());
    let thread = thread::Builder::new().name("output".into()).spawn(move || {
        let mut tail = Tail { path: &path, offset: start, rest: Vec::new() };
        while !told.load(Ordering::Relaxed) {
            // A file that is not there, or cannot be read now, is read at the next look.
            if tail.read(&seen).is_err() || tail.rest.is_empty() {
                thread::sleep(OUTPUT_INTERVAL);
            }
        }
    })?;
    Ok((stop, thread))
}

struct Tail<'a> {
    path: &'a Path,
    offset: u64,
    rest: Vec<u8>,
}

impl Tail<'_> {
    fn read(&mut self, seen: &Seen) -> io::Result<()> {
        let mut file = File::open(self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let before = self.rest.len();
        file.read_to_end(&mut self.rest)?;
        self.offset += (self.rest.len() - before) as u64;
        let whole = memchr::memrchr(b'\n', &self.rest).map_or(0, |at| at + 1);
        for line in self.rest[..whole].split(|byte| *byte == b'\n') {
            seen.record(None, &String::from_utf8_lossy(line));
        }
        self.rest.drain(..whole);
        if self.rest.len() == before && whole == 0 {
            thread::sleep(OUTPUT_INTERVAL);
        }
        Ok(())
    }
}
