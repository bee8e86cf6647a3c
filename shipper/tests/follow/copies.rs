//! `copytruncate`: a file is copied to a rotated name, and truncated.

use std::fs;

use weir_shipper::Vanished;

use crate::rig::{QUIET, Rig};

#[tokio::test]
async fn a_copied_and_truncated_file_goes_on_and_its_copy_is_not_shipped() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    for round in 1..4 {
        rig.copytruncate("a.log", &format!("a.log.{round}"));
        rig.append("a.log", 5);
        rig.expect_all_exactly_once_for_good().await;
    }
    let counts = rig.stop().await;
    assert_eq!(counts.bytes_vanished, [0; 3]);
}

#[tokio::test]
async fn lines_that_only_the_copy_has_are_read_from_it() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    for round in 1..6 {
        // Written and rotated away at once: most of it was never read under its own name.
        rig.append("a.log", 5000);
        rig.copytruncate("a.log", &format!("a.log.{round}"));
        rig.append("a.log", 10);
        rig.expect_all_exactly_once().await;
    }
    rig.expect_all_exactly_once_for_good().await;
    assert!(rig.arrived.values().all(|record| record.path.ends_with("/a.log")));
    rig.stop().await;
}

#[tokio::test]
async fn a_copy_that_was_made_while_the_shipper_was_stopped_is_read_to_its_end() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.append("a.log", 10);
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", 3);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.restart().await;
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_was_truncated_and_grew_past_the_old_offset_unseen_is_read_from_its_beginning() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.append("a.log", 10);
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", 500);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    // And while it is watched, in one step.
    rig.append("a.log", 10);
    rig.copytruncate("a.log", "a.log.2");
    rig.append("a.log", 5000);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn files_that_begin_with_the_same_thousand_bytes_are_told_apart() {
    let mut rig = Rig::new().await;
    let header = "#".repeat(1100);
    let begin = |rig: &mut Rig| rig.append_text("a.log", &format!("{header}\n"), Some(&header.clone()));
    begin(&mut rig);
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.append("a.log", 10);
    rig.copytruncate("a.log", "a.log.1");
    begin(&mut rig);
    rig.append("a.log", 100);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
    rig.append("a.log", 10);
    rig.copytruncate("a.log", "a.log.2");
    begin(&mut rig);
    rig.append("a.log", 200);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_copy_that_grows_slowly_is_not_shipped_before_it_is_clear_what_it_is() {
    let mut rig = Rig::new().await;
    rig.timing.copy_quiet = QUIET * 5;
    rig.append("a.log", 1000);
    rig.start();
    rig.expect_all_exactly_once().await;
    let bytes = fs::read(rig.log("a.log")).expect("read");
    fs::write(rig.log("a.log.1"), b"").expect("written");
    for part in 1..=10 {
        tokio::time::sleep(QUIET).await;
        fs::write(rig.log("a.log.1"), &bytes[..bytes.len() * part / 10]).expect("written");
        rig.expect_all_exactly_once().await;
    }
    rig.truncate("a.log");
    rig.append("a.log", 5);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_copy_without_truncation_is_not_shipped_and_its_original_goes_on() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.copy("a.log", "a.log.1");
    rig.expect_all_exactly_once_for_good().await;
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.restart().await;
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_only_begins_like_another_is_read() {
    let mut rig = Rig::new().await;
    rig.append_text("a.log", "starting\n", Some("starting"));
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    // Not a copy: there is less in it than there was when it appeared.
    rig.append_text("a-2.log", "starting\n", Some("starting"));
    rig.expect_all_exactly_once_for_good().await;
    rig.append("a-2.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_truncation_without_a_copy_is_counted_where_it_cost_lines() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.append_text("a.log", "unterminated", None);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.truncate("a.log");
    rig.append("a.log", 3);
    rig.expect_all_exactly_once().await;
    rig.until("it is counted", |rig| rig.counts().bytes_vanished[Vanished::Truncated as usize] == 12).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_copy_that_is_compressed_at_once_is_resumed_inside() {
    for how in crate::rig::Compression::ALL {
        let mut rig = Rig::new().await;
        rig.append("a.log", 10);
        rig.start();
        rig.expect_all_exactly_once().await;
        rig.stop().await;
        rig.append("a.log", 10);
        rig.copytruncate("a.log", "a.log.1");
        rig.compress("a.log.1", how);
        rig.append("a.log", 50);
        rig.start();
        rig.expect_all_exactly_once_for_good().await;
        rig.stop().await;
    }
}
