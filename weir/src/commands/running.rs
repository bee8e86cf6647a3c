//! The pipeline of `weir up`, as its page shows it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use weir_buffer::Buffer;
use weir_dashboards::{Audited, Pipeline};
use weir_indexer::Search;
use weir_process::metrics::{Metric, Observed as _};
use weir_shipper::ShipSettings;
use weir_shipper::input::Watched;
use weir_worker::Counters;

use crate::audit::{Plan, SETTLE, audit};

/// All that runs beside the page.
pub struct Running<B, I> {
    shipper: Arc<Watched>,
    worker: Arc<Counters>,
    settings: ShipSettings,
    shed: Vec<String>,
    buffer: Arc<B>,
    index: Arc<I>,
}

impl<B, I> Running<B, I> {
    /// Of a shipper with these settings, between this buffer and this index. `shed`: levels that the worker may leave out.
    pub fn new(
        shipper: Arc<Watched>,
        worker: Arc<Counters>,
        settings: ShipSettings,
        shed: Vec<String>,
        buffer: &Arc<B>,
        index: &Arc<I>,
    ) -> Running<B, I> {
        Running { shipper, worker, settings, shed, buffer: Arc::clone(buffer), index: Arc::clone(index) }
    }
}

impl<B, I> fmt::Debug for Running<B, I> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Running").finish_non_exhaustive()
    }
}

impl<B: Buffer, I: Search> Pipeline for Running<B, I> {
    fn metrics(&self) -> Vec<Metric> {
        [self.shipper.metrics(), self.worker.metrics()].concat()
    }

    fn audit(&self, since: Option<i64>) -> Audited {
        let since = since.map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos.max(0) as u64));
        let (shipper, shed) = (self.settings.clone(), self.shed.clone());
        let plan = Plan { shipper, since, shed, settle: SETTLE };
        let (buffer, index) = (Arc::clone(&self.buffer), Arc::clone(&self.index));
        Box::pin(async move {
            let report = audit(plan, &*buffer, &*index).await.map_err(|error| format!("{error:#}"))?;
            serde_json::to_value(report).map_err(|error| error.to_string())
        })
    }
}
