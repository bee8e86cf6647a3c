//! Files that are compressed when they are rotated, and compressed files that a pattern names.

use std::fs;

use crate::rig::{Compression, QUIET, Rig, append, text};

#[tokio::test]
async fn the_compressed_twin_of_a_file_that_was_read_is_not_shipped_again() {
    for how in Compression::ALL {
        let mut rig = Rig::new().await;
        rig.append("a.log", 100);
        rig.start();
        rig.expect_all_exactly_once().await;
        rig.rename("a.log", "a.log.1");
        rig.append("a.log", 10);
        rig.expect_all_exactly_once().await;
        rig.compress("a.log.1", how);
        rig.expect_all_exactly_once_for_good().await;
        rig.acknowledge().await;
        rig.expect_all_exactly_once_for_good().await;
        rig.restart().await;
        rig.expect_all_exactly_once_for_good().await;
        rig.stop().await;
    }
}

/// As the kubelet does it.
#[tokio::test]
async fn a_compressor_that_has_just_begun_under_another_name_makes_no_file_of_its_own() {
    for how in Compression::ALL {
        let mut rig = Rig::new().await;
        rig.append("a.log", 100);
        rig.start();
        rig.expect_all_exactly_once().await;
        rig.acknowledge().await;
        rig.stop().await;
        rig.rename("a.log", "a.log.1");
        fs::File::create(rig.log("a.log.1.tmp")).expect("created");
        rig.append("a.log", 10);
        rig.start();
        // When these arrive, a scan has seen all the files.
        rig.until("the new lines arrive", |rig| rig.arrived.len() == 110).await;
        // It takes its time.
        rig.expect_all_exactly_once_for_good().await;
        fs::write(rig.log("a.log.1.tmp"), how.compress(text(0..100).as_bytes())).expect("written");
        rig.rename("a.log.1.tmp", &format!("a.log.1.{}", how.ending()));
        rig.delete("a.log.1");
        rig.expect_all_exactly_once_for_good().await;
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_twin_of_a_file_that_was_done_long_ago_is_recognised() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once().await;
    rig.acknowledge().await;
    tokio::time::sleep(rig.timing.rotated_quiet * 4).await;
    let twin = rig.compress("a.log.1", Compression::Gzip);
    rig.expect_all_exactly_once_for_good().await;
    rig.rename(&twin, "a.log.2.gz");
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_was_compressed_before_it_was_read_is_resumed_inside() {
    for how in Compression::ALL {
        let mut rig = Rig::new().await;
        rig.append("a.log", 100);
        rig.start();
        rig.expect_all_exactly_once().await;
        rig.stop().await;
        rig.append("a.log", 5000);
        rig.rename("a.log", "a.log.1");
        rig.compress("a.log.1", how);
        rig.append("a.log", 10);
        rig.start();
        rig.expect_all_exactly_once_for_good().await;
        assert!(rig.arrived.values().all(|record| record.path.ends_with("/a.log")));
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_file_that_was_born_and_compressed_while_the_shipper_was_stopped_is_read() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.append("a.log", 10);
    rig.rename("a.log", "a.log.2");
    rig.compress("a.log.2", Compression::Gzip);
    rig.append("a.log", 10);
    rig.rename("a.log", "a.log.1");
    rig.compress("a.log.1", Compression::Gzip);
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.restart().await;
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_twin_that_is_kept_beside_its_plain_file_is_not_shipped() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["a.log*".into()];
    rig.append("a.log", 100);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.compress_and_keep("a.log", Compression::Gzip);
    rig.expect_all_exactly_once_for_good().await;
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_twin_that_is_written_slowly_is_not_shipped_twice() {
    let mut rig = Rig::new().await;
    rig.timing.copy_quiet = QUIET * 5;
    rig.append("a.log", 20_000);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", 1);
    let compressed = Compression::Gzip.compress(&fs::read(rig.log("a.log.1")).expect("read"));
    fs::write(rig.log("a.log.1.gz"), b"").expect("written");
    for part in 1..=8 {
        tokio::time::sleep(QUIET).await;
        fs::write(rig.log("a.log.1.gz"), &compressed[..compressed.len() * part / 8]).expect("written");
        rig.expect_all_exactly_once().await;
    }
    rig.delete("a.log.1");
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn once_reads_compressed_files_that_a_pattern_names_beside_plain_ones() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["app.log*".into()];
    for (number, how) in [(4, Compression::Bzip2), (3, Compression::Zstd), (2, Compression::Gzip)] {
        let name = format!("app.log.{number}");
        rig.append(&name, 3000);
        rig.compress(&name, how);
    }
    rig.append("app.log.1", 100);
    rig.append("app.log", 100);
    rig.append_text("app.log", "unterminated", Some("unterminated"));
    rig.once().await;
    rig.expect_all_exactly_once().await;
    // Again: all of it is known.
    assert_eq!(rig.once().await.bytes_read, 0);
    rig.expect_all_exactly_once().await;
}

#[tokio::test]
async fn a_file_of_several_gzip_members_is_read_whole() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["a.log*".into()];
    rig.append("a.log.1", 1000);
    let first = Compression::Gzip.compress(&fs::read(rig.log("a.log.1")).expect("read"));
    rig.delete("a.log.1");
    rig.append("a.log.1", 1000);
    let second = Compression::Gzip.compress(&fs::read(rig.log("a.log.1")).expect("read"));
    rig.delete("a.log.1");
    fs::write(rig.log("a.log.1.gz"), [first, second].concat()).expect("written");
    rig.once().await;
    rig.expect_all_exactly_once().await;
}

#[tokio::test]
async fn what_stands_before_damage_in_a_compressed_file_is_shipped_and_the_damage_counted_once() {
    for how in Compression::ALL {
        let mut rig = Rig::new().await;
        rig.patterns = vec!["a.log*".into()];
        rig.append("a.log.1", 1000);
        let first = how.compress(&fs::read(rig.log("a.log.1")).expect("read"));
        rig.delete("a.log.1");
        let mut damaged = how.compress(text(90_000..91_000).as_bytes());
        damaged.iter_mut().skip(4).for_each(|byte| *byte = !*byte);
        fs::write(rig.log("a.log.1.gz"), [first, damaged].concat()).expect("written");
        let counts = rig.once().await;
        rig.expect_all_exactly_once().await;
        assert_eq!(counts.files_damaged, 1, "{how:?}");
    }
}

#[tokio::test]
async fn a_compressed_file_that_breaks_off_for_good_is_shipped_as_far_as_it_goes() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["a.log*".into()];
    append(&rig.log("plain"), &text(0..5000));
    let whole = Compression::Gzip.compress(&fs::read(rig.log("plain")).expect("read"));
    fs::write(rig.log("a.log.1.gz"), &whole[..whole.len() / 2]).expect("written");
    rig.start();
    rig.until("it is counted", |rig| rig.counts().files_damaged == 1).await;
    let lines = rig.messages();
    assert!(lines.len() > 1000, "{} lines", lines.len());
    assert_eq!(lines[..lines.len() - 1], crate::rig::lines(0..lines.len() - 1));
    rig.stop().await;
}

#[tokio::test]
async fn a_rewind_into_a_compressed_file_reads_it_again() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["a.log*".into()];
    rig.append("a.log.1", 200_000);
    rig.compress("a.log.1", Compression::Zstd);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.replace_buffer(weir_buffer::MemoryBuffer::new(1 << 30)).await;
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
}
