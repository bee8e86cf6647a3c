//! What docker-compose.yml asks of our programs, the programs do.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;
use weir_buffer::testing::{TestRedis, free_port};

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::search_server::SearchServer;
use support::{Program, get, run, text, until, until_or, weir, write};

/// Only what concerns our programs; all of the file is checked beside the configuration.
#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    healthcheck: Option<HealthCheck>,
}

#[derive(Deserialize)]
struct HealthCheck {
    test: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn compose() -> BTreeMap<String, Service> {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let compose: Compose = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    compose.services
}

/// The same command for the one program that is under test here.
fn as_weir(command: &[String]) -> Vec<&str> {
    let (program, arguments) = command.split_first().unwrap();
    let role = match program.as_str() {
        "weir" => None,
        "weir-shipper" => Some("ship"),
        "weir-worker" => Some("work"),
        other => panic!("{other} is none of our programs"),
    };
    role.into_iter().chain(arguments.iter().map(String::as_str)).collect()
}

#[test]
fn every_flag_of_our_services_is_one_of_the_program() {
    let compose = compose();
    let mut flags = 0;
    for name in ["setup", "worker", "sample", "sample-shipper"] {
        let arguments = as_weir(&compose[name].command);
        let help = run(&[arguments[0], "--help"]).stdout;
        for flag in arguments.iter().filter(|argument| argument.starts_with('-')) {
            flags += 1;
            let known = help.split([' ', ',', '\n']).any(|word| word == *flag);
            assert!(known, "{name}: {} has no {flag}: {help}", arguments[0]);
        }
    }
    assert!(flags >= 5, "only {flags} flags are seen");
}

#[test]
fn the_sample_writes_its_logs_where_its_command_says() {
    let directory = tempfile::tempdir().unwrap();
    let logs = directory.path().join("logs");
    let compose = compose();
    let told = compose["sample"].volumes[0].split_once(':').unwrap().1;
    let arguments = as_weir(&compose["sample"].command);
    let here = arguments.into_iter().map(|argument| if argument == told { text(&logs) } else { argument });
    let mut demo = Program::start(weir(here));
    let names = ["gateway.log", "checkout.log", "inventory.log", "payments.log"];
    let size = |name: &str| std::fs::metadata(logs.join(name)).map_or(0, |file| file.len());
    until("every demo service writes", || names.iter().all(|name| size(name) > 0));
    let before: u64 = names.iter().map(|name| size(name)).sum();
    until("the demo goes on writing", || names.iter().map(|name| size(name)).sum::<u64>() > before);
    demo.kill();
    for name in names {
        let parsed = run(&["parse", text(&logs.join(name))]);
        assert!(parsed.stderr.ends_with(", 0 not parsed\n"), "{name}: {}", parsed.stderr);
    }
}

/// The configuration of the services, with the places of this test.
struct Here {
    configuration: PathBuf,
    redis: String,
    elasticsearch: String,
    shipper: u16,
    worker: u16,
}

impl Here {
    fn new(directory: &Path, redis: &str, server: &SearchServer) -> Here {
        let (shipper, worker) = (free_port(), free_port());
        let told = std::fs::read_to_string(root().join("deploy/compose.toml")).unwrap();
        let replacements = [
            ("/logs/", format!("{}/logs/", text(directory))),
            ("/var/lib/weir", text(&directory.join("state")).to_owned()),
            ("127.0.0.1:9882", format!("127.0.0.1:{shipper}")),
            ("127.0.0.1:9883", format!("127.0.0.1:{worker}")),
            ("[index]\n", format!("[index]\nnamespace = \"{}\"\n", server.namespace)),
        ];
        let adapted = replacements.iter().fold(told, |text, (from, to)| {
            assert!(text.contains(from), "deploy/compose.toml has no {from}");
            text.replace(from, to)
        });
        Here {
            configuration: write(directory, "compose.toml", adapted),
            redis: redis.to_owned(),
            elasticsearch: server.url.clone(),
            shipper,
            worker,
        }
    }

    fn command(&self, service: &Service) -> Command {
        let told = service.volumes[0].split(':').nth(1).unwrap();
        let arguments = as_weir(&service.command);
        let mut command = weir(
            arguments
                .into_iter()
                .map(|argument| if argument == told { text(&self.configuration) } else { argument }),
        );
        command.env("REDIS_URL", &self.redis).env("ELASTICSEARCH_URL", &self.elasticsearch);
        command
    }
}

fn answers(port: u16, path: &str) -> Option<(u16, String)> {
    get(&format!("http://127.0.0.1:{port}{path}"))
}

/// The value of a metric, as Prometheus would read it.
fn metric(port: u16, name: &str) -> Option<f64> {
    let (status, text) = answers(port, "/metrics")?;
    assert_eq!(status, 200);
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn the_services_tell_their_health_and_do_their_work_with_their_own_configuration() {
    let Some(server) = SearchServer::of("WEIR_TEST_ELASTICSEARCH") else { return };
    let Some(mut redis) = TestRedis::start() else { return };
    let compose = compose();
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("logs")).unwrap();
    write(&directory.path().join("logs"), "shop.log", "{\"level\":\"info\",\"msg\":\"sold\"}\n".repeat(10));
    let here = Here::new(directory.path(), &redis.url(), &server);
    let mut worker = Program::start(here.command(&compose["worker"]));
    let mut shipper = Program::start(here.command(&compose["sample-shipper"]));

    for (name, port) in [("worker", here.worker), ("sample-shipper", here.shipper)] {
        let probe = compose[name].healthcheck.as_ref().unwrap().test.last().unwrap();
        let path = probe.rsplit_once(":988").unwrap().1.split_once('/').unwrap().1;
        let said = || format!("{}{}", worker.stderr(), shipper.stderr());
        until_or(
            &format!("{name} is ready"),
            || answers(port, &format!("/{path}")).is_some_and(|(status, _)| status == 200),
            said,
        );
        assert_eq!(answers(port, "/live"), Some((200, "live\n".to_owned())));
    }
    until("all is indexed", || metric(here.worker, "weir_worker_indexed_total") == Some(10.0));
    assert_eq!(metric(here.shipper, "weir_shipper_records_total"), Some(10.0));
    let documents = server.documents("shop");
    assert_eq!(documents.len(), 10);
    assert!(documents.iter().all(|document: &Value| document["service.environment"] == "demo"));

    redis.kill();
    let unready = |port| answers(port, "/ready").is_some_and(|(status, _)| status == 503);
    until("the worker says that it waits", || unready(here.worker));
    assert_eq!(answers(here.worker, "/live"), Some((200, "live\n".to_owned())));
    redis.restart();
    until("the worker is ready again", || {
        answers(here.worker, "/ready").is_some_and(|(status, _)| status == 200)
    });
    assert_eq!((worker.stop(), shipper.stop()), (Some(0), Some(0)));
}

#[test]
fn setup_installs_with_the_configuration_of_the_services() {
    let Some(server) = SearchServer::of("WEIR_TEST_ELASTICSEARCH") else { return };
    let directory = tempfile::tempdir().unwrap();
    let here = Here::new(directory.path(), "redis://127.0.0.1:1", &server);
    let compose = compose();
    // There is no Kibana here: its address is the last thing asked for.
    let setup = here.command(&compose["setup"]);
    let without_kibana: Vec<_> = setup.get_args().take_while(|argument| *argument != "--kibana").collect();
    let mut command = weir(without_kibana);
    command.env("REDIS_URL", &here.redis).env("ELASTICSEARCH_URL", &here.elasticsearch);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "templates are installed\n");
}
