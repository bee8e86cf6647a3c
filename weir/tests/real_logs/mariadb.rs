//! MariaDB: its error log and its slow log.

use serde_json::json;

use crate::server::Home;
use crate::support::{Program, until_or};
use crate::{check_fields, understood};

fn start(home: &Home) -> Program {
    let root = home.root();
    let made = home.run(
        "mariadb-install-db",
        &[
            "--no-defaults",
            &format!("--datadir={root}/data"),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ],
    );
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    home.serve(home.command(
        "mariadbd",
        &[
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--log-warnings=9",
            "--slow-query-log=1",
            "--long-query-time=0",
            &format!("--port={}", home.port),
            &format!("--datadir={root}/data"),
            &format!("--socket={root}/socket"),
            &format!("--pid-file={root}/pid"),
            &format!("--log-error={root}/error.log"),
            &format!("--slow-query-log-file={root}/slow.log"),
        ],
    ))
}

/// Whether it is of the day of the test, by its own words and not by when it was read: in whole seconds.
fn is_of_now(entry: &serde_json::Value) -> bool {
    let is_head = entry["message"].as_str().unwrap().contains("started with:");
    is_head || entry["@timestamp"].as_str().unwrap().ends_with(".000Z")
}

#[test]
fn what_mariadb_logs_is_understood() {
    let Some(home) = Home::of(&["mariadbd", "mariadb-install-db", "mariadb"]) else { return };
    let mut mariadb = start(&home);
    let socket = format!("--socket={}/socket", home.root());
    let client =
        |statement: &str| home.run("mariadb", &["--no-defaults", &socket, "-u", "root", "-e", statement]);
    let made =
        client("create database shop; use shop; create table orders (id int); insert into orders values (1)");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    client("use shop; select sleep(0.02),\n  'two lines' from orders");
    client("selec 1");
    let port = format!("--port={}", home.port);
    let bob = [
        "--no-defaults",
        "--protocol=tcp",
        "-h",
        "127.0.0.1",
        &port,
        "-u",
        "bob",
        "-pwrong",
        "-e",
        "select 1",
    ];
    home.run("mariadb", &bob);
    mariadb.stop();
    until_or("it is shut down", || home.read("error.log").contains("Shutdown complete"), || mariadb.stderr());

    let errors = understood(&home.path("error.log"));
    check_fields(&errors, "Access denied for user 'bob'", &json!({"log.level": "warning"}));
    check_fields(&errors, "ready for connections", &json!({"log.level": "info", "process.thread.id": 0}));
    check_fields(&errors, "Shutdown complete", &json!({"log.level": "info"}));

    let slow = understood(&home.path("slow.log"));
    let statement = slow.iter().find(|document| document["message"].as_str().unwrap().contains("two lines"));
    let statement = statement.unwrap_or_else(|| panic!("the slow statement in {slow:#?}"));
    assert!(statement["event.duration"].as_u64() > Some(20_000_000), "{statement}");
    assert_eq!(statement["user.name"], "root", "{statement}");
    // It has no line with its time: only the first entry of a second has one.
    assert!(slow.iter().all(is_of_now), "{slow:#?}");
    assert_eq!(statement["source.address"], "localhost", "{statement}");
    assert_eq!(statement["attributes.Rows_sent"], 1, "{statement}");
    assert!(statement["message"].as_str().unwrap().contains("\n  'two lines' from orders;"), "{statement}");
}
