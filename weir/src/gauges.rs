//! Numbers of a role, read from its `/metrics`, and the few lines that `weir top` makes of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use crate::show::safe;

/// All numbers of one role at one moment.
pub struct Sample {
    at: Instant,
    numbers: Vec<Number>,
}

struct Number {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// Reads the text format of Prometheus; lines that are something else are passed over.
    pub fn parse(text: &str, at: Instant) -> Sample {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Sample { at, numbers: lines.filter_map(Number::parse).collect() }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &Number> {
        self.numbers.iter().filter(move |number| number.name == name)
    }

    /// The sum over all labels; none where the role has no such number.
    fn sum(&self, name: &str) -> Option<f64> {
        let mut values = self.all(name).map(|number| number.value).peekable();
        values.peek()?;
        Some(values.sum())
    }

    /// A second's share of what a counter grew by.
    fn rate(&self, name: &str, before: &Sample) -> Option<f64> {
        let seconds = self.at.saturating_duration_since(before.at).as_secs_f64();
        let growth = (self.sum(name)? - before.sum(name)?).max(0.0);
        Some(if seconds > 0.0 { growth / seconds } else { 0.0 })
    }
}

impl Number {
    /// `name{label="value",...} 12.5`
    fn parse(line: &str) -> Option<Number> {
        let (head, value) = line.rsplit_once(' ')?;
        let (name, labels) = match head.split_once('{') {
            Some((name, labels)) => (name, read_labels(labels.strip_suffix('}')?)?),
            None => (head, BTreeMap::new()),
        };
        Some(Number { name: name.to_owned(), labels, value: value.parse().ok()? })
    }
}

fn read_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        text = rest.get(end + 1..)?.trim_start_matches(',');
    }
    Some(labels)
}

/// What a role does now, and since `before`.
pub fn render(server: &str, before: &Sample, now: &Sample) -> String {
    let mut text = format!("{}\n", safe(server));
    let mut line = |name: &str, parts: &[Option<String>]| {
        let parts: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
        if !parts.is_empty() {
            writeln!(text, "  {name:<9}{}", parts.join("   ")).expect("a String takes everything");
        }
    };
    let rate =
        |name: &str, what: &str| now.rate(name, before).map(|rate| format!("{} {what}/s", number(rate)));
    let total = |name: &str, what: &str| now.sum(name).map(|sum| format!("{} {what}", number(sum)));
    let some = |name: &str, what: &str| total(name, what).filter(|_| now.sum(name) > Some(0.0));
    let size = |name: &str, what: &str| now.sum(name).map(|sum| format!("{} {what}", bytes(sum)));
    let speed =
        |name: &str, what: &str| now.rate(name, before).map(|rate| format!("{} {what}/s", bytes(rate)));
    line(
        "shipper",
        &[
            rate("weir_shipper_records_total", "records"),
            speed("weir_shipper_read_bytes_total", "read"),
            speed("weir_shipper_pushed_bytes_total", "pushed"),
            size("weir_shipper_behind_bytes", "not indexed yet"),
            some("weir_shipper_rewinds_total", "rewinds"),
            some("weir_shipper_vanished_bytes_total", "bytes vanished"),
        ],
    );
    line(
        "buffer",
        &[
            total("weir_worker_buffer_frames", "frames"),
            size("weir_worker_buffer_bytes", "waiting"),
            some("weir_worker_buffer_gaps_total", "gaps"),
        ],
    );
    line(
        "worker",
        &[
            rate("weir_worker_indexed_total", "indexed"),
            rate("weir_worker_duplicates_total", "duplicates"),
            rate("weir_worker_retried_total", "sent again"),
            total("weir_worker_rejected_total", "dead letters"),
            some("weir_worker_poison_frames_total", "poisonous frames"),
        ],
    );
    let breaker = now.all("weir_worker_index_breaker").find(|state| state.value == 1.0);
    line(
        "index",
        &[
            breaker
                .and_then(|state| state.labels.get("state"))
                .map(|state| format!("breaker {}", safe(state))),
            some("weir_worker_index_breaker_openings_total", "times open"),
            total("weir_worker_in_flight_limit", "bulks at once"),
            size("weir_worker_bulk_bytes_limit", "a bulk"),
        ],
    );
    for stream in now.all("weir_worker_stream_blocked") {
        let label = |name: &str| stream.labels.get(name).map(|value| safe(value));
        line("blocked", &[label("stream"), label("state")]);
    }
    text
}

/// With separators between thousands; one decimal below ten.
fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB"] {
        if value < 1024.0 {
            return format!("{} {unit}", number(value.round()));
        }
        value /= 1024.0;
    }
    format!("{value:.1} GiB")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rates_and_states_are_read_from_the_text_of_prometheus() {
        let start = Instant::now();
        let text = |records: u64, state: &str| {
            format!(
                "# HELP weir_shipper_records_total Records read.\n\
                 weir_shipper_records_total {records}\n\
                 weir_worker_index_breaker{{state=\"closed\"}} 0\n\
                 weir_worker_index_breaker{{state=\"{state}\"}} 1\n\
                 weir_worker_stream_blocked{{stream=\"logs-a\\\"b\",state=\"open\"}} 1\n\
                 weir_worker_buffer_bytes 1572864\n"
            )
        };
        let before = Sample::parse(&text(1000, "open"), start);
        let now = Sample::parse(&text(6000, "half-open"), start + Duration::from_secs(2));
        let shown = render("http://here", &before, &now);
        assert_eq!(
            shown,
            "http://here\n  shipper  2,500 records/s\n  buffer   2 MiB waiting\n  index    breaker half-open\n  \
             blocked  logs-a\"b   open\n"
        );
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (value, text) in
            [(0.0, "0"), (0.25, "0.2"), (999.0, "999"), (1000.0, "1,000"), (1_234_567.4, "1,234,567")]
        {
            assert_eq!(number(value), text);
        }
        assert_eq!(
            (bytes(1023.0), bytes(1024.0 * 1024.0), bytes(5.25 * 1024.0 * 1024.0 * 1024.0)),
            ("1,023 B".to_owned(), "1 MiB".to_owned(), "5.2 GiB".to_owned())
        );
    }

    #[test]
    fn what_is_no_number_is_passed_over() {
        let sample = Sample::parse("nonsense\nname{broken 1\nname{a=\"b\"} x\nweir_a 1\n", Instant::now());
        assert_eq!((sample.numbers.len(), sample.sum("weir_a"), sample.sum("weir_b")), (1, Some(1.0), None));
    }
}
