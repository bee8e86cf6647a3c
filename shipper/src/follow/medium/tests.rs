use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("compressed")
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

type Compress = fn(&[u8]) -> Vec<u8>;

const CODECS: [(Codec, Compress); 3] = [(Codec::Gzip, gzip), (Codec::Zstd, zstd), (Codec::Bzip2, bzip2)];

/// Bytes that do not repeat, so that a wrong offset shows.
fn content(length: usize) -> Vec<u8> {
    (0u64..)
        .flat_map(|n| format!("{:x} line {n}\n", n.wrapping_mul(0x9e37_79b9)).into_bytes())
        .take(length)
        .collect()
}

fn written(directory: &TempDir, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join("file");
    fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn any_position_of_a_compressed_content_reads_as_if_it_were_plain() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = content(5_000_000);
    // Two members, as `cat a.gz b.gz` makes, or a compressor that works in parallel.
    let (first, second) = plain.split_at(1_234_567);
    for (codec, compress) in CODECS {
        let path = written(&directory, &[compress(first), compress(second)].concat());
        let mut medium = Medium::open(&path).expect("opened");
        assert_eq!(medium.head().expect("a head"), plain[..HEAD_BYTES]);
        let mut buffer = vec![0; 300_000];
        for offset in [0, 262_144, 262_000, 1_234_000, 4_900_000, 4_800_000, 10, 5_000_000, 7_000_000, 1] {
            let read = medium.read(&mut buffer, offset).expect("read");
            let from = plain.len().min(offset as usize);
            let expected = &plain[from..plain.len().min(from + buffer.len())];
            assert!(buffer[..read] == *expected, "{codec:?} at {offset}: {read} bytes");
        }
        medium.read(&mut buffer, 5_000_000).expect("read");
        assert_eq!(medium.extent().expect("an extent"), Extent::Exactly(5_000_000), "{codec:?}");
        let Medium::Compressed(decoded) = medium else { panic!("{codec:?} was not recognised") };
        assert!(decoded.tail.capacity() < 3 * TAIL_BYTES_MAX, "memory is bounded");
    }
}

#[test]
fn a_file_that_is_still_being_compressed_goes_on_when_it_has_grown() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = content(2_000_000);
    for (codec, compress) in CODECS {
        let whole = compress(&plain);
        let path = written(&directory, &whole[..whole.len() / 2]);
        let mut medium = Medium::open(&path).expect("opened");
        let mut buffer = vec![0; plain.len()];
        let read = medium.read(&mut buffer, 0).expect("read");
        assert!(buffer[..read] == plain[..read], "{codec:?}");
        assert_eq!(medium.extent().expect("an extent"), Extent::BreaksOff(read as u64), "{codec:?}");
        fs::write(&path, &whole).expect("written");
        assert_eq!(medium.read(&mut buffer, 0).expect("read"), plain.len());
        assert!(buffer == plain, "{codec:?}");
    }
}

#[test]
fn what_stands_before_damage_is_read_and_the_damage_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = content(3_000_000);
    let (first, second) = plain.split_at(2_000_000);
    for (codec, compress) in CODECS {
        let mut damaged = compress(second);
        for byte in damaged.iter_mut().skip(4) {
            *byte = !*byte;
        }
        let path = written(&directory, &[compress(first), damaged].concat());
        let mut medium = Medium::open(&path).expect("opened");
        let mut buffer = vec![0; plain.len()];
        let read = medium.read(&mut buffer, 0).expect("read");
        assert!(buffer[..read] == *first, "{codec:?}: {read} bytes");
        assert_eq!(medium.extent().expect("an extent"), Extent::Damaged(2_000_000), "{codec:?}");
    }
}

#[test]
fn a_gzip_file_states_its_length_and_a_few_first_bytes_are_no_verdict() {
    let directory = tempfile::tempdir().expect("a directory");
    let medium = Medium::open(&written(&directory, &gzip(&content(70_000)))).expect("opened");
    assert_eq!(medium.stated_bytes(), Some(70_000));
    assert!(Codec::may_become(b"\x1f") && Codec::may_become(b"BZ") && Codec::may_become(b"\x28\xb5"));
    assert!(!Codec::may_become(b"") && !Codec::may_become(b"a") && !Codec::may_become(b"BZh9"));
}
