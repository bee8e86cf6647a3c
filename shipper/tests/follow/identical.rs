//! Ten thousand identical lines without time stamps, through every kind of rotation: all visible, each once.

use crate::rig::{Compression, Rig};

const HALF: usize = 5000;

async fn rig_with_half() -> Rig {
    let mut rig = Rig::new().await;
    rig.append_same("a.log", HALF);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig
}

#[tokio::test]
async fn through_renaming() {
    let mut rig = rig_with_half().await;
    for round in 1..4 {
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append_same("a.log", HALF);
        rig.expect_all_exactly_once_for_good().await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn through_renaming_while_stopped() {
    let mut rig = rig_with_half().await;
    rig.stop().await;
    for round in 1..4 {
        rig.append_same("a.log", HALF);
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append_same("a.log", HALF);
    }
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn through_copytruncate() {
    let mut rig = rig_with_half().await;
    for round in 1..4 {
        rig.append_same("a.log", HALF);
        rig.copytruncate("a.log", &format!("a.log.{round}"));
        rig.append_same("a.log", 100);
        rig.expect_all_exactly_once_for_good().await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn through_copytruncate_while_stopped() {
    let mut rig = rig_with_half().await;
    rig.stop().await;
    rig.append_same("a.log", HALF);
    rig.copytruncate("a.log", "a.log.1");
    rig.append_same("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
    // Grown past where it was read to: only the number of lines tells that it was truncated.
    rig.copytruncate("a.log", "a.log.2");
    rig.append_same("a.log", HALF);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn through_compression() {
    let mut rig = rig_with_half().await;
    for round in 1..4 {
        rig.append_same("a.log", HALF);
        let name = format!("a.log.{round}");
        rig.rename("a.log", &name);
        rig.append_same("a.log", 2 * HALF);
        rig.compress(&name, Compression::Gzip);
        rig.expect_all_exactly_once_for_good().await;
    }
    rig.acknowledge().await;
    rig.restart().await;
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn through_compression_while_stopped() {
    let mut rig = rig_with_half().await;
    rig.stop().await;
    for round in 1..3 {
        rig.append_same("a.log", HALF);
        let name = format!("a.log.{round}");
        rig.rename("a.log", &name);
        rig.compress(&name, Compression::Gzip);
        rig.append_same("a.log", HALF);
    }
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn through_a_lost_state_directory() {
    let mut rig = rig_with_half().await;
    rig.rename("a.log", "a.log.1");
    rig.append_same("a.log", HALF);
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.lose_state();
    rig.append_same("a.log", HALF);
    rig.rename("a.log", "a.log.2");
    rig.append_same("a.log", HALF);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn through_a_truncation_and_a_lost_state_directory() {
    let mut rig = rig_with_half().await;
    rig.copytruncate("a.log", "a.log.1");
    rig.append_same("a.log", HALF);
    rig.expect_all_exactly_once_for_good().await;
    rig.copytruncate("a.log", "a.log.2");
    rig.append_same("a.log", HALF);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
    rig.lose_state();
    rig.append_same("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_compressed_file_that_nobody_knew_is_not_taken_for_the_second_twin_of_another() {
    let mut rig = rig_with_half().await;
    rig.rename("a.log", "a.log.1");
    rig.append_same("a.log", HALF);
    rig.compress("a.log.1", Compression::Gzip);
    rig.expect_all_exactly_once_for_good().await;
    rig.acknowledge().await;
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
    // Born, rotated away and compressed while nobody looked: equal to the first in every byte.
    rig.rename("a.log", "a.log.2");
    rig.append_same("a.log", HALF);
    rig.rename("a.log", "a.log.3");
    rig.append_same("a.log", HALF);
    rig.compress("a.log.3", Compression::Gzip);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}
