//! What a role tells those who watch it: `/metrics` in the Prometheus text format, `/live` and `/ready`.
//!
//! Prometheus exposition format 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

/// What a role shows.
pub trait Observed: Send + Sync + 'static {
    /// Its numbers now.
    fn metrics(&self) -> Vec<Metric>;

    /// Whether it does its work. Not ready is not dead: it may wait for the buffer or the index.
    fn is_ready(&self) -> bool;
}

/// One number. Those of one name stand next to each other, and differ in their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// `weir_<role>_<what>_<unit>`; counters end in `_total`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What kind of number.
    pub kind: MetricKind,
    /// Names and values; values may hold anything.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// Kind of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl Metric {
    /// A number that only grows.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Metric {
        Metric { name, help, kind: MetricKind::Counter, labels: Vec::new(), value: value as f64 }
    }

    /// A number that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Metric {
        Metric { name, help, kind: MetricKind::Gauge, labels: Vec::new(), value: value as f64 }
    }

    /// The same with one more label.
    #[must_use]
    pub fn with_label(mut self, label: &'static str, value: &str) -> Metric {
        self.labels.push((label, value.to_owned()));
        self
    }
}

/// Serves `/metrics`, `/live` and `/ready` on `address` for as long as the process lives.
///
/// # Errors
/// The address cannot be bound; the text says what to do.
pub async fn serve(address: SocketAddr, observed: Arc<dyn Observed>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot serve metrics on {address}: stop what uses it, or set another under [metrics]")
    })?;
    let ready = Arc::clone(&observed);
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(move || async move { readiness(&*ready) }))
        .route("/metrics", get(move || async move { render(&observed.metrics()) }));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "metrics are no longer served");
        }
    });
    Ok(())
}

fn readiness(observed: &dyn Observed) -> (StatusCode, &'static str) {
    if observed.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "waiting\n")
    }
}

/// The text format of Prometheus. Metrics of one name have to stand next to each other.
pub fn render(metrics: &[Metric]) -> String {
    let mut text = String::new();
    let mut described = "";
    for Metric { name, help, kind, labels, value } in metrics {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
        };
        if described != *name {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}").expect(ENDLESS);
            described = name;
        }
        writeln!(text, "{name}{} {value}", render_labels(labels)).expect(ENDLESS);
    }
    text
}

const ENDLESS: &str = "a String takes everything";

/// `{stream="logs-shop-default",reason="it said \"no\""}`
fn render_labels(labels: &[(&'static str, String)]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
    match each.collect::<Vec<_>>().join(",") {
        labels if labels.is_empty() => labels,
        labels => format!("{{{labels}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let metrics = [
            Metric::counter("weir_shipper_records_total", "Records read.", 3),
            Metric::gauge("weir_shipper_files", "Files followed.", 1).with_label("state", "open"),
            Metric::gauge("weir_shipper_files", "Files followed.", 2).with_label("state", "a\\b\"c\nd"),
        ];
        assert_eq!(
            render(&metrics),
            "# HELP weir_shipper_records_total Records read.\n# TYPE weir_shipper_records_total counter\nweir_shipper_records_total 3\n\
             # HELP weir_shipper_files Files followed.\n# TYPE weir_shipper_files gauge\nweir_shipper_files{state=\"open\"} 1\n\
             weir_shipper_files{state=\"a\\\\b\\\"c\\nd\"} 2\n"
        );
    }
}
