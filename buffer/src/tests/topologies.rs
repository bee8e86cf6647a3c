//! Where Redis can be: behind sentinels, in a cluster whose slots move, behind TLS; and who may log in.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redis::Value;
use tempfile::TempDir;

use super::repair::QUICK;
use super::*;
use crate::testing::{TestRedis, free_port, skip};
use crate::{BufferError, Password, RedisBuffer, RedisSettings};

/// An election takes some seconds.
const FAILOVER_PATIENCE: Duration = Duration::from_secs(60);

fn connect(settings: &RedisSettings) -> RedisBuffer {
    RedisBuffer::with_timing(settings, QUICK).unwrap()
}

/// Repeats until it works, as shippers and workers do.
async fn persist<T>(mut attempt: impl AsyncFnMut() -> Result<T, BufferError>) -> T {
    let deadline = std::time::Instant::now() + FAILOVER_PATIENCE;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.is_transient(), "{error}");
                assert!(std::time::Instant::now() < deadline, "still {error:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn push_one(buffer: &RedisBuffer, frame: &Frame) -> Pushed {
    persist(async || buffer.push(&[Push { frame, safe: 0 }]).await).await[0]
}

/// Claims and acknowledges until file `number` is indexed up to `end`.
async fn index_until(buffer: &RedisBuffer, consumer: &mut impl Consumer, number: u64, end: u64) {
    let deadline = std::time::Instant::now() + FAILOVER_PATIENCE;
    while persist(async || buffer.positions(&[file(number)]).await).await[0].indexed != Some(end) {
        assert!(std::time::Instant::now() < deadline, "{:?}", buffer.ledger().await);
        let claims = persist(async || consumer.claim(10, usize::MAX, GLANCE).await).await;
        let ids: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
        persist(async || buffer.acknowledge(&ids).await).await;
    }
}

struct Sentinel {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Sentinel {
    fn start(primary: u16) -> Sentinel {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = directory.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        );
        std::fs::write(&path, settings).unwrap();
        let process = Command::new("redis-server")
            .arg(&path)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Sentinel { process, port, _directory: directory }
    }

    /// What the sentinel says of one of its lists about the primary; nothing while it does not answer.
    fn count(&self, list: &str) -> usize {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}/", self.port)).unwrap();
        let answer: redis::RedisResult<Value> = client
            .get_connection()
            .and_then(|mut connection| redis::cmd("SENTINEL").arg(list).arg("main").query(&mut connection));
        match answer {
            Ok(Value::Array(entries)) => entries.len(),
            _ => 0,
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + FAILOVER_PATIENCE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stale_replica_that_sentinels_promote_sends_the_shipper_back() {
    let Some(mut primary) = TestRedis::start() else { return };
    let of = primary.port().to_string();
    let Some(replica) = TestRedis::start_with(&["--replicaof", "127.0.0.1", &of]) else { return };
    let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(primary.port())).collect();
    until("the sentinels know each other and the replica", || {
        sentinels.iter().all(|sentinel| sentinel.count("replicas") == 1 && sentinel.count("sentinels") == 2)
    })
    .await;
    // The first of the list is away.
    let hosts: Vec<String> =
        sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
    let url = format!("redis-sentinel://127.0.0.1:1,{}/main/0", hosts.join(","));
    let buffer = connect(&RedisSettings::new(&url));
    let mut consumer = persist(async || buffer.consumer("a").await).await;
    assert_eq!(push_one(&buffer, &frame(1, 0, 10)).await, Pushed::Accepted);
    index_until(&buffer, &mut consumer, 1, 10).await;
    assert_eq!(push_one(&buffer, &frame(1, 10, 20)).await, Pushed::Accepted);
    until("the replica has it all", || replica.command(&["XLEN", "weir:{logs:0}:frames"]) == Value::Int(1))
        .await;
    // From here on the replica misses what the primary takes.
    replica.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(push_one(&buffer, &frame(1, 20, 30)).await, Pushed::Accepted);
    assert_eq!(push_one(&buffer, &frame(1, 30, 40)).await, Pushed::Accepted);
    primary.kill();
    assert_eq!(push_one(&buffer, &frame(1, 40, 50)).await, Pushed::Expected(Some(20)), "it lost the tail");
    assert_eq!(push_one(&buffer, &frame(1, 20, 50)).await, Pushed::Accepted);
    index_until(&buffer, &mut consumer, 1, 50).await;
    assert_eq!(replica.command(&["XLEN", "weir:{logs:0}:frames"]), Value::Int(0), "it is at the replica");
}

#[tokio::test]
async fn an_unknown_primary_is_named() {
    let Some(primary) = TestRedis::start() else { return };
    let sentinel = Sentinel::start(primary.port());
    let buffer = connect(&RedisSettings::new(format!("redis-sentinel://127.0.0.1:{}/other", sentinel.port)));
    until("the sentinel answers", || sentinel.count("sentinels") == 0 && sentinel.count("master") > 0).await;
    let error = buffer.depth().await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        error.is_transient() && why.contains("no sentinel knows this primary") && why.contains("other"),
        "{why}"
    );
}

struct Cluster {
    nodes: Vec<TestRedis>,
}

impl Cluster {
    fn start() -> Option<Cluster> {
        let node = |_| TestRedis::start_with(&["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]);
        let nodes: Vec<TestRedis> = (0..3).map(node).collect::<Option<_>>()?;
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .arg("--cluster-yes")
            .output()
            .expect("redis-cli runs");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        Some(Cluster { nodes })
    }

    fn settings(&self, partitions: u32) -> RedisSettings {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        RedisSettings { partitions, ..RedisSettings::new(format!("redis-cluster://{}", hosts.join(","))) }
    }

    async fn is_ready(&self) {
        until("the cluster is complete", || {
            self.nodes
                .iter()
                .all(|node| text(&node.command(&["CLUSTER", "INFO"])).contains("cluster_state:ok"))
        })
        .await;
    }

    fn slot(&self, key: &str) -> u16 {
        match self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]) {
            Value::Int(slot) => u16::try_from(slot).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn id(&self, node: usize) -> String {
        text(&self.nodes[node].command(&["CLUSTER", "MYID"]))
    }

    /// The node that has a slot.
    fn owner(&self, slot: u16) -> usize {
        let key_count = |node: &TestRedis| node.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
        (0..3).find(|&node| key_count(&self.nodes[node]) != Value::Int(0)).expect("somebody has it")
    }

    /// Announces that a slot goes from one node to another; keys stay where they are.
    fn begin_move(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)]);
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)]);
    }

    fn move_keys(&self, slot: u16, from: usize, to: usize, count: usize) {
        let keys =
            self.nodes[from].command(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count.to_string()]);
        let Value::Array(keys) = keys else { panic!("no keys") };
        let port = self.nodes[to].port().to_string();
        for key in &keys {
            self.nodes[from].command(&["MIGRATE", "127.0.0.1", &port, &text(key), "0", "5000"]);
        }
    }

    fn end_move(&self, slot: u16, to: usize) {
        let id = self.id(to);
        for node in [to, (to + 1) % 3, (to + 2) % 3] {
            self.nodes[node].command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]);
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::VerbatimString { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn partitions_are_spread_over_the_nodes_of_a_cluster() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.is_ready().await;
    let buffer = connect(&cluster.settings(6));
    let mut consumer = persist(async || buffer.consumer("a").await).await;
    let frames: Vec<Frame> =
        (0..60).flat_map(|number| [frame(number, 0, 10), frame(number, 10, 20)]).collect();
    fill(&buffer, &frames).await;
    let holds = |node: &TestRedis| node.command(&["DBSIZE"]) != Value::Int(0);
    assert!(cluster.nodes.iter().filter(|node| holds(node)).count() > 1, "not all in one place");
    let claims = claim(&mut consumer, 120).await;
    acknowledge(&buffer, &claims).await;
    for number in 0..60 {
        assert_eq!(indexed(&buffer, number).await, Some(20));
    }
    assert_eq!(buffer.ledger().await.unwrap().len(), 60);
    assert_eq!((buffer.depth().await.unwrap(), gaps(&buffer).await), (crate::Depth::default(), 0));
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.is_ready().await;
    let buffer = connect(&cluster.settings(1));
    let mut consumer = persist(async || buffer.consumer("a").await).await;
    assert_eq!(push_one(&buffer, &frame(1, 0, 10)).await, Pushed::Accepted);
    index_until(&buffer, &mut consumer, 1, 10).await;
    assert_eq!(push_one(&buffer, &frame(1, 10, 20)).await, Pushed::Accepted);
    let slot = cluster.slot("weir:{logs:0}:frames");
    let from = cluster.owner(slot);
    let to = (from + 1) % 3;
    cluster.begin_move(slot, from, to);
    // Some keys are here, some there: a script that needs both is told to try again.
    cluster.move_keys(slot, from, to, 2);
    let torn = buffer.push(&[Push { frame: &frame(1, 20, 30), safe: 0 }]).await;
    let advice = torn.unwrap_err().to_string();
    assert!(advice.contains("moving the slot"), "{advice}");
    // All of them are there, but the slot is still here: ASK.
    cluster.move_keys(slot, from, to, 100);
    let place = persist(async || buffer.positions(&[file(1)]).await).await[0].pushed;
    assert_eq!(place, Some(20), "read at the other node");
    cluster.end_move(slot, to);
    // MOVED.
    assert_eq!(push_one(&buffer, &frame(1, 20, 30)).await, Pushed::Accepted);
    index_until(&buffer, &mut consumer, 1, 30).await;
    assert_eq!(cluster.owner(slot), to);
    // A new client, which is told by the first node of the URL.
    assert_eq!(push_one(&connect(&cluster.settings(1)), &frame(1, 30, 40)).await, Pushed::Accepted);
}

#[tokio::test]
async fn a_node_that_is_away_does_not_keep_workers_from_the_others() {
    let Some(mut cluster) = Cluster::start() else { return };
    cluster
        .nodes
        .iter()
        .for_each(|node| drop(node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"])));
    cluster.is_ready().await;
    let buffer = connect(&cluster.settings(6));
    let mut consumer = persist(async || buffer.consumer("a").await).await;
    let frames: Vec<Frame> = (0..60).map(|number| frame(number, 0, 10)).collect();
    fill(&buffer, &frames).await;
    let gone = cluster.owner(cluster.slot("weir:{logs:0}:frames"));
    cluster.nodes[gone].kill();
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut found = 0;
    while found == 0 {
        assert!(std::time::Instant::now() < deadline, "nothing came of the other nodes");
        found += consumer.claim(10, usize::MAX, GLANCE).await.map_or(0, |claims| claims.len());
    }
}

#[tokio::test]
async fn a_cluster_that_is_taken_for_one_server_is_named_as_such() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.is_ready().await;
    let slot = cluster.slot("weir:{logs:0}:frames");
    let stranger = usize::from(slot < 5461) * 2;
    let buffer = connect(&RedisSettings::new(cluster.nodes[stranger].url()));
    let error = buffer.push(&[Push { frame: &frame(1, 0, 10), safe: 0 }]).await.unwrap_err().to_string();
    assert!(error.contains("write redis-cluster://"), "{error}");
}

/// An authority, a server's certificate for 127.0.0.1 and a client's, made by openssl.
struct Certificates(TempDir);

impl Certificates {
    fn make() -> Option<Certificates> {
        let directory = tempfile::tempdir().unwrap();
        let script = "set -e
            openssl ecparam -name prime256v1 -genkey -noout -out ca.key
            openssl req -x509 -new -key ca.key -days 30 -subj /CN=test-ca -out ca.pem -addext basicConstraints=critical,CA:TRUE
            for name in server client; do
                openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $name.key
                printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' > $name.ext
                openssl req -new -key $name.key -subj /CN=$name |
                    openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile $name.ext -out $name.pem
            done";
        let made = Command::new("sh").args(["-c", script]).current_dir(directory.path()).output().unwrap();
        if !made.status.success() {
            skip(&format!("openssl: {}", String::from_utf8_lossy(&made.stderr)));
            return None;
        }
        Some(Certificates(directory))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[tokio::test]
async fn tls_with_an_authority_and_a_client_certificate_of_ones_own() {
    let Some(certificates) = Certificates::make() else { return };
    // As every program of ours does at its start; another test may have done it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let (port, path) = (free_port(), |name: &str| certificates.path(name).display().to_string());
    let (port_text, server_pem, key, ca) =
        (port.to_string(), path("server.pem"), path("server.key"), path("ca.pem"));
    let Some(server) = TestRedis::start_with(&[
        "--tls-port",
        &port_text,
        "--tls-cert-file",
        &server_pem,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "yes",
    ]) else {
        return;
    };
    let bare = RedisSettings::new(format!("rediss://127.0.0.1:{port}/"));
    let own = Some((certificates.path("client.pem"), certificates.path("client.key")));
    let trusting = RedisSettings { ca: Some(certificates.path("ca.pem")), ..bare.clone() };
    let known = RedisSettings { certificate: own, ..trusting.clone() };
    for refused in [&bare, &trusting] {
        let error = connect(refused).depth().await.unwrap_err();
        assert!(matches!(error, BufferError::Connect { .. } | BufferError::Disconnected { .. }), "{error:?}");
    }
    fill(&connect(&known), &[frame(1, 0, 10)]).await;
    assert_eq!(server.command(&["XLEN", "weir:{logs:0}:frames"]), Value::Int(1));
    let missing = RedisSettings { ca: Some(certificates.path("none.pem")), ..bare.clone() };
    let error = connect(&missing).depth().await.unwrap_err().to_string();
    assert!(error.contains("none.pem"), "{error}");
    std::fs::write(certificates.path("half.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    let half = RedisSettings { ca: Some(certificates.path("half.pem")), ..bare.clone() };
    let error = connect(&half).depth().await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("half.pem"), "{error:?}");
    let plain = RedisSettings { ca: known.ca.clone(), ..RedisSettings::new(server.url()) };
    assert!(RedisBuffer::new(&plain).err().expect("no TLS").to_string().contains("rediss://"));
}

#[tokio::test]
async fn a_password_that_is_changed_is_read_anew_from_its_file() {
    let Some(server) = TestRedis::start_with(&["--requirepass", "first"]) else { return };
    let path = server.directory().join("password");
    std::fs::write(&path, "first").unwrap();
    let read = {
        let path = path.clone();
        Password::new(move || Ok(std::fs::read_to_string(&path)?))
    };
    let buffer = connect(&RedisSettings { password: Some(read), ..RedisSettings::new(server.url()) });
    fill(&buffer, &[frame(1, 0, 10)]).await;
    let administrator = redis::Client::open(server.url().replace("redis://", "redis://:first@")).unwrap();
    let mut administrator = administrator.get_connection().unwrap();
    let change: redis::RedisResult<()> = redis::pipe()
        .cmd("CONFIG")
        .arg(&["SET", "requirepass", "second"])
        .cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query(&mut administrator);
    change.unwrap();
    let next = frame(1, 10, 20);
    let mut attempts = 0;
    let refused = loop {
        match buffer.push(&[Push { frame: &next, safe: 0 }]).await {
            Err(BufferError::Disconnected { .. }) if attempts < 5 => attempts += 1,
            answer => break answer.unwrap_err(),
        }
    };
    assert!(refused.is_transient() && refused.to_string().contains("does not take this"), "{refused}");
    std::fs::remove_file(&path).unwrap();
    let unreadable = buffer.push(&[Push { frame: &next, safe: 0 }]).await.unwrap_err();
    assert!(unreadable.is_transient() && unreadable.to_string().contains("cannot read the password"));
    std::fs::write(&path, "second").unwrap();
    assert_eq!(push_one(&buffer, &next).await, Pushed::Accepted);
}

/// The users of the documentation, with a password each.
fn documented_users() -> Vec<(String, Vec<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/redis-acl.conf");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("user "));
    let user = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1).map(str::to_owned);
        (words.next().unwrap(), words.map(|word| word.replace("CHANGE-ME", "geheim")).collect())
    };
    lines.map(user).collect()
}

/// All that a shipper asks of the buffer, also when somebody deleted what a worker holds.
async fn act_as_shipper(server: &TestRedis, settings: &RedisSettings) -> Result<(), BufferError> {
    let worker = RedisBuffer::new(&RedisSettings::new(server.unix_url())).unwrap();
    server.command(&["FLUSHALL"]);
    let frames = [frame(1, 0, 10), frame(2, 0, 10)];
    // Just enough for both, so that the second one is near the bound, where shares are looked at.
    let bytes_max = frames.iter().map(|frame| frame.bytes.len() as u64 + 520).sum();
    let buffer = connect(&RedisSettings { bytes_max, ..settings.clone() });
    buffer.push(&frames.each_ref().map(|frame| Push { frame, safe: 0 })).await?;
    let mut consumer = worker.consumer("a").await.unwrap();
    let claims = claim(&mut consumer, 2).await;
    acknowledge(&worker, &claims[1..]).await;
    buffer.positions(&[file(1)]).await?;
    buffer.depth().await?;
    buffer.gaps().await?;
    buffer.ledger().await?;
    server.command(&["XTRIM", "weir:{logs:0}:frames", "MAXLEN", "0"]);
    assert!(!buffer.rewind(&file(1), 10, 0).await?);
    server.command(&["DEL", "weir:{logs:0}:alive:a"]);
    // A right that is missing makes it fail, or miss that the frame is lost.
    if buffer.rewind(&file(1), 10, 0).await? {
        buffer.push(&[Push { frame: &frames[0], safe: 0 }]).await?;
    }
    Ok(())
}

/// All that a worker does, deleted frames, a dead colleague and forgotten files included.
async fn act_as_worker(server: &TestRedis, settings: &RedisSettings) -> Result<(), BufferError> {
    let now = Duration::ZERO;
    let timing = crate::redis::Timing { forget_after: now, forget_consumer_after: now, ..QUICK };
    let buffer = RedisBuffer::with_timing(settings, timing).unwrap();
    let other = RedisBuffer::new(&RedisSettings::new(server.unix_url())).unwrap();
    server.command(&["FLUSHALL"]);
    fill(&other, &[frame(1, 0, 10), frame(1, 10, 20), frame(1, 20, 30), frame(2, 0, 10), frame(2, 10, 20)])
        .await;
    let mut consumer = buffer.consumer("a").await?;
    let mut claims = Vec::new();
    // One by one, so that gaps before them are looked for.
    while claims.len() < 4 {
        claims.extend(consumer.claim(1, usize::MAX, GLANCE).await?);
    }
    let ids: Vec<_> = claims.iter().map(|claim| claim.id.clone()).collect();
    buffer.renew("a", &ids[..1]).await?;
    buffer.acknowledge(&ids[1..2]).await?;
    buffer.acknowledge(&ids[3..]).await?;
    buffer.release("a", &ids[..1]).await?;
    buffer.acknowledge(&ids[..1]).await?;
    server.command(&["XTRIM", "weir:{logs:0}:frames", "MAXLEN", "0"]);
    drop(consumer);
    server.command(&["DEL", "weir:{logs:0}:alive:a"]);
    let mut next = buffer.consumer("b").await?;
    for _ in 0..3 {
        next.claim(4, usize::MAX, GLANCE).await?;
    }
    buffer.positions(&[file(1)]).await?;
    buffer.depth().await?;
    buffer.gaps().await?;
    buffer.ledger().await?;
    Ok(())
}

#[tokio::test]
async fn the_documented_users_have_the_rights_that_are_needed_and_not_one_more() {
    let Some(server) = TestRedis::start() else { return };
    for (name, words) in documented_users() {
        let mut command = vec!["ACL", "SETUSER", &name];
        command.extend(words.iter().map(String::as_str));
        server.command(&command);
        let settings = RedisSettings {
            username: Some(name.clone()),
            password: Some(Password::new(|| Ok("geheim".to_owned()))),
            ..RedisSettings::new(server.url())
        };
        let act = async || match name.as_str() {
            "weir-shipper" => act_as_shipper(&server, &settings).await,
            _ => act_as_worker(&server, &settings).await,
        };
        server.command(&["ACL", "LOG", "RESET"]);
        act().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let Value::Array(denied) = server.command(&["ACL", "LOG"]) else { panic!("no log") };
        assert!(denied.is_empty(), "{name}: {denied:?}");
        for right in words.iter().filter(|word| word.starts_with('+')) {
            server.command(&["ACL", "SETUSER", &name, &right.replacen('+', "-", 1)]);
            server.command(&["ACL", "LOG", "RESET"]);
            let result = act().await;
            let Value::Array(denied) = server.command(&["ACL", "LOG"]) else { panic!("no log") };
            assert!(result.is_err() || !denied.is_empty(), "{name} does not need {right}");
            server.command(&["ACL", "SETUSER", &name, right]);
        }
    }
}
