//! Documents of several frames, spliced into one body for `_bulk`.
//!
//! ```text
//! {"create":{"_index":"logs-checkout-default","pipeline":"<where the group names one>","_id":"B5vuUjrlpecLsmMK7h8Y9r4qoQ"}}
//! {<the record's fragment>,<the fields its group shares>,<what the worker adds>}
//! ```
//! Nothing is parsed or written a second time: a record is a copy of three runs of bytes and a few digits. Every item
//! keeps its place, so that sending some again, halving and bisecting are copies of ranges.

use std::ops::Range;

use weir_record::identity::RecordId;
use weir_record::json::{push_escaped, push_i64, push_u64};
use weir_record::{DecodedFrame, FileKey, Group, Timestamp};

/// Where documents go, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentSettings {
    /// Name of the data stream; `{service}` stands for the dataset, `{namespace}` for the namespace.
    pub data_stream: String,
    /// Already clean: `[a-z0-9._]{1,100}`.
    pub namespace: String,
}

impl Default for DocumentSettings {
    fn default() -> DocumentSettings {
        DocumentSettings {
            data_stream: "logs-{service}-{namespace}".to_owned(),
            namespace: "default".to_owned(),
        }
    }
}

impl DocumentSettings {
    /// The data stream of a dataset.
    pub fn stream(&self, dataset: &str) -> String {
        self.data_stream.replace("{service}", dataset).replace("{namespace}", &self.namespace)
    }
}

/// One document of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// First byte of its action line in the body.
    pub action_start: usize,
    /// First byte of its document.
    pub document_start: usize,
    /// First byte after the newline behind its document.
    pub end: usize,
    /// The event's own time, nanoseconds since 1970.
    pub time: Option<i64>,
    /// First byte of the record in its file.
    pub offset: u64,
    /// Its `event.sequence`.
    pub sequence: i64,
    /// Index into [`Batch::frames`].
    pub frame: u32,
    /// Its identity.
    pub id: RecordId,
}

/// One frame of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRange {
    /// Whose bytes it covers.
    pub file: FileKey,
    /// First byte that is covered.
    pub start: u64,
    /// First byte that is not.
    pub end: u64,
    /// Indices into [`Batch::items`]; empty where the bytes made no record.
    pub items: Range<u32>,
}

/// A bulk body and its items.
#[derive(Debug)]
pub struct Batch {
    settings: DocumentSettings,
    body: Vec<u8>,
    items: Vec<Item>,
    frames: Vec<FrameRange>,
    /// Reused for each frame.
    heads: Vec<GroupText>,
}

/// What becomes of a document on its way into a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reshaped {
    /// It goes as it is.
    AsItIs,
    /// This goes in its place: one JSON object without a newline.
    To(String),
    /// It does not go: its bytes count as done with the record before it.
    Shed,
}

/// What is the same for all records of a group.
#[derive(Debug, Default)]
struct GroupText {
    /// The action line up to the `_id`.
    action: Vec<u8>,
    /// From the comma behind the fragment up to the value of `log.offset`.
    tail: Vec<u8>,
}

impl Batch {
    /// An empty batch.
    pub fn new(settings: DocumentSettings) -> Batch {
        Batch { settings, body: Vec::new(), items: Vec::new(), frames: Vec::new(), heads: Vec::new() }
    }

    /// Appends all records of a frame. `ingested`: now, nanoseconds since 1970.
    pub fn push(&mut self, frame: &DecodedFrame<'_>, ingested: i64) {
        self.push_reshaped(frame, ingested, |_, _| Reshaped::AsItIs);
    }

    /// The same; `reshape` is asked about each document, with its dataset.
    pub fn push_reshaped(
        &mut self,
        frame: &DecodedFrame<'_>,
        ingested: i64,
        mut reshape: impl FnMut(&str, &[u8]) -> Reshaped,
    ) {
        let header = &frame.header;
        let number = self.frames.len() as u32;
        let first = self.items.len() as u32;
        self.prepare_groups(frame, ingested);
        self.body.reserve(self.bytes_expected(frame));
        for record in frame.records() {
            let Some(group) = self.heads.get(record.group) else { continue };
            let id = frame.id(&record);
            let sequence = header.sequence_base.wrapping_add_unsigned(record.offset);
            let action_start = self.body.len();
            self.body.extend_from_slice(&group.action);
            self.body.extend_from_slice(&id.to_text());
            self.body.extend_from_slice(b"\"}}\n");
            let document_start = self.body.len();
            self.body.push(b'{');
            self.body.extend_from_slice(record.document);
            self.body.extend_from_slice(&group.tail);
            push_u64(&mut self.body, record.offset);
            self.body.extend_from_slice(b",\"event.sequence\":");
            push_i64(&mut self.body, sequence);
            self.body.push(b'}');
            let dataset = frame.groups.get(record.group).map_or("", |(dataset, _)| dataset);
            match reshape(dataset, self.body.get(document_start..).unwrap_or_default()) {
                Reshaped::AsItIs => {}
                Reshaped::To(document) => {
                    self.body.truncate(document_start);
                    self.body.extend_from_slice(document.as_bytes());
                }
                Reshaped::Shed => {
                    self.body.truncate(action_start);
                    continue;
                }
            }
            self.body.push(b'\n');
            let (time, offset, end) = (record.time, record.offset, self.body.len());
            self.items.push(Item {
                action_start,
                document_start,
                end,
                time,
                offset,
                sequence,
                frame: number,
                id,
            });
        }
        let items = first..self.items.len() as u32;
        self.frames.push(FrameRange { file: header.file, start: header.start, end: header.end, items });
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no document; there may be frames.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes of the body.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Its documents, frame by frame.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Its frames, in the order in which they were pushed.
    pub fn frames(&self) -> &[FrameRange] {
        &self.frames
    }

    /// All of the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// An item's document: one JSON object.
    pub fn document(&self, item: &Item) -> &[u8] {
        self.body.get(item.document_start..item.end.saturating_sub(1)).unwrap_or_default()
    }

    /// The data stream that an item goes to.
    pub fn target(&self, item: &Item) -> &str {
        let name = self.action(item).strip_prefix(ACTION).unwrap_or_default();
        text_up_to_quote(name).unwrap_or_default()
    }

    /// The ingest pipeline that an item goes through on its way into the index, if any.
    pub fn pipeline(&self, item: &Item) -> Option<&str> {
        let behind_target = self.action(item).get(ACTION.len() + self.target(item).len()..)?;
        text_up_to_quote(behind_target.strip_prefix(PIPELINE)?)
    }

    fn action(&self, item: &Item) -> &[u8] {
        self.body.get(item.action_start..item.document_start).unwrap_or_default()
    }

    /// Empties it; the memory stays.
    pub fn clear(&mut self) {
        self.body.clear();
        self.items.clear();
        self.frames.clear();
    }

    fn bytes_expected(&self, frame: &DecodedFrame<'_>) -> usize {
        const NUMBERS_BYTES: usize = 96; // id, offset, sequence and the punctuation around them
        let shared =
            |group: usize| self.heads.get(group).map_or(0, |text| text.action.len() + text.tail.len());
        frame.records().map(|record| record.document.len() + shared(record.group) + NUMBERS_BYTES).sum()
    }

    fn prepare_groups(&mut self, frame: &DecodedFrame<'_>, ingested: i64) {
        self.heads.resize_with(frame.groups.len(), GroupText::default);
        for (text, (dataset, fields)) in self.heads.iter_mut().zip(&frame.groups) {
            text.fill(&self.settings, dataset, fields, frame.header.read_time, ingested);
        }
    }
}

const ACTION: &[u8] = b"{\"create\":{\"_index\":\"";

const PIPELINE: &[u8] = b"\",\"pipeline\":\"";

fn text_up_to_quote(bytes: &[u8]) -> Option<&str> {
    let length = memchr::memchr(b'"', bytes)?;
    std::str::from_utf8(bytes.get(..length)?).ok()
}

impl GroupText {
    fn fill(
        &mut self,
        settings: &DocumentSettings,
        dataset: &str,
        fields: &str,
        created: i64,
        ingested: i64,
    ) {
        self.action.clear();
        self.action.extend_from_slice(ACTION);
        push_escaped(&mut self.action, settings.stream(dataset).as_bytes());
        let (pipeline, fields) = Group::split_pipeline(fields);
        if let Some(pipeline) = pipeline {
            self.action.extend_from_slice(PIPELINE);
            push_escaped(&mut self.action, pipeline.as_bytes());
        }
        self.action.extend_from_slice(b"\",\"_id\":\"");

        self.tail.clear();
        if !fields.is_empty() {
            self.tail.push(b',');
            self.tail.extend_from_slice(fields.as_bytes());
        }
        self.push_moment(",\"event.created\":\"", created);
        self.push_moment(",\"event.ingested\":\"", ingested);
        self.push_text(",\"event.dataset\":\"", dataset);
        self.push_text(",\"data_stream.type\":\"", "logs");
        self.push_text(",\"data_stream.dataset\":\"", dataset);
        self.push_text(",\"data_stream.namespace\":\"", &settings.namespace);
        self.tail.extend_from_slice(b",\"log.offset\":");
    }

    fn push_text(&mut self, member: &str, value: &str) {
        self.tail.extend_from_slice(member.as_bytes());
        push_escaped(&mut self.tail, value.as_bytes());
        self.tail.push(b'"');
    }

    fn push_moment(&mut self, member: &str, nanos: i64) {
        let Some(moment) = Timestamp::from_nanos(nanos.max(0), Timestamp::DIGITS_MAX) else { return };
        self.tail.extend_from_slice(member.as_bytes());
        moment.push_rfc3339(&mut self.tail);
        self.tail.push(b'"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use weir_record::{Decoder, FileIdentity, FrameBuilder, Group, SourceId};

    use super::*;

    const DAY: i64 = 1_795_132_800_000_000_000;

    fn file() -> FileKey {
        let identity = FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 0 };
        FileKey::new(SourceId::from_name("test"), &identity)
    }

    /// Two records in two groups.
    fn frame() -> Vec<u8> {
        let mut builder = FrameBuilder::new(file(), 100, 1_000).expect("a compressor");
        let shop =
            builder.group(&Group { dataset: "shop".into(), fields: r#""service.name":"shop""#.into() });
        let bare = builder.group(&Group { dataset: "bare".into(), fields: String::new() });
        builder.document().extend_from_slice(br#""@timestamp":"2026-11-20T00:00:00.000Z","message":"one""#);
        builder.commit(100, Some(DAY), 1, shop);
        builder.document().extend_from_slice(br#""@timestamp":"2026-11-20T00:00:01.000Z","message":"two\n""#);
        builder.commit(150, None, 2, bare);
        let mut frames = Vec::new();
        builder.finish(200, DAY, &mut frames);
        frames.remove(0).bytes
    }

    fn batch() -> Batch {
        let (bytes, mut decoder) = (frame(), Decoder::new().expect("a decompressor"));
        let mut batch = Batch::new(DocumentSettings::default());
        batch.push(&decoder.decode(&bytes).expect("whole"), DAY + 5);
        batch.push(&decoder.decode(&bytes).expect("whole"), DAY + 5);
        batch
    }

    #[test]
    fn a_body_is_an_action_and_a_document_for_each_record() {
        let batch = batch();
        let lines: Vec<Value> = batch
            .body()
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).expect("one JSON object a line"))
            .collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[0]["create"]["_index"], "logs-shop-default");
        assert_eq!(lines[2]["create"]["_index"], "logs-bare-default");
        let id = String::from_utf8(batch.items()[0].id.to_text().to_vec()).expect("base64");
        assert_eq!(lines[0]["create"]["_id"], id.as_str());
        let document = serde_json::json!({
            "@timestamp": "2026-11-20T00:00:00.000Z", "message": "one", "service.name": "shop",
            "event.created": "2026-11-20T00:00:00.000000000Z", "event.ingested": "2026-11-20T00:00:00.000000005Z",
            "event.dataset": "shop", "data_stream.type": "logs", "data_stream.dataset": "shop",
            "data_stream.namespace": "default", "log.offset": 100, "event.sequence": 1100,
        });
        assert_eq!(lines[1], document);
        assert_eq!(lines[3]["message"], "two\n");
        assert_eq!(lines[3]["log.offset"], 150);
    }

    #[test]
    fn every_item_knows_its_place_its_frame_and_its_target() {
        let batch = batch();
        let ranges: Vec<_> = batch.frames().iter().map(|frame| frame.items.clone()).collect();
        assert_eq!(ranges, [0..2, 2..4]);
        assert_eq!(batch.frames()[0].file, file());
        assert_eq!((batch.frames()[1].start, batch.frames()[1].end), (100, 200));
        let mut end = 0;
        for item in batch.items() {
            assert_eq!(item.action_start, end, "items follow each other");
            end = item.end;
            serde_json::from_slice::<Value>(batch.document(item)).expect("a document");
        }
        assert_eq!(end, batch.bytes());
        let targets: Vec<&str> = batch.items().iter().map(|item| batch.target(item)).collect();
        assert_eq!(
            targets,
            ["logs-shop-default", "logs-bare-default", "logs-shop-default", "logs-bare-default"]
        );
        assert_eq!((batch.items()[0].time, batch.items()[1].time), (Some(DAY), None));
    }

    #[test]
    fn a_groups_pipeline_stands_in_the_action_and_not_in_the_document() {
        let check = |pipeline: Option<&str>, fields: &str| {
            let mut group = Group { dataset: "shop".into(), fields: fields.to_owned() };
            if let Some(pipeline) = pipeline {
                group.set_pipeline(pipeline);
            }
            let mut builder = FrameBuilder::new(file(), 0, 0).expect("a compressor");
            let number = builder.group(&group);
            builder.document().extend_from_slice(br#""message":"one""#);
            builder.commit(0, Some(DAY), 1, number);
            let mut frames = Vec::new();
            builder.finish(100, DAY, &mut frames);
            let mut batch = Batch::new(DocumentSettings::default());
            let mut decoder = Decoder::new().expect("a decompressor");
            batch.push(&decoder.decode(&frames[0].bytes).expect("whole"), DAY);
            let item = &batch.items()[0];
            assert_eq!((batch.target(item), batch.pipeline(item)), ("logs-shop-default", pipeline));
            let action: Value =
                serde_json::from_slice(&batch.body()[..item.document_start]).expect("an action");
            assert_eq!(action["create"]["pipeline"].as_str(), pipeline);
            assert!(action["create"]["_id"].is_string());
            let document: Value = serde_json::from_slice(batch.document(item)).expect("a document");
            assert_eq!(document["host.name"].as_str(), (!fields.is_empty()).then_some("web-1"));
            assert!(document.get("_pipeline").is_none(), "{document}");
        };
        for fields in [r#""host.name":"web-1""#, ""] {
            check(None, fields);
            check(Some("geo-and-user-agent"), fields);
        }
    }

    #[test]
    fn an_emptied_batch_is_filled_as_a_new_one() {
        let mut used = batch();
        used.clear();
        assert!(used.is_empty() && used.frames().is_empty() && used.bytes() == 0);
        let (bytes, mut decoder) = (frame(), Decoder::new().expect("a decompressor"));
        used.push(&decoder.decode(&bytes).expect("whole"), DAY + 5);
        assert_eq!(used.body(), &batch().body()[..used.bytes()]);
    }
}
