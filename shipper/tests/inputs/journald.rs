//! Real journal files, written by systemd-journal-remote, read by journalctl.

use std::path::{Path, PathBuf};

use crate::support::{Rig, has, run};

const REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// Entries in the export format, which systemd-journal-remote takes.
/// <https://systemd.io/JOURNAL_EXPORT_FORMATS/>
fn entries(numbers: std::ops::Range<u64>) -> String {
    const BEGIN: u64 = 1_795_212_000_000_000;
    numbers
        .map(|number| {
            format!(
                "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n\
                 _HOSTNAME=web-1\n_SYSTEMD_UNIT=shop.service\nPRIORITY=4\nMESSAGE=entry {number:04}\n\n",
                BEGIN + number
            )
        })
        .collect()
}

async fn append(journal: &Path, numbers: std::ops::Range<u64>) {
    let path = journal.display().to_string();
    run(REMOTE, &["-o", &path, "-"], &entries(numbers)).await;
}

async fn rig(test: &str) -> Option<(Rig, PathBuf)> {
    if !has(test, REMOTE) || !has(test, "journalctl") {
        return None;
    }
    let rig = Rig::stopped("journald = true\narguments = [\"--directory={dir}/remote\"]").await;
    let journals = rig.directory.path().join("remote");
    std::fs::create_dir(&journals).expect("made");
    let journal = journals.join("remote-test.journal");
    append(&journal, 0..100).await;
    Some((rig, journal))
}

fn messages(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("entry {number:04}")).collect()
}

#[tokio::test]
async fn entries_arrive_once_over_restarts_and_deaths_of_journalctl() {
    let test = "entries_arrive_once_over_restarts_and_deaths_of_journalctl";
    let Some((mut rig, journal)) = rig(test).await else { return };
    rig.start().await;
    rig.expect_count(100).await;
    assert_eq!(rig.messages(), messages(0..100));
    let document = &rig.documents()[7];
    assert_eq!(document["service.name"], "shop");
    assert_eq!(document["host.name"], "web-1");
    assert_eq!(document["log.level"], "warning");
    assert_eq!(document["log.file.path"], "journald");
    assert_eq!(document["@timestamp"], "2026-11-20T22:00:00.000007Z");
    rig.stop().await;

    // Written while nobody looked: the cursor says where to go on.
    append(&journal, 100..150).await;
    rig.start().await;
    rig.expect_count(150).await;
    append(&journal, 150..200).await;
    rig.expect_count(200).await;

    let killed = run_pkill(rig.directory.path()).await;
    assert!(killed > 0, "there is no journalctl to kill");
    rig.until("started again", |counts| counts.faults > 0).await;
    append(&journal, 200..250).await;
    rig.expect_count(250).await;
    assert_eq!(rig.messages(), messages(0..250));
    rig.stop().await;
}

/// Kills the children of this process that read the journal in `directory`.
async fn run_pkill(directory: &Path) -> usize {
    let own = format!("--directory={}", directory.join("remote").display());
    let mut killed = 0;
    for process in std::fs::read_dir("/proc").expect("listed").flatten() {
        let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        if command.split(|&byte| byte == 0).any(|argument| argument == own.as_bytes()) {
            let id = process.file_name().into_string().expect("a number");
            run("kill", &["-9", &id], "").await;
            killed += 1;
        }
    }
    killed
}

#[tokio::test]
async fn a_crash_between_our_journal_and_its_end_repeats_nothing_and_loses_nothing() {
    let test = "a_crash_between_our_journal_and_its_end_repeats_nothing_and_loses_nothing";
    let Some((mut rig, journal)) = rig(test).await else { return };
    rig.start().await;
    rig.expect_count(100).await;
    rig.stop().await;
    // The last entry was cut off: it was never acknowledged, so it is read again; its half is shown too.
    let own = std::fs::read_dir(rig.directory.path().join("state/journal"))
        .expect("listed")
        .flatten()
        .map(|entry| entry.path().join("current.log"))
        .next()
        .expect("a journal");
    append(&journal, 100..101).await;
    let half = b"{\"__CURSOR\":\"s=1\",\"MESSAGE\":\"half";
    let mut file = std::fs::OpenOptions::new().append(true).open(&own).expect("opened");
    std::io::Write::write_all(&mut file, half).expect("written");
    rig.start().await;
    rig.expect_count(102).await;
    let found = rig.messages();
    assert_eq!(found[..100], messages(0..100));
    assert_eq!(found[100], String::from_utf8_lossy(half));
    assert_eq!(found[101], "entry 0100");
    rig.stop().await;
}
