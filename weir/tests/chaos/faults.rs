//! What goes wrong. Each victim has a lane of its own: one fault after the other, with random pauses between, while the
//! other lanes do the same. So that any of them may come together, and none has to know of the others.

use std::time::Duration;

use super::round::{Clock, Weather};
use super::stage::{Server, Stage};
use super::support::Random;

mod index;
mod network;
mod programs;
mod redis;

/// Whose faults come one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A shipper: the process and its state.
    Shipper(usize),
    /// A worker.
    Worker(usize),
    /// Redis: the process and what it holds.
    Redis,
    /// The network before Redis.
    RedisNetwork,
    /// The index's server.
    Index,
    /// The network before the index.
    IndexNetwork,
    /// For controls: the buffer, while nothing leaves it.
    Backlog,
}

/// Victims are left alone for a random time between two faults, up to this. With faults of some seconds each, each is
/// itself for more than half of the time.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long faults take: mostly short.
const SHORT_MAX: Duration = Duration::from_millis(1_500);
const LONG_MAX: Duration = Duration::from_secs(9);

/// One fault of so many is a long one.
const LONG_ONE_IN: u64 = 4;

/// What a fault needs to happen.
pub struct Play<'a> {
    /// Where.
    pub stage: &'a Stage,
    /// What may come together.
    pub weather: Weather,
    /// How much longer.
    pub clock: &'a Clock,
    /// Of this lane.
    pub random: Random,
    /// Who tells the story.
    who: String,
}

impl Lane {
    /// Every lane but that of controls, whose victims the others have too.
    pub const ALL: [Lane; 8] = [
        Lane::Shipper(0),
        Lane::Shipper(1),
        Lane::Worker(0),
        Lane::Worker(1),
        Lane::Redis,
        Lane::RedisNetwork,
        Lane::Index,
        Lane::IndexNetwork,
    ];

    /// Lets faults happen until the round is over, and leaves everything as it was.
    pub fn run(self, stage: &Stage, weather: Weather, clock: &Clock, seed: u64) {
        let mut play = Play { stage, weather, clock, random: Random::seeded(seed), who: self.name() };
        loop {
            let pause = PAUSE_MAX.mul_f64(play.random.fraction());
            clock.wait(pause);
            if clock.is_over() {
                return;
            }
            match self {
                Lane::Shipper(number) => programs::shipper(&mut play, number),
                Lane::Worker(number) => programs::worker(&mut play, number),
                Lane::Redis => redis::fault(&mut play),
                Lane::RedisNetwork => network::redis(&mut play),
                Lane::Index => server(stage, |server| index::fault(&mut play, server)),
                Lane::IndexNetwork => server(stage, |server| network::index(&mut play, server)),
                Lane::Backlog => redis::lose_backlog(&mut play),
            }
        }
    }

    /// Whether there is such a victim.
    pub fn is_on(self, stage: &Stage) -> bool {
        match self {
            Lane::Worker(number) => number < stage.workers.len(),
            Lane::Index | Lane::IndexNetwork => stage.server.is_some(),
            Lane::Shipper(_) | Lane::Redis | Lane::RedisNetwork | Lane::Backlog => true,
        }
    }

    /// What the story calls it.
    pub fn name(self) -> String {
        match self {
            Lane::Shipper(number) => format!("shipper-{number}"),
            Lane::Worker(number) => format!("worker-{number}"),
            Lane::Redis => "redis".to_owned(),
            Lane::RedisNetwork => "redis-network".to_owned(),
            Lane::Index => "index".to_owned(),
            Lane::IndexNetwork => "index-network".to_owned(),
            Lane::Backlog => "backlog".to_owned(),
        }
    }
}

fn server(stage: &Stage, fault: impl FnOnce(&Server)) {
    fault(stage.server.as_ref().expect("without a server nothing of it is disturbed"));
}

impl Play<'_> {
    /// A fault begins: counted by its kind, told with its particulars.
    fn begin(&self, fault: &'static str, particulars: &str) {
        self.stage.story.count(fault);
        self.tell(format!("{fault} {particulars}"));
    }

    fn tell(&self, what: impl AsRef<str>) {
        self.stage.story.tell(&self.who, what);
    }

    /// How long a fault takes.
    fn length(&mut self) -> Duration {
        let max = if self.random.below(LONG_ONE_IN) == 0 { LONG_MAX } else { SHORT_MAX };
        max.mul_f64(self.random.fraction())
    }

    /// A fault lasts.
    fn hold(&mut self) {
        let length = self.length();
        self.clock.wait(length);
    }
}
