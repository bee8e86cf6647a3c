//! Drift: the shapes of lines that no parser understood, counted per service while lines are shipped.
//!
//! Only such records cost anything, and of those only so many a second: the counters go on, the shapes wait.

mod shape;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

pub use shape::{Kind, LineShape, Part, parts};

/// Services whose shapes are kept; those that come later are counted together, under [`OTHERS`].
const SERVICES_MAX: usize = 256;

/// Shapes that are kept of one service; more are counted only.
const SHAPES_MAX: usize = 32;

/// Lines of one service whose shape is looked for in one second.
const LOOKS_PER_SECOND_MAX: u32 = 20;

/// Nanoseconds between two messages about new shapes, of all services together.
const MESSAGE_INTERVAL: i64 = 10 * SECOND;

const SECOND: i64 = 1_000_000_000;

/// Stands for the services that have no place of their own.
const OTHERS: &str = "(others)";

/// The shapes of all services.
#[derive(Debug, Default)]
pub struct Drift {
    services: Mutex<BTreeMap<String, Arc<ServiceDrift>>>,
    /// When the last message was written.
    told: Mutex<Option<i64>>,
}

/// The shapes of one service.
#[derive(Debug, Default)]
pub struct ServiceDrift {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    records: u64,
    shapes: BTreeMap<LineShape, Seen>,
    /// Lines of shapes for which there was no room.
    others: u64,
    /// The second of the last look, and how many there were in it.
    second: i64,
    looks: u32,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    records: u64,
    first: i64,
    last: i64,
}

/// What is known of one service's drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DriftReport {
    /// The service.
    pub service: String,
    /// Records that no parser understood, since the start of the process.
    pub records: u64,
    /// Their shapes, the most frequent first, as far as they were looked at.
    pub shapes: Vec<ShapeReport>,
    /// Records whose shape was seen, and for which there was no room.
    pub other_shapes: u64,
}

/// One shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShapeReport {
    /// Kinds of values, punctuation, and words of every log: no value of the line.
    pub shape: String,
    /// Records in which it was seen. A burst is looked at in part.
    pub records: u64,
    /// When it was read first, milliseconds since 1970.
    pub first: i64,
    /// When it was read last, milliseconds since 1970.
    pub last: i64,
}

impl Drift {
    /// The shapes of this service.
    pub fn of(&self, service: &str) -> Arc<ServiceDrift> {
        let mut services = lock(&self.services);
        let has_room = services.contains_key(service) || services.len() < SERVICES_MAX;
        let name = if has_room { service } else { OTHERS };
        Arc::clone(services.entry(name.to_owned()).or_default())
    }

    /// What is known now, of those services that have any; the most frequent first.
    pub fn report(&self) -> Vec<DriftReport> {
        let services = lock(&self.services);
        let mut reports: Vec<DriftReport> = services
            .iter()
            .map(|(name, drift)| drift.report(name))
            .filter(|report| report.records > 0)
            .collect();
        reports.sort_by_key(|report| std::cmp::Reverse(report.records));
        reports
    }

    /// Says that `record` of this service has a new shape, at most so often.
    fn tell(&self, service: &str, shape: &LineShape, now: i64) {
        let mut told = lock(&self.told);
        if told.is_some_and(|told| now < told + MESSAGE_INTERVAL) {
            return;
        }
        *told = Some(now);
        drop(told);
        tracing::warn!(service, %shape, "lines of a shape that no parser understands: see weir parse --suggest");
    }
}

/// What one file tells of.
#[derive(Clone, Debug)]
pub struct Watch {
    drift: Arc<Drift>,
    of_service: Arc<ServiceDrift>,
    service: String,
}

impl Watch {
    /// For the lines of this service.
    pub fn new(drift: &Arc<Drift>, service: &str) -> Watch {
        Watch { drift: Arc::clone(drift), of_service: drift.of(service), service: service.to_owned() }
    }

    /// Notes a record that no parser understood. `now`: nanoseconds since 1970.
    pub fn note(&self, record: &[u8], now: i64) {
        if let Some(shape) = self.of_service.note(record, now) {
            self.drift.tell(&self.service, &shape, now);
        }
    }
}

impl ServiceDrift {
    /// Returns the shape where it is new.
    fn note(&self, record: &[u8], now: i64) -> Option<LineShape> {
        let mut state = lock(&self.state);
        state.records += 1;
        if state.second != now / SECOND {
            (state.second, state.looks) = (now / SECOND, 0);
        }
        if state.looks >= LOOKS_PER_SECOND_MAX {
            return None;
        }
        state.looks += 1;
        let shape = LineShape::of(record);
        if let Some(seen) = state.shapes.get_mut(&shape) {
            (seen.records, seen.last) = (seen.records + 1, now);
            return None;
        }
        if state.shapes.len() >= SHAPES_MAX {
            state.others += 1;
            return None;
        }
        state.shapes.insert(shape.clone(), Seen { records: 1, first: now, last: now });
        Some(shape)
    }

    fn report(&self, service: &str) -> DriftReport {
        const MILLISECOND: i64 = 1_000_000;
        let state = lock(&self.state);
        let one = |(shape, seen): (&LineShape, &Seen)| ShapeReport {
            shape: shape.to_string(),
            records: seen.records,
            first: seen.first / MILLISECOND,
            last: seen.last / MILLISECOND,
        };
        let mut shapes: Vec<ShapeReport> = state.shapes.iter().map(one).collect();
        shapes.sort_by_key(|shape| std::cmp::Reverse(shape.records));
        DriftReport {
            service: service.to_owned(),
            records: state.records,
            shapes,
            other_shapes: state.others,
        }
    }
}

/// Nothing is done under these locks that could stop half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_counted_per_service_and_no_value_is_kept() {
        let drift = Arc::new(Drift::default());
        let (shop, mail) = (Watch::new(&drift, "shop"), Watch::new(&drift, "mail"));
        for second in 0..3 {
            shop.note(b"order 17 of alice failed", second * SECOND);
        }
        shop.note(b"<<gulp>>", 3 * SECOND);
        mail.note(b"hunter2", 0);
        let reports = drift.report();
        assert_eq!(reports.len(), 2);
        let shape =
            |shape: &str, records, first, last| ShapeReport { shape: shape.to_owned(), records, first, last };
        let shapes =
            vec![shape("order <number> of <word> failed", 3, 0, 2000), shape("<<<word>>>", 1, 3000, 3000)];
        assert_eq!(reports[0], DriftReport { service: "shop".into(), records: 4, shapes, other_shapes: 0 });
        assert_eq!(reports[1].shapes, [shape("<word>", 1, 0, 0)]);
        let kept = format!("{drift:?}");
        for value in ["alice", "17", "gulp", "hunter2"] {
            assert!(!kept.contains(value), "{value} in {kept}");
        }
    }

    #[test]
    fn a_flood_is_counted_and_looked_at_in_part() {
        let drift = Arc::new(Drift::default());
        let watch = Watch::new(&drift, "flood");
        for number in 0..10_000 {
            watch.note("! ".repeat(number % 100).as_bytes(), 5 * SECOND);
        }
        let looked: u64 = drift.report()[0].shapes.iter().map(|shape| shape.records).sum();
        assert_eq!((drift.report()[0].records, looked), (10_000, u64::from(LOOKS_PER_SECOND_MAX)));
    }

    #[test]
    fn neither_shapes_nor_services_grow_without_bound() {
        let drift = Arc::new(Drift::default());
        for service in 0..2 * SERVICES_MAX {
            let watch = Watch::new(&drift, &format!("service-{service}"));
            for shape in 0..2 * SHAPES_MAX {
                watch.note("a,".repeat(shape + 1).as_bytes(), shape as i64 * SECOND);
            }
        }
        let reports = drift.report();
        assert_eq!(reports.len(), SERVICES_MAX + 1);
        assert!(reports.iter().all(|report| report.shapes.len() <= SHAPES_MAX));
        let records: u64 = reports.iter().map(|report| report.records).sum();
        assert_eq!(records, (4 * SERVICES_MAX * SHAPES_MAX) as u64);
    }
}
