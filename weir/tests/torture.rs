//! `weir torture`: a shipper that loses or repeats lines is found out.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::process::Command;

use serde_json::Value;

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::{Ended, run, weir};

/// The verdicts by scenario, and how the program ended.
fn torture(arguments: &[&str]) -> (Vec<Value>, Ended) {
    let directory = tempfile::tempdir().unwrap();
    let fixed = ["torture", "--json", "--lines", "2000", "--dir", directory.path().to_str().unwrap()];
    let ended = Ended::from(weir(fixed.iter().chain(arguments)).env("WEIR_LOG", "error").output().unwrap());
    let rows = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (rows, ended)
}

fn check_good(arguments: &[&str], scenarios: usize) {
    let (rows, ended) = torture(arguments);
    let bad: Vec<&Value> = rows
        .iter()
        .filter(|row| ["lost", "duplicated", "corrupted"].iter().any(|count| row["verdict"][*count] != 0))
        .collect();
    assert!(bad.is_empty(), "{bad:#?}\n{}", ended.stderr);
    assert_eq!((rows.len(), ended.code), (scenarios, Some(0)), "{}", ended.stderr);
    assert!(rows.iter().all(|row| row["verdict"]["written"].as_u64().is_some_and(|lines| lines > 500)));
}

#[test]
fn the_own_shipper_loses_and_duplicates_nothing_in_any_scenario() {
    let scenarios = run(&["torture", "--list"]).stdout.lines().count();
    check_good(&[], scenarios);
}

#[test]
fn the_users_own_logrotate_directives_lose_nothing() {
    if Command::new("logrotate").arg("--version").output().is_err() {
        assert!(std::env::var("CI").is_err(), "logrotate is not installed");
        eprintln!("SKIPPED: the_users_own_logrotate_directives_lose_nothing: logrotate is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for directives in [
        "rotate 20\nmissingok\nnotifempty\n",
        "rotate 20\ncompress\ndelaycompress\n",
        "rotate 20\ncopytruncate\n",
        "rotate 20\ncopytruncate\ncompress\n",
    ] {
        let path = directory.path().join("logrotate.conf");
        std::fs::write(&path, format!("/var/log/app/*.log {{\n{directives}}}\n")).unwrap();
        eprintln!("{directives}");
        check_good(&["--scenario", "rename", "--logrotate", path.to_str().unwrap()], 2);
    }
}

#[test]
fn a_shipper_that_begins_anew_at_every_start_is_found_out() {
    let command = "exec tail -q -F -n +1 \"$TORTURE_LOGS/app.log\" >> \"$TORTURE_OUTPUT\"";
    let (rows, ended) = torture(&["--scenario", "kill", "--patience", "2", "--command", command]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let verdict = &rows[0]["verdict"];
    assert!(verdict["duplicated"].as_u64().is_some_and(|count| count > 0), "{verdict}");
}

#[test]
fn a_shipper_that_follows_the_name_alone_is_found_to_lose_what_was_rotated_while_it_was_behind() {
    // Starts at the end, as many do.
    let command = "exec tail -q -F -n 0 \"$TORTURE_LOGS/app.log\" >> \"$TORTURE_OUTPUT\"";
    let (rows, ended) = torture(&["--scenario", "compress-stopped", "--patience", "2", "--command", command]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let verdict = &rows[0]["verdict"];
    assert!(verdict["lost"].as_u64().is_some_and(|count| count > 0), "{verdict}");
}

#[test]
fn a_shipper_that_runs_elsewhere_is_read_from_its_output_and_not_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("output.log");
    let script = format!(
        "while ! [ -e {0}/recreate/logs/app.log ]; do :; done; exec tail -q -F -n +1 {0}/recreate/logs/app.log > {1}",
        directory.path().display(),
        output.display()
    );
    let mut shipper =
        Command::new("sh").args(["-c", &script]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let places = ["--dir", directory.path().to_str().unwrap(), "--output", output.to_str().unwrap()];
    let scenarios = ["--scenario", "recreate", "--scenario", "kill", "--lines", "400", "--patience", "10"];
    let ended = run(&[&["torture", "--json"][..], &places, &scenarios].concat());
    shipper.kill().unwrap();
    shipper.wait().unwrap();
    let rows: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows[0]["verdict"]["written"], 400, "{}", ended.stderr);
    assert_eq!(rows[0]["verdict"]["lost"], 0, "{}", ended.stdout);
    assert_eq!(rows[1]["verdict"], Value::Null);
    assert!(ended.stderr.contains("1 scenarios left out"), "{}", ended.stderr);
}
