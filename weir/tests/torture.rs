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
