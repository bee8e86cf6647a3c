//! Apache httpd: access logs with and without virtual host and time taken, and the error log.

use serde_json::json;

use crate::server::Home;
use crate::support::until_or;
use crate::{check_fields, understood};

const MODULES: &str = "/usr/lib/apache2/modules";

const NAMES: [&str; 10] = [
    "mpm_event",
    "authz_core",
    "authn_core",
    "authn_file",
    "authz_user",
    "auth_basic",
    "proxy",
    "proxy_http",
    "dir",
    "reqtimeout",
];

/// The formats of Debian's `apache2.conf`, and the combined one with the time taken in microseconds.
const FORMATS: [(&str, &str); 4] = [
    ("vhost", r#"%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#),
    ("combined", r#"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""#),
    ("common", r#"%h %l %u %t \"%r\" %>s %O"#),
    ("timed", r#"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\" %D"#),
];

/// The password of `ann` in the user file is `password`.
const ANN_WITH_A_WRONG_ONE: &str = "YW5uOndyb25n";

fn configuration(home: &Home) -> String {
    let (root, port) = (home.root(), home.port);
    let modules = NAMES.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n")).concat();
    let logs = FORMATS
        .map(|(name, format)| format!("LogFormat \"{format}\" {name}\nCustomLog {root}/{name}.log {name}\n"));
    format!(
        "ServerRoot {root}\nPidFile {root}/pid\nListen 127.0.0.1:{port}\nServerName shop.example.org\n\
         {modules}{}ErrorLog {root}/error.log\nLogLevel info\nDocumentRoot {root}/htdocs\n\
         ProxyPass /broken http://127.0.0.1:1/\n\
         <Location /secret>\nAuthType Basic\nAuthName x\nAuthUserFile {root}/users\nRequire valid-user\n</Location>\n\
         <Directory {root}/htdocs/denied>\nRequire all denied\n</Directory>\n",
        logs.concat()
    )
}

#[test]
fn what_apache_logs_is_understood() {
    let Some(home) = Home::of(&["apache2"]) else { return };
    std::fs::create_dir_all(home.path("htdocs/denied")).unwrap();
    home.write("htdocs/index.html", "found");
    home.write("users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n");
    let configuration = home.write("httpd.conf", configuration(&home));
    let mut apache =
        home.serve(home.command("apache2", &["-f", crate::text(&configuration), "-DFOREGROUND"]));
    let agent = "User-Agent: odd \"agent\\ \u{fc}\"\r\nReferer: http://a/?q=1";
    home.send(format!("GET / HTTP/1.0\r\n{agent}\r\n\r\n").as_bytes());
    home.send(b"GET /missing?a=b%20c HTTP/1.0\r\n\r\n");
    home.send(b"GET /broken/x HTTP/1.0\r\n\r\n");
    let authorization = format!("Authorization: Basic {ANN_WITH_A_WRONG_ONE}");
    home.send(format!("GET /secret HTTP/1.0\r\n{authorization}\r\n\r\n").as_bytes());
    home.send(b"GET /denied/ HTTP/1.0\r\n\r\n");
    home.send(b"\x16\x03\x01 garbage\x01\r\n\r\n");
    until_or("all is logged", || home.read("timed.log").contains("garbage"), || home.read("error.log"));
    assert_eq!(apache.stop(), Some(0), "{}", apache.stderr());

    for (name, _) in FORMATS {
        let documents = understood(&home.path(&format!("{name}.log")));
        let statuses = documents.iter().filter_map(|document| document["http.response.status_code"].as_u64());
        // Where the test looked whether it listens, it was a request that timed out or none.
        let statuses: Vec<u64> = statuses.filter(|status| *status != 408).collect();
        assert_eq!(statuses, [200, 404, 503, 401, 403, 400], "{name}");
        for document in &documents {
            assert_eq!(document["source.ip"], "127.0.0.1", "{name}: {document}");
            assert!(document["http.response.body.bytes"].is_u64(), "{name}: {document}");
            assert_eq!(document.get("event.duration").is_some(), name == "timed", "{document}");
        }
        check_fields(
            &documents,
            "/missing",
            &json!({"http.request.method": "GET", "url.original": "/missing?a=b%20c", "url.path": "/missing",
                    "url.query": "a=b%20c", "http.version": "1.0"}),
        );
        check_fields(&documents, "/secret", &json!({"user.name": "ann", "http.response.status_code": 401}));
        if name == "vhost" {
            check_fields(&documents, "/denied/", &json!({"url.domain": "shop.example.org"}));
        }
        if name != "common" {
            let expected = json!({"http.request.referrer": "http://a/?q=1",
                                  "user_agent.original": "odd \"agent\\ \u{fc}\""});
            check_fields(&documents, "GET / HTTP", &expected);
        }
    }

    let errors = understood(&home.path("error.log"));
    assert!(errors.iter().all(|error| error["process.pid"].is_u64() && error["log.logger"].is_string()));
    check_fields(
        &errors,
        "AH01617",
        &json!({"log.level": "error", "log.logger": "auth_basic", "source.ip": "127.0.0.1",
                "error.code": "AH01617"}),
    );
    check_fields(&errors, "AH01630", &json!({"log.level": "error", "log.logger": "authz_core"}));
    check_fields(
        &errors,
        "AH00957",
        &json!({"log.level": "error", "log.logger": "proxy", "error.code": "AH00957"}),
    );
    check_fields(
        &errors,
        "resuming normal operations",
        &json!({"log.level": "notice", "error.code": "AH00489"}),
    );
}
