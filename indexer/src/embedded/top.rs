//! The first hits in order, and how many there are: one pass over the columns of time, sequence and tie.

use std::cmp::Ordering;

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
    /// Candidates by [`rank`] of their time: the smallest come first. Cut to the first when it is full, so that a
    /// document costs little even where every one comes before all that were seen.
    candidates: Vec<(i64, DocId)>,
    /// What ranks behind this is not among the first.
    last: i64,
}

/// Documents that tantivy hands over at once, at most.
const BLOCK: usize = tantivy::COLLECT_BLOCK_BUFFER_LEN;

/// Candidates that are collected before they are cut, at least.
const CANDIDATES_MIN: usize = 4096;

/// Maps times so that the one that comes first in `order` is the smallest.
const fn rank(order: Order, time: i64) -> i64 {
    match order {
        Order::OldestFirst => time,
        Order::NewestFirst => !time,
    }
}

/// The same for places.
const fn rank_of(order: Order, place: Place) -> Place {
    match order {
        Order::OldestFirst => place,
        Order::NewestFirst => Place { time: !place.time, sequence: !place.sequence, tie: !place.tie },
    }
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
            candidates: Vec::new(),
            last: i64::MAX,
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
    found.sort_by_key(|(place, _)| rank_of(order, *place));
    found.truncate(limit);
    found
}

impl TopOfSegment {
    fn add(&mut self, doc: DocId, time: Option<DateTime>) {
        let time = time.map_or(0, DateTime::into_timestamp_nanos);
        let rank = rank(self.order, time);
        if rank > self.last || self.was_shown(doc, time) {
            return;
        }
        self.candidates.push((rank, doc));
        if self.candidates.len() >= CANDIDATES_MIN.max(self.limit * 2) {
            self.cut();
        }
    }

    /// Whether it stands on an earlier page. Only where its time is that page's last the rest is looked at.
    fn was_shown(&self, doc: DocId, time: i64) -> bool {
        let Some(after) = self.after else { return false };
        match rank(self.order, time).cmp(&rank(self.order, after.time)) {
            Ordering::Less => true,
            Ordering::Equal => rank_of(self.order, self.place(doc)) <= rank_of(self.order, after),
            Ordering::Greater => false,
        }
    }

    fn place(&self, doc: DocId) -> Place {
        Place {
            time: self.time.first(doc).map_or(0, DateTime::into_timestamp_nanos),
            sequence: self.sequence.first(doc).unwrap_or_default(),
            tie: self.tie.first(doc).unwrap_or_default(),
        }
    }

    /// Keeps the first `limit`. Their times decide, and beside those only for the last time the rest of the place.
    fn cut(&mut self) {
        if self.candidates.len() <= self.limit {
            return;
        }
        let (_, last, _) = self.candidates.select_nth_unstable(self.limit - 1);
        let last = last.0;
        let (mut first, mut tied) = (Vec::with_capacity(self.limit), Vec::new());
        for (rank, doc) in std::mem::take(&mut self.candidates) {
            match rank.cmp(&last) {
                Ordering::Less => first.push((rank, doc)),
                Ordering::Equal => tied.push((rank_of(self.order, self.place(doc)), doc)),
                Ordering::Greater => {}
            }
        }
        tied.sort_unstable();
        tied.truncate(self.limit - first.len());
        first.extend(tied.into_iter().map(|(_, doc)| (last, doc)));
        self.candidates = first;
        self.last = last;
    }
}

impl SegmentCollector for TopOfSegment {
    type Fruit = Found;

    fn collect(&mut self, doc: DocId, _score: Score) {
        self.total += 1;
        if self.limit > 0 {
            self.add(doc, self.time.first(doc));
        }
    }

    fn collect_block(&mut self, docs: &[DocId]) {
        self.total += docs.len() as u64;
        if self.limit == 0 {
            return;
        }
        for docs in docs.chunks(BLOCK) {
            let mut times = [None; BLOCK];
            let Some(times) = times.get_mut(..docs.len()) else { continue };
            self.time.first_vals(docs, times);
            for (doc, time) in docs.iter().zip(times) {
                self.add(*doc, *time);
            }
        }
    }

    fn harvest(mut self) -> Found {
        self.cut();
        let address = |doc| DocAddress::new(self.segment, doc);
        let first = self.candidates.iter().map(|(_, doc)| (self.place(*doc), address(*doc))).collect();
        Found { total: self.total, first }
    }
}
