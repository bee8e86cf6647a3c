//! Who is next: lanes take turns by bytes (deficit round robin, Shreedhar and Varghese 1995), so that a service that
//! floods takes no more than its share of what is claimed while others have something waiting.
//!
//! Pure: neither Redis nor a clock. How large frames are is known only when they have come; a lane that got more than it
//! should waits that out.

use std::collections::BTreeMap;

/// What a frame is taken to have before one of its lane was seen.
const FRAME_BYTES_FIRST: f64 = 16.0 * 1024.0;

/// What a frame costs beside its bytes: many small ones are work too.
const FRAME_COST: f64 = 512.0;

/// Least that a round gives to all lanes together: some of them are in credit after a few.
const ROUND_BYTES_MIN: f64 = 4.0 * 1024.0;

/// Most frames of one lane in one round: bounds by how much a claim may exceed its bytes.
const FRAMES_MAX: usize = 128;

#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    weights: BTreeMap<String, f64>,
}

#[derive(Clone, Debug)]
struct Lane {
    /// It gave all that it was asked for: there may be more.
    is_busy: bool,
    /// Bytes that it may still give; below zero where it gave too many.
    credit: f64,
    /// Of its frames lately.
    frame_bytes: f64,
    /// Of its last frame.
    service: String,
}

impl Lanes {
    pub(super) fn new(count: usize, weights: BTreeMap<String, f64>) -> Lanes {
        let lane =
            Lane { is_busy: false, credit: 0.0, frame_bytes: FRAME_BYTES_FIRST, service: String::new() };
        Lanes { lanes: vec![lane; count], weights }
    }

    pub(super) fn any_is_busy(&self) -> bool {
        self.lanes.iter().any(|lane| lane.is_busy)
    }

    /// How many frames to ask each lane for that is not busy. Together they may bring a little more than the limits.
    pub(super) fn frames_of_quiet(&self, frames_max: usize, bytes_max: usize) -> usize {
        let lanes = self.lanes.len().max(1);
        let by_bytes = (bytes_max / lanes) as f64 / FRAME_BYTES_FIRST;
        (frames_max / lanes).min(by_bytes as usize).clamp(1, FRAMES_MAX)
    }

    pub(super) fn is_busy(&self, lane: usize) -> bool {
        self.lanes.get(lane).is_some_and(|lane| lane.is_busy)
    }

    /// The next round: each busy lane that is in credit, and how many frames to ask it for.
    pub(super) fn next_round(&mut self, frames_max: usize, bytes_max: usize) -> Vec<(usize, usize)> {
        let shares = self.shares();
        // Of those with the smallest frames, their number is not to be what limits: others would get more than they.
        let costs = self.lanes.iter().filter(|lane| lane.is_busy).map(|lane| lane.frame_bytes + FRAME_COST);
        let by_frames = costs.fold(f64::INFINITY, f64::min) * frames_max as f64;
        let bytes = by_frames.min(bytes_max as f64).max(ROUND_BYTES_MIN);
        let mut asked = Vec::new();
        while asked.is_empty() && shares.iter().any(|share| *share > 0.0) {
            for (lane, share) in self.lanes.iter_mut().zip(&shares) {
                // Where the number of frames is what limits all the same, it does not save up.
                lane.credit = (lane.credit + bytes * share).min(2.0 * bytes * share);
            }
            let in_credit = |(number, share): (usize, &f64)| {
                let lane = &self.lanes[number];
                let by_frames = ((frames_max as f64 * share).round() as usize).clamp(1, FRAMES_MAX);
                let credit = lane.credit.min(bytes_max.max(1) as f64);
                let by_bytes = (credit / (lane.frame_bytes + FRAME_COST)).ceil().max(0.0) as usize;
                (*share > 0.0 && by_bytes > 0).then_some((number, by_frames.min(by_bytes)))
            };
            asked = shares.iter().enumerate().filter_map(in_credit).collect();
        }
        asked
    }

    /// Each lane's part of a round; a service that has several lanes has one share.
    fn shares(&self) -> Vec<f64> {
        let mut lanes_of: BTreeMap<&str, f64> = BTreeMap::new();
        for lane in self.lanes.iter().filter(|lane| lane.is_busy) {
            *lanes_of.entry(&lane.service).or_default() += 1.0;
        }
        let weight = |lane: &Lane| match lanes_of.get(&*lane.service) {
            Some(lanes) if lane.is_busy => self.weights.get(&lane.service).copied().unwrap_or(1.0) / lanes,
            _ => 0.0,
        };
        let weights: Vec<f64> = self.lanes.iter().map(weight).collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| if sum > 0.0 { weight / sum } else { 0.0 }).collect()
    }

    /// What a lane gave that was asked for `asked` frames: their bytes, and the service of the last one.
    pub(super) fn note(&mut self, lane: usize, asked: usize, frames: &[usize], service: Option<&str>) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let was_busy = std::mem::replace(&mut lane.is_busy, frames.len() >= asked);
        if let (Some(service), false) = (service, frames.is_empty()) {
            service.clone_into(&mut lane.service);
            let bytes: f64 = frames.iter().map(|bytes| *bytes as f64).sum();
            lane.frame_bytes = bytes / frames.len() as f64;
            lane.credit -= bytes + FRAME_COST * frames.len() as f64;
        }
        if !lane.is_busy || !was_busy {
            // Who had nothing waiting saves nothing up, and owes nothing.
            lane.credit = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: usize = 1024 * 1024;

    /// Lanes with frames in them, without end, of so many bytes; what each has given after `rounds`.
    struct Play {
        lanes: Lanes,
        services: Vec<&'static str>,
        frame: Box<dyn FnMut(usize) -> usize>,
        given: Vec<usize>,
    }

    impl Play {
        fn new(
            services: &[&'static str],
            weights: &[(&str, f64)],
            frame: impl FnMut(usize) -> usize + 'static,
        ) -> Play {
            let weights = weights.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
            let mut lanes = Lanes::new(services.len(), weights);
            (0..services.len()).for_each(|lane| lanes.note(lane, 1, &[100], Some(services[lane])));
            let given = vec![0; services.len()];
            Play { lanes, services: services.to_vec(), frame: Box::new(frame), given }
        }

        fn rounds(mut self, rounds: usize) -> Vec<f64> {
            for _ in 0..rounds {
                for (lane, asked) in self.lanes.next_round(128, ROUND) {
                    let frames: Vec<usize> = (0..asked).map(|_| (self.frame)(lane)).collect();
                    self.given[lane] += frames.iter().sum::<usize>();
                    self.lanes.note(lane, asked, &frames, Some(self.services[lane]));
                }
            }
            let sum: usize = self.given.iter().sum();
            self.given.iter().map(|given| *given as f64 / sum as f64).collect()
        }
    }

    fn assert_about(shares: &[f64], expected: &[f64]) {
        for (share, expected) in shares.iter().zip(expected) {
            assert!((share - expected).abs() < 0.02, "{shares:?}, not {expected:?}");
        }
    }

    #[test]
    fn busy_lanes_give_the_same_bytes_however_large_their_frames_are() {
        let sizes = [65_000, 9_000, 20_000];
        let shares = Play::new(&["a", "b", "c"], &[], move |lane| sizes[lane]).rounds(500);
        assert_about(&shares, &[1.0 / 3.0; 3]);
    }

    #[test]
    fn sizes_that_change_all_the_time_even_out() {
        let mut random = 7u64;
        let next = move |lane| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let bound = [65_000, 4_000][lane];
            3_000 + (random >> 33) as usize % bound
        };
        // The cost of each frame beside its bytes shifts a little towards the large ones.
        assert_about(&Play::new(&["a", "b"], &[], next).rounds(2000), &[0.525, 0.475]);
    }

    #[test]
    fn weights_divide_and_many_lanes_of_one_service_are_one_share() {
        let weights = [("checkout", 4.0), ("batch", 0.5)];
        let shares = Play::new(&["checkout", "batch", "web"], &weights, |_| 30_000).rounds(500);
        assert_about(&shares, &[4.0 / 5.5, 0.5 / 5.5, 1.0 / 5.5]);
        let shares = Play::new(&["flood", "flood", "flood", "quiet"], &[], |_| 30_000).rounds(500);
        assert_about(&shares, &[1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0, 0.5]);
    }

    #[test]
    fn who_was_quiet_has_neither_saved_up_nor_debts() {
        let mut lanes = Lanes::new(2, BTreeMap::new());
        lanes.note(0, 1, &[60_000], Some("flood"));
        for _ in 0..100 {
            for (lane, asked) in lanes.next_round(128, ROUND) {
                lanes.note(lane, asked, &vec![60_000; asked], Some("flood"));
            }
        }
        lanes.note(1, 1, &[60_000], Some("quiet"));
        let round = lanes.next_round(128, ROUND);
        let frames = |lane| round.iter().find(|(number, _)| *number == lane).map_or(0, |(_, asked)| *asked);
        assert!(frames(1).abs_diff(frames(0)) <= 2, "{round:?}");
        lanes.note(0, 5, &[60_000; 4], Some("flood"));
        assert!(!lanes.is_busy(0) && lanes.is_busy(1));
        assert!(lanes.next_round(128, ROUND).iter().all(|(lane, _)| *lane == 1));
    }

    #[test]
    fn a_quiet_lane_is_asked_for_little_but_never_for_nothing() {
        let lanes = Lanes::new(16, BTreeMap::new());
        assert_eq!(lanes.frames_of_quiet(128, ROUND), 4);
        assert_eq!(lanes.frames_of_quiet(1, 1), 1);
        assert!(!lanes.any_is_busy());
    }
}
