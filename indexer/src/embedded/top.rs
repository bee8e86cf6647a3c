//! The first hits in order, and how many there are: one pass over the columns of time, sequence and tie.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DateTime, DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};
use weir_record::Field;

use super::schema::TIE;
use crate::search::{Cursor, Order};

/// A document's place: event time, sequence, tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub time: i64,
    pub sequence: i64,
    pub tie: u64,
}

impl Place {
    /// The text that a hit carries.
    pub fn cursor(self) -> Cursor {
        Cursor(format!("{}:{}:{}", self.time, self.sequence, self.tie))
    }

    /// Reads [`Place::cursor`].
    pub fn parse(cursor: &Cursor) -> Option<Place> {
        let mut parts = cursor.0.split(':');
        let place = Place {
            time: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
            tie: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(place)
    }
}

/// Collects the first `limit` places after `after`.
pub(super) struct Top {
    pub order: Order,
    pub limit: usize,
    pub after: Option<Place>,
}

/// Documents that match, and the first of them in order.
#[derive(Default)]
pub(super) struct Found {
    pub total: u64,
    pub first: Vec<(Place, DocAddress)>,
}

pub(super) struct TopOfSegment {
    segment: SegmentOrdinal,
    order: Order,
    limit: usize,
    after: Option<Place>,
    time: Column<DateTime>,
    sequence: Column<i64>,
    tie: Column<u64>,
    total: u64,
    /// The worst of the first on top. Oldest first: places as they are; newest first: reversed.
    first: Heap,
}

enum Heap {
    Oldest(BinaryHeap<(Place, DocId)>),
    Newest(BinaryHeap<(Reverse<Place>, DocId)>),
}

impl Collector for Top {
    type Fruit = Found;
    type Child = TopOfSegment;

    fn for_segment(&self, segment: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<TopOfSegment> {
        let columns = reader.fast_fields();
        Ok(TopOfSegment {
            segment,
            order: self.order,
            limit: self.limit,
            after: self.after,
            time: columns.date(Field::Timestamp.name())?,
            sequence: columns.i64(Field::EventSequence.name())?,
            tie: columns.u64(TIE)?,
            total: 0,
            first: match self.order {
                Order::OldestFirst => Heap::Oldest(BinaryHeap::new()),
                Order::NewestFirst => Heap::Newest(BinaryHeap::new()),
            },
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, found: Vec<Found>) -> tantivy::Result<Found> {
        let total = found.iter().map(|found| found.total).sum();
        let first = found.into_iter().flat_map(|found| found.first).collect();
        Ok(Found { total, first: first_in_order(first, self.order, self.limit) })
    }
}

/// Sorts, and cuts at `limit`.
pub(super) fn first_in_order<T>(mut found: Vec<(Place, T)>, order: Order, limit: usize) -> Vec<(Place, T)> {
    match order {
        Order::OldestFirst => found.sort_by_key(|(place, _)| *place),
        Order::NewestFirst => found.sort_by_key(|(place, _)| Reverse(*place)),
    }
    found.truncate(limit);
    found
}

impl TopOfSegment {
    /// Only the time is read for most documents: nearly all are behind the last of the first already.
    fn collect_place(&mut self, doc: DocId) {
        let time = self.time.first(doc).map_or(0, DateTime::into_timestamp_nanos);
        if self.is_behind_all(time) {
            return;
        }
        let sequence = self.sequence.first(doc).unwrap_or_default();
        let place = Place { time, sequence, tie: self.tie.first(doc).unwrap_or_default() };
        let reached = self.after.is_some_and(|after| match self.order {
            Order::OldestFirst => place <= after,
            Order::NewestFirst => place >= after,
        });
        if reached {
            return;
        }
        match &mut self.first {
            Heap::Oldest(heap) => push(heap, (place, doc), self.limit),
            Heap::Newest(heap) => push(heap, (Reverse(place), doc), self.limit),
        }
    }

    fn is_behind_all(&self, time: i64) -> bool {
        match &self.first {
            Heap::Oldest(heap) => {
                heap.len() == self.limit && heap.peek().is_some_and(|worst| time > worst.0.time)
            }
            Heap::Newest(heap) => {
                heap.len() == self.limit && heap.peek().is_some_and(|worst| time < worst.0.0.time)
            }
        }
    }
}

fn push<T: Ord>(heap: &mut BinaryHeap<T>, value: T, limit: usize) {
    if heap.len() < limit {
        heap.push(value);
    } else if let Some(mut worst) = heap.peek_mut()
        && value < *worst
    {
        *worst = value;
    }
}

impl SegmentCollector for TopOfSegment {
    type Fruit = Found;

    fn collect(&mut self, doc: DocId, _score: Score) {
        self.total += 1;
        if self.limit > 0 {
            self.collect_place(doc);
        }
    }

    fn collect_block(&mut self, docs: &[DocId]) {
        self.total += docs.len() as u64;
        if self.limit > 0 {
            docs.iter().for_each(|doc| self.collect_place(*doc));
        }
    }

    fn harvest(self) -> Found {
        let address = |doc| DocAddress::new(self.segment, doc);
        let first = match self.first {
            Heap::Oldest(heap) => heap.into_iter().map(|(place, doc)| (place, address(doc))).collect(),
            Heap::Newest(heap) => heap.into_iter().map(|(place, doc)| (place.0, address(doc))).collect(),
        };
        Found { total: self.total, first }
    }
}
