//! `weir up` over its own index: damaged, and asked for by two at once.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use weir_buffer::testing::free_port;

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::{Program, found, get, run, text, until_or, weir, write};

/// `weir up` in a directory of its own.
struct Up {
    program: Program,
    page: String,
    metrics: String,
}

impl Up {
    fn start(directory: &Path) -> Up {
        let (page, metrics) = (free_port(), free_port());
        let config = format!("[metrics]\nworker = \"127.0.0.1:{metrics}\"\n");
        let config = write(directory, "weir.toml", config);
        let listen = format!("127.0.0.1:{page}");
        let logs = format!("{}/*.log", text(directory));
        let data = directory.join("data");
        let arguments = ["up", "-c", text(&config), "--data", text(&data), "--listen", &listen, &logs];
        let program = Program::start(weir(arguments));
        Up {
            program,
            page: format!("http://{listen}"),
            metrics: format!("http://127.0.0.1:{metrics}/metrics"),
        }
    }

    /// Waits until so many records are found.
    fn has(&self, count: usize) {
        until_or(
            &format!("{count} records are found"),
            || get(&format!("{}/live", self.page)).is_some() && found(&self.page, "*").len() == count,
            || format!("{} are: {}", found(&self.page, "*").len(), self.program.stderr()),
        );
    }
}

fn lines(service: &str, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| format!("line {number} of {service}\n")).collect()
}

/// The largest file of this kind in the partitions.
fn largest(directory: &Path, extension: &str) -> PathBuf {
    let partitions = fs::read_dir(directory.join("data/index/partitions")).unwrap();
    let files =
        partitions.flat_map(|partition| fs::read_dir(partition.unwrap().path()).into_iter().flatten());
    let named = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == extension));
    named.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

#[test]
fn what_a_damaged_partition_held_is_read_again_and_what_is_gone_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (app, gone) = (
        write(directory, "app.log", lines("app", 0..300)),
        write(directory, "gone.log", lines("gone", 0..50)),
    );
    let mut up = Up::start(directory);
    up.has(350);
    fs::rename(&app, directory.join("app.log.1")).unwrap();
    write(directory, "app.log", lines("app", 300..400));
    up.has(450);
    assert_eq!(up.program.stop(), Some(0), "{}", up.program.stderr());
    fs::remove_file(&gone).unwrap();
    let store = largest(directory, "store");
    let bytes = fs::read(&store).unwrap();
    fs::write(&store, &bytes[..bytes.len() / 2]).unwrap();

    let mut up = Up::start(directory);
    up.has(400);
    let mut occurrences: BTreeMap<String, u32> = BTreeMap::new();
    for document in found(&up.page, "*") {
        *occurrences.entry(document["message"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected: BTreeMap<String, u32> =
        (0..400).map(|number| (format!("line {number} of app"), 1)).collect();
    assert_eq!(occurrences, expected);
    up.program.says("lines vanished before they were read");
    let said = up.program.stderr();
    let count = |words: &str| said.lines().filter(|line| line.contains(words)).count();
    assert_eq!(count("a partition of the index is damaged and was set aside"), 1, "{said}");
    assert!(said.lines().any(|line| line.contains("lines vanished") && line.contains("gone.log")), "{said}");
    let (_, metrics) = get(&up.metrics).unwrap();
    assert!(metrics.contains("weir_index_damaged_partitions_total 1\n"), "{metrics}");
    assert!(metrics.contains("weir_index_damaged_documents_total 450\n"), "{metrics}");
    assert_eq!(up.program.stop(), Some(0), "{}", up.program.stderr());
}

#[test]
fn a_second_one_on_the_same_directory_is_refused_in_a_line_and_the_first_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let app = write(directory.path(), "app.log", lines("app", 0..10));
    let mut up = Up::start(directory.path());
    up.has(10);
    let data = directory.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    for arguments in [&["up", "--listen", &*listen][..], &["dead", "list"]] {
        let ended = run(&[arguments, &["--data", text(&data)]].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("is in use by another running Weir"),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
    }
    fs::write(&app, lines("app", 0..20)).unwrap();
    up.has(20);
    assert_eq!(up.program.stop(), Some(0), "{}", up.program.stderr());
}
