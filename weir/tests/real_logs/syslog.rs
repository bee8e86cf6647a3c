//! rsyslog's file formats, and what sshd, through it, writes of logins.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::{Home, is_root};
use crate::support::{Program, until, until_or};
use crate::{check_fields, understood};

/// The formats that rsyslog has built in, and the files that the test has them written to.
const FORMATS: [(&str, &str); 3] = [
    ("traditional.log", "RSYSLOG_TraditionalFileFormat"),
    ("iso.log", "RSYSLOG_FileFormat"),
    ("rfc5424.log", "RSYSLOG_SyslogProtocol23Format"),
];

/// A syslog daemon with a socket in its home.
struct Rsyslog {
    home: Home,
    program: Program,
}

impl Rsyslog {
    fn start() -> Option<Rsyslog> {
        let home = Home::of(&["rsyslogd", "logger"])?;
        let root = home.root();
        let files = FORMATS.map(|(file, template)| {
            format!("*.* action(type=\"omfile\" file=\"{root}/{file}\" template=\"{template}\")\n")
        });
        let configuration = format!(
            "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{root}/log\")\n{}",
            files.concat()
        );
        home.write("rsyslog.conf", configuration);
        let program = Program::start(home.command("rsyslogd", &["-n", "-i", "NONE", "-f", "rsyslog.conf"]));
        until_or("rsyslog listens", || home.path("log").exists(), || program.stderr());
        Some(Rsyslog { home, program })
    }

    fn log(&self, tag: &str, priority: &str, message: &str) {
        let id = ["--id=4242", "-u", "log", "-t", tag, "-p", priority, "--", message];
        let sent = self.home.run("logger", &id);
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    }

    /// The documents of each of its files, with the template's name, once the last message is in all of them.
    fn documents(mut self, last: &str) -> Vec<(&'static str, Vec<Value>)> {
        until("the last message is in all files", || {
            FORMATS.iter().all(|(file, _)| self.home.read(file).contains(last))
        });
        self.program.stop();
        FORMATS.iter().map(|(file, name)| (*name, understood(&self.home.path(file)))).collect()
    }
}

#[test]
fn what_rsyslog_writes_to_files_is_understood() {
    let Some(rsyslog) = Rsyslog::start() else { return };
    rsyslog.log("shop", "local4.err", "ERROR payment failed");
    rsyslog.log("CRON", "cron.info", "(root) CMD (test -x /usr/sbin/anacron)");
    rsyslog.log(
        "sudo",
        "authpriv.notice",
        "  ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/id",
    );
    rsyslog.log("shop", "user.info", r#"{"level":"warn","msg":"json inside","order":7}"#);
    rsyslog.log("shop", "user.info", "level=warn msg=\"pairs inside\" order=7");
    rsyslog.log("shop", "user.info", "two\nlines, \u{fc} and a\ttab");
    rsyslog.log("shop", "user.info", "the last one");
    for (format, documents) in rsyslog.documents("the last one") {
        for document in documents.iter().filter(|document| document["process.name"] != "rsyslogd") {
            assert_eq!(document["process.pid"], 4242, "{format}: {document}");
            assert!(document["log.syslog.hostname"].is_string(), "{format}: {document}");
            let has_priority = format == "RSYSLOG_SyslogProtocol23Format";
            assert_eq!(document.get("log.syslog.priority").is_some(), has_priority, "{format}: {document}");
        }
        check_fields(&documents, "payment failed", &json!({"log.level": "error", "process.name": "shop"}));
        check_fields(
            &documents,
            "CMD",
            &json!({"user.name": "root", "attributes.command": "test -x /usr/sbin/anacron"}),
        );
        check_fields(
            &documents,
            "COMMAND",
            &json!({"user.name": "ann", "attributes.command": "/usr/bin/id"}),
        );
        for message in ["json inside", "pairs inside"] {
            check_fields(&documents, message, &json!({"log.level": "warning", "attributes.order": 7}));
        }
    }
}

/// Starts sshd, which writes to a file, and lets clients come in and be refused. As root where the test is, as sshd
/// then wants to be; its user is whoever runs the test.
fn logins(home: &Home) -> String {
    if is_root() {
        // sshd wants this directory of its package, which the system makes at its start.
        std::fs::create_dir_all("/run/sshd").unwrap();
    }
    let root = home.root();
    let keygen = |name: &str| {
        let made = command("ssh-keygen", home).args(["-q", "-t", "ed25519", "-N", "", "-f", name]).output();
        assert!(made.unwrap().status.success());
    };
    keygen("host");
    keygen("key");
    let configuration = format!(
        "Port {}\nListenAddress 127.0.0.1\nHostKey {root}/host\nAuthorizedKeysFile {root}/key.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nPasswordAuthentication yes\nPermitRootLogin yes\nLogLevel VERBOSE\n",
        home.port
    );
    home.write("sshd_config", configuration);
    let ask = home.write("ask", "#!/bin/sh\necho wrong\n");
    std::fs::set_permissions(&ask, PermissionsExt::from_mode(0o755)).unwrap();
    let mut sshd = command("/usr/sbin/sshd", home);
    sshd.arg("-D").arg("-E").arg(home.path("sshd.log")).arg("-f").arg(home.path("sshd_config"));
    let mut sshd = home.serve(sshd);
    let login = |user: &str, options: &[&str]| {
        let mut ssh = command("ssh", home);
        ssh.args(["-F", "none", "-p", &home.port.to_string(), "-o", "StrictHostKeyChecking=no"])
            .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "NumberOfPasswordPrompts=1"])
            .args(options)
            .args([&format!("{user}@127.0.0.1"), "true"])
            .env("SSH_ASKPASS", &ask)
            .env("SSH_ASKPASS_REQUIRE", "force");
        drop(ssh.output().unwrap());
    };
    let me = command("id", home).arg("-un").output().unwrap().stdout;
    login(String::from_utf8(me).unwrap().trim(), &["-i", "key", "-o", "BatchMode=yes"]);
    login("bob", &["-o", "PubkeyAuthentication=no"]);
    home.send(b"no version\r\n");
    sshd.stop();
    home.read("sshd.log")
}

/// A command in the server's home that keeps the test's user.
fn command(program: impl AsRef<Path>, home: &Home) -> std::process::Command {
    let mut command = std::process::Command::new(program.as_ref());
    command.current_dir(home.directory.path()).stdin(Stdio::null());
    command
}

#[test]
fn what_sshd_logs_of_logins_is_understood() {
    let Some(home) = Home::of(&["sshd", "ssh", "ssh-keygen"]) else { return };
    let Some(rsyslog) = Rsyslog::start() else { return };
    let log = logins(&home);
    for line in log.lines() {
        rsyslog.log("sshd", "auth.info", line.trim_end());
    }
    assert!(log.contains("Accepted publickey"), "{log}");
    rsyslog.log("sshd", "auth.info", "the last one");
    for (format, documents) in rsyslog.documents("the last one") {
        for document in documents.iter().filter(|document| document["process.name"] != "rsyslogd") {
            assert_eq!(document["process.name"], "sshd", "{format}: {document}");
        }
        let login = |outcome: &str| json!({"event.action": "ssh_login", "event.outcome": outcome, "source.ip": "127.0.0.1"});
        check_fields(&documents, "Accepted publickey", &login("success"));
        check_fields(&documents, "Failed password", &login("failure"));
        check_fields(&documents, "Failed password", &json!({"user.name": "bob"}));
        check_fields(&documents, "Invalid user", &json!({"user.name": "bob", "event.outcome": "failure"}));
    }
}
