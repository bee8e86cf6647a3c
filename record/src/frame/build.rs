//! Collecting records and encoding them.

use super::header::{Codec, Header};
use super::varint;
use crate::identity::FileKey;
use crate::limits::{
    FRAME_ENCODED_BYTES_MAX, FRAME_ENCODED_BYTES_TARGET, FRAME_GROUPS_MAX, FRAME_RAW_BYTES_MAX,
    FRAME_RECORDS_MAX,
};

/// zstd level: higher ones are slower and no smaller on log documents.
const ZSTD_LEVEL: i32 = 1;

/// Ratio that is assumed until a frame has shown the real one.
const RATIO_AT_FIRST: f64 = 4.0;

/// Aim below the target by this factor, so that a frame rarely has to be cut in two.
const RATIO_CAUTION: f64 = 0.92;

/// The fields that many records of a frame share, and where they are indexed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Group {
    /// Dataset of the data stream, already clean: `[a-z0-9._]{1,100}`.
    pub dataset: String,
    /// A fragment: `"service.name":"checkout","host.name":"web-1"`. The [ingest pipeline](Group::set_pipeline) stands
    /// before it.
    pub fields: String,
}

/// How [`Group::fields`] begins where they name an ingest pipeline.
const PIPELINE_MEMBER: &str = "\"_pipeline\":\"";

impl Group {
    /// Whether `name` may name an ingest pipeline: printable, without quotes, blanks and backslashes.
    pub fn is_pipeline_name(name: &str) -> bool {
        const BYTES_MAX: usize = 255;
        let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '"' | '\\');
        !name.is_empty() && name.len() <= BYTES_MAX && name.chars().all(is_plain)
    }

    /// Names the ingest pipeline of Elasticsearch that these records go through. It is no field of theirs: it stands
    /// before the fields, where [`split_pipeline`](Self::split_pipeline) cuts it off. Once at most, and only a
    /// [usable name](Self::is_pipeline_name).
    pub fn set_pipeline(&mut self, name: &str) {
        debug_assert!(Group::is_pipeline_name(name) && Group::split_pipeline(&self.fields).0.is_none());
        let comma = if self.fields.is_empty() { "" } else { "," };
        self.fields = format!("{PIPELINE_MEMBER}{name}\"{comma}{}", self.fields);
    }

    /// The ingest pipeline of a group's `fields`, if they name one, and the fields themselves.
    pub fn split_pipeline(fields: &str) -> (Option<&str>, &str) {
        let named = fields.strip_prefix(PIPELINE_MEMBER).and_then(|rest| rest.split_once('"'));
        match named.filter(|(name, _)| Group::is_pipeline_name(name)) {
            Some((name, rest)) => (Some(name), rest.strip_prefix(',').unwrap_or(rest)),
            None => (None, fields),
        }
    }
}

/// One encoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it says about itself.
    pub header: Header,
    /// All of it, header included.
    pub bytes: Vec<u8>,
    /// Of its first record, empty where it has none: whose frame it is, where services take turns. Not part of the bytes.
    pub dataset: String,
}

/// Collects records of one file, in order, and encodes them. Its buffers are used again for the next frame.
pub struct FrameBuilder {
    file: FileKey,
    start: u64,
    sequence_base: i64,
    groups: Vec<Group>,
    documents: Vec<u8>,
    records: Vec<Pending>,
    /// Raw bytes for one encoded byte, as seen lately.
    ratio: f64,
    compressor: zstd::bulk::Compressor<'static>,
    columns: Columns,
}

#[derive(Clone, Copy)]
struct Pending {
    offset: u64,
    time: Option<i64>,
    hash: u64,
    group: u16,
    document_end: usize,
    /// Whether a frame may begin at this record: no bytes of one before it follow.
    may_begin_frame: bool,
}

/// Scratch space of the encoder.
#[derive(Default)]
struct Columns {
    raw: Vec<u8>,
    lengths: Vec<u8>,
    offsets: Vec<u8>,
    times: Vec<u8>,
    groups: Vec<u8>,
}

impl FrameBuilder {
    /// A builder for `file`, whose next uncovered byte is `start`. `sequence_base`: `event.sequence` of byte 0.
    pub fn new(file: FileKey, start: u64, sequence_base: i64) -> std::io::Result<FrameBuilder> {
        Ok(FrameBuilder {
            file,
            start,
            sequence_base,
            groups: Vec::new(),
            documents: Vec::new(),
            records: Vec::new(),
            ratio: RATIO_AT_FIRST,
            compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            columns: Columns::default(),
        })
    }

    /// Turns to another file, or to another place of this one; what was collected is forgotten.
    pub fn restart(&mut self, file: FileKey, start: u64, sequence_base: i64) {
        self.file = file;
        self.start = start;
        self.sequence_base = sequence_base;
        self.clear();
    }

    /// First byte that the next frame covers.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Number of records collected.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record was collected.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether it is time to [`finish`](Self::finish): one more record could make the frame too large.
    pub fn is_full(&self) -> bool {
        self.documents.len() as f64 >= FRAME_ENCODED_BYTES_TARGET as f64 * self.ratio * RATIO_CAUTION
            || self.documents.len() >= FRAME_RAW_BYTES_MAX / 2
            || self.records.len() >= FRAME_RECORDS_MAX
            || self.groups.len() >= FRAME_GROUPS_MAX
    }

    /// The number of `group` in this frame.
    pub fn group(&mut self, group: &Group) -> u16 {
        let known = self.groups.iter().position(|other| other == group);
        let number = known.unwrap_or_else(|| {
            self.groups.push(group.clone());
            self.groups.len() - 1
        });
        u16::try_from(number).expect("is_full() bounds the groups")
    }

    /// Where the next record's fragment is appended; [`commit`](Self::commit) makes it a record.
    pub fn document(&mut self) -> &mut Vec<u8> {
        &mut self.documents
    }

    /// The fragment that was appended since the last commit.
    pub fn pending_document(&self) -> &[u8] {
        self.documents.get(self.committed_bytes()..).unwrap_or_default()
    }

    /// Makes a record of what was appended. `offset`: first byte in the file; `time`: of the event, if it has one;
    /// `hash`: [`crate::identity::line_hash`]; `group`: from [`group`](Self::group).
    pub fn commit(&mut self, offset: u64, time: Option<i64>, hash: u64, group: u16) {
        debug_assert!(self.records.last().map_or(self.start, |last| last.offset + 1) <= offset);
        let document_end = self.documents.len();
        self.records.push(Pending { offset, time, hash, group, document_end, may_begin_frame: true });
    }

    /// Says that the last record stands among the bytes of the one before it: no frame begins between the two.
    pub fn bind_last(&mut self) {
        if let Some(last) = self.records.last_mut() {
            last.may_begin_frame = false;
        }
    }

    /// Forgets what was appended since the last commit.
    pub fn rollback(&mut self) {
        self.documents.truncate(self.committed_bytes());
    }

    /// Encodes everything collected into frames that cover `[start, end)`, usually one, and gets ready for what
    /// follows `end`. `read_time`: nanoseconds since 1970.
    pub fn finish(&mut self, end: u64, read_time: i64, frames: &mut Vec<Frame>) {
        self.rollback();
        self.encode(0, self.records.len(), self.start, end, read_time, frames);
        self.start = end;
        self.clear();
    }

    fn clear(&mut self) {
        self.groups.clear();
        self.documents.clear();
        self.records.clear();
    }

    fn committed_bytes(&self) -> usize {
        self.records.last().map_or(0, |last| last.document_end)
    }

    /// Encodes `records[from..to]`, in two halves where that turns out too large.
    fn encode(
        &mut self,
        from: usize,
        to: usize,
        start: u64,
        end: u64,
        read_time: i64,
        frames: &mut Vec<Frame>,
    ) {
        let frame = self.encode_one(from, to, start, end, read_time);
        let is_large = frame.bytes.len() > FRAME_ENCODED_BYTES_TARGET;
        if let Some(middle) = is_large.then(|| self.middle(from, to)).flatten() {
            let cut = self.records[middle].offset;
            self.encode(from, middle, start, cut, read_time, frames);
            self.encode(middle, to, cut, end, read_time, frames);
        } else {
            debug_assert!(frame.bytes.len() <= FRAME_ENCODED_BYTES_MAX);
            frames.push(frame);
        }
    }

    /// The record nearest to the middle of `records[from..to]` that a frame may begin at, beside the first.
    fn middle(&self, from: usize, to: usize) -> Option<usize> {
        let middle = from + (to - from) / 2;
        let may_begin = |at: &usize| self.records[*at].may_begin_frame;
        let after = (middle..to).find(|at| *at > from && may_begin(at));
        let before = (from + 1..middle).rev().find(may_begin);
        match (before, after) {
            (Some(before), Some(after)) => {
                Some(if middle - before < after - middle { before } else { after })
            }
            (before, after) => before.or(after),
        }
    }

    fn encode_one(&mut self, from: usize, to: usize, start: u64, end: u64, read_time: i64) -> Frame {
        let documents_start = if from == 0 { 0 } else { self.records[from - 1].document_end };
        let records = &self.records[from..to];
        let documents_end = records.last().map_or(documents_start, |last| last.document_end);
        self.columns.fill(records, documents_start, start, &self.groups);
        self.columns.raw.extend_from_slice(&self.documents[documents_start..documents_end]);

        let hashes_bytes = size_of_val(records) / size_of::<Pending>() * size_of::<u64>();
        let bound = zstd::zstd_safe::compress_bound(self.columns.raw.len());
        let mut bytes = vec![0; Header::BYTES];
        bytes.reserve(hashes_bytes + bound);
        bytes.extend(records.iter().flat_map(|record| record.hash.to_le_bytes()));
        let codec = append_compressed(&mut self.compressor, &self.columns.raw, bound, &mut bytes);

        let encoded = bytes.len() - Header::BYTES;
        if records.len() > 1 {
            self.ratio = (self.columns.raw.len() as f64 / encoded as f64).max(0.5);
        }
        let times = || records.iter().filter_map(|record| record.time);
        let header = Header {
            file: self.file,
            start,
            end,
            first_time: times().min().unwrap_or(i64::MAX),
            last_time: times().max().unwrap_or(i64::MIN),
            read_time,
            sequence_base: self.sequence_base,
            count: records.len() as u32,
            codec,
            raw_bytes: self.columns.raw.len() as u32,
            payload_bytes: encoded as u32,
        };
        header.write(&mut bytes);
        bytes.shrink_to_fit();
        let group = records.first().and_then(|first| self.groups.get(usize::from(first.group)));
        let dataset = group.map(|group| group.dataset.clone()).unwrap_or_default();
        Frame { header, bytes, dataset }
    }
}

impl Columns {
    /// Everything but the documents.
    fn fill(&mut self, records: &[Pending], documents_start: usize, start: u64, groups: &[Group]) {
        for column in [&mut self.raw, &mut self.lengths, &mut self.offsets, &mut self.times, &mut self.groups]
        {
            column.clear();
        }
        let (mut document_end, mut offset, mut time) = (documents_start, start, 0i64);
        for record in records {
            let length = (record.document_end - document_end) as u64;
            varint::push(&mut self.lengths, length << 1 | u64::from(record.time.is_some()));
            varint::push(&mut self.offsets, record.offset - offset);
            if let Some(own) = record.time {
                varint::push(&mut self.times, varint::zigzag(own.wrapping_sub(time)));
                time = own;
            }
            if groups.len() > 1 {
                varint::push(&mut self.groups, u64::from(record.group));
            }
            document_end = record.document_end;
            offset = record.offset;
        }
        varint::push(&mut self.raw, groups.len() as u64);
        for text in groups.iter().flat_map(|group| [&group.dataset, &group.fields]) {
            varint::push(&mut self.raw, text.len() as u64);
            self.raw.extend_from_slice(text.as_bytes());
        }
        let columns = [&self.lengths, &self.offsets, &self.times, &self.groups];
        for column in columns {
            varint::push(&mut self.raw, column.len() as u64);
        }
        for column in columns {
            self.raw.extend_from_slice(column);
        }
    }
}

/// Appends the columns compressed, or as they are where compression does not help.
fn append_compressed(
    compressor: &mut zstd::bulk::Compressor<'static>,
    raw: &[u8],
    bound: usize,
    bytes: &mut Vec<u8>,
) -> Codec {
    let at = bytes.len();
    bytes.resize(at + bound, 0);
    match compressor.compress_to_buffer(raw, &mut bytes[at..]) {
        Ok(length) if length < raw.len() => {
            bytes.truncate(at + length);
            Codec::Zstd
        }
        _ => {
            bytes.truncate(at);
            bytes.extend_from_slice(raw);
            Codec::Raw
        }
    }
}
