//! HTTP as agents speak it: requests written by hand, and `curl`.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Rig, has, run};

/// Sends one request; the status and the whole answer.
async fn request(rig: &Rig, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(rig.address).await.expect("connected");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        rig.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(body).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer)
}

#[tokio::test]
async fn bulk_documents_are_on_the_disk_when_they_are_answered_and_arrive_with_their_service() {
    let mut rig = Rig::new("http = \"127.0.0.1:0\"").await;
    let (status, answer) = request(&rig, "GET", "/", "", b"").await;
    assert_eq!(status, 200);
    assert!(answer.to_lowercase().contains("x-elastic-product: elasticsearch"), "{answer}");
    for path in ["/_license", "/_ilm/policy/filebeat", "/_index_template/filebeat-9.1.0"] {
        assert_eq!(request(&rig, "GET", path, "", b"").await.0, 200, "{path}");
    }
    let body = concat!(
        "{\"create\":{\"_index\":\"logs-shop-default\"}}\n",
        "{\"@timestamp\":\"2026-11-20T10:00:00.000Z\",\"message\":\"one\",\"host\":{\"name\":\"web-7\"},\"log\":{\"level\":\"error\"}}\n",
        "{\"index\":{}}\n{\"message\":\"two\",\"service\":{\"name\":\"own\"}}\n{\"delete\":{\"_id\":\"1\"}}\n"
    );
    let (status, answer) = request(
        &rig,
        "POST",
        "/filebeat-9.1.0/_bulk",
        "Content-Type: application/x-ndjson\r\n",
        body.as_bytes(),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"errors\":true") && answer.contains("\"status\":400"), "{answer}");
    assert_eq!((rig.counts().received, rig.counts().refused), (2, 1));
    rig.expect(&["one", "two"]).await;
    let documents = rig.documents();
    assert_eq!(documents[0]["service.name"], "shop");
    assert_eq!(documents[0]["host.name"], "web-7");
    assert_eq!(documents[0]["log.level"], "error");
    assert_eq!(documents[1]["service.name"], "own");
    assert_eq!(request(&rig, "POST", "/_bulk", "", b"nonsense\n").await.0, 400);
    assert_eq!(request(&rig, "POST", "/nothing/here", "", b"").await.0, 404);
    rig.stop().await;
}

#[tokio::test]
async fn lines_arrive_plain_and_packed_and_web_pages_and_strangers_are_refused() {
    let mut rig = Rig::new("http = \"127.0.0.1:0\"\ntoken = \"secret\"\nservice = \"edge\"").await;
    let bearer = "Authorization: Bearer secret\r\n";
    assert_eq!(request(&rig, "POST", "/logs", "", b"x\n").await.0, 401);
    assert_eq!(request(&rig, "POST", "/logs", "Authorization: Bearer secreT\r\n", b"x\n").await.0, 401);
    let from_page = format!("{bearer}Origin: http://evil.example\r\n");
    assert_eq!(request(&rig, "POST", "/logs", &from_page, b"x\n").await.0, 403);
    assert_eq!(request(&rig, "POST", "/", bearer, b"first\n{\"msg\":\"second\"}\n").await.0, 200);
    assert_eq!(request(&rig, "POST", "/logs", bearer, b"[{\"msg\":\"third\"}]").await.0, 200);
    rig.expect(&["first", "second", "third"]).await;
    assert!(rig.documents().iter().all(|document| document["service.name"] == "edge"));
    // A body that says it is larger than any may be is refused before it comes.
    let mut stream = TcpStream::connect(rig.address).await.expect("connected");
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: 99999999999\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("answered");
    assert_eq!(&answer, b"HTTP/1.1 413");
    if has("lines_arrive_plain_and_packed_and_web_pages_and_strangers_are_refused", "curl") {
        let url = format!("http://{}/logs", rig.address);
        let command =
            format!("gzip | curl -sf -u any:secret -H 'Content-Encoding: gzip' --data-binary @- {url}");
        run("sh", &["-c", &command], "packed\n").await;
        rig.expect(&["first", "second", "third", "packed"]).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_full_journal_is_answered_with_429_and_nothing_of_it_arrives() {
    let mut rig = Rig::stopped("http = \"127.0.0.1:0\"\nmax_bytes = \"1MiB\"").await;
    rig.start().await;
    let line = [vec![b'x'; 700 << 10], b"\n".to_vec()].concat();
    assert_eq!(request(&rig, "POST", "/", "", &line).await.0, 200);
    let (status, answer) = request(&rig, "POST", "/", "", &line).await;
    assert_eq!(status, 429, "{answer}");
    assert!(answer.to_lowercase().contains("retry-after: 1"), "{answer}");
    assert_eq!((rig.counts().received, rig.counts().refused), (1, 1));
    // Indexed, and so removed: there is room again.
    rig.expect_count(1).await;
    let mut status = 429;
    while status == 429 {
        status = request(&rig, "POST", "/", "", &line).await.0;
    }
    assert_eq!(status, 200);
    rig.expect_count(2).await;
    rig.stop().await;
}
