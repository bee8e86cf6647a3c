use std::fs::File;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::*;
use crate::follow::Channels;
use crate::settings::SourceSettings;

/// Long ago, so that the times of the directories are trusted.
fn age(directory: &Path) {
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
    File::open(directory).expect("opened").set_modified(long_ago).expect("set");
}

fn discovery(root: &Path, paths: &[&str], exclude: &[&str]) -> Discovery {
    let mut source =
        SourceSettings::new(paths.iter().map(|path| format!("{}/{path}", root.display())).collect());
    source.exclude = exclude.iter().map(|&pattern| pattern.to_owned()).collect();
    let watch = DirectoryWatch::new(Channels::new().0.event_sender, Arc::default());
    Discovery::new(vec![Globs::new(&source).expect("globs")], watch)
}

fn names(root: &Path, found: &[Found]) -> Vec<String> {
    let mut names: Vec<String> = found
        .iter()
        .map(|found| found.path.strip_prefix(root).expect("below").display().to_string())
        .collect();
    names.sort();
    names
}

fn tree(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for file in files {
        let path = directory.path().join(file);
        fs::create_dir_all(path.parent().expect("below")).expect("made");
        fs::write(path, "x\n").expect("written");
    }
    directory
}

#[test]
fn directories_literal_paths_and_globs_are_scanned_and_exclusions_left_out() {
    let directory = tree(&["a/one.log", "a/b/two.log", "a/b/three.tmp", "a/.hidden/four.log", "odd[1].log"]);
    let root = directory.path();
    let scan = |paths: &[&str], exclude: &[&str]| {
        names(root, &discovery(root, paths, exclude).scan(Instant::now()).expect("a first scan"))
    };
    assert_eq!(scan(&["a"], &[]), ["a/b/three.tmp", "a/b/two.log", "a/one.log"]);
    assert_eq!(scan(&["a", "a/*.log"], &["*.tmp"]), ["a/b/two.log", "a/one.log"]);
    assert_eq!(scan(&["a/**/*.log"], &[]), ["a/b/two.log", "a/one.log"]);
    assert_eq!(scan(&["a/**"], &["b"]), ["a/one.log"]);
    assert_eq!(scan(&["*/*/two.log"], &[]), ["a/b/two.log"]);
    assert_eq!(scan(&["odd[1].log"], &[]), ["odd[1].log"]);
    assert!(Globs::new(&SourceSettings::new(vec!["a[".into()])).is_err());
}

#[test]
fn an_unchanged_tree_is_not_read_again_and_a_changed_one_is() {
    let directory = tree(&["a/one.log", "a/b/two.log"]);
    let root = directory.path();
    let settle = || ["a/b", "a", ""].iter().for_each(|name| age(&root.join(name)));
    settle();
    let mut discovery = discovery(root, &["a/**/*.log"], &[]);
    let now = Instant::now();
    assert_eq!(discovery.scan(now).expect("a first scan").len(), 2);
    assert!(discovery.scan(now).is_none());

    fs::write(root.join("a/b/three.log"), "x\n").expect("written");
    assert_eq!(discovery.scan(now).expect("changed").len(), 3);
    assert!(discovery.scan(now).is_some(), "a time this young is not trusted");
    settle();
    assert!(discovery.scan(now).is_some());
    assert!(discovery.scan(now).is_none());

    fs::remove_dir_all(root.join("a/b")).expect("removed");
    settle_all(&[root.join("a")]);
    assert_eq!(names(root, &discovery.scan(now).expect("changed")), ["a/one.log"]);
    assert!(discovery.scan(now).is_none());
    assert!(discovery.scan(now + FULL_SCAN_INTERVAL_MAX).is_some(), "all is looked at anew now and then");
}

fn settle_all(directories: &[PathBuf]) {
    directories.iter().for_each(|directory| age(directory));
}

#[test]
fn a_directory_that_comes_back_and_a_path_that_appears_are_found() {
    let directory = tree(&["x"]);
    let root = directory.path();
    let mut discovery = discovery(root, &["logs/*.log", "late.log", "dir"], &[]);
    let now = Instant::now();
    assert!(discovery.scan(now).expect("a first scan").is_empty());
    assert!(discovery.scan(now).is_none());
    fs::create_dir_all(root.join("logs")).expect("made");
    fs::write(root.join("logs/a.log"), "x\n").expect("written");
    assert_eq!(names(root, &discovery.scan(now).expect("changed")), ["logs/a.log"]);
    fs::write(root.join("late.log"), "x\n").expect("written");
    fs::create_dir(root.join("dir")).expect("made");
    fs::write(root.join("dir/b"), "x\n").expect("written");
    assert_eq!(names(root, &discovery.scan(now).expect("changed")), ["dir/b", "late.log", "logs/a.log"]);
}

#[test]
fn a_link_that_leads_elsewhere_is_seen_although_its_directory_did_not_change() {
    let directory = tree(&["real/one", "real/two", "links/x"]);
    let root = directory.path();
    symlink(root.join("real/current"), root.join("links/a.log")).expect("linked");
    symlink(root.join("real/one"), root.join("real/current")).expect("linked");
    settle_all(&[root.join("real"), root.join("links")]);
    let mut discovery = discovery(root, &["links/*.log"], &[]);
    let now = Instant::now();
    let who = |found: Vec<Found>| identity(&found[0].metadata);
    let first = who(discovery.scan(now).expect("a first scan"));
    assert!(discovery.scan(now).is_none());
    fs::remove_file(root.join("real/current")).expect("removed");
    symlink(root.join("real/two"), root.join("real/current")).expect("linked");
    assert_ne!(who(discovery.scan(now).expect("changed")), first);
}

#[test]
fn siblings_are_found_beside_the_file_and_beside_what_a_link_leads_to() {
    let directory = tree(&[
        "app.log",
        "app.log.1",
        "app.log.2.gz",
        "app-2026-11-20.log",
        "application.log",
        "pods/0.log",
        "pods/0.log.20261120-101010",
        "other.log",
    ]);
    let root = directory.path();
    symlink(root.join("pods/0.log"), root.join("pod.log")).expect("linked");
    let mut discovery = discovery(root, &["*.log"], &[]);
    discovery.scan(Instant::now());
    let mut siblings = |name: &str| {
        let mut siblings: Vec<String> = discovery
            .siblings_of(&root.join(name))
            .iter()
            .map(|(path, _)| path.file_name().expect("a name").to_string_lossy().to_string())
            .collect();
        siblings.sort();
        siblings
    };
    assert_eq!(siblings("app.log"), ["app-2026-11-20.log", "app.log.1", "app.log.2.gz"]);
    assert_eq!(siblings("pod.log"), ["0.log.20261120-101010"]);
    assert!(siblings("other.log").is_empty());
    // What was looked at for siblings is watched for changes like all else.
    settle_all(&[root.to_path_buf(), root.join("pods")]);
    let now = Instant::now();
    discovery.scan(now);
    discovery.siblings_of(&root.join("pod.log"));
    assert!(discovery.scan(now).is_none());
    fs::write(root.join("pods/0.log.20261120-101011"), "x\n").expect("written");
    assert!(discovery.scan(now).is_some());
}

#[test]
fn a_file_is_found_in_a_directory_that_may_be_passed_but_not_read() {
    // Root reads everything: then this says nothing, and holds all the same.
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tree(&["shut/a.log"]);
    let shut = directory.path().join("shut");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o311)).expect("shut");
    let found = discovery(directory.path(), &["shut/a.log"], &[]).scan(Instant::now()).expect("a first scan");
    assert_eq!(names(directory.path(), &found), ["shut/a.log"]);
}
