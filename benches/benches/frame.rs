//! Encoding and decoding one frame of JSON documents.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir_record::{Decoder, FileIdentity, FileKey, Frame, FrameBuilder, Group, SourceId};

const RECORDS: usize = 1000;

/// Of one fragment, about.
const DOCUMENT_BYTES: usize = 330;

/// One second of a service's log, as the shipper hands it over.
fn documents() -> Vec<(i64, String)> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..RECORDS)
        .map(|number| {
            let time = 1_795_212_000_000_000_000 + number as i64 * 1_000_000;
            let document = format!(
                r#""@timestamp":"2026-11-20T22:00:00.{number:06}Z","log.level":"info","message":"order {} placed by user {}","trace.id":"{:016x}{:016x}","span.id":"{:016x}","http.request.method":"POST","http.response.status_code":201,"url.path":"/api/orders/{}","event.duration":{},"attributes.cart.items":{}"#,
                random() % 1_000_000, random() % 100_000, random(), random(), random(), random() % 1_000_000,
                random() % 2_000_000_000, random() % 20,
            );
            (time, document)
        })
        .collect()
}

fn encode(builder: &mut FrameBuilder, documents: &[(i64, String)], group: &Group, frames: &mut Vec<Frame>) {
    frames.clear();
    let start = builder.start();
    let mut offset = start;
    for (time, document) in documents {
        let group = builder.group(group);
        builder.document().extend_from_slice(document.as_bytes());
        builder.commit(offset, Some(*time), offset.wrapping_mul(0x9e37_79b9_7f4a_7c15), group);
        offset += DOCUMENT_BYTES as u64;
    }
    builder.finish(offset, 1, frames);
}

fn frame(criterion: &mut Criterion) {
    let documents = documents();
    let shared = Group {
        dataset: "checkout".to_owned(),
        fields: r#""service.name":"checkout","host.name":"web-1","log.file.path":"/var/log/checkout.log""#
            .to_owned(),
    };
    let identity = FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 0 };
    let file = FileKey::new(SourceId::from_name("bench"), &identity);
    let mut builder = FrameBuilder::new(file, 0, 0).expect("a compressor");
    let mut frames = Vec::new();
    encode(&mut builder, &documents, &shared, &mut frames);

    let mut group = criterion.benchmark_group("frame");
    group.throughput(Throughput::Elements(RECORDS as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encode(&mut builder, black_box(&documents), &shared, &mut frames));
    });
    let mut decoder = Decoder::new().expect("a decompressor");
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let decode = |frame: &Frame| decoder.decode(black_box(&frame.bytes)).map(|decoded| decoded.len());
            let records: usize = frames.iter().map(decode).map(|records| records.expect("a frame")).sum();
            assert_eq!(records, RECORDS);
        });
    });
    group.finish();
}

criterion_group!(benches, frame);
criterion_main!(benches);
