//! Logs of programs that nobody here wrote: parsed without losing a word, and found.
#![expect(clippy::unwrap_used, reason = "a test may stop at the first thing that is not as it has to be")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_buffer::testing::TestRedis;

#[expect(dead_code, reason = "each test program uses a part of it")]
mod support;

use support::{Ended, Program, found, free_port, get, run, skip, text, until, until_or, weir, write};

/// Of a large file, so much is looked at.
const BYTES_MAX: usize = 1 << 20;

/// Words of an understood line that are this long have to be somewhere in its document. Shorter ones are parts of
/// times, and levels that are written differently.
const WORD_MIN: usize = 6;

/// Text files below a directory.
fn text_files(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.filter_map(Result::ok) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            text_files(&entry.path(), files);
        } else if kind.is_file() && std::fs::read(entry.path()).is_ok_and(|bytes| is_text(&bytes)) {
            files.push(entry.path());
        }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && !bytes.contains(&0)
        && std::str::from_utf8(&bytes[..bytes.len().min(4096) / 2]).is_ok()
}

/// Parses what the lines of `path` say, and checks that nothing of it is lost. Returns how many records there are.
fn check_nothing_lost(path: &Path) -> usize {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.truncate(BYTES_MAX);
    let directory = tempfile::tempdir().unwrap();
    let copy = write(directory.path(), "copy.log", &bytes);
    let ended = run(&["parse", text(&copy)]);
    assert_eq!(ended.code, Some(0), "{}: {}", path.display(), ended.stderr);
    let documents: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut starts: Vec<usize> =
        documents.iter().map(|document| document["log.offset"].as_u64().unwrap() as usize).collect();
    starts.push(bytes.len());
    assert!(starts.is_sorted_by(|one, next| one < next), "{}: records overlap", path.display());
    let before = String::from_utf8_lossy(&bytes[..starts[0]]);
    assert!(before.trim().is_empty(), "{}: the first lines are lost: {before}", path.display());
    for (document, range) in documents.iter().zip(starts.windows(2)) {
        let record = String::from_utf8_lossy(&bytes[range[0]..range[1]]);
        check_record(path, &record, document);
    }
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert!(documents.len() <= lines, "{}", path.display());
    documents.len()
}

fn check_record(path: &Path, record: &str, document: &Value) {
    let is_unparsed = document["tags"].as_array().is_some_and(|tags| tags.contains(&"unparsed".into()));
    if is_unparsed {
        let message = document["message"].as_str().unwrap();
        assert_eq!(message.trim_end(), record.trim_end(), "{}", path.display());
        return;
    }
    let values = document.as_object().unwrap().iter();
    let document: String = values.map(|(name, value)| format!("{name} {} ", shown(value))).collect();
    let document = document.to_lowercase();
    let words = record.split(|character: char| !character.is_alphanumeric());
    for word in words.filter(|word| word.len() >= WORD_MIN && !word.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let lost = !document.contains(&word.to_lowercase()) && !is_time(word);
        assert!(!lost, "{}: {word:?} of\n{record}is not in\n{document}", path.display());
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `20T21` of a time stamp, and the like.
fn is_time(word: &str) -> bool {
    word.bytes().filter(u8::is_ascii_digit).count() + 2 >= word.len()
}

#[test]
fn nothing_of_this_machines_own_logs_is_lost() {
    let mut files = Vec::new();
    text_files(Path::new("/var/log"), &mut files);
    if files.is_empty() {
        return skip("/var/log holds no text that can be read");
    }
    let records: usize = files.iter().map(|path| check_nothing_lost(path)).sum();
    println!("{records} records of {} files", files.len());
    assert!(records > 0);
}

#[test]
fn nothing_of_the_log_of_redis_is_lost() {
    if TestRedis::start().is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("redis.log");
    let port = free_port().to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--logfile", text(&log)]);
    command.current_dir(directory.path()).stdin(Stdio::null());
    let mut redis = Program::start(command);
    let ready = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("eady to accept connections"));
    until("redis is ready", ready);
    redis.stop();
    assert!(check_nothing_lost(&log) >= 3);
    let parsed = run(&["parse", text(&log)]).stdout;
    let ready = parsed.lines().find(|line| line.contains("eady to accept connections")).unwrap();
    let ready: Value = serde_json::from_str(ready).unwrap();
    assert_eq!(ready["process.pid"], redis.id(), "{ready}");
    assert_eq!(ready["log.level"], "notice", "{ready}");
    assert_eq!(ready["service.name"], "redis");
}

#[test]
fn nothing_of_the_log_of_elasticsearch_is_lost() {
    if std::env::var("WEIR_TEST_ELASTICSEARCH").is_err() {
        return skip("WEIR_TEST_ELASTICSEARCH is not set");
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/search-server");
    let start = Ended::from(Command::new(list).args(["start", "elasticsearch9"]).output().unwrap());
    let Some(log) = start.stdout.lines().find_map(|line| line.strip_prefix("SEARCH_LOG=")) else {
        return skip("the Elasticsearch was not started by scripts/search-server");
    };
    assert!(check_nothing_lost(Path::new(log)) > 10);
}

/// An nginx of the test's own.
struct Nginx {
    _program: Program,
    directory: tempfile::TempDir,
    port: u16,
}

impl Nginx {
    fn start() -> Option<Nginx> {
        let program = ["nginx", "/usr/sbin/nginx"]
            .into_iter()
            .find(|program| Command::new(program).arg("-v").stderr(Stdio::null()).status().is_ok());
        let Some(program) = program else {
            skip("nginx is not installed");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let root = text(directory.path());
        let configuration = format!(
            "daemon off; master_process off; pid {root}/pid; error_log {root}/error.log info;\n\
             events {{}}\n\
             http {{ access_log {root}/access.log combined;\n\
               client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
               uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
               server {{ listen 127.0.0.1:{port}; root {root}/no-such-root;\n\
                 location /fine {{ return 200 'ok'; }}\n\
                 location /broken {{ proxy_pass http://127.0.0.1:1; }} }} }}\n"
        );
        let configuration = write(directory.path(), "nginx.conf", configuration);
        let mut command = Command::new(program);
        command.args(["-p", root, "-e", &format!("{root}/error.log"), "-c", text(&configuration)]);
        let mut program = Program::start(command);
        until_or(
            "nginx listens",
            || TcpStream::connect(("127.0.0.1", port)).is_ok(),
            || std::fs::read_to_string(directory.path().join("error.log")).unwrap_or_default(),
        );
        assert!(program.is_running());
        Some(Nginx { _program: program, directory, port })
    }

    /// Sends these bytes, and waits until nginx has closed the connection: then it has logged them.
    fn send(&self, request: &[u8]) {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.write_all(request).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
    }

    fn log(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// Requests of which every one has a mark that is searched for.
const REQUESTS: [(&str, &[u8]); 7] = [
    ("markplain", b"GET /fine/markplain HTTP/1.0\r\n\r\n"),
    ("markmissing", b"GET /markmissing?a=b%20c HTTP/1.0\r\n\r\n"),
    ("markbroken", b"GET /broken/markbroken HTTP/1.0\r\n\r\n"),
    ("markquote", b"GET /fine/markquote\"'\\x HTTP/1.0\r\nUser-Agent: odd \"quoted\\ agent\"\r\n\r\n"),
    ("markbytes", b"GET /fine/markbytes HTTP/1.0\r\nReferer: \xff\xfe\x80\r\nUser-Agent: \xe4\xf6\r\n\r\n"),
    ("markagent", b"GET /fine HTTP/1.0\r\nUser-Agent: markagent\x1b[31m \xe2\x80\xae\r\n\r\n"),
    ("markgarbage", b"\x16\x03\x01 markgarbage \x01\r\n\r\n"),
];

#[test]
fn what_nginx_logs_is_found_odd_requests_too() {
    let Some(nginx) = Nginx::start() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pattern = format!("{}/*.log", text(nginx.directory.path()));
    let data = directory.path().join("data");
    let listen = format!("127.0.0.1:{}", free_port());
    let page = format!("http://{listen}");
    let mut up = Program::start(weir(["up", &pattern, "--data", text(&data), "--listen", &listen]));
    for (_, request) in REQUESTS {
        nginx.send(request);
    }
    let lines = |name: &str| std::fs::read_to_string(nginx.log(name)).unwrap().lines().count();
    until("nginx has logged every request", || {
        let log = std::fs::read_to_string(nginx.log("access.log")).unwrap();
        REQUESTS.iter().all(|(mark, _)| log.contains(mark))
    });
    let total = || {
        let (_, body) = get(&format!("{page}/api/search?limit=0"))?;
        serde_json::from_str::<Value>(&body).ok()?["total"].as_u64()
    };
    until_or(
        "every line is found",
        || total() == Some((lines("access.log") + lines("error.log")) as u64),
        || format!("{:?} of {} and {}: {}", total(), lines("access.log"), lines("error.log"), up.stderr()),
    );
    let documents = found(&page, "");
    let of_request = |mark: &str| {
        let with_status = |document: &&Value| document.get("http.response.status_code").is_some();
        let mut found =
            documents.iter().filter(with_status).filter(|document| document.to_string().contains(mark));
        let document = found.next().unwrap_or_else(|| panic!("{mark} is not found as a request"));
        assert!(found.next().is_none(), "{mark} is found twice");
        document["http.response.status_code"].as_u64().unwrap()
    };
    let statuses = REQUESTS.map(|(mark, _)| of_request(mark));
    assert_eq!(statuses, [200, 404, 502, 200, 200, 200, 400]);
    let errors = documents.iter().filter(|document| document["log.level"] == "error").count();
    assert!(errors >= 2, "the error log's errors are not understood: {documents:?}");
    assert_eq!(up.stop(), Some(0), "{}", up.stderr());
    for name in ["access.log", "error.log"] {
        assert_eq!(check_nothing_lost(&nginx.log(name)), lines(name), "{name}");
    }
}
