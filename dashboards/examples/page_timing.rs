//! How long the page waits for its answers, over HTTP, on a million records in the embedded index.
//!
//! ```text
//! cargo run --release -p weir-dashboards --example page_timing [records]
//! ```

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Corpus, Page, add_shop, embedded, now};

const RECORDS_DEFAULT: u64 = 1_000_000;

/// Records that are made and indexed at a time.
const CHUNK: u64 = 50_000;

/// The records' event times lie within one day.
const SPAN: i64 = 86_400_000_000_000;

const REPEATS: usize = 15;

const REQUESTS: &[(&str, &str)] = &[
    ("first page, all time", "search?limit=100"),
    ("first page, last hour", "search?limit=100&from=now-1h&until=now"),
    ("first page of one service's errors", "search?limit=100&q=level:error+service:payment"),
    ("first page of a phrase", "search?limit=100&q=%22placed+by+customer%22"),
    ("first page of rare words", "search?limit=100&q=sku-477+low"),
    ("first page of status>=500", "search?limit=100&q=status%3E%3D500"),
    ("first page, oldest first", "search?limit=100&order=oldest"),
    ("histogram by level, all time", "histogram?buckets=150"),
    ("histogram by level, last 15 minutes", "histogram?buckets=150&from=now-15m&until=now"),
    ("histogram by level of a phrase", "histogram?buckets=150&q=%22placed+by+customer%22"),
    ("levels and services, all time", "terms?field=log.level&field=service.name&size=12"),
    ("levels and services of errors", "terms?field=log.level&field=service.name&size=12&q=level:error"),
    ("values of url.path, all time", "terms?field=url.path&size=10"),
    ("fields", "fields?"),
];

#[tokio::main]
async fn main() {
    let records =
        std::env::args().nth(1).map_or(RECORDS_DEFAULT, |text| text.parse().expect("a number of records"));
    let index = embedded();
    let mut corpus = Corpus::new("timing");
    let (started, end) = (Instant::now(), now());
    let chunks = (records / CHUNK).max(1);
    for chunk in 0..chunks {
        let length = SPAN / i64::try_from(chunks).expect("few chunks");
        let behind = length * i64::try_from(chunks - 1 - chunk).expect("few chunks");
        add_shop(&mut corpus, records / chunks, end - behind, length);
        corpus.index(&*index.index).await;
    }
    println!("{} records indexed in {:.1} s", index.index.documents(), started.elapsed().as_secs_f64());
    let page = Page::serve(index.index.clone()).await;
    let client = reqwest::Client::new();
    for (what, path) in REQUESTS {
        let mut times: Vec<Duration> = Vec::new();
        let mut bytes = 0;
        for _ in 0..REPEATS {
            let started = Instant::now();
            let answer = client.get(format!("{}/api/{path}", page.url)).send().await.expect("an answer");
            assert!(answer.status().is_success(), "{path}: {}", answer.status());
            bytes = answer.bytes().await.expect("a whole answer").len();
            times.push(started.elapsed());
        }
        let first = times[0];
        times.sort();
        let median = times[REPEATS / 2];
        println!(
            "{:>8.1} ms  (first {:>6.1})  {what}, {bytes} bytes",
            milliseconds(median),
            milliseconds(first)
        );
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
