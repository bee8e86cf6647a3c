//! Syslog from `logger`, from rsyslog, from `openssl`, and by hand.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};

use crate::support::{Rig, has, run};

#[tokio::test]
async fn logger_s_datagrams_arrive_as_syslog() {
    if !has("logger_s_datagrams_arrive_as_syslog", "logger") {
        return;
    }
    let mut rig = Rig::new("syslog = \"udp://127.0.0.1:0\"").await;
    let port = rig.address.port().to_string();
    let send = |rfc: &str, text: &str| {
        let arguments =
            ["-n", "127.0.0.1", "-P", &port, "-d", rfc, "-p", "local4.err", "-t", "shop", "-i", text];
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run("logger", &arguments, "").await;
        }
    };
    send("--rfc5424", "new and whole").await;
    rig.expect_count(1).await;
    send("--rfc3164", "old and whole").await;
    rig.expect(&["new and whole", "old and whole"]).await;
    for document in rig.documents() {
        assert_eq!(document["log.level"], "error", "{document}");
        assert_eq!(document["process.name"], "shop", "{document}");
        assert_eq!(document["log.syslog.facility.name"], "local4", "{document}");
        assert_eq!(document["service.name"], "syslog", "{document}");
        assert_eq!(document["log.file.path"], "syslog udp://127.0.0.1:0", "{document}");
        // The sender's own, not the shipper's.
        assert_ne!(document["host.name"], "shipper-host", "{document}");
        assert!(document["host.name"].is_string(), "{document}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn logger_s_streams_arrive_counted_and_by_newline() {
    if !has("logger_s_streams_arrive_counted_and_by_newline", "logger") {
        return;
    }
    let mut rig = Rig::new("syslog = \"tcp://127.0.0.1:0\"\nservice = \"edge\"").await;
    let port = rig.address.port().to_string();
    let to = ["-n", "127.0.0.1", "-P", &port, "-T", "-t", "shop"];
    let text: String = (0..500).map(|number| format!("line {number:03}\n")).collect();
    for counting in [&["--octet-count"][..], &[]] {
        run("logger", &[&to[..], counting].concat(), &text).await;
    }
    rig.expect_count(1000).await;
    let expected: Vec<String> = (0..1000).map(|number| format!("line {:03}", number % 500)).collect();
    assert_eq!(rig.messages(), expected);
    assert!(rig.documents().iter().all(|document| document["service.name"] == "edge"));
    assert_eq!(rig.counts().received, 1000);
    rig.until("disconnected", |counts| counts.connections == 0).await;
    rig.stop().await;
}

/// Ends its process with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

#[tokio::test]
async fn rsyslog_s_messages_arrive_and_one_of_several_lines_is_one_record() {
    if !has("rsyslog_s_messages_arrive_and_one_of_several_lines_is_one_record", "rsyslogd") {
        return;
    }
    let mut rig = Rig::new("syslog = \"tcp://127.0.0.1:0\"").await;
    let directory = rig.directory.path().to_owned();
    let socket = directory.join("log.sock");
    let config = format!(
        "$EscapeControlCharactersOnReceive off\n\
         module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\")\n\
         *.* action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\" \
         template=\"RSYSLOG_SyslogProtocol23Format\")\n",
        socket.display(),
        rig.address.port()
    );
    std::fs::write(directory.join("rsyslog.conf"), config).expect("written");
    let _rsyslog = Killed(
        Command::new("rsyslogd")
            .args(["-n", "-i", "NONE", "-f"])
            .arg(directory.join("rsyslog.conf"))
            .spawn()
            .expect("started"),
    );
    wait_for(&socket).await;
    let socket = socket.display().to_string();
    run("logger", &["-u", &socket, "-t", "shop", "first"], "").await;
    run("logger", &["-u", &socket, "-t", "shop", "second\n\tat line two"], "").await;
    // rsyslog also says that it has started.
    let ours = rig.expect_of("shop", 2).await;
    assert_eq!(ours[0]["message"].as_str().map(str::trim), Some("first"));
    assert_eq!(ours[1]["message"].as_str().map(str::trim), Some("second#012\tat line two"));
    rig.stop().await;
}

async fn wait_for(path: &Path) {
    for _ in 0..2000 {
        if path.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{} never appears", path.display());
}

/// An authority, a server's certificate of it, and a sender's.
async fn certificates(directory: &Path) {
    let path = |name: &str| directory.join(name).display().to_string();
    let new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let ca = ["req", "-x509", "-subj", "/CN=authority", "-keyout", &path("ca.key"), "-out", &path("ca.pem")];
    run("openssl", &[&ca[..], &new].concat(), "").await;
    for name in ["server", "sender"] {
        let (key, pem) = (path(&format!("{name}.key")), path(&format!("{name}.pem")));
        let subject = format!("/CN={name}");
        let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
        let signed = [
            "req",
            "-x509",
            "-subj",
            &subject,
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-keyout",
            &key,
            "-out",
            &pem,
        ];
        run("openssl", &[&signed[..], &new].concat(), "").await;
    }
}

#[tokio::test]
async fn messages_over_tls_arrive_and_strangers_are_refused() {
    if !has("messages_over_tls_arrive_and_strangers_are_refused", "openssl") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    certificates(directory.path()).await;
    let path = |name: &str| directory.path().join(name).display().to_string();
    let input = format!(
        "syslog = \"tls://127.0.0.1:0\"\ncert = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let mut rig = Rig::new(&input).await;
    let address = rig.address.to_string();
    let (ca, pem, key) = (path("ca.pem"), path("sender.pem"), path("sender.key"));
    let client = ["s_client", "-verify_return_error", "-CAfile", &ca, "-connect", &address];
    let sender = [&client[..], &["-cert", &pem, "-key", &key]].concat();
    run("openssl", &sender, "18 <13>1 - - - - - a\n<14>1 - - - - - - b\n").await;
    rig.expect_count(2).await;
    // Without a certificate of the authority nothing is taken; whether the client notices depends on its timing.
    let arguments: Vec<String> = client.iter().map(|argument| (*argument).to_owned()).collect();
    let stranger = tokio::process::Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    stranger.await.expect("ran");
    rig.until("refused", |counts| counts.faults == 1).await;
    assert_eq!(rig.counts().received, 2);
    rig.stop().await;
}

#[tokio::test]
async fn what_was_received_before_a_stop_arrives_after_it() {
    let mut rig = Rig::new("syslog = \"udp://127.0.0.1:0\"").await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    for number in 0..200 {
        let text = format!("<13>1 - - - - - - message {number:03}");
        socket.send_to(text.as_bytes(), rig.address).await.expect("sent");
    }
    // Stopped at once: what the system holds for the socket is read to its end.
    rig.stop().await;
    assert_eq!(rig.counts().received, 200);
    rig.start().await;
    rig.expect_count(200).await;
    assert!(rig.messages().is_sorted());
    rig.stop().await;
}

#[tokio::test]
async fn a_sender_waits_while_the_journal_is_full_and_nothing_is_lost() {
    let mut rig = Rig::new("syslog = \"tcp://127.0.0.1:0\"\nmax_bytes = \"1MiB\"").await;
    let mut sender = TcpStream::connect(rig.address).await.expect("connected");
    let text = "x".repeat(1000);
    let sending = tokio::spawn(async move {
        for number in 0..16_000 {
            let message = format!("<13>1 - - - - - - {number:05} {text}\n");
            sender.write_all(message.as_bytes()).await.expect("sent");
        }
    });
    rig.until("full", |counts| counts.journal_bytes > 700 << 10).await;
    assert!(!sending.is_finished());
    // The follower removes what is indexed; then there is room, and the sender goes on.
    rig.expect_count(16_000).await;
    sending.await.expect("sent");
    let messages = rig.messages();
    let numbers: Vec<&str> = messages.iter().filter_map(|message| message.get(..5)).collect();
    let turned: Vec<&[&str]> = numbers.windows(2).filter(|pair| pair[0] > pair[1]).collect();
    assert!(turned.is_empty(), "{turned:?}");
    assert_eq!(rig.counts().refused, 0);
    rig.stop().await;
}
