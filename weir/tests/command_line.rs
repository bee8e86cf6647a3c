//! The command line as people meet it: what is wrong is said once, on one line, with the right exit code.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_buffer::testing::{TestRedis, free_port};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::search_server::SearchServer;
use support::{Ended, Program, get, run, text, until, weir, write};

const COMMANDS: [&str; 10] =
    ["up", "ship", "work", "setup", "parse", "check", "search", "tail", "torture", "demo"];

const PASSWORD: &str = "s3cr3t-word";

/// It ended with `code`, and stderr is one line that begins with "error" and has these words.
fn check_error(arguments: &[&str], code: i32, words: &[&str]) {
    let ended = run(arguments);
    check_fault(&format!("{arguments:?}"), &ended, code, words);
    assert_eq!(ended.stderr.lines().count(), 1, "{arguments:?}: {}", ended.stderr);
}

fn check_fault(what: &str, ended: &Ended, code: i32, words: &[&str]) {
    let Ended { code: found, stdout, stderr } = ended;
    assert_eq!(*found, Some(code), "{what}: {stderr}");
    assert_eq!(stdout, "", "{what}");
    assert!(stderr.starts_with("error"), "{what}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{what}: no {word:?} in {stderr}");
    }
    check_harmless(what, stderr);
}

fn check_harmless(what: &str, output: &str) {
    for word in ["panicked", "RUST_BACKTRACE", "stack backtrace", PASSWORD] {
        assert!(!output.contains(word), "{what}: {word:?} in {output}");
    }
}

#[test]
fn every_command_explains_itself() {
    let overview = run(&["--help"]);
    assert_eq!((overview.code, &*overview.stderr), (Some(0), ""));
    for command in COMMANDS {
        let help = run(&[command, "--help"]);
        assert_eq!((help.code, &*help.stderr), (Some(0), ""), "{command}");
        assert!(help.stdout.contains(&format!("Usage: weir {command}")), "{}", help.stdout);
        assert!(command == "demo" || overview.stdout.contains(&format!("\n  {command} ")), "{command}");
    }
    let version = run(&["--version"]);
    assert_eq!(version.stdout, format!("weir {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_use_names_the_word_that_is_wrong_and_exits_with_2() {
    let faults: [(&[&str], &str); 6] = [
        (&["ship", "--tow", "x"], "--tow"),
        (&["parse", "--format", "xmll"], "xmll"),
        (&["parse", "--timezone", "Mars/Olympus"], "Mars/Olympus"),
        (&["up", "--listen", "nowhere"], "nowhere"),
        (&["work", "--once", "--idle", "3 bananas"], "3 bananas"),
        (&["wier"], "wier"),
    ];
    for (arguments, word) in faults {
        check_fault(&format!("{arguments:?}"), &run(arguments), 2, &[word]);
    }
}

#[test]
fn a_wrong_url_is_refused_without_its_password() {
    let http = format!("http://user:{PASSWORD}@127.0.0.1");
    let ftp = format!("ftp://user:{PASSWORD}@127.0.0.1");
    let redis = format!("redis://user:{PASSWORD}@127.0.0.1");
    check_error(&["ship", "--to", &http, "x.log"], 2, &["--to", "redis://127.0.0.1:6379"]);
    check_error(&["ship", "--to", "localhost", "x.log"], 2, &["--to", "not a URL"]);
    check_error(&["work", "--from", &ftp, "--to", "http://127.0.0.1"], 2, &["--from", "redis://"]);
    check_error(&["work", "--from", &redis, "--to", &ftp], 2, &["https://127.0.0.1:9200"]);
    check_error(&["setup", "--to", &redis], 2, &["https://127.0.0.1:9200"]);
    let data = tempfile::tempdir().unwrap();
    let up = ["up", "--data", text(data.path()), "--listen", "127.0.0.1:0", "x.log"];
    check_error(&[&up[..], &["--elasticsearch", &ftp]].concat(), 2, &["https://127.0.0.1:9200"]);
    check_error(&[&up[..], &["--redis", &http]].concat(), 2, &["--redis", "redis://127.0.0.1:6379"]);
}

#[test]
fn what_is_missing_is_said_with_the_flag_that_names_it() {
    check_error(&["ship", "x.log"], 2, &["--to redis://HOST:6379"]);
    check_error(&["ship", "--to", "redis://127.0.0.1"], 2, &["nothing to follow"]);
    check_error(&["work"], 2, &["--from redis://HOST:6379"]);
    check_error(&["work", "--from", "redis://127.0.0.1"], 2, &["--to http://HOST:9200"]);
    check_error(&["setup"], 2, &["--to URL"]);
    check_error(&["parse", "no/such.log"], 2, &["no/such.log", "No such file"]);
    check_error(&["check", "-c", "no/such.toml"], 2, &["no/such.toml", "No such file"]);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    check_error(&["search", "x", "--server", &nobody], 1, &[&nobody, "weir up"]);
    check_error(&["tail", "--server", &nobody], 1, &[&nobody, "weir up"]);
}

#[test]
fn a_bad_configuration_is_refused_by_every_command_with_the_place_of_each_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path =
        write(directory.path(), "bad.toml", "[buffer]\nredis = \"redis://h\"\nmax_bites = 3\n[pages]\n");
    let path = text(&path);
    for command in ["up", "ship", "work", "setup", "parse", "check"] {
        let ended = run(&[command, "-c", path]);
        check_fault(
            command,
            &ended,
            2,
            &[&format!("{path}:3:"), "max_bites", &format!("{path}:4:"), "pages"],
        );
    }
}

#[test]
fn a_password_in_the_configuration_is_never_printed() {
    let directory = tempfile::tempdir().unwrap();
    let bad = [
        format!("[buffer]\nredis = \"http://user:{PASSWORD}@h\"\n"),
        format!("[buffer]\nredis = \"redis://user:{PASSWORD}@h\"\nx = 1\n"),
        format!("[index]\nelasticsearch = \"ftp://user:{PASSWORD}@h\"\n"),
        format!("[index]\nelasticsearch = \"http://h\"\npassword = \"{PASSWORD}\"\nusername = 1\n"),
    ];
    for content in bad {
        let path = write(directory.path(), "weir.toml", &content);
        check_fault(&content, &run(&["check", "-c", text(&path)]), 2, &["weir.toml:"]);
    }
}

#[test]
fn check_runs_the_tests_of_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let with = |status: u16| {
        let access = r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326"#;
        let content = format!(
            "[[source]]\npaths = [\"/x/*.log\"]\n[[source.test]]\ninput = '{access}'\n\
             expect = {{ \"http.response.status_code\" = {status} }}\n"
        );
        run(&["check", "-c", text(&write(directory.path(), "weir.toml", content))])
    };
    let good = with(200);
    assert_eq!((good.code, &*good.stderr), (Some(0), ""));
    assert!(good.stdout.contains("1 tests passed, 0 failed"), "{}", good.stdout);
    let failing = with(404);
    assert_eq!(failing.code, Some(1));
    assert!(failing.stderr.contains("weir.toml:4:"), "{}", failing.stderr);
    let difference =
        "  - http.response.status_code: expected 404\n  + http.response.status_code: got      200\n";
    assert!(failing.stderr.contains(difference), "{}", failing.stderr);
    let drop = "[[source]]\npaths = [\"/x\"]\ndrop = ['level:(']\n";
    let path = write(directory.path(), "drop.toml", drop);
    check_fault("drop", &run(&["check", "-c", text(&path)]), 2, &["drop.toml:3:"]);
}

#[test]
fn parse_makes_one_document_of_every_line_of_stdin_and_of_files() {
    let input = b"{\"level\":\"warn\",\"msg\":\"slow\",\"order\":7}\n\n   \nplain \xff\xfe bytes\r\nlast without newline";
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "a.log", input);
    let mut parse =
        weir(["parse"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    parse.stdin.take().unwrap().write_all(input).unwrap();
    let from_stdin = Ended::from(parse.wait_with_output().unwrap());
    let from_files = run(&["parse", text(&path), text(&path)]);
    for (ended, times) in [(from_stdin, 1), (from_files, 2)] {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let documents: Vec<Value> =
            ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(documents.len(), 3 * times, "{}", ended.stdout);
        assert_eq!(documents[0]["log.level"], "warning");
        assert_eq!(documents[0]["attributes.order"], 7);
        assert_eq!(documents[1]["message"], "plain \u{fffd}\u{fffd} bytes");
        assert_eq!(documents[2]["message"], "last without newline");
        let summary = format!("{} records, {} lines, ", 3 * times, 5 * times);
        assert!(ended.stderr.starts_with(&summary), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1);
    }
}

#[test]
fn parse_finds_the_source_of_a_relative_path_and_says_where_there_is_none_and_what_was_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).expect("written");
    let paths = format!("paths = ['{}/app.log']", directory.path().display());
    write("weir.toml", &format!("[[source]]\n{paths}\n[[source.shape]]\nwhen = 'a'\nsample = '0%'\n"));
    write("app.log", "2026-11-20 21:39:19 INFO a\n2026-11-20 21:39:20 INFO b\n");
    write("other.log", "a\n");
    let parse = |file: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["parse", "-c", "weir.toml", file])
            .current_dir(directory.path())
            .output()
            .expect("weir runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(parse("app.log").ends_with("0 not parsed, 1 sampled\n"), "{}", parse("app.log"));
    assert!(parse("other.log").starts_with("no source of the configuration has other.log"));
}

#[test]
fn parse_in_full_says_of_the_host_and_the_source_what_the_shipper_would() {
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "app.log", "2026-11-20 21:39:19 INFO a\n");
    let config =
        format!("metadata = ['os']\n[[source]]\npaths = ['{}']\nlabels = {{ team = 'till' }}\n", text(&log));
    let config = write(directory.path(), "weir.toml", config);
    let parse = |arguments: &[&str]| {
        let ended = run(&[&["parse", "-c", text(&config)], arguments, &[text(&log)]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        serde_json::from_str::<Value>(&ended.stdout).unwrap()
    };
    let (full, usual) = (parse(&["--full"]), parse(&[]));
    assert_eq!((&full["labels.team"], &usual["labels.team"]), (&"till".into(), &"till".into()));
    assert!(full["host.architecture"].is_string() && full["host.name"].is_string(), "{full}");
    // What is told of a line does not depend on where it is told.
    assert!(usual.get("host.architecture").or(usual.get("host.name")).is_none(), "{usual}");
}

#[test]
fn whoever_reads_the_output_of_parse_may_stop_early() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "long.log", "a line like any other\n".repeat(20_000));
    let mut parse =
        weir(["parse", text(&path)]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(parse.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = Ended::from(parse.wait_with_output().unwrap());
    assert!(first.contains("a line like any other"));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

/// A program that even root cannot use to read what the file's mode forbids.
fn without_privileges(command: Command) -> Command {
    if std::fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap() != 0 {
        return command;
    }
    let mut limited = Command::new("setpriv");
    limited
        .args(["--inh-caps=-all", "--bounding-set=-all"])
        .arg(command.get_program())
        .args(command.get_args());
    limited
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_all_others_are_shipped() {
    let Some(redis) = TestRedis::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let closed = write(directory.path(), "closed.log", "hidden\n");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    write(directory.path(), "open.log", "shown\n");
    let pattern = format!("{}/*.log", text(directory.path()));
    let state = directory.path().join("state");
    let url = redis.url();
    let arguments = ["ship", "--to", &url, "--state", text(&state), "--once", "--wait", "pushed", &pattern];
    let ended = Ended::from(without_privileges(weir(arguments)).output().unwrap());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(text(&closed)), "{}", ended.stderr);
    assert!(ended.stderr.contains("shipped 1 records"), "{}", ended.stderr);
    check_harmless("ship --once", &ended.stderr);
}

#[test]
fn a_port_in_use_is_named_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_, port) = address.split_once(':').unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    check_error(&["up", "--data", text(&data), "--listen", &address, "x.log"], 2, &[port]);
    assert!(!data.exists());
    let configuration = write(
        directory.path(),
        "weir.toml",
        format!("[metrics]\nshipper = \"{address}\"\nworker = \"{address}\"\n"),
    );
    let configuration = text(&configuration);
    let redis = format!("redis://127.0.0.1:{}", free_port());
    let ship = ["ship", "-c", configuration, "--state", text(&data), "--to", &redis, "x.log"];
    check_error(&ship, 1, &[&address, "[metrics]"]);
    check_error(&["work", "-c", configuration, "--from", &redis, "--to", "http://127.0.0.1"], 1, &[&address]);
}

#[test]
fn the_page_is_not_opened_to_other_machines_unless_told() {
    let data = tempfile::tempdir().unwrap();
    check_error(
        &["up", "--data", text(data.path()), "--listen", "0.0.0.0:0", "x.log"],
        2,
        &["--allow-remote"],
    );
}

#[test]
fn two_programs_never_share_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "a.log", "one\n");
    let (data, state) = (directory.path().join("data"), directory.path().join("state"));
    let up = ["up", "--data", text(&data), "--listen", "127.0.0.1:0", text(&log)];
    let mut first = Program::start(weir(up));
    until("the page is announced", || first.stdout().starts_with("http://"));
    check_error(&up, 2, &[text(&data)]);
    assert!(first.is_running());
    assert_eq!(first.stop(), Some(0));

    let redis = format!("redis://127.0.0.1:{}", free_port());
    let ship = ["ship", "--to", &redis, "--state", text(&state), text(&log)];
    let mut first = Program::start(weir(ship));
    first.says("the buffer does not take frames");
    check_error(&ship, 2, &[text(&state), "--state"]);
    assert!(first.is_running());
}

/// A real Redis on a port that was refused before.
fn redis_on(port: u16, directory: &Path) -> Program {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(directory).stdin(Stdio::null());
    Program::start(command)
}

#[test]
fn a_redis_that_comes_and_wants_another_password_is_said_without_the_password() {
    if TestRedis::start().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "a.log", "one\ntwo\n");
    let state = directory.path().join("state");
    let port = free_port();
    let url = format!("redis://user:{PASSWORD}@127.0.0.1:{port}");
    let ship = ["ship", "--to", &url, "--state", text(&state), "--once", "--wait", "pushed", text(&log)];
    let nobody = format!("http://user:{PASSWORD}@127.0.0.1:{}", free_port());
    let mut work = Program::start(weir(["work", "--from", &url, "--to", &nobody]));
    let mut ship = Program::start(weir(ship));
    ship.says("the buffer does not take frames");
    work.says("the index is not usable");
    assert!(ship.stderr().contains(&format!("127.0.0.1:{port}")), "it says which: {}", ship.stderr());

    let redis = redis_on(port, directory.path());
    until("what is wrong now is said too", || ship.stderr().contains("does not take this user and password"));
    check_harmless("ship", &ship.stderr());
    check_harmless("work", &work.stderr());
    drop(redis);
}

#[test]
fn shipping_goes_on_by_itself_when_redis_comes() {
    if TestRedis::start().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "a.log", "one\ntwo\n");
    let state = directory.path().join("state");
    let port = free_port();
    let url = format!("redis://127.0.0.1:{port}");
    let mut ship = Program::start(weir([
        "ship",
        "--to",
        &url,
        "--state",
        text(&state),
        "--once",
        "--wait",
        "pushed",
        text(&log),
    ]));
    ship.says("the buffer does not take frames");
    let _redis = redis_on(port, directory.path());
    assert_eq!(ship.end().code(), Some(0), "{}", ship.stderr());
    let said = ship.stderr();
    assert_eq!(said.matches("the buffer does not take frames").count(), 1, "{said}");
    assert!(said.contains("the buffer takes frames again"), "{said}");
    assert!(said.contains("shipped 2 records"), "{said}");
}

#[test]
fn a_shipment_that_was_stopped_before_its_end_is_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "a.log", "one\ntwo\n");
    let state = directory.path().join("state");
    let url = format!("redis://127.0.0.1:{}", free_port());
    let arguments = ["ship", "--to", &url, "--state", text(&state), "--once", text(&log)];
    let mut ship = Program::start(weir(arguments));
    ship.says("the buffer does not take frames");
    assert_eq!(ship.stop(), Some(1), "{}", ship.stderr());
    assert!(ship.stderr().contains("the next run goes on from here"), "{}", ship.stderr());
}

#[test]
fn indexing_goes_on_by_itself_when_elasticsearch_comes() {
    let Some(server) = SearchServer::of("WEIR_TEST_ELASTICSEARCH") else { return };
    let Some(redis) = TestRedis::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "a.log", "one\ntwo\n");
    let state = directory.path().join("state");
    let url = redis.url();
    let ship = ["ship", "--to", &url, "--state", text(&state), "--once", "--wait", "pushed", text(&log)];
    assert_eq!(run(&ship).code, Some(0));

    let port = free_port();
    let configuration = server.configuration(directory.path());
    let to = format!("http://user:{PASSWORD}@127.0.0.1:{port}");
    let mut work =
        Program::start(weir(["work", "-c", text(&configuration), "--from", &url, "--to", &to, "--once"]));
    work.says("the index is not usable");
    assert!(work.stderr().contains(&format!("127.0.0.1:{port}")), "it says which: {}", work.stderr());
    let _relay = Relay::start(port, &server.url);
    assert_eq!(work.end().code(), Some(0), "{}", work.stderr());
    let said = work.stderr();
    assert_eq!(said.matches("the index is not usable").count(), 1, "{said}");
    assert!(said.contains("the index is back"), "{said}");
    assert_eq!(server.documents("a").len(), 2);
    check_harmless("work", &said);
}

/// The server's second door, which opens later than the program that needs it. Ends with the test program.
struct Relay;

impl Relay {
    fn start(port: u16, url: &str) -> Relay {
        let target = url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = std::net::TcpStream::connect(&target).unwrap();
                for (mut from, mut to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    std::thread::spawn(move || {
                        drop(std::io::copy(&mut from, &mut to));
                        drop(to.shutdown(std::net::Shutdown::Both));
                    });
                }
            }
        });
        Relay
    }
}

#[test]
fn a_query_that_cannot_be_read_is_shown_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let log = write(directory.path(), "a.log", "one\n");
    let data = directory.path().join("data");
    let mut up = Program::start(weir(["up", "--data", text(&data), "--listen", "127.0.0.1:0", text(&log)]));
    until("the page is announced", || up.stdout().ends_with('\n'));
    let page = up.stdout().trim().to_owned();
    until("the page answers", || get(&format!("{page}/live")).is_some());
    check_error(&["search", "level:(", "--server", &page], 2, &["at character"]);
    check_error(&["search", "x", "--since", "yesterdayish", "--server", &page], 2, &["yesterdayish"]);
    assert_eq!(up.stop(), Some(0));
}
