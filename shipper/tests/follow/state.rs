//! What the next start knows: crashes, lost state, an unterminated line across a restart.

use crate::rig::{Compression, Rig, append, text};

#[tokio::test]
async fn a_crash_goes_back_to_an_old_checkpoint_and_shows_nothing_twice() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.append("a.log", 100);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 100);
    rig.expect_all_exactly_once().await;
    rig.crash().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_crash_after_a_truncation_goes_on_in_the_right_generation() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.copytruncate("a.log", "a.log.1");
    rig.append("a.log", 50);
    rig.expect_all_exactly_once_for_good().await;
    rig.crash().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn an_unterminated_last_line_survives_a_restart_and_is_one_line() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.append_text("a.log", "first half, ", None);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.restart().await;
    rig.expect_all_exactly_once().await;
    rig.append_text("a.log", "second half\n", Some("first half, second half"));
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn an_unterminated_last_line_is_sent_when_its_file_was_rotated_away() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.append_text("a.log", "no newline", Some("no newline"));
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lost_state_directory_reads_what_was_rotated_meanwhile_and_no_older_files() {
    let mut rig = Rig::new().await;
    append(&rig.log("a.log.0"), &text(90_000..90_010));
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.lose_state();
    rig.append("a.log", 10);
    rig.rename("a.log", "a.log.2");
    rig.append("a.log", 10);
    rig.rename("a.log", "a.log.3");
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lost_state_directory_after_truncations_costs_nothing() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    for round in 1..3 {
        rig.copytruncate("a.log", &format!("a.log.{round}"));
        rig.append("a.log", 100 - round);
        rig.expect_all_exactly_once_for_good().await;
    }
    rig.stop().await;
    rig.lose_state();
    // Truncated once more while nobody knows anything.
    rig.copytruncate("a.log", "a.log.3");
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_lost_state_directory_does_not_bring_back_compressed_files() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    for round in 1..3 {
        rig.rename("a.log", &format!("a.log.{round}"));
        rig.append("a.log", 10);
        rig.expect_all_exactly_once().await;
        rig.compress(&format!("a.log.{round}"), Compression::Gzip);
        rig.expect_all_exactly_once_for_good().await;
    }
    rig.stop().await;
    rig.lose_state();
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}
