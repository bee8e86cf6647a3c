//! Whatever is read when, in whatever portions, from whatever frame on: the same bytes make the same records.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weir_record::frame::Decoder;
use weir_record::limits::FRAME_ENCODED_BYTES_TARGET;
use weir_record::{FileIdentity, FileKey, Frame, FrameBuilder, SourceId};

use super::*;
use crate::follow::records::Assembler;
use crate::parse::Format;
use crate::settings::SourceSettings;

/// 2026-11-21T12:00:00Z: long after the lines were written.
const READ_TIME: i64 = 1_795_262_400_000_000_000;

/// `_id` to message and stream.
type Records = BTreeMap<String, (u64, String, String, Vec<String>)>;

fn key() -> FileKey {
    FileKey::new(
        SourceId::from_name("test"),
        &FileIdentity { device: 1, inode: 2, birth_nanos: 3, generation: 0 },
    )
}

fn source(format: Format) -> SourceSettings {
    let mut source = SourceSettings::new(Vec::new());
    source.format = format;
    source
}

/// Reads `file` from `start`, seeing `portions` more bytes at each look, and lets the last look take the rest as
/// `at_end`.
fn read(
    file: &[u8],
    start: usize,
    portions: &mut dyn Iterator<Item = usize>,
    at_end: AtEnd,
    source: &SourceSettings,
) -> Vec<Frame> {
    let mut assembler = Assembler::new(source, None, None);
    assembler.see_head(&file[..file.len().min(16 * 1024)]);
    let mut builder = FrameBuilder::new(key(), start as u64, 0).expect("a builder");
    let mut frames = Vec::new();
    let (mut offset, mut seen) = (start, start);
    loop {
        seen = (seen + portions.next().unwrap_or(usize::MAX / 2).max(1)).min(file.len());
        let end = if seen == file.len() { at_end } else { AtEnd::Wait };
        let mut sink = Sink { builder: &mut builder, frames: &mut frames, read_time: READ_TIME };
        let taken = assembler.take(&file[offset..seen], offset as u64, end, &mut sink);
        offset += taken.bytes;
        if builder.start() < offset as u64 {
            builder.finish(offset as u64, READ_TIME, &mut frames);
        }
        if seen == file.len() {
            return frames;
        }
    }
}

fn records(frames: &[Frame]) -> Records {
    let mut decoder = Decoder::new().expect("a decoder");
    let mut records = Records::new();
    for frame in frames {
        let decoded = decoder.decode(&frame.bytes).expect("a frame");
        for record in decoded.records() {
            let document: serde_json::Value =
                serde_json::from_str(&format!("{{{}}}", String::from_utf8_lossy(record.document)))
                    .expect("JSON");
            let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
            let tags = document["tags"].as_array().into_iter().flatten();
            // Plain words are no format.
            let tags = tags.map(|tag| tag.as_str().unwrap_or_default().to_owned());
            let tags = tags.filter(|tag| tag != "unparsed").collect();
            let id = String::from_utf8_lossy(&decoded.id(&record).to_text()).into_owned();
            let before = records.insert(id, (record.offset, text("message"), text("log.iostream"), tags));
            assert_eq!(before, None, "an id stands once");
        }
    }
    records
}

fn messages(file: &str, format: Format) -> Vec<String> {
    let frames = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source(format));
    let mut records: Vec<_> = records(&frames).into_values().collect();
    records.sort();
    records
        .into_iter()
        .map(|(_, message, stream, tags)| format!("{stream} {message}{}", tags.join(",")))
        .collect()
}

fn cri(millis: usize, stream: &str, tag: &str, text: &str) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!(
        "2026-11-21T10:{:02}:{:02}.{millis:03}000001Z {stream} {tag} {text}\n",
        seconds / 60,
        seconds % 60
    )
}

#[test]
fn pieces_of_two_streams_are_never_glued_together() {
    let file = [
        cri(0, "stdout", "P", "out one, "),
        cri(0, "stderr", "P", "err one, "),
        cri(0, "stdout", "P", "out two, "),
        cri(0, "stderr", "F", "err end"),
        cri(0, "stdout", "F", "out end"),
        cri(1, "stdout", "F", "next"),
    ]
    .concat();
    let expected = ["stdout out one, out two, out end", "stderr err one, err end", "stdout next"];
    assert_eq!(messages(&file, Format::Auto), expected);
}

#[test]
fn a_stack_trace_of_one_stream_goes_through_lines_of_the_other() {
    let file = [
        cri(0, "stderr", "F", "2026-11-21 10:00:00 ERROR failed"),
        cri(0, "stdout", "F", r#"{"msg":"between"}"#),
        cri(1, "stderr", "F", "java.lang.IllegalStateException: x"),
        cri(1, "stderr", "P", "\tat com.x."),
        cri(1, "stdout", "F", r#"{"msg":"again"}"#),
        cri(1, "stderr", "F", "Foo(Foo.java:1)"),
        cri(2, "stderr", "F", "2026-11-21 10:00:00 INFO on"),
    ]
    .concat();
    let messages = messages(&file, Format::Cri);
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(
        messages[0].contains("failed") && messages[1..3] == ["stdout between", "stdout again"],
        "{messages:?}"
    );
}

#[test]
fn docker_pieces_are_joined_and_the_envelope_gives_the_time() {
    let line = |log: &str, stream: &str, fraction: &str| {
        format!(
            "{{\"log\":\"{log}\",\"stream\":\"{stream}\",\"time\":\"2026-11-21T10:00:00.{fraction}Z\"}}\n"
        )
    };
    let file = [
        line("one ", "stdout", "1"),
        line("{\\\"msg\\\":\\\"in between\\\"}\\n", "stderr", "2"),
        line("two\\n", "stdout", "3"),
    ]
    .concat();
    assert_eq!(messages(&file, Format::Auto), ["stdout one two", "stderr in between"]);
    let frames = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source(Format::Auto));
    let first =
        Decoder::new().expect("a decoder").decode(&frames[0].bytes).expect("a frame").header.first_time;
    assert_eq!(first, 1_795_255_200_100_000_000);
}

#[test]
fn what_is_not_wrapped_stays_a_record_of_its_own() {
    let file = [
        cri(0, "stdout", "P", "half, "),
        "stranger\n".to_owned(),
        cri(0, "stdout", "F", "whole"),
        "\tat the end\n".to_owned(),
    ]
    .concat();
    let expected = ["stdout half, whole", " stranger", " \tat the end"];
    assert_eq!(messages(&file, Format::Auto), expected);
}

#[test]
fn a_line_whose_last_piece_never_comes_is_kept_and_says_so() {
    let late = [cri(0, "stdout", "P", "begun"), cri(9000, "stdout", "F", "another line")].concat();
    assert_eq!(messages(&late, Format::Auto), ["stdout begunpartial", "stdout another line"]);
    let ended = cri(0, "stdout", "P", "begun");
    assert_eq!(messages(&ended, Format::Auto), ["stdout begunpartial"]);
    // At the end of a file that may still grow it is waited for by the reader's clock.
    let source = source(Format::Cri);
    let wait = read(ended.as_bytes(), 0, &mut std::iter::empty(), AtEnd::Wait, &source);
    let quiet = read(ended.as_bytes(), 0, &mut std::iter::empty(), AtEnd::Lines, &source);
    assert_eq!((records(&wait).len(), records(&quiet).len()), (0, 1));
}

#[test]
fn a_quiet_stream_does_not_hold_the_other_one_up() {
    let mut file = cri(0, "stderr", "F", "2026-11-21 10:00:00 WARN held");
    for at in 0..50 {
        file += &cri(at * 10, "stdout", "F", "2026-11-21 10:00:00 INFO runs");
    }
    let frames = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::Wait, &source(Format::Cri));
    assert!(records(&frames).len() > 45, "{}", records(&frames).len());
}

/// A line of the Collector's.
fn export(bodies: &[&str]) -> String {
    let records: Vec<String> =
        bodies.iter().map(|body| format!(r#"{{"body":{{"stringValue":"{body}"}}}}"#)).collect();
    format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[]}},"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
        records.join(",")
    )
}

#[test]
fn the_records_of_an_export_are_told_apart_and_come_in_one_frame() {
    let random =
        |seed: u32| (0..300u32).map(move |at| line_hash(&[seed.to_le_bytes(), at.to_le_bytes()].concat()));
    let bodies: Vec<String> =
        (0..100).map(|seed| random(seed).map(|hash| format!("{hash:x}")).collect()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let line = export(&bodies);
    let file = format!("{line}\nbetween\n{line}\nat the end\n");
    let frames = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source(Format::Auto));
    let (starts, counts): (Vec<u64>, Vec<u32>) =
        frames.iter().map(|frame| (frame.header.start, frame.header.count)).unzip();
    // Each export is larger than a frame ought to be: it is not cut all the same.
    assert!(frames.iter().filter(|frame| frame.bytes.len() > FRAME_ENCODED_BYTES_TARGET).count() == 2);
    let second = line.len() as u64 + 1;
    assert!(starts.iter().all(|start| [0, second, second + 8, 2 * second + 8].contains(start)), "{starts:?}");
    assert_eq!(counts.iter().sum::<u32>(), 202);
    let expected: Vec<&str> =
        bodies.iter().copied().chain(["between"]).chain(bodies.clone()).chain(["at the end"]).collect();
    let mut found: Vec<_> = records(&frames).into_values().collect();
    found.sort();
    assert!(found.iter().map(|(_, message, ..)| message).eq(&expected));
}

#[test]
fn an_export_whose_end_is_cut_off_loses_only_that() {
    let body = "y".repeat(400_000);
    let line = export(&[&body, &body, &body]);
    let frames =
        read(format!("{line}\n").as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source(Format::Auto));
    let mut found: Vec<_> = records(&frames).into_values().collect();
    found.sort();
    let bytes: Vec<usize> = found.iter().map(|(_, message, ..)| message.len()).collect();
    assert_eq!(bytes[..2], [400_000, 400_000]);
    assert!(found[2].1.starts_with(",{\"body\"") && found.len() == 3, "{:?}", &bytes);
    let mut decoder = Decoder::new().expect("a decoder");
    let last = decoder.decode(&frames.last().expect("frames").bytes).expect("a frame");
    let document = last.records().last().expect("a record").document.to_vec();
    let missing = format!("\"log.truncated_bytes\":{}", line.len() - LINE_BYTES_MAX);
    assert!(String::from_utf8_lossy(&document).contains(&missing), "{missing}");
}

/// A line of a random container: which stream, in pieces or not, how much later, how long, and what it is.
fn line() -> impl Strategy<Value = (bool, bool, usize, usize, usize)> {
    (
        any::<bool>(),
        prop::bool::weighted(0.4),
        prop_oneof![8 => 0..30usize, 1 => 100..9000usize],
        0..40usize,
        0..5usize,
    )
}

fn write(lines: &[(bool, bool, usize, usize, usize)], scale: usize) -> String {
    let mut millis = 0;
    let line =
        |(number, (stream, partial, later, length, kind)): (usize, &(bool, bool, usize, usize, usize))| {
            millis += later;
            let stream = if *stream { "stdout" } else { "stderr" };
            let filler = "x".repeat(length * scale);
            let text = match kind {
                0 if number % 3 == 0 => export(&[&format!("{number} {filler}"), &format!("{number}"), "x"]),
                0 => format!("{{\"msg\":\"{number} {filler}\"}}"),
                1 => format!("2026-11-21 10:00:00 INFO {number} {filler}"),
                2 => format!("\tat com.x.Foo{number}({filler})"),
                3 => String::new(),
                _ => format!("java.lang.Error{number}: {filler}"),
            };
            if *kind == 4 && number % 7 == 0 {
                return format!("stranger {number}\n");
            }
            cri(millis, stream, if *partial { "P" } else { "F" }, &text)
        };
    lines.iter().enumerate().map(line).collect()
}

fn check_replays(file: &str, cuts: &[usize], stride: usize) -> Result<(), TestCaseError> {
    let source = source(Format::Cri);
    let file = file.as_bytes();
    let whole = read(file, 0, &mut std::iter::empty(), AtEnd::All, &source);
    let expected = records(&whole);
    // In portions of any size, which cut lines, pieces and records.
    let mut portions = cuts.iter().copied();
    let piecemeal = read(file, 0, &mut portions, AtEnd::All, &source);
    prop_assert_eq!(&records(&piecemeal), &expected);
    // From the start of any frame of any reading: what comes behind it is the same, and nothing else is.
    for frame in whole.iter().chain(&piecemeal).step_by(stride) {
        let start = frame.header.start as usize;
        let again = records(&read(file, start, &mut portions, AtEnd::All, &source));
        let rest: Records = expected
            .iter()
            .filter(|(_, record)| record.0 >= start as u64)
            .map(|(id, r)| (id.clone(), r.clone()))
            .collect();
        prop_assert_eq!(&again, &rest, "from {}", start);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_read_in_any_portions_from_any_frame_makes_the_same_records(
        lines in prop::collection::vec(line(), 1..60),
        portions in prop::collection::vec(1..700usize, 0..40),
    ) {
        check_replays(&write(&lines, 1), &portions, 1)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn records_and_tangles_that_are_too_long_are_ended_at_the_same_places(
        lines in prop::collection::vec(line(), 60..160),
        portions in prop::collection::vec(1..400_000usize, 0..40),
    ) {
        check_replays(&write(&lines, 3000), &portions, 5)?;
    }
}

/// Reads line by line as they are written, at the time the next one is: whatever the reader holds by its own clock is
/// given up where the file is quiet for [`HOLD`](crate::settings::HOLD).
fn read_live(file: &str) -> Vec<Frame> {
    let hold = crate::settings::HOLD.as_nanos() as i64;
    let mut assembler = Assembler::new(&source(Format::Cri), None, None);
    let mut builder = FrameBuilder::new(key(), 0, 0).expect("a builder");
    let (mut frames, mut offset, mut seen, mut written) = (Vec::new(), 0, 0, 0);
    let mut lines = file.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        seen += line.len();
        let time =
            |line: &str| Wrapping::Cri.read(line.as_bytes(), &mut Vec::new()).map(|piece| piece.time.nanos());
        written = time(line).unwrap_or(written);
        let next = lines.peek().and_then(|line| time(line));
        let at_end = match next {
            None if lines.peek().is_none() => AtEnd::All,
            Some(next) if next - written >= hold => AtEnd::Lines,
            _ => AtEnd::Wait,
        };
        let read_time = next.unwrap_or(written) - 1;
        let mut sink = Sink { builder: &mut builder, frames: &mut frames, read_time };
        offset += assembler.take(&file.as_bytes()[offset..seen], offset as u64, at_end, &mut sink).bytes;
        builder.finish(offset as u64, read_time, &mut frames);
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn following_a_file_while_it_is_written_makes_the_records_that_reading_it_later_makes(
        lines in prop::collection::vec(line(), 1..60),
    ) {
        let file = write(&lines, 1);
        let later = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source(Format::Cri));
        prop_assert_eq!(records(&read_live(&file)), records(&later));
    }
}

#[test]
fn whatever_is_open_a_window_has_a_cut() {
    // Two streams, each in the middle of a line whenever the other ends one.
    let piece = "x".repeat(16 * 1024);
    let mut file = String::new();
    for round in 0..400 {
        let (stream, tag) =
            (["stdout", "stderr"][round / 3 % 2], if round % 6 == 2 || round % 6 == 4 { "F" } else { "P" });
        file += &cri(round, stream, tag, &piece);
    }
    let mut assembler = Assembler::new(&source(Format::Cri), None, None);
    let mut builder = FrameBuilder::new(key(), 0, 0).expect("a builder");
    let (mut frames, mut offset) = (Vec::new(), 0);
    while offset + WINDOW_BYTES_MAX < file.len() {
        let mut sink = Sink { builder: &mut builder, frames: &mut frames, read_time: READ_TIME };
        let window = &file.as_bytes()[offset..offset + WINDOW_BYTES_MAX];
        let taken = assembler.take(window, offset as u64, AtEnd::Wait, &mut sink);
        assert!(taken.bytes > 0, "no cut behind {offset}");
        offset += taken.bytes;
    }
    assert!(offset > 0, "the file is longer than a window");
}

#[test]
fn utf_16_is_decoded_and_its_offsets_are_those_of_the_file() {
    let text = "\u{feff}2026-11-21 10:00:00 INFO größe\r\n2026-11-21 10:00:01 INFO \u{0a0a}\r\n";
    let file: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let frames = read(&file, 0, &mut [1, 3, 5, 8, 40].into_iter(), AtEnd::All, &source(Format::Auto));
    let records: Vec<_> = records(&frames).into_values().collect();
    let offsets: Vec<u64> = records.iter().map(|record| record.0).collect();
    let second = 2 * text.split_inclusive('\n').next().expect("a line").encode_utf16().count() as u64;
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(offsets.contains(&0) && offsets.contains(&second), "{offsets:?}");
    assert!(records.iter().any(|record| record.1.ends_with("größe")), "{records:?}");
    assert!(records.iter().any(|record| record.1.ends_with('\u{0a0a}')), "{records:?}");
}

#[test]
fn dockers_lines_inside_of_another_engines_are_unwrapped_twice() {
    let line = |log: &str, stream: &str| {
        format!(
            "2026-11-20T21:39:20.000000005Z stdout F {{\"log\":\"{log}\\n\",\"stream\":\"{stream}\",\"time\":\"2026-11-20T21:39:19.123456789Z\"}}\n"
        )
    };
    let file = [
        line("2026-11-20 21:39:19 ERROR gone", "stderr"),
        line("{\\\"level\\\":\\\"info\\\",\\\"msg\\\":\\\"inner\\\"}", "stdout"),
        line("java.io.IOException: x", "stderr"),
        line("\\tat a.B.c(B.java:1)", "stderr"),
    ]
    .concat();
    for start in [0, file.find("\n").expect("a line") + 1] {
        let mut portions = [1, 7, 300].into_iter();
        let read = read(file.as_bytes(), start, &mut portions, AtEnd::All, &source(Format::Auto));
        let messages: Vec<String> = records(&read).into_values().map(|record| record.1).collect();
        assert!(messages.contains(&"inner".to_owned()), "{messages:?}");
        assert_eq!(messages.len(), 2, "{messages:?}");
    }
}

#[test]
fn a_colour_hides_no_secret_and_makes_no_record() {
    use crate::redact::{RedactSettings, Redactor};
    let mut source = source(Format::Auto);
    let settings = RedactSettings { secrets: true, ..RedactSettings::default() };
    source.redactor = Some(std::sync::Arc::new(Redactor::new(&settings).expect("compiled")));
    let file = "password\x1b[2m=\x1b[0mhunter2secret\n\x1b[0m\nnext\n";
    let records = records(&read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source));
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records.values().all(|record| !record.1.contains("hunter2")), "{records:?}");
}

#[test]
fn removing_colours_leaves_every_id_as_it_was() {
    let file =
        "2026-11-21 10:00:00 \x1b[31mERROR\x1b[0m failed\n\x1b[2mjava.lang.Error: x\x1b[0m\n10%\r90%\n";
    let mut keeping = source(Format::Plain);
    keeping.text.ansi = weir_config::Ansi::Keep;
    let kept = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &keeping);
    let plain = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &source(Format::Plain));
    let mut stripping = source(Format::Plain);
    stripping.text.ansi = weir_config::Ansi::Strip;
    stripping.text.carriage_return = weir_config::CarriageReturn::Last;
    let stripped = read(file.as_bytes(), 0, &mut std::iter::empty(), AtEnd::All, &stripping);
    let (kept, plain, stripped) = (records(&kept), records(&plain), records(&stripped));
    assert!(kept.keys().eq(plain.keys()));
    assert!(kept.values().any(|record| record.1.contains('\x1b')), "{kept:?}");
    assert!(plain.values().all(|record| !record.1.contains('\x1b')), "{plain:?}");
    assert!(plain.keys().eq(stripped.keys()));
    assert!(stripped.values().all(|record| !record.1.contains(['\x1b', '\r'])), "{stripped:?}");
    assert!(stripped.values().any(|record| record.1 == "90%"), "{stripped:?}");
}
