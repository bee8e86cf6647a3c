//! The services: programs that write log files and rotate them, and know nothing of Weir.
//!
//! Line `n` of a service is known from its name and `n` alone, so that all the oracle keeps is how many lines there are.
//! Lines count as written once their newline is in the file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::round::Clock;
use super::support::Random;

/// Lines of one burst: mostly few, sometimes more than a frame holds.
const BURST_LINES_MAX: u64 = 12;
const FLOOD_LINES_MAX: u64 = 4_000;

/// One burst of so many is a flood.
const FLOOD_ONE_IN: u64 = 300;

/// Pauses between bursts are random, up to this: with the above some eighty lines a second and service.
const PAUSE_MAX: Duration = Duration::from_millis(300);

/// A line of so many is written in two halves, with a pause between.
const HALVES_ONE_IN: u64 = 60;

/// A line of JSON of so many has an attribute of another type than the others: the index refuses it as it is.
const CLASH_EVERY: u64 = 500;

/// A file is rotated after a random number of lines, between these.
const ROTATE_LINES_MIN: u64 = 200;
const ROTATE_LINES_MAX: u64 = 3_000;

/// Every line of a service that says nothing else.
pub const UNDATED_LINE: &str = "still here";

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An object with a time.
    Json,
    /// A time, a level and words.
    Plain,
    /// Always the same, without a time: only how many there are can be checked.
    Undated,
}

/// How a service's files are rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// All names move up.
    Rename,
    /// Renamed to a name with a number, and compressed at once.
    Compress,
    /// Copied and cut; nothing is written between.
    CopyTruncate,
}

/// One service, and who ships its files.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name; its log is `<name>/<name>.log`.
    pub name: &'static str,
    /// Which shipper follows it.
    pub shipper: usize,
    /// What its lines look like.
    pub shape: Shape,
    /// How it rotates where the round lets it; else it renames.
    pub rotation: Rotation,
}

/// All services. Those of the second shipper only rename, so that it may lose what it knows: see [`Weather`].
///
/// [`Weather`]: super::round::Weather
pub const SERVICES: [Service; 6] = [
    Service { name: "orders", shipper: 0, shape: Shape::Json, rotation: Rotation::Rename },
    Service { name: "gateway", shipper: 0, shape: Shape::Plain, rotation: Rotation::Compress },
    Service { name: "billing", shipper: 0, shape: Shape::Json, rotation: Rotation::CopyTruncate },
    Service { name: "stock", shipper: 1, shape: Shape::Json, rotation: Rotation::Rename },
    Service { name: "mailer", shipper: 1, shape: Shape::Plain, rotation: Rotation::Rename },
    Service { name: "heartbeat", shipper: 1, shape: Shape::Undated, rotation: Rotation::Rename },
];

impl Service {
    /// The directory of its files, below that of all logs.
    pub fn directory(&self, logs: &Path) -> PathBuf {
        logs.join(self.name)
    }

    /// What line `number` says, whatever its shape: this has to be in the index, byte for byte.
    pub fn message(&self, number: u64) -> String {
        if self.shape == Shape::Undated {
            return UNDATED_LINE.to_owned();
        }
        let token = format!("{}:{number}", self.name);
        let sum = crc32fast::hash(token.as_bytes());
        let mut message = format!("{token}:{sum:08x}");
        const WORDS: [&str; 7] =
            ["paid", "\"quoted\"", "naïve", "C:\\temp", "日本", "a/b?c&d", "(half) [open]"];
        for word in 0..sum % 9 {
            message.push(' ');
            message.push_str(WORDS[((sum >> 8) + word) as usize % WORDS.len()]);
        }
        message
    }

    /// Line `number` as it stands in the file, newline included.
    fn line(&self, number: u64) -> String {
        let message = self.message(number);
        let time = jiff::Timestamp::now();
        match self.shape {
            Shape::Undated => format!("{message}\n"),
            Shape::Plain => format!("{time:.3} INFO {message}\n"),
            Shape::Json => {
                let message = serde_json::Value::from(message);
                let odd = if number % CLASH_EVERY == CLASH_EVERY - 1 { r#"{"is":"an object"}"# } else { "1" };
                format!(
                    r#"{{"time":"{time:.3}","level":"info","msg":{message},"number":{number},"odd":{odd}}}"#
                ) + "\n"
            }
        }
    }
}

/// How much was written, of each of [`SERVICES`].
#[derive(Default)]
pub struct Written {
    lines: [AtomicU64; SERVICES.len()],
    bytes: AtomicU64,
    rotations: AtomicU64,
}

impl Written {
    /// Lines of each service.
    pub fn lines(&self) -> [u64; SERVICES.len()] {
        self.lines.each_ref().map(|lines| lines.load(Ordering::Relaxed))
    }

    /// Lines of all services.
    pub fn total(&self) -> u64 {
        self.lines().iter().sum()
    }

    /// Bytes of all services.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rotations of all services.
    pub fn rotations(&self) -> u64 {
        self.rotations.load(Ordering::Relaxed)
    }
}

/// A service at work.
pub struct Writer<'a> {
    index: usize,
    service: Service,
    directory: PathBuf,
    log: File,
    /// Lines since the last rotation, and how many there may be.
    lines: u64,
    lines_max: u64,
    rotations: u64,
    random: Random,
    written: &'a Written,
    /// Held by whoever needs that no file is away from its name for a moment.
    names: &'a RwLock<()>,
}

impl<'a> Writer<'a> {
    /// The service with this index, in a directory of its own under `logs`.
    pub fn new(
        index: usize,
        logs: &Path,
        seed: u64,
        written: &'a Written,
        names: &'a RwLock<()>,
    ) -> io::Result<Writer<'a>> {
        let service = SERVICES[index];
        let directory = service.directory(logs);
        fs::create_dir_all(&directory)?;
        let log = open(&directory, service.name)?;
        let random = Random::seeded(seed);
        let (lines_max, rotations) = (ROTATE_LINES_MIN, 0);
        Ok(Writer { index, service, directory, log, lines: 0, lines_max, rotations, random, written, names })
    }

    /// Writes until the round is over.
    pub fn write(&mut self, clock: &Clock, rotations: &[Rotation]) -> io::Result<()> {
        while !clock.is_over() {
            let flood = self.random.below(FLOOD_ONE_IN) == 0;
            let lines = 1 + self.random.below(if flood { FLOOD_LINES_MAX } else { BURST_LINES_MAX });
            for _ in 0..lines {
                self.write_line(clock)?;
            }
            if self.lines >= self.lines_max {
                self.rotate(rotations)?;
            }
            clock.wait(PAUSE_MAX.mul_f64(self.random.fraction()));
        }
        Ok(())
    }

    fn write_line(&mut self, clock: &Clock) -> io::Result<()> {
        let number = self.written.lines[self.index].load(Ordering::Relaxed);
        let line = self.service.line(number);
        if self.random.below(HALVES_ONE_IN) == 0 {
            let half = self.random.below(line.len() as u64) as usize;
            self.log.write_all(&line.as_bytes()[..half])?;
            clock.wait(PAUSE_MAX.mul_f64(self.random.fraction()));
            self.log.write_all(&line.as_bytes()[half..])?;
        } else {
            self.log.write_all(line.as_bytes())?;
        }
        self.lines += 1;
        self.written.lines[self.index].store(number + 1, Ordering::Relaxed);
        self.written.bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn rotate(&mut self, allowed: &[Rotation]) -> io::Result<()> {
        // Somebody needs every file under its name: later then.
        let Ok(_held) = self.names.try_read() else { return Ok(()) };
        let how =
            if allowed.contains(&self.service.rotation) { self.service.rotation } else { Rotation::Rename };
        let log = self.path("");
        self.rotations += 1;
        match how {
            Rotation::Rename => {
                self.move_up()?;
                fs::rename(&log, self.path(".1"))?;
                self.log = open(&self.directory, self.service.name)?;
            }
            Rotation::Compress => {
                let rotated = self.path(&format!("-{:06}", self.rotations));
                fs::rename(&log, &rotated)?;
                self.log = open(&self.directory, self.service.name)?;
                compress(&rotated)?;
            }
            Rotation::CopyTruncate => {
                self.move_up()?;
                fs::copy(&log, self.path(".1"))?;
                self.log.set_len(0)?;
            }
        }
        self.lines = 0;
        self.lines_max = ROTATE_LINES_MIN + self.random.below(ROTATE_LINES_MAX - ROTATE_LINES_MIN);
        self.written.rotations.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// As logrotate does: the names of all older ones move up.
    fn move_up(&self) -> io::Result<()> {
        let named = |number: u64| self.path(&format!(".{number}"));
        let count = (1..).take_while(|&number| named(number).exists()).count() as u64;
        (1..=count).rev().try_for_each(|number| fs::rename(named(number), named(number + 1)))
    }

    /// Removes every file that is not written any more. Only when all that was written is indexed.
    pub fn remove_rotated(&self) -> io::Result<()> {
        let log = self.path("");
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path != log {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.join(format!("{}.log{suffix}", self.service.name))
    }
}

fn open(directory: &Path, name: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(directory.join(format!("{name}.log")))
}

/// As gzip does: the compressed file grows beside the plain one, which is then removed.
fn compress(path: &Path) -> io::Result<()> {
    let compressed = File::create(path.with_added_extension("gz"))?;
    let mut encoder = GzEncoder::new(compressed, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?;
    fs::remove_file(path)
}
