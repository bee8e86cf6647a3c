//! What a scenario can do: write lines, rotate as logrotate and services do, and treat the shipper badly.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::line::{Reading, read_line, write_line};
use super::oracle::{Seen, Verdict};
use super::subject::Subject;

/// Most words that pad a line.
const PADDING_MAX: u64 = 40;

/// Most lines of one write call.
const LINES_A_WRITE_MAX: u64 = 64;

/// Once everything is there, a duplicate has so long to show up.
const SETTLE: Duration = Duration::from_secs(1);

/// One scenario while it runs.
pub struct Stage {
    /// The shipper.
    pub subject: Subject,
    /// What it has put out.
    pub seen: Seen,
    /// How many lines the scenario is to write, about.
    pub lines: u64,
    run: String,
    scenario: &'static str,
    logs: PathBuf,
    patience: Duration,
    random: Random,
    written: u64,
    file: File,
    name: &'static str,
}

impl Stage {
    /// Begins in the directory `logs`, which is there and empty.
    pub fn new(
        subject: Subject,
        seen: Seen,
        (run, scenario): (&str, &'static str),
        logs: PathBuf,
        (lines, seed, patience): (u64, u64, Duration),
    ) -> anyhow::Result<Stage> {
        let name = "app.log";
        let file = open(&logs.join(name))?;
        let random = Random::new(seed ^ u64::from(crc32fast::hash(scenario.as_bytes())));
        let run = run.to_owned();
        Ok(Stage { subject, seen, lines, run, scenario, logs, patience, random, written: 0, file, name })
    }

    /// A file of the directory that is followed.
    pub fn path(&self, name: &str) -> PathBuf {
        self.logs.join(name)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    /// The text of the next `count` lines.
    pub fn text(&mut self, count: u64) -> String {
        let mut text = String::new();
        for _ in 0..count {
            let padding = self.random.below(PADDING_MAX) as usize;
            write_line(&mut text, &self.run, self.scenario, self.written, padding);
            self.written += 1;
        }
        text
    }

    /// Appends lines to the open log, some at a time.
    pub fn write(&mut self, count: u64) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let some = (1 + self.below(LINES_A_WRITE_MAX)).min(left);
            let text = self.text(some);
            self.file.write_all(text.as_bytes())?;
            left -= some;
        }
        Ok(())
    }

    /// Appends lines to another file of the directory.
    pub fn write_to(&mut self, name: &str, count: u64) -> io::Result<()> {
        let text = self.text(count);
        open(&self.logs.join(name))?.write_all(text.as_bytes())
    }

    /// Appends bytes that are no whole lines of ours.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Opens another file of the directory for what is written next.
    pub fn reopen(&mut self, name: &'static str) -> io::Result<()> {
        self.file = open(&self.logs.join(name))?;
        self.name = name;
        Ok(())
    }

    /// Renames the log and its older ones, as logrotate does; the handle stays where it is.
    pub fn shift(&self) -> io::Result<()> {
        self.make_room()?;
        fs::rename(self.path(self.name), self.path(&format!("{}.1", self.name)))
    }

    /// Renames, then begins a new file.
    pub fn rename(&mut self) -> io::Result<()> {
        self.shift()?;
        self.reopen(self.name)
    }

    /// Copies the log to `.1`, then cuts it. Nothing is written in between.
    pub fn copytruncate(&self) -> io::Result<()> {
        self.make_room()?;
        fs::copy(self.path(self.name), self.path(&format!("{}.1", self.name)))?;
        self.file.set_len(0)
    }

    /// `.1` becomes `.2`, and so on, compressed ones too.
    fn make_room(&self) -> io::Result<()> {
        let name = |number: u32, ending: &str| self.path(&format!("{}.{number}{ending}", self.name));
        let taken = |number: &u32| name(*number, "").exists() || name(*number, ".gz").exists();
        let free = (1..).find(|number| !taken(number)).unwrap_or(1);
        for number in (1..free).rev() {
            for ending in ["", ".gz"] {
                if name(number, ending).exists() {
                    fs::rename(name(number, ending), name(number + 1, ending))?;
                }
            }
        }
        Ok(())
    }

    /// Compresses `.1` as logrotate does: the original is removed when its twin is whole.
    pub fn compress(&self) -> io::Result<()> {
        let plain = self.path(&format!("{}.1", self.name));
        let twin = self.path(&format!("{}.1.gz", self.name));
        let mut encoder = GzEncoder::new(File::create(twin)?, Compression::fast());
        io::copy(&mut File::open(&plain)?, &mut encoder)?;
        encoder.finish()?.sync_all()?;
        fs::remove_file(plain)
    }

    /// Waits until the shipper has put out everything that was written so far.
    pub fn wait(&self) {
        // What does not come now is found missing at the end.
        self.seen.wait_for(self.written, self.patience);
    }

    /// Waits for the rest and compares. `destroys`: the scenario may destroy lines before anybody can read them.
    pub fn finish(self, destroys: bool) -> anyhow::Result<Verdict> {
        let (kept, torn) = if destroys { self.lines_on_disk()? } else { (HashSet::new(), 0) };
        let expected = if destroys { kept.len() as u64 } else { self.written };
        self.seen.wait_for(expected, self.patience);
        std::thread::sleep(SETTLE);
        let mut verdict = self.seen.verdict(self.written, |number| destroys && !kept.contains(&number));
        // A line that the rotation has torn is shipped as it is.
        verdict.corrupted = verdict.corrupted.saturating_sub(torn);
        drop(self.subject);
        Ok(verdict)
    }

    /// Numbers of the lines that some file of the directory holds, and how many of ours are torn.
    fn lines_on_disk(&self) -> anyhow::Result<(HashSet<u64>, u64)> {
        let mut numbers = HashSet::new();
        let mut torn = 0;
        for entry in fs::read_dir(&self.logs)? {
            let path = entry?.path();
            let text = read_log(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines = text.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
            for line in lines {
                match read_line(&line) {
                    Reading::Line(token) => drop(numbers.insert(token.number)),
                    Reading::Corrupted => torn += 1,
                    Reading::Foreign => {}
                }
            }
        }
        Ok((numbers, torn))
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn read_log(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    } else {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The same seed gives the same numbers: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
/// generators, 2014).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}
