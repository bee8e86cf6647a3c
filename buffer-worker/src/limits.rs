//! How much is sent at once: additive increase, multiplicative decrease (AIMD), as TCP does it.
//!
//! An index that puts documents off, refuses bulks or takes long gets smaller bulks and fewer at a time; one that
//! takes what it gets is given more, up to what the settings allow. After an outage it begins with little, and grows by a
//! part of it that is another for each worker, up to doubling: a cluster that has just come back is not met by everything
//! that has waited, nor by a hundred workers that all double at the same moments.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::backoff::Random;

/// An answer that takes longer asks for less. A bulk of 5 MB takes 200 to 400 ms on a small node.
const LATENCY_MAX: Duration = Duration::from_secs(5);

/// Bulks are not made smaller than this: many small ones are more work for the index, not less.
const BULK_BYTES_MIN: usize = 256 * 1024;

/// Part of the largest bulk that is sent first, after a start or an outage.
const FIRST_PART: usize = 8;

/// Least growth of one step after a start or an outage; the most is 1, doubling.
const GROWTH_MIN: f64 = 0.25;

/// Steps that the additive increase takes from nothing to the largest bulk.
const STEPS: usize = 16;

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// All that was sent has an outcome.
    Good,
    /// Too much, or for too long.
    Pressure,
    /// The index is left alone from here on.
    Outage,
}

/// Pure part: what is allowed now.
#[derive(Debug)]
struct Allowance {
    in_flight_max: usize,
    bulk_bytes_max: usize,
    in_flight: f64,
    bulk_bytes: usize,
    /// By which part it grows with each answer, because nothing went wrong yet.
    growth: Option<f64>,
    random: Random,
    /// What began before says nothing about what was changed then.
    decreased_at: Option<Instant>,
}

impl Allowance {
    fn new(in_flight_max: usize, bulk_bytes_max: usize, random: Random) -> Allowance {
        let mut allowance = Allowance {
            in_flight_max: in_flight_max.max(1),
            bulk_bytes_max,
            in_flight: 1.0,
            bulk_bytes: bulk_bytes_max,
            growth: None,
            random,
            decreased_at: None,
        };
        allowance.start();
        allowance
    }

    fn start(&mut self) {
        self.in_flight = 1.0;
        self.bulk_bytes = (self.bulk_bytes_max / FIRST_PART).max(self.bulk_bytes_min());
        self.growth = Some(GROWTH_MIN + (1.0 - GROWTH_MIN) * self.random.next());
    }

    fn bulk_bytes_min(&self) -> usize {
        BULK_BYTES_MIN.min(self.bulk_bytes_max)
    }

    fn note(&mut self, signal: Signal, began: Instant, now: Instant) {
        let is_slow = now.saturating_duration_since(began) > LATENCY_MAX;
        match signal {
            Signal::Outage => {
                self.start();
                self.decreased_at = Some(now);
            }
            Signal::Good if !is_slow => self.increase(),
            Signal::Good | Signal::Pressure => {
                if self.decreased_at.is_none_or(|at| began >= at) {
                    self.decrease(now);
                }
            }
        }
    }

    fn increase(&mut self) {
        if let Some(growth) = self.growth {
            self.bulk_bytes += (self.bulk_bytes as f64 * growth) as usize;
            self.in_flight += growth;
        } else {
            self.bulk_bytes += self.bulk_bytes_max / STEPS;
            self.in_flight += 1.0 / self.in_flight;
        }
        self.bulk_bytes = self.bulk_bytes.min(self.bulk_bytes_max);
        self.in_flight = self.in_flight.min(self.in_flight_max as f64);
    }

    fn decrease(&mut self, now: Instant) {
        self.growth = None;
        self.bulk_bytes = (self.bulk_bytes / 2).max(self.bulk_bytes_min());
        self.in_flight = (self.in_flight / 2.0).max(1.0);
        self.decreased_at = Some(now);
    }
}

/// What all deliveries of a worker share.
pub(crate) struct Limits {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// None: the index knows better, and everything goes at once.
    allowance: Option<Allowance>,
    bulk_bytes_max: usize,
    running: usize,
}

/// The right to one attempt; given back when it is dropped.
pub(crate) struct Slot<'a>(&'a Limits);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        self.0.changed.notify_waiters();
    }
}

impl Limits {
    /// Adapts between one small bulk and `in_flight_max` of `bulk_bytes_max`.
    pub(crate) fn adaptive(in_flight_max: usize, bulk_bytes_max: usize) -> Limits {
        Limits::new(Some(Allowance::new(in_flight_max, bulk_bytes_max, Random::new())), bulk_bytes_max)
    }

    /// Always allows everything.
    pub(crate) fn fixed(bulk_bytes: usize) -> Limits {
        Limits::new(None, bulk_bytes)
    }

    fn new(allowance: Option<Allowance>, bulk_bytes_max: usize) -> Limits {
        let state = State { allowance, bulk_bytes_max, running: 0 };
        Limits { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(crate) fn is_adaptive(&self) -> bool {
        self.lock().allowance.is_some()
    }

    /// Waits for a place.
    pub(crate) async fn acquire(&self) -> Slot<'_> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.lock();
                if state.running < state.in_flight() {
                    state.running += 1;
                    return Slot(self);
                }
            }
            changed.await;
        }
    }

    /// Learns from an attempt that began then.
    pub(crate) fn note(&self, signal: Signal, began: Instant) {
        if let Some(allowance) = &mut self.lock().allowance {
            allowance.note(signal, began, Instant::now());
        }
        self.changed.notify_waiters();
    }

    /// Attempts that may be under way at once.
    pub(crate) fn in_flight(&self) -> usize {
        self.lock().in_flight()
    }

    /// Bytes that one attempt may have.
    pub(crate) fn bulk_bytes(&self) -> usize {
        let state = self.lock();
        state.allowance.as_ref().map_or(state.bulk_bytes_max, |allowance| allowance.bulk_bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn in_flight(&self) -> usize {
        self.allowance.as_ref().map_or(usize::MAX, |allowance| allowance.in_flight as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::Backoff;

    const MIB: usize = 1024 * 1024;
    const QUICK: Duration = Duration::from_millis(100);

    /// Feeds signals, each of an attempt that took `latency`; answers what is allowed then.
    fn after(signals: &[(Signal, Duration)]) -> (usize, usize) {
        let (mut allowance, mut now) = (Allowance::new(8, 8 * MIB, Random::seeded(1)), Instant::now());
        for (signal, latency) in signals {
            let began = now;
            now += *latency;
            allowance.note(*signal, began, now);
        }
        (allowance.in_flight as usize, allowance.bulk_bytes)
    }

    #[test]
    fn it_begins_with_little_and_at_most_doubles_to_all_that_is_allowed() {
        assert_eq!(after(&[]), (1, MIB));
        let (in_flight, bulk_bytes) = after(&[(Signal::Good, QUICK); 2]);
        assert!(
            (1..=3).contains(&in_flight) && (MIB * 3 / 2..=4 * MIB).contains(&bulk_bytes),
            "{bulk_bytes}"
        );
        assert_eq!(after(&[(Signal::Good, QUICK); 30]), (8, 8 * MIB));
    }

    /// A hundred workers that lost the index at the same moment; it is back after half a minute.
    #[test]
    fn workers_neither_come_back_nor_ramp_up_together() {
        const WORKERS: u64 = 100;
        const STEP: Duration = Duration::from_millis(200);
        let (lost, back) = (Instant::now(), Duration::from_secs(30));
        // Of each worker, bytes that it may have under way from its probe on, answer by answer.
        let returns: Vec<(Duration, Vec<usize>)> = (0..WORKERS)
            .map(|seed| {
                let mut backoff = Backoff::between(STEP, 50 * STEP).seeded(seed);
                let mut probe = Duration::ZERO;
                while probe < back {
                    probe += backoff.next(None);
                }
                let mut allowance = Allowance::new(8, 8 * MIB, Random::seeded(seed));
                allowance.note(Signal::Outage, lost, lost);
                let ramp = (0..60).map(|_| {
                    let bytes = allowance.in_flight as usize * allowance.bulk_bytes;
                    allowance.note(Signal::Good, lost, lost + QUICK);
                    bytes
                });
                (probe, ramp.collect())
            })
            .collect();
        let at = |time: Duration| -> Vec<usize> {
            let bytes = |(probe, ramp): &(Duration, Vec<usize>)| {
                let answers = time.checked_sub(*probe)?.as_millis() / STEP.as_millis();
                ramp.get(answers as usize).or(ramp.last()).copied()
            };
            returns.iter().map(|worker| bytes(worker).unwrap_or(0)).collect()
        };
        let steps: Vec<usize> = (0..200).map(|step| at(back + STEP * step).iter().sum()).collect();
        let all = WORKERS as usize * 64 * MIB;
        let largest = steps.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        assert!(largest < all / 15, "{} of {} MiB more in one step", largest / MIB, all / MIB);
        assert_eq!(steps.last(), Some(&all), "and all of it in the end");
        // Even those that probed at the same moment part.
        let ramps: Vec<usize> = returns.iter().map(|(_, ramp)| ramp[4]).collect();
        let (least, most) = (ramps.iter().min().unwrap(), ramps.iter().max().unwrap());
        assert!(most / least >= 4, "{least} to {most} after four answers");
    }

    #[test]
    fn pressure_halves_and_comes_back_in_small_steps() {
        let mut signals = vec![(Signal::Good, QUICK); 30];
        signals.push((Signal::Pressure, QUICK));
        assert_eq!(after(&signals), (4, 4 * MIB));
        signals.push((Signal::Good, QUICK));
        assert_eq!(after(&signals), (4, 4 * MIB + MIB / 2), "a sixteenth, and a quarter of a bulk at once");
        signals.extend([(Signal::Pressure, QUICK); 20]);
        assert_eq!(after(&signals), (1, BULK_BYTES_MIN), "never nothing");
        signals.extend([(Signal::Good, QUICK); 100]);
        assert_eq!(after(&signals), (8, 8 * MIB));
    }

    #[test]
    fn a_slow_answer_is_pressure_and_an_outage_a_new_beginning() {
        let mut signals = vec![(Signal::Good, QUICK); 30];
        signals.push((Signal::Good, LATENCY_MAX + QUICK));
        assert_eq!(after(&signals), (4, 4 * MIB));
        signals.push((Signal::Outage, QUICK));
        assert_eq!(after(&signals), (1, MIB));
    }

    #[test]
    fn answers_to_what_was_sent_before_a_decrease_do_not_decrease_again() {
        let (mut allowance, began) = (Allowance::new(8, 8 * MIB, Random::seeded(1)), Instant::now());
        for _ in 0..30 {
            allowance.note(Signal::Good, began, began + QUICK);
        }
        for _ in 0..8 {
            allowance.note(Signal::Pressure, began, began + QUICK);
        }
        assert_eq!((allowance.in_flight as usize, allowance.bulk_bytes), (4, 4 * MIB));
    }

    #[tokio::test]
    async fn attempts_wait_for_a_place() {
        let limits = Limits::adaptive(2, MIB);
        let first = limits.acquire().await;
        let second = tokio::time::timeout(QUICK, limits.acquire()).await;
        assert!(second.is_err(), "one at a time at first");
        drop(first);
        let _first = limits.acquire().await;
        (0..4).for_each(|_| limits.note(Signal::Good, Instant::now()));
        let _second = tokio::time::timeout(QUICK, limits.acquire()).await.expect("a second place");
    }
}
