//! Frames are kept in buffers and files that outlive a release, and come from anybody who can write there.

use bolero::check;
use proptest::prelude::*;

use super::header::Header;
use super::*;
use crate::identity::{FileIdentity, FileKey, SourceId};
use crate::limits::{
    FRAME_ENCODED_BYTES_MAX, FRAME_ENCODED_BYTES_TARGET, FRAME_GROUPS_MAX, FRAME_RAW_BYTES_MAX,
    FRAME_RECORDS_MAX,
};

/// A record as it goes in and has to come out.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    offset: u64,
    time: Option<i64>,
    hash: u64,
    group: usize,
    document: Vec<u8>,
}

fn file() -> FileKey {
    let identity = FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 4 };
    FileKey::new(SourceId::from_name("test"), &identity)
}

fn groups(count: usize) -> Vec<Group> {
    (0..count)
        .map(|n| Group {
            dataset: format!("service_{n}"),
            fields: format!(r#""service.name":"s{n}","host.name":"ü""#),
        })
        .collect()
}

fn encode(start: u64, end: u64, lines: &[Line], groups: &[Group]) -> Vec<Frame> {
    let mut builder = FrameBuilder::new(file(), start, -5).unwrap();
    for line in lines {
        let group = builder.group(&groups[line.group]);
        builder.document().extend_from_slice(&line.document);
        builder.commit(line.offset, line.time, line.hash, group);
    }
    let mut frames = Vec::new();
    builder.finish(end, 77, &mut frames);
    assert_eq!(builder.start(), end);
    assert!(builder.is_empty());
    frames
}

/// Decodes and checks what a frame says about itself; groups are looked up, because a frame numbers its own.
fn decode(frame: &Frame, known: &[Group]) -> Vec<Line> {
    let mut decoder = Decoder::new().unwrap();
    let decoded = decoder.decode(&frame.bytes).unwrap();
    assert_eq!(decoded.header, frame.header);
    assert_eq!(decoded.len(), frame.header.count as usize);
    let times = || decoded.records().filter_map(|record| record.time);
    assert_eq!(decoded.header.first_time, times().min().unwrap_or(i64::MAX));
    assert_eq!(decoded.header.last_time, times().max().unwrap_or(i64::MIN));
    decoded
        .records()
        .map(|record| {
            let (dataset, fields) = decoded.groups[record.group];
            let is_it = |group: &Group| group.dataset == dataset && group.fields == fields;
            Line {
                offset: record.offset,
                time: record.time,
                hash: record.hash,
                group: known.iter().position(is_it).unwrap(),
                document: record.document.to_vec(),
            }
        })
        .collect()
}

fn error_of(bytes: &[u8]) -> FrameError {
    match Decoder::new().unwrap().decode(bytes) {
        Ok(_) => panic!("it was taken for a frame"),
        Err(error) => error,
    }
}

/// Lines in file order: distance to the one before, time, hash, group, document.
fn any_lines(documents: impl Strategy<Value = Vec<u8>>, count: usize) -> impl Strategy<Value = Vec<Line>> {
    let line = (1..5000u64, any::<Option<i64>>(), any::<u64>(), 0..3usize, documents);
    prop::collection::vec(line, 0..count).prop_map(|lines| {
        let mut offset = 99;
        let mut place = |distance| {
            offset += distance;
            offset
        };
        let line = |(distance, time, hash, group, document)| Line {
            offset: place(distance),
            time,
            hash,
            group,
            document,
        };
        lines.into_iter().map(line).collect()
    })
}

fn end_of(lines: &[Line]) -> u64 {
    lines.last().map_or(100, |line| line.offset + 1)
}

fn some_lines(count: u64) -> Vec<Line> {
    let line = |n: u64| Line {
        offset: n * 100,
        time: (!n.is_multiple_of(3)).then(|| 1_795_212_000_000_000_000 + n as i64 * 1_000_003),
        hash: crate::identity::line_hash(&n.to_le_bytes()),
        group: (n % 2) as usize,
        document: format!(r#""message":"line {n}","log.level":"info""#).into_bytes(),
    };
    (0..count).map(line).collect()
}

proptest! {
    #[test]
    fn any_records_read_back_as_they_were(
        lines in any_lines(prop::collection::vec(any::<u8>(), 0..400), 60),
        beyond in 0..1000u64,
    ) {
        let groups = groups(3);
        let end = end_of(&lines) + beyond;
        let frames = encode(100, end, &lines, &groups);
        let read: Vec<Line> = frames.iter().flat_map(|frame| decode(frame, &groups)).collect();
        prop_assert_eq!(read, lines);
    }

    #[test]
    fn frames_that_had_to_be_cut_are_small_and_leave_no_hole(
        lines in any_lines(prop::collection::vec(any::<u8>(), 5_000..20_000), 40),
    ) {
        let groups = groups(3);
        let end = end_of(&lines);
        let frames = encode(100, end, &lines, &groups);
        let mut place = 100;
        for frame in &frames {
            prop_assert_eq!(frame.header.start, place);
            place = frame.header.end;
            prop_assert!(frame.bytes.len() <= FRAME_ENCODED_BYTES_TARGET || frame.header.count == 1);
            prop_assert_eq!((frame.header.sequence_base, frame.header.read_time), (-5, 77));
        }
        prop_assert_eq!(place, end);
        let read: Vec<Line> = frames.iter().flat_map(|frame| decode(frame, &groups)).collect();
        prop_assert_eq!(read, lines);
    }
}

#[test]
fn a_builder_is_used_again_without_a_trace_of_the_last_frame() {
    let groups = groups(2);
    let lines = some_lines(10);
    let mut builder = FrameBuilder::new(file(), 0, -5).unwrap();
    let mut frames = Vec::new();
    for half in lines.chunks(5) {
        for line in half {
            let group = builder.group(&groups[line.group]);
            builder.document().extend_from_slice(b"not wanted");
            builder.rollback();
            builder.document().extend_from_slice(&line.document);
            assert_eq!(builder.pending_document(), line.document);
            builder.commit(line.offset, line.time, line.hash, group);
        }
        builder.document().extend_from_slice(b"never committed");
        builder.finish(half[4].offset + 100, 77, &mut frames);
    }
    let read: Vec<Line> = frames.iter().flat_map(|frame| decode(frame, &groups)).collect();
    assert_eq!(read, lines);
    assert_eq!(frames[1].header.start, frames[0].header.end);
}

#[test]
fn a_frame_without_records_covers_its_bytes() {
    let frames = encode(5, 5000, &[], &[]);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].header.start, frames[0].header.end, frames[0].header.count), (5, 5000, 0));
    assert_eq!(decode(&frames[0], &[]), []);
}

#[test]
fn a_full_builder_says_so_in_time() {
    let groups = groups(1);
    let mut builder = FrameBuilder::new(file(), 0, 0).unwrap();
    let mut records = 0;
    while !builder.is_full() {
        let group = builder.group(&groups[0]);
        builder.commit(records, None, 0, group);
        records += 1;
    }
    assert_eq!(records as usize, FRAME_RECORDS_MAX);
    let mut frames = Vec::new();
    builder.finish(records, 0, &mut frames);
    let read: usize = frames.iter().map(|frame| decode(frame, &groups).len()).sum();
    assert_eq!(read, FRAME_RECORDS_MAX);
}

#[test]
fn every_prefix_is_incomplete() {
    let frame = encode(0, 2000, &some_lines(20), &groups(2)).remove(0);
    for have in 0..frame.bytes.len() {
        let error = error_of(&frame.bytes[..have]);
        assert!(
            matches!(error, FrameError::Incomplete { have: said, need } if said == have && need > have),
            "{error}"
        );
    }
    let mut longer = frame.bytes.clone();
    longer.push(0);
    assert_eq!(error_of(&longer), FrameError::Malformed("bytes follow the frame"));
}

#[test]
fn every_flipped_bit_of_a_small_frame_is_refused() {
    let frame = encode(0, 300, &some_lines(3), &groups(2)).remove(0);
    for bit in 0..frame.bytes.len() * 8 {
        let mut bytes = frame.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        error_of(&bytes);
    }
}

#[test]
fn flipped_bits_all_over_a_large_frame_are_refused() {
    let frame = encode(0, 100_000, &some_lines(1000), &groups(2)).remove(0);
    let bits = frame.bytes.len() * 8;
    for bit in (0..bits).step_by(bits / 997) {
        let mut bytes = frame.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        error_of(&bytes);
    }
}

/// Writes a number into the header, and sets the CRC right.
fn forge(frame: &Frame, at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = frame.bytes.clone();
    bytes[at..at + value.len()].copy_from_slice(value);
    set_checksum(&mut bytes);
    bytes
}

fn set_checksum(bytes: &mut [u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..100]);
    hasher.update(&bytes[Header::BYTES..]);
    bytes[100..104].copy_from_slice(&hasher.finalize().to_le_bytes());
}

#[test]
fn lengths_over_their_limits_are_refused_whatever_else_is_right() {
    let frame = encode(0, 300, &some_lines(3), &groups(2)).remove(0);
    let four_gib = u32::MAX.to_le_bytes();
    for (at, limit) in [(88, FRAME_RECORDS_MAX), (92, FRAME_RAW_BYTES_MAX), (96, FRAME_ENCODED_BYTES_MAX)] {
        let error = error_of(&forge(&frame, at, &four_gib));
        assert!(
            matches!(error, FrameError::Limit { value, limit: said, .. } if value == u32::MAX as usize && said == limit),
            "{error}"
        );
    }
    assert_eq!(error_of(&forge(&frame, 4, &[2])), FrameError::Version(2));
    assert_eq!(error_of(&forge(&frame, 5, &[9])), FrameError::Codec(9));
    assert_eq!(error_of(&forge(&frame, 0, b"W3IR")), FrameError::Magic);
    assert_eq!(
        error_of(&forge(&frame, 48, &[0; 8])),
        FrameError::Malformed("its columns contradict each other")
    );
    assert_eq!(error_of(&forge(&frame, 40, &[255; 8])), FrameError::Malformed("it ends before it starts"));
}

/// A frame of version 1 around any columns.
fn frame_around(columns: &[u8], raw_bytes: u32, hashes: &[u8]) -> Vec<u8> {
    let mut bytes = encode(0, 300, &[], &[]).remove(0).bytes;
    bytes.truncate(Header::BYTES);
    bytes.extend_from_slice(hashes);
    bytes.extend_from_slice(columns);
    let payload = (bytes.len() - Header::BYTES) as u32;
    bytes[5] = 1;
    bytes[88..92].copy_from_slice(&(hashes.len() as u32 / 8).to_le_bytes());
    bytes[92..96].copy_from_slice(&raw_bytes.to_le_bytes());
    bytes[96..100].copy_from_slice(&payload.to_le_bytes());
    set_checksum(&mut bytes);
    bytes
}

#[test]
fn a_decompression_bomb_goes_no_further_than_its_stated_length() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
    assert!(bomb.len() < FRAME_ENCODED_BYTES_MAX);
    for stated in [0, 1000, FRAME_RAW_BYTES_MAX as u32] {
        let error = error_of(&frame_around(&bomb, stated, &[]));
        assert!(matches!(error, FrameError::Malformed(_)), "{error}");
    }
}

#[test]
fn too_many_groups_are_refused_before_they_are_collected() {
    let mut columns = Vec::new();
    varint::push(&mut columns, u64::MAX);
    let compressed = zstd::bulk::compress(&columns, 1).unwrap();
    let error = error_of(&frame_around(&compressed, columns.len() as u32, &[]));
    assert!(matches!(error, FrameError::Limit { limit, .. } if limit == FRAME_GROUPS_MAX), "{error}");
}

#[test]
fn columns_that_end_early_or_late_are_refused() {
    // No group; lengths, offsets, times, groups; then documents.
    for columns in
        [&[0u8, 9, 0, 0, 0][..], &[0, 1, 1, 0, 0, 2, 0], &[0, 0, 0, 0, 0, 7], &[1, 3, 0], &[1, 0, 1, 255]]
    {
        let compressed = zstd::bulk::compress(columns, 1).unwrap();
        let error = error_of(&frame_around(&compressed, columns.len() as u32, &[0; 8]));
        assert!(matches!(error, FrameError::Malformed(_)), "{columns:?}: {error}");
    }
}

/// Decoding whatever comes must end in a frame or an error; a frame must be readable to its last record.
fn read_all(bytes: &[u8]) {
    if let Ok(frame) = Decoder::new().unwrap().decode(bytes) {
        for record in frame.records() {
            assert!(record.group < frame.groups.len());
            assert!((frame.header.start..frame.header.end).contains(&record.offset));
            frame.id(&record).to_text();
        }
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    check!().with_max_len(4096).for_each(read_all);
}

#[test]
fn no_columns_behind_a_right_checksum_make_the_decoder_panic() {
    check!().with_max_len(4096).for_each(|input: &[u8]| {
        let Some((&records, columns)) = input.split_first() else { return };
        let hashes = vec![7; usize::from(records % 8) * 8];
        // As they are, and compressed: the decompressor may refuse, or hand them on.
        let mut raw = frame_around(columns, columns.len() as u32, &hashes);
        raw[5] = 0;
        set_checksum(&mut raw);
        read_all(&raw);
        read_all(&frame_around(columns, 4096, &hashes));
        let compressed = zstd::bulk::compress(columns, 1).unwrap();
        read_all(&frame_around(&compressed, columns.len() as u32, &hashes));
    });
}

#[test]
fn no_change_behind_a_right_checksum_makes_the_decoder_panic() {
    let frame = {
        let groups = groups(2);
        let mut frame = encode(0, 2000, &some_lines(20), &groups).remove(0);
        // Columns as they are, so that each change reaches them.
        let mut decoder = Decoder::new().unwrap();
        decoder.decode(&frame.bytes).unwrap();
        let hashes = frame.bytes[Header::BYTES..Header::BYTES + 160].to_vec();
        let raw = zstd::bulk::decompress(&frame.bytes[Header::BYTES + 160..], 1 << 20).unwrap();
        frame.bytes = frame_around(&raw, raw.len() as u32, &hashes);
        frame.bytes[48..56].copy_from_slice(&2000u64.to_le_bytes());
        frame.bytes[5] = 0;
        set_checksum(&mut frame.bytes);
        assert_eq!(Decoder::new().unwrap().decode(&frame.bytes).map(|frame| frame.len()), Ok(20));
        frame
    };
    check!().with_type::<Vec<(u16, u8)>>().for_each(|changes| {
        let mut bytes = frame.bytes.clone();
        for (place, value) in changes.iter().take(8) {
            let place = usize::from(*place) % bytes.len();
            bytes[place] ^= value;
        }
        set_checksum(&mut bytes);
        read_all(&bytes);
    });
}

/// Written once, by the first release. It has to be read by every later one.
const GOLDEN: &[u8] = include_bytes!("../../tests/golden/frame-v1.bin");

fn golden_lines() -> Vec<Line> {
    let line = |offset, time, hash, group, document: &str| Line {
        offset,
        time,
        hash,
        group,
        document: document.as_bytes().to_vec(),
    };
    let mut lines = vec![
        line(
            1000,
            Some(1_795_212_000_123_456_789),
            1,
            0,
            r#""@timestamp":"2026-11-20T22:00:00.123456789Z","message":"eins""#,
        ),
        line(1100, None, u64::MAX, 1, r#""@timestamp":"2026-11-20T22:00:01.000Z","message":"zwei \"ü\"""#),
        line(1101, Some(-1), 0, 0, ""),
        line(70_000, Some(i64::MAX), 42, 2, r#""message":"vier""#),
    ];
    lines.extend((0..40).map(|n| line(80_000 + n, Some(n as i64), n, 0, r#""message":"repeated""#)));
    lines
}

#[test]
fn a_frame_of_version_1_reads_the_same_for_ever() {
    let groups = groups(3);
    let header = Header::read(GOLDEN).unwrap();
    let frame = Frame { header, bytes: GOLDEN.to_vec(), dataset: String::new() };
    assert_eq!(decode(&frame, &groups), golden_lines());
    let Header { file: of, start, end, first_time, last_time, read_time, sequence_base, count, .. } =
        frame.header;
    assert_eq!((of, start, end), (file(), 900, 90_000));
    assert_eq!((first_time, last_time, read_time), (-1, i64::MAX, 77));
    assert_eq!((sequence_base, count), (-5, 44));
    assert_eq!(of.to_bytes(), file().to_bytes());
}

#[test]
fn what_is_written_today_is_what_was_written_into_the_golden_file() {
    // The compressor may change with its version; everything that it is given may not.
    let frame = encode(900, 90_000, &golden_lines(), &groups(3)).remove(0);
    let raw = |bytes: &[u8]| {
        let header = Header::read(bytes).unwrap();
        let hashes = header.hashes_bytes();
        zstd::bulk::decompress(&bytes[Header::BYTES + hashes..], 1 << 20).unwrap()
    };
    assert_eq!(raw(&frame.bytes), raw(GOLDEN));
    assert_eq!(frame.bytes[..96], GOLDEN[..96]);
}
