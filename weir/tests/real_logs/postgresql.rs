//! PostgreSQL: its text log with Debian's prefix and with the usual longer one, its JSON and its CSV log.

use serde_json::{Value, json};

use crate::server::Home;
use crate::support::{Program, text, until_or};
use crate::{check_fields, understood, understood_as};

/// Statements, of which every second one fails.
const STATEMENTS: [&str; 6] = [
    "create table orders (id int primary key, name text)",
    "insert into nowhere values (1)",
    "insert into orders values (1, 'one'); insert into orders values (1, 'again')",
    "select pg_sleep(0.01),\n  'two lines'",
    "do $$ begin raise warning 'careful %', 5; end $$",
    "selec 1",
];

fn start(home: &Home, prefix: &str) -> Program {
    let made = home.run("initdb", &["-D", "data", "-U", "ann", "--auth=trust", "--no-sync", "--locale=C"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    home.write("data/pg_hba.conf", "host all bob 127.0.0.1/32 scram-sha-256\nlocal all all trust\n");
    let port = home.port.to_string();
    let settings = [
        format!("unix_socket_directories={}", home.root()),
        format!("log_directory={}", home.root()),
        format!("log_line_prefix={prefix}"),
        "listen_addresses=127.0.0.1".to_owned(),
        "logging_collector=on".to_owned(),
        "log_filename=postgresql.log".to_owned(),
        "log_destination=stderr,csvlog,jsonlog".to_owned(),
        "log_min_duration_statement=0".to_owned(),
        "log_connections=on".to_owned(),
        "log_disconnections=on".to_owned(),
        "log_checkpoints=on".to_owned(),
        "log_timezone=UTC".to_owned(),
        "fsync=off".to_owned(),
    ];
    let mut arguments = vec!["-D", "data", "-p", &port];
    settings.iter().for_each(|setting| arguments.extend(["-c", setting]));
    home.serve(home.command("postgres", &arguments))
}

/// Plays all statements, then a login with a wrong password.
fn play(home: &Home) {
    let port = home.port.to_string();
    for statement in STATEMENTS {
        home.run("psql", &["-X", "-h", home.root(), "-p", &port, "-U", "ann", "postgres", "-c", statement]);
    }
    let checkpoint =
        ["-X", "-h", home.root(), "-p", &port, "-U", "ann", "postgres", "-c", "create role bob login"];
    assert_eq!(home.run("psql", &checkpoint).code, Some(0));
    let mut login = home.command("psql", &["-X", "-h", "127.0.0.1", "-p", &port, "-U", "bob", "postgres"]);
    login.env("PGPASSWORD", "wrong").output().unwrap();
}

fn logs_of(prefix: &str) -> Option<Home> {
    let home = Home::of(&["postgres", "initdb", "psql"])?;
    let mut postgres = start(&home, prefix);
    play(&home);
    postgres.stop();
    until_or(
        "the last line is written",
        || home.read("postgresql.json").contains("database system is shut down"),
        || home.read("postgresql.log"),
    );
    Some(home)
}

/// What each of the logs has to say, whatever it is written in.
fn check_events(documents: &[Value], message_of_statement: &str) {
    check_fields(documents, "relation \"nowhere\" does not exist", &json!({"log.level": "error"}));
    check_fields(documents, "careful 5", &json!({"log.level": "warning"}));
    check_fields(documents, "password authentication failed", &json!({"log.level": "fatal"}));
    check_fields(documents, "database system is shut down", &json!({"log.level": "info"}));
    let slow = documents.iter().find(|document| {
        let message = document["message"].as_str().unwrap();
        message.contains("statement: ") && message.contains(message_of_statement)
    });
    assert!(slow.is_some(), "{message_of_statement:?} in {documents:#?}");
    assert!(documents.iter().all(|document| document["process.pid"].is_u64()), "{documents:#?}");
}

#[test]
fn what_postgresql_logs_with_debian_s_prefix_is_understood() {
    let Some(home) = logs_of("%m [%p] %q%u@%d ") else { return };
    let documents = understood(&home.path("postgresql.log"));
    check_events(&documents, "two lines");
    let who = json!({"user.name": "ann", "attributes.database": "postgres"});
    check_fields(&documents, "relation \"nowhere\"", &who);
    for document in documents.iter().filter(|one| one["message"].as_str().unwrap().starts_with("duration: "))
    {
        assert!(document["event.duration"].as_u64() > Some(0), "{document}");
        assert_eq!(document["user.name"], "ann", "{document}");
    }
    let hint = documents.iter().any(|document| document["message"] == "STATEMENT:  selec 1");
    assert!(hint, "{documents:#?}");
}

#[test]
fn what_postgresql_logs_with_the_usual_long_prefix_is_understood() {
    let Some(home) = logs_of("%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ") else { return };
    let documents = understood(&home.path("postgresql.log"));
    check_events(&documents, "two lines");
    check_fields(
        &documents,
        "relation \"nowhere\"",
        &json!({"attributes.database": "postgres", "attributes.application": "psql", "source.address": "local"}),
    );
    check_fields(&documents, "password authentication failed", &json!({"source.ip": "127.0.0.1"}));
}

#[test]
fn what_postgresql_logs_as_json_is_understood() {
    let Some(home) = logs_of("%m [%p] ") else { return };
    let documents = understood(&home.path("postgresql.json"));
    check_events(&documents, "two lines");
    check_fields(
        &documents,
        "relation \"nowhere\"",
        &json!({"error.code": "42P01", "attributes.user": "ann"}),
    );
    check_fields(&documents, "password authentication failed", &json!({"source.ip": "127.0.0.1"}));
}

#[test]
fn what_postgresql_logs_as_csv_is_understood_with_its_columns_named() {
    let Some(home) = logs_of("%m [%p] ") else { return };
    // The columns of the documentation's table 20.8.4; those that Weir's fields are for have their names.
    let names = [
        "timestamp",
        "user.name",
        "database",
        "process.pid",
        "client",
        "session",
        "line",
        "command",
        "started",
        "transaction",
        "transaction_id",
        "error_severity",
        "error.code",
        "message",
        "detail",
        "hint",
        "internal_query",
        "internal_position",
        "context",
        "query",
        "position",
        "location",
        "application",
        "backend",
        "leader",
        "query_id",
    ];
    let configuration = format!(
        "[[source]]\npaths = [\"{}/.tmp*/copy.log\"]\nformat = \"csv\"\ncolumns = {names:?}\n\
         multiline = {{ start = '^\\d{{4}}-\\d\\d-\\d\\d ' }}\n",
        text(&std::env::temp_dir())
    );
    let configuration = home.write("weir.toml", configuration);
    let documents = understood_as(&home.path("postgresql.csv"), &["-c", text(&configuration)]);
    check_events(&documents, "two lines");
    check_fields(
        &documents,
        "relation \"nowhere\"",
        &json!({"error.code": "42P01", "user.name": "ann", "attributes.database": "postgres"}),
    );
}
