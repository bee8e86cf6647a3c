//! docker-compose.yml, deploy/Dockerfile and deploy/compose.toml fit together, and what can run without containers runs.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use weir_config::{Config, parse_size};

/// How long a server may take to answer its health check.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// What the image holds, and what the sample's commands may start with.
const PROGRAMS: [&str; 3] = ["weir", "weir-shipper", "weir-worker"];
/// Services that run a program of ours, and those of them that read the configuration.
const OURS: [&str; 4] = ["setup", "worker", "sample", "sample-shipper"];
const CONFIGURED: [&str; 3] = ["setup", "worker", "sample-shipper"];

/// Only what the file uses: any other key is an error, so that a misspelt one is found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    #[serde(rename = "name")]
    _name: String,
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<()>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: String,
    build: Option<Build>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
    healthcheck: Option<HealthCheck>,
    user: Option<String>,
    mem_limit: String,
    restart: String,
    #[serde(default)]
    init: bool,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    cap_drop: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: String,
    dockerfile: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    condition: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthCheck {
    test: Vec<String>,
    #[serde(rename = "interval")]
    _interval: String,
    #[serde(rename = "timeout")]
    _timeout: String,
    #[serde(rename = "retries")]
    _retries: u32,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn compose() -> Compose {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}"))
}

/// What a service reads at /etc/weir/weir.toml, with the variables that docker-compose.yml gives it.
fn config_of(service: &Service) -> Config {
    let (source, _) = service.volumes[0].split_once(':').unwrap();
    let path = root().join(source);
    let text = std::fs::read_to_string(&path).unwrap();
    let env = |name: &str| service.environment.get(name).cloned();
    Config::from_toml(&text, &path, &env).unwrap_or_else(|error| panic!("{error}"))
}

fn skip(test: &str, reason: &str) {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{test}: {reason}");
    eprintln!("SKIPPED: {test}: {reason}");
}

#[test]
fn the_whole_pipeline_is_there_and_every_image_is_pinned() {
    let compose = compose();
    let services: BTreeSet<_> = compose.services.keys().map(String::as_str).collect();
    let expected = ["redis", "elasticsearch", "kibana"].into_iter().chain(OURS).collect();
    assert_eq!(services, expected);
    for (name, service) in &compose.services {
        let (_, tag) = service.image.split_once(':').unwrap_or_else(|| panic!("{name} has no tag"));
        let version = tag.split('-').next().unwrap();
        let is_full =
            version.split('.').count() == 3 && version.split('.').all(|part| part.parse::<u32>().is_ok());
        assert!(is_full, "{name} is pinned to {tag} only");
        assert_eq!(service.build.is_some(), OURS.contains(&name.as_str()), "{name}");
    }
    let weir = format!("weir:{}", env!("CARGO_PKG_VERSION"));
    assert!(OURS.iter().all(|name| compose.services[*name].image == weir), "the image is not {weir}");
}

#[test]
fn whoever_waits_for_health_waits_for_a_service_that_has_a_health_check() {
    let compose = compose();
    for (name, service) in &compose.services {
        for (target, dependency) in &service.depends_on {
            let target =
                compose.services.get(target).unwrap_or_else(|| panic!("{name} waits for no service"));
            match dependency.condition.as_str() {
                "service_healthy" => assert!(target.healthcheck.is_some(), "{name}"),
                "service_completed_successfully" => assert_eq!(target.restart, "no", "{name}"),
                other => assert_eq!(other, "service_started", "{name}"),
            }
        }
    }
}

#[test]
fn memory_is_bounded_ports_are_local_and_nothing_of_ours_runs_as_root() {
    let compose = compose();
    for (name, service) in &compose.services {
        let limit = service.mem_limit.replace('m', "MiB").replace('g', "GiB");
        assert!(parse_size(&limit).unwrap() <= 2 << 30, "{name}");
        assert!(service.ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{name}");
        assert!(service.user.as_deref().is_none_or(|user| user != "root" && user != "0"), "{name}");
        let is_ours = OURS.contains(&name.as_str());
        assert_eq!(service.read_only && service.cap_drop == ["ALL"], is_ours, "{name}");
        assert_eq!(
            service.init, is_ours,
            "{name}: signals reach a program without handlers only through an init"
        );
        assert!(service.restart == "unless-stopped" || name == "setup", "{name}");
    }
    let dockerfile = std::fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    let user = dockerfile.lines().filter_map(|line| line.strip_prefix("USER ")).next_back();
    assert_eq!(user, Some("weir"));
    assert!(dockerfile.contains("--uid 10001 --no-create-home weir"));
}

#[test]
fn every_command_is_a_program_that_the_image_holds() {
    let compose = compose();
    for name in OURS {
        let service = &compose.services[name];
        assert!(PROGRAMS.contains(&service.command[0].as_str()), "{name} runs {}", service.command[0]);
        let build = service.build.as_ref().unwrap();
        assert!(root().join(&build.context).join(&build.dockerfile).is_file());
    }
    let dockerfile = std::fs::read_to_string(root().join("deploy/Dockerfile")).unwrap();
    for program in PROGRAMS {
        assert!(
            dockerfile.contains(&format!("-p {program} "))
                && dockerfile.contains(&format!("target/dist/{program}"))
        );
    }
    let toolchain = std::fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let version = toolchain.split('"').nth(1).unwrap();
    assert!(dockerfile.contains(&format!("FROM rust:{version}-")), "the image is not built with {version}");
}

#[test]
fn every_volume_is_declared_and_every_mounted_file_exists() {
    let compose = compose();
    for (name, service) in &compose.services {
        for volume in &service.volumes {
            let (source, _) = volume.split_once(':').unwrap();
            let exists = match source.strip_prefix("./") {
                Some(file) => root().join(file).is_file(),
                None => compose.volumes.contains_key(source),
            };
            assert!(exists, "{name} mounts {source}");
        }
    }
}

#[test]
fn the_configuration_fits_what_the_services_are_given() {
    let compose = compose();
    for name in CONFIGURED {
        let service = &compose.services[name];
        let target = service.volumes[0].split(':').nth(1).unwrap();
        assert!(service.command.iter().any(|argument| argument == target), "{name} does not read {target}");
        let config = config_of(service);
        assert!(config.warnings.is_empty());
        assert_eq!(config.buffer.redis.unwrap().expose(), "redis://redis:6379/0");
        assert_eq!(config.index.elasticsearch[0].expose(), "http://elasticsearch:9200");
    }
    let shipper = &compose.services["sample-shipper"];
    let config = config_of(shipper);
    let writes_to = compose.services["sample"].volumes[0].split_once(':').unwrap();
    assert!(config.sources[0].paths[0].value.starts_with(writes_to.1));
    assert!(shipper.volumes.contains(&format!("{}:{}:ro", writes_to.0, writes_to.1)));
    assert!(shipper.volumes.contains(&format!("shipper:{}", config.state.display())));
    assert_eq!(compose.services["sample"].command.last().unwrap(), writes_to.1);
}

#[test]
fn health_checks_of_our_programs_ask_where_they_listen() {
    let compose = compose();
    let metrics = config_of(&compose.services["worker"]).metrics;
    for (name, address) in [("worker", metrics.worker), ("sample-shipper", metrics.shipper)] {
        let test = &compose.services[name].healthcheck.as_ref().unwrap().test;
        assert_eq!(test.last().unwrap(), &format!("http://{}/ready", address.unwrap()));
    }
}

#[test]
fn redis_starts_with_its_command_and_answers_its_health_check() {
    if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip("redis_starts_with_its_command", "redis-server is not installed");
    }
    let compose = compose();
    let service = &compose.services["redis"];
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("redis.sock");
    let child = Command::new(&service.command[0])
        .args(&service.command[1..])
        .args(["--port", "0", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _server = Server(child);
    let cli = |arguments: &[String]| {
        let output = Command::new("redis-cli").arg("-s").arg(&socket).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };

    let test = &service.healthcheck.as_ref().unwrap().test;
    assert_eq!(test[..2], ["CMD", "redis-cli"]);
    wait_until("redis answers its health check", || cli(&test[2..]) == "PONG\n");

    let setting = |name: &str| {
        let answer = cli(&["config".into(), "get".into(), name.into()]);
        answer.lines().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(setting("maxmemory-policy"), "noeviction");
    assert_eq!(setting("appendonly"), "yes");
    let bound: u64 = setting("maxmemory").parse().unwrap();
    assert!(
        bound > config_of(&compose.services["worker"]).buffer.max_bytes,
        "Redis refuses before shippers wait"
    );
    let limit = parse_size(&service.mem_limit.replace('g', "GiB")).unwrap();
    assert!(bound < limit, "the container is killed before Redis refuses");
}

#[test]
fn the_health_check_of_elasticsearch_succeeds_on_a_real_one() {
    let Ok(address) = std::env::var("WEIR_TEST_ELASTICSEARCH") else {
        return skip("the_health_check_of_elasticsearch", "WEIR_TEST_ELASTICSEARCH is not set");
    };
    let compose = compose();
    let test = &compose.services["elasticsearch"].healthcheck.as_ref().unwrap().test;
    assert_eq!(test[0], "CMD");
    let run = |address: &str| {
        let arguments = test[2..].iter().map(|argument| argument.replace("http://127.0.0.1:9200", address));
        Command::new(&test[1]).args(arguments).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(run(&address));
    assert!(!run("http://127.0.0.1:1"), "the health check cannot fail");
}

/// A child process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("the server is ours");
        self.0.wait().expect("it was killed");
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + START_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {START_TIMEOUT:?}: {what}");
        std::thread::yield_now();
    }
}
