//! Services take turns: what each gets of what is claimed, counted in the order of claims.

use super::*;
use crate::testing::TestRedis;
use crate::{RedisBuffer, RedisSettings};

/// A frame of a service with about so many bytes.
fn frame_of(service: &str, number: u64, start: u64, bytes: usize) -> Frame {
    let mut builder = FrameBuilder::new(file(number), start, 0).unwrap();
    let group = builder.group(&Group { dataset: service.to_owned(), fields: String::new() });
    // What does not compress.
    let mut random = simulation::Random(number * 1_000_003 + start);
    let digits: String = (0..bytes / 16).map(|_| format!("{:016x}", random.next())).collect();
    builder.document().extend_from_slice(format!(r#""message":"{digits}""#).as_bytes());
    builder.commit(start, None, start, group);
    let mut frames = Vec::new();
    builder.finish(start + 1, 1, &mut frames);
    frames.remove(0)
}

/// `count` frames of each of these services, service by service; the first one floods from several files.
async fn backlog(buffer: &RedisBuffer, services: &[(&str, u64, usize)]) {
    for (number, (service, count, bytes)) in (0..).zip(services) {
        let frames: Vec<Frame> =
            (0..*count).map(|place| frame_of(service, number * 10 + place % 4, place / 4, *bytes)).collect();
        fill(buffer, &frames).await;
    }
}

/// The service of each claimed frame with its bytes, in the order of claims, acknowledged at once.
async fn drain(buffer: &RedisBuffer, count: u64) -> Vec<(u64, usize)> {
    let mut consumer = buffer.consumer("worker").await.unwrap();
    let mut order = Vec::new();
    while (order.len() as u64) < count {
        let claims = consumer.claim(64, 256 * 1024, PATIENCE).await.unwrap();
        assert!(!claims.is_empty(), "{} of {count} frames came", order.len());
        acknowledge(buffer, &claims).await;
        let number = |claim: &Claim| {
            let file_of = claim.id.range().unwrap().file;
            (0..100).find(|&number| file(number) == file_of).unwrap() / 10
        };
        order.extend(claims.iter().map(|claim| (number(claim), claim.bytes.len())));
    }
    order
}

/// Bytes that came of each service before all of service `of` had.
fn before_all_of(order: &[(u64, usize)], of: u64, services: usize) -> Vec<usize> {
    let last = order.iter().rposition(|(service, _)| *service == of).unwrap();
    let mut bytes = vec![0; services];
    order[..=last].iter().for_each(|(service, length)| bytes[*service as usize] += length);
    bytes
}

#[tokio::test]
async fn a_service_that_floods_takes_no_more_than_its_share_with_no_configuration() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = RedisBuffer::new(&RedisSettings::new(server.url())).unwrap();
    // The flood is there first, in large frames; the others have small ones, many or few.
    let services = [("flood", 400, 30_000), ("web", 300, 4_000), ("quiet", 20, 500)];
    backlog(&buffer, &services).await;
    let order = drain(&buffer, 720).await;
    let before_quiet = before_all_of(&order, 2, 3);
    println!("before the last of quiet: {before_quiet:?}");
    assert!(before_quiet[0] < 1_000_000, "of twelve million bytes of the flood: {before_quiet:?}");
    let before_web = before_all_of(&order, 1, 3);
    println!("before the last of web: {before_web:?}");
    // A frame costs something beside its bytes, and the first claims are to find out who is there.
    assert!(before_web[0] < before_web[1] * 3 / 2, "a fair half for each: {before_web:?}");
    let last_flood = before_all_of(&order, 0, 3);
    assert_eq!(last_flood[0], order.iter().filter(|(s, _)| *s == 0).map(|(_, b)| b).sum::<usize>());
}

#[tokio::test]
async fn weights_are_kept() {
    let Some(server) = TestRedis::start() else { return };
    let weights = [("checkout".to_owned(), 4.0)].into();
    let settings = RedisSettings { weights, ..RedisSettings::new(server.url()) };
    let buffer = RedisBuffer::new(&settings).unwrap();
    backlog(&buffer, &[("batch", 300, 20_000), ("checkout", 200, 20_000)]).await;
    let bytes = before_all_of(&drain(&buffer, 500).await, 1, 2);
    println!("{bytes:?}");
    let ratio = bytes[1] as f64 / bytes[0] as f64;
    assert!((3.2..=4.8).contains(&ratio), "{ratio}: {bytes:?}");
}

#[tokio::test]
async fn a_service_that_comes_while_another_floods_gets_a_lane_of_its_own() {
    let Some(server) = TestRedis::start() else { return };
    let buffer = RedisBuffer::new(&RedisSettings::new(server.url())).unwrap();
    backlog(&buffer, &[("flood", 200, 1000)]).await;
    // One after the other, with all of it still waiting, more of the flood included.
    for number in 1..15 {
        fill(&buffer, &[frame_of(&format!("service-{number}"), 10 + number, 0, 100)]).await;
        fill(&buffer, &[frame_of("flood", 9, number - 1, 1000)]).await;
    }
    let lengths = (0..16).map(|lane| {
        let suffix = if lane == 0 { String::new() } else { format!(":{lane}") };
        server.command(&["XLEN", &format!("weir:{{logs:0}}:frames{suffix}")])
    });
    let lengths: Vec<_> = lengths.map(|length| redis::from_redis_value::<u64>(length).unwrap()).collect();
    let mut expected = vec![1; 16];
    (expected[0], expected[15]) = (214, 0);
    assert_eq!(lengths, expected);
}

/// Another number of partitions: the buffer knows nothing of the files there, so their shippers begin at what is safe.
#[tokio::test]
async fn after_a_change_of_partitions_nothing_is_lost_and_every_file_is_in_order() {
    let Some(server) = TestRedis::start() else { return };
    for (before, after) in [(1, 4), (4, 1)] {
        let name = format!("from-{before}");
        let settings =
            |partitions| RedisSettings { name: name.clone(), partitions, ..RedisSettings::new(server.url()) };
        let old = RedisBuffer::new(&settings(before)).unwrap();
        let files = 0..8u64;
        for number in files.clone() {
            fill(&old, &[frame(number, 0, 10), frame(number, 10, 20), frame(number, 20, 30)]).await;
        }
        // Some of it is indexed, and the shippers know how much.
        let claims = claim(&mut old.consumer("a").await.unwrap(), 12).await;
        acknowledge(&old, &claims).await;
        let new = RedisBuffer::new(&settings(after)).unwrap();
        for number in files.clone() {
            let safe = indexed(&old, number).await.unwrap();
            let next = frame(number, 30, 40);
            let answer = new.push(&[Push { frame: &next, safe }]).await.unwrap()[0];
            let Pushed::Expected(place) = answer else { continue };
            // Where its partition is the same as before, it goes on.
            let at = place.unwrap_or(safe);
            let rest = frame(number, at, 40);
            let answer = new.push(&[Push { frame: &rest, safe }]).await.unwrap();
            assert_eq!(answer, [Pushed::Accepted], "file {number} goes on from {at}");
        }
        let mut consumer = new.consumer("b").await.unwrap();
        for _ in 0..1000 {
            let claims = glance(&mut consumer).await;
            acknowledge(&new, &claims).await;
            let mut whole = 0;
            for number in files.clone() {
                whole += u64::from(indexed(&new, number).await == Some(40));
            }
            if whole == 8 {
                break;
            }
        }
        for number in files {
            assert_eq!(indexed(&new, number).await, Some(40), "{before} to {after}: file {number}");
        }
    }
}

#[test]
fn scripts_know_as_many_lanes_as_we_do() {
    let text = include_str!("../redis/entry.lua");
    assert!(text.contains(&format!("local LANES = {}\n", crate::redis::LANES)));
}
