//! Speed of the embedded index on JSON application logs: `cargo run --release -p weir-indexer --example
//! embedded_speed -- [DOCUMENTS]`. Prints how long indexing takes until all can be found, and how long searches take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_indexer::{
    Aggregation, Batch, DocumentSettings, Embedded, EmbeddedSettings, Index as _, Search as _, SearchRequest,
};
use weir_record::{Decoder, FileIdentity, FileKey, FrameBuilder, Group, Query, SourceId, Timestamp};

const START: i64 = 1_795_132_800_000_000_000;
const LINE_BYTES: u64 = 330;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let documents: u64 = std::env::args().nth(1).map_or(Ok(1_000_000), |count| count.parse())?;
    let directory = tempfile::tempdir()?;
    let settings = EmbeddedSettings {
        data: directory.path().to_owned(),
        retention: Duration::from_secs(86_400 * 36_500),
        max_bytes: 1 << 40,
        namespace: "default".to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    runtime.block_on(run(&settings, documents))
}

async fn run(settings: &EmbeddedSettings, documents: u64) -> Result<(), Box<dyn std::error::Error>> {
    let batches = batches(documents)?;
    let index = Arc::new(Embedded::open(settings)?);
    let (started, cpu_before) = (Instant::now(), cpu_seconds());
    let mut running = std::collections::VecDeque::new();
    for batch in batches {
        let selection: Vec<u32> = (0..batch.len() as u32).collect();
        running.push_back(index.bulk(&batch, &selection));
        if running.len() >= index.in_flight().unwrap_or(1)
            && let Some(oldest) = running.pop_front()
        {
            oldest.await?;
        }
    }
    for rest in running {
        rest.await?;
    }
    let elapsed = started.elapsed();
    println!(
        "{documents} documents in {:.2} s: {:.0}/s, {:.1} us of CPU and {:.0} bytes on disk each",
        elapsed.as_secs_f64(),
        documents as f64 / elapsed.as_secs_f64(),
        (cpu_seconds() - cpu_before) * 1e6 / documents as f64,
        index.disk_bytes() as f64 / documents as f64,
    );
    for (name, query, limit, aggregations) in searches() {
        let request = SearchRequest { limit, aggregations, ..SearchRequest::new(Query::parse(query)?) };
        let mut times = Vec::new();
        let mut total = 0;
        for _ in 0..9 {
            let response = index.search(&request).await?;
            times.push(response.took);
            total = response.total;
        }
        times.sort();
        println!("{name:40} {:>9} hits {:>8.2} ms", total, times[4].as_secs_f64() * 1e3);
    }
    Ok(())
}

/// CPU time of this process, from the kernel's account in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn searches() -> Vec<(&'static str, &'static str, usize, Vec<Aggregation>)> {
    let terms = |field: &str| Aggregation::Terms { field: field.to_owned(), size: 10 };
    let histogram = Aggregation::DateHistogram {
        interval: Duration::from_secs(30),
        split: Some(("log.level".to_owned(), 10)),
    };
    vec![
        ("newest 50 of all", "*", 50, vec![]),
        ("newest 50 errors", "level:error", 50, vec![]),
        ("word and level", "payment level:error", 50, vec![]),
        ("phrase", "\"payment authorized\"", 50, vec![]),
        ("one trace", "trace.id:4d2a8c1f00000000000000000001e240", 50, vec![]),
        ("status>=500", "status>=500", 50, vec![]),
        ("attribute", "cart.items>7", 50, vec![]),
        ("histogram by level", "*", 0, vec![histogram.clone()]),
        ("histogram by level, of a word", "payment", 0, vec![histogram.clone()]),
        ("terms of service", "*", 0, vec![terms("service")]),
        (
            "a page: 50, histogram, three terms",
            "*",
            50,
            vec![histogram, terms("level"), terms("logger"), terms("status")],
        ),
    ]
}

fn batches(documents: u64) -> Result<Vec<Arc<Batch>>, Box<dyn std::error::Error>> {
    const FRAMES_PER_BATCH: u64 = 12;
    const RECORDS_PER_FRAME: u64 = 1000;
    let mut batches = Vec::new();
    let mut first = 0;
    while first < documents {
        let mut batch = Batch::new(DocumentSettings::default());
        let mut decoder = Decoder::new()?;
        for _ in 0..FRAMES_PER_BATCH {
            let last = (first + RECORDS_PER_FRAME).min(documents);
            for frame in frames(first, last)? {
                batch.push(&decoder.decode(&frame)?, START);
            }
            first = last;
        }
        batches.push(Arc::new(batch));
    }
    Ok(batches)
}

fn frames(first: u64, last: u64) -> Result<Vec<Vec<u8>>, Box<dyn std::error::Error>> {
    let identity = FileIdentity { device: 1, inode: 1, birth_nanos: 0, generation: 0 };
    let file = FileKey::new(SourceId::from_name("bench"), &identity);
    let mut builder = FrameBuilder::new(file, first * LINE_BYTES, 0)?;
    let group = builder.group(&Group {
        dataset: "checkout".to_owned(),
        fields:
            r#""service.name":"checkout","host.name":"web-1","log.file.path":"/var/log/checkout/app.log""#
                .to_owned(),
    });
    for n in first..last {
        let (time, fragment) = fragment(n);
        builder.document().extend_from_slice(fragment.as_bytes());
        builder.commit(n * LINE_BYTES, Some(time), n, group);
    }
    let mut frames = Vec::new();
    builder.finish(last * LINE_BYTES, START, &mut frames);
    Ok(frames.into_iter().map(|frame| frame.bytes).collect())
}

/// A JSON application log's record: trace and span ids, a few attributes.
fn fragment(n: u64) -> (i64, String) {
    const MESSAGES: [&str; 5] = [
        "payment authorized for order",
        "cart updated by customer",
        "connection to inventory reset, retrying order",
        "shipment scheduled for order",
        "cache miss, loading product",
    ];
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let time = START + n as i64 * 1_000_000;
    let level =
        ["info", "info", "info", "debug", "warning", "info", "error", "info"][(mixed >> 40) as usize % 8];
    let text = Timestamp::from_nanos(time, 3).map(|time| time.to_string()).unwrap_or_default();
    let fragment = format!(
        r#""@timestamp":"{text}","log.level":"{level}","log.logger":"com.shop.Checkout{}","message":"{} {}","trace.id":"4d2a8c1f{:024x}","span.id":"{:016x}","http.response.status_code":{},"event.duration":{},"attributes.user":"u-{}","attributes.cart.items":{},"attributes.request":"{mixed:016x}""#,
        mixed % 7,
        MESSAGES[(mixed >> 20) as usize % 5],
        mixed % 100_000,
        n,
        mixed,
        [200, 200, 201, 404, 500][(mixed >> 30) as usize % 5],
        mixed % 100_000_000,
        mixed % 5000,
        mixed % 10,
    );
    (time, fragment)
}
