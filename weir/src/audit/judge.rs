//! Frame by frame: which documents the index has of the records that were read again.

use std::collections::HashMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Deserialize;
use weir_indexer::search::LIMIT_MAX;
use weir_indexer::{Order, Search, SearchError, SearchRequest};
use weir_record::frame::DecodedFrame;
use weir_record::query::{FieldPath, Test};
use weir_record::{Field, FileKey, Query, Timestamp};

use super::compare::{Comparison, Expected, Span, Stored, add_to_spans, compare};
use super::dead;
use super::report::{FileReport, Report, SPANS_MAX};
use super::standing::{Place, Standing, Standings};

/// Records of ranges that are looked for again; what is missing beyond is no matter of a refresh interval.
const OPEN_MAX: usize = 200_000;

/// Takes what was read and compares it with the index.
pub struct Judge<'a, S> {
    index: &'a S,
    standings: Standings,
    since: Option<SystemTime>,
    /// How the members of records are written that a worker may have left out.
    shed: Arc<[String]>,
    from_end: Box<dyn Fn(&Path) -> bool + Send + Sync>,
    files: HashMap<FileKey, Judged>,
    /// Ranges in which something was missing when it was looked for; nothing of them is counted yet.
    open: Vec<(Range, Comparison)>,
    /// Their records.
    open_records: usize,
}

/// One file.
struct Judged {
    standing: Standing,
    is_wanted: bool,
    /// It belongs to a source that begins at its files' end: what is missing before the first document is not wanted.
    begins_late: bool,
    report: FileReport,
    missing: Vec<Expected>,
    duplicated: Vec<u64>,
}

/// Records that follow each other in one file, and how to find their documents.
struct Range {
    file: FileKey,
    query: Query,
    sequence_base: i64,
    expected: Vec<Expected>,
}

/// The members that say where a document comes from.
#[derive(Deserialize)]
struct Origin {
    #[serde(rename = "log.offset")]
    offset: u64,
    #[serde(rename = "event.sequence")]
    sequence: i64,
}

/// What the records of a group share.
#[derive(Deserialize)]
struct Shared {
    #[serde(rename = "log.file.path")]
    path: String,
    #[serde(rename = "host.name")]
    host: Option<String>,
}

impl<'a, S: Search> Judge<'a, S> {
    /// Nothing was taken yet. `shed`: levels of records that may have been left out. `from_end`: whether a path's source begins at the end of its files.
    pub fn new(
        index: &'a S,
        standings: Standings,
        since: Option<SystemTime>,
        shed: Vec<String>,
        from_end: impl Fn(&Path) -> bool + Send + Sync + 'static,
    ) -> Judge<'a, S> {
        let shed = shed.iter().map(|level| format!("\"log.level\":\"{level}\"")).collect();
        let from_end = Box::new(from_end);
        Judge {
            index,
            standings,
            since,
            shed,
            from_end,
            files: HashMap::new(),
            open: Vec::new(),
            open_records: 0,
        }
    }

    /// Compares the records of one frame.
    pub async fn take(&mut self, frame: &DecodedFrame<'_>) -> Result<(), SearchError> {
        let key = frame.header.file;
        let shared = frame.groups.iter().find_map(|(_, shared)| read_shared(shared));
        let shed = Arc::clone(&self.shed);
        let file = self.file(key, shared.as_ref(), frame.header.sequence_base);
        if !file.is_wanted {
            return Ok(());
        }
        file.report.bytes = file.report.bytes.max(frame.header.end);
        file.report.records += frame.len() as u64;
        let expected = file.sort(frame, &shed);
        let (Some(shared), Some(first), Some(last)) = (shared, expected.first(), expected.last()) else {
            return Ok(());
        };
        let base = frame.header.sequence_base;
        let sequence = |offset: u64| base.wrapping_add_unsigned(offset);
        let query = query_of(&shared, sequence(first.offset), sequence(last.end.max(last.offset + 1)));
        let range = Range { file: key, query, sequence_base: base, expected };
        let comparison = self.compare(&range).await?;
        self.note(range, comparison);
        Ok(())
    }

    /// Whether something was missing that a later look may find.
    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Looks for what was missing once more.
    pub async fn look_again(&mut self) -> Result<(), SearchError> {
        let open = std::mem::take(&mut self.open);
        self.open_records = 0;
        for (range, _) in open {
            let comparison = self.compare(&range).await?;
            self.note(range, comparison);
        }
        Ok(())
    }

    /// The result. What the dead letters hold is not missing.
    pub async fn finish(mut self) -> Result<Report, SearchError> {
        for (range, comparison) in std::mem::take(&mut self.open) {
            self.count(&range.file, comparison);
        }
        let is_whole = self.files.values().all(|file| file.missing.is_empty());
        let dead = if is_whole { Default::default() } else { dead(self.index).await? };
        let (gone, gone_bytes_missing) = self.standings.gone();
        let mut files = Vec::with_capacity(self.files.len());
        for mut judged in self.files.into_values().filter(|file| file.is_wanted) {
            judged.conclude(|record| dead.contains(&record.id));
            files.push(judged.report);
        }
        files
            .sort_by_cached_key(|file: &FileReport| (file.path.clone(), file.since.clone(), file.generation));
        Ok(Report { files, gone, gone_bytes_missing })
    }

    fn file(&mut self, key: FileKey, shared: Option<&Shared>, born: i64) -> &mut Judged {
        let (standings, since, from_end) = (&mut self.standings, self.since, &self.from_end);
        self.files.entry(key).or_insert_with(|| {
            let standing = standings.of(&key);
            let stated = || shared.map(|shared| shared.path.clone().into());
            let path = standing.path.clone().or_else(stated).unwrap_or_default();
            let written = path.metadata().and_then(|metadata| metadata.modified());
            let report = FileReport {
                path: path.display().to_string(),
                since: Timestamp::from_nanos(born.max(0), 3).map(|time| time.to_string()).unwrap_or_default(),
                generation: standing.generation,
                ..FileReport::default()
            };
            Judged {
                standing,
                is_wanted: since.is_none_or(|since| written.map_or(true, |written| written >= since)),
                begins_late: from_end(&path),
                report,
                missing: Vec::new(),
                duplicated: Vec::new(),
            }
        })
    }

    /// The documents of a range; those of other files, whose sequence may fall into it, are left out.
    async fn compare(&self, range: &Range) -> Result<Comparison, SearchError> {
        let mut stored = Vec::with_capacity(range.expected.len());
        let mut after = None;
        loop {
            let request = SearchRequest {
                order: Order::OldestFirst,
                limit: LIMIT_MAX,
                after,
                ..SearchRequest::new(range.query.clone())
            };
            let hits = self.index.search(&request).await?.hits;
            for hit in &hits {
                let Ok(origin) = serde_json::from_str::<Origin>(hit.document.get()) else { continue };
                let is_of_file = range.sequence_base.wrapping_add_unsigned(origin.offset) == origin.sequence;
                if is_of_file {
                    stored.push(Stored { id: hit.id.clone(), offset: origin.offset });
                }
            }
            if hits.len() < LIMIT_MAX {
                break;
            }
            after = hits.last().map(|hit| hit.cursor.clone());
        }
        Ok(compare(&range.expected, &stored))
    }

    /// Counts a range that is whole; one in which something is missing is looked at again.
    fn note(&mut self, range: Range, comparison: Comparison) {
        let records = range.expected.len();
        if comparison.missing.is_empty() || self.open_records + records > OPEN_MAX {
            return self.count(&range.file, comparison);
        }
        self.open_records += records;
        self.open.push((range, comparison));
    }

    fn count(&mut self, file: &FileKey, comparison: Comparison) {
        let Some(file) = self.files.get_mut(file) else { return };
        file.report.indexed += comparison.indexed;
        file.report.joined_otherwise += comparison.joined_otherwise;
        file.duplicated.extend(comparison.duplicated);
        file.missing.extend(comparison.missing);
    }
}

impl Judged {
    /// Counts the records of a frame that do not have to be in the index, and returns the others.
    fn sort(&mut self, frame: &DecodedFrame<'_>, shed: &[String]) -> Vec<Expected> {
        let mut expected = Vec::with_capacity(frame.len());
        for (at, record) in frame.records().enumerate() {
            let end = frame.get(at + 1).map_or(frame.header.end, |next| next.offset);
            let id = String::from_utf8_lossy(&frame.id(&record).to_text()).into_owned();
            let is_shed =
                |member: &String| memchr::memmem::find(record.document, member.as_bytes()).is_some();
            let may_be_shed = shed.iter().any(is_shed);
            let record = Expected { id, offset: record.offset, end, may_be_shed };
            match self.standing.place_of(record.offset) {
                Place::Index => expected.push(record),
                Place::Buffer => self.report.waiting += 1,
                Place::Lost => self.missing.push(record),
                Place::File => self.report.unread += 1,
            }
        }
        expected
    }

    /// Turns what is missing and what is one too many into spans. `is_dead`: the index refused the record for good.
    fn conclude(&mut self, is_dead: impl Fn(&Expected) -> bool) {
        let mut missing = std::mem::take(&mut self.missing);
        missing.sort_by_key(|record| record.offset);
        let before = missing.len();
        missing.retain(|record| !is_dead(record));
        self.report.dead = (before - missing.len()) as u64;
        let before = missing.len();
        missing.retain(|record| !record.may_be_shed);
        self.report.shed = (before - missing.len()) as u64;
        if self.begins_late && self.report.indexed > 0 {
            // All that is missing from the first byte on, without a break.
            let mut end = missing.first().map_or(0, |first| if first.offset == 0 { 0 } else { u64::MAX });
            let before = missing.len();
            missing.retain(|record| {
                let is_before = record.offset == end;
                end = if is_before { record.end } else { end };
                !is_before
            });
            self.report.skipped = (before - missing.len()) as u64;
        }
        self.report.missing = missing.len() as u64;
        self.report.duplicated = self.duplicated.len() as u64;
        self.duplicated.sort_unstable();
        for record in &missing {
            add_to_spans(&mut self.report.missing_spans, record.offset, record.end);
        }
        for &offset in &self.duplicated {
            add_to_spans(&mut self.report.duplicated_spans, offset, offset + 1);
        }
        let shorten = |spans: &mut Vec<Span>| spans.truncate(SPANS_MAX);
        shorten(&mut self.report.missing_spans);
        shorten(&mut self.report.duplicated_spans);
    }
}

fn read_shared(text: &str) -> Option<Shared> {
    serde_json::from_str(&format!("{{{text}}}")).ok()
}

/// Documents of one file, as far as its name, its host and their sequence tell.
fn query_of(shared: &Shared, first: i64, end: i64) -> Query {
    let test = |field, test| Query::Test(FieldPath::Schema(field), test);
    let sequence = Test::Integers(Bound::Included(first), Bound::Excluded(end));
    let query =
        test(Field::EventSequence, sequence).and(test(Field::LogFilePath, Test::Is(shared.path.clone())));
    match &shared.host {
        Some(host) => query.and(test(Field::HostName, Test::Is(host.clone()))),
        None => query,
    }
}
