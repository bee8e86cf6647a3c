//! How far `--once` is, on a terminal as a bar, elsewhere as a line now and then.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use crate::progress::{Counts, Progress};

/// A bar is drawn this often.
const DRAW_INTERVAL: Duration = Duration::from_millis(200);

/// A line is written this often.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Shown until it is dropped.
pub struct Bar(JoinHandle<()>);

impl Bar {
    /// Begins to show `progress` on stderr.
    pub fn start(progress: Arc<Progress>) -> Bar {
        Bar(if io::stderr().is_terminal() {
            tokio::spawn(draw(progress))
        } else {
            tokio::spawn(write_lines(progress))
        })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes the bar away when the task ends, however it does.
struct Drawn(ProgressBar);

impl Drop for Drawn {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn draw(progress: Arc<Progress>) {
    let template = "{wide_bar} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = Drawn(ProgressBar::new(0).with_style(style));
    loop {
        let counts = progress.counts();
        bar.0.set_length(total(&counts));
        bar.0.set_position(counts.bytes_read);
        bar.0.set_message(format!("{} records", counts.records));
        tokio::time::sleep(DRAW_INTERVAL).await;
    }
}

async fn write_lines(progress: Arc<Progress>) {
    let began = Instant::now();
    loop {
        tokio::time::sleep(LINE_INTERVAL).await;
        eprintln!("{}", line(&progress.counts(), began.elapsed()));
    }
}

/// What a compressed file holds is often known only when it was read.
fn total(counts: &Counts) -> u64 {
    counts.bytes_found.max(counts.bytes_read)
}

fn line(counts: &Counts, elapsed: Duration) -> String {
    let (read, total) = (counts.bytes_read, total(counts));
    let rate = read as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let left = Duration::try_from_secs_f64((total - read) as f64 / rate).unwrap_or(Duration::ZERO);
    format!(
        "read {} of {}, {} records, {}/s, {} left",
        HumanBytes(read),
        HumanBytes(total),
        counts.records,
        HumanBytes(rate as u64),
        HumanDuration(left)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_bytes_records_rate_and_time_left() {
        let counts = Counts { bytes_read: 1 << 20, bytes_found: 3 << 20, records: 7, ..Counts::default() };
        let text = line(&counts, Duration::from_secs(1));
        assert_eq!(text, "read 1.00 MiB of 3.00 MiB, 7 records, 1.00 MiB/s, 2 seconds left");
        let more = Counts { bytes_read: 5, bytes_found: 3, ..Counts::default() };
        assert_eq!(total(&more), 5, "a compressed file held more than its size told");
    }
}
