//! One suite over both buffers, a random one against a model, and what only Redis can suffer.

use std::time::Duration;

use weir_record::{FileIdentity, FileKey, Frame, FrameBuilder, Group, SourceId};

use crate::{Buffer, Claim, Consumer, Push, Pushed};

mod fair;
mod faults;
mod model;
mod repair;
mod simulation;
mod suite;
mod topologies;

/// Longer than anything here takes, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for what is there; short, because it is waited for in vain.
const GLANCE: Duration = Duration::from_millis(20);

const BYTES_MAX: u64 = 1024 * 1024 * 1024;

fn file(number: u64) -> FileKey {
    let identity = FileIdentity { device: 1, inode: number, birth_nanos: 0, generation: 0 };
    FileKey::new(SourceId::from_name("test"), &identity)
}

/// A frame of file `number` with one record that says what it covers.
fn frame(number: u64, start: u64, end: u64) -> Frame {
    frame_with(number, start, end, format!(r#""message":"{number}:{start}-{end}""#).as_bytes())
}

fn frame_with(number: u64, start: u64, end: u64, document: &[u8]) -> Frame {
    let mut builder = FrameBuilder::new(file(number), start, 0).unwrap();
    let group = builder.group(&Group::default());
    builder.document().extend_from_slice(document);
    builder.commit(start, None, start, group);
    let mut frames = Vec::new();
    builder.finish(end, 1, &mut frames);
    frames.remove(0)
}

/// Pushes frames with the safe offset zero.
async fn push(buffer: &impl Buffer, frames: &[Frame]) -> Vec<Pushed> {
    let pushes: Vec<Push<'_>> = frames.iter().map(|frame| Push { frame, safe: 0 }).collect();
    buffer.push(&pushes).await.unwrap()
}

/// Pushes frames that have to be taken.
async fn fill(buffer: &impl Buffer, frames: &[Frame]) {
    assert_eq!(push(buffer, frames).await, vec![Pushed::Accepted; frames.len()]);
}

/// Claims `count` frames; waits until they are all there.
async fn claim(consumer: &mut impl Consumer, count: usize) -> Vec<Claim> {
    let mut claims = Vec::new();
    while claims.len() < count {
        let more = consumer.claim(count - claims.len(), usize::MAX, PATIENCE).await.unwrap();
        assert!(!more.is_empty(), "{} of {count} frames came", claims.len());
        claims.extend(more);
    }
    claims
}

/// Claims what there is now.
async fn glance(consumer: &mut impl Consumer) -> Vec<Claim> {
    consumer.claim(100, usize::MAX, GLANCE).await.unwrap()
}

async fn acknowledge(buffer: &impl Buffer, claims: &[Claim]) {
    let ids: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
    buffer.acknowledge(&ids).await.unwrap();
}

async fn indexed(buffer: &impl Buffer, number: u64) -> Option<u64> {
    buffer.positions(&[file(number)]).await.unwrap()[0].indexed
}

async fn gaps(buffer: &impl Buffer) -> u64 {
    buffer.gaps().await.unwrap().into_iter().map(|(_, count)| count).sum()
}

fn starts(claims: &[Claim]) -> Vec<u64> {
    claims.iter().map(|claim| claim.id.range().unwrap().start).collect()
}
