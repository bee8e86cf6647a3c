//! HAProxy: its HTTP, TCP and connection logs, bare and behind both kinds of syslog header.

use std::net::TcpStream;

use serde_json::{Value, json};
use weir_buffer::testing::free_port;

use crate::server::Home;
use crate::support::until_or;
use crate::{check_fields, understood};

#[test]
fn what_haproxy_logs_is_understood() {
    for format in ["raw", "rfc3164", "rfc5424"] {
        let Some(home) = Home::of(&["haproxy"]) else { return };
        check(&home, format);
    }
}

fn check(home: &Home, format: &str) {
    let (web, tcp, bare) = (home.port, free_port(), free_port());
    let configuration = format!(
        "global\n  log stdout format {format} local0\n\
         defaults\n  log global\n  retries 0\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         frontend web\n  mode http\n  bind 127.0.0.1:{web}\n  option httplog\n  option dontlognull\n\
         \x20 capture request header Host len 40\n  http-request return status 200 if {{ path /fine }}\n\
         \x20 http-request deny if {{ path /denied }}\n  default_backend app\n\
         backend app\n  mode http\n  server one 127.0.0.1:1\n\
         frontend wire\n  mode tcp\n  bind 127.0.0.1:{tcp}\n  option tcplog\n  default_backend pool\n\
         backend pool\n  mode tcp\n  server two 127.0.0.1:1\n\
         frontend bare\n  mode http\n  bind 127.0.0.1:{bare}\n  http-request return status 200\n"
    );
    let configuration = home.write("haproxy.cfg", configuration);
    let mut haproxy = home.serve(home.command("haproxy", &["-db", "-f", crate::text(&configuration)]));
    home.send(b"GET /fine?a=b HTTP/1.0\r\nHost: shop.example.org\r\n\r\n");
    home.send(b"GET /denied HTTP/1.0\r\n\r\n");
    home.send(b"GET /broken HTTP/1.0\r\n\r\n");
    home.send(b"\x16\x03\x01 garbage\r\n\r\n");
    for port in [tcp, bare] {
        Home { directory: tempfile::tempdir().unwrap(), port }.send(b"GET /bare HTTP/1.0\r\n\r\n");
    }
    drop(TcpStream::connect(("127.0.0.1", web)));
    let is_logged = || haproxy.stdout().contains("bare/HTTP") && haproxy.stdout().contains("pool/two");
    until_or("all is logged", is_logged, || haproxy.stderr());
    let pid = haproxy.id();
    haproxy.stop();
    let documents = understood(&home.write("haproxy.log", haproxy.stdout()));

    let request = |path: &str, fields: Value| check_fields(&documents, path, &fields);
    request(
        "/fine",
        json!({"source.ip": "127.0.0.1", "http.request.method": "GET", "http.response.status_code": 200,
               "url.path": "/fine", "url.query": "a=b", "http.version": "1.0", "attributes.frontend_name": "web",
               "attributes.request_headers": "shop.example.org"}),
    );
    request("/denied", json!({"http.response.status_code": 403, "attributes.termination_state": "PR--"}));
    request(
        "/broken",
        json!({"http.response.status_code": 503, "attributes.backend_name": "app", "attributes.server_name": "one",
               "attributes.termination_state": "SC--"}),
    );
    request("BADREQ", json!({"http.response.status_code": 400}));
    request("pool/two", json!({"attributes.frontend_name": "wire", "attributes.backend_name": "pool"}));
    request("bare/HTTP", json!({"source.ip": "127.0.0.1"}));
    if format != "raw" {
        for document in &documents {
            assert_eq!(document["process.name"], "haproxy", "{document}");
            assert_eq!(document["process.pid"], pid, "{document}");
            assert_eq!(document["log.syslog.facility.name"], "local0", "{document}");
        }
    }
}
