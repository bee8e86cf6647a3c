use std::time::Duration;

use proptest::prelude::*;

use super::*;

const REFERENCE: &str = include_str!("../../weir.toml");

fn env(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("redis.example".into()),
        "EMPTY" => Some(String::new()),
        "TOKEN" => Some("hunter2".into()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::from_toml(text, Path::new("weir.toml"), &env)
}

fn valid(text: &str) -> Config {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The whole report of a faulty file, as a user sees it.
fn report(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn check(text: &str, expected: &str) {
    assert_eq!(report(text), expected);
}

/// The messages alone.
fn messages(text: &str) -> Vec<String> {
    match parse(text) {
        Err(ConfigError::Invalid { faults, .. }) => faults.into_iter().map(|fault| fault.message).collect(),
        other => panic!("expected faults, not {other:?}"),
    }
}

#[test]
fn the_reference_configuration_means_the_defaults() {
    let (reference, default) = (valid(REFERENCE), Config::default());
    assert_eq!(reference.state, default.state);
    assert_eq!(reference.metadata, default.metadata);
    assert_eq!(reference.sources, default.sources);
    assert_eq!(reference.inputs, default.inputs);
    assert_eq!(reference.buffer, default.buffer);
    assert_eq!(reference.index, default.index);
    assert_eq!(reference.embedded, default.embedded);
    assert_eq!(reference.page, default.page);
    assert_eq!(reference.metrics, default.metrics);
    assert_eq!(reference.warnings, []);
}

/// Equal to the defaults would also be a reference that leaves a key out, so each default that stands there is changed
/// and has to show.
#[test]
fn every_key_of_the_reference_configuration_has_an_effect() {
    let differs = |config: &Config| {
        let default = Config::default();
        config.state != default.state
            || config.buffer != default.buffer
            || config.index != default.index
            || config.embedded != default.embedded
            || config.page != default.page
    };
    let changes = [
        (r#"state = "/var/lib/weir""#, r#"state = "/elsewhere""#),
        (r#"max_bytes = "1GiB""#, r#"max_bytes = "2GiB""#),
        ("partitions = 1", "partitions = 2"),
        (r#"data_stream = "logs-{service}-{namespace}""#, r#"data_stream = "logs-weir-{namespace}""#),
        (r#"namespace = "default""#, r#"namespace = "other""#),
        (r#"bulk_bytes = "8MiB""#, r#"bulk_bytes = "9MiB""#),
        ("in_flight = 2", "in_flight = 3"),
        ("field_budget = 400", "field_budget = 100"),
        (r#"data = "/var/lib/weir/index""#, r#"data = "/elsewhere""#),
        (r#"retention = "14d""#, r#"retention = "15d""#),
        (r#"max_bytes = "50GiB""#, r#"max_bytes = "51GiB""#),
        (r#"listen = "127.0.0.1:9880""#, r#"listen = "127.0.0.1:9881""#),
    ];
    for (default, changed) in changes {
        let line = |of: &str| format!("\n{of}\n");
        assert!(REFERENCE.contains(&line(default)), "{default} is not in weir.toml");
        assert!(
            differs(&valid(&REFERENCE.replace(&line(default), &line(changed)))),
            "{changed} changes nothing"
        );
    }
    let values = REFERENCE.lines().filter(|line| !line.starts_with('#') && line.contains('=')).count();
    assert_eq!(values, changes.len(), "a key of weir.toml is not tried here");
}

#[test]
fn the_reference_configuration_names_every_key_and_its_examples_are_valid() {
    let shown: String = REFERENCE
        .lines()
        .map(|line| if line.starts_with("# ") { "" } else { line.trim_start_matches('#') })
        .map(|line| format!("{line}\n"))
        .collect();
    let one_of = "only one of `api_key`, `bearer`, and `username` with `password` can be used";
    let one_place = "an input receives from one place: write an [[input]] for each";
    assert_eq!(messages(&shown), [one_place, one_of, one_of], "all examples at once:\n{shown}");

    let sections = [
        "",
        "[[source]]\n",
        "[[source.test]]\n",
        "[[input]]\n",
        "[buffer]\n",
        "[index]\n",
        "[embedded]\n",
        "[page]\n",
        "[metrics]\n",
    ];
    let unknown = sections.map(|section| format!("{section}far_from_every_key_there_is = 1\n")).concat();
    let Err(ConfigError::Invalid { faults, .. }) = parse(&unknown) else { panic!("unknown keys are faults") };
    let known: Vec<_> =
        faults.iter().filter_map(|f| f.help.as_deref()?.strip_prefix("known here: ")).collect();
    assert_eq!(known.len(), sections.len());
    for key in known.iter().flat_map(|list| list.split(", ")) {
        let is_shown = |line: &str| {
            line.starts_with(&format!("{key} = "))
                || [format!("[{key}]"), format!("[[{key}]]"), format!("[[source.{key}]]")]
                    .iter()
                    .any(|t| t == line)
        };
        assert!(shown.lines().any(is_shown), "weir.toml does not show {key}");
    }
}

#[test]
fn the_reference_configuration_names_every_choice() {
    fn names<T>(of: &[(&'static str, T)]) -> String {
        of.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" | ")
    }
    for choices in [names(Format::NAMES), names(Preset::NAMES), names(Start::NAMES)] {
        // A long list goes on in the next comment line.
        let reference = REFERENCE.replace("\n# ", " ");
        assert!(reference.contains(&format!(" {choices}")), "weir.toml does not say {choices}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    check(
        "[[source]]\npaths = [\"*.log\"]\nformt = \"json\"\n",
        "error: unknown key `formt` in [[source]]\n \
         --> weir.toml:3:1\n  |\n\
         3 | formt = \"json\"\n  | ^^^^^ did you mean `format`?",
    );
}

#[test]
fn an_unknown_key_that_is_near_to_none_gets_the_list() {
    check(
        "[page]\ncolour = \"red\"\n",
        "error: unknown key `colour` in [page]\n \
         --> weir.toml:2:1\n  |\n\
         2 | colour = \"red\"\n  | ^^^^^^ known here: listen",
    );
}

#[test]
fn keys_of_later_versions_are_honest_errors() {
    assert_eq!(
        messages("[[source]]\npaths = \"a\"\nhook = [\"x\"]\n[[drain]]\nlist = \"x\"\n"),
        ["unknown key `hook` in [[source]]", "unknown key `drain` in the top level"],
    );
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_file() {
    check(
        "stat = \"/x\"\n\n[buffer]\nredis = \"127.0.0.1:6379\"\nmax_bytes = 5\n\n[index]\n\tin_flight = 1000\n\tbulk_bytes = \"8 megs\"\n",
        "error: unknown key `stat` in the top level\n --> weir.toml:1:1\n  |\n1 | stat = \"/x\"\n  | ^^^^ did you mean `state`?\n\n\
         error: this is not a URL: write \"redis://127.0.0.1:6379/0\"\n --> weir.toml:4:9\n  |\n4 | redis = \"127.0.0.1:6379\"\n  |         ^^^^^^^^^^^^^^^^\n\n\
         error: `max_bytes` is a string, not a value of type integer\n --> weir.toml:5:13\n  |\n5 | max_bytes = 5\n  |             ^\n\n\
         error: `in_flight` is a number from 1 to 64\n --> weir.toml:8:14\n  |\n8 | \tin_flight = 1000\n  | \t            ^^^^\n\n\
         error: `8 megs` is not a size: write a whole number and a unit (B, kB, MB, GB, KiB, MiB, GiB, TiB), such as \"8MiB\"\n --> weir.toml:9:15\n  |\n9 | \tbulk_bytes = \"8 megs\"\n  | \t             ^^^^^^^^",
    );
}

#[test]
fn weights_are_numbers_and_gzip_may_be_left_open() {
    let config = valid("[buffer]\nweights = { checkout = 4, batch = 0.5 }\n[index]\ngzip = false\n");
    let expected = [("batch", 0.5), ("checkout", 4.0)].map(|(name, weight)| (name.to_owned(), weight));
    assert_eq!(config.buffer.weights, expected.into());
    assert_eq!((config.index.gzip, Config::default().index.gzip), (Some(false), None));
    let fault = "`weights` are numbers from 0.01 to 100";
    assert_eq!(messages("[buffer]\nweights = { a = 0, b = \"4\", c = 1e3 }\n"), [fault; 3]);
}

#[test]
fn a_file_that_is_no_toml_shows_where() {
    let report = report("[buffer]\nredis = \nmax_bytes = \"1GiB\"\n[index\n");
    assert!(report.contains("--> weir.toml:2:9"), "{report}");
    assert!(report.contains("--> weir.toml:4:7"), "{report}");
}

#[test]
fn columns_count_characters_and_the_caret_stays_below_them() {
    check(
        "[[source]]\npaths = \"a\"\nlabels = { a = \"é한\", b = 5 }\n",
        "error: `b` is a string, not a value of type integer\n --> weir.toml:3:26\n  |\n\
         3 | labels = { a = \"é한\", b = 5 }\n  |                          ^",
    );
}

#[test]
fn a_fault_found_later_is_shown_in_its_place() {
    let config = valid("[[source]]\npaths = \"a\"\ndrop = ['ok', 'a ==']\n");
    let fault = Fault::new(config.sources[0].drop[1].span.clone(), "the query ends too early");
    let report = config.document.error(vec![fault]).to_string();
    assert!(report.contains("--> weir.toml:3:15\n"), "{report}");
    assert!(report.ends_with("              ^^^^^^"), "{report}");
}

#[test]
fn a_source_is_a_list_and_needs_paths() {
    assert_eq!(messages("[[source]]\nservice = \"a\"\n"), ["this source has no files"]);
    let report = report("[source]\npaths = \"a\"\n");
    assert!(report.contains("write [[source]]"), "{report}");
}

#[test]
fn a_full_source_is_read() {
    let config = valid(
        r#"
        [[source]]
        service = "checkout"
        paths = ["/var/log/${HOST}/*.log", "/b"]
        exclude = "*.tmp"
        format = "combined"
        multiline = "java"
        timezone = "+02:00"
        start = "end"
        environment = "${STAGE:-production}"
        labels = { team = "payments" }
        drop = ['message == "${HOST}"']
        [[source.test]]
        input = 'price ${HOST}'
        expect = { "url.path" = "/", http.response.status_code = 200, ratio = 0.5, ok = true }
        "#,
    );
    let source = &config.sources[0];
    let paths: Vec<_> = source.paths.iter().map(|path| path.value.as_str()).collect();
    assert_eq!(paths, ["/var/log/redis.example/*.log", "/b"]);
    assert_eq!(source.exclude, ["*.tmp".to_owned().into()]);
    assert_eq!(
        (source.format, source.multiline.clone(), source.start),
        (Format::Combined, Multiline::Preset(Preset::Java), Start::End)
    );
    assert_eq!(source.environment.as_deref(), Some("production"));
    assert_eq!(source.labels["team"], "payments");
    assert_eq!(source.drop[0].value, "message == \"${HOST}\"");
    assert_eq!(source.tests[0].input.value, "price ${HOST}");
    let expect: Vec<_> = source.tests[0].expect.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(expect, ["http.response.status_code=200", "ok=true", "ratio=0.5", "url.path=\"/\""]);
}

#[test]
fn patterns_and_own_starts_of_events_are_read_as_they_stand() {
    let config = valid(
        r#"
        [[source]]
        paths = "a"
        format = ['grok:%{ORDER:order} ${HOST}', 'regex:^x']
        patterns = { ORDER = 'A-[0-9]{4}' }
        pattern_files = "/etc/${HOST}/patterns"
        multiline = { start = '^\S', continue = '^ ' }
        "#,
    );
    let source = &config.sources[0];
    let patterns: Vec<_> = source.format_patterns.iter().map(|text| text.value.as_str()).collect();
    assert_eq!((source.format, patterns), (Format::Plain, vec!["grok:%{ORDER:order} ${HOST}", "regex:^x"]));
    assert_eq!(source.patterns, [("ORDER".to_owned(), "A-[0-9]{4}".to_owned())]);
    assert_eq!(source.pattern_files[0].value, "/etc/redis.example/patterns");
    let Multiline::Own { start: Some(start), continues: Some(continues) } = &source.multiline else {
        panic!("own patterns: {:?}", source.multiline);
    };
    assert_eq!((start.value.as_str(), continues.value.as_str()), ("^\\S", "^ "));
    let faults = messages("[[source]]\npaths = \"a\"\nformat = [\"json\", \"grok:x\"]\nmultiline = {}\n");
    assert_eq!(
        faults,
        [
            "only patterns can be several formats of one source",
            "`grok:x` is no value of `format`",
            "`multiline` says neither how an event starts nor goes on",
        ]
    );
}

#[test]
fn a_misspelt_value_names_the_nearest_one() {
    let report = report("[[source]]\npaths = \"a\"\nformat = \"jsno\"\ntimezone = \"Mars Base\"\n");
    assert!(report.contains("`jsno` is no value of `format`"), "{report}");
    assert!(report.contains("did you mean \"json\"?"), "{report}");
    assert!(report.contains("`Mars Base` is not a time zone"), "{report}");
}

#[test]
fn variables_expand_inside_strings() {
    let redis = |text: &str| {
        let config = valid(&format!("[buffer]\nredis = \"{text}\"\n"));
        config.buffer.redis.unwrap().expose().to_owned()
    };
    assert_eq!(redis("redis://${HOST}:6379"), "redis://redis.example:6379");
    assert_eq!(redis("redis://${NONE:-here}:1/${EMPTY:-2}"), "redis://here:1/2");
    assert_eq!(redis("redis://a/${EMPTY}"), "redis://a/");
    assert_eq!(redis("redis://a/$${HOST}$5"), "redis://a/${HOST}$5");
    assert_eq!(redis("redis://a/${NONE:-}"), "redis://a/");
}

#[test]
fn a_variable_that_is_not_set_is_a_fault() {
    assert_eq!(
        messages("state = \"${NONE}/a\"\n[embedded]\ndata = \"${HOST\"\n[page]\nlisten = \"${1a}\"\n"),
        [
            "the environment variable `NONE` is not set",
            "`${` without its `}`",
            "`${1a}` does not name an environment variable",
        ],
    );
}

#[test]
fn durations_and_sizes_have_units() {
    assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
    assert_eq!(parse_duration("90 s"), Ok(Duration::from_secs(90)));
    assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
    assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
    assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86400)));
    assert_eq!(parse_duration("2w"), parse_duration("14d"));
    assert_eq!(parse_size("65300B"), Ok(65300));
    assert_eq!(parse_size("8MiB"), Ok(8 << 20));
    assert_eq!(parse_size("8MB"), Ok(8_000_000));
    assert_eq!(parse_size("1 TiB"), Ok(1 << 40));
    for wrong in ["", "5", "ms", "-5s", "1.5h", "5 parsecs", "99999999999999999999s", "99999999TiB", "٣s"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
        assert!(parse_size(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_retention_of_nothing_and_a_tiny_buffer_are_refused() {
    assert_eq!(
        messages(
            "[buffer]\nmax_bytes = \"1kB\"\n[index]\nbulk_bytes = \"1GiB\"\n[embedded]\nretention = \"0d\"\n"
        ),
        [
            "`max_bytes` is at least 1048576 bytes",
            "`bulk_bytes` is at most 104857600 bytes",
            "nothing would be kept",
        ],
    );
}

#[test]
fn names_that_elasticsearch_would_refuse_are_refused() {
    for template in ["Logs-{service}", "logs {service}", "logs-{svc}", "logs-{service", "-a", "", "a*"] {
        assert_eq!(messages(&format!("[index]\ndata_stream = \"{template}\"\n")).len(), 1, "{template}");
    }
    for namespace in ["a-b", "A", "", "a/b", &"a".repeat(101)] {
        assert_eq!(messages(&format!("[index]\nnamespace = \"{namespace}\"\n")).len(), 1, "{namespace}");
    }
    assert_eq!(valid("[index]\ndata_stream = \"{service}\"\n").index.data_stream, "{service}");
}

#[test]
fn a_server_is_one_address_or_several() {
    let servers = |text: &str| valid(&format!("[index]\nelasticsearch = {text}\n")).index.elasticsearch.len();
    assert_eq!(servers("\"http://a:9200\""), 1);
    assert_eq!(servers("[\"http://a:9200\", \"https://u:p@b/prefix\", \"http://[::1]:9200\"]"), 3);
    for wrong in
        ["a:9200", "ftp://a", "http://", "http://:9200", "http://u:p@", "http://a b", "http://u:p/q@b"]
    {
        assert_eq!(messages(&format!("[index]\nelasticsearch = [\"{wrong}\"]\n")).len(), 1, "{wrong}");
    }
}

#[test]
fn redis_may_want_a_user_a_password_and_certificates() {
    let config = valid(
        "[buffer]\nredis = \"rediss://a\"\nusername = \"weir\"\npassword = \"geheim\"\nca = \"/ca.pem\"\n\
         cert = \"/own.pem\"\nkey = \"/own.key\"\n",
    );
    assert_eq!(config.buffer.username.as_deref(), Some("weir"));
    assert_eq!(config.buffer.password.unwrap().read().unwrap(), "geheim");
    assert_eq!(config.buffer.ca.unwrap().to_str(), Some("/ca.pem"));
    assert_eq!(config.buffer.certificate, Some(("/own.pem".into(), "/own.key".into())));
    assert!(report("[buffer]\ncert = \"/own.pem\"\n").contains("`cert` needs its `key`"));
}

#[test]
fn redis_is_reached_by_tcp_tls_or_socket() {
    let one = ["redis://a", "rediss://u:p@a:1/2", "unix:///run/redis.sock", "redis://:p@a"];
    let several = ["redis-sentinel://a,b:26379/primary/0", "rediss-cluster://u:p@a:1,b"];
    for address in one.into_iter().chain(several) {
        assert!(ServerUrl::redis(address).is_ok(), "{address}");
    }
    assert!(ServerUrl::redis("http://a").is_err());
}

#[test]
fn one_way_to_log_in_is_enough() {
    let auth = |text: &str| valid(&format!("[index]\n{text}\n")).index.auth.unwrap();
    assert!(
        matches!(auth("api_key = { env = \"TOKEN\" }"), Auth::ApiKey(key) if key.read().unwrap() == "hunter2")
    );
    assert!(matches!(auth("bearer = { file = \"/t\" }"), Auth::Bearer(_)));
    assert!(
        matches!(auth("username = \"u\"\npassword = { env = \"TOKEN\" }"), Auth::Basic { username, .. } if username == "u")
    );
    assert_eq!(messages("[index]\nusername = \"u\"\n"), ["`username` needs a `password`"]);
    assert_eq!(messages("[index]\npassword = \"p\"\n"), ["`password` needs a `username`"]);
    let both = "[index]\napi_key = { env = \"A\" }\nbearer = { env = \"B\" }\n";
    assert_eq!(messages(both).len(), 1);
    let neither = "[index]\napi_key = { file = \"a\", env = \"B\" }\nbearer = {}\n";
    assert_eq!(messages(neither).len(), 2);
}

#[test]
fn a_secret_in_a_file_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let config = valid(&format!("[index]\napi_key = {{ file = '{}' }}\n", path.display()));
    let Some(Auth::ApiKey(key)) = config.index.auth else { panic!("no key") };
    assert!(matches!(key.read(), Err(ReadSecretError::File { .. })));
    std::fs::write(&path, "first\n").unwrap();
    assert_eq!(key.read().unwrap(), "first");
    std::fs::write(&path, "second").unwrap();
    assert_eq!(key.read().unwrap(), "second");
    std::fs::write(&path, "\n").unwrap();
    assert!(matches!(key.read(), Err(ReadSecretError::EmptyFile { .. })));
}

#[test]
fn a_secret_whose_variable_is_not_set_fails_only_when_it_is_used() {
    let config = valid("[index]\napi_key = { env = \"NONE\" }\n");
    let Some(Auth::ApiKey(key)) = config.index.auth else { panic!("no key") };
    assert!(matches!(key.read(), Err(ReadSecretError::Variable { name }) if name == "NONE"));
}

#[test]
fn a_secret_in_the_configuration_itself_is_warned_of() {
    let config = valid("[index]\nbearer = \"hunter2\"\n");
    assert_eq!(config.warnings.len(), 1);
    let warning = config.document.render_warning(&config.warnings[0]);
    assert!(warning.starts_with("warning: `bearer` stands in the configuration itself"), "{warning}");
    assert!(valid("[index]\nbearer = \"${TOKEN}\"\n").warnings.is_empty());
}

#[test]
fn secrets_are_never_printed() {
    let config = valid(
        "[buffer]\nredis = \"redis://u:hunter2@a\"\n[index]\nelasticsearch = \"http://u:hunter2@a\"\n\
         username = \"u\"\npassword = \"hunter2\"\n",
    );
    let Some(Auth::Basic { password, .. }) = &config.index.auth else { panic!("no password") };
    assert_eq!(password.read().unwrap(), "hunter2");
    let mut shown = format!("{config:?} {config:#?} {password} {:?}", config.buffer.redis);
    shown +=
        &config.warnings.iter().map(|warning| config.document.render_warning(warning)).collect::<String>();
    shown += &config.buffer.redis.unwrap().to_string();
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("redis://u:***@a"), "{shown}");
}

#[test]
fn the_excerpt_of_a_faulty_line_hides_its_secrets() {
    for text in [
        "[buffer]\nredis = \"rdis://u:hunter2@a\"\n",
        "[buffer]\nredis = \"redis://u:hun ter2 hunter2@a\"\n",
        "[buffer]\nredis = \"redis://u:hunter2/hunter2@a\"\n",
        "[index]\npassword = \"hunter2\"\n",
        "[index]\npassword = \"hunter2\n",
        "[index]\nbearer = hunter2\n",
        "[index]\n\"api_key\" = [\"hunter2\"]\n",
        "index = { password = \"hunter2\", gzip = 3 }\n",
        "[index]\nelasticsearch = [\"http://a:hunter2@\", \"ftp://b:hunter2@c\"]\n",
    ] {
        let report = report(text);
        assert!(!report.contains("hunter2"), "{report}");
        assert!(report.contains("***"), "{report}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Path::new("/nonexistent/weir.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the configuration /nonexistent/weir.toml");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(from in 0..REFERENCE.len(), length in 0..40usize, put in "[\\PC\n\t\"\\[\\]{}$=.]{0,12}") {
        let shown = REFERENCE.replace("\n#", "\n");
        let start = shown.floor_char_boundary(from);
        let end = shown.floor_char_boundary((start + length).min(shown.len()));
        let broken = format!("{}{put}{}", &shown[..start], &shown[end..]);
        if let Err(error) = parse(&broken) {
            prop_assert!(error.to_string().starts_with("error: "));
        }
        if let Err(error) = parse(&put) {
            prop_assert!(error.to_string().starts_with("error: "));
        }
    }
}

#[test]
fn every_kind_of_input_is_read_with_its_defaults() {
    let config = valid(
        "[[input]]\nstdin = true\n[[input]]\nsyslog = \"udp://127.0.0.1:5514\"\nmax_bytes = \"2GiB\"\n\
         [[input]]\nsyslog = \"tls://[::]:6514\"\ncert = \"c.pem\"\nkey = \"k.pem\"\nclient_ca = \"a.pem\"\n\
         [[input]]\nhttp = \"0.0.0.0:9881\"\ntoken = { env = \"TOKEN\" }\nservice = \"edge\"\n\
         [[input]]\njournald = true\nunits = \"nginx.service\"\n",
    );
    let [stdin, udp, tls, http, journald] = &config.inputs[..] else { panic!("{:?}", config.inputs) };
    assert_eq!(*stdin, InputConfig::stdin());
    let InputKind::Syslog(udp_kind) = &udp.kind else { panic!("{udp:?}") };
    assert_eq!((udp_kind.transport, udp_kind.tls.is_none(), udp.max_bytes), (Transport::Udp, true, 2 << 30));
    let InputKind::Syslog(SyslogConfig { tls: Some(tls), .. }) = &tls.kind else { panic!("{tls:?}") };
    assert_eq!(tls.client_ca.as_deref(), Some(Path::new("a.pem")));
    let InputKind::Http(HttpConfig { token: Some(token), .. }) = &http.kind else { panic!("{http:?}") };
    assert_eq!((token.read().expect("set").as_str(), http.service.as_deref()), ("hunter2", Some("edge")));
    let InputKind::Journald(journald) = &journald.kind else { panic!("{journald:?}") };
    assert_eq!(journald.units, ["nginx.service"]);
}

#[test]
fn an_input_that_cannot_work_or_is_open_to_strangers_is_shown() {
    let check = |input: &str, expected: &str| {
        let found = messages(&format!("[[input]]\n{input}\n"));
        assert_eq!(found.len(), 1, "{input}: {found:?}");
        assert!(found[0].starts_with(expected), "{input}: {found:?}");
    };
    check("", "this input receives from nowhere");
    check("stdin = false", "this input receives from nowhere");
    check("stdin = true\njournald = true", "an input receives from one place");
    check("syslog = \"127.0.0.1:514\"", "`127.0.0.1:514` is no place for syslog");
    check("syslog = \"tls://127.0.0.1:6514\"", "a tls:// input needs a `cert` and its `key`");
    check("syslog = \"tcp://127.0.0.1:6514\"\ncert = \"x\"", "only syslog over tls:// has certificates");
    check("http = \"9881\"", "`9881` is not an address");
    check("http = \"0.0.0.0:9881\"", "everybody who reaches 0.0.0.0:9881 could send records");
    check("stdin = true\nmax_bytes = \"1kB\"", "`max_bytes` is at least");
    valid("[[input]]\nhttp = \"0.0.0.0:9881\"\nallow_remote = true\n");
}

#[test]
fn a_fingerprint_is_64_digits_with_colons_or_without() {
    let read = |text: &str| {
        let text = format!("[index]\nca_fingerprint = \"{text}\"\n");
        Config::from_toml(&text, Path::new("weir.toml"), &|_| None).map(|config| config.index.ca_fingerprint)
    };
    let mut expected = [0xab; 32];
    assert_eq!(read(&"ab".repeat(32)).expect("plain"), Some(expected));
    expected[0] = 1;
    assert_eq!(read(&format!("01{}", ":AB".repeat(31))).expect("with colons"), Some(expected));
    for wrong in ["", "ab", &"ab".repeat(33), &"xy".repeat(32), &"é".repeat(32)] {
        let error = read(wrong).expect_err(wrong).to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }
}
