//! Frames to a bulk body: nanoseconds per record of splicing, and of decoding and splicing. An element is a record.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_indexer::{Batch, DocumentSettings};
use weir_record::{Decoder, FileIdentity, FileKey, FrameBuilder, Group, SourceId, Timestamp};

const START: i64 = 1_795_132_800_000_000_000;
const LINE_BYTES: u64 = 327;
const RECORDS: u64 = 1000;

/// One frame of records as a shipper makes them of JSON lines of about 300 bytes.
fn frame() -> Vec<u8> {
    let identity = FileIdentity { device: 1, inode: 1, birth_nanos: 0, generation: 0 };
    let file = FileKey::new(SourceId::from_name("bench"), &identity);
    let mut builder = FrameBuilder::new(file, 0, 0).expect("a compressor");
    let group = builder.group(&Group {
        dataset: "checkout".to_owned(),
        fields: r#""service.name":"checkout","host.name":"web-1.example.com","log.file.path":"/var/log/checkout/app.log","labels.team":"payments""#.to_owned(),
    });
    for n in 0..RECORDS {
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let time = START + n as i64 * 1_000_000;
        let text = Timestamp::from_nanos(time, 6).expect("after 1970");
        let fragment = format!(
            r#""@timestamp":"{text}","log.level":"info","message":"payment authorised for order {} after 2 attempts","trace.id":"{mixed:016x}{mixed:016x}","span.id":"{mixed:016x}","attributes.order_id":{n},"attributes.user_id":"u-{}","attributes.region":"eu-central-1","attributes.amount":12.50"#,
            mixed % 1_000_000,
            mixed % 100_000,
        );
        builder.document().extend_from_slice(fragment.as_bytes());
        builder.commit(n * LINE_BYTES, Some(time), mixed, group);
    }
    let mut frames = Vec::new();
    builder.finish(RECORDS * LINE_BYTES, START, &mut frames);
    assert_eq!(frames.len(), 1);
    frames.remove(0).bytes
}

fn bulk_body(criterion: &mut Criterion) {
    let bytes = frame();
    let mut group = criterion.benchmark_group("bulk_body");
    group.throughput(Throughput::Elements(RECORDS));
    let mut batch = Batch::new(DocumentSettings::default());
    let mut decoder = Decoder::new().expect("a decompressor");
    group.bench_function("splice", |bencher| {
        let decoded = decoder.decode(&bytes).expect("a whole frame");
        bencher.iter(|| {
            batch.clear();
            batch.push(black_box(&decoded), START);
            batch.bytes()
        });
    });
    group.bench_function("decode_and_splice", |bencher| {
        bencher.iter(|| {
            batch.clear();
            batch.push(&decoder.decode(black_box(&bytes)).expect("a whole frame"), START);
            batch.bytes()
        });
    });
    group.finish();
}

criterion_group!(benches, bulk_body);
criterion_main!(benches);
