//! What is written arrives, once: appending, restarting, losing the buffer, dropping by rule.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::Instant;

use weir_buffer::{Buffer as _, MemoryBuffer};
use weir_record::Query;
use weir_shipper::{Mode, Shipper, Start};

use crate::rig::{DEADLINE, Rig, append, lines, position, text};

#[tokio::test]
async fn what_is_there_what_is_appended_and_what_appears_later_all_arrive() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    append(&rig.log("a.log"), &text(10..20));
    rig.expect(&lines(0..20)).await;
    append(&rig.log("b.log"), &text(20..30));
    rig.expect(&lines(0..30)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_line_waits_for_its_newline_even_when_its_bytes_come_one_by_one() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..1));
    rig.start();
    rig.expect(&lines(0..1)).await;
    for byte in text(1..2).chars() {
        append(&rig.log("a.log"), &byte.to_string());
        rig.claim().await;
    }
    rig.expect(&lines(0..2)).await;
    append(&rig.log("a.log"), "no newline");
    rig.stop().await;
    rig.expect(&lines(0..2)).await;
    rig.once().await;
    let mut all = lines(0..2);
    all.push("no newline".into());
    rig.expect(&all).await;
}

#[tokio::test]
async fn renamed_files_are_read_to_their_end_and_their_successors_from_the_beginning() {
    let mut rig = Rig::new().await;
    let path = rig.log("a.log");
    append(&path, &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    for round in 1..6 {
        let mut writer = OpenOptions::new().append(true).open(&path).expect("opened");
        fs::rename(&path, rig.log(&format!("a.log.{round}"))).expect("renamed");
        // The writer keeps its old handle for a while.
        writer.write_all(text(round * 10..round * 10 + 5).as_bytes()).expect("written");
        append(&path, &text(round * 10 + 5..round * 10 + 10));
        rig.expect(&lines(0..round * 10 + 10)).await;
    }
    assert!(
        rig.arrived.values().all(|record| record.path.ends_with("/a.log")),
        "the name it was written under"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_where_the_last_life_ended_and_reads_what_was_rotated_meanwhile() {
    let mut rig = Rig::new().await;
    let path = rig.log("a.log");
    append(&path, &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.acknowledge().await;
    rig.stop().await;

    append(&path, &text(10..15));
    fs::rename(&path, rig.log("a.log.2")).expect("renamed");
    append(&rig.log("a.log.1"), &text(15..20));
    append(&path, &text(20..25));
    rig.start();
    rig.expect_in_any_order(&lines(0..25)).await;
    rig.stop().await;
    let frames = rig.buffer.depth().await.expect("depth").frames;
    assert!(frames <= 6, "nothing was sent twice: {frames} frames");
}

#[tokio::test]
async fn a_buffer_that_lost_everything_gets_what_was_not_indexed_again() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.acknowledge().await;
    append(&rig.log("a.log"), &text(10..20));
    rig.expect(&lines(0..20)).await;
    rig.stop().await;

    // The second ten were never acknowledged.
    rig.replace_buffer(MemoryBuffer::new(1 << 30)).await;
    rig.start();
    append(&rig.log("a.log"), &text(20..25));
    rig.expect(&lines(10..25)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lost_state_directory_costs_no_line_and_no_visible_duplicate() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.stop().await;
    fs::remove_dir_all(rig.directory.path().join("state")).expect("removed");
    append(&rig.log("a.log"), &text(10..20));
    rig.start();
    rig.expect(&lines(0..20)).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_truncated_file_is_read_again_from_its_beginning_under_another_identity() {
    let mut rig = Rig::new().await;
    let path = rig.log("a.log");
    append(&path, &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    OpenOptions::new().write(true).open(&path).expect("opened").set_len(0).expect("truncated");
    append(&path, &text(0..3));
    let mut all = lines(0..10);
    all.extend(lines(0..3));
    rig.expect(&all).await;
    rig.stop().await;

    // Truncated and grown past the old offset while nobody looked.
    OpenOptions::new().write(true).open(&path).expect("opened").set_len(0).expect("truncated");
    append(&path, &text(100..200));
    rig.start();
    all.extend(lines(100..200));
    rig.expect(&all).await;
    rig.stop().await;
}

#[tokio::test]
async fn ten_thousand_identical_lines_all_stay_visible() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &"same\n".repeat(5000));
    rig.start();
    let same = |count| vec!["same".to_owned(); count];
    rig.expect(&same(5000)).await;
    fs::rename(rig.log("a.log"), rig.log("a.log.1")).expect("renamed");
    append(&rig.log("a.log"), &"same\n".repeat(5000));
    rig.expect(&same(10_000)).await;
    rig.stop().await;
}

#[tokio::test]
async fn the_same_file_under_two_names_arrives_once() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    fs::hard_link(rig.log("a.log"), rig.log("b.log")).expect("linked");
    std::os::unix::fs::symlink(rig.log("a.log"), rig.log("c.log")).expect("linked");
    rig.once().await;
    rig.expect(&lines(0..10)).await;
    assert_eq!(rig.arrived.len(), 10);
}

#[tokio::test]
async fn a_line_over_the_limit_is_cut_and_counted_and_the_file_goes_on() {
    let mut rig = Rig::new().await;
    let mut file = File::create(rig.log("a.log")).expect("created");
    file.write_all(b"before\n").expect("written");
    for _ in 0..5 {
        file.write_all(&vec![b'x'; 1024 * 1024]).expect("written");
    }
    file.write_all(b"\nafter\n").expect("written");
    let counts = rig.once().await;
    assert_eq!((counts.records, counts.records_truncated), (3, 1));
    rig.claim().await;
    let messages = rig.messages();
    assert_eq!(messages.len(), 3);
    assert_eq!(
        (messages[0].as_str(), messages[1].len(), messages[2].as_str()),
        ("before", 1024 * 1024, "after")
    );
    assert!(rig.arrived.values().any(|record| record.truncated));
}

#[tokio::test]
async fn start_at_the_end_leaves_out_only_what_was_there_before() {
    let mut rig = Rig::new().await;
    rig.start = Start::End;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    // The first file has to be met before it grows: the buffer learns of it with the first new line.
    let deadline = Instant::now() + DEADLINE;
    let mut number = 10;
    while rig.arrived.is_empty() {
        append(&rig.log("a.log"), &text(number..number + 1));
        number += 1;
        rig.claim().await;
        assert!(Instant::now() < deadline, "nothing arrived");
    }
    append(&rig.log("b.log"), &text(90_000..90_010));
    let deadline = Instant::now() + DEADLINE;
    while !rig.messages().contains(&"line 90009".to_owned()) {
        rig.claim().await;
        assert!(Instant::now() < deadline, "the new file was not read");
    }
    assert!(
        rig.messages().contains(&"line 90000".to_owned()),
        "a file that appears later is read from its beginning"
    );
    assert!(!rig.messages().contains(&"line 00000".to_owned()), "what was there before is left out");
    rig.stop().await;
}

#[tokio::test]
async fn records_that_a_rule_drops_are_not_shipped_and_their_bytes_count_as_done() {
    let mut rig = Rig::new().await;
    rig.drop = vec![Query::parse("message:noise").expect("a query")];
    append(&rig.log("a.log"), "noise 1\nline 00000\nnoise 2\nline 00001\nnoise 3\n");
    let counts = rig.once().await;
    assert_eq!((counts.records, counts.records_dropped), (5, 3));
    rig.expect(&lines(0..2)).await;
    let file = rig.claims[0].range().expect("a range").file;
    assert_eq!(position(&rig.buffer, file).await.0, Some(46), "the dropped lines at both ends are covered");
}

#[tokio::test]
async fn a_second_shipper_on_the_same_state_is_refused() {
    let rig = Rig::new().await;
    let first = Shipper::new(rig.settings(Mode::Follow)).expect("started");
    let second = Shipper::new(rig.settings(Mode::Follow)).map(|_| ()).expect_err("refused");
    assert!(second.to_string().contains("another shipper uses the state directory"), "{second}");
    drop(first);
    Shipper::new(rig.settings(Mode::Follow)).expect("free again");
}

#[tokio::test]
async fn frames_that_vanish_from_the_buffer_are_sent_again() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log"), &text(0..10));
    rig.start();
    rig.expect(&lines(0..10)).await;
    let file = rig.claims[0].range().expect("a range").file;
    // A stale copy of the buffer was put back: it knows less than it had acknowledged.
    let lost = MemoryBuffer::with_positions(1 << 30, [(file, 0)]);
    assert_eq!(position(&lost, file).await, (Some(0), Some(0)));
    rig.stop().await;
    rig.replace_buffer(lost).await;
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.stop().await;
}
