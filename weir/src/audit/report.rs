//! What an audit found, and how it is told.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::compare::Span;
use crate::show::safe;

/// Spans of one kind that are named for each file; the others are only counted.
pub const SPANS_MAX: usize = 20;

/// All files of one shipper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Every file that was compared, by path.
    pub files: Vec<FileReport>,
    /// Files that the buffer knows of this shipper and that exist no more: they cannot be compared.
    pub gone: u64,
    /// Of these, bytes that were pushed, and are neither indexed nor in the buffer.
    pub gone_bytes_missing: u64,
}

/// One file, or one life of a file that was truncated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReport {
    /// The name that it was written under.
    pub path: String,
    /// Since when it was written under that name, as far as the file system tells; tells its rotated files apart.
    pub since: String,
    /// How often it was truncated before.
    pub generation: u32,
    /// Bytes that were read.
    pub bytes: u64,
    /// Records that it holds.
    pub records: u64,
    /// Records that the index has.
    pub indexed: u64,
    /// Of these, records that were joined otherwise when they were shipped.
    pub joined_otherwise: u64,
    /// Records that the index refused for good: `weir dead` shows them.
    pub dead: u64,
    /// Records that wait in the buffer.
    pub waiting: u64,
    /// Records that the shipper has not pushed yet.
    pub unread: u64,
    /// Records that were there before a source with `start = "end"` met the file.
    pub skipped: u64,
    /// Records of levels that may be left out while the buffer is nearly full, and were.
    pub shed: u64,
    /// Documents that are one too many.
    pub duplicated: u64,
    /// Records that are nowhere.
    pub missing: u64,
    /// Where documents are one too many.
    pub duplicated_spans: Vec<Span>,
    /// Where records are nowhere.
    pub missing_spans: Vec<Span>,
}

impl FileReport {
    fn add(&mut self, other: &FileReport) {
        self.bytes += other.bytes;
        self.records += other.records;
        self.indexed += other.indexed;
        self.joined_otherwise += other.joined_otherwise;
        self.dead += other.dead;
        self.waiting += other.waiting;
        self.unread += other.unread;
        self.skipped += other.skipped;
        self.shed += other.shed;
        self.duplicated += other.duplicated;
        self.missing += other.missing;
    }
}

impl Report {
    /// The sum over all files.
    pub fn total(&self) -> FileReport {
        let mut total = FileReport { path: "all files".to_owned(), ..FileReport::default() };
        self.files.iter().for_each(|file| total.add(file));
        total
    }

    /// Whether every record is where it belongs, once.
    pub fn is_whole(&self) -> bool {
        let total = self.total();
        total.missing == 0 && total.duplicated == 0 && self.gone_bytes_missing == 0
    }

    /// A table, the ranges that are amiss, and one line that sums up.
    pub fn render(&self) -> String {
        let total = self.total();
        let mut text = format!(
            "{:>12} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}  file\n",
            "records", "indexed", "dead", "waiting", "unread", "duplicated", "missing"
        );
        for file in self.files.iter().chain((self.files.len() > 1).then_some(&total)) {
            writeln!(
                text,
                "{:>12} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}  {}",
                file.records,
                file.indexed,
                file.dead,
                file.waiting,
                file.unread,
                file.duplicated,
                file.missing,
                self.name(file),
            )
            .expect(ENDLESS);
        }
        for file in &self.files {
            let name = self.name(file);
            render_spans(&mut text, "missing", &name, &file.missing_spans, file.missing);
            render_spans(&mut text, "duplicated", &name, &file.duplicated_spans, file.duplicated);
        }
        self.render_remarks(&mut text, &total);
        writeln!(text, "{} missing, {} duplicated", total.missing, total.duplicated).expect(ENDLESS);
        text
    }

    /// Its path, and what tells it from others of the same.
    fn name(&self, file: &FileReport) -> String {
        let mut name = safe(&file.path);
        if self.files.iter().filter(|other| other.path == file.path).count() > 1 {
            write!(name, " since {}", file.since).expect(ENDLESS);
        }
        if file.generation > 0 {
            write!(name, ", truncated {}×", file.generation).expect(ENDLESS);
        }
        name
    }

    fn render_remarks(&self, text: &mut String, total: &FileReport) {
        let mut remark = |count: u64, what: &str| {
            if count > 0 {
                writeln!(text, "{count} {what}").expect(ENDLESS);
            }
        };
        remark(
            total.joined_otherwise,
            "records of several lines were joined otherwise when they were shipped",
        );
        remark(total.skipped, "records were there before a source with start = \"end\" met their file");
        remark(
            total.shed,
            "records were left out while the buffer was nearly full, as the configuration allows",
        );
        remark(self.gone, "files are gone from the disk and cannot be compared");
        remark(
            self.gone_bytes_missing,
            "bytes of files that are gone were pushed, and are neither indexed nor in the buffer",
        );
    }
}

const ENDLESS: &str = "a String takes everything";

fn render_spans(text: &mut String, what: &str, name: &str, spans: &[Span], records: u64) {
    for Span { start, end, records } in spans {
        writeln!(text, "{what}: {name}, bytes {start} to {end} (records: {records})").expect(ENDLESS);
    }
    let named: u64 = spans.iter().map(|span| span.records).sum();
    if named < records {
        writeln!(text, "{what}: {name}, other places (records: {})", records - named).expect(ENDLESS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_amiss_is_named_and_the_rest_is_summed_up() {
        let whole = FileReport { path: "/log/a".into(), records: 5, indexed: 5, ..FileReport::default() };
        let spans = vec![Span { start: 10, end: 30, records: 2 }];
        let amiss = FileReport {
            path: "/log/b\u{1b}".into(),
            records: 9,
            indexed: 6,
            missing: 3,
            missing_spans: spans,
            ..FileReport::default()
        };
        let report = Report { files: vec![whole.clone(), amiss], ..Report::default() };
        let text = report.render();
        assert!(!report.is_whole());
        assert!(text.contains(", bytes 10 to 30 (records: 2)\n"), "{text}");
        assert!(text.contains(", other places (records: 1)\n"), "{text}");
        assert!(text.ends_with("3 missing, 0 duplicated\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "no control character of a name reaches the terminal");
        assert!(Report { files: vec![whole], ..Report::default() }.is_whole());
    }
}
