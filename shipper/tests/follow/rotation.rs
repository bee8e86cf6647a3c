//! Files that are renamed, deleted and made again.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use weir_shipper::Vanished;

use crate::rig::{Rig, append, lines, text};

#[tokio::test]
async fn several_rotations_while_the_shipper_is_behind_lose_nothing() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    // As fast as it goes, without waiting for anything to arrive.
    for _ in 0..5 {
        for number in (1..5).rev() {
            if rig.log(&format!("a.log.{number}")).exists() {
                rig.rename(&format!("a.log.{number}"), &format!("a.log.{}", number + 1));
            }
        }
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", 100);
    }
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn twenty_rotations_a_second_lose_nothing() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    for round in 0..60 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        rig.append("a.log", 10);
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append("a.log", 10);
        rig.claim().await;
    }
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_writer_that_keeps_its_old_handle_is_read_even_long_after_the_rotation() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once().await;
    rig.acknowledge().await;
    // Long enough that the old file is finished, and let go.
    tokio::time::sleep(rig.timing.rotated_quiet * 4).await;
    rig.append("a.log.1", 10);
    rig.expect_all_exactly_once_for_good().await;
    assert!(rig.arrived.values().all(|record| record.path.ends_with("/a.log")));
    rig.stop().await;
}

#[tokio::test]
async fn rotations_while_the_shipper_is_stopped_lose_nothing() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.append("a.log", 10);
    for round in 1..4 {
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append("a.log", 10);
    }
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn rotated_files_that_were_there_before_the_first_start_are_not_read() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log.2"), &text(90_000..90_010));
    append(&rig.log("a.log.1"), &text(90_010..90_020));
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    // Nor at the next start, nor when they are renamed.
    rig.restart().await;
    rig.rename("a.log.2", "a.log.3");
    rig.rename("a.log.1", "a.log.2");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_is_deleted_while_the_shipper_is_behind_is_read_to_its_end() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 1);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.append("a.log", 200_000);
    // The first turn of it is read, the others are not yet.
    rig.until("the file is being read", |rig| rig.counts().records > 1).await;
    rig.delete("a.log");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once().await;
    assert_eq!(rig.stop().await.bytes_vanished, [0; 3]);
}

#[tokio::test]
async fn deleted_files_are_kept_open_up_to_a_bound_and_what_is_let_go_is_counted() {
    let mut rig = Rig::new().await;
    rig.deleted_bytes_max = 1000;
    rig.append("a.log", 10);
    // Never read to its end: its last line has no newline, and nobody acknowledges.
    rig.append_text("a.log", &"x".repeat(2000), None);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.delete("a.log");
    rig.until("it is let go", |rig| rig.counts().bytes_vanished[Vanished::Dropped as usize] == 2000).await;
    rig.stop().await;
}

#[tokio::test]
async fn what_vanished_while_the_shipper_was_stopped_is_counted() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.append_text("a.log", "unterminated", None);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.delete("a.log");
    rig.start();
    rig.until("it is counted", |rig| rig.counts().bytes_vanished[Vanished::Deleted as usize] == 12).await;
    rig.stop().await;
}

/// Deletes and makes a file anew until the file system uses the inode again, which ext4 does at once.
#[tokio::test]
async fn a_file_that_is_made_anew_with_the_inode_of_the_old_one_is_another_file() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    let mut repeated = 0;
    for _ in 0..30 {
        rig.expect_all_exactly_once().await;
        rig.acknowledge().await;
        let inode = fs::metadata(rig.log("a.log")).expect("there").ino();
        rig.stop().await;
        rig.delete("a.log");
        rig.append("a.log", 20);
        repeated += usize::from(fs::metadata(rig.log("a.log")).expect("there").ino() == inode);
        rig.start();
    }
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
    if repeated == 0 {
        eprintln!("SKIPPED: this file system did not use an inode again");
    }
}

#[tokio::test]
async fn a_rename_chain_while_the_writer_goes_on_loses_nothing() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["*.log*".into()];
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    let mut writer = OpenOptions::new().append(true).open(rig.log("a.log")).expect("opened");
    rig.rename("a.log", "a.log.1");
    rig.rename("a.log.1", "a.log.2");
    writer.write_all(b"late\n").expect("written");
    rig.append_text("a.log", "", Some("late"));
    rig.append("a.log", 10);
    rig.rename("a.log.2", "a.log.3");
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_symbolic_link_that_is_turned_to_another_file_is_followed() {
    let mut rig = Rig::new().await;
    fs::create_dir(rig.log("real")).expect("made");
    rig.append("real/one", 10);
    std::os::unix::fs::symlink(rig.log("real/one"), rig.log("a.log")).expect("linked");
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.append("real/two", 10);
    std::os::unix::fs::symlink(rig.log("real/two"), rig.log("new")).expect("linked");
    rig.rename("new", "a.log");
    rig.expect_all_exactly_once().await;
    rig.append("real/one", 10);
    rig.append("real/two", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn the_same_file_under_two_names_and_two_patterns_arrives_once() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["*.log".into(), "a*".into(), "**/*".into()];
    rig.append("a.log", 10);
    fs::hard_link(rig.log("a.log"), rig.log("b.log")).expect("linked");
    std::os::unix::fs::symlink(rig.log("a.log"), rig.log("c.log")).expect("linked");
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.delete("a.log");
    rig.append("b.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_journal_is_removed_when_it_is_rotated_away_and_indexed_and_not_before() {
    let mut rig = Rig::new().await;
    rig.remove_when_indexed = true;
    rig.append("a.log", 10);
    rig.start();
    rig.expect(&lines(0..10)).await;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    assert!(rig.log("a.log.1").exists(), "it is not indexed yet");
    rig.acknowledge().await;
    rig.until("it is removed", |rig| !rig.log("a.log.1").exists()).await;
    assert!(rig.log("a.log").exists(), "lines may still be written to it");
    rig.stop().await;
}
