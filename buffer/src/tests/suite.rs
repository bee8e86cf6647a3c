//! What every buffer promises.

use super::*;
use crate::testing::TestRedis;
use crate::{BufferError, Depth, MemoryBuffer, Position, RedisBuffer, RedisSettings};

macro_rules! suite {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::MemoryBuffer::new(super::BYTES_MAX)).await;
            })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                let Some(server) = super::TestRedis::start() else { return };
                super::$name(super::redis_buffer(&server, 1)).await;
            })*
        }
        mod redis_with_partitions {
            $(#[tokio::test]
            async fn $name() {
                let Some(server) = super::TestRedis::start() else { return };
                super::$name(super::redis_buffer(&server, 3)).await;
            })*
        }
    };
}

suite! {
    frames_come_out_as_they_went_in
    a_frame_that_does_not_follow_is_answered_with_the_place_to_go_on
    a_file_that_is_unknown_begins_at_its_safe_offset_only
    a_mismatch_stops_only_its_own_file
    indexed_never_passes_a_hole
    frames_that_were_cut_again_overlap_without_harm
    acknowledging_twice_or_late_changes_nothing
    what_an_ended_consumer_held_goes_to_another
    the_next_life_of_a_name_gets_what_the_last_one_held_first
    a_frame_is_claimed_by_one_consumer_only
    a_released_frame_comes_again_and_is_counted
    a_suspect_comes_alone
    a_parked_frame_comes_back_after_its_time_and_hinders_no_other
    renewing_and_releasing_what_another_holds_does_nothing
    a_claim_waits_for_the_first_frame
    a_claim_keeps_its_limits
    a_rewind_needs_an_unchanged_position_and_nothing_held
    depth_counts_what_waits_and_what_is_claimed
    many_pushers_and_consumers_at_once_lose_and_repeat_nothing
}

fn redis_buffer(server: &TestRedis, partitions: u32) -> RedisBuffer {
    RedisBuffer::new(&RedisSettings { partitions, ..RedisSettings::new(server.url()) }).unwrap()
}

async fn frames_come_out_as_they_went_in(buffer: impl Buffer) {
    let frames = [frame(1, 0, 10), frame(1, 10, 20), frame_with(1, 20, 30, &[0, 13, 10, 255])];
    fill(&buffer, &frames).await;
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 3).await;
    for (claim, frame) in claims.iter().zip(&frames) {
        assert_eq!(claim.bytes, frame.bytes);
        assert_eq!(claim.deliveries, 1);
        let range = claim.id.range().unwrap();
        assert_eq!((range.file, range.start, range.end), (file(1), frame.header.start, frame.header.end));
    }
}

async fn a_frame_that_does_not_follow_is_answered_with_the_place_to_go_on(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let duplicate = push(&buffer, &[frame(1, 10, 20)]).await;
    assert_eq!(duplicate, [Pushed::Expected(Some(20))]);
    let with_a_hole = push(&buffer, &[frame(1, 30, 40)]).await;
    assert_eq!(with_a_hole, [Pushed::Expected(Some(20))]);
    assert_eq!(buffer.depth().await.unwrap().frames, 2, "what was refused is not in the buffer");
    fill(&buffer, &[frame(1, 20, 30)]).await;
}

async fn a_file_that_is_unknown_begins_at_its_safe_offset_only(buffer: impl Buffer) {
    let (early, right) = (frame(1, 0, 10), frame(1, 500, 510));
    let push = |frame, safe| Push { frame, safe };
    assert_eq!(buffer.push(&[push(&early, 500)]).await.unwrap(), [Pushed::Expected(None)]);
    assert_eq!(buffer.positions(&[file(1)]).await.unwrap(), [Position::default()]);
    assert_eq!(buffer.push(&[push(&right, 500)]).await.unwrap(), [Pushed::Accepted]);
    let expected = Position { pushed: Some(510), indexed: Some(500) };
    assert_eq!(buffer.positions(&[file(1)]).await.unwrap(), [expected]);
}

async fn a_mismatch_stops_only_its_own_file(buffer: impl Buffer) {
    let answers =
        push(&buffer, &[frame(1, 0, 10), frame(1, 20, 30), frame(2, 0, 5), frame(1, 30, 40), frame(2, 5, 9)])
            .await;
    let expected = Pushed::Expected(Some(10));
    assert_eq!(answers, [Pushed::Accepted, expected, Pushed::Accepted, expected, Pushed::Accepted]);
}

async fn indexed_never_passes_a_hole(buffer: impl Buffer) {
    let frames: Vec<Frame> = (0..6).map(|n| frame(1, n * 10, n * 10 + 10)).collect();
    fill(&buffer, &frames).await;
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 6).await;
    for (finished, expected) in [(5, 0), (1, 0), (3, 0), (0, 20), (4, 20), (2, 60)] {
        acknowledge(&buffer, &claims[finished..=finished]).await;
        assert_eq!(indexed(&buffer, 1).await, Some(expected), "after frame {finished}");
    }
}

async fn frames_that_were_cut_again_overlap_without_harm(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20), frame(1, 20, 30)]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    let first = claim(&mut consumer, 3).await;
    acknowledge(&buffer, &first[1..]).await;
    assert_eq!(indexed(&buffer, 1).await, Some(0));
    // The first one gets lost, and what it covered is pushed again, cut in another way.
    buffer.acknowledge(&[ClaimIdWithoutRange::of(&first[0])]).await.unwrap();
    assert!(buffer.rewind(&file(1), 30, 0).await.unwrap());
    fill(&buffer, &[frame(1, 0, 5), frame(1, 5, 17), frame(1, 17, 40)]).await;
    let again = claim(&mut consumer, 3).await;
    acknowledge(&buffer, &again[1..2]).await;
    assert_eq!(indexed(&buffer, 1).await, Some(0));
    acknowledge(&buffer, &again[..1]).await;
    assert_eq!(indexed(&buffer, 1).await, Some(30));
    acknowledge(&buffer, &again[2..]).await;
    assert_eq!(indexed(&buffer, 1).await, Some(40));
}

/// Removes an entry without its range becoming final, as a foreign XDEL does.
struct ClaimIdWithoutRange;

impl ClaimIdWithoutRange {
    fn of(claim: &Claim) -> crate::ClaimId {
        crate::ClaimId { range: None, ..claim.id.clone() }
    }
}

async fn acknowledging_twice_or_late_changes_nothing(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let mut slow = buffer.consumer("slow").await.unwrap();
    let of_slow = claim(&mut slow, 2).await;
    drop(slow);
    let mut other = buffer.consumer("other").await.unwrap();
    let of_other = claim(&mut other, 2).await;
    acknowledge(&buffer, &of_other).await;
    acknowledge(&buffer, &of_slow).await;
    acknowledge(&buffer, &of_other).await;
    assert_eq!(indexed(&buffer, 1).await, Some(20));
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
    fill(&buffer, &[frame(1, 20, 30)]).await;
    assert_eq!(starts(&claim(&mut other, 1).await), [20]);
}

async fn what_an_ended_consumer_held_goes_to_another(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let mut first = buffer.consumer("first").await.unwrap();
    let mut second = buffer.consumer("second").await.unwrap();
    assert_eq!(starts(&claim(&mut first, 2).await), [0, 10]);
    assert!(glance(&mut second).await.is_empty(), "nothing is handed out twice while its consumer lives");
    drop(first);
    let claims = claim(&mut second, 2).await;
    assert_eq!(starts(&claims), [0, 10]);
    assert!(claims.iter().all(|claim| claim.deliveries == 2));
}

async fn the_next_life_of_a_name_gets_what_the_last_one_held_first(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let mut first = buffer.consumer("same").await.unwrap();
    claim(&mut first, 1).await;
    drop(first);
    fill(&buffer, &[frame(1, 10, 20)]).await;
    let mut second = buffer.consumer("same").await.unwrap();
    assert_eq!(starts(&claim(&mut second, 2).await), [0, 10]);
}

async fn a_frame_is_claimed_by_one_consumer_only(buffer: impl Buffer) {
    let frames: Vec<Frame> = (0..50).map(|n| frame(1, n, n + 1)).collect();
    fill(&buffer, &frames).await;
    let mut consumers = [buffer.consumer("a").await.unwrap(), buffer.consumer("b").await.unwrap()];
    let mut seen = Vec::new();
    while seen.len() < 50 {
        for consumer in &mut consumers {
            seen.extend(starts(&consumer.claim(7, usize::MAX, GLANCE).await.unwrap()));
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<u64>>());
}

async fn a_released_frame_comes_again_and_is_counted(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    for delivery in 1..=crate::DELIVERIES_TOGETHER_MAX + 2 {
        let claims = claim(&mut consumer, 1).await;
        assert_eq!(claims[0].deliveries, delivery);
        buffer.release("a", &[claims[0].id.clone()]).await.unwrap();
    }
}

async fn a_suspect_comes_alone(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    for _ in 0..crate::DELIVERIES_TOGETHER_MAX {
        let claims = claim(&mut consumer, 1).await;
        buffer.release("a", &[claims[0].id.clone()]).await.unwrap();
    }
    let suspect = claim(&mut consumer, 1).await;
    assert_eq!((starts(&suspect), suspect[0].deliveries), (vec![0], crate::DELIVERIES_TOGETHER_MAX + 1));
    fill(&buffer, &[frame(1, 10, 20), frame(1, 20, 30)]).await;
    assert!(glance(&mut consumer).await.is_empty(), "nothing comes while the suspect is held");
    // Another consumer holds an innocent one when it looks: it has to finish that first.
    let mut other = buffer.consumer("b").await.unwrap();
    let innocent = claim(&mut other, 1).await;
    assert_eq!(starts(&innocent), [10]);
    buffer.release("a", &[suspect[0].id.clone()]).await.unwrap();
    drop(consumer);
    loop {
        // New ones may still come until it has looked for released ones.
        let claims = other.claim(1, usize::MAX, Duration::from_secs(2)).await.unwrap();
        if claims.is_empty() {
            break;
        }
        assert_eq!(starts(&claims), [20], "the suspect does not come beside others");
        acknowledge(&buffer, &claims).await;
    }
    acknowledge(&buffer, &innocent).await;
    let alone = claim(&mut other, 1).await;
    assert_eq!((starts(&alone), alone[0].deliveries), (vec![0], crate::DELIVERIES_TOGETHER_MAX + 2));
}

async fn a_parked_frame_comes_back_after_its_time_and_hinders_no_other(buffer: impl Buffer) {
    const WAIT: Duration = Duration::from_secs(1);
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    let mut claims = claim(&mut consumer, 2).await;
    for _ in 0..=crate::DELIVERIES_TOGETHER_MAX {
        let since = std::time::Instant::now();
        buffer.park("a", &[claims.remove(0).id], WAIT).await.unwrap();
        assert!(glance(&mut consumer).await.is_empty(), "parked, and claimed at once");
        claims.splice(0..0, claim(&mut consumer, 1).await);
        assert!(since.elapsed() >= WAIT - Duration::from_millis(10), "{:?}", since.elapsed());
        assert_eq!((starts(&claims), claims[0].deliveries), (vec![0, 10], 1), "counted anew");
    }
    // A suspect comes to those only who hold nothing: what is parked is not held.
    let second = claims.remove(1);
    buffer.release("a", std::slice::from_ref(&second.id)).await.unwrap();
    for _ in 1..crate::DELIVERIES_TOGETHER_MAX {
        buffer.release("a", &[claim(&mut consumer, 1).await.remove(0).id]).await.unwrap();
    }
    buffer.park("a", &[claims.remove(0).id], crate::STALLED_AFTER).await.unwrap();
    assert_eq!(starts(&claim(&mut consumer, 1).await), [10]);
}

async fn renewing_and_releasing_what_another_holds_does_nothing(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let mut holder = buffer.consumer("holder").await.unwrap();
    let mut other = buffer.consumer("other").await.unwrap();
    let held = claim(&mut holder, 1).await;
    let ids = [held[0].id.clone()];
    buffer.renew("holder", &ids).await.unwrap();
    buffer.renew("other", &ids).await.unwrap();
    buffer.release("other", &ids).await.unwrap();
    assert!(other.claim(1, usize::MAX, Duration::from_millis(1200)).await.unwrap().is_empty());
    buffer.acknowledge(&ids).await.unwrap();
    buffer.release("holder", &ids).await.unwrap();
    buffer.renew("holder", &ids).await.unwrap();
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}

async fn a_claim_waits_for_the_first_frame(buffer: impl Buffer) {
    let mut consumer = buffer.consumer("a").await.unwrap();
    assert!(glance(&mut consumer).await.is_empty());
    let started = std::time::Instant::now();
    let (claims, ()) = tokio::join!(claim(&mut consumer, 1), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        fill(&buffer, &[frame(1, 0, 10)]).await;
    });
    assert_eq!(starts(&claims), [0]);
    assert!(started.elapsed() < PATIENCE / 2, "it was woken, and did not wait to the end");
}

async fn a_claim_keeps_its_limits(buffer: impl Buffer) {
    let frames: Vec<Frame> = (0..100).map(|n| frame(1, n, n + 1)).collect();
    fill(&buffer, &frames).await;
    let mut consumer = buffer.consumer("a").await.unwrap();
    assert_eq!(consumer.claim(3, usize::MAX, PATIENCE).await.unwrap().len(), 3);
    let by_bytes = consumer.claim(100, 1, PATIENCE).await.unwrap().len();
    assert!((1..=16).contains(&by_bytes), "{by_bytes} frames for one byte");
    assert_eq!(consumer.claim(40, usize::MAX, PATIENCE).await.unwrap().len(), 40);
}

async fn a_rewind_needs_an_unchanged_position_and_nothing_held(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    assert!(!buffer.rewind(&file(1), 20, 0).await.unwrap(), "frames of the file wait");
    let mut consumer = buffer.consumer("a").await.unwrap();
    let claims = claim(&mut consumer, 2).await;
    assert!(!buffer.rewind(&file(1), 20, 0).await.unwrap(), "frames of the file are claimed");
    let lost: Vec<_> = claims.iter().map(ClaimIdWithoutRange::of).collect();
    buffer.acknowledge(&lost).await.unwrap();
    // Those of other files are no hindrance, if they came later.
    fill(&buffer, &[frame(2, 0, 10)]).await;
    assert!(!buffer.rewind(&file(1), 10, 0).await.unwrap(), "somebody pushed since");
    assert!(!buffer.rewind(&file(3), 10, 0).await.unwrap(), "an unknown file");
    assert_eq!(gaps(&buffer).await, 0);
    assert!(buffer.rewind(&file(1), 20, 0).await.unwrap());
    assert_eq!(gaps(&buffer).await, 1);
    fill(&buffer, &[frame(1, 0, 20)]).await;
}

async fn depth_counts_what_waits_and_what_is_claimed(buffer: impl Buffer) {
    let frames = [frame(1, 0, 10), frame(2, 0, 10), frame(3, 0, 10)];
    let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    fill(&buffer, &frames).await;
    let full = Depth { frames: 3, bytes: bytes as u64 };
    assert_eq!(buffer.depth().await.unwrap(), full);
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 3).await;
    assert_eq!(buffer.depth().await.unwrap(), full);
    acknowledge(&buffer, &claims[..1]).await;
    let left = Depth { frames: 2, bytes: full.bytes - claims[0].bytes.len() as u64 };
    assert_eq!(buffer.depth().await.unwrap(), left);
}

async fn many_pushers_and_consumers_at_once_lose_and_repeat_nothing(buffer: impl Buffer) {
    const FRAMES: u64 = 60;
    // Two pushers for each file: each range is taken from one of them.
    let pusher = async |number: u64| {
        let mut start = 0;
        let mut accepted = 0;
        while start < FRAMES {
            let frames: Vec<Frame> =
                (start..(start + 5).min(FRAMES)).map(|n| frame(number, n, n + 1)).collect();
            for answer in push(&buffer, &frames).await {
                match answer {
                    Pushed::Accepted => (start, accepted) = (start + 1, accepted + 1),
                    Pushed::Expected(place) => start = place.unwrap_or(0),
                }
            }
            tokio::task::yield_now().await;
        }
        accepted
    };
    let worker = async |name: &str| {
        let mut consumer = buffer.consumer(name).await.unwrap();
        let mut seen = Vec::new();
        while indexed(&buffer, 1).await != Some(FRAMES) || indexed(&buffer, 2).await != Some(FRAMES) {
            let claims = consumer.claim(4, usize::MAX, GLANCE).await.unwrap();
            seen.extend(claims.iter().map(|claim| claim.id.range().unwrap()));
            acknowledge(&buffer, &claims).await;
        }
        seen
    };
    let (a, b, c, d, first, second) =
        tokio::join!(pusher(1), pusher(1), pusher(2), pusher(2), worker("first"), worker("second"));
    assert_eq!((a + b, c + d), (FRAMES, FRAMES));
    let mut seen: Vec<_> = first.into_iter().chain(second).map(|range| (range.file, range.start)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len() as u64, 2 * FRAMES);
    assert_eq!(buffer.depth().await.unwrap(), Depth::default());
}

async fn a_full_buffer_refuses_until_there_is_room(buffer: impl Buffer) {
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let next = frame(1, 10, 20);
    let refused = buffer.push(&[Push { frame: &next, safe: 0 }]).await;
    let error = refused.expect_err("it is full");
    assert!(matches!(error, BufferError::Full { .. }) && error.is_transient(), "{error}");
    assert_eq!(buffer.positions(&[file(1)]).await.unwrap()[0].pushed, Some(10));
    let claims = claim(&mut buffer.consumer("a").await.unwrap(), 1).await;
    acknowledge(&buffer, &claims).await;
    fill(&buffer, &[next]).await;
}

#[tokio::test]
async fn a_full_buffer_in_memory_refuses_until_there_is_room() {
    a_full_buffer_refuses_until_there_is_room(MemoryBuffer::new(200)).await;
}

#[tokio::test]
async fn a_full_buffer_in_redis_refuses_until_there_is_room() {
    let Some(server) = TestRedis::start() else { return };
    let settings = RedisSettings { bytes_max: 200, ..RedisSettings::new(server.url()) };
    a_full_buffer_refuses_until_there_is_room(RedisBuffer::new(&settings).unwrap()).await;
}

#[tokio::test]
async fn a_frame_larger_than_the_whole_buffer_passes_when_it_is_empty() {
    fill(&MemoryBuffer::new(1), &[frame(1, 0, 10)]).await;
    let Some(server) = TestRedis::start() else { return };
    let settings = RedisSettings { bytes_max: 1, ..RedisSettings::new(server.url()) };
    fill(&RedisBuffer::new(&settings).unwrap(), &[frame(1, 0, 10)]).await;
}

#[tokio::test(start_paused = true)]
async fn in_memory_a_stalled_claim_goes_to_another_unless_it_is_renewed() {
    let buffer = MemoryBuffer::new(BYTES_MAX);
    fill(&buffer, &[frame(1, 0, 10), frame(1, 10, 20)]).await;
    let mut slow = buffer.consumer("slow").await.unwrap();
    let mut other = buffer.consumer("other").await.unwrap();
    let held = claim(&mut slow, 2).await;
    tokio::time::advance(crate::STALLED_AFTER / 2).await;
    buffer.renew("slow", &[held[1].id.clone()]).await.unwrap();
    let taken = other.claim(10, usize::MAX, crate::STALLED_AFTER * 2 / 3).await.unwrap();
    assert_eq!(starts(&taken), [0]);
}

#[tokio::test]
async fn positions_that_the_index_committed_are_where_files_go_on() {
    let buffer = MemoryBuffer::with_positions(BYTES_MAX, [(file(1), 100)]);
    assert_eq!(
        push(&buffer, &[frame(1, 0, 10), frame(1, 100, 110)]).await,
        [Pushed::Expected(Some(100)), Pushed::Accepted]
    );
    assert_eq!(indexed(&buffer, 1).await, Some(100));
}
