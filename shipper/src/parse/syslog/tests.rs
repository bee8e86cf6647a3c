use super::super::Format;
use super::super::testing::{check, check_unparsed};

#[test]
fn an_rfc_5424_line_is_read_whole() {
    check(
        Format::Auto,
        r#"<165>1 2026-11-20T21:39:19.003Z mymachine.example.com evntslog 8710 ID47 [exampleSDID@32473 iut="3" eventSource="App \"x\" [y\]"][z@1] An application event log entry"#,
        r#"{"@timestamp":"2026-11-20T21:39:19.003Z","message":"An application event log entry","log.syslog.hostname":"mymachine.example.com",
           "host.name":"mymachine.example.com","log.syslog.appname":"evntslog","process.name":"evntslog","log.syslog.procid":"8710","process.pid":8710,
           "log.syslog.msgid":"ID47","log.syslog.structured_data":{"exampleSDID@32473":{"iut":"3","eventSource":"App \"x\" [y]"},"z@1":{}},
           "log.syslog.priority":165,"log.syslog.facility.code":20,"log.syslog.facility.name":"local4","log.syslog.severity.code":5,
           "log.syslog.severity.name":"Notice","log.level":"notice"}"#,
    );
}

#[test]
fn an_rfc_5424_line_may_lack_everything() {
    check(
        Format::Syslog,
        "<0>1 - - - - - -",
        r#"{"@timestamp":"READ","message":"","log.syslog.priority":0,"log.syslog.facility.code":0,"log.syslog.facility.name":"kern",
           "log.syslog.severity.code":0,"log.syslog.severity.name":"Emergency","log.level":"emergency"}"#,
    );
}

#[test]
fn an_rfc_3164_line_is_read_whole() {
    check(
        Format::Auto,
        "<34>Oct 11 22:14:15 mymachine su[71]: 'su root' failed for lonvick on /dev/pts/8",
        r#"{"@timestamp":"2026-10-11T22:14:15.000Z","message":"'su root' failed for lonvick on /dev/pts/8","log.syslog.hostname":"mymachine",
           "host.name":"mymachine","log.syslog.appname":"su","process.name":"su","log.syslog.procid":"71","process.pid":71,"log.syslog.priority":34,
           "log.syslog.facility.code":4,"log.syslog.facility.name":"auth","log.syslog.severity.code":2,"log.syslog.severity.name":"Critical","log.level":"critical"}"#,
    );
}

#[test]
fn a_device_may_leave_out_time_and_host() {
    check(
        Format::Syslog,
        "<13>app: hello",
        r#"{"@timestamp":"READ","message":"hello","log.syslog.appname":"app","process.name":"app","log.syslog.priority":13,"log.syslog.facility.code":1,
           "log.syslog.facility.name":"user","log.syslog.severity.code":5,"log.syslog.severity.name":"Notice","log.level":"notice"}"#,
    );
}

#[test]
fn files_of_syslog_daemons_have_no_priority() {
    check(
        Format::Auto,
        "Nov 20 11:39:19 host sshd[123]: Accepted publickey for x",
        r#"{"@timestamp":"2026-11-20T11:39:19.000Z","message":"Accepted publickey for x","log.syslog.hostname":"host","log.syslog.appname":"sshd",
           "process.name":"sshd","log.syslog.procid":"123","process.pid":123}"#,
    );
    check(
        Format::Auto,
        "2026-11-20T21:39:19.123456+01:00 host kernel: [    0.000000] Linux version 6.1.0",
        r#"{"@timestamp":"2026-11-20T20:39:19.123456Z","message":"[    0.000000] Linux version 6.1.0","log.syslog.hostname":"host",
           "log.syslog.appname":"kernel","process.name":"kernel"}"#,
    );
    check(
        Format::Auto,
        "2026-11-20T21:39:19Z host app[1]: ERROR it broke",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"ERROR it broke","log.syslog.hostname":"host","log.syslog.appname":"app",
           "process.name":"app","log.syslog.procid":"1","process.pid":1,"log.level":"error"}"#,
    );
}

#[test]
fn a_program_with_its_process_needs_no_host() {
    for line in [
        "Nov 20 21:39:19 cartd[42]: added",
        "Nov 20 21:39:19 cartd [42]: added",
        "Nov 20 21:39:19   cartd[42]: added",
        "Nov 20 21:39:19 cartd   [42]: added",
    ] {
        check(
            Format::Auto,
            line,
            r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"added","log.syslog.appname":"cartd","process.name":"cartd","log.syslog.procid":"42","process.pid":42}"#,
        );
    }
    check(
        Format::Auto,
        "Fri Nov 20 21:39:19 2026 - OK - [::1] added",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"OK - [::1] added"}"#,
    );
    check(
        Format::Auto,
        "Nov 20 21:39:19 cart [x]: added",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"[x]: added","log.syslog.hostname":"cart"}"#,
    );
}

#[test]
fn a_guess_does_not_take_words_for_hosts() {
    check(
        Format::Auto,
        "2026-11-20T21:39:19Z starting server: port 80",
        r#"{"@timestamp":"2026-11-20T21:39:19.000Z","message":"starting server: port 80"}"#,
    );
}

#[test]
fn what_is_no_syslog_is_kept_as_text() {
    for line in ["<192>1 - - - - - -", "<>x", "<13", "<13>1 2026-11-20 - - - - -", "<13>1 - - - - - [open"] {
        check_unparsed(Format::Syslog, line);
    }
}
