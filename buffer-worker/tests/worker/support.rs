//! Frames to index.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use weir_buffer::testing::TestRedis;
use weir_buffer::{Buffer, Push, Pushed, RedisBuffer, RedisSettings};
use weir_record::{FileIdentity, FileKey, Frame, FrameBuilder, Group, RecordId, SourceId};

/// Longer than anything here takes, unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Of each frame made by [`frames`].
pub const DOCUMENTS: u64 = 50;

/// Of the file, for each document.
const LINE_BYTES: u64 = 10;

pub fn file(number: u64) -> FileKey {
    let identity = FileIdentity { device: 1, inode: number, birth_nanos: 0, generation: 0 };
    FileKey::new(SourceId::from_name("test"), &identity)
}

/// `count` frames of one file, of [`DOCUMENTS`] documents each.
pub fn frames(number: u64, count: u64) -> Vec<Frame> {
    let text = |offset: u64| format!("line {offset} of file {number}");
    frames_with(number, count, text)
}

/// The same with other messages.
pub fn frames_with(number: u64, count: u64, message: impl Fn(u64) -> String) -> Vec<Frame> {
    frames_of("test", number, count, message)
}

/// The same of another service.
pub fn frames_of(service: &str, number: u64, count: u64, message: impl Fn(u64) -> String) -> Vec<Frame> {
    let mut builder = FrameBuilder::new(file(number), 0, 0).unwrap();
    let mut frames = Vec::new();
    for _ in 0..count {
        let start = builder.start();
        for document in 0..DOCUMENTS {
            let offset = start + document * LINE_BYTES;
            let group = builder.group(&Group {
                dataset: service.to_owned(),
                fields: format!(r#""service.name":"{service}","host.name":"here""#),
            });
            let fragment =
                format!(r#""@timestamp":"2026-11-20T22:00:00.000Z","message":"{}""#, message(offset));
            builder.document().extend_from_slice(fragment.as_bytes());
            builder.commit(offset, None, offset, group);
        }
        builder.finish(start + DOCUMENTS * LINE_BYTES, 1, &mut frames);
    }
    frames
}

/// End of the file that `count` frames make.
pub fn end(count: u64) -> u64 {
    count * DOCUMENTS * LINE_BYTES
}

/// The `_id`s of all documents of a file before `end`.
pub fn ids(number: u64, end: u64) -> BTreeSet<String> {
    let id = |offset| RecordId::new(&file(number), None, offset, offset).to_text();
    let text = |offset| String::from_utf8(id(offset).to_vec()).unwrap();
    (0..end / LINE_BYTES).map(|document| text(document * LINE_BYTES)).collect()
}

pub fn buffer(server: &TestRedis) -> RedisBuffer {
    RedisBuffer::new(&RedisSettings::new(server.url())).unwrap()
}

pub async fn push(buffer: &impl Buffer, frames: &[Frame]) {
    let pushes: Vec<Push<'_>> = frames.iter().map(|frame| Push { frame, safe: 0 }).collect();
    assert_eq!(buffer.push(&pushes).await.unwrap(), vec![Pushed::Accepted; frames.len()]);
}

pub async fn indexed(buffer: &impl Buffer, number: u64) -> u64 {
    buffer.positions(&[file(number)]).await.unwrap()[0].indexed.unwrap_or(0)
}

/// Waits for something to come true.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
