//! What was written against what the index shows.

use std::fmt;

use super::writers::{SERVICES, Shape, UNDATED_LINE};

/// Examples of each fault that a verdict names.
const EXAMPLES_MAX: usize = 12;

/// Compares the lines of each service with the documents that hold them.
pub struct Oracle {
    /// How often each line of each service was seen.
    seen: Vec<Vec<u32>>,
    corrupted: u64,
    /// The first that were seen of what should not be there.
    examples: Vec<String>,
}

/// How it ended.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Lines that were written.
    pub written: u64,
    /// Lines that no document holds.
    pub missing: u64,
    /// Documents beyond the first of their line.
    pub duplicated: u64,
    /// Documents whose message is no line that was written, byte for byte.
    pub corrupted: u64,
    /// Documents that were refused for good: their lines count as missing too.
    pub dead_letters: u64,
    /// Which.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Every line is there, once, as it was written.
    pub fn is_good(&self) -> bool {
        (self.missing, self.duplicated, self.corrupted, self.dead_letters) == (0, 0, 0, 0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { written, missing, duplicated, corrupted, dead_letters, examples } = self;
        write!(
            f,
            "written {written}, missing {missing}, duplicated {duplicated}, corrupted {corrupted}, dead letters {dead_letters}"
        )?;
        examples.iter().try_for_each(|example| write!(f, "\n  {example}"))
    }
}

impl Oracle {
    /// `lines` of each service were written.
    pub fn new(lines: &[u64; SERVICES.len()]) -> Oracle {
        let seen = SERVICES.iter().zip(lines).map(|(service, &lines)| match service.shape {
            Shape::Undated => vec![0],
            Shape::Json | Shape::Plain => vec![0; lines as usize],
        });
        Oracle { seen: seen.collect(), corrupted: 0, examples: Vec::new() }
    }

    /// A document of this service has this message.
    pub fn see(&mut self, service: usize, message: &str) {
        match self.number(service, message) {
            Some(number) => self.seen[service][number] += 1,
            None => {
                self.corrupted += 1;
                self.note(format!("corrupted, {}: {message:?}", SERVICES[service].name));
            }
        }
    }

    /// Which line it is; none where it is no line that was written.
    fn number(&self, service: usize, message: &str) -> Option<usize> {
        let described = SERVICES[service];
        if described.shape == Shape::Undated {
            return (message == UNDATED_LINE).then_some(0);
        }
        // What stands before the token is the time and level of a plain line.
        let message = &message[message.find(&format!("{}:", described.name))?..];
        let number: u64 = message.split(':').nth(1)?.parse().ok()?;
        let is_written = (number as usize) < self.seen[service].len();
        (is_written && message == described.message(number)).then_some(number as usize)
    }

    fn note(&mut self, example: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example);
        }
    }

    /// What all that was seen means.
    pub fn verdict(mut self, lines: &[u64; SERVICES.len()], dead_letters: u64) -> Verdict {
        let mut verdict = Verdict { written: lines.iter().sum(), dead_letters, ..Verdict::default() };
        for (index, service) in SERVICES.iter().enumerate() {
            let seen = std::mem::take(&mut self.seen[index]);
            // Lines that are all the same are counted together.
            let expected = if service.shape == Shape::Undated { lines[index] } else { 1 };
            let mut missing = Vec::new();
            let mut duplicated = Vec::new();
            for (number, &times) in seen.iter().enumerate() {
                let times = u64::from(times);
                verdict.missing += expected.saturating_sub(times);
                verdict.duplicated += times.saturating_sub(expected);
                if times < expected {
                    missing.push(number);
                } else if times > expected {
                    duplicated.push(number);
                }
            }
            for (what, numbers) in [("missing", missing), ("duplicated", duplicated)] {
                if !numbers.is_empty() {
                    self.note(format!("{what}, {}: {}", service.name, ranges(&numbers)));
                }
            }
        }
        verdict.corrupted = self.corrupted;
        verdict.examples = self.examples;
        verdict
    }
}

/// Ascending numbers, in a few words.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = ranges.iter().take(EXAMPLES_MAX).map(|(first, last)| format!("{first}-{last}"));
    let shown: Vec<String> = shown.collect();
    format!("{} lines in {} ranges: {}", numbers.len(), ranges.len(), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_repeated_or_changed_is_found() {
        let mut lines = [0; SERVICES.len()];
        lines[0] = 3;
        lines[1] = 2;
        let undated = SERVICES.iter().position(|service| service.shape == Shape::Undated).unwrap();
        lines[undated] = 2;
        let mut oracle = Oracle::new(&lines);
        let [orders, gateway, ..] = SERVICES;
        oracle.see(0, &orders.message(0));
        oracle.see(0, &orders.message(0));
        oracle.see(0, &format!("{} ", orders.message(2)));
        oracle.see(0, &orders.message(3));
        oracle.see(1, &format!("2026-11-25T00:00:00.000Z INFO {}", gateway.message(0)));
        oracle.see(1, &gateway.message(1));
        oracle.see(undated, UNDATED_LINE);
        let verdict = oracle.verdict(&lines, 0);
        let counts = (verdict.written, verdict.missing, verdict.duplicated, verdict.corrupted);
        assert_eq!(counts, (7, 3, 1, 2), "{verdict}");
        assert!(!verdict.is_good());
    }
}
