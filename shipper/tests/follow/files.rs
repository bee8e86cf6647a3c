//! Files of every kind: unreadable, vanishing, special, empty, with holes, with endless lines.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, mknodat};

use crate::rig::{Rig, append};

/// Bytes of resident memory of this process.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("a line");
    line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number")
        * 1024
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_is_cut_and_the_file_goes_on_in_bounded_memory() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 3);
    let mut file = OpenOptions::new().append(true).open(rig.log("a.log")).expect("opened");
    for _ in 0..100 {
        file.write_all(&vec![b'x'; 1_000_000]).expect("written");
    }
    file.write_all(b"\n").expect("written");
    rig.append_text("a.log", "", Some(&"x".repeat(1024 * 1024)));
    rig.append("a.log", 3);
    let before = resident_bytes();
    let counts = rig.once().await;
    let grown = resident_bytes().saturating_sub(before);
    assert_eq!(counts.records_truncated, 1);
    rig.expect_all_exactly_once().await;
    assert!(rig.arrived.values().any(|record| record.truncated));
    // Other tests run beside this one.
    assert!(grown < 90_000_000, "{grown} bytes more");
}

#[tokio::test]
async fn a_name_that_cannot_be_read_is_read_as_soon_as_it_can() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["*.log".into(), "sub/*.log".into()];
    // A link to itself cannot be opened by anybody, not even by root.
    std::os::unix::fs::symlink(rig.log("a.log"), rig.log("a.log")).expect("linked");
    rig.append("b.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.delete("a.log");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_file_that_becomes_a_directory_and_a_file_again_goes_on() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.stop().await;
    rig.rename("a.log", "aside");
    fs::create_dir(rig.log("a.log")).expect("made");
    rig.start();
    rig.append("b.log", 10);
    rig.expect_all_exactly_once().await;
    fs::remove_dir(rig.log("a.log")).expect("removed");
    rig.rename("aside", "a.log");
    rig.append("a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_directory_that_vanishes_and_comes_back_is_followed_on() {
    let mut rig = Rig::new().await;
    rig.patterns = vec!["**/*.log".into()];
    fs::create_dir(rig.log("service")).expect("made");
    rig.append("service/a.log", 10);
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.acknowledge().await;
    fs::rename(rig.log("service"), rig.directory.path().join("elsewhere")).expect("renamed");
    // Long enough that its files count as gone.
    tokio::time::sleep(rig.timing.rotated_quiet * 5).await;
    append(&rig.directory.path().join("elsewhere/a.log"), "written elsewhere\n");
    rig.append_text("b.log", "written elsewhere\n", Some("written elsewhere"));
    fs::rename(rig.directory.path().join("elsewhere"), rig.log("service")).expect("renamed");
    rig.append("service/a.log", 10);
    rig.append_text("c.log", "", Some("written elsewhere"));
    rig.expect_all_exactly_once_for_good().await;
    fs::remove_dir_all(rig.log("service")).expect("removed");
    fs::create_dir(rig.log("service")).expect("made");
    rig.append("service/a.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn pipes_sockets_and_devices_are_refused_and_hang_nothing() {
    let mut rig = Rig::new().await;
    mknodat(CWD, rig.log("fifo.log"), FileType::Fifo, 0o600.into(), 0).expect("made");
    let _socket = UnixListener::bind(rig.log("socket.log")).expect("bound");
    std::os::unix::fs::symlink("/dev/zero", rig.log("device.log")).expect("linked");
    std::os::unix::fs::symlink("/dev/tty", rig.log("terminal.log")).expect("linked");
    fs::create_dir(rig.log("directory.log")).expect("made");
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    // The names become files.
    for name in ["fifo.log", "socket.log", "device.log"] {
        rig.delete(name);
        rig.append(name, 10);
    }
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn an_empty_file_is_read_when_it_has_lines_and_one_byte_appends_are_whole_lines() {
    let mut rig = Rig::new().await;
    File::create(rig.log("a.log")).expect("created");
    File::create(rig.log("b.log")).expect("created");
    rig.start();
    rig.claim().await;
    for byte in "one byte at a time\n".chars() {
        append(&rig.log("a.log"), &byte.to_string());
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    rig.append_text("a.log", "", Some("one byte at a time"));
    rig.rename("b.log", "b.log.1");
    rig.append("b.log", 10);
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_hole_in_a_file_is_no_line_and_cuts_none() {
    let mut rig = Rig::new().await;
    rig.append("a.log", 10);
    let mut file = OpenOptions::new().write(true).open(rig.log("a.log")).expect("opened");
    file.seek(SeekFrom::End(1 << 33)).expect("sought");
    file.write_all(b"behind it\n").expect("written");
    rig.append_text("a.log", "", Some("behind it"));
    rig.append("a.log", 10);
    rig.start();
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_writer_that_does_not_append_leaves_a_hole_when_its_file_is_truncated() {
    let mut rig = Rig::new().await;
    let mut writer = File::create(rig.log("a.log")).expect("created");
    let mut write = |rig: &mut Rig, line: String| {
        writer.write_all(format!("{line}\n").as_bytes()).expect("written");
        rig.append_text("a.log", "", Some(&line));
    };
    (0..20_000).for_each(|number| write(&mut rig, format!("before {number}")));
    rig.start();
    rig.expect_all_exactly_once().await;
    rig.copytruncate("a.log", "a.log.1");
    (0..20).for_each(|number| write(&mut rig, format!("after {number}")));
    rig.expect_all_exactly_once_for_good().await;
    rig.stop().await;
}
