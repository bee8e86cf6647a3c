//! How a file's format is found out: every parser is asked about its first lines, and asked again when the format no
//! longer fits.

pub use weir_config::{Format, FormatError};

/// Whether a format was told or is guessed from the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// By the configuration.
    Told,
    /// By the file's other lines: what fits the format is taken, also where the line alone could be something else.
    Detected,
    /// From the line alone: only what cannot be anything else is taken.
    Guessed,
}

/// What a file's lines say about its format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// The format that fits best.
    pub format: Format,
    /// How well, 0 to 1: the mean of its lines' scores. 1 where every line is of the format and of no other.
    pub confidence: f32,
}

/// How well one line fits a format, 0 to 100.
pub(super) type Score = u32;

/// The line cannot be anything else.
pub(super) const CERTAIN: Score = 100;
/// The line fits the format if the file has it.
pub(super) const FITTING: Score = 80;
/// Text in which something was recognised, and which fits no other format of the file.
pub(super) const RECOGNISED: Score = 90;
/// Text in which nothing was recognised, or which fits another format of the file.
pub(super) const TEXT: Score = 20;

/// The scores of a sample's lines, by format.
#[derive(Debug)]
pub(super) struct Tally {
    lines: u32,
    scores: [Score; Format::ALL.len()],
}

impl Tally {
    pub(super) const fn new() -> Tally {
        Tally { lines: 0, scores: [0; Format::ALL.len()] }
    }

    /// Counts a line.
    pub(super) fn line(&mut self) {
        self.lines += 1;
    }

    /// Adds a line's score.
    pub(super) fn add(&mut self, format: Format, score: Score) {
        self.scores[format as usize] += score;
    }

    /// The formats that had a score.
    pub(super) fn formats(&self) -> Vec<Format> {
        Format::ALL.iter().copied().filter(|format| self.scores[*format as usize] > 0).collect()
    }

    /// The format with the highest score; the first of those that are alike. None without lines.
    pub(super) fn best(&self) -> Option<Detection> {
        let scores = Format::ALL.iter().copied().zip(self.scores).rev();
        let (format, score) = scores.max_by_key(|(_, score)| *score)?;
        (self.lines > 0)
            .then(|| Detection { format, confidence: score as f32 / (self.lines * CERTAIN) as f32 })
    }
}

/// Watches whether a file's records still have the format that was detected.
#[derive(Debug)]
pub(super) struct Watch {
    /// Records of other formats since the last judgement, less those of the format itself.
    strangers: u32,
    /// So many, and the file is judged anew.
    strangers_max: u32,
    /// The strangers' first lines: what the file is judged by.
    sample: Vec<u8>,
}

impl Watch {
    /// Enough that a burst of another program's lines in the same file changes nothing.
    const STRANGERS_MIN: u32 = 32;
    /// A file that stays mixed is judged ever more rarely, up to this.
    const STRANGERS_MAX: u32 = 1 << 16;
    /// Most bytes of the sample, and of one line in it.
    const SAMPLE_BYTES_MAX: usize = 1 << 14;
    const LINE_BYTES_MAX: usize = 1 << 10;

    pub(super) const fn new() -> Watch {
        Watch { strangers: 0, strangers_max: Self::STRANGERS_MIN, sample: Vec::new() }
    }

    /// Notes a record of the file's own format.
    #[inline]
    pub(super) fn own(&mut self) {
        if self.strangers > 0 {
            self.strangers -= 1;
            if self.strangers == 0 {
                self.sample.clear();
            }
        }
    }

    /// Notes a record of another format, or of none. Returns a sample where the file has to be judged anew.
    pub(super) fn stranger(&mut self, record: &str) -> Option<Vec<u8>> {
        self.strangers += 1;
        let line = record.lines().next().unwrap_or_default().as_bytes();
        if line.len() <= Self::LINE_BYTES_MAX && self.sample.len() + line.len() < Self::SAMPLE_BYTES_MAX {
            self.sample.extend_from_slice(line);
            self.sample.push(b'\n');
        }
        if self.strangers < self.strangers_max {
            return None;
        }
        self.strangers = 0;
        Some(std::mem::take(&mut self.sample))
    }

    /// Notes the outcome of a judgement: one that changed nothing makes the next one rarer.
    pub(super) fn judged(&mut self, has_changed: bool) {
        self.strangers_max =
            if has_changed { Self::STRANGERS_MIN } else { (self.strangers_max * 2).min(Self::STRANGERS_MAX) };
    }
}
