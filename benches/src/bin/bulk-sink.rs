//! A bulk server that answers at once and keeps nothing: what is measured against it is not Elasticsearch.
//!
//! `bulk-sink ADDRESS [--delay-ms N]` prints its address and serves until it is killed. It reads bodies by their
//! content length, counts their lines, and says that every document was stored: of each, as Elasticsearch does, where the
//! request asks for items in its `filter_path`, else in one word. `GET /_sink` answers what it has seen:
//! `{"requests":N,"documents":N,"bytes":N,"cpu_ms":N}`, its own CPU time included, to be subtracted on a shared machine.

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Of one read; bodies are counted as they come, and never kept.
const READ_BYTES: usize = 256 * 1024;

/// Longest request head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

const STORED: &str = r#"{"took":1,"errors":false}"#;
const ACKNOWLEDGED: &str = r#"{"acknowledged":true}"#;
const MISSING: &str = r#"{"error":"no such thing here","status":404}"#;
const ROOT: &str = r#"{"name":"sink","cluster_name":"sink","version":{"number":"9.5.0","build_flavor":"default","lucene_version":"10.3.0","minimum_wire_compatibility_version":"8.19.0","minimum_index_compatibility_version":"8.0.0"},"tagline":"You Know, for Search"}"#;

static REQUESTS: AtomicU64 = AtomicU64::new(0);
static LINES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

/// What of a request's head matters.
struct Head {
    is_bulk: bool,
    wants_items: bool,
    is_put: bool,
    path: String,
    content_length: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let delay = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_] => Some(0),
        [_, "--delay-ms", milliseconds] => milliseconds.parse().ok(),
        _ => None,
    };
    let (Some(address), Some(delay)) = (arguments.first(), delay) else {
        eprintln!("usage: bulk-sink ADDRESS [--delay-ms N]");
        return ExitCode::from(2);
    };
    match serve(address, Duration::from_millis(delay)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bulk-sink: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, delay: Duration) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // A client that goes away in the middle is no fault of the server.
            if let Err(error) = connection(stream, delay).await
                && error.kind() != io::ErrorKind::UnexpectedEof
            {
                eprintln!("bulk-sink: {error}");
            }
        });
    }
}

async fn connection(mut stream: TcpStream, delay: Duration) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut filled = 0;
    loop {
        let head_end = loop {
            if let Some(end) = memchr::memmem::find(&buffer[..filled], b"\r\n\r\n") {
                break end + 4;
            }
            if filled >= HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of a request has no end"));
            }
            match stream.read(&mut buffer[filled..]).await? {
                0 => return Ok(()),
                count => filled += count,
            }
        };
        let head = parse(&buffer[..head_end])?;
        let early = (filled - head_end).min(head.content_length);
        let mut lines = count_lines(&buffer[head_end..head_end + early]);
        let mut left = head.content_length - early;
        // What follows the body is the next request.
        buffer.copy_within(head_end + early..filled, 0);
        filled -= head_end + early;
        while left > 0 {
            let want = left.min(READ_BYTES);
            let count = stream.read(&mut buffer[..want]).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            lines += count_lines(&buffer[..count]);
            left -= count;
        }
        if head.is_bulk {
            REQUESTS.fetch_add(1, Ordering::Relaxed);
            LINES.fetch_add(lines, Ordering::Relaxed);
            BYTES.fetch_add(head.content_length as u64, Ordering::Relaxed);
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
        stream.write_all(answer(&head, lines / 2).as_bytes()).await?;
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn parse(head: &[u8]) -> io::Result<Head> {
    let text = std::str::from_utf8(head).map_err(io::Error::other)?;
    let mut lines = text.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    };
    Ok(Head {
        wants_items: target.contains("filter_path=") && target.contains("items"),
        is_bulk: method == "POST" && path.ends_with("/_bulk"),
        is_put: matches!(method, "PUT" | "POST"),
        path: path.to_owned(),
        content_length: lines.find_map(length).unwrap_or(0),
    })
}

fn answer(head: &Head, documents: u64) -> String {
    let (status, body) = match head.path.as_str() {
        _ if head.is_bulk && head.wants_items => ("200 OK", items(documents)),
        _ if head.is_bulk => ("200 OK", STORED.to_owned()),
        _ if head.is_put => ("200 OK", ACKNOWLEDGED.to_owned()),
        "/" => ("200 OK", ROOT.to_owned()),
        "/_sink" => ("200 OK", seen()),
        _ => ("404 Not Found", MISSING.to_owned()),
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn items(documents: u64) -> String {
    const ITEM: &str = r#"{"create":{"status":201}},"#;
    let items = ITEM.repeat(usize::try_from(documents).unwrap_or(0));
    format!(r#"{{"errors":false,"items":[{}]}}"#, items.trim_end_matches(','))
}

fn seen() -> String {
    // Two lines a document: the action, and the document.
    let (requests, documents) = (REQUESTS.load(Ordering::Relaxed), LINES.load(Ordering::Relaxed) / 2);
    let bytes = BYTES.load(Ordering::Relaxed);
    format!(r#"{{"requests":{requests},"documents":{documents},"bytes":{bytes},"cpu_ms":{}}}"#, cpu_ms())
}

/// CPU time of this process so far, user and system: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second
/// (proc_pid_stat(5); USER_HZ is 100 on every Linux platform in use).
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = behind_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() * 10
}
