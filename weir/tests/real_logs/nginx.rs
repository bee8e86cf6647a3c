//! nginx: odd requests, through the whole of `weir up`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use weir_buffer::testing::free_port;

use crate::check_nothing_lost;
use crate::support::{Program, found, get, skip, text, until, until_or, weir, write};

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
