//! Random pushes, claims, acknowledgements and crashes, held against a plain sequential model.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::testing::TestRedis;
use crate::{MemoryBuffer, RedisBuffer, RedisSettings};

const FILES: u64 = 3;
const CONSUMERS: usize = 3;

#[derive(Clone, Debug)]
enum Action {
    /// A pusher offers a frame that begins `skew` bytes beside the right place.
    Push {
        file: u64,
        length: u64,
        skew: i64,
    },
    /// A pusher repeats what it pushed last, as after a lost answer.
    PushAgain {
        file: u64,
    },
    Claim {
        consumer: usize,
        frames: usize,
    },
    /// Acknowledges one of the claims that the consumer holds.
    Acknowledge {
        consumer: usize,
        pick: usize,
    },
    /// Acknowledges something that was acknowledged before.
    AcknowledgeAgain {
        pick: usize,
    },
    Release {
        consumer: usize,
        pick: usize,
    },
    /// The consumer ends with what it holds; another one begins.
    Crash {
        consumer: usize,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let (file, consumer) = (0..FILES, 0..CONSUMERS);
    prop_oneof![
        6 => (file.clone(), 1..50u64, prop_oneof![4 => Just(0i64), 1 => -20..20i64])
            .prop_map(|(file, length, skew)| Action::Push { file, length, skew }),
        1 => file.prop_map(|file| Action::PushAgain { file }),
        4 => (consumer.clone(), 1..4usize).prop_map(|(consumer, frames)| Action::Claim { consumer, frames }),
        5 => (consumer.clone(), any::<usize>()).prop_map(|(consumer, pick)| Action::Acknowledge { consumer, pick }),
        1 => any::<usize>().prop_map(|pick| Action::AcknowledgeAgain { pick }),
        1 => (consumer.clone(), any::<usize>()).prop_map(|(consumer, pick)| Action::Release { consumer, pick }),
        1 => consumer.prop_map(|consumer| Action::Crash { consumer }),
    ]
}

/// The simplest thing that keeps the promise: every byte of every file, finished or not.
#[derive(Default)]
struct Model {
    pushed: HashMap<u64, u64>,
    finished: HashMap<u64, BTreeSet<u64>>,
    last_frame: HashMap<u64, Frame>,
    /// Frames that wait or are claimed, by file and start.
    waiting: BTreeMap<(u64, u64), Frame>,
    acknowledged: Vec<Claim>,
}

impl Model {
    fn push(&mut self, number: u64, frame: &Frame) -> Pushed {
        let pushed = self.pushed.get(&number).copied();
        if frame.header.start != pushed.unwrap_or(0) {
            return Pushed::Expected(pushed);
        }
        self.pushed.insert(number, frame.header.end);
        self.last_frame.insert(number, frame.clone());
        self.waiting.insert((number, frame.header.start), frame.clone());
        Pushed::Accepted
    }

    fn acknowledge(&mut self, claim: &Claim) {
        let range = claim.id.range().unwrap();
        let number = number_of(claim);
        self.waiting.remove(&(number, range.start));
        self.finished.entry(number).or_default().extend(range.start..range.end);
    }

    fn indexed(&self, number: u64) -> Option<u64> {
        self.pushed.get(&number)?;
        let none = BTreeSet::new();
        let finished = self.finished.get(&number).unwrap_or(&none);
        (0..).find(|byte| !finished.contains(byte))
    }
}

fn number_of(claim: &Claim) -> u64 {
    let range = claim.id.range().unwrap();
    (0..FILES).find(|&number| file(number) == range.file).unwrap()
}

struct Run<B: Buffer> {
    buffer: B,
    model: Model,
    consumers: Vec<(String, B::Consumer, Vec<Claim>)>,
    lives: usize,
}

impl<B: Buffer> Run<B> {
    async fn new(buffer: B) -> Run<B> {
        let mut run = Run { buffer, model: Model::default(), consumers: Vec::new(), lives: 0 };
        for _ in 0..CONSUMERS {
            let consumer = run.next_consumer().await;
            run.consumers.push(consumer);
        }
        run
    }

    async fn next_consumer(&mut self) -> (String, B::Consumer, Vec<Claim>) {
        self.lives += 1;
        let name = format!("consumer-{}", self.lives);
        let consumer = self.buffer.consumer(&name).await.unwrap();
        (name, consumer, Vec::new())
    }

    async fn act(&mut self, action: &Action) -> Result<(), TestCaseError> {
        match *action {
            Action::Push { file, length, skew } => {
                let start = self.model.pushed.get(&file).copied().unwrap_or(0).saturating_add_signed(skew);
                self.push(file, frame(file, start, start + length)).await?;
            }
            Action::PushAgain { file } => {
                if let Some(frame) = self.model.last_frame.get(&file).cloned() {
                    self.push(file, frame).await?;
                }
            }
            Action::Claim { consumer, frames } => self.claim(consumer, frames).await?,
            Action::Acknowledge { consumer, pick } => {
                if let Some(claim) = self.take_claim(consumer, pick) {
                    acknowledge(&self.buffer, std::slice::from_ref(&claim)).await;
                    self.model.acknowledge(&claim);
                    self.model.acknowledged.push(claim);
                }
            }
            Action::AcknowledgeAgain { pick } => {
                if !self.model.acknowledged.is_empty() {
                    let claim = &self.model.acknowledged[pick % self.model.acknowledged.len()];
                    acknowledge(&self.buffer, std::slice::from_ref(claim)).await;
                }
            }
            Action::Release { consumer, pick } => {
                if let Some(claim) = self.take_claim(consumer, pick) {
                    self.buffer.release(&self.consumers[consumer].0, &[claim.id]).await.unwrap();
                }
            }
            Action::Crash { consumer } => self.consumers[consumer] = self.next_consumer().await,
        }
        self.check_positions().await
    }

    async fn push(&mut self, number: u64, frame: Frame) -> Result<(), TestCaseError> {
        let expected = self.model.push(number, &frame);
        prop_assert_eq!(push(&self.buffer, &[frame]).await, vec![expected]);
        Ok(())
    }

    async fn claim(&mut self, consumer: usize, frames: usize) -> Result<(), TestCaseError> {
        let claims = self.consumers[consumer].1.claim(frames, usize::MAX, Duration::ZERO).await.unwrap();
        // One of each lane may come at once.
        prop_assert!(claims.len() < frames + 16);
        for claim in claims {
            let key = (number_of(&claim), claim.id.range().unwrap().start);
            let waiting = self.model.waiting.get(&key);
            prop_assert!(
                waiting.is_some_and(|frame| frame.bytes == claim.bytes),
                "not pushed, or finished: {:?}",
                key
            );
            let held = self.consumers.iter().flat_map(|(_, _, held)| held).any(|held| held.id == claim.id);
            prop_assert!(!held, "{:?} is held already", key);
            self.consumers[consumer].2.push(claim);
        }
        Ok(())
    }

    fn take_claim(&mut self, consumer: usize, pick: usize) -> Option<Claim> {
        let held = &mut self.consumers[consumer].2;
        (!held.is_empty()).then(|| held.swap_remove(pick % held.len()))
    }

    async fn check_positions(&self) -> Result<(), TestCaseError> {
        let files: Vec<FileKey> = (0..FILES).map(file).collect();
        let positions = self.buffer.positions(&files).await.unwrap();
        for (number, position) in (0..).zip(positions) {
            prop_assert_eq!(position.pushed, self.model.pushed.get(&number).copied());
            prop_assert_eq!(position.indexed, self.model.indexed(number), "of file {}", number);
        }
        let depth = self.buffer.depth().await.unwrap();
        let bytes: usize = self.model.waiting.values().map(|frame| frame.bytes.len()).sum();
        prop_assert_eq!((depth.frames, depth.bytes), (self.model.waiting.len() as u64, bytes as u64));
        Ok(())
    }

    /// All consumers die; a last one gets everything that is not finished.
    async fn drain(mut self) -> Result<(), TestCaseError> {
        self.consumers.clear();
        let (_, mut last, _) = self.next_consumer().await;
        while !self.model.waiting.is_empty() {
            let claims = last.claim(100, usize::MAX, PATIENCE).await.unwrap();
            prop_assert!(!claims.is_empty(), "left behind: {:?}", self.model.waiting.keys());
            for claim in &claims {
                self.model.acknowledge(claim);
            }
            acknowledge(&self.buffer, &claims).await;
        }
        self.check_positions().await
    }
}

fn run_cases<B: Buffer>(cases: u32, make: impl Fn(u64) -> B) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A failure prints its seed and the shrunk actions.
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let number = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&prop::collection::vec(action(), 1..80), |actions| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let mut run = Run::new(make(number.get())).await;
            for action in &actions {
                run.act(action).await?;
            }
            run.drain().await
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn in_memory_any_order_of_actions_and_crashes_agrees_with_the_model() {
    run_cases(256, |_| MemoryBuffer::new(BYTES_MAX));
}

#[test]
fn in_redis_any_order_of_actions_and_crashes_agrees_with_the_model() {
    let Some(server) = TestRedis::start() else { return };
    run_cases(24, |number| {
        let settings =
            RedisSettings { name: format!("case-{number}"), ..RedisSettings::new(server.unix_url()) };
        RedisBuffer::new(&settings).unwrap()
    });
}
